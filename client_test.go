package tickstorm_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

func simClient(t *testing.T, server *sim.Server, h tickstorm.Handler) *tickstorm.Client {
	t.Helper()
	return fixture.NewClient(t, server.ClientConfig(tickstorm.Stocks), h)
}

func simClientWith(t *testing.T, server *sim.Server, h tickstorm.Handler, change func(*tickstorm.Config)) *tickstorm.Client {
	t.Helper()
	cfg := server.ClientConfig(tickstorm.Stocks)
	change(&cfg)
	return fixture.NewClientAsIs(t, cfg, h)
}

// TestClientReconnects: whatever ends a connection, the next has the same topics.
func TestClientReconnects(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   sim.Action
	}{
		{"reset", sim.Cut()},
		{"end", sim.Drop()},
		{"close frame", sim.Close(1001, "restart")},
		{"half a frame", sim.HalfFrame()},
		{"garbage", sim.Garbage()},
		{"silence", sim.Stall(0)},
		{"max connections", sim.Message("[" + fixture.Status("max_connections", "") + "]")},
		{"auth timeout", sim.Message("[" + fixture.Status("auth_timeout", "") + "]")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
				r := new(fixture.Recorder)
				c := simClient(t, server, r)
				require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "B", "A"))
				running := fixture.Runs(t.Context(), c)
				for n := 1; n <= 3; n++ {
					fixture.Settled(t, server, n, 2)
					require.Equal(t, "T.A,T.B", fixture.ServerTopics(t, server))
					server.Broadcast([]byte("[" + fixture.Trade("A") + "]"))
					synctest.Wait()
					server.Conns()[0].Do(tc.do)
				}
				fixture.Settled(t, server, 4, 2)
				require.Empty(t, running)
				stats := c.Stats()
				require.EqualValues(t, 3, stats.Reconnects)
				require.EqualValues(t, 3, stats.Events[tickstorm.KindTrade], "counts go on across connections")
				require.NoError(t, c.Close())
				require.NoError(t, <-running)
				require.Equal(t, stats.Events[tickstorm.KindTrade], c.Stats().Events[tickstorm.KindTrade])
			})
		})
	}
}

func TestClientRetriesHandshake(t *testing.T) {
	for _, action := range []sim.Action{sim.HTTPStatus(503), sim.HTTPStatus(429), sim.Cut()} {
		t.Run(action.String(), func(t *testing.T) {
			cfg := sim.Config{Quiet: true, Faults: []sim.Fault{{At: sim.OnHandshake, Times: 3, Do: action}}}
			fixture.InBubble(t, cfg, func(t *testing.T, server *sim.Server) {
				c := simClient(t, server, nil)
				require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A"))
				running := fixture.Runs(t.Context(), c)
				fixture.Settled(t, server, 4, 1)
				require.Zero(t, c.Stats().Reconnects, "there was no connection before")
				require.NoError(t, c.Close())
				require.NoError(t, <-running)
			})
		})
	}
}

// TestClientGivesUp: a retry makes no sense.
func TestClientGivesUp(t *testing.T) {
	for _, tc := range []struct {
		name  string
		key   string
		fault sim.Action
		is    error
	}{
		{name: "wrong key", key: sim.BadKey, is: tickstorm.ErrAuthFailed},
		{name: "no plan", key: sim.NoPlanKey, is: tickstorm.ErrNoPlan},
		{name: "not found", key: sim.Key, fault: sim.HTTPStatus(404)},
		{name: "forbidden", key: sim.Key, fault: sim.HTTPStatus(403)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := sim.Config{Quiet: true, Faults: []sim.Fault{{At: sim.OnHandshake, Do: tc.fault}}}
			fixture.InBubble(t, cfg, func(t *testing.T, server *sim.Server) {
				config := server.ClientConfig(tickstorm.Stocks)
				config.Key = tc.key
				err := fixture.NewClient(t, config, nil).Run(t.Context())
				require.False(t, tickstorm.Retryable(err))
				if tc.is != nil {
					require.ErrorIs(t, err, tc.is)
				} else {
					var e *tickstorm.DialError
					require.ErrorAs(t, err, &e)
				}
				require.Equal(t, 1, server.Stats().Opened)
			})
		})
	}
}

