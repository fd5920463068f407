package tickstorm

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Backfill fetches what was missed in a gap, over the vendor's REST API for example, and
// calls deliver with it: messages in the wire's form, an array of events each. Their
// events reach the client's handler as live ones do, but with Header.Backfilled set, and
// are not in Stats; a [RawHandler] does not see the messages. deliver borrows msg until
// it returns, returns what [Parser.Parse] would, and [ErrClosed] once the backfill or the
// client has ended. It may be called from any goroutine, one message is delivered at a
// time; inside a handler it is [ErrInHandler].
//
// The window is wide: expect to fetch events that were delivered, at both of its ends.
//
// ctx ends when the client does, which waits for the backfill: return then, and do not call
// Close from there. An error is
// logged and given to OnError as a [*BackfillError].
type Backfill func(ctx context.Context, gap *Gap, deliver func(msg []byte) error) error

// maxBeside bounds the backfills at work.
const maxBeside = 8

// BackfillError is a backfill that failed: some of the gap may not have been delivered. It
// comes in an [*EventError] without bytes. It unwraps to Err.
type BackfillError struct {
	Gap *Gap
	Err error
}

// Error names the gap and the cause.
func (e *BackfillError) Error() string { return fmt.Sprintf("backfill of %v: %v", e.Gap, e.Err) }

// Unwrap returns Err.
func (e *BackfillError) Unwrap() error { return e.Err }

// backfill has a gap filled, if there is somebody to do it. It is called where handlers are.
func (c *Client) backfill(gap *Gap) {
	fetch := c.cfg.Backfill
	if fetch == nil || c.work.Err() != nil {
		return
	}
	f := &fill{client: c, parser: c.cfg.newParser(), gap: gap}
	f.parser.halt = c.halt
	f.parser.heed(c.life, 0, 0)
	if !c.cfg.BackfillBeside {
		f.hand = c.handInOrder
		c.filled(gap, f.run(fetch))
		return
	}
	f.hand = c.handOver
	if c.queue != nil {
		f.hand = c.handQueued
	}
	c.mu.Lock()
	busy := c.filling >= maxBeside
	if !busy {
		c.filling++
	}
	c.mu.Unlock()
	if busy {
		c.filled(gap, ErrBackfillBusy)
		return
	}
	c.besides.Go(func() {
		defer func() {
			c.mu.Lock()
			c.filling--
			c.mu.Unlock()
		}()
		var err error
		if p := catch(func() { err = f.run(fetch) }); p != nil {
			c.fail(p)
			return
		}
		if err != nil {
			_ = f.hand(func() { c.filled(gap, err) }) // not if the client has ended
		}
	})
}

// filled tells the handler of a backfill that failed. It is called where handlers are.
func (c *Client) filled(gap *Gap, err error) {
	if err == nil || c.work.Err() != nil {
		return
	}
	err = &BackfillError{gap, withoutSecrets(err, c.cfg.secrets())}
	c.cfg.Logger.Warn("backfill failed", "err", err)
	c.call(func(h Handler) {
		h.OnError(&EventError{Err: err, Market: c.cfg.Market, Received: time.Now().UnixNano()})
	})
}

// fail ends Run with an error of another goroutine.
func (c *Client) fail(err error) {
	c.mu.Lock()
	if c.failure == nil {
		c.failure = err
	}
	c.cancel()
	c.mu.Unlock()
	c.abandon(err)
}

// fill is one backfill at work.
type fill struct {
	client *Client
	gap    *Gap
	hand   func(do func()) error // has something done where handlers are called

	by     atomic.Uint64 // the goroutine that handlers of the message at hand run on
	mu     sync.Mutex    // one message at a time
	parser *Parser
	over   bool
}

func (f *fill) run(fetch Backfill) error {
	defer func() {
		f.mu.Lock()
		f.over = true
		f.mu.Unlock()
	}()
	return fetch(f.client.work, f.gap, f.deliver)
}

func (f *fill) deliver(msg []byte) error {
	if isGoroutine(f.by.Load()) {
		return ErrInHandler
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over || f.client.work.Err() != nil {
		return ErrClosed
	}
	var err error
	if ended := f.hand(func() {
		f.by.Store(goroutineID())
		defer f.by.Store(0)
		err = f.parse(msg)
	}); ended != nil {
		return ended
	}
	return err
}

func (f *fill) parse(msg []byte) error {
	hs := resolve(f.client.eventHandler())
	hs.raw = nil // could not tell it from a live message
	f.parser.SetBackfilled(true)
	f.parser.SetReceived(time.Now().UnixNano())
	return f.parser.checked(msg, &hs)
}

// handInOrder does something while Run's goroutine waits for it: on that, or on one of
// those that a backfill may have started.
func (c *Client) handInOrder(do func()) error {
	if c.inHandler() {
		do()
		return nil
	}
	c.filler.Store(goroutineID())
	defer c.filler.Store(0)
	if p := catch(do); p != nil {
		c.fail(p)
		return p
	}
	return nil
}

// handover is something that another goroutine wants done on Run's.
type handover struct {
	do   func()
	done chan struct{}
}

// handOver has Run's goroutine do something, and waits for it. ErrClosed: it was not, and
// will not be done.
func (c *Client) handOver(do func()) error {
	h := &handover{do, make(chan struct{})}
	c.mu.Lock()
	c.handed = append(c.handed, h)
	if c.conn != nil {
		c.conn.ask(func() { c.inTurn(c.takeOver) })
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	select {
	case <-h.done:
		return nil
	case <-c.work.Done():
	}
	c.mu.Lock()
	i := slices.Index(c.handed, h)
	if i >= 0 {
		c.handed = slices.Delete(c.handed, i, i+1)
	}
	c.mu.Unlock()
	if i >= 0 {
		return ErrClosed
	}
	<-h.done // a handler is at work
	return nil
}

// takeOver does what was handed over.
func (c *Client) takeOver() {
	for c.work.Err() == nil {
		c.mu.Lock()
		if len(c.handed) == 0 {
			c.mu.Unlock()
			return
		}
		h := c.handed[0]
		c.handed = slices.Delete(c.handed, 0, 1)
		c.mu.Unlock()
		func() {
			defer close(h.done)
			h.do()
		}()
	}
}
