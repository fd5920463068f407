package tickstorm_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
)

// fixture is one event in two orders of keys and what it must read as. The prices,
// ids and times are made up; the shapes are those of the protocol.
type sample struct {
	name    string
	markets []tickstorm.Market
	// live is in the order and number format of the live feed.
	live string
	// documented has the same values in the order of the vendor's documentation.
	documented string
	// want has Symbol, Stream and Has in its header; the rest of it is checked apart.
	want tickstorm.Event
}

var futuresMarkets = []tickstorm.Market{
	tickstorm.Futures, tickstorm.FuturesCME, tickstorm.FuturesCBOT, tickstorm.FuturesNYMEX, tickstorm.FuturesCOMEX,
}

func onMarkets(markets ...tickstorm.Market) []tickstorm.Market { return markets }

func headOf(symbol string, s tickstorm.Stream, has tickstorm.Fields) tickstorm.Header {
	return tickstorm.Header{Symbol: symbol, Stream: s, Has: has}
}

func upTo(last tickstorm.Fields) tickstorm.Fields { return last<<1 - 1 }

const (
	pairBar = tickstorm.AggregateSymbol | tickstorm.AggregateVolume | tickstorm.AggregateOpen | tickstorm.AggregateClose |
		tickstorm.AggregateHigh | tickstorm.AggregateLow | tickstorm.AggregateStart | tickstorm.AggregateEnd
	stockBar = pairBar | tickstorm.AggregateDayVolume | tickstorm.AggregateOfficialOpen | tickstorm.AggregateVWAP |
		tickstorm.AggregateDayVWAP | tickstorm.AggregateAverageSize
	everyValue = tickstorm.ValueSymbol | tickstorm.ValueVal | tickstorm.ValueTimestamp
)

// fixtures is every channel of every market. Where markets share a shape, the one
// with all its keys runs on each of them, and what a market really sends has its own.
var fixtures = slices.Concat(tradeFixtures, quoteFixtures, aggregateFixtures(), otherFixtures)

