package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
	sinknats "github.com/tickstorm/tickstorm/sink/nats"
)

// sum is what the consumers work out together. Each event has a number, so that one that is missing
// or comes twice changes it.
type sum struct {
	Events  int
	Numbers int64
	Squares uint64 // of the numbers, in 64 bits
}

func (s *sum) add(number int64) {
	s.Events++
	s.Numbers += number
	s.Squares += uint64(number) * uint64(number)
}

func (s sum) plus(t sum) sum {
	return sum{s.Events + t.Events, s.Numbers + t.Numbers, s.Squares + t.Squares}
}

func (s sum) String() string {
	return fmt.Sprintf("%d events, numbers %d, squares %d", s.Events, s.Numbers, s.Squares)
}

// summing is a handler that adds.
type summing struct {
	tickstorm.NopHandler
	sum sum
}

func (s *summing) OnTrade(t *tickstorm.Trade) { s.sum.add(t.Sequence) }
func (s *summing) OnQuote(q *tickstorm.Quote) { s.sum.add(q.Sequence) }

// ledger stands for a database, which outlives the consumers: each partition's sum and watermark are
// written at once. So a consumer that dies between handling and writing has not done anything, and
// the next does it.
type ledger struct {
	mu    sync.Mutex
	rows  map[string]ledgerRow // by partition
	whose map[string]string
}

type ledgerRow struct {
	sum      sum
	mark     []byte
	revision uint64
}

func newLedger() *ledger { return &ledger{rows: map[string]ledgerRow{}, whose: map[string]string{}} }

func (l *ledger) sum() (all sum) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.rows {
		all = all.plus(r.sum)
	}
	return all
}

func (l *ledger) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	partitions := map[string]int{}
	for _, name := range l.whose {
		partitions[name]++
	}
	events := 0
	for _, r := range l.rows {
		events += r.sum.Events
	}
	return fmt.Sprintf("consumed %d, partitions %v", events, partitions)
}

// client is the handler of a consumer: one for each partition that it has, and what writes them into
// the ledger.
type client struct {
	tickstorm.NopHandler
	ledger *ledger
	name   string
	mu     sync.Mutex
	shards map[string]*summing
}

var (
	_ tickstorm.ShardHandler = (*client)(nil)
	_ sink.Watermarks        = (*client)(nil)
)

func (l *ledger) client(name string) *client {
	return &client{ledger: l, name: name, shards: map[string]*summing{}}
}

// Shard implements [tickstorm.ShardHandler].
func (c *client) Shard(i, n int) tickstorm.Handler {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &summing{}
	c.shards[sinknats.Layout{Partitions: n}.Lane(tickstorm.Stocks, i)] = s
	return s
}

// Load implements [sink.Watermarks].
func (c *client) Load(_ context.Context, lane string) (w sink.Watermark, err error) {
	c.ledger.mu.Lock()
	defer c.ledger.mu.Unlock()
	row := c.ledger.rows[lane]
	if row.mark != nil {
		err = json.Unmarshal(row.mark, &w)
	}
	w.Revision = row.revision
	return w, err
}

// Save implements [sink.Watermarks]: it adds what the handler has summed since the last time.
func (c *client) Save(_ context.Context, lane string, w *sink.Watermark) error {
	c.mu.Lock()
	s := c.shards[lane]
	c.mu.Unlock()
	if s == nil {
		return errors.New("a partition without a handler")
	}
	c.ledger.mu.Lock()
	defer c.ledger.mu.Unlock()
	row := c.ledger.rows[lane]
	if row.revision != w.Revision {
		return sink.ErrFenced
	}
	mark, err := json.Marshal(w)
	if err != nil {
		return err
	}
	w.Revision++
	c.ledger.rows[lane] = ledgerRow{row.sum.plus(s.sum), mark, w.Revision}
	c.ledger.whose[lane] = c.name
	s.sum = sum{}
	return nil
}
