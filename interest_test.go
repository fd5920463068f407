package tickstorm_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// interests are cases for every corpus: the symbols are the first two that it has.
var interests = []struct {
	name    string
	streams []tickstorm.Stream
	symbols bool
}{
	{"symbols", nil, true},
	{"streams", []tickstorm.Stream{tickstorm.Trades, tickstorm.Level2}, false},
	{"both", []tickstorm.Stream{tickstorm.Quotes}, true},
	{"nothing", []tickstorm.Stream{}, false},
}

// TestInterest compares what is delivered with what a handler would have picked itself,
// by both engines.
func TestInterest(t *testing.T) {
	for _, corpus := range sim.Corpora() {
		messages, err := sim.Corpus(corpus, 3000, 3)
		require.NoError(t, err)
		var all fixture.Recorder
		p := tickstorm.NewParser(sim.CorpusMarket(corpus))
		for _, m := range messages {
			require.NoError(t, p.Parse(m, &all))
		}
		symbols := []string{all.Events[0].Head().Symbol, all.Events[1].Head().Symbol}
		for _, tc := range interests {
			i := tickstorm.Interest{Streams: tc.streams}
			if tc.symbols {
				i.Symbols = symbols
			}
			var want []string
			for _, e := range all.Events {
				if wanted(i, e.Head()) {
					want = append(want, string(e.Head().Raw))
				}
			}
			for name, engine := range map[string]tickstorm.Engine{"fast": tickstorm.EngineAuto, "fastjson": tickstorm.EngineFastJSON} {
				t.Run(corpus+"/"+tc.name+"/"+name, func(t *testing.T) {
					p := tickstorm.NewParser(sim.CorpusMarket(corpus))
					p.SetEngine(engine)
					p.SetInterest(i)
					var got fixture.Recorder
					for _, m := range messages {
						require.NoError(t, p.Parse(m, &got))
					}
					require.Len(t, got.Events, len(want))
					for i, e := range got.Events {
						require.Equal(t, want[i], string(e.Head().Raw))
					}
					stats := p.Stats()
					require.Equal(t, uint64(len(want)), stats.Total())
					require.Equal(t, uint64(len(all.Events)-len(want)), stats.Skipped)
				})
			}
		}
	}
}

func wanted(i tickstorm.Interest, h *tickstorm.Header) bool {
	return (i.Streams == nil || slices.Contains(i.Streams, h.Stream)) &&
		(i.Symbols == nil || slices.Contains(i.Symbols, h.Symbol))
}

// TestInterestSpelling: a symbol is wanted in every form that the market's channels have.
func TestInterestSpelling(t *testing.T) {
	p := tickstorm.NewParser(tickstorm.Forex)
	p.SetInterest(tickstorm.Interest{Symbols: []string{"eur-usd"}})
	var got fixture.Recorder
	const msg = `[{"ev":"C","p":"EUR/USD"},{"ev":"C","p":"EUR/GBP"},{"ev":"FMV","sym":"C:EURUSD"},{"ev":"AM","sym":"C:EUR-USD"},{"ev":"C"},{"ev":"zz"},1]`
	for range 2 {
		require.NoError(t, p.Parse([]byte(msg), &got))
	}
	require.Len(t, got.Events, 2*5)
	require.Len(t, got.Errors, 2)
	require.Equal(t, uint64(2), p.Stats().Skipped)
}

// TestInterestInPairs: without a separator too, and for all of them.
func TestInterestInPairs(t *testing.T) {
	const msg = `[{"ev":"XT","pair":"BTC-USD"},{"ev":"XT","pair":"ETH-USD"},{"ev":"FMV","sym":"X:BTC-USD"},{"ev":"AM","sym":"X:ETH-USD"}]`
	for _, tc := range []struct {
		symbols []string
		events  int
	}{
		{[]string{"BTCUSD"}, 2},
		{[]string{"x:btcusd"}, 2},
		{[]string{"X:BTC/USD", "ethusd"}, 4},
		{[]string{"SOLUSD"}, 0},
		{[]string{tickstorm.All}, 4},
		{[]string{"SOLUSD", "X:*"}, 4},
		{[]string{}, 0},
	} {
		t.Run(strings.Join(tc.symbols, " "), func(t *testing.T) {
			for _, engine := range []tickstorm.Engine{tickstorm.EngineAuto, tickstorm.EngineFastJSON} {
				p := tickstorm.NewParser(tickstorm.Crypto)
				p.SetEngine(engine)
				p.SetInterest(tickstorm.Interest{Symbols: tc.symbols})
				var got fixture.Recorder
				for range 2 {
					require.NoError(t, p.Parse([]byte(msg), &got))
				}
				require.Len(t, got.Events, 2*tc.events)
			}
		})
	}
}

