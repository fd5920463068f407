package sim

import (
	"slices"

	"github.com/tickstorm/tickstorm"
)

// source is one channel with the symbols that are subscribed to.
type source struct {
	*feature
	stream  tickstorm.Stream
	all     bool
	some    []int32  // sorted, so that the busier symbols stay busier
	symbols []string // of the whole universe in the spelling of this channel

	// Of bars that are made up:
	next      int   // the symbol to try if another one has its bar
	exhausted int64 // the start of the window of which all symbols have their bars, 0 if none
}

// count is how many symbols are subscribed to.
func (s *source) count() int {
	if s.all {
		return len(s.symbols)
	}
	return len(s.some)
}

// symbol returns the index of the symbol with a rank among those that are subscribed to.
func (s *source) symbol(rank int) int32 {
	if s.all {
		return int32(rank)
	}
	return s.some[rank]
}

// head fills what all events have.
func (s *source) head(g *Generator, h *tickstorm.Header, st *state) {
	h.Market, h.Stream, h.Symbol = g.market, s.stream, s.symbols[st.index]
}

// Subscribe adds a topic, whose symbol may be [tickstorm.All] and is otherwise taken in
// any spelling that [tickstorm.Market.Canonical] knows. It reports whether the topic
// adds data: not if the channel or the symbol is unknown or the topic is there already.
func (g *Generator) Subscribe(t tickstorm.Topic) bool {
	f := g.class.feature(t.Channel)
	if f == nil {
		return false
	}
	i, known := int32(0), len(g.universe.symbols) > 0
	if t.Symbol != tickstorm.All {
		i, known = g.find(f, t)
	}
	if !known {
		return false
	}
	s := g.sourceOf(f)
	if s == nil {
		s = g.newSource(f)
	}
	if t.Symbol == tickstorm.All {
		if s.all {
			return false
		}
		s.all = true
		g.all |= f.bit
		g.freshAll = true
	} else {
		at, held := slices.BinarySearch(s.some, i)
		if held {
			return false
		}
		s.some = slices.Insert(s.some, at, i)
		g.states[i].single |= f.bit
		g.fresh = append(g.fresh, i)
	}
	g.refresh()
	return true
}

// Unsubscribe takes back what Subscribe added with the same topic. Single symbols stay
// when [tickstorm.All] goes, and the other way round.
func (g *Generator) Unsubscribe(t tickstorm.Topic) {
	f := g.class.feature(t.Channel)
	if f == nil {
		return
	}
	s := g.sourceOf(f)
	if s == nil {
		return
	}
	if t.Symbol == tickstorm.All {
		if !s.all {
			return
		}
		s.all = false
		g.all &^= f.bit
		if moving, barred := g.since(g.all, g.moving, g.barred); moving != g.moving || barred != g.barred {
			for i := range g.accounts {
				g.rest(&g.accounts[i], g.moving, g.barred)
			}
			g.moving, g.barred = moving, barred
		}
	} else {
		i, known := g.find(f, t)
		if !known {
			return
		}
		at, held := slices.BinarySearch(s.some, i)
		if !held {
			return
		}
		s.some = slices.Delete(s.some, at, at+1)
		st, a := &g.states[i], &g.accounts[i]
		st.single &^= f.bit
		if moving, barred := g.since(st.single, a.moving, a.barred); moving != a.moving || barred != a.barred {
			g.rest(a, a.moving, a.barred)
			a.moving, a.barred = moving, barred
		}
	}
	if s.count() == 0 {
		g.removeSource(s)
	}
	g.refresh()
}

// settleIn notes since when what has been subscribed to since the last event is.
func (g *Generator) settleIn() {
	if g.freshAll {
		g.moving, g.barred = g.since(g.all, g.moving, g.barred)
	}
	for _, i := range g.fresh {
		a := &g.accounts[i]
		a.moving, a.barred = g.since(g.states[i].single, a.moving, a.barred)
	}
	g.fresh, g.freshAll = g.fresh[:0], false
}

// since returns since when a set of channels has one that moves the price, and one of bars of
// a second, if it was so already since the times given: now if it was not, 0 if it has none.
func (g *Generator) since(set channels, moving, barred int64) (nowMoving, nowBarred int64) {
	from := func(some channels, before int64) int64 {
		switch {
		case set&some == 0:
			return 0
		case before == 0:
			return g.stamp
		}
		return before
	}
	return from(g.class.moving, moving), from(g.class.bars[second], barred)
}

// rest makes sure that no bars are made up of the time before the present second and minute
// if there was something else to make them of.
func (g *Generator) rest(a *account, moving, barred int64) {
	for p := range periods {
		if start := p.startOf(g.stamp); g.covers(p, start-lengths[p], moving, barred) {
			a.sent[p] = max(a.sent[p], start)
		}
	}
}

// refresh lets channels look again which symbols lack a bar.
func (g *Generator) refresh() {
	for _, s := range g.bars {
		s.exhausted, s.next = 0, 0
	}
}

// list returns the sources that one of this channel stands among, and their weight.
func (g *Generator) list(f *feature) (*[]*source, *uint32) {
	if f.make == nil {
		return &g.bars, &g.barShare
	}
	return &g.sources, &g.weight
}

func (g *Generator) sourceOf(f *feature) *source {
	list, _ := g.list(f)
	for _, s := range *list {
		if s.feature == f {
			return s
		}
	}
	return nil
}

func (g *Generator) newSource(f *feature) *source {
	s := &source{feature: f, symbols: g.universe.symbols}
	s.stream, _ = g.market.StreamOf(f.channel)
	if len(s.symbols) > 0 && g.spelling(f, s.symbols[0]) != s.symbols[0] {
		s.symbols = make([]string, len(g.universe.symbols))
		for i, symbol := range g.universe.symbols {
			s.symbols[i] = g.spelling(f, symbol)
		}
	}
	if g.states == nil {
		g.states = make([]state, len(g.universe.symbols))
		g.accounts = make([]account, len(g.universe.symbols))
		if g.family == tickstorm.Futures {
			g.futures = make([]futuresBook, len(g.universe.symbols))
		}
	}
	// Sources stand in the order of the table, whatever the order of subscriptions.
	list, weight := g.list(f)
	at, _ := slices.BinarySearchFunc(*list, f.rank, func(o *source, rank int) int { return o.rank - rank })
	*list = slices.Insert(*list, at, s)
	*weight += f.weight
	return s
}

func (g *Generator) removeSource(s *source) {
	list, weight := g.list(s.feature)
	*list = slices.DeleteFunc(*list, func(o *source) bool { return o == s })
	*weight -= s.weight
}

// spelling returns how a channel spells a symbol of the universe: fair market values
// of EUR/USD are those of C:EURUSD.
func (g *Generator) spelling(f *feature, symbol string) string {
	return g.market.Canonical(tickstorm.Topic{Channel: f.channel, Symbol: symbol}).Symbol
}

// find looks a topic's symbol up in the universe, which has the spelling of the
// market's first channel.
func (g *Generator) find(f *feature, t tickstorm.Topic) (int32, bool) {
	symbol := g.market.Canonical(t).Symbol
	if i, ok := g.universe.find(symbol); ok {
		return i, ok
	}
	// C:EURUSD, C:EUR-USD, X:BTC-USD
	return g.universe.find(g.spelling(&g.class.features[0], symbol))
}
