package nats

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/counts"
	"github.com/tickstorm/tickstorm/sink/internal/life"
)

// ConsumerConfig says what a [Consumer] reads. Market and Handler are required; the zero value of
// every other field means what its comment says.
type ConsumerConfig struct {
	// Layout is the sink's.
	Layout
	// Market is the one that is read.
	Market tickstorm.Market
	// Handler is told the events. One that implements [tickstorm.ShardHandler] gives each partition
	// a handler of its own, and these are called on several goroutines; else one is called at a time.
	Handler tickstorm.Handler
	// Group names the consumers that share the work: each event goes to one of them. Groups know
	// nothing of each other. Default "tickstorm"; letters, digits, - and _.
	Group string
	// Watermarks keep how far the group is; nil is a stream of the group's, on Replicas nodes. A
	// handler that keeps them with its own results, so that not even a kill repeats anything, gives
	// its own; it needs a handler for each partition, since partitions are saved one by one, by the
	// name that [Layout].Lane gives them.
	Watermarks sink.Watermarks
	// Replicas is on how many nodes the group's stream is, if it is made; default 1.
	Replicas int
	// Save is how often watermarks are saved, and so how much another consumer repeats of one that
	// was killed; default 200 ms.
	Save time.Duration
	// Lease is how long a consumer may be silent until others take its partitions; default 10 s.
	Lease time.Duration
	// Symbols interns symbols for all partitions; nil is a table of the consumer's own.
	Symbols *tickstorm.Symbols
	// Logger receives partitions that come and go, and what goes wrong and is tried again; nil is
	// silent.
	Logger *slog.Logger
}

// patience is how long an answer of a server is waited for.
func (c *ConsumerConfig) patience() time.Duration { return min(c.Lease/2, 2*time.Second) }

var groupName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (c ConsumerConfig) withDefaults() (ConsumerConfig, error) {
	var err error
	if c.Layout, err = c.Layout.withDefaults(); err != nil {
		return c, err
	}
	c.Group = cmp.Or(c.Group, "tickstorm")
	c.Replicas = cmp.Or(c.Replicas, 1)
	c.Save = cmp.Or(c.Save, 200*time.Millisecond)
	c.Lease = cmp.Or(c.Lease, 10*time.Second)
	if c.Symbols == nil {
		c.Symbols = tickstorm.NewSymbols(0)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Market == "" || c.Handler == nil:
		err = errors.New("nats: a consumer without Market or Handler")
	case !groupName.MatchString(c.Group):
		err = fmt.Errorf("nats: a Group of %q", c.Group)
	case c.Save < 0 || c.Lease < 0 || c.Replicas < 0:
		err = errors.New("nats: a negative bound in the ConsumerConfig")
	}
	return c, err
}

// Consumer reads a market's streams and tells a handler the events. It runs once.
//
// Consumers of one group find each other through JetStream, and share the partitions evenly; more
// consumers than partitions have some idle. When one comes or goes the partitions move: who has
// one stops, saves its watermark and lets go, and the next goes on behind that. Of one that is
// silent for a Lease they are taken.
type Consumer struct {
	cfg    ConsumerConfig
	nc     *nats.Conn
	js     jetstream.JetStream
	absent absence // Run's
	member string
	shared sync.Mutex // held while the handler runs, if all partitions have the same
	counts counts.Of[ConsumerStats]

	life *life.Life
	ctx  context.Context // Run's

	handled atomic.Int64  // until when handlers may be called, in nanoseconds since made
	term    atomic.Uint64 // counts the leases that followed none
	made    time.Time
	readers map[int]*reader // Run's
}

// ErrRan: Run was called before.
var ErrRan = errors.New("nats: a consumer runs once")

// ExpiredError is why messages are missing: their stream's limits have removed them before they
// were read.
type ExpiredError struct {
	Stream string
	Count  uint64
}

// Error says how many, and of which stream.
func (e *ExpiredError) Error() string {
	return fmt.Sprintf("%d messages of %s were removed before they were read", e.Count, e.Stream)
}

// ConsumerStats is what a consumer has done. It is a snapshot.
type ConsumerStats = sink.ConsumerStats

// NewConsumer returns a consumer that does nothing until Run, through a connection which stays the
// caller's. The error is about the ConsumerConfig.
func NewConsumer(nc *nats.Conn, cfg ConsumerConfig) (*Consumer, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	return &Consumer{
		cfg: cfg, nc: nc, js: js, absent: absence{patience: cfg.Lease}, member: rand.Text(), life: life.New(),
		made: time.Now(), readers: map[int]*reader{},
	}, nil
}

