package nats_test

import (
	"testing"
	"time"

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
	t.Parallel()
	cluster := fixture.Start(t, 1)
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, false)
	layout := sinknats.Layout{Partitions: 4}
	s := fixture.GoSink(t, fixture.Connect(t, cluster), dir, "", true, sinknats.Config{Layout: layout})
	sinktest.KillClients(t, tp, s, layout.Partitions, func(end *sinktest.LedgerClient) *sinktest.Runs {
		c := client{LedgerClient: end}
		return fixture.GoConsumer(t, fixture.Connect(t, cluster), sinknats.ConsumerConfig{Layout: layout, Handler: c, Watermarks: c, Lease: 300 * time.Millisecond})
	})
}

// TestKilledByDefault: without that, a killed consumer's successor repeats what was not saved, and
// nothing is missing.
func TestKilledByDefault(t *testing.T) {
	t.Parallel()
	cluster := fixture.Start(t, 1)
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, false)
	s := fixture.GoSink(t, fixture.Connect(t, cluster), dir, "", true, sinknats.Config{})
	sinktest.KillUnsaved(t, tp, s, func(e sinktest.Ear) *sinktest.Runs {
		return fixture.GoConsumer(t, fixture.Connect(t, cluster), sinknats.ConsumerConfig{Handler: e, Save: time.Hour, Lease: 300 * time.Millisecond})
	})
}
