package tickstorm_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
)

// TestDialEarlyBytes: what comes in one segment with the handshake must not be lost.
func TestDialEarlyBytes(t *testing.T) {
	both := fixture.Welcome()
	for _, tc := range []struct {
		name  string
		early int // bytes right behind the handshake
	}{
		{"nothing", 0}, {"half a header", 1}, {"half a frame", 30}, {"all but one byte", len(both) - 1}, {"everything", len(both)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			feed := fixture.Listen(t, func(nc net.Conn) {
				_, answer, err := fixture.Accept(nc)
				if err != nil {
					return
				}
				_, _ = nc.Write(append(answer, both[:tc.early]...))
				// The rest waits for the key, so that it cannot come in the same segment.
				key := make([]byte, 1)
				_, _ = nc.Read(key)
				_, _ = nc.Write(both[tc.early:])
				fixture.Attend(nc, key...)
			})
			r := new(fixture.Recorder)
			conn, err := tickstorm.Dial(t.Context(), fixture.DialConfig(feed), r)
			require.NoError(t, err)
			defer conn.Close()
			require.Len(t, r.Events, 2)
			require.Empty(t, r.Errors)
			require.EqualValues(t, len(both), conn.Stats().Received)
		})
	}
}

func TestDialRequest(t *testing.T) {
	requests := make(chan *http.Request, 1)
	feed := fixture.Listen(t, func(nc net.Conn) {
		r, answer, err := fixture.Accept(nc)
		if err != nil {
			return
		}
		requests <- r
		_, _ = nc.Write(append(answer, fixture.Welcome()...))
		fixture.Attend(nc)
	})
	cfg := fixture.DialConfig(feed)
	cfg.Market = tickstorm.FuturesCME
	cfg.Header = http.Header{"User-Agent": {"my program"}, "X-More": {"a", "b"}}
	conn, err := tickstorm.Dial(t.Context(), cfg, nil)
	require.NoError(t, err)
	defer conn.Close()
	r := <-requests
	require.Equal(t, "/futures/cme", r.URL.String(), "no query")
	require.Equal(t, strings.TrimPrefix(string(feed), "ws://"), r.Host)
	require.Equal(t, "my program", r.Header.Get("User-Agent"))
	require.Equal(t, []string{"a", "b"}, r.Header.Values("X-More"))
	require.Equal(t, "13", r.Header.Get("Sec-WebSocket-Version"))
	require.Empty(t, r.Header.Values("Sec-WebSocket-Extensions"), "permessage-deflate is never offered")
	require.Empty(t, r.Header.Values("Sec-WebSocket-Protocol"))
	for name, values := range r.Header {
		require.NotContains(t, strings.Join(values, " "), fixture.Key, name)
	}
}

func TestDialHTTPStatus(t *testing.T) {
	for _, tc := range []struct {
		status int
		retry  bool
	}{{401, false}, {403, false}, {404, false}, {429, true}, {500, true}, {503, true}, {200, true}} {
		t.Run(http.StatusText(tc.status), func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, "<html>some page</html>")
			}))
			defer server.Close()
			host := strings.TrimPrefix(server.URL, "http://")
			conn, err := tickstorm.Dial(t.Context(), fixture.DialConfig(tickstorm.Feed("ws://"+host)), nil)
			require.Nil(t, conn)
			var e *tickstorm.DialError
			require.ErrorAs(t, err, &e)
			require.Equal(t, tc.status, e.Status)
			require.Equal(t, host, e.Host)
			require.ErrorContains(t, err, host)
			require.Equal(t, tc.retry, tickstorm.Retryable(err))
			require.NotContains(t, err.Error(), fixture.Key)
		})
	}
}

func TestDialRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_, err = tickstorm.Dial(t.Context(), fixture.DialConfig(tickstorm.Feed("ws://"+l.Addr().String())), nil)
	var e *tickstorm.DialError
	require.ErrorAs(t, err, &e)
	require.Zero(t, e.Status)
	require.True(t, tickstorm.Retryable(err))
}

func TestDialRefusedKey(t *testing.T) {
	for _, tc := range []struct {
		status, message string
		is              error
		retry           bool
	}{
		{"auth_failed", "authentication failed", tickstorm.ErrAuthFailed, false},
		{"auth_failed", "Your plan doesn't include websocket access.", tickstorm.ErrNoPlan, false},
		{"auth_timeout", "No authentication request received.", tickstorm.ErrAuthTimeout, true},
		{"max_connections", "Maximum number of connections exceeded.", tickstorm.ErrMaxConnections, true},
	} {
		t.Run(tc.message, func(t *testing.T) {
			gone := make(chan struct{})
			feed := fixture.Listen(t, func(nc net.Conn) {
				defer close(gone)
				_, answer, err := fixture.Accept(nc)
				if err != nil {
					return
				}
				_, _ = nc.Write(append(answer, fixture.Wire(false, true, ws.OpText, "["+fixture.Status(tc.status, tc.message)+"]")...))
				fixture.Swallow(nc)
			})
			r := new(fixture.Recorder)
			conn, err := tickstorm.Dial(t.Context(), fixture.DialConfig(feed), r)
			require.Nil(t, conn)
			require.ErrorIs(t, err, tc.is)
			require.Equal(t, tc.retry, tickstorm.Retryable(err))
			require.Len(t, r.Events, 1)
			<-gone // the socket is not left open
		})
	}
}

