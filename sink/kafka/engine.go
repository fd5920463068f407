package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sink"
)

// Config says how an [Engine] works. Brokers are required; the zero value of every other field means
// what its comment says.
type Config struct {
	Cluster
	Layout
	// Topics says how topics are made.
	Topics Topics
	// Patience is how long each answer of the cluster is waited for, elections of leaders among it,
	// until the batch is tried anew on other connections: what a topic has, and that records are
	// stored; default 20 s.
	Patience time.Duration
	// Logger receives what goes wrong and is tried again; nil is silent.
	Logger *slog.Logger
}

// Engine is a [sink.Engine] that publishes to Kafka: idempotent, acknowledged by all replicas in step,
// compressed with zstd, with the event's time as the record's.
//
// In a round each partition gets one batch of records, which a broker stores whole or not at all, and
// the next only once it has: what fails stops its partition, and nothing passes it. So a partition's
// last record of a segment says how far all of that was. After a failure whose outcome is not known, and in
// a new process, the engine looks for that one, also of segments before the last: a topic has each row once,
// unless the last records of a segment were removed, or another writes to it, such as a process that was
// killed a moment ago. A topic is to have one sink.
//
// A gap, a drop and whatever else is a notice goes to each partition of its market's topic of notices.
type Engine struct {
	cfg     Config
	common  []kgo.Opt // of all clients
	topics  map[string]*topic
	routes  map[channelKey]*channel
	last    *channel      // that a row was of
	clients []*kgo.Client // one a stream; none until they are needed
	round   round
}

// topic is one of Kafka's.
type topic struct {
	name   string
	kind   tickstorm.Kind // of its elements
	synced bool
	info   topicInfo
	old    bool // it was said that its events are older than it keeps
	parts  []*part
}

// part is a partition of a topic.
type part struct {
	topic  *topic
	number int32
	marks  sink.Marks // what it has
	past   past
	// confirmed is the last row that this engine has stored in it.
	confirmed sink.ID
	done      func(*kgo.Record, error)

	rows  []int // of the round
	bytes int   // of those
	err   error // why they were not stored
}

type channelKey struct {
	market  tickstorm.Market
	channel string
}

// channel is where the elements of a market's channel go.
type channel struct {
	channelKey
	topic  *topic
	routes []route // by SymbolID
	other  route   // of the last symbol that has none, or has one that is too high
}

// route is where the elements of a symbol go.
type route struct {
	part *part // nil as long as none was of the symbol
	key  []byte
}

// maxRoutes bounds the routes of a channel that are kept. Those of others are made for each row.
const maxRoutes = 1 << 17

// maxTopics is how many topics an engine writes to: channels beyond that are nobody's.
const maxTopics = 256

// ErrTopics: a row is of a channel that is one too many.
var ErrTopics = fmt.Errorf("kafka: more than %d topics", maxTopics)

var _ sink.Engine = (*Engine)(nil)

// NewEngine returns an engine. It connects, and makes topics, when their first row comes. The error is
// about the Config.
func NewEngine(cfg Config) (*Engine, error) {
	var err error
	if cfg.Layout, err = cfg.Layout.withDefaults(); err != nil {
		return nil, err
	}
	if cfg.Topics, err = cfg.Topics.withDefaults(); err != nil {
		return nil, err
	}
	cfg.Patience = cmp.Or(cfg.Patience, 20*time.Second)
	if cfg.Patience < 0 {
		return nil, errors.New("kafka: a negative Patience")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	e := &Engine{cfg: cfg, topics: map[string]*topic{}, routes: map[channelKey]*channel{}}
	if e.common, err = cfg.Cluster.options(cfg.Logger); err != nil {
		return nil, err
	}
	if err := e.connect(); err != nil { // which dials nobody
		return nil, err
	}
	return e, nil
}

// connect makes the clients, unless there are some.
func (e *Engine) connect() (err error) {
	opts := append([]kgo.Opt{kgo.ProducerBatchCompression(kgo.ZstdCompression(), kgo.NoCompression())}, e.common...)
	opts = append(opts,
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ManualFlushing(),
		kgo.StopProducerOnDataLossDetected(), kgo.MaxBufferedRecords(maxRecords+MaxPartitions), kgo.MaxBufferedBytes(0),
		kgo.ProducerBatchMaxBytes(maxRecord), kgo.RecordDeliveryTimeout(0),
	)
	for len(e.clients) < streams {
		cl, err := kgo.NewClient(opts...)
		if err != nil {
			return fmt.Errorf("kafka: %w", err)
		}
		if cl.OptValue(kgo.DisableIdempotentWrite) == true || cl.OptValue(kgo.AllowIdempotentProduceCancellation) == true || cl.OptValue(kgo.TransactionalID) != "" {
			cl.Close()
			return errors.New("kafka: Options that change what idempotence rests on")
		}
		e.clients = append(e.clients, cl)
	}
	return nil
}

// disconnect ends the clients and whatever is under way: what comes of that nobody can know, and so
// settle has the topics of that asked anew.
func (e *Engine) disconnect() {
	for _, cl := range e.clients {
		cl.Close()
	}
	e.clients = nil
}

// patiently has something done that ends with the engine's Patience.
func (e *Engine) patiently(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, e.cfg.Patience, ErrNoAnswer)
	defer cancel()
	err := do(ctx)
	if err != nil && errors.Is(context.Cause(ctx), ErrNoAnswer) {
		return fmt.Errorf("%w within %v: %w", ErrNoAnswer, e.cfg.Patience, err)
	}
	return err
}

