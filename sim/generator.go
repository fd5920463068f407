package sim

import (
	"slices"
	"time"

	"github.com/tickstorm/tickstorm"
)

// Generator makes up a market: prices that walk, sizes, conditions, sequence numbers
// and timestamps of the symbols that are subscribed to, in the shapes of the live
// feed. What it generates is fixed by the market, the seed, the calls made on it and
// the times that they are given.
//
// It allocates nothing once it runs. A Generator serves one goroutine at a time.
type Generator struct {
	market   tickstorm.Market
	universe *universe
	seed     uint64
	random   *random
	states   []state // by index into the universe; opened at first use

	sources []*source // the channels that are subscribed to with at least one symbol that has data
	weight  uint32    // of all sources

	now    time.Time
	millis int64

	number func() int64 // where sequence numbers come from, nil if the symbols have their own

	// One event of each kind, used over and over, and the memory behind their slices.
	trade      tickstorm.Trade
	quote      tickstorm.Quote
	aggregate  tickstorm.Aggregate
	book       tickstorm.Book
	luld       tickstorm.LULD
	imbalance  tickstorm.Imbalance
	value      tickstorm.Value
	id         [40]byte
	text       [2][40]byte
	indicators [1]int32
	side       [1]int32
	levels     [2][maxLevels]tickstorm.Level
}

// source is one channel with the symbols that are subscribed to.
type source struct {
	*feature
	stream  tickstorm.Stream
	all     bool
	some    []int32  // sorted, so that the busier symbols stay busier
	symbols []string // of the whole universe in the spelling of this channel
}

// NewGenerator returns a generator without subscriptions. A market that the vendor
// does not have has no symbols.
func NewGenerator(m tickstorm.Market, seed int64) *Generator {
	return &Generator{
		market:   m,
		universe: universeOf(m),
		seed:     scramble(uint64(seed)),
		random:   newRandom(seed, m, 0),
	}
}

// Number makes every event that has a sequence number, its q, take it from next instead of
// its symbol's own: if that counts, a receiver can tell which events it did not get.
func (g *Generator) Number(next func() int64) { g.number = next }

func (g *Generator) sequence(st *state, r uint8) int64 {
	if g.number != nil {
		return g.number()
	}
	return st.skip(r)
}

// Subscribe adds a topic, whose symbol may be [tickstorm.All] and is otherwise taken in
// any spelling that [tickstorm.Market.Canonical] knows. It reports whether the topic
// adds data: not if the channel or the symbol is unknown or the topic is there already.
func (g *Generator) Subscribe(t tickstorm.Topic) bool {
	f := featureOf(g.market, t.Channel)
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
		added := !s.all
		s.all = true
		return added
	}
	at, held := slices.BinarySearch(s.some, i)
	if held {
		return false
	}
	s.some = slices.Insert(s.some, at, i)
	return true
}

// Unsubscribe takes back what Subscribe added with the same topic. Single symbols stay
// when [tickstorm.All] goes, and the other way round.
func (g *Generator) Unsubscribe(t tickstorm.Topic) {
	f := featureOf(g.market, t.Channel)
	if f == nil {
		return
	}
	s := g.sourceOf(f)
	if s == nil {
		return
	}
	if t.Symbol == tickstorm.All {
		s.all = false
	} else if i, known := g.find(f, t); known {
		if at, held := slices.BinarySearch(s.some, i); held {
			s.some = slices.Delete(s.some, at, at+1)
		}
	}
	if !s.all && len(s.some) == 0 {
		g.sources = slices.DeleteFunc(g.sources, func(o *source) bool { return o == s })
		g.weight -= f.weight
	}
}

// Silent reports whether there is nothing to generate.
func (g *Generator) Silent() bool { return len(g.sources) == 0 }

func (g *Generator) sourceOf(f *feature) *source {
	for _, s := range g.sources {
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
	}
	// Sources stand in the order of the table, whatever the order of subscriptions.
	at, _ := slices.BinarySearchFunc(g.sources, f.rank, func(o *source, rank int) int { return o.rank - rank })
	g.sources = slices.Insert(g.sources, at, s)
	g.weight += f.weight
	return s
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
	first := &featuresOf(g.market)[0]
	return g.universe.find(g.spelling(first, symbol))
}

// Next makes the next event, happening at now. The event is valid until the next call
// of a method. It is nil if the generator is Silent.
func (g *Generator) Next(now time.Time) tickstorm.Event {
	g.at(now)
	if g.Silent() {
		return nil
	}
	return g.next()
}

// AppendMessage appends a message of so many events, a JSON array, to dst; nothing if
// the generator is Silent or events is not positive. now is asked of nobody, so that a
// recording of it is reproducible: all events of the message happen at now.
func (g *Generator) AppendMessage(dst []byte, now time.Time, events int) []byte {
	if g.Silent() || events <= 0 {
		return dst
	}
	g.at(now)
	dst = append(dst, '[')
	for i := range events {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = g.next().AppendJSON(dst)
	}
	return append(dst, ']')
}

func (g *Generator) at(now time.Time) {
	if !now.Equal(g.now) {
		g.now, g.millis = now, now.UnixMilli()
	}
}

func (g *Generator) next() tickstorm.Event {
	r := g.random.next()
	s := g.sources[0]
	if len(g.sources) > 1 {
		w := uint32(below(uint32(r>>32), int(g.weight)))
		for _, s = range g.sources {
			if w < s.weight {
				break
			}
			w -= s.weight
		}
	}
	i := 0
	if s.all {
		i = zipf(uint32(r), len(s.symbols))
	} else {
		i = int(s.some[zipf(uint32(r), len(s.some))])
	}
	st := &g.states[i]
	if st.unit == 0 {
		g.open(st, i)
	}
	return s.make(g, s, s.symbols[i], st, g.random.next())
}
