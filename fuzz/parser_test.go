package fuzz

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// wireKey says to which field of which bit a key leads. The table below is the wire's
// as the protocol has it, written anew: it must not be taken from the parser's.
type wireKey struct {
	field  string
	bit    tickstorm.Fields
	quoted bool // the number also comes as a string
}

type wireChannel struct {
	stream tickstorm.Stream
	kind   tickstorm.Kind
	keys   map[string]wireKey
}

func key(field string, bit tickstorm.Fields) wireKey       { return wireKey{field, bit, false} }
func quotedKey(field string, bit tickstorm.Fields) wireKey { return wireKey{field, bit, true} }

var (
	wireTrade = map[string]wireKey{
		"sym": key("Symbol", tickstorm.TradeSymbol), "x": quotedKey("Exchange", tickstorm.TradeExchange), "i": key("ID", tickstorm.TradeID),
		"z": key("Tape", tickstorm.TradeTape), "p": key("Price", tickstorm.TradePrice), "s": key("Size", tickstorm.TradeSize),
		"ds": key("SizeDecimal", tickstorm.TradeSizeDecimal), "c": key("Conditions", tickstorm.TradeConditions),
		"t": key("Timestamp", tickstorm.TradeTimestamp), "pt": key("ParticipantTimestamp", tickstorm.TradeParticipantTimestamp),
		"q": key("Sequence", tickstorm.TradeSequence), "trfi": key("TRF", tickstorm.TradeTRF), "trft": key("TRFTimestamp", tickstorm.TradeTRFTimestamp),
	}
	wireQuote = map[string]wireKey{
		"sym": key("Symbol", tickstorm.QuoteSymbol), "bx": quotedKey("BidExchange", tickstorm.QuoteBidExchange), "ax": quotedKey("AskExchange", tickstorm.QuoteAskExchange),
		"bp": key("BidPrice", tickstorm.QuoteBidPrice), "ap": key("AskPrice", tickstorm.QuoteAskPrice),
		"bs": key("BidSize", tickstorm.QuoteBidSize), "as": key("AskSize", tickstorm.QuoteAskSize),
		"c": key("Conditions", tickstorm.QuoteConditions), "i": key("Indicators", tickstorm.QuoteIndicators),
		"t": key("Timestamp", tickstorm.QuoteTimestamp), "pt": key("ParticipantTimestamp", tickstorm.QuoteParticipantTimestamp),
		"q": key("Sequence", tickstorm.QuoteSequence), "z": key("Tape", tickstorm.QuoteTape),
		"trfi": key("TRF", tickstorm.QuoteTRF), "trft": key("TRFTimestamp", tickstorm.QuoteTRFTimestamp),
	}
	wireBar = map[string]wireKey{
		"sym": key("Symbol", tickstorm.AggregateSymbol), "v": key("Volume", tickstorm.AggregateVolume), "av": key("DayVolume", tickstorm.AggregateDayVolume),
		"dv": key("VolumeDecimal", tickstorm.AggregateVolumeDecimal), "dav": key("DayVolumeDecimal", tickstorm.AggregateDayVolumeDecimal),
		"op": key("OfficialOpen", tickstorm.AggregateOfficialOpen), "vw": key("VWAP", tickstorm.AggregateVWAP),
		"o": key("Open", tickstorm.AggregateOpen), "c": key("Close", tickstorm.AggregateClose), "h": key("High", tickstorm.AggregateHigh), "l": key("Low", tickstorm.AggregateLow),
		"a": key("DayVWAP", tickstorm.AggregateDayVWAP), "z": key("AverageSize", tickstorm.AggregateAverageSize),
		"s": key("Start", tickstorm.AggregateStart), "e": key("End", tickstorm.AggregateEnd), "otc": key("OTC", tickstorm.AggregateOTC),
	}
	wirePairBar = map[string]wireKey{
		"pair": key("Symbol", tickstorm.AggregateSymbol), "v": key("Volume", tickstorm.AggregateVolume), "vw": key("VWAP", tickstorm.AggregateVWAP),
		"z": key("AverageSize", tickstorm.AggregateAverageSize), "o": key("Open", tickstorm.AggregateOpen), "c": key("Close", tickstorm.AggregateClose),
		"h": key("High", tickstorm.AggregateHigh), "l": key("Low", tickstorm.AggregateLow), "s": key("Start", tickstorm.AggregateStart), "e": key("End", tickstorm.AggregateEnd),
	}
	wireFuturesBar = map[string]wireKey{
		"sym": key("Symbol", tickstorm.AggregateSymbol), "v": key("Volume", tickstorm.AggregateVolume), "dv": key("Turnover", tickstorm.AggregateTurnover),
		"n": key("Transactions", tickstorm.AggregateTransactions), "o": key("Open", tickstorm.AggregateOpen), "c": key("Close", tickstorm.AggregateClose),
		"h": key("High", tickstorm.AggregateHigh), "l": key("Low", tickstorm.AggregateLow), "s": key("Start", tickstorm.AggregateStart), "e": key("End", tickstorm.AggregateEnd),
	}
	wireFMV = map[string]wireKey{
		"fmv": key("Val", tickstorm.ValueVal), "val": key("Val", tickstorm.ValueVal), "sym": key("Symbol", tickstorm.ValueSymbol), "t": key("Timestamp", tickstorm.ValueTimestamp),
	}
	wireLV = map[string]wireKey{
		"val": key("Val", tickstorm.ValueVal), "sym": key("Symbol", tickstorm.ValueSymbol), "t": key("Timestamp", tickstorm.ValueTimestamp),
	}
	wireStatus = wireChannel{0, tickstorm.KindStatus, map[string]wireKey{
		"status": key("Status", tickstorm.StatusStatus), "message": key("Message", tickstorm.StatusMessage),
	}}
	wireFutures = map[string]wireChannel{
		"T": {tickstorm.Trades, tickstorm.KindTrade, map[string]wireKey{
			"sym": key("Symbol", tickstorm.TradeSymbol), "z": key("Tape", tickstorm.TradeTape), "p": key("Price", tickstorm.TradePrice),
			"s": key("Size", tickstorm.TradeSize), "t": key("Timestamp", tickstorm.TradeTimestamp), "q": key("Sequence", tickstorm.TradeSequence),
		}},
		"Q": {tickstorm.Quotes, tickstorm.KindQuote, map[string]wireKey{
			"sym": key("Symbol", tickstorm.QuoteSymbol), "bp": key("BidPrice", tickstorm.QuoteBidPrice), "bs": key("BidSize", tickstorm.QuoteBidSize), "bt": key("BidTime", tickstorm.QuoteBidTime),
			"ap": key("AskPrice", tickstorm.QuoteAskPrice), "as": key("AskSize", tickstorm.QuoteAskSize), "at": key("AskTime", tickstorm.QuoteAskTime), "t": key("Timestamp", tickstorm.QuoteTimestamp),
			"bx": quotedKey("BidExchange", tickstorm.QuoteBidExchange), "ax": quotedKey("AskExchange", tickstorm.QuoteAskExchange), "i": key("Indicators", tickstorm.QuoteIndicators),
			"q": key("Sequence", tickstorm.QuoteSequence), "z": key("Tape", tickstorm.QuoteTape),
		}},
		"A":  {tickstorm.SecondAggregates, tickstorm.KindAggregate, wireFuturesBar},
		"AM": {tickstorm.MinuteAggregates, tickstorm.KindAggregate, wireFuturesBar},
	}
	wire = map[tickstorm.Market]map[string]wireChannel{
		tickstorm.Stocks: {
			"T": {tickstorm.Trades, tickstorm.KindTrade, wireTrade}, "Q": {tickstorm.Quotes, tickstorm.KindQuote, wireQuote},
			"A": {tickstorm.SecondAggregates, tickstorm.KindAggregate, wireBar}, "AM": {tickstorm.MinuteAggregates, tickstorm.KindAggregate, wireBar},
			"LULD": {tickstorm.LimitUpLimitDown, tickstorm.KindLULD, map[string]wireKey{
				"T": key("Symbol", tickstorm.LULDSymbol), "h": key("UpperBand", tickstorm.LULDUpperBand), "l": key("LowerBand", tickstorm.LULDLowerBand),
				"i": key("Indicators", tickstorm.LULDIndicators), "z": key("Tape", tickstorm.LULDTape), "t": key("Timestamp", tickstorm.LULDTimestamp), "q": key("Sequence", tickstorm.LULDSequence),
			}},
			"NOI": {tickstorm.Imbalances, tickstorm.KindImbalance, map[string]wireKey{
				"T": key("Symbol", tickstorm.ImbalanceSymbol), "t": key("Timestamp", tickstorm.ImbalanceTimestamp), "at": key("AuctionTime", tickstorm.ImbalanceAuctionTime),
				"a": key("Auction", tickstorm.ImbalanceAuction), "i": key("Sequence", tickstorm.ImbalanceSequence), "x": quotedKey("Exchange", tickstorm.ImbalanceExchange),
				"o": key("Imbalance", tickstorm.ImbalanceImbalance), "p": key("Paired", tickstorm.ImbalancePaired), "b": key("BookClearingPrice", tickstorm.ImbalanceBookClearingPrice),
			}},
			"FMV": {tickstorm.FairMarketValues, tickstorm.KindValue, wireFMV}, "LV": {tickstorm.LaunchpadValues, tickstorm.KindValue, wireLV},
		},
		tickstorm.Options: {
			"T": {tickstorm.Trades, tickstorm.KindTrade, wireTrade}, "Q": {tickstorm.Quotes, tickstorm.KindQuote, wireQuote},
			"A": {tickstorm.SecondAggregates, tickstorm.KindAggregate, wireBar}, "AM": {tickstorm.MinuteAggregates, tickstorm.KindAggregate, wireBar},
			"FMV": {tickstorm.FairMarketValues, tickstorm.KindValue, wireFMV}, "LV": {tickstorm.LaunchpadValues, tickstorm.KindValue, wireLV},
		},
		tickstorm.Forex: {
			"C": {tickstorm.Quotes, tickstorm.KindQuote, map[string]wireKey{
				"p": key("Symbol", tickstorm.QuoteSymbol), "x": quotedKey("Exchange", tickstorm.QuoteExchange), "a": key("AskPrice", tickstorm.QuoteAskPrice),
				"b": key("BidPrice", tickstorm.QuoteBidPrice), "t": key("Timestamp", tickstorm.QuoteTimestamp), "i": key("Indicators", tickstorm.QuoteIndicators),
			}},
			"CAS": {tickstorm.SecondAggregates, tickstorm.KindAggregate, wirePairBar}, "CA": {tickstorm.MinuteAggregates, tickstorm.KindAggregate, wirePairBar},
			"AM":  {tickstorm.LaunchpadAggregates, tickstorm.KindAggregate, wireBar},
			"FMV": {tickstorm.FairMarketValues, tickstorm.KindValue, wireFMV}, "LV": {tickstorm.LaunchpadValues, tickstorm.KindValue, wireLV},
		},
		tickstorm.Crypto: {
			"XT": {tickstorm.Trades, tickstorm.KindTrade, map[string]wireKey{
				"pair": key("Symbol", tickstorm.TradeSymbol), "p": key("Price", tickstorm.TradePrice), "t": key("Timestamp", tickstorm.TradeTimestamp), "s": key("Size", tickstorm.TradeSize),
				"c": key("Conditions", tickstorm.TradeConditions), "i": key("ID", tickstorm.TradeID), "x": quotedKey("Exchange", tickstorm.TradeExchange), "r": key("VendorReceived", tickstorm.TradeVendorReceived),
			}},
			"XQ": {tickstorm.Quotes, tickstorm.KindQuote, map[string]wireKey{
				"pair": key("Symbol", tickstorm.QuoteSymbol), "lp": key("LastPrice", tickstorm.QuoteLastPrice), "ls": key("LastSize", tickstorm.QuoteLastSize),
				"bp": key("BidPrice", tickstorm.QuoteBidPrice), "bs": key("BidSize", tickstorm.QuoteBidSize), "ap": key("AskPrice", tickstorm.QuoteAskPrice), "as": key("AskSize", tickstorm.QuoteAskSize),
				"t": key("Timestamp", tickstorm.QuoteTimestamp), "x": quotedKey("Exchange", tickstorm.QuoteExchange), "r": key("VendorReceived", tickstorm.QuoteVendorReceived),
			}},
			"XL2": {tickstorm.Level2, tickstorm.KindBook, map[string]wireKey{
				"pair": key("Symbol", tickstorm.BookSymbol), "b": key("Bids", tickstorm.BookBids), "a": key("Asks", tickstorm.BookAsks), "t": key("Timestamp", tickstorm.BookTimestamp),
				"x": quotedKey("Exchange", tickstorm.BookExchange), "r": key("VendorReceived", tickstorm.BookVendorReceived),
			}},
			"XAS": {tickstorm.SecondAggregates, tickstorm.KindAggregate, wirePairBar}, "XA": {tickstorm.MinuteAggregates, tickstorm.KindAggregate, wirePairBar},
			"AM":  {tickstorm.LaunchpadAggregates, tickstorm.KindAggregate, wireBar},
			"FMV": {tickstorm.FairMarketValues, tickstorm.KindValue, wireFMV}, "LV": {tickstorm.LaunchpadValues, tickstorm.KindValue, wireLV},
		},
		tickstorm.Indices: {
			"V": {tickstorm.Values, tickstorm.KindValue, map[string]wireKey{
				"val": key("Val", tickstorm.ValueVal), "T": key("Symbol", tickstorm.ValueSymbol), "t": key("Timestamp", tickstorm.ValueTimestamp),
			}},
			"A": {tickstorm.SecondAggregates, tickstorm.KindAggregate, wireBar}, "AM": {tickstorm.MinuteAggregates, tickstorm.KindAggregate, wireBar},
		},
		tickstorm.Futures: wireFutures, tickstorm.FuturesCME: wireFutures, tickstorm.FuturesCBOT: wireFutures,
		tickstorm.FuturesNYMEX: wireFutures, tickstorm.FuturesCOMEX: wireFutures,
	}
)

