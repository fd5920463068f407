package tickstorm

import (
	"context"
	"errors"
	"sync/atomic"
)

// This file is a Client with a Queue: one goroutine reads, and Run's is the first of those
// that handle. Without one Run's goroutine does both.

// newQueue puts a queue between the connections and h.
func (c *Client) newQueue(h Handler) error {
	cfg := c.cfg
	told := cfg.Queue.OnOverflow
	cfg.Queue.OnOverflow = func() {
		if told != nil {
			told()
		}
		c.overflowed()
	}
	q, err := NewQueue(cfg, h)
	if err != nil {
		return err
	}
	c.queue, c.halt = q, &q.halted
	return nil
}

// overflowed ends the connection that has filled the queue, on the goroutine that reads it.
func (c *Client) overflowed() {
	if conn := c.current(); conn != nil {
		conn.session.Fail(ErrOverflow)
	}
}

// pass reads on a goroutine of its own and handles on this one what that has queued. user
// is the context of Run's caller: when it ends nothing more is handled, while all is that
// was queued when reading ends by itself.
func (c *Client) pass(ctx, user context.Context) error {
	var err error
	c.reading.Go(func() {
		defer c.queue.Close()
		if p := catch(func() { err = c.read(ctx) }); p != nil {
			err = p
		}
	})
	handled := c.queue.Run(user)
	c.mu.Lock()
	cancel := c.cancel
	c.mu.Unlock()
	cancel()
	c.reading.Wait()
	var panicked *PanicError
	if errors.As(handled, &panicked) || err == nil && handled != nil && !c.isClosed() {
		return handled
	}
	return err
}

// noteLast has a consumer note when the last event before a gap was, which only it has
// decoded.
func (c *Client) noteLast(gap *Gap) {
	before := new(atomic.Int64)
	gap.before = before
	c.queue.control(func(Handler) { before.Store(c.queue.lastEventTime()) })
}

// notify calls the handler with what is no event, in its turn among the events: when all
// is handled that came before, and before anything that comes after.
func (c *Client) notify(call func(h Handler)) {
	if c.queue == nil {
		c.inTurn(func() { c.call(call) })
		return
	}
	c.queue.control(func(Handler) { c.call(call) }) // not if nothing is handled any more
}

// inTurn calls what calls handlers, where they are called on the goroutine that reads: not in
// Close, which drives the connection itself where it comes before Run does. A handler that
// panics ends the connection, if there is one.
func (c *Client) inTurn(f func()) {
	switch conn := c.current(); {
	case conn == nil:
		f()
	case conn.session.err == nil && c.mayCall() && c.reads():
		conn.guard(f)
	}
}

// mayCall reports whether handlers may still be called.
func (c *Client) mayCall() bool { return !c.halt.Load() && c.life.Err() == nil }

// call calls the handler, if it still may be, where that is done: in its turn.
func (c *Client) call(call func(h Handler)) {
	if c.mayCall() {
		c.callLast(call)
	}
}

// callLast calls the handler even if no other calls are made any more.
func (c *Client) callLast(call func(h Handler)) {
	h := c.lasting.Handler()
	if c.queue != nil {
		h = c.queue.first()
	}
	if h != nil {
		call(h)
	}
}

// eventHandler returns the handler of events that did not come from a connection; it may
// be called where call does.
func (c *Client) eventHandler() Handler {
	if c.queue != nil {
		return c.queue.dealer()
	}
	return c.lasting.Handler()
}

// handQueued has a consumer do something, and waits for it. ErrClosed: it was not, and
// will not be done.
func (c *Client) handQueued(do func()) error {
	var taken atomic.Bool
	done := make(chan struct{})
	if !c.queue.control(func(Handler) {
		if !taken.Swap(true) {
			defer close(done)
			do()
		}
	}) {
		return ErrClosed
	}
	select {
	case <-done:
		return nil
	case <-c.queue.stopped:
	case <-c.work.Done():
	}
	if !taken.Swap(true) {
		return ErrClosed
	}
	<-done // a handler is at work
	return nil
}

// behind replaces what a connection has counted itself by what the consumers behind it have:
// it decoded only what it had to know.
func (s *Stats) behind(q *Queue) {
	decoded := q.ParserStats()
	s.Events, s.Skipped, s.NoSymbol = decoded.Events, decoded.Skipped, decoded.NoSymbol
	s.Errors, s.ErrorCauses, s.ErrorSamples = decoded.Errors, decoded.ErrorCauses, decoded.ErrorSamples
	s.UnknownKeys, s.Odd, s.Fast, s.Strange = decoded.UnknownKeys, decoded.Odd, decoded.Fast, decoded.Strange
	decoded.Interval = s.Interval
	s.Latency = decoded.Latency
	s.Queue = q.Stats()
}
