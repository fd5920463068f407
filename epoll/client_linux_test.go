package epoll_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/epoll"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// quickly is a Config of a client that does not keep tests waiting.
func quickly(server *sim.Server) tickstorm.Config {
	cfg := server.ClientConfig(tickstorm.Stocks)
	cfg.Backoff = tickstorm.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond, Healthy: time.Hour}
	return cfg
}

func addClient(t *testing.T, p *epoll.Poller, cfg tickstorm.Config, h tickstorm.Handler) (*epoll.Client, *ending) {
	t.Helper()
	end := new(ending)
	c, err := p.AddClient(cfg, h, end.ended)
	require.NoError(t, err)
	return c, end
}

// TestClientReconnects: whatever breaks the connection, the client subscribes
// again, to what is wanted by then.
func TestClientReconnects(t *testing.T) {
	forTransports(t, fixture.Quiet, func(t *testing.T, server *sim.Server, cfg tickstorm.Config) {
		cfg.Backoff = quickly(server).Backoff
		p := newPoller(t, epoll.Config{})
		r := new(fixture.Recorder)
		c, end := addClient(t, p, cfg, r)
		require.NoError(t, c.Subscribe(tickstorm.Trades, "AAPL", "msft"), "before there is a connection")
		held := func() string {
			if conns := server.Conns(); len(conns) == 1 {
				return fixture.Listed(conns[0].Topics())
			}
			return ""
		}
		pollUntil(t, p, func() bool { return held() == "T.AAPL,T.MSFT" })
		require.NoError(t, c.Request(nil, fixture.Topics(t, "Q.A")...), "while there is one")
		pollUntil(t, p, func() bool { return held() == "Q.A,T.AAPL,T.MSFT" })
		require.NoError(t, c.Unsubscribe(tickstorm.Trades, "AAPL"))
		pollUntil(t, p, func() bool { return held() == "Q.A,T.MSFT" })
		require.Equal(t, fixture.Topics(t, "T.MSFT,Q.A"), c.Topics())

		for i, end := range []func(*sim.Conn){
			(*sim.Conn).Cut,
			func(c *sim.Conn) { c.Kick(1000, "") },
			func(c *sim.Conn) { c.Kick(1012, "restart") },
			func(c *sim.Conn) { _ = c.SendRaw([]byte{0xff, 0xff}) },
		} {
			end(server.Conns()[0])
			pollUntil(t, p, func() bool { return server.Stats().Opened == i+2 && held() == "Q.A,T.MSFT" })
		}
		require.EqualValues(t, 4, c.Stats().Reconnects)
		require.False(t, end.over)
		require.NoError(t, c.Close())
		require.NoError(t, c.Close())
		pollUntil(t, p, func() bool { return end.over })
		require.Equal(t, &ending{over: true, times: 1}, end)
		stats := c.Stats()
		require.EqualValues(t, len(r.Events), stats.Total(), "of all connections")
		require.ErrorIs(t, c.Subscribe(tickstorm.Trades, "A"), tickstorm.ErrClosed)
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", c, c, c), sim.Key)
	})
}

// TestClientStatsOfFailures: connections that failed in authentication are in the total.
func TestClientStatsOfFailures(t *testing.T) {
	server := fixture.Start(t, sim.Config{Quiet: true, Faults: []sim.Fault{
		{At: sim.OnAuth, Times: 2, Do: sim.Message("[" + fixture.Status("auth_timeout", "late") + "]")},
	}})
	p := newPoller(t, epoll.Config{})
	c, end := addClient(t, p, quickly(server), nil)
	pollUntil(t, p, func() bool { return c.Stats().Messages == 6 })
	require.NoError(t, c.Close())
	pollUntil(t, p, func() bool { return end.over })
	s := c.Stats()
	require.EqualValues(t, 6, s.Messages)
	require.EqualValues(t, 6, s.Events[tickstorm.KindStatus])
	require.Greater(t, s.Received, s.Bytes)
}

// TestClientLogs: each line names feed and market, be the feed written with a slash.
func TestClientLogs(t *testing.T) {
	server := fixture.Start(t, fixture.Quiet)
	p := newPoller(t, epoll.Config{})
	var log bytes.Buffer
	cfg := quickly(server)
	cfg.Feed += "/"
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	c, end := addClient(t, p, cfg, nil)
	lines := func(text string) int { return strings.Count(log.String(), text) }
	pollUntil(t, p, func() bool { return lines("authenticated") == 1 })
	require.Equal(t, fmt.Sprintf("epoll.Client{%s/stocks}", server.Feed()), c.String())
	server.Conns()[0].Cut()
	pollUntil(t, p, func() bool { return lines("authenticated") == 2 })
	require.NoError(t, c.Close())
	pollUntil(t, p, func() bool { return end.over })
	require.Equal(t, 2, lines("connection ended"))
	require.Equal(t, 1, lines("reconnecting"))
	for line := range strings.Lines(log.String()) {
		fixture.RequireNamed(t, line, server.Feed(), tickstorm.Stocks)
	}
}