// TestDialBounds: whatever the server leaves unanswered, Dial ends with its context, and
// without one by its own limits, and leaves no socket behind.
func TestDialBounds(t *testing.T) {
	never := func(ctx context.Context, _ net.Conn) error { <-ctx.Done(); return ctx.Err() }
	silent := func(_ context.Context, nc net.Conn) error { go fixture.Swallow(nc); return nil }
	mute := func(_ context.Context, nc net.Conn) error {
		go func() {
			if _, answer, err := fixture.Accept(nc); err == nil {
				_, _ = nc.Write(answer)
				fixture.Swallow(nc)
			}
		}()
		return nil
	}
	for _, phase := range []struct {
		name  string
		feed  tickstorm.Feed
		serve func(context.Context, net.Conn) error
		dial  bool // the error is a DialError
		proxy string
	}{
		{"TCP", "ws://host", never, true, ""},
		{"TLS", "wss://host", silent, true, ""},
		{"upgrade", "ws://host", silent, true, ""},
		{"auth", "ws://host", mute, false, ""},
		{"TCP to the proxy", "ws://host", never, true, "http://proxy"},
		{"TLS with the proxy", "ws://host", silent, true, "https://proxy"},
		{"tunnel", "ws://host", silent, true, "http://proxy"},
	} {
		for _, bound := range []struct {
			name  string
			ctx   func(context.Context) (context.Context, context.CancelFunc)
			is    error
			after time.Duration
		}{
			{"deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, 3*time.Second)
			}, context.DeadlineExceeded, 3 * time.Second},
			{"cancel", func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(2*time.Second, cancel)
				return ctx, cancel
			}, context.Canceled, 2 * time.Second},
			{"own limit", func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithCancel(ctx)
			}, nil, 5 * time.Second},
			{"own limit without context", func(context.Context) (context.Context, context.CancelFunc) {
				return context.Background(), func() {}
			}, nil, 5 * time.Second},
		} {
			t.Run(phase.name+", "+bound.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cfg := fixture.DialConfig(phase.feed)
					cfg.DialTimeout, cfg.AuthTimeout = 5*time.Second, 5*time.Second
					if phase.proxy != "" {
						cfg.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(phase.proxy) }
					}
					cfg.NetDial = func(ctx context.Context, _, _ string) (net.Conn, error) {
						client, server := net.Pipe()
						if err := phase.serve(ctx, server); err != nil {
							client.Close()
							return nil, err
						}
						return client, nil
					}
					ctx, cancel := bound.ctx(t.Context())
					defer cancel()
					start := time.Now()
					conn, err := tickstorm.Dial(ctx, cfg, nil)
					require.Nil(t, conn)
					require.Error(t, err)
					require.Equal(t, bound.after, time.Since(start))
					if bound.is != nil {
						require.ErrorIs(t, err, bound.is)
					} else if !phase.dial {
						require.ErrorIs(t, err, tickstorm.ErrAuthTimeout)
					}
					require.Equal(t, bound.is != context.Canceled, tickstorm.Retryable(err))
					var e *tickstorm.DialError
					if phase.dial {
						require.ErrorAs(t, err, &e)
						require.Equal(t, "host", e.Host)
					}
					synctest.Wait() // a socket left open would leave its server behind
				})
			})
		}
	}
}

// secureServer is a TLS server that welcomes any key. Its certificate is for 127.0.0.1,
// ::1 and example.com.
func secureServer(t *testing.T, address string) (*httptest.Server, error) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nc, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		defer nc.Close()
		_, _ = nc.Write(fixture.Welcome())
		fixture.Attend(nc)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Listener.Close()
	server.Listener = l
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, nil
}

func trusting(server *httptest.Server) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return &tls.Config{RootCAs: pool}
}

func TestDialTLS(t *testing.T) {
	server, err := secureServer(t, "127.0.0.1:0")
	require.NoError(t, err)
	address := server.Listener.Addr().String()
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	trust := trusting(server)
	named := trust.Clone()
	named.ServerName = "example.com"
	for _, tc := range []struct {
		name string
		host string
		tls  *tls.Config
		ok   bool
	}{
		{"trusted", address, trust, true},
		{"system's roots", address, nil, false},
		{"another host's certificate", "localhost:" + port, trust, false},
		{"own server name", "localhost:" + port, named, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := fixture.DialConfig(tickstorm.Feed("wss://" + tc.host))
			cfg.TLS = tc.tls
			conn, err := tickstorm.Dial(t.Context(), cfg, nil)
			if tc.ok {
				require.NoError(t, err)
				require.NoError(t, conn.Close())
				return
			}
			require.Nil(t, conn)
			var e *tickstorm.DialError
			require.ErrorAs(t, err, &e)
			require.Equal(t, tc.host, e.Host)
			require.ErrorContains(t, err, tc.host)
			var certificate *tls.CertificateVerificationError
			require.ErrorAs(t, err, &certificate)
			require.False(t, tickstorm.Retryable(err))
		})
	}
	require.Empty(t, trust.ServerName, "the caller's configuration is not written to")
}

func TestDialTLSOverIPv6(t *testing.T) {
	server, err := secureServer(t, "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 loopback:", err)
	}
	cfg := fixture.DialConfig(tickstorm.Feed("wss://" + server.Listener.Addr().String()))
	cfg.TLS = trusting(server)
	conn, err := tickstorm.Dial(t.Context(), cfg, nil)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}
