package epoll_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/epoll"
	"github.com/tickstorm/tickstorm/frame"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// loop is the event loop of a program of one's own, with one connection.
type loop struct {
	t     *testing.T
	epoll int
	d     *epoll.Detached
	write bool // asked for
	more  bool
	full  bool // see narrow
	wakes int
}

// narrow makes the descriptor one that takes so many bytes more and is then not writable.
func (l *loop) narrow(room int) {
	l.full = true
	l.d.Narrow(room)
}

func (l *loop) widen() {
	l.full = false
	l.d.Widen()
}

func newLoop(t *testing.T, d *epoll.Detached) *loop {
	t.Helper()
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, d.Close())
		require.NoError(t, syscall.Close(epoll))
	})
	l := &loop{t: t, epoll: epoll, d: d, more: true}
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP}
	require.NoError(t, syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, d.Fd(), &ev))
	return l
}

// until runs the loop until done, and returns whether the connection still lives.
func (l *loop) until(done func() bool) error {
	l.t.Helper()
	waits := patient(l.t)
	var events [4]syscall.EpollEvent
	for !done() {
		waits()
		l.d.Advance(time.Now())
		if err := l.d.Err(); err != nil {
			return err
		}
		wait := 100
		if l.more {
			wait = 0
		}
		n, err := syscall.EpollWait(l.epoll, events[:], wait)
		if err == syscall.EINTR {
			continue
		}
		require.NoError(l.t, err)
		l.wakes++
		l.d.Advance(time.Now())
		if n > 0 && events[0].Events&syscall.EPOLLOUT != 0 {
			_ = l.d.WriteReady()
		}
		if n > 0 || l.more {
			err = l.d.ReadReady(0)
			l.more = err == epoll.ErrMore
		}
		if err := l.d.Err(); err != nil {
			return err
		}
		if want := l.d.WantWrite() && !l.full; want != l.write {
			l.write = want
			ev := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP}
			if want {
				ev.Events |= syscall.EPOLLOUT
			}
			require.NoError(l.t, syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_MOD, l.d.Fd(), &ev))
		}
	}
	return nil
}

// transports are the ways a connection may be encrypted, as changes to a client's Config.
var transports = []struct {
	name    string
	secure  bool
	version uint16
}{{"ws", false, 0}, {"TLS 1.2", true, tls.VersionTLS12}, {"TLS 1.3", true, tls.VersionTLS13}}

func forTransports(t *testing.T, cfg sim.Config, test func(t *testing.T, server *sim.Server, client tickstorm.Config)) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			cfg := cfg
			cfg.TLS = tr.secure
			server := fixture.Start(t, cfg)
			client := server.ClientConfig(tickstorm.Stocks)
			if tr.secure {
				client.TLS.MaxVersion = tr.version
			}
			test(t, server, client)
		})
	}
}

