package tickstorm_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
)

func TestMarkets(t *testing.T) {
	require.Equal(t, []tickstorm.Market{
		"stocks", "options", "forex", "crypto", "indices", "futures", "futures/cme", "futures/cbot", "futures/nymex", "futures/comex",
	}, tickstorm.Markets())
	tickstorm.Markets()[0] = "changed"
	require.Equal(t, tickstorm.Stocks, tickstorm.Markets()[0])
}

// TestChannels is the decode matrix: which channel carries which stream.
func TestChannels(t *testing.T) {
	type matrix map[tickstorm.Stream]string
	bars := func(m matrix) matrix {
		m[tickstorm.SecondAggregates], m[tickstorm.MinuteAggregates] = "A", "AM"
		return m
	}
	futures := bars(matrix{tickstorm.Trades: "T", tickstorm.Quotes: "Q"})
	tests := map[tickstorm.Market]matrix{
		tickstorm.Stocks: bars(matrix{
			tickstorm.Trades: "T", tickstorm.Quotes: "Q", tickstorm.LimitUpLimitDown: "LULD", tickstorm.Imbalances: "NOI",
			tickstorm.FairMarketValues: "FMV", tickstorm.LaunchpadValues: "LV",
		}),
		tickstorm.Options: bars(matrix{
			tickstorm.Trades: "T", tickstorm.Quotes: "Q", tickstorm.FairMarketValues: "FMV", tickstorm.LaunchpadValues: "LV",
		}),
		tickstorm.Forex: {
			tickstorm.Quotes: "C", tickstorm.SecondAggregates: "CAS", tickstorm.MinuteAggregates: "CA",
			tickstorm.FairMarketValues: "FMV", tickstorm.LaunchpadValues: "LV", tickstorm.LaunchpadAggregates: "AM",
		},
		tickstorm.Crypto: {
			tickstorm.Trades: "XT", tickstorm.Quotes: "XQ", tickstorm.SecondAggregates: "XAS", tickstorm.MinuteAggregates: "XA", tickstorm.Level2: "XL2",
			tickstorm.FairMarketValues: "FMV", tickstorm.LaunchpadValues: "LV", tickstorm.LaunchpadAggregates: "AM",
		},
		tickstorm.Indices: bars(matrix{tickstorm.Values: "V"}),
		tickstorm.Futures: futures, tickstorm.FuturesCME: futures, tickstorm.FuturesCBOT: futures, tickstorm.FuturesNYMEX: futures, tickstorm.FuturesCOMEX: futures,
		"bonds": nil, "": nil, "STOCKS": nil,
	}
	for m, want := range tests {
		t.Run(string(m), func(t *testing.T) {
			var listed []tickstorm.Stream
			for s := tickstorm.Trades; s <= tickstorm.LaunchpadAggregates; s++ {
				channel, err := m.Channel(s)
				name, ok := want[s]
				if s == tickstorm.LaunchpadAggregates && !ok && want[tickstorm.MinuteAggregates] == "AM" {
					name, ok = "AM", true // there Launchpad's bars come as plain ones
				} else if ok {
					listed = append(listed, s)
					of, known := m.StreamOf(channel)
					require.True(t, known)
					require.Equal(t, s, of)
				}
				if !ok {
					require.ErrorIs(t, err, tickstorm.ErrNoStream, s)
					continue
				}
				require.NoError(t, err)
				require.Equal(t, name, channel)
			}
			require.ElementsMatch(t, listed, m.Streams())
			for _, channel := range []string{"ZZ", "", "t", "status", "T ", "XS"} {
				_, ok := m.StreamOf(channel)
				require.False(t, ok, channel)
			}
			_, err := m.Channel(0)
			require.ErrorIs(t, err, tickstorm.ErrNoStream)
		})
	}
}

func TestStreamNames(t *testing.T) {
	seen := make(map[string]bool)
	for s := tickstorm.Stream(0); s <= tickstorm.LaunchpadAggregates; s++ {
		require.NotEmpty(t, s.String())
		require.NotContains(t, s.String(), "(")
		require.False(t, seen[s.String()], s)
		seen[s.String()] = true
	}
	require.Equal(t, "trades", tickstorm.Trades.String())
	require.Equal(t, "minute-aggregates", tickstorm.MinuteAggregates.String())
	require.Equal(t, "launchpad-aggregates", tickstorm.LaunchpadAggregates.String())
	require.Equal(t, "Stream(200)", tickstorm.Stream(200).String())
}

