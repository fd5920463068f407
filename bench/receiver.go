package bench

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/frame"
)

// ReadBuffer is what every receiver reads into: the default of [tickstorm.Config].
const ReadBuffer = 256 << 10

// Receivers returns the names of the ways to receive, from the most to the least that is
// done: tickstorm delivers events, frames finds the messages and checks their UTF-8,
// drain only reads.
func Receivers() []string { return []string{"tickstorm", "frames", "drain"} }

// Receiver is a connection to a [Sender]. It reads only while Receive waits for it, so that
// several can take turns. It serves one goroutine at a time.
type Receiver struct {
	gate *gate
	over chan struct{} // closed when the reading goroutine has ended
	err  error         // why; set before

	// What the reading goroutine knows; asked while it does nothing else.
	received func() uint64 // bytes, after TLS
	events   func() uint64 // delivered; nil for receivers that do not look into messages
	failure  func() error  // of something that should have been an event
}

// Received is what a [Receiver] did in one turn.
type Received struct {
	// Bytes came from the connection, after TLS, and were dealt with.
	Bytes int
	// Reads is how many times the socket, below TLS, was read.
	Reads int
	// Events were delivered. Where messages are not looked into it is how many events
	// so many bytes of the corpus have.
	Events float64
	Time   time.Duration
}

// Rate returns the bytes in a second.
func (r Received) Rate() float64 { return float64(r.Bytes) / r.Time.Seconds() }

// Way is a way to receive of the caller's: it connects with dial, asks for data, and
// returns how to read, which is called once and returns when reading fails, and how many
// bytes, after TLS, have been dealt with, which is only asked within a read of what dial
// returned.
type Way func(ctx context.Context, s *Sender, dial func(ctx context.Context, network, address string) (net.Conn, error)) (read func() error, received func() uint64, err error)

// Connect connects to a sender, in one of the ways that [Receivers] lists.
func Connect(s *Sender, way string) (*Receiver, error) {
	return connect(s, func(ctx context.Context, r *Receiver) (func() error, error) {
		if way == "tickstorm" {
			return r.connectTickstorm(ctx, s)
		}
		return r.connectBare(ctx, s, way == "frames")
	})
}

// ConnectBy connects to a sender in a way of the caller's.
func ConnectBy(s *Sender, way Way) (*Receiver, error) {
	return connect(s, func(ctx context.Context, r *Receiver) (read func() error, err error) {
		r.failure = func() error { return nil }
		read, r.received, err = way(ctx, s, r.dial)
		return read, err
	})
}

func connect(s *Sender, by func(context.Context, *Receiver) (read func() error, err error)) (*Receiver, error) {
	r := &Receiver{
		gate: &gate{turns: make(chan turn), done: make(chan Received), closed: make(chan struct{})},
		over: make(chan struct{}),
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	read, err := by(ctx, r)
	if err != nil {
		return nil, err
	}
	perByte := float64(s.Corpus.Events) / float64(s.Corpus.wireBytes())
	r.gate.progress = func() Received {
		p := Received{Bytes: int(r.received()), Reads: r.gate.reads}
		p.Events = float64(p.Bytes) * perByte
		if r.events != nil {
			p.Events = float64(r.events())
		}
		return p
	}
	r.gate.armed = true
	go func() {
		r.err = read()
		close(r.over)
	}()
	return r, nil
}

// Receive lets the receiver read until so many bytes have come from the socket or so much
// time has passed, zero being no bound, and everything read has been dealt with.
func (r *Receiver) Receive(bytes int, d time.Duration) (Received, error) {
	select {
	case r.gate.turns <- turn{bytes, d}:
	case <-r.over:
		return Received{}, r.err
	}
	select {
	case done := <-r.gate.done:
		return done, r.failure()
	case <-r.over:
		return Received{}, r.err
	}
}

// Close closes the connection and waits for the reading goroutine.
func (r *Receiver) Close() {
	close(r.gate.closed)
	_ = r.gate.Conn.Close() // nothing of interest is on its way
	<-r.over
}

func (r *Receiver) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	r.gate.Conn = conn
	return r.gate, nil
}

// counter is the handler of the receiver tickstorm. It looks at every event, as little
// as can be.
type counter struct {
	tickstorm.NopHandler
	events  uint64
	symbols uint64
	err     error
}

func (c *counter) count(h *tickstorm.Header) {
	c.events++
	c.symbols += uint64(h.SymbolID)
}

