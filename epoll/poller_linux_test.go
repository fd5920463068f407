package epoll_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/epoll"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

func newPoller(t *testing.T, cfg epoll.Config) *epoll.Poller {
	t.Helper()
	p, err := epoll.NewPoller(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// pollUntil polls on this goroutine until done.
func pollUntil(t *testing.T, p *epoll.Poller, done func() bool) {
	t.Helper()
	for waits := patient(t); !done(); waits() {
		require.NoError(t, p.Poll(100*time.Millisecond))
	}
}

// ending keeps what Add and AddClient report of an end.
type ending struct {
	over  bool
	times int
	err   error
}

func (e *ending) ended(err error) { e.over, e.err, e.times = true, err, e.times+1 }

var pollerMarkets = []tickstorm.Market{
	tickstorm.Stocks, tickstorm.Options, tickstorm.Indices, tickstorm.Futures, tickstorm.Forex, tickstorm.Crypto,
}

// marketCounter counts the events of one market, and checks that it alone is called.
type marketCounter struct {
	tickstorm.NopHandler
	market tickstorm.Market
	events int
	wrong  int
}

func (c *marketCounter) count(h *tickstorm.Header) {
	c.events++
	if h.Market != c.market {
		c.wrong++
	}
}

func (c *marketCounter) OnTrade(e *tickstorm.Trade)         { c.count(&e.Header) }
func (c *marketCounter) OnQuote(e *tickstorm.Quote)         { c.count(&e.Header) }
func (c *marketCounter) OnAggregate(e *tickstorm.Aggregate) { c.count(&e.Header) }
func (c *marketCounter) OnValue(e *tickstorm.Value)         { c.count(&e.Header) }
func (c *marketCounter) OnError(*tickstorm.EventError)      { c.wrong++ }
func (c *marketCounter) OnUnknown(*tickstorm.Unknown)       { c.wrong++ }

// everything returns topics of a market that the simulator has much data for.
func everything(t *testing.T, m tickstorm.Market) []tickstorm.Topic {
	t.Helper()
	var all []tickstorm.Topic
	for _, s := range []tickstorm.Stream{tickstorm.Trades, tickstorm.Values, tickstorm.SecondAggregates} {
		if topics, err := m.Topics(s, tickstorm.All); err == nil {
			all = append(all, topics...)
		}
	}
	if m == tickstorm.Forex {
		quotes, err := m.Topics(tickstorm.Quotes, tickstorm.All)
		require.NoError(t, err)
		all = append(all, quotes...)
	}
	return all
}

// TestPollerSixMarkets is the reference case: all markets on one thread, encrypted.
func TestPollerSixMarkets(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %v", secure), func(t *testing.T) {
			server := fixture.Start(t, sim.Config{TLS: secure, Rate: 2000})
			p := newPoller(t, epoll.Config{BacklogEvery: time.Millisecond})
			handlers := make([]*marketCounter, len(pollerMarkets))
			clients := make([]*epoll.Client, len(pollerMarkets))
			ends := make([]ending, len(pollerMarkets))
			for i, m := range pollerMarkets {
				handlers[i] = &marketCounter{market: m}
				var err error
				clients[i], err = p.AddClient(server.ClientConfig(m), handlers[i], ends[i].ended)
				require.NoError(t, err)
				require.NoError(t, clients[i].Request(nil, everything(t, m)...))
			}
			pollUntil(t, p, func() bool {
				return !slices.ContainsFunc(handlers, func(c *marketCounter) bool { return c.events < 500 })
			})
			stats := p.Stats()
			require.Equal(t, 6, stats.Connections)
			require.Equal(t, 6, stats.Clients)
			require.Positive(t, stats.Wakes)
			for i, h := range handlers {
				require.Zero(t, h.wrong, h.market)
				require.NoError(t, clients[i].Close())
			}
			pollUntil(t, p, func() bool { return !slices.ContainsFunc(ends, func(e ending) bool { return !e.over }) })
			for i, e := range ends {
				require.NoError(t, e.err)
				require.Equal(t, 1, e.times)
				counted := clients[i].Stats()
				require.GreaterOrEqual(t, counted.Total(), uint64(handlers[i].events))
			}
			require.NoError(t, p.Poll(0))
			require.Zero(t, p.Stats().Connections+p.Stats().Clients)
		})
	}
}