func TestClientEnds(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*tickstorm.Config)
		err    error
	}{
		{"bad key", func(c *tickstorm.Config) { c.Key = sim.BadKey }, tickstorm.ErrAuthFailed},
		{"no plan", func(c *tickstorm.Config) { c.Key = sim.NoPlanKey }, tickstorm.ErrNoPlan},
		{"refused handshake", func(c *tickstorm.Config) { c.Market = "nothing" }, nil},
		{"no descriptor", func(c *tickstorm.Config) {
			c.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				nc, err := new(net.Dialer).DialContext(ctx, network, addr)
				return plainConn{nc}, err
			}
		}, epoll.ErrNoDescriptor},
		{"bad option", func(c *tickstorm.Config) { c.Socket.ReceiveBuffer = -1 }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server := fixture.Start(t, fixture.Quiet)
			p := newPoller(t, epoll.Config{})
			cfg := quickly(server)
			tc.change(&cfg)
			_, end := addClient(t, p, cfg, nil)
			pollUntil(t, p, func() bool { return end.over })
			require.Error(t, end.err)
			if tc.err != nil {
				require.ErrorIs(t, end.err, tc.err)
			}
			require.False(t, tickstorm.Retryable(end.err))
			require.NoError(t, p.Poll(0))
			require.Zero(t, p.Stats().Clients)
			require.NoError(t, server.Await(t.Context(), func(s sim.Stats) bool { return s.Open == 0 }))
		})
	}
	t.Run("bad Config", func(t *testing.T) {
		p := newPoller(t, epoll.Config{})
		_, err := p.AddClient(tickstorm.Config{}, nil, nil)
		require.ErrorIs(t, err, tickstorm.ErrNoKey)
	})
	t.Run("closed poller", func(t *testing.T) {
		server := fixture.Start(t, fixture.Quiet)
		p := newPoller(t, epoll.Config{})
		require.NoError(t, p.Close())
		_, err := p.AddClient(server.ClientConfig(tickstorm.Stocks), nil, nil)
		require.ErrorIs(t, err, tickstorm.ErrClosed)
	})
}

// TestClientClose in every state that a client can be in.
func TestClientClose(t *testing.T) {
	silent := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for _, whole := range []bool{false, true} { // the poller, or the client alone
		closes := func(t *testing.T, p *epoll.Poller, c *epoll.Client, end *ending) {
			if whole {
				require.NoError(t, p.Close())
			} else {
				require.NoError(t, c.Close())
				pollUntil(t, p, func() bool { return end.over })
			}
			require.Equal(t, &ending{over: true, times: 1}, end)
		}
		t.Run(fmt.Sprintf("connecting, whole %v", whole), func(t *testing.T) {
			server := fixture.Start(t, fixture.Quiet)
			p := newPoller(t, epoll.Config{})
			cfg := quickly(server)
			cfg.NetDial = silent
			c, end := addClient(t, p, cfg, nil)
			require.NoError(t, p.Poll(0))
			closes(t, p, c, end)
		})
		t.Run(fmt.Sprintf("waiting, whole %v", whole), func(t *testing.T) {
			server := fixture.Start(t, fixture.Quiet)
			p := newPoller(t, epoll.Config{})
			cfg := quickly(server)
			cfg.Backoff.Min, cfg.Backoff.Max = time.Hour, time.Hour
			failed := make(chan struct{}, 1)
			cfg.NetDial = func(context.Context, string, string) (net.Conn, error) {
				failed <- struct{}{}
				return nil, errors.New("no network")
			}
			c, end := addClient(t, p, cfg, nil)
			require.NoError(t, p.Poll(0))
			<-failed
			pollUntil(t, p, func() bool { return !p.Deadline().IsZero() })
			closes(t, p, c, end)
		})
		t.Run(fmt.Sprintf("authenticating, whole %v", whole), func(t *testing.T) {
			feed := fixture.Listen(t, func(nc net.Conn) {
				if _, answer, err := fixture.Accept(nc); err == nil {
					_, _ = nc.Write(answer)
					fixture.Attend(nc)
				}
			})
			p := newPoller(t, epoll.Config{})
			c, end := addClient(t, p, fixture.DialConfig(feed), nil)
			pollUntil(t, p, func() bool { return p.Stats().Connections == 1 })
			closes(t, p, c, end)
		})
		t.Run(fmt.Sprintf("streaming, whole %v", whole), func(t *testing.T) {
			server := fixture.Start(t, sim.Config{})
			p := newPoller(t, epoll.Config{})
			r := new(fixture.Recorder)
			c, end := addClient(t, p, quickly(server), r)
			require.NoError(t, c.Subscribe(tickstorm.Trades, tickstorm.All))
			pollUntil(t, p, func() bool { return len(r.Events) > 50 })
			closes(t, p, c, end)
			require.NoError(t, server.Await(t.Context(), func(s sim.Stats) bool { return s.Open == 0 }))
		})
		t.Run(fmt.Sprintf("inside a handler, whole %v", whole), func(t *testing.T) {
			server := fixture.Start(t, sim.Config{})
			p := newPoller(t, epoll.Config{})
			var c *epoll.Client
			c, end := addClient(t, p, quickly(server), &fixture.OnTrade{Do: func(*tickstorm.Trade) {
				if whole {
					require.NoError(t, p.Close())
				} else {
					require.NoError(t, c.Close())
				}
			}})
			require.NoError(t, c.Subscribe(tickstorm.Trades, tickstorm.All))
			for waits := patient(t); !end.over; waits() {
				if err := p.Poll(100 * time.Millisecond); err != nil {
					require.ErrorIs(t, err, tickstorm.ErrClosed)
				}
			}
			require.Equal(t, &ending{over: true, times: 1}, end)
		})
	}
}