var tradeFixtures = []sample{
	{
		"T with every key", onMarkets(tickstorm.Stocks, tickstorm.Options),
		`{"ev":"T","sym":"ACME","i":"00071532","x":4,"p":101.375,"s":12,"c":[12,37,-1],"t":1786000000123,"pt":1786000000101,"q":90210,"z":3,"trfi":202,"trft":1786000000119,"ds":"12.250000"}`,
		`{"ev":"T","sym":"ACME","x":4,"i":"00071532","z":3,"p":101.375,"s":12,"ds":"12.250000","c":[12,37,-1],"t":1786000000123,"pt":1786000000101,"q":90210,"trfi":202,"trft":1786000000119}`,
		&tickstorm.Trade{
			Header: headOf("ACME", tickstorm.Trades, upTo(tickstorm.TradeTRFTimestamp)),
			ID:     []byte("00071532"), SizeDecimal: tickstorm.Decimal{Text: []byte("12.250000"), Value: 12.25},
			Price: 101.375, Size: 12, Conditions: []int32{12, 37, -1},
			Timestamp: 1786000000123, ParticipantTimestamp: 1786000000101, Sequence: 90210,
			TRF: 202, TRFTimestamp: 1786000000119, Exchange: 4, Tape: 3,
		},
	},
	{
		"T of options", onMarkets(tickstorm.Options),
		`{"ev":"T","sym":"O:ACME270115C00125000","x":309,"p":2.35,"s":7,"c":[209],"t":1786000001500,"q":1864000777}`,
		`{"ev":"T","sym":"O:ACME270115C00125000","x":309,"p":2.35,"s":7,"c":[209],"q":1864000777,"t":1786000001500}`,
		&tickstorm.Trade{
			Header: headOf("O:ACME270115C00125000", tickstorm.Trades, tickstorm.TradeSymbol|tickstorm.TradeExchange|tickstorm.TradePrice|
				tickstorm.TradeSize|tickstorm.TradeConditions|tickstorm.TradeTimestamp|tickstorm.TradeSequence),
			Price: 2.35, Size: 7, Conditions: []int32{209}, Timestamp: 1786000001500, Sequence: 1864000777, Exchange: 309,
		},
	},
	{
		"T of futures", futuresMarkets,
		`{"ev":"T","sym":"GCZ7","z":3,"p":2411.7,"s":5,"t":1786000002250,"q":31415926}`,
		`{"ev":"T","sym":"GCZ7","p":2411.7,"s":5,"t":1786000002250,"q":31415926,"z":3}`,
		&tickstorm.Trade{
			Header: headOf("GCZ7", tickstorm.Trades, tickstorm.TradeSymbol|tickstorm.TradeTape|tickstorm.TradePrice|tickstorm.TradeSize|
				tickstorm.TradeTimestamp|tickstorm.TradeSequence),
			Price: 2411.7, Size: 5, Timestamp: 1786000002250, Sequence: 31415926, Tape: 3,
		},
	},
	{
		"XT", onMarkets(tickstorm.Crypto),
		`{"ev":"XT","pair":"ETH-BTC","p":0.04125,"t":1786000003001,"s":4.5e-05,"c":[2],"i":"0f3c9d1e-77aa-4b0e-9c1d-0123456789ab","x":23,"r":1786000003009}`,
		`{"ev":"XT","pair":"ETH-BTC","p":0.04125,"t":1786000003001,"s":4.5e-05,"c":[2],"r":1786000003009,"x":23,"i":"0f3c9d1e-77aa-4b0e-9c1d-0123456789ab"}`,
		&tickstorm.Trade{
			Header: headOf("ETH-BTC", tickstorm.Trades, tickstorm.TradeSymbol|tickstorm.TradePrice|tickstorm.TradeTimestamp|tickstorm.TradeSize|
				tickstorm.TradeConditions|tickstorm.TradeID|tickstorm.TradeExchange|tickstorm.TradeVendorReceived),
			ID: []byte("0f3c9d1e-77aa-4b0e-9c1d-0123456789ab"), Price: 0.04125, Size: 4.5e-05, Conditions: []int32{2},
			Timestamp: 1786000003001, VendorReceived: 1786000003009, Exchange: 23,
		},
	},
}

