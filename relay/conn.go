package relay

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/frame"
	"github.com/tickstorm/tickstorm/internal/dialogue"
	"github.com/tickstorm/tickstorm/internal/fanout"
	"github.com/tickstorm/tickstorm/internal/gate"
)

// farewell is how long clients get to take a close frame when the server ends without patience.
const farewell = time.Second

// restart is the code of a close frame by which clients come back. Those of the vendor take 1000
// and 1001 for the end of it all.
const restart ws.StatusCode = 1012

// conn is one client. One goroutine reads what it sends; what it is sent waits in its outlet,
// whose writer is another.
type conn struct {
	market *market
	id     uint64
	from   string
	since  time.Time
	nc     net.Conn
	out    *fanout.Outlet
	framer *frame.Framer

	authed  bool   // the reading goroutine's
	topics  string // the reading goroutine's: of the URL, for when it has authenticated
	unknown int    // the reading goroutine's: bytes of pongs until then
	access  access
	parting atomic.Bool // a close frame is on its way
	ended   atomic.Bool // nothing is written any more
	why     error       // why that is; for who has seen out.Done

	wish        wish
	recalls     atomic.Bool // it may have what it wishes of the past
	reminds     atomic.Bool // it gets snapshots where it has no wish
	recallsTold bool        // that it may not; the lock of access protects it
}

var ping = ws.MustCompileFrame(ws.NewPingFrame(nil))

// sayings is how many times as long as a request the answers may be that a client has not read
// when there are others.
const sayings = 20

func newConn(m *market, nc net.Conn, from string, w wish) *conn {
	c := &conn{market: m, from: from, since: time.Now(), nc: nc, wish: w}
	cfg := &m.server.cfg
	c.framer = frame.New(frame.Config{Server: true, Buffer: 1 << 10, MaxMessage: cfg.MaxRequest}, ear{c})
	raw := nc
	if l, ok := nc.(*gate.Conn); ok {
		raw = l.Conn // which can write several buffers at once
	}
	c.out = m.hub.Join(raw, fanout.OutletConfig{
		Bytes: cfg.Queue.Bytes, Overflow: cfg.Queue.Overflow, High: cfg.Queue.High, Low: cfg.Queue.Low,
		FlushInterval: cfg.Queue.FlushInterval, Every: w.every,
		WriteTimeout: cfg.Queue.WriteTimeout, CloseTimeout: cfg.CloseTimeout, Control: sayings * cfg.MaxRequest,
		Dropped: func(dst []byte, d fanout.Drops) []byte {
			return dialogue.AppendMessage(dst, dialogue.DroppedNote(d.Events))
		},
		OnEnd: c.over,
	})
	return c
}

// over is told that nothing will be written any more. A client that was told why gets time to
// answer; what it has not read would be lost with a connection that is closed at once.
func (c *conn) over(err error) {
	c.why = err
	c.ended.Store(true)
	if err != nil {
		sever(c.nc)
		return
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(farewell))
}

// serve is the client's life: the dialogue, and reading until it ends.
func (c *conn) serve(early []byte, in credentials) {
	s := c.market.server
	log := s.log.With("client", c.id, "market", string(c.market.name))
	log.Info("relay: client", "from", c.from)
	c.answer(dialogue.Greeting)
	err := c.arrive(in)
	if err == nil {
		err = c.read(early)
	}
	patient := c.ended.Load() // it has had its time
	c.market.leave(c)
	switch b := c.framer.Outgoing(); {
	case len(b) > 0:
		c.out.Hangup(b) // the answer to a close frame, or ours about what was no frame
	case !c.parting.Load():
		c.out.Cut()
	}
	<-c.out.Done()
	if !patient && !c.framer.CloseReceived() {
		c.drain()
	}
	_ = c.nc.Close() // fails only if it is closed
	if errors.Is(c.why, fanout.ErrTooSlow) || errors.Is(c.why, fanout.ErrControlFull) {
		err = c.why // of which the reader has seen the end only
	}
	log.Info("relay: client gone", "err", err)
}

