package kafka_test

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
	sinkkafka "github.com/tickstorm/tickstorm/sink/kafka"
)

// errorsOfAll are faults that brokers answer with, by chance on any of their partitions.
var errorsOfAll = []kfake.Fault{
	{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotLeaderForPartition, Count: 2},
	{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.RequestTimedOut},
	{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicasAfterAppend, Count: 2},
	{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.OutOfOrderSequenceNumber},
	{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.UnknownServerError},
	{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.MessageTooLarge, Count: 3, When: severalRecords},
	{Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.NotLeaderForPartition, Count: 2},
	{Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.KafkaStorageError},
	{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.NotCoordinator, Count: 2},
	{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.RebalanceInProgress, Count: 2},
	{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.OffsetMetadataTooLarge, Count: 2},
	{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.IllegalGeneration},
	{Keys: []kmsg.Key{kmsg.OffsetFetch}, Err: kerr.CoordinatorLoadInProgress, Count: 2},
	{Keys: []kmsg.Key{kmsg.OffsetFetch}, Err: kerr.UnknownServerError},
	{Keys: []kmsg.Key{kmsg.JoinGroup}, Err: kerr.CoordinatorNotAvailable, TopLevel: true},
	{Keys: []kmsg.Key{kmsg.SyncGroup}, Err: kerr.RebalanceInProgress, TopLevel: true},
	{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.RebalanceInProgress, TopLevel: true, Count: 2},
}

// severalRecords reports whether all batches of a request can be halved.
func severalRecords(r kmsg.Request) bool {
	for _, topic := range r.(*kmsg.ProduceRequest).Topics {
		for _, p := range topic.Partitions {
			var b kmsg.RecordBatch
			if b.ReadFrom(p.Records) != nil || b.NumRecords < 2 {
				return false
			}
		}
	}
	return true
}

// TestFaults: while a market is recorded, sinks are killed, the network on both sides, leaders and
// coordinators move, brokers answer with errors, and consumers come and go, at random. In the end
// the handlers of all consumers were told each element of the recording once, in the order of its
// symbol, and each gap in each partition.
func TestFaults(t *testing.T) {
	t.Parallel()
	const partitions = 3
	c := start(t)
	c.behindProxies(t)
	dir, cursor := t.TempDir(), filepath.Join(t.TempDir(), "cursor")
	tp := sinktest.NewTape(t, dir, true)
	layout := sinkkafka.Layout{Partitions: partitions}
	newSink := func() *sinktest.Runs {
		return c.goSink(t, dir, cursor, sinkkafka.Config{Layout: layout, Patience: 2 * time.Second})
	}
	b := sinktest.NewBooks()
	newConsumer := func() *sinktest.Runs {
		return c.goConsumer(t, sinkkafka.ConsumerConfig{Layout: layout, Handler: sharded{sinktest.Ear{Books: b}}, Lease: 30 * time.Second})
	}
	s := newSink()
	consumers := []*sinktest.Runs{newConsumer(), newConsumer()}
	random := sinktest.Random(21)
	for n := range sinktest.Turns(t, 12) {
		tp.Say(20 + random.IntN(100))
		if random.IntN(2) == 0 {
			tp.Gap()
		}
		what := random.IntN(7)
		if n < 7 {
			what = n // each once
		}
		switch what {
		case 0:
			s.Kill()
			s = newSink()
		case 1:
			at := random.IntN(len(consumers))
			consumers[at].Halt(t)
			consumers[at] = newConsumer()
		case 2:
			consumers = append(consumers, newConsumer()) // in the middle
			tp.Say(10)
			consumers[0].Halt(t)
			consumers = consumers[1:]
		case 3:
			c.cut(false)
		case 4:
			c.cut(true)
			tp.Say(10)
			if random.IntN(2) == 0 {
				s.Kill() // whose last batch is under way
				s = newSink()
			}
			c.cut(false)
		case 5:
			c.ShufflePartitionLeaders()
			c.RehashCoordinators()
		case 6:
			for range 3 {
				c.Fault(errorsOfAll[random.IntN(len(errorsOfAll))])
			}
		}
		tp.Say(20 + random.IntN(100))
		if random.IntN(2) == 0 { // else at once, while all this is under way
			b.Await(t, tp.Said()*3/4)
		}
	}
	b.Whole(t, tp.Said(), tp.Gaps(), partitions)
	s.Halt(t)
	for _, r := range consumers {
		r.Halt(t)
	}
	b.Whole(t, tp.Said(), tp.Gaps(), partitions)
	inOrderTwice(t, c.records(t, "md.stocks.T", "md.stocks.Q"), tp.Said())
}

