package top

import (
	"cmp"
	"slices"
)

// A Sort is an order of symbols.
type Sort uint8

// The orders.
const (
	ByRate   Sort = iota // the most events since the count before
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

// Rank returns symbols as they were when they were last counted.
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
			return cmp.Compare(m.name(a.id), m.name(b.id))
		},
	}
	order := orders[q.Sort]
	best := first(q.Rows, func(yield func(*tracked)) {
		for i := range m.symbols {
			if q.Filter.Zero() || q.Filter.Match(m.name(m.symbols[i].id)) {
				yield(&m.symbols[i])
			}
		}
	}, func(a, b *tracked) int { return cmp.Or(order(a, b), byID(a, b)) })
	found := make([]Symbol, 0, len(best))
	for _, t := range best {
		found = append(found, m.symbol(t))
	}
	return found
}

// Symbol returns a symbol by its number, as it was when symbols were last counted; false if nothing had come of it.
func (m *Meter) Symbol(id uint32) (Symbol, bool) {
	i, ok := slices.BinarySearchFunc(m.symbols, id, func(t tracked, id uint32) int { return cmp.Compare(t.id, id) })
	if !ok {
		return Symbol{}, false
	}
	return m.symbol(&m.symbols[i]), true
}

func (m *Meter) symbol(t *tracked) Symbol {
	s := Symbol{
		Symbol: m.name(t.id), Events: t.events, EventRate: float64(t.fresh) / m.elapsed, Price: t.price, ID: t.id,
		Silent: max(0, float64(m.counted.UnixNano()-t.received)/1e9),
	}
	if m.total > 0 {
		s.Share = float64(t.fresh) / float64(m.total)
	}
	return s
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
