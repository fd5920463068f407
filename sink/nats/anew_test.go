package nats_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/sink"
	sinknats "github.com/tickstorm/tickstorm/sink/nats"
	"github.com/tickstorm/tickstorm/sink/nats/embedded"
)

// TestMadeAnew: a stream that is removed is made anew by the sink, and counts from 1 again: consumers
// miss nothing of it, whether they were there meanwhile or not, and whether it is as long already as
// the one before.
func TestMadeAnew(t *testing.T) {
	for _, c := range []struct {
		name  string
		there bool // the consumer, meanwhile
		more  int
	}{{"shorter", false, 10}, {"longer", false, 150}, {"under a consumer", true, 10}, {"under a consumer, longer", true, 150}} {
		t.Run(c.name, func(t *testing.T) {
			cluster := start(t, 1)
			nc := connect(t, cluster)
			js, err := jetstream.New(nc)
			require.NoError(t, err)
			dir := t.TempDir()
			tp := newTape(t, dir)
			b := newBooks()
			newConsumer := func() *runs {
				return goConsumer(t, connect(t, cluster), sinknats.ConsumerConfig{Handler: ear{books: b}})
			}
			s := goSink(t, nc, dir, filepath.Join(t.TempDir(), "cursor"), true, sinknats.Config{})
			tp.say(100)
			consumer := newConsumer()
			b.whole(t, tp.said(), 0, 1)
			if !c.there {
				consumer.halt(t)
			}
			require.NoError(t, js.DeleteStream(t.Context(), "md_stocks"))
			tp.say(c.more)
			require.Eventually(t, func() bool {
				s, err := js.Stream(t.Context(), "md_stocks")
				return err == nil && int(s.CachedInfo().State.Msgs) == 3*c.more
			}, patience, 5*time.Millisecond)
			if !c.there {
				consumer = newConsumer()
			}
			b.whole(t, tp.said(), 1, 1) // what the stream had, and was not read, is missing
			s.halt(t)
			consumer.halt(t)
		})
	}
}

// TestForgotten: a server that lost the last it had acknowledged, such as by a power cut, gives the
// same numbers to other messages: consumers miss none of these.
func TestForgotten(t *testing.T) {
	for name, there := range map[string]bool{"beside a consumer": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			folder, before := t.TempDir(), filepath.Join(t.TempDir(), "before")
			cluster, err := embedded.Start(embedded.Config{Dir: folder, Patience: patience})
			require.NoError(t, err)
			t.Cleanup(cluster.Close)
			dir := t.TempDir()
			tp := newTape(t, dir)
			b := newBooks()
			marks, err := sink.OpenWatermarks(filepath.Join(t.TempDir(), "marks"))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, marks.Close()) })
			newConsumer := func() *runs {
				return goConsumer(t, connect(t, cluster), sinknats.ConsumerConfig{Handler: ear{books: b}, Watermarks: marks})
			}
			s := goSink(t, connect(t, cluster), dir, filepath.Join(t.TempDir(), "cursor"), true, sinknats.Config{})
			tp.say(50)
			consumer := newConsumer()
			b.whole(t, tp.said(), 0, 1)
			cluster.Kill(0)
			require.NoError(t, os.CopyFS(before, os.DirFS(folder)))
			require.NoError(t, cluster.Restart(0))
			tp.say(50)
			b.whole(t, tp.said(), 0, 1)
			if !there {
				consumer.halt(t)
			}
			cluster.Kill(0)
			require.NoError(t, os.RemoveAll(folder))
			require.NoError(t, os.CopyFS(folder, os.DirFS(before)))
			require.NoError(t, cluster.Restart(0))
			tp.say(20)
			if !there {
				consumer = newConsumer()
			}
			b.whole(t, tp.said(), 1, 1) // what the stream had, and was not read, is missing
			s.halt(t)
			consumer.halt(t)
		})
	}
}
