package tickstorm_test

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// numbered is a trade with a sequence number.
func numbered(symbol string, q int) string {
	return fmt.Sprintf(`{"ev":"T","sym":"%s","p":1.5,"t":%d,"q":%d}`, symbol, began.UnixMilli(), q)
}

// watchedSymbol returns what a Watch knows of a symbol, looking for it in both ways.
func watchedSymbol(t *testing.T, w *tickstorm.Watch, s *tickstorm.Symbols, stream tickstorm.Stream, symbol string) tickstorm.SymbolWatch {
	t.Helper()
	got, ok := w.Symbol(stream, s.ID(symbol))
	require.True(t, ok, symbol)
	require.Equal(t, symbol, got.Symbol)
	require.Equal(t, stream, got.Stream)
	for other := range w.Symbols() {
		if other.Symbol == symbol && other.Stream == stream {
			require.Equal(t, got, other)
			return got
		}
	}
	t.Fatalf("%s is not among Symbols", symbol)
	return got
}

// watching returns a parser and its symbols, to which the time was told.
func watching() (*tickstorm.Parser, *tickstorm.Symbols) {
	p, symbols := parserAt(tickstorm.Stocks, began), tickstorm.NewSymbols(0)
	p.SetSymbols(symbols)
	return p, symbols
}

func TestWatchSequences(t *testing.T) {
	for _, tc := range []struct {
		name                    string
		sequences               []int
		regressions, duplicates uint64
	}{
		{"rising", []int{1, 2, 1000, 1001}, 0, 0},
		{"a zero first", []int{0, 1}, 0, 0},
		{"repeated", []int{5, 5, 5, 6}, 0, 2},
		{"a step back counts once", []int{5, 100, 6, 7, 8}, 1, 0},
		{"back and forth", []int{5, 4, 5, 4}, 2, 0},
		{"late and then on", []int{10, 9, 9, 11}, 1, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, symbols := watching()
			w := tickstorm.NewWatch(nil, tickstorm.WatchConfig{})
			for _, q := range tc.sequences { // others of the same numbers do not disturb
				require.NoError(t, p.Parse([]byte("["+numbered("A", q)+","+numbered("B", 7+q)+","+
					fmt.Sprintf(`{"ev":"Q","sym":"A","q":%d}`, 3*q)+"]"), w))
			}
			got := watchedSymbol(t, w, symbols, tickstorm.Trades, "A")
			require.Equal(t, tc.regressions, got.Regressions)
			require.Equal(t, tc.duplicates, got.Duplicates)
			require.EqualValues(t, tc.sequences[len(tc.sequences)-1], got.Sequence)
			require.True(t, got.LastReceived.Equal(began))
			require.True(t, got.LastEvent.Equal(began))
			quotes := watchedSymbol(t, w, symbols, tickstorm.Quotes, "A")
			require.Equal(t, tc.regressions, quotes.Regressions)
			require.Zero(t, quotes.LastEvent, "it did not say")
			s := w.Stats()
			require.Equal(t, 3*tc.regressions, s.Regressions)
			require.Equal(t, 3*tc.duplicates, s.Duplicates)
			require.Zero(t, s.Untracked)
		})
	}
}

// TestWatchKinds: every stream is heard, and those without numbers have none.
func TestWatchKinds(t *testing.T) {
	forEach(t, func(t *testing.T, m tickstorm.Market, f sample) {
		head := f.want.Head()
		if head.Stream == 0 {
			return
		}
		p := parserAt(m, began)
		symbols := tickstorm.NewSymbols(0)
		p.SetSymbols(symbols)
		var r fixture.Recorder
		w := tickstorm.NewWatch(&r, tickstorm.WatchConfig{})
		require.NoError(t, p.Parse([]byte("["+f.live+","+f.live+"]"), w))
		require.Len(t, r.Events, 2, "passed on")
		got := watchedSymbol(t, w, symbols, head.Stream, head.Symbol)
		require.Equal(t, got.Sequence != 0, got.Duplicates == 1)
		require.False(t, got.LastEvent.IsZero())
		require.Equal(t, got.LastEvent, w.Stats().LastEvent)
	})
}

func TestWatchConfigStreams(t *testing.T) {
	p, symbols := watching()
	var r fixture.Recorder
	w := tickstorm.NewWatch(&r, tickstorm.WatchConfig{Streams: []tickstorm.Stream{tickstorm.Quotes}})
	require.NoError(t, p.Parse([]byte("["+numbered("A", 1)+`,{"ev":"Q","sym":"A","q":2}]`), w))
	require.Len(t, r.Events, 2)
	_, ok := w.Symbol(tickstorm.Trades, symbols.ID("A"))
	require.False(t, ok)
	require.EqualValues(t, 2, watchedSymbol(t, w, symbols, tickstorm.Quotes, "A").Sequence)
}