// read takes what the client sends until the connection ends.
func (c *conn) read(early []byte) error {
	cfg := &c.market.server.cfg
	if len(early) > 0 {
		if err := c.framer.Feed(early); err != nil {
			return err
		}
		if err := c.pass(); err != nil {
			return err
		}
	}
	authBy := c.since.Add(cfg.HandshakeTimeout)
	silent := 0
	for {
		var deadline time.Time
		if cfg.PingInterval > 0 {
			deadline = time.Now().Add(cfg.PingInterval)
		}
		if !c.authed && (deadline.IsZero() || authBy.Before(deadline)) {
			deadline = authBy
		}
		_ = c.nc.SetReadDeadline(deadline) // fails only if it is closed
		if c.ended.Load() {
			_ = c.nc.SetReadDeadline(time.Now().Add(farewell))
		}
		n, err := c.nc.Read(c.framer.Buffer())
		if n > 0 {
			silent = 0
			if err := c.framer.Commit(n); err != nil {
				return err
			}
			if err := c.pass(); err != nil {
				return err
			}
		}
		switch {
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded) || c.ended.Load():
			return err
		case !c.authed && !time.Now().Before(authBy):
			c.answer(dialogue.AuthTimeout)
			c.part(ws.StatusPolicyViolation, "no key")
			return tickstorm.ErrAuthTimeout
		case n == 0:
			if silent++; silent > 3 {
				c.cut()
				return tickstorm.ErrIdle
			}
			c.out.Control(ping)
		}
	}
}

// drain reads what the client still sends, for a moment: a connection that is closed with bytes
// unread is reset, and what was sent last is lost with it.
func (c *conn) drain() {
	_ = c.nc.SetReadDeadline(time.Now().Add(farewell))
	p := make([]byte, 4096)
	for {
		if _, err := c.nc.Read(p); err != nil {
			return
		}
	}
}

// pass lets out what the framer has to say, to a client that has shown no key only so much: there may be
// many that do not read it.
func (c *conn) pass() error {
	b := c.framer.Outgoing()
	if len(b) == 0 {
		return nil
	}
	if !c.authed {
		if c.unknown += len(b); c.unknown > maxUnknown {
			c.framer.Sent(len(b)) // by nobody: there is no farewell
			return errPings
		}
	}
	c.out.Control(b)
	c.framer.Sent(len(b))
	return nil
}

// maxUnknown is how many bytes of pongs a client gets until it has shown its key.
const maxUnknown = 64 << 10

var errPings = errors.New("relay: too many pings before a key")

// ear receives what the client sends.
type ear struct{ c *conn }

func (e ear) OnMessage(op ws.OpCode, p []byte) error {
	if op != ws.OpText {
		return nil
	}
	if r, err := dialogue.ParseRequest(p); err == nil {
		return e.c.request(r)
	}
	return nil // as the vendor
}

func (ear) OnControl(ws.OpCode, []byte) {}

var errRefused = errors.New("relay: client refused")

// request answers a request. What is none is passed over.
func (c *conn) request(r dialogue.Request) error {
	switch r.Action {
	case dialogue.Auth:
		return c.show(r.Params)
	case dialogue.Subscribe:
		if c.authed {
			c.subscribe(dialogue.Topics(c.market.name, r.Params))
		}
	case dialogue.Unsubscribe:
		if c.authed {
			c.market.ledger.unsubscribe(c, dialogue.Topics(c.market.name, r.Params))
		}
	}
	return nil
}

// refuse ends the connection because there is no upstream any more.
func (c *conn) refuse(err error) {
	if v := verdict(err); v != nil {
		c.answer(*v)
		c.part(ws.StatusPolicyViolation, "refused by the upstream")
		return
	}
	c.part(restart, lost)
}

// answer tells statuses on the lane that no event can fill.
func (c *conn) answer(statuses ...dialogue.Status) {
	c.out.Control(dialogue.AppendStatuses(nil, statuses...))
}

// note tells a status in its place among the events.
func (c *conn) note(s dialogue.Status) { c.out.Note(dialogue.AppendMessage(nil, s)) }

func (c *conn) unwant(topics ...tickstorm.Topic) { c.out.Unsubscribe(topics...) }

// part ends the connection by a close frame behind what is queued.
func (c *conn) part(code ws.StatusCode, reason string) {
	c.parting.Store(true)
	c.out.Close(code, reason)
}

// cut ends the connection at once.
func (c *conn) cut() { c.out.Cut() }
