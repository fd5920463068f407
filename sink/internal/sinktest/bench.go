package sinktest

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sim"
)

// Corpus records so many events in messages of 20 on average, trades, quotes and bars, as one segment.
func Corpus(t testing.TB, events int) (dir string) {
	t.Helper()
	messages, err := sim.Corpus("stocks20", events, 1)
	require.NoError(t, err)
	dir = t.TempDir()
	rec, err := record.NewRecorder(record.Config{Dir: dir, Market: tickstorm.Stocks, MinFree: -1, Buffer: 512 << 20, Rotate: 100 * 365 * 24 * time.Hour})
	require.NoError(t, err)
	require.NoError(t, rec.Start())
	for _, m := range messages {
		rec.OnMessage(m, time.Now().UnixNano())
	}
	require.NoError(t, rec.Close(context.Background()))
	require.Zero(t, rec.Stats().Dropped)
	return dir
}

// Median sorts a list and returns what is in its middle.
func Median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// Counter is a handler that counts the events of a corpus, for all shards together.
type Counter struct {
	tickstorm.NopHandler
	Enough chan struct{} // closed when so many have come

	n      atomic.Int64
	enough int64
}

// NewCounter returns one to which so many events are enough.
func NewCounter(enough int64) *Counter {
	return &Counter{Enough: make(chan struct{}), enough: enough}
}

// Count is how many have come.
func (c *Counter) Count() int64 { return c.n.Load() }

func (c *Counter) count() {
	if c.n.Add(1) == c.enough {
		close(c.Enough)
	}
}

// OnTrade implements [tickstorm.Handler].
func (c *Counter) OnTrade(*tickstorm.Trade) { c.count() }

// OnQuote implements [tickstorm.Handler].
func (c *Counter) OnQuote(*tickstorm.Quote) { c.count() }

// OnAggregate implements [tickstorm.Handler].
func (c *Counter) OnAggregate(*tickstorm.Aggregate) { c.count() }

// Shard implements [tickstorm.ShardHandler].
func (c *Counter) Shard(int, int) tickstorm.Handler { return c }
