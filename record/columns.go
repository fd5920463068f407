package record

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tickstorm/tickstorm"
)

// This file is the one table of columns: whatever writes events into rows has its names, types and
// order from here.

// ColumnType is what stands in a column.
type ColumnType string

// The types of columns.
const (
	// ColumnText is text.
	ColumnText ColumnType = "text"
	// ColumnInteger is an integer of 64 bits.
	ColumnInteger ColumnType = "integer"
	// ColumnFloat is a float64.
	ColumnFloat ColumnType = "float"
	// ColumnDecimal is a decimal number, digit by digit as the vendor wrote it.
	ColumnDecimal ColumnType = "decimal"
	// ColumnBoolean is true or false.
	ColumnBoolean ColumnType = "boolean"
	// ColumnTime is nanoseconds since 1970, UTC. What the wire has in milliseconds ends in zeros.
	ColumnTime ColumnType = "time"
	// ColumnIntegers is a list of integers.
	ColumnIntegers ColumnType = "integers"
	// ColumnLevels is a list of price levels, best first.
	ColumnLevels ColumnType = "levels"
	// ColumnTexts is a list of texts.
	ColumnTexts ColumnType = "texts"
)

// Column is one column of a [Schema].
type Column struct {
	// Name is in lower case, with underscores. It is unique in its schema, and does not change.
	Name string
	Type ColumnType
	// Unit is what a number counts; "" where there is nothing to say.
	Unit string
	// Nullable columns have no value where the vendor has sent none, or null, or what does not fit.
	Nullable bool
	// Keys are those of the vendor that it comes from: several where channels differ; none if it
	// is the recording's own.
	Keys []string
	// Doc says in a sentence what it is.
	Doc string

	field tickstorm.Fields
	value func(tickstorm.Event) any
}

// Value returns a pointer to the field of an event of the schema's kind that the column is of:
// a *float64, *int64, *int32, *[tickstorm.Timestamp], *[tickstorm.Decimal], *[]byte, *string,
// *bool, *[tickstorm.Auction], *[]int32 or *[][tickstorm.Level]. It is valid as long as the event is, and
// nil if the event has no value there, or the column is the recording's own. It allocates nothing.
func (c *Column) Value(e tickstorm.Event) any {
	if c.value == nil || e.Head().Has&c.field == 0 {
		return nil
	}
	return c.value(e)
}

// Odd reports whether an event of the schema's kind has a value there that does not fit.
func (c *Column) Odd(e tickstorm.Event) bool { return e.Head().Odd&c.field != 0 }

// Schema is the columns of one kind of event, on whatever market.
type Schema struct {
	// Name is that of the table, such as "trades".
	Name string
	// Kind is [tickstorm.KindUnknown] in the schemas of what is no event that is known: "unknown"
	// and "gaps".
	Kind tickstorm.Kind
	// Doc says in a sentence what it has rows for.
	Doc     string
	Columns []Column
}

// NewEvent returns an empty event of the schema's kind, such as a [*tickstorm.Trade]; a
// [*tickstorm.Unknown] if it is of none.
func (s *Schema) NewEvent() tickstorm.Event {
	switch s.Kind {
	case tickstorm.KindTrade:
		return new(tickstorm.Trade)
	case tickstorm.KindQuote:
		return new(tickstorm.Quote)
	case tickstorm.KindAggregate:
		return new(tickstorm.Aggregate)
	case tickstorm.KindBook:
		return new(tickstorm.Book)
	case tickstorm.KindLULD:
		return new(tickstorm.LULD)
	case tickstorm.KindImbalance:
		return new(tickstorm.Imbalance)
	case tickstorm.KindValue:
		return new(tickstorm.Value)
	case tickstorm.KindStatus:
		return new(tickstorm.Status)
	}
	return new(tickstorm.Unknown)
}

// Schemas returns those of all kinds, and last "unknown" and "gaps". They are shared: do not change
// them.
func Schemas() []*Schema { return schemas() }

