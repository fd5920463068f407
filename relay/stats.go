package relay

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fanout"
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
	// does not. Gaps is how many there were, with those that such a relay has told and those in which it has
	// sent the past.
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
	// those that they were too slow for, and Conflated those that gave way to later ones. Left are those
	// that waited for clients which went, or until the relay ended. Recalled are those that late joiners
	// have taken of what was before they came. Delay is that of [ClientStats], of all of them.
	Written, Dropped, Conflated, Left, Recalled uint64
	Delay                                       tickstorm.Histogram
	// Past is what is kept for late joiners.
	Past PastStats
	// Last is when the last message came, the zero time before the first.
	Last time.Time
	// Upstream is what the upstream's client has counted. It decodes one message in 64, for the
	// sake of Lag.
	Upstream tickstorm.Stats
	// Clients is how many are connected, Queued the memory of what waits for all of them, and Longest
	// that of the one for which most does.
	Clients, Queued, Longest int
}

// Gap is a time from which upstream events are missing: from the last message before it to the
// first behind it, as far as they are known. Where an upstream that is a relay has sent the past of topics, it is
// from their acknowledgement to the end of that.
type Gap struct {
	From, To time.Time
	Cause    string
}

// ClientStats is one client.
type ClientStats struct {
	// ID counts clients from 1, From is the address that it came from, and Since when.
	ID     uint64
	Market tickstorm.Market
	From   string
	Since  time.Time
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
	// slowly, and Conflated those that gave way to later ones. Recalled are events of before it came.
	Written, Dropped, Conflated, Recalled uint64
	// Delay is the time from when an event was read upstream until it was written, of the oldest
	// of each message.
	Delay tickstorm.Histogram
}

// Stats returns a snapshot. It takes time in proportion to clients and topics, and little memory.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	st := Stats{Clients: len(s.clients), Accepted: s.last, Refused: s.refused, Markets: make([]MarketStats, len(s.order))}
	clients := slices.Collect(maps.Keys(s.clients))
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

// Clients are those that are connected, in the order of their arrival. Each is looked at when it comes.
func (s *Server) Clients() iter.Seq[ClientStats] {
	return func(yield func(ClientStats) bool) {
		s.mu.Lock()
		clients := slices.Collect(maps.Keys(s.clients))
		s.mu.Unlock()
		slices.SortFunc(clients, func(a, b *conn) int { return cmp.Compare(a.id, b.id) })
		for _, c := range clients {
			out := c.out.Stats()
			if !yield(ClientStats{
				ID: c.id, Market: c.market.name, From: c.from, Since: c.since, Key: c.keyName(), Topics: c.market.ledger.held(c),
				Waiting: out.Waiting, Bytes: out.Bytes, Limit: s.cfg.Queue.Bytes, Octets: out.Octets,
				Written: out.Written, Dropped: out.Dropped, Conflated: out.Conflated, Recalled: out.Recalled, Delay: out.Delay,
			}) {
				return
			}
		}
	}
}

// buried adds what clients that have gone have had.
func (m *market) buried(st *MarketStats) {
	m.mu.Lock()
	defer m.mu.Unlock()
	st.count(&m.past)
}

// count adds what a client has had.
func (st *MarketStats) count(out *fanout.OutletStats) {
	st.Written += out.Written
	st.Dropped += out.Dropped
	st.Conflated += out.Conflated
	st.Left += out.Left
	st.Recalled += out.Recalled
	st.Delay.Merge(&out.Delay)
}

func (m *market) stats(st *MarketStats, clients []*conn) {
	hub := m.hub.Stats()
	st.Market, st.State, st.Upstream = m.name, m.client.State(), m.client.Stats()
	st.Messages, st.Events, st.Unwanted, st.Errors = hub.Messages, hub.Events, hub.Unwanted, hub.Errors
	st.Channels, st.Past = hub.Channels, pastStats(m.server.cfg.Snapshots.Bytes > 0, hub)
	if last := m.last.Load(); last != 0 {
		st.Last = time.Unix(0, last)
	}
	m.mu.Lock()
	st.Up, st.Why, st.Gaps, st.LastGap, st.Err = m.up, m.why, m.gaps, m.lastGap, m.failed
	m.mu.Unlock()
	st.Topics, st.Granted = m.ledger.counts()
	for _, c := range clients {
		if c.market != m {
			continue
		}
		out := c.out.Stats()
		st.count(&out)
		st.Clients++
		st.Queued += out.Bytes
		st.Longest = max(st.Longest, out.Bytes)
	}
}

// counts returns how many topics are held by somebody, and how many of them are granted.
func (l *ledger) counts() (held, grants int) {
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
	return held, grants
}

// held returns how many topics a subscriber has.
func (l *ledger) held(m subscriber) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if mine := l.members[m]; mine != nil {
		return len(mine.holds)
	}
	return 0
}