// TestEachError: each of these alone costs a consumer nothing, and its sink neither.
func TestEachError(t *testing.T) {
	t.Parallel()
	for _, f := range errorsOfAll {
		t.Run(f.Keys[0].Name()+" "+f.Err.Message, func(t *testing.T) {
			t.Parallel()
			c := start(t)
			dir := t.TempDir()
			tp := sinktest.NewTape(t, dir, true)
			b := sinktest.NewBooks()
			h := c.Fault(f)
			consumer := func() *sinktest.Runs {
				return c.goConsumer(t, sinkkafka.ConsumerConfig{Handler: sharded{sinktest.Ear{Books: b}}, Lease: 30 * time.Second})
			}
			s, first := c.goSink(t, dir, "", sinkkafka.Config{}), consumer()
			tp.Say(100)
			tp.Gap()
			b.Await(t, tp.Said()/2)
			second := consumer()
			tp.Say(100)
			b.Await(t, tp.Said())
			first.Halt(t)
			tp.Say(100)
			b.Whole(t, tp.Said(), 1, 8)
			require.Eventually(t, func() bool {
				tp.Say(1)
				return h.Hits() > 0
			}, sinktest.Patience, 5*time.Millisecond)
			b.Await(t, tp.Said())
			second.Halt(t)
			s.Halt(t)
			b.Whole(t, tp.Said(), 1, 8)
		})
	}
}

// TestSilent: a consumer that was cut off for longer than its lease has lost its partitions to
// another, and begins anew when it is back; nothing is missing.
func TestSilent(t *testing.T) {
	t.Parallel()
	c := start(t)
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, true)
	s := c.goSink(t, dir, "", sinkkafka.Config{})
	direct := c.at()
	c.behindProxies(t)
	b := sinktest.NewBooks()
	cfg := sinkkafka.ConsumerConfig{Handler: sharded{sinktest.Ear{Books: b}}, Lease: time.Second}
	cut := c.consumer(t, cfg)
	first := sinktest.Go(cut.Run, cut.Stop, nil)
	tp.Say(100)
	b.Await(t, tp.Said())
	c.cut(true)
	cfg.Cluster = direct
	second := c.goConsumer(t, cfg)
	tp.Say(100)
	b.Await(t, tp.Said())
	c.cut(false)
	tp.Say(100)
	require.Eventually(t, func() bool { return cut.Stats().Partitions == 8 }, sinktest.Patience, 5*time.Millisecond)
	tp.Say(100)
	b.Await(t, tp.Said())
	first.Halt(t)
	second.Halt(t)
	s.Halt(t)
	require.Equal(t, tp.Said(), b.Count())
}

// TestStopCutOff: a consumer and a sink that are told to stop and cannot say so to anybody end with
// the patience of who stops them.
func TestStopCutOff(t *testing.T) {
	t.Parallel()
	c := start(t)
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, true)
	c.behindProxies(t)
	b := sinktest.NewBooks()
	e := c.goSink(t, dir, "", sinkkafka.Config{})
	consumer := c.consumer(t, sinkkafka.ConsumerConfig{Handler: sinktest.Ear{Books: b}, Save: time.Hour, Lease: time.Second})
	r := sinktest.Go(consumer.Run, consumer.Stop, nil)
	tp.Say(100)
	b.Await(t, tp.Said())
	c.cut(true)
	tp.Say(10)
	patience, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, consumer.Stop(patience), context.DeadlineExceeded)
	r.Kill()
	e.Kill()
}

