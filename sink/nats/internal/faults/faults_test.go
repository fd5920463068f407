package faults

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/leak"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
	sinknats "github.com/tickstorm/tickstorm/sink/nats"
	"github.com/tickstorm/tickstorm/sink/nats/internal/fixture"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// lost waits until a connection is noticed to be.
func lost(t *testing.T, nc *nats.Conn) {
	t.Helper()
	require.Eventually(t, func() bool { return !nc.IsConnected() }, sinktest.Patience, time.Millisecond)
}

// TestFaults: while a market is recorded, sinks are killed, nodes of a cluster, the network on both
// sides is cut, slow, narrow or swallows what it is given, and consumers are stopped, at random. In the end the handlers of all consumers were told
// each element of the recording once, in the order of its symbol, and each gap in each partition.
func TestFaults(t *testing.T) {
	t.Parallel()
	const partitions, nodes = 3, 3
	cluster := fixture.Start(t, nodes)
	network, through := newProxies(t, strings.Split(cluster.URL(), ","))
	dial := func() *nats.Conn {
		nc, err := nats.Connect(through, nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond),
			nats.RetryOnFailedConnect(true), nats.IgnoreDiscoveredServers(), nats.PingInterval(time.Second))
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		return nc
	}
	dir, cursor := t.TempDir(), filepath.Join(t.TempDir(), "cursor")
	tp := sinktest.NewTape(t, dir, false)
	layout := sinknats.Layout{Prefix: "md", Partitions: partitions}
	limits := sinknats.Limits{Replicas: nodes}
	var sinkConn *nats.Conn
	newSink := func() *sinktest.Runs {
		sinkConn = dial()
		return fixture.GoSink(t, sinkConn, dir, cursor, true, sinknats.Config{Layout: layout, Limits: limits, Patience: time.Second})
	}
	b := sinktest.NewBooks()
	newConsumer := func() *sinktest.Runs {
		return fixture.GoConsumer(t, dial(), sinknats.ConsumerConfig{Layout: layout, Handler: sinktest.Ear{Books: b}, Replicas: nodes, Lease: 30 * time.Second})
	}
	s := newSink()
	consumers := []*sinktest.Runs{newConsumer(), newConsumer()}
	random := sinktest.Random(21)
	dead := -1
	const faults = 9
	for n := range sinktest.Turns(t, 12) {
		tp.Say(20 + random.IntN(100))
		if random.IntN(2) == 0 {
			tp.Gap()
		}
		what := random.IntN(faults)
		if n < faults {
			what = n // each once
		}
		mend := func() {}
		switch what {
		case 0:
			s.Kill()
			s = newSink()
		case 1:
			at := random.IntN(len(consumers))
			consumers[at].Halt(t)
			consumers[at] = newConsumer()
		case 2:
			if dead >= 0 {
				require.NoError(t, cluster.Restart(dead))
				dead = -1
			} else {
				dead = random.IntN(nodes)
				cluster.Kill(dead)
			}
		case 3:
			network.down()
			if random.IntN(2) == 0 {
				tp.Say(10)
			}
			network.up(t)
		case 4: // slow
			mend = network.spoil(t, `{"type":"latency","attributes":{"latency":30,"jitter":30}}`)
		case 5: // a message comes in pieces, whatever is in it
			mend = network.spoil(t, `{"type":"slicer","stream":"upstream","attributes":{"average_size":40,"size_variation":30,"delay":10}}`)
		case 6: // a network that takes less than comes
			mend = network.spoil(t, `{"type":"bandwidth","stream":"upstream","attributes":{"rate":50}}`)
		case 7: // reset in the middle of what is under way, and again when they are back
			reset := network.spoil(t, `{"type":"reset_peer","attributes":{"timeout":20}}`)
			tp.Say(10)
			lost(t, sinkConn)
			reset()
		case 8: // nothing comes through, and nobody is told
			hole := network.spoil(t, `{"type":"timeout","attributes":{"timeout":0}}`)
			tp.Say(10)
			lost(t, sinkConn)
			hole()
		}
		tp.Say(20 + random.IntN(100))
		if random.IntN(2) == 0 { // else at once, while all this is under way
			b.Await(t, tp.Said()*3/4)
		}
		mend()
	}
	if dead >= 0 {
		require.NoError(t, cluster.Restart(dead))
	}
	b.Whole(t, tp.Said(), tp.Gaps(), partitions)
	s.Halt(t)
	for _, c := range consumers {
		c.Halt(t)
	}
	b.Whole(t, tp.Said(), tp.Gaps(), partitions)
	require.Equal(t, tp.Said(), fixture.Elements(t, fixture.Connect(t, cluster), layout, tickstorm.Stocks), "the streams have each once")
}

// TestAway: a consumer whose network swallows all for longer than a lease is not in the way of the one that
// takes its partition, and once it is back neither handles nor saves what that one has: each event is
// handled once.
func TestAway(t *testing.T) {
	t.Parallel()
	cluster := fixture.Start(t, 1)
	network, through := newProxies(t, strings.Split(cluster.URL(), ","))
	nc := fixture.Connect(t, cluster)
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, false)
	s := fixture.GoSink(t, nc, dir, "", true, sinknats.Config{})
	b := sinktest.NewBooks()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	saved := func() { // all that was said
		t.Helper()
		require.Eventually(t, func() bool {
			var w sink.Watermark
			group, err := js.Stream(t.Context(), "md-group_tickstorm")
			if err != nil {
				return false
			}
			m, err := group.GetLastMsgForSubject(t.Context(), "md-group.tickstorm.mark."+sinknats.Layout{}.Lane(tickstorm.Stocks, 0))
			return err == nil && json.Unmarshal(m.Data, &w) == nil && w.Offset == uint64(tp.Said())
		}, sinktest.Patience, time.Millisecond)
	}
	newConsumer := func(nc *nats.Conn) *sinktest.Runs {
		return fixture.GoConsumer(t, nc, sinknats.ConsumerConfig{Handler: sinktest.Ear{Books: b}, Lease: time.Second})
	}
	away, err := nats.Connect(through, nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond), nats.IgnoreDiscoveredServers(), nats.PingInterval(time.Second))
	require.NoError(t, err)
	t.Cleanup(away.Close)
	first := newConsumer(away)
	for range sinktest.Turns(t, 2) {
		tp.Say(100)
		b.Await(t, tp.Said())
		saved()
		hole := network.spoil(t, `{"type":"timeout","attributes":{"timeout":0}}`)
		second := newConsumer(fixture.Connect(t, cluster))
		tp.Say(100)
		b.Await(t, tp.Said())
		saved()
		hole()
		tp.Say(100)
		b.Whole(t, tp.Said(), 0, 1)
		saved()
		second.Halt(t)
	}
	first.Halt(t)
	last := newConsumer(nc)
	tp.Say(10)
	b.Whole(t, tp.Said(), 0, 1)
	last.Halt(t)
	s.Halt(t)
}
