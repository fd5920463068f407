package epoll_test

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/epoll"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// TestPollerAsksLate: a request's patience, and the closing handshake's, begin when they
// are asked for, however long the connection was quiet before.
func TestPollerAsksLate(t *testing.T) {
	const limit = 400 * time.Millisecond // in all less than what is taken for a loop that was busy elsewhere
	afterQuiet := func(t *testing.T, do func(*testing.T, *epoll.Poller, *epoll.Detached, *ending)) {
		server := fixture.Start(t, fixture.Quiet)
		synctest.Test(t, func(t *testing.T) {
			cfg := server.ClientConfig(tickstorm.Stocks)
			cfg.AckTimeout, cfg.CloseTimeout = limit, 2*limit
			d := dialDetached(t, cfg, nil)
			p, end := newPoller(t, epoll.Config{}), new(ending)
			require.NoError(t, p.Add(d, end.ended))
			require.NoError(t, p.Poll(0))
			time.Sleep(2 * limit)
			do(t, p, d, end)
		})
	}
	t.Run("subscribe", func(t *testing.T) {
		afterQuiet(t, func(t *testing.T, p *epoll.Poller, d *epoll.Detached, _ *ending) {
			answered, answer := false, error(nil)
			require.NoError(t, p.Do(func() {
				require.NoError(t, d.Request(func(err error) { answered, answer = true, err }, fixture.Topics(t, "T.A")...))
			}))
			pollUntil(t, p, func() bool { return answered })
			require.NoError(t, answer)
		})
	})
	t.Run("shutdown", func(t *testing.T) {
		afterQuiet(t, func(t *testing.T, p *epoll.Poller, d *epoll.Detached, end *ending) {
			require.NoError(t, p.Do(d.Shutdown))
			pollUntil(t, p, func() bool { return end.over })
			require.ErrorIs(t, d.Err(), tickstorm.ErrClosed)
		})
	})
}

// TestPollerSlowNeighbour: what came while the handler of another connection kept the
// thread busy has come in time.
func TestPollerSlowNeighbour(t *testing.T) {
	const pong = 100 * time.Millisecond // shorter than what is taken for a loop that was busy elsewhere
	server := fixture.Start(t, fixture.Quiet)
	synctest.Test(t, func(t *testing.T) {
		p := newPoller(t, epoll.Config{})
		cfg := server.ClientConfig(tickstorm.Stocks)
		cfg.PingInterval, cfg.PongTimeout = pong/2, pong
		var end ending
		d := dialDetached(t, cfg, nil)
		require.NoError(t, p.Add(d, end.ended))
		require.NoError(t, p.Poll(0))
		for range 8 {
			time.Sleep(pong / 2)
			require.NoError(t, p.Poll(0)) // pings
			arrived(t, d, 1)
			require.NoError(t, p.Do(func() { time.Sleep(2 * pong) }))
			require.NoError(t, p.Poll(0))
			require.NoError(t, end.err)
			require.False(t, end.over)
		}
	})
}

// TestPollerTaskPanics: what others asked for is done all the same.
func TestPollerTaskPanics(t *testing.T) {
	p := newPoller(t, epoll.Config{})
	done := false
	require.NoError(t, p.Do(func() { panic("a bug") }))
	require.NoError(t, p.Do(func() { done = true }))
	require.PanicsWithValue(t, "a bug", func() { _ = p.Poll(0) })
	require.NoError(t, p.Poll(0))
	require.True(t, done)
}

// TestPollerSharedDescriptor: a descriptor of which the program has kept a duplicate stays
// in the kernel's epoll set when it is closed, unless it is taken out.
func TestPollerSharedDescriptor(t *testing.T) {
	server := fixture.Start(t, fixture.Quiet)
	p := newPoller(t, epoll.Config{})
	cfg := server.ClientConfig(tickstorm.Stocks)
	var kept *os.File
	cfg.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			kept, err = nc.(*net.TCPConn).File()
		}
		return nc, err
	}
	d := dialDetached(t, cfg, nil)
	defer kept.Close()
	var end ending
	require.NoError(t, p.Add(d, end.ended))
	require.NoError(t, p.Poll(0))
	server.Conns()[0].Cut()
	pollUntil(t, p, func() bool { return end.over })
	wakes := p.Stats().Wakes
	for range 10 {
		require.NoError(t, p.Poll(0))
	}
	require.Equal(t, wakes, p.Stats().Wakes, "nothing is there to tell")
}

// TestClientMaxAttempts: the bound is that of a Client.
func TestClientMaxAttempts(t *testing.T) {
	p := newPoller(t, epoll.Config{})
	cfg := fixture.DialConfig("ws://host")
	dials := 0 // of goroutines that follow one another
	cfg.Backoff = tickstorm.Backoff{Min: time.Millisecond, Max: time.Millisecond, MaxAttempts: 3}
	cfg.NetDial = func(context.Context, string, string) (net.Conn, error) {
		dials++
		return nil, errors.New("refused")
	}
	_, end := addClient(t, p, cfg, nil)
	pollUntil(t, p, func() bool { return end.over })
	var e *tickstorm.AttemptsError
	require.ErrorAs(t, end.err, &e)
	require.Equal(t, 3, dials)
}

