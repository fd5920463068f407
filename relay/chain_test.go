package relay_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/relay"
	"github.com/tickstorm/tickstorm/sim"
)

// link is the way to an address: it can be cut, and it can be stopped.
type link struct {
	listener net.Listener
	mu       sync.Mutex // protects what follows
	moving   sync.Cond
	stopped  bool
	conns    map[net.Conn]bool
	running  sync.WaitGroup
}

func newLink(t *testing.T, to string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &link{listener: listener, conns: map[net.Conn]bool{}}
	l.moving.L = &l.mu
	l.running.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			l.mu.Lock()
			l.conns[near], l.conns[far] = true, true
			l.mu.Unlock()
			l.running.Go(func() { l.carry(near, far) })
			l.running.Go(func() { l.carry(far, near) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		l.stop(false)
		l.cut()
		l.running.Wait()
	})
	return l
}

func (l *link) addr() string { return l.listener.Addr().String() }

func (l *link) carry(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	p := make([]byte, 32<<10)
	for {
		n, err := from.Read(p)
		l.mu.Lock()
		for l.stopped {
			l.moving.Wait()
		}
		l.mu.Unlock()
		if err != nil {
			return
		}
		if _, err := to.Write(p[:n]); err != nil {
			return
		}
	}
}

func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for nc := range l.conns {
		_ = nc.Close()
	}
	clear(l.conns)
}

func (l *link) stop(yes bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = yes
	l.moving.Broadcast()
}

// chain is three relays in a row, each with keys of its own, over links, the second by TLS.
type chain struct {
	up     *sim.Server
	relays [3]*bench
	keys   [3]*relay.Keys
	links  [3]*link // in front of each
}

// keyOf is the key of who connects to a relay of a chain.
func keyOf(i int, p relay.Policy) relay.Key {
	return relay.Key{Name: fmt.Sprint("next", i), Token: token(strconv.Itoa(i)), Policy: p}
}

func startChain(t *testing.T, up sim.Config, p relay.Policy, change func(i int, c *relay.Config)) *chain {
	t.Helper()
	server := fixture.Start(t, up)
	ch := &chain{up: server}
	upstream := server.ClientConfig(tickstorm.Stocks)
	certFile, keyFile := fixture.CertFiles(t, t.TempDir(), "relay")
	for i := range ch.relays {
		upstream.Backoff = tickstorm.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond}
		ch.keys[i] = newKeys(t, keyOf(i, p))
		cfg := relay.Config{Keys: ch.keys[i], Upstreams: []tickstorm.Config{upstream}}
		network, scheme := "tcp", "ws"
		if i == 1 {
			cfg.CertFile, cfg.KeyFile, network, scheme = certFile, keyFile, "tls", "wss"
		}
		if change != nil {
			change(i, &cfg)
		}
		s, err := relay.New(cfg)
		require.NoError(t, err)
		l, err := s.Listen(t.Context(), network, "127.0.0.1:0")
		require.NoError(t, err)
		b := run(t, s, l)
		b.up = server
		ch.relays[i], ch.links[i] = b, newLink(t, b.addr)
		upstream = tickstorm.Config{
			Key: token(strconv.Itoa(i)), Market: tickstorm.Stocks, Proxy: tickstorm.NoProxy, TLS: roots(t, certFile),
			Feed: tickstorm.Feed(scheme + "://" + ch.links[i].addr()),
		}
	}
	last := ch.relays[2]
	last.dial = func() (net.Conn, error) { return net.Dial("tcp", ch.links[2].addr()) }
	for _, b := range ch.relays {
		b.await(func(s relay.MarketStats) bool { return s.Up })
	}
	return ch
}

