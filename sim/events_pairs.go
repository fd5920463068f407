package sim

import (
	"strconv"

	"github.com/tickstorm/tickstorm"
)

// The events of forex and crypto.

const forexQuoteFields = tickstorm.QuoteSymbol | tickstorm.QuoteExchange | tickstorm.QuoteAskPrice | tickstorm.QuoteBidPrice | tickstorm.QuoteTimestamp

func (g *Generator) forexQuote(s *source, symbol string, st *state, r uint64) tickstorm.Event {
	st.step(uint8(r))
	q := &g.quote
	q.Market, q.Stream, q.Symbol = g.market, s.stream, symbol
	q.Has = forexQuoteFields
	q.Exchange = 48
	q.BidPrice = st.money(st.bid())
	q.AskPrice = st.money(st.ask())
	q.Timestamp = tickstorm.Timestamp(g.millis)
	if r>>8&7 == 0 {
		q.Has |= tickstorm.QuoteIndicators
		g.indicators[0] = 0
		q.Indicators = g.indicators[:]
	}
	return q
}

func (g *Generator) forexBar(s *source, symbol string, st *state, r uint64) tickstorm.Event {
	a := g.bar(s, symbol, st, r)
	a.Has |= tickstorm.AggregateVolume
	a.Volume = float64(1 + r>>16&0xFF)
	return a
}

// launchpadBar has the shape of a stock's bar, with a volume in fractions.
func (g *Generator) launchpadBar(s *source, symbol string, st *state, r uint64) tickstorm.Event {
	a := g.bar(s, symbol, st, r)
	g.averages(a, st, r)
	volume := 1 + int64(zipf(uint32(r>>16), 50_000_000))
	a.Has |= tickstorm.AggregateVolume | tickstorm.AggregateDayVolume | tickstorm.AggregateOfficialOpen | tickstorm.AggregateAverageSize
	a.Volume = float64(volume) / 1e4
	a.DayVolume = float64(volume*17) / 1e4
	a.AverageSize = float64(volume / 3 / 10_000)
	a.OfficialOpen = st.money(st.opened)
	return a
}

// cryptoExchanges are Coinbase, Bitfinex, Bitstamp and Kraken.
var cryptoExchanges = [8]int32{1, 1, 1, 23, 23, 2, 6, 1}

// coinSize is a size as coins have it: from hundredths of millionths to thousands, the
// small ones printed with an exponent.
func coinSize(r uint32) float64 {
	if r&3 == 0 { // people like round numbers
		return float64(1+r>>2&0x3FF) / 100
	}
	return float64(1+zipf(r, 1<<30)) / 1e8
}

// received is when the vendor got an event that the exchange stamped now: some ten
// milliseconds later, rarely a hundred.
func (g *Generator) received(r uint8) tickstorm.Timestamp {
	late := int64(4 + r&7)
	if r > 250 {
		late = 70 + int64(r&63)
	}
	return tickstorm.Timestamp(g.millis + late)
}

const cryptoTradeFields = tickstorm.TradeSymbol | tickstorm.TradePrice | tickstorm.TradeTimestamp | tickstorm.TradeSize |
	tickstorm.TradeConditions | tickstorm.TradeID | tickstorm.TradeExchange | tickstorm.TradeVendorReceived

func (g *Generator) cryptoTrade(s *source, symbol string, st *state, r uint64) tickstorm.Event {
	st.step(uint8(r))
	st.trades++
	t := &g.trade
	t.Market, t.Stream, t.Symbol = g.market, s.stream, symbol
	t.Has = cryptoTradeFields
	t.Price = st.money(st.price)
	t.Size = coinSize(uint32(r >> 8))
	g.side[0] = 1 + int32(r>>40&1)
	t.Conditions = g.side[:]
	if r>>48&3 != 0 {
		t.ID = strconv.AppendInt(g.id[:0], 700_000_000+st.trades, 10)
	} else {
		t.ID = appendUUID(g.id[:0], scramble(r), scramble(r+1))
	}
	t.Exchange = cryptoExchanges[r>>41&7]
	t.Timestamp = tickstorm.Timestamp(g.millis)
	t.VendorReceived = g.received(uint8(r >> 50))
	return t
}

