package sim

import "github.com/tickstorm/tickstorm"

// state is one symbol's market. Prices are counted in units of 1/unit, so that what is
// printed is the float64 nearest to a short decimal number, as on the real feed.
type state struct {
	price    int64 // the middle
	opened   int64
	spread   int64 // between bid and ask, in units
	sequence int64
	volume   int64 // of the day
	trades   int64 // ids count up with it
	unit     float64
	tape     int32
}

// open sets a symbol's market up. It depends on the seed and the symbol only, not on
// when somebody subscribed to it.
func (g *Generator) open(s *state, i int) {
	h := scramble(g.seed + uint64(i))
	s.spread = 1 + int64(h>>8&3)
	s.sequence = 100_000 + int64(h>>44)
	s.volume = 1000 + int64(h>>44)
	s.trades = 1 + int64(h>>16&0xFFFF)
	s.tape = 1 + int32(h>>4&0xF)%3
	x := uint32(h)
	switch family(g.market) {
	case tickstorm.Stocks:
		s.unit, s.price = 100, 200+int64(zipf(x, 90_000))
		if i < len(stockNames) {
			s.price = 1000 + int64(below(x, 60_000))
		}
	case tickstorm.Options:
		s.unit, s.price = 100, 10+int64(zipf(x, 8000))
		s.spread *= 5
		s.sequence += 1_860_000_000
	case tickstorm.Forex:
		s.unit, s.price = 1e5, 50_000+int64(below(x, 150_000))
		if h>>60 < 4 { // a yen or a forint a piece
			s.unit, s.price = 1e3, 20_000+int64(below(x, 300_000))
		}
		s.spread *= 3
	case tickstorm.Crypto:
		g.openCoin(s, i, h)
	case tickstorm.Indices:
		s.unit, s.price = 100, 10_000+int64(below(x, 600_000))
	default:
		s.unit, s.price = 4, 400+int64(below(x, 24_000))
		s.spread = 1
		if i%3 == 1 {
			s.unit, s.price = 100, 1000+int64(below(x, 300_000))
		}
	}
	s.opened = s.price
}

// openCoin gives coins prices over eleven orders of magnitude.
func (g *Generator) openCoin(s *state, i int, h uint64) {
	dear := [...]int64{6_400_000, 310_000, 15_000} // BTC, ETH and SOL in cents
	switch name := g.universe.symbols[i]; {
	case i < len(dear):
		s.unit, s.price = 100, dear[i]+int64(below(uint32(h), int(dear[i])))
	case len(name) > 4 && name[len(name)-4:] == "-BTC":
		s.unit, s.price = 1e8, 500+int64(below(uint32(h), 2_000_000))
	case h>>61 == 0: // SHIB and the like: 0.00001234
		s.unit, s.price = 1e8, 300+int64(below(uint32(h), 9000))
	case h>>61 < 5:
		s.unit, s.price = 1e4, 500+int64(below(uint32(h), 90_000))
	default:
		s.unit, s.price = 100, 100+int64(below(uint32(h), 30_000))
	}
}

// step lets the price walk by what eight random bits say, and keeps it between half
// and twice the opening price.
func (s *state) step(r uint8) {
	switch {
	case r < 64:
		s.price++
	case r < 128:
		s.price--
	case r == 255:
		s.price += 1 + s.opened>>10
	case r == 254:
		s.price -= 1 + s.opened>>10
	}
	if s.price > 2*s.opened {
		s.price = 2 * s.opened
	} else if s.price < s.opened/2+s.spread+1 {
		s.price = s.opened/2 + s.spread + 1
	}
}

func (s *state) bid() int64 { return max(s.price-s.spread/2, 1) }
func (s *state) ask() int64 { return s.bid() + s.spread }

// money is a price in units as the number that is printed.
func (s *state) money(units int64) float64 { return float64(units) / s.unit }

// skip raises the sequence number by what three random bits say: gaps are usual, since
// numbers are dealt out over all symbols.
func (s *state) skip(r uint8) int64 {
	s.sequence += 1 + int64(r&7)
	return s.sequence
}