func TestParseTopic(t *testing.T) {
	tests := []struct {
		text string
		want tickstorm.Topic
	}{
		{"T.AAPL", tickstorm.Topic{Channel: "T", Symbol: "AAPL"}},
		{"T.*", tickstorm.Topic{Channel: "T", Symbol: tickstorm.All}},
		{"T.BRK.B", tickstorm.Topic{Channel: "T", Symbol: "BRK.B"}},
		{"T..", tickstorm.Topic{Channel: "T", Symbol: "."}},
		{"XT.X:BTC-USD", tickstorm.Topic{Channel: "XT", Symbol: "X:BTC-USD"}},
		{"C.EUR/USD", tickstorm.Topic{Channel: "C", Symbol: "EUR/USD"}},
		{"Q.O:SPY241220P00720000", tickstorm.Topic{Channel: "Q", Symbol: "O:SPY241220P00720000"}},
		{"ZZ.new", tickstorm.Topic{Channel: "ZZ", Symbol: "new"}},
		{"é.\uFFFD", tickstorm.Topic{Channel: "é", Symbol: "\uFFFD"}},
		{"T." + strings.Repeat("A", 126), tickstorm.Topic{Channel: "T", Symbol: strings.Repeat("A", 126)}},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			got, err := tickstorm.ParseTopic(tt.text)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
			require.Equal(t, tt.text, got.String())
		})
	}
}

func TestParseTopicErrors(t *testing.T) {
	for _, text := range []string{
		"", "T", "AAPL", ".", "T.", ".AAPL", "T.A B", "T .A", " T.A", "T.A ", "T.A,Q.A", "T,.A", "T.A\"", "T.A\\", "T.A\n", "T.\x00", "T.\x7f", "T.\u00A0",
		"T.\u2028", "T.\uFEFF", "T.\xff", "\xc3.A", "T.é\xff", "T." + strings.Repeat("A", 127), strings.Repeat("T", 10_000),
	} {
		t.Run(strings.ToValidUTF8(text[:min(len(text), 20)], "?"), func(t *testing.T) {
			_, err := tickstorm.ParseTopic(text)
			require.ErrorIs(t, err, tickstorm.ErrBadTopic)
			require.Less(t, len(err.Error()), 400, "an error is no place for all of a bad input")
		})
	}
}

