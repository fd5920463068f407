package fanout

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
)

// Why an outlet has ended.
var (
	// ErrTooSlow: the connection did not take what the policy says it must.
	ErrTooSlow = errors.New("fanout: too slow")
	// ErrControlFull: too many answers and notes wait, of a client that asks and does not read.
	ErrControlFull = errors.New("fanout: answers are not read")
	// ErrGone: the connection did not take the last frames of an [Outlet.Hangup]. Who goes need not read.
	ErrGone = errors.New("fanout: gone")
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
	// Bytes bounds the memory of events that wait or are being written; default 1 MiB, at least
	// 64 KiB. It is taken as it is needed, and shared with other outlets where a message is.
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
	// default; under OverflowConflate a quarter of it, and half at most: the other half is kept
	// for the latest events, and what is not conflated and finds no room in the one is
	// dropped as by OverflowDropNewest. Low is half of High by default.
	High, Low int
	// Every, if not 0, is how often quotes, aggregates, values and books are written at most: of each
	// channel and symbol only the latest since the last time, which always is. What does not fit
	// beside what else waits is a case for Overflow.
	Every time.Duration
	// Control bounds the bytes of answers, and that of notes; default 64 KiB. An outlet ends
	// with [ErrControlFull] when more notes wait, or when there is another answer while more
	// wait: one may be longer, since who has read all before is not slow.
	Control int
	// FlushInterval, if not 0, is the least time between two writes: what comes sooner after one
	// goes out together with what comes until then. Answers do not wait, and much does not.
	FlushInterval time.Duration
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
		c.High = min(c.High, c.Bytes/2)
	}
	def(&c.High, c.Bytes)
	c.High = max(min(c.High, c.Bytes), minBytes/4)
	def(&c.Low, c.High/2)
	c.Low = min(c.Low, c.High-2*block) // so that what ends begins not again at once
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
// Events are written in the order in which they came. Where they are conflated, those of a channel
// and symbol keep theirs, and so do all that are not to be conflated. Answers overtake events. So the
// acknowledgement of a subscription comes before the first of its events if Answer is called
// before Subscribe. That of the end of one comes behind the last of its events if it
// is given to Note after Unsubscribe; given to Answer it comes at once, and what of the topic
// waits comes behind it.
type Outlet struct {
	// What every event needs is in one line of memory.

	mu         sync.Mutex // protects all that nothing else is said of; of the hub only the pool's lock is taken under it
	room       []byte     // what is left of open
	added      int32      // events in it
	place      int32      // the hub's lock protects it
	idle       bool       // the goroutine waits for something to write
	ending     bool       // nothing more comes in
	conflating bool
	dropping   bool // what comes is dropped, where it cannot be conflated
	untold     bool // there are drops
	armed      bool // a round's timer will wake the goroutine
	bytes      int  // cost of all that waits, or is being written
	stats      OutletStats

	// This is what buffers need.

	open     *buffer // the last of waiting, if more may be added to it
	spare    *buffer // a block
	waiting  fifo
	pushed   uint64 // how many ever came to waiting
	taken    uint64 // and went
	latest   latest
	after    uint64 // latest is taken only when so many went
	inLatest int    // of bytes
	inNotes  int    // of bytes, in notes that wait
	drops    Drops  // to be told behind what waits
	holes    Drops  // to be told before

	answers  []byte
	last     []byte
	reason   error     // of the end
	leaving  bool      // Hangup was called
	cut      bool      // nothing more is written
	ended    bool      // the goroutine has nothing more to do with the connection
	deadline time.Time // of the connection's writing
	flush    flush
	scratch  []byte
	work     sync.Cond // what the goroutine waits for

	// This is set once.

	hub    *Hub
	conn   Conn
	cfg    OutletConfig
	done   chan struct{}
	vector bool // the connection takes several slices at once

	topics  map[tickstorm.Topic]struct{} // the hub's locks protect these
	left    bool
	recalls []*recall // the hub's lock of those who edit protects it

	// This is for what late joiners get.

	pace        *pace  // nil without Every
	granting    int32  // topics are wanted whose acknowledgement is still to come: nothing is written
	recalling   bool   // there are recalls, and something can be done
	unwanted    bool   // topics were given up
	recallAfter uint64 // when so many of pushed went, and not before
}

// Join makes an outlet for a connection, which wants nothing yet, and starts its goroutine,
// which ends when Close, Hangup or Cut was called, or a write fails.
func (h *Hub) Join(conn Conn, cfg OutletConfig) *Outlet {
	o := h.newOutlet(conn, cfg)
	go o.write()
	return o
}

func (h *Hub) newOutlet(conn Conn, cfg OutletConfig) *Outlet {
	o := &Outlet{hub: h, conn: conn, cfg: cfg.withDefaults(), done: make(chan struct{}), topics: map[tickstorm.Topic]struct{}{}}
	o.work.L = &o.mu
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		o.vector = true
	}
	if o.cfg.Every > 0 {
		o.pace = new(pace)
		o.conflate()
	}
	h.enlist(o)
	return o
}

// Subscribe adds topics to what the outlet wants, in the form of [tickstorm.Market.Canonical], from
// the next message on. An event is written once, however many of the topics it is of.
func (o *Outlet) Subscribe(topics ...tickstorm.Topic) { o.hub.subscribe(o, topics) }

