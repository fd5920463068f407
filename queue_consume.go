package tickstorm

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tickstorm/tickstorm/internal/ring"
)

// This file is the consumer's side: it takes batches out of the ring, and decodes and
// handles them.

// A batch has at most this many bytes of the ring, unless a single event has more. It starts small
// and grows while the handler is quick, and shrinks when a batch takes it long: what waits
// in the ring can still be conflated, dropped and left, what was taken cannot.
const (
	maxBatch  = 64 << 10
	minBatch  = 1 << 10
	slowBatch = 5 * time.Millisecond
)

// shard is the part of a Queue that one consumer empties.
type shard struct {
	q    *Queue
	ring *ring.Ring

	handlers atomic.Pointer[consumerHandlers]
	owner    atomic.Uint64 // the consumer's goroutine

	counts    sync.Mutex // protects what is published of the parser
	published Counters
	samples   ErrorSamples

	// The consumer's.
	parser  *Parser
	batch   ring.Batch
	limit   uint64 // of the next batch
	handled int    // entries of the batch
	more    int    // events that these were, of messages that had not been split, beyond one each
	runs    int    // handled so far, of which some are timed
	drop    Drop   // lent to handlers
}

// consumerHandlers is a handler behind a queue.
type consumerHandlers struct {
	handlers
	drop DropHandler
}

// control is something to be done when all consumers have handled what was queued
// before it, and before any of them goes on.
type control struct {
	do      func(Handler)
	missing int // consumers that have not come to it, under Queue.life
	done    chan struct{}
}

// control has f called with the first consumer's handler when all that is in the queue
// now has been handled, while nothing else is. No policy drops it. It does not wait, may
// be called from anywhere, and reports false if the queue was closed; f is not called if
// the queue is stopped before.
func (q *Queue) control(f func(h Handler)) bool {
	q.life.Lock()
	defer q.life.Unlock()
	c := &control{do: f, missing: len(q.shards), done: make(chan struct{})}
	for _, s := range q.shards {
		if !s.ring.Mark(c) { // all of them or, under life, none is closed
			return false
		}
	}
	return true
}

// meet waits for the other consumers; the last to come does what is to be done.
func (s *shard) meet(c *control) {
	s.q.life.Lock()
	c.missing--
	last := c.missing == 0
	s.q.life.Unlock()
	if last {
		c.do(s.q.shards[0].handlers.Load().Handler)
		close(c.done)
		return
	}
	select {
	case <-c.done:
	case <-s.q.stopped:
	}
}

// consume handles what comes until the queue is closed and empty, or stopped.
func (s *shard) consume() {
	ctx := s.q.ctx
	s.parser.heed(ctx, 0, 0) // a handler is slow until it is known to be quick
	for {
		if err := ctx.Err(); err != nil {
			s.q.stop(err)
		}
		s.settle()
		if !s.ring.Take(&s.batch, s.limit) {
			return
		}
		hs := s.handlers.Load()
		if tell(&s.batch.Drops, &s.drop, s.q.scanner.channels) && hs.drop != nil {
			hs.drop.OnDrop(&s.drop)
		}
		if len(s.batch.Runs) > 0 {
			s.handle(&hs.handlers)
		}
		if c, _ := s.batch.Mark.(*control); c != nil && !s.isStopped() {
			s.meet(c)
		}
	}
}

// settle counts what was handled since the last time.
func (s *shard) settle() {
	s.counts.Lock()
	if s.published.Errors != s.parser.stats.Errors {
		s.samples = s.parser.samples
	}
	s.published = s.parser.stats
	s.counts.Unlock()
	s.ring.Settle(s.handled, s.more)
	s.handled, s.more = 0, 0
}