func TestParseTopics(t *testing.T) {
	a, q := tickstorm.Topic{Channel: "AM", Symbol: "AAPL"}, tickstorm.Topic{Channel: "Q", Symbol: "*"}
	tests := []struct {
		text string
		want []tickstorm.Topic
	}{
		{"AM.AAPL", []tickstorm.Topic{a}},
		{"AM.AAPL,Q.*", []tickstorm.Topic{a, q}},
		{" AM.AAPL ,\tQ.* \n", []tickstorm.Topic{a, q}},
		{"Q.*,AM.AAPL,Q.*", []tickstorm.Topic{q, a, q}},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			got, err := tickstorm.ParseTopics(tt.text)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
	for _, text := range []string{"", " ", ",", "AM.AAPL,", ",AM.AAPL", "AM.AAPL,,Q.*", "AM.AAPL Q.*", "AM.AAPL,Q"} {
		t.Run("error "+text, func(t *testing.T) {
			got, err := tickstorm.ParseTopics(text)
			require.ErrorIs(t, err, tickstorm.ErrBadTopic)
			require.Nil(t, got)
		})
	}
}

func TestCanonical(t *testing.T) {
	tests := []struct {
		market  tickstorm.Market
		channel string
		want    string
		written []string
	}{
		{tickstorm.Stocks, "T", "AAPL", []string{"AAPL", "aapl"}},
		{tickstorm.Stocks, "AM", "BRK.B", []string{"BRK.B", "brk.b"}},
		{tickstorm.Stocks, "Q", "AMpB", []string{"AMpB"}},
		{tickstorm.Stocks, "Q", "AMPB", []string{"AMPB", "ampb"}},
		{tickstorm.Stocks, "LULD", "X:Y-Z/W", []string{"X:Y-Z/W", "x:y-z/w"}},
		{tickstorm.Stocks, "T", "*", []string{"*"}},
		{tickstorm.Stocks, "ZZ", "aapl", []string{"aapl"}},
		{tickstorm.Stocks, "status", "aapl", []string{"aapl"}},
		{"bonds", "T", "aapl", []string{"aapl"}},
		{tickstorm.Options, "Q", "O:ACME270115C00125000", []string{"O:ACME270115C00125000", "ACME270115C00125000", "acme270115c00125000", "o:acme270115c00125000", "O:acme270115c00125000"}},
		{tickstorm.Options, "FMV", "*", []string{"*"}},
		{tickstorm.Indices, "V", "I:SPX", []string{"I:SPX", "SPX", "spx", "i:spx", "I:spx"}},
		{tickstorm.Indices, "AM", "I:AbC", []string{"I:AbC", "AbC"}},
		{tickstorm.Forex, "C", "EUR/USD", []string{"EUR/USD", "EUR-USD", "C:EUR-USD", "C:EUR/USD", "eur/usd", "eur-usd", "c:eur-usd", "C:eur-usd", "EURUSD", "C:EURUSD", "eurusd", "c:eurusd", "C:eurusd"}},
		{tickstorm.Forex, "CA", "EUR/USD", []string{"EUR/USD", "C:EUR-USD"}},
		{tickstorm.Forex, "CAS", "EUR/USD", []string{"EUR/USD", "eurusd"}},
		{tickstorm.Forex, "FMV", "C:EURUSD", []string{"C:EURUSD", "EUR/USD", "EUR-USD", "C:EUR-USD", "eurusd", "c:eur/usd", "C:eur/usd"}},
		{tickstorm.Forex, "LV", "C:EURUSD", []string{"C:EURUSD", "EUR/USD"}},
		{tickstorm.Forex, "AM", "C:USD-EUR", []string{"C:USD-EUR", "USD/EUR", "USD-EUR", "USDEUR", "usd/eur", "c:usdeur", "C:usdeur"}},
		{tickstorm.Forex, "C", "*", []string{"*"}},
		{tickstorm.Crypto, "XT", "BTC-USD", []string{"BTC-USD", "X:BTC-USD", "BTC/USD", "X:BTC/USD", "btc-usd", "btc/usd", "x:btc-usd", "X:btc-usd"}},
		{tickstorm.Crypto, "XL2", "ETH-BTC", []string{"ETH-BTC", "x:eth/btc"}},
		{tickstorm.Crypto, "XQ", "PEPE1000-USDT", []string{"PEPE1000-USDT", "pepe1000/usdt"}},
		{tickstorm.Crypto, "FMV", "X:BTC-USD", []string{"X:BTC-USD", "BTC-USD", "btc/usd", "x:btc-usd", "X:btc-usd"}},
		{tickstorm.Crypto, "AM", "X:BTC-USD", []string{"X:BTC-USD", "BTC/USD"}},
		{tickstorm.Crypto, "XT", "BTC-USD", []string{"BTCUSD", "btcusd", "X:BTCUSD", "x:btcusd", "X:btcusd"}},
		{tickstorm.Crypto, "FMV", "X:BTC-USD", []string{"BTCUSD", "X:BTCUSD", "x:btcusd"}},
		{tickstorm.Crypto, "XQ", "ETH-USDT", []string{"ETHUSDT", "X:ETHUSDT"}},
		{tickstorm.Crypto, "XQ", "ETH-BTC", []string{"ETHBTC", "ethbtc"}},
		{tickstorm.Crypto, "XQ", "USDT-EUR", []string{"USDTEUR"}},
		{tickstorm.Crypto, "XQ", "USDC-USDT", []string{"USDCUSDT"}},
		{tickstorm.Crypto, "XA", "1INCH-USD", []string{"1INCHUSD", "1inchusd"}},
		{tickstorm.Crypto, "XT", "DOGE-CHF", []string{"DOGECHF"}},
		{tickstorm.Crypto, "XT", "WBTC", []string{"WBTC", "wbtc", "X:WBTC"}}, // a coin, or W in BTC
		{tickstorm.Crypto, "XT", "BTC", []string{"BTC", "btc"}},
		{tickstorm.Crypto, "XT", "PEPE", []string{"PEPE"}},
		{tickstorm.Crypto, "XT", "BTC.USD", []string{"BTC.USD"}},
		{tickstorm.Options, "Q", "*", []string{"O:*", "o:*", "O:O:*"}},
		{tickstorm.Options, "T", "*", []string{"O:*"}},
		{tickstorm.Indices, "AM", "*", []string{"I:*"}},
		{tickstorm.Forex, "C", "*", []string{"C:*"}},
		{tickstorm.Forex, "FMV", "*", []string{"C:*"}},
		{tickstorm.Forex, "AM", "*", []string{"C:*"}},
		{tickstorm.Crypto, "XT", "*", []string{"X:*"}},
		{tickstorm.Crypto, "LV", "*", []string{"X:*"}},
		{tickstorm.Stocks, "T", "A.WI", []string{"A.WI", "a.wi"}},
		{tickstorm.FuturesCME, "T", "6CH5", []string{"6CH5", "6ch5"}},
		{tickstorm.Futures, "AM", "ESZ4", []string{"ESZ4", "esz4"}},
	}
	for _, tt := range tests {
		want := tickstorm.Topic{Channel: tt.channel, Symbol: tt.want}
		for _, written := range tt.written {
			t.Run(string(tt.market)+" "+tt.channel+"."+written, func(t *testing.T) {
				got := tt.market.Canonical(tickstorm.Topic{Channel: tt.channel, Symbol: written})
				require.Equal(t, want, got)
				require.Equal(t, want, tt.market.Canonical(got), "the canonical form of the canonical form")
			})
		}
	}
}

// TestCanonicalOddSymbols: no symbol makes sense here, but the sets of topics rest on
// one spelling being the last.
func TestCanonicalOddSymbols(t *testing.T) {
	for _, m := range tickstorm.Markets() {
		for _, s := range m.Streams() {
			channel, err := m.Channel(s)
			require.NoError(t, err)
			for _, symbol := range []string{
				"", "C:", "X:", "O:", "I:", "C:C:EURUSD", "X:X:BTC-USD", "I:I:SPX", "c:C:eurusd", "C:c:eurusd", "EUR--USD", "EUR-/USD", "-", "/", "EUR-USD-JPY",
				"A/B/C/D", "EURU/D", "ééé", "€€", "C:*", "x:*", "-*", "C:-*", "*-*", "BTCUSD*", "X:X:BTCUSD", "x:X:btcusd", "usd", "BTCUSDUSD", "BTC-USDUSD", "C-:X", "ı:spx", "ſ", "ǆ", "ß", "K",
			} {
				once := m.Canonical(tickstorm.Topic{Channel: channel, Symbol: symbol})
				require.Equal(t, once, m.Canonical(once), "%s.%s on %s", channel, symbol, m)
				require.True(t, utf8.ValidString(once.Symbol), "%s.%s on %s", channel, symbol, m)
			}
		}
	}
}

func TestMarketTopics(t *testing.T) {
	topics, err := tickstorm.Crypto.Topics(tickstorm.Trades, "btc/usd", "X:ETH-BTC", tickstorm.All)
	require.NoError(t, err)
	require.Equal(t, []tickstorm.Topic{{Channel: "XT", Symbol: "BTC-USD"}, {Channel: "XT", Symbol: "ETH-BTC"}, {Channel: "XT", Symbol: "*"}}, topics)

	topics, err = tickstorm.Stocks.Topics(tickstorm.LaunchpadAggregates, "AAPL")
	require.NoError(t, err)
	require.Equal(t, []tickstorm.Topic{{Channel: "AM", Symbol: "AAPL"}}, topics)

	tests := []struct {
		name    string
		market  tickstorm.Market
		stream  tickstorm.Stream
		symbols []string
		want    error
	}{
		{"no symbols", tickstorm.Stocks, tickstorm.Trades, nil, tickstorm.ErrNoSymbols},
		{"no such stream", tickstorm.Stocks, tickstorm.Level2, []string{"AAPL"}, tickstorm.ErrNoStream},
		{"no such market", "bonds", tickstorm.Trades, []string{"AAPL"}, tickstorm.ErrNoStream},
		{"no stream", tickstorm.Stocks, 0, []string{"AAPL"}, tickstorm.ErrNoStream},
		{"empty symbol", tickstorm.Stocks, tickstorm.Trades, []string{"AAPL", ""}, tickstorm.ErrBadTopic},
		{"nothing behind the prefix", tickstorm.Forex, tickstorm.Quotes, []string{"C:"}, tickstorm.ErrBadTopic},
		{"nothing behind the option prefix", tickstorm.Options, tickstorm.Trades, []string{"O:"}, tickstorm.ErrBadTopic},
		{"nothing but a separator", tickstorm.Forex, tickstorm.FairMarketValues, []string{"-"}, tickstorm.ErrBadTopic},
		{"nothing behind prefixes", tickstorm.Options, tickstorm.Trades, []string{"o:O:"}, tickstorm.ErrBadTopic},
		{"nothing behind the index prefix", tickstorm.Indices, tickstorm.Values, []string{"I:"}, tickstorm.ErrBadTopic},
		{"too long with the prefix", tickstorm.Options, tickstorm.Trades, []string{strings.Repeat("A", 126)}, tickstorm.ErrBadTopic},
		{"list in one string", tickstorm.Stocks, tickstorm.Trades, []string{"AAPL,MSFT"}, tickstorm.ErrBadTopic},
		{"topic for a symbol", tickstorm.Stocks, tickstorm.Trades, []string{"T.AAPL"}, tickstorm.ErrBadTopic},
		{"topic of another channel", tickstorm.Stocks, tickstorm.Trades, []string{"AM.AAPL"}, tickstorm.ErrBadTopic},
		{"topic in lower case", tickstorm.Stocks, tickstorm.Trades, []string{"t.aapl"}, tickstorm.ErrBadTopic},
		{"topic with a class", tickstorm.Stocks, tickstorm.Quotes, []string{"Q.BRK.B"}, tickstorm.ErrBadTopic},
		{"topic of all", tickstorm.Stocks, tickstorm.Trades, []string{"T.*"}, tickstorm.ErrBadTopic},
		{"topic with prefix", tickstorm.Crypto, tickstorm.Trades, []string{"XT.X:BTC-USD"}, tickstorm.ErrBadTopic},
		{"topic with prefix, which the wire has", tickstorm.Crypto, tickstorm.FairMarketValues, []string{"XT.X:BTC-USD"}, tickstorm.ErrBadTopic},
		{"topic behind the prefix", tickstorm.Options, tickstorm.Trades, []string{"O:T.SPY241220P00720000"}, tickstorm.ErrBadTopic},
		{"topic of a pair", tickstorm.Forex, tickstorm.Quotes, []string{"C.EUR/USD"}, tickstorm.ErrBadTopic},
		{"topic behind a separator", tickstorm.Forex, tickstorm.FairMarketValues, []string{"F-MV.EURUSD"}, tickstorm.ErrBadTopic},
		{"partial wildcard", tickstorm.Stocks, tickstorm.Trades, []string{"SPY*"}, tickstorm.ErrBadTopic},
		{"partial wildcard behind a prefix", tickstorm.Options, tickstorm.Quotes, []string{"O:SPY*"}, tickstorm.ErrBadTopic},
		{"partial wildcard in a pair", tickstorm.Crypto, tickstorm.Trades, []string{"*-USD"}, tickstorm.ErrBadTopic},
		{"wildcard with a separator", tickstorm.Forex, tickstorm.FairMarketValues, []string{"C:-*"}, tickstorm.ErrBadTopic},
		{"two wildcards", tickstorm.Stocks, tickstorm.Trades, []string{"**"}, tickstorm.ErrBadTopic},
		{"all of another market", tickstorm.Stocks, tickstorm.Trades, []string{"O:*"}, tickstorm.ErrBadTopic},
		{"coin or pair", tickstorm.Crypto, tickstorm.Trades, []string{"WBTC"}, tickstorm.ErrBadTopic},
		{"coin or pair, with prefix", tickstorm.Crypto, tickstorm.FairMarketValues, []string{"x:tusd"}, tickstorm.ErrBadTopic},
		{"space", tickstorm.Stocks, tickstorm.Trades, []string{"AAPL "}, tickstorm.ErrBadTopic},
		{"no UTF-8", tickstorm.Stocks, tickstorm.Trades, []string{"a\xff"}, tickstorm.ErrBadTopic},
		{"too long", tickstorm.Stocks, tickstorm.Trades, []string{strings.Repeat("A", 127)}, tickstorm.ErrBadTopic},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.market.Topics(tt.stream, tt.symbols...)
			require.ErrorIs(t, err, tt.want)
			require.Nil(t, got)
		})
	}
}

