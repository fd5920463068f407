package bench_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/bench"
)

// The benchmarks of this file ask what a Queue costs: messages of 20 quotes of option contracts.

func newQueue(t testing.TB, h tickstorm.Handler, symbols *tickstorm.Symbols, policy tickstorm.Overflow) *tickstorm.Queue {
	t.Helper()
	q, err := tickstorm.NewQueue(tickstorm.Config{
		Market: tickstorm.Options, Symbols: symbols, Queue: tickstorm.QueueConfig{Bytes: 256 << 20, Overflow: policy},
	}, h)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// consumed runs a queue until the benchmark ends.
func consumed(t testing.TB, q *tickstorm.Queue) {
	done := make(chan error, 1)
	go func() { done <- q.Run(t.Context()) }()
	t.Cleanup(func() { <-done })
}

// drain waits until a queue has nothing left.
func drain(q *tickstorm.Queue) {
	for q.Stats().Events > 0 {
		time.Sleep(20 * time.Microsecond)
	}
}

func push(q *tickstorm.Queue, c *bench.Corpus) {
	for _, m := range c.Messages {
		q.OnRaw(m, 1)
	}
}

// BenchmarkFeed is the feeding side of a queue over n contracts, while a consumer runs on another
// processor.
func BenchmarkFeed(b *testing.B) {
	for _, policy := range []tickstorm.Overflow{tickstorm.OverflowBlock, tickstorm.OverflowConflate} {
		for _, n := range sizes {
			b.Run(fmt.Sprintf("%v/%d", policy, n), func(b *testing.B) {
				c := options(b, "Q", n, "uniform")
				f := &folder{}
				q := newQueue(b, f, interned(n), policy)
				consumed(b, q)
				push(q, c)
				drain(q)
				passes, before := 0, mallocs()
				var took time.Duration
				for b.Loop() {
					start := time.Now()
					push(q, c)
					took += time.Since(start)
					passes++
					drain(q)
				}
				report(b, float64(passes*c.Events), float64(passes*c.Bytes), took, mallocs()-before)
			})
		}
	}
}

// BenchmarkFeedRatio puts a queue's parts next to what they are made of, in turns.
//
//   - scan: feed/scan is the time of feeding a queue that nobody empties meanwhile, over that of
//     a Splitter's walk over the same messages.
//   - through: through/inline is the time until a queue's one consumer has handled all, over that
//     of decoding and handling them at once.
//   - conflate: large/small is the time of feeding a conflating queue that nobody empties
//     meanwhile over a million contracts, over that over a thousand.
func BenchmarkFeedRatio(b *testing.B) {
	perSecond := func(c *bench.Corpus, start time.Time) (float64, error) {
		return float64(c.Events) / time.Since(start).Seconds(), nil
	}
	// fed returns a side that feeds a queue. It is emptied when its turn is over.
	fed := func(b *testing.B, c *bench.Corpus, n int, policy tickstorm.Overflow) func(int) (float64, error) {
		symbols := interned(n)
		return func(int) (float64, error) {
			q := newQueue(b, &folder{}, symbols, policy)
			push(q, c) // touches its memory
			q.OnRaw([]byte("[]"), 1)
			full := q.Stats()
			start := time.Now()
			push(q, c)
			rate, err := perSecond(c, start)
			if full.Dropped != 0 || q.Stats().Dropped != 0 {
				b.Fatal("dropped", q.Stats())
			}
			return rate, err
		}
	}
	contest := func(b *testing.B, slow, quick func(int) (float64, error), unit string) {
		c := &bench.Contest{Sides: []func(int) (float64, error){slow, quick}}
		compete(b, c)
		b.ReportMetric(c.Ratio(1, 0), unit)
		b.ReportMetric(1e9/c.Rate(0), "ns/event")
		b.ReportMetric(1e9/c.Rate(1), "ns/event-base")
	}
	small := options(b, "Q", sizes[0], "uniform")
	b.Run("scan", func(b *testing.B) {
		s := tickstorm.NewSplitter(tickstorm.Options)
		contest(b, fed(b, small, sizes[0], tickstorm.OverflowBlock), func(int) (float64, error) {
			start, events := time.Now(), 0
			for _, m := range small.Messages {
				for s.Reset(m); s.Next(); events++ {
				}
			}
			if events != small.Events {
				b.Fatal("events", events)
			}
			return perSecond(small, start)
		}, "feed/scan")
	})
	b.Run("through", func(b *testing.B) {
		symbols := interned(sizes[0])
		q := newQueue(b, &folder{}, symbols, tickstorm.OverflowBlock)
		consumed(b, q)
		p, f := tickstorm.NewParser(tickstorm.Options), &folder{}
		p.SetSymbols(symbols)
		contest(b, func(int) (float64, error) {
			start := time.Now()
			push(q, small)
			drain(q)
			return perSecond(small, start)
		}, func(int) (float64, error) {
			start := time.Now()
			pass(b, p, small, f)
			return perSecond(small, start)
		}, "through/inline")
	})
	b.Run("conflate", func(b *testing.B) {
		const million = 1_000_000
		contest(b, fed(b, options(b, "Q", million, "uniform"), million, tickstorm.OverflowConflate),
			fed(b, small, sizes[0], tickstorm.OverflowConflate), "large/small")
	})
}
