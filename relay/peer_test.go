package relay_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/frame"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/relay"
	"github.com/tickstorm/tickstorm/sim"
)

// patience bounds every wait in these tests; it is reached only when they fail.
const patience = time.Minute

const (
	greeting = `[{"ev":"status","status":"connected","message":"Connected Successfully"}]`
	success  = `[{"ev":"status","status":"auth_success","message":"authenticated"}]`
	auth     = `{"action":"auth","params":"any key at all"}`
)

func subscribe(topics string) string   { return `{"action":"subscribe","params":"` + topics + `"}` }
func unsubscribe(topics string) string { return `{"action":"unsubscribe","params":"` + topics + `"}` }

// acks is the message that acknowledges topics.
func acks(topics ...string) string {
	return "[" + strings.Join(fixture.Acks(topics...), ",") + "]"
}

// bench is an upstream and a relay in front of it.
type bench struct {
	t      *testing.T
	up     *sim.Server
	relay  *relay.Server
	addr   string
	dial   func() (net.Conn, error)
	ended  chan error
	cancel context.CancelFunc
}

// start starts a relay of one market of a simulator, until the test ends.
func start(t *testing.T, up sim.Config, m tickstorm.Market, with ...func(*relay.Config)) *bench {
	t.Helper()
	server := fixture.Start(t, up)
	return startAt(t, server, server.ClientConfig(m), with...)
}

func startAt(t *testing.T, up *sim.Server, upstream tickstorm.Config, with ...func(*relay.Config)) *bench {
	t.Helper()
	upstream.Backoff = tickstorm.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond}
	cfg := relay.Config{Upstreams: []tickstorm.Config{upstream}}
	for _, change := range with {
		change(&cfg)
	}
	l, err := relay.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b := serve(t, cfg, l)
	b.up = up
	b.dial = func() (net.Conn, error) { return net.Dial("tcp", b.addr) }
	return b
}

// inBubble runs a test in which time is fake, and upstream, relay and clients are in memory.
func inBubble(t *testing.T, up sim.Config, m tickstorm.Market, change func(*relay.Config), test func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		server := fixture.StartPipe(t, up)
		cfg := relay.Config{Upstreams: []tickstorm.Config{server.ClientConfig(m)}}
		if change != nil {
			change(&cfg)
		}
		l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		b := serve(t, cfg, l)
		b.up, b.dial = server, l.dial
		b.streaming(0)
		test(b)
	})
}

// pipes is a listener in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipes) dial() (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case nc := <-l.conns:
		return nc, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

// serve serves a relay until the test ends.
func serve(t *testing.T, cfg relay.Config, l net.Listener) *bench {
	t.Helper()
	s, err := relay.New(cfg)
	require.NoError(t, err)
	return run(t, s, l)
}

// run is serve for a relay that has been made.
func run(t *testing.T, s *relay.Server, l net.Listener) *bench {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	b := &bench{t: t, relay: s, addr: l.Addr().String(), ended: make(chan error, 1), cancel: cancel}
	go func() { b.ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-b.ended:
		case <-time.After(patience):
			require.Fail(t, "the relay does not end")
		}
	})
	return b
}

// over waits until the relay has ended, and returns its result.
func (b *bench) over() error {
	b.t.Helper()
	select {
	case err := <-b.ended:
		b.ended <- err // for the cleanup
		return err
	case <-time.After(patience):
		require.Fail(b.t, "the relay does not end")
		return nil
	}
}

// streaming waits until the upstream is connected and holds so many topics.
func (b *bench) streaming(topics int) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	require.NoError(b.t, b.up.Await(ctx, func(s sim.Stats) bool { return s.Authenticated == 1 && s.Topics == topics }))
	b.await(func(s relay.MarketStats) bool { return s.Up })
}

// await waits until something is true of the first market.
func (b *bench) await(cond func(relay.MarketStats) bool) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); !cond(b.relay.Stats().Markets[0]); time.Sleep(time.Millisecond) {
		require.True(b.t, time.Now().Before(deadline), "the relay does not take notice")
	}
}

// client is a client that does what it is told and nothing by itself.
type client struct {
	t        testing.TB
	nc       net.Conn
	framer   *frame.Framer
	early    []byte
	messages []string // received and not asked for yet
	err      error    // what comes behind them
	pings    int
}

