package tickstorm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Client is a connection that lasts: it connects, subscribes to what is wanted and
// runs, and when the connection breaks it does so again, after a wait that grows.
// The server forgets subscriptions with the connection, and there is no replay: what
// it sent meanwhile is lost.
//
// All methods may be called from any goroutine; Request, Withdraw, Close, SetHandler,
// Topics and Stats from handlers as well. A Client runs once.
type Client struct {
	cfg Config

	over chan struct{} // closed when Run has returned

	mu      sync.Mutex // protects what follows
	handler Handler
	topics  topicSet // wanted
	conn    *Conn    // the current one, nil while there is none
	past    Stats    // of the connections before it
	started bool
	closed  bool
	cancel  context.CancelFunc // ends Run
	owner   uint64             // the goroutine in Run
	attempt int                // connections made
}

// NewClient returns a client that does nothing until Run is called. The error is
// about the Config.
func NewClient(cfg Config, h Handler) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Client{cfg: cfg, handler: h, over: make(chan struct{})}, nil
}

// Run connects and delivers events until ctx ends (it returns ctx's error), Close is
// called (nil), or the reason of a failure is final by [Retryable]. While it runs it
// is the goroutine that handlers are called on.
func (c *Client) Run(ctx context.Context) error { return c.run(ctx, nil) }

// run is Run with another handler, unless that is nil.
func (c *Client) run(ctx context.Context, h Handler) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.mu.Lock()
	if c.started {
		c.mu.Unlock()
		return ErrRunning
	}
	c.started, c.cancel, c.owner = true, cancel, goroutineID()
	if h != nil {
		c.handler = h
	}
	closed := c.closed
	c.mu.Unlock()
	defer close(c.over)
	if closed {
		return nil
	}

	bound := c.cfg.Backoff.Min
	for {
		streamed, err := c.once(ctx)
		if c.isClosed() {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !Retryable(err) {
			return err
		}
		if streamed >= c.cfg.Backoff.Healthy {
			bound = c.cfg.Backoff.Min
		}
		wait := rand.N(bound) + 1
		bound = min(2*bound, c.cfg.Backoff.Max)
		if errors.Is(err, ErrMaxConnections) {
			wait = max(wait, c.cfg.Backoff.MaxConnections)
		}
		c.countReconnect(err)
		c.cfg.Logger.Warn("reconnecting", "err", err, "wait", wait)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			if c.isClosed() {
				return nil
			}
			return ctx.Err()
		}
	}
}

// once is the life of one connection; it returns how long that streamed.
func (c *Client) once(ctx context.Context) (time.Duration, error) {
	c.mu.Lock()
	h := c.handler
	c.mu.Unlock()
	conn, err := dial(ctx, c.cfg, h)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	c.mu.Lock()
	c.conn = conn
	c.attempt++
	conn.SetHandler(c.handler) // perhaps another by now
	wanted := c.topics.list()
	closed := c.closed
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		stats := conn.Stats()
		c.past.add(&stats)
		c.conn = nil
		c.mu.Unlock()
	}()
	if closed {
		return 0, conn.Close()
	}
	if len(wanted) > 0 {
		conn.Request(wanted...)
	}
	err = conn.Run(ctx)
	return time.Since(began), err
}

// inHandler reports whether a call would wait for its own goroutine.
func (c *Client) inHandler() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn != nil && c.conn.inHandler()
}

func (c *Client) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// Subscribe adds a stream for symbols, or [All], to what the client wants, now and
// after each reconnect. While a connection is up it waits for the acknowledgements
// as [Conn.Subscribe] does; topics that the server refuses are not wanted any more,
// those that were pending when the connection broke still are. Otherwise, before Run and between connections, it records them and returns nil.
func (c *Client) Subscribe(ctx context.Context, s Stream, symbols ...string) error {
	topics, err := c.cfg.topics(s, symbols)
	if err != nil {
		return err
	}
	return c.SubscribeTopics(ctx, topics...)
}

// SubscribeTopics is Subscribe for topics.
func (c *Client) SubscribeTopics(ctx context.Context, topics ...Topic) error {
	if c.inHandler() {
		return ErrInHandler
	}
	conn, added, err := c.want(topics)
	if err != nil || conn == nil {
		return err
	}
	err = conn.SubscribeTopics(ctx, topics...)
	var e *SubscribeError
	switch {
	case errors.As(err, &e):
		c.drop(e.Refused)
	case errors.Is(err, ErrSubscriptionLimit): // never sent
		c.drop(added)
	}
	return err
}

// Unsubscribe takes a stream for symbols from what the client wants. While a
// connection is up it waits for the acknowledgements.
func (c *Client) Unsubscribe(ctx context.Context, s Stream, symbols ...string) error {
	topics, err := c.cfg.topics(s, symbols)
	if err != nil {
		return err
	}
	return c.UnsubscribeTopics(ctx, topics...)
}

