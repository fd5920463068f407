package nats_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	sinknats "github.com/tickstorm/tickstorm/sink/nats"
)

// TestThrough: what was recorded comes to the handler, once and in order, with what is missing; with
// any number of partitions and consumers.
func TestThrough(t *testing.T) {
	for _, c := range []struct {
		name                  string
		partitions, consumers int
	}{{"one", 1, 1}, {"shared", 4, 2}, {"idle consumers", 1, 3}} {
		t.Run(c.name, func(t *testing.T) {
			cluster := start(t, 1)
			dir := t.TempDir()
			tp := newTape(t, dir)
			layout := sinknats.Layout{Partitions: c.partitions}
			b := newBooks()
			var consumers []*runs
			for range c.consumers { // before there is a stream
				consumers = append(consumers, goConsumer(t, connect(t, cluster), sinknats.ConsumerConfig{Layout: layout, Handler: ear{books: b}}))
			}
			s := goSink(t, connect(t, cluster), dir, filepath.Join(t.TempDir(), "cursor"), true, sinknats.Config{Layout: layout})
			tp.say(300)
			tp.gap()
			tp.say(300)
			b.whole(t, tp.said(), tp.gaps, c.partitions)
			s.halt(t)
			for _, r := range consumers {
				r.halt(t)
			}

			again := goConsumer(t, connect(t, cluster), sinknats.ConsumerConfig{Layout: layout, Handler: ear{books: b}})
			other := newBooks()
			group := goConsumer(t, connect(t, cluster), sinknats.ConsumerConfig{Layout: layout, Handler: ear{books: other}, Group: "other"})
			other.whole(t, tp.said(), tp.gaps, c.partitions)
			again.halt(t)
			group.halt(t)
			b.whole(t, tp.said(), tp.gaps, c.partitions)
		})
	}
}

// TestStreamOnce: however often a sink is killed, also where its cursor is lost, a stream has each
// row once.
func TestStreamOnce(t *testing.T) {
	cluster := start(t, 1)
	dir := t.TempDir()
	tp := newTape(t, dir)
	nc := connect(t, cluster)
	cursors := t.TempDir()
	b := newBooks()
	consumer := goConsumer(t, connect(t, cluster), sinknats.ConsumerConfig{Handler: ear{books: b}})
	for n := range turns(t, 5) {
		random := random(uint64(n))
		cursor := filepath.Join(cursors, string(rune('a'+random.IntN(2))))
		s := goSink(t, nc, dir, cursor, true, sinknats.Config{})
		tp.say(100)
		b.await(t, tp.said()-random.IntN(300))
		s.killed()
	}
	s := goSink(t, nc, dir, filepath.Join(cursors, "new"), true, sinknats.Config{})
	b.whole(t, tp.said(), 0, 1)
	s.halt(t)
	consumer.halt(t)
	require.EqualValues(t, streamMessages(t, nc, "md_stocks"), tp.said())
}

// TestMessageIDs: ids that a stream has seen are not stored again, and what is behind them is.
func TestMessageIDs(t *testing.T) {
	cluster := start(t, 1)
	dir := t.TempDir()
	tp := newTape(t, dir)
	tp.say(30)
	nc := connect(t, cluster)
	cfg := sinknats.Config{MessageIDs: true}
	s := goSink(t, nc, dir, "", true, cfg)
	b := newBooks()
	consumer := goConsumer(t, connect(t, cluster), sinknats.ConsumerConfig{Handler: ear{books: b}})
	b.await(t, tp.said())
	s.halt(t)
	removeLast(t, nc, "md_stocks") // so that the sink cannot know how far it was
	tp.say(30)
	s = goSink(t, nc, dir, "", true, cfg)
	b.whole(t, tp.said(), 0, 1)
	s.halt(t)
	consumer.halt(t)
	require.EqualValues(t, streamMessages(t, nc, "md_stocks"), tp.said()-1)
}

// TestRepeats: a stream that has rows twice, since nobody could know what it had, tells them once.
func TestRepeats(t *testing.T) {
	cluster := start(t, 1)
	dir := t.TempDir()
	tp := newTape(t, dir)
	tp.say(30)
	nc := connect(t, cluster)
	b := newBooks()
	consumer := goConsumer(t, connect(t, cluster), sinknats.ConsumerConfig{Handler: ear{books: b}})
	for range 3 {
		s := goSink(t, nc, dir, "", true, sinknats.Config{})
		b.await(t, tp.said())
		s.halt(t)
		removeLast(t, nc, "md_stocks")
		tp.say(10)
	}
	s := goSink(t, nc, dir, "", true, sinknats.Config{})
	b.whole(t, tp.said(), 0, 1)
	s.halt(t)
	consumer.halt(t)
	require.Greater(t, streamMessages(t, nc, "md_stocks"), uint64(tp.said()))
}
