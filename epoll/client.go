package epoll

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/tickstorm/tickstorm"
)

// Client is a connection that lasts, on a [Poller]: what [tickstorm.Client] is on
// goroutines, without a queue. It reconnects, subscribes again, and tells states and gaps as
// that one does; Config.Backfill is not asked. Names are resolved, connections made and
// handshakes done on a goroutine; the rest, the handler included, is done on the poller's
// thread.
//
// Its methods may be called from any goroutine, and from handlers.
type Client struct {
	p       *Poller
	cfg     tickstorm.Config
	lasting *tickstorm.Lasting
	ended   func(error)

	// Of the poller's thread.
	d       *Detached // nil while there is no connection
	cancel  context.CancelFunc
	dialing bool
	retryAt time.Time // zero while there is nothing to wait for
	over    bool

	muted  atomic.Bool // no handler is called any more but for the last state
	closed atomic.Bool // no other connection is made
}

// AddClient starts a connection that lasts. ended, which may be nil, is called once on the
// poller's thread: with nil after a Close, else with the reason that makes another
// attempt useless, or an [*tickstorm.AttemptsError] after Backoff.MaxAttempts. Errors: about
// the Config, and ErrClosed if the poller is.
func (p *Poller) AddClient(cfg tickstorm.Config, h tickstorm.Handler, ended func(error)) (*Client, error) {
	c := &Client{p: p, ended: ended, cancel: func() {}}
	lasting, err := tickstorm.NewLasting(cfg, h, driver{c})
	if err != nil {
		return nil, err
	}
	c.lasting, c.cfg = lasting, lasting.Config()
	return c, p.post(func() {
		p.clients[c] = struct{}{}
		c.connect()
	})
}

// driver is the client as its Lasting sees it.
type driver struct{ c *Client }

func (d driver) Post(do func()) {
	_ = d.c.p.post(func() { // nothing is asked of a poller that is closed
		if d.c.d != nil {
			d.c.d.between(do)
		}
	})
}

func (d driver) OnState(change *tickstorm.StateChange) {
	last := change.State == tickstorm.StateClosed
	if h, ok := d.c.lasting.Handler().(tickstorm.StateHandler); ok && (last || d.c.mayCall()) {
		d.c.call(func() { h.OnState(change) })
	}
}

func (d driver) OnGap(gap *tickstorm.Gap) {
	if h, ok := d.c.lasting.Handler().(tickstorm.GapHandler); ok && d.c.mayCall() {
		d.c.call(func() { h.OnGap(gap) })
	}
}

// mayCall reports whether handlers may still be called.
func (c *Client) mayCall() bool { return !c.muted.Load() && !c.p.halted.Load() }

// call calls a handler, on the poller's thread. A panic ends the client, and goes on.
func (c *Client) call(f func()) {
	if c.d != nil {
		c.d.guard(f)
		return
	}
	returned := false
	defer func() {
		if returned {
			return
		}
		v, err := recover(), tickstorm.ErrClosed // of a goroutine that ends without a panic
		if v != nil {
			err = &tickstorm.PanicError{Value: v, Stack: debug.Stack()}
		}
		_ = c.p.post(func() { c.finish(err) })
		if v != nil {
			panic(v)
		}
	}()
	f()
	returned = true
}

// Subscribe adds a stream for symbols, or [tickstorm.All], to what the client wants, now
// and after each reconnect, without waiting: see [tickstorm.Lasting.Request], whose done it
// does without. The errors are those of [tickstorm.Conn.Subscribe] of what cannot be sent.
func (c *Client) Subscribe(s tickstorm.Stream, symbols ...string) error {
	topics, err := c.cfg.Topics(s, symbols...)
	if err != nil {
		return err
	}
	return c.Request(nil, topics...)
}

// Unsubscribe takes a stream for symbols from what the client wants, without waiting.
func (c *Client) Unsubscribe(s tickstorm.Stream, symbols ...string) error {
	topics, err := c.cfg.Topics(s, symbols...)
	if err != nil {
		return err
	}
	return c.Withdraw(nil, topics...)
}

// Request adds topics to what the client wants, without waiting; see
// [tickstorm.Lasting.Request].
func (c *Client) Request(done func(error), topics ...tickstorm.Topic) error {
	return c.lasting.Request(done, topics...)
}

// Withdraw takes topics from what the client wants, without waiting; see
// [tickstorm.Lasting.Withdraw].
func (c *Client) Withdraw(done func(error), topics ...tickstorm.Topic) error {
	return c.lasting.Withdraw(done, topics...)
}

