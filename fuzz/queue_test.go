package fuzz

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// FuzzQueue handles the same messages inline and behind a queue: events, errors and counts
// must be the same, in the same order; with several consumers, in that of each symbol. In a
// queue that conflates or overflows, all must be accounted for.
func FuzzQueue(f *testing.F) {
	for i, name := range sim.Corpora() {
		messages, err := sim.Corpus(name, 40, int64(i))
		require.NoError(f, err)
		for _, m := range messages {
			f.Add(name, m)
			f.Add(name, bytes.ReplaceAll(m, []byte(`:`), []byte(" : ")))
		}
		for _, m := range append(append(oddMessages, splitMessages...), spacedMessages...) {
			f.Add(name, []byte(m))
		}
	}
	f.Fuzz(func(t *testing.T, corpus string, message []byte) {
		market := tickstorm.Stocks
		for _, name := range sim.Corpora() {
			if name == corpus {
				market = sim.CorpusMarket(name)
			}
		}
		if len(message) > 16<<10 {
			return
		}
		inline := func() (everything, tickstorm.Stats) {
			var l everything
			p := tickstorm.NewParser(market)
			p.SetSymbols(tickstorm.NewSymbols(3))
			for i := range 2 {
				p.SetReceived(int64(i))
				switch err := p.Parse(message, &l); err {
				case nil, tickstorm.ErrTruncated:
				case tickstorm.ErrUTF8:
					return l, tickstorm.Stats{} // does not come to a queue
				default:
					l.errs = append(l.errs, err.Error()+" "+string(message))
				}
			}
			return l, p.Stats()
		}
		queue := func(h tickstorm.Handler, cfg tickstorm.QueueConfig) *tickstorm.Queue {
			q, err := tickstorm.NewQueue(tickstorm.Config{Market: market, Symbols: tickstorm.NewSymbols(3), Queue: cfg}, h)
			require.NoError(t, err)
			p := tickstorm.NewParser(market)
			for i := range 2 {
				p.SetReceived(int64(i))
				_ = p.Parse(message, q)
			}
			q.Close()
			require.NoError(t, q.Run(t.Context()))
			st := q.Stats()
			require.Equal(t, st.Enqueued, st.Delivered+st.Dropped+st.Conflated)
			return q
		}
		queued := func(cfg tickstorm.QueueConfig) (everything, *tickstorm.Queue) {
			var l everything
			q := queue(&l, cfg)
			return l, q
		}

		want, wantStats := inline()
		got, q := queued(tickstorm.QueueConfig{Bytes: 512 << 10})
		gotStats := q.ParserStats()
		gotStats.Latency, wantStats.Latency = tickstorm.Latency{}, tickstorm.Latency{} // what is sampled differs
		wantStats.Fast, wantStats.Strange, gotStats.Fast, gotStats.Strange = 0, 0, 0, 0
		require.Equal(t, want, got)
		require.Equal(t, wantStats, gotStats)

		got, q = queued(tickstorm.QueueConfig{Bytes: 512 << 10, Overflow: tickstorm.OverflowConflate})
		require.Zero(t, q.Stats().Dropped)
		if q.Stats().Conflated == 0 {
			require.Equal(t, want, got)
		}
		dealt := dealt{handlers: []*everything{{}, {}, {}}}
		queue(dealt, tickstorm.QueueConfig{Bytes: 3 * 512 << 10, Consumers: len(dealt.handlers)})
		require.Equal(t, bySymbol(&want), bySymbol(dealt.handlers...))

		queued(tickstorm.QueueConfig{Bytes: 1 << 10, Overflow: tickstorm.OverflowConflate})
		queued(tickstorm.QueueConfig{Bytes: 1 << 10, Overflow: tickstorm.OverflowDropOldest})
	})
}

// dealt has a handler for each of a queue's consumers.
type dealt struct {
	tickstorm.NopHandler
	handlers []*everything
}

func (d dealt) Shard(i, _ int) tickstorm.Handler { return d.handlers[i] }

// bySymbol lists what handlers were given, apart by symbol, and in the order of each. Numbers of
// symbols, which they get as they come, are left out, and so is the order of errors.
func bySymbol(handlers ...*everything) map[string]everything {
	all := map[string]everything{}
	for _, l := range handlers {
		for _, e := range l.events {
			h := e.Head()
			h.SymbolID = 0
			of := all[h.Symbol]
			of.events = append(of.events, e)
			all[h.Symbol] = of
		}
		of := all[""]
		of.errs = append(of.errs, l.errs...)
		slices.Sort(of.errs)
		all[""] = of
	}
	return all
}

// splitMessages are hard to split, or have their symbols in odd places.
var splitMessages = []string{
	``, `[]`, `[,]`, `[{}]`, `{"ev":"T"}`, `[{"ev":"T","sym":"A"}]]`, `[{"ev":"T","sym":"A"},`, `[{"ev":"T","sym":"A},{"ev":"T"}]`,
	`[{"ev":"T","sym":"A"]},{"ev":"T","sym":"B"}]`, `[{"ev":"T","sym":"A","x":"},{\"ev\":"}]`, `[{"ev":"T","sym":"}]"},{"ev":"T","sym":"[{"}]`,
	`[{"ev":"LULD","h":1,"x":{"T":"B"},"T":"A"},{"ev":"V","val":1,"T":"I:A"},{"ev":"FMV","fmv":1,"sym":"_y"}]`,
	`[{"ev":"status","status":"success","message":"x"},{"ev":"Q","sym":"A"},{"ev":"Q","sym":"A"}] `,
}
