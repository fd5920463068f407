package tickstorm_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/frame"
	"github.com/tickstorm/tickstorm/internal/fixture"
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
				cfg := fixture.DialConfig("ws://host")
				cfg.Backoff = tc.backoff
				cfg.NetDial = func(context.Context, string, string) (net.Conn, error) {
					if at = append(at, time.Now()); len(at) == attempts {
						cancel()
					}
					return nil, errors.New("refused")
				}
				require.ErrorIs(t, fixture.NewClient(t, cfg, nil).Run(ctx), context.Canceled)
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
				cfg := fixture.DialConfig("ws://host")
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
						_, answer, err := fixture.Accept(nc)
						if err != nil {
							return
						}
						_, _ = nc.Write(append(answer, fixture.Welcome()...))
						go fixture.Swallow(nc)
						time.Sleep(tc.lasts)
						ended = time.Now()
					})(ctx, network, addr)
				}
				require.ErrorIs(t, fixture.NewClient(t, cfg, nil).Run(ctx), context.Canceled)
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
				fixture.InBubble(t, sim.Config{Quiet: true, Eviction: eviction}, func(t *testing.T, server *sim.Server) {
					cfg := server.ClientConfig(tickstorm.Stocks)
					cfg.Backoff.MaxConnections = tc.limit
					c := fixture.NewClient(t, cfg, nil)
					require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A"))
					var running <-chan error
					var rival *tickstorm.Conn
					if eviction == sim.EvictOlder {
						running = fixture.Runs(t.Context(), c)
						fixture.Settled(t, server, 1, 1)
						rival = fixture.Dial(t, server, nil)
					} else {
						rival = fixture.Dial(t, server, nil)
						running = fixture.Runs(t.Context(), c)
					}
					require.NoError(t, server.Await(t.Context(), func(s sim.Stats) bool { return s.Evicted == 1 }))
					start := time.Now()
					rivalRuns := fixture.Runs(t.Context(), rival)
					synctest.Wait()
					require.NoError(t, rival.Close())
					require.NoError(t, <-rivalRuns)
					fixture.Settled(t, server, 3, 1)
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
			cfg := fixture.DialConfig("ws://host")
			cfg.Backoff.MaxAttempts = 5
			dials := 0
			cfg.NetDial = func(context.Context, string, string) (net.Conn, error) {
				dials++
				return nil, refused
			}
			err := fixture.NewClient(t, cfg, nil).Run(t.Context())
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
			fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
				cfg := server.ClientConfig(tickstorm.Stocks)
				cfg.Backoff.MaxAttempts = 3
				c := fixture.NewClient(t, cfg, nil)
				running := fixture.Runs(t.Context(), c)
				for n := 1; n <= 3; n++ {
					fixture.Settled(t, server, n, 0)
					if healthy {
						time.Sleep(10 * time.Second)
					}
					server.Conns()[0].Cut()
				}
				if healthy {
					fixture.Settled(t, server, 4, 0)
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

// TestClientRetryAfter: a server that says when to come back is taken at its word, within
// reason, and not on the second: others were told the same.
func TestClientRetryAfter(t *testing.T) {
	const huge = 5 * time.Minute
	for _, tc := range []struct {
		name, answer string
		least        time.Duration
	}{
		{"429", "429 Too Many Requests\r\nRetry-After: 90", 90 * time.Second},
		{"503", "503 Unavailable\r\nServer: x\r\nretry-after: \t7 \r\nContent-Length: 0", 7 * time.Second},
		{"a date", "503 Unavailable\r\nRetry-After: Sat, 01 Jan 2000 00:01:00 GMT", time.Minute},
		{"a date of another form", "503 Unavailable\r\nRetry-After: Sat Jan  1 00:01:00 2000", time.Minute},
		{"a date gone by", "503 Unavailable\r\nRetry-After: Fri, 31 Dec 1999 00:01:00 GMT", 0},
		{"a date far off", "503 Unavailable\r\nRetry-After: Fri, 31 Dec 9999 23:59:59 GMT", huge},
		{"a day", "429 Too Many Requests\r\nRetry-After: 86400", huge},
		{"more than 32 bits", "429 Too Many Requests\r\nRetry-After: 4294967296", huge},
		{"more than a duration", "429 Too Many Requests\r\nRetry-After: 9223372037", huge},
		{"the most of 64 bits", "503 Unavailable\r\nRetry-After: 18446744073709551615", huge},
		{"more than 64 bits", "429 Too Many Requests\r\nRetry-After: 18446744073709551616", huge},
		{"a number without end", "503 Unavailable\r\nRetry-After: " + strings.Repeat("9", 10_000), huge},
		{"zeros", "503 Unavailable\r\nRetry-After: 0000000000000000000000000000000", 0},
		{"negative", "429 Too Many Requests\r\nRetry-After: -5", 0},
		{"negative without end", "429 Too Many Requests\r\nRetry-After: -" + strings.Repeat("9", 100), 0},
		{"a fraction", "429 Too Many Requests\r\nRetry-After: 90.5", 0},
		{"a word", "503 Unavailable\r\nRetry-After: soon", 0},
		{"nothing in it", "503 Unavailable\r\nRetry-After:", 0},
		{"none", "429 Too Many Requests", 0},
		{"of another status", "500 Oops\r\nRetry-After: 90", 0},
	} {
		for _, cut := range []bool{false, true} { // in a later header
			t.Run(fmt.Sprintf("%s, cut %v", tc.name, cut), func(t *testing.T) {
				waits := waitsAfter(t, tickstorm.Backoff{}, 1, func(nc net.Conn) {
					end := "\r\n\r\n"
					if cut {
						end = "\r\nServer: ngi"
					}
					if _, _, err := fixture.Accept(nc); err == nil {
						_, _ = io.WriteString(nc, "HTTP/1.1 "+tc.answer+end)
					}
				})
				require.Greater(t, waits[0], tc.least)
				require.LessOrEqual(t, waits[0], tc.least+max(500*time.Millisecond, tc.least/4))
			})
		}
	}
}

// backoffs collects the waits that a client tells, and ends it after the last.
type backoffs struct {
	tickstorm.NopHandler
	waits []time.Duration
	last  int
	end   func()
}

func (b *backoffs) OnState(s *tickstorm.StateChange) {
	if s.State == tickstorm.StateBackoff {
		if b.waits = append(b.waits, s.Wait); len(b.waits) == b.last {
			b.end()
		}
	}
}

// waitsAfter returns a client's first waits with a server that does so to each connection;
// nil does not even take it. What the client was told it would wait is what it waited.
func waitsAfter(t *testing.T, b tickstorm.Backoff, n int, serve func(net.Conn)) []time.Duration {
	t.Helper()
	var waits []time.Duration
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		h := &backoffs{last: n, end: cancel}
		cfg := fixture.DialConfig("ws://host")
		cfg.Backoff = b
		var ended time.Time
		cfg.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if len(h.waits) > 0 {
				require.Equal(t, h.waits[len(h.waits)-1], time.Since(ended))
			}
			ended = time.Now() // nothing takes time in here
			if serve == nil {
				return nil, errors.New("refused")
			}
			return pipeTo(serve)(ctx, network, addr)
		}
		require.ErrorIs(t, fixture.NewClient(t, cfg, h).Run(ctx), context.Canceled)
		waits = h.waits
	})
	require.Len(t, waits, n)
	return waits
}