// SetTopics makes topics what the client wants, without waiting; see
// [tickstorm.Lasting.SetTopics].
func (c *Client) SetTopics(done func(error), topics ...tickstorm.Topic) error {
	return c.lasting.SetTopics(done, topics...)
}

// Topics returns what the client wants, in canonical form and in the order it was asked for.
func (c *Client) Topics() []tickstorm.Topic { return c.lasting.Topics() }

// Granted returns the topics that the server has acknowledged on this connection, sorted.
func (c *Client) Granted() []tickstorm.Topic { return c.lasting.Granted() }

// State returns what the client is about now.
func (c *Client) State() tickstorm.State { return c.lasting.State() }

// SetHandler exchanges the handler, from the next message on; nil drops events.
func (c *Client) SetHandler(h tickstorm.Handler) { c.lasting.SetHandler(h) }

// Stats returns what all the client's connections have counted together.
func (c *Client) Stats() tickstorm.Stats { return c.lasting.Stats() }

// Close ends the client, without waiting: with a closing handshake if it is connected, at once
// if it is not. Then ended is called. After Close has been called, the handler that runs may
// finish and no other is called but OnState with StateClosed, not even for the rest of the same
// message. Closing again is harmless. It returns nil. See Shutdown for the patient form.
func (c *Client) Close() error {
	c.muted.Store(true)
	c.lasting.Mute()
	c.Shutdown()
	return nil
}

// Shutdown is the patient form of Close: what comes during the closing handshake is still
// delivered; see [Detached.Shutdown].
func (c *Client) Shutdown() {
	c.lasting.Close()
	c.closed.Store(true)
	_ = c.p.post(func() {
		switch {
		case c.over:
		case c.d != nil:
			c.d.Shutdown()
		case c.dialing:
			c.cancel()
		default:
			c.finish(nil)
		}
	})
}

// String names the client's feed and market.
func (c *Client) String() string { return fmt.Sprintf("epoll.Client{%s/%s}", c.cfg.Feed, c.cfg.Market) }

// Format keeps the key out of every verb.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// connect has a goroutine make a connection.
func (c *Client) connect() {
	if c.closed.Load() {
		c.finish(nil)
		return
	}
	c.retryAt = time.Time{}
	var s *tickstorm.Session
	var err error
	c.call(func() { s, err = c.lasting.Connect(time.Now()) }) // it calls what is the user's
	if err != nil {
		c.lost(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel, c.dialing = cancel, true
	c.p.dialing.Go(func() {
		defer cancel()
		o, err := tickstorm.Open(ctx, s)
		if c.p.post(func() { c.opened(o, err) }) != nil && err == nil {
			_ = o.Conn.Close()
		}
	})
}

// opened takes over what connect has made.
func (c *Client) opened(o *tickstorm.Opened, err error) {
	c.dialing = false
	if err != nil {
		c.lost(err)
		return
	}
	if c.closed.Load() {
		_ = o.Conn.Close()
		c.finish(nil)
		return
	}
	d, err := New(o)
	if err != nil {
		_ = o.Conn.Close()
		c.lost(err)
		return
	}
	now := time.Now()
	c.d = d
	d.Advance(now)
	c.p.attach(&polled{poller: c.p, d: d, ended: c.lost})
	if c.d == d { // else it has ended already
		c.lasting.Opened(now)
	}
}

// lost takes the end of a connection, or of an attempt at one.
func (c *Client) lost(err error) {
	c.d = nil
	now := time.Now()
	var wait time.Duration
	c.call(func() { wait, err = c.lasting.Lost(err, now) })
	switch {
	case errors.Is(err, tickstorm.ErrClosed):
		c.finish(nil)
	case err != nil:
		c.finish(err)
	default:
		c.retryAt = now.Add(wait)
		c.p.due(c.retryAt)
	}
}

// tick connects again when the wait is over.
func (c *Client) tick(now time.Time) {
	switch {
	case c.retryAt.IsZero():
	case now.Before(c.retryAt):
		c.p.due(c.retryAt)
	default:
		c.connect()
	}
}

func (c *Client) finish(err error) {
	if c.over {
		return
	}
	c.over, c.retryAt = true, time.Time{}
	c.closed.Store(true)
	delete(c.p.clients, c)
	defer func() { // also where a handler panics
		if c.ended != nil {
			c.ended(err)
		}
	}()
	c.lasting.End(err, time.Now())
}
