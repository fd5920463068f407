package tickstorm_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/frame"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

func TestConnSubscribeBeforeRun(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		r := new(fixture.Recorder)
		conn := fixture.Dial(t, server, r)
		defer conn.Close()
		require.Len(t, r.Events, 2, "Dial reads the greeting and the answer")
		require.NoError(t, conn.Subscribe(t.Context(), tickstorm.Trades, "AAPL", "msft"))
		require.Len(t, r.Events, 4, "Subscribe delivers while it waits")
		require.NoError(t, conn.SubscribeTopics(t.Context(), fixture.Topics(t, "Q.AAPL")...))
		require.Equal(t, "Q.AAPL,T.AAPL,T.MSFT", fixture.ServerTopics(t, server))
		require.NoError(t, conn.Unsubscribe(t.Context(), tickstorm.Trades, "aapl"))
		require.NoError(t, conn.UnsubscribeTopics(t.Context(), fixture.Topics(t, "T.MSFT")...))
		require.Equal(t, "Q.AAPL", fixture.ServerTopics(t, server))
	})
}

func TestConnSubscribeDuringRun(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		r := new(fixture.Recorder)
		conn := fixture.Dial(t, server, r)
		running := fixture.Runs(t.Context(), conn)
		require.NoError(t, conn.Subscribe(t.Context(), tickstorm.Trades, tickstorm.All))
		require.NoError(t, conn.Subscribe(t.Context(), tickstorm.Quotes, "A"))
		require.NoError(t, conn.Unsubscribe(t.Context(), tickstorm.Trades, tickstorm.All))
		require.Equal(t, "Q.A", fixture.ServerTopics(t, server))
		require.NoError(t, conn.Close())
		require.NoError(t, <-running)
		require.Len(t, r.Events, 5)
	})
}

func TestConnSubscribeConcurrently(t *testing.T) {
	for _, running := range []bool{false, true} {
		t.Run(fmt.Sprintf("running %v", running), func(t *testing.T) {
			fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
				conn := fixture.Dial(t, server, nil)
				defer conn.Close()
				if running {
					ended := fixture.Runs(t.Context(), conn)
					defer func() { require.NoError(t, <-ended) }()
					defer conn.Close()
				}
				var all sync.WaitGroup
				errs := make([]error, 8)
				for i := range errs {
					all.Go(func() { errs[i] = conn.Subscribe(t.Context(), tickstorm.Trades, fmt.Sprintf("S%d", i)) })
				}
				all.Wait()
				for _, err := range errs {
					require.NoError(t, err)
				}
				require.Equal(t, "T.S0,T.S1,T.S2,T.S3,T.S4,T.S5,T.S6,T.S7", fixture.ServerTopics(t, server))
			})
		})
	}
}

func TestConnSubscribeUnanswered(t *testing.T) {
	for _, tc := range []struct {
		name    string
		running bool
		limit   time.Duration // of the context, 0 for none
		after   time.Duration
	}{
		{"context, before Run", false, time.Second, time.Second},
		{"context, during Run", true, time.Second, time.Second},
		{"AckTimeout, before Run", false, 0, ackTimeout},
		{"AckTimeout, during Run", true, 0, ackTimeout},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fixture.InBubble(t, sim.Config{Quiet: true, Acks: sim.AckNothing}, func(t *testing.T, server *sim.Server) {
				conn := fixture.Dial(t, server, nil)
				defer conn.Close()
				if tc.running {
					ended := fixture.Runs(t.Context(), conn)
					defer func() { require.NoError(t, <-ended) }()
					defer conn.Close()
				}
				ctx, cancel := context.WithCancel(t.Context())
				if tc.limit > 0 {
					ctx, cancel = context.WithTimeout(ctx, tc.limit)
				}
				defer cancel()
				start := time.Now()
				err := conn.Subscribe(ctx, tickstorm.Trades, "A", "B")
				require.Equal(t, tc.after, time.Since(start))
				var e *tickstorm.SubscribeError
				require.ErrorAs(t, err, &e)
				require.Equal(t, "T.A,T.B", fixture.Listed(e.Pending))
				require.Equal(t, tc.limit > 0, errors.Is(err, context.DeadlineExceeded))
				require.Equal(t, "T.A,T.B", fixture.ServerTopics(t, server), "data may come all the same")

				require.Len(t, server.Conns(), 1, "the connection lives on")
			})
		})
	}
}

