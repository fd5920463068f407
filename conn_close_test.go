package tickstorm_test

import (
	"context"
	"net"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// Where the server answers our close frame, closing takes no time: any other way of
// ending would show on the fake clock.

func TestConnCloseBeforeRun(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		conn := fixture.Dial(t, server, nil)
		peer := server.Conns()[0]
		start := time.Now()
		require.NoError(t, conn.Close())
		require.NoError(t, conn.Close())
		<-peer.Done()
		require.Zero(t, time.Since(start))
		require.NoError(t, conn.Run(t.Context()))
	})
}

func TestConnCloseDuringRun(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		conn := fixture.Dial(t, server, nil)
		running := fixture.Runs(t.Context(), conn)
		synctest.Wait()
		start := time.Now()
		require.NoError(t, conn.Close())
		require.NoError(t, <-running)
		require.NoError(t, conn.Close())
		require.Zero(t, time.Since(start))
	})
}

func TestConnCloseConcurrently(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		conn := fixture.Dial(t, server, nil)
		running := fixture.Runs(t.Context(), conn)
		errs := make([]error, 8)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() { errs[i] = conn.Close() })
		}
		all.Wait()
		for _, err := range errs {
			require.NoError(t, err)
		}
		require.NoError(t, <-running)
	})
}

func TestConnCloseInHandler(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		var conn *tickstorm.Conn
		trades := 0
		conn = fixture.Dial(t, server, &fixture.OnTrade{Do: func(*tickstorm.Trade) {
			trades++
			start := time.Now()
			require.NoError(t, conn.Close())
			require.NoError(t, conn.Shutdown(t.Context()))
			require.Zero(t, time.Since(start))
		}})
		server.Broadcast([]byte("[" + fixture.Trade("A") + "," + fixture.Trade("B") + "]"))
		require.NoError(t, conn.Run(t.Context()))
		require.Equal(t, 1, trades, "nor is the rest of the message delivered")
	})
}

// TestConnCloseOfAnotherInHandler: inside the handler of one connection, closing another
// one waits as usual.
func TestConnCloseOfAnotherInHandler(t *testing.T) {
	fixture.InBubble(t, sim.Config{Quiet: true, MaxConnections: -1}, func(t *testing.T, server *sim.Server) {
		other := fixture.Dial(t, server, nil)
		otherRuns := fixture.Runs(t.Context(), other)
		var conn *tickstorm.Conn
		conn = fixture.Dial(t, server, &fixture.OnTrade{Do: func(*tickstorm.Trade) {
			require.NoError(t, other.Close())
			require.NoError(t, <-otherRuns)
			require.NoError(t, conn.Close())
		}})
		server.Broadcast([]byte("[" + fixture.Trade("A") + "]"))
		require.NoError(t, conn.Run(t.Context()))
	})
}

func TestConnCloseWithBusyHandler(t *testing.T) {
	for _, tc := range []struct {
		name  string
		close func(*tickstorm.Conn) error
		is    error
		after time.Duration // at most
	}{
		{"Close", (*tickstorm.Conn).Close, tickstorm.ErrHandlerBusy, 5 * time.Second},
		{"Shutdown", func(c *tickstorm.Conn) error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			return c.Shutdown(ctx)
		}, context.DeadlineExceeded, time.Minute + time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
				busy, release := make(chan struct{}), make(chan struct{})
				conn := fixture.Dial(t, server, &fixture.OnTrade{Do: func(*tickstorm.Trade) {
					close(busy)
					<-release
				}})
				running := fixture.Runs(t.Context(), conn)
				server.Broadcast([]byte("[" + fixture.Trade("A") + "]"))
				<-busy
				peer := server.Conns()[0]
				start := time.Now()
				require.ErrorIs(t, tc.close(conn), tc.is)
				require.LessOrEqual(t, time.Since(start), tc.after)
				<-peer.Done() // the socket is closed
				require.Empty(t, running)
				close(release)
				require.NoError(t, <-running, "the goroutine ends when the handler does")
				require.NoError(t, conn.Close())
			})
		})
	}
}