var quoteFixtures = []sample{
	{
		"Q with every key", onMarkets(tickstorm.Stocks, tickstorm.Options),
		`{"ev":"Q","sym":"ACME","c":1,"i":[604,601],"bx":11,"ax":19,"bp":101.36,"ap":101.39,"bs":300,"as":1200000,"t":1786000010123,"pt":1786000010101,"q":90211,"z":1,"trfi":201,"trft":1786000010119}`,
		`{"ev":"Q","sym":"ACME","bx":11,"bp":101.36,"bs":300,"ax":19,"ap":101.39,"as":1200000,"c":1,"i":[604,601],"t":1786000010123,"q":90211,"z":1,"pt":1786000010101,"trft":1786000010119,"trfi":201}`,
		&tickstorm.Quote{
			Header:   headOf("ACME", tickstorm.Quotes, upTo(tickstorm.QuoteTRFTimestamp)),
			BidPrice: 101.36, AskPrice: 101.39, BidSize: 300, AskSize: 1200000, Conditions: []int32{1}, Indicators: []int32{604, 601},
			Timestamp: 1786000010123, ParticipantTimestamp: 1786000010101, Sequence: 90211, TRF: 201, TRFTimestamp: 1786000010119,
			BidExchange: 11, AskExchange: 19, Tape: 1,
		},
	},
	{
		"Q of options", onMarkets(tickstorm.Options),
		`{"ev":"Q","sym":"O:ACME270115P00125000","bx":302,"ax":313,"bp":1.05,"ap":1.1,"bs":44,"as":9,"t":1786000011500,"q":1864000778}`,
		`{"ev":"Q","sym":"O:ACME270115P00125000","bx":302,"ax":313,"bp":1.05,"ap":1.1,"bs":44,"as":9,"q":1864000778,"t":1786000011500}`,
		&tickstorm.Quote{
			Header: headOf("O:ACME270115P00125000", tickstorm.Quotes, tickstorm.QuoteSymbol|tickstorm.QuoteBidExchange|tickstorm.QuoteAskExchange|
				tickstorm.QuoteBidPrice|tickstorm.QuoteAskPrice|tickstorm.QuoteBidSize|tickstorm.QuoteAskSize|
				tickstorm.QuoteTimestamp|tickstorm.QuoteSequence),
			BidPrice: 1.05, AskPrice: 1.1, BidSize: 44, AskSize: 9, Timestamp: 1786000011500, Sequence: 1864000778, BidExchange: 302, AskExchange: 313,
		},
	},
	{
		"Q of futures", futuresMarkets,
		`{"ev":"Q","sym":"ZNH8","bx":5,"ax":6,"i":[7,8],"bp":110.015625,"bs":812,"bt":1786000012001,"ap":110.03125,"as":640,"at":1786000012002,"t":1786000012003,"q":27182818,"z":2}`,
		`{"ev":"Q","sym":"ZNH8","bp":110.015625,"bs":812,"bt":1786000012001,"ap":110.03125,"as":640,"at":1786000012002,"t":1786000012003,"bx":5,"ax":6,"i":[7,8],"q":27182818,"z":2}`,
		&tickstorm.Quote{
			Header: headOf("ZNH8", tickstorm.Quotes, tickstorm.QuoteSymbol|tickstorm.QuoteBidExchange|tickstorm.QuoteAskExchange|tickstorm.QuoteIndicators|
				tickstorm.QuoteBidPrice|tickstorm.QuoteBidSize|tickstorm.QuoteBidTime|tickstorm.QuoteAskPrice|tickstorm.QuoteAskSize|
				tickstorm.QuoteAskTime|tickstorm.QuoteTimestamp|tickstorm.QuoteSequence|tickstorm.QuoteTape),
			BidPrice: 110.015625, AskPrice: 110.03125, BidSize: 812, AskSize: 640, Indicators: []int32{7, 8}, Timestamp: 1786000012003,
			BidTime: 1786000012001, AskTime: 1786000012002, Sequence: 27182818, BidExchange: 5, AskExchange: 6, Tape: 2,
		},
	},
	{
		"C", onMarkets(tickstorm.Forex),
		`{"ev":"C","p":"EUR/CHF","x":48,"a":0.9412,"b":0.9409,"t":1786000013001,"i":17}`,
		`{"ev":"C","p":"EUR/CHF","x":48,"a":0.9412,"b":0.9409,"i":17,"t":1786000013001}`,
		&tickstorm.Quote{
			Header: headOf("EUR/CHF", tickstorm.Quotes, tickstorm.QuoteSymbol|tickstorm.QuoteExchange|tickstorm.QuoteAskPrice|tickstorm.QuoteBidPrice|
				tickstorm.QuoteTimestamp|tickstorm.QuoteIndicators),
			BidPrice: 0.9409, AskPrice: 0.9412, Indicators: []int32{17}, Timestamp: 1786000013001, Exchange: 48,
		},
	},
	{
		"XQ", onMarkets(tickstorm.Crypto),
		`{"ev":"XQ","pair":"BTC-USD","lp":64001.5,"ls":0.25,"bp":64000.25,"bs":1.5e-05,"ap":64002.75,"as":2.125,"t":1786000014001,"x":6,"r":1786000014012}`,
		`{"ev":"XQ","pair":"BTC-USD","bp":64000.25,"bs":1.5e-05,"ap":64002.75,"as":2.125,"t":1786000014001,"x":6,"r":1786000014012,"lp":64001.5,"ls":0.25}`,
		&tickstorm.Quote{
			Header: headOf("BTC-USD", tickstorm.Quotes, tickstorm.QuoteSymbol|tickstorm.QuoteLastPrice|tickstorm.QuoteLastSize|tickstorm.QuoteBidPrice|
				tickstorm.QuoteBidSize|tickstorm.QuoteAskPrice|tickstorm.QuoteAskSize|tickstorm.QuoteTimestamp|tickstorm.QuoteExchange|
				tickstorm.QuoteVendorReceived),
			BidPrice: 64000.25, AskPrice: 64002.75, BidSize: 1.5e-05, AskSize: 2.125, LastPrice: 64001.5, LastSize: 0.25,
			Timestamp: 1786000014001, VendorReceived: 1786000014012, Exchange: 6,
		},
	},
}