// TestClientBackoffSpread: those who were sent away together do not come back together.
func TestClientBackoffSpread(t *testing.T) {
	const clients = 64
	for _, tc := range []struct {
		name  string
		least time.Duration
		serve func(net.Conn)
	}{
		{"Retry-After", 100 * time.Second, func(nc net.Conn) {
			answers(nc, "HTTP/1.1 503 X\r\nRetry-After: 100\r\n\r\n", false)
		}},
		{"a long Retry-After", 5 * time.Minute, func(nc net.Conn) {
			answers(nc, "HTTP/1.1 429 X\r\nRetry-After: 86400\r\n\r\n", false)
		}},
		{"too many connections", time.Minute, evicts},
	} {
		t.Run(tc.name, func(t *testing.T) {
			least, most := time.Duration(math.MaxInt64), time.Duration(0)
			for range clients {
				wait := waitsAfter(t, tickstorm.Backoff{}, 1, tc.serve)[0]
				least, most = min(least, wait), max(most, wait)
			}
			require.Greater(t, least, tc.least)
			require.LessOrEqual(t, most, tc.least+tc.least/4)
			require.Greater(t, most-least, tc.least/16) // of a quarter
		})
	}
}

// TestClientBackoffHuge: no Backoff is too large to be doubled or added to.
func TestClientBackoffHuge(t *testing.T) {
	const huge = math.MaxInt64
	for _, tc := range []struct {
		name    string
		backoff tickstorm.Backoff
		waits   int
		serve   func(net.Conn)
		least   time.Duration
	}{
		{"bounds", tickstorm.Backoff{Min: 1 << 61, Max: huge}, 3, nil, 1},
		{"bounds that cannot be doubled", tickstorm.Backoff{Min: huge/2 + 1, Max: huge}, 2, nil, 1},
		{"first above last", tickstorm.Backoff{Min: 1 << 61, Max: 1}, 2, nil, 1},
		{"after an eviction", tickstorm.Backoff{Min: 1 << 61, Max: 1 << 61, MaxConnections: huge}, 1, evicts, huge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, wait := range waitsAfter(t, tc.backoff, tc.waits, tc.serve) {
				require.GreaterOrEqual(t, wait, tc.least)
			}
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
		{"a page", dial(200), true},
		{"moved for good", dial(301), false},
		{"found elsewhere", dial(302), true},
		{"see other", dial(303), true},
		{"moved for now", dial(307), true},
		{"moved for good, the method kept", dial(308), false},
		{"bad request", dial(400), false},
		{"unauthorized", dial(401), false},
		{"payment required", dial(402), false},
		{"forbidden", dial(403), false},
		{"not found", dial(404), false},
		{"proxy wants a password", dial(407), false},
		{"request timeout", dial(408), true},
		{"conflict", dial(409), false},
		{"gone", dial(410), false},
		{"misdirected", dial(421), true},
		{"too early", dial(425), true},
		{"upgrade required", dial(426), false},
		{"too many requests", dial(429), true},
		{"headers too large", dial(431), false},
		{"for legal reasons", dial(451), false},
		{"server error", dial(500), true},
		{"not implemented", dial(501), true},
		{"bad gateway", dial(502), true},
		{"unavailable", dial(503), true},
		{"gateway timeout", dial(504), true},
		{"of the CDN's own", dial(522), true},
		{"of no class", dial(999), true},
		{"no WebSocket", &tickstorm.DialError{Err: tickstorm.ErrHandshake}, true},
		{"answer too long", &tickstorm.DialError{Err: tickstorm.ErrAnswerTooLong}, true},
		{"bad header", tickstorm.ErrBadHeader, false},
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
