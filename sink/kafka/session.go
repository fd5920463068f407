package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/again"
)

// This file is what a Consumer does while it is a member of its group: Run's goroutine polls and has
// handlers called, and between polls the client library says which partitions come and go.

// place is a partition of a topic.
type place struct {
	topic     string
	partition int32
}

// lane is a partition that this consumer has.
type lane struct {
	place
	name  string
	form  form
	told  *sink.Lane
	log   string         // the topic's id, which another of its name has not; "" if brokers have none
	mark  sink.Watermark // as it was loaded, or saved last
	next  int64          // offset that is to come; -1 if nobody knows
	epoch int32          // of the record before it
	dirty bool           // it is ahead of what was saved
	ticks uint
	count sink.LaneStats // that the consumer has counted
}

// session is a membership.
type session struct {
	c      *Consumer
	ctx    context.Context // Run's, for what the client library calls with its own
	client *kgo.Client     // which calls back before whoever makes it has it
	ready  chan struct{}   // closed when there is a client
	began  time.Time
	until  atomic.Int64 // when others may take this one for gone, in nanoseconds since it began

	mu     sync.Mutex // protects what follows; held while handlers are called
	lanes  map[place]*lane
	shards map[int32]tickstorm.Handler // of partitions, if each has its own
	saved  time.Time
	room   int // bytes for metadata
	most   int // records of a poll
	over   bool
	fatal  error
	// joining is that partitions move: nothing is handled meanwhile, for nobody could save it if the
	// connection went. polled ends the poll that waits.
	joining bool
	polled  context.CancelFunc
}

func newSession(ctx context.Context, c *Consumer) *session {
	return &session{c: c, ctx: ctx, began: time.Now(), ready: make(chan struct{}), lanes: map[place]*lane{}, shards: map[int32]tickstorm.Handler{}, room: maxMetadata, most: firstPoll}
}

// How many records are handled until partitions may move: what a handler does in about a second, for
// members wait for each other. The more they are, the more the next are fetched meanwhile.
const (
	minPoll, firstPoll, maxPoll = 64, 8192, 1 << 20
	quickPoll, slowPoll         = 100 * time.Millisecond, time.Second
)

var errSilent = errors.New("kafka: the group has not heard of this consumer")

// rebalance is how long members have for what they have in hand when partitions move.
func (c *ConsumerConfig) rebalance() time.Duration { return max(c.Lease, time.Minute) }

// options are those of the group's client.
func (s *session) options() []kgo.Opt {
	c := s.c
	opts := append([]kgo.Opt{kgo.FetchMaxBytes(4 << 20), kgo.FetchMaxWait(time.Second)}, c.common...)
	return append(opts,
		kgo.ConsumeRegex(), kgo.ConsumeTopics(c.cfg.pattern(c.cfg.Market, c.cfg.Channels)), kgo.ConsumerGroup(c.cfg.Group),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.Balancers(newBalancer()), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.SessionTimeout(c.cfg.Lease), kgo.HeartbeatInterval(max(c.cfg.Lease/5, time.Millisecond)), kgo.RebalanceTimeout(c.cfg.rebalance()),
		kgo.MetadataMaxAge(c.cfg.Discover), kgo.WithHooks(s),
		kgo.AdjustFetchOffsetsFn(s.assigned), kgo.OnPartitionsAssigned(s.joined), kgo.OnPartitionsRevoked(s.gone), kgo.OnPartitionsLost(s.gone),
	)
}

// session joins the group and reads until something ends that.
func (c *Consumer) session(ctx context.Context) (err error) {
	s := newSession(ctx, c)
	if s.client, err = kgo.NewClient(s.options()...); err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	close(s.ready)
	defer s.leave()
	polling, stopPolling := context.WithCancel(ctx)
	defer stopPolling()
	stop := make(chan struct{})
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer close(stop)
	waiting.Go(func() {
		select {
		case <-c.life.Stopping():
			stopPolling()
		case <-stop:
		}
	})
	if err := s.knock(polling); err != nil {
		return err
	}
	for {
		err := s.poll(ctx, polling)
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case polling.Err() != nil:
			return s.finish(ctx)
		}
	}
}

// knock returns why the cluster lets nobody in: without topics a poll would never tell.
func (s *session) knock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.c.cfg.patience())
	defer cancel()
	if err := s.client.Ping(ctx); Refused(err) {
		return fmt.Errorf("kafka: %w", err)
	}
	return nil
}

