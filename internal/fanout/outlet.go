package fanout

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm"
)

// Why an outlet has ended.
var (
	// ErrTooSlow: the connection did not take what the policy says it must.
	ErrTooSlow = errors.New("fanout: too slow")
	// ErrControlFull: too many answers and notes wait, of a client that asks and does not read.
	ErrControlFull = errors.New("fanout: answers are not read")
	// ErrCut: [Outlet.Cut] was called.
	ErrCut = errors.New("fanout: cut")
)

// Conn is what an outlet needs of a connection, a net.Conn for example. The outlet's goroutine
// is the only one to write; it sets deadlines for writing and never closes the connection. A
// *net.TCPConn or *net.UnixConn takes several frames in one system call.
type Conn interface {
	io.Writer
	SetWriteDeadline(time.Time) error
}

// OutletConfig says how an [Outlet] is built. What is zero has a default, and what makes no
// sense is bent to what does.
type OutletConfig struct {
	// Bytes bounds the memory of what waits or is being written; default 1 MiB, at least 64 KiB.
	// It is taken as it is needed.
	Bytes int
	// Overflow is what gives way when there is no room. An outlet cannot block:
	// OverflowBlock is OverflowDisconnect here.
	//
	//	OverflowDropNewest   from High on, what comes is dropped until no more than Low waits
	//	OverflowDropOldest   at High, the oldest is dropped until no more than Low waits
	//	OverflowConflate     from High on, until no more than Low waits: of quotes, aggregates,
	//	                     values and books only the latest of each channel and symbol waits
	//	OverflowDisconnect   at High, the outlet ends: a close frame of 1008
	Overflow tickstorm.Overflow
	// High and Low are the bytes waiting at which the policy sets in and ends. High is Bytes by
	// default, a quarter of it under OverflowConflate; Low is half of High.
	High, Low int
	// Control bounds the bytes of answers, and that of notes; default 64 KiB. An outlet with
	// more ends with [ErrControlFull].
	Control int
	// WriteTimeout is how long a write may take at least before the outlet ends; default 30 s.
	WriteTimeout time.Duration
	// CloseTimeout bounds what Close and Hangup still write; default 1 s.
	CloseTimeout time.Duration
	// Dropped appends the message that tells of drops in their place, such as
	// [{"ev":"status",...}]; nil tells nothing. It must not call the outlet, and may be called
	// from any goroutine, one at a time.
	Dropped func(dst []byte, d Drops) []byte
	// OnEnd, if not nil, is called once, on the outlet's goroutine, when nothing more will be
	// written and the outlet has left its topics: with nil after Close and Hangup have written what
	// they had to, else with the reason, an error of this package or of the connection. It is
	// the place to close the connection, where it is not done after a wait for the peer.
	OnEnd func(error)
}

func (c OutletConfig) withDefaults() OutletConfig {
	def := func(n *int, value int) {
		if *n <= 0 {
			*n = value
		}
	}
	def(&c.Bytes, 1<<20)
	c.Bytes = max(c.Bytes, minBytes)
	if c.Overflow == tickstorm.OverflowBlock || c.Overflow > tickstorm.OverflowDisconnect {
		c.Overflow = tickstorm.OverflowDisconnect
	}
	if c.Overflow == tickstorm.OverflowConflate {
		def(&c.High, c.Bytes/4)
	}
	def(&c.High, c.Bytes)
	c.High = min(c.High, c.Bytes)
	def(&c.Low, c.High/2)
	c.Low = min(c.Low, c.High)
	def(&c.Control, 64<<10)
	if c.WriteTimeout <= 0 {
		c.WriteTimeout = 30 * time.Second
	}
	if c.CloseTimeout <= 0 {
		c.CloseTimeout = time.Second
	}
	return c
}

const minBytes = 64 << 10

// Drops is what was dropped at one place.
type Drops struct {
	// Events is how many.
	Events uint64
	// First and Last are the earliest and the latest time at which they were received, in
	// nanoseconds since 1970.
	First, Last int64
}

func (d *Drops) add(events int, received int64) {
	if d.Events == 0 {
		d.First, d.Last = received, received
	}
	d.Events += uint64(events)
	d.First, d.Last = min(d.First, received), max(d.Last, received)
}

// Outlet is a connection's place at a [Hub]: what it wants, and what waits to be written to it.
// All methods may be called from any goroutine, do not wait for the connection, and do nothing
// once the outlet has ended or Close, Hangup or Cut was called.
//
// Events are written in the order in which they came. Answers overtake them. So the
// acknowledgement of a subscription comes before the first of its events if Answer is called
// before Subscribe. That of the end of one comes behind the last of its events if it
// is given to Note after Unsubscribe; given to Answer it comes at once, and what of the topic
// waits comes behind it.
type Outlet struct {
	hub  *Hub
	conn Conn
	cfg  OutletConfig
	done chan struct{}

	topics map[tickstorm.Topic]bool // the hub's lock protects it

	mu      sync.Mutex
	work    sync.Cond
	answers []byte
	queue   []parcel
	bytes   int
	drops   Drops
	ending  bool
	cut     error
	last    []byte
	stats   OutletStats
}

