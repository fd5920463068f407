package sim

import (
	"strconv"

	"github.com/tickstorm/tickstorm"
)

// The events of stocks, options, indices and futures.

// exchanges are where most stocks trade; off-exchange prints (4, FINRA) are about two
// in five.
var (
	exchanges       = [16]int32{11, 12, 10, 19, 15, 8, 21, 1, 3, 12, 11, 12, 10, 4, 4, 4}
	optionExchanges = [8]int32{302, 303, 312, 316, 318, 323, 325, 65}
	finra           = int32(4)
	overTheCounter  = int32(62)
)

// conditions are the usual combinations of condition codes; nil is none.
var (
	conditions       = [16][]int32{nil, nil, nil, nil, nil, {14, 41}, {14, 41}, {12}, {12, 37}, {37}, {37}, {37}, {14, 37, 41}, {14}, {53}, {2}}
	optionConditions = [8][]int32{{209}, {227}, {232}, {236}, {219}, {233}, {227}, {209}}
)

// lots are the sizes seen most.
var lots = [16]int64{100, 100, 100, 100, 200, 300, 400, 80, 1000, 100, 40, 200, 50, 10, 25, 5}

// wholeShare is a share in lots, which are millionths of it.
const wholeShare = 1_000_000

func stockSize(_ *state, r uint64) int64 { return lots[r&15] * wholeShare }

func contractSize(_ *state, r uint64) int64 { return 1 + int64(zipf(uint32(r), 200)) }

func futuresSize(_ *state, r uint64) int64 { return 1 + int64(zipf(uint32(r), 100)) }

const stockTradeFields = tickstorm.TradeSymbol | tickstorm.TradeID | tickstorm.TradeExchange | tickstorm.TradePrice |
	tickstorm.TradeSize | tickstorm.TradeTimestamp | tickstorm.TradeParticipantTimestamp | tickstorm.TradeSequence | tickstorm.TradeTape

func (g *Generator) stockTrade(s *source, st *state, r uint64) tickstorm.Event {
	st.trades++
	t := &g.trade
	s.head(g, &t.Header, st)
	t.Has = stockTradeFields
	t.ID = strconv.AppendInt(g.id[:0], int64(st.trades), 10)
	if r>>8&15 == 0 { // some exchanges pad
		t.ID = append(g.id[:0], "00"...)
		t.ID = strconv.AppendInt(t.ID, int64(st.trades), 10)
	}
	t.Exchange = exchanges[r>>12&15]
	if st.otc {
		t.Exchange = overTheCounter
	}
	price := st.between(uint8(r >> 56))
	t.Price = st.money(price)
	shares := lots[r>>16&15]
	t.Conditions = conditions[r>>20&15]
	if len(t.Conditions) > 0 {
		t.Has |= tickstorm.TradeConditions
		if t.Conditions[len(t.Conditions)-1] == 37 {
			shares = 1 + int64(r>>24&0x3F)
		}
	}
	micros := shares * wholeShare
	t.Timestamp = tickstorm.Timestamp(g.stamp)
	reported := g.stamp - int64(r>>40&7)
	t.ParticipantTimestamp = tickstorm.Timestamp(g.stamp - int64(r>>32&3))
	t.Sequence = g.sequence(st, uint8(r>>35))
	t.Tape = int32(st.tape)
	if t.Exchange == finra {
		t.Has |= tickstorm.TradeTRF | tickstorm.TradeTRFTimestamp
		t.TRF = 201 + int64(r>>38&3)%3
		t.TRFTimestamp = tickstorm.Timestamp(reported)
		t.ParticipantTimestamp = tickstorm.Timestamp(reported - int64(r>>32&3))
	}
	if r>>43&3 != 0 {
		t.Has |= tickstorm.TradeSizeDecimal
		if t.Exchange == finra && r>>45&7 == 0 && g.accounts[st.index].fractional(g.stamp) {
			shares = 0
			micros = 1 + int64(r>>48)*15%999_999
			t.SizeDecimal.Text = appendMicros(g.text[0][:0], micros)
		} else {
			t.SizeDecimal.Text = append(strconv.AppendInt(g.text[0][:0], shares, 10), ".0"...)
		}
	}
	t.Size = float64(shares)
	g.record(st, price, micros, uint8(r>>58))
	return t
}

// fractional reports whether a trade of a fraction of a share may happen: one a minute, so
// that the whole shares of a bar are both the sum of its trades' and those of its decimal volume.
func (a *account) fractional(now int64) bool {
	this := minute.startOf(now)
	if a.fraction == this {
		return false
	}
	a.fraction = this
	return true
}

// appendMicros appends millionths as a decimal number, "0.740474".
func appendMicros(dst []byte, micros int64) []byte {
	dst = strconv.AppendInt(dst, micros/1_000_000, 10)
	dst = append(dst, '.')
	micros %= 1_000_000
	for unit := int64(100_000); unit > 0; unit /= 10 {
		dst = append(dst, byte('0'+micros/unit%10))
	}
	return dst
}