func TestClientKeyWithdrawn(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		c := simClient(t, server, nil)
		running := fixture.Runs(t.Context(), c)
		fixture.Settled(t, server, 1, 0)
		require.NoError(t, server.Conns()[0].SendStatus("auth_failed", "authentication failed"))
		require.ErrorIs(t, <-running, tickstorm.ErrAuthFailed)
		again := c.Run(t.Context())
		require.ErrorIs(t, again, tickstorm.ErrEnded, "a client runs once")
		require.ErrorIs(t, again, tickstorm.ErrAuthFailed)
		require.NotErrorIs(t, again, tickstorm.ErrRunning)
		require.False(t, tickstorm.Retryable(again))
		require.NoError(t, c.Close())
	})
}

func TestClientSubscribe(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		c := simClient(t, server, nil)
		require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "C", "a"))
		require.NoError(t, c.SubscribeTopics(t.Context(), fixture.Topics(t, "Q.B,T.C")...))
		require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "D"))
		require.NoError(t, c.Unsubscribe(t.Context(), tickstorm.Trades, "d"))
		want := fixture.Topics(t, "T.C,T.A,Q.B")
		require.Equal(t, want, c.Topics(), "in the order they were asked for")

		running := fixture.Runs(t.Context(), c)
		fixture.Settled(t, server, 1, 3)
		require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "E"))
		require.Equal(t, "Q.B,T.A,T.C,T.E", fixture.ServerTopics(t, server))
		require.NoError(t, c.Unsubscribe(t.Context(), tickstorm.Trades, "C"))
		require.NoError(t, c.UnsubscribeTopics(t.Context(), fixture.Topics(t, "Q.B")...))
		c.Request(nil, fixture.Topics(t, "Q.F")...)
		c.Withdraw(nil, fixture.Topics(t, "T.A")...)
		synctest.Wait()
		require.Equal(t, "Q.F,T.E", fixture.ServerTopics(t, server))
		require.Equal(t, fixture.Topics(t, "T.E,Q.F"), c.Topics())

		server.Conns()[0].Cut()
		fixture.Settled(t, server, 2, 2)
		require.Equal(t, "Q.F,T.E", fixture.ServerTopics(t, server))
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
		require.ErrorIs(t, c.Subscribe(t.Context(), tickstorm.Trades, "G"), tickstorm.ErrClosed)
		c.Request(nil, fixture.Topics(t, "Q.G")...)
		require.Equal(t, fixture.Topics(t, "T.E,Q.F"), c.Topics())
	})
}

// TestClientTopicsStayInOrder: also after many have come and gone.
func TestClientTopicsStayInOrder(t *testing.T) {
	c := fixture.NewClient(t, testConfig(), nil)
	topic := func(i int) tickstorm.Topic { return tickstorm.Topic{Channel: "T", Symbol: fmt.Sprintf("S%04d", i)} }
	for i := range 500 {
		c.Request(nil, topic(i))
	}
	var want []tickstorm.Topic
	for i := range 500 {
		if i%9 == 0 {
			want = append(want, topic(i))
		} else {
			c.Withdraw(nil, topic(i))
		}
	}
	c.Request(nil, topic(1), topic(0))
	require.Equal(t, append(want, topic(1)), c.Topics())
	c.Withdraw(nil, topic(0))
	c.Request(nil, topic(0))
	require.Equal(t, append(want[1:], topic(1), topic(0)), c.Topics())
}

func TestClientSubscribeDuringBackoff(t *testing.T) {
	cfg := sim.Config{Quiet: true, Faults: []sim.Fault{{At: sim.OnAccept, Conn: 1, Do: sim.Cut()}}}
	fixture.InBubble(t, cfg, func(t *testing.T, server *sim.Server) {
		c := simClient(t, server, nil)
		running := fixture.Runs(t.Context(), c)
		synctest.Wait()
		require.Zero(t, server.Stats().Open)
		require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A"))
		c.Request(nil, fixture.Topics(t, "Q.A")...)
		fixture.Settled(t, server, 2, 2)
		require.Equal(t, "Q.A,T.A", fixture.ServerTopics(t, server))
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
	})
}

