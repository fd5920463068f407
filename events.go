package tickstorm

import "time"

// Fields is a set of the fields of one kind of event, one bit a field. The bits of
// each kind are the constants next to it: [TradePrice] means something else than
// the same bit of a [Quote].
type Fields uint32

// Any reports whether f holds at least one of the fields of g.
func (f Fields) Any(g Fields) bool { return f&g != 0 }

// All reports whether f holds all the fields of g.
func (f Fields) All(g Fields) bool { return f&g == g }

// Kind tells the types of events apart.
type Kind uint8

// The kinds of events. KindUnknown is an event whose channel the library does not know.
const (
	KindUnknown Kind = iota
	KindTrade
	KindQuote
	KindAggregate
	KindBook
	KindLULD
	KindImbalance
	KindValue
	KindStatus
	kindCount
)

var kindNames = [kindCount]string{"unknown", "trade", "quote", "aggregate", "book", "luld", "imbalance", "value", "status"}

// String returns the kind's name in lower case, such as "trade".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[KindUnknown]
}

// The numbers of kinds and causes: arrays of these lengths can be indexed by [Kind],
// [ErrorCause] and [ReconnectCause].
const (
	Kinds           = int(kindCount)
	ErrorCauses     = int(errorCauseCount)
	ReconnectCauses = int(reconnectCauseCount)
)

// Event is one event of any kind: a pointer to [Trade], [Quote], [Aggregate],
// [Book], [LULD], [Imbalance], [Value], [Status] or [Unknown], and nothing else.
type Event interface {
	// Kind tells which of the types it is.
	Kind() Kind
	// Head returns the part that all kinds share. It is part of the event and
	// valid as long as the event is.
	Head() *Header
	// AppendJSON appends the event in the wire's form to dst.
	AppendJSON(dst []byte) []byte

	// field returns a pointer to the field with bit 1<<i, nil if there is none.
	field(i int) any
}

// Header is what every event has, whatever its kind.
//
// An event that a [Handler] or an iterator receives is lent, with every slice in
// it: it is valid until the method returns (or the next iteration begins), then
// the memory is used for the next event. Strings are not lent and safe to keep.
// To keep the whole event, use its Clone method or a [Pool].
type Header struct {
	// Market is the market of the connection.
	Market Market
	// Symbol is what the event is about, spelled as the wire has it, such as
	// "AAPL", "O:SPY241220P00720000", "EUR/USD". Safe to keep.
	Symbol string
	// Raw is the event's JSON object as it came. Valid until the method returns.
	Raw []byte
	// Received is when the bytes were read, in nanoseconds since 1970.
	// Zero if nobody told the parser the time.
	Received int64
	// SymbolID is the symbol's number in the [Symbols] table: dense, from 1, for
	// state kept in arrays. 0 if the event has no symbol or the table is full.
	SymbolID uint32
	// Has holds the fields that are present with a value, Null those present as
	// JSON null, Odd those whose value does not fit the field: it then reads zero
	// and stands in Raw. The three are disjoint; a field in none of them is absent.
	Has, Null, Odd Fields
	// Stream is what the event belongs to; it tells a second aggregate from a
	// minute one and a fair market value from an index value. The zero Stream
	// stands for status and unknown events.
	Stream Stream
	// Backfilled marks an event that came from elsewhere than the live
	// connection, to fill a gap.
	Backfilled bool
	// Replayed marks an event of a recording: never take it for a live one.
	Replayed bool

	// code is what a status meant before the key was taken out of it; StatusOther in all
	// others. It is here because there is room.
	code StatusCode
	// own is the memory behind the texts of a copy; nil in a lent event.
	own []byte
}

// Head returns h itself, so that code for any kind reaches the common part.
func (h *Header) Head() *Header { return h }

// ReceivedTime returns Received as a time.
func (h *Header) ReceivedTime() time.Time { return time.Unix(0, h.Received) }