// poll handles what has come, and saves if it is time to.
func (s *session) poll(ctx, polling context.Context) error {
	wait, cancel := context.WithCancel(polling)
	s.mu.Lock()
	if s.dirty() { // else nothing is to be done before something comes
		cancel()
		wait, cancel = context.WithTimeout(polling, max(time.Millisecond, time.Until(s.saved.Add(s.c.cfg.Save))))
	}
	joining, fatal := s.joining, s.fatal
	s.polled = cancel
	s.mu.Unlock()
	defer cancel()
	if fatal != nil {
		return fatal
	}
	if joining {
		_ = again.Pause(wait, 5*time.Millisecond) // the session looks at why it ended
		return nil
	}
	fetched := s.client.PollRecords(wait, s.most)
	defer s.client.AllowRebalance()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fatal != nil {
		return s.fatal
	}
	began := time.Now()
	err := s.handle(ctx, fetched)
	if ctx.Err() != nil { // handlers that have let go since then have not handled what they were told: nobody saves it
		s.over = true
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	switch took := time.Since(began); {
	case took > slowPoll:
		s.most = max(minPoll, s.most/2)
	case took < quickPoll:
		s.most = min(maxPoll, 2*s.most)
	}
	if s.dirty() && time.Since(s.saved) >= s.c.cfg.Save {
		if err := s.save(ctx, s.all(), false); err != nil && ctx.Err() == nil {
			if errors.Is(err, sink.ErrFenced) {
				return err
			}
			s.c.cfg.Logger.Warn("kafka: watermarks were not saved", "error", err)
		}
	}
	return nil
}

func (s *session) dirty() bool {
	for _, l := range s.lanes {
		if l.dirty {
			return true
		}
	}
	return false
}

func (s *session) all() []*lane {
	lanes := make([]*lane, 0, len(s.lanes))
	for _, l := range s.lanes {
		lanes = append(lanes, l)
	}
	return lanes
}

// handle has handlers called: one after the other if they are one.
func (s *session) handle(ctx context.Context, fetched kgo.Fetches) error {
	shared := s.c.notices != nil
	shares := map[int32][]func() error{} // by partition
	var failed error
	fetched.EachPartition(func(p kgo.FetchTopicPartition) {
		l := s.lanes[place{p.Topic, p.Partition}]
		if p.Err != nil {
			failed = errors.Join(failed, s.failed(p.Err))
		}
		if l == nil || len(p.Records) == 0 {
			return
		}
		share := p.Partition
		if shared {
			share = 0
		}
		shares[share] = append(shares[share], func() error { return s.records(ctx, l, &p.FetchPartition) })
	})
	if failed != nil {
		return failed
	}
	errs := make(chan error, len(shares))
	var others sync.WaitGroup
	for _, share := range shares {
		do := func() {
			for _, f := range share {
				if err := f(); err != nil {
					errs <- err
					return
				}
			}
		}
		if len(shares) == 1 {
			do()
		} else {
			others.Go(do)
		}
	}
	others.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// failed returns what ends the session of what went wrong with a poll.
func (s *session) failed(err error) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return nil
	case Refused(err), errors.Is(err, kgo.ErrClientClosed):
		return err
	}
	// A [kgo.ErrDataLoss] among them: the log has less than was read, which costs others, and is read again.
	s.c.cfg.Logger.Warn("kafka: a partition cannot be read", "error", err)
	return nil
}

// records tells a lane's handler what has come.
func (s *session) records(ctx context.Context, l *lane, p *kgo.FetchPartition) error {
	if first := p.Records[0].Offset; l.next >= 0 && first > l.next && p.LogStartOffset > l.next {
		s.expired(l, min(first, p.LogStartOffset)-l.next)
	}
	if !s.leased() {
		return errSilent
	}
	foreign := uint64(0)
	for _, r := range p.Records {
		if l.ticks++; l.ticks%64 == 1 {
			if !s.leased() {
				return errSilent
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		if s.c.notices != nil && l.form == formNotice {
			s.c.notices.next(r)
		}
		if err := tell(l.told, l.form, r); err != nil {
			foreign++
		}
		l.next, l.epoch, l.dirty = r.Offset+1, r.LeaderEpoch, true
		if l.ticks%64 == 1 {
			s.tally(l, foreign, true)
			foreign = 0
		}
	}
	s.tally(l, foreign, false)
	return nil
}

// tally adds to the consumer's counters, with the lag of a record.
func (s *session) tally(l *lane, foreign uint64, lag bool) {
	before, now := l.count, l.told.Stats()
	l.count = now
	s.c.counts.Add(func(st *sink.ConsumerStats) {
		st.Rows += now.Rows - before.Rows
		st.Repeated += now.Repeated - before.Repeated
		st.Foreign += foreign
		if lag && now.Rows > before.Rows {
			st.Lag.Observe(time.Duration(max(0, time.Now().UnixNano()-now.Newest)))
		}
	})
}

// expired tells that records were removed.
func (s *session) expired(l *lane, n int64) {
	if s.c.notices != nil {
		s.c.notices.skip = false
	}
	l.told.Missing(&ExpiredError{l.topic, l.partition, uint64(n)})
	s.c.counts.Add(func(st *sink.ConsumerStats) { st.Expired += uint64(n) })
}

// finish saves all that was handled, however often that has to be tried. Between tries partitions may
// go, which saves theirs.
func (s *session) finish(ctx context.Context) error {
	for {
		s.mu.Lock()
		err := s.save(ctx, s.all(), true)
		s.mu.Unlock()
		if err != nil {
			s.c.cfg.Logger.Warn("kafka: watermarks were not saved", "error", err)
		}
		if err == nil || isAny(err, takenAway) || !s.again(ctx) {
			return ctx.Err()
		}
	}
}

// again waits a moment before something is tried again, and reports whether there is time for that.
func (s *session) again(ctx context.Context) bool {
	return again.Pause(ctx, min(s.c.cfg.Lease/20, 100*time.Millisecond)) == nil
}

// leave leaves the group. What was not saved by now is not.
func (s *session) leave() {
	s.mu.Lock()
	s.over = true
	s.forget(s.all())
	s.mu.Unlock()
	s.client.AllowRebalance()
	leaving, cancel := context.WithTimeout(context.Background(), s.c.cfg.patience())
	defer cancel()
	_ = s.client.LeaveGroupContext(leaving) // else the lease ends by itself
	s.client.CloseAllowingRebalance()
}
