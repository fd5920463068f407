package tickstorm_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// BenchmarkQueue measures events: decoded inline, put into a queue that is never emptied,
// and all the way through a queue.
func BenchmarkQueue(b *testing.B) {
	for _, name := range []string{"stocks1", "stocks20", "crypto"} {
		messages, err := sim.Corpus(name, 20_000, 3)
		require.NoError(b, err)
		market := sim.CorpusMarket(name)
		rounds := func(b *testing.B, feed func(msg []byte)) {
			for b.Loop() {
				for _, m := range messages {
					feed(m)
				}
			}
		}
		report := func(b *testing.B) {
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/20_000, "ns/event")
		}
		b.Run(name+"/inline", func(b *testing.B) {
			p := tickstorm.NewParser(market)
			rounds(b, func(m []byte) { _ = p.Parse(m, tickstorm.NopHandler{}) })
			report(b)
		})
		for _, policy := range policies {
			for _, consumers := range []int{1, 2} {
				cfg := tickstorm.Config{Market: market, Queue: tickstorm.QueueConfig{Consumers: consumers, Overflow: policy}}
				if policy != tickstorm.OverflowBlock && policy != tickstorm.OverflowDisconnect {
					b.Run(fmt.Sprintf("%s/feed/%v/%d", name, policy, consumers), func(b *testing.B) {
						cfg := cfg
						cfg.Queue.Bytes = 4 << 20
						q, err := tickstorm.NewQueue(cfg, nil)
						require.NoError(b, err)
						rounds(b, func(m []byte) { q.OnRaw(m, 1) })
						report(b)
					})
				}
				b.Run(fmt.Sprintf("%s/through/%v/%d", name, policy, consumers), func(b *testing.B) {
					q, err := tickstorm.NewQueue(cfg, tickstorm.NopHandler{})
					require.NoError(b, err)
					ran := make(chan error)
					go func() { ran <- q.Run(b.Context()) }()
					rounds(b, func(m []byte) { q.OnRaw(m, 1) })
					q.Close()
					require.NoError(b, <-ran)
					report(b)
					st := q.Stats()
					b.ReportMetric(100*float64(st.Delivered)/float64(st.Enqueued), "%delivered")
				})
			}
		}
	}
}