func dialDetached(t *testing.T, cfg tickstorm.Config, h tickstorm.Handler) *epoll.Detached {
	t.Helper()
	conn, err := tickstorm.Dial(t.Context(), cfg, h)
	require.NoError(t, err)
	d, err := epoll.Detach(conn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestDetach(t *testing.T) {
	forTransports(t, sim.Config{Rate: 20_000}, func(t *testing.T, server *sim.Server, cfg tickstorm.Config) {
		r := new(fixture.Recorder)
		d := dialDetached(t, cfg, r)
		require.Equal(t, tickstorm.Ready, d.State())
		require.EqualValues(t, 2, d.Stats().Events[tickstorm.KindStatus], "what the Conn has counted")
		l := newLoop(t, d)

		var result error = errors.New("not called")
		require.NoError(t, d.Request(func(err error) { result = err }, fixture.Topics(t, "T.*,Q.*")...))
		require.NoError(t, l.until(func() bool { return len(r.Events) > 5000 }))
		require.NoError(t, result)
		require.Empty(t, r.Errors)
		require.Equal(t, "Q.*,T.*", fixture.ServerTopics(t, server))
		require.Greater(t, l.wakes, 5, "so many events are more than so many budgets")

		require.NoError(t, d.Withdraw(nil, fixture.Topics(t, "Q.*")...))
		require.NoError(t, l.until(func() bool { return fixture.ServerTopics(t, server) == "T.*" }))
		n, err := d.Backlog()
		require.NoError(t, err)
		require.GreaterOrEqual(t, n, 0)

		d.Shutdown()
		require.ErrorIs(t, l.until(func() bool { return false }), tickstorm.ErrClosed)
		require.NoError(t, d.Close())
		require.NoError(t, d.Close())
		require.Equal(t, -1, d.Fd())
		require.ErrorIs(t, d.ReadReady(0), tickstorm.ErrClosed)
		require.ErrorIs(t, d.WriteReady(), tickstorm.ErrClosed)
		require.ErrorIs(t, d.Request(nil, fixture.Topics(t, "T.A")...), tickstorm.ErrClosed)
		require.False(t, d.WantWrite())
		require.Zero(t, d.Advance(time.Now()))
		require.NoError(t, server.Await(t.Context(), func(s sim.Stats) bool { return s.Open == 0 }))
		stats := d.Stats()
		require.EqualValues(t, len(r.Events), stats.Total())
	})
}

// TestDetachedConn: the Conn that was detached is over, in words that say why.
func TestDetachedConn(t *testing.T) {
	server := fixture.Start(t, fixture.Quiet)
	conn, err := tickstorm.Dial(t.Context(), server.ClientConfig(tickstorm.Stocks), nil)
	require.NoError(t, err)
	stats := conn.Stats()
	d, err := epoll.Detach(conn)
	require.NoError(t, err)
	defer d.Close()

	require.ErrorIs(t, conn.Run(t.Context()), tickstorm.ErrReleased)
	require.ErrorIs(t, conn.Subscribe(t.Context(), tickstorm.Trades, "A"), tickstorm.ErrReleased)
	require.ErrorIs(t, conn.Unsubscribe(t.Context(), tickstorm.Trades, "A"), tickstorm.ErrReleased)
	_, err = epoll.Detach(conn)
	require.ErrorIs(t, err, tickstorm.ErrReleased)
	conn.Request(nil, fixture.Topics(t, "T.A")...)
	require.Equal(t, stats, conn.Stats())
	require.NoError(t, conn.Close(), "which leaves the Detached alone")
	require.NoError(t, newLoop(t, d).until(func() bool { return d.Err() == nil }))
	require.Equal(t, 1, server.Stats().Open)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", d, d, d, d), sim.Key)
}

// plainConn hides what a connection can do beside net.Conn.
type plainConn struct{ net.Conn }

// countedConn wraps a TCP connection, as programs do that count bytes.
type countedConn struct{ *net.TCPConn }

func TestDetachNetDial(t *testing.T) {
	wrap := func(f func(net.Conn) net.Conn) func(context.Context, string, string) (net.Conn, error) {
		return func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return f(nc), nil
		}
	}
	for _, tc := range []struct {
		name string
		f    func(net.Conn) net.Conn
		err  error
	}{
		{"a TCPConn", func(nc net.Conn) net.Conn { return nc }, nil},
		{"around a TCPConn", func(nc net.Conn) net.Conn { return countedConn{nc.(*net.TCPConn)} }, nil},
		{"without a descriptor", func(nc net.Conn) net.Conn { return plainConn{nc} }, epoll.ErrNoDescriptor},
	} {
		t.Run(tc.name, func(t *testing.T) {
			forTransports(t, fixture.Quiet, func(t *testing.T, server *sim.Server, cfg tickstorm.Config) {
				cfg.NetDial = wrap(tc.f)
				conn, err := tickstorm.Dial(t.Context(), cfg, nil)
				require.NoError(t, err)
				defer conn.Close()
				d, err := epoll.Detach(conn)
				require.ErrorIs(t, err, tc.err)
				if tc.err != nil {
					require.Nil(t, d)
					require.NoError(t, conn.Subscribe(t.Context(), tickstorm.Trades, "A"), "the Conn is as it was")
					return
				}
				require.NoError(t, d.Close())
			})
		})
	}
	t.Run("in memory", func(t *testing.T) {
		fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
			conn := fixture.Dial(t, server, nil)
			defer conn.Close()
			_, err := epoll.Detach(conn)
			require.ErrorIs(t, err, epoll.ErrNoDescriptor)
			require.False(t, tickstorm.Retryable(err))
		})
	})
	t.Run("TLS of the program's own", func(t *testing.T) {
		server := fixture.Start(t, sim.Config{Quiet: true, TLS: true})
		cfg := server.ClientConfig(tickstorm.Stocks)
		roots := cfg.TLS
		roots.ServerName = "127.0.0.1"
		cfg.Feed = tickstorm.Feed(strings.Replace(string(cfg.Feed), "wss", "ws", 1))
		cfg.NetDial = wrap(func(nc net.Conn) net.Conn { return tls.Client(nc, roots) })
		conn, err := tickstorm.Dial(t.Context(), cfg, nil)
		require.NoError(t, err)
		defer conn.Close()
		_, err = epoll.Detach(conn)
		require.ErrorIs(t, err, epoll.ErrNoDescriptor)
	})
}

