package tickstorm_test

import (
	"math"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// state is which of the masks has a field.
type state int

const (
	absent state = iota
	has
	null
	odd
)

func stateOf(h *tickstorm.Header, f tickstorm.Fields) state {
	switch {
	case h.Has.Any(f):
		return has
	case h.Null.Any(f):
		return null
	case h.Odd.Any(f):
		return odd
	}
	return absent
}

// TestFloats reads a price; every float64 field is read alike.
func TestFloats(t *testing.T) {
	tests := []struct {
		json string
		want float64
		is   state
	}{
		{"0", 0, has}, {"-0", math.Copysign(0, -1), has}, {"0.0", 0, has}, {"12", 12, has}, {"12.0", 12, has}, {"-12.5", -12.5, has},
		{"0.1", 0.1, has}, {"4.522e-05", 4.522e-05, has}, {"7e-06", 7e-06, has}, {"8.652169e+06", 8652169, has}, {"3.39566313e+08", 339566313, has},
		{"1E3", 1000, has}, {"1e+0", 1, has}, {"120e-1", 12, has}, {"0e999", 0, has}, {"1e-400", 0, has}, {"5e-324", 5e-324, has},
		{"2.2250738585072011e-308", 2.2250738585072011e-308, has}, {"1.7976931348623157e308", math.MaxFloat64, has},
		{"9007199254740993", 9007199254740992, has}, {"0.30000000000000004", 0.30000000000000004, has},
		{"123456789012345678901234567890", 123456789012345678901234567890, has},
		{"1e309", 0, odd}, {"-1e309", 0, odd}, {"1e999999999", 0, odd},
		{`"1"`, 0, odd}, {`""`, 0, odd}, {"true", 0, odd}, {"[1]", 0, odd}, {"{}", 0, odd}, {"null", 0, null},
	}
	p := tickstorm.NewParser(tickstorm.Stocks)
	for _, tt := range tests {
		t.Run(tt.json, func(t *testing.T) {
			e := parseOne(t, p, `{"ev":"T","p":`+tt.json+`}`).(*tickstorm.Trade)
			require.Equal(t, tt.is, stateOf(&e.Header, tickstorm.TradePrice))
			require.Equal(t, math.Float64bits(tt.want), math.Float64bits(e.Price), "%v", e.Price)
		})
	}
}

// TestIntegers reads them in their three widths: a whole number however it is
// written, and nothing else.
func TestIntegers(t *testing.T) {
	tests := []struct {
		json     string
		want     int64
		is, is32 state
	}{
		{"0", 0, has, has}, {"-0", 0, has, has}, {"-1", -1, has, has}, {"12.0", 12, has, has}, {"12.000e0", 12, has, has}, {"120e-1", 12, has, has},
		{"1.5e1", 15, has, has}, {"1e3", 1000, has, has}, {"0e99999", 0, has, has},
		{"2147483647", math.MaxInt32, has, has}, {"-2147483648", math.MinInt32, has, has},
		{"2147483648", 2147483648, has, odd}, {"-2147483649", -2147483649, has, odd}, {"4294967297", 4294967297, has, odd},
		{"3.39566313e+08", 339566313, has, has}, {"1.786000000123e+12", 1786000000123, has, odd}, {"1786000041000000321", 1786000041000000321, has, odd},
		{"9223372036854775807", math.MaxInt64, has, odd}, {"-9223372036854775808", math.MinInt64, has, odd}, {"9223372036854775807.0", math.MaxInt64, has, odd},
		{"9223372036854775808", 0, odd, odd}, {"-9223372036854775809", 0, odd, odd}, {"184467440737095516150", 0, odd, odd}, {"1e19", 0, odd, odd},
		{"1.5", 0, odd, odd}, {"15e-1", 0, odd, odd}, {"1e-1", 0, odd, odd}, {"0.65", 0, odd, odd}, {"1e999999999", 0, odd, odd},
		{`"5"`, 0, odd, odd}, {`""`, 0, odd, odd}, {"false", 0, odd, odd}, {"[5]", 0, odd, odd}, {"{}", 0, odd, odd}, {"null", 0, null, null},
	}
	p := tickstorm.NewParser(tickstorm.Stocks)
	for _, tt := range tests {
		t.Run(tt.json, func(t *testing.T) {
			e := parseOne(t, p, `{"ev":"T","q":`+tt.json+`,"t":`+tt.json+`,"z":`+tt.json+`}`).(*tickstorm.Trade)
			require.Equal(t, tt.is, stateOf(&e.Header, tickstorm.TradeSequence))
			require.Equal(t, tt.is, stateOf(&e.Header, tickstorm.TradeTimestamp))
			require.Equal(t, tt.is32, stateOf(&e.Header, tickstorm.TradeTape))
			require.Equal(t, tt.want, e.Sequence)
			require.Equal(t, tickstorm.Timestamp(tt.want), e.Timestamp)
			if tt.is32 == has {
				require.Equal(t, int32(tt.want), e.Tape)
			} else {
				require.Zero(t, e.Tape)
			}
		})
	}
}

// TestQuotedExchange: exchange ids also come as strings, on every channel that has
// them; other integers do not.
func TestQuotedExchange(t *testing.T) {
	values := []struct {
		json string
		want int32
		is   state
	}{
		{"44", 44, has}, {`"44"`, 44, has}, {`"-1"`, -1, has}, {`"4.4e1"`, 44, has}, {`"\u0034\u0034"`, 44, has}, {"null", 0, null},
		{`""`, 0, odd}, {`" 44"`, 0, odd}, {`"44 "`, 0, odd}, {`"044"`, 0, odd}, {`"+44"`, 0, odd}, {`"0x2c"`, 0, odd}, {`"N"`, 0, odd},
		{`"44.5"`, 0, odd}, {`"4294967340"`, 0, odd}, {`["44"]`, 0, odd},
	}
	channels := []struct {
		market  tickstorm.Market
		ev, key string
		field   tickstorm.Fields
		get     func(tickstorm.Event) int32
	}{
		{tickstorm.Stocks, "T", "x", tickstorm.TradeExchange, func(e tickstorm.Event) int32 { return e.(*tickstorm.Trade).Exchange }},
		{tickstorm.Options, "T", "x", tickstorm.TradeExchange, func(e tickstorm.Event) int32 { return e.(*tickstorm.Trade).Exchange }},
		{tickstorm.Crypto, "XT", "x", tickstorm.TradeExchange, func(e tickstorm.Event) int32 { return e.(*tickstorm.Trade).Exchange }},
		{tickstorm.Stocks, "Q", "bx", tickstorm.QuoteBidExchange, func(e tickstorm.Event) int32 { return e.(*tickstorm.Quote).BidExchange }},
		{tickstorm.Stocks, "Q", "ax", tickstorm.QuoteAskExchange, func(e tickstorm.Event) int32 { return e.(*tickstorm.Quote).AskExchange }},
		{tickstorm.FuturesCME, "Q", "bx", tickstorm.QuoteBidExchange, func(e tickstorm.Event) int32 { return e.(*tickstorm.Quote).BidExchange }},
		{tickstorm.FuturesCME, "Q", "ax", tickstorm.QuoteAskExchange, func(e tickstorm.Event) int32 { return e.(*tickstorm.Quote).AskExchange }},
		{tickstorm.Forex, "C", "x", tickstorm.QuoteExchange, func(e tickstorm.Event) int32 { return e.(*tickstorm.Quote).Exchange }},
		{tickstorm.Crypto, "XQ", "x", tickstorm.QuoteExchange, func(e tickstorm.Event) int32 { return e.(*tickstorm.Quote).Exchange }},
		{tickstorm.Crypto, "XL2", "x", tickstorm.BookExchange, func(e tickstorm.Event) int32 { return e.(*tickstorm.Book).Exchange }},
		{tickstorm.Stocks, "NOI", "x", tickstorm.ImbalanceExchange, func(e tickstorm.Event) int32 { return e.(*tickstorm.Imbalance).Exchange }},
	}
	for _, c := range channels {
		p := tickstorm.NewParser(c.market)
		for _, tt := range values {
			t.Run(c.ev+" "+c.key+" "+tt.json, func(t *testing.T) {
				e := parseOne(t, p, `{"ev":"`+c.ev+`","`+c.key+`":`+tt.json+`}`)
				require.Equal(t, tt.is, stateOf(e.Head(), c.field))
				require.Equal(t, tt.want, c.get(e))
			})
		}
	}
}

// TestTexts reads trade ids, which are text or a number, and symbols, which are text.
func TestTexts(t *testing.T) {
	tests := []struct {
		json, want string
		id, symbol state
	}{
		{`"00071532"`, "00071532", has, has}, {`""`, "", has, has}, {`"é😀"`, "é😀", has, has},
		{`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t", has, has}, {`"\u0041\u00e9\u20AC"`, "Aé€", has, has}, {`"\ud83d\ude00"`, "😀", has, has},
		{`"\\u0041"`, `\u0041`, has, has}, {`"a\\"`, `a\`, has, has},
		{`"\ud83d"`, "\uFFFD", has, has}, {`"\ude00x"`, "\uFFFDx", has, has}, {`"\ud83d\u0041"`, "\uFFFDA", has, has}, {`"\ud83dA"`, "\uFFFDA", has, has},
		{`"\ude00\ud83d"`, "\uFFFD\uFFFD", has, has}, {`"\ud83d\ud83d\ude00"`, "\uFFFD😀", has, has}, {`"\u0000"`, "\x00", has, has},
		{"14272084", "14272084", has, odd}, {"184467440737095516150", "184467440737095516150", has, odd}, {"-1.50e+03", "-1.50e+03", has, odd},
		{"true", "", odd, odd}, {`["x"]`, "", odd, odd}, {`{"a":"\n"}`, "", odd, odd}, {"null", "", null, null},
	}
	for _, ev := range []struct {
		market    tickstorm.Market
		name, key string
	}{{tickstorm.Stocks, "T", "sym"}, {tickstorm.Crypto, "XT", "pair"}} {
		p := tickstorm.NewParser(ev.market)
		for _, tt := range tests {
			t.Run(ev.name+" "+tt.json, func(t *testing.T) {
				e := parseOne(t, p, `{"ev":"`+ev.name+`","`+ev.key+`":`+tt.json+`,"i":`+tt.json+`}`).(*tickstorm.Trade)
				require.Equal(t, tt.id, stateOf(&e.Header, tickstorm.TradeID))
				require.Equal(t, tt.symbol, stateOf(&e.Header, tickstorm.TradeSymbol))
				require.Equal(t, tt.want, string(e.ID))
				if tt.symbol == has {
					require.Equal(t, tt.want, e.Symbol)
					require.NotZero(t, e.SymbolID)
				} else {
					require.Empty(t, e.Symbol)
					require.Zero(t, e.SymbolID)
				}
			})
		}
	}
}

// TestUnknownNames: what holds for texts holds for the name of an unknown event.
func TestUnknownNames(t *testing.T) {
	for json, want := range map[string]string{`"lagg"`: "lagg", `"\ud800"`: "\uFFFD", `"\u0054 "`: "T ", `"é"`: "é"} {
		p := tickstorm.NewParser(tickstorm.Stocks)
		require.Equal(t, want, string(parseOne(t, p, `{"ev":`+json+`}`).(*tickstorm.Unknown).Event))
		require.Equal(t, want, string(parseOne(t, p, `{"a":"\n","ev":`+json+`}`).(*tickstorm.Unknown).Event))
	}
}

func TestDecimals(t *testing.T) {
	tests := []struct {
		json, text string
		value      float64
		is         state
	}{
		{`"0.740474"`, "0.740474", 0.740474, has}, {`"129.0"`, "129.0", 129, has}, {`"40"`, "40", 40, has}, {`"-0"`, "-0", math.Copysign(0, -1), has},
		{`"4332125.038360"`, "4332125.038360", 4332125.03836, has}, {`"1e3"`, "1e3", 1000, has}, {`"\u0031.5"`, "1.5", 1.5, has},
		{"129.0", "129.0", 129, has}, {"3.5e+01", "3.5e+01", 35, has},
		{`""`, "", 0, odd}, {`"x"`, "", 0, odd}, {`" 1"`, "", 0, odd}, {`"1 "`, "", 0, odd}, {`"1,5"`, "", 0, odd}, {`".5"`, "", 0, odd}, {`"NaN"`, "", 0, odd},
		{`"01"`, "", 0, odd}, {`"1e999"`, "", 0, odd}, {"1e999", "", 0, odd}, {"true", "", 0, odd}, {"[]", "", 0, odd}, {"null", "", 0, null},
	}
	p := tickstorm.NewParser(tickstorm.Stocks)
	for _, tt := range tests {
		t.Run(tt.json, func(t *testing.T) {
			e := parseOne(t, p, `{"ev":"T","ds":`+tt.json+`}`).(*tickstorm.Trade)
			require.Equal(t, tt.is, stateOf(&e.Header, tickstorm.TradeSizeDecimal))
			require.Equal(t, tt.text, string(e.SizeDecimal.Text))
			require.Equal(t, math.Float64bits(tt.value), math.Float64bits(e.SizeDecimal.Value))
			bar := parseOne(t, p, `{"ev":"AM","dv":`+tt.json+`,"dav":`+tt.json+`}`).(*tickstorm.Aggregate)
			require.Equal(t, tt.is, stateOf(&bar.Header, tickstorm.AggregateVolumeDecimal))
			require.Equal(t, tt.is, stateOf(&bar.Header, tickstorm.AggregateDayVolumeDecimal))
			require.Equal(t, tt.text, string(bar.VolumeDecimal.Text))
			require.Equal(t, tt.text, string(bar.DayVolumeDecimal.Text))
		})
	}
}

// TestLists reads conditions and indicators, which also come as a bare number.
func TestLists(t *testing.T) {
	tests := []struct {
		json string
		want []int32
		is   state
	}{
		{"[]", nil, has}, {"[ ]", nil, has}, {"[1]", []int32{1}, has}, {"[ 12 , -37.0 , 4e1 ]", []int32{12, -37, 40}, has},
		{"1", []int32{1}, has}, {"0", []int32{0}, has}, {"2.0", []int32{2}, has}, {"null", nil, null},
		{"[null]", nil, odd}, {"[1,null]", nil, odd}, {"[1.5]", nil, odd}, {"[1,2147483648]", nil, odd}, {`["1"]`, nil, odd}, {"[[1]]", nil, odd},
		{"1.5", nil, odd}, {"2147483648", nil, odd}, {`"1"`, nil, odd}, {"true", nil, odd}, {"{}", nil, odd},
	}
	channels := []struct {
		market  tickstorm.Market
		ev, key string
		field   tickstorm.Fields
		get     func(tickstorm.Event) []int32
	}{
		{tickstorm.Stocks, "T", "c", tickstorm.TradeConditions, func(e tickstorm.Event) []int32 { return e.(*tickstorm.Trade).Conditions }},
		{tickstorm.Crypto, "XT", "c", tickstorm.TradeConditions, func(e tickstorm.Event) []int32 { return e.(*tickstorm.Trade).Conditions }},
		{tickstorm.Stocks, "Q", "c", tickstorm.QuoteConditions, func(e tickstorm.Event) []int32 { return e.(*tickstorm.Quote).Conditions }},
		{tickstorm.Stocks, "Q", "i", tickstorm.QuoteIndicators, func(e tickstorm.Event) []int32 { return e.(*tickstorm.Quote).Indicators }},
		{tickstorm.Forex, "C", "i", tickstorm.QuoteIndicators, func(e tickstorm.Event) []int32 { return e.(*tickstorm.Quote).Indicators }},
		{tickstorm.Futures, "Q", "i", tickstorm.QuoteIndicators, func(e tickstorm.Event) []int32 { return e.(*tickstorm.Quote).Indicators }},
		{tickstorm.Stocks, "LULD", "i", tickstorm.LULDIndicators, func(e tickstorm.Event) []int32 { return e.(*tickstorm.LULD).Indicators }},
	}
	for _, c := range channels {
		p := tickstorm.NewParser(c.market)
		for _, tt := range tests {
			t.Run(c.ev+" "+c.key+" "+tt.json, func(t *testing.T) {
				for _, p := range []*tickstorm.Parser{p, tickstorm.NewParser(c.market)} {
					e := parseOne(t, p, `{"ev":"`+c.ev+`","`+c.key+`":`+tt.json+`}`)
					require.Equal(t, tt.is, stateOf(e.Head(), c.field))
					require.Equal(t, tt.want, append([]int32(nil), c.get(e)...))
				}
			})
		}
	}
}

func TestLevels(t *testing.T) {
	tests := []struct {
		json string
		want []tickstorm.Level
		is   state
	}{
		{"[]", nil, has}, {"[[1,2]]", []tickstorm.Level{{Price: 1, Size: 2}}, has},
		{"[ [ 1.5e+06 , 3e-05 ] , [-0.5,0] ]", []tickstorm.Level{{Price: 1.5e6, Size: 3e-5}, {Price: -0.5}}, has},
		{"null", nil, null},
		{"[[]]", nil, odd}, {"[[1]]", nil, odd}, {"[[1,2,3]]", nil, odd}, {"[1,2]", nil, odd}, {"[[1,2],null]", nil, odd}, {"[[1,null]]", nil, odd},
		{`[["1","2"]]`, nil, odd}, {"[[1,1e999]]", nil, odd}, {"[[1e999,1]]", nil, odd}, {`[{"p":1,"s":2}]`, nil, odd}, {"5", nil, odd}, {`"x"`, nil, odd}, {"{}", nil, odd},
	}
	p := tickstorm.NewParser(tickstorm.Crypto)
	for _, tt := range tests {
		t.Run(tt.json, func(t *testing.T) {
			e := parseOne(t, tickstorm.NewParser(tickstorm.Crypto), `{"ev":"XL2","b":`+tt.json+`}`).(*tickstorm.Book)
			require.Equal(t, tt.is, stateOf(&e.Header, tickstorm.BookBids))
			require.Equal(t, tt.want, bodyOf(e).(tickstorm.Book).Bids)

			e = parseOne(t, p, `{"ev":"XL2","b":`+tt.json+`,"a":[[7,8],[9,10]]}`).(*tickstorm.Book)
			require.Equal(t, tt.is, stateOf(&e.Header, tickstorm.BookBids))
			require.Equal(t, tt.want, bodyOf(e).(tickstorm.Book).Bids)
			require.Equal(t, []tickstorm.Level{{Price: 7, Size: 8}, {Price: 9, Size: 10}}, e.Asks)

			e = parseOne(t, p, `{"ev":"XL2","b":[[7,8]],"a":`+tt.json+`}`).(*tickstorm.Book)
			require.Equal(t, tt.is, stateOf(&e.Header, tickstorm.BookAsks))
			require.Equal(t, tt.want, bodyOf(e).(tickstorm.Book).Asks)
			require.Equal(t, []tickstorm.Level{{Price: 7, Size: 8}}, e.Bids)
		})
	}
}

func TestFlags(t *testing.T) {
	tests := []struct {
		json string
		want bool
		is   state
	}{
		{"true", true, has}, {"false", false, has}, {"null", false, null},
		{"1", false, odd}, {`"true"`, false, odd}, {"[true]", false, odd}, {"{}", false, odd},
	}
	p := tickstorm.NewParser(tickstorm.Stocks)
	for _, tt := range tests {
		t.Run(tt.json, func(t *testing.T) {
			e := parseOne(t, p, `{"ev":"A","otc":`+tt.json+`}`).(*tickstorm.Aggregate)
			require.Equal(t, tt.is, stateOf(&e.Header, tickstorm.AggregateOTC))
			require.Equal(t, tt.want, e.OTC)
		})
	}
}

func TestAuctions(t *testing.T) {
	tests := []struct {
		json string
		want tickstorm.Auction
		is   state
	}{
		{`"O"`, tickstorm.AuctionEarlyOpen, has}, {`"M"`, tickstorm.AuctionOpen, has}, {`"H"`, tickstorm.AuctionReopening, has},
		{`"C"`, tickstorm.AuctionClose, has}, {`"P"`, tickstorm.AuctionExtremeClosing, has}, {`"R"`, tickstorm.AuctionRegulatory, has},
		{`"z"`, 'z', has}, {`"\u004D"`, tickstorm.AuctionOpen, has}, {"null", 0, null},
		{`""`, 0, odd}, {`"OM"`, 0, odd}, {`"é"`, 0, odd}, {"1", 0, odd}, {`["O"]`, 0, odd}, {"true", 0, odd},
	}
	p := tickstorm.NewParser(tickstorm.Stocks)
	for _, tt := range tests {
		t.Run(tt.json, func(t *testing.T) {
			e := parseOne(t, p, `{"ev":"NOI","a":`+tt.json+`}`).(*tickstorm.Imbalance)
			require.Equal(t, tt.is, stateOf(&e.Header, tickstorm.ImbalanceAuction))
			require.Equal(t, tt.want, e.Auction)
			if tt.is == has {
				require.Len(t, e.Auction.String(), 1)
				require.Equal(t, byte(tt.want), e.Auction.String()[0])
			} else {
				require.Empty(t, e.Auction.String())
			}
		})
	}
}

// TestFairMarketValueAlias: the value was called val at first. Of the two keys, too,
// the first counts.
func TestFairMarketValueAlias(t *testing.T) {
	tests := []struct {
		members string
		want    float64
		is      state
	}{
		{`"val":1.5`, 1.5, has}, {`"fmv":2.5`, 2.5, has}, {`"val":1.5,"fmv":2.5`, 1.5, has}, {`"fmv":2.5,"val":1.5`, 2.5, has},
		{`"fmv":null,"val":1.5`, 0, null}, {`"val":"x","fmv":2.5`, 0, odd}, {`"t":1`, 0, absent},
	}
	for _, m := range []tickstorm.Market{tickstorm.Stocks, tickstorm.Options, tickstorm.Forex, tickstorm.Crypto} {
		p := tickstorm.NewParser(m)
		for _, tt := range tests {
			t.Run(string(m)+" "+tt.members, func(t *testing.T) {
				e := parseOne(t, p, `{"ev":"FMV",`+tt.members+`}`).(*tickstorm.Value)
				require.Equal(t, tt.is, stateOf(&e.Header, tickstorm.ValueVal))
				require.Equal(t, tt.want, e.Val)
				require.Zero(t, p.Stats().UnknownKeys)
			})
		}
	}
}

// TestCaseOfKeys: LULD, NOI and V have keys that differ in case only.
func TestCaseOfKeys(t *testing.T) {
	for ev, m := range map[string]tickstorm.Market{"LULD": tickstorm.Stocks, "NOI": tickstorm.Stocks, "V": tickstorm.Indices} {
		for _, element := range []string{`{"ev":"` + ev + `","T":"ZZ","t":5}`, `{"ev":"` + ev + `","t":5,"T":"ZZ"}`} {
			e := parseOne(t, tickstorm.NewParser(m), element)
			require.Equal(t, "ZZ", e.Head().Symbol, element)
			require.Zero(t, e.Head().Odd, element)
			require.Zero(t, e.Head().Null, element)
		}
		e := parseOne(t, tickstorm.NewParser(m), `{"ev":"`+ev+`","t":5}`)
		require.Empty(t, e.Head().Symbol)
	}
}

// TestManySymbols: the table grows while events come, and each keeps its number.
func TestManySymbols(t *testing.T) {
	p := tickstorm.NewParser(tickstorm.Stocks)
	for range 2 {
		for i := range 2000 {
			e := parseOne(t, p, `{"ev":"T","sym":"S`+strconv.Itoa(i)+`"}`)
			require.Equal(t, "S"+strconv.Itoa(i), e.Head().Symbol)
			require.Equal(t, uint32(i+1), e.Head().SymbolID)
		}
	}
}