func (c *counter) OnTrade(t *tickstorm.Trade)         { c.count(&t.Header) }
func (c *counter) OnQuote(q *tickstorm.Quote)         { c.count(&q.Header) }
func (c *counter) OnAggregate(a *tickstorm.Aggregate) { c.count(&a.Header) }
func (c *counter) OnBook(b *tickstorm.Book)           { c.count(&b.Header) }

func (c *counter) OnUnknown(u *tickstorm.Unknown) { c.err = unexpected(string(u.Event)) }

func (c *counter) OnError(e *tickstorm.EventError) { c.err = e.Clone() }

func (r *Receiver) connectTickstorm(ctx context.Context, s *Sender) (read func() error, err error) {
	h := new(counter)
	conn, err := tickstorm.Dial(ctx, tickstorm.Config{
		Key: "key", Market: s.Corpus.Market, Feed: tickstorm.Feed(s.URL()),
		TLS: s.TLS, NetDial: r.dial, Proxy: tickstorm.NoProxy, ReadBuffer: ReadBuffer,
	}, h)
	if err != nil {
		return nil, err
	}
	r.received = func() uint64 { return conn.Stats().Received }
	r.events = func() uint64 { return h.events }
	r.failure = func() error { return h.err }
	return func() error { return conn.Run(context.Background()) }, nil
}

// connectBare connects without the library's help but for its Framer, and asks for data.
func (r *Receiver) connectBare(ctx context.Context, s *Sender, frames bool) (read func() error, err error) {
	dialer := ws.Dialer{NetDial: r.dial, TLSConfig: s.TLS.Clone()}
	conn, early, _, err := dialer.Dial(ctx, s.URL())
	if err != nil {
		return nil, err
	}
	key := ws.MaskFrameInPlace(ws.NewTextFrame([]byte(`{"action":"auth","params":"key"}`)))
	if err := ws.WriteFrame(conn, key); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	var bytes uint64
	r.received = func() uint64 { return bytes }
	r.failure = func() error { return nil }
	if !frames {
		buf := make([]byte, ReadBuffer)
		return func() error {
			for {
				n, err := conn.Read(buf)
				if err != nil {
					return err
				}
				bytes += uint64(n)
			}
		}, nil
	}
	f := frame.New(frame.Config{Buffer: ReadBuffer}, messageCounter{new(int)})
	if early != nil {
		first, err := early.Peek(early.Buffered())
		if err == nil {
			err = f.Feed(first)
		}
		ws.PutReader(early)
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return func() error {
		for {
			n, err := conn.Read(f.Buffer())
			if err != nil {
				return err
			}
			bytes += uint64(n)
			if err := f.Commit(n); err != nil {
				return err
			}
		}
	}, nil
}

// messageCounter is the handler of the receiver frames.
type messageCounter struct{ messages *int }

func (c messageCounter) OnMessage(ws.OpCode, []byte) error { *c.messages++; return nil }

func (messageCounter) OnControl(ws.OpCode, []byte) {}

// gate is the socket of a receiver: once it is armed it can be read in turns only. What
// was read is known to be dealt with when the next read is asked for, which makes this
// the place to measure from, the same for all receivers and below TLS.
type gate struct {
	net.Conn
	armed    bool // set before the reading goroutine is there
	progress func() Received
	turns    chan turn
	done     chan Received
	closed   chan struct{}

	// Of the reading goroutine.
	turn  turn
	open  bool // a turn is on
	start time.Time
	first Received // the progress at its start
	bytes int      // since then, before TLS
	reads int
}

type turn struct {
	bytes int
	time  time.Duration
}

func (g *gate) Read(p []byte) (int, error) {
	if g.armed && !g.pass() {
		return 0, net.ErrClosed
	}
	n, err := g.Conn.Read(p)
	g.bytes += n
	g.reads++
	return n, err
}

// pass ends the turn if it is time and waits for the next.
func (g *gate) pass() bool {
	if g.open {
		elapsed := time.Since(g.start)
		if (g.turn.bytes == 0 || g.bytes < g.turn.bytes) && (g.turn.time == 0 || elapsed < g.turn.time) {
			return true
		}
		p := g.progress()
		g.open = false
		select {
		case g.done <- Received{p.Bytes - g.first.Bytes, p.Reads - g.first.Reads, p.Events - g.first.Events, elapsed}:
		case <-g.closed:
			return false
		}
	}
	select {
	case g.turn = <-g.turns:
	case <-g.closed:
		return false
	}
	g.open, g.bytes, g.first, g.start = true, 0, g.progress(), time.Now()
	return true
}
