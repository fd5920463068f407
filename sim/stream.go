package sim

import (
	"time"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm/internal/dialogue"
)

// stream feeds the connection with data once there are subscriptions.
func (c *Conn) stream() {
	switch {
	case c.server.cfg.Replay != nil:
		c.replay(c.server.cfg.Replay)
	case c.server.cfg.Rate < 0:
		c.flood()
	default:
		c.pace(c.server.cfg.Rate)
	}
}

// awaitTopics waits until there is something to generate, and reports whether the
// connection goes on.
func (c *Conn) awaitTopics() bool {
	for {
		c.streaming.Lock()
		silent := c.generator.Silent()
		c.streaming.Unlock()
		if !silent {
			return true
		}
		select {
		case <-c.subscribed:
		case <-c.dying:
			return false
		}
	}
}

// pace sends a number of events a second, each tick those that are due.
func (c *Conn) pace(rate int) {
	interval := max(tick, time.Second/time.Duration(rate))
	timer := time.NewTimer(interval)
	defer timer.Stop()
	var late time.Time // since when events have been held back, zero if they have not
	start, sent := time.Now(), 0
	for {
		if c.silent() {
			if !c.awaitTopics() {
				return
			}
			start, sent, late = time.Now(), 0, time.Time{}
			timer.Reset(interval)
		}
		select {
		case <-timer.C:
		case <-c.dying:
			return
		}
		timer.Reset(interval)
		now := time.Now()
		due := int(int64(now.Sub(start))*int64(rate)/int64(time.Second)) - sent
		n, full, dry := c.emit(due, c.sendBuffer())
		if dry { // what there is nothing of is not owed
			n = max(due, 0)
		}
		for sent += n; sent >= rate; sent -= rate { // keeps the product above small
			start = start.Add(time.Second)
		}
		switch {
		case !full || c.stalled.Load():
			late = time.Time{}
		case late.IsZero():
			late = now
		case c.server.cfg.SlowTimeout > 0 && now.Sub(late) >= c.server.cfg.SlowTimeout:
			c.tooSlow()
			return
		}
	}
}

func (c *Conn) silent() bool {
	c.streaming.Lock()
	defer c.streaming.Unlock()
	return c.generator.Silent()
}

// flood sends events as fast as the client takes them: two chunks are always under way,
// one being written and one being generated.
func (c *Conn) flood() {
	limit := min(2*chunk, c.sendBuffer())
	timer := newStopped()
	for c.awaitTopics() && c.awaitRoom(limit, timer) {
		n, full, dry := c.emit(1<<30, limit)
		switch {
		case n == 0 && !full && c.finishing.Load():
			return
		case dry && !c.pause(timer):
			return
		}
	}
}

// pause waits for a tick, and reports whether the connection goes on.
func (c *Conn) pause(timer *time.Timer) bool {
	timer.Reset(tick)
	select {
	case <-timer.C:
		return true
	case <-c.dying:
		timer.Stop()
		return false
	}
}

func newStopped() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// awaitRoom waits until less than limit waits in the outbox, and reports whether the
// connection goes on. A client that takes nothing for too long is cut off.
func (c *Conn) awaitRoom(limit int, timer *time.Timer) bool {
	if c.out.waiting() < limit {
		select {
		case <-c.dying:
			return false
		default:
			return true
		}
	}
	if c.server.cfg.SlowTimeout > 0 {
		timer.Reset(c.server.cfg.SlowTimeout)
		defer timer.Stop()
	}
	for c.out.waiting() >= limit {
		select {
		case <-c.out.room:
		case <-c.dying:
			return false
		case <-timer.C:
			if !c.stalled.Load() {
				c.tooSlow()
				return false
			}
			timer.Reset(c.server.cfg.SlowTimeout)
		}
	}
	return true
}

// emit puts messages of up to due events into the outbox, as long as less than limit
// waits there. It returns how many events, whether the limit stopped it, and whether it ran
// dry: of bars there are only those that are due.
func (c *Conn) emit(due, limit int) (events int, full, dry bool) {
	c.streaming.Lock()
	defer c.streaming.Unlock()
	messages, start := c.messages, c.bytes
	waiting := c.out.waiting()
	for due > 0 && !c.finishing.Load() {
		if waiting+len(c.chunk) >= limit {
			full = true
			break
		}
		n := c.batch(due)
		if n == 0 || c.generator.Silent() {
			break
		}
		now := c.server.cfg.Now()
		if dry = !c.generator.ready(now); dry {
			break
		}
		c.streamFaults()
		c.scratch, n = c.generator.appendMessage(c.scratch[:0], now, n)
		c.chunk = dialogue.AppendFrame(c.chunk, ws.OpText, c.scratch)
		c.next = 0
		c.messages++
		c.bytes += int64(len(c.scratch))
		events += n
		due -= n
		if len(c.chunk) >= chunk {
			waiting += len(c.chunk)
			c.chunk = c.out.give(c.chunk)
		}
	}
	c.chunk = c.out.give(c.chunk)
	if events > 0 {
		s := c.server
		s.counters.events.Add(int64(events))
		s.counters.messages.Add(int64(c.messages - messages))
		s.counters.bytes.Add(c.bytes - start)
		s.change()
	}
	return events, full, dry
}

// streamFaults lets the faults happen that are due before the next message; streaming is held.
func (c *Conn) streamFaults() {
	if !c.server.streams {
		return
	}
	if due := c.faults(OnStreaming, c.messages, c.bytes); len(due) > 0 {
		c.chunk = c.out.give(c.chunk)
		for _, a := range due {
			c.out.do(a)
		}
	}
}

// batch decides how many events the next message has: 0 if it is not full yet.
// streaming is held.
func (c *Conn) batch(due int) int {
	cfg := &c.server.cfg
	least, most := cfg.Batch[0], cfg.Batch[1]
	if most == 0 {
		if cfg.Rate >= 0 {
			// An eighth of what is due: the more behind, the longer the messages.
			most = min(max(usualBatch, due/8), lateBatch)
			return min(1+below(uint32(c.batches.next()), most), due)
		}
		least, most = 10, usualBatch
	}
	if c.next == 0 {
		c.next = least + below(uint32(c.batches.next()), most-least+1)
	}
	if c.next > due {
		return 0
	}
	return c.next
}
