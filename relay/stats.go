package relay

import (
	"cmp"
	"maps"
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
	Up      bool
	Why     string
	Gaps    uint64
	LastGap Gap
	// Topics are those that clients hold, each once. Granted are those of them that the upstream has
	// acknowledged, or all of their channel.
	Topics, Granted int
	// Messages came from upstream, with so many Events, of which Unwanted were wanted by nobody,
	// and Errors elements that were none.
	Messages, Events, Unwanted, Errors uint64
	// Channels are the Events of each channel.
	Channels []tickstorm.ChannelCount
	// Written are the events that clients have taken, those that have gone among them, Dropped
	// those that they were too slow for, and Conflated those that gave way to later ones. Delay is that of
	// [ClientStats], of all of them.
	Written, Dropped, Conflated uint64
	Delay                       tickstorm.Histogram
	// Past is what is kept for late joiners.
	Past PastStats
	// Last is when the last message came, the zero time before the first.
	Last time.Time
	// Upstream is what the upstream's client has counted. It decodes one message in 64, for the
	// sake of Lag.
	Upstream tickstorm.Stats
	// Clients are those that are connected, in the order of their arrival.
	Clients []ClientStats
}

// Gap is a time from which upstream events are missing: from the last message before it to the
// first behind it, as far as they are known.
type Gap struct {
	From, To time.Time
	Cause    string
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
	// Waiting are the events in its queue, Bytes the memory that they take, and Limit the most
	// that they may take.
	Waiting, Bytes, Limit int
	// Octets is how many bytes it has taken.
	Octets uint64
	// Written are the events that it has taken, Dropped those that it has not because it reads too
	// slowly, and Conflated those that gave way to later ones.
	Written, Dropped, Conflated uint64
	// Delay is the time from when an event was read upstream until it was written, of the oldest
	// of each message.
	Delay tickstorm.Histogram
}

// Stats returns a snapshot.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	st := Stats{Clients: len(s.clients), Accepted: s.last, Refused: s.refused, Markets: make([]MarketStats, len(s.order))}
	clients := maps.Clone(s.clients)
	for i, m := range s.order { // together with the clients, so that one that goes counts once
		m.buried(&st.Markets[i])
	}
	s.mu.Unlock()
	st.Standby, st.RefusedKeys = s.standby(), s.refusedKeys.Load()
	if s.cfg.Keys != nil {
		st.Keys = s.cfg.Keys.Stats()
	}
	if s.certificate != nil {
		st.Certificate = s.certificate.Stats()
	}
	for i, m := range s.order {
		m.stats(&st.Markets[i], clients)
	}
	return st
}

// buried adds what clients that have gone have had.
func (m *market) buried(st *MarketStats) {
	m.mu.Lock()
	defer m.mu.Unlock()
	st.Written, st.Dropped, st.Conflated, st.Delay = m.past.Written, m.past.Dropped, m.past.Conflated, m.past.Delay
}

func (m *market) stats(st *MarketStats, clients map[*conn]struct{}) {
	hub := m.hub.Stats()
	st.Market, st.State, st.Upstream = m.name, m.client.State(), m.client.Stats()
	st.Messages, st.Events, st.Unwanted, st.Errors = hub.Messages, hub.Events, hub.Unwanted, hub.Errors
	st.Channels, st.Past = hub.Channels, pastStats(hub)
	if last := m.last.Load(); last != 0 {
		st.Last = time.Unix(0, last)
	}
	m.mu.Lock()
	st.Up, st.Why, st.Gaps, st.LastGap, st.Err = m.up, m.why, m.gaps, m.lastGap, m.failed
	m.mu.Unlock()
	held := map[*conn]int{}
	st.Topics, st.Granted = m.ledger.counts(func(s subscriber, topics int) { held[s.(*conn)] = topics })
	for c := range clients {
		if c.market != m {
			continue
		}
		out := c.out.Stats()
		st.Written += out.Written
		st.Dropped += out.Dropped
		st.Conflated += out.Conflated
		st.Delay.Merge(&out.Delay)
		st.Clients = append(st.Clients, ClientStats{
			ID: c.id, From: c.from, Since: c.since, Key: c.keyName(), Topics: held[c],
			Waiting: out.Waiting, Bytes: out.Bytes, Limit: m.server.cfg.Queue.Bytes, Octets: out.Octets,
			Written: out.Written, Dropped: out.Dropped, Conflated: out.Conflated, Delay: out.Delay,
		})
	}
	slices.SortFunc(st.Clients, func(a, b ClientStats) int { return cmp.Compare(a.ID, b.ID) })
}

// counts returns how many topics are held by somebody, how many of them are granted, and tells how many each subscriber has.
func (l *ledger) counts(each func(s subscriber, topics int)) (held, grants int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for e := range l.entries() {
		if len(e.holds) == 0 {
			continue
		}
		held++
		if e.carrier().up == granted {
			grants++
		}
	}
	for m, mine := range l.members {
		each(m, len(mine.holds))
	}
	return held, grants
}