func TestConnSubscribeRefused(t *testing.T) {
	fixture.InBubble(t, sim.Config{Quiet: true, Keys: map[string]sim.Plan{"k": {Channels: []string{"T"}}}}, func(t *testing.T, server *sim.Server) {
		conn := fixture.Dial(t, server, nil)
		defer conn.Close()
		err := conn.SubscribeTopics(t.Context(), fixture.Topics(t, "T.A,Q.A")...)
		require.ErrorIs(t, err, tickstorm.ErrNotAuthorized)
		var e *tickstorm.SubscribeError
		require.ErrorAs(t, err, &e)
		require.Equal(t, "T.A", fixture.Listed(e.Acked))
		require.Equal(t, "Q.A", fixture.Listed(e.Refused))
		require.EqualValues(t, 1, conn.Stats().Refusals)
	})
}

func TestConnSubscribeErrors(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		conn := fixture.Dial(t, server, nil)
		defer conn.Close()
		ctx := t.Context()
		require.ErrorIs(t, conn.Subscribe(ctx, tickstorm.Trades), tickstorm.ErrNoSymbols)
		require.ErrorIs(t, conn.SubscribeTopics(ctx), tickstorm.ErrNoSymbols)
		require.ErrorIs(t, conn.Unsubscribe(ctx, tickstorm.Trades), tickstorm.ErrNoSymbols)
		require.ErrorIs(t, conn.Subscribe(ctx, tickstorm.Level2, "A"), tickstorm.ErrNoStream)
		require.ErrorIs(t, conn.Unsubscribe(ctx, tickstorm.Level2, "A"), tickstorm.ErrNoStream)
		require.ErrorIs(t, conn.Subscribe(ctx, tickstorm.Trades, "A B"), tickstorm.ErrBadTopic)
		require.Len(t, server.Conns()[0].Requests(), 1, "only the key was sent")
	})
}

// TestConnInHandler: what would wait for its own goroutine says so, what need not wait works.
func TestConnInHandler(t *testing.T) {
	for _, running := range []bool{false, true} {
		t.Run(fmt.Sprintf("running %v", running), func(t *testing.T) {
			fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
				var conn *tickstorm.Conn
				errs := make(chan error, 2)
				asked := make(chan struct{})
				h := &fixture.OnTrade{Do: func(*tickstorm.Trade) {
					errs <- conn.Subscribe(t.Context(), tickstorm.Trades, "B")
					errs <- conn.Unsubscribe(t.Context(), tickstorm.Trades, "A")
					conn.Request(nil, tickstorm.Topic{Channel: "T", Symbol: "C"})
					conn.Withdraw(nil, tickstorm.Topic{Channel: "T", Symbol: "A"})
					conn.Request(nil) // logged and no more
					close(asked)
				}}
				conn = fixture.Dial(t, server, h)
				defer conn.Close()
				require.NoError(t, conn.Subscribe(t.Context(), tickstorm.Trades, "A"))
				server.Broadcast([]byte("[" + fixture.Trade("A") + "]"))
				if running {
					ended := fixture.Runs(t.Context(), conn)
					defer func() { require.NoError(t, <-ended) }()
					defer conn.Close()
				} else {
					require.NoError(t, conn.Subscribe(t.Context(), tickstorm.Trades, "D"))
				}
				require.ErrorIs(t, <-errs, tickstorm.ErrInHandler)
				require.ErrorIs(t, <-errs, tickstorm.ErrInHandler)
				<-asked
				require.NoError(t, conn.Subscribe(t.Context(), tickstorm.Trades, "E"), "what was requested before goes out before")
				got := server.Conns()[0].Requests()
				require.Contains(t, got, `{"action":"subscribe","params":"T.C"}`)
				require.Contains(t, got, `{"action":"unsubscribe","params":"T.A"}`)
			})
		})
	}
}

func TestConnRequest(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		conn := fixture.Dial(t, server, nil)
		conn.Request(nil, fixture.Topics(t, "T.A,T.B")...) // waits for Run
		running := fixture.Runs(t.Context(), conn)
		conn.Withdraw(nil, fixture.Topics(t, "T.A")...)
		synctest.Wait()
		require.Equal(t, "T.B", fixture.ServerTopics(t, server))
		require.NoError(t, conn.Close())
		require.NoError(t, <-running)
	})
}

