package sim_test

import (
	"bytes"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/internal/poison"
	"github.com/tickstorm/tickstorm/sim"
)

var noon = time.Date(2026, time.November, 20, 17, 0, 0, 0, time.UTC)

// echo writes the events that it receives as they came.
type echo struct {
	streams map[tickstorm.Stream]int
	symbols map[string]bool
	out     []byte
}

func (e *echo) see(ev tickstorm.Event) {
	h := ev.Head()
	e.streams[h.Stream]++
	e.symbols[h.Symbol] = true
	if len(e.out) > 0 {
		e.out = append(e.out, ',')
	}
	e.out = ev.AppendJSON(e.out)
}

func (e *echo) OnTrade(ev *tickstorm.Trade)         { e.see(ev) }
func (e *echo) OnQuote(ev *tickstorm.Quote)         { e.see(ev) }
func (e *echo) OnAggregate(ev *tickstorm.Aggregate) { e.see(ev) }
func (e *echo) OnBook(ev *tickstorm.Book)           { e.see(ev) }
func (e *echo) OnLULD(ev *tickstorm.LULD)           { e.see(ev) }
func (e *echo) OnImbalance(ev *tickstorm.Imbalance) { e.see(ev) }
func (e *echo) OnValue(ev *tickstorm.Value)         { e.see(ev) }
func (e *echo) OnStatus(ev *tickstorm.Status)       { e.see(ev) }
func (e *echo) OnUnknown(ev *tickstorm.Unknown)     { e.see(ev) }
func (e *echo) OnError(*tickstorm.EventError)       {}

func TestGeneratorMakesEveryStreamOfEveryMarket(t *testing.T) {
	for _, m := range tickstorm.Markets() {
		t.Run(string(m), func(t *testing.T) {
			g := fixture.Generator(t, m, 1)
			p := tickstorm.NewParser(m)
			e := &echo{streams: make(map[tickstorm.Stream]int), symbols: make(map[string]bool)}
			now := noon
			for range 500 {
				msg := g.AppendMessage(nil, now, 20)
				e.out = e.out[:0]
				require.NoError(t, p.Parse(msg, e))
				require.Equal(t, string(msg), "["+string(e.out)+"]")
				now = now.Add(time.Millisecond)
			}
			for _, stream := range m.Streams() {
				require.Positive(t, e.streams[stream], stream.String())
			}
			st := p.Stats()
			require.Equal(t, uint64(10_000), st.Total())
			require.Zero(t, st.Events[tickstorm.KindUnknown])
			require.Zero(t, st.UnknownKeys+st.Odd+st.NoSymbol+st.Errors)
			require.Greater(t, len(e.symbols), 100)
		})
	}
}

func TestGeneratorIsDeterministic(t *testing.T) {
	for _, m := range tickstorm.Markets() {
		run := func(seed int64, backwards bool) []byte {
			g := sim.NewGenerator(m, seed)
			topics := fixture.Everything(t, m)
			for i := range topics {
				if backwards {
					i = len(topics) - 1 - i
				}
				g.Subscribe(topics[i])
			}
			return g.AppendMessage(nil, noon, 1000)
		}
		require.Equal(t, run(1, false), run(1, false))
		require.Equal(t, run(1, false), run(1, true), "the order of subscriptions does not matter")
		require.NotEqual(t, run(1, false), run(2, false))
	}
}

func TestGeneratorTopics(t *testing.T) {
	g := sim.NewGenerator(tickstorm.Forex, 1)
	topic := func(channel, symbol string) tickstorm.Topic {
		return tickstorm.Topic{Channel: channel, Symbol: symbol}
	}
	require.True(t, g.Silent())
	require.Nil(t, g.Next(noon))
	require.Empty(t, g.AppendMessage(nil, noon, 5))
	require.False(t, g.Subscribe(topic("ZZ", "EUR/USD")))
	require.False(t, g.Subscribe(topic("C", "EUR/XXX")))
	require.True(t, g.Silent())
	require.True(t, g.Subscribe(topic("C", "C:EUR-USD")))
	require.False(t, g.Subscribe(topic("C", "eur/usd")))
	require.Equal(t, "EUR/USD", g.Next(noon).Head().Symbol)
	g.Unsubscribe(topic("C", "EUR-USD"))
	g.Unsubscribe(topic("C", tickstorm.All))
	require.True(t, g.Silent())
	for channel, want := range map[string]string{"FMV": "C:EURUSD", "LV": "C:EURUSD", "AM": "C:EUR-USD", "CAS": "EUR/USD"} {
		require.True(t, g.Subscribe(topic(channel, "EUR/USD")))
		require.Equal(t, want, g.Next(noon).Head().Symbol)
		g.Unsubscribe(topic(channel, "EUR/USD"))
	}
	require.True(t, g.Subscribe(topic("C", tickstorm.All)))
	require.True(t, g.Subscribe(topic("C", "EUR/USD")))
	g.Unsubscribe(topic("C", tickstorm.All))
	for range 100 {
		require.Equal(t, "EUR/USD", g.Next(noon).Head().Symbol)
	}
	require.Empty(t, sim.Symbols("bonds"))
	require.False(t, sim.NewGenerator("bonds", 1).Subscribe(topic("T", tickstorm.All)))
}

