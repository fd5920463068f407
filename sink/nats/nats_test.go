package nats_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
	sinknats "github.com/tickstorm/tickstorm/sink/nats"
	"github.com/tickstorm/tickstorm/sink/nats/internal/fixture"
)

// TestThrough: what was recorded comes to the handler, once and in order, with what is missing; with
// any number of partitions and consumers.
func TestThrough(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                  string
		partitions, consumers int
	}{{"one", 1, 1}, {"shared", 4, 2}, {"idle consumers", 1, 3}} {
		t.Run(c.name, func(t *testing.T) {
			cluster := fixture.Start(t, 1)
			dir := t.TempDir()
			tp := sinktest.NewTape(t, dir, false)
			layout := sinknats.Layout{Partitions: c.partitions}
			b := sinktest.NewBooks()
			var consumers []*sinktest.Runs
			for range c.consumers { // before there is a stream
				consumers = append(consumers, fixture.GoConsumer(t, fixture.Connect(t, cluster), sinknats.ConsumerConfig{Layout: layout, Handler: sinktest.Ear{Books: b}}))
			}
			s := fixture.GoSink(t, fixture.Connect(t, cluster), dir, filepath.Join(t.TempDir(), "cursor"), true, sinknats.Config{Layout: layout})
			tp.Say(300)
			tp.Gap()
			tp.Say(300)
			b.Whole(t, tp.Said(), tp.Gaps(), c.partitions)
			s.Halt(t)
			for _, r := range consumers {
				r.Halt(t)
			}

			again := fixture.GoConsumer(t, fixture.Connect(t, cluster), sinknats.ConsumerConfig{Layout: layout, Handler: sinktest.Ear{Books: b}})
			other := sinktest.NewBooks()
			group := fixture.GoConsumer(t, fixture.Connect(t, cluster), sinknats.ConsumerConfig{Layout: layout, Handler: sinktest.Ear{Books: other}, Group: "other"})
			other.Whole(t, tp.Said(), tp.Gaps(), c.partitions)
			again.Halt(t)
			group.Halt(t)
			b.Whole(t, tp.Said(), tp.Gaps(), c.partitions)
		})
	}
}

// TestStreamOnce: however often a sink is killed, also where its cursor is lost, a stream has each
// row once.
func TestStreamOnce(t *testing.T) {
	t.Parallel()
	cluster := fixture.Start(t, 1)
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, false)
	nc := fixture.Connect(t, cluster)
	cursors := t.TempDir()
	b := sinktest.NewBooks()
	consumer := fixture.GoConsumer(t, fixture.Connect(t, cluster), sinknats.ConsumerConfig{Handler: sinktest.Ear{Books: b}})
	for n := range sinktest.Turns(t, 5) {
		random := sinktest.Random(uint64(n))
		cursor := filepath.Join(cursors, string(rune('a'+random.IntN(2))))
		s := fixture.GoSink(t, nc, dir, cursor, true, sinknats.Config{})
		tp.Say(100)
		b.Await(t, tp.Said()-random.IntN(300))
		s.Kill()
	}
	s := fixture.GoSink(t, nc, dir, filepath.Join(cursors, "new"), true, sinknats.Config{})
	b.Whole(t, tp.Said(), 0, 1)
	s.Halt(t)
	consumer.Halt(t)
	require.EqualValues(t, streamMessages(t, nc, "md_stocks"), tp.Said())
}

// TestMessageIDs: ids that a stream has seen are not stored again, and what is behind them is.
func TestMessageIDs(t *testing.T) {
	t.Parallel()
	cluster := fixture.Start(t, 1)
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, false)
	tp.Say(30)
	nc := fixture.Connect(t, cluster)
	cfg := sinknats.Config{MessageIDs: true}
	s := fixture.GoSink(t, nc, dir, "", true, cfg)
	b := sinktest.NewBooks()
	consumer := fixture.GoConsumer(t, fixture.Connect(t, cluster), sinknats.ConsumerConfig{Handler: sinktest.Ear{Books: b}})
	b.Await(t, tp.Said())
	s.Halt(t)
	removeLast(t, nc, "md_stocks") // so that the sink cannot know how far it was
	tp.Say(30)
	s = fixture.GoSink(t, nc, dir, "", true, cfg)
	b.Whole(t, tp.Said(), 0, 1)
	s.Halt(t)
	consumer.Halt(t)
	require.EqualValues(t, streamMessages(t, nc, "md_stocks"), tp.Said()-1)
}

// TestRepeats: a stream that has rows twice, since nobody could know what it had, tells them once.
func TestRepeats(t *testing.T) {
	t.Parallel()
	cluster := fixture.Start(t, 1)
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, false)
	tp.Say(30)
	nc := fixture.Connect(t, cluster)
	b := sinktest.NewBooks()
	consumer := fixture.GoConsumer(t, fixture.Connect(t, cluster), sinknats.ConsumerConfig{Handler: sinktest.Ear{Books: b}})
	for range 3 {
		s := fixture.GoSink(t, nc, dir, "", true, sinknats.Config{})
		b.Await(t, tp.Said())
		s.Halt(t)
		removeLast(t, nc, "md_stocks")
		tp.Say(10)
	}
	s := fixture.GoSink(t, nc, dir, "", true, sinknats.Config{})
	b.Whole(t, tp.Said(), 0, 1)
	s.Halt(t)
	consumer.Halt(t)
	require.Greater(t, streamMessages(t, nc, "md_stocks"), uint64(tp.Said()))
}
