package tickstorm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tickstorm/tickstorm/internal/past"
	"github.com/tickstorm/tickstorm/internal/ring"
)

// This file is what users of a Queue see. A Splitter takes messages apart, queue_scan.go says
// what becomes of their elements, internal/ring holds them and makes room for them, and
// queue_consume.go hands them to the handler.

// QueueConfig says how a [Queue] is built and what it does when it is full. A [Client]
// uses one unless Inline is set; a [Conn] ignores it, and calls its handler inline.
type QueueConfig struct {
	// Inline makes a Client call its handler on the goroutine that reads, without a
	// queue. [NewQueue] ignores it.
	Inline bool
	// Bytes is the size of the memory that events wait in, of all consumers together;
	// default 64 MiB. It is allocated once. An event takes its length, rounded up to a
	// multiple of 16, and 16 bytes more.
	Bytes int
	// Consumers is how many goroutines call handlers; default 1. With more, symbols are
	// dealt out among them: events of one symbol keep their order, events of different
	// symbols do not, and neither do those of a message that is broken as a whole. Each
	// consumer has an equal part of Bytes.
	Consumers int
	// Overflow is what happens to events that there is no room for; by default the
	// reader waits.
	Overflow Overflow
	// Alarm is the share of Bytes above which OnAlarm is called; default 0.5. Each
	// consumer's part is watched for itself.
	Alarm float64
	// OnAlarm, if not nil, is called when the depth of a consumer's part comes to the
	// share, and again only after it was below half of it in the meantime. It runs on the
	// goroutine that feeds the queue, must not wait for anything there, nor feed it.
	OnAlarm func(QueueStats)
	// OnOverflow, if not nil, is called once when OverflowDisconnect has found no room, on
	// the goroutine that feeds the queue: the place to call [Conn.Close], which does not
	// wait there.
	OnOverflow func()
}

// minQueueBytes is the least that a consumer's part of a Queue has.
const minQueueBytes = 1 << 10

func (c QueueConfig) withDefaults() (QueueConfig, error) {
	c.Bytes = cmp.Or(c.Bytes, 64<<20)
	c.Consumers = cmp.Or(c.Consumers, 1)
	c.Alarm = cmp.Or(c.Alarm, 0.5)
	switch {
	case c.Bytes < 0 || c.Consumers < 0:
		return c, errors.New("a negative size in the Config's Queue")
	case c.Bytes/c.Consumers < minQueueBytes:
		return c, fmt.Errorf("a Queue of %d bytes for %d consumers: each needs %d", c.Bytes, c.Consumers, minQueueBytes)
	case !(c.Alarm > 0 && c.Alarm <= 1):
		return c, fmt.Errorf("a Queue.Alarm of %v: it is a share between 0 and 1", c.Alarm)
	case c.Overflow >= overflows:
		return c, fmt.Errorf("an unknown Queue.Overflow: %d", c.Overflow)
	}
	return c, nil
}

// Queue decouples a handler from the goroutine that reads the socket: it is a
// [Handler] itself, to be given to [Dial], [NewSession], Conn.SetHandler or
// [Parser.Parse], and calls the handler behind it on the goroutines of [Queue.Run].
//
// It takes whole messages by OnRaw, which it splits into events without decoding them;
// they are decoded where they are handled. Events are handled as they would have been
// inline, with the time at which they were read, and statuses, which a session acts on
// by itself as they come in, are among them, in their place. There are these
// differences:
//
//   - OnMessageEnd is called at the end of each batch that was taken from the queue.
//   - What is wrong with a message as a whole goes to OnError always, as it does on a
//     connection.
//   - A handler with OnRaw is given messages as they came. They are not split then: one
//     message is one entry, all are handled by the first consumer, and none is conflated.
//
// With several consumers, events without a symbol, what is no event and messages that are
// broken as a whole, such as by ErrTruncated, are the first consumer's. A handler with
// [ShardHandler] gives each consumer a handler of its own; another is called by all of them
// at once.
//
// Nothing is allocated for an event. One goroutine at a time may feed a queue; Stats,
// ParserStats, Err and Close may be called from any.
type Queue struct {
	market Market
	cfg    QueueConfig
	limits Limits
	shards []*shard

	setting sync.Mutex // one handler at a time

	// The feeding side.
	feed       sync.Mutex // protects the scanner, and that messages go in one at a time
	scanner    scanner
	sharded    atomic.Bool // each consumer has a handler of its own
	whole      atomic.Bool // messages are not split: a handler wants them as they are
	messages   atomic.Uint64
	bytes      atomic.Uint64
	skipped    atomic.Uint64
	overflowed atomic.Bool
	onDrop     func(*Drop) // Config's
	fresh      *ring.Drops // of the message at hand, for it; nil without
	told       Drop

	// The life of it.
	runs    runOnce
	ctx     context.Context // Run's
	life    sync.Mutex      // protects err, and that all shards see markers and the end alike
	err     error           // why it was stopped
	stopped chan struct{}
	halted  atomic.Bool // the same, for parsers that are at work

	now func() time.Time
}

