package kafka_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
	sinkkafka "github.com/tickstorm/tickstorm/sink/kafka"
)

// This file is what becomes of what was handled when a group moves just then.

// group is the one of a test's consumers.
const group = "tickstorm"

// expel has the group give up a member, as if it had been silent for a lease.
func (c *cluster) expel(t testing.TB) {
	t.Helper()
	cl := c.client(t)
	described, err := kadm.NewClient(cl).DescribeGroups(t.Context(), group)
	require.NoError(t, err)
	require.Len(t, described[group].Members, 1)
	leave, member := kmsg.NewPtrLeaveGroupRequest(), kmsg.NewLeaveGroupRequestMember()
	member.MemberID = described[group].Members[0].MemberID
	leave.Group, leave.Members = group, append(leave.Members, member)
	left, err := leave.RequestWith(t.Context(), cl)
	require.NoError(t, err)
	require.Zero(t, left.ErrorCode)
	require.Zero(t, left.Members[0].ErrorCode)
}

// held is a request that a broker does not look at until it is let go.
type held struct {
	came, let chan struct{}
	once      sync.Once
}

// hold has the next request of a kind held.
func (c *cluster) hold(t testing.TB, key kmsg.Key) *held {
	h := &held{came: make(chan struct{}), let: make(chan struct{})}
	t.Cleanup(h.release)
	var first atomic.Bool
	c.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
		if first.CompareAndSwap(false, true) {
			close(h.came)
			c.SleepControl(func() { <-h.let })
		}
		return nil, nil, false
	})
	return h
}

func (h *held) release() { h.once.Do(func() { close(h.let) }) }

// moves has the consumers of a group notice a topic that is new, and with it that partitions move.
func (c *cluster) moves(t testing.TB) {
	t.Helper()
	looks := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Observe: true, Count: -1})
	defer looks.Remove()
	require.NoError(t, c.CreateTopic("md.stocks.A", 1, nil))
	require.NoError(t, looks.Wait(t.Context(), 5)) // the first of which were acted upon
}

// come counts records that have come to a client and wait in it.
type come struct{ n atomic.Int64 }

func (c *come) OnFetchRecordBuffered(*kgo.Record) { c.n.Add(1) }

// await waits until so many have.
func (c *come) await(t testing.TB, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return c.n.Load() >= int64(n) }, sinktest.Patience, time.Millisecond)
}

// gated waits behind so many elements until it may go on.
type gated struct {
	sinktest.Ear
	came, let chan struct{}
	left      *atomic.Int64
}

func newGated(b *sinktest.Books, behind int) gated {
	g := gated{sinktest.Ear{Books: b}, make(chan struct{}), make(chan struct{}), new(atomic.Int64)}
	g.left.Store(int64(behind))
	return g
}

func (g gated) OnTrade(t *tickstorm.Trade) {
	if g.left.Add(-1) == -1 {
		close(g.came)
		<-g.let
	}
	g.Ear.OnTrade(t)
}

// TestCutOffWhileJoining: who is cut off while partitions move, and never comes back, has saved all that it
// has handled: it handles nothing until it has joined again, though something has come, and does not join
// while the cluster refuses to save.
func TestCutOffWhileJoining(t *testing.T) {
	t.Parallel()
	layout := sinkkafka.Layout{Partitions: 1}
	for name, refusals := range map[string]int{"with something in hand": 0, "after refusals": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, tp, s := told(t, false, sinkkafka.Config{Layout: layout}, 20)
			require.Eventually(t, func() bool { return c.stored("md.stocks.T") == tp.Said() }, sinktest.Patience, time.Millisecond)
			direct := c.at()
			c.behindProxies(t)
			at, has := c.at(), &come{}
			at.Options = append(at.Options, kgo.WithHooks(has))
			b := sinktest.NewBooks()
			g := newGated(b, 0)
			first := c.goConsumer(t, sinkkafka.ConsumerConfig{Cluster: at, Layout: layout, Handler: g, Save: time.Hour, Lease: time.Minute})
			<-g.came
			before := tp.Said()
			tp.Say(20)
			has.await(t, before+1)
			if refusals > 0 {
				c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.RebalanceInProgress, Count: refusals})
			}
			joins := c.hold(t, kmsg.JoinGroup)
			c.moves(t)
			close(g.let)
			<-joins.came
			c.cut(true)
			c.expel(t)
			second := c.goConsumer(t, sinkkafka.ConsumerConfig{Cluster: direct, Layout: layout, Handler: sinktest.Ear{Books: b}})
			b.Whole(t, tp.Said(), 0, 1)
			first.Kill()
			second.Halt(t)
			s.Halt(t)
			b.Whole(t, tp.Said(), 0, 1)
		})
	}
}

