package kafka

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/again"
	"github.com/tickstorm/tickstorm/sink/internal/counts"
	"github.com/tickstorm/tickstorm/sink/internal/life"
)

// ConsumerConfig says what a [Consumer] reads. Brokers, Market and a handler are required; the zero
// value of every other field means what its comment says.
type ConsumerConfig struct {
	Cluster
	// Layout is the sink's.
	Layout
	// Market is the one that is read, and Channels those of its channels; nil is all. A group's
	// consumers should have the same.
	Market   tickstorm.Market
	Channels []string
	// Handler is told the events. One that implements [tickstorm.ShardHandler] gives each partition
	// a handler of its own, which is told all channels of its symbols, and these are called on
	// several goroutines; else one is called at a time. Between channels there is no order.
	Handler tickstorm.Handler
	// Lanes gives each partition of each topic a handler of its own, by the name that [Layout].Lane
	// gives it, instead of Handler. They are called as those of a ShardHandler are, and a lane that
	// comes back has another.
	Lanes func(lane string) tickstorm.Handler
	// Group names the consumers that share the work: each event goes to one of them. Groups know
	// nothing of each other. Default "tickstorm".
	Group string
	// Watermarks keep how far the group is; nil has Kafka keep them, with the offsets that the group
	// commits. A handler that keeps them with its own results, so that not even a kill repeats
	// anything, gives its own, and Lanes, for they are saved lane by lane. A lane of which they have
	// nothing begins at its beginning.
	Watermarks sink.Watermarks
	// Save is how often watermarks are saved, and so how much another consumer repeats of one that
	// was killed; default 500 ms. They are saved before partitions move as well.
	Save time.Duration
	// Lease is how long a consumer may be silent until others take its partitions; default 10 s.
	// Brokers allow no less than 6 s unless they are told to (group.min.session.timeout.ms).
	Lease time.Duration
	// Discover is how often new topics are looked for; default 10 s.
	Discover time.Duration
	// Symbols interns symbols for all lanes; nil is a table of the consumer's own.
	Symbols *tickstorm.Symbols
	// Logger receives partitions that come and go, and what goes wrong and is tried again; nil is
	// silent.
	Logger *slog.Logger
}

func (c ConsumerConfig) withDefaults() (ConsumerConfig, error) {
	var err error
	if c.Layout, err = c.Layout.withDefaults(); err != nil {
		return c, err
	}
	c.Group = cmp.Or(c.Group, "tickstorm")
	c.Save = cmp.Or(c.Save, 500*time.Millisecond)
	c.Lease = cmp.Or(c.Lease, 10*time.Second)
	c.Discover = cmp.Or(c.Discover, 10*time.Second)
	if c.Symbols == nil {
		c.Symbols = tickstorm.NewSymbols(0)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Market == "" || (c.Handler == nil) == (c.Lanes == nil):
		err = errors.New("kafka: a consumer has a Market, and either Handler or Lanes")
	case c.Save < 0 || c.Lease < 0 || c.Discover < 0:
		err = errors.New("kafka: a negative bound in the ConsumerConfig")
	}
	return c, err
}

// Consumer reads a market's topics and tells a handler the events. It runs once.
//
// Consumers of one group share the partitions evenly, by number: whoever has one of a topic has that of all
// topics, and so all of its symbols; more consumers than partitions have some idle. When one comes or
// goes, all save, who has to lets go of a partition, and the next goes on behind that; they wait for each
// other, and have what they fetched of the other partitions when they go on. A handler that is slow keeps
// nobody waiting for longer than one call. A consumer that is silent for a Lease loses its partitions.
type Consumer struct {
	cfg    ConsumerConfig
	common []kgo.Opt
	member string
	counts counts.Of[sink.ConsumerStats]
	life   *life.Life

	notices *notices              // of a handler that is one for all partitions; else nil
	seen    map[string]sink.Marks // of lanes that were lost before they were saved; Run's
}

// ErrRan: Run was called before.
var ErrRan = errors.New("kafka: a consumer runs once")

// ExpiredError is why records are missing: their topic's retention has removed them before they were
// read.
type ExpiredError struct {
	Topic     string
	Partition int32
	Count     uint64
}

// Error says how many, and of which topic.
func (e *ExpiredError) Error() string {
	return fmt.Sprintf("%d records of %s/%d were removed before they were read", e.Count, e.Topic, e.Partition)
}

// NewConsumer returns a consumer that does nothing until Run. The error is about the ConsumerConfig.
func NewConsumer(cfg ConsumerConfig) (*Consumer, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Consumer{cfg: cfg, member: rand.Text(), life: life.New(), seen: map[string]sink.Marks{}}
	if c.common, err = cfg.Cluster.options(cfg.Logger); err != nil {
		return nil, err
	}
	s := newSession(context.Background(), c)
	defer s.kill()
	if err := kgo.ValidateOpts(s.options()...); err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	if _, sharded := cfg.Handler.(tickstorm.ShardHandler); cfg.Lanes == nil && !sharded {
		c.notices = newNotices(cfg.Handler)
	}
	return c, nil
}

// Stats returns what was done so far. Its Partitions are those of all topics, and Fenced those that
// went before they were saved.
func (c *Consumer) Stats() sink.ConsumerStats { return c.counts.Snapshot() }

// Run reads until Stop is called (nil, with everything saved that was handled, but for partitions that
// the group gave to another before they were: that one handles it again, and Stats has them as Fenced), ctx ends (its error;
// what was not saved another consumer handles again), or something will not get better: the cluster
// refuses who asks, which [Refused] says, or a topic is a [*TopicError]; then for as long as a Lease it tries
// to save what was handled. What else goes wrong is tried again, for ever.
func (c *Consumer) Run(ctx context.Context) error {
	ctx, ok := c.life.Begin(ctx)
	if !ok {
		return ErrRan
	}
	defer c.life.End()
	for unbegun := 0; ; {
		began := time.Now()
		err := c.session(ctx)
		select {
		case <-c.life.Stopping():
			return ctx.Err()
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
		var topic *TopicError
		if errors.As(err, &topic) || Refused(err) {
			return err
		}
		c.cfg.Logger.Warn("kafka: a consumer begins anew", "error", err)
		wait := min(c.cfg.Lease/20, 250*time.Millisecond)
		if !errors.Is(err, errUnbegun) || time.Since(began) > c.cfg.Lease {
			unbegun = 0
		} else { // for which all of the group joins anew each time
			unbegun++
			wait = again.Wait(unbegun, wait, c.cfg.Lease)
		}
		select {
		case <-time.After(wait):
		case <-c.life.Stopping():
			return ctx.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Stop has Run call no handler any more, save, let go of the partitions, and return. It waits for
// that until ctx ends; then Run ends as if its own context had, and ctx's error is returned.
func (c *Consumer) Stop(ctx context.Context) error { return c.life.Stop(ctx) }