// NewQueue returns a queue in front of h. Of cfg it uses Market, Symbols, Interest, OnDrop,
// Limits and Queue, which should be what the connection has; a Key is not needed. The
// error is about these. The memory is allocated here, and no goroutine is started.
func NewQueue(cfg Config, h Handler) (*Queue, error) {
	if cfg.Market == "" {
		return nil, ErrNoMarket
	}
	qc, err := cfg.Queue.withDefaults()
	if err != nil {
		return nil, err
	}
	if cfg.Symbols == nil {
		cfg.Symbols = NewSymbols(0)
	}
	q := &Queue{market: cfg.Market, cfg: qc, limits: cfg.Limits.withDefaults(), stopped: make(chan struct{}), now: time.Now}
	for range qc.Consumers {
		p := NewParser(cfg.Market)
		p.SetLimits(cfg.Limits)
		p.SetSymbols(cfg.Symbols)
		p.SetInterest(cfg.Interest)
		p.tellAll, p.secrets, p.halt = true, cfg.secrets(), &q.halted
		q.shards = append(q.shards, &shard{q: q, parser: p, limit: minBatch})
	}
	q.scanner.init(q.shards[0].parser, qc)
	channels := len(q.scanner.channels)
	for _, s := range q.shards {
		s.ring = ring.New(q.ringConfig())
		s.drop.Channels = make([]ChannelCount, 0, channels)
	}
	if q.onDrop = cfg.OnDrop; q.onDrop != nil {
		q.fresh = &ring.Drops{By: make([]uint64, channels)}
	}
	q.setHandler(h)
	return q, nil
}

// ringConfig is that of each consumer's ring.
func (q *Queue) ringConfig() ring.Config {
	rc := ring.Config{
		Bytes: q.cfg.Bytes / q.cfg.Consumers, Channels: len(q.scanner.channels), Policy: ringPolicies[q.cfg.Overflow],
		Count: countElements, Hash: q.scanner.keyHash, Alarm: q.cfg.Alarm,
		Refusing: &q.overflowed, OnRefuse: q.cfg.OnOverflow, Halted: &q.halted,
	}
	rc.Frame.Open, rc.Frame.Between, rc.Frame.Close = '[', ',', ']' // what a parser reads at full speed
	if call := q.cfg.OnAlarm; call != nil {
		rc.OnAlarm = func() { call(q.Stats()) }
	}
	return rc
}

// setHandler exchanges the handler, from the next batch of each consumer on.
func (q *Queue) setHandler(h Handler) {
	q.setting.Lock()
	defer q.setting.Unlock()
	sharded, _ := h.(ShardHandler)
	whole := false
	for i, s := range q.shards {
		own := h
		if sharded != nil {
			own = sharded.Shard(i, len(q.shards))
		}
		hs := consumerHandlers{handlers: resolve(own)}
		hs.drop, _ = own.(DropHandler)
		whole = whole || hs.raw != nil
		s.handlers.Store(&hs)
	}
	q.whole.Store(whole)
	q.sharded.Store(sharded != nil)
}

// ShardHandler is an optional ability of a [Handler] behind a [Queue]: Shard returns
// the handler of consumer i of n, to be called by that one alone. It is called once for
// each when the handler is set; the methods of the handler itself are not called then. What
// a [Client] tells besides events, such as OnState and OnGap, is for Shard 0.
type ShardHandler interface {
	Shard(i, n int) Handler
}