// Timestamp is a point in time as the wire has it: an integer since 1970 whose
// unit is milliseconds in most events and nanoseconds or microseconds in some
// (LULD, imbalances, fair market values). The raw integer is kept.
type Timestamp int64

// The vendor's documentation and its feed disagree on the unit of several channels,
// so magnitude decides: milliseconds stay below this bound until the year 5138, and
// microseconds and nanoseconds have been above theirs since 1973.
const (
	microsFrom = 1e14
	nanosFrom  = 1e17
)

// Nanoseconds returns t in nanoseconds since 1970, whatever its unit.
func (t Timestamp) Nanoseconds() int64 {
	switch {
	case t >= nanosFrom || t <= -nanosFrom:
		return int64(t)
	case t >= microsFrom || t <= -microsFrom:
		return nanosOf(int64(t), 1e3)
	default:
		return nanosOf(int64(t), 1e6)
	}
}

// nanosOf saturates: the integers that pass for milliseconds reach beyond the
// years that nanoseconds in an int64 can name.
func nanosOf(v, unit int64) int64 {
	const most = 1<<63 - 1
	switch {
	case v > most/unit:
		return most
	case v < -most/unit:
		return -most
	}
	return v * unit
}

// Time returns t as a time in the local time zone, as [time.Unix] does; the zero
// Timestamp gives 1970.
func (t Timestamp) Time() time.Time {
	switch {
	case t >= nanosFrom || t <= -nanosFrom:
		return time.Unix(0, int64(t))
	case t >= microsFrom || t <= -microsFrom:
		return time.UnixMicro(int64(t))
	default:
		return time.UnixMilli(int64(t))
	}
}

// Decimal is a decimal number that the wire writes in a string, such as "0.740474".
type Decimal struct {
	// Text is the number as it came. Valid until the method returns.
	Text []byte
	// Value is the float64 nearest to Text.
	Value float64
}

// Level is one price level of a [Book].
type Level struct {
	Price float64
	Size  float64 // in units of the base currency
}

// Auction is the type of auction of an [Imbalance], the letter that the wire has.
type Auction byte

// The types of auction.
const (
	AuctionEarlyOpen      Auction = 'O'
	AuctionOpen           Auction = 'M' // core open
	AuctionReopening      Auction = 'H' // after a halt
	AuctionClose          Auction = 'C'
	AuctionExtremeClosing Auction = 'P'
	AuctionRegulatory     Auction = 'R' // regulatory closing
)

// String returns the letter, or "" for the zero Auction.
func (a Auction) String() string {
	if a == 0 {
		return ""
	}
	return string(rune(a))
}

// Trade is one trade: T on stocks, options and futures, XT on crypto.
// The event is valid until the method that received it returns.
type Trade struct {
	Header
	// ID is the trade's id, unique per exchange: text on the wire or a number,
	// here always the text ("00220725" keeps its zeros). Valid until the method returns.
	ID []byte
	// SizeDecimal is the size with its fraction, for fractional shares (stocks, ds).
	SizeDecimal Decimal
	// Price per share, contract or coin.
	Price float64
	// Size in shares (stocks; a fractional trade says 0 or 1 here, see SizeDecimal),
	// contracts (options, futures) or units of the base currency (crypto).
	Size float64
	// Conditions are the vendor's condition codes; crypto: 1 sell side, 2 buy side.
	// Valid until the method returns.
	Conditions []int32
	// Timestamp is when the SIP (stocks, options) or the exchange sent it. Milliseconds.
	Timestamp Timestamp
	// ParticipantTimestamp is when the exchange sent it to the SIP (stocks). Milliseconds.
	ParticipantTimestamp Timestamp
	// Sequence rises per symbol but is not contiguous; repeats and steps back occur.
	Sequence int64
	// TRF is the id of the trade reporting facility, on FINRA prints only.
	TRF int64
	// TRFTimestamp is when the facility received it. Milliseconds.
	TRFTimestamp Timestamp
	// VendorReceived is when the vendor received it (crypto). Milliseconds.
	VendorReceived Timestamp
	// Exchange is the vendor's exchange id.
	Exchange int32
	// Tape is 1 for NYSE, 2 for AMEX, 3 for Nasdaq listings.
	Tape int32
}