// aggregateFixtures makes of each bar one of a second and one of a minute.
func aggregateFixtures() []sample {
	stock := sample{
		"bar with every key", onMarkets(tickstorm.Stocks, tickstorm.Options, tickstorm.Indices),
		`{"ev":"A","sym":"ACME","v":1500,"av":98765432,"op":100.5,"vw":101.3712,"o":101.36,"c":101.38,"h":101.4,"l":101.35,"a":101.0123,"z":75,"s":1786000020000,"e":1786000021000,"dv":"1500.5","dav":"98765432.038360","otc":true}`,
		`{"ev":"A","sym":"ACME","v":1500,"dv":"1500.5","av":98765432,"dav":"98765432.038360","op":100.5,"vw":101.3712,"o":101.36,"c":101.38,"h":101.4,"l":101.35,"a":101.0123,"z":75,"s":1786000020000,"e":1786000021000,"otc":true}`,
		&tickstorm.Aggregate{
			Header: headOf("ACME", tickstorm.SecondAggregates, stockBar|tickstorm.AggregateVolumeDecimal|tickstorm.AggregateDayVolumeDecimal|
				tickstorm.AggregateOTC),
			VolumeDecimal:    tickstorm.Decimal{Text: []byte("1500.5"), Value: 1500.5},
			DayVolumeDecimal: tickstorm.Decimal{Text: []byte("98765432.038360"), Value: 98765432.03836},
			Open:             101.36, High: 101.4, Low: 101.35, Close: 101.38, VWAP: 101.3712, DayVWAP: 101.0123, Volume: 1500, DayVolume: 98765432,
			OfficialOpen: 100.5, AverageSize: 75, Start: 1786000020000, End: 1786000021000, OTC: true,
		},
	}
	option := sample{
		"bar of options", onMarkets(tickstorm.Options),
		`{"ev":"A","sym":"O:ACME270115C00125000","v":2,"av":88,"op":2.1,"vw":2.31,"o":2.3,"c":2.32,"h":2.33,"l":2.29,"a":2.2,"z":1,"s":1786000022000,"e":1786000023000}`,
		`{"ev":"A","sym":"O:ACME270115C00125000","v":2,"av":88,"op":2.1,"vw":2.31,"o":2.3,"c":2.32,"h":2.33,"l":2.29,"a":2.2,"z":1,"e":1786000023000,"s":1786000022000}`,
		&tickstorm.Aggregate{
			Header: headOf("O:ACME270115C00125000", tickstorm.SecondAggregates, stockBar),
			Open:   2.3, High: 2.33, Low: 2.29, Close: 2.32, VWAP: 2.31, DayVWAP: 2.2, Volume: 2, DayVolume: 88, OfficialOpen: 2.1, AverageSize: 1,
			Start: 1786000022000, End: 1786000023000,
		},
	}
	index := sample{
		"bar of indices", onMarkets(tickstorm.Indices),
		`{"ev":"A","sym":"I:ZZX","op":5100.25,"o":5111.5,"c":5112.75,"h":5113,"l":5110.125,"s":1786000024000,"e":1786000024000}`,
		`{"ev":"A","sym":"I:ZZX","op":5100.25,"o":5111.5,"h":5113,"l":5110.125,"c":5112.75,"s":1786000024000,"e":1786000024000}`,
		&tickstorm.Aggregate{
			Header: headOf("I:ZZX", tickstorm.SecondAggregates, pairBar&^tickstorm.AggregateVolume|tickstorm.AggregateOfficialOpen),
			Open:   5111.5, High: 5113, Low: 5110.125, Close: 5112.75, OfficialOpen: 5100.25, Start: 1786000024000, End: 1786000024000,
		},
	}
	future := sample{
		"bar of futures", futuresMarkets,
		`{"ev":"A","sym":"ESH8","v":1200001,"dv":3.4125e+08,"o":5200.25,"c":5200.5,"h":5201,"l":5199.75,"n":412,"s":1786000025000,"e":1786000026000}`,
		`{"ev":"A","sym":"ESH8","v":1200001,"dv":3.4125e+08,"n":412,"o":5200.25,"c":5200.5,"h":5201,"l":5199.75,"s":1786000025000,"e":1786000026000}`,
		&tickstorm.Aggregate{
			Header: headOf("ESH8", tickstorm.SecondAggregates, pairBar|tickstorm.AggregateTurnover|tickstorm.AggregateTransactions),
			Open:   5200.25, High: 5201, Low: 5199.75, Close: 5200.5, Volume: 1200001, Turnover: 3.4125e+08, Transactions: 412,
			Start: 1786000025000, End: 1786000026000,
		},
	}
	forex := sample{
		"bar of forex", onMarkets(tickstorm.Forex),
		`{"ev":"CAS","pair":"AUD/JPY","v":31,"vw":97.125,"z":1,"o":97.11,"c":97.13,"h":97.14,"l":97.1,"s":1786000027000,"e":1786000028000}`,
		`{"ev":"CAS","pair":"AUD/JPY","o":97.11,"c":97.13,"h":97.14,"l":97.1,"v":31,"s":1786000027000,"e":1786000028000,"vw":97.125,"z":1}`,
		&tickstorm.Aggregate{
			Header: headOf("AUD/JPY", tickstorm.SecondAggregates, pairBar|tickstorm.AggregateVWAP|tickstorm.AggregateAverageSize),
			Open:   97.11, High: 97.14, Low: 97.1, Close: 97.13, VWAP: 97.125, Volume: 31, AverageSize: 1, Start: 1786000027000, End: 1786000028000,
		},
	}
	crypto := sample{
		"bar of crypto", onMarkets(tickstorm.Crypto),
		`{"ev":"XAS","pair":"DOGE-USD","v":8.652001e+06,"vw":0.1312,"z":7.5e-05,"o":0.131,"c":0.1313,"h":0.1314,"l":0.1309,"s":1786000029000,"e":1786000030000}`,
		`{"ev":"XAS","pair":"DOGE-USD","o":0.131,"c":0.1313,"h":0.1314,"l":0.1309,"v":8.652001e+06,"s":1786000029000,"e":1786000030000,"vw":0.1312,"z":7.5e-05}`,
		&tickstorm.Aggregate{
			Header: headOf("DOGE-USD", tickstorm.SecondAggregates, pairBar|tickstorm.AggregateVWAP|tickstorm.AggregateAverageSize),
			Open:   0.131, High: 0.1314, Low: 0.1309, Close: 0.1313, VWAP: 0.1312, Volume: 8.652001e+06, AverageSize: 7.5e-05,
			Start: 1786000029000, End: 1786000030000,
		},
	}
	launchpad := onChannel(stock, "AM", tickstorm.LaunchpadAggregates)
	launchpad.markets = onMarkets(tickstorm.Forex, tickstorm.Crypto)
	return []sample{
		stock, onChannel(stock, "AM", tickstorm.MinuteAggregates), launchpad,
		option, onChannel(option, "AM", tickstorm.MinuteAggregates),
		index, onChannel(index, "AM", tickstorm.MinuteAggregates),
		future, onChannel(future, "AM", tickstorm.MinuteAggregates),
		forex, onChannel(forex, "CA", tickstorm.MinuteAggregates),
		crypto, onChannel(crypto, "XA", tickstorm.MinuteAggregates),
	}
}