const stockQuoteFields = tickstorm.QuoteSymbol | tickstorm.QuoteBidExchange | tickstorm.QuoteAskExchange | tickstorm.QuoteBidPrice |
	tickstorm.QuoteAskPrice | tickstorm.QuoteBidSize | tickstorm.QuoteAskSize | tickstorm.QuoteTimestamp |
	tickstorm.QuoteParticipantTimestamp | tickstorm.QuoteSequence | tickstorm.QuoteTape

var (
	quoteConditions = []int32{1}
	quoteIndicators = []int32{604}
)

func (g *Generator) stockQuote(s *source, st *state, r uint64) tickstorm.Event {
	q := &g.quote
	s.head(g, &q.Header, st)
	q.Has = stockQuoteFields
	q.BidExchange, q.AskExchange = exchanges[r>>8&7], exchanges[r>>12&7]
	if st.otc {
		q.BidExchange, q.AskExchange = overTheCounter, overTheCounter
	}
	q.BidPrice = st.money(st.bid())
	q.AskPrice = st.money(st.ask())
	q.BidSize = float64(lots[r>>16&15])
	q.AskSize = float64(lots[r>>20&15])
	q.Timestamp = tickstorm.Timestamp(g.stamp)
	q.ParticipantTimestamp = tickstorm.Timestamp(g.stamp - int64(r>>24&1))
	q.Sequence = g.sequence(st, uint8(r>>32))
	q.Tape = int32(st.tape)
	switch r >> 48 & 0xFF {
	case 0: // nobody bids
		q.Has &^= tickstorm.QuoteBidExchange | tickstorm.QuoteBidPrice | tickstorm.QuoteBidSize
	case 1:
		q.Has &^= tickstorm.QuoteAskExchange | tickstorm.QuoteAskPrice | tickstorm.QuoteAskSize
	case 2:
		q.Has |= tickstorm.QuoteConditions
		q.Conditions = quoteConditions
	case 3:
		q.Has |= tickstorm.QuoteIndicators
		q.Indicators = quoteIndicators
	}
	return q
}

// luldIndicators in the proportions of a recording: most are 16 and 22. There are no halts,
// which have others.
var luldIndicators = [16]int32{16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 22, 22, 22, 22, 15}

func (g *Generator) priceBand(s *source, st *state, r uint64) tickstorm.Event {
	lower, upper := st.band()
	l := &g.luld
	s.head(g, &l.Header, st)
	l.Has = tickstorm.LULDSymbol | tickstorm.LULDUpperBand | tickstorm.LULDLowerBand | tickstorm.LULDIndicators |
		tickstorm.LULDTimestamp | tickstorm.LULDSequence | tickstorm.LULDTape
	l.UpperBand, l.LowerBand = st.money(upper), st.money(lower)
	g.indicators[0] = luldIndicators[r>>8&15]
	l.Indicators = g.indicators[:]
	l.Timestamp = g.nanoseconds(r)
	l.Sequence = g.sequence(st, uint8(r>>12))
	l.Tape = int32(st.tape)
	return l
}

// nanoseconds is now in the unit of the channels that have it, and some microseconds on. It
// never runs backwards.
func (g *Generator) nanoseconds(r uint64) tickstorm.Timestamp {
	g.nanos = max(g.nanos, g.now.UnixNano()+int64(below(uint32(r>>32), 20_000)))
	return tickstorm.Timestamp(g.nanos)
}

// nextAuction returns the auction that comes next, and when, in Eastern time.
func nextAuction(millis int64) (tickstorm.Auction, int32) {
	const minutesOfDay = 24 * 60
	switch now := (millis/60_000 - 5*60) % minutesOfDay; {
	case now < 4*60:
		return tickstorm.AuctionEarlyOpen, 400
	case now < 9*60+30:
		return tickstorm.AuctionOpen, 930
	case now < 16*60:
		return tickstorm.AuctionClose, 1600
	}
	return tickstorm.AuctionEarlyOpen, 400 // tomorrow's
}

func (g *Generator) auction(s *source, st *state, r uint64) tickstorm.Event {
	n := &g.imbalance
	s.head(g, &n.Header, st)
	n.Has = tickstorm.ImbalanceSymbol | tickstorm.ImbalanceTimestamp | tickstorm.ImbalanceAuctionTime | tickstorm.ImbalanceAuction |
		tickstorm.ImbalanceSequence | tickstorm.ImbalanceExchange | tickstorm.ImbalanceImbalance | tickstorm.ImbalancePaired |
		tickstorm.ImbalanceBookClearingPrice
	n.Auction, n.AuctionTime = nextAuction(g.millis)
	n.Timestamp = g.nanoseconds(r)
	n.Sequence = g.sequence(st, uint8(r>>2))
	n.Exchange = 10
	n.Imbalance = int64(zipf(uint32(r>>5), 5_000_000))
	n.Paired = int64(zipf(uint32(r>>20), 5_000_000))
	n.BookClearingPrice = st.money(st.price)
	return n
}

const valueFields = tickstorm.ValueSymbol | tickstorm.ValueVal | tickstorm.ValueTimestamp