// TestWatchUntracked: what has no number in the table is passed on and counted.
func TestWatchUntracked(t *testing.T) {
	p := parserAt(tickstorm.Stocks, began)
	p.SetSymbols(tickstorm.NewSymbols(1))
	var r fixture.Recorder
	w := tickstorm.NewWatch(&r, tickstorm.WatchConfig{})
	require.NoError(t, p.Parse([]byte("["+numbered("A", 1)+","+numbered("B", 1)+`,{"ev":"T","q":1},`+fixture.Status("connected", "")+`,{"ev":"ZZ"},7]`), w))
	require.Len(t, r.Events, 5)
	require.Len(t, r.Errors, 1)
	require.EqualValues(t, 2, w.Stats().Untracked)
	for _, s := range []tickstorm.Stream{0, tickstorm.Trades, tickstorm.Quotes, 200} {
		for _, id := range []uint32{0, 2, 1 << 31} {
			_, ok := w.Symbol(s, id)
			require.False(t, ok)
		}
	}
}

// TestWatchBackfilled: what comes late on purpose is no step back.
func TestWatchBackfilled(t *testing.T) {
	p, symbols := watching()
	w := tickstorm.NewWatch(nil, tickstorm.WatchConfig{})
	require.NoError(t, p.Parse([]byte("["+numbered("A", 10)+"]"), w))
	p.SetBackfilled(true)
	require.NoError(t, p.Parse([]byte("["+numbered("A", 5)+"]"), w))
	require.EqualValues(t, 10, watchedSymbol(t, w, symbols, tickstorm.Trades, "A").Sequence)
	require.Zero(t, w.Stats().Regressions)
}

func names(of iter.Seq[tickstorm.SymbolWatch]) string {
	var list []string
	for s := range of {
		list = append(list, s.Symbol)
	}
	return strings.Join(list, " ")
}

// TestWatchPast: what a relay sends of the past is none either, and is passed on.
func TestWatchPast(t *testing.T) {
	p, symbols := watching()
	d := new(diary)
	w := tickstorm.NewWatch(d, tickstorm.WatchConfig{})
	require.NoError(t, p.Parse([]byte("["+numbered("A", 7)+"]"), w))
	p.SetReceived(began.Add(time.Minute).UnixNano())
	require.NoError(t, p.Parse([]byte("["+fixture.Status("history_begin", "from=1 topics=T.*")+","+numbered("A", 6)+","+numbered("A", 7)+","+
		numbered("B", 1)+","+fixture.Status("history_end", "to=2 events=3 next=live")+"]"), w))
	require.NoError(t, p.Parse([]byte("["+numbered("A", 8)+"]"), w)) // of the same read
	require.Equal(t, "A, A, A, B, A", d.text())
	require.Zero(t, w.Stats().Regressions)
	require.Zero(t, w.Stats().Duplicates)
	require.EqualValues(t, 8, watchedSymbol(t, w, symbols, tickstorm.Trades, "A").Sequence)
	for s := range w.Symbols() {
		require.Equal(t, "A", s.Symbol)
	}
}

func TestWatchStale(t *testing.T) {
	p, _ := watching()
	w := tickstorm.NewWatch(nil, tickstorm.WatchConfig{})
	require.Zero(t, w.Stats())
	require.Empty(t, names(w.Stale(began, 0)))
	require.NoError(t, p.Parse([]byte("["+numbered("A", 1)+","+numbered("B", 1)+"]"), w))
	p.SetReceived(began.Add(time.Minute).UnixNano())
	require.NoError(t, p.Parse([]byte("["+numbered("B", 2)+","+numbered("C", 1)+"]"), w))
	now := began.Add(90 * time.Second)
	require.Equal(t, "A B C", names(w.Symbols()))
	require.Equal(t, "A B C", names(w.Stale(now, 29*time.Second)))
	require.Equal(t, "A", names(w.Stale(now, 30*time.Second)))
	require.Empty(t, names(w.Stale(now, 90*time.Second)))
	require.True(t, w.Stats().LastReceived.Equal(began.Add(time.Minute)))
	require.True(t, w.Stats().LastEvent.Equal(began))
	for range w.Stale(now, 0) {
		break // an iteration may end early
	}
}