// The fields of a [Trade].
const (
	TradeSymbol Fields = 1 << iota
	TradeExchange
	TradeID
	TradeTape
	TradePrice
	TradeSize
	TradeSizeDecimal
	TradeConditions
	TradeTimestamp
	TradeParticipantTimestamp
	TradeSequence
	TradeTRF
	TradeTRFTimestamp
	TradeVendorReceived
)

// Kind returns KindTrade.
func (*Trade) Kind() Kind { return KindTrade }

func (t *Trade) field(i int) any {
	switch Fields(1) << i {
	case TradeSymbol:
		return &t.Symbol
	case TradeExchange:
		return &t.Exchange
	case TradeID:
		return &t.ID
	case TradeTape:
		return &t.Tape
	case TradePrice:
		return &t.Price
	case TradeSize:
		return &t.Size
	case TradeSizeDecimal:
		return &t.SizeDecimal
	case TradeConditions:
		return &t.Conditions
	case TradeTimestamp:
		return &t.Timestamp
	case TradeParticipantTimestamp:
		return &t.ParticipantTimestamp
	case TradeSequence:
		return &t.Sequence
	case TradeTRF:
		return &t.TRF
	case TradeTRFTimestamp:
		return &t.TRFTimestamp
	case TradeVendorReceived:
		return &t.VendorReceived
	}
	return nil
}

// Quote is the best bid and offer: Q on stocks (the NBBO), options and futures, C
// on forex, XQ on crypto. One side can be absent.
// The event is valid until the method that received it returns.
type Quote struct {
	Header
	BidPrice float64
	AskPrice float64
	// BidSize and AskSize are in shares (stocks; recordings from before the
	// SIP's round-lot change have round lots), contracts (options, futures) or
	// units of the base currency (crypto). Forex quotes have none.
	BidSize float64
	AskSize float64
	// LastPrice and LastSize are crypto's lp and ls, which the vendor does not
	// document and recordings show as 0.
	LastPrice float64
	LastSize  float64
	// Conditions is the quote condition; the wire has one number or none.
	// Valid until the method returns.
	Conditions []int32
	// Indicators are the vendor's quote indicators, such as 604; a single
	// undocumented number on forex. Valid until the method returns.
	Indicators []int32
	// Timestamp is when the SIP (stocks, options) or the exchange sent it. Milliseconds.
	Timestamp Timestamp
	// ParticipantTimestamp is when the exchange sent it to the SIP (stocks). Milliseconds.
	ParticipantTimestamp Timestamp
	// BidTime and AskTime are when each side was last set (futures). Milliseconds.
	BidTime Timestamp
	AskTime Timestamp
	// VendorReceived is when the vendor received it (crypto). Milliseconds.
	VendorReceived Timestamp
	// Sequence rises per symbol but is not contiguous; repeats and steps back occur.
	Sequence int64
	// TRF and TRFTimestamp (milliseconds) are in one official client's model and
	// have not been seen on the wire.
	TRF          int64
	TRFTimestamp Timestamp
	// BidExchange and AskExchange are the vendor's exchange ids of the two sides;
	// forex and crypto have one Exchange for both.
	BidExchange int32
	AskExchange int32
	Exchange    int32
	// Tape is 1 for NYSE, 2 for AMEX, 3 for Nasdaq listings.
	Tape int32
}