func TestConnSetHandler(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		first, second := new(fixture.Recorder), new(fixture.Recorder)
		conn := fixture.Dial(t, server, first)
		running := fixture.Runs(t.Context(), conn)
		server.Broadcast([]byte("[" + fixture.Trade("A") + "]"))
		synctest.Wait()
		conn.SetHandler(second)
		server.Broadcast([]byte("[" + fixture.Trade("B") + "]"))
		synctest.Wait()
		require.Len(t, first.Events, 3)
		require.Len(t, second.Events, 1)
		require.Equal(t, "B", second.Events[0].Head().Symbol)
		require.NoError(t, conn.Close())
		require.NoError(t, <-running)
	})
}

func TestConnStats(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		conn := fixture.Dial(t, server, nil)
		running := fixture.Runs(t.Context(), conn)
		before := conn.Stats()
		require.EqualValues(t, 2, before.Messages)
		server.Broadcast([]byte("[" + fixture.Trade("A") + "," + fixture.Trade("B") + ",7]"))
		synctest.Wait()
		after := conn.Stats()
		require.EqualValues(t, 3, after.Messages)
		require.EqualValues(t, 2, after.Events[tickstorm.KindTrade])
		require.EqualValues(t, 1, after.Errors)
		require.Greater(t, after.Received, before.Received)
		require.NoError(t, conn.Close())
		require.NoError(t, <-running)
		require.Equal(t, after.Events, conn.Stats().Events, "they outlive the connection")
	})
}

func TestConnPings(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		conn := fixture.Dial(t, server, nil)
		running := fixture.Runs(t.Context(), conn)
		time.Sleep(25*time.Second - 1)
		synctest.Wait()
		require.Zero(t, server.Stats().Pings)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Equal(t, 1, server.Stats().Pings)
		time.Sleep(time.Hour)
		require.Empty(t, running, "pongs keep a quiet connection alive")
		require.NoError(t, conn.Close())
		require.NoError(t, <-running)
	})
}

// TestConnEnds: what Run returns of a connection that the server or the network ends.
func TestConnEnds(t *testing.T) {
	message := func(text string) sim.Action { return sim.Message(text) }
	for _, tc := range []struct {
		name   string
		do     sim.Action
		is     error
		code   ws.StatusCode // of a CloseError
		local  bool
		within time.Duration
	}{
		{name: "close frame", do: sim.Close(1008, "too many"), code: 1008},
		{name: "close frame, normal", do: sim.Close(1000, ""), code: 1000},
		{name: "reset", do: sim.Cut(), is: tickstorm.ErrDisconnected},
		{name: "end", do: sim.Drop(), is: tickstorm.ErrDisconnected},
		{name: "half a frame", do: sim.HalfFrame(), is: tickstorm.ErrDisconnected},
		{name: "garbage", do: sim.Garbage(), code: 1002, local: true},
		{name: "giant length", do: sim.GiantLength(), code: 1009, local: true},
		{name: "max connections", do: message("[" + fixture.Status("max_connections", "") + "]"), is: tickstorm.ErrMaxConnections},
		{name: "silence", do: sim.Stall(0), is: tickstorm.ErrIdle, within: time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fixture.InBubble(t, sim.Config{Quiet: true, IgnorePings: true}, func(t *testing.T, server *sim.Server) {
				conn := fixture.Dial(t, server, nil)
				running := fixture.Runs(t.Context(), conn)
				start := time.Now()
				server.Conns()[0].Do(tc.do)
				err := <-running
				require.Equal(t, tc.within, time.Since(start))
				if tc.is != nil {
					require.ErrorIs(t, err, tc.is)
				}
				if tc.code != 0 {
					var closed *frame.CloseError
					require.ErrorAs(t, err, &closed)
					require.Equal(t, tc.code, closed.Code)
					require.Equal(t, tc.local, closed.Local)
				}
				require.True(t, tickstorm.Retryable(err))
				again := conn.Run(t.Context())
				require.ErrorIs(t, again, err, "it says so again")
				require.ErrorIs(t, again, tickstorm.ErrEnded)
				require.False(t, tickstorm.Retryable(again))
				require.NoError(t, conn.Close())
			})
		})
	}
}

