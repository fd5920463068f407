package tickstorm

import (
	"context"
	"errors"
	"time"
)

// link is one connection of a client, from when its key is accepted. Its methods are
// called on the goroutine in Run, but for what start hands to a timer.
type link struct {
	ctx     context.Context // Run's
	client  *Client
	conn    *Conn
	settled time.Time   // when all that was wanted had been answered; zero before
	events  bool        // some came
	quiet   *time.Timer // for a gap after which none come
	late    *Gap        // of topics that the server had not acknowledged when they came
	preview preview     // of the message at hand, as long as a gap needs it
}

// start makes the connection the client's and asks it for what is wanted. It reports
// whether the client is closed.
func (l *link) start() (closed bool) {
	c := l.client
	c.mu.Lock()
	if len(c.topics.index) > 0 {
		c.mu.Unlock()
		c.notify(c.enter(StateChange{State: StateSubscribing})) // may change what is wanted
		c.mu.Lock()
	}
	defer c.mu.Unlock()
	c.connections++
	c.conn, c.link, c.early = l.conn, l, nil
	if c.queue == nil {
		l.conn.SetHandler(c.handler) // perhaps another by now
	}
	topics, turn := c.topics.list(), c.topics.turn
	switch {
	case c.closed:
		return true
	case len(topics) > 0:
		l.conn.begin(subscribe, topics, func(err error) { l.answered(topics, turn, err) })
	default:
		l.conn.ask(func() { l.call(func() { l.stream(StateChange{}) }) })
	}
	if len(c.handed) > 0 {
		l.conn.ask(func() { l.call(c.takeOver) })
	}
	return false
}

// call calls what calls handlers, if they may be called.
func (l *link) call(f func()) {
	if l.conn.session.Err() == nil && l.mayCall() {
		l.conn.guard(f)
	}
}

// mayCall reports whether this is Run at work: not after its context has ended, nor in
// Close, which drives the connection itself where it comes before Run does.
func (l *link) mayCall() bool { return l.ctx.Err() == nil && l.client.reads() }

// answered is told what came of the topics. What the server refused is not wanted any more.
func (l *link) answered(topics []Topic, turn uint64, err error) {
	c := l.client
	change := StateChange{Acked: len(topics)}
	var e *SubscribeError
	switch {
	case errors.As(err, &e) && e.Err != nil:
		c.drop(e.Refused, turn)
		return // the connection has ended
	case e != nil:
		c.drop(e.Refused, turn)
		change.Acked, change.Refused, change.Pending, change.Unnamed = len(e.Acked), e.Refused, e.Pending, e.Unnamed
		c.cfg.Logger.Warn("not all topics acknowledged", "err", err)
	case err != nil:
		c.cfg.Logger.Warn("topics not sent", "err", err)
		change.Acked, change.Pending = 0, topics
	}
	l.call(func() { l.stream(change) })
}

// stream is called when all is answered.
func (l *link) stream(change StateChange) {
	l.settled = time.Now()
	change.State = StateStreaming
	l.client.notify(l.client.enter(change))
	l.awaitEnd()
}

func (l *link) stop() {
	if l.quiet != nil {
		l.quiet.Stop()
	}
}

// healthy reports whether the connection streamed for long enough.
func (l *link) healthy() bool {
	return !l.settled.IsZero() && time.Since(l.settled) >= l.client.cfg.Backoff.Healthy
}
