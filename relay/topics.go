package relay

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/tickstorm/tickstorm"
)

// TopicStats is one topic that clients hold.
type TopicStats struct {
	Market tickstorm.Market
	// Topic is in its one spelling, that of [tickstorm.Market.Canonical].
	Topic tickstorm.Topic
	// Granted is whether the upstream has acknowledged it, or all of its channel.
	Granted bool
	// Clients are the IDs of those that hold it, at most 100; Holders is how many there are.
	Clients []uint64
	Holders int
	// Last is when its last event came; the zero time if none has.
	Last time.Time
}

// maxHolders bounds TopicStats.Clients.
const maxHolders = 100

// Topics returns topics that clients hold and whose text, such as "T.AAPL", contains a query in
// any case: the first so many of each market in the order of their text, and how many there are
// of all. It takes time in proportion to the topics that are held.
func (s *Server) Topics(query string, limit int) (found []TopicStats, total int) {
	query = strings.ToUpper(query)
	for _, m := range s.order {
		some, n := m.ledger.search(query, limit)
		for i := range some {
			some[i].Market = m.name
			if last := m.hub.Last(some[i].Topic); last != 0 {
				some[i].Last = time.Unix(0, last)
			}
		}
		found, total = append(found, some...), total+n
	}
	return found, total
}

// search finds the topics that somebody holds.
func (l *ledger) search(query string, limit int) (found []TopicStats, total int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var matches []*entry
	for e := range l.entries() {
		if len(e.holds) > 0 && isOf(e.id, query) {
			matches = append(matches, e)
		}
	}
	total = len(matches)
	slices.SortFunc(matches, func(a, b *entry) int {
		return cmp.Or(strings.Compare(a.id.Channel, b.id.Channel), strings.Compare(a.id.Symbol, b.id.Symbol))
	})
	for _, e := range matches[:min(max(limit, 0), total)] {
		t := TopicStats{Topic: e.id, Granted: e.carrier().up == granted, Holders: len(e.holds)}
		for s := range e.holds {
			if c, ok := s.(*conn); ok && len(t.Clients) < maxHolders {
				t.Clients = append(t.Clients, c.id)
			}
		}
		slices.Sort(t.Clients)
		found = append(found, t)
	}
	return found, total
}

// isOf reports whether a topic's text contains a query of upper case.
func isOf(t tickstorm.Topic, query string) bool {
	if strings.Contains(strings.ToUpper(t.Channel), query) || strings.Contains(strings.ToUpper(t.Symbol), query) {
		return true
	}
	return strings.IndexByte(query, '.') >= 0 && strings.Contains(strings.ToUpper(t.String()), query)
}