// TestChainUnderReconnects: three relays in a row, whose connections break at random; of all
// events each came, in order, or was told as missing.
func TestChainUnderReconnects(t *testing.T) {
	ch := startChain(t, sim.Config{Numbered: true, Rate: 2000}, relay.Policy{Wildcards: true}, func(_ int, c *relay.Config) {
		c.AckTimeout = time.Second
	})
	audit := &witness{}
	client, err := tickstorm.NewClient(tickstorm.Config{
		Key: token("2"), Market: tickstorm.Stocks, Feed: tickstorm.Feed("ws://" + ch.links[2].addr()), Proxy: tickstorm.NoProxy,
		Backoff: tickstorm.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond},
	}, audit)
	require.NoError(t, err)
	require.NoError(t, client.Start(t.Context()))
	defer client.Close()
	require.NoError(t, client.Subscribe(t.Context(), tickstorm.Trades, tickstorm.All))
	require.NoError(t, client.Subscribe(t.Context(), tickstorm.Quotes, "AAPL", "MSFT"))
	seen := func(more uint64) {
		t.Helper()
		want := audit.Report().Events + more
		require.Eventually(t, func() bool { return audit.Report().Events >= want }, patience, time.Millisecond)
	}
	r := rand.New(rand.NewPCG(1, 17))
	for range 30 {
		seen(50)
		for range 1 + r.IntN(3) {
			if at := r.IntN(4); at < 3 {
				ch.links[at].cut()
			} else if conns := ch.up.Conns(); len(conns) > 0 {
				conns[0].Cut()
			}
		}
	}
	seen(50)
	require.NoError(t, client.Close())
	report := audit.Report()
	require.NoError(t, report.Err(), report.String())
	require.Positive(t, report.InGaps)
	require.Zero(t, report.Dropped)
}

// TestChainTellsDrops: what the first relay drops, because the second is slow, the client of the
// third is told in its place and to the event.
func TestChainTellsDrops(t *testing.T) {
	ch := startChain(t, quiet, relay.Policy{Overflow: tickstorm.OverflowDropNewest}, func(_ int, c *relay.Config) {
		c.Queue.Bytes = 1 << 20
	})
	c := ch.relays[2].loginAs("/stocks", token("2"))
	c.take("T.A")
	pad := strings.Repeat("x", 10_000)
	sent := 0
	send := func() {
		sent++
		ch.up.Broadcast(fmt.Appendf(nil, `[{"ev":"T","sym":"A","q":%d,"pad":"%s"}]`, sent, pad))
		ch.relays[0].await(func(s relay.MarketStats) bool { return s.Events == uint64(sent) })
	}
	first := func() relay.ClientStats { return ch.relays[0].clients()[0] }
	ch.links[0].stop(true)
	for first().Dropped < 10 {
		send()
	}
	ch.links[0].stop(false)
	last, told, untold := 0, uint64(0), uint64(0)
	for last+int(untold) < sent {
		m := c.next()
		if strings.Contains(m, `"status":"dropped"`) {
			n, ok := dialogue.ParseDropped(said(t, m).Message)
			require.True(t, ok)
			told += n
			untold += n
			continue
		}
		for _, e := range strings.Split(m, `"q":`)[1:] {
			number, _, _ := strings.Cut(e, ",")
			q, err := strconv.Atoi(number)
			require.NoError(t, err)
			require.EqualValues(t, untold, q-last-1, "what is missing was told, here")
			last, untold = q, 0
		}
	}
	var dropped uint64
	for _, b := range ch.relays {
		dropped += b.clients()[0].Dropped
	}
	require.Equal(t, dropped, told, "whoever has dropped it")
	require.GreaterOrEqual(t, first().Dropped, uint64(10))
}

// TestChainTellsOfTheUpstream: all along a chain clients stay, know whether there is an upstream,
// and are told the gap.
func TestChainTellsOfTheUpstream(t *testing.T) {
	ch := startChain(t, quiet, relay.Policy{}, nil)
	c := ch.relays[2].loginAs("/stocks", token("2"))
	c.take("T.AAPL")
	for _, at := range []int{-1, 0, 1} {
		if at < 0 {
			ch.up.Conns()[0].Cut()
		} else {
			ch.links[at].cut()
		}
		require.Equal(t, dialogue.UpstreamDisconnected, said(t, c.next()).Status)
		require.Equal(t, dialogue.UpstreamConnected, said(t, c.next()).Status)
		ch.relays[0].streaming(1)
		for _, b := range ch.relays {
			b.await(func(s relay.MarketStats) bool { return s.Up && s.Granted == 1 && s.State == tickstorm.StateStreaming })
		}
		ch.up.Broadcast([]byte("[" + oddTrade + "]"))
		gap := said(t, c.next())
		require.Equal(t, dialogue.Gap, gap.Status, gap.Message)
		c.expect("[" + oddTrade + "]")
	}
}

