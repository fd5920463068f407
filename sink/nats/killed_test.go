package nats_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
	sinknats "github.com/tickstorm/tickstorm/sink/nats"
	"github.com/tickstorm/tickstorm/sink/nats/internal/fixture"
)

// ledger is a database, as a handler may have one: what it makes of events and the watermarks are
// written at once.
type ledger struct {
	mu    sync.Mutex
	marks map[string][]byte
	revs  map[string]uint64
	books *fixture.Books
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
		fixture.Ear{Books: l.books}.OnTrade(&s.trades[i])
	}
	for i := range s.gaps {
		fixture.Ear{Books: l.books}.OnGap(&s.gaps[i])
	}
	s.trades, s.gaps = nil, nil
	l.revs[lane]++
	l.marks[lane], w.Revision = text, l.revs[lane]
	return nil
}

// TestKilledConsumers: of consumers that are killed at any moment, and keep their watermarks with
// what they make of the events, each event has come to something once.
func TestKilledConsumers(t *testing.T) {
	cluster := fixture.Start(t, 1)
	dir := t.TempDir()
	tp := fixture.NewTape(t, dir)
	layout := sinknats.Layout{Partitions: 4}
	s := fixture.GoSink(t, fixture.Connect(t, cluster), dir, "", true, sinknats.Config{Layout: layout})
	l := &ledger{marks: map[string][]byte{}, revs: map[string]uint64{}, books: fixture.NewBooks()}
	newConsumer := func() *fixture.Runs {
		c := &client{ledger: l, mine: map[string]*shard{}}
		return fixture.GoConsumer(t, fixture.Connect(t, cluster), sinknats.ConsumerConfig{Layout: layout, Handler: c, Watermarks: c, Lease: 300 * time.Millisecond})
	}
	consumers := []*fixture.Runs{newConsumer(), newConsumer()}
	random := fixture.Random(22)
	for range fixture.Turns(t, 8) {
		tp.Say(100)
		tp.Gap()
		l.books.Await(t, random.IntN(tp.Said()))
		at := random.IntN(len(consumers))
		consumers[at].Killed()
		consumers[at] = newConsumer()
	}
	l.books.Whole(t, tp.Said(), tp.Gaps(), 4)
	s.Halt(t)
	for _, c := range consumers {
		c.Halt(t)
	}
	l.books.Whole(t, tp.Said(), tp.Gaps(), 4)
}

// TestKilledByDefault: without that, a killed consumer's successor repeats what was not saved, and
// nothing is missing.
func TestKilledByDefault(t *testing.T) {
	cluster := fixture.Start(t, 1)
	dir := t.TempDir()
	tp := fixture.NewTape(t, dir)
	s := fixture.GoSink(t, fixture.Connect(t, cluster), dir, "", true, sinknats.Config{})
	b := fixture.NewBooks()
	for range fixture.Turns(t, 4) {
		c := fixture.GoConsumer(t, fixture.Connect(t, cluster), sinknats.ConsumerConfig{Handler: fixture.Ear{Books: b}, Save: time.Hour, Lease: 300 * time.Millisecond})
		tp.Say(30)
		b.Await(t, tp.Said())
		c.Killed()
	}
	require.Greater(t, b.Trades, tp.Said())
	require.Len(t, b.Told, tp.Said())
	s.Halt(t)
}