// UnsubscribeTopics is Unsubscribe for topics.
func (c *Client) UnsubscribeTopics(ctx context.Context, topics ...Topic) error {
	if len(topics) == 0 {
		return ErrNoSymbols
	}
	if c.inHandler() {
		return ErrInHandler
	}
	if conn := c.drop(topics); conn != nil {
		return conn.UnsubscribeTopics(ctx, topics...)
	}
	return nil
}

// Request adds topics to what the client wants, without waiting, from any goroutine
// or handler. Topics that cannot be sent are logged and left out.
func (c *Client) Request(topics ...Topic) {
	conn, _, err := c.want(topics)
	switch {
	case err != nil:
		c.cfg.Logger.Warn("request not taken", "err", err)
	case conn != nil:
		conn.Request(topics...)
	}
}

// Withdraw takes topics from what the client wants, without waiting.
func (c *Client) Withdraw(topics ...Topic) {
	if conn := c.drop(topics); conn != nil {
		conn.Withdraw(topics...)
	}
}

// Topics returns what the client wants, in canonical form and in the order it was asked for.
func (c *Client) Topics() []Topic {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.topics.list()
}

// want adds topics and returns the connection, nil if there is none, and the topics
// that were not wanted before.
func (c *Client) want(topics []Topic) (conn *Conn, added []Topic, err error) {
	if len(topics) == 0 {
		return nil, nil, ErrNoSymbols
	}
	topics = slices.Clone(topics)
	for i, t := range topics {
		if err := t.check(); err != nil {
			return nil, nil, err
		}
		topics[i] = c.cfg.Market.canonical(t, c.cfg.KeepCase)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, ErrClosed
	}
	if slices.ContainsFunc(c.cfg.Market.channels(), func(ch *channel) bool { return ch.limits(topics) }) {
		wanted := ledger{market: c.cfg.Market, maxQuote: c.cfg.MaxOptionQuotes, held: map[Topic]bool{}}
		for t := range c.topics.index {
			wanted.held[t] = true
		}
		if err := wanted.checkLimits(topics); err != nil {
			return nil, nil, err
		}
	}
	for _, t := range topics {
		if c.topics.add(t) {
			added = append(added, t)
		}
	}
	return c.conn, added, nil
}

func (c *Client) drop(topics []Topic) *Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range topics {
		c.topics.remove(c.cfg.Market.canonical(t, c.cfg.KeepCase))
	}
	return c.conn
}

// SetHandler exchanges the handler, from the next message on; nil drops events.
func (c *Client) SetHandler(h Handler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handler = h
	if c.conn != nil {
		c.conn.SetHandler(h)
	}
}

// Stats returns what all the client's connections have counted together.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	stats := c.past
	if c.conn != nil {
		current := c.conn.Stats()
		stats.add(&current)
	}
	stats.Reconnects = uint64(max(0, c.attempt-1))
	return stats
}

// Close ends the client as [Conn.Close] ends a connection, whatever it is doing; Run
// then returns nil.
func (c *Client) Close() error {
	limit := time.NewTimer(c.cfg.CloseTimeout)
	defer limit.Stop()
	c.mu.Lock()
	c.closed = true
	conn, cancel, started := c.conn, c.cancel, c.started
	inside := started && isGoroutine(c.owner) || conn != nil && conn.inHandler()
	c.mu.Unlock()
	var err error
	if conn != nil {
		err = conn.Close()
	}
	if started {
		if conn == nil {
			cancel() // dialling, or waiting to
		}
		if !inside && err == nil {
			select {
			case <-c.over:
			case <-limit.C:
				err = ErrHandlerBusy
			}
		}
	}
	return err
}

// String names the client's feed and market.
func (c *Client) String() string {
	return fmt.Sprintf("tickstorm.Client{%s/%s}", c.cfg.Feed, c.cfg.Market)
}

// Format keeps the key out of every verb.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// topicSet is a set that keeps the order in which it was filled.
type topicSet struct {
	index map[Topic]int
	order []Topic // with zero Topics where one was removed
}

// add reports whether t is new.
func (s *topicSet) add(t Topic) bool {
	if s.index == nil {
		s.index = map[Topic]int{}
	}
	if _, ok := s.index[t]; ok {
		return false
	}
	s.index[t] = len(s.order)
	s.order = append(s.order, t)
	return true
}

func (s *topicSet) remove(t Topic) {
	i, ok := s.index[t]
	if !ok {
		return
	}
	delete(s.index, t)
	s.order[i] = Topic{}
	if len(s.order) > 64 && len(s.order) > 2*len(s.index) {
		s.order = s.list()
		for i, t := range s.order {
			s.index[t] = i
		}
	}
}

func (s *topicSet) list() []Topic {
	list := make([]Topic, 0, len(s.index))
	for _, t := range s.order {
		if t != (Topic{}) {
			list = append(list, t)
		}
	}
	return list
}