type parcel struct {
	frame    []byte
	events   int
	received int64
}

// Join makes an outlet for a connection, which wants nothing yet, and starts its goroutine,
// which ends when Close, Hangup or Cut was called, or a write fails.
func (h *Hub) Join(conn Conn, cfg OutletConfig) *Outlet {
	o := &Outlet{hub: h, conn: conn, cfg: cfg.withDefaults(), done: make(chan struct{}), topics: map[tickstorm.Topic]bool{}}
	o.work.L = &o.mu
	h.mu.Lock()
	h.outlets[o] = struct{}{}
	h.mu.Unlock()
	go o.write()
	return o
}

// Subscribe adds topics to what the outlet wants, in the form of [tickstorm.Market.Canonical], from
// the next message on. An event is written once, however many of the topics it is of.
func (o *Outlet) Subscribe(topics ...tickstorm.Topic) {
	o.hub.mu.Lock()
	defer o.hub.mu.Unlock()
	for _, t := range topics {
		o.topics[t] = true
	}
}

// Unsubscribe takes topics away from what the outlet wants, from the next message on. What
// waits is written.
func (o *Outlet) Unsubscribe(topics ...tickstorm.Topic) {
	o.hub.mu.Lock()
	defer o.hub.mu.Unlock()
	for _, t := range topics {
		delete(o.topics, t)
	}
}

func (o *Outlet) wants(e *tickstorm.Element) bool {
	if e.Kind == tickstorm.KindUnknown {
		for t := range o.topics {
			if t.Channel == e.Channel {
				return true
			}
		}
	}
	return o.topics[tickstorm.Topic{Channel: e.Channel, Symbol: tickstorm.All}] ||
		e.Symbol != nil && o.topics[tickstorm.Topic{Channel: e.Channel, Symbol: string(e.Symbol)}]
}

// Note writes a text message, such as a status, in its place among the events: behind all that
// were handed out before, and before all others. msg is copied. Notes are never dropped.
func (o *Outlet) Note(msg []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.ending {
		o.append(parcel{frame: appendFrame(nil, ws.OpText, msg)})
	}
}

// Answer writes a text message, such as an acknowledgement, before all events that wait, behind
// earlier answers. msg is copied. Answers are never dropped.
func (o *Outlet) Answer(msg []byte) { o.Control(appendFrame(nil, ws.OpText, msg)) }

// Control is Answer for whole frames, such as the pongs that a [frame.Framer] has made.
func (o *Outlet) Control(frames []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ending {
		return
	}
	o.answers = append(o.answers, frames...)
	o.work.Signal()
	if len(o.answers) > o.cfg.Control {
		o.end(ErrControlFull)
	}
}

// Close ends the outlet with a close frame behind all that waits, in CloseTimeout. A code of 0
// gives a frame without a body. Of a reason at most 123 bytes go out.
func (o *Outlet) Close(code ws.StatusCode, reason string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ending {
		return
	}
	o.last = appendClose(nil, code, reason)
	o.ending = true
	_ = o.conn.SetWriteDeadline(time.Now().Add(o.cfg.CloseTimeout))
	o.work.Signal()
}

// Hangup ends the outlet with these frames, such as the answer to a close frame, behind what is
// being written and the answers that wait, in CloseTimeout. Events and notes that wait are
// dropped. frames is copied.
func (o *Outlet) Hangup(frames []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.ending {
		o.hangup(frames)
	}
}

func (o *Outlet) hangup(frames []byte) {
	for _, p := range o.queue {
		o.stats.Dropped += uint64(p.events)
	}
	o.queue, o.bytes = nil, 0
	o.last = append([]byte(nil), frames...)
	o.ending = true
	_ = o.conn.SetWriteDeadline(time.Now().Add(o.cfg.CloseTimeout))
	o.work.Signal()
}

// Cut ends the outlet at once, with [ErrCut] if nothing has ended it before; what is being
// written may come to its end half written.
func (o *Outlet) Cut() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.end(ErrCut)
}

func (o *Outlet) end(err error) {
	if o.cut == nil {
		o.cut = err
	}
	o.ending = true
	_ = o.conn.SetWriteDeadline(time.Unix(1, 0))
	o.work.Signal()
}

