package sim_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/frame"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// client is a client that does what it is told and nothing by itself, so that these
// tests do not rest on the client that the simulator is there to test.
type client struct {
	t        *testing.T
	nc       net.Conn
	framer   *frame.Framer
	early    []byte
	messages []string // received and not asked for yet
	err      error    // what comes behind them
	reads    int
	pongs    int
}

func (c *client) OnMessage(_ ws.OpCode, p []byte) error {
	c.messages = append(c.messages, string(p))
	return nil
}

func (c *client) OnControl(op ws.OpCode, _ []byte) {
	if op == ws.OpPong {
		c.pongs++
	}
}

// patience bounds every wait in these tests; it is reached only when they fail.
const patience = time.Minute

func start(t *testing.T, cfg sim.Config) *sim.Server {
	t.Helper()
	s, err := sim.Start(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func startPipe(t *testing.T, cfg sim.Config) *sim.Server {
	t.Helper()
	s, err := sim.StartPipe(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func dial(s *sim.Server, path string) (*client, error) {
	cfg := s.ClientConfig(tickstorm.Stocks)
	d := ws.Dialer{NetDial: cfg.NetDial, TLSConfig: cfg.TLS, Timeout: patience}
	nc, br, _, err := d.Dial(context.Background(), string(cfg.Feed)+"/"+path)
	if err != nil {
		return nil, err
	}
	c := &client{nc: nc}
	c.framer = frame.New(frame.Config{}, c)
	if br != nil {
		c.early = make([]byte, br.Buffered())
		_, _ = br.Read(c.early)
		ws.PutReader(br)
	}
	return c, nil
}

// connect dials, and fails the test if that fails.
func connect(t *testing.T, s *sim.Server, m tickstorm.Market) *client {
	t.Helper()
	c, err := dial(s, string(m))
	require.NoError(t, err)
	c.t = t
	t.Cleanup(func() { _ = c.nc.Close() })
	return c
}

// login connects and authenticates.
func login(t *testing.T, s *sim.Server, m tickstorm.Market) *client {
	t.Helper()
	c := connect(t, s, m)
	c.expect(`[{"ev":"status","status":"connected","message":"Connected Successfully"}]`)
	c.send(`{"action":"auth","params":"` + s.ClientConfig(m).Key + `"}`)
	c.expect(`[{"ev":"status","status":"auth_success","message":"authenticated"}]`)
	return c
}

func (c *client) flush() {
	c.t.Helper()
	b := c.framer.Outgoing()
	_, err := c.nc.Write(b)
	require.NoError(c.t, err)
	c.framer.Sent(len(b))
}

func (c *client) send(request string) {
	c.t.Helper()
	require.NoError(c.t, c.framer.Send(ws.OpText, []byte(request)))
	c.flush()
}

// more reads once.
func (c *client) more() error {
	if len(c.early) > 0 {
		b := c.early
		c.early = nil
		return c.framer.Feed(b)
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(patience))
	n, err := c.nc.Read(c.framer.Buffer())
	c.reads++
	if ferr := c.framer.Commit(n); ferr != nil {
		return ferr
	}
	if n > 0 {
		return nil
	}
	return err
}

// receive returns the next message, or why there is none.
func (c *client) receive() (string, error) {
	for len(c.messages) == 0 {
		if c.err != nil {
			return "", c.err
		}
		c.err = c.more()
	}
	m := c.messages[0]
	c.messages = c.messages[1:]
	return m, nil
}

func (c *client) next() string {
	c.t.Helper()
	m, err := c.receive()
	require.NoError(c.t, err)
	return m
}

func (c *client) expect(message string) {
	c.t.Helper()
	require.Equal(c.t, message, c.next())
}

// end reads until the connection ends and returns the reason.
func (c *client) end() error {
	for {
		if _, err := c.receive(); err != nil {
			return err
		}
	}
}

// acks is the message that acknowledges topics.
func acks(topics ...string) string {
	return "[" + strings.Join(fixture.Acks(topics...), ",") + "]"
}

func subscribe(topics string) string { return `{"action":"subscribe","params":"` + topics + `"}` }

// await waits for the server's counters.
func await(t *testing.T, s *sim.Server, cond func(sim.Stats) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, s.Await(ctx, cond))
}

func total(p *tickstorm.Parser) uint64 {
	st := p.Stats()
	return st.Total()
}
