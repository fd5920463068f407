package tickstorm_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// The waits are random. What is required of them either holds for every number that can
// be drawn, or fails about once in 2^40 runs.

func TestClientBackoffGrows(t *testing.T) {
	for _, tc := range []struct {
		name     string
		backoff  tickstorm.Backoff
		min, max time.Duration
	}{
		{"default", tickstorm.Backoff{}, 500 * time.Millisecond, 30 * time.Second},
		{"own", tickstorm.Backoff{Min: time.Second, Max: time.Hour}, time.Second, time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const attempts = 60
				ctx, cancel := context.WithCancel(t.Context())
				var at []time.Time
				cfg := dialConfig("ws://host")
				cfg.Backoff = tc.backoff
				cfg.NetDial = func(context.Context, string, string) (net.Conn, error) {
					if at = append(at, time.Now()); len(at) == attempts {
						cancel()
					}
					return nil, errors.New("refused")
				}
				require.ErrorIs(t, newClient(t, cfg, nil).Run(ctx), context.Canceled)
				require.Len(t, at, attempts)
				var longest time.Duration
				bound := tc.min
				for i := 1; i < attempts; i++ {
					wait := at[i].Sub(at[i-1])
					require.Positive(t, wait)
					require.LessOrEqual(t, wait, bound, "attempt %d", i)
					longest = max(longest, wait)
					bound = min(2*bound, tc.max)
				}
				require.Greater(t, longest, tc.max/2)
			})
		})
	}
}

// TestClientBackoffReset: only a connection that has streamed for a while proves that
// all is well again.
func TestClientBackoffReset(t *testing.T) {
	for _, tc := range []struct {
		name   string
		lasts  time.Duration
		resets bool
	}{
		{"at once", 0, false},
		{"nearly healthy", 10*time.Second - 1, false},
		{"healthy", 10 * time.Second, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const refusals, connections = 10, 40
				ctx, cancel := context.WithCancel(t.Context())
				var ended time.Time
				var waits []time.Duration
				dials := 0
				cfg := dialConfig("ws://host")
				cfg.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					if dials++; dials <= refusals {
						return nil, errors.New("refused")
					}
					if !ended.IsZero() {
						waits = append(waits, time.Since(ended))
					}
					if len(waits) == connections {
						cancel()
						return nil, ctx.Err()
					}
					return pipeTo(func(nc net.Conn) {
						_, answer, err := accept(nc)
						if err != nil {
							return
						}
						_, _ = nc.Write(append(answer, welcome()...))
						go swallow(nc)
						time.Sleep(tc.lasts)
						ended = time.Now()
					})(ctx, network, addr)
				}
				require.ErrorIs(t, newClient(t, cfg, nil).Run(ctx), context.Canceled)
				require.Len(t, waits, connections)
				longest := time.Duration(0)
				for _, wait := range waits {
					longest = max(longest, wait)
				}
				if tc.resets {
					require.LessOrEqual(t, longest, 500*time.Millisecond)
				} else {
					require.Greater(t, longest, 10*time.Second)
				}
			})
		})
	}
}

// TestClientMaxConnections: two programs with one key must not evict each other in turn.
func TestClientMaxConnections(t *testing.T) {
	for _, tc := range []struct {
		name  string
		limit time.Duration // of the Config
		wait  time.Duration
	}{{"default", 0, time.Minute}, {"own", time.Hour, time.Hour}} {
		for _, eviction := range []sim.Eviction{sim.EvictNewcomer, sim.EvictOlder} {
			t.Run(tc.name+map[sim.Eviction]string{sim.EvictNewcomer: ", newcomer", sim.EvictOlder: ", older"}[eviction], func(t *testing.T) {
				inBubble(t, sim.Config{Quiet: true, Eviction: eviction}, func(t *testing.T, server *sim.Server) {
					cfg := server.ClientConfig(tickstorm.Stocks)
					cfg.Backoff.MaxConnections = tc.limit
					c := newClient(t, cfg, nil)
					require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A"))
					var running <-chan error
					var rival *tickstorm.Conn
					if eviction == sim.EvictOlder {
						running = runs(t.Context(), c)
						settled(t, server, 1, 1)
						rival = dialSim(t, server, nil)
					} else {
						rival = dialSim(t, server, nil)
						running = runs(t.Context(), c)
					}
					require.NoError(t, server.Await(t.Context(), func(s sim.Stats) bool { return s.Evicted == 1 }))
					start := time.Now()
					rivalRuns := runs(t.Context(), rival)
					synctest.Wait()
					require.NoError(t, rival.Close())
					require.NoError(t, <-rivalRuns)
					settled(t, server, 3, 1)
					require.GreaterOrEqual(t, time.Since(start), tc.wait)
					require.NoError(t, c.Close())
					require.NoError(t, <-running)
				})
			})
		}
	}
}