// TestPollerAdd: connections that were detached, used from other goroutines by Do.
func TestPollerAdd(t *testing.T) {
	forTransports(t, sim.Config{}, func(t *testing.T, server *sim.Server, cfg tickstorm.Config) {
		p := newPoller(t, epoll.Config{Budget: 512}) // which is less than a TLS record
		running := fixture.Runs(context.Background(), p)
		trades := make(chan struct{}, 1)
		conn, err := tickstorm.Dial(t.Context(), cfg, &fixture.OnTrade{Do: func(*tickstorm.Trade) {
			select {
			case trades <- struct{}{}:
			default:
			}
		}})
		require.NoError(t, err)
		d, err := epoll.Detach(conn)
		require.NoError(t, err)
		ended := make(chan error, 1)
		require.NoError(t, p.Add(d, func(err error) { ended <- err }))
		acked := make(chan error, 1)
		require.NoError(t, p.Do(func() {
			if err := d.Request(func(err error) { acked <- err }, fixture.Topics(t, "T.*")...); err != nil {
				acked <- err
			}
		}))
		require.NoError(t, <-acked)
		<-trades
		twice := make(chan error, 1)
		require.NoError(t, p.Add(d, func(err error) { twice <- err }))
		require.ErrorIs(t, <-twice, tickstorm.ErrRunning)
		require.ErrorIs(t, p.Poll(0), tickstorm.ErrRunning)

		require.NoError(t, p.Do(d.Shutdown))
		require.NoError(t, <-ended)
		require.ErrorIs(t, d.Err(), tickstorm.ErrClosed)
		require.NoError(t, p.Close())
		require.NoError(t, <-running)
		require.ErrorIs(t, p.Poll(0), tickstorm.ErrClosed)
		require.ErrorIs(t, p.Add(d, nil), tickstorm.ErrClosed)
		require.ErrorIs(t, p.Do(func() {}), tickstorm.ErrClosed)
		require.NoError(t, p.Run(t.Context()))
		require.Equal(t, -1, p.Fd())
		p.Wake()
	})
}

func TestPollerRemove(t *testing.T) {
	server := fixture.Start(t, fixture.Quiet)
	p := newPoller(t, epoll.Config{})
	var end ending
	d := dialDetached(t, server.ClientConfig(tickstorm.Stocks), nil)
	require.NoError(t, p.Add(d, end.ended))
	pollUntil(t, p, func() bool { return p.Stats().Connections == 1 })
	p.Remove(d)
	pollUntil(t, p, func() bool { return end.over })
	p.Remove(d)
	require.NoError(t, p.Poll(0))
	require.Equal(t, ending{over: true, times: 1}, end)
	require.Equal(t, -1, d.Fd())
	require.NoError(t, server.Await(t.Context(), func(s sim.Stats) bool { return s.Open == 0 }))
}

// TestPollerRunContext: connections outlive a Run whose context ends.
func TestPollerRunContext(t *testing.T) {
	server := fixture.Start(t, fixture.Quiet)
	p := newPoller(t, epoll.Config{Spin: 10})
	var end ending
	require.NoError(t, p.Add(dialDetached(t, server.ClientConfig(tickstorm.Stocks), nil), end.ended))
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		running := fixture.Runs(ctx, p)
		require.Eventually(t, func() bool { return p.Stats().Connections == 1 }, patience, time.Millisecond)
		cancel()
		require.ErrorIs(t, <-running, context.Canceled)
	}
	require.False(t, end.over)
	require.NoError(t, p.Close())
	require.Equal(t, ending{over: true, times: 1}, end)
	require.NoError(t, server.Await(t.Context(), func(s sim.Stats) bool { return s.Open == 0 }))
}