// TestNoBarWithoutTrades: a second in which the trades of a symbol were subscribed to, and none
// came, has no bar, whatever is subscribed to when its bar would be due, and whether the trades
// are those of a symbol or of all.
func TestNoBarWithoutTrades(t *testing.T) {
	for _, symbol := range []string{"AAPL", tickstorm.All} {
		g := sim.NewGenerator(tickstorm.Stocks, 1)
		trades := tickstorm.Topic{Channel: "T", Symbol: symbol}
		require.True(t, g.Subscribe(tickstorm.Topic{Channel: "A", Symbol: "AAPL"}))
		require.True(t, g.Subscribe(tickstorm.Topic{Channel: "AM", Symbol: "AAPL"}))
		require.True(t, g.Subscribe(trades))
		now := noon
		starts := map[int64]bool{} // seconds with trades
		var last time.Time         // that the generator was told while they were subscribed to
		until := func(end time.Time, step time.Duration) {
			for ; now.Before(end); now = now.Add(step) {
				switch e := g.Next(now).(type) {
				case *tickstorm.Trade:
					if e.Symbol == "AAPL" {
						starts[now.Unix()] = true
					}
				case *tickstorm.Aggregate:
					if start := e.Start.Time(); e.Stream == tickstorm.SecondAggregates && !start.Before(noon) && !start.After(last) {
						require.True(t, starts[start.Unix()], "%v %v %v", symbol, start, now)
					}
				}
			}
		}
		const step = 1400 * time.Millisecond
		last = noon.Add(time.Minute)
		until(last, step)
		require.Less(t, len(starts), 50)
		last = now.Add(-step)
		g.Unsubscribe(trades)
		until(noon.Add(65*time.Second), 10*time.Millisecond)
		require.NotNil(t, g.Next(now.Add(time.Second)), "bars are made up again")
	}
}

// TestNoMinuteWithoutSeconds: where the seconds of a symbol are subscribed to, a minute of which
// none was sent has no bar.
func TestNoMinuteWithoutSeconds(t *testing.T) {
	for _, symbol := range []string{"AAPL", tickstorm.All} {
		g := sim.NewGenerator(tickstorm.Stocks, 1)
		require.True(t, g.Subscribe(tickstorm.Topic{Channel: "A", Symbol: symbol}))
		require.True(t, g.Subscribe(tickstorm.Topic{Channel: "AM", Symbol: "AAPL"}))
		heard := map[int64]bool{} // minutes
		minutes := 0
		for now := noon; now.Before(noon.Add(10 * time.Hour)); now = now.Add(41 * time.Second) {
			e, ok := g.Next(now).(*tickstorm.Aggregate)
			if !ok || e.Symbol != "AAPL" {
				continue
			}
			minute := e.Start.Time().Truncate(time.Minute).Unix()
			if e.Stream == tickstorm.SecondAggregates {
				heard[minute] = true
			} else if minute >= noon.Unix() {
				require.True(t, heard[minute])
				minutes++
			}
		}
		require.Positive(t, minutes)
	}
}

// TestTimeThatRunsBackwards: a time before the last one is taken for that.
func TestTimeThatRunsBackwards(t *testing.T) {
	g := fixture.Generator(t, tickstorm.Stocks, 1)
	g.Next(noon)
	for range 1000 {
		if e, ok := g.Next(noon.Add(-time.Hour)).(*tickstorm.Quote); ok {
			require.Equal(t, noon.UnixMilli(), int64(e.Timestamp))
		}
	}
}

// TestBandsHold: what is cheap would leave its band soon, if it did not have to stay.
func TestBandsHold(t *testing.T) {
	const cheap = 2.5
	g := sim.NewGenerator(tickstorm.Stocks, 1)
	topic := func(channel, symbol string) tickstorm.Topic { return tickstorm.Topic{Channel: channel, Symbol: symbol} }
	price := func(symbol string) float64 {
		require.True(t, g.Subscribe(topic("Q", symbol)))
		defer g.Unsubscribe(topic("Q", symbol))
		return g.Next(noon).(*tickstorm.Quote).AskPrice
	}
	symbols := sim.Symbols(tickstorm.Stocks)
	at := slices.IndexFunc(symbols, func(symbol string) bool { p := price(symbol); return p > 0 && p < cheap })
	require.Positive(t, at)
	require.True(t, g.Subscribe(topic("LULD", symbols[at])))
	band := *g.Next(noon).(*tickstorm.LULD)
	g.Unsubscribe(topic("LULD", symbols[at]))
	require.True(t, g.Subscribe(topic("Q", symbols[at])))
	require.True(t, g.Subscribe(topic("T", symbols[at])))
	for range 200_000 {
		switch e := g.Next(noon).(type) {
		case *tickstorm.Trade:
			require.True(t, band.LowerBand <= e.Price && e.Price <= band.UpperBand)
		case *tickstorm.Quote:
			require.True(t, e.BidPrice == 0 || e.BidPrice >= band.LowerBand)
			require.True(t, e.AskPrice <= band.UpperBand)
		}
	}
}

