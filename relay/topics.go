package relay

import (
	"cmp"
	"iter"
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
	// Clients are those that hold it, at most 100 in the order of their arrival; Holders is how many
	// there are.
	Clients []TopicClient
	Holders int
	// Last is when its last event came; the zero time if none has.
	Last time.Time
}

// TopicClient is a client that holds a topic: its ID, its address, and the name of its key as in
// [ClientStats].
type TopicClient struct {
	ID        uint64
	From, Key string
}

// maxHolders bounds TopicStats.Clients.
const maxHolders = 100

// Topics returns topics that clients hold and whose text, such as "T.AAPL", contains a query in
// any case: the first so many of each market in the order of their text, and how many there are
// of all. It takes time in proportion to the topics that are held.
func (s *Server) Topics(query string, limit int) (found []TopicStats, total int) {
	query = strings.ToUpper(query)
	for _, m := range s.order {
		some, n := m.search(query, max(limit, 0))
		found, total = append(found, some...), total+n
	}
	return found, total
}

func (m *market) search(query string, limit int) (found []TopicStats, total int) {
	entries, total := m.ledger.search(query, limit)
	for _, e := range entries {
		t := TopicStats{Market: m.name, Topic: e.id}
		var clients []*conn
		if clients, t.Holders, t.Granted = m.ledger.holders(e); t.Holders == 0 {
			continue // since it was found
		}
		for _, c := range clients { // without the ledger's lock, which is taken under theirs
			t.Clients = append(t.Clients, TopicClient{c.id, c.from, c.keyName()})
		}
		if last := m.hub.Last(t.Topic); last != 0 {
			t.Last = time.Unix(0, last)
		}
		found = append(found, t)
	}
	return found, total
}

// search finds the first so many topics that somebody holds, and how many there are.
func (l *ledger) search(query string, limit int) (found []*entry, total int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found = least(func(yield func(*entry) bool) {
		for e := range l.entries() {
			if len(e.holds) == 0 || !isOf(e.id, query) {
				continue
			}
			if total++; !yield(e) {
				return
			}
		}
	}, limit, func(a, b *entry) int {
		return cmp.Or(strings.Compare(a.id.Channel, b.id.Channel), strings.Compare(a.id.Symbol, b.id.Symbol))
	})
	return found, total
}

// holders returns who holds a topic, those that have been there for longest, how many they are, and
// whether the topic is granted.
func (l *ledger) holders(e *entry) (some []*conn, all int, grant bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	some = least(func(yield func(*conn) bool) {
		for s := range e.holds {
			if !yield(s.(*conn)) {
				return
			}
		}
	}, maxHolders, func(a, b *conn) int { return cmp.Compare(a.id, b.id) })
	return some, len(e.holds), e.carrier().up == granted
}

// least returns the first so many of what may be many more, in order. It keeps them as a heap, whose top
// is the last of them.
func least[T any](all iter.Seq[T], n int, compare func(a, b T) int) (kept []T) {
	for v := range all {
		switch {
		case len(kept) < n:
			kept = append(kept, v)
			for i := n/2 - 1; len(kept) == n && i >= 0; i-- {
				sink(kept, i, compare)
			}
		case n > 0 && compare(v, kept[0]) < 0:
			kept[0] = v
			sink(kept, 0, compare)
		}
	}
	slices.SortFunc(kept, compare)
	return kept
}

// sink puts an element of a heap in its place.
func sink[T any](heap []T, i int, compare func(a, b T) int) {
	for {
		child := 2*i + 1
		if child >= len(heap) {
			return
		}
		if child+1 < len(heap) && compare(heap[child], heap[child+1]) < 0 {
			child++
		}
		if compare(heap[i], heap[child]) >= 0 {
			return
		}
		heap[i], heap[child] = heap[child], heap[i]
		i = child
	}
}

// isOf reports whether a topic's text contains a query of upper case.
func isOf(t tickstorm.Topic, query string) bool {
	if strings.Contains(strings.ToUpper(t.Channel), query) || strings.Contains(strings.ToUpper(t.Symbol), query) {
		return true
	}
	return strings.IndexByte(query, '.') >= 0 && strings.Contains(strings.ToUpper(t.String()), query)
}