// TestExpelledWhileJoining: who was given up while it joined, and joins as another, does not go on where it
// was: others have been further since.
func TestExpelledWhileJoining(t *testing.T) {
	t.Parallel()
	layout := sinkkafka.Layout{Partitions: 1}
	c, tp, s := told(t, false, sinkkafka.Config{Layout: layout}, 20)
	b := sinktest.NewBooks()
	cfg := sinkkafka.ConsumerConfig{Layout: layout, Handler: sinktest.Ear{Books: b}, Lease: time.Minute}
	first := c.goConsumer(t, cfg)
	b.Await(t, tp.Said())
	joins := c.hold(t, kmsg.JoinGroup)
	c.moves(t)
	<-joins.came
	c.expel(t)
	second := c.goConsumer(t, cfg)
	tp.Say(20)
	b.Await(t, tp.Said())
	second.Halt(t)
	joins.release()
	tp.Say(20)
	b.Whole(t, tp.Said(), 0, 1)
	first.Halt(t)
	s.Halt(t)
	b.Whole(t, tp.Said(), 0, 1)
}

// TestStopWhileJoining: a consumer that is stopped while a join of its is not answered leaves the group all
// the same, which then waits for it no longer.
func TestStopWhileJoining(t *testing.T) {
	t.Parallel()
	c := start(t)
	require.NoError(t, c.CreateTopic("md.stocks.T", 1, nil))
	consumer := c.consumer(t, sinkkafka.ConsumerConfig{Layout: sinkkafka.Layout{Partitions: 1}, Handler: tickstorm.NopHandler{}, Lease: time.Minute})
	r := sinktest.Go(consumer.Run, consumer.Stop, nil)
	require.Eventually(t, func() bool { return consumer.Stats().Partitions == 1 }, sinktest.Patience, time.Millisecond)
	joins := c.hold(t, kmsg.JoinGroup)
	c.moves(t)
	<-joins.came
	r.Halt(t)
	described, err := kadm.NewClient(c.client(t)).DescribeGroups(t.Context(), group)
	require.NoError(t, err)
	require.Empty(t, described[group].Members)
}

// TestEndsWithError: a consumer that ends with an error has saved what it handled.
func TestEndsWithError(t *testing.T) {
	t.Parallel()
	c, tp, s := told(t, true, sinkkafka.Config{}, 50)
	b := sinktest.NewBooks()
	first := c.goConsumer(t, sinkkafka.ConsumerConfig{Handler: sharded{sinktest.Ear{Books: b}}, Save: time.Hour})
	b.Await(t, tp.Said())
	forbids := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "md.stocks.T", Err: kerr.TopicAuthorizationFailed, Count: -1})
	tp.Say(1)
	err := first.Wait()
	require.True(t, sinkkafka.Refused(err), err)
	forbids.Remove()
	second := c.goConsumer(t, sinkkafka.ConsumerConfig{Handler: sharded{sinktest.Ear{Books: b}}})
	tp.Say(50)
	b.Whole(t, tp.Said(), 0, 1)
	second.Halt(t)
	s.Halt(t)
	b.Whole(t, tp.Said(), 0, 1)
}