// TestConnSubscribeAtTheEnd: who waits when the connection ends learns why, in the type
// that Subscribe promises, and so does who comes later.
func TestConnSubscribeAtTheEnd(t *testing.T) {
	subscribed := func(t *testing.T, err, is error) {
		t.Helper()
		var e *tickstorm.SubscribeError
		require.ErrorAs(t, err, &e)
		require.ErrorIs(t, err, is)
		require.Equal(t, "T.A", fixture.Listed(e.Pending))
	}
	for _, tc := range []struct {
		name    string
		running bool
		end     func(*tickstorm.Conn, *sim.Server)
		is      error
	}{
		{"cut before Run", false, func(_ *tickstorm.Conn, s *sim.Server) { s.Conns()[0].Cut() }, tickstorm.ErrDisconnected},
		{"cut during Run", true, func(_ *tickstorm.Conn, s *sim.Server) { s.Conns()[0].Cut() }, tickstorm.ErrDisconnected},
		{"Close before Run", false, func(c *tickstorm.Conn, _ *sim.Server) { _ = c.Close() }, tickstorm.ErrClosed},
		{"Close during Run", true, func(c *tickstorm.Conn, _ *sim.Server) { _ = c.Close() }, tickstorm.ErrClosed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fixture.InBubble(t, sim.Config{Quiet: true, Acks: sim.AckNothing}, func(t *testing.T, server *sim.Server) {
				conn := fixture.Dial(t, server, nil)
				var running <-chan error
				if tc.running {
					running = fixture.Runs(t.Context(), conn)
				}
				waiting := fixture.InBackground(func() error { return conn.Subscribe(t.Context(), tickstorm.Trades, "A") })
				synctest.Wait()
				tc.end(conn, server)
				subscribed(t, <-waiting, tc.is)
				if tc.running {
					<-running
				}
				for range 20 { // chance decides what such a call finds first
					subscribed(t, conn.Subscribe(t.Context(), tickstorm.Trades, "A"), tc.is)
				}
			})
		})
	}
}

// TestConnSlowHandler: the time that a handler takes is neither the server's silence nor
// part of the time to write.
func TestConnSlowHandler(t *testing.T) {
	for _, takes := range []time.Duration{15 * time.Second, 2 * time.Minute} { // more than WriteTimeout, than IdleTimeout
		t.Run(takes.String(), func(t *testing.T) {
			fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
				var conn *tickstorm.Conn
				done := make(chan struct{}, 2)
				conn = fixture.Dial(t, server, &fixture.OnTrade{Do: func(*tickstorm.Trade) {
					time.Sleep(takes)
					conn.Request(nil, tickstorm.Topic{Channel: "T", Symbol: "A"})
					done <- struct{}{}
				}})
				running := fixture.Runs(t.Context(), conn)
				server.Broadcast([]byte("[" + fixture.Trade("A") + "]"))
				synctest.Wait()
				server.Broadcast([]byte("[" + fixture.Trade("A") + "]")) // lies in the socket meanwhile
				for range 2 {
					select {
					case <-done:
					case err := <-running:
						require.NoError(t, err)
						t.Fatal("Run has returned")
					}
				}
				synctest.Wait()
				require.Empty(t, running)
				require.Equal(t, "T.A", fixture.ServerTopics(t, server))
				require.NoError(t, conn.Close())
				require.NoError(t, <-running)
			})
		})
	}
}

// TestConnWriteTimeout: a server that does not read ends the connection in time.
func TestConnWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := fixture.DialConfig("ws://host")
		deaf := make(chan struct{})
		cfg.NetDial = pipeTo(func(nc net.Conn) {
			_, answer, err := fixture.Accept(nc)
			if err != nil {
				return
			}
			_, _ = nc.Write(answer)
			_, _ = nc.Read(make([]byte, 512)) // the key
			_, _ = nc.Write(fixture.Welcome())
			<-deaf
		})
		conn, err := tickstorm.Dial(t.Context(), cfg, nil)
		require.NoError(t, err)
		start := time.Now()
		err = conn.Run(t.Context())
		require.ErrorIs(t, err, tickstorm.ErrDisconnected)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		took := time.Since(start) // the first ping, WriteTimeout, and what the server may have said
		require.GreaterOrEqual(t, took, 35*time.Second)
		require.Less(t, took, 36*time.Second)
		close(deaf)
	})
}

// pipeTo is a NetDial to a server in memory.
func pipeTo(serve func(net.Conn)) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			serve(server)
		}()
		return client, nil
	}
}

func TestConnString(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		conn := fixture.Dial(t, server, nil)
		defer conn.Close()
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			require.Equal(t, "tickstorm.Conn{ws://sim.invalid/stocks}", fmt.Sprintf(verb, conn))
		}
	})
}

