package sim

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/frame"
	"github.com/tickstorm/tickstorm/internal/dialogue"
	"github.com/tickstorm/tickstorm/internal/gate"
)

// ErrSlow is returned by [Conn.Send] when the client's backlog is full.
var ErrSlow = errors.New("sim: the client's backlog is full")

// ErrEnded is returned by [Conn.Send] when the connection has ended.
var ErrEnded = errors.New("sim: the connection has ended")

// Conn is a client's connection, seen from the server. Its methods may be called
// concurrently, and after the connection has ended.
type Conn struct {
	server *Server
	id     int
	place  *gate.Conn // among all; raw is closed through it
	raw    net.Conn
	nc     net.Conn // raw, or TLS on top of it
	out    *outbox

	framer *frame.Framer // serve's own
	split  int           // bytes to write one by one, -1 for all; the writer's own

	dying     chan struct{} // closed when the connection is to end now
	once      sync.Once
	written   chan struct{} // closed when the writer has ended
	done      chan struct{} // closed when all has ended
	stalled   atomic.Bool   // the writer waits because a fault says so
	finishing atomic.Bool   // the end has been written: the client's requests do not matter
	workers   sync.WaitGroup

	// subscribed holds a token when the topics may have changed.
	subscribed chan struct{}

	// market never changes once the handshake is done. It is guarded by mu before.
	market tickstorm.Market

	// streaming guards the following. Who holds it may put things in out, so that no
	// event of a topic precedes its acknowledgement.
	streaming sync.Mutex
	generator *Generator
	wants     *subscriptions // of a replay
	batches   *random
	scratch   []byte
	chunk     []byte
	next      int // events of the next message, 0 if it has not been decided
	messages  int
	bytes     int64

	// mu guards the following. It is never held while another lock is taken but out's own.
	mu            sync.Mutex
	authenticated bool
	key           string
	plan          Plan
	excess        bool // one connection too many: it is to go
	held          map[tickstorm.Topic]struct{}
	requests      []string

	// happened has a flag for each fault of the script; guarded by Server.mu.
	happened []bool
}

func newConn(s *Server, id int, place *gate.Conn) *Conn {
	raw := place.Conn
	c := &Conn{
		server: s, id: id, place: place, raw: raw, nc: raw, out: newOutbox(),
		dying: make(chan struct{}), written: make(chan struct{}), done: make(chan struct{}),
		subscribed: make(chan struct{}, 1),
		held:       make(map[tickstorm.Topic]struct{}),
		happened:   make([]bool, len(s.cfg.Faults)),
	}
	if t, ok := raw.(*net.TCPConn); ok && s.cfg.SendBuffer > 0 {
		_ = t.SetWriteBuffer(s.cfg.SendBuffer) // as far as the system lets itself be told
	}
	return c
}

// ID is the connection's number, from 1 in the order of arrival.
func (c *Conn) ID() int { return c.id }

// Market is what the client has asked for in the handshake; "" before.
func (c *Conn) Market() tickstorm.Market {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.market
}

// Authenticated reports whether the client has sent a good key.
func (c *Conn) Authenticated() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.authenticated
}

// Topics returns what the client has subscribed to, in canonical spelling, sorted.
// Topics that are acknowledged and have no data are among them.
func (c *Conn) Topics() []tickstorm.Topic {
	c.mu.Lock()
	defer c.mu.Unlock()
	topics := make([]tickstorm.Topic, 0, len(c.held))
	for t := range c.held {
		topics = append(topics, t)
	}
	slices.SortFunc(topics, func(a, b tickstorm.Topic) int { return strings.Compare(a.String(), b.String()) })
	return topics
}

// Requests returns the text messages that the client has sent, in their order and
// spelling, but with keys replaced by "[redacted]". Of more than 10,000 it has the first.
func (c *Conn) Requests() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.requests)
}

// Done returns a channel that is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Send sends a text message, which may be anything: a JSON array of events or not. It
// does not wait for the client. The error is ErrSlow or ErrEnded.
func (c *Conn) Send(message []byte) error {
	err := c.SendRaw(dialogue.AppendFrame(nil, ws.OpText, message))
	if err == nil {
		c.server.counters.messages.Add(1)
		c.server.counters.bytes.Add(int64(len(message)))
		c.server.change()
	}
	return err
}