// The fields of a [Quote].
const (
	QuoteSymbol Fields = 1 << iota
	QuoteBidExchange
	QuoteAskExchange
	QuoteBidPrice
	QuoteAskPrice
	QuoteBidSize
	QuoteAskSize
	QuoteConditions
	QuoteIndicators
	QuoteTimestamp
	QuoteParticipantTimestamp
	QuoteSequence
	QuoteTape
	QuoteTRF
	QuoteTRFTimestamp
	QuoteExchange
	QuoteVendorReceived
	QuoteLastPrice
	QuoteLastSize
	QuoteBidTime
	QuoteAskTime
)

// Kind returns KindQuote.
func (*Quote) Kind() Kind { return KindQuote }

func (q *Quote) field(i int) any {
	switch Fields(1) << i {
	case QuoteSymbol:
		return &q.Symbol
	case QuoteBidExchange:
		return &q.BidExchange
	case QuoteAskExchange:
		return &q.AskExchange
	case QuoteBidPrice:
		return &q.BidPrice
	case QuoteAskPrice:
		return &q.AskPrice
	case QuoteBidSize:
		return &q.BidSize
	case QuoteAskSize:
		return &q.AskSize
	case QuoteConditions:
		return &q.Conditions
	case QuoteIndicators:
		return &q.Indicators
	case QuoteTimestamp:
		return &q.Timestamp
	case QuoteParticipantTimestamp:
		return &q.ParticipantTimestamp
	case QuoteSequence:
		return &q.Sequence
	case QuoteTape:
		return &q.Tape
	case QuoteTRF:
		return &q.TRF
	case QuoteTRFTimestamp:
		return &q.TRFTimestamp
	case QuoteExchange:
		return &q.Exchange
	case QuoteVendorReceived:
		return &q.VendorReceived
	case QuoteLastPrice:
		return &q.LastPrice
	case QuoteLastSize:
		return &q.LastSize
	case QuoteBidTime:
		return &q.BidTime
	case QuoteAskTime:
		return &q.AskTime
	}
	return nil
}

// Aggregate is one bar: A (second) and AM (minute) on stocks, options, indices and
// futures, CAS and CA on forex, XAS and XA on crypto, and Launchpad's AM. Whether
// it is a second or a minute is in Stream: Start and End can be equal or missing.
//
// The vendor sends a bar about two seconds after its end and sends it again when
// late trades correct it, up to 15 minutes later; a window without eligible trades
// has no bar. The event is valid until the method that received it returns.
type Aggregate struct {
	Header
	// VolumeDecimal and DayVolumeDecimal are the two volumes with their fractions
	// (stocks, dv and dav).
	VolumeDecimal    Decimal
	DayVolumeDecimal Decimal
	Open             float64
	High             float64
	Low              float64
	Close            float64
	// VWAP is the volume-weighted average price of the window, DayVWAP of the day.
	VWAP    float64
	DayVWAP float64
	// Volume is what was traded in the window, DayVolume since the day's start: shares,
	// contracts or units of the base currency; on forex the number of quotes.
	Volume    float64
	DayVolume float64
	// Turnover is the value traded in US dollars (futures, dv).
	Turnover float64
	// OfficialOpen is the day's official opening price, once there is one.
	OfficialOpen float64
	// AverageSize is the average size of the window's trades. The feed does not
	// keep it integral.
	AverageSize float64
	// Start and End bound the window. Milliseconds.
	Start Timestamp
	End   Timestamp
	// Transactions is the number of trades (futures).
	Transactions int64
	// OTC marks an over-the-counter security (stocks); the wire has it only when true.
	OTC bool
}

// The fields of an [Aggregate].
const (
	AggregateSymbol Fields = 1 << iota
	AggregateVolume
	AggregateDayVolume
	AggregateVolumeDecimal
	AggregateDayVolumeDecimal
	AggregateTurnover
	AggregateOfficialOpen
	AggregateVWAP
	AggregateOpen
	AggregateClose
	AggregateHigh
	AggregateLow
	AggregateDayVWAP
	AggregateAverageSize
	AggregateTransactions
	AggregateStart
	AggregateEnd
	AggregateOTC
)