// TestPollerNested: the poller in the epoll of a program's own.
func TestPollerNested(t *testing.T) {
	forTransports(t, sim.Config{Rate: 5000}, func(t *testing.T, server *sim.Server, cfg tickstorm.Config) {
		p := newPoller(t, epoll.Config{Budget: 1000})
		trades := 0
		d := dialDetached(t, cfg, &fixture.OnTrade{Do: func(*tickstorm.Trade) { trades++ }})
		require.NoError(t, p.Add(d, nil))
		require.NoError(t, p.Do(func() { _ = d.Request(nil, fixture.Topics(t, "T.*")...) }))
		outer, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
		require.NoError(t, err)
		defer func() { require.NoError(t, syscall.Close(outer)) }()
		ev := syscall.EpollEvent{Events: syscall.EPOLLIN}
		require.NoError(t, syscall.EpollCtl(outer, syscall.EPOLL_CTL_ADD, p.Fd(), &ev))
		ready := func(wait int) int {
			var events [1]syscall.EpollEvent
			for {
				n, err := syscall.EpollWait(outer, events[:], wait)
				if err != syscall.EINTR {
					require.NoError(t, err)
					return n
				}
			}
		}
		for waits := patient(t); trades < 3000; waits() {
			unread := d.HasUnread() // which is then told, by Fd or by Deadline
			wait := 1000
			if due := p.Deadline(); !due.IsZero() {
				wait = max(0, min(wait, int(time.Until(due).Milliseconds())+1))
				if time.Until(due) <= 0 {
					wait = 0
				}
			}
			if unread && wait > 0 {
				wait = 0
				require.NotZero(t, ready(0), "Fd and Deadline together tell everything")
			}
			ready(wait)
			require.NoError(t, p.Poll(0))
		}
	})
}

func TestPollerPanic(t *testing.T) {
	server := fixture.Start(t, sim.Config{MaxConnections: 2})
	p := newPoller(t, epoll.Config{})
	bad := dialDetached(t, server.ClientConfig(tickstorm.Stocks), &fixture.OnTrade{Do: func(*tickstorm.Trade) { panic("a bug") }})
	trades := 0
	good := dialDetached(t, server.ClientConfig(tickstorm.Stocks), &fixture.OnTrade{Do: func(*tickstorm.Trade) { trades++ }})
	var badEnd, goodEnd ending
	require.NoError(t, p.Add(bad, badEnd.ended))
	require.NoError(t, p.Add(good, goodEnd.ended))
	require.NoError(t, p.Do(func() { _ = bad.Request(nil, fixture.Topics(t, "T.*")...) }))
	require.NoError(t, p.Do(func() { _ = good.Request(nil, fixture.Topics(t, "T.*")...) }))
	require.PanicsWithValue(t, "a bug", func() { pollUntil(t, p, func() bool { return false }) })
	require.Equal(t, -1, bad.Fd())
	pollUntil(t, p, func() bool { return trades > 100 })
	require.True(t, badEnd.over)
	require.False(t, goodEnd.over)
	require.Equal(t, 1, p.Stats().Connections)
}

// TestPollerHandlersReach other connections of the same poller.
func TestPollerHandlersReach(t *testing.T) {
	server := fixture.Start(t, sim.Config{MaxConnections: 2})
	p := newPoller(t, epoll.Config{})
	var other *epoll.Detached
	asked, trades := false, 0
	one := dialDetached(t, server.ClientConfig(tickstorm.Stocks), &fixture.OnTrade{Do: func(*tickstorm.Trade) {
		if !asked {
			asked = true
			require.NoError(t, other.Request(nil, fixture.Topics(t, "T.*")...))
		}
		if trades > 10 {
			require.NoError(t, other.Close())
		}
	}})
	other = dialDetached(t, server.ClientConfig(tickstorm.Stocks), &fixture.OnTrade{Do: func(*tickstorm.Trade) { trades++ }})
	var end ending
	require.NoError(t, p.Add(one, nil))
	require.NoError(t, p.Add(other, end.ended))
	require.NoError(t, p.Do(func() { _ = one.Request(nil, fixture.Topics(t, "T.*")...) }))
	pollUntil(t, p, func() bool { return end.over })
	require.NoError(t, end.err)
	require.Greater(t, trades, 10)
}