// The names of the schemas that are of no kind.
const (
	unknownName = "unknown"
	gapsName    = "gaps"
)

// SchemaOf returns the schema of a kind of event; that of [tickstorm.KindUnknown] is "unknown".
func SchemaOf(k tickstorm.Kind) *Schema { return schemas()[kindAt(k)] }

// kindAt is where the schema of a kind stands.
func kindAt(k tickstorm.Kind) int { return (int(k) + tickstorm.Kinds - 1) % tickstorm.Kinds }

// shared are the columns that every event has before its own.
func shared() []Column {
	return []Column{
		{Name: "market", Type: ColumnText, Doc: "The market of the connection, as in its URL."},
		{Name: "channel", Type: ColumnText, Keys: []string{"ev"}, Doc: "The vendor's name of the channel, such as AM.", Nullable: true},
		{Name: "received_time", Type: ColumnTime, Doc: "When the message was read from the socket."},
		{Name: "message_number", Type: ColumnInteger, Doc: "The number of the message in its segment of the recording: it rises in the order of receipt, and begins anew with each segment."},
		{Name: "element_number", Type: ColumnInteger, Doc: "The number of the element in its message, from 0."},
		{Name: "gap", Type: ColumnInteger, Doc: "The number of the last row of gaps before this one that is of its market, 0 if there is none. Where it differs from the row before of the market, something may be missing between them."},
	}
}

// Columns that end a row.
var unreadable = Column{Name: "unreadable", Type: ColumnText, Nullable: true,
	Doc: "The columns, parted by spaces, whose value was there and did not fit. The whole element then stands in unknown too."}

// own is a column of an event's own.
func own[E any](name, unit string, field tickstorm.Fields, value func(*E) any, doc string) Column {
	return Column{
		Name: name, Unit: unit, Nullable: true, Doc: doc, field: field, Type: typeOf(value(new(E))),
		value: func(e tickstorm.Event) any { return value(any(e).(*E)) },
	}
}

func typeOf(field any) ColumnType {
	switch field.(type) {
	case *float64:
		return ColumnFloat
	case *int64, *int32:
		return ColumnInteger
	case *tickstorm.Timestamp:
		return ColumnTime
	case *tickstorm.Decimal:
		return ColumnDecimal
	case *string, *[]byte, *tickstorm.Auction:
		return ColumnText
	case *bool:
		return ColumnBoolean
	case *[]int32:
		return ColumnIntegers
	case *[]tickstorm.Level:
		return ColumnLevels
	}
	panic(fmt.Sprintf("record: a field of type %T has no column", field))
}

const (
	currency = "quote currency"
	amount   = "shares, contracts or coins"
)

var schemas = sync.OnceValue(func() []*Schema {
	all := []*Schema{
		tradeSchema(), quoteSchema(), aggregateSchema(), bookSchema(), luldSchema(), imbalanceSchema(), valueSchema(), statusSchema(),
	}
	for _, s := range all {
		s.Columns = slices.Concat(shared(), s.Columns, []Column{unreadable})
		for i := range s.Columns {
			if c := &s.Columns[i]; c.value != nil {
				c.Keys = keysOf(s, c.field)
			}
		}
	}
	return append(all, unknownSchema(), gapSchema())
})