// TestWatchMany: long messages and many symbols, more than a Watch takes at once.
func TestWatchMany(t *testing.T) {
	const symbols, rounds = 3000, 3
	p, table := watching()
	w := tickstorm.NewWatch(nil, tickstorm.WatchConfig{})
	for round := range rounds {
		var msg strings.Builder
		for i := range symbols {
			msg.WriteString("[,"[min(i, 1):min(i, 1)+1] + numbered(fmt.Sprint("S", i), rounds-round))
		}
		require.NoError(t, p.Parse([]byte(msg.String()+"]"), w))
	}
	n := 0
	for s := range w.Symbols() {
		require.EqualValues(t, rounds-1, s.Regressions)
		require.Equal(t, table.Symbol(uint32(n+1)), s.Symbol)
		n++
	}
	require.Equal(t, symbols, n)
	require.EqualValues(t, symbols*(rounds-1), w.Stats().Regressions)
}

// ableHandler has every optional ability.
type ableHandler struct {
	tickstorm.NopHandler
	decode      bool
	bytes, ends int
}

func (h *ableHandler) OnRaw(msg []byte, _ int64) bool {
	h.bytes += len(msg)
	return h.decode
}

func (h *ableHandler) OnMessageEnd() { h.ends++ }

// TestWatchAbilities: the optional abilities of the other handler work behind a Watch.
func TestWatchAbilities(t *testing.T) {
	for _, decode := range []bool{true, false} {
		p, _ := watching()
		h := &ableHandler{decode: decode}
		w := tickstorm.NewWatch(h, tickstorm.WatchConfig{})
		msg := "[" + numbered("A", 1) + "]"
		require.NoError(t, p.Parse([]byte(msg), w))
		require.Equal(t, len(msg), h.bytes)
		require.Equal(t, 1, h.ends)
		require.Equal(t, decode, names(w.Symbols()) == "A")
	}
}

// toldHandler writes down what it is told besides events.
type toldHandler struct {
	tickstorm.NopHandler
	state *tickstorm.StateChange
	gap   *tickstorm.Gap
	drops uint64
}

func (h *toldHandler) OnState(s *tickstorm.StateChange) { h.state = s }
func (h *toldHandler) OnGap(g *tickstorm.Gap)           { h.gap = g }
func (h *toldHandler) OnDrop(d *tickstorm.Drop)         { h.drops += d.Count }

// TestWatchTells: so do those by which a Client and a Queue tell what happened, also from
// a Watch behind another, and nothing happens where the handler has none.
func TestWatchTells(t *testing.T) {
	var told toldHandler
	state, gap := new(tickstorm.StateChange), new(tickstorm.Gap)
	var h tickstorm.Handler = tickstorm.NewWatch(tickstorm.NewWatch(&told, tickstorm.WatchConfig{}), tickstorm.WatchConfig{})
	h.(tickstorm.StateHandler).OnState(state)
	h.(tickstorm.GapHandler).OnGap(gap)
	require.Same(t, state, told.state)
	require.Same(t, gap, told.gap)

	q := newQueue(t, tickstorm.QueueConfig{Bytes: 1 << 10, Overflow: tickstorm.OverflowDropNewest}, h)
	for range 100 {
		q.OnRaw(oneTrade, 1)
	}
	drainQueue(t, q)
	require.Positive(t, told.drops)
	require.Equal(t, q.Stats().Dropped, told.drops)

	nobody := tickstorm.NewWatch(nil, tickstorm.WatchConfig{})
	require.NotPanics(t, func() {
		nobody.OnState(state)
		nobody.OnGap(gap)
		nobody.OnDrop(new(tickstorm.Drop))
	})
}

// TestWatchBehindQueue: being watched does not make a handler one that wants messages as
// they came, whose events a queue would neither conflate nor deal out.
func TestWatchBehindQueue(t *testing.T) {
	msg := []byte(`[{"ev":"Q","sym":"A","q":1},{"ev":"Q","sym":"A","q":2}]`)
	for _, tc := range []struct {
		name      string
		h         tickstorm.Handler
		conflated uint64
	}{
		{"events", &fixture.Recorder{}, 1},
		{"another Watch", tickstorm.NewWatch(&fixture.Recorder{}, tickstorm.WatchConfig{}), 1},
		{"messages", &ableHandler{decode: true}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := tickstorm.NewWatch(tc.h, tickstorm.WatchConfig{})
			q := newQueue(t, tickstorm.QueueConfig{Overflow: tickstorm.OverflowConflate}, w)
			q.OnRaw(msg, 7)
			drainQueue(t, q)
			require.Equal(t, tc.conflated, q.Stats().Conflated)
			require.Equal(t, "A", names(w.Symbols()), "seen at the end of the batch")
			require.EqualValues(t, 7, w.Stats().LastReceived.UnixNano())
		})
	}
}