// TestPollerStarvation: a connection that floods must not delay five that trickle by
// more than a few turns of its budget. Time is counted in what the flood was given
// meanwhile, because the machine's pace is not known: a trickled message is behind if
// more than a few budgets of the flood were handled between it being there and being
// handled.
func TestPollerStarvation(t *testing.T) {
	const budget, others, rounds = 16 << 10, 5, 200
	flood := slices.Repeat(fixture.Wire(false, true, ws.OpText, `[{"ev":"T","sym":"FLOOD","p":1.5,"s":100,"t":1786000000123}]`), 2000)
	flooding := fixture.Listen(t, func(nc net.Conn) {
		_, answer, err := fixture.Accept(nc)
		if err != nil {
			return
		}
		_, err = nc.Write(append(answer, fixture.Welcome()...))
		for err == nil {
			_, err = nc.Write(flood)
		}
	})
	trickle := fixture.Wire(false, true, ws.OpText, `[{"ev":"T","sym":"TRICKLE","p":1.5,"s":100,"t":1786000000123}]`)
	ask := make(chan net.Conn, others)
	trickling := fixture.Listen(t, func(nc net.Conn) {
		_, answer, err := fixture.Accept(nc)
		if err != nil {
			return
		}
		_, _ = nc.Write(append(answer, fixture.Welcome()...))
		ask <- nc
		fixture.Attend(nc)
	})

	p := newPoller(t, epoll.Config{Budget: budget})
	var flooded int
	d := dialDetached(t, fixture.DialConfig(flooding), &fixture.OnTrade{Do: func(*tickstorm.Trade) { flooded++ }})
	arrived(t, d, budget+1)
	require.NoError(t, p.Add(d, nil))
	got := make([]int, others)
	servers := make([]net.Conn, others)
	trickles := make([]*epoll.Detached, others)
	for i := range others {
		trickles[i] = dialDetached(t, fixture.DialConfig(trickling), &fixture.OnTrade{Do: func(*tickstorm.Trade) { got[i]++ }})
		servers[i] = <-ask
		require.NoError(t, p.Add(trickles[i], nil))
	}
	pollUntil(t, p, func() bool { return flooded > 10_000 })

	worst := 0
	for round := range rounds {
		for _, nc := range servers {
			_, err := nc.Write(trickle)
			require.NoError(t, err)
		}
		for _, d := range trickles {
			arrived(t, d, len(trickle))
		}
		before := flooded
		pollUntil(t, p, func() bool { return slices.Min(got) > round })
		worst = max(worst, flooded-before)
	}
	perBudget := budget/(len(flood)/2000) + 1
	require.LessOrEqual(t, worst, 3*perBudget, "trades of the flood while another connection waited")
	require.Positive(t, p.Stats().Spent)
}

// TestPollerCycles: a thousand connections come and go, some by faults, and leave no
// descriptor, goroutine or memory behind.
func TestPollerCycles(t *testing.T) {
	const cycles = 1000
	server := fixture.Start(t, sim.Config{Quiet: true, MaxConnections: -1})
	p := newPoller(t, epoll.Config{})
	cycle := func(i int) {
		var end ending
		conn, err := tickstorm.Dial(t.Context(), server.ClientConfig(tickstorm.Stocks), nil)
		require.NoError(t, err)
		d, err := epoll.Detach(conn)
		require.NoError(t, err)
		require.NoError(t, p.Add(d, end.ended))
		switch i % 4 {
		case 0:
			p.Remove(d)
		case 1:
			require.NoError(t, p.Do(d.Shutdown))
		case 2:
			for _, c := range server.Conns() {
				c.Cut()
			}
		case 3:
			for _, c := range server.Conns() {
				c.Kick(1012, "restart")
			}
		}
		pollUntil(t, p, func() bool { return end.over })
		require.Equal(t, -1, d.Fd())
	}
	for i := range 20 {
		cycle(i)
	}
	settled := func(s sim.Stats) bool { return s.Open == 0 }
	require.NoError(t, server.Await(t.Context(), settled))
	files, goroutines, memory := fixture.Descriptors(t), runtime.NumGoroutine(), fixture.Heap()
	for i := range cycles {
		cycle(i)
	}
	require.NoError(t, server.Await(t.Context(), settled))
	require.Eventually(t, func() bool { return fixture.Descriptors(t) <= files }, patience, time.Millisecond)
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines+1 }, patience, time.Millisecond)
	require.Less(t, int64(fixture.Heap())-int64(memory), int64(4<<20), "bytes, of a thousand connections")
	require.Zero(t, p.Stats().Connections)
}