func tradeSchema() *Schema {
	type E = tickstorm.Trade
	return &Schema{Name: "trades", Kind: tickstorm.KindTrade, Doc: "Trades: T, XT.", Columns: []Column{
		own("symbol", "", tickstorm.TradeSymbol, func(e *E) any { return &e.Symbol }, "What was traded, spelled as the wire has it."),
		own("event_time", "", tickstorm.TradeTimestamp, func(e *E) any { return &e.Timestamp }, "When the SIP (stocks, options) or the exchange sent it."),
		own("price", currency, tickstorm.TradePrice, func(e *E) any { return &e.Price }, "The price of a share, contract or coin."),
		own("size", amount, tickstorm.TradeSize, func(e *E) any { return &e.Size }, "How much was traded; of a fraction of a share 0 or 1."),
		own("size_decimal", "shares", tickstorm.TradeSizeDecimal, func(e *E) any { return &e.SizeDecimal }, "The size with its fraction (stocks)."),
		own("exchange", "vendor's id", tickstorm.TradeExchange, func(e *E) any { return &e.Exchange }, "Where it was traded."),
		own("trade_id", "", tickstorm.TradeID, func(e *E) any { return &e.ID }, "Unique on its exchange. It is text: 00220725 has its zeros."),
		own("tape", "", tickstorm.TradeTape, func(e *E) any { return &e.Tape }, "1 for listings of NYSE, 2 of AMEX, 3 of Nasdaq."),
		own("conditions", "vendor's codes", tickstorm.TradeConditions, func(e *E) any { return &e.Conditions }, "The conditions; on crypto 1 is the sell side and 2 the buy side."),
		own("sequence_number", "", tickstorm.TradeSequence, func(e *E) any { return &e.Sequence }, "The vendor's: it rises by symbol and has holes."),
		own("participant_time", "", tickstorm.TradeParticipantTimestamp, func(e *E) any { return &e.ParticipantTimestamp }, "When the exchange sent it to the SIP (stocks)."),
		own("trf_id", "vendor's id", tickstorm.TradeTRF, func(e *E) any { return &e.TRF }, "The trade reporting facility, of FINRA prints only."),
		own("trf_time", "", tickstorm.TradeTRFTimestamp, func(e *E) any { return &e.TRFTimestamp }, "When the facility received it."),
		own("vendor_received_time", "", tickstorm.TradeVendorReceived, func(e *E) any { return &e.VendorReceived }, "When the vendor received it (crypto)."),
	}}
}

func quoteSchema() *Schema {
	type E = tickstorm.Quote
	return &Schema{Name: "quotes", Kind: tickstorm.KindQuote, Doc: "Best bids and offers: Q, C, XQ. One side may be absent.", Columns: []Column{
		own("symbol", "", tickstorm.QuoteSymbol, func(e *E) any { return &e.Symbol }, "What is quoted, spelled as the wire has it."),
		own("event_time", "", tickstorm.QuoteTimestamp, func(e *E) any { return &e.Timestamp }, "When the SIP (stocks, options) or the exchange sent it."),
		own("bid_price", currency, tickstorm.QuoteBidPrice, func(e *E) any { return &e.BidPrice }, "The best bid."),
		own("bid_size", amount, tickstorm.QuoteBidSize, func(e *E) any { return &e.BidSize }, "How much is bid for."),
		own("ask_price", currency, tickstorm.QuoteAskPrice, func(e *E) any { return &e.AskPrice }, "The best offer."),
		own("ask_size", amount, tickstorm.QuoteAskSize, func(e *E) any { return &e.AskSize }, "How much is offered."),
		own("bid_exchange", "vendor's id", tickstorm.QuoteBidExchange, func(e *E) any { return &e.BidExchange }, "Where the bid is."),
		own("ask_exchange", "vendor's id", tickstorm.QuoteAskExchange, func(e *E) any { return &e.AskExchange }, "Where the offer is."),
		own("exchange", "vendor's id", tickstorm.QuoteExchange, func(e *E) any { return &e.Exchange }, "That of both sides (forex, crypto)."),
		own("last_price", currency, tickstorm.QuoteLastPrice, func(e *E) any { return &e.LastPrice }, "Undocumented, seen as 0 (crypto)."),
		own("last_size", amount, tickstorm.QuoteLastSize, func(e *E) any { return &e.LastSize }, "Undocumented, seen as 0 (crypto)."),
		own("conditions", "vendor's codes", tickstorm.QuoteConditions, func(e *E) any { return &e.Conditions }, "The conditions; the wire has one at most."),
		own("indicators", "vendor's codes", tickstorm.QuoteIndicators, func(e *E) any { return &e.Indicators }, "The indicators."),
		own("tape", "", tickstorm.QuoteTape, func(e *E) any { return &e.Tape }, "1 for listings of NYSE, 2 of AMEX, 3 of Nasdaq."),
		own("sequence_number", "", tickstorm.QuoteSequence, func(e *E) any { return &e.Sequence }, "The vendor's: it rises by symbol and has holes."),
		own("participant_time", "", tickstorm.QuoteParticipantTimestamp, func(e *E) any { return &e.ParticipantTimestamp }, "When the exchange sent it to the SIP (stocks)."),
		own("bid_time", "", tickstorm.QuoteBidTime, func(e *E) any { return &e.BidTime }, "When the bid was last set (futures)."),
		own("ask_time", "", tickstorm.QuoteAskTime, func(e *E) any { return &e.AskTime }, "When the offer was last set (futures)."),
		own("trf_id", "vendor's id", tickstorm.QuoteTRF, func(e *E) any { return &e.TRF }, "Not seen on the wire."),
		own("trf_time", "", tickstorm.QuoteTRFTimestamp, func(e *E) any { return &e.TRFTimestamp }, "Not seen on the wire."),
		own("vendor_received_time", "", tickstorm.QuoteVendorReceived, func(e *E) any { return &e.VendorReceived }, "When the vendor received it (crypto)."),
	}}
}