// Kind returns KindAggregate.
func (*Aggregate) Kind() Kind { return KindAggregate }

func (a *Aggregate) field(i int) any {
	switch Fields(1) << i {
	case AggregateSymbol:
		return &a.Symbol
	case AggregateVolume:
		return &a.Volume
	case AggregateDayVolume:
		return &a.DayVolume
	case AggregateVolumeDecimal:
		return &a.VolumeDecimal
	case AggregateDayVolumeDecimal:
		return &a.DayVolumeDecimal
	case AggregateTurnover:
		return &a.Turnover
	case AggregateOfficialOpen:
		return &a.OfficialOpen
	case AggregateVWAP:
		return &a.VWAP
	case AggregateOpen:
		return &a.Open
	case AggregateClose:
		return &a.Close
	case AggregateHigh:
		return &a.High
	case AggregateLow:
		return &a.Low
	case AggregateDayVWAP:
		return &a.DayVWAP
	case AggregateAverageSize:
		return &a.AverageSize
	case AggregateTransactions:
		return &a.Transactions
	case AggregateStart:
		return &a.Start
	case AggregateEnd:
		return &a.End
	case AggregateOTC:
		return &a.OTC
	}
	return nil
}

// Book is a level-2 snapshot of one exchange: XL2 on crypto, up to 100 levels a side.
// The event is valid until the method that received it returns.
type Book struct {
	Header
	// Bids and Asks are the levels in the wire's order, best first.
	// Valid until the method returns.
	Bids []Level
	Asks []Level
	// Timestamp is the exchange's. Milliseconds.
	Timestamp Timestamp
	// VendorReceived is when the vendor received it. Milliseconds.
	VendorReceived Timestamp
	// Exchange is the vendor's exchange id.
	Exchange int32
}

// The fields of a [Book].
const (
	BookSymbol Fields = 1 << iota
	BookBids
	BookAsks
	BookTimestamp
	BookVendorReceived
	BookExchange
)

// Kind returns KindBook.
func (*Book) Kind() Kind { return KindBook }

func (b *Book) field(i int) any {
	switch Fields(1) << i {
	case BookSymbol:
		return &b.Symbol
	case BookBids:
		return &b.Bids
	case BookAsks:
		return &b.Asks
	case BookTimestamp:
		return &b.Timestamp
	case BookVendorReceived:
		return &b.VendorReceived
	case BookExchange:
		return &b.Exchange
	}
	return nil
}

// LULD is a limit-up limit-down price band of a stock.
// The event is valid until the method that received it returns.
type LULD struct {
	Header
	// UpperBand and LowerBand bound the prices at which the stock may trade.
	UpperBand float64
	LowerBand float64
	// Indicators say why it was sent, such as 15 intraday band update, 16 restated
	// band, 17 halt pause, 18 reopening, 22 republished band. Valid until the method returns.
	Indicators []int32
	// Timestamp is in nanoseconds on the live feed.
	Timestamp Timestamp
	// Sequence rises per symbol but is not contiguous.
	Sequence int64
	// Tape is 1 for NYSE, 2 for AMEX, 3 for Nasdaq listings.
	Tape int32
}

// The fields of a [LULD].
const (
	LULDSymbol Fields = 1 << iota
	LULDUpperBand
	LULDLowerBand
	LULDIndicators
	LULDTimestamp
	LULDSequence
	LULDTape
)

// Kind returns KindLULD.
func (*LULD) Kind() Kind { return KindLULD }

func (l *LULD) field(i int) any {
	switch Fields(1) << i {
	case LULDSymbol:
		return &l.Symbol
	case LULDUpperBand:
		return &l.UpperBand
	case LULDLowerBand:
		return &l.LowerBand
	case LULDIndicators:
		return &l.Indicators
	case LULDTimestamp:
		return &l.Timestamp
	case LULDSequence:
		return &l.Sequence
	case LULDTape:
		return &l.Tape
	}
	return nil
}

