package top

import (
	"cmp"
	"math"
	"slices"
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
	symbols  []tracked
	page     page
	total    float64 // events of all symbols since the snapshot before
	elapsed  float64 // seconds
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
	fresh    uint64 // since the snapshot before
	received int64
	price    float64
}

// NewMeter returns one that begins at a time.
func NewMeter(now time.Time, cfg MeterConfig) *Meter {
	return &Meter{cfg: cfg, before: reading{at: now}}
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

// Sample takes a snapshot, without symbols: those are ranked by [Meter.Rank].
func (m *Meter) Sample(now time.Time) *Snapshot {
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
	elapsed := max(now.Sub(m.before.at).Seconds(), 1e-3)
	m.elapsed = elapsed
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
	m.countSymbols(s, now)
	if last := m.cfg.Tally.LastEvent(); last != 0 {
		s.Age = new(max(0, float64(now.UnixNano()-last)/1e9))
	}
	if m.cfg.Relay != nil {
		s.Relay = m.cfg.Relay()
	}
	m.history.rate = remember(m.history.rate, s.EventRate)
	m.history.bytes = remember(m.history.bytes, s.ByteRate)
	s.history = m.history
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
	p50, p99, ok := quantiles(r.stats.Lag, m.before.stats.Lag)
	if !ok {
		p50, p99, ok = quantiles(r.stats.AggregateLag, m.before.stats.AggregateLag)
	}
	if !ok {
		m.history.p50, m.history.p99 = remember(m.history.p50, -1), remember(m.history.p99, -1)
		return
	}
	s.LagP50, s.LagP99 = &p50, &p99
	m.history.p50, m.history.p99 = remember(m.history.p50, p50), remember(m.history.p99, p99)
}

// quantiles are the median and the 99th of a hundred, in seconds, of what a histogram has beyond an
// earlier one of itself; false if that is nothing.
func quantiles(now, before tickstorm.Histogram) (p50, p99 float64, ok bool) {
	var fresh []uint64
	var total uint64
	for _, n := range now.Buckets() {
		fresh = append(fresh, n)
	}
	i := 0
	for _, n := range before.Buckets() {
		fresh[i] -= min(fresh[i], n)
		total += fresh[i]
		i++
	}
	if total == 0 {
		return 0, 0, false
	}
	quantile := func(q float64) float64 {
		rank := max(1, uint64(math.Ceil(q*float64(total))))
		i := 0
		var n uint64
		for bound := range now.Buckets() {
			if n += fresh[i]; n >= rank {
				return bound.Seconds()
			}
			i++
		}
		return 0
	}
	return quantile(0.5), quantile(0.99), true
}

// countSymbols reads the books, a page at a time, so that the handler never waits for more.
func (m *Meter) countSymbols(s *Snapshot, now time.Time) {
	known := m.symbols
	at := 0
	m.total = 0
	for n := 0; m.cfg.Tally.page(n, &m.page); n++ {
		for i := range m.page {
			e := &m.page[i]
			if e.events == 0 {
				continue
			}
			id := uint32(n*pageSize + i)
			// The books only grow, in the order of numbers, but for numbers that are seen late.
			for at < len(known) && known[at].id < id {
				at++
			}
			var before uint64
			if at < len(known) && known[at].id == id {
				before = known[at].events
			} else {
				known = slices.Insert(known, at, tracked{id: id})
			}
			known[at] = tracked{id, e.events, e.events - before, e.received, e.price}
			m.total += float64(known[at].fresh)
		}
	}
	m.symbols = known
	s.SymbolCount = len(known)
}

// A Sort is an order of symbols.
type Sort uint8

// The orders.
const (
	ByRate   Sort = iota // the most events since the snapshot before
	ByTotal              // the most events
	BySilent             // nothing came for longest
	ByLatest             // something came last
	ByName
	sorts
)

var sortNames = [sorts]string{"rate", "total", "silent", "latest", "name"}

// String returns the name that the order has as a flag.
func (s Sort) String() string { return sortNames[s] }

// SortOf returns the order of a name.
func SortOf(name string) (Sort, bool) {
	i := slices.Index(sortNames[:], name)
	return Sort(max(i, 0)), i >= 0
}

// Query says which symbols are wanted.
type Query struct {
	Sort   Sort
	Filter Filter
	Rows   int // at most
}

// Rank returns symbols as they were at the last sample.
func (m *Meter) Rank(q Query) []Symbol {
	if q.Rows <= 0 {
		return []Symbol{}
	}
	byID := func(a, b *tracked) int { return cmp.Compare(a.id, b.id) }
	orders := [sorts]func(a, b *tracked) int{
		ByRate: func(a, b *tracked) int {
			return cmp.Or(cmp.Compare(b.fresh, a.fresh), cmp.Compare(b.events, a.events))
		},
		ByTotal:  func(a, b *tracked) int { return cmp.Compare(b.events, a.events) },
		BySilent: func(a, b *tracked) int { return cmp.Compare(a.received, b.received) },
		ByLatest: func(a, b *tracked) int { return cmp.Compare(b.received, a.received) },
		ByName: func(a, b *tracked) int {
			return cmp.Compare(m.cfg.Symbols.Symbol(a.id), m.cfg.Symbols.Symbol(b.id))
		},
	}
	order := orders[q.Sort]
	best := first(q.Rows, func(yield func(*tracked)) {
		for i := range m.symbols {
			if q.Filter.Zero() || q.Filter.Match(m.cfg.Symbols.Symbol(m.symbols[i].id)) {
				yield(&m.symbols[i])
			}
		}
	}, func(a, b *tracked) int { return cmp.Or(order(a, b), byID(a, b)) })
	found := make([]Symbol, 0, len(best))
	for _, t := range best {
		s := Symbol{
			Symbol: m.cfg.Symbols.Symbol(t.id), Events: t.events, Price: t.price, ID: t.id,
			Silent: max(0, float64(m.before.at.UnixNano()-t.received)/1e9),
		}
		if m.elapsed > 0 {
			s.EventRate = float64(t.fresh) / m.elapsed
		}
		if m.total > 0 {
			s.Share = float64(t.fresh) / m.total
		}
		found = append(found, s)
	}
	return found
}

// first returns the n that come first in an order, sorted, without sorting all of them.
func first(n int, all func(yield func(*tracked)), order func(a, b *tracked) int) []*tracked {
	var best []*tracked
	var last *tracked // of the n that were the first when they were last sorted
	all(func(t *tracked) {
		if last != nil && order(t, last) > 0 {
			return
		}
		if best = append(best, t); len(best) == 2*n {
			slices.SortFunc(best, order)
			best = best[:n]
			last = best[n-1]
		}
	})
	slices.SortFunc(best, order)
	return best[:min(n, len(best))]
}