// Close ends the connections.
func (e *Engine) Close() error {
	e.disconnect()
	return nil
}

// Write implements [sink.Engine].
func (e *Engine) Write(ctx context.Context, b *sink.Batch) error {
	for from := 0; from < len(b.Rows); {
		n, err := e.roundTrip(ctx, b, from)
		if err != nil {
			return err
		}
		from = n
	}
	return nil
}

// channel finds where a row's channel goes.
func (e *Engine) channel(r *sink.Row) (*channel, error) {
	key := channelKey{r.Market, r.Channel}
	if e.last != nil && e.last.channelKey == key {
		return e.last, nil
	}
	c := e.routes[key]
	if c == nil {
		t, err := e.topic(e.cfg.Topic(r.Market, r.Channel))
		if err != nil {
			return nil, err
		}
		if t.kind == tickstorm.KindUnknown {
			t.kind = kindOf(r)
		}
		c = &channel{channelKey: key, topic: t}
		e.routes[key] = c
	}
	e.last = c
	return c, nil
}

// route finds where a symbol's elements go, until another is looked for.
func (c *channel) route(r *sink.Row, l Layout) *route {
	to := &c.other
	if id := int(r.SymbolID); id > 0 && id < maxRoutes {
		if id >= len(c.routes) {
			c.routes = append(c.routes, make([]route, id+1-len(c.routes))...)
		}
		if to = &c.routes[id]; to.part != nil {
			return to
		}
	}
	*to = route{part: c.topic.parts[l.Partition(r.Symbol)]}
	if r.Symbol != "" {
		to.key = []byte(r.Symbol)
	}
	return to
}

// kindOf is the kind of an element's channel.
func kindOf(r *sink.Row) tickstorm.Kind {
	split := tickstorm.NewSplitter(r.Market)
	split.SetLimits(tickstorm.Limits{Message: record.MaxMessage + len("[]")})
	split.Reset(append(append([]byte{'['}, r.Raw...), ']'))
	if !split.Next() {
		return tickstorm.KindUnknown
	}
	return split.Element().Kind
}

func (e *Engine) topic(name string) (*topic, error) {
	t := e.topics[name]
	if t == nil {
		if len(e.topics) >= maxTopics {
			return nil, ErrTopics
		}
		t = &topic{name: name, kind: tickstorm.KindUnknown}
		for p := range e.cfg.Partitions {
			to := &part{topic: t, number: int32(p)}
			to.done = func(_ *kgo.Record, err error) {
				if err != nil && to.err == nil {
					to.err = err
				}
				e.round.pending.Done()
			}
			t.parts = append(t.parts, to)
		}
		e.topics[name] = t
	}
	return t, nil
}

// ErrNoAnswer: the cluster has not said in time what a topic has, or that a batch is stored. It may be.
var ErrNoAnswer = errors.New("kafka: no answer")

// poisons are what a broker says of a batch that it will never take.
var poisons = []error{
	kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRecord, kerr.InvalidTimestamp,
}

// classify says of an error whether another try is worth it.
func classify(err error) error {
	var topic *TopicError
	if errors.As(err, &topic) || Refused(err) {
		return sink.Permanent(err)
	}
	return err
}
