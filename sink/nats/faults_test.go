package nats_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
	sinknats "github.com/tickstorm/tickstorm/sink/nats"
)

// TestFaults: while a market is recorded, sinks are killed, nodes of a cluster, the network on both
// sides, and consumers are stopped, at random. In the end the handlers of all consumers were told
// each element of the recording once, in the order of its symbol, and each gap in each partition.
func TestFaults(t *testing.T) {
	const partitions, nodes = 3, 3
	cluster := start(t, nodes)
	urls := strings.Split(cluster.URL(), ",")
	var proxies []*proxy
	var through []string
	for _, u := range urls {
		p := newProxy(t, strings.TrimPrefix(u, "nats://"))
		proxies = append(proxies, p)
		through = append(through, p.url())
	}
	dial := func() *nats.Conn {
		nc, err := nats.Connect(strings.Join(through, ","), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond),
			nats.RetryOnFailedConnect(true), nats.IgnoreDiscoveredServers(), nats.PingInterval(time.Second))
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		return nc
	}
	dir, cursor := t.TempDir(), filepath.Join(t.TempDir(), "cursor")
	tp := newTape(t, dir)
	layout := sinknats.Layout{Partitions: partitions}
	limits := sinknats.Limits{Replicas: nodes}
	newSink := func() *runs {
		return goSink(t, dial(), dir, cursor, true, sinknats.Config{Layout: layout, Limits: limits, Patience: time.Second})
	}
	b := newBooks()
	newConsumer := func() *runs {
		return goConsumer(t, dial(), sinknats.ConsumerConfig{Layout: layout, Handler: ear{books: b}, Replicas: nodes, Lease: 30 * time.Second})
	}
	s := newSink()
	consumers := []*runs{newConsumer(), newConsumer()}
	random := random(21)
	dead := -1
	for n := range turns(t, 10) {
		tp.say(20 + random.IntN(100))
		if random.IntN(2) == 0 {
			tp.gap()
		}
		what := random.IntN(5)
		if n < 5 {
			what = n // each once
		}
		switch what {
		case 0:
			s.killed()
			s = newSink()
		case 1:
			at := random.IntN(len(consumers))
			consumers[at].halt(t)
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
			for _, p := range proxies {
				p.cut(false)
			}
		case 4:
			for _, p := range proxies {
				p.cut(true)
			}
			tp.say(10)
			for _, p := range proxies {
				p.cut(false)
			}
		}
		tp.say(20 + random.IntN(100))
		if random.IntN(2) == 0 { // else at once, while all this is under way
			b.await(t, tp.said()*3/4)
		}
	}
	if dead >= 0 {
		require.NoError(t, cluster.Restart(dead))
	}
	b.whole(t, tp.said(), tp.gaps, partitions)
	s.halt(t)
	for _, c := range consumers {
		c.halt(t)
	}
	b.whole(t, tp.said(), tp.gaps, partitions)
}

// ledger is a database, as a handler may have one: what it makes of events and the watermarks are
// written at once.
type ledger struct {
	mu    sync.Mutex
	marks map[string][]byte
	revs  map[string]uint64
	books *books
}

// shard is what one consumer has of a partition, and has not written yet.
type shard struct {
	tickstorm.NopHandler
	trades []tickstorm.Trade
	gaps   []tickstorm.Gap
}

func (s *shard) OnTrade(t *tickstorm.Trade) { s.trades = append(s.trades, *t.Clone()) }
func (s *shard) OnGap(g *tickstorm.Gap)     { s.gaps = append(s.gaps, *g) }

// client is a consumer's end of the database.
type client struct {
	tickstorm.NopHandler
	*ledger
	mu   sync.Mutex
	mine map[string]*shard
}

func (c *client) Shard(i, n int) tickstorm.Handler {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &shard{}
	c.mine[sinknats.Layout{Partitions: n}.Lane(tickstorm.Stocks, i)] = s
	return s
}

func (c *client) Load(_ context.Context, lane string) (w sink.Watermark, err error) {
	l := c.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if text := l.marks[lane]; text != nil {
		err = json.Unmarshal(text, &w)
	}
	w.Revision = l.revs[lane]
	return w, err
}

func (c *client) Save(_ context.Context, lane string, w *sink.Watermark) error {
	c.mu.Lock()
	s := c.mine[lane]
	c.mu.Unlock()
	l := c.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.Revision != l.revs[lane] {
		return sink.ErrFenced
	}
	text, err := json.Marshal(w)
	if err != nil || s == nil {
		return errors.Join(err, errors.New("no handler"))
	}
	for i := range s.trades {
		ear{books: l.books}.OnTrade(&s.trades[i])
	}
	for i := range s.gaps {
		ear{books: l.books}.OnGap(&s.gaps[i])
	}
	s.trades, s.gaps = nil, nil
	l.revs[lane]++
	l.marks[lane], w.Revision = text, l.revs[lane]
	return nil
}

// TestKilledConsumers: of consumers that are killed at any moment, and keep their watermarks with
// what they make of the events, each event has come to something once.
func TestKilledConsumers(t *testing.T) {
	cluster := start(t, 1)
	dir := t.TempDir()
	tp := newTape(t, dir)
	layout := sinknats.Layout{Partitions: 4}
	s := goSink(t, connect(t, cluster), dir, "", true, sinknats.Config{Layout: layout})
	l := &ledger{marks: map[string][]byte{}, revs: map[string]uint64{}, books: newBooks()}
	newConsumer := func() *runs {
		c := &client{ledger: l, mine: map[string]*shard{}}
		return goConsumer(t, connect(t, cluster), sinknats.ConsumerConfig{Layout: layout, Handler: c, Watermarks: c, Lease: 300 * time.Millisecond})
	}
	consumers := []*runs{newConsumer(), newConsumer()}
	random := random(22)
	for range turns(t, 8) {
		tp.say(100)
		tp.gap()
		l.books.await(t, random.IntN(tp.said()))
		at := random.IntN(len(consumers))
		consumers[at].killed()
		consumers[at] = newConsumer()
	}
	l.books.whole(t, tp.said(), tp.gaps, 4)
	s.halt(t)
	for _, c := range consumers {
		c.halt(t)
	}
	l.books.whole(t, tp.said(), tp.gaps, 4)
}

// TestKilledByDefault: without that, a killed consumer's successor repeats what was not saved, and
// nothing is missing.
func TestKilledByDefault(t *testing.T) {
	cluster := start(t, 1)
	dir := t.TempDir()
	tp := newTape(t, dir)
	s := goSink(t, connect(t, cluster), dir, "", true, sinknats.Config{})
	b := newBooks()
	for range turns(t, 4) {
		c := goConsumer(t, connect(t, cluster), sinknats.ConsumerConfig{Handler: ear{books: b}, Save: time.Hour, Lease: 300 * time.Millisecond})
		tp.say(30)
		b.await(t, tp.said())
		c.killed()
	}
	require.Greater(t, b.trades, tp.said())
	require.Len(t, b.told, tp.said())
	s.halt(t)
}
