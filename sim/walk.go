package sim

import "github.com/tickstorm/tickstorm"

// state is one symbol's market. Prices are counted in units of 1/unit and sizes in lots of
// 1/lot, so that what is printed is the float64 nearest to a short decimal number, as on
// the real feed, and sums are exact.
//
// It has the size of a line of the cache, as every event needs one; what few events need is
// in the symbol's account.
type state struct {
	unit     float64 // 0 if it has not been set up
	sequence int64
	price    int32 // the middle
	opened   int32 // the price at the beginning of the day
	least    int32 // the price stays between these
	most     int32
	spread   int32 // between bid and ask, in units
	index    int32 // in the universe
	lot      int32
	slots    [periods]int32 // where the present bars may be
	trades   uint32         // ids count up with it
	single   channels       // subscribed to with this symbol
	late     uint8          // one more than the place of a trade that is held back, 0 if none is
	tape     uint8
	otc      bool
	// unopened has no official opening price: it has not been in its auction.
	unopened bool
}

// account is what bars need to know of a symbol.
type account struct {
	// moving and barred are since when something that moves the price, or bars of a second,
	// are subscribed to with this symbol, in milliseconds; 0 if they are not.
	moving, barred int64
	sent           [periods]int64 // the start of the last bar
	fraction       int64          // the minute of the last trade of less than a share
	date           int64          // the day that the following is of
	day            total          // what bars have been sent of, or would have been if somebody had wanted them
}

// open sets a symbol's market up. It depends on the seed, the symbol and the day only, not
// on when somebody subscribed to it.
func (g *Generator) open(s *state) {
	h := scramble(g.seed + uint64(s.index))
	s.spread = 1 + int32(h>>8&3)
	s.sequence = 100_000 + int64(h>>44)
	s.trades = 1 + uint32(h>>16&0xFFFF)
	s.tape = 1 + uint8(h>>4&0xF)%3
	s.lot = 1
	s.unopened = h>>38&63 == 0
	x := uint32(h)
	between := func(least, most int) int32 { return int32(least + below(x, most-least)) }
	switch g.family {
	case tickstorm.Stocks:
		s.unit, s.price, s.lot = 100, 200+int32(zipf(x, 90_000)), wholeShare
		if int(s.index) < len(stockNames) {
			s.price = between(1000, 61_000)
		} else {
			s.otc = h>>32&31 == 0
		}
	case tickstorm.Options:
		s.unit, s.price = 100, 10+int32(zipf(x, 8000))
		s.spread = min(5*s.spread, 1+s.price/5)
		s.sequence += 1_860_000_000
	case tickstorm.Forex:
		s.unit, s.price = 1e5, between(50_000, 200_000)
		if h>>60 < 4 { // a yen or a forint a piece
			s.unit, s.price = 1e3, between(20_000, 320_000)
		}
		s.spread *= 3
	case tickstorm.Crypto:
		g.openCoin(s, h)
	case tickstorm.Indices:
		s.unit, s.price = 100, between(10_000, 610_000)
	default:
		s.unit, s.price = 4, between(400, 24_400)
		s.spread = 1
		if s.index%3 == 1 {
			s.unit, s.price = 100, between(1000, 301_000)
		}
	}
	part := int64(s.lot)
	if g.family == tickstorm.Crypto {
		part = 1e6
	}
	a := &g.accounts[s.index]
	a.date = dayOf(g.stamp)
	a.day.add(s.price, (50_000+int64(h>>44))*part) // more than a minute ever has
	s.begin(s.price)
}

// openCoin gives coins prices over eleven orders of magnitude, and lots to go with them.
func (g *Generator) openCoin(s *state, h uint64) {
	dear := [...]int{6_400_000, 310_000, 15_000} // BTC, ETH and SOL in cents
	between := func(least, most int) int32 { return int32(least + below(uint32(h), most-least)) }
	switch name := g.universe.symbols[s.index]; {
	case int(s.index) < len(dear):
		at := dear[s.index]
		s.unit, s.price, s.lot = 100, between(at, 2*at), 1e8
	case len(name) > 4 && name[len(name)-4:] == "-BTC":
		s.unit, s.price, s.lot = 1e8, between(500, 2_000_500), 1e8
	case h>>61 == 0: // SHIB and the like: 0.00001234
		s.unit, s.price, s.lot = 1e8, between(300, 9300), 1
	case h>>61 < 5:
		s.unit, s.price, s.lot = 1e4, between(500, 90_500), 1e4
	default:
		s.unit, s.price, s.lot = 100, between(100, 30_100), 1e6
	}
}

// begin sets the bounds of a day: half and twice of its first price.
func (s *state) begin(price int32) {
	s.opened = price
	s.least, s.most = s.dayBounds()
}

func (s *state) dayBounds() (least, most int32) { return s.opened / 2, 2*s.opened + 4*s.spread }

// band narrows the bounds to those of a limit-up limit-down band around the price, and
// returns the band.
func (s *state) band() (lower, upper int32) {
	half := s.price / 10
	if float64(s.price) < 3*s.unit {
		half = s.price / 5
	}
	half = max(half, 2*s.spread+2)
	lower, upper = max(s.price-half, 1), s.price+half
	least, most := s.dayBounds()
	s.least, s.most = max(least, lower), min(most, upper)
	return lower, upper
}

// step lets the price walk by what eight random bits say, so that bid and ask stay between
// the bounds.
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
	s.price = max(min(s.price, s.most-s.spread), s.least+s.spread)
}

func (s *state) bid() int32 { return s.price - s.spread/2 }
func (s *state) ask() int32 { return s.bid() + s.spread }

// between is a price that somebody pays: the bid, the ask, or one within.
func (s *state) between(r uint8) int32 {
	switch r & 3 {
	case 0:
		return s.bid()
	case 1:
		return s.ask()
	}
	return s.price
}

// money is a price in units as the number that is printed.
func (s *state) money(units int32) float64 { return float64(units) / s.unit }

// finely is a price in ten-thousandths of a unit as the number that is printed.
func (s *state) finely(price int64) float64 { return float64(price) / (s.unit * 10_000) }

// amount is a size in lots as the number that is printed.
func (s *state) amount(lots int64) float64 { return float64(lots) / float64(s.lot) }

// skip raises the sequence number by what three random bits say: gaps are usual, since
// numbers are dealt out over all symbols.
func (s *state) skip(r uint8) int64 {
	s.sequence += 1 + int64(r&7)
	return s.sequence
}

// dayOf numbers the days, which begin at midnight in New York, in winter as in summer.
func dayOf(millis int64) int64 {
	const hour = 60 * 60 * 1000
	return (millis - 5*hour) / (24 * hour)
}