// stall holds the heartbeats that follow one, as long as it has to, as if the process stood still; others
// hear nothing of it meanwhile.
type stall struct {
	holds    atomic.Bool
	held     chan struct{}
	release  chan struct{}
	answered chan struct{} // has room for one: a heartbeat was answered after that
	over     atomic.Bool
	answers  atomic.Int32 // since
}

func (s *stall) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, _ error) {
	if key == int16(kmsg.Heartbeat) && s.holds.CompareAndSwap(true, false) {
		close(s.held)
		<-s.release
		s.over.Store(true)
	}
}

func (s *stall) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	if key == int16(kmsg.Heartbeat) && s.over.Load() && e2e.Err() == nil &&
		(s.answers.Add(1) > 1 || e2e.DurationE2E() < 500*time.Millisecond) { // not the one that was held
		select {
		case s.answered <- struct{}{}:
		default:
		}
	}
}

// TestStoodStill: a consumer that stood still for longer than its lease handles nothing more of what it
// had fetched, though a broker answers it: that it is no member.
func TestStoodStill(t *testing.T) {
	t.Parallel()
	c := start(t)
	dir, said := sinktest.Recorded(t, false, 100)
	layout := sinkkafka.Layout{Partitions: 1}
	_, err := run(t, c.newEngine(t, sinkkafka.Config{Layout: layout}), dir, sink.Config{})
	require.NoError(t, err)
	s := &stall{held: make(chan struct{}), release: make(chan struct{}), answered: make(chan struct{}, 1)}
	at := c.at()
	at.Options = append(at.Options, kgo.WithHooks(s))
	came, let := make(chan struct{}, 1), make(chan struct{})
	still := c.consumer(t, sinkkafka.ConsumerConfig{Cluster: at, Layout: layout, Handler: sinktest.LetGo{Came: came, Let: let}, Lease: 2 * time.Second})
	first := sinktest.Go(still.Run, still.Stop, nil)
	<-came
	s.holds.Store(true)
	<-s.held
	b := sinktest.NewBooks()
	second := c.goConsumer(t, sinkkafka.ConsumerConfig{Layout: layout, Handler: sinktest.Ear{Books: b}})
	b.Await(t, said)
	close(s.release)
	<-s.answered
	close(let)
	require.Eventually(t, func() bool { return still.Stats().Partitions == 0 }, sinktest.Patience, time.Millisecond)
	require.LessOrEqual(t, still.Stats().Rows, uint64(64))
	first.Halt(t)
	second.Halt(t)
}

// TestStopWhilePartitionsGo: a consumer that cannot save what goes to another ends with the patience of
// who stops it, however long the lease is.
func TestStopWhilePartitionsGo(t *testing.T) {
	t.Parallel()
	const lease = 20 * time.Second
	c := start(t)
	dir, said := sinktest.Recorded(t, false, 100)
	_, err := run(t, c.newEngine(t, sinkkafka.Config{}), dir, sink.Config{})
	require.NoError(t, err)
	b := sinktest.NewBooks()
	consumer := c.consumer(t, sinkkafka.ConsumerConfig{Handler: sinktest.Ear{Books: b}, Save: time.Hour, Lease: lease})
	first := sinktest.Go(consumer.Run, consumer.Stop, nil)
	b.Await(t, said)
	commits := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.CoordinatorNotAvailable, Count: -1})
	second := c.goConsumer(t, sinkkafka.ConsumerConfig{Handler: sinktest.Ear{Books: b}})
	require.Eventually(t, func() bool { return commits.Hits() > 5 }, sinktest.Patience, time.Millisecond)
	patience, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	require.ErrorIs(t, consumer.Stop(patience), context.DeadlineExceeded)
	require.Less(t, time.Since(began), lease*3/5)
	first.Kill()
	second.Kill()
}
