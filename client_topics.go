package tickstorm

import (
	"context"
)

// Subscribe adds a stream for symbols, or [All], to what the client wants, now and
// after each reconnect. Before Start, or Run, it records them and returns nil. From then on it
// waits, through whatever connecting that takes, until the server has acknowledged them (nil),
// has refused some or has not answered within Config.AckTimeout, until ctx ends, or until the
// client does: all but the first is a [*SubscribeError]. Topics that the server refuses are
// not wanted any more, those without an answer still are. The errors of what cannot be asked
// for are those of [Conn.Subscribe].
func (c *Client) Subscribe(ctx context.Context, s Stream, symbols ...string) error {
	topics, err := c.cfg.Topics(s, symbols...)
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
	e, err := c.lasting.want(topics, nil)
	if err != nil {
		return err
	}
	return c.wait(ctx, e)
}

// Unsubscribe takes a stream for symbols from what the client wants. While a
// connection is up it waits for the acknowledgements, or for the connection's end, with which
// the server has forgotten them.
func (c *Client) Unsubscribe(ctx context.Context, s Stream, symbols ...string) error {
	topics, err := c.cfg.Topics(s, symbols...)
	if err != nil {
		return err
	}
	return c.UnsubscribeTopics(ctx, topics...)
}

// UnsubscribeTopics is Unsubscribe for topics.
func (c *Client) UnsubscribeTopics(ctx context.Context, topics ...Topic) error {
	if c.inHandler() {
		return ErrInHandler
	}
	e, err := c.lasting.unwant(topics, nil)
	if err != nil {
		return err
	}
	return c.wait(ctx, e)
}

// SetTopics makes topics, and no others, what the client wants; none at all is fine. The
// server is sent the difference to what was wanted before, and the answers are waited for as
// by Subscribe and Unsubscribe: the error is that of either, or of both joined. A topic that
// cannot be sent, or one option quote too many, changes nothing.
func (c *Client) SetTopics(ctx context.Context, topics ...Topic) error {
	if c.inHandler() {
		return ErrInHandler
	}
	removal, addition, err := c.lasting.replace(topics, nil, func(int) {})
	if err != nil {
		return err
	}
	return joined([]error{c.wait(ctx, removal), c.wait(ctx, addition)})
}

// wait waits for an errand; nil is none.
func (c *Client) wait(ctx context.Context, e *errand) error {
	if e == nil {
		return nil
	}
	return e.wait(ctx, c.over, func() error { return ErrClosed })
}

// Request adds topics to what the client wants, without waiting, from any goroutine
// or handler; see [Lasting.Request].
func (c *Client) Request(done func(error), topics ...Topic) error {
	return c.lasting.Request(done, topics...)
}

// Withdraw takes topics from what the client wants, without waiting; see
// [Lasting.Withdraw].
func (c *Client) Withdraw(done func(error), topics ...Topic) error {
	return c.lasting.Withdraw(done, topics...)
}

// Topics returns what the client wants, in canonical form and in the order it was asked for.
func (c *Client) Topics() []Topic { return c.lasting.Topics() }

// Granted returns the topics that the server has acknowledged on this connection and that
// are not being ended, sorted: what streams, while Topics is what is wanted.
func (c *Client) Granted() []Topic { return c.lasting.Granted() }