// Unsubscribe takes topics away from what the outlet wants, from the next message on. What
// waits is written.
func (o *Outlet) Unsubscribe(topics ...tickstorm.Topic) {
	o.hub.unsubscribe(o, topics)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.unwanted = true
}

// Note writes a text message, such as a status, in its place among the events: behind all that
// were handed out before, and before all others, so that under conflation the former do not give
// way to the latter. msg is copied. Notes are never dropped.
func (o *Outlet) Note(msg []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ending {
		return
	}
	o.settleLatest()
	o.pushNote(o.hub.newNote(msg))
	if o.inNotes > o.cfg.Control {
		o.end(ErrControlFull)
	}
	o.wake()
}

// Answer writes a text message, such as an acknowledgement, before all events that wait, behind
// earlier answers. msg is copied. Answers are never dropped.
func (o *Outlet) Answer(msg []byte) { o.Control(dialogue.AppendFrame(nil, ws.OpText, msg)) }

// Control is Answer for whole frames, such as the pongs that a [frame.Framer] has made.
func (o *Outlet) Control(frames []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.control(frames)
}

func (o *Outlet) control(frames []byte) {
	if o.ending {
		return
	}
	if len(o.answers) > o.cfg.Control {
		o.end(ErrControlFull)
		return
	}
	o.answers = append(o.answers, frames...)
	o.wake()
}

// Close ends the outlet with a close frame behind all that waits, in CloseTimeout. A code of 0
// gives a frame without a body. Of a reason at most 123 bytes go out.
func (o *Outlet) Close(code ws.StatusCode, reason string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.ending {
		o.finish(dialogue.AppendClose(nil, code, reason))
	}
}

// Hangup ends the outlet with these frames, such as the answer to a close frame, behind what is
// being written and the answers that wait, in CloseTimeout, or else with [ErrGone]. Events and notes that
// wait are left. frames is copied. Where a Close goes on it is only the reason that changes.
func (o *Outlet) Hangup(frames []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.leaving = true
	if !o.ending {
		o.hangup(append([]byte(nil), frames...))
	}
}

// Cut ends the outlet at once, with [ErrCut] if nothing has ended it before; what is being
// written may come to its end half written.
func (o *Outlet) Cut() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.end(ErrCut)
}

// end ends the outlet at once. It wants the lock, as the following do.
func (o *Outlet) end(reason error) {
	if o.cut || o.ended {
		return
	}
	if o.reason == nil {
		o.reason = reason
	}
	o.ending, o.cut = true, true
	_ = o.conn.SetWriteDeadline(time.Unix(1, 0)) // fails only if it is closed
	o.wake()
}

// hangup ends the outlet with these frames instead of what waits.
func (o *Outlet) hangup(frames []byte) {
	o.discard(o.reason)
	o.finish(frames)
}

// finish ends the outlet with these frames behind what waits.
func (o *Outlet) finish(frames []byte) {
	o.last = frames
	o.ending = true
	_ = o.conn.SetWriteDeadline(time.Now().Add(o.cfg.CloseTimeout)) // fails only if it is closed
	o.wake()
}

// wake makes the goroutine look.
func (o *Outlet) wake() {
	if o.idle || o.flush.waiting {
		o.idle, o.flush.waiting = false, false
		o.work.Signal()
	}
}

// Done returns a channel that is closed when the outlet has ended and OnEnd has returned.
func (o *Outlet) Done() <-chan struct{} { return o.done }

// OutletStats is the state of an outlet and what it has counted. Events is the sum of Written,
// Dropped, Conflated, Left and those that wait.
type OutletStats struct {
	// Events are those that were to be written, also those that were dropped at once.
	Events uint64
	// Waiting are the events that wait or are being written, and Bytes the memory that they
	// and notes take.
	Waiting, Bytes int
	// HighWater is the most that Bytes has been.
	HighWater int
	// Conflating is whether conflation has set in, and Dropping whether what comes is dropped.
	Conflating, Dropping bool
	// Written are the events that the connection has taken, in so many Frames; Writes is how
	// often it was written to, and Octets how many bytes it took, answers and notes included.
	Written, Frames, Writes, Octets uint64
	// Dropped are the events that were dropped, and Conflated those that gave way to a later one.
	// Left are those that waited when the outlet ended, or came while it did, for another reason than
	// ErrTooSlow.
	Dropped, Conflated, Left uint64
	// Recalled are events of the past that were written, which are none of the Events.
	Recalled uint64
	// Delay is the time from received to written, of the oldest event of each frame.
	Delay tickstorm.Histogram
}

// Stats returns the state of the outlet; also of one that has ended.
func (o *Outlet) Stats() OutletStats {
	o.mu.Lock()
	defer o.mu.Unlock()
	st := o.stats
	st.Waiting = st.waiting()
	st.Bytes, st.Conflating, st.Dropping = o.bytes, o.conflating, o.dropping
	return st
}

// waiting returns how many events are in the queue or being written.
func (s *OutletStats) waiting() int {
	return int(s.Events - s.Written - s.Dropped - s.Conflated - s.Left)
}
