package tickstorm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"
)

// PollerClient is a connection that lasts, on a [Poller]: what [Client] is on a
// goroutine. It reconnects with Config.Backoff as long as the reason is [Retryable], and
// subscribes again to what is wanted; it tells no states and no gaps. Names are resolved, connections made and
// handshakes done on a goroutine; the rest, the handler included, is done on the
// poller's thread.
//
// Its methods may be called from any goroutine, and from handlers.
type PollerClient struct {
	p     *Poller
	cfg   Config
	ended func(error)

	// Of the poller's thread.
	d       *Detached // nil while there is no connection
	cancel  context.CancelFunc
	dialing bool
	bound   time.Duration // of the next wait
	attempt int           // since the last healthy connection
	retryAt time.Time     // zero while there is nothing to wait for
	began   time.Time     // when the connection was authenticated
	over    bool

	mu      sync.Mutex // protects what follows
	handler Handler
	wanted  topicSet
	current *Detached // is d
	past    Stats     // of the connections before it
	made    int       // connections
	closed  bool
}

// AddClient starts a connection that lasts. ended, which may be nil, is called once on the
// poller's thread: with nil after a Close, else with the reason that makes another
// attempt useless, or an [*AttemptsError] after Backoff.MaxAttempts. Errors: about the Config, and ErrClosed if the poller is.
func (p *Poller) AddClient(cfg Config, h Handler, ended func(error)) (*PollerClient, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &PollerClient{
		p: p, cfg: cfg, ended: ended, handler: h,
		cancel: func() {}, bound: cfg.Backoff.Min,
	}
	return c, p.post(func() {
		p.clients[c] = struct{}{}
		c.connect()
	})
}

// Subscribe adds a stream for symbols, or [All], to what the client wants, now and after
// each reconnect, without waiting: the server's answers come to OnStatus. The errors are
// those of [Conn.Subscribe] of what cannot be sent. Topics that the server refuses are
// not wanted any more.
func (c *PollerClient) Subscribe(s Stream, symbols ...string) error {
	topics, err := c.cfg.topics(s, symbols)
	if err != nil {
		return err
	}
	return c.SubscribeTopics(topics...)
}

// SubscribeTopics is Subscribe for topics.
func (c *PollerClient) SubscribeTopics(topics ...Topic) error {
	if len(topics) == 0 {
		return ErrNoSymbols
	}
	topics, err := c.cfg.canonical(topics)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	if err := c.cfg.checkLimits(topics, c.wanted.index); err != nil {
		return err
	}
	for _, t := range topics {
		c.wanted.add(t)
	}
	turn := c.wanted.turn
	return c.p.post(func() { // under the lock: the server is asked in the order of what the set went through
		if c.d != nil {
			c.request(topics, turn)
		}
	})
}

// Unsubscribe takes a stream for symbols from what the client wants, without waiting.
func (c *PollerClient) Unsubscribe(s Stream, symbols ...string) error {
	topics, err := c.cfg.topics(s, symbols)
	if err != nil {
		return err
	}
	return c.UnsubscribeTopics(topics...)
}

// UnsubscribeTopics is Unsubscribe for topics.
func (c *PollerClient) UnsubscribeTopics(topics ...Topic) error {
	if len(topics) == 0 {
		return ErrNoSymbols
	}
	topics = slices.Clone(topics)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range topics {
		c.wanted.remove(c.cfg.Market.canonical(t, c.cfg.KeepCase))
	}
	return c.p.post(func() {
		if c.d != nil {
			_ = c.d.Withdraw(topics...) // an error is the end of the connection, and of all subscriptions
		}
	})
}

// Topics returns what the client wants, in canonical form and in the order it was asked for.
func (c *PollerClient) Topics() []Topic {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wanted.list()
}

// SetHandler exchanges the handler, from the next message on; nil drops events.
func (c *PollerClient) SetHandler(h Handler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handler = h
	if c.current != nil {
		c.current.SetHandler(h)
	}
}

// Stats returns what all the client's connections have counted together.
func (c *PollerClient) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	stats := c.past
	if c.current != nil {
		current := c.current.Stats()
		stats.add(&current)
	}
	stats.Reconnects = uint64(max(0, c.made-1))
	return stats
}

// Close ends the client, without waiting: with a closing handshake if it is connected, at once
// if it is not. Then ended is called. After Close has been called, the handler that runs may
// finish and no other is called, not even for the rest of the same message. Closing again is
// harmless. It returns nil. See Shutdown for the patient form.
func (c *PollerClient) Close() error {
	c.mu.Lock()
	c.closed = true
	if c.current != nil {
		c.current.Mute()
	}
	c.mu.Unlock()
	c.Shutdown()
	return nil
}

// Shutdown is the patient form of Close: what comes during the closing handshake is still
// delivered; see [Detached.Shutdown].
func (c *PollerClient) Shutdown() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
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
func (c *PollerClient) String() string {
	return fmt.Sprintf("tickstorm.PollerClient{%s/%s}", c.cfg.Feed, c.cfg.Market)
}