// TestStopRefused: a consumer that is stopped saves what it handled, though brokers refuse that at first.
func TestStopRefused(t *testing.T) {
	t.Parallel()
	for _, refusal := range []*kerr.Error{
		kerr.IllegalGeneration, kerr.RebalanceInProgress, kerr.UnknownTopicID, kerr.UnknownTopicOrPartition, kerr.CoordinatorNotAvailable, kerr.OffsetMetadataTooLarge,
	} {
		t.Run(refusal.Message, func(t *testing.T) {
			t.Parallel()
			c, tp, s := told(t, true, sinkkafka.Config{}, 20)
			b := sinktest.NewBooks()
			first := c.goConsumer(t, sinkkafka.ConsumerConfig{Handler: sharded{sinktest.Ear{Books: b}}, Save: time.Hour})
			b.Await(t, tp.Said())
			commits := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: refusal, Count: 2})
			first.Halt(t)
			require.NotZero(t, commits.Hits())
			second := c.goConsumer(t, sinkkafka.ConsumerConfig{Handler: sharded{sinktest.Ear{Books: b}}})
			tp.Say(20)
			b.Whole(t, tp.Said(), 0, 1)
			second.Halt(t)
			s.Halt(t)
			b.Whole(t, tp.Said(), 0, 1)
		})
	}
}

// stuck are watermarks that move no more from some time on, though lanes come and go.
type stuck struct {
	*sinktest.LedgerClient
	mu  sync.Mutex
	at  map[string]uint64 // offsets, by lane
	now bool
}

func (s *stuck) Save(ctx context.Context, lane string, w *sink.Watermark) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now && w.Offset != s.at[lane] {
		return errors.New("no room")
	}
	err := s.LedgerClient.Save(ctx, lane, w)
	if err == nil {
		s.at[lane] = w.Offset
	}
	return err
}

func (s *stuck) stick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = true
}

// TestLaneComesBack: what a lane's handler was told and did not keep before the lane went is told to the
// next, though the lane comes back to the same consumer before that.
func TestLaneComesBack(t *testing.T) {
	t.Parallel()
	layout := sinkkafka.Layout{Partitions: 2}
	c, tp, s := told(t, false, sinkkafka.Config{Layout: layout}, 20)
	l := sinktest.NewLedger()
	end := &stuck{LedgerClient: l.Client(), at: map[string]uint64{}}
	before := c.goConsumer(t, sinkkafka.ConsumerConfig{Layout: layout, Lanes: end.Lane, Watermarks: end})
	l.Await(t, tp.Said())
	before.Halt(t)
	end.stick()
	told := tp.Said()
	tp.Say(20)
	consumer := c.consumer(t, sinkkafka.ConsumerConfig{Layout: layout, Lanes: end.Lane, Watermarks: end, Save: time.Hour, Lease: time.Second})
	first := sinktest.Go(consumer.Run, consumer.Stop, nil)
	require.Eventually(t, func() bool { return consumer.Stats().Rows == uint64(tp.Said()-told) }, sinktest.Patience, time.Millisecond)
	var killed context.Context
	idle := c.consumer(t, sinkkafka.ConsumerConfig{Layout: layout, Lanes: func(string) tickstorm.Handler { // which is told nothing
		<-killed.Done()
		return tickstorm.NopHandler{}
	}, Watermarks: l.Client()})
	second := sinktest.Go(func(ctx context.Context) error {
		killed = ctx
		return idle.Run(ctx)
	}, idle.Stop, nil)
	require.Eventually(t, func() bool { return consumer.Stats().Fenced > 0 }, sinktest.Patience, time.Millisecond)
	second.Kill()
	require.Eventually(t, func() bool { return consumer.Stats().Partitions == layout.Partitions }, sinktest.Patience, time.Millisecond)
	first.Kill()
	other := l.Client()
	third := c.goConsumer(t, sinkkafka.ConsumerConfig{Layout: layout, Lanes: other.Lane, Watermarks: other})
	l.Whole(t, tp.Said(), 0, 1)
	third.Halt(t)
	s.Halt(t)
	l.Whole(t, tp.Said(), 0, 1)
}

// slow is a handler that takes its time as long as another has been told nothing.
type slow struct {
	sinktest.Ear
	until <-chan struct{}
}