func TestClientSubscribeErrors(t *testing.T) {
	c := fixture.NewClient(t, testConfig(), nil)
	ctx := t.Context()
	require.ErrorIs(t, c.Subscribe(ctx, tickstorm.Trades), tickstorm.ErrNoSymbols)
	require.ErrorIs(t, c.SubscribeTopics(ctx), tickstorm.ErrNoSymbols)
	require.ErrorIs(t, c.UnsubscribeTopics(ctx), tickstorm.ErrNoSymbols)
	require.ErrorIs(t, c.Unsubscribe(ctx, tickstorm.Level2, "A"), tickstorm.ErrNoStream)
	require.ErrorIs(t, c.Subscribe(ctx, tickstorm.Level2, "A"), tickstorm.ErrNoStream)
	require.ErrorIs(t, c.Subscribe(ctx, tickstorm.Trades, "A", "B,C"), tickstorm.ErrBadTopic)
	require.ErrorIs(t, c.Request(nil, tickstorm.Topic{Channel: "T", Symbol: "A"}, tickstorm.Topic{Channel: "T", Symbol: "B C"}), tickstorm.ErrBadTopic)
	require.Empty(t, c.Topics())
}

func TestClientOptionQuotes(t *testing.T) {
	cfg := testConfig()
	cfg.Market = tickstorm.Options
	cfg.MaxOptionQuotes = 2
	c := fixture.NewClient(t, cfg, nil)
	require.NoError(t, c.SubscribeTopics(t.Context(), fixture.Topics(t, "Q.O:A,Q.O:B")...))
	require.ErrorIs(t, c.SubscribeTopics(t.Context(), fixture.Topics(t, "Q.O:C")...), tickstorm.ErrSubscriptionLimit)
	require.Equal(t, fixture.Topics(t, "Q.O:A,Q.O:B"), c.Topics())
}

// TestClientRefused: what the server refuses is not asked for at every reconnect.
func TestClientRefused(t *testing.T) {
	fixture.InBubble(t, sim.Config{Quiet: true, Keys: map[string]sim.Plan{"k": {Channels: []string{"T"}}}}, func(t *testing.T, server *sim.Server) {
		c := simClient(t, server, nil)
		running := fixture.Runs(t.Context(), c)
		fixture.Settled(t, server, 1, 0)
		err := c.SubscribeTopics(t.Context(), fixture.Topics(t, "Q.A,T.A,A.A")...)
		require.ErrorIs(t, err, tickstorm.ErrNotAuthorized)
		require.Equal(t, fixture.Topics(t, "T.A"), c.Topics())
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
	})
}

// TestClientPendingStaysWanted: who waits when the connection breaks is answered by the next.
func TestClientPendingStaysWanted(t *testing.T) {
	cfg := sim.Config{Quiet: true, Faults: []sim.Fault{{At: sim.OnSubscribe, Conn: 1, Do: sim.Cut()}}}
	fixture.InBubble(t, cfg, func(t *testing.T, server *sim.Server) {
		c := simClient(t, server, nil)
		running := fixture.Runs(t.Context(), c)
		fixture.Settled(t, server, 1, 0)
		require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A"))
		fixture.Settled(t, server, 2, 1)
		require.Equal(t, "T.A", fixture.ServerTopics(t, server))
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
	})
}