// SendRaw sends bytes that need not be whole or correct frames. It does not wait for
// the client. The error is ErrSlow or ErrEnded.
func (c *Conn) SendRaw(b []byte) error {
	select {
	case <-c.dying:
		return ErrEnded
	default:
	}
	if c.finishing.Load() {
		return ErrEnded
	}
	if c.out.waiting() > c.sendBuffer() {
		return ErrSlow
	}
	c.out.append(b)
	return nil
}

// SendStatus sends a status event, such as "error" and "not authorized".
func (c *Conn) SendStatus(status, message string) error {
	return c.SendRaw(dialogue.AppendStatuses(nil, dialogue.Status{Status: status, Message: message}))
}

// Ping sends a ping with a payload of at most 125 bytes; more is cut off.
func (c *Conn) Ping(payload []byte) error {
	return c.SendRaw(dialogue.AppendFrame(nil, ws.OpPing, payload[:min(len(payload), ws.MaxControlFramePayloadSize)]))
}

// Do does what a fault does, behind what has been sent so far. [HTTPStatus] does nothing.
func (c *Conn) Do(a Action) { c.out.do(a) }

// Kick sends a close frame behind what has been sent so far; the connection ends when
// the client has answered, or after a second.
func (c *Conn) Kick(code int, reason string) { c.finish(Close(code, reason)) }

// finish ends the connection behind what has been sent so far, in a time that a client
// which reads nothing cannot prolong.
func (c *Conn) finish(how Action) {
	c.out.do(how)
	c.finishing.Store(true)
	_ = c.nc.SetWriteDeadline(time.Now().Add(finishLimit)) // fails only if it is closed
}

// Cut resets the connection at once: no close frame, and what is on the way may be lost.
func (c *Conn) Cut() {
	if t, ok := c.raw.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // fails only if it is closed
	}
	c.die()
}

// die ends the connection now; serve cleans up. The socket is closed below TLS, whose
// own close would wait for a writer that is stuck.
func (c *Conn) die() {
	c.once.Do(func() { close(c.dying) })
	_ = c.place.Close()
}

func (c *Conn) sendBuffer() int {
	if n := c.server.cfg.SendBuffer; n > 0 {
		return n
	}
	return DefaultSendBuffer
}

// faults returns the actions that the script has for this connection now.
func (c *Conn) faults(at Phase, messages int, bytes int64) []Action {
	s := c.server
	if len(s.cfg.Faults) == 0 {
		return nil
	}
	s.mu.Lock()
	due := s.script.take(at, c.id, c.happened, messages, bytes)
	s.mu.Unlock()
	for _, a := range due {
		s.counters.faults.Add(1)
		s.cfg.Logger.Info("sim: fault", "conn", c.id, "at", at.String(), "do", a.String())
	}
	if len(due) > 0 {
		s.change()
	}
	return due
}

// queueFaults puts the actions that are due behind what has been sent so far.
func (c *Conn) queueFaults(at Phase) {
	for _, a := range c.faults(at, 0, 0) {
		c.out.do(a)
	}
}

// serve is the connection's life: the handshake, and then reading until it ends.
func (c *Conn) serve() {
	s := c.server
	defer func() {
		c.die()
		c.workers.Wait()
		s.remove(c)
		close(c.done)
		s.cfg.Logger.Info("sim: connection ended", "conn", c.id)
	}()
	for _, a := range c.faults(OnAccept, 0, 0) {
		if c.perform(a) {
			return
		}
	}
	if s.tls != nil {
		c.nc = tls.Server(c.raw, s.tls)
	}
	early, ok := c.handshake()
	if !ok {
		return
	}
	c.workers.Go(c.write)
	c.queueFaults(OnGreeting)
	c.sendStatuses(dialogue.Greeting)
	if s.cfg.AuthTimeout > 0 {
		timeout := time.AfterFunc(s.cfg.AuthTimeout, c.authTimeout)
		defer timeout.Stop()
	}
	c.read(early)
	c.answerClose()
}

