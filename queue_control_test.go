package tickstorm_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
)

// slowCounter counts the trades that are handled, and how many handlers run at once.
type slowCounter struct {
	tickstorm.NopHandler
	running, handled *atomic.Int64
}

func (h slowCounter) OnTrade(e *tickstorm.Trade) {
	h.running.Add(1)
	time.Sleep(time.Duration(e.Sequence%7) * time.Millisecond)
	h.handled.Add(1)
	h.running.Add(-1)
}

// TestQueueControl: a control runs once, after all that was queued before it and before all
// that came later, while no consumer handles anything.
func TestQueueControl(t *testing.T) {
	for _, consumers := range []int{1, 2, 5} {
		for _, policy := range policies {
			t.Run(fmt.Sprint(consumers, " ", policy), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := slowCounter{running: new(atomic.Int64), handled: new(atomic.Int64)}
					q := newQueue(t, tickstorm.QueueConfig{Consumers: consumers, Bytes: 64 << 10, Overflow: policy}, h)
					ran := make(chan error, 1)
					go func() { ran <- q.Run(t.Context()) }()
					controls := 0
					for i := range 20 {
						for serial := range 50 {
							q.OnRaw(fmt.Appendf(nil, `[{"ev":"T","sym":"S%d","q":%d}]`, serial%20, serial), 1)
						}
						before := q.Stats()
						require.True(t, q.Control(func(got tickstorm.Handler) {
							controls++
							require.Equal(t, h, got)
							require.Equal(t, i+1, controls, "in order")
							require.Zero(t, h.running.Load())
							require.Equal(t, int64(before.Enqueued-before.Dropped), h.handled.Load())
							time.Sleep(10 * time.Millisecond)
							require.Zero(t, h.running.Load(), "the others wait")
						}))
						time.Sleep(time.Duration(i%3) * 100 * time.Millisecond)
					}
					q.Close()
					require.NoError(t, <-ran)
					require.Equal(t, 20, controls)
					require.Zero(t, q.Stats().Dropped)
					require.False(t, q.Control(func(tickstorm.Handler) { t.Error("after Close") }))
				})
			})
		}
	}
}

// TestQueueControlIsKept: no policy drops a control, wherever what stood before it has gone.
func TestQueueControlIsKept(t *testing.T) {
	for _, policy := range policies[1:] {
		h := newLedger()
		q := newQueue(t, tickstorm.QueueConfig{Bytes: 1 << 10, Overflow: policy}, h)
		controls := 0
		for serial := range int64(300) {
			q.OnRaw([]byte("["+serialEvent([...]string{"T", "Q"}[serial%2], "A", serial, 20)+"]"), serial)
			require.True(t, q.Control(func(tickstorm.Handler) {
				controls++
				for got := range h.got {
					require.LessOrEqual(t, got, serial, "came later than the control")
				}
			}))
		}
		drainQueue(t, q)
		require.Equal(t, 300, controls, policy.String())
		require.Empty(t, h.wrong)
	}
}

// TestQueueControlAtTheEnd: consumers that wait for one that never comes go on when the
// queue is stopped, and the control is not run.
func TestQueueControlAtTheEnd(t *testing.T) {
	for _, before := range []bool{false, true} { // the control is there before the handler stands still
		synctest.Test(t, func(t *testing.T) {
			h := newStall()
			q := newQueue(t, tickstorm.QueueConfig{Consumers: 3}, h)
			ctx, cancel := context.WithCancel(t.Context())
			ran := make(chan error, 1)
			place := func() {
				require.True(t, q.Control(func(tickstorm.Handler) { t.Error("not all had come to it") }))
			}
			q.OnRaw(oneTrade, 1)
			if before {
				place()
			}
			go func() { ran <- q.Run(ctx) }()
			<-h.entered
			if !before {
				place()
			}
			synctest.Wait()
			cancel()
			synctest.Wait()
			close(h.gate)
			require.ErrorIs(t, <-ran, context.Canceled)
		})
	}
}

// TestQueueSetHandler: another handler takes over at a batch's end, one that wants messages
// as they came too.
func TestQueueSetHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var first fixture.Recorder
		second := &rawRecorder{}
		q := newQueue(t, tickstorm.QueueConfig{}, &first)
		ran := make(chan error, 1)
		go func() { ran <- q.Run(t.Context()) }()
		q.OnRaw(oneTrade, 1)
		synctest.Wait()
		q.SetHandler(second)
		q.OnRaw(oneTrade, 2)
		synctest.Wait()
		q.SetHandler(&first)
		q.OnRaw(oneTrade, 3)
		q.Close()
		require.NoError(t, <-ran)
		require.Len(t, first.Events, 2)
		require.Equal(t, []string{"2 " + string(oneTrade), "trade A", "end"}, second.calls)
	})
}

// TestQueueConcurrentUse: messages, controls and looks at the state from several goroutines.
func TestQueueConcurrentUse(t *testing.T) {
	for _, policy := range policies {
		t.Run(policy.String(), func(t *testing.T) {
			const each = 3000
			h := newLedger()
			q := newQueue(t, tickstorm.QueueConfig{Consumers: 2, Bytes: 16 << 10, Overflow: policy}, h)
			ran := make(chan error)
			go func() { ran <- q.Run(t.Context()) }()
			all, controls := sent{}, 0
			var feeders sync.WaitGroup
			for i, feed := range []func([]byte, int64){
				func(msg []byte, at int64) { q.OnRaw(msg, at) },
				func(msg []byte, at int64) { q.Push(msg, at) },
			} {
				messages := map[int64][]byte{}
				for n := range int64(each) {
					serial := 2*n + int64(i)
					symbol := fmt.Sprintf("%c%d", 'A'+i, n%9) // each feeder has its own, for their order
					all[serial] = fmt.Sprint(tickstorm.Trades, " ", symbol)
					messages[serial] = []byte("[" + serialEvent("T", symbol, serial, int(n%30)) + "]")
				}
				feeders.Go(func() {
					for n := range int64(each) {
						serial := 2*n + int64(i)
						feed(messages[serial], serial)
					}
				})
			}
			feeders.Go(func() {
				for range 100 {
					require.True(t, q.Control(func(tickstorm.Handler) { controls++ }))
					q.Stats()
					q.ParserStats()
				}
			})
			feeders.Wait()
			q.Close()
			require.NoError(t, <-ran)
			require.Equal(t, 100, controls)
			requireSerials(t, q, h, all)
			require.Equal(t, q.Stats().Delivered, q.ParserStats().Events[tickstorm.KindTrade])
		})
	}
}