// onChannel is the same bar as an event of another channel.
func onChannel(f sample, channel string, s tickstorm.Stream) sample {
	old := pairsOf(f.live)[0].value
	f.live = strings.Replace(f.live, old, `"`+channel+`"`, 1)
	f.documented = strings.Replace(f.documented, old, `"`+channel+`"`, 1)
	bar := f.want.(*tickstorm.Aggregate).Clone()
	bar.Stream = s
	f.want = bar
	f.name += ", " + channel
	return f
}

var otherFixtures = []sample{
	{
		"XL2", onMarkets(tickstorm.Crypto),
		`{"ev":"XL2","pair":"SOL-USD","t":1786000040001,"r":1786000040020,"x":2,"b":[[151.25,10.5],[151.2,3e-05]],"a":[[151.3,1.25e+06]]}`,
		`{"ev":"XL2","pair":"SOL-USD","b":[[151.25,10.5],[151.2,3e-05]],"a":[[151.3,1.25e+06]],"t":1786000040001,"x":2,"r":1786000040020}`,
		&tickstorm.Book{
			Header: headOf("SOL-USD", tickstorm.Level2, upTo(tickstorm.BookExchange)),
			Bids:   []tickstorm.Level{{Price: 151.25, Size: 10.5}, {Price: 151.2, Size: 3e-05}}, Asks: []tickstorm.Level{{Price: 151.3, Size: 1.25e+06}},
			Timestamp: 1786000040001, VendorReceived: 1786000040020, Exchange: 2,
		},
	},
	{
		"LULD", onMarkets(tickstorm.Stocks),
		`{"ev":"LULD","h":106.5,"l":96.25,"i":[15,22],"z":2,"T":"ACME","t":1786000041000000321,"q":5512}`,
		`{"ev":"LULD","T":"ACME","h":106.5,"l":96.25,"i":[15,22],"z":2,"t":1786000041000000321,"q":5512}`,
		&tickstorm.LULD{
			Header:    headOf("ACME", tickstorm.LimitUpLimitDown, upTo(tickstorm.LULDTape)),
			UpperBand: 106.5, LowerBand: 96.25, Indicators: []int32{15, 22}, Timestamp: 1786000041000000321, Sequence: 5512, Tape: 2,
		},
	},
	{
		"NOI", onMarkets(tickstorm.Stocks),
		`{"ev":"NOI","T":"ACME","t":1786000042000000456,"at":1600,"a":"C","i":77,"x":10,"o":3000000000,"p":48000,"b":101.41}`,
		`{"ev":"NOI","T":"ACME","a":"C","at":1600,"b":101.41,"i":77,"o":3000000000,"p":48000,"t":1786000042000000456,"x":10}`,
		&tickstorm.Imbalance{
			Header:            headOf("ACME", tickstorm.Imbalances, upTo(tickstorm.ImbalanceBookClearingPrice)),
			BookClearingPrice: 101.41, Imbalance: 3000000000, Paired: 48000, Timestamp: 1786000042000000456, Sequence: 77,
			AuctionTime: 1600, Exchange: 10, Auction: tickstorm.AuctionClose,
		},
	},
	{
		"FMV", onMarkets(tickstorm.Stocks, tickstorm.Options, tickstorm.Forex, tickstorm.Crypto),
		`{"ev":"FMV","fmv":1.25000075e+06,"sym":"X:BTC-JPY","t":1786000043000000789}`,
		`{"ev":"FMV","sym":"X:BTC-JPY","t":1786000043000000789,"fmv":1.25000075e+06}`,
		&tickstorm.Value{Header: headOf("X:BTC-JPY", tickstorm.FairMarketValues, everyValue), Val: 1250000.75, Timestamp: 1786000043000000789},
	},
	{
		"LV", onMarkets(tickstorm.Stocks, tickstorm.Options, tickstorm.Forex, tickstorm.Crypto),
		`{"ev":"LV","val":1.0831,"sym":"C:EURUSD","t":1786000044000000012}`,
		`{"ev":"LV","sym":"C:EURUSD","val":1.0831,"t":1786000044000000012}`,
		&tickstorm.Value{Header: headOf("C:EURUSD", tickstorm.LaunchpadValues, everyValue), Val: 1.0831, Timestamp: 1786000044000000012},
	},
	{
		"V", onMarkets(tickstorm.Indices),
		`{"ev":"V","val":5112.75,"T":"I:ZZX","t":1786000045001}`,
		`{"ev":"V","T":"I:ZZX","t":1786000045001,"val":5112.75}`,
		&tickstorm.Value{Header: headOf("I:ZZX", tickstorm.Values, everyValue), Val: 5112.75, Timestamp: 1786000045001},
	},
	{
		"status", append(tickstorm.Markets(), "bonds"),
		`{"ev":"status","status":"success","message":"subscribed to: T.ACME"}`,
		`{"ev":"status","message":"subscribed to: T.ACME","status":"success"}`,
		&tickstorm.Status{
			Header: headOf("", 0, tickstorm.StatusStatus|tickstorm.StatusMessage),
			Status: []byte("success"), Message: []byte("subscribed to: T.ACME"),
		},
	},
}