// TestPollerWindow: one window serves all, whatever messages are cut and however long.
func TestPollerWindow(t *testing.T) {
	server := fixture.Start(t, sim.Config{Quiet: true, MaxConnections: -1})
	p := newPoller(t, epoll.Config{Budget: 700})
	recorders := make([]*fixture.Recorder, 4)
	for i := range recorders {
		recorders[i] = new(fixture.Recorder)
		cfg := server.ClientConfig(tickstorm.Stocks)
		cfg.ReadBuffer = 1000 << i
		require.NoError(t, p.Add(dialDetached(t, cfg, recorders[i]), nil))
	}
	var sizes []int
	for _, n := range []int{1, 3, 50, 1, 400, 2, 1, 1, 90} {
		msg := "[" + trades(n) + "]"
		sizes = append(sizes, n)
		server.Broadcast([]byte(msg))
		require.NoError(t, p.Poll(0))
	}
	total := 2 // statuses
	for _, n := range sizes {
		total += n
	}
	for _, r := range recorders {
		pollUntil(t, p, func() bool { return len(r.Events) == total })
		require.Empty(t, r.Errors)
	}
}

// trades returns so many trades of one symbol, with commas between.
func trades(n int) string {
	var b []byte
	for i := range n {
		b = fmt.Appendf(b, `,{"ev":"T","sym":"A","p":%d.5,"s":100,"q":%d}`, i, i)
	}
	return string(b[1:])
}

// TestPollerWake: Poll returns when it is told to, from wherever.
func TestPollerWake(t *testing.T) {
	p := newPoller(t, epoll.Config{})
	var all sync.WaitGroup
	defer all.Wait()
	for range 100 {
		all.Go(p.Wake)
		require.NoError(t, p.Poll(-1))
		p.Wake() // for the case that the one above came too early
	}
}

func TestPollerOptions(t *testing.T) {
	t.Run("bad numbers", func(t *testing.T) {
		for _, cfg := range []epoll.Config{{Budget: -1}, {BusyPoll: -1}, {BusyPollBudget: -1}, {BacklogEvery: -1}} {
			_, err := epoll.NewPoller(cfg)
			require.Error(t, err)
		}
	})
	t.Run("busy poll that cannot be", func(t *testing.T) {
		_, err := epoll.NewPoller(epoll.Config{BusyPollBudget: 1 << 20})
		var refused *tickstorm.OptionError
		require.ErrorAs(t, err, &refused)
		require.ErrorContains(t, err, "EPIOCSPARAMS")
	})
	t.Run("busy poll", func(t *testing.T) {
		p, err := epoll.NewPoller(epoll.Config{BusyPoll: 50 * time.Microsecond})
		if err != nil { // the kernel is older
			var refused *tickstorm.OptionError
			require.ErrorAs(t, err, &refused)
			return
		}
		require.NoError(t, p.Poll(0))
		require.NoError(t, p.Close())
	})
	t.Run("processors", func(t *testing.T) {
		for _, cpu := range []int{-1, 1 << 20, 1023} {
			p := newPoller(t, epoll.Config{CPUs: []int{cpu}})
			var refused *tickstorm.OptionError
			require.ErrorAs(t, p.Run(t.Context()), &refused)
		}
		var allowed []int
		for cpu := range 1024 {
			p := newPoller(t, epoll.Config{CPUs: []int{cpu}})
			require.NoError(t, p.Do(func() { _ = p.Close() }))
			if p.Run(t.Context()) == nil {
				allowed = append(allowed, cpu)
				break
			}
		}
		require.Len(t, allowed, 1)
	})
	t.Run("spinning", func(t *testing.T) {
		for _, spin := range []int{1000, -1} {
			server := fixture.Start(t, sim.Config{})
			p := newPoller(t, epoll.Config{Spin: spin})
			trades := 0
			d := dialDetached(t, server.ClientConfig(tickstorm.Stocks), &fixture.OnTrade{Do: func(*tickstorm.Trade) { trades++ }})
			require.NoError(t, p.Add(d, nil))
			require.NoError(t, p.Do(func() { _ = d.Request(nil, fixture.Topics(t, "T.*")...) }))
			pollUntil(t, p, func() bool { return trades > 100 })
		}
	})
}