// TestConnSubscribeSoFar: who stops waiting learns what has been answered.
func TestConnSubscribeSoFar(t *testing.T) {
	for _, running := range []bool{false, true} {
		t.Run(fmt.Sprint("running ", running), func(t *testing.T) {
			cfg := sim.Config{Quiet: true, Keys: map[string]sim.Plan{"a-key": {Channels: []string{"T"}}}}
			fixture.InBubble(t, cfg, func(t *testing.T, server *sim.Server) {
				config := server.ClientConfig(tickstorm.Stocks)
				config.ChunkTopics = 2
				h := &callbacks{}
				acked := 0
				h.status = func() {
					if acked++; acked == 6 { // greeting, answer, two acknowledgements, refusal, acknowledgement
						server.Conns()[0].Do(sim.Stall(0))
					}
				}
				conn, err := tickstorm.Dial(t.Context(), config, h)
				require.NoError(t, err)
				var ran <-chan error
				if running {
					ran = fixture.Runs(t.Context(), conn)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				start := time.Now()
				err = conn.SubscribeTopics(ctx, fixture.Topics(t, "T.A,T.b,T.C,Q.A,T.E,T.F,T.A")...)
				require.Equal(t, 3*time.Second, time.Since(start))
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.ErrorIs(t, err, tickstorm.ErrNotAuthorized)
				var e *tickstorm.SubscribeError
				require.ErrorAs(t, err, &e)
				require.Equal(t, []string{"T.A,T.B,T.C", "Q.A", "T.E,T.F"}, []string{fixture.Listed(e.Acked), fixture.Listed(e.Refused), fixture.Listed(e.Pending)})
				require.NoError(t, conn.Close())
				if running {
					require.NoError(t, <-ran)
				}
			})
		})
	}
}

// TestConnLastWords: what the server said before a write failed is the reason.
func TestConnLastWords(t *testing.T) {
	text := func(text string) []byte { return fixture.Wire(false, true, ws.OpText, "["+text+"]") }
	for _, tc := range []struct {
		name  string
		bytes []byte
		is    error
		code  ws.StatusCode
	}{
		{"status", text(fixture.Status("max_connections", "")), tickstorm.ErrMaxConnections, 0},
		{"status behind data", append(text(fixture.Trade("A")), text(fixture.Status("auth_failed", ""))...), tickstorm.ErrAuthFailed, 0},
		{"close frame", fixture.Wire(false, true, ws.OpClose, closeBody(1008, "too many")), nil, 1008},
		{"nothing", nil, tickstorm.ErrDisconnected, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := fixture.DialConfig("ws://host")
				var nc *brokenWriter
				cfg.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					conn, err := pipeTo(func(nc net.Conn) {
						_, answer, err := fixture.Accept(nc)
						if err != nil {
							return
						}
						_, _ = nc.Write(append(answer, fixture.Welcome()...))
						_, _ = nc.Read(make([]byte, 512)) // the key
						time.Sleep(25 * time.Second)      // the ping
						if len(tc.bytes) > 0 {
							_, _ = nc.Write(tc.bytes)
						}
						fixture.Swallow(nc)
					})(ctx, network, addr)
					nc = &brokenWriter{Conn: conn}
					return nc, err
				}
				conn, err := tickstorm.Dial(t.Context(), cfg, nil)
				require.NoError(t, err)
				nc.broken.Store(true)
				start := time.Now()
				err = conn.Run(t.Context())
				require.Less(t, time.Since(start), 26*time.Second)
				if tc.is != nil {
					require.ErrorIs(t, err, tc.is)
				} else {
					var closed *frame.CloseError
					require.ErrorAs(t, err, &closed)
					require.Equal(t, tc.code, closed.Code)
				}
			})
		})
	}
}

// brokenWriter is a connection of which one direction has gone.
type brokenWriter struct {
	net.Conn
	broken atomic.Bool
}

func (b *brokenWriter) Write(p []byte) (int, error) {
	if b.broken.Load() {
		return 0, errors.New("broken pipe")
	}
	return b.Conn.Write(p)
}

// TestConnPongTimeout: a link that is half open is noticed.
func TestConnPongTimeout(t *testing.T) {
	for _, tc := range []struct {
		name  string
		limit time.Duration
		is    error
		after time.Duration
	}{
		{"default", 0, tickstorm.ErrIdle, time.Minute},
		{"own", 4 * time.Second, tickstorm.ErrPongTimeout, 29 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
				cfg := server.ClientConfig(tickstorm.Stocks)
				cfg.PongTimeout = tc.limit
				conn, err := tickstorm.Dial(t.Context(), cfg, nil)
				require.NoError(t, err)
				start := time.Now()
				server.Conns()[0].Do(sim.Stall(0))
				require.ErrorIs(t, conn.Run(t.Context()), tc.is)
				require.Equal(t, tc.after, time.Since(start))
			})
		})
	}
}