// handshake upgrades the connection, and reports whether it goes on. early is what the client
// has sent behind its request, without waiting for the answer.
func (c *Conn) handshake() (early []byte, ok bool) {
	s := c.server
	_ = c.nc.SetDeadline(time.Now().Add(handshakeLimit))
	if t, ok := c.nc.(*tls.Conn); ok {
		ctx, cancel := context.WithTimeout(context.Background(), handshakeLimit)
		err := t.HandshakeContext(ctx)
		cancel()
		if err != nil {
			s.cfg.Logger.Info("sim: TLS handshake failed", "conn", c.id, "err", err)
			return nil, false
		}
	}
	var over bool
	var market tickstorm.Market
	upgrader := ws.Upgrader{
		OnRequest: func(uri []byte) error {
			path, _, _ := strings.Cut(string(uri), "?")
			market = tickstorm.Market(strings.TrimPrefix(path, "/"))
			return nil
		},
		OnBeforeUpgrade: func() (ws.HandshakeHeader, error) {
			for _, a := range c.faults(OnHandshake, 0, 0) {
				if a.kind == actHTTP {
					return nil, ws.RejectConnectionError(ws.RejectionStatus(a.n), ws.RejectionReason(a.String()))
				}
				if over = c.perform(a); over {
					return nil, ErrEnded
				}
			}
			if !slices.Contains(tickstorm.Markets(), market) {
				return nil, ws.RejectConnectionError(ws.RejectionStatus(404), ws.RejectionReason("no such market"))
			}
			return nil, nil
		},
	}
	w := wire{Conn: c}
	_, err := upgrader.Upgrade(&w)
	if err != nil {
		s.counters.refused.Add(1)
		s.cfg.Logger.Info("sim: handshake refused", "conn", c.id, "market", string(market), "err", err)
		s.change()
		if !over {
			c.hangUp()
		}
		c.drain()
		return nil, false
	}
	_ = c.nc.SetDeadline(time.Time{})
	c.mu.Lock()
	c.market = market
	c.mu.Unlock()
	c.generator = NewGenerator(market, s.cfg.Seed)
	c.wants = newSubscriptions(market)
	if s.cfg.Numbered {
		c.generator.Number(func() int64 { return s.number.Add(1) })
	}
	c.batches = newRandom(s.cfg.Seed, market, 2)
	c.framer = frame.New(frame.Config{Server: true, Buffer: 32 << 10, MaxMessage: 1 << 20}, ear{c})
	s.cfg.Logger.Info("sim: connection", "conn", c.id, "market", string(market))
	s.change()
	return w.early, true
}

// drain reads what the client still sends, until it hangs up or the deadline of hangUp.
func (c *Conn) drain() {
	p := make([]byte, 4096)
	for {
		if _, err := c.nc.Read(p); err != nil {
			return
		}
	}
}

// read takes what the client sends until the connection ends.
func (c *Conn) read(early []byte) {
	if len(early) > 0 {
		if c.framer.Feed(early) != nil {
			return
		}
		c.pass()
	}
	for {
		n, err := c.nc.Read(c.framer.Buffer())
		if n > 0 {
			if c.framer.Commit(n) != nil {
				return
			}
			c.pass()
		}
		if err != nil {
			return
		}
	}
}

// pass puts the framer's pongs into the outbox, where they queue behind data as on the
// real feed. A client that asks and asks and never reads is cut off.
func (c *Conn) pass() {
	b := c.framer.Outgoing()
	if len(b) == 0 {
		return
	}
	if !c.server.cfg.IgnorePings {
		c.out.append(b)
	}
	c.framer.Sent(len(b))
	if c.out.waiting() > c.sendBuffer()+DefaultSendBuffer {
		c.tooSlow()
	}
}

// answerClose lets the answer to the client's close frame out, ahead of what waits.
// Where the server has said its last word, the client's answer was the end.
func (c *Conn) answerClose() {
	if c.finishing.Swap(true) {
		return
	}
	b := c.framer.Outgoing()
	var closed *frame.CloseError
	if len(b) == 0 || c.stalled.Load() || !errors.As(c.framer.Err(), &closed) {
		return
	}
	_ = c.nc.SetWriteDeadline(time.Now().Add(linger))
	c.out.last(b)
	select {
	case <-c.written:
		c.drain()
	case <-c.dying:
	}
}

// tooSlow cuts a client off that does not keep up. A connection that is ending already
// has another reason: a stall that ended with it looks like the client's for a moment.
func (c *Conn) tooSlow() {
	select {
	case <-c.dying:
		return
	default:
	}
	c.server.counters.slow.Add(1)
	c.server.cfg.Logger.Info("sim: client too slow", "conn", c.id)
	c.Cut()
	c.server.change()
}