// TestWatchConsumers: several consumers write into one Watch, each in front of its own
// handler, or all of the same.
func TestWatchConsumers(t *testing.T) {
	const symbols, each = 40, 50
	for _, sharded := range []bool{true, false} {
		t.Run(fmt.Sprint(sharded), func(t *testing.T) {
			own := &serials{t: t}
			w := tickstorm.NewWatch(nil, tickstorm.WatchConfig{Streams: []tickstorm.Stream{tickstorm.Trades}})
			if sharded {
				w = tickstorm.NewWatch(own, tickstorm.WatchConfig{Streams: []tickstorm.Stream{tickstorm.Trades}})
			}
			q := newQueue(t, tickstorm.QueueConfig{Consumers: 4}, w)
			ran := make(chan error)
			go func() { ran <- q.Run(t.Context()) }()
			for serial := range each {
				var msg strings.Builder
				for i := range symbols {
					fmt.Fprintf(&msg, `,{"ev":"T","sym":"S%d","q":%d},{"ev":"Q","sym":"S%d"}`, i, serial/2, i)
				}
				q.OnRaw([]byte("["+msg.String()[1:]+"]"), int64(serial+1))
			}
			q.Close()
			require.NoError(t, <-ran)
			n := 0
			for s := range w.Symbols() {
				n++
				require.EqualValues(t, each/2, s.Duplicates)
				require.EqualValues(t, (each-1)/2, s.Sequence)
			}
			require.Equal(t, symbols, n, "of the stream that is watched")
			require.EqualValues(t, symbols*each/2, w.Stats().Duplicates)
			require.Zero(t, w.Stats().Regressions)
			require.EqualValues(t, each, w.Stats().LastReceived.UnixNano())
			if sharded {
				require.Len(t, own.of, 4)
				seen := 0
				for _, part := range own.of {
					seen += len(part.seen)
				}
				require.Equal(t, symbols, seen, "each symbol on one consumer")
			}
		})
	}
}

// TestWatchPastConsumers: what a relay sends of the past leaves no trace behind several consumers either, of which one
// alone is told statuses, neither in a Watch nor in the lag; what is live behind it does, if it was read with it too.
// Nor does it where the status before it was dropped.
func TestWatchPastConsumers(t *testing.T) {
	const symbols = 40
	events := func(name string, at time.Time) string {
		var msg strings.Builder
		for i := range symbols {
			fmt.Fprintf(&msg, `,{"ev":"T","sym":"%s%d","q":%d,"t":%d}`, name, i, i+1, at.UnixMilli())
		}
		return msg.String()
	}
	for _, consumers := range []int{1, 2, 4} {
		for _, kind := range []string{"snapshot", "history"} {
			w := tickstorm.NewWatch(nil, tickstorm.WatchConfig{})
			q := newQueue(t, tickstorm.QueueConfig{Consumers: consumers}, w)
			piece := "[" + fixture.Status(kind+"_begin", "topics=T.*") + events("P", began.Add(-time.Hour)) + "," + fixture.Status(kind+"_end", "events=40") + "]"
			q.OnRaw([]byte(piece), began.UnixNano())
			q.OnRaw([]byte(piece), began.UnixNano())
			q.OnRaw([]byte("["+events("L", began)[1:]+"]"), began.UnixNano()) // of the same read
			q.OnRaw([]byte(piece), began.Add(time.Second).UnixNano())
			drainQueue(t, q)
			require.EqualValues(t, 4*symbols, q.ParserStats().Events[tickstorm.KindTrade], "it is passed on")
			require.Len(t, slices.Collect(w.Symbols()), symbols)
			for s := range w.Symbols() {
				require.True(t, strings.HasPrefix(s.Symbol, "L"), s.Symbol)
			}
			require.Zero(t, w.Stats().Duplicates)
			require.True(t, w.Stats().LastReceived.Equal(began))
			lag := q.ParserStats().Lag
			require.NotZero(t, lag.Count())
			require.Less(t, lag.Quantile(1), time.Minute)
		}
	}
}

// TestWatchPastDropped: the status before the past is the oldest there is, and the first to be dropped.
func TestWatchPastDropped(t *testing.T) {
	w := tickstorm.NewWatch(nil, tickstorm.WatchConfig{})
	q := newQueue(t, tickstorm.QueueConfig{Bytes: 4 << 10, Overflow: tickstorm.OverflowDropOldest}, w)
	var msg strings.Builder
	for i := range 100 {
		fmt.Fprintf(&msg, `,{"ev":"T","sym":"P%d","q":1,"t":%d}`, i, began.Add(-time.Hour).UnixMilli())
	}
	q.OnRaw([]byte("["+fixture.Status("history_begin", "topics=T.*")+msg.String()+"]"), began.UnixNano())
	drainQueue(t, q)
	require.NotZero(t, q.Stats().Dropped)
	require.NotZero(t, q.ParserStats().Events[tickstorm.KindTrade])
	require.Zero(t, q.ParserStats().Events[tickstorm.KindStatus])
	require.Empty(t, slices.Collect(w.Symbols()))
	require.Zero(t, q.ParserStats().Lag.Count())
}