func aggregateSchema() *Schema {
	type E = tickstorm.Aggregate
	const volume = "shares, contracts or coins; on forex quotes"
	return &Schema{Name: "aggregates", Kind: tickstorm.KindAggregate,
		Doc: "Bars: A, CAS, XAS of a second, AM, CA, XA of a minute. The same bar comes again when late trades correct it.", Columns: []Column{
			own("symbol", "", tickstorm.AggregateSymbol, func(e *E) any { return &e.Symbol }, "What was traded, spelled as the wire has it."),
			own("start_time", "", tickstorm.AggregateStart, func(e *E) any { return &e.Start }, "When the window begins."),
			own("end_time", "", tickstorm.AggregateEnd, func(e *E) any { return &e.End }, "When the window ends."),
			own("open", currency, tickstorm.AggregateOpen, func(e *E) any { return &e.Open }, "The first price of the window."),
			own("high", currency, tickstorm.AggregateHigh, func(e *E) any { return &e.High }, "The highest price of the window."),
			own("low", currency, tickstorm.AggregateLow, func(e *E) any { return &e.Low }, "The lowest price of the window."),
			own("close", currency, tickstorm.AggregateClose, func(e *E) any { return &e.Close }, "The last price of the window."),
			own("volume", volume, tickstorm.AggregateVolume, func(e *E) any { return &e.Volume }, "How much was traded in the window."),
			own("volume_decimal", "shares", tickstorm.AggregateVolumeDecimal, func(e *E) any { return &e.VolumeDecimal }, "The volume with its fraction (stocks)."),
			own("vwap", currency, tickstorm.AggregateVWAP, func(e *E) any { return &e.VWAP }, "The volume-weighted average price of the window."),
			own("day_volume", volume, tickstorm.AggregateDayVolume, func(e *E) any { return &e.DayVolume }, "How much was traded since the day began."),
			own("day_volume_decimal", "shares", tickstorm.AggregateDayVolumeDecimal, func(e *E) any { return &e.DayVolumeDecimal }, "The day's volume with its fraction (stocks)."),
			own("day_vwap", currency, tickstorm.AggregateDayVWAP, func(e *E) any { return &e.DayVWAP }, "The volume-weighted average price of the day."),
			own("turnover", "US dollars", tickstorm.AggregateTurnover, func(e *E) any { return &e.Turnover }, "The value traded in the window (futures)."),
			own("official_open", currency, tickstorm.AggregateOfficialOpen, func(e *E) any { return &e.OfficialOpen }, "The day's official opening price, once there is one."),
			own("average_size", amount, tickstorm.AggregateAverageSize, func(e *E) any { return &e.AverageSize }, "The average size of the window's trades."),
			own("transactions", "trades", tickstorm.AggregateTransactions, func(e *E) any { return &e.Transactions }, "How many trades there were (futures)."),
			own("over_the_counter", "", tickstorm.AggregateOTC, func(e *E) any { return &e.OTC }, "Set if it is an over-the-counter security (stocks)."),
		}}
}