var newEvent = map[tickstorm.Kind]func() tickstorm.Event{
	tickstorm.KindUnknown: func() tickstorm.Event { return new(tickstorm.Unknown) }, tickstorm.KindTrade: func() tickstorm.Event { return new(tickstorm.Trade) },
	tickstorm.KindQuote: func() tickstorm.Event { return new(tickstorm.Quote) }, tickstorm.KindAggregate: func() tickstorm.Event { return new(tickstorm.Aggregate) },
	tickstorm.KindBook: func() tickstorm.Event { return new(tickstorm.Book) }, tickstorm.KindLULD: func() tickstorm.Event { return new(tickstorm.LULD) },
	tickstorm.KindImbalance: func() tickstorm.Event { return new(tickstorm.Imbalance) }, tickstorm.KindValue: func() tickstorm.Event { return new(tickstorm.Value) },
	tickstorm.KindStatus: func() tickstorm.Event { return new(tickstorm.Status) },
}

// oracle is what encoding/json makes of one element, and the counts that go with it.
type oracle struct {
	event       tickstorm.Event // nil if the object has no ev
	unknownKeys uint64
	odd         uint64
	noSymbol    uint64
}

type keyValue struct {
	key   string
	value json.RawMessage
}

// keysOf walks an object, so that duplicates and cases of keys are seen as they are.
func keysOf(t *testing.T, object []byte) []keyValue {
	d := json.NewDecoder(bytes.NewReader(object))
	_, err := d.Token()
	require.NoError(t, err)
	var pairs []keyValue
	for d.More() {
		name, err := d.Token()
		require.NoError(t, err)
		var value json.RawMessage
		require.NoError(t, d.Decode(&value))
		pairs = append(pairs, keyValue{name.(string), value})
	}
	return pairs
}

