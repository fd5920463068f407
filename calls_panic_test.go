package tickstorm_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

var errBug = errors.New("a bug of the user's")

func requirePanic(t *testing.T, err error) {
	t.Helper()
	var p *tickstorm.PanicError
	require.ErrorAs(t, err, &p)
	require.Equal(t, errBug, p.Value)
	require.ErrorIs(t, err, errBug)
	require.Contains(t, string(p.Stack), "panic_test.go", "the stack is that of the panic")
	require.Equal(t, "a handler panicked: a bug of the user's", p.Error())
	require.False(t, tickstorm.Retryable(err))
}

func TestPanicError(t *testing.T) {
	p := &tickstorm.PanicError{Value: 5}
	require.Equal(t, "a handler panicked: 5", p.Error())
	require.NoError(t, p.Unwrap())
}

func TestConnHandlerPanics(t *testing.T) {
	bug := func(*tickstorm.Trade) { panic(errBug) }
	t.Run("in Run", func(t *testing.T) {
		fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
			called := 0
			conn := fixture.Dial(t, server, &fixture.OnTrade{Do: func(*tickstorm.Trade) { called++; panic(errBug) }})
			peer := server.Conns()[0]
			server.Broadcast([]byte("[" + fixture.Trade("A") + "," + fixture.Trade("B") + "]"))
			err := conn.Run(t.Context())
			requirePanic(t, err)
			require.Equal(t, 1, called)
			<-peer.Done() // no socket is left behind
			require.NoError(t, conn.Close())
			require.ErrorIs(t, conn.Run(t.Context()), err)
			requirePanic(t, conn.Subscribe(t.Context(), tickstorm.Trades, "A"))
		})
	})
	t.Run("in Subscribe", func(t *testing.T) {
		fixture.InBubble(t, sim.Config{Quiet: true, Acks: sim.AckNothing}, func(t *testing.T, server *sim.Server) {
			conn := fixture.Dial(t, server, &fixture.OnTrade{Do: bug})
			peer := server.Conns()[0]
			server.Broadcast([]byte("[" + fixture.Trade("A") + "]"))
			requirePanic(t, conn.Subscribe(t.Context(), tickstorm.Trades, "A"))
			<-peer.Done()
			requirePanic(t, conn.Run(t.Context()))
		})
	})
	t.Run("in Dial", func(t *testing.T) {
		fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
			_, err := tickstorm.Dial(t.Context(), server.ClientConfig(tickstorm.Stocks), &callbacks{status: func() { panic(errBug) }})
			requirePanic(t, err)
			<-serverEmpty(t, server)
		})
	})
	t.Run("at the server's last status", func(t *testing.T) {
		fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
			h := new(callbacks)
			conn := fixture.Dial(t, server, h)
			h.status = func() { panic(errBug) }
			require.NoError(t, server.Conns()[0].SendStatus("max_connections", ""))
			requirePanic(t, conn.Run(t.Context()))
		})
	})
	t.Run("while closing", func(t *testing.T) {
		fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
			var conn *tickstorm.Conn
			conn = fixture.Dial(t, server, &fixture.OnTrade{Do: func(*tickstorm.Trade) {
				_ = conn.Close()
				panic(errBug)
			}})
			server.Broadcast([]byte("[" + fixture.Trade("A") + "]"))
			requirePanic(t, conn.Run(t.Context()))
		})
	})
}

// TestConnHandlerExits: a handler that ends its goroutine leaves no socket either.
func TestConnHandlerExits(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		conn := fixture.Dial(t, server, &fixture.OnTrade{Do: func(*tickstorm.Trade) { runtime.Goexit() }})
		peer := server.Conns()[0]
		server.Broadcast([]byte("[" + fixture.Trade("A") + "]"))
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			_ = conn.Run(t.Context())
		}()
		<-gone
		<-peer.Done()
		require.NoError(t, conn.Close())
	})
}