// TestConnShutdownPatience: a handler that returns within the patience costs nothing else.
func TestConnShutdownPatience(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		busy := make(chan struct{})
		conn := fixture.Dial(t, server, &fixture.OnTrade{Do: func(*tickstorm.Trade) {
			close(busy)
			time.Sleep(20 * time.Second)
		}})
		running := fixture.Runs(t.Context(), conn)
		server.Broadcast([]byte("[" + fixture.Trade("A") + "]"))
		<-busy
		start := time.Now()
		require.NoError(t, conn.Shutdown(t.Context()))
		require.Equal(t, 20*time.Second, time.Since(start))
		require.NoError(t, <-running)
	})
}

// TestConnCloseBeforeRunDeliversNothing: Close may read for its answer, but a handler that
// blocks must not be able to hold it.
func TestConnCloseBeforeRunDeliversNothing(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		called := make(chan struct{}, 1)
		conn := fixture.Dial(t, server, &fixture.OnTrade{Do: func(*tickstorm.Trade) { called <- struct{}{} }})
		server.Broadcast([]byte("[" + fixture.Trade("A") + "]"))
		synctest.Wait()
		require.NoError(t, conn.Close())
		require.Empty(t, called)
	})
}

// TestConnCloseAnytime: wherever Dial's caller, Run and Subscribe are when Close comes,
// all of them end.
func TestConnCloseAnytime(t *testing.T) {
	for turns := range 100 {
		fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
			conn := fixture.Dial(t, server, nil)
			running := fixture.Runs(t.Context(), conn)
			waiting := fixture.InBackground(func() error { return conn.Subscribe(t.Context(), tickstorm.Trades, "A") })
			for range turns {
				runtime.Gosched()
			}
			start := time.Now()
			require.NoError(t, conn.Close())
			require.NoError(t, <-running)
			if err := <-waiting; err != nil {
				require.ErrorIs(t, err, tickstorm.ErrClosed)
			}
			require.Zero(t, time.Since(start))
		})
	}
}

// muteAfterWelcome is a server that takes everything and says nothing more.
func muteAfterWelcome(nc net.Conn) {
	if _, answer, err := fixture.Accept(nc); err == nil {
		_, _ = nc.Write(append(answer, fixture.Welcome()...))
		fixture.Swallow(nc)
	}
}

func TestConnCloseUnanswered(t *testing.T) {
	for _, running := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			cfg := fixture.DialConfig("ws://host")
			cfg.NetDial = pipeTo(muteAfterWelcome)
			cfg.CloseTimeout = 10 * time.Second
			conn, err := tickstorm.Dial(t.Context(), cfg, nil)
			require.NoError(t, err)
			ended := make(<-chan error)
			if running {
				ended = fixture.Runs(t.Context(), conn)
				synctest.Wait()
			}
			start := time.Now()
			require.NoError(t, conn.Close())
			require.Equal(t, 5*time.Second, time.Since(start), "the server's half of CloseTimeout")
			if running {
				require.NoError(t, <-ended)
			}
		})
	}
}

// TestConnCloseAgainstRefusal: who closes is not told of what the server says meanwhile.
func TestConnCloseAgainstRefusal(t *testing.T) {
	for _, tc := range []struct {
		name  string
		bytes []byte
	}{
		{"max connections", fixture.Wire(false, true, ws.OpText, "["+fixture.Status("max_connections", "")+"]")},
		{"violation", []byte{0xFF, 0xFF}},
		{"close frame", fixture.Wire(false, true, ws.OpClose, closeBody(1008, ""))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := fixture.DialConfig("ws://host")
				cfg.NetDial = pipeTo(func(nc net.Conn) {
					_, answer, err := fixture.Accept(nc)
					if err != nil {
						return
					}
					_, _ = nc.Write(append(answer, fixture.Welcome()...))
					b := make([]byte, 512)
					_, _ = nc.Read(b) // the key
					_, _ = nc.Read(b) // the close frame
					_, _ = nc.Write(tc.bytes)
					fixture.Swallow(nc)
				})
				conn, err := tickstorm.Dial(t.Context(), cfg, nil)
				require.NoError(t, err)
				running := fixture.Runs(t.Context(), conn)
				synctest.Wait()
				require.NoError(t, conn.Close())
				require.NoError(t, <-running)
			})
		})
	}
}

func TestConnRunCancel(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		r := new(fixture.Recorder)
		conn := fixture.Dial(t, server, r)
		ctx, cancel := context.WithCancel(t.Context())
		running := fixture.Runs(ctx, conn)
		synctest.Wait()
		peer := server.Conns()[0]
		start := time.Now()
		cancel()
		require.ErrorIs(t, <-running, context.Canceled)
		<-peer.Done()
		require.Zero(t, time.Since(start), "the server has answered a close frame")
		require.Len(t, r.Events, 2)
		require.NoError(t, conn.Close())
	})
}