// Run handles what is queued, on the calling goroutine and one more for each further
// consumer, all of which have ended when it returns: nil after [Queue.Close], with
// everything handled that was queued by then; the context's error when that ended, with
// the rest left in the queue; or a [*PanicError] when a handler panicked, which
// stops the other consumers too. A queue runs once: a second call returns [ErrRunning] or
// [ErrEnded].
//
// After ctx has ended, the handlers that run, one a consumer, may finish and no other is
// called, not even for the rest of the same message; see [Conn.Run] for handlers that take
// less than a microsecond.
func (q *Queue) Run(ctx context.Context) (err error) {
	if err := q.runs.begin(); err != nil {
		return err
	}
	defer func() { q.runs.end(err) }()
	q.ctx = ctx
	if err := ctx.Err(); err != nil {
		q.stop(err)
	}
	release := context.AfterFunc(ctx, func() { q.stop(ctx.Err()) })
	defer func() {
		if !release() {
			<-q.stopped
		}
	}()

	var others sync.WaitGroup
	for i := range q.shards[1:] {
		others.Go(func() { q.guard(q.shards[i+1]) })
	}
	defer others.Wait() // a handler's runtime.Goexit ends this goroutine as well
	q.guard(q.shards[0])
	others.Wait()

	q.life.Lock()
	defer q.life.Unlock()
	return q.err
}

// guard runs a consumer and stops the queue if it does not end as it should.
func (q *Queue) guard(s *shard) {
	returned := false
	defer func() {
		if returned {
			return
		}
		var err error = context.Canceled // by runtime.Goexit
		if p := recovered(recover()); p != nil {
			err = p
		}
		q.stop(err)
		s.settle()
	}()
	s.owner.Store(goroutineID())
	defer s.owner.Store(0)
	s.consume()
	returned = true
}

// Close lets Run handle what is queued and return. Nothing more is taken: what comes is
// counted as dropped, and a reader that waits for room goes on. It does not wait and may
// be called from anywhere, also before Run, and again.
func (q *Queue) Close() {
	q.life.Lock()
	defer q.life.Unlock()
	for _, s := range q.shards {
		s.ring.Close()
	}
}

// stop makes the consumers return as soon as their handlers do.
func (q *Queue) stop(err error) {
	q.life.Lock()
	defer q.life.Unlock()
	select {
	case <-q.stopped:
		return
	default:
	}
	q.err = err
	q.halted.Store(true)
	close(q.stopped)
	for _, s := range q.shards {
		s.ring.Close()
	}
}

// OnRaw puts a message into the queue, which copies it, and returns false: nothing is left
// to decode but the statuses that a session needs. msg must be UTF-8, which parsers and
// sessions have seen to. It waits for room if that is the policy, until there is some, or
// the queue is closed, or its Run over.
func (q *Queue) OnRaw(msg []byte, received int64) (decode bool) {
	q.push(msg, received)
	return false
}

// push is OnRaw, and reports whether all of the message was taken.
func (q *Queue) push(msg []byte, received int64) bool {
	q.messages.Add(1)
	q.bytes.Add(uint64(len(msg)))
	q.feed.Lock()
	defer q.feed.Unlock()
	skipped, ok := 0, false
	if !q.whole.Load() {
		skipped, ok = q.scanner.split(msg)
	}
	if !ok {
		q.scanner.all(msg, wholeMessage)
	} else {
		if skipped > 0 {
			q.skipped.Add(uint64(skipped))
		}
		if q.scanner.tags && past.Message(msg) {
			q.scanner.tag(pastElement)
		}
	}
	return q.put(msg, received)
}

// put puts the scanner's elements into their rings, and tells at once what that has dropped.
func (q *Queue) put(msg []byte, received int64) bool {
	all := true
	for i, s := range q.shards {
		if mine := q.scanner.elements[i]; len(mine) > 0 || len(q.shards) == 1 {
			all = s.ring.Put(msg, mine, received, q.fresh) && all
		}
	}
	if q.fresh != nil && tell(q.fresh, &q.told, q.scanner.channels) {
		q.fresh.Clear() // told is a copy, and the user may panic
		q.onDrop(&q.told)
	}
	return all
}