// TestClientInHandler: a call that cannot be made changes nothing; Request and Withdraw
// can.
func TestClientInHandler(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		var c *tickstorm.Client
		h := &fixture.OnTrade{Do: func(*tickstorm.Trade) {
			require.ErrorIs(t, c.Subscribe(t.Context(), tickstorm.Trades, "A", "B"), tickstorm.ErrInHandler)
			require.ErrorIs(t, c.Unsubscribe(t.Context(), tickstorm.Trades, "A"), tickstorm.ErrInHandler)
			require.Equal(t, fixture.Topics(t, "T.A,T.Z"), c.Topics())
			c.Request(nil, fixture.Topics(t, "T.C")...)
			c.Withdraw(nil, fixture.Topics(t, "T.Z")...)
		}}
		c = simClient(t, server, h)
		require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A", "Z"))
		running := fixture.Runs(t.Context(), c)
		fixture.Settled(t, server, 1, 2)
		server.Broadcast([]byte("[" + fixture.Trade("A") + "]"))
		synctest.Wait()
		require.Equal(t, fixture.Topics(t, "T.A,T.C"), c.Topics())
		require.Equal(t, "T.A,T.C", fixture.ServerTopics(t, server))
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
	})
}

func TestClientSetHandler(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		first, second := new(fixture.Recorder), new(fixture.Recorder)
		c := simClient(t, server, first)
		running := fixture.Runs(t.Context(), c)
		fixture.Settled(t, server, 1, 0)
		c.SetHandler(second)
		server.Broadcast([]byte("[" + fixture.Trade("A") + "]"))
		synctest.Wait()
		server.Conns()[0].Cut()
		fixture.Settled(t, server, 2, 0)
		server.Broadcast([]byte("[" + fixture.Trade("B") + "]"))
		synctest.Wait()
		require.Len(t, first.Events, 2)
		require.Len(t, second.Events, 4, "trade, greeting, answer, trade")
		c.SetHandler(nil)
		server.Broadcast([]byte("[" + fixture.Trade("C") + "]"))
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
		require.Len(t, second.Events, 4)
	})
}

// TestClientSetHandlerWhileDialling: before there is a connection to tell.
func TestClientSetHandlerWhileDialling(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		next := new(fixture.Recorder)
		var c *tickstorm.Client
		h := &callbacks{status: func() { c.SetHandler(next) }}
		c = simClientWith(t, server, h, func(cfg *tickstorm.Config) { cfg.Queue.Inline = true })
		running := fixture.Runs(t.Context(), c)
		fixture.Settled(t, server, 1, 0)
		server.Broadcast([]byte("[" + fixture.Trade("A") + "]"))
		synctest.Wait()
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
		require.Len(t, next.Events, 2, "from the message after the greeting on")
		require.IsType(t, &tickstorm.Trade{}, next.Events[1])
	})
}

// TestClientSymbols: numbers of symbols stay the same across reconnects.
func TestClientSymbols(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		r := new(fixture.Recorder)
		c := simClient(t, server, r)
		running := fixture.Runs(t.Context(), c)
		var ids []uint32
		for n, symbols := range []string{"A B", "B A"} {
			fixture.Settled(t, server, n+1, 0)
			r.Events = nil
			var first, second string
			_, err := fmt.Sscan(symbols, &first, &second)
			require.NoError(t, err)
			server.Broadcast([]byte("[" + fixture.Trade(first) + "," + fixture.Trade(second) + "]"))
			synctest.Wait()
			for _, e := range r.Events {
				ids = append(ids, e.Head().SymbolID)
			}
			server.Conns()[0].Cut()
		}
		require.Equal(t, []uint32{1, 2, 2, 1}, ids)
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
	})
}

func TestClientRunEndsWithContext(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault sim.Fault
		open  int
	}{
		{"streaming", sim.Fault{}, 1},
		{"authenticating", sim.Fault{At: sim.OnGreeting, Do: sim.Stall(0)}, 1},
		{"handshake", sim.Fault{At: sim.OnAccept, Do: sim.Stall(0)}, 1},
		{"backoff", sim.Fault{At: sim.OnAccept, Do: sim.Cut()}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fixture.InBubble(t, sim.Config{Quiet: true, Faults: []sim.Fault{tc.fault}}, func(t *testing.T, server *sim.Server) {
				c := simClient(t, server, nil)
				ctx, cancel := context.WithCancel(t.Context())
				running := fixture.Runs(ctx, c)
				synctest.Wait()
				require.Equal(t, tc.open, server.Stats().Open)
				cancel()
				require.ErrorIs(t, <-running, context.Canceled)
				require.NoError(t, c.Close())
			})
		})
	}
}