func TestConnRunDeadline(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		conn := fixture.Dial(t, server, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, conn.Run(ctx), context.DeadlineExceeded)
		require.Equal(t, 7*time.Second, time.Since(start))
		<-serverEmpty(t, server)
	})
}

func serverEmpty(t *testing.T, server *sim.Server) <-chan error {
	return fixture.InBackground(func() error {
		return server.Await(t.Context(), func(s sim.Stats) bool { return s.Open == 0 })
	})
}

func TestConnRunCancelUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := fixture.DialConfig("ws://host")
		cfg.NetDial = pipeTo(muteAfterWelcome)
		conn, err := tickstorm.Dial(t.Context(), cfg, nil)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		running := fixture.Runs(ctx, conn)
		synctest.Wait()
		start := time.Now()
		cancel()
		require.ErrorIs(t, <-running, context.Canceled)
		require.LessOrEqual(t, time.Since(start), 5*time.Second)
	})
}

// TestConnRunCancelDeliversNothing: after its context has ended, Run calls no handler.
func TestConnRunCancelDeliversNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := fixture.DialConfig("ws://host")
		cfg.NetDial = pipeTo(func(nc net.Conn) {
			_, answer, err := fixture.Accept(nc)
			if err != nil {
				return
			}
			_, _ = nc.Write(append(answer, fixture.Welcome()...))
			b := make([]byte, 512)
			_, _ = nc.Read(b) // the key
			_, _ = nc.Read(b) // the close frame
			_, _ = nc.Write(fixture.Wire(false, true, ws.OpText, "["+fixture.Trade("A")+"]"))
			_, _ = nc.Write(fixture.Wire(false, true, ws.OpClose, closeBody(1000, "")))
			fixture.Swallow(nc)
		})
		r := new(fixture.Recorder)
		conn, err := tickstorm.Dial(t.Context(), cfg, r)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		running := fixture.Runs(ctx, conn)
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-running, context.Canceled)
		require.Zero(t, conn.Stats().Events[tickstorm.KindTrade], "nor is it decoded")
		require.Len(t, r.Events, 2)
	})
}

// TestConnRunCancelledBefore: a context that has ended already closes the connection as
// one that ends later does.
func TestConnRunCancelledBefore(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 20 { // chance decides what Run finds first
			conn := fixture.Dial(t, server, nil)
			require.ErrorIs(t, conn.Run(ctx), context.Canceled)
			synctest.Wait()
			require.Empty(t, server.Conns())
		}
	})
}

// TestConnRunCancelDuringSubscribe: another goroutine reads in Subscribe when Run's
// context ends.
func TestConnRunCancelDuringSubscribe(t *testing.T) {
	fixture.InBubble(t, sim.Config{Quiet: true, Acks: sim.AckNothing}, func(t *testing.T, server *sim.Server) {
		conn := fixture.Dial(t, server, nil)
		waiting := fixture.InBackground(func() error { return conn.Subscribe(t.Context(), tickstorm.Trades, "A") })
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		running := fixture.Runs(ctx, conn)
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-running, context.Canceled)
		require.ErrorIs(t, <-waiting, tickstorm.ErrClosed)
		<-serverEmpty(t, server)
	})
}

func TestConnRunTwice(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		conn := fixture.Dial(t, server, nil)
		running := fixture.Runs(t.Context(), conn)
		synctest.Wait()
		require.ErrorIs(t, conn.Run(t.Context()), tickstorm.ErrRunning)
		require.NoError(t, conn.Close())
		require.NoError(t, <-running)
		require.Equal(t, tickstorm.ErrEnded, conn.Run(t.Context()), "it has ended as asked")
	})
}

// TestConnShutdownWithoutPatience: a context that has ended leaves a connection that
// nobody drives closed all the same, and Shutdown returns.
func TestConnShutdownWithoutPatience(t *testing.T) {
	for range 20 { // which of its ways it takes is a matter of chance
		fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
			conn := fixture.Dial(t, server, nil)
			peer := server.Conns()[0]
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			start := time.Now()
			require.NoError(t, conn.Shutdown(ctx))
			<-peer.Done()
			require.LessOrEqual(t, time.Since(start), time.Second)
		})
	}
}
