package top

import (
	"fmt"
	"time"

	"github.com/tickstorm/tickstorm"
)

// A RelayMeter makes snapshots of a relay that is looked at alone: what its admin server says, with the
// history and the incidents that come of looking again. Its methods are for one goroutine.
type RelayMeter struct {
	latest func() *Relay
	books  map[tickstorm.Market]*relayBook
}

// relayBook is what was seen of a market.
type relayBook struct {
	history   histories
	incidents []Incident
	looked    bool
	state     string
	gaps      uint64
	dropped   map[uint64]uint64 // of each client
}

// NewRelayMeter returns one of a relay that latest returns.
func NewRelayMeter(latest func() *Relay) *RelayMeter {
	return &RelayMeter{latest, map[tickstorm.Market]*relayBook{}}
}

// Sample takes a snapshot of a market, the relay's first if market is "".
func (m *RelayMeter) Sample(now time.Time, market tickstorm.Market) *Snapshot {
	r := m.latest()
	if first := r.market(market); first != nil {
		market = first.Market
	}
	s := r.snapshot(now, market)
	b := m.books[market]
	if b == nil {
		b = &relayBook{}
		m.books[market] = b
	}
	b.look(s)
	b.history.remember(s)
	s.Incidents = append(s.Incidents, b.incidents...)
	return s
}

// look finds out what has happened since it was looked at before.
func (b *relayBook) look(s *Snapshot) {
	note := func(at time.Time, kind string, g Grave, format string, args ...any) {
		b.incidents = kept(b.incidents, Incident{At: at, Kind: kind, Text: fmt.Sprintf(format, args...), Grave: g})
	}
	if m := s.Relay.market(s.Market); m != nil {
		if g := m.LastGap; g != nil && m.Gaps > b.gaps {
			note(s.At.Add(-time.Duration(g.Ago*1e9)), "gap", Bad, "%s without events: %s", seconds(g.Length), clean(g.Cause))
		}
		b.gaps = m.Gaps // fewer if the relay has begun anew
	}
	if b.looked && s.State != b.state {
		g := graveOf(s.State)
		text := s.State
		if s.Why != "" {
			text += ": " + s.Why
		}
		note(s.At, "state", g, "%s", text)
	}
	dropped := map[uint64]uint64{}
	for i := range s.Relay.Clients {
		c := &s.Relay.Clients[i]
		if c.Market != s.Market {
			continue
		}
		if n := c.Dropped - min(b.dropped[c.ID], c.Dropped); b.looked && n > 0 {
			note(s.At, "drop", Bad, "%d events that %s was too slow for", n, clean(c.label()))
		}
		dropped[c.ID] = c.Dropped
	}
	b.looked, b.state, b.dropped = true, s.State, dropped
}
