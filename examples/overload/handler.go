package main

import (
	"time"

	"github.com/tickstorm/tickstorm"
)

// sleeper is a handler that is too slow, and measures how late it gets its events.
type sleeper struct {
	tickstorm.NopHandler
	sleep time.Duration
	every int

	events, statuses uint64
	told             uint64 // of drops
	lag, age         lateness
}

// lateness is a histogram that knows its longest duration.
type lateness struct {
	tickstorm.Histogram
	longest time.Duration
}

func (l *lateness) add(d time.Duration) {
	l.Observe(d)
	l.longest = max(l.longest, d)
}

func (h *sleeper) OnTrade(e *tickstorm.Trade) { h.event(e.Received, e.Timestamp) }
func (h *sleeper) OnQuote(e *tickstorm.Quote) { h.event(e.Received, e.Timestamp) }
func (h *sleeper) OnStatus(*tickstorm.Status) { h.statuses++ }
func (h *sleeper) OnDrop(d *tickstorm.Drop)   { h.told += d.Count }
func (h *sleeper) event(received int64, t tickstorm.Timestamp) {
	now := time.Now().UnixNano()
	h.lag.add(time.Duration(now - received))
	h.age.add(time.Duration(now - t.Nanoseconds()))
	if h.events++; h.events%uint64(h.every) == 0 {
		time.Sleep(h.sleep)
	}
}