func (s slow) OnTrade(t *tickstorm.Trade) {
	select {
	case <-s.until:
	case <-time.After(10 * time.Millisecond):
	}
	s.Ear.OnTrade(t)
}

// TestGivesWay: a consumer whose handler is slow does not keep others waiting until it has handled all that
// has come.
func TestGivesWay(t *testing.T) {
	t.Parallel()
	c := start(t)
	dir, said := sinktest.Recorded(t, false, 2000)
	layout := sinkkafka.Layout{Partitions: 2}
	_, err := run(t, c.newEngine(t, sinkkafka.Config{Layout: layout}), dir, sink.Config{})
	require.NoError(t, err)
	b := sinktest.NewBooks()
	g := newGated(b, 0)
	close(g.let)
	consumer := c.consumer(t, sinkkafka.ConsumerConfig{Layout: layout, Handler: slow{sinktest.Ear{Books: b}, g.came}, Lease: 2 * time.Second})
	first := sinktest.Go(consumer.Run, consumer.Stop, nil)
	require.Eventually(t, func() bool { return b.Count() > 0 }, sinktest.Patience, time.Millisecond)
	second := c.goConsumer(t, sinkkafka.ConsumerConfig{Layout: layout, Handler: g})
	<-g.came
	require.Less(t, consumer.Stats().Rows, uint64(said/2))
	b.Whole(t, said, 0, 1)
	first.Halt(t)
	second.Halt(t)
	b.Whole(t, said, 0, 1)
}

// TestSavesAsItGoes: how far a consumer is it saves while it handles what has come at once, however much
// that is.
func TestSavesAsItGoes(t *testing.T) {
	t.Parallel()
	c := start(t)
	dir, said := sinktest.Recorded(t, false, 200)
	layout := sinkkafka.Layout{Partitions: 1}
	_, err := run(t, c.newEngine(t, sinkkafka.Config{Layout: layout}), dir, sink.Config{})
	require.NoError(t, err)
	b := sinktest.NewBooks()
	g := newGated(b, said-1)
	r := c.goConsumer(t, sinkkafka.ConsumerConfig{Layout: layout, Handler: g, Save: time.Nanosecond})
	<-g.came
	offsets, err := kadm.NewClient(c.client(t)).FetchOffsets(t.Context(), group)
	require.NoError(t, err)
	at, _ := offsets.Lookup("md.stocks.T", 0)
	require.GreaterOrEqual(t, at.At, int64(said-2*64))
	close(g.let)
	b.Whole(t, said, 0, 1)
	r.Halt(t)
}

// warnings counts those that a logger of it is given.
type warnings struct {
	slog.Handler
	n atomic.Int64
}

func (w *warnings) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

func (w *warnings) Handle(context.Context, slog.Record) error {
	w.n.Add(1)
	return nil
}

// TestUnsaved: while it cannot be saved how far a consumer is, nothing is handled, since whoever takes the
// partition would handle it again. It is not said each time.
func TestUnsaved(t *testing.T) {
	t.Parallel()
	c, tp, s := told(t, false, sinkkafka.Config{}, 10)
	b := sinktest.NewBooks()
	warned := &warnings{Handler: slog.DiscardHandler}
	r := c.goConsumer(t, sinkkafka.ConsumerConfig{Handler: sharded{sinktest.Ear{Books: b}}, Logger: slog.New(warned)})
	b.Await(t, tp.Said())
	commits := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.RebalanceInProgress, Count: -1})
	tp.Say(1) // so that there is something to save
	require.NoError(t, commits.Wait(t.Context(), 2))
	handled := b.Count()
	tp.Say(100)
	require.NoError(t, commits.Wait(t.Context(), commits.Hits()+5))
	require.Equal(t, handled, b.Count())
	require.Less(t, warned.n.Load(), int64(4)) // or what is slow as well
	commits.Remove()
	b.Whole(t, tp.Said(), 0, 1)
	r.Halt(t)
	s.Halt(t)
}

