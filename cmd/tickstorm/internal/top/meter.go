package top

import (
	"sync"
	"time"

	"github.com/tickstorm/tickstorm"
)

// MeterConfig says what a [Meter] is of.
type MeterConfig struct {
	Market    tickstorm.Market
	Feed      string
	Simulator bool
	Topics    []tickstorm.Topic
	Tally     *Tally
	Symbols   *tickstorm.Symbols // of the tally
	Relay     func() *Relay      // what a relay's admin server says; may be nil
}

// A Meter makes snapshots of what a [Tally] has counted and a client knows. But for SetClient its
// methods are for one goroutine.
type Meter struct {
	cfg MeterConfig

	mu     sync.Mutex
	client *tickstorm.Client

	before   reading
	history  histories
	channels [streams][]float64

	// As of when symbols were last counted:
	counted time.Time
	elapsed float64           // seconds since the count before
	total   uint64            // events of all symbols since then
	symbols []tracked         // those that something has come of, by number
	marks   []*[pageSize]mark // of each number
	page    page              // of the books, copied
}

// reading is what was counted at a time.
type reading struct {
	at      time.Time
	stats   tickstorm.Stats
	streams [streams]count
}

// tracked is a symbol that something came of.
type tracked struct {
	id       uint32
	events   uint64
	fresh    uint64 // since the count before
	received int64
	price    float64
}

// mark is what is kept of a symbol between counts: how many events it had, and its name, for which the
// table would be locked each time.
type mark struct {
	events uint64
	name   string
}

// NewMeter returns one that begins at a time.
func NewMeter(now time.Time, cfg MeterConfig) *Meter {
	return &Meter{cfg: cfg, before: reading{at: now}, counted: now}
}

// SetClient says whose state and statistics are shown; before that it is about to connect.
func (m *Meter) SetClient(c *tickstorm.Client) {
	m.mu.Lock()
	m.client = c
	m.mu.Unlock()
}

// Watch has the events of a symbol be kept from now on, by its number; 0 ends it.
func (m *Meter) Watch(id uint32) { m.cfg.Tally.Watch(id) }

// Tail copies what was kept of the symbol that is looked at, if there is more than at its version.
func (m *Meter) Tail(to *Tail) (changed bool) { return m.cfg.Tally.Tail(to) }

// Note keeps an incident.
func (m *Meter) Note(at time.Time, kind string, g Grave, text string) {
	m.cfg.Tally.Note(at, kind, g, text)
}

// Sample takes a snapshot, without symbols: those are ranked by [Meter.Rank], and counted anew if symbols.
func (m *Meter) Sample(now time.Time, symbols bool) *Snapshot {
	m.mu.Lock()
	client := m.client
	m.mu.Unlock()
	r := reading{at: now}
	state := tickstorm.StateIdle
	if client != nil {
		r.stats, state = client.Stats(), client.State()
	}
	var untracked uint64
	r.streams, untracked = m.cfg.Tally.counts()
	log := m.cfg.Tally.journal()
	elapsed := span(m.before.at, now)
	rate := func(now, before uint64) float64 { return float64(now-min(now, before)) / elapsed }

	st, old := &r.stats, &m.before.stats
	s := &Snapshot{
		At: now, Market: m.cfg.Market, Feed: m.cfg.Feed, Simulator: m.cfg.Simulator,
		State: state.String(), Why: log.state.why, Topics: []string{}, Acked: st.AckedTopics, Refused: log.refused,
		ByteRate: rate(st.Bytes, old.Bytes), MessageRate: rate(st.Messages, old.Messages),
		Bytes: st.Bytes, Messages: st.Messages,
		Queue: Queue{
			Events: st.Queue.Events, Bytes: st.Queue.Bytes, Capacity: st.Queue.Capacity, HighWater: st.Queue.HighWater,
			Oldest: st.Queue.Oldest.Seconds(), Dropped: st.Queue.Dropped, Conflated: st.Queue.Conflated,
		},
		Gaps: log.gaps, Missing: log.missing.Seconds(), Reconnects: st.Reconnects, ReconnectCauses: st.ReconnectCauses,
		Errors: st.Errors, ErrorCauses: st.ErrorCauses, ErrorSamples: st.ErrorSamples, Untracked: untracked,
		Channels: []Channel{}, Symbols: []Symbol{}, Silent: []Symbol{}, Incidents: log.incidents,
	}
	for _, t := range m.cfg.Topics {
		s.Topics = append(s.Topics, t.String())
	}
	if !log.state.since.IsZero() {
		s.StateFor = max(0, now.Sub(log.state.since).Seconds())
	}
	m.countChannels(s, &r, rate)
	m.measureLag(s, &r)
	if symbols {
		m.countSymbols(now)
	}
	s.SymbolCount = len(m.symbols)
	if last := m.cfg.Tally.LastEvent(); last != 0 {
		s.Age = new(max(0, float64(now.UnixNano()-last)/1e9))
	}
	if m.cfg.Relay != nil {
		s.Relay = m.cfg.Relay()
	}
	m.history.remember(s)
	m.before = r
	return s
}