// forEach runs test for every fixture on every one of its markets.
func forEach(t *testing.T, test func(t *testing.T, m tickstorm.Market, f sample)) {
	for _, f := range fixtures {
		for _, m := range f.markets {
			t.Run(f.name+" on "+string(m), func(t *testing.T) { test(t, m, f) })
		}
	}
}

// jsonPair is one member of a JSON object, the value as it is written.
type jsonPair struct{ key, value string }

func pairsOf(object string) []jsonPair {
	d := json.NewDecoder(strings.NewReader(object))
	next := func() json.Token {
		token, err := d.Token()
		if err != nil {
			panic(err)
		}
		return token
	}
	var pairs []jsonPair
	for next(); d.More(); {
		key := next().(string)
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			panic(err)
		}
		pairs = append(pairs, jsonPair{key, string(value)})
	}
	return pairs
}

func objectOf(pairs ...jsonPair) string {
	var b bytes.Buffer
	for i, p := range pairs {
		b.WriteByte("{,"[min(i, 1)])
		b.WriteString(`"` + p.key + `":` + p.value)
	}
	return b.String() + "}"
}

// withValue is the object with another value for one key.
func withValue(object, key, value string) string {
	pairs := pairsOf(object)
	for i := range pairs {
		if pairs[i].key == key {
			pairs[i].value = value
		}
	}
	return objectOf(pairs...)
}

