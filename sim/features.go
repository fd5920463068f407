package sim

import (
	"slices"
	"strings"

	"github.com/tickstorm/tickstorm"
)

// feature is what the generator does for one channel of a market.
type feature struct {
	channel string
	// weight is the channel's share of all events, where everything is subscribed to.
	weight uint32
	// make fills one of the generator's events; r is random. nil for bars.
	make func(g *Generator, s *source, st *state, r uint64) tickstorm.Event
	// bar fills what not all bars have. nil for what is no bar.
	bar func(g *Generator, a *tickstorm.Aggregate, st *state, w *bar)
	// period is that of the bars.
	period period

	rank   int      // the place in the table
	bit    channels // of the rank
	before channels // those that move the price rather than this one
}

// channels is a set of the channels of a market, by rank.
type channels uint16

// class is what the generator does for a market, or for several of the same shape.
type class struct {
	// features are the channels. The price of a symbol is moved by the first of those that
	// somebody has subscribed to; the others follow, so that a trade is within the quote
	// that was sent before it.
	features []feature
	// tick is the channel whose events the bars count.
	tick string
	// size is that of one such event, in lots; r is random.
	size func(st *state, r uint64) int64
	// exact bars have all the events from the start: what has no volume is not late.
	exact bool

	ticks, moving channels          // the bit of tick; those that are no bars
	bars          [periods]channels // those that are, by period
}

// classes is the table of channels. The shares of the busy ones are those of the corpora;
// the others are rare on the real feed too. What bars come is decided in bars.go: their
// weight is the share of those that have to be made up.
var classes = map[tickstorm.Market]*class{
	tickstorm.Stocks: {tick: "T", size: stockSize, features: []feature{
		{channel: "Q", weight: 8000, make: (*Generator).stockQuote},
		{channel: "T", weight: 1800, make: (*Generator).stockTrade},
		{channel: "LULD", weight: 10, make: (*Generator).priceBand},
		{channel: "NOI", weight: 5, make: (*Generator).auction},
		{channel: "FMV", weight: 20, make: (*Generator).estimate},
		{channel: "LV", weight: 20, make: (*Generator).estimate},
		{channel: "A", weight: 150, bar: (*Generator).stockBar, period: second},
		{channel: "AM", weight: 50, bar: (*Generator).stockBar, period: minute},
	}},
	tickstorm.Options: {tick: "T", size: contractSize, features: []feature{
		{channel: "Q", weight: 9400, make: (*Generator).optionQuote},
		{channel: "T", weight: 600, make: (*Generator).optionTrade},
		{channel: "FMV", weight: 20, make: (*Generator).estimate},
		{channel: "LV", weight: 20, make: (*Generator).estimate},
		{channel: "A", weight: 80, bar: (*Generator).tradedBar, period: second},
		{channel: "AM", weight: 40, bar: (*Generator).tradedBar, period: minute},
	}},
	tickstorm.Forex: {tick: "C", size: one, features: []feature{
		{channel: "C", weight: 9800, make: (*Generator).forexQuote},
		{channel: "FMV", weight: 20, make: (*Generator).estimate},
		{channel: "LV", weight: 20, make: (*Generator).estimate},
		{channel: "CAS", weight: 150, bar: (*Generator).forexBar, period: second},
		{channel: "CA", weight: 50, bar: (*Generator).forexBar, period: minute},
		{channel: "AM", weight: 50, bar: (*Generator).tradedBar, period: minute},
	}},
	tickstorm.Crypto: {tick: "XT", size: coinSize, features: []feature{
		{channel: "XQ", weight: 4500, make: (*Generator).cryptoQuote},
		{channel: "XL2", weight: 500, make: (*Generator).cryptoBook},
		{channel: "XT", weight: 5000, make: (*Generator).cryptoTrade},
		{channel: "FMV", weight: 20, make: (*Generator).estimate},
		{channel: "LV", weight: 20, make: (*Generator).estimate},
		{channel: "XAS", weight: 100, bar: (*Generator).cryptoBar, period: second},
		{channel: "XA", weight: 50, bar: (*Generator).cryptoBar, period: minute},
		{channel: "AM", weight: 50, bar: (*Generator).launchpadCoinBar, period: minute},
	}},
	tickstorm.Indices: {tick: "V", size: one, exact: true, features: []feature{
		{channel: "V", weight: 9500, make: (*Generator).indexValue},
		{channel: "A", weight: 400, bar: (*Generator).indexBar, period: second},
		{channel: "AM", weight: 100, bar: (*Generator).indexBar, period: minute},
	}},
	tickstorm.Futures: {tick: "T", size: futuresSize, features: []feature{
		{channel: "Q", weight: 8000, make: (*Generator).futuresQuote},
		{channel: "T", weight: 1800, make: (*Generator).futuresTrade},
		{channel: "A", weight: 150, bar: (*Generator).futuresBar, period: second},
		{channel: "AM", weight: 50, bar: (*Generator).futuresBar, period: minute},
	}},
}

// one is the size of what is counted and not measured.
func one(*state, uint64) int64 { return 1 }

func init() {
	for _, c := range classes {
		for i := range c.features {
			f := &c.features[i]
			f.rank, f.bit = i, 1<<i
			if f.make == nil {
				c.bars[f.period] |= f.bit
				continue
			}
			f.before = c.moving
			c.moving |= f.bit
			if f.channel == c.tick {
				c.ticks = f.bit
			}
		}
	}
}

// family is the market whose events a market's have the shape of.
func family(m tickstorm.Market) tickstorm.Market {
	if !slices.Contains(tickstorm.Markets(), m) {
		return m
	}
	first, _, _ := strings.Cut(string(m), "/")
	return tickstorm.Market(first)
}

// classOf returns what the generator does for a market; nothing for one that the vendor
// does not have.
func classOf(m tickstorm.Market) *class {
	if c, ok := classes[family(m)]; ok {
		return c
	}
	return &class{}
}

func (c *class) feature(channel string) *feature {
	for i := range c.features {
		if c.features[i].channel == channel {
			return &c.features[i]
		}
	}
	return nil
}
