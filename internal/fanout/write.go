package fanout

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// This file is an outlet's goroutine: it takes what waits in batches, and writes each in one
// system call.

// batch is what is written at once, and memory for it.
type batch struct {
	answers []byte
	buffers []*buffer
	latest  []latestSlot
	last    []byte
	cost    int // of buffers and latest
	spare   *buffer

	parts    [][]byte    // what is written
	rest     net.Buffers // of it, what is still to be
	octets   int64
	events   int
	received []int64 // of the oldest event of each frame
}

const (
	maxBatch       = 256 << 10 // bytes
	maxBatchFrames = 128
	maxIdleAnswers = 4 << 10 // bytes that memory is kept for
)

// write is the goroutine.
func (o *Outlet) write() {
	err := o.run()
	o.hub.delist(o)
	o.mu.Lock()
	o.ending, o.ended = true, true
	if o.flush.timer != nil {
		o.flush.timer.Stop() // if it has fired it finds nothing to do
	}
	o.stopPace()
	o.discard(err)
	if o.spare != nil {
		o.hub.pool.putOne(o.spare)
		o.spare = nil
	}
	o.answers = nil
	o.bytes = 0
	o.lose(o.stats.waiting(), err)
	o.mu.Unlock()
	if o.cfg.OnEnd != nil {
		o.cfg.OnEnd(err)
	}
	close(o.done)
}

// run writes until the end, and returns the reason.
func (o *Outlet) run() error {
	var b batch
	defer func() {
		b.release(&o.hub.pool)
		b.drop(&o.hub.pool)
	}()
	for {
		over, err := o.next(&b)
		if err != nil {
			return err
		}
		b.prepare(&o.hub.pool)
		if err := b.write(o); err != nil {
			return o.failed(err)
		}
		b.release(&o.hub.pool)
		if over {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.settle(&b)
			return o.reason
		}
	}
}

// failed returns the reason of the end, when a write has failed.
func (o *Outlet) failed(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.reason != nil:
		return o.reason
	case errors.Is(err, os.ErrDeadlineExceeded) && o.leaving:
		return fmt.Errorf("%w: %w", ErrGone, err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: %w", ErrTooSlow, err)
	}
	return err
}

// next counts a batch as written, waits for something to write, and takes it. It reports
// whether it is the last.
func (o *Outlet) next(b *batch) (over bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(b)
	for {
		if o.cut {
			return false, o.reason
		}
		o.ease()
		if o.flush.waiting = o.granting == 0 && o.early(); o.flush.waiting {
			o.work.Wait()
			o.flush.waiting = false
			continue
		}
		took := o.granting == 0 && o.take(b)
		if o.recalling && o.granting == 0 && o.taken >= o.recallAfter && !o.ending {
			o.recall(b)
			took = took || len(b.buffers) > 0
			if !took {
				continue
			}
		}
		if took {
			break
		}
		if o.granting == 0 && o.ending {
			b.last, over = o.last, true
			break
		}
		o.arm()
		o.idle = true
		o.work.Wait()
		o.idle = false
	}
	now := time.Now()
	o.flush.last = now
	if o.ending {
		return over, nil // with the deadline that came with it
	}
	// To set a deadline costs as much as some events, so it is set ahead.
	if o.deadline.Sub(now) < o.cfg.WriteTimeout {
		o.deadline = now.Add(o.cfg.WriteTimeout + o.cfg.WriteTimeout/4)
		return over, o.conn.SetWriteDeadline(o.deadline)
	}
	return over, nil
}

// take moves what is to be written next into the batch, and reports whether there is any. It
// wants the lock.
func (o *Outlet) take(b *batch) bool {
	b.answers, o.answers = o.answers, b.answers[:0]
	if cap(o.answers) > maxIdleAnswers {
		o.answers = nil
	}
	if o.holes.Events > 0 {
		if note := o.newNote(o.holes); note != nil {
			o.charge(note.cost())
			b.cost += note.cost()
			b.buffers = append(b.buffers, note)
		}
		o.holes = Drops{}
	}
	limit := o.batchLimit()
	share := limit
	if o.due() {
		share = limit / 2 // so that neither waits for the other
	}
	for o.waiting.n > 0 && b.cost < share && len(b.buffers) < maxBatchFrames {
		w := o.waiting.pop()
		if w == o.open {
			o.shut()
		}
		o.taken++
		if w.note {
			o.inNotes -= w.cost()
		}
		b.cost += w.cost()
		b.buffers = append(b.buffers, w)
	}
	for b.cost < limit && o.due() {
		s := o.latest.pop()
		o.tookOne()
		o.inLatest -= s.cost()
		b.cost += s.cost()
		b.latest = append(b.latest, s)
	}
	return len(b.answers) > 0 || len(b.buffers) > 0 || len(b.latest) > 0
}