func oracleOf(t *testing.T, m tickstorm.Market, object []byte) (o oracle) {
	pairs := keysOf(t, object)
	var name string
	found := false
	for _, p := range pairs {
		if p.key == "ev" {
			if p.value[0] != '"' {
				return o
			}
			require.NoError(t, json.Unmarshal(p.value, &name))
			found = true
			break
		}
	}
	if !found {
		return o
	}
	channel, known := wire[m][name]
	if name == "status" {
		channel, known = wireStatus, true
	}
	if !known {
		o.event = &tickstorm.Unknown{Event: []byte(name)}
		return o
	}
	o.event = newEvent[channel.kind]()
	h := o.event.Head()
	h.Stream = channel.stream
	fields := reflect.ValueOf(o.event).Elem()
	for _, p := range pairs {
		if p.key == "ev" {
			continue
		}
		k, ok := channel.keys[p.key]
		switch {
		case !ok:
			o.unknownKeys++
		case (h.Has | h.Null | h.Odd).Any(k.bit):
		case string(p.value) == "null":
			h.Null |= k.bit
		default:
			if v, ok := convert(t, p.value, fields.FieldByName(k.field).Type(), k.quoted); ok {
				fields.FieldByName(k.field).Set(reflect.ValueOf(v))
				h.Has |= k.bit
			} else {
				h.Odd |= k.bit
				o.odd++
			}
		}
	}
	if channel.kind != tickstorm.KindStatus && h.Symbol == "" {
		named := false // an empty name is one, too
		for key, k := range channel.keys {
			named = named || k.field == "Symbol" && h.Has.Any(channel.keys[key].bit)
		}
		if !named {
			o.noSymbol++
		}
	}
	return o
}

