package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

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
	name   string
	form   form
	told   *sink.Lane
	log    string         // the topic's id, which another of its name has not; "" if brokers have none
	member string         // as whom the group gave it to this consumer
	mark   sink.Watermark // as it was loaded, or saved last
	next   int64          // offset that is to come; -1 if nobody knows
	epoch  int32          // of the record before it
	dirty  bool           // it is ahead of what was saved
	fenced bool           // another has saved its watermark since: this one saves nothing more
	ticks  uint
	count  sink.LaneStats // that the consumer has counted
}

// batch is what has come of a lane.
type batch struct {
	*lane
	records  []*kgo.Record
	logStart int64 // offset of the first record that the broker had then
}

// session is a membership.
type session struct {
	c      *Consumer
	ctx    context.Context // Run's, for what the client library calls with its own
	life   context.Context // the client's
	kill   context.CancelFunc
	client *kgo.Client   // which calls back before whoever makes it has it
	ready  chan struct{} // closed when there is a client
	began  time.Time
	until  atomic.Int64 // when others may take this one for gone, in nanoseconds since it began

	mu     sync.Mutex     // protects what follows; held while handlers are called
	ours   map[place]bool // that the group has given to this consumer, begun or not
	lanes  map[place]*lane
	shards map[int32]tickstorm.Handler // of partitions, if each has its own
	saved  time.Time
	stuck  bool // watermarks could not be saved the last time
	room   int  // bytes for metadata
	over   bool
	// patience is how long it is waited until watermarks are saved. It grows where that takes longer, up to Lease.
	patience time.Duration
	unsaved  string // why they could not be saved the last time, which is logged once; "" if they were
	fatal    error
	// joining is that partitions move: nothing is handled meanwhile, for nobody could save it if the
	// connection went. polled ends the poll that waits.
	joining bool
	polled  context.CancelFunc
	// hand is what has come and was not handled yet, for partitions moved or it was time to save. It is
	// handled before anything else is polled.
	hand []batch
	// Handlers are called no more while partitions are to move: asked is that who moves them waits for the
	// poll's end, or Stop for all of it, and waiting is how many wait for mu.
	asked   atomic.Bool
	waiting atomic.Int32
}

func newSession(ctx context.Context, c *Consumer) *session {
	s := &session{c: c, ctx: ctx, began: time.Now(), ready: make(chan struct{}), ours: map[place]bool{}, lanes: map[place]*lane{}, shards: map[int32]tickstorm.Handler{}, room: maxMetadata, patience: c.cfg.patience()}
	s.life, s.kill = context.WithCancel(context.Background())
	return s
}

var (
	errSilent  = errors.New("kafka: the group has not heard of this consumer")
	errUnbegun = errors.New("kafka: a partition cannot be begun")
)

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
		kgo.MetadataMaxAge(c.cfg.Discover), kgo.WithHooks(s), kgo.WithContext(s.life),
		kgo.AdjustFetchOffsetsFn(s.assigned), kgo.OnPartitionsAssigned(s.joined), kgo.OnPartitionsRevoked(s.gone), kgo.OnPartitionsLost(s.gone),
		kgo.OnPartitionsCallbackBlocked(func(context.Context, *kgo.Client) { s.asked.Store(true) }),
	)
}