func TestSequenceRisesPerSymbol(t *testing.T) {
	g := fixture.Generator(t, tickstorm.Stocks, 7)
	last := make(map[string]int64)
	for range 10_000 {
		var q int64
		symbol := ""
		switch e := g.Next(noon).(type) {
		case *tickstorm.Trade:
			q, symbol = e.Sequence, e.Symbol
			require.Positive(t, e.Price)
			require.LessOrEqual(t, e.ParticipantTimestamp, e.Timestamp)
		case *tickstorm.Quote:
			q, symbol = e.Sequence, e.Symbol
			if e.Has.All(tickstorm.QuoteBidPrice | tickstorm.QuoteAskPrice) {
				require.Less(t, e.BidPrice, e.AskPrice)
			}
		default:
			continue
		}
		require.Greater(t, q, last[symbol])
		last[symbol] = q
	}
}

// TestNumbered: with Config.Numbered one count goes over all events of all connections.
func TestNumbered(t *testing.T) {
	s, err := sim.Start(sim.Config{Numbered: true, Rate: -1})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	seen := map[int64]bool{}
	var most int64
	for range 3 {
		var n numbers
		c, err := tickstorm.Dial(t.Context(), s.ClientConfig(tickstorm.Stocks), &n)
		require.NoError(t, err)
		n.enough = func() { require.NoError(t, c.Close()) }
		c.Request(nil, tickstorm.Topic{Channel: "T", Symbol: tickstorm.All}, tickstorm.Topic{Channel: "Q", Symbol: "AAPL"})
		require.NoError(t, c.Run(t.Context()))
		require.Greater(t, n.list[0], most, "events of the connection before are not numbered again")
		for i, q := range n.list {
			require.False(t, seen[q])
			seen[q] = true
			require.Equal(t, n.list[0]+int64(i), q)
			most = q
		}
	}
}

// numbers collects sequence numbers.
type numbers struct {
	tickstorm.NopHandler
	list   []int64
	enough func()
}

func (n *numbers) OnTrade(e *tickstorm.Trade) { n.add(e.Sequence) }
func (n *numbers) OnQuote(e *tickstorm.Quote) { n.add(e.Sequence) }
func (n *numbers) add(q int64) {
	if n.list = append(n.list, q); len(n.list) == 1000 {
		n.enough()
	}
}

func TestCorpora(t *testing.T) {
	// Bytes an event, as the figures in the documentation have been measured with.
	sizes := map[string]float64{"stocks1": 132, "stocks20": 131, "stocks400": 131, "options20": 126, "crypto": 207, "forex": 74}
	for _, name := range sim.Corpora() {
		t.Run(name, func(t *testing.T) {
			const events = 20_000
			messages, err := sim.Corpus(name, events, 1)
			require.NoError(t, err)
			again, err := sim.Corpus(name, events, 1)
			require.NoError(t, err)
			require.Equal(t, messages, again)
			p := tickstorm.NewParser(sim.CorpusMarket(name))
			for _, m := range messages {
				require.NoError(t, p.Parse(m, tickstorm.NopHandler{}))
			}
			st := p.Stats()
			require.Equal(t, uint64(events), st.Total())
			require.InEpsilon(t, sizes[name], float64(len(bytes.Join(messages, nil)))/events, 0.03)
			if strings.HasPrefix(name, "stocks") {
				require.InDelta(t, 0.80, float64(st.Events[tickstorm.KindQuote])/events, 0.01)
				require.InDelta(t, 0.18, float64(st.Events[tickstorm.KindTrade])/events, 0.01)
				require.InDelta(t, 0.02, float64(st.Events[tickstorm.KindAggregate])/events, 0.005)
			}
		})
	}
	_, err := sim.Corpus("bonds", 1, 1)
	require.ErrorIs(t, err, sim.ErrNoCorpus)
	require.Empty(t, sim.CorpusMarket("bonds"))
}

func TestGeneratorAllocatesNothing(t *testing.T) {
	if poison.On {
		t.Skip("allocations are counted without the race detector")
	}
	for _, m := range tickstorm.Markets() {
		g := fixture.Generator(t, m, 1)
		now := noon
		var buf []byte
		next := func() {
			buf = g.AppendMessage(buf[:0], now, 20)
			now = now.Add(time.Millisecond)
		}
		for range 6000 { // as many bars as are under way at once, and longer messages than the last
			next()
		}
		require.Zero(t, testing.AllocsPerRun(2000, next), string(m))
	}
}

// TestGeneratorMemory: a generator of more symbols than any other takes memory in its first
// minutes, and no more later.
func TestGeneratorMemory(t *testing.T) {
	if poison.On {
		t.Skip("allocations are counted without the race detector")
	}
	g := fixture.Generator(t, tickstorm.Options, 1)
	now := noon
	var buf []byte
	grown := func(minutes int) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range minutes * 60_000 / 4 {
			buf = g.AppendMessage(buf[:0], now, 40)
			now = now.Add(4 * time.Millisecond)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	require.Less(t, grown(2), uint64(16<<20))
	require.Less(t, grown(2), uint64(1<<20))
}