func TestDetachBusy(t *testing.T) {
	server := fixture.Start(t, sim.Config{})
	var conn *tickstorm.Conn
	inside := make(chan error, 1)
	h := &fixture.OnTrade{Do: func(*tickstorm.Trade) {
		_, err := epoll.Detach(conn)
		select {
		case inside <- err:
		default:
		}
	}}
	conn, err := tickstorm.Dial(t.Context(), server.ClientConfig(tickstorm.Stocks), h)
	require.NoError(t, err)
	running := fixture.Runs(t.Context(), conn)
	require.NoError(t, conn.Subscribe(t.Context(), tickstorm.Trades, tickstorm.All))
	require.ErrorIs(t, <-inside, tickstorm.ErrInHandler)
	_, err = epoll.Detach(conn)
	require.ErrorIs(t, err, tickstorm.ErrRunning)
	require.NoError(t, conn.Close())
	require.NoError(t, <-running)
	_, err = epoll.Detach(conn)
	require.ErrorIs(t, err, tickstorm.ErrClosed)
}

// TestDetachKeepsBytes: what package net, TLS and the session have read already goes along.
func TestDetachKeepsBytes(t *testing.T) {
	const trade = `[{"ev":"T","sym":"A","p":1.5}]`
	frame := fixture.Wire(false, true, ws.OpText, trade)
	hello := append(fixture.Welcome(), frame...) // one whole trade, and a part of the next
	for _, cut := range []int{0, 1, 2, 20} {
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			rest := make(chan struct{})
			feed := fixture.Listen(t, func(nc net.Conn) {
				_, answer, err := fixture.Accept(nc)
				if err != nil {
					return
				}
				_, _ = nc.Write(append(append(answer, hello...), frame[:cut]...))
				<-rest
				_, _ = nc.Write(frame[cut:])
				fixture.Attend(nc)
			})
			r := new(fixture.Recorder)
			d := dialDetached(t, fixture.DialConfig(feed), r)
			l := newLoop(t, d)
			require.NoError(t, l.until(func() bool { return len(r.Events) == 3 }))
			close(rest)
			require.NoError(t, l.until(func() bool { return len(r.Events) == 4 }))
			require.Empty(t, r.Errors)
		})
	}
}