// convert reads a value as the type of a field wants it.
func convert(t *testing.T, value json.RawMessage, to reflect.Type, quoted bool) (any, bool) {
	text, isText := "", value[0] == '"'
	if isText {
		require.NoError(t, json.Unmarshal(value, &text))
	}
	isNumber := isDigit(value[0]) || value[0] == '-'
	switch reflect.Zero(to).Interface().(type) {
	case float64:
		return floatOf(string(value), isNumber)
	case int64, int32, tickstorm.Timestamp:
		if isText && quoted && isNumberText(text) {
			value, isNumber = json.RawMessage(text), true
		}
		i, ok := integerOf(string(value), isNumber)
		switch to.Size() {
		case 4:
			return int32(i), ok && int64(int32(i)) == i
		default:
			return reflect.ValueOf(i).Convert(to).Interface(), ok
		}
	case string:
		return text, isText
	case []byte:
		if isNumber {
			return []byte(value), true
		}
		return []byte(text), isText
	case tickstorm.Decimal:
		if isNumber {
			text = string(value)
		}
		f, ok := floatOf(text, isNumber || isText && isNumberText(text))
		return tickstorm.Decimal{Text: []byte(text), Value: f}, ok
	case tickstorm.Auction:
		if len(text) != 1 {
			return nil, false
		}
		return tickstorm.Auction(text[0]), true
	case bool:
		return string(value) == "true", string(value) == "true" || string(value) == "false"
	case []int32:
		if isNumber {
			i, ok := integerOf(string(value), true)
			return []int32{int32(i)}, ok && int64(int32(i)) == i
		}
		var items []json.RawMessage
		if value[0] != '[' || json.Unmarshal(value, &items) != nil {
			return nil, false
		}
		list := []int32{}
		for _, item := range items {
			i, ok := integerOf(string(item), isDigit(item[0]) || item[0] == '-')
			if !ok || int64(int32(i)) != i {
				return nil, false
			}
			list = append(list, int32(i))
		}
		return list, true
	case []tickstorm.Level:
		var items [][]json.RawMessage
		if value[0] != '[' || json.Unmarshal(value, &items) != nil {
			return nil, false
		}
		levels := []tickstorm.Level{}
		for _, item := range items {
			if len(item) != 2 {
				return nil, false
			}
			price, ok1 := floatOf(string(item[0]), isDigit(item[0][0]) || item[0][0] == '-')
			size, ok2 := floatOf(string(item[1]), isDigit(item[1][0]) || item[1][0] == '-')
			if !ok1 || !ok2 {
				return nil, false
			}
			levels = append(levels, tickstorm.Level{Price: price, Size: size})
		}
		return levels, true
	}
	t.Fatalf("no conversion to %v", to)
	return nil, false
}