func bookSchema() *Schema {
	type E = tickstorm.Book
	return &Schema{Name: "books", Kind: tickstorm.KindBook, Doc: "Order books of one exchange: XL2.", Columns: []Column{
		own("symbol", "", tickstorm.BookSymbol, func(e *E) any { return &e.Symbol }, "The pair, spelled as the wire has it."),
		own("event_time", "", tickstorm.BookTimestamp, func(e *E) any { return &e.Timestamp }, "When the exchange sent it."),
		own("exchange", "vendor's id", tickstorm.BookExchange, func(e *E) any { return &e.Exchange }, "Whose book it is."),
		own("bids", "quote currency, coins", tickstorm.BookBids, func(e *E) any { return &e.Bids }, "Prices and sizes that are bid."),
		own("asks", "quote currency, coins", tickstorm.BookAsks, func(e *E) any { return &e.Asks }, "Prices and sizes that are offered."),
		own("vendor_received_time", "", tickstorm.BookVendorReceived, func(e *E) any { return &e.VendorReceived }, "When the vendor received it."),
	}}
}

func luldSchema() *Schema {
	type E = tickstorm.LULD
	return &Schema{Name: "luld", Kind: tickstorm.KindLULD, Doc: "Limit-up limit-down price bands: LULD.", Columns: []Column{
		own("symbol", "", tickstorm.LULDSymbol, func(e *E) any { return &e.Symbol }, "The stock."),
		own("event_time", "", tickstorm.LULDTimestamp, func(e *E) any { return &e.Timestamp }, "When it was sent."),
		own("upper_band", currency, tickstorm.LULDUpperBand, func(e *E) any { return &e.UpperBand }, "The highest price at which it may trade."),
		own("lower_band", currency, tickstorm.LULDLowerBand, func(e *E) any { return &e.LowerBand }, "The lowest price at which it may trade."),
		own("indicators", "vendor's codes", tickstorm.LULDIndicators, func(e *E) any { return &e.Indicators }, "Why it was sent, such as 17 for a halt."),
		own("tape", "", tickstorm.LULDTape, func(e *E) any { return &e.Tape }, "1 for listings of NYSE, 2 of AMEX, 3 of Nasdaq."),
		own("sequence_number", "", tickstorm.LULDSequence, func(e *E) any { return &e.Sequence }, "The vendor's: it rises by symbol and has holes."),
	}}
}

func imbalanceSchema() *Schema {
	type E = tickstorm.Imbalance
	return &Schema{Name: "imbalances", Kind: tickstorm.KindImbalance, Doc: "Net order imbalances ahead of an auction: NOI.", Columns: []Column{
		own("symbol", "", tickstorm.ImbalanceSymbol, func(e *E) any { return &e.Symbol }, "The stock."),
		own("event_time", "", tickstorm.ImbalanceTimestamp, func(e *E) any { return &e.Timestamp }, "When it was sent."),
		own("imbalance", "shares", tickstorm.ImbalanceImbalance, func(e *E) any { return &e.Imbalance }, "What has no counterpart."),
		own("paired", "shares", tickstorm.ImbalancePaired, func(e *E) any { return &e.Paired }, "What has one."),
		own("book_clearing_price", currency, tickstorm.ImbalanceBookClearingPrice, func(e *E) any { return &e.BookClearingPrice }, "The price at which the imbalance would clear."),
		own("auction", "", tickstorm.ImbalanceAuction, func(e *E) any { return &e.Auction }, "O early open, M core open, H reopening, C close, P extreme closing, R regulatory closing."),
		own("auction_hhmm", "hours and minutes in Eastern time", tickstorm.ImbalanceAuctionTime, func(e *E) any { return &e.AuctionTime }, "When the auction is planned: 930 is half past nine."),
		own("exchange", "vendor's id", tickstorm.ImbalanceExchange, func(e *E) any { return &e.Exchange }, "Whose auction it is."),
		own("sequence_number", "", tickstorm.ImbalanceSequence, func(e *E) any { return &e.Sequence }, "The exchange's, by symbol."),
	}}
}