// TestDetachedClose in places where something is going on.
func TestDetachedClose(t *testing.T) {
	t.Run("inside a handler", func(t *testing.T) {
		server := fixture.Start(t, sim.Config{Rate: -1})
		var d *epoll.Detached
		calls := 0
		d = dialDetached(t, server.ClientConfig(tickstorm.Stocks), &fixture.OnTrade{Do: func(*tickstorm.Trade) {
			calls++
			require.NoError(t, d.Close())
			require.NotEqual(t, -1, d.Fd(), "the handler is still running")
		}})
		l := newLoop(t, d)
		require.NoError(t, d.Request(nil, fixture.Topics(t, "T.*")...))
		require.ErrorIs(t, l.until(func() bool { return false }), tickstorm.ErrClosed)
		require.Equal(t, -1, d.Fd())
		require.Positive(t, calls)
	})
	t.Run("by a panic", func(t *testing.T) {
		server := fixture.Start(t, sim.Config{})
		d := dialDetached(t, server.ClientConfig(tickstorm.Stocks), &fixture.OnTrade{Do: func(*tickstorm.Trade) { panic("a bug") }})
		l := newLoop(t, d)
		require.NoError(t, d.Request(nil, fixture.Topics(t, "T.*")...))
		require.PanicsWithValue(t, "a bug", func() { _ = l.until(func() bool { return false }) })
		require.Equal(t, -1, d.Fd(), "the descriptor is closed")
		var panicked *tickstorm.PanicError
		require.ErrorAs(t, d.Err(), &panicked)
		require.Equal(t, "a bug", panicked.Value)
		require.NoError(t, server.Await(t.Context(), func(s sim.Stats) bool { return s.Open == 0 }))
	})
	t.Run("by the server", func(t *testing.T) {
		forTransports(t, fixture.Quiet, func(t *testing.T, server *sim.Server, cfg tickstorm.Config) {
			d := dialDetached(t, cfg, nil)
			l := newLoop(t, d)
			server.Conns()[0].Kick(1008, "enough")
			var closed *frame.CloseError
			require.ErrorAs(t, l.until(func() bool { return false }), &closed)
			require.EqualValues(t, 1008, closed.Code)
			require.NotEqual(t, -1, d.Fd(), "closing is the loop's business")
		})
	})
	t.Run("by the network", func(t *testing.T) {
		forTransports(t, fixture.Quiet, func(t *testing.T, server *sim.Server, cfg tickstorm.Config) {
			d := dialDetached(t, cfg, nil)
			var result error
			require.NoError(t, d.Request(func(err error) { result = err }, fixture.Topics(t, "T.A")...))
			l := newLoop(t, d)
			server.Conns()[0].Cut()
			require.ErrorIs(t, l.until(func() bool { return false }), tickstorm.ErrDisconnected)
			_ = result // the answer may have come before
		})
	})
}

// TestDetachedTime: deadlines come through Advance, and silence counts only while
// somebody listens.
func TestDetachedTime(t *testing.T) {
	server := fixture.Start(t, sim.Config{Quiet: true, IgnorePings: true})
	open := func(t *testing.T, idle time.Duration) (*epoll.Detached, time.Time) {
		cfg := server.ClientConfig(tickstorm.Stocks)
		cfg.IdleTimeout, cfg.PingInterval = idle, 10*time.Second
		cfg.Key = t.Name()
		d := dialDetached(t, cfg, nil)
		require.Nil(t, d.ReadReady(0))
		return d, time.Now() // not before the session's time
	}
	t.Run("pings", func(t *testing.T) {
		before := time.Now()
		d, now := open(t, time.Minute)
		pings := server.Stats().Pings
		next := d.Advance(now)
		require.WithinRange(t, next, before.Add(10*time.Second), now.Add(10*time.Second))
		d.Advance(next)
		require.NoError(t, server.Await(t.Context(), func(s sim.Stats) bool { return s.Pings == pings+1 }))
	})
	t.Run("idle", func(t *testing.T) {
		d, now := open(t, 15*time.Second)
		for range 100 {
			if d.Err() != nil {
				break
			}
			now = d.Advance(now)
		}
		require.ErrorIs(t, d.Err(), tickstorm.ErrIdle)
	})
	t.Run("a loop that did not listen", func(t *testing.T) {
		d, now := open(t, 15*time.Second)
		d.Advance(now)
		d.Advance(now.Add(time.Hour))
		require.NoError(t, d.Err())
	})
	t.Run("bytes that wait", func(t *testing.T) {
		d, now := open(t, 15*time.Second)
		now = d.Advance(now) // the ping's time
		now = d.Advance(now) // the end
		server.Broadcast([]byte(`[]`))
		arrived(t, d, 1)
		require.Equal(t, now, d.Advance(now))
		require.NoError(t, d.Err())
		require.NoError(t, d.ReadReady(0), "which has heard something")
		require.NoError(t, d.Err())
	})
}

