package nats

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
)

// Core is a [sink.Engine] that publishes without JetStream, to whoever listens: a batch is
// confirmed when the server has it, which keeps nothing. It is the fastest way, and each
// subscriber's rows come at most once. Notices come once, in the first partition.
type Core struct {
	nc       *nats.Conn
	patience time.Duration
	routes   routes
	msg      nats.Msg
	stamp    []byte
}

var _ sink.Engine = (*Core)(nil)

// NewCore returns an engine that publishes through a connection, which stays the caller's.
func NewCore(nc *nats.Conn, layout Layout) (*Core, error) {
	layout, err := layout.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Core{
		nc: nc, patience: 5 * time.Second, routes: newRoutes(layout),
		msg: nats.Msg{Header: nats.Header{StampHeader: {""}}},
	}, nil
}

// Write implements [sink.Engine].
func (c *Core) Write(ctx context.Context, b *sink.Batch) error {
	for i := range b.Rows {
		r := &b.Rows[i]
		c.stamp = r.AppendStamp(c.stamp[:0])
		c.msg.Header[StampHeader][0] = string(c.stamp)
		c.msg.Subject, c.msg.Data = c.subject(r), r.Raw
		if err := fits(c.nc, c.msg.Subject, r.Raw); err != nil {
			return sink.Poison(i, err)
		}
		if err := c.nc.PublishMsg(&c.msg); err != nil {
			return classify(fmt.Errorf("nats: %w", err))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	if err := c.nc.FlushWithContext(ctx); err != nil {
		return classify(fmt.Errorf("nats: %w", err))
	}
	return nil
}

func (c *Core) subject(r *sink.Row) string {
	if r.Notice != nil {
		return c.routes.layout.Subject(r, 0)
	}
	return c.routes.of(r).subject
}

// Subscribe tells a handler what comes to a subject of one market, of a [Core] or of whatever
// publishes as it does, until the subscription is ended: at most once, and what comes faster than
// the handler takes it the connection drops, which its error handler is told. subject may have
// wildcards, such as "md.stocks.T.*". The handler is called on one goroutine.
func Subscribe(nc *nats.Conn, subject string, m tickstorm.Market, h tickstorm.Handler) (*nats.Subscription, error) {
	lane := sink.NewLane(m, h, nil, sink.Marks{})
	return nc.Subscribe(subject, func(msg *nats.Msg) {
		_ = tell(lane, msg.Subject, stampOf(msg.Header), msg.Data) // what has no stamp is not the sink's
	})
}
