package relay

import (
	"cmp"
	"slices"
	"time"

	"github.com/tickstorm/tickstorm"
)

// Stats is a snapshot of a server.
type Stats struct {
	// Clients is how many there are, Accepted how many there have been, and Refused how many
	// handshakes were not answered by 101.
	Clients           int
	Accepted, Refused uint64
	// Standby is whether somebody else has Config.Lock, and the server waits for it.
	Standby bool
	// Keys is how Config.Keys came; zero without. RefusedKeys is how many wrong ones were shown.
	Keys        KeysStats
	RefusedKeys uint64
	// Certificate is that of Config.CertFile; zero without.
	Certificate CertificateStats
	// Markets are in the order of Config.Upstreams.
	Markets []MarketStats
}

// MarketStats is one upstream with its clients.
type MarketStats struct {
	Market tickstorm.Market
	// State is what the upstream's client is about, and Err why there is no upstream any more.
	State tickstorm.State
	Err   error
	// Up is whether the upstream delivers, if it is a relay as far as that tells; Why is why it
	// does not. Gaps is how many there were.
	Up   bool
	Why  string
	Gaps uint64
	// Topics are those that clients hold, each once. Granted are those that the upstream has
	// acknowledged, those that linger among them.
	Topics, Granted int
	// Messages came from upstream, with so many Events, of which Unwanted were wanted by nobody,
	// and Errors elements that were none.
	Messages, Events, Unwanted, Errors uint64
	// Upstream is what the upstream's client has counted. It decodes no events.
	Upstream tickstorm.Stats
	// Clients are those that are connected, in the order of their arrival.
	Clients []ClientStats
}

// ClientStats is one client.
type ClientStats struct {
	// ID counts clients from 1, From is the address that it came from, and Since when.
	ID    uint64
	From  string
	Since time.Time
	// Key is the name of its key; "" if it has shown none, and without Config.Keys.
	Key string
	// Topics is how many it holds.
	Topics int
	// Waiting are the events in its queue, and Bytes the memory that they take.
	Waiting, Bytes int
	// Written are the events that it has taken, Dropped those that it has not because it reads too
	// slowly, and Conflated those that gave way to later ones.
	Written, Dropped, Conflated uint64
	// Delay is the time from when an event was read upstream until it was written, of the oldest
	// of each message.
	Delay tickstorm.Histogram
}

// Stats returns a snapshot.
func (s *Server) Stats() Stats {
	clients := s.open()
	s.mu.Lock()
	st := Stats{Clients: len(clients), Accepted: s.last, Refused: s.refused}
	s.mu.Unlock()
	st.Standby, st.RefusedKeys = s.standby(), s.refusedKeys.Load()
	if s.cfg.Keys != nil {
		st.Keys = s.cfg.Keys.Stats()
	}
	if s.certificate != nil {
		st.Certificate = s.certificate.Stats()
	}
	for _, m := range s.order {
		st.Markets = append(st.Markets, m.stats(clients))
	}
	return st
}

func (m *market) stats(clients map[*conn]struct{}) MarketStats {
	hub := m.hub.Stats()
	st := MarketStats{
		Market: m.name, State: m.client.State(), Upstream: m.client.Stats(),
		Messages: hub.Messages, Events: hub.Events, Unwanted: hub.Unwanted, Errors: hub.Errors,
	}
	m.mu.Lock()
	st.Up, st.Why, st.Gaps, st.Err = m.up, m.why, m.gaps, m.failed
	m.mu.Unlock()
	held := map[*conn]int{}
	st.Topics, st.Granted = m.ledger.counts(func(s subscriber, topics int) { held[s.(*conn)] = topics })
	for c := range clients {
		if c.market != m {
			continue
		}
		out := c.out.Stats()
		st.Clients = append(st.Clients, ClientStats{
			ID: c.id, From: c.from, Since: c.since, Key: c.keyName(), Topics: held[c],
			Waiting: out.Waiting, Bytes: out.Bytes,
			Written: out.Written, Dropped: out.Dropped, Conflated: out.Conflated, Delay: out.Delay,
		})
	}
	slices.SortFunc(st.Clients, func(a, b ClientStats) int { return cmp.Compare(a.ID, b.ID) })
	return st
}

// counts returns how many topics are held by somebody, how many the upstream has granted, and
// tells how many each subscriber has.
func (l *ledger) counts(each func(s subscriber, topics int)) (held, grants int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for e := range l.entries() {
		if len(e.holds) > 0 {
			held++
		}
		if e.up == granted {
			grants++
		}
	}
	for m, mine := range l.members {
		each(m, len(mine.holds))
	}
	return held, grants
}