// TestClientHandler: the handler is called on the poller's thread alone, from the
// first status on, and can be exchanged.
func TestClientHandler(t *testing.T) {
	server := fixture.Start(t, sim.Config{})
	p := newPoller(t, epoll.Config{})
	first, second := new(fixture.Recorder), new(fixture.Recorder)
	c, _ := addClient(t, p, quickly(server), first)
	require.NoError(t, c.Subscribe(tickstorm.Trades, tickstorm.All))
	pollUntil(t, p, func() bool { return len(first.Events) > 10 })
	c.SetHandler(second)
	n := len(first.Events)
	pollUntil(t, p, func() bool { return len(second.Events) > 10 })
	require.Len(t, first.Events, n)
	server.Conns()[0].Cut()
	pollUntil(t, p, func() bool { return server.Stats().Opened == 2 && p.Stats().Connections == 1 })
	n = len(second.Events)
	pollUntil(t, p, func() bool { return len(second.Events) > n+10 })
}

// TestClientRefused: what the plan does not have is not asked for again.
func TestClientRefused(t *testing.T) {
	server := fixture.Start(t, sim.Config{Quiet: true, Keys: map[string]sim.Plan{"trades": {Channels: []string{"T"}}}})
	p := newPoller(t, epoll.Config{})
	c, _ := addClient(t, p, quickly(server), nil)
	require.NoError(t, c.Request(nil, fixture.Topics(t, "T.A,Q.A")...))
	pollUntil(t, p, func() bool { return fixture.Listed(c.Topics()) == "T.A" })
	require.EqualValues(t, 1, c.Stats().Refusals)
	require.ErrorIs(t, c.Subscribe(tickstorm.Trades), tickstorm.ErrNoSymbols)
	require.ErrorIs(t, c.Withdraw(nil), tickstorm.ErrNoSymbols)
	require.ErrorIs(t, c.Request(nil, tickstorm.Topic{Channel: "T", Symbol: "A,B"}), tickstorm.ErrBadTopic)
}

// TestClientLimit: option quotes beyond the vendor's limit are refused before they
// spoil the request of the others.
func TestClientLimit(t *testing.T) {
	server := fixture.Start(t, fixture.Quiet)
	p := newPoller(t, epoll.Config{})
	cfg := quickly(server)
	cfg.Market, cfg.MaxOptionQuotes = tickstorm.Options, 2
	c, _ := addClient(t, p, cfg, nil)
	require.NoError(t, c.Subscribe(tickstorm.Quotes, "O:A270115C00125000", "O:B270115C00125000"))
	require.ErrorIs(t, c.Subscribe(tickstorm.Quotes, "O:C270115C00125000"), tickstorm.ErrSubscriptionLimit)
	require.Len(t, c.Topics(), 2)
}

// TestClientCallbackPanics: what panics beside handlers ends the client as well.
func TestClientCallbackPanics(t *testing.T) {
	p := newPoller(t, epoll.Config{})
	cfg := fixture.DialConfig("ws://host")
	cfg.NetDial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("nobody there") }
	cfg.OnState = func(s *tickstorm.StateChange) {
		if s.State == tickstorm.StateBackoff {
			panic("a bug")
		}
	}
	_, end := addClient(t, p, cfg, nil)
	panicked := 0
	for waits := patient(t); end.times == 0; waits() {
		func() {
			defer func() {
				if recover() != nil {
					panicked++
				}
			}()
			require.NoError(t, p.Poll(time.Second))
		}()
	}
	require.Equal(t, 1, panicked)
	var caught *tickstorm.PanicError
	require.ErrorAs(t, end.err, &caught)
	require.Zero(t, p.Stats().Clients)
}