// TestChainWithoutAnUpstream: a relay that comes back to one whose own upstream is gone does not
// say that there is one, whatever becomes of its topics.
func TestChainWithoutAnUpstream(t *testing.T) {
	ch := startChain(t, quiet, relay.Policy{}, func(_ int, c *relay.Config) {
		c.AckTimeout, c.Upstreams[0].AckTimeout = 50*time.Millisecond, 50*time.Millisecond
	})
	c := ch.relays[2].loginAs("/stocks", token("2"))
	c.send(subscribe("T.A"))
	for c.next() != acks("T.A") { // it may be said to be pending before
	}
	require.NoError(t, ch.up.Close())
	require.Equal(t, dialogue.UpstreamDisconnected, said(t, c.next()).Status)
	for _, b := range ch.relays {
		b.await(func(s relay.MarketStats) bool { return !s.Up })
	}
	for i, l := range ch.links[:2] {
		behind := ch.relays[i+1]
		before := behind.relay.Stats().Markets[0].Upstream.Reconnects
		l.cut()
		behind.await(func(s relay.MarketStats) bool {
			return s.Upstream.Reconnects > before && s.State == tickstorm.StateStreaming
		})
		behind.await(func(s relay.MarketStats) bool { return !s.Up })
	}
}

// TestChainOfPolicies: what a relay refuses or withdraws the next passes on to who has it.
func TestChainOfPolicies(t *testing.T) {
	ch := startChain(t, quiet, relay.Policy{}, func(_ int, c *relay.Config) { c.Linger = -1 })
	narrow := relay.Policy{Channels: []string{"T"}, Symbols: []string{"A*"}}
	require.NoError(t, ch.keys[0].Set(keyOf(0, narrow)))
	c, other := ch.relays[2].loginAs("/stocks", token("2")), ch.relays[2].loginAs("/stocks", token("2"))
	c.send(subscribe("Q.AAPL"))
	c.expect(notAllowed)
	c.send(subscribe("T.MSFT"))
	c.expect(notAllowed)
	c.take("T.aapl")
	c.take("T.AMZN")
	other.take("T.AMZN")
	require.NoError(t, ch.keys[0].Set(keyOf(0, relay.Policy{Symbols: []string{"AMZN"}})))
	c.expect(withdrawn("T.aapl"))
	for _, b := range ch.relays {
		b.await(func(s relay.MarketStats) bool { return s.Topics == 1 && s.Granted == 1 })
	}
	trade := `[{"ev":"T","sym":"AMZN"}]`
	ch.up.Broadcast([]byte(trade))
	c.expect(trade)
	other.expect(trade)
	c.send(subscribe("T.AAPL"))
	c.expect(notAllowed)
	require.NoError(t, ch.keys[0].Set(keyOf(0, relay.Policy{})))
	c.take("T.AAPL")

	// All carries symbols: who has asked for one keeps it where the next relay may still have it.
	require.NoError(t, ch.keys[0].Set(keyOf(0, relay.Policy{Wildcards: true})))
	for i := 1; i < 3; i++ {
		require.NoError(t, ch.keys[i].Set(keyOf(i, relay.Policy{Wildcards: true})))
	}
	other.take("Q.*")
	c.take("Q.AAPL")
	require.NoError(t, ch.keys[0].Set(keyOf(0, relay.Policy{})))
	other.expect(withdrawn("Q.*"))
	ch.relays[0].await(func(s relay.MarketStats) bool { return s.Topics == 3 })
	ch.relays[2].await(func(s relay.MarketStats) bool { return s.Topics == 3 && s.Granted == 3 })
	quote := `[{"ev":"Q","sym":"AAPL"}]`
	ch.up.Broadcast([]byte(quote))
	c.expect(quote)
	ch.up.Broadcast([]byte(trade))
	other.expect(trade)
}

// TestChainLosesItsKey: a relay whose key was withdrawn ends, and says why; the one behind it
// waits for another.
func TestChainLosesItsKey(t *testing.T) {
	ch := startChain(t, quiet, relay.Policy{}, nil)
	c := ch.relays[2].loginAs("/stocks", token("2"))
	require.NoError(t, ch.keys[0].Set())
	require.ErrorIs(t, ch.relays[1].over(), tickstorm.ErrAuthFailed)
	down := said(t, c.next())
	require.Equal(t, dialogue.UpstreamDisconnected, down.Status)
	require.NotContains(t, down.Message, "tOkEn")
	require.False(t, ch.relays[2].relay.Stats().Markets[0].Up)
	require.NoError(t, ch.relays[2].relay.Stats().Markets[0].Err, "it tries again")
}