// TestInterestThatCannotBe: what no event can have would hide all of them.
func TestInterestThatCannotBe(t *testing.T) {
	for _, symbol := range []string{"T.AAPL", "SPY*", "", "AAPL,MSFT"} {
		cfg := testConfig()
		cfg.Interest.Symbols = []string{"AAPL", symbol}
		_, err := tickstorm.NewSession(cfg, nil)
		require.ErrorIs(t, err, tickstorm.ErrBadTopic)
		_, err = tickstorm.NewClient(cfg, nil)
		require.ErrorIs(t, err, tickstorm.ErrBadTopic)
	}
	cfg := testConfig()
	cfg.Interest.Symbols = []string{"AAPL", "aapl", "BRK.B", tickstorm.All}
	_, err := tickstorm.NewSession(cfg, nil)
	require.NoError(t, err)
	cfg.Market, cfg.Interest.Symbols = "bonds", []string{"SPY*"}
	_, err = tickstorm.NewSession(cfg, nil)
	require.NoError(t, err, "of a market that the library does not know nothing is known")
}

// TestInterestCutsRight: events of no interest that hold braces, quotes and events must not
// be taken for others, nor swallow them.
func TestInterestCutsRight(t *testing.T) {
	const wanted = `{"ev":"T","sym":"GOOD"}`
	for _, tc := range []struct{ name, unwanted string }{
		{"plain", `{"ev":"T","sym":"BAD","p":1}`},
		{"nested event", `{"ev":"T","sym":"BAD","x":[{"a":1},{"ev":"T","sym":"GOOD"}]}`},
		{"nested object", `{"ev":"T","sym":"BAD","x":{"ev":"T","sym":"GOOD"}}`},
		{"event in a string", `{"ev":"T","sym":"BAD","i":"},{\"ev\":\"T\",\"sym\":\"GOOD\"}"}`},
		{"brace in a string", `{"ev":"T","sym":"BAD","i":"},{"}`},
		{"end in a string", `{"ev":"T","sym":"BAD","i":"x}]"}`},
		{"space", `{"ev":"T","sym":"BAD"} `},
		{"escaped symbol", `{"ev":"T","sym":"B\u0041D"}`},
		{"symbol last", `{"ev":"T","p":1,"sym":"BAD"}`},
	} {
		for _, msg := range []string{
			"[" + tc.unwanted + "," + wanted + "]", "[" + wanted + "," + tc.unwanted + "]",
			"[" + tc.unwanted + "," + tc.unwanted + "," + wanted + "," + tc.unwanted + "] ",
		} {
			t.Run(tc.name, func(t *testing.T) {
				p := tickstorm.NewParser(tickstorm.Stocks)
				p.SetInterest(tickstorm.Interest{Symbols: []string{"GOOD"}})
				var got fixture.Recorder
				for range 2 {
					require.NoError(t, p.Parse([]byte(msg), &got))
				}
				require.Empty(t, got.Errors)
				require.Len(t, got.Events, 2)
				require.Equal(t, wanted, string(got.Events[1].Head().Raw))
			})
		}
	}
}

// TestInterestInterns: what is passed over takes no number, and is not too long to be.
func TestInterestInterns(t *testing.T) {
	long := `{"ev":"T","sym":"BAD","i":"` + strings.Repeat("x", 100) + `"}`
	for _, engine := range []tickstorm.Engine{tickstorm.EngineAuto, tickstorm.EngineFastJSON} {
		p := tickstorm.NewParser(tickstorm.Stocks)
		p.SetEngine(engine)
		symbols := tickstorm.NewSymbols(0)
		p.SetSymbols(symbols)
		p.SetLimits(tickstorm.Limits{Element: 60})
		p.SetInterest(tickstorm.Interest{Symbols: []string{"GOOD"}})
		var got fixture.Recorder
		require.NoError(t, p.Parse([]byte(`[{"ev":"T","sym":"BAD"},{"ev":"T", "sym":"WORSE"},{"ev":"T","sym":"GOOD"},`+long+`]`), &got))
		require.Equal(t, 1, symbols.Len())
		require.Len(t, got.Events, 1)
		require.Equal(t, uint32(1), got.Events[0].Head().SymbolID)
		require.Len(t, got.Errors, 1)
		require.ErrorIs(t, got.Errors[0], tickstorm.ErrElementTooLong)
	}
}

func BenchmarkInterest(b *testing.B) {
	messages, err := sim.Corpus("stocks20", 50_000, 1)
	require.NoError(b, err)
	for _, tc := range []struct {
		name     string
		interest tickstorm.Interest
	}{
		{"all", tickstorm.Interest{}},
		{"one stream of little", tickstorm.Interest{Streams: []tickstorm.Stream{tickstorm.MinuteAggregates}}},
		{"two symbols", tickstorm.Interest{Symbols: []string{"IWM", "HALL"}}},
	} {
		b.Run(tc.name, func(b *testing.B) {
			p := tickstorm.NewParser(tickstorm.Stocks)
			p.SetInterest(tc.interest)
			for b.Loop() {
				for _, m := range messages {
					if err := p.Parse(m, tickstorm.NopHandler{}); err != nil {
						b.Fatal(err)
					}
				}
			}
			s := p.Stats()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(s.Total()+s.Skipped), "ns/event")
			b.ReportMetric(100*float64(s.Skipped)/float64(s.Total()+s.Skipped), "%skipped")
		})
	}
}
