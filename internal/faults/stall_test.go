package faults_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// TestFaultsStall: a handler that takes its time again and again, behind a queue of each
// policy. What it does not get is told.
func TestFaultsStall(t *testing.T) {
	const stalls, length = 3, 8 * time.Second
	for _, tc := range []struct {
		policy tickstorm.Overflow
		// patient is a server that waits for its reader, for longer than the stalls.
		patient bool
		kept    bool // the connection
		drops   bool
	}{
		{policy: tickstorm.OverflowBlock, patient: true, kept: true},
		{policy: tickstorm.OverflowBlock},
		{policy: tickstorm.OverflowDropNewest, kept: true, drops: true},
		{policy: tickstorm.OverflowDropOldest, kept: true, drops: true},
		{policy: tickstorm.OverflowConflate, kept: true, drops: true},
		{policy: tickstorm.OverflowDisconnect, drops: true},
	} {
		name := tc.policy.String()
		if tc.patient {
			name += ", patient server"
		}
		t.Run(name, func(t *testing.T) {
			holdsHeap(t)
			slow := time.Duration(0) // the server's default, 5 s
			if tc.patient {
				slow = time.Hour
			}
			fixture.InBubble(t, sim.Config{Numbered: true, Rate: 1000, SendBuffer: 64 << 10, SlowTimeout: slow}, func(t *testing.T, server *sim.Server) {
				cfg := server.ClientConfig(tickstorm.Stocks)
				var conn *tickstorm.Conn
				cfg.Queue = tickstorm.QueueConfig{Bytes: 64 << 10, Overflow: tc.policy, OnOverflow: func() { _ = conn.Close() }}
				audit := new(auditor)
				q, err := tickstorm.NewQueue(cfg, audit)
				require.NoError(t, err)
				audit.Conflated = func() uint64 { return q.Stats().Conflated }
				seen := 0
				audit.onCall = func() {
					if seen++; seen%2000 == 0 && seen <= stalls*2000 {
						time.Sleep(length)
					}
				}
				conn, err = tickstorm.Dial(t.Context(), cfg, q)
				require.NoError(t, err)
				handling := fixture.Runs(t.Context(), q)
				conn.Request(nil, fixture.Topics(t, "T.*,Q.*")...)
				running := fixture.Runs(t.Context(), conn)
				time.Sleep(time.Minute)

				if tc.kept {
					require.Empty(t, running, "the connection lasts")
					require.NoError(t, conn.UnsubscribeTopics(t.Context(), fixture.Topics(t, "T.*,Q.*")...))
					synctest.Wait()
					require.NoError(t, conn.Close())
				}
				err = <-running
				require.Equal(t, tc.kept || tc.policy == tickstorm.OverflowDisconnect, err == nil, "%v", err)
				q.Close()
				require.NoError(t, <-handling)

				report, stats := audit.Report(), q.Stats()
				require.NoError(t, report.Err())
				require.EqualValues(t, 1, report.First)
				if tc.kept { // what came last cannot have been dropped
					require.Equal(t, server.Stats().LastNumber, report.Last)
					require.EqualValues(t, report.Last, report.Events+report.Dropped+report.Conflated, "each number")
				}
				require.Equal(t, tc.drops, report.Drops > 0)
				require.Equal(t, tc.policy == tickstorm.OverflowConflate, report.Conflated > 0)
				require.Equal(t, stats.Dropped, report.Drops)
				require.LessOrEqual(t, stats.HighWater, stats.Capacity)
				if tc.policy == tickstorm.OverflowDisconnect {
					require.ErrorIs(t, q.Err(), tickstorm.ErrOverflow)
				}
				require.Equal(t, !tc.kept && tc.policy == tickstorm.OverflowBlock, server.Stats().Slow > 0, "cut off as a slow consumer")
			})
		})
	}
}

// TestFaultsStalledHandler: the same with a Client, which comes back from whatever the server
// made of it.
func TestFaultsStalledHandler(t *testing.T) {
	overQueues(t, func(t *testing.T, queue tickstorm.QueueConfig) {
		holdsHeap(t)
		fixture.InBubble(t, sim.Config{Numbered: true, Rate: 1000, SendBuffer: 64 << 10}, func(t *testing.T, server *sim.Server) {
			r := newRig(t, server, queue)
			seen := 0
			r.audit.onCall = func() {
				if seen++; seen%5000 == 0 && seen <= 15_000 {
					time.Sleep(20 * time.Second)
				}
			}
			r.start()
			for range 3 {
				r.flows(6000)
			}
			r.await("the handler to catch up", func() bool {
				return r.client.State() == tickstorm.StateStreaming && r.client.Stats().Queue.Events < 100
			})
			r.flows(50) // a gap is told before the first event behind it
			report := r.finish()
			require.EqualValues(t, r.client.Stats().Reconnects, report.Gaps)
			require.EqualValues(t, report.Last, report.Events+report.InGaps, "each number")
		})
	})
}
