package fanout_test

import (
	"testing"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/bench"
	"github.com/tickstorm/tickstorm/internal/fanout"
)

// BenchmarkKeep is what it costs to keep what late joiners may ask for, beside the way of messages
// to one client that wants all trades: ns/event of a hub that keeps nothing, and what snapshots,
// a history and both add to it.
func BenchmarkKeep(b *testing.B) {
	for _, corpus := range []string{"stocks1", "stocks20", "options20"} {
		b.Run(corpus, func(b *testing.B) {
			c, err := bench.Load(corpus)
			if err != nil {
				b.Fatal(err)
			}
			var sides []func(int) (float64, error)
			var hubs []*fanout.Hub
			for _, cfg := range []fanout.Config{
				{}, {Snapshots: 256 << 20}, {History: 64 << 20}, {Snapshots: 256 << 20, History: 64 << 20},
			} {
				cfg.Market = c.Market
				h := fanout.New(cfg)
				hubs = append(hubs, h)
				o := h.Inert(fanout.OutletConfig{Bytes: 64 << 20, Overflow: tickstorm.OverflowDropOldest})
				o.Subscribe(tickstorm.Topic{Channel: "T", Symbol: tickstorm.All})
				var batch fanout.Batch
				sides = append(sides, func(int) (float64, error) {
					var took time.Duration
					for i, m := range c.Messages {
						start := time.Now()
						h.Message(m, int64(i))
						took += time.Since(start)
						if i%part == 0 {
							o.Drain(&batch)
						}
					}
					return float64(c.Events) / took.Seconds(), nil
				})
			}
			contest := &bench.Contest{Sides: sides}
			for range 3 { // whose memory grows
				if err := contest.Round(); err != nil {
					b.Fatal(err)
				}
			}
			before, rounds := mallocs(), 0
			for b.Loop() {
				if err := contest.Round(); err != nil {
					b.Fatal(err)
				}
				rounds++
			}
			allocs := mallocs() - before
			nothing := 1e9 / contest.Rate(0)
			b.ReportMetric(nothing, "ns/event")
			b.ReportMetric(1e9/contest.Rate(1)-nothing, "ns/snapshots")
			b.ReportMetric(1e9/contest.Rate(2)-nothing, "ns/history")
			b.ReportMetric(1e9/contest.Rate(3)-nothing, "ns/both")
			b.ReportMetric(float64(allocs)/float64(rounds)/float64(len(sides)*c.Events), "allocs/event")
			b.ReportMetric(float64(hubs[1].Stats().Snapshots.Bytes)/float64(max(1, hubs[1].Stats().Snapshots.Symbols)), "B/symbol")
			b.ReportMetric(0, "ns/op")
		})
	}
}