// countChannels shows those that are subscribed to, and those that something came of.
func (m *Meter) countChannels(s *Snapshot, r *reading, rate func(now, before uint64) float64) {
	wanted := map[string]bool{}
	for _, t := range m.cfg.Topics {
		wanted[t.Channel] = true
	}
	dropped := map[string]uint64{}
	for _, c := range r.stats.Queue.DroppedBy {
		dropped[c.Channel] += c.Count
	}
	for i := range r.streams {
		now, before := r.streams[i], m.before.streams[i]
		s.Events += now.events
		channel := ""
		if i > 0 {
			channel, _ = m.cfg.Market.Channel(tickstorm.Stream(i)) // "" where the market has none
		}
		if own, ok := m.cfg.Market.StreamOf(channel); now.events == 0 && (!ok || int(own) != i || dropped[channel] == 0 && !wanted[channel]) {
			continue
		}
		c := Channel{
			Channel: channel, EventRate: rate(now.events, before.events), ByteRate: rate(now.bytes, before.bytes),
			Events: now.events, Bytes: now.bytes, Dropped: dropped[channel],
		}
		m.channels[i] = remember(m.channels[i], c.EventRate)
		c.history = m.channels[i]
		s.EventRate += c.EventRate
		s.Channels = append(s.Channels, c)
	}
}

// measureLag takes the quantiles of what was counted since the snapshot before.
func (m *Meter) measureLag(s *Snapshot, r *reading) {
	lag := r.stats.Lag.Since(m.before.stats.Lag)
	if lag.Count() == 0 {
		lag = r.stats.AggregateLag.Since(m.before.stats.AggregateLag)
	}
	if lag.Count() > 0 {
		s.LagP50, s.LagP99 = new(lag.Quantile(0.5).Seconds()), new(lag.Quantile(0.99).Seconds())
	}
}

// countSymbols reads the books, a page at a time, so that the handler never waits for more.
func (m *Meter) countSymbols(now time.Time) {
	m.elapsed, m.counted = span(m.counted, now), now
	m.symbols, m.total = m.symbols[:0], 0
	for n := 0; m.cfg.Tally.page(n, &m.page); n++ {
		if n == len(m.marks) {
			m.marks = append(m.marks, new([pageSize]mark))
		}
		for i := range m.page {
			e, k := &m.page[i], &m.marks[n][i]
			if e.events == 0 {
				continue
			}
			id := uint32(n*pageSize + i)
			if k.events == 0 {
				k.name = m.cfg.Symbols.Symbol(id)
			}
			fresh := e.events - k.events
			m.symbols = append(m.symbols, tracked{id, e.events, fresh, e.received, e.price})
			m.total += fresh
			k.events = e.events
		}
	}
}

// name is that of a symbol that was counted.
func (m *Meter) name(id uint32) string { return m.marks[id/pageSize][id%pageSize].name }

// span is the time between two looks in seconds, never so short that a rate of it would be absurd.
func span(before, now time.Time) float64 { return max(now.Sub(before).Seconds(), 1e-3) }