// Imbalance is a net order imbalance ahead of an auction: NOI on stocks.
// The event is valid until the method that received it returns.
type Imbalance struct {
	Header
	// BookClearingPrice is the price at which the imbalance would clear.
	BookClearingPrice float64
	// Imbalance and Paired are quantities in shares.
	Imbalance int64
	Paired    int64
	// Timestamp is in nanoseconds by the vendor's sample.
	Timestamp Timestamp
	// Sequence is the exchange's, per symbol.
	Sequence int64
	// AuctionTime is when the auction is planned, HHMM in Eastern time: 930 is 9:30.
	AuctionTime int32
	// Exchange is the vendor's exchange id.
	Exchange int32
	// Auction is the type of auction.
	Auction Auction
}

// The fields of an [Imbalance].
const (
	ImbalanceSymbol Fields = 1 << iota
	ImbalanceTimestamp
	ImbalanceAuctionTime
	ImbalanceAuction
	ImbalanceSequence
	ImbalanceExchange
	ImbalanceImbalance
	ImbalancePaired
	ImbalanceBookClearingPrice
)

// Kind returns KindImbalance.
func (*Imbalance) Kind() Kind { return KindImbalance }

func (n *Imbalance) field(i int) any {
	switch Fields(1) << i {
	case ImbalanceSymbol:
		return &n.Symbol
	case ImbalanceTimestamp:
		return &n.Timestamp
	case ImbalanceAuctionTime:
		return &n.AuctionTime
	case ImbalanceAuction:
		return &n.Auction
	case ImbalanceSequence:
		return &n.Sequence
	case ImbalanceExchange:
		return &n.Exchange
	case ImbalanceImbalance:
		return &n.Imbalance
	case ImbalancePaired:
		return &n.Paired
	case ImbalanceBookClearingPrice:
		return &n.BookClearingPrice
	}
	return nil
}

// Value is one number for a symbol: an index value (V), a fair market value (FMV,
// Business plans) or a Launchpad value (LV); Stream tells which.
// The event is valid until the method that received it returns.
type Value struct {
	Header
	// Val is the value, in the quote currency or in index points.
	Val float64
	// Timestamp is in milliseconds for V and in nanoseconds for FMV and LV, where
	// some samples have milliseconds.
	Timestamp Timestamp
}

// The fields of a [Value].
const (
	ValueSymbol Fields = 1 << iota
	ValueVal
	ValueTimestamp
)

// Kind returns KindValue.
func (*Value) Kind() Kind { return KindValue }

func (v *Value) field(i int) any {
	switch Fields(1) << i {
	case ValueSymbol:
		return &v.Symbol
	case ValueVal:
		return &v.Val
	case ValueTimestamp:
		return &v.Timestamp
	}
	return nil
}

// Status is what the server says of the connection and of requests; see
// [Status.Code] for what it means. The event is valid until the method that
// received it returns.
type Status struct {
	Header
	// Status is the word, such as "auth_success". Valid until the method returns.
	Status []byte
	// Message is the text, such as "subscribed to: T.AAPL". Valid until the method returns.
	Message []byte
}

// The fields of a [Status].
const (
	StatusStatus Fields = 1 << iota
	StatusMessage
)

// Kind returns KindStatus.
func (*Status) Kind() Kind { return KindStatus }

func (s *Status) field(i int) any {
	switch Fields(1) << i {
	case StatusStatus:
		return &s.Status
	case StatusMessage:
		return &s.Message
	}
	return nil
}

// Unknown is an event whose ev the library has no entry for on this market: valid
// JSON, all of it in Raw. The event is valid until the method that received it returns.
type Unknown struct {
	Header
	// Event is the ev. Valid until the method returns.
	Event []byte
}

// Kind returns KindUnknown.
func (*Unknown) Kind() Kind { return KindUnknown }

func (*Unknown) field(int) any { return nil }
