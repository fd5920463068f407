package nats_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
	sinknats "github.com/tickstorm/tickstorm/sink/nats"
	"github.com/tickstorm/tickstorm/sink/nats/internal/fixture"
)

// refusing are watermarks that cannot be saved while they refuse.
type refusing struct {
	sink.Watermarks
	mu      sync.Mutex
	refuse  bool
	refused chan struct{}
}

func (r *refusing) Save(ctx context.Context, lane string, w *sink.Watermark) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.refuse {
		return r.Watermarks.Save(ctx, lane, w)
	}
	select {
	case r.refused <- struct{}{}:
	default:
	}
	return errors.New("the disk is full")
}

func (r *refusing) set(refuse bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = refuse
}

// TestUnsaved: while watermarks cannot be saved nothing is handled, since whoever takes the partition
// would handle it again.
func TestUnsaved(t *testing.T) {
	t.Parallel()
	cluster := fixture.Start(t, 1)
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, false)
	s := fixture.GoSink(t, fixture.Connect(t, cluster), dir, "", true, sinknats.Config{})
	b := sinktest.NewBooks()
	file, err := sink.OpenWatermarks(filepath.Join(t.TempDir(), "marks"))
	require.NoError(t, err)
	defer file.Close()
	marks := &refusing{Watermarks: file, refused: make(chan struct{})}
	consumer := fixture.GoConsumer(t, fixture.Connect(t, cluster), sinknats.ConsumerConfig{Handler: sinktest.Ear{Books: b}, Watermarks: marks})
	tp.Say(10)
	b.Await(t, tp.Said())
	marks.set(true)
	tp.Say(1) // so that there is something to save
	<-marks.refused
	handled := b.Count()
	for range 20 {
		tp.Say(10)
		<-marks.refused
	}
	require.Equal(t, handled, b.Count())
	marks.set(false)
	b.Whole(t, tp.Said(), 0, 1)
	s.Halt(t)
	consumer.Halt(t)
}

// TestFenced: a consumer that another has taken the partition from lets go, and has it again once the other
// is gone.
func TestFenced(t *testing.T) {
	t.Parallel()
	cluster := fixture.Start(t, 1)
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, false)
	s := fixture.GoSink(t, fixture.Connect(t, cluster), dir, "", true, sinknats.Config{})
	b := sinktest.NewBooks()
	marks, err := sink.OpenWatermarks(filepath.Join(t.TempDir(), "marks"))
	require.NoError(t, err)
	defer marks.Close()
	c, err := sinknats.NewConsumer(fixture.Connect(t, cluster), sinknats.ConsumerConfig{
		Market: tickstorm.Stocks, Handler: sinktest.Ear{Books: b}, Watermarks: marks, Lease: time.Second, Save: time.Millisecond,
	})
	require.NoError(t, err)
	over := make(chan error, 1)
	go func() { over <- c.Run(t.Context()) }()
	tp.Say(10)
	b.Await(t, tp.Said())
	for n := range uint64(3) {
		lane := sinknats.Layout{}.Lane(tickstorm.Stocks, 0)
		require.Eventually(t, func() bool { // between two saves of the consumer's
			w, err := marks.Load(t.Context(), lane)
			require.NoError(t, err)
			w.Owner = "another"
			return w.Offset == uint64(tp.Said()) && marks.Save(t.Context(), lane, &w) == nil
		}, sinktest.Patience, time.Millisecond)
		tp.Say(10)
		b.Await(t, tp.Said())
		require.Eventually(t, func() bool { return c.Stats().Fenced == n+1 }, sinktest.Patience, time.Millisecond)
	}
	s.Halt(t)
	require.NoError(t, c.Stop(t.Context()))
	require.NoError(t, <-over)
}

// unanswered are watermarks that are saved without an answer while they do not answer.
type unanswered struct {
	sink.Watermarks
	silent atomic.Bool
	asked  chan struct{}
}

func (u *unanswered) Save(ctx context.Context, lane string, w *sink.Watermark) error {
	before := *w
	err := u.Watermarks.Save(ctx, lane, w)
	if err != nil || !u.silent.Load() {
		return err
	}
	*w = before
	select {
	case u.asked <- struct{}{}:
	default:
	}
	return errors.New("no answer")
}

// shards has a handler for each partition, which all write into the same books.
type shards struct{ sinktest.Ear }

func (s shards) Shard(int, int) tickstorm.Handler { return s.Ear }

// TestUnanswered: a partition that was to be a consumer's, which did not hear that it is, is not withheld
// from whoever is to have it next.
func TestUnanswered(t *testing.T) {
	t.Parallel()
	cluster := fixture.Start(t, 1)
	dir := t.TempDir()
	layout := sinknats.Layout{Partitions: 2}
	tp := sinktest.NewTape(t, dir, false)
	s := fixture.GoSink(t, fixture.Connect(t, cluster), dir, "", true, sinknats.Config{Layout: layout})
	tp.Say(10)
	file, err := sink.OpenWatermarks(filepath.Join(t.TempDir(), "marks"))
	require.NoError(t, err)
	defer file.Close()
	marks := &unanswered{Watermarks: file, asked: make(chan struct{}, 2)}
	marks.silent.Store(true)
	b := sinktest.NewBooks()
	cfg := sinknats.ConsumerConfig{Layout: layout, Handler: shards{sinktest.Ear{Books: b}}, Watermarks: marks}
	first := fixture.GoConsumer(t, fixture.Connect(t, cluster), cfg)
	<-marks.asked
	<-marks.asked
	cfg.Watermarks = file
	second := fixture.GoConsumer(t, fixture.Connect(t, cluster), cfg) // which has one partition, whichever that is
	b.Await(t, 1)
	marks.silent.Store(false)
	b.Whole(t, tp.Said(), 0, 1)
	first.Halt(t)
	second.Halt(t)
	s.Halt(t)
}

// TestLetGo: what comes to a handler while its consumer's context ends is not saved: it may have been
// left out.
func TestLetGo(t *testing.T) {
	t.Parallel()
	cluster := fixture.Start(t, 1)
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, false)
	s := fixture.GoSink(t, fixture.Connect(t, cluster), dir, "", true, sinknats.Config{})
	tp.Say(10)
	file, err := sink.OpenWatermarks(filepath.Join(t.TempDir(), "marks"))
	require.NoError(t, err)
	defer file.Close()
	b := sinktest.NewBooks()
	sinktest.EndInHandler(t, func(h tickstorm.Handler) func(context.Context) error {
		c, err := sinknats.NewConsumer(fixture.Connect(t, cluster), sinknats.ConsumerConfig{
			Market: tickstorm.Stocks, Handler: h, Watermarks: file, Lease: time.Second, Save: time.Nanosecond,
		})
		require.NoError(t, err)
		return c.Run
	})
	consumer := fixture.GoConsumer(t, fixture.Connect(t, cluster), sinknats.ConsumerConfig{Handler: sinktest.Ear{Books: b}, Watermarks: file, Lease: time.Second})
	b.Whole(t, tp.Said(), 0, 1)
	s.Halt(t)
	consumer.Halt(t)
}