// OnError takes binary messages, which do not come by OnRaw. All other errors are found
// again, and told, where the message is decoded.
func (q *Queue) OnError(e *EventError) {
	if e.Err != ErrBinary {
		return
	}
	q.feed.Lock()
	defer q.feed.Unlock()
	q.scanner.all(e.Raw, binaryMessage)
	q.put(e.Raw, e.Received)
}

var (
	_ Handler    = (*Queue)(nil)
	_ RawHandler = (*Queue)(nil)
)

// OnTrade does nothing, as the other methods for events: they are in the queue since OnRaw.
func (*Queue) OnTrade(*Trade) {}

// OnQuote does nothing.
func (*Queue) OnQuote(*Quote) {}

// OnAggregate does nothing.
func (*Queue) OnAggregate(*Aggregate) {}

// OnBook does nothing.
func (*Queue) OnBook(*Book) {}

// OnLULD does nothing.
func (*Queue) OnLULD(*LULD) {}

// OnImbalance does nothing.
func (*Queue) OnImbalance(*Imbalance) {}

// OnValue does nothing.
func (*Queue) OnValue(*Value) {}

// OnStatus does nothing.
func (*Queue) OnStatus(*Status) {}

// OnUnknown does nothing.
func (*Queue) OnUnknown(*Unknown) {}

// QueueStats is the state of a [Queue] and what it has counted. Events are what a message
// was split into. One that was not split counts as one while it waits, and as its events from
// when it was handled or dropped; as one still where a [RawHandler] has kept it from being
// decoded. Of those that came, each was handled, dropped or conflated, or waits: Enqueued is
// the sum of Delivered, Dropped, Conflated and Events.
type QueueStats struct {
	// Events are those that wait, or are in the hands of a consumer.
	Events int
	// Bytes is how much of the memory is taken, and Capacity how much there is.
	Bytes, Capacity int
	// HighWater is the most that Bytes has been, of each consumer's part by itself.
	HighWater int
	// Oldest is how long ago the oldest of the Events was read; 0 if there is none.
	Oldest time.Duration
	// Enqueued are the events that came, also those that were dropped at once.
	Enqueued uint64
	// Delivered are the events that consumers have handled, counted batch by batch.
	Delivered uint64
	// Dropped are the events that were dropped, and DroppedBy those of each channel.
	Dropped   uint64
	DroppedBy []ChannelCount
	// Conflated are the events that gave way to a later one.
	Conflated uint64
}

// Stats returns the state of the queue. It may be called from any goroutine, at any time.
func (q *Queue) Stats() QueueStats {
	var st QueueStats
	dropped := make([]uint64, len(q.scanner.channels))
	var oldest int64
	for _, s := range q.shards {
		own := s.ring.Stats(dropped)
		if own.Events > 0 && (st.Events == 0 || own.Oldest < oldest) {
			oldest = own.Oldest
		}
		st.Events += own.Events
		st.Bytes += own.Bytes
		st.Capacity += own.Capacity
		st.HighWater += own.HighWater
		st.Enqueued += own.Enqueued
		st.Delivered += own.Delivered
		st.Dropped += own.Dropped
		st.Conflated += own.Conflated
	}
	if st.Events > 0 {
		st.Oldest = max(0, time.Duration(q.now().UnixNano()-oldest))
	}
	st.DroppedBy = appendCounts(nil, q.scanner.channels, dropped)
	return st
}

// ParserStats returns what the consumers' parsers have counted, batch by batch: what a
// parser without a queue would have, if nothing was dropped. Messages and Bytes are what
// came to the queue. Decode is the time to decode and handle what came in one read, of one
// in 64; Interval is not known here. It may be called from any goroutine.
func (q *Queue) ParserStats() Stats {
	var st Stats
	for _, s := range q.shards {
		s.counts.Lock()
		own := Stats{Counters: s.published, ErrorSamples: s.samples}
		s.counts.Unlock()
		s.parser.latency.snapshot(&own.Latency)
		st.add(&own)
	}
	st.Messages, st.Bytes = q.messages.Load(), q.bytes.Load()
	st.Skipped += q.skipped.Load()
	return st
}