// TestClientHandlerPanics: wherever a function of the user's panics, Run says so, once
// the socket is closed.
func TestClientHandlerPanics(t *testing.T) {
	inState := func(state tickstorm.State) func(*diary, *tickstorm.Config) {
		return func(d *diary, _ *tickstorm.Config) {
			d.onState = func(s *tickstorm.StateChange) {
				if s.State == state {
					panic(errBug)
				}
			}
		}
	}
	fill := func(beside bool, fetch tickstorm.Backfill) func(*diary, *tickstorm.Config) {
		return func(_ *diary, cfg *tickstorm.Config) { cfg.Backfill, cfg.BackfillBeside = fetch, beside }
	}
	bug := func(context.Context, *tickstorm.Gap, func([]byte) error) error { panic(errBug) }
	bad := func(_ context.Context, _ *tickstorm.Gap, deliver func([]byte) error) error {
		return deliver([]byte(`[{"ev":"nonsense"}]`)) // the handler panics
	}
	for _, tc := range []struct {
		name string
		bug  func(*diary, *tickstorm.Config)
	}{
		{"connecting", inState(tickstorm.StateConnecting)},
		{"authenticating", inState(tickstorm.StateAuthenticating)},
		{"subscribing", inState(tickstorm.StateSubscribing)},
		{"streaming", inState(tickstorm.StateStreaming)},
		{"backoff", inState(tickstorm.StateBackoff)},
		{"gap", func(d *diary, _ *tickstorm.Config) { d.onGap = func(*tickstorm.Gap) { panic(errBug) } }},
		{"backfill in order", fill(false, bug)},
		{"backfill beside", fill(true, bug)},
		{"backfilled event in order", fill(false, bad)},
		{"backfilled event beside", fill(true, bad)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
				d := new(diary)
				cfg := server.ClientConfig(tickstorm.Stocks)
				tc.bug(d, &cfg)
				c := fixture.NewClient(t, cfg, &unknownPanics{d})
				require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A"))
				cut := time.AfterFunc(time.Minute, func() {
					for _, peer := range server.Conns() {
						peer.Cut()
					}
				})
				defer cut.Stop()
				err := c.Run(t.Context())
				requirePanic(t, err)
				require.Equal(t, err, d.changes[len(d.changes)-1].Err)
				require.Equal(t, tickstorm.StateClosed, c.State())
				<-serverEmpty(t, server)
				require.NoError(t, c.Close())
			})
		})
	}
	t.Run("closed", func(t *testing.T) {
		fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
			d := new(diary)
			inState(tickstorm.StateClosed)(d, nil)
			c := simClient(t, server, d)
			running := fixture.Runs(t.Context(), c)
			synctest.Wait()
			require.NoError(t, c.Close())
			requirePanic(t, <-running)
		})
	})
}

type unknownPanics struct{ *diary }

func (unknownPanics) OnUnknown(*tickstorm.Unknown) { panic(errBug) }

// TestClientHandlerExits: the same for one that ends its goroutine.
func TestClientHandlerExits(t *testing.T) {
	for state := tickstorm.StateConnecting; state <= tickstorm.StateClosed; state++ {
		t.Run(state.String(), func(t *testing.T) {
			cfg := sim.Config{Quiet: true, Faults: []sim.Fault{{At: sim.OnSubscribe, Conn: 1, Do: sim.Cut()}}}
			fixture.InBubble(t, cfg, func(t *testing.T, server *sim.Server) {
				d := &diary{onState: func(s *tickstorm.StateChange) {
					if s.State == state {
						runtime.Goexit()
					}
				}}
				c := simClient(t, server, d)
				require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A"))
				gone := make(chan struct{})
				go func() {
					defer close(gone)
					_ = c.Run(t.Context())
				}()
				if state == tickstorm.StateClosed {
					time.Sleep(time.Minute)
					require.NoError(t, c.Close())
				}
				<-gone
				<-serverEmpty(t, server)
				require.Equal(t, tickstorm.StateClosed, c.State())
				require.NoError(t, c.Close())
			})
		})
	}
}
