package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/tickstorm/tickstorm"
)

// meter is a handler that counts events by kind and measures how old they are.
//
// It is locked from a message's first byte to its last event, so that the line of each
// second can be read in between: a lock a message costs nothing an event.
type meter struct {
	first chan struct{} // closed at the first event

	mu      sync.Mutex
	events  [tickstorm.Kinds]uint64
	total   uint64
	bytes   uint64
	errors  uint64
	lag     histogram // of the whole run
	recent  histogram // of this second
	mallocs [2]uint64 // then and then
	at      [2]counts // and how far things had come
	last    counts    // at the last line
	streams bool      // the first event has come
	now     int64     // when the message was received
}

type counts struct {
	events [tickstorm.Kinds]uint64
	total  uint64
	bytes  uint64
	at     time.Time
}

// counts returns how far things have come; m.mu is held.
func (m *meter) counts() counts { return counts{m.events, m.total, m.bytes, time.Now()} }

func newMeter() *meter { return &meter{first: make(chan struct{})} }

// OnRaw locks until OnMessageEnd.
func (m *meter) OnRaw(msg []byte, received int64) bool {
	m.mu.Lock()
	m.bytes += uint64(len(msg))
	m.now = received
	return true
}

func (m *meter) OnMessageEnd() { m.mu.Unlock() }

// event counts an event of a kind that carries data. The vendor's timestamps are in
// milliseconds on most channels: an age is right to within one.
func (m *meter) event(k tickstorm.Kind, t tickstorm.Timestamp) {
	if !m.streams {
		m.streams = true
		close(m.first)
	}
	m.events[k]++
	m.total++
	micros := max(0, (m.now-t.Nanoseconds())/1000)
	m.lag.add(micros)
	m.recent.add(micros)
}

func (m *meter) OnTrade(e *tickstorm.Trade)         { m.event(tickstorm.KindTrade, e.Timestamp) }
func (m *meter) OnQuote(e *tickstorm.Quote)         { m.event(tickstorm.KindQuote, e.Timestamp) }
func (m *meter) OnBook(e *tickstorm.Book)           { m.event(tickstorm.KindBook, e.Timestamp) }
func (m *meter) OnLULD(e *tickstorm.LULD)           { m.event(tickstorm.KindLULD, e.Timestamp) }
func (m *meter) OnImbalance(e *tickstorm.Imbalance) { m.event(tickstorm.KindImbalance, e.Timestamp) }
func (m *meter) OnValue(e *tickstorm.Value)         { m.event(tickstorm.KindValue, e.Timestamp) }

// OnAggregate counts a bar. A bar is as old as its window's end, which says nothing of
// how fast it came.
func (m *meter) OnAggregate(*tickstorm.Aggregate) {
	m.events[tickstorm.KindAggregate]++
	m.total++
}

func (m *meter) OnUnknown(*tickstorm.Unknown) { m.events[tickstorm.KindUnknown]++; m.total++ }

func (m *meter) OnStatus(s *tickstorm.Status) {
	switch s.Code() {
	case tickstorm.StatusConnected, tickstorm.StatusAuthSuccess, tickstorm.StatusSubscribed, tickstorm.StatusAcknowledged:
	default:
		fmt.Fprintf(os.Stderr, "%s: %s\n", s.Status, s.Message)
	}
}

func (m *meter) OnError(e *tickstorm.EventError) {
	if m.errors++; m.errors <= 10 {
		fmt.Fprintf(os.Stderr, "error: %v\n", e)
	}
}

// begin starts the clock.
func (m *meter) begin(mallocs uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mallocs[0], m.at[0] = mallocs, m.counts()
	m.last = m.at[0]
}

// end notes how far things have come.
func (m *meter) end(mallocs uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mallocs[1], m.at[1] = mallocs, m.counts()
}

// line shows the last second.
func (m *meter) line(w io.Writer, stats tickstorm.Stats) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.counts()
	seconds := now.at.Sub(m.last.at).Seconds()
	text := ""
	for k := range m.events {
		n := m.events[k] - m.last.events[k]
		if m.events[k] > 0 {
			text += fmt.Sprintf("  %s %.0f/s", tickstorm.Kind(k), float64(n)/seconds)
		}
	}
	fmt.Fprintf(w, "%9.0f events/s%s  %.1f MB/s  lag p50 %v p99 %v  %.6f allocs/event  %d reconnects  %d errors\n",
		float64(m.total-m.last.total)/seconds, text, float64(m.bytes-m.last.bytes)/seconds/1e6,
		m.recent.quantile(0.5), m.recent.quantile(0.99), m.allocs(), stats.Reconnects, stats.Errors)
	m.last = now
	m.recent = histogram{}
}

// allocs are the allocations of the whole process per event, those of the lines included.
func (m *meter) allocs() float64 {
	events := m.at[1].total - m.at[0].total
	if events == 0 {
		return 0
	}
	return float64(m.mallocs[1]-m.mallocs[0]) / float64(events)
}

// figures are what is printed at the end.
type figures struct {
	Events       uint64  `json:"events"`
	EventsPerS   float64 `json:"events_per_s"`
	MBPerS       float64 `json:"mb_per_s"`
	AllocsPer    float64 `json:"allocs_per_event"`
	DecodeErrors uint64  `json:"decode_errors"`
	LagP50       float64 `json:"lag_p50_us"`
	LagP99       float64 `json:"lag_p99_us"`
	Reconnects   uint64  `json:"reconnects"`
	Source       string  `json:"source"`
}

func (m *meter) figures(stats tickstorm.Stats, source string) figures {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := figures{
		Events:       m.total,
		AllocsPer:    m.allocs(),
		DecodeErrors: stats.Errors,
		LagP50:       float64(m.lag.quantile(0.5).Microseconds()),
		LagP99:       float64(m.lag.quantile(0.99).Microseconds()),
		Reconnects:   stats.Reconnects,
		Source:       source,
	}
	if seconds := m.at[1].at.Sub(m.at[0].at).Seconds(); seconds > 0 {
		f.EventsPerS = float64(m.at[1].total-m.at[0].total) / seconds
		f.MBPerS = float64(m.at[1].bytes-m.at[0].bytes) / 1e6 / seconds
	}
	return f
}

func (f figures) print(w io.Writer) {
	fmt.Fprintf(w, "%d events from the %s, %.0f a second, %.1f MB/s, %.6f allocs/event, lag p50 %.1f ms p99 %.1f ms, %d reconnects, %d errors\n",
		f.Events, f.Source, f.EventsPerS, f.MBPerS, f.AllocsPer, f.LagP50/1000, f.LagP99/1000, f.Reconnects, f.DecodeErrors)
}
