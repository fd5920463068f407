package tickstorm_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// TestAppendJSON: what was parsed is written back as the live feed has it, to the
// byte, in whatever order it came.
func TestAppendJSON(t *testing.T) {
	forEach(t, func(t *testing.T, m tickstorm.Market, f sample) {
		shuffle := rand.New(rand.NewPCG(3, 4))
		p := tickstorm.NewParser(m)
		for _, text := range []string{f.live, f.documented, f.live} {
			require.Equal(t, f.live, string(parseOne(t, p, text).AppendJSON(nil)))
			pairs := pairsOf(f.live)
			shuffle.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
			require.Equal(t, f.live, string(parseOne(t, p, objectOf(pairs...)).AppendJSON(nil)))
		}
		for _, k := range pairsOf(f.live)[1:] {
			null := withValue(f.live, k.key, "null")
			require.Equal(t, null, string(parseOne(t, p, null).AppendJSON(nil)))
			absent := withoutKey(f.live, k.key)
			require.Equal(t, absent, string(parseOne(t, p, absent).AppendJSON(nil)))
			require.Equal(t, absent, string(parseOne(t, p, withValue(f.live, k.key, "{}")).AppendJSON(nil)))
		}
		bare := objectOf(pairsOf(f.live)[0])
		require.Equal(t, bare, string(parseOne(t, p, bare).AppendJSON(nil)))
	})
}

// TestAppendJSONAppends: the bytes before are kept, and what has room is not moved.
func TestAppendJSONAppends(t *testing.T) {
	forEach(t, func(t *testing.T, m tickstorm.Market, f sample) {
		e := parseOne(t, tickstorm.NewParser(m), f.live)
		require.Equal(t, "before"+f.live, string(e.AppendJSON([]byte("before"))))
		room := make([]byte, 3, 4096)
		require.Same(t, &room[0], &e.AppendJSON(room)[0])
	})
}