// session joins the group and reads until something ends that.
func (c *Consumer) session(ctx context.Context) (err error) {
	s := newSession(ctx, c)
	defer s.kill()
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
			stopPolling() // first: asked is cleared when handlers have returned, and then nothing else is to be polled
			s.asked.Store(true)
		case <-stop:
		}
	})
	if err := s.knock(polling); err != nil {
		return err
	}
	for {
		err := s.poll(ctx, polling)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil: // the group may still count on this consumer, which may save what it has handled
			saving, cancel := context.WithTimeout(ctx, c.cfg.Lease)
			defer cancel()
			s.settle(saving)
			return err
		case polling.Err() != nil:
			s.settle(ctx)
			return ctx.Err()
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
	joining, stuck, fatal, waits := s.joining, s.stuck, s.fatal, len(s.hand) > 0
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
	var fetched kgo.Fetches
	switch {
	case stuck:
		s.again(wait)
	case !waits:
		fetched = s.client.PollFetches(wait)
		defer s.client.AllowRebalance()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fatal != nil {
		return s.fatal
	}
	if err := s.take(fetched); err != nil {
		return err
	}
	if s.joining { // since the poll began
		return nil
	}
	if !stuck { // else another would handle again what is handled now
		err := s.handle(ctx)
		if ctx.Err() != nil { // handlers that have let go since then have not handled what they were told: nobody saves it
			s.over = true
			return ctx.Err()
		}
		if err != nil || !s.dirty() || !s.due() {
			return err
		}
	}
	err := s.save(ctx, s.all(), false)
	s.stuck = err != nil && !isAny(err, unheard) // who removes a topic holds up no other
	if isAny(err, takenAway) || errors.Is(err, sink.ErrFenced) || Refused(err) {
		return err
	}
	return nil
}

// due reports whether it is time to save.
func (s *session) due() bool { return time.Since(s.saved) >= s.c.cfg.Save }

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

// take has in hand what has come of lanes.
func (s *session) take(fetched kgo.Fetches) (failed error) {
	fetched.EachPartition(func(p kgo.FetchTopicPartition) {
		l := s.lanes[place{p.Topic, p.Partition}]
		if p.Err != nil {
			err := s.failed(p.Err)
			if err == nil && l == nil && s.ours[place{p.Topic, p.Partition}] { // the client library will not try again
				err = fmt.Errorf("%w: %s/%d: %w", errUnbegun, p.Topic, p.Partition, p.Err)
			}
			failed = errors.Join(failed, err)
		}
		if l != nil && len(p.Records) > 0 {
			s.hand = append(s.hand, batch{l, p.Records, p.LogStartOffset})
		}
	})
	return failed
}

// handle has handlers called with what is in hand, one after the other if they are one, until it is time to
// save or partitions are to move. The rest stays in hand.
func (s *session) handle(ctx context.Context) error {
	shares := map[int32][]*batch{} // by partition
	for i := range s.hand {
		b := &s.hand[i]
		share := b.partition
		if s.c.notices != nil {
			share = 0
		}
		shares[share] = append(shares[share], b)
	}
	errs := make(chan error, len(shares))
	var others sync.WaitGroup
	for _, share := range shares {
		do := func() {
			for _, b := range share {
				if err := s.records(ctx, b); err != nil {
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
	s.asked.Store(false)
	s.hand = slices.DeleteFunc(s.hand, func(b batch) bool { return len(b.records) == 0 })
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

// records tells a lane's handler what has come, and takes it out of the batch.
func (s *session) records(ctx context.Context, b *batch) error {
	l := b.lane
	if !s.leased() {
		return errSilent
	}
	if first := b.records[0].Offset; l.next >= 0 && first > l.next && b.logStart > l.next {
		missing := min(first, b.logStart) - l.next
		l.next, l.epoch, l.dirty = l.next+missing, -1, true
		s.expired(l, missing)
	}
	foreign, told := uint64(0), 0
	for _, r := range b.records {
		if s.asked.Load() || s.waiting.Load() > 0 {
			break
		}
		if l.ticks++; l.ticks%64 == 1 {
			if !s.leased() {
				return errSilent
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if told > 0 && s.due() {
				break
			}
		}
		if s.c.notices != nil && l.form == formNotice {
			s.c.notices.next(r)
		}
		if err := tell(l.told, l.form, r); err != nil {
			foreign++
		}
		l.next, l.epoch, l.dirty = r.Offset+1, r.LeaderEpoch, true
		told++
		if l.ticks%64 == 1 {
			s.tally(l, foreign, true)
			foreign = 0
		}
	}
	b.records = b.records[told:]
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

// settle saves all that was handled, however often that has to be tried. Between tries partitions may
// go, which saves theirs.
func (s *session) settle(ctx context.Context) {
	for began := time.Now(); ; {
		s.mu.Lock()
		err := s.save(ctx, s.all(), true)
		s.mu.Unlock()
		if err == nil || s.hopeless(err, began) || !s.again(ctx) {
			return
		}
	}
}

// hopeless reports whether watermarks that could not be saved since some time never will be. A broker may
// not have heard of a new topic yet; but one that was removed it never hears of again.
func (s *session) hopeless(err error, began time.Time) bool {
	return isAny(err, takenAway) || Refused(err) || isAny(err, unheard) && time.Since(began) > s.c.cfg.Lease
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
	if err := s.client.LeaveGroupContext(leaving); err != nil { // it waits for a join that is under way
		s.abandon()
	}
	s.client.CloseAllowingRebalance()
}

// abandon leaves the group in the middle of a join, for which others may keep this one waiting, or nobody
// may answer at all. If that does not come through, the lease ends by itself.
func (s *session) abandon() {
	defer s.kill()
	leaving, cancel := context.WithTimeout(context.Background(), s.c.cfg.patience())
	defer cancel()
	leave, member := kmsg.NewPtrLeaveGroupRequest(), kmsg.NewLeaveGroupRequestMember()
	member.MemberID, _ = s.client.GroupMetadata()
	leave.Group, leave.MemberID, leave.Members = s.c.cfg.Group, member.MemberID, append(leave.Members, member)
	if member.MemberID != "" {
		_, _ = leave.RequestWith(leaving, s.client)
	}
}