func TestSocketOptions(t *testing.T) {
	forTransports(t, fixture.Quiet, func(t *testing.T, server *sim.Server, cfg tickstorm.Config) {
		cfg.Socket = tickstorm.SocketOptions{
			ReceiveBuffer: 100_000, QuickAck: true, UserTimeout: 12345 * time.Millisecond, Timestamps: true,
		}
		cfg.Socket.KeepAlive.Enable = true
		cfg.Socket.KeepAlive.Idle = 77 * time.Second
		r := new(fixture.Recorder)
		before := time.Now().Add(-time.Second).UnixNano()
		d := dialDetached(t, cfg, r)
		option := func(level, number int) int {
			v, err := syscall.GetsockoptInt(d.Fd(), level, number)
			require.NoError(t, err)
			return v
		}
		require.Equal(t, 200_000, option(syscall.SOL_SOCKET, syscall.SO_RCVBUF), "the kernel doubles it")
		require.Equal(t, 12345, option(syscall.IPPROTO_TCP, 18))
		require.Equal(t, 77, option(syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE))
		require.Equal(t, 1, option(syscall.SOL_SOCKET, syscall.SO_KEEPALIVE))
		l := newLoop(t, d)
		server.Broadcast([]byte(`[{"ev":"T","sym":"A","p":1.5}]`))
		require.NoError(t, l.until(func() bool { return len(r.Events) == 3 }))
		stamp := r.Events[2].Head().Received
		require.Greater(t, stamp, before)
		require.LessOrEqual(t, stamp, time.Now().UnixNano())
	})
	t.Run("the kernel's time", func(t *testing.T) {
		// The loop's clock is an hour off, so that the two cannot be confused. The kernel
		// begins to take timestamps a moment after it was told to.
		for _, on := range []bool{false, true} {
			server := fixture.Start(t, fixture.Quiet)
			cfg := server.ClientConfig(tickstorm.Stocks)
			cfg.Socket.Timestamps = on
			r := new(fixture.Recorder)
			d := dialDetached(t, cfg, r)
			stamped := false
			waits := patient(t)
			for i := 0; !stamped && (on || i < 20); i++ {
				waits()
				server.Broadcast([]byte(`[{"ev":"T","sym":"A","p":1.5}]`))
				arrived(t, d, 1)
				d.Advance(time.Now().Add(time.Hour))
				require.NoError(t, d.Err())
				require.NoError(t, d.ReadReady(0))
				at := time.Unix(0, r.Events[len(r.Events)-1].Head().Received)
				stamped = at.Before(time.Now())
			}
			require.Equal(t, on, stamped)
		}
	})
	t.Run("refused", func(t *testing.T) {
		server := fixture.Start(t, fixture.Quiet)
		for _, o := range []tickstorm.SocketOptions{{ReceiveBuffer: -1}, {BusyPoll: -1}, {UserTimeout: -time.Second}, {BusyPoll: time.Hour}} {
			cfg := server.ClientConfig(tickstorm.Stocks)
			cfg.Socket = o
			_, err := tickstorm.Dial(t.Context(), cfg, nil)
			if o.BusyPoll > 0 && err == nil { // a machine whose administrator we are
				continue
			}
			var refused *tickstorm.OptionError
			require.ErrorAs(t, err, &refused)
			var dial *tickstorm.DialError
			require.ErrorAs(t, err, &dial)
			require.False(t, tickstorm.Retryable(err))
			require.True(t, errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EPERM), "%v", err)
		}
	})
}

// TestPollerConcurrently: everything that any goroutine may do, at once.
func TestPollerConcurrently(t *testing.T) {
	const goroutines, rounds = 4, 25
	server := fixture.Start(t, sim.Config{MaxConnections: -1, Rate: 5000})
	p := newPoller(t, epoll.Config{Spin: 5})
	running := fixture.Runs(context.Background(), p)
	var all sync.WaitGroup
	errs := make([]error, goroutines)
	for i := range goroutines {
		all.Go(func() {
			errs[i] = func() error {
				for round := range rounds {
					ended := make(chan error, 1)
					got := make(chan struct{}, 1)
					c, err := p.AddClient(server.ClientConfig(tickstorm.Stocks), &fixture.OnTrade{Do: func(*tickstorm.Trade) {
						select {
						case got <- struct{}{}:
						default:
						}
					}}, func(err error) { ended <- err })
					if err != nil {
						return err
					}
					if err := c.Subscribe(tickstorm.Trades, tickstorm.All); err != nil {
						return err
					}
					if round%3 != 0 {
						<-got
					}
					c.Stats()
					c.Topics()
					p.Stats()
					c.SetHandler(nil)
					_ = c.Close()
					if err := <-ended; err != nil {
						return err
					}
				}
				return nil
			}()
		})
	}
	all.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.NoError(t, p.Close())
	require.NoError(t, <-running)
	require.NoError(t, server.Await(t.Context(), func(s sim.Stats) bool { return s.Open == 0 }))
}
