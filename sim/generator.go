package sim

import (
	"math"
	"time"

	"github.com/tickstorm/tickstorm"
)

// Generator makes up a market: prices that walk, sizes, conditions, sequence numbers
// and timestamps of the symbols that are subscribed to, in the shapes of the live
// feed. What it generates is fixed by the market, the seed, the calls made on it and
// the times that they are given.
//
// What it generates can be charted. Bars are those of the trades that were sent, or, where
// the trades of a symbol are not subscribed to, of trades that nobody sees: open, high, low,
// close, volume and averages agree with them to the digit, whatever the conditions of a
// trade, and with the quotes. A trade counts in the second and minute of its Timestamp, a
// quote of forex with its bid. A second's bar comes 1.5 s after its end, a minute's 2.5 s;
// there is one for each symbol and start, and none without trades. In about one of 64 trades
// the bars lack it at first, and come again with it, 7 s after it. The day, which DayVolume
// and DayVWAP are of, begins at 05:00 UTC; it has the seconds whose bars are out, and volume
// from before the Generator was there. A few symbols have no official open yet.
//
// It allocates nothing once it has seen as many bars as are under way at once. A Generator
// serves one goroutine at a time.
type Generator struct {
	market   tickstorm.Market
	family   tickstorm.Market
	class    *class
	universe *universe
	seed     uint64
	random   *random
	states   []state       // by index into the universe; opened at first use
	accounts []account     // the same
	futures  []futuresBook // the same, on futures

	// The channels that are subscribed to with at least one symbol that has data, in the order
	// of the table, those with bars apart.
	sources, bars    []*source
	weight, barShare uint32 // of sources and of bars
	all              channels
	// moving and barred are since when all symbols of something that moves the price, or all
	// bars of a second, are subscribed to; see state.
	moving, barred int64
	fresh          []int32 // symbols that have been subscribed to since the last event
	freshAll       bool

	now    time.Time
	millis int64 // of now
	stamp  int64 // the timestamp of trades and quotes
	second int64 // that stamp is in
	nanos  int64 // the last timestamp in nanoseconds

	// The bars under way: see bars.go.
	seconds, minutes barQueue
	late             belatedTrades
	due              int64 // when the next of them is to be sent
	out              broadcast

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

// NewGenerator returns a generator without subscriptions. A market that the vendor
// does not have has no symbols.
func NewGenerator(m tickstorm.Market, seed int64) *Generator {
	return &Generator{
		market:   m,
		family:   family(m),
		class:    classOf(m),
		universe: universeOf(m),
		seed:     scramble(uint64(seed)),
		random:   newRandom(seed, m, 0),
		seconds:  barQueue{period: second},
		minutes:  barQueue{period: minute},
		due:      math.MaxInt64,
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

// Silent reports whether there is nothing to generate.
func (g *Generator) Silent() bool { return len(g.sources)+len(g.bars) == 0 }

// Next makes the next event, happening at now, which should not be before the last one's: then
// that is taken. The event is valid until the next call of a method. It is nil if the
// generator is Silent, and if nothing but bars is subscribed to and none is due.
func (g *Generator) Next(now time.Time) tickstorm.Event {
	g.at(now)
	if g.Silent() {
		return nil
	}
	return g.next()
}

// AppendMessage appends a message of so many events, a JSON array, to dst, all happening at
// now; see [Generator.Next]. There are fewer where Next would return nil, and nothing is
// appended if there are none.
func (g *Generator) AppendMessage(dst []byte, now time.Time, events int) []byte {
	dst, _ = g.appendMessage(dst, now, events)
	return dst
}

// appendMessage returns how many events the message has, too.
func (g *Generator) appendMessage(dst []byte, now time.Time, events int) ([]byte, int) {
	if g.Silent() || events <= 0 {
		return dst, 0
	}
	g.at(now)
	for n := range events {
		e := g.next()
		switch {
		case e == nil && n == 0:
			return dst, 0
		case e == nil:
			return append(dst, ']'), n
		case n == 0:
			dst = append(dst, '[')
		default:
			dst = append(dst, ',')
		}
		dst = e.AppendJSON(dst)
	}
	return append(dst, ']'), events
}

// ready reports whether there is an event to generate at now.
func (g *Generator) ready(now time.Time) bool {
	g.at(now)
	return len(g.sources) > 0 || g.due <= g.millis && g.advance() || g.makeUpAny()
}

func (g *Generator) at(now time.Time) {
	if now.After(g.now) {
		g.now = now
		if ms := now.UnixMilli(); ms != g.millis {
			g.millis = ms
			g.stamp = max(g.stamp, ms-g.delay())
			g.second = second.startOf(g.stamp)
		}
	}
	if len(g.fresh) > 0 || g.freshAll {
		g.settleIn()
	}
}

// delay is how many milliseconds an exchange's timestamp is behind the vendor's: 4 to 11 on
// crypto, at times up to some 130, none elsewhere.
func (g *Generator) delay() int64 {
	if g.family != tickstorm.Crypto {
		return 0
	}
	const stretch = 7 // bits of the milliseconds in which it keeps its mind
	h := scramble(g.seed ^ uint64(g.millis>>stretch))
	if h>>56 < 6 {
		return 8 + 1<<stretch // the timestamps stand still
	}
	return 4 + int64(h&7)
}

func (g *Generator) next() tickstorm.Event {
	if g.due <= g.millis && g.advance() {
		return g.barEvent()
	}
	r := g.random.next()
	w := uint32(below(uint32(r>>32), int(g.weight+g.barShare)))
	if w >= g.weight {
		if g.makeUp(draw(g.bars, w-g.weight), r) || len(g.sources) == 0 && g.makeUpAny() {
			g.advance()
			return g.barEvent()
		}
		if len(g.sources) == 0 {
			return nil
		}
		r = g.random.next()
		w = uint32(below(uint32(r>>32), int(g.weight)))
	}
	s := g.sources[0]
	if len(g.sources) > 1 {
		s = draw(g.sources, w)
	}
	st := g.stateOf(s.symbol(zipf(uint32(r), s.count())))
	r = g.random.next()
	subscribed := st.single | g.all
	if subscribed&s.before == 0 {
		st.step(uint8(r))
	}
	e := s.make(g, s, st, r)
	if subscribed&g.class.ticks == 0 && subscribed&^g.class.moving != 0 {
		g.unseen(st)
	}
	return e
}

// draw returns the source that has w of the weights.
func draw(sources []*source, w uint32) *source {
	for _, s := range sources {
		if w < s.weight {
			return s
		}
		w -= s.weight
	}
	panic("sim: a share of no source")
}

// makeUpAny makes a bar up for any channel that lacks one.
func (g *Generator) makeUpAny() bool {
	for _, s := range g.bars {
		if g.makeUp(s, g.random.next()) {
			return true
		}
	}
	return false
}

// stateOf returns a symbol's market, which is set up now if it has not been.
func (g *Generator) stateOf(i int32) *state {
	st := &g.states[i]
	if st.unit == 0 {
		st.index = i
		g.open(st)
	}
	return st
}