// batchLimit is how many bytes are written at once, and not much more.
func (o *Outlet) batchLimit() int { return min(maxBatch, o.cfg.Bytes/4) }

// settle counts the batch as written, and empties it. It wants the lock.
func (o *Outlet) settle(b *batch) {
	if len(b.parts) == 0 {
		return
	}
	o.bytes -= b.cost
	o.keep(b)
	o.stats.Writes++
	o.stats.Octets += uint64(b.octets)
	o.stats.Written += uint64(b.events)
	o.stats.Frames += uint64(len(b.received))
	if len(b.received) > 0 {
		now := time.Now().UnixNano()
		for _, received := range b.received {
			o.stats.Delay.Observe(time.Duration(now - received))
		}
	}
	clear(b.parts)
	b.parts, b.received, b.cost, b.events, b.octets = b.parts[:0], b.received[:0], 0, 0, 0
}

// keep takes the batch's spare block, if it lacks one.
func (o *Outlet) keep(b *batch) {
	if o.spare == nil {
		o.spare, b.spare = b.spare, nil
	}
}

// prepare makes the parts: answers, what was waiting, the latest, the last of all.
func (b *batch) prepare(p *pool) {
	if len(b.answers) > 0 {
		b.parts = append(b.parts, b.answers)
	}
	b.gather(p)
	for _, w := range b.buffers {
		if !w.sealed {
			w.finish()
		}
		b.parts = append(b.parts, w.frame())
		if w.events > 0 {
			b.events += w.events
			b.received = append(b.received, w.received)
		}
	}
	if len(b.last) > 0 {
		b.parts = append(b.parts, b.last)
	}
}

// gather puts the latest events into buffers.
func (b *batch) gather(p *pool) {
	var to *buffer
	for i := range b.latest {
		s := &b.latest[i]
		text := s.event()
		if to == nil || !to.fits(len(text)) {
			size := bufferSize(len(text))
			to = p.get(size)
			to.begin(s.received, size)
			b.buffers = append(b.buffers, to)
		}
		to.add(text, 1)
	}
	for i := range b.latest {
		b.latest[i].release(p)
	}
	b.latest = b.latest[:0]
}

// write writes the parts in one call, as one slice where the connection would write each by itself.
func (b *batch) write(o *Outlet) error {
	switch {
	case len(b.parts) == 0:
		return nil
	case o.vector && len(b.parts) > 1:
		b.rest = b.parts
		n, err := b.rest.WriteTo(o.conn)
		b.octets = n
		return err
	}
	one := b.parts[0]
	if len(b.parts) > 1 {
		size := 0
		for _, part := range b.parts {
			size += len(part)
		}
		whole := o.hub.pool.get(size)
		b.buffers = append(b.buffers, whole)
		for _, part := range b.parts {
			whole.end += copy(whole.mem[whole.end:], part)
		}
		one = whole.mem[:whole.end]
	}
	n, err := o.conn.Write(one)
	b.octets = int64(n)
	return err
}

// release gives the memory back, but for a block that the outlet may need next.
func (b *batch) release(p *pool) {
	for i := range b.latest {
		b.latest[i].release(p)
	}
	if n := len(b.buffers); n > 0 && b.spare == nil {
		if w := b.buffers[n-1]; len(w.mem) == block && w.refs.Load() == 1 { // it is nobody else's
			b.spare = w
			b.buffers = b.buffers[:n-1]
		}
	}
	p.put(b.buffers)
	b.buffers, b.latest = b.buffers[:0], b.latest[:0]
}

// drop gives the spare block back.
func (b *batch) drop(p *pool) {
	if b.spare != nil {
		p.putOne(b.spare)
		b.spare = nil
	}
}