// Format keeps the key out of every verb.
func (c *PollerClient) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// connect has a goroutine make a connection.
func (c *PollerClient) connect() {
	if c.isClosed() {
		c.finish(nil)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.attempt++
	c.cancel, c.dialing, c.retryAt = cancel, true, time.Time{}
	c.p.dialing.Go(func() {
		defer cancel()
		nc, early, err := open(ctx, &c.cfg)
		if c.p.post(func() { c.opened(nc, early, err) }) != nil && err == nil {
			_ = nc.Close()
		}
	})
}

// opened takes over what connect has made.
func (c *PollerClient) opened(nc net.Conn, early []byte, err error) {
	c.dialing = false
	if err != nil {
		c.lost(err)
		return
	}
	c.mu.Lock()
	h, closed := c.handler, c.closed
	c.mu.Unlock()
	if closed {
		_ = nc.Close()
		c.finish(nil)
		return
	}
	s, err := newSession(c.cfg, h)
	if err != nil {
		_ = nc.Close()
		c.lost(err)
		return
	}
	d, err := detach(&c.cfg, s, nc)
	if err != nil {
		_ = nc.Close()
		c.lost(err)
		return
	}
	d.early = early
	d.Advance(time.Now())
	c.d, c.began = d, time.Time{}
	c.mu.Lock()
	c.current = d
	c.made++
	if c.closed { // meanwhile; what was posted then ends it
		d.Mute()
	}
	d.SetHandler(c.handler) // perhaps another by now
	c.mu.Unlock()
	c.mu.Lock()
	wanted, turn := c.wanted.list(), c.wanted.turn
	c.mu.Unlock()
	if len(wanted) > 0 {
		c.request(wanted, turn)
	}
	c.p.attach(&polled{poller: c.p, d: d, client: c, ended: c.lost})
}

// request asks for topics, and forgets those that the server refuses unless they were
// asked for again after the turn.
func (c *PollerClient) request(topics []Topic, turn uint64) {
	err := c.d.Subscribe(func(err error) {
		var e *SubscribeError
		if errors.As(err, &e) && len(e.Refused) > 0 {
			c.cfg.Logger.Warn("topics refused", "err", err)
			c.drop(e.Refused, turn)
		}
	}, topics...)
	if err != nil {
		c.cfg.Logger.Warn("request not sent", "err", err)
	}
}

// note is told the time after each turn of the connection.
func (c *PollerClient) note(now time.Time) {
	if c.began.IsZero() && c.d.State() >= Ready {
		c.began = now
		c.cfg.Logger.Info("authenticated")
	}
}

// lost takes the end of a connection, or of an attempt at one.
func (c *PollerClient) lost(err error) {
	now, healthy := time.Now(), false
	if c.d != nil {
		c.mu.Lock()
		stats := c.d.Stats()
		c.past.add(&stats)
		c.current = nil
		c.mu.Unlock()
		c.d = nil
		healthy = !c.began.IsZero() && now.Sub(c.began) >= c.cfg.Backoff.Healthy
		c.began = time.Time{}
	}
	if c.isClosed() {
		c.finish(nil)
		return
	}
	if !Retryable(err) {
		c.finish(err)
		return
	}
	if most := c.cfg.Backoff.MaxAttempts; most > 0 && c.attempt >= most && !healthy {
		c.finish(&AttemptsError{c.attempt, err})
		return
	}
	if healthy {
		c.bound, c.attempt = c.cfg.Backoff.Min, 0
	}
	wait := rand.N(c.bound) + 1
	c.bound = min(2*c.bound, c.cfg.Backoff.Max)
	if errors.Is(err, ErrMaxConnections) {
		wait = max(wait, c.cfg.Backoff.MaxConnections)
	}
	var refused *DialError
	if errors.As(err, &refused) {
		wait = max(wait, refused.RetryAfter)
	}
	c.mu.Lock()
	c.past.ReconnectCauses[causeOf(err)]++
	c.mu.Unlock()
	c.cfg.Logger.Warn("reconnecting", "err", err, "wait", wait)
	c.retryAt = now.Add(wait)
	c.p.due(c.retryAt)
}

// tick connects again when the wait is over.
func (c *PollerClient) tick(now time.Time) {
	switch {
	case c.retryAt.IsZero():
	case now.Before(c.retryAt):
		c.p.due(c.retryAt)
	default:
		c.connect()
	}
}

func (c *PollerClient) finish(err error) {
	if c.over {
		return
	}
	c.over, c.retryAt = true, time.Time{}
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	delete(c.p.clients, c)
	if c.ended != nil {
		c.ended(err)
	}
}

func (c *PollerClient) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func (c *PollerClient) drop(topics []Topic, turn uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range topics {
		if c.wanted.index[t].turn <= turn {
			c.wanted.remove(t)
		}
	}
}