func isNumberText(s string) bool {
	return s != "" && (s[0] == '-' || isDigit(s[0])) && isDigit(s[len(s)-1]) && json.Valid([]byte(s))
}

func floatOf(tok string, isNumber bool) (float64, bool) {
	if !isNumber {
		return 0, false
	}
	f, err := strconv.ParseFloat(tok, 64)
	return f, err == nil
}

func integerOf(tok string, isNumber bool) (int64, bool) {
	if !isNumber {
		return 0, false
	}
	r, ok := new(big.Rat).SetString(tok)
	if !ok || !r.IsInt() || !r.Num().IsInt64() {
		return 0, false
	}
	return r.Num().Int64(), true
}

// hasLongNumber finds what the oracle cannot judge: strconv rounds numbers of more
// than 800 digits wrongly, and math/big writes out 1e999999. Digits are looked for
// anywhere, since numbers stand in strings as well.
func hasLongNumber(msg []byte) bool {
	digits := 0
	for i, c := range msg {
		switch {
		case isDigit(c):
			digits++
		case c == '.' && digits > 0:
		default:
			digits = 0
		}
		if digits > 700 {
			return true
		}
		if c == 'e' || c == 'E' {
			exponent := bytes.TrimLeft(msg[i+1:], "+-")
			if n := len(exponent) - len(bytes.TrimLeft(exponent, "0123456789")); n > 4 {
				return true
			}
		}
	}
	// An escape can hide a digit of a number in a string.
	return bytes.Contains(msg, []byte(`\u00`)) && len(msg) > 700
}

// collector keeps clones of what it is given, in order.
type collector struct {
	events []tickstorm.Event
	errors []*tickstorm.EventError
	raw    [][]byte // of both, in order
	ends   int
}

func (c *collector) add(e tickstorm.Event) {
	c.events = append(c.events, e)
	c.raw = append(c.raw, e.Head().Raw)
}

func (c *collector) OnTrade(e *tickstorm.Trade)         { c.add(e.Clone()) }
func (c *collector) OnQuote(e *tickstorm.Quote)         { c.add(e.Clone()) }
func (c *collector) OnAggregate(e *tickstorm.Aggregate) { c.add(e.Clone()) }
func (c *collector) OnBook(e *tickstorm.Book)           { c.add(e.Clone()) }
func (c *collector) OnLULD(e *tickstorm.LULD)           { c.add(e.Clone()) }
func (c *collector) OnImbalance(e *tickstorm.Imbalance) { c.add(e.Clone()) }
func (c *collector) OnValue(e *tickstorm.Value)         { c.add(e.Clone()) }
func (c *collector) OnStatus(e *tickstorm.Status)       { c.add(e.Clone()) }
func (c *collector) OnUnknown(e *tickstorm.Unknown)     { c.add(e.Clone()) }
func (c *collector) OnMessageEnd()                      { c.ends++ }
func (c *collector) OnError(e *tickstorm.EventError) {
	c.errors = append(c.errors, e.Clone())
	c.raw = append(c.raw, c.errors[len(c.errors)-1].Raw)
}

