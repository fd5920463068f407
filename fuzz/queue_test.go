package fuzz

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// FuzzQueue handles the same messages inline and behind a queue: events, errors and counts
// must be the same, in the same order. In a queue that conflates or overflows, all must be
// accounted for.
func FuzzQueue(f *testing.F) {
	for i, name := range sim.Corpora() {
		messages, err := sim.Corpus(name, 40, int64(i))
		require.NoError(f, err)
		for _, m := range messages {
			f.Add(name, m)
		}
		for _, m := range append(oddMessages, splitMessages...) {
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
		queued := func(cfg tickstorm.QueueConfig) (everything, *tickstorm.Queue) {
			var l everything
			q, err := tickstorm.NewQueue(tickstorm.Config{Market: market, Symbols: tickstorm.NewSymbols(3), Queue: cfg}, &l)
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
		queued(tickstorm.QueueConfig{Bytes: 1 << 10, Overflow: tickstorm.OverflowConflate})
		queued(tickstorm.QueueConfig{Bytes: 1 << 10, Overflow: tickstorm.OverflowDropOldest})
	})
}

// splitMessages are hard to split, or have their symbols in odd places.
var splitMessages = []string{
	``, `[]`, `[,]`, `[{}]`, `{"ev":"T"}`, `[{"ev":"T","sym":"A"}]]`, `[{"ev":"T","sym":"A"},`, `[{"ev":"T","sym":"A},{"ev":"T"}]`,
	`[{"ev":"T","sym":"A"]},{"ev":"T","sym":"B"}]`, `[{"ev":"T","sym":"A","x":"},{\"ev\":"}]`, `[{"ev":"T","sym":"}]"},{"ev":"T","sym":"[{"}]`,
	`[{"ev":"LULD","h":1,"x":{"T":"B"},"T":"A"},{"ev":"V","val":1,"T":"I:A"},{"ev":"FMV","fmv":1,"sym":"_y"}]`,
	`[{"ev":"status","status":"success","message":"x"},{"ev":"Q","sym":"A"},{"ev":"Q","sym":"A"}] `,
}