// handle decodes the batch and calls the handler, up to the run before which the queue
// was stopped, or within which: the rest stays in hand.
func (s *shard) handle(hs *handlers) {
	started := s.q.now()
	inner := *hs
	inner.end = nil
	p, b := s.parser, &s.batch
	before := p.elementsSeen()
	for i := range b.Runs {
		if s.isStopped() {
			break
		}
		r := &b.Runs[i]
		msg := b.Buf[r.Start:r.End:r.End]
		p.SetReceived(r.Received)
		seen, told := p.elementsSeen(), p.elementsTold()
		if s.q.scanner.tags {
			s.tellPast(hs, r)
		}
		sampled := s.runs%decodeEvery == 0
		s.runs++
		var began time.Time
		if sampled {
			began = s.q.now()
		}
		switch { // OnError is told of what is wrong, so that errors need no other way
		case r.Flags&binaryMessage == binaryMessage:
			p.fail(ErrBinary, msg, hs)
		case hs.raw != nil: // also what was split for the handler before this one
			_ = p.parse(msg, hs)
		case r.Flags&ring.Alone == 0:
			_ = p.elements(msg, &inner)
		default:
			_ = p.parse(msg, &inner)
		}
		if sampled {
			p.latency.decode.observe(s.q.now().Sub(began))
		}
		if s.isStopped() && r.Flags&ring.Alone == 0 && hs.raw == nil { // perhaps in the middle of it
			s.handled += int(p.elementsSeen() - seen)
			break
		}
		s.handled += r.Entries
		if r.Flags&ring.Alone != 0 {
			s.more += max(0, int(p.elementsTold()-told)-1)
		}
	}
	if hs.raw == nil && hs.end != nil && s.handled > 0 && !s.isStopped() {
		hs.end.OnMessageEnd()
	}
	took := s.q.now().Sub(started)
	p.heed(s.q.ctx, took, p.elementsSeen()-before)
	switch {
	case took > slowBatch:
		s.limit = max(s.limit/4, 1)
	case s.limit < maxBatch:
		s.limit = min(2*s.limit, maxBatch)
	}
}

// tellPast says whether a run is of a relay's past, to the parser and to a Watch: statuses say so to the first
// consumer alone, and may be dropped without what they stand around.
func (s *shard) tellPast(hs *handlers, r *ring.Run) {
	is := r.Flags&(ring.Alone|pastElement) == pastElement
	s.parser.past.Place(r.Received, is)
	if hs.past != nil {
		hs.past.tellPast(r.Received, is)
	}
}

// isStopped reports whether no handler is to be called any more.
func (s *shard) isStopped() bool { return s.q.halted.Load() || s.q.ctx.Err() != nil }

// first returns the handler for what is no event. It and dealer are for what has not come through
// the queue, and called while no consumer is at work: in a control.
func (q *Queue) first() Handler { return q.shards[0].handlers.Load().Handler }

// dealer returns a handler that gives each event to the handler that has its symbol.
func (q *Queue) dealer() Handler {
	first := q.first()
	if len(q.shards) == 1 || !q.sharded.Load() {
		return first
	}
	return &dealer{Handler: first, q: q}
}

// dealer has the first consumer's handler for what has no symbol.
type dealer struct {
	Handler
	q *Queue
}

func (d *dealer) of(h *Header) Handler {
	if h.Symbol == "" {
		return d.Handler
	}
	return d.q.shards[d.q.scanner.shardOf([]byte(h.Symbol))].handlers.Load().Handler
}

func (d *dealer) OnTrade(e *Trade)         { d.of(&e.Header).OnTrade(e) }
func (d *dealer) OnQuote(e *Quote)         { d.of(&e.Header).OnQuote(e) }
func (d *dealer) OnAggregate(e *Aggregate) { d.of(&e.Header).OnAggregate(e) }
func (d *dealer) OnBook(e *Book)           { d.of(&e.Header).OnBook(e) }
func (d *dealer) OnLULD(e *LULD)           { d.of(&e.Header).OnLULD(e) }
func (d *dealer) OnImbalance(e *Imbalance) { d.of(&e.Header).OnImbalance(e) }
func (d *dealer) OnValue(e *Value)         { d.of(&e.Header).OnValue(e) }

// lastEventTime is that of the consumers' parsers.
func (q *Queue) lastEventTime() int64 {
	newest := int64(0)
	for _, s := range q.shards {
		newest = max(newest, s.parser.lastEventTime())
	}
	return newest
}

// handlesHere reports whether the calling goroutine is a consumer's.
func (q *Queue) handlesHere() bool {
	id := goroutineID()
	for _, s := range q.shards {
		if id != 0 && s.owner.Load() == id {
			return true
		}
	}
	return false
}

// blocked reports whether the feeding side waits for room.
func (q *Queue) blocked() bool {
	for _, s := range q.shards {
		if s.ring.Waiting() {
			return true
		}
	}
	return false
}
