//go:build !race && !tickstorm_poison

package tickstorm_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// TestQueueAllocs: neither side allocates for events, under any policy, with drops, conflation
// and compaction going on.
func TestQueueAllocs(t *testing.T) {
	messages, err := sim.Corpus("stocks20", 5000, 3)
	require.NoError(t, err)
	for _, policy := range policies {
		for _, consumers := range []int{1, 2} {
			for _, size := range []int{8 << 10, 16 << 20} {
				t.Run(fmt.Sprint(policy, " ", consumers, " ", size), func(t *testing.T) {
					q := newQueue(t, tickstorm.QueueConfig{Bytes: consumers * size, Consumers: consumers, Overflow: policy}, dropCounter{})
					ran := make(chan error)
					go func() { ran <- q.Run(t.Context()) }()
					done := make(chan struct{}, 1)
					tell := func(tickstorm.Handler) { done <- struct{}{} }
					round := func() {
						for i, m := range messages {
							q.OnRaw(m, int64(i/7))
						}
						q.Control(tell)
						<-done
					}
					round()
					round()
					// The runtime allocates as well, for waits of goroutines that meet others than
					// the last time: the least of some tries is what is the queue's.
					allocs := testing.AllocsPerRun(3, round)
					for try := 0; try < 20 && allocs > 5; try++ {
						allocs = min(allocs, testing.AllocsPerRun(1, round))
					}
					q.Close()
					require.NoError(t, <-ran)
					require.LessOrEqual(t, allocs, 5.0, "what a control costs")
				})
			}
		}
	}
	t.Run("producer alone", func(t *testing.T) {
		for _, policy := range policies[1:] {
			q := newQueue(t, tickstorm.QueueConfig{Bytes: 64 << 10, Overflow: policy}, nil)
			round := func() {
				for _, m := range messages[:100] {
					q.OnRaw(m, 1)
				}
			}
			round()
			require.Zero(t, testing.AllocsPerRun(100, round), policy)
		}
	})
}

type dropCounter struct{ tickstorm.NopHandler }

func (dropCounter) OnDrop(*tickstorm.Drop) {}
