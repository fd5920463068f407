package tickstorm_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/frame"
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

// TestClientMaxAttempts: a policy of the user's ends Run, unless a connection was healthy
// in between.
func TestClientMaxAttempts(t *testing.T) {
	refused := errors.New("refused")
	t.Run("all fail", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			cfg := dialConfig("ws://host")
			cfg.Backoff.MaxAttempts = 5
			dials := 0
			cfg.NetDial = func(context.Context, string, string) (net.Conn, error) {
				dials++
				return nil, refused
			}
			err := newClient(t, cfg, nil).Run(t.Context())
			var e *tickstorm.AttemptsError
			require.ErrorAs(t, err, &e)
			require.ErrorIs(t, err, refused)
			require.Equal(t, 5, e.Attempts)
			require.Equal(t, 5, dials)
			require.Contains(t, err.Error(), "gave up after 5 attempts")
		})
	})
	for _, healthy := range []bool{false, true} {
		t.Run(map[bool]string{false: "streams break soon", true: "streams are healthy"}[healthy], func(t *testing.T) {
			inBubble(t, quietServer, func(t *testing.T, server *sim.Server) {
				cfg := server.ClientConfig(tickstorm.Stocks)
				cfg.Backoff.MaxAttempts = 3
				c := newClient(t, cfg, nil)
				running := runs(t.Context(), c)
				for n := 1; n <= 3; n++ {
					settled(t, server, n, 0)
					if healthy {
						time.Sleep(10 * time.Second)
					}
					server.Conns()[0].Cut()
				}
				if healthy {
					settled(t, server, 4, 0)
					require.NoError(t, c.Close())
					require.NoError(t, <-running)
					return
				}
				var e *tickstorm.AttemptsError
				require.ErrorAs(t, <-running, &e)
				require.Equal(t, 3, e.Attempts)
			})
		})
	}
}

// TestClientRetryAfter: a server that says when to come back is taken at its word.
func TestClientRetryAfter(t *testing.T) {
	for _, tc := range []struct {
		name, answer string
		min, max     time.Duration
	}{
		{"429", "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 90\r\n\r\n", 90 * time.Second, 90 * time.Second},
		{"503", "HTTP/1.1 503 Unavailable\r\nServer: x\r\nretry-after: 7\r\nContent-Length: 0\r\n\r\n", 7 * time.Second, 7 * time.Second},
		{"a date", "HTTP/1.1 503 Unavailable\r\nRetry-After: Sat, 01 Jan 2000 00:01:00 GMT\r\n\r\n", time.Minute, time.Minute},
		{"a date gone by", "HTTP/1.1 503 Unavailable\r\nRetry-After: Fri, 31 Dec 1999 00:01:00 GMT\r\n\r\n", 0, 500 * time.Millisecond},
		{"a day", "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 86400\r\n\r\n", 5 * time.Minute, 5 * time.Minute},
		{"nonsense", "HTTP/1.1 429 Too Many Requests\r\nRetry-After: -5\r\n\r\n", 0, 500 * time.Millisecond},
		{"none", "HTTP/1.1 429 Too Many Requests\r\n\r\n", 0, 500 * time.Millisecond},
		{"cut short", "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 90", 0, 500 * time.Millisecond},
		{"of another status", "HTTP/1.1 500 Oops\r\nRetry-After: 90\r\n\r\n", 0, 500 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				cfg := dialConfig("ws://host")
				var began time.Time
				wait := time.Duration(-1)
				cfg.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					if !began.IsZero() {
						wait = time.Since(began)
						cancel()
						return nil, errors.New("enough")
					}
					began = time.Now()
					return pipeTo(func(nc net.Conn) {
						if _, _, err := accept(nc); err == nil {
							_, _ = nc.Write([]byte(tc.answer))
						}
					})(ctx, network, addr)
				}
				require.ErrorIs(t, newClient(t, cfg, nil).Run(ctx), context.Canceled)
				require.GreaterOrEqual(t, wait, tc.min)
				require.LessOrEqual(t, wait, tc.max)
			})
		})
	}
}

// TestRetryable: what ends a client, and what does not.
func TestRetryable(t *testing.T) {
	dial := func(status int) error { return &tickstorm.DialError{Status: status, Err: errors.New("x")} }
	refusal := func(code tickstorm.StatusCode) error { return &tickstorm.StatusError{Code: code} }
	for _, tc := range []struct {
		name  string
		err   error
		retry bool
	}{
		{"none", nil, false},
		{"auth failed", refusal(tickstorm.StatusAuthFailed), false},
		{"no plan", refusal(tickstorm.StatusNoPlan), false},
		{"auth timeout", refusal(tickstorm.StatusAuthTimeout), true},
		{"max connections", refusal(tickstorm.StatusMaxConnections), true},
		{"certificate", &tickstorm.DialError{Err: &tls.CertificateVerificationError{Err: errors.New("x")}}, false},
		{"network", dial(0), true},
		{"redirect", dial(301), true},
		{"bad request", dial(400), false},
		{"forbidden", dial(403), false},
		{"not found", dial(404), false},
		{"too many requests", dial(429), true},
		{"server error", dial(500), true},
		{"unavailable", dial(503), true},
		{"normal close", &frame.CloseError{Code: 1000}, true},
		{"policy violation", &frame.CloseError{Code: 1008}, true},
		{"violation of the protocol", &frame.CloseError{Code: 1002, Local: true}, true},
		{"disconnected", tickstorm.ErrDisconnected, true},
		{"idle", tickstorm.ErrIdle, true},
		{"no pong", tickstorm.ErrPongTimeout, true},
		{"not acknowledged", &tickstorm.SubscribeError{}, true},
		{"attempt timed out", context.DeadlineExceeded, true},
		{"closed here", tickstorm.ErrClosed, false},
		{"cancelled", context.Canceled, false},
		{"panic", &tickstorm.PanicError{Value: tickstorm.ErrIdle}, false},
		{"no key", tickstorm.ErrNoKey, false},
	} {
		t.Run(tc.name, func(t *testing.T) { require.Equal(t, tc.retry, tickstorm.Retryable(tc.err)) })
	}
}