// Done returns a channel that is closed when the outlet has ended and OnEnd has returned.
func (o *Outlet) Done() <-chan struct{} { return o.done }

// OutletStats is the state of an outlet and what it has counted. Events is the sum of Written,
// Dropped, Conflated and those that wait.
type OutletStats struct {
	// Waiting are the events that wait or are being written, and Bytes the memory that they
	// and notes take.
	Waiting, Bytes int
	// HighWater is the most that Bytes has been.
	HighWater int
	// Conflating is whether conflation has set in, and Dropping whether what comes is dropped.
	Conflating, Dropping bool
	// Events are those that were to be written, also those that were dropped at once.
	Events uint64
	// Written are the events that the connection has taken, in so many Frames; Writes is how
	// often it was written to, and Octets how many bytes it took, answers and notes included.
	Written, Frames, Writes, Octets uint64
	// Dropped are the events that were dropped, and Conflated those that gave way to a later one.
	Dropped, Conflated uint64
	// Delay is the time from received to written, of the oldest event of each frame.
	Delay tickstorm.Histogram
}

// Stats returns the state of the outlet; also of one that has ended.
func (o *Outlet) Stats() OutletStats {
	o.mu.Lock()
	defer o.mu.Unlock()
	st := o.stats
	st.Bytes = o.bytes
	return st
}

func (o *Outlet) put(msg []byte, events int, received int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stats.Events += uint64(events)
	f := appendFrame(nil, ws.OpText, msg)
	switch {
	case o.ending:
		o.stats.Dropped += uint64(events)
		return
	case o.bytes+len(f) <= o.cfg.Bytes:
		o.told()
		o.append(parcel{f, events, received})
		return
	case o.cfg.Overflow == tickstorm.OverflowDisconnect:
		o.hangup(appendClose(nil, ws.StatusPolicyViolation, "too slow"))
	}
	o.drops.add(events, received)
	o.stats.Dropped += uint64(events)
}

// told puts the note of drops in.
func (o *Outlet) told() {
	if o.drops.Events > 0 && o.cfg.Dropped != nil {
		o.append(parcel{frame: appendFrame(nil, ws.OpText, o.cfg.Dropped(nil, o.drops))})
	}
	o.drops = Drops{}
}

func (o *Outlet) append(p parcel) {
	o.queue = append(o.queue, p)
	o.bytes += len(p.frame)
	o.stats.Waiting += p.events
	o.work.Signal()
}

// write is the outlet's goroutine.
func (o *Outlet) write() {
	err := o.run()
	o.hub.mu.Lock()
	delete(o.hub.outlets, o)
	clear(o.topics)
	o.hub.mu.Unlock()
	o.mu.Lock()
	o.ending = true
	o.mu.Unlock()
	if o.cfg.OnEnd != nil {
		o.cfg.OnEnd(err)
	}
	close(o.done)
}

func (o *Outlet) run() error {
	for {
		o.mu.Lock()
		if len(o.queue) == 0 && !o.ending {
			o.told()
		}
		for len(o.answers) == 0 && len(o.queue) == 0 && !o.ending {
			o.work.Wait()
		}
		if o.cut != nil {
			o.mu.Unlock()
			return o.cut
		}
		b, p, over := o.answers, parcel{}, false
		o.answers = nil
		if len(o.queue) > 0 {
			p = o.queue[0]
			o.queue = o.queue[1:]
			b = append(b, p.frame...)
		} else if o.ending {
			b, over = append(b, o.last...), true
		}
		if !o.ending {
			_ = o.conn.SetWriteDeadline(time.Now().Add(o.cfg.WriteTimeout))
		}
		o.mu.Unlock()
		_, err := o.conn.Write(b)
		o.mu.Lock()
		o.bytes -= len(p.frame)
		o.stats.Waiting -= p.events
		o.stats.Written += uint64(p.events)
		if p.events > 0 {
			o.stats.Delay.Observe(time.Duration(time.Now().UnixNano() - p.received))
		}
		cut := o.cut
		o.mu.Unlock()
		switch {
		case cut != nil:
			return cut
		case err != nil:
			return err
		case over:
			return nil
		}
	}
}

// appendFrame appends an unmasked frame.
func appendFrame(dst []byte, op ws.OpCode, payload []byte) []byte {
	dst = append(dst, 0x80|byte(op))
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
	}
	return append(dst, payload...)
}

// appendClose appends a close frame.
func appendClose(dst []byte, code ws.StatusCode, reason string) []byte {
	var body []byte
	if code != 0 {
		body = binary.BigEndian.AppendUint16(body, uint16(code))
		body = append(body, reason[:min(len(reason), ws.MaxControlFramePayloadSize-2)]...)
	}
	return appendFrame(dst, ws.OpClose, body)
}