// manyTopics are topics to ask for in one long request, and the request.
func manyTopics(n int) (topics []tickstorm.Topic, request string) {
	topics = make([]tickstorm.Topic, n)
	names := make([]string, n)
	for i := range topics {
		topics[i] = tickstorm.Topic{Channel: "T", Symbol: fmt.Sprintf("SYMBOL%d", i)}
		names[i] = topics[i].String()
	}
	return topics, `{"action":"subscribe","params":"` + strings.Join(names, ",") + `"}`
}

// TestDetachedWriteTimeout: a peer that reads nothing does not hold bytes for ever.
func TestDetachedWriteTimeout(t *testing.T) {
	server := fixture.Start(t, fixture.Quiet)
	cfg := server.ClientConfig(tickstorm.Stocks)
	cfg.WriteTimeout, cfg.ChunkTopics = time.Minute, 1000
	for _, room := range []int{0, 1, 1000} {
		t.Run(fmt.Sprint(room), func(t *testing.T) {
			cfg.Key = t.Name()
			d := dialDetached(t, cfg, nil)
			many, _ := manyTopics(1000)
			now := time.Now()
			d.Advance(now)
			d.Narrow(room)
			require.NoError(t, d.Request(nil, many...))
			require.True(t, d.WantWrite())
			require.NoError(t, d.WriteReady(), "nothing is ready, so it changes nothing")
			require.True(t, d.WantWrite())
			d.Advance(now.Add(time.Minute - 1))
			require.NoError(t, d.Err())
			d.Advance(now.Add(time.Minute))
			require.ErrorIs(t, d.Err(), tickstorm.ErrDisconnected)
			require.ErrorIs(t, d.Err(), os.ErrDeadlineExceeded)
			require.NoError(t, d.Close())
		})
	}
}

// TestDetachedFull: a kernel that has no more room says so, and that it has some again. The
// request is longer than what the socket may hold, and a socket pair has no buffers but
// the two that the system tells of.
func TestDetachedFull(t *testing.T) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	var ends [2]net.Conn
	for i, fd := range pair {
		file := os.NewFile(uintptr(fd), "")
		ends[i], err = net.FileConn(file)
		require.NoError(t, err)
		require.NoError(t, file.Close())
		defer ends[i].Close()
	}
	reads := make(chan struct{})
	reading := sync.OnceFunc(func() { close(reads) })
	requests := make(chan string, 1)
	var peer sync.WaitGroup
	defer peer.Wait()
	defer ends[1].Close()
	defer reading()
	peer.Go(func() {
		_, answer, err := fixture.Accept(ends[1])
		if err != nil {
			return
		}
		_, _ = ends[1].Write(append(answer, fixture.Welcome()...))
		<-reads
		texts := &collector{}
		f := frame.New(frame.Config{Server: true, MaxMessage: 1 << 30}, texts)
		for len(texts.messages) < 2 { // the key and the request
			n, err := ends[1].Read(f.Buffer())
			if err != nil || f.Commit(n) != nil {
				return
			}
		}
		requests <- texts.messages[1]
	})
	cfg := fixture.DialConfig("ws://host")
	cfg.NetDial = func(context.Context, string, string) (net.Conn, error) { return ends[0], nil }
	cfg.ChunkTopics, cfg.AckTimeout, cfg.WriteTimeout = 1<<30, time.Hour, time.Hour
	d := dialDetached(t, cfg, nil)
	room := 0
	for _, option := range []int{syscall.SO_SNDBUF, syscall.SO_RCVBUF} {
		n, err := syscall.GetsockoptInt(d.Fd(), syscall.SOL_SOCKET, option)
		require.NoError(t, err)
		room += n
	}
	many, request := manyTopics(room / len("T.SYMBOL"))
	l := newLoop(t, d)
	require.NoError(t, d.Request(nil, many...))
	require.True(t, d.WantWrite())
	reading()
	require.NoError(t, l.until(func() bool { return len(requests) == 1 }))
	require.False(t, d.WantWrite())
	require.Equal(t, request, <-requests)
}