// TestAppendJSONNormalises: what another writer would have written otherwise is read
// back as the same.
func TestAppendJSONNormalises(t *testing.T) {
	tests := []struct {
		name     string
		market   tickstorm.Market
		from, to string
	}{
		{"spaces", tickstorm.Stocks, `{ "ev" : "T" , "p" : 1.50 }`, `{"ev":"T","p":1.5}`},
		{"exponents", tickstorm.Stocks, `{"ev":"T","p":1234567,"s":1.5e1,"t":1e3}`, `{"ev":"T","p":1.234567e+06,"s":15,"t":1000}`},
		{"whole numbers that are not", tickstorm.Stocks, `{"ev":"AM","v":0.5,"av":2e7,"z":1e-05}`, `{"ev":"AM","v":0.5,"av":20000000,"z":0.00001}`},
		{"id as a number", tickstorm.Crypto, `{"ev":"XT","i":14272084}`, `{"ev":"XT","i":"14272084"}`},
		{"quoted exchange", tickstorm.Forex, `{"ev":"C","x":"44"}`, `{"ev":"C","x":44}`},
		{"lone condition as a list", tickstorm.Stocks, `{"ev":"Q","c":[1]}`, `{"ev":"Q","c":1}`},
		{"several conditions", tickstorm.Stocks, `{"ev":"Q","c":[1,2]}`, `{"ev":"Q","c":[1,2]}`},
		{"no conditions", tickstorm.Stocks, `{"ev":"Q","c":[]}`, `{"ev":"Q","c":[]}`},
		{"condition without a list", tickstorm.Stocks, `{"ev":"T","c":37}`, `{"ev":"T","c":[37]}`},
		{"decimal as a number", tickstorm.Stocks, `{"ev":"T","ds":12.50}`, `{"ev":"T","ds":"12.50"}`},
		{"value's old key", tickstorm.Stocks, `{"ev":"FMV","sym":"A","val":1}`, `{"ev":"FMV","fmv":1,"sym":"A"}`},
		{"value's old key, null", tickstorm.Stocks, `{"ev":"FMV","val":null}`, `{"ev":"FMV","fmv":null}`},
		{"duplicates", tickstorm.Stocks, `{"ev":"T","p":1,"p":2}`, `{"ev":"T","p":1}`},
		{"unknown keys", tickstorm.Stocks, `{"ev":"T","new":[1],"p":1}`, `{"ev":"T","p":1}`},
		{"escapes", tickstorm.Stocks, `{"ev":"T","sym":"\u0041\/\u00e9\t\"","i":"\\\ud800\u007f"}`, `{"ev":"T","sym":"A/é\u0009\"","i":"\\` + "\uFFFD\x7f" + `"}`},
		{"empty texts", tickstorm.Stocks, `{"ev":"T","sym":"","i":""}`, `{"ev":"T","sym":"","i":""}`},
		{"auction", tickstorm.Stocks, `{"ev":"NOI","a":"\u0022"}`, `{"ev":"NOI","a":"\""}`},
		{"minus zero", tickstorm.Stocks, `{"ev":"T","p":-0.0,"s":-0}`, `{"ev":"T","p":-0,"s":-0}`},
		{"book", tickstorm.Crypto, `{"ev":"XL2","a":[],"b":[[1.0,2e6],[1e-5,3]]}`, `{"ev":"XL2","b":[[1,2e+06],[1e-05,3]],"a":[]}`},
		{"flag", tickstorm.Stocks, `{"ev":"A","otc":false}`, `{"ev":"A","otc":false}`},
		{"great integers", tickstorm.Stocks, `{"ev":"T","t":9223372036854775807,"q":-9223372036854775808,"s":1e21}`, `{"ev":"T","s":1000000000000000000000,"t":9223372036854775807,"q":-9223372036854775808}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := tickstorm.NewParser(tt.market)
			e := parseOne(t, p, tt.from)
			got := string(e.AppendJSON(nil))
			require.Equal(t, tt.to, got)
			again := parseOne(t, p, got)
			requireSame(t, e, again)
			require.Equal(t, tt.to, string(again.AppendJSON(nil)))
		})
	}
}

func TestAppendJSONUnknown(t *testing.T) {
	const element = `{ "ev":"ZZ", "x":[1,{"y":null}] }`
	e := parseOne(t, tickstorm.NewParser(tickstorm.Stocks), element)
	require.Equal(t, element, string(e.AppendJSON(nil)))
	require.Equal(t, "["+element, string(e.AppendJSON([]byte("["))))
}

// TestAppendJSONMade writes events that nobody received.
func TestAppendJSONMade(t *testing.T) {
	tests := []struct {
		name string
		e    tickstorm.Event
		want string
	}{
		{"nothing", &tickstorm.Trade{}, `{"ev":"T"}`},
		{"fields without their bit", &tickstorm.Trade{Price: 1, Size: 2}, `{"ev":"T"}`},
		{"bits without a value", &tickstorm.Trade{Header: headOf("", 0, tickstorm.TradePrice|tickstorm.TradeConditions|tickstorm.TradeID)}, `{"ev":"T","i":"","p":0,"c":[]}`},
		{"null", &tickstorm.Trade{Header: tickstorm.Header{Null: tickstorm.TradePrice | tickstorm.TradeSymbol}}, `{"ev":"T","sym":null,"p":null}`},
		{"odd", &tickstorm.Trade{Header: tickstorm.Header{Odd: tickstorm.TradePrice}}, `{"ev":"T"}`},
		{"crypto", &tickstorm.Trade{Header: tickstorm.Header{Market: tickstorm.Crypto, Stream: tickstorm.Trades, Symbol: "A-B", Has: tickstorm.TradeSymbol}}, `{"ev":"XT","pair":"A-B"}`},
		{"what the channel lacks", &tickstorm.Trade{Header: tickstorm.Header{Market: tickstorm.Crypto, Stream: tickstorm.Trades, Has: tickstorm.TradeTape | tickstorm.TradeSize}, Tape: 1, Size: 1e6}, `{"ev":"XT","s":1e+06}`},
		{"stream of another kind", &tickstorm.Trade{Header: tickstorm.Header{Market: tickstorm.Crypto, Stream: tickstorm.Quotes}}, `{"ev":"T"}`},
		{"unknown market", &tickstorm.Quote{Header: tickstorm.Header{Market: "bonds", Stream: tickstorm.Quotes, Has: tickstorm.QuoteBidPrice}, BidPrice: 2.5}, `{"ev":"Q","bp":2.5}`},
		{"second", &tickstorm.Aggregate{Header: tickstorm.Header{Market: tickstorm.Stocks, Stream: tickstorm.SecondAggregates}}, `{"ev":"A"}`},
		{"Launchpad's minute", &tickstorm.Aggregate{Header: tickstorm.Header{Market: tickstorm.Stocks, Stream: tickstorm.LaunchpadAggregates}}, `{"ev":"AM"}`},
		{"Launchpad's minute on crypto", &tickstorm.Aggregate{Header: tickstorm.Header{Market: tickstorm.Crypto, Stream: tickstorm.LaunchpadAggregates}}, `{"ev":"AM"}`},
		{"minute on crypto", &tickstorm.Aggregate{Header: tickstorm.Header{Market: tickstorm.Crypto, Stream: tickstorm.MinuteAggregates}}, `{"ev":"XA"}`},
		{"book", &tickstorm.Book{Header: headOf("", 0, tickstorm.BookBids), Bids: []tickstorm.Level{{Price: math.NaN(), Size: math.Inf(1)}}}, `{"ev":"XL2","b":[[null,null]]}`},
		{"band", &tickstorm.LULD{Header: headOf("", 0, tickstorm.LULDUpperBand), UpperBand: 3}, `{"ev":"LULD","h":3}`},
		{"imbalance", &tickstorm.Imbalance{Header: headOf("", 0, tickstorm.ImbalanceAuction), Auction: tickstorm.AuctionOpen}, `{"ev":"NOI","a":"M"}`},
		{"index value", &tickstorm.Value{Header: tickstorm.Header{Market: tickstorm.Indices, Stream: tickstorm.Values, Symbol: "I:X", Has: tickstorm.ValueSymbol}}, `{"ev":"V","T":"I:X"}`},
		{"status", &tickstorm.Status{Header: headOf("", 0, tickstorm.StatusStatus), Status: []byte("connected")}, `{"ev":"status","status":"connected"}`},
		{"no numbers", &tickstorm.Trade{Header: headOf("", 0, tickstorm.TradePrice|tickstorm.TradeSize), Price: math.NaN(), Size: math.Inf(-1)}, `{"ev":"T","p":null,"s":null}`},
		{"decimal without text", &tickstorm.Trade{Header: headOf("", 0, tickstorm.TradeSizeDecimal), SizeDecimal: tickstorm.Decimal{Value: 1e-7}}, `{"ev":"T","ds":"0.0000001"}`},
		{"text that is no UTF-8", &tickstorm.Trade{Header: headOf("", 0, tickstorm.TradeID), ID: []byte("a\xff\x01b")}, `{"ev":"T","i":"a` + "\uFFFD" + `\u0001b"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := string(tt.e.AppendJSON(nil))
			require.Equal(t, tt.want, got)
			require.True(t, json.Valid([]byte(got)))
		})
	}
}