func valueSchema() *Schema {
	type E = tickstorm.Value
	return &Schema{Name: "values", Kind: tickstorm.KindValue, Doc: "Values of indices (V), fair market values (FMV) and Launchpad's (LV).", Columns: []Column{
		own("symbol", "", tickstorm.ValueSymbol, func(e *E) any { return &e.Symbol }, "What it is the value of, spelled as the wire has it."),
		own("event_time", "", tickstorm.ValueTimestamp, func(e *E) any { return &e.Timestamp }, "When it was sent."),
		own("value", "quote currency or index points", tickstorm.ValueVal, func(e *E) any { return &e.Val }, "The value."),
	}}
}

func statusSchema() *Schema {
	type E = tickstorm.Status
	return &Schema{Name: "statuses", Kind: tickstorm.KindStatus, Doc: "What the server said of the connection and of requests.", Columns: []Column{
		own("status", "", tickstorm.StatusStatus, func(e *E) any { return &e.Status }, "The word, such as success."),
		own("message", "", tickstorm.StatusMessage, func(e *E) any { return &e.Message }, "The text."),
	}}
}

func unknownSchema() *Schema {
	return &Schema{Name: unknownName, Doc: "What other tables have no columns for, as it came: events of channels that the market does not have, what is broken, and elements with a value that does not fit.",
		Columns: append(shared(),
			Column{Name: "error", Type: ColumnText, Nullable: true, Doc: "What is wrong with it. Empty if nothing is."},
			Column{Name: "raw", Type: ColumnText, Doc: "The element, with spaces for line breaks; of what is broken 1,024 bytes at most."})}
}

func gapSchema() *Schema {
	moment := func(end, clock, doc string) Column {
		return Column{Name: end + "_" + clock + "_time", Type: ColumnTime, Nullable: true, Doc: doc}
	}
	return &Schema{Name: gapsName, Doc: "What is missing, and where connections begin.", Columns: []Column{
		{Name: "gap", Type: ColumnInteger, Nullable: true, Doc: "Its number, from 1; rows of later events have it in their column gap. A row of kind up has none."},
		{Name: "kind", Type: ColumnText, Doc: "down and up: a connection ended, another one stands. gap: what was sent in between is missing. dropped: the recorder had no room. lost, damage: it was recorded, and is damaged."},
		{Name: "market", Type: ColumnText, Nullable: true, Doc: "The market; empty if a file does not say, and then it counts for all."},
		{Name: "received_time", Type: ColumnTime, Nullable: true, Doc: "When it happened; of a damage, when what is before it was received."},
		moment("from", "event", "The event time of the last event before it."),
		moment("from", "received", "When the last message before it was received."),
		moment("to", "event", "The event time of the first event after it."),
		moment("to", "received", "When the first message after it was received."),
		{Name: "messages", Type: ColumnInteger, Nullable: true, Doc: "How many messages are missing, where that is known."},
		{Name: "bytes", Type: ColumnInteger, Unit: "bytes", Nullable: true, Doc: "How many bytes they had."},
		{Name: "cause", Type: ColumnText, Nullable: true, Doc: "Why."},
		{Name: "topics", Type: ColumnTexts, Nullable: true, Doc: "The topics of the connection; empty means all that there were."},
	}}
}

// keysOf returns the vendor's keys of a field, in the words of the table that encodes events.
func keysOf(of *Schema, field tickstorm.Fields) (keys []string) {
	for _, m := range tickstorm.Markets() {
		for _, s := range append(m.Streams(), 0) {
			e := of.NewEvent()
			*e.Head() = tickstorm.Header{Market: m, Stream: s, Has: field}
			_, member, ok := strings.Cut(string(e.AppendJSON(nil)), `,"`)
			if key, _, _ := strings.Cut(member, `"`); ok && !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	return keys
}