// TestSymbolsThatAreMeant look like what is refused.
func TestSymbolsThatAreMeant(t *testing.T) {
	tests := []struct {
		market  tickstorm.Market
		stream  tickstorm.Stream
		symbols []string
		want    string
	}{
		{tickstorm.Stocks, tickstorm.Trades, []string{"A.WI", "BRK.B", "T.WI", "Q.U", "BF.A", "T", "AM", "AGM.A", "X.WSA"}, "T.A.WI,T.BRK.B,T.T.WI,T.Q.U,T.BF.A,T.T,T.AM,T.AGM.A,T.X.WSA"},
		{tickstorm.Crypto, tickstorm.Trades, []string{"W-BTC", "T/USD", "BTC", "X:*"}, "XT.W-BTC,XT.T-USD,XT.BTC,XT.*"},
		{tickstorm.Options, tickstorm.FairMarketValues, []string{"O:*", "*"}, "FMV.*,FMV.*"},
		{tickstorm.Forex, tickstorm.FairMarketValues, []string{"C:*"}, "FMV.*"},
		{tickstorm.Futures, tickstorm.Trades, []string{"ESZ4"}, "T.ESZ4"},
	}
	for _, tt := range tests {
		t.Run(string(tt.market), func(t *testing.T) {
			got, err := tt.market.Topics(tt.stream, tt.symbols...)
			require.NoError(t, err)
			require.Equal(t, fixture.Topics(t, tt.want), got)
		})
	}
}