// TestBeginsAgain: a partition of which a broker does not say where to begin is not left alone for that.
func TestBeginsAgain(t *testing.T) {
	t.Parallel()
	c := start(t)
	dir, said := sinktest.Recorded(t, false, 20)
	_, err := run(t, c.newEngine(t, sinkkafka.Config{}), dir, sink.Config{})
	require.NoError(t, err)
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetFetch}, Partitions: []int32{0, 1, 2, 3, 4, 5, 6, 7}, Err: kerr.UnknownServerError, When: func(r kmsg.Request) bool {
		return r.(*kmsg.OffsetFetchRequest).RequireStable // the client library's own
	}})
	b := sinktest.NewBooks()
	r := c.goConsumer(t, sinkkafka.ConsumerConfig{Handler: sharded{sinktest.Ear{Books: b}}})
	b.Whole(t, said, 0, 1)
	r.Halt(t)
}

// TestSaveRefused: a consumer that the cluster lets save no more ends with that, as it does where it is not
// let read: nothing is polled while something is to be saved, and so nothing else would tell.
func TestSaveRefused(t *testing.T) {
	t.Parallel()
	for _, refusal := range []*kerr.Error{kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed} {
		t.Run(refusal.Message, func(t *testing.T) {
			t.Parallel()
			c, tp, s := told(t, false, sinkkafka.Config{}, 10)
			b := sinktest.NewBooks()
			r := c.goConsumer(t, sinkkafka.ConsumerConfig{Handler: sharded{sinktest.Ear{Books: b}}})
			b.Await(t, tp.Said())
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: refusal, Count: -1})
			tp.Say(1)
			err := r.Wait()
			require.True(t, sinkkafka.Refused(err), err)
			require.ErrorIs(t, err, refusal)
			s.Halt(t)
		})
	}
}

// leisurely are watermarks that are saved for nobody who has not three quarters of a lease's time, once
// they are slow.
type leisurely struct {
	*sinktest.LedgerClient
	lease time.Duration
	slow  atomic.Bool
}

func (l *leisurely) Save(ctx context.Context, lane string, w *sink.Watermark) error {
	if until, ok := ctx.Deadline(); ok && l.slow.Load() && time.Until(until) < l.lease*3/4 {
		<-ctx.Done()
		return ctx.Err()
	}
	return l.LedgerClient.Save(ctx, lane, w)
}

// TestSavesSlowly: where watermarks are saved slowly it is waited longer for that, and so it comes to an end,
// for a consumer that runs and for one that is stopped.
func TestSavesSlowly(t *testing.T) {
	t.Parallel()
	for name, save := range map[string]time.Duration{"as it goes": time.Millisecond, "when it stops": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			layout := sinkkafka.Layout{Partitions: 1}
			c, tp, s := told(t, false, sinkkafka.Config{Layout: layout}, 10)
			l := sinktest.NewLedger()
			end := &leisurely{LedgerClient: l.Client(), lease: 2 * time.Second}
			consumer := c.consumer(t, sinkkafka.ConsumerConfig{Layout: layout, Lanes: end.Lane, Watermarks: end, Save: save, Lease: end.lease})
			r := sinktest.Go(consumer.Run, consumer.Stop, nil)
			handled := func() bool { return consumer.Stats().Rows >= uint64(tp.Said()) }
			require.Eventually(t, handled, sinktest.Patience, time.Millisecond)
			end.slow.Store(true)
			if save < time.Hour {
				tp.Say(10)
				l.Await(t, tp.Said())
				end.slow.Store(false)
			}
			r.Halt(t)
			l.Whole(t, tp.Said(), 0, 1)
			s.Halt(t)
		})
	}
}