// withoutKey is the object lacking one key.
func withoutKey(object, key string) string {
	return objectOf(slices.DeleteFunc(pairsOf(object), func(p jsonPair) bool { return p.key == key })...)
}

// parseOne parses a message with one element and returns its event.
func parseOne(t *testing.T, p *tickstorm.Parser, element string) tickstorm.Event {
	t.Helper()
	var rec fixture.Recorder
	require.NoError(t, p.Parse([]byte("["+element+"]"), &rec))
	require.Empty(t, rec.Errors)
	require.Len(t, rec.Events, 1)
	return rec.Events[0]
}

// bodyOf is an event without its header and with nil for empty lists, since both
// read the same: what remains can be compared as a whole.
func bodyOf(e tickstorm.Event) any {
	v := reflect.New(reflect.TypeOf(e).Elem()).Elem()
	v.Set(reflect.ValueOf(e).Elem())
	for i := range v.NumField() {
		if f := v.Field(i); v.Type().Field(i).Name == "Header" || f.Kind() == reflect.Slice && f.Len() == 0 {
			f.SetZero()
		}
	}
	return v.Interface()
}

// requireSame compares all that does not depend on how the element was written.
func requireSame(t *testing.T, want, got tickstorm.Event) {
	t.Helper()
	w, g := want.Head(), got.Head()
	require.Equal(t, want.Kind(), got.Kind())
	require.Equal(t, w.Symbol, g.Symbol)
	require.Equal(t, w.Stream, g.Stream)
	require.Equal(t, w.Has, g.Has, "Has")
	require.Equal(t, w.Null, g.Null, "Null")
	require.Equal(t, w.Odd, g.Odd, "Odd")
	require.Equal(t, bodyOf(want), bodyOf(got))
}
