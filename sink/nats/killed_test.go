package nats_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
	sinknats "github.com/tickstorm/tickstorm/sink/nats"
	"github.com/tickstorm/tickstorm/sink/nats/internal/fixture"
)

// client is a consumer's end of a ledger, whose partitions have handlers of their own.
type client struct {
	tickstorm.NopHandler
	*sinktest.LedgerClient
}

func (c client) Shard(i, n int) tickstorm.Handler {
	return c.Lane(sinknats.Layout{Partitions: n}.Lane(tickstorm.Stocks, i))
}

// TestKilledConsumers: of consumers that are killed at any moment, and keep their watermarks with
// what they make of the events, each event has come to something once.
func TestKilledConsumers(t *testing.T) {
	cluster := fixture.Start(t, 1)
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, false)
	layout := sinknats.Layout{Partitions: 4}
	s := fixture.GoSink(t, fixture.Connect(t, cluster), dir, "", true, sinknats.Config{Layout: layout})
	l := sinktest.NewLedger()
	newConsumer := func() *sinktest.Runs {
		c := client{LedgerClient: l.Client()}
		return fixture.GoConsumer(t, fixture.Connect(t, cluster), sinknats.ConsumerConfig{Layout: layout, Handler: c, Watermarks: c, Lease: 300 * time.Millisecond})
	}
	consumers := []*sinktest.Runs{newConsumer(), newConsumer()}
	random := sinktest.Random(22)
	for range sinktest.Turns(t, 8) {
		tp.Say(100)
		tp.Gap()
		l.Await(t, random.IntN(tp.Said()))
		at := random.IntN(len(consumers))
		consumers[at].Kill()
		consumers[at] = newConsumer()
	}
	l.Whole(t, tp.Said(), tp.Gaps(), 4)
	s.Halt(t)
	for _, c := range consumers {
		c.Halt(t)
	}
	l.Whole(t, tp.Said(), tp.Gaps(), 4)
}

// TestKilledByDefault: without that, a killed consumer's successor repeats what was not saved, and
// nothing is missing.
func TestKilledByDefault(t *testing.T) {
	cluster := fixture.Start(t, 1)
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, false)
	s := fixture.GoSink(t, fixture.Connect(t, cluster), dir, "", true, sinknats.Config{})
	b := sinktest.NewBooks()
	for range sinktest.Turns(t, 4) {
		c := fixture.GoConsumer(t, fixture.Connect(t, cluster), sinknats.ConsumerConfig{Handler: sinktest.Ear{Books: b}, Save: time.Hour, Lease: 300 * time.Millisecond})
		tp.Say(30)
		b.Await(t, tp.Said())
		c.Kill()
	}
	require.Greater(t, b.Calls(), tp.Said())
	require.Equal(t, tp.Said(), b.Count())
	s.Halt(t)
}