// TestBeginsInBetween: a partition that comes while a consumer is busy with what it has in hand is begun
// before all of that is handled.
func TestBeginsInBetween(t *testing.T) {
	t.Parallel()
	c := start(t)
	dir, said := sinktest.Recorded(t, false, 1000)
	layout := sinkkafka.Layout{Partitions: 1}
	_, err := run(t, c.newEngine(t, sinkkafka.Config{Layout: layout}), dir, sink.Config{})
	require.NoError(t, err)
	b := sinktest.NewBooks()
	begun := make(chan struct{})
	consumer := c.consumer(t, sinkkafka.ConsumerConfig{Layout: layout, Handler: slow{sinktest.Ear{Books: b}, begun}, Save: time.Hour})
	r := sinktest.Go(consumer.Run, consumer.Stop, nil)
	require.Eventually(t, func() bool { return b.Count() > 0 }, sinktest.Patience, time.Millisecond)
	before := consumer.Stats().Partitions
	fetches := c.hold(t, kmsg.OffsetFetch)
	require.NoError(t, c.CreateTopic("md.stocks.A", 1, nil))
	<-fetches.came
	at := b.Count()
	require.Eventually(t, func() bool { return b.Count() > at }, sinktest.Patience, time.Millisecond) // busy again
	fetches.release()
	require.Eventually(t, func() bool { return consumer.Stats().Partitions > before }, sinktest.Patience, time.Millisecond)
	handled := b.Count()
	close(begun)
	require.Less(t, handled, said/2)
	b.Whole(t, said, 0, 1)
	r.Halt(t)
}

// TestNeverBegins: a consumer with a partition that never begins has the group join anew less and less often.
func TestNeverBegins(t *testing.T) {
	t.Parallel()
	c := start(t)
	require.NoError(t, c.CreateTopic("md.stocks.T", 1, nil))
	refusals := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetFetch}, Partitions: []int32{0}, Err: kerr.UnknownServerError, Count: -1})
	r := c.goConsumer(t, sinkkafka.ConsumerConfig{Layout: sinkkafka.Layout{Partitions: 1}, Handler: tickstorm.NopHandler{}, Lease: 2 * time.Second})
	began := time.Now()
	require.NoError(t, refusals.Wait(t.Context(), 5))
	require.GreaterOrEqual(t, time.Since(began), (100+200+400+800)*time.Millisecond/2) // of which up to half is chance
	r.Halt(t)
}

// members are those of the group.
func (c *cluster) members(t testing.TB) (ids []string) {
	t.Helper()
	described, err := kadm.NewClient(c.client(t)).DescribeGroups(t.Context(), group)
	require.NoError(t, err)
	for _, m := range described[group].Members {
		ids = append(ids, m.MemberID)
	}
	return ids
}

// TestGoneUnbegun: a partition that could not be begun, and went to another before anybody looked at that, is
// no reason to begin anew.
func TestGoneUnbegun(t *testing.T) {
	t.Parallel()
	layout := sinkkafka.Layout{Partitions: 2}
	c, tp, s := told(t, false, sinkkafka.Config{Layout: layout}, 10)
	b := sinktest.NewBooks()
	cfg := sinkkafka.ConsumerConfig{Layout: layout, Handler: sinktest.Ear{Books: b}, Lease: time.Minute}
	first := c.goConsumer(t, cfg)
	b.Await(t, tp.Said())
	commits := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.IllegalGeneration, Count: -1})
	tp.Say(1)
	require.NoError(t, commits.Wait(t.Context(), 2)) // and so it polls no more
	begins := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetFetch}, Topic: "md.stocks.A", Partitions: []int32{1}, Err: kerr.UnknownServerError, When: func(r kmsg.Request) bool {
		return r.(*kmsg.OffsetFetchRequest).RequireStable
	}})
	require.NoError(t, c.CreateTopic("md.stocks.A", 2, nil))
	require.NoError(t, begins.Wait(t.Context(), 1))
	before := c.members(t)
	other := c.consumer(t, cfg)
	second := sinktest.Go(other.Run, other.Stop, nil)
	require.Eventually(t, func() bool { return other.Stats().Partitions == 2 }, sinktest.Patience, time.Millisecond)
	commits.Remove()
	tp.Say(10)
	b.Await(t, tp.Said())
	require.Subset(t, c.members(t), before)
	first.Halt(t)
	second.Halt(t)
	s.Halt(t)
}