// estimate is a fair market value or a Launchpad value: a price with more digits.
func (g *Generator) estimate(s *source, st *state, r uint64) tickstorm.Event {
	v := &g.value
	s.head(g, &v.Header, st)
	v.Has = valueFields
	v.Val = float64(int64(st.price)*100+int64(r&63)) / (st.unit * 100)
	v.Timestamp = g.nanoseconds(r)
	return v
}

func (g *Generator) indexValue(s *source, st *state, r uint64) tickstorm.Event {
	v := &g.value
	s.head(g, &v.Header, st)
	v.Has = valueFields
	v.Val = st.money(st.price)
	v.Timestamp = tickstorm.Timestamp(g.stamp)
	g.record(st, st.price, 1, uint8(r>>8))
	return v
}

const optionTradeFields = tickstorm.TradeSymbol | tickstorm.TradeExchange | tickstorm.TradePrice | tickstorm.TradeSize |
	tickstorm.TradeConditions | tickstorm.TradeTimestamp | tickstorm.TradeSequence

func (g *Generator) optionTrade(s *source, st *state, r uint64) tickstorm.Event {
	t := &g.trade
	s.head(g, &t.Header, st)
	t.Has = optionTradeFields
	t.Exchange = optionExchanges[r>>8&7]
	price, size := st.between(uint8(r>>56)), contractSize(st, r>>16)
	t.Price = st.money(price)
	t.Size = float64(size)
	t.Conditions = optionConditions[r>>11&7]
	t.Timestamp = tickstorm.Timestamp(g.stamp)
	t.Sequence = g.sequence(st, uint8(r>>52))
	g.record(st, price, size, uint8(r>>58))
	return t
}

const optionQuoteFields = tickstorm.QuoteSymbol | tickstorm.QuoteBidExchange | tickstorm.QuoteAskExchange | tickstorm.QuoteBidPrice |
	tickstorm.QuoteAskPrice | tickstorm.QuoteBidSize | tickstorm.QuoteAskSize | tickstorm.QuoteTimestamp | tickstorm.QuoteSequence

func (g *Generator) optionQuote(s *source, st *state, r uint64) tickstorm.Event {
	q := &g.quote
	s.head(g, &q.Header, st)
	q.Has = optionQuoteFields
	q.BidExchange = optionExchanges[r>>8&7]
	q.AskExchange = optionExchanges[r>>11&7]
	q.BidPrice = st.money(st.bid())
	q.AskPrice = st.money(st.ask())
	q.BidSize = float64(1 + r>>16&0x7F)
	q.AskSize = float64(1 + r>>24&0x7F)
	q.Timestamp = tickstorm.Timestamp(g.stamp)
	q.Sequence = g.sequence(st, uint8(r>>52))
	return q
}

const futuresTradeFields = tickstorm.TradeSymbol | tickstorm.TradePrice | tickstorm.TradeSize | tickstorm.TradeTimestamp | tickstorm.TradeSequence

func (g *Generator) futuresTrade(s *source, st *state, r uint64) tickstorm.Event {
	t := &g.trade
	s.head(g, &t.Header, st)
	t.Has = futuresTradeFields
	price, size := st.between(uint8(r>>56)), futuresSize(st, r>>16)
	t.Price = st.money(price)
	t.Size = float64(size)
	t.Timestamp = tickstorm.Timestamp(g.stamp)
	t.Sequence = g.sequence(st, uint8(r>>52))
	g.record(st, price, size, uint8(r>>58))
	return t
}

const futuresQuoteFields = tickstorm.QuoteSymbol | tickstorm.QuoteBidPrice | tickstorm.QuoteBidSize | tickstorm.QuoteBidTime |
	tickstorm.QuoteAskPrice | tickstorm.QuoteAskSize | tickstorm.QuoteAskTime | tickstorm.QuoteTimestamp

// futuresBook is the last quote of a future.
type futuresBook struct {
	bidTime, askTime int64
	price            int32
	bidSize, askSize int32
}

func (g *Generator) futuresQuote(s *source, st *state, r uint64) tickstorm.Event {
	// A side is set when its price changes; if none does, one of them changes its size.
	b := &g.futures[st.index]
	moved := b.price != st.price
	if moved || r>>24&1 == 0 {
		b.bidTime, b.bidSize = g.stamp, 1+int32(r>>8&0x3F)
	}
	if moved || r>>24&1 == 1 {
		b.askTime, b.askSize = g.stamp, 1+int32(r>>16&0x3F)
	}
	b.price = st.price
	q := &g.quote
	s.head(g, &q.Header, st)
	q.Has = futuresQuoteFields
	q.BidPrice = st.money(st.bid())
	q.AskPrice = st.money(st.ask())
	q.BidSize = float64(b.bidSize)
	q.AskSize = float64(b.askSize)
	q.Timestamp = tickstorm.Timestamp(g.stamp)
	q.BidTime = tickstorm.Timestamp(b.bidTime)
	q.AskTime = tickstorm.Timestamp(b.askTime)
	return q
}
