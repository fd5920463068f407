package tickstorm

import (
	"time"
)

// This file is the consumer's side: it copies a batch out of the ring, and decodes and
// handles it without the lock.

// A batch has at most this many bytes of the ring, unless a single event has more. It starts small
// and grows while the handler is quick, and shrinks when a batch takes it long: what waits
// in the ring can still be conflated, dropped and left, what was taken cannot.
const (
	maxBatch     = 64 << 10
	minBatch     = 1 << 10
	slowBatch    = 5 * time.Millisecond
	maxKeptBatch = 4 * maxBatch
)

// batch is what a consumer has taken: runs of elements that were received at the same
// time, each made into an array that the parser reads at full speed, and whole messages.
type batch struct {
	buf   []byte
	runs  []run
	limit uint64
}

type run struct {
	start, end int
	events     int
	received   int64
	flags      entryFlags
}

// consumerHandlers is a handler behind a queue.
type consumerHandlers struct {
	handlers
	drop DropHandler
}

// marker is where a control stands among the entries.
type marker struct {
	pos     uint64
	control *control
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
		if !s.mark(c) { // all of them or, under life, none is closed
			return false
		}
	}
	return true
}

func (s *shard) mark(c *control) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.markers = append(s.markers, marker{s.tail, c})
	s.wake()
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
		drop, c, ok := s.take()
		if !ok {
			return
		}
		hs := s.handlers.Load()
		if drop && hs.drop != nil {
			hs.drop.OnDrop(&s.drop)
		}
		if len(s.batch.runs) > 0 {
			s.handle(&hs.handlers)
		}
		if c != nil && !s.isStopped() {
			s.meet(c)
		}
	}
}

// take waits for something to do, and takes it: drops to tell, a batch, and a control
// that comes behind it. ok is false when there will be nothing any more.
func (s *shard) take() (drop bool, c *control, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	for s.head == s.tail && s.drops.count == 0 && len(s.markers) == 0 && !s.closed {
		s.idle = true
		s.work.Wait()
	}
	s.idle = false
	if s.q.halted.Load() || s.head == s.tail && s.drops.count == 0 && len(s.markers) == 0 {
		return false, nil, false
	}
	drop = s.drops.take(&s.drop, s.q.scanner.channels)
	s.fill()
	if len(s.markers) > 0 && s.markers[0].pos <= s.head {
		c = s.markers[0].control
		s.markers[0] = marker{}
		s.markers = s.markers[1:]
	}
	if s.waiting {
		s.waiting = false
		s.room.Signal()
	}
	return drop, c, true
}

// settle counts what was handled since the last time.
func (s *shard) settle() {
	if s.published.Errors != s.parser.stats.Errors {
		s.samples = s.parser.samples
	}
	s.published = s.parser.stats
	s.totals.delivered += uint64(s.handled + s.more)
	s.totals.enqueued += uint64(s.more)
	s.inHand -= s.handled
	s.handled, s.more = 0, 0
}

// fill copies entries into the batch, up to its limit or the next control.
func (s *shard) fill() {
	b := &s.batch
	if b.buf == nil || cap(b.buf) > maxKeptBatch {
		b.buf = []byte{} // not nil: an empty message is not either
	}
	b.buf, b.runs = b.buf[:0], b.runs[:0]
	end := s.tail
	if len(s.markers) > 0 {
		end = min(end, s.markers[0].pos)
	}
	pos, limit := s.head, s.head+b.limit
	for pos < end {
		e := s.entryAt(pos)
		if e.flags&entryDead != 0 {
			s.dead -= e.size()
			pos += e.size()
			limit += e.size()
			continue
		}
		if len(b.runs) > 0 && pos+e.size() > limit {
			break
		}
		first, second := s.text(pos, 0, e.length)
		b.add(&e, first, second)
		s.inHand++
		s.live--
		pos += e.size()
	}
	if s.inHand > 0 {
		s.handling = b.runs[0].received
	}
	s.forget(pos)
}

// add appends an entry to the last run, or to a new one.
func (b *batch) add(e *entry, first, second []byte) {
	const kept = entryWhole | entryBinary
	flags := e.flags & kept
	var r *run
	if n := len(b.runs); n > 0 && flags&entryWhole == 0 && b.runs[n-1].received == e.received && b.runs[n-1].flags == flags {
		r = &b.runs[n-1]
		b.buf[r.end-1] = ','
	} else {
		b.runs = append(b.runs, run{start: len(b.buf), received: e.received, flags: flags})
		r = &b.runs[len(b.runs)-1]
		if flags&entryWhole == 0 {
			b.buf = append(b.buf, '[')
		}
	}
	b.buf = append(append(b.buf, first...), second...)
	if flags&entryWhole == 0 {
		b.buf = append(b.buf, ']')
	}
	r.end = len(b.buf)
	r.events++
}

// handle decodes the batch and calls the handler, up to the run before which the queue
// was stopped, or within which: the rest stays in hand.
func (s *shard) handle(hs *handlers) {
	started := s.q.now()
	inner := *hs
	inner.end = nil
	p, b := s.parser, &s.batch
	before := p.elementsSeen()
	for i := range b.runs {
		if s.isStopped() {
			break
		}
		r := &b.runs[i]
		msg := b.buf[r.start:r.end:r.end]
		p.SetReceived(r.received)
		seen, told := p.elementsSeen(), p.elementsTold()
		sampled := s.runs%decodeEvery == 0
		s.runs++
		var began time.Time
		if sampled {
			began = s.q.now()
		}
		switch { // OnError is told of what is wrong, so that errors need no other way
		case r.flags&entryBinary != 0:
			p.fail(ErrBinary, msg, hs)
		case hs.raw != nil: // also what was split for the handler before this one
			_ = p.parse(msg, hs)
		case r.flags&entryWhole == 0:
			_ = p.elements(msg, &inner)
		default:
			_ = p.parse(msg, &inner)
		}
		if sampled {
			p.latency.decode.observe(s.q.now().Sub(began))
		}
		if s.isStopped() && r.flags&entryWhole == 0 && hs.raw == nil { // perhaps in the middle of it
			s.handled += int(p.elementsSeen() - seen)
			break
		}
		s.handled += r.events
		if r.flags&entryWhole != 0 {
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
		b.limit = max(b.limit/4, 1)
	case b.limit < maxBatch:
		b.limit = min(2*b.limit, maxBatch)
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
		s.mu.Lock()
		waiting := s.waiting
		s.mu.Unlock()
		if waiting {
			return true
		}
	}
	return false
}
