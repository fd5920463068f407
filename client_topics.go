package tickstorm

import (
	"context"
	"errors"
	"slices"
)

// This file holds what a Client wants: a set of topics, and its differences as the server
// is told them. Both change under one lock, so that what a connection is asked for comes
// in the order of what the set went through.

// Subscribe adds a stream for symbols, or [All], to what the client wants, now and
// after each reconnect. While a connection is up it waits for the acknowledgements
// as [Conn.Subscribe] does; topics that the server refuses are not wanted any more,
// those that were pending when the connection broke still are. Otherwise, before Run
// and between connections, it records them and returns nil.
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
	conn, e, err := c.want(topics)
	if err != nil || conn == nil {
		return err
	}
	return conn.wait(ctx, e, nil)
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
	conn, e := c.unwant(topics)
	if conn == nil {
		return nil
	}
	return conn.wait(ctx, e, nil)
}

// SetTopics makes topics, and no others, what the client wants; none at all is fine. While
// a connection is up the server is sent the difference to what was wanted before,
// and the answers are waited for as by Subscribe and Unsubscribe: the error is that of
// either, or of both joined. Otherwise the topics are recorded. A topic that cannot be
// sent, or one option quote too many, changes nothing.
func (c *Client) SetTopics(ctx context.Context, topics ...Topic) error {
	if c.inHandler() {
		return ErrInHandler
	}
	topics, err := c.cfg.canonical(topics)
	if err != nil {
		return err
	}
	conn, removal, addition, err := c.replace(topics)
	if err != nil || conn == nil {
		return err
	}
	var errs []error
	for _, e := range []*errand{removal, addition} {
		if e == nil {
			continue
		}
		if err := conn.wait(ctx, e, nil); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// Request adds topics to what the client wants, without waiting, from any goroutine
// or handler. Topics that cannot be sent are logged and left out, and those that the
// server refuses are not wanted any more.
func (c *Client) Request(topics ...Topic) {
	if _, _, err := c.want(topics); err != nil {
		c.cfg.Logger.Warn("request not taken", "err", err)
	}
}

// Withdraw takes topics from what the client wants, without waiting.
func (c *Client) Withdraw(topics ...Topic) {
	if len(topics) > 0 {
		c.unwant(topics)
	}
}

// Topics returns what the client wants, in canonical form and in the order it was asked for.
func (c *Client) Topics() []Topic {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.topics.list()
}

// canonical returns topics in canonical form, or what is wrong with one.
func (c *Config) canonical(topics []Topic) ([]Topic, error) {
	canonical := make([]Topic, len(topics))
	for i, t := range topics {
		var err error
		if canonical[i], err = c.Market.topic(t, c.KeepCase); err != nil {
			return nil, err
		}
	}
	return canonical, nil
}

// want adds topics, and asks the connection for them if there is one.
func (c *Client) want(topics []Topic) (*Conn, *errand, error) {
	if len(topics) == 0 {
		return nil, nil, ErrNoSymbols
	}
	topics, err := c.cfg.canonical(topics)
	if err != nil {
		return nil, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, ErrClosed
	}
	if err := c.cfg.checkLimits(topics, c.topics.index); err != nil {
		return nil, nil, err
	}
	var added []Topic
	for _, t := range topics {
		if c.topics.add(t) {
			added = append(added, t)
		}
	}
	if c.conn == nil {
		return nil, nil, nil
	}
	return c.conn, c.subscribeOn(c.conn, topics, added), nil
}

// unwant removes topics, and asks the connection to end them if there is one.
func (c *Client) unwant(topics []Topic) (*Conn, *errand) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range topics {
		c.topics.remove(c.cfg.Market.canonical(t, c.cfg.KeepCase))
	}
	if c.conn == nil {
		return nil, nil
	}
	return c.conn, c.conn.begin(unsubscribe, slices.Clone(topics), c.logUnsent)
}

// replace makes topics the set, and asks the connection for the difference if there is
// one; an errand is nil where nothing is to be done.
func (c *Client) replace(topics []Topic) (conn *Conn, removal, addition *errand, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, nil, ErrClosed
	}
	if err := c.cfg.checkLimits(topics, nil); err != nil {
		return nil, nil, nil, err
	}
	keep := make(map[Topic]bool, len(topics))
	for _, t := range topics {
		keep[t] = true
	}
	var removed, added []Topic
	for _, t := range c.topics.list() {
		if !keep[t] {
			c.topics.remove(t)
			removed = append(removed, t)
		}
	}
	for _, t := range topics {
		if c.topics.add(t) {
			added = append(added, t)
		}
	}
	if c.conn == nil {
		return nil, nil, nil, nil
	}
	if len(removed) > 0 {
		removal = c.conn.begin(unsubscribe, removed, c.logUnsent)
	}
	if len(added) > 0 {
		addition = c.subscribeOn(c.conn, added, added)
	}
	return c.conn, removal, addition, nil
}

// subscribeOn asks the connection for topics. Those that the server refuses are not wanted
// any more, nor are those that are new if they cannot be sent.
func (c *Client) subscribeOn(conn *Conn, topics, added []Topic) *errand {
	turn := c.topics.turn
	return conn.begin(subscribe, topics, func(err error) {
		var e *SubscribeError
		switch {
		case errors.As(err, &e):
			c.drop(e.Refused, turn)
			if e.Err == nil { // who only made a Request learns it here
				c.cfg.Logger.Warn("not all topics acknowledged", "err", err)
			}
		case err != nil: // never sent
			c.cfg.Logger.Warn("request not sent", "err", err)
			c.drop(added, turn)
		}
	})
}

func (c *Client) logUnsent(err error) {
	var e *SubscribeError
	if err != nil && !errors.As(err, &e) {
		c.cfg.Logger.Warn("request not sent", "err", err)
	}
}

// drop takes topics that cannot be had from the set, but for those that were asked for
// again after the turn.
func (c *Client) drop(topics []Topic, turn uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range topics {
		if c.topics.index[t].turn <= turn {
			c.topics.remove(t)
		}
	}
}

// checkLimits refuses topics that would, with those of the set, go beyond a channel's limit.
func (c *Config) checkLimits(topics []Topic, set map[Topic]place) error {
	if !slices.ContainsFunc(c.Market.channels(), func(ch *channel) bool { return ch.limits(topics) }) {
		return nil
	}
	wanted := ledger{market: c.Market, maxQuote: c.MaxOptionQuotes, held: map[Topic]holding{}}
	for t := range set {
		wanted.held[t] = granted
	}
	return wanted.checkLimits(topics)
}

// topicSet is a set that keeps the order in which it was filled.
type topicSet struct {
	index map[Topic]place
	order []Topic // with zero Topics where one was removed
	turn  uint64  // counts the calls of add
}

// place is where a topic stands in the order, and when it was asked for last.
type place struct {
	at   int
	turn uint64
}

// add reports whether t is new.
func (s *topicSet) add(t Topic) bool {
	if s.index == nil {
		s.index = map[Topic]place{}
	}
	s.turn++
	if p, ok := s.index[t]; ok {
		s.index[t] = place{p.at, s.turn}
		return false
	}
	s.index[t] = place{len(s.order), s.turn}
	s.order = append(s.order, t)
	return true
}

func (s *topicSet) remove(t Topic) {
	p, ok := s.index[t]
	if !ok {
		return
	}
	delete(s.index, t)
	s.order[p.at] = Topic{}
	if len(s.order) > 64 && len(s.order) > 2*len(s.index) {
		s.order = s.list()
		for i, t := range s.order {
			s.index[t] = place{i, s.index[t].turn}
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
