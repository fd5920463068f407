package sim

import (
	"strconv"

	"github.com/tickstorm/tickstorm"
)

// The events of forex and crypto.

const forexQuoteFields = tickstorm.QuoteSymbol | tickstorm.QuoteExchange | tickstorm.QuoteAskPrice | tickstorm.QuoteBidPrice | tickstorm.QuoteTimestamp

func (g *Generator) forexQuote(s *source, st *state, r uint64) tickstorm.Event {
	q := &g.quote
	s.head(g, &q.Header, st)
	q.Has = forexQuoteFields
	q.Exchange = 48
	q.BidPrice = st.money(st.bid())
	q.AskPrice = st.money(st.ask())
	q.Timestamp = tickstorm.Timestamp(g.stamp)
	if r>>8&7 == 0 {
		q.Has |= tickstorm.QuoteIndicators
		g.indicators[0] = 0
		q.Indicators = g.indicators[:]
	}
	g.record(st, st.bid(), 1, uint8(r>>16))
	return q
}

// cryptoExchanges are Coinbase, Bitfinex, Bitstamp and Kraken.
var (
	cryptoExchanges = [8]int32{1, 1, 1, 23, 23, 2, 6, 1}
	kraken          = int32(23) // whose ids are UUIDs
)

// coinSize is a size in lots: of dear coins from hundredths of millionths to some ten, the
// small ones printed with an exponent, of cheap ones up to a thousand million.
func coinSize(st *state, r uint64) int64 {
	if r&3 == 0 { // people like round numbers
		return (1 + int64(r>>2&0x3FF)) * int64(max(st.lot/100, 1))
	}
	return 1 + int64(zipf(uint32(r), 1<<30))
}

// received is when the vendor got what an exchange stamped some time before.
func (g *Generator) received() tickstorm.Timestamp { return tickstorm.Timestamp(g.millis) }

const cryptoTradeFields = tickstorm.TradeSymbol | tickstorm.TradePrice | tickstorm.TradeTimestamp | tickstorm.TradeSize |
	tickstorm.TradeConditions | tickstorm.TradeID | tickstorm.TradeExchange | tickstorm.TradeVendorReceived

func (g *Generator) cryptoTrade(s *source, st *state, r uint64) tickstorm.Event {
	st.trades++
	t := &g.trade
	s.head(g, &t.Header, st)
	t.Has = cryptoTradeFields
	g.side[0] = 1 + int32(r>>40&1) // a sell meets the bid, a buy the ask
	price, size := st.bid(), coinSize(st, r>>8)
	if g.side[0] == 2 {
		price = st.ask()
	}
	t.Price = st.money(price)
	t.Size = st.amount(size)
	t.Conditions = g.side[:]
	t.Exchange = cryptoExchanges[r>>41&7]
	if t.Exchange == kraken {
		t.ID = appendUUID(g.id[:0], scramble(r), scramble(r+1))
	} else {
		t.ID = strconv.AppendInt(g.id[:0], 700_000_000+int64(st.trades), 10)
	}
	t.Timestamp = tickstorm.Timestamp(g.stamp)
	t.VendorReceived = g.received()
	g.record(st, price, size, uint8(r>>58))
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

func (g *Generator) cryptoQuote(s *source, st *state, r uint64) tickstorm.Event {
	q := &g.quote
	s.head(g, &q.Header, st)
	q.Has = cryptoQuoteFields
	q.LastPrice, q.LastSize = 0, 0
	q.BidPrice = st.money(st.bid())
	q.AskPrice = st.money(st.ask())
	q.BidSize = st.amount(coinSize(st, r>>8))
	q.AskSize = st.amount(coinSize(st, r>>24))
	q.Exchange = cryptoExchanges[r>>41&7]
	q.Timestamp = tickstorm.Timestamp(g.stamp)
	q.VendorReceived = g.received()
	return q
}

// maxLevels is how deep a book can be, on each side.
const maxLevels = 100

const bookFields = tickstorm.BookSymbol | tickstorm.BookBids | tickstorm.BookAsks | tickstorm.BookTimestamp |
	tickstorm.BookVendorReceived | tickstorm.BookExchange

func (g *Generator) cryptoBook(s *source, st *state, r uint64) tickstorm.Event {
	b := &g.book
	s.head(g, &b.Header, st)
	b.Has = bookFields
	bids, asks := 1+below(uint32(r>>8), maxLevels), 1+below(uint32(r>>24), maxLevels)
	bids = min(bids, int(st.bid()))
	// A generator of its own for the levels: they cost one number each.
	x := r
	price := st.bid()
	for i := range bids {
		x = x*6364136223846793005 + 1442695040888963407
		g.levels[0][i] = tickstorm.Level{Price: st.money(price), Size: bookSize(st, x>>32)}
		price = max(price-1-int32(x>>61), int32(bids-i-1))
	}
	price = st.ask()
	for i := range asks {
		x = x*6364136223846793005 + 1442695040888963407
		g.levels[1][i] = tickstorm.Level{Price: st.money(price), Size: bookSize(st, x>>32)}
		price += 1 + int32(x>>61)
	}
	b.Bids, b.Asks = g.levels[0][:bids], g.levels[1][:asks]
	b.Exchange = cryptoExchanges[r>>41&7]
	b.Timestamp = tickstorm.Timestamp(g.stamp)
	b.VendorReceived = g.received()
	return b
}

// bookSize is what stands at a level: mostly few digits.
func bookSize(st *state, r uint64) float64 {
	if r&7 == 0 {
		return st.amount(coinSize(st, r>>3))
	}
	size := 1 + int64(zipf(uint32(r), 1<<20))
	if step := st.lot / 10_000; step > 0 {
		return float64(size) / float64(step)
	}
	return float64(size * 10_000)
}
