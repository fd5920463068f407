package nats_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	machine "github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
	sinknats "github.com/tickstorm/tickstorm/sink/nats"
	"github.com/tickstorm/tickstorm/sink/nats/embedded"
	"github.com/tickstorm/tickstorm/sink/nats/internal/fixture"
)

// TestMadeAnew: a stream that is removed is made anew by the sink, and counts from 1 again: consumers
// miss nothing of it, whether they were there meanwhile or not, and whether it is as long already as
// the one before.
func TestMadeAnew(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		there bool // the consumer, meanwhile
		more  int
	}{{"shorter", false, 10}, {"longer", false, 150}, {"under a consumer", true, 10}, {"under a consumer, longer", true, 150}} {
		t.Run(c.name, func(t *testing.T) {
			cluster := fixture.Start(t, 1)
			nc := fixture.Connect(t, cluster)
			js, err := jetstream.New(nc)
			require.NoError(t, err)
			dir := t.TempDir()
			tp := sinktest.NewTape(t, dir, false)
			b := sinktest.NewBooks()
			newConsumer := func() *sinktest.Runs {
				return fixture.GoConsumer(t, fixture.Connect(t, cluster), sinknats.ConsumerConfig{Handler: sinktest.Ear{Books: b}})
			}
			s := fixture.GoSink(t, nc, dir, filepath.Join(t.TempDir(), "cursor"), true, sinknats.Config{})
			tp.Say(100)
			consumer := newConsumer()
			b.Whole(t, tp.Said(), 0, 1)
			if !c.there {
				consumer.Halt(t)
			}
			require.NoError(t, js.DeleteStream(t.Context(), "md_stocks"))
			tp.Say(c.more)
			require.Eventually(t, func() bool {
				s, err := js.Stream(t.Context(), "md_stocks")
				return err == nil && int(s.CachedInfo().State.Msgs) == 3*c.more
			}, sinktest.Patience, 5*time.Millisecond)
			if !c.there {
				consumer = newConsumer()
			}
			b.Whole(t, tp.Said(), 1, 1) // what the stream had, and was not read, is missing
			s.Halt(t)
			consumer.Halt(t)
		})
	}
}

// TestForgotten: a server that lost the last it had acknowledged, such as by a power cut, gives the
// same numbers to other messages: consumers miss none of these.
func TestForgotten(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		there bool // the consumer, meanwhile
		more  int
	}{{"beside a consumer", true, 20}, {"without", false, 20}, {"without, longer than before", false, 100}} {
		t.Run(c.name, func(t *testing.T) {
			folder, before := t.TempDir(), filepath.Join(t.TempDir(), "before")
			cluster, err := embedded.Start(embedded.Config{Dir: folder, Host: machine.Loopback(), Patience: sinktest.Patience})
			require.NoError(t, err)
			t.Cleanup(cluster.Close)
			dir := t.TempDir()
			tp := sinktest.NewTape(t, dir, false)
			b := sinktest.NewBooks()
			marks, err := sink.OpenWatermarks(filepath.Join(t.TempDir(), "marks"))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, marks.Close()) })
			newConsumer := func() *sinktest.Runs {
				return fixture.GoConsumer(t, fixture.Connect(t, cluster), sinknats.ConsumerConfig{Handler: sinktest.Ear{Books: b}, Watermarks: marks, Lease: time.Second})
			}
			s := fixture.GoSink(t, fixture.Connect(t, cluster), dir, filepath.Join(t.TempDir(), "cursor"), true, sinknats.Config{})
			tp.Say(50)
			consumer := newConsumer()
			b.Whole(t, tp.Said(), 0, 1)
			cluster.Kill(0)
			require.NoError(t, os.CopyFS(before, os.DirFS(folder)))
			require.NoError(t, cluster.Restart(0))
			tp.Say(50)
			b.Whole(t, tp.Said(), 0, 1)
			if !c.there {
				consumer.Halt(t)
			}
			cluster.Kill(0)
			require.NoError(t, os.RemoveAll(folder))
			require.NoError(t, os.CopyFS(folder, os.DirFS(before)))
			require.NoError(t, cluster.Restart(0))
			tp.Say(c.more)
			if !c.there {
				nc := fixture.Connect(t, cluster)
				require.Eventually(t, func() bool { return streamMessages(t, nc, "md_stocks") == uint64(3*(50+c.more)) }, sinktest.Patience, 5*time.Millisecond)
				consumer = newConsumer()
			}
			b.Whole(t, tp.Said(), 1, 1) // what the stream had, and was not read, is missing
			s.Halt(t)
			consumer.Halt(t)
		})
	}
}