// appendUUID appends two numbers in the form of a UUID.
func appendUUID(dst []byte, hi, lo uint64) []byte {
	const hex = "0123456789abcdef"
	for i := range 32 {
		if i == 8 || i == 12 || i == 16 || i == 20 {
			dst = append(dst, '-')
		}
		x := hi
		if i >= 16 {
			x = lo
		}
		dst = append(dst, hex[x>>(60-4*(i&15))&15])
	}
	return dst
}

const cryptoQuoteFields = tickstorm.QuoteSymbol | tickstorm.QuoteLastPrice | tickstorm.QuoteLastSize | tickstorm.QuoteBidPrice |
	tickstorm.QuoteBidSize | tickstorm.QuoteAskPrice | tickstorm.QuoteAskSize | tickstorm.QuoteTimestamp |
	tickstorm.QuoteExchange | tickstorm.QuoteVendorReceived

func (g *Generator) cryptoQuote(s *source, symbol string, st *state, r uint64) tickstorm.Event {
	st.step(uint8(r))
	q := &g.quote
	q.Market, q.Stream, q.Symbol = g.market, s.stream, symbol
	q.Has = cryptoQuoteFields
	q.LastPrice, q.LastSize = 0, 0
	q.BidPrice = st.money(st.bid())
	q.AskPrice = st.money(st.ask())
	q.BidSize = coinSize(uint32(r >> 8))
	q.AskSize = coinSize(uint32(r >> 24))
	q.Exchange = cryptoExchanges[r>>41&7]
	q.Timestamp = tickstorm.Timestamp(g.millis)
	q.VendorReceived = g.received(uint8(r >> 50))
	return q
}

// maxLevels is how deep a book can be, on each side.
const maxLevels = 100

const bookFields = tickstorm.BookSymbol | tickstorm.BookBids | tickstorm.BookAsks | tickstorm.BookTimestamp |
	tickstorm.BookVendorReceived | tickstorm.BookExchange

func (g *Generator) cryptoBook(s *source, symbol string, st *state, r uint64) tickstorm.Event {
	st.step(uint8(r))
	b := &g.book
	b.Market, b.Stream, b.Symbol = g.market, s.stream, symbol
	b.Has = bookFields
	bids, asks := 1+below(uint32(r>>8), maxLevels), 1+below(uint32(r>>24), maxLevels)
	bids = int(min(int64(bids), st.bid()))
	// A generator of its own for the levels: they cost one number each.
	x := r
	price := st.bid()
	for i := range bids {
		x = x*6364136223846793005 + 1442695040888963407
		g.levels[0][i] = tickstorm.Level{Price: st.money(price), Size: bookSize(uint32(x >> 32))}
		price = max(price-1-int64(x>>61), int64(bids-i-1))
	}
	price = st.ask()
	for i := range asks {
		x = x*6364136223846793005 + 1442695040888963407
		g.levels[1][i] = tickstorm.Level{Price: st.money(price), Size: bookSize(uint32(x >> 32))}
		price += 1 + int64(x>>61)
	}
	b.Bids, b.Asks = g.levels[0][:bids], g.levels[1][:asks]
	b.Exchange = cryptoExchanges[r>>41&7]
	b.Timestamp = tickstorm.Timestamp(g.millis)
	b.VendorReceived = g.received(uint8(r >> 50))
	return b
}

// bookSize is what stands at a level: mostly few digits.
func bookSize(r uint32) float64 {
	if r&7 == 0 {
		return coinSize(r >> 3)
	}
	return float64(1+zipf(r, 1<<20)) / 1e4
}

func (g *Generator) cryptoBar(s *source, symbol string, st *state, r uint64) tickstorm.Event {
	a := g.bar(s, symbol, st, r)
	g.averages(a, st, r)
	a.Has &^= tickstorm.AggregateDayVWAP
	a.Has |= tickstorm.AggregateVolume | tickstorm.AggregateAverageSize
	a.Volume = coinSize(uint32(r >> 8))
	switch r >> 48 & 7 { // documented as an integer, but seen as all of these
	case 0:
		a.AverageSize = 0
	case 1:
		a.Volume = float64(r>>20&0xFFFFFFF) * 2
		a.AverageSize = float64(r >> 20 & 0xFFFFFFF)
	default:
		a.AverageSize = coinSize(uint32(r >> 20))
	}
	return a
}