func (c *client) OnMessage(_ ws.OpCode, p []byte) error {
	c.messages = append(c.messages, string(p))
	return nil
}

func (c *client) OnControl(op ws.OpCode, _ []byte) {
	if op == ws.OpPing {
		c.pings++
	}
}

// dial connects to a path, with a header.
func dial(network, addr, path string, header http.Header) (*client, error) {
	return dialBy(func() (net.Conn, error) { return net.Dial(network, addr) }, path, header)
}

func dialBy(dial func() (net.Conn, error), path string, header http.Header) (*client, error) {
	d := ws.Dialer{
		Timeout: patience,
		Header:  ws.HandshakeHeaderHTTP(header),
		NetDial: func(context.Context, string, string) (net.Conn, error) { return dial() },
	}
	nc, br, _, err := d.Dial(context.Background(), "ws://relay.test"+path)
	if err != nil {
		return nil, err
	}
	c := &client{nc: nc}
	c.framer = frame.New(frame.Config{MaxMessage: 1 << 20}, c)
	if br != nil {
		c.early = readBuffered(br)
	}
	return c, nil
}

func readBuffered(br *bufio.Reader) []byte {
	b, _ := br.Peek(br.Buffered())
	b = append([]byte(nil), b...)
	ws.PutReader(br)
	return b
}

// clients are those that are connected.
func (b *bench) clients() []relay.ClientStats { return slices.Collect(b.relay.Clients()) }

// client connects, and fails the test if that fails.
func (b *bench) client(path string) *client {
	b.t.Helper()
	c, err := dialBy(b.dial, path, nil)
	require.NoError(b.t, err)
	c.t = b.t
	b.t.Cleanup(func() { _ = c.nc.Close() })
	return c
}

// login connects and authenticates.
func (b *bench) login(path string) *client {
	b.t.Helper()
	c := b.client(path)
	c.expect(greeting)
	c.send(auth)
	c.expect(success)
	return c
}

func (c *client) flush() {
	c.t.Helper()
	b := c.framer.Outgoing()
	_, err := c.nc.Write(b)
	require.NoError(c.t, err)
	c.framer.Sent(len(b))
}

func (c *client) send(requests ...string) {
	c.t.Helper()
	for _, r := range requests {
		require.NoError(c.t, c.framer.Send(ws.OpText, []byte(r)))
	}
	c.flush()
}

// more reads once, and answers what has to be answered.
func (c *client) more() error {
	if c.err == nil {
		c.err = c.read()
	}
	return c.err
}

func (c *client) read() error {
	if len(c.early) > 0 {
		b := c.early
		c.early = nil
		return c.framer.Feed(b)
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(patience))
	n, err := c.nc.Read(c.framer.Buffer())
	if n > 0 {
		over := c.framer.Commit(n)
		if out := c.framer.Outgoing(); len(out) > 0 {
			_, _ = c.nc.Write(out) // it may have hung up
			c.framer.Sent(len(out))
		}
		if over != nil {
			return over
		}
	}
	return err
}

// next returns the next message.
func (c *client) next() string {
	c.t.Helper()
	for deadline := time.Now().Add(patience); len(c.messages) == 0; {
		require.True(c.t, time.Now().Before(deadline), "nothing but pings")
		if err := c.more(); len(c.messages) == 0 {
			require.NoError(c.t, err)
		}
	}
	m := c.messages[0]
	c.messages = c.messages[1:]
	return m
}

func (c *client) expect(messages ...string) {
	c.t.Helper()
	for _, m := range messages {
		require.Equal(c.t, m, c.next())
	}
}

// take subscribes and waits for the acknowledgements, which come in one message.
func (c *client) take(topics string) {
	c.t.Helper()
	c.send(subscribe(topics))
	c.expect(acks(strings.Split(topics, ",")...))
}

// end reads until the connection ends, and returns the code of the relay's close frame; 0 is
// none.
func (c *client) end() ws.StatusCode {
	c.t.Helper()
	for {
		err := c.more()
		var closed *frame.CloseError
		switch {
		case errors.As(err, &closed):
			return closed.Code
		case err != nil:
			require.NotErrorIs(c.t, err, context.DeadlineExceeded)
			return 0
		}
	}
}