// TestAppendJSONNumbers: floats of the server are written with an exponent below
// 1e-4 and from 1e6 on, integers of the server never, and both read back exactly.
func TestAppendJSONNumbers(t *testing.T) {
	tests := []struct {
		value            float64
		float, whole, ds string
	}{
		{0, "0", "0", "0"}, {1, "1", "1", "1"}, {-1, "-1", "-1", "-1"}, {0.1, "0.1", "0.1", "0.1"}, {0.0001, "0.0001", "0.0001", "0.0001"},
		{0.00009999, "9.999e-05", "0.00009999", "0.00009999"}, {4.522e-05, "4.522e-05", "0.00004522", "0.00004522"}, {7e-06, "7e-06", "0.000007", "0.000007"},
		{999999, "999999", "999999", "999999"}, {999999.5, "999999.5", "999999.5", "999999.5"}, {1e6, "1e+06", "1000000", "1000000"}, {1234567, "1.234567e+06", "1234567", "1234567"},
		{-8652169, "-8.652169e+06", "-8652169", "-8652169"}, {339566313, "3.39566313e+08", "339566313", "339566313"},
		{9007199254740991, "9.007199254740991e+15", "9007199254740991", "9007199254740991"}, {1 << 60, "1.152921504606847e+18", "1152921504606847000", "1152921504606847000"}, {1e17, "1e+17", "100000000000000000", "100000000000000000"},
		{1e300, "1e+300", "1" + strings.Repeat("0", 300), "1" + strings.Repeat("0", 300)}, {5e-324, "5e-324", "0." + strings.Repeat("0", 323) + "5", "0." + strings.Repeat("0", 323) + "5"},
		{0.30000000000000004, "0.30000000000000004", "0.30000000000000004", "0.30000000000000004"}, {math.Copysign(0, -1), "-0", "-0", "-0"},
	}
	for _, tt := range tests {
		t.Run(tt.float, func(t *testing.T) {
			e := &tickstorm.Trade{
				Header: tickstorm.Header{Market: tickstorm.Stocks, Stream: tickstorm.Trades, Has: tickstorm.TradePrice | tickstorm.TradeSize | tickstorm.TradeSizeDecimal},
				Price:  tt.value, Size: tt.value, SizeDecimal: tickstorm.Decimal{Value: tt.value},
			}
			got := string(e.AppendJSON(nil))
			require.Equal(t, `{"ev":"T","p":`+tt.float+`,"s":`+tt.whole+`,"ds":"`+tt.ds+`"}`, got)
			back := parseOne(t, tickstorm.NewParser(tickstorm.Stocks), got).(*tickstorm.Trade)
			for _, v := range []float64{back.Price, back.Size, back.SizeDecimal.Value} {
				require.Equal(t, math.Float64bits(tt.value), math.Float64bits(v))
			}
		})
	}
}