// TestBadTopicHints: who wrote what cannot be meant is told what to write.
func TestBadTopicHints(t *testing.T) {
	for symbol, hint := range map[string]string{
		"T.AAPL": `"T.AAPL" is a topic, not a symbol`,
		"SPY*":   `there are no partial wildcards`,
		"O:*":    `there are no partial wildcards`,
	} {
		_, err := tickstorm.Stocks.Topics(tickstorm.Trades, symbol)
		require.ErrorContains(t, err, hint)
	}
	_, err := tickstorm.Crypto.Topics(tickstorm.Trades, "X:WBTC")
	require.ErrorContains(t, err, `write "W-BTC"`)
}

// TestBadTopicsAreNotSent: whichever way they are asked for.
func TestBadTopicsAreNotSent(t *testing.T) {
	bad := []tickstorm.Topic{{Channel: "T", Symbol: "T.AAPL"}, {Channel: "Q", Symbol: "SPY*"}}
	for _, topic := range bad {
		p := readyPeer(t, testConfig(), nil)
		require.ErrorIs(t, p.s.Request(nil, topic), tickstorm.ErrBadTopic)
		require.Empty(t, p.requests())

		c := fixture.NewClient(t, testConfig(), nil)
		require.ErrorIs(t, c.SubscribeTopics(t.Context(), topic), tickstorm.ErrBadTopic)
		require.ErrorIs(t, c.SetTopics(t.Context(), topic), tickstorm.ErrBadTopic)
		require.ErrorIs(t, c.Subscribe(t.Context(), tickstorm.Trades, topic.Symbol), tickstorm.ErrBadTopic)
		require.ErrorIs(t, c.Request(nil, topic), tickstorm.ErrBadTopic)
		require.Empty(t, c.Topics())
		require.NoError(t, c.Close())
	}
	unknown := tickstorm.Topic{Channel: "ZZ", Symbol: "SPY*"}
	p := readyPeer(t, testConfig(), nil)
	require.NoError(t, p.s.Request(nil, unknown), "of a channel that the library does not know nothing is known")
}

// TestAllOfOptionQuotes: all of them are too many, however that is written.
func TestAllOfOptionQuotes(t *testing.T) {
	for _, all := range []string{"*", "O:*", "o:*"} {
		cfg := testConfig()
		cfg.Market = tickstorm.Options
		p := readyPeer(t, cfg, nil)
		require.ErrorIs(t, p.s.Request(nil, tickstorm.Topic{Channel: "Q", Symbol: all}), tickstorm.ErrSubscriptionLimit)
		require.NoError(t, p.s.Request(nil, tickstorm.Topic{Channel: "T", Symbol: all}))
		require.Equal(t, []string{"T.*"}, p.subscribed())
	}
}