// Stats returns what was done so far.
func (c *Consumer) Stats() ConsumerStats { return c.counts.Snapshot() }

// Run reads until Stop is called (nil, with everything saved that was handled) or ctx ends (its
// error; what was not saved another consumer handles again). What goes wrong between is tried
// again, for ever: a cluster that elects, a stream that no sink has made yet. What no other try mends is a
// [*sink.PermanentError]: the stream of the group cannot be made, such as for want of room, or is one of
// another kind; the server has no JetStream, or none for who asks, for as long as a Lease; the
// connection was closed.
func (c *Consumer) Run(ctx context.Context) error {
	ctx, ok := c.life.Begin(ctx)
	if !ok {
		return ErrRan
	}
	defer c.life.End()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.ctx = ctx
	return c.lead(ctx, cancel)
}

// Stop has Run call no handler any more, save, let go of the partitions, and return. It waits for
// that until ctx ends; then Run ends as if its own context had, and ctx's error is returned.
func (c *Consumer) Stop(ctx context.Context) error { return c.life.Stop(ctx) }

// letGo has all partitions let go, and says all the while that this consumer is there.
func (c *Consumer) letGo(ctx context.Context, tick *time.Ticker, g *group) {
	for _, r := range c.readers {
		r.release()
	}
	for _, r := range c.readers {
		for over := false; !over; {
			select {
			case <-r.over:
				over = true
			case <-tick.C:
				if g != nil {
					heard, cancel := context.WithTimeout(ctx, c.cfg.patience())
					_, _ = g.here(heard, c.cfg.Lease) // else the lease ends, and others begin
					cancel()
				}
			}
		}
	}
}

// lead keeps the partitions that are this consumer's, until it is stopped. giveUp ends ctx.
func (c *Consumer) lead(ctx context.Context, giveUp func()) error {
	tick := time.NewTicker(max(c.cfg.Lease/5, time.Millisecond))
	defer tick.Stop()
	var g *group
	defer func() { c.letGo(ctx, tick, g) }()
	for {
		c.absent.asks(c.nc)
		err := c.absent.judge(c.nc, c.share(ctx, &g))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		switch {
		case err == nil:
		case !sink.Retryable(err) && (g == nil || c.nc.IsClosed()): // they never have, or never will again
			time.AfterFunc(c.cfg.patience(), giveUp) // what can be saved elsewhere is
			return err
		default:
			c.cfg.Logger.Warn("consumers of a group cannot meet", "error", err)
		}
		select {
		case <-tick.C:
		case <-c.life.Stopping():
			c.letGo(ctx, tick, g)
			if g != nil {
				leaving, cancel := context.WithTimeout(ctx, c.cfg.patience())
				defer cancel()
				_ = g.leave(leaving) // else its lease ends by itself
			}
			return ctx.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// share finds out which partitions are this consumer's now.
func (c *Consumer) share(ctx context.Context, g **group) error {
	asked := time.Now()
	ctx, cancel := context.WithTimeout(ctx, c.cfg.patience())
	defer cancel()
	if *g == nil {
		opened, err := openGroup(ctx, c.js, c.cfg.Layout, c.cfg.Group, c.member, c.cfg.Replicas)
		if err != nil {
			return err
		}
		*g, c.absent.found = opened, true
	}
	members, err := (*g).here(ctx, c.cfg.Lease)
	if err != nil {
		return err
	}
	if !c.leased() {
		c.term.Add(1)
	}
	c.handled.Store(int64(asked.Add(c.cfg.Lease * 3 / 4).Sub(c.made)))
	var marks sink.Watermarks = *g
	if c.cfg.Watermarks != nil {
		marks = c.cfg.Watermarks
	}
	for p := range c.cfg.Partitions {
		mine := len(members) > 0 && members[p%len(members)] == c.member
		r := c.readers[p]
		if r != nil {
			select {
			case <-r.over:
				delete(c.readers, p)
				r = nil
			default:
			}
		}
		switch {
		case mine && r == nil:
			c.readers[p] = c.read(p, *g, marks)
		case !mine && r != nil:
			r.release()
		}
	}
	return nil
}

// leased reports whether no other consumer takes this one for gone.
func (c *Consumer) leased() bool {
	return int64(time.Since(c.made)) < c.handled.Load()
}