// describe writes an event out, exactly but for the difference of nil and empty.
func describe(e tickstorm.Event) string {
	var b strings.Builder
	h := e.Head()
	fmt.Fprintf(&b, "%v %v %q has %x null %x odd %x", e.Kind(), h.Stream, h.Symbol, h.Has, h.Null, h.Odd)
	v := reflect.ValueOf(e).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		switch f := v.Field(i).Interface().(type) {
		case tickstorm.Header:
		case float64:
			fmt.Fprintf(&b, " %s %x", name, math.Float64bits(f))
		case tickstorm.Decimal:
			fmt.Fprintf(&b, " %s %q %x", name, f.Text, math.Float64bits(f.Value))
		case []byte:
			fmt.Fprintf(&b, " %s %q", name, f)
		case []tickstorm.Level:
			for _, l := range f {
				fmt.Fprintf(&b, " %s %x %x", name, math.Float64bits(l.Price), math.Float64bits(l.Size))
			}
		default:
			fmt.Fprintf(&b, " %s %v", name, f)
		}
	}
	return b.String()
}

// depthOf is how deep a valid element nests.
func depthOf(element []byte) int {
	depth, most, inside := 0, 0, false
	for i := 0; i < len(element); i++ {
		switch c := element[i]; {
		case inside:
			if c == '\\' {
				i++
			} else if c == '"' {
				inside = false
			}
		case c == '"':
			inside = true
		case c == '{' || c == '[':
			depth++
			most = max(most, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return most
}

// messageSeeds are messages of every channel and of every way to be wrong.
var messageSeeds = []struct {
	market int
	msg    string
}{
	{0, `[{"ev":"T","sym":"ACME","i":"00071532","x":4,"p":101.375,"s":12,"c":[12,37,-1],"t":1786000000123,"pt":1786000000101,"q":90210,"z":3,"trfi":202,"trft":1786000000119,"ds":"12.250000"}]`},
	{0, `[{"ev":"Q","sym":"ACME","c":1,"i":[604,601],"bx":11,"ax":"19","bp":101.36,"ap":101.39,"bs":300,"as":1.2e+06,"t":1786000010123,"pt":1786000010101,"q":90211,"z":1,"trfi":201,"trft":1786000010119}]`},
	{0, `[{"ev":"A","sym":"ACME","v":1500,"av":98765432,"op":100.5,"vw":101.3712,"o":101.36,"c":101.38,"h":101.4,"l":101.35,"a":101.0123,"z":75,"s":1786000020000,"e":1786000021000,"dv":"1500.5","dav":"98765432.038360","otc":true}]`},
	{0, `[{"ev":"LULD","h":106.5,"l":96.25,"i":[15,22],"z":2,"T":"ACME","t":1786000041000000321,"q":5512},{"ev":"NOI","T":"ACME","t":1786000042000000456,"at":1600,"a":"C","i":77,"x":10,"o":3000000000,"p":48000,"b":101.41}]`},
	{0, `[{"ev":"status","status":"success","message":"subscribed to: T.ACME"},{"ev":"FMV","fmv":1.5,"sym":"A","t":1},{"ev":"FMV","val":2,"fmv":null},{"ev":"LV","val":3}]`},
	{1, `[{"ev":"Q","sym":"O:ACME270115P00125000","bx":302,"ax":313,"bp":1.05,"ap":1.1,"bs":44,"as":9,"t":1786000011500,"q":1864000778}]`},
	{2, `[{"ev":"C","p":"EUR/CHF","x":"48","a":0.9412,"b":0.9409,"t":1786000013001,"i":0},{"ev":"CA","pair":"AUD/JPY","v":31,"o":97.11,"c":97.13,"h":97.14,"l":97.1,"s":1786000027000,"e":1786000028000},{"ev":"AM","sym":"C:USD-EUR"}]`},
	{3, `[{"ev":"XT","pair":"ETH-BTC","p":0.04125,"t":1786000003001,"s":4.5e-05,"c":[2],"i":14272084,"x":23,"r":1786000003009},{"ev":"XL2","pair":"SOL-USD","t":1,"r":2,"x":2,"b":[[151.25,10.5],[151.2,3e-05]],"a":[]}]`},
	{3, `[{"ev":"XQ","pair":"BTC-USD","lp":0,"ls":0,"bp":64000.25,"bs":1.5e-05,"ap":64002.75,"as":2.125,"t":1786000014001,"x":6,"r":1786000014012},{"ev":"XAS","pair":"DOGE-USD","v":8.652001e+06,"vw":0.1312,"z":0.65}]`},
	{4, `[{"ev":"V","val":5112.75,"T":"I:ZZX","t":1786000045001},{"t":5,"T":"I:A","ev":"V"},{"ev":"AM","sym":"I:ZZX","op":5100.25}]`},
	{5, `[{"ev":"T","sym":"GCZ7","z":3,"p":2411.7,"s":5,"t":1786000002250,"q":31415926},{"ev":"Q","sym":"ZNH8","bp":1,"bs":812,"bt":1,"ap":2,"as":640,"at":2,"t":3}]`},
	{9, `[{"ev":"AM","sym":"ESH8","v":1200001,"dv":3.4125e+08,"o":1,"c":2,"h":3,"l":4,"n":412,"s":5,"e":6}]`},
	{0, `[{"ev":"T","p":null,"p":1,"q":1.5,"q":2,"s":"x","t":9223372036854775808,"z":12.0,"x":"4.4e1","i":"\ud83d\ude00\ud800\n","sym":"\u0041","ds":"\u0031"}]`},
	{0, `[{"\u0065v":"\u0054","\u0073ym":"A","Sym":"B","SYM":"C"},{"ev":1,"ev":"T"},{"ev":"ZZ","x":{"ev":"T"}},{},1,"x",null,[[]]]`},
	{0, `[{"ev":"T"},{bad},{"ev":"Q"}]`}, {0, `[1,]`}, {0, `[,]`}, {0, `[`}, {0, `[{`}, {0, `[]`}, {0, `{}`}, {0, ` {"ev":"T"} `}, {0, `{"ev":"T"}x`},
	{0, `[{"ev":"T"}]]`}, {0, `[{"ev":"T"},{"ev":"Q"`}, {0, `[{"ev":"T","sym":"A]`}, {0, `null`}, {0, ``}, {0, "\xef\xbb\xbf[]"}, {0, "[\"\xff\"]"}, {10, `[{"ev":"T"},{"ev":"status"}]`},
	{0, `[{"ev":"T","a":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}]`},
}

// FuzzParse holds the parser to encoding/json: which elements a message has, which of
// them are events, and what is in every field.
func FuzzParse(f *testing.F) {
	for _, seed := range messageSeeds {
		f.Add(uint8(seed.market), []byte(seed.msg))
	}
	markets := append(tickstorm.Markets(), "bonds")
	f.Fuzz(func(t *testing.T, market uint8, msg []byte) {
		m := markets[int(market)%len(markets)]
		if !utf8.Valid(msg) {
			var none collector
			require.Equal(t, tickstorm.ErrUTF8, tickstorm.NewParser(m).Parse(msg, &none))
			require.Equal(t, collector{}, none)
			msg = bytes.ToValidUTF8(msg, []byte("?")) // most inputs are such, and would end here
		}
		before := bytes.Clone(msg)
		p := tickstorm.NewParser(m)
		var got collector
		err := p.Parse(msg, &got)
		stats := p.Stats()
		require.Equal(t, before, msg, "Parse wrote to the message of the caller")
		require.Equal(t, 1, got.ends)
		requireInOrder(t, msg, got.raw)
		requireAccepted(t, msg, &got, err)
		if !hasLongNumber(msg) {
			requireOracle(t, m, &got, stats)
		}
		requireAgain(t, m, p, msg, &got, err)
		requireWritten(t, m, &got)
	})
}

// requireInOrder: what was handed out are pieces of the message, one behind the other.
func requireInOrder(t *testing.T, msg []byte, pieces [][]byte) {
	rest := msg
	for _, raw := range pieces {
		i := bytes.Index(rest, raw)
		require.GreaterOrEqual(t, i, 0, "%q", raw)
		rest = rest[i+len(raw):]
	}
}

// requireAccepted: a sound message is taken apart as encoding/json does, and of
// another one something is said to be wrong.
func requireAccepted(t *testing.T, msg []byte, got *collector, err error) {
	sound := json.Valid(msg)
	for _, e := range got.errors {
		switch {
		case errors.Is(e, tickstorm.ErrNotObject):
			require.True(t, json.Valid(e.Raw))
			require.NotEqual(t, byte('{'), e.Raw[0])
		case errors.Is(e, tickstorm.ErrNoEvent):
			require.True(t, json.Valid(e.Raw))
			require.Equal(t, byte('{'), e.Raw[0])
		case errors.Is(e, tickstorm.ErrTooDeep):
			require.True(t, !sound || depthOf(e.Raw) > tickstorm.DefaultDepth)
		case errors.Is(e, tickstorm.ErrElementTooLong):
			require.Greater(t, len(e.Raw), tickstorm.DefaultElement)
		case errors.Is(e, tickstorm.ErrSyntax):
			require.False(t, json.Valid(e.Raw), "%q", e.Raw)
			require.False(t, sound)
		default:
			require.ErrorIs(t, e, tickstorm.ErrTruncated)
			require.Equal(t, tickstorm.ErrTruncated, err)
			require.Same(t, e, got.errors[len(got.errors)-1])
			require.True(t, bytes.HasSuffix(msg, e.Raw))
			require.False(t, sound)
		}
	}
	for _, e := range got.events {
		require.True(t, json.Valid(e.Head().Raw), "%q", e.Head().Raw)
		require.LessOrEqual(t, depthOf(e.Head().Raw), tickstorm.DefaultDepth)
	}
	if !sound {
		require.True(t, err != nil || len(got.errors) > 0)
		return
	}
	var elements []json.RawMessage
	switch trimmed := bytes.TrimLeft(msg, " \t\r\n"); trimmed[0] {
	case '[':
		require.NoError(t, json.Unmarshal(msg, &elements))
	case '{':
		elements = []json.RawMessage{bytes.TrimRight(trimmed, " \t\r\n")}
	default:
		require.Equal(t, tickstorm.ErrNotArray, err)
		require.Empty(t, got.raw)
		return
	}
	require.NoError(t, err)
	require.Len(t, got.raw, len(elements))
	for i, element := range elements {
		require.Equal(t, string(element), string(got.raw[i]))
	}
}

// requireOracle compares every event, and every object that was said to be none.
func requireOracle(t *testing.T, m tickstorm.Market, got *collector, stats tickstorm.Stats) {
	want := oracle{}
	for _, e := range got.events {
		o := oracleOf(t, m, e.Head().Raw)
		require.NotNil(t, o.event, "%s", e.Head().Raw)
		require.Equal(t, describe(o.event), describe(e), "%s", e.Head().Raw)
		require.Equal(t, m, e.Head().Market)
		want.unknownKeys += o.unknownKeys
		want.odd += o.odd
		want.noSymbol += o.noSymbol
	}
	for _, e := range got.errors {
		if errors.Is(e, tickstorm.ErrNoEvent) {
			require.Nil(t, oracleOf(t, m, e.Raw).event, "%s", e.Raw)
		}
	}
	require.Equal(t, want, oracle{nil, stats.UnknownKeys, stats.Odd, stats.NoSymbol})
}

// requireAgain: a parser that has seen the message before, and one of another engine,
// give the same.
func requireAgain(t *testing.T, m tickstorm.Market, used *tickstorm.Parser, msg []byte, got *collector, err error) {
	reference := tickstorm.NewParser(m)
	reference.SetEngine(tickstorm.EngineFastJSON)
	for _, p := range []*tickstorm.Parser{used, reference} {
		var again collector
		require.Equal(t, err, p.Parse(msg, &again))
		require.Equal(t, got.raw, again.raw)
		require.Len(t, again.events, len(got.events))
		for i, e := range again.events {
			require.Equal(t, describe(got.events[i]), describe(e))
			require.Equal(t, got.events[i].Head().SymbolID, e.Head().SymbolID)
		}
		require.Len(t, again.errors, len(got.errors))
		for i, e := range again.errors {
			require.Equal(t, got.errors[i].Err, e.Err)
		}
	}
}

// requireWritten: what AppendJSON writes is valid and reads as the same event, with
// the odd fields gone; written again it is the same to the byte.
func requireWritten(t *testing.T, m tickstorm.Market, got *collector) {
	for _, e := range got.events {
		text := e.AppendJSON(nil)
		require.True(t, json.Valid(text), "%q", text)
		if e.Kind() == tickstorm.KindUnknown {
			require.Equal(t, e.Head().Raw, text)
			continue
		}
		var again collector
		require.NoError(t, tickstorm.NewParser(m).Parse(text, &again))
		require.Len(t, again.events, 1, "%s", text)
		e.Head().Odd = 0
		require.Equal(t, describe(e), describe(again.events[0]), "%s", text)
		require.Equal(t, string(text), string(again.events[0].AppendJSON(nil)))
	}
}
