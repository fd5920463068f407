package tickstorm_test

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// TestClientClose: in every state Close returns nil at once, and Run does; so it does where
// its context ends.
func TestClientClose(t *testing.T) {
	refused := errors.New("refused")
	mute := func(net.Conn) {}
	dialTo := func(serve func(net.Conn)) func(context.Context) (net.Conn, error) {
		return func(ctx context.Context) (net.Conn, error) { return pipeTo(serve)(ctx, "", "") }
	}
	for _, tc := range []struct {
		name string
		feed tickstorm.Feed
		dial func(context.Context) (net.Conn, error)
	}{
		{"connecting", "ws://host", func(ctx context.Context) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }},
		{"connecting, TLS handshake", "wss://host", dialTo(fixture.Swallow)},
		{"connecting, WebSocket handshake", "ws://host", dialTo(fixture.Swallow)},
		{"authenticating", "ws://host", dialTo(func(nc net.Conn) {
			if _, answer, err := fixture.Accept(nc); err == nil {
				_, _ = nc.Write(answer)
				fixture.Swallow(nc)
			}
		})},
		{"subscribing", "ws://host", dialTo(func(nc net.Conn) {
			if _, answer, err := fixture.Accept(nc); err == nil {
				_, _ = nc.Write(append(answer, fixture.Welcome()...))
				fixture.Attend(nc)
			}
		})},
		{"streaming", "ws://host", dialTo(func(nc net.Conn) {
			if _, answer, err := fixture.Accept(nc); err == nil {
				_, _ = nc.Write(append(answer, fixture.Welcome()...))
				_, _ = nc.Read(make([]byte, 512)) // the key and the request
				_, _ = nc.Write(fixture.Wire(false, true, ws.OpText, "["+fixture.Acks("T.A")[0]+"]"))
				fixture.Attend(nc)
			}
		})},
		{"backoff after refusal", "ws://host", func(context.Context) (net.Conn, error) { return nil, refused }},
		{"backoff after hanging up", "ws://host", dialTo(mute)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := fixture.DialConfig(tc.feed)
				cfg.Backoff = tickstorm.Backoff{Min: time.Hour, Max: time.Hour}
				dials := 0
				cfg.NetDial = func(ctx context.Context, _, _ string) (net.Conn, error) {
					dials++
					return tc.dial(ctx)
				}
				c := fixture.NewClient(t, cfg, nil)
				require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A"))
				running := fixture.Runs(t.Context(), c)
				synctest.Wait()
				require.Contains(t, tc.name, strings.TrimSuffix(c.State().String(), "ing"))
				start := time.Now()
				require.NoError(t, c.Close())
				require.NoError(t, <-running)
				require.Zero(t, time.Since(start))
				require.NoError(t, c.Close())
				require.Equal(t, 1, dials, "who was told to close does not dial again")

				c = fixture.NewClient(t, cfg, nil)
				require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A"))
				ctx, cancel := context.WithCancel(t.Context())
				running = fixture.Runs(ctx, c)
				synctest.Wait()
				cancel()
				require.ErrorIs(t, <-running, context.Canceled)
				require.Zero(t, time.Since(start))
				require.Equal(t, tickstorm.StateClosed, c.State())
				require.Equal(t, 2, dials)
			})
		})
	}
}

// TestClientCloseAnytime: wherever Run and Subscribe are when Close comes, all end.
func TestClientCloseAnytime(t *testing.T) {
	for turns := range 150 {
		fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
			c := simClient(t, server, nil)
			c.Request(nil, tickstorm.Topic{Channel: "T", Symbol: "A"})
			running := fixture.Runs(t.Context(), c)
			waiting := fixture.InBackground(func() error { return c.Subscribe(t.Context(), tickstorm.Trades, "B") })
			for range turns {
				runtime.Gosched()
			}
			start := time.Now()
			require.NoError(t, c.Close())
			require.NoError(t, <-running)
			if err := <-waiting; err != nil {
				require.ErrorIs(t, err, tickstorm.ErrClosed)
			}
			require.Zero(t, time.Since(start))
		})
	}
}

func TestClientCloseBeforeRun(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		c := simClient(t, server, nil)
		require.NoError(t, c.Close())
		require.NoError(t, c.Run(t.Context()))
		require.Zero(t, server.Stats().Opened)
	})
}

func TestClientCloseInHandler(t *testing.T) {
	for _, tc := range []struct {
		name string
		on   func(h *callbacks, do func())
	}{
		{"while dialling", func(h *callbacks, do func()) { h.status = do }},
		{"while streaming", func(h *callbacks, do func()) { h.trade = do }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
				var c *tickstorm.Client
				h := new(callbacks)
				tc.on(h, func() { require.NoError(t, c.Close()) })
				c = simClient(t, server, h)
				running := fixture.Runs(t.Context(), c)
				synctest.Wait()
				server.Broadcast([]byte("[" + fixture.Trade("A") + "]"))
				start := time.Now()
				require.NoError(t, <-running)
				require.Zero(t, time.Since(start))
			})
		})
	}
}

// callbacks is a handler of trades and statuses.
type callbacks struct {
	tickstorm.NopHandler
	trade, status func()
}

func (h *callbacks) OnTrade(*tickstorm.Trade) {
	if h.trade != nil {
		h.trade()
	}
}

func (h *callbacks) OnStatus(*tickstorm.Status) {
	if h.status != nil {
		h.status()
	}
}

func TestClientCloseWithBusyHandler(t *testing.T) {
	for _, tc := range []struct {
		name string
		on   func(h *callbacks, do func())
	}{
		{"while dialling", func(h *callbacks, do func()) { h.status = do }},
		{"while streaming", func(h *callbacks, do func()) { h.trade = do }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
				release := make(chan struct{})
				h := new(callbacks)
				tc.on(h, func() { <-release })
				c := simClient(t, server, h)
				running := fixture.Runs(t.Context(), c)
				synctest.Wait()
				server.Broadcast([]byte("[" + fixture.Trade("A") + "]"))
				synctest.Wait()
				start := time.Now()
				require.ErrorIs(t, c.Close(), tickstorm.ErrHandlerBusy)
				require.LessOrEqual(t, time.Since(start), 5*time.Second)
				close(release)
				require.NoError(t, <-running)
				require.NoError(t, c.Close())
			})
		})
	}
}

// TestClientCloseUnanswered: a server that does not answer the close frame cannot hold
// the client up for longer than CloseTimeout.
func TestClientCloseUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := fixture.DialConfig("ws://host")
		cfg.NetDial = pipeTo(muteAfterWelcome)
		c := fixture.NewClient(t, cfg, nil)
		running := fixture.Runs(t.Context(), c)
		synctest.Wait()
		start := time.Now()
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
		require.LessOrEqual(t, time.Since(start), 5*time.Second)
	})
}