// TestWatchFromHandler: the other handler may ask while it runs, and others at any time.
func TestWatchFromHandler(t *testing.T) {
	p, _ := watching()
	var w *tickstorm.Watch
	calls := 0
	w = tickstorm.NewWatch(visitor(func(tickstorm.Event) {
		calls++
		require.EqualValues(t, max(0, calls-2), w.Stats().Duplicates, "as of the last message")
		for range w.Symbols() {
		}
	}), tickstorm.WatchConfig{})
	done, asked := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(asked)
		for {
			names(w.Stale(began, 0))
			_ = w.Stats()
			select {
			case <-done:
				return
			default:
			}
		}
	}()
	for range 100 {
		require.NoError(t, p.Parse([]byte("["+numbered("A", 1)+"]"), w))
	}
	close(done)
	<-asked
	require.Equal(t, 100, calls)
}

func BenchmarkWatch(b *testing.B) {
	p := parserAt(tickstorm.Stocks, began)
	var msg strings.Builder
	for i := range 100 {
		msg.WriteString("[,"[min(i, 1):min(i, 1)+1] + numbered(fmt.Sprint("S", i), i))
	}
	text := []byte(msg.String() + "]")
	for _, bm := range []struct {
		name string
		h    tickstorm.Handler
	}{{"without", tickstorm.NopHandler{}}, {"with", tickstorm.NewWatch(nil, tickstorm.WatchConfig{})}} {
		b.Run(bm.name, func(b *testing.B) {
			for b.Loop() {
				_ = p.Parse(text, bm.h)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(100*b.N), "ns/event")
		})
	}
}

// TestWatchPassesOn: the other handler is told of all that it would be told of without a Watch.
func TestWatchPassesOn(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		h := newStuck()
		drops := &dropped{stuck: h}
		c := simClientWith(t, server, tickstorm.NewWatch(drops, tickstorm.WatchConfig{}), smallQueue(tickstorm.OverflowDropNewest))
		require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, tickstorm.All))
		running := fixture.Runs(t.Context(), c)
		fixture.Settled(t, server, 1, 1)
		for i := range 300 {
			server.Broadcast([]byte("[" + fixture.Trade(fmt.Sprint("S", i)) + "]"))
		}
		<-h.entered
		synctest.Wait()
		close(h.release)
		synctest.Wait()
		server.Conns()[0].Cut()
		fixture.Settled(t, server, 2, 1)
		server.Broadcast([]byte("[" + fixture.Trade("LAST") + "]"))
		synctest.Wait()
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
		require.NotZero(t, drops.count)
		require.Len(t, h.gaps, 1)
		require.Equal(t, "closed", h.lines[len(h.lines)-1])
	})
}

type dropped struct {
	*stuck
	count uint64
}

func (d *dropped) OnDrop(drop *tickstorm.Drop) { d.count += drop.Count }

// TestWatchQueue: a Watch does not keep a queue from conflating, and knows when each event
// came that has waited.
func TestWatchQueue(t *testing.T) {
	symbols := tickstorm.NewSymbols(0)
	w := tickstorm.NewWatch(nil, tickstorm.WatchConfig{})
	q, err := tickstorm.NewQueue(tickstorm.Config{
		Market: tickstorm.Stocks, Symbols: symbols, Queue: tickstorm.QueueConfig{Overflow: tickstorm.OverflowConflate},
	}, w)
	require.NoError(t, err)
	q.OnRaw([]byte(`[{"ev":"Q","sym":"A","bp":1},{"ev":"Q","sym":"A","bp":2}]`), began.UnixNano())
	q.OnRaw([]byte(`[{"ev":"Q","sym":"B","bp":1}]`), began.Add(time.Minute).UnixNano())
	q.Close()
	require.NoError(t, q.Run(t.Context()))
	require.EqualValues(t, 1, q.Stats().Conflated)
	for symbol, received := range map[string]time.Time{"A": began, "B": began.Add(time.Minute)} {
		require.True(t, watchedSymbol(t, w, symbols, tickstorm.Quotes, symbol).LastReceived.Equal(received), symbol)
	}
}