// TestClientRetryAfter: a server that names its wait is obeyed, as by a Client.
func TestClientRetryAfter(t *testing.T) {
	for after, least := range map[string]time.Duration{"100": 100 * time.Second, "99999999999999999999": 5 * time.Minute} {
		feed := fixture.Listen(t, func(nc net.Conn) {
			if _, _, err := fixture.Accept(nc); err == nil {
				_, _ = nc.Write([]byte("HTTP/1.1 503 Service Unavailable\r\nRetry-After: " + after + "\r\nContent-Length: 0\r\n\r\n"))
			}
		})
		synctest.Test(t, func(t *testing.T) {
			p := newPoller(t, epoll.Config{})
			cfg := fixture.DialConfig(feed)
			cfg.Backoff = tickstorm.Backoff{Min: time.Millisecond, Max: time.Millisecond}
			addClient(t, p, cfg, nil)
			pollUntil(t, p, func() bool { return !p.Deadline().IsZero() })
			require.Greater(t, time.Until(p.Deadline()), least)
			require.LessOrEqual(t, time.Until(p.Deadline()), least+least/4+time.Second)
		})
	}
}

// TestClientPanic: a client whose handler has panicked did not end as asked.
func TestClientPanic(t *testing.T) {
	server := fixture.Start(t, sim.Config{})
	p := newPoller(t, epoll.Config{})
	c, end := addClient(t, p, quickly(server), &fixture.OnTrade{Do: func(*tickstorm.Trade) { panic("a bug") }})
	require.NoError(t, c.Subscribe(tickstorm.Trades, tickstorm.All))
	require.PanicsWithValue(t, "a bug", func() { pollUntil(t, p, func() bool { return false }) })
	pollUntil(t, p, func() bool { return end.over })
	var panicked *tickstorm.PanicError
	require.ErrorAs(t, end.err, &panicked)
	require.Equal(t, "a bug", panicked.Value)
}

// TestPollerEndedPanics in the middle of what is due: the others are asked all the same.
func TestPollerEndedPanics(t *testing.T) {
	server := fixture.Start(t, sim.Config{Quiet: true, MaxConnections: -1})
	synctest.Test(t, func(t *testing.T) {
		p := newPoller(t, epoll.Config{})
		cfg := server.ClientConfig(tickstorm.Stocks)
		cfg.IdleTimeout, cfg.PingInterval = 5*time.Second, -1
		ends := make([]ending, 4)
		for i := range ends {
			require.NoError(t, p.Add(dialDetached(t, cfg, nil), func(err error) {
				ends[i].ended(err)
				panic("a bug")
			}))
		}
		require.NoError(t, p.Poll(0))
		time.Sleep(cfg.IdleTimeout) // all are due at once
		for range ends {
			require.PanicsWithValue(t, "a bug", func() { _ = p.Poll(0) })
		}
		require.NoError(t, p.Poll(0))
		for _, end := range ends {
			require.ErrorIs(t, end.err, tickstorm.ErrIdle)
			require.Equal(t, 1, end.times)
		}
	})
}

// TestDetachedCloseInside: what was read behind the message is not handled any more.
func TestDetachedCloseInside(t *testing.T) {
	server := fixture.Start(t, fixture.Quiet)
	trades := 0
	var d *epoll.Detached
	d = dialDetached(t, server.ClientConfig(tickstorm.Stocks), &fixture.OnTrade{Do: func(*tickstorm.Trade) {
		trades++
		require.NoError(t, d.Close())
	}})
	l := newLoop(t, d)
	const messages, trade = 5, `[{"ev":"T","sym":"A","p":1.5}]`
	for range messages {
		server.Broadcast([]byte(trade))
	}
	arrived(t, d, messages*len(trade))
	_ = l.until(func() bool { return false })
	require.Equal(t, 1, trades)
}

// TestDetachLate: nobody listened before Detach.
func TestDetachLate(t *testing.T) {
	server := fixture.Start(t, fixture.Quiet)
	synctest.Test(t, func(t *testing.T) {
		cfg := server.ClientConfig(tickstorm.Stocks)
		cfg.AckTimeout, cfg.IdleTimeout, cfg.PingInterval = 200*time.Millisecond, 300*time.Millisecond, -1
		conn, err := tickstorm.Dial(t.Context(), cfg, nil)
		require.NoError(t, err)
		time.Sleep(400 * time.Millisecond) // less than what is taken for a loop that was busy elsewhere
		d, err := epoll.Detach(conn)
		require.NoError(t, err)
		answered, answer := false, error(nil)
		require.NoError(t, d.Request(func(err error) { answered, answer = true, err }, fixture.Topics(t, "T.A")...))
		l := newLoop(t, d)
		require.NoError(t, l.until(func() bool { return answered }))
		require.NoError(t, answer)
	})
}

// TestPollerCloseThoughPanics: Close closes everything, whatever it is told of that.
func TestPollerCloseThoughPanics(t *testing.T) {
	server := fixture.Start(t, sim.Config{Quiet: true, MaxConnections: -1})
	p, err := epoll.NewPoller(epoll.Config{})
	require.NoError(t, err)
	detached := make([]*epoll.Detached, 3)
	for i := range detached {
		detached[i] = dialDetached(t, server.ClientConfig(tickstorm.Stocks), nil)
		require.NoError(t, p.Add(detached[i], func(error) { panic("a bug") }))
	}
	require.NoError(t, p.Poll(0))
	require.Panics(t, func() { _ = p.Close() })
	for _, d := range detached {
		require.Equal(t, -1, d.Fd())
	}
	require.Equal(t, -1, p.Fd())
}
