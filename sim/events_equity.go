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
)

// conditions are the usual combinations of condition codes; nil is none.
var (
	conditions       = [16][]int32{nil, nil, nil, nil, nil, {14, 41}, {14, 41}, {12}, {12, 37}, {37}, {37}, {37}, {14, 37, 41}, {14}, {53}, {2}}
	optionConditions = [8][]int32{{209}, {227}, {232}, {236}, {219}, {233}, {227}, {209}}
)

// lots are the sizes seen most.
var lots = [16]int64{100, 100, 100, 100, 200, 300, 400, 80, 1000, 100, 40, 200, 50, 10, 25, 5}

const stockTradeFields = tickstorm.TradeSymbol | tickstorm.TradeID | tickstorm.TradeExchange | tickstorm.TradePrice |
	tickstorm.TradeSize | tickstorm.TradeTimestamp | tickstorm.TradeParticipantTimestamp | tickstorm.TradeSequence | tickstorm.TradeTape

func (g *Generator) stockTrade(s *source, symbol string, st *state, r uint64) tickstorm.Event {
	st.step(uint8(r))
	st.trades++
	t := &g.trade
	t.Market, t.Stream, t.Symbol = g.market, s.stream, symbol
	t.Has = stockTradeFields
	t.ID = strconv.AppendInt(g.id[:0], st.trades, 10)
	if r>>8&15 == 0 { // some exchanges pad
		t.ID = append(g.id[:0], "00"...)
		t.ID = strconv.AppendInt(t.ID, st.trades, 10)
	}
	t.Exchange = exchanges[r>>12&15]
	t.Price = st.money(st.price)
	shares := lots[r>>16&15]
	t.Conditions = conditions[r>>20&15]
	if len(t.Conditions) > 0 {
		t.Has |= tickstorm.TradeConditions
		if t.Conditions[len(t.Conditions)-1] == 37 {
			shares = 1 + int64(r>>24&0x3F)
		}
	}
	t.Size = float64(shares)
	st.volume += shares
	t.Timestamp = tickstorm.Timestamp(g.millis)
	t.ParticipantTimestamp = tickstorm.Timestamp(g.millis - int64(r>>32&3))
	t.Sequence = g.sequence(st, uint8(r>>35))
	t.Tape = st.tape
	if t.Exchange == finra {
		t.Has |= tickstorm.TradeTRF | tickstorm.TradeTRFTimestamp
		t.TRF = 201 + int64(r>>38&3)%3
		t.TRFTimestamp = tickstorm.Timestamp(g.millis - int64(r>>40&7))
	}
	if r>>43&3 != 0 {
		t.Has |= tickstorm.TradeSizeDecimal
		text := g.text[0][:0]
		if t.Exchange == finra && r>>45&7 == 0 { // a fraction of a share
			micros := 1 + int64(r>>48)*15%999_999
			t.Size = 0
			text = appendMicros(text, micros)
		} else {
			text = append(strconv.AppendInt(text, shares, 10), ".0"...)
		}
		t.SizeDecimal.Text = text
	}
	return t
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

func (g *Generator) stockQuote(s *source, symbol string, st *state, r uint64) tickstorm.Event {
	st.step(uint8(r))
	q := &g.quote
	q.Market, q.Stream, q.Symbol = g.market, s.stream, symbol
	q.Has = stockQuoteFields
	q.BidExchange = exchanges[r>>8&7]
	q.AskExchange = exchanges[r>>12&7]
	q.BidPrice = st.money(st.bid())
	q.AskPrice = st.money(st.ask())
	q.BidSize = float64(lots[r>>16&15])
	q.AskSize = float64(lots[r>>20&15])
	q.Timestamp = tickstorm.Timestamp(g.millis)
	q.ParticipantTimestamp = tickstorm.Timestamp(g.millis - int64(r>>24&1))
	q.Sequence = g.sequence(st, uint8(r>>32))
	q.Tape = st.tape
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

// bar fills what all aggregates have: prices around the present one and the last whole
// window that has been over for a second.
func (g *Generator) bar(s *source, symbol string, st *state, r uint64) *tickstorm.Aggregate {
	st.step(uint8(r))
	window := int64(1000)
	if s.stream != tickstorm.SecondAggregates {
		window = 60_000
	}
	low := st.price - int64(r>>8&7) - 1
	high := st.price + int64(r>>11&7) + 1
	span := int(high - low + 1)
	a := &g.aggregate
	a.Market, a.Stream, a.Symbol = g.market, s.stream, symbol
	a.Has = tickstorm.AggregateSymbol | tickstorm.AggregateOpen | tickstorm.AggregateClose | tickstorm.AggregateHigh |
		tickstorm.AggregateLow | tickstorm.AggregateStart | tickstorm.AggregateEnd
	a.Low, a.High = st.money(low), st.money(high)
	a.Open = st.money(low + int64(below(uint32(r>>20), span)))
	a.Close = st.money(low + int64(below(uint32(r>>28), span)))
	start := g.millis - 1000
	start -= start%window + window
	a.Start, a.End = tickstorm.Timestamp(start), tickstorm.Timestamp(start+window)
	a.OTC = false
	return a
}

// averages fills the volume-weighted prices, which have four digits more than prices.
func (g *Generator) averages(a *tickstorm.Aggregate, st *state, r uint64) {
	a.Has |= tickstorm.AggregateVWAP | tickstorm.AggregateDayVWAP
	a.VWAP = float64(st.price*10_000+int64(r>>32&0x3FFF)) / (st.unit * 10_000)
	a.DayVWAP = float64((st.price+st.opened)/2*10_000+int64(r>>40&0x3FFF)) / (st.unit * 10_000)
}

// tradedBar is a bar of stocks or options, with a volume.
func (g *Generator) tradedBar(s *source, symbol string, st *state, r uint64, most int) *tickstorm.Aggregate {
	a := g.bar(s, symbol, st, r)
	g.averages(a, st, r)
	volume := 1 + int64(zipf(uint32(r>>16), most))
	st.volume += volume
	a.Has |= tickstorm.AggregateVolume | tickstorm.AggregateDayVolume | tickstorm.AggregateAverageSize
	a.Volume, a.DayVolume = float64(volume), float64(st.volume)
	a.AverageSize = float64(1 + volume/int64(1+r>>50&0x3F))
	if r>>56 != 0 { // before the auction there is no official open
		a.Has |= tickstorm.AggregateOfficialOpen
		a.OfficialOpen = st.money(st.opened)
	}
	return a
}

func (g *Generator) stockBar(s *source, symbol string, st *state, r uint64) tickstorm.Event {
	a := g.tradedBar(s, symbol, st, r, 50_000)
	a.Has |= tickstorm.AggregateVolumeDecimal | tickstorm.AggregateDayVolumeDecimal
	a.VolumeDecimal.Text = append(strconv.AppendInt(g.text[0][:0], int64(a.Volume), 10), ".0"...)
	a.DayVolumeDecimal.Text = appendMicros(g.text[1][:0], st.volume*1_000_000+int64(r>>36&0x7FFFF))
	if r>>58&0x1F == 0 {
		a.Has |= tickstorm.AggregateOTC
		a.OTC = true
	}
	return a
}

func (g *Generator) contractBar(s *source, symbol string, st *state, r uint64) tickstorm.Event {
	return g.tradedBar(s, symbol, st, r, 500)
}

func (g *Generator) indexBar(s *source, symbol string, st *state, r uint64) tickstorm.Event {
	a := g.bar(s, symbol, st, r)
	a.Has |= tickstorm.AggregateOfficialOpen
	a.OfficialOpen = st.money(st.opened)
	return a
}

func (g *Generator) futuresBar(s *source, symbol string, st *state, r uint64) tickstorm.Event {
	a := g.bar(s, symbol, st, r)
	contracts := 1 + int64(zipf(uint32(r>>16), 2000))
	a.Has |= tickstorm.AggregateVolume | tickstorm.AggregateTurnover | tickstorm.AggregateTransactions
	a.Volume = float64(contracts)
	a.Turnover = st.money(contracts * st.price)
	a.Transactions = 1 + contracts/3
	return a
}

// luldIndicators in the proportions of a recording: most are 22 and 16.
var luldIndicators = [8]int32{16, 16, 16, 22, 22, 15, 17, 18}

func (g *Generator) priceBand(s *source, symbol string, st *state, r uint64) tickstorm.Event {
	l := &g.luld
	l.Market, l.Stream, l.Symbol = g.market, s.stream, symbol
	l.Has = tickstorm.LULDSymbol | tickstorm.LULDUpperBand | tickstorm.LULDLowerBand | tickstorm.LULDIndicators |
		tickstorm.LULDTimestamp | tickstorm.LULDSequence | tickstorm.LULDTape
	l.UpperBand = st.money(st.price + st.price/20 + 1)
	l.LowerBand = st.money(st.price - st.price/20)
	g.indicators[0] = luldIndicators[r&7]
	l.Indicators = g.indicators[:]
	l.Timestamp = g.nanoseconds(r)
	l.Sequence = g.sequence(st, uint8(r>>3))
	l.Tape = st.tape
	return l
}

// nanoseconds is now in the unit of the channels that have it.
func (g *Generator) nanoseconds(r uint64) tickstorm.Timestamp {
	return tickstorm.Timestamp(g.millis*1_000_000 + int64(below(uint32(r>>32), 1_000_000)))
}

var auctions = [4]tickstorm.Auction{tickstorm.AuctionOpen, tickstorm.AuctionClose, tickstorm.AuctionEarlyOpen, tickstorm.AuctionReopening}

func (g *Generator) auction(s *source, symbol string, st *state, r uint64) tickstorm.Event {
	n := &g.imbalance
	n.Market, n.Stream, n.Symbol = g.market, s.stream, symbol
	n.Has = tickstorm.ImbalanceSymbol | tickstorm.ImbalanceTimestamp | tickstorm.ImbalanceAuctionTime | tickstorm.ImbalanceAuction |
		tickstorm.ImbalanceSequence | tickstorm.ImbalanceExchange | tickstorm.ImbalanceImbalance | tickstorm.ImbalancePaired |
		tickstorm.ImbalanceBookClearingPrice
	n.Auction = auctions[r&3]
	n.AuctionTime = 930
	if n.Auction == tickstorm.AuctionClose {
		n.AuctionTime = 1600
	}
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
func (g *Generator) estimate(s *source, symbol string, st *state, r uint64) tickstorm.Event {
	v := &g.value
	v.Market, v.Stream, v.Symbol = g.market, s.stream, symbol
	v.Has = valueFields
	v.Val = float64(st.price*100+int64(r&63)) / (st.unit * 100)
	v.Timestamp = g.nanoseconds(r)
	return v
}

func (g *Generator) indexValue(s *source, symbol string, st *state, r uint64) tickstorm.Event {
	st.step(uint8(r))
	v := &g.value
	v.Market, v.Stream, v.Symbol = g.market, s.stream, symbol
	v.Has = valueFields
	v.Val = st.money(st.price)
	v.Timestamp = tickstorm.Timestamp(g.millis)
	return v
}

const optionTradeFields = tickstorm.TradeSymbol | tickstorm.TradeExchange | tickstorm.TradePrice | tickstorm.TradeSize |
	tickstorm.TradeConditions | tickstorm.TradeTimestamp | tickstorm.TradeSequence

func (g *Generator) optionTrade(s *source, symbol string, st *state, r uint64) tickstorm.Event {
	st.step(uint8(r))
	t := &g.trade
	t.Market, t.Stream, t.Symbol = g.market, s.stream, symbol
	t.Has = optionTradeFields
	t.Exchange = optionExchanges[r>>8&7]
	t.Price = st.money(st.price)
	t.Size = float64(1 + zipf(uint32(r>>16), 200))
	st.volume += int64(t.Size)
	t.Conditions = optionConditions[r>>11&7]
	t.Timestamp = tickstorm.Timestamp(g.millis)
	t.Sequence = g.sequence(st, uint8(r>>52))
	return t
}

const optionQuoteFields = tickstorm.QuoteSymbol | tickstorm.QuoteBidExchange | tickstorm.QuoteAskExchange | tickstorm.QuoteBidPrice |
	tickstorm.QuoteAskPrice | tickstorm.QuoteBidSize | tickstorm.QuoteAskSize | tickstorm.QuoteTimestamp | tickstorm.QuoteSequence

func (g *Generator) optionQuote(s *source, symbol string, st *state, r uint64) tickstorm.Event {
	st.step(uint8(r))
	q := &g.quote
	q.Market, q.Stream, q.Symbol = g.market, s.stream, symbol
	q.Has = optionQuoteFields
	q.BidExchange = optionExchanges[r>>8&7]
	q.AskExchange = optionExchanges[r>>11&7]
	q.BidPrice = st.money(st.bid())
	q.AskPrice = st.money(st.ask())
	q.BidSize = float64(1 + r>>16&0x7F)
	q.AskSize = float64(1 + r>>24&0x7F)
	q.Timestamp = tickstorm.Timestamp(g.millis)
	q.Sequence = g.sequence(st, uint8(r>>52))
	return q
}

const futuresTradeFields = tickstorm.TradeSymbol | tickstorm.TradePrice | tickstorm.TradeSize | tickstorm.TradeTimestamp | tickstorm.TradeSequence

func (g *Generator) futuresTrade(s *source, symbol string, st *state, r uint64) tickstorm.Event {
	st.step(uint8(r))
	t := &g.trade
	t.Market, t.Stream, t.Symbol = g.market, s.stream, symbol
	t.Has = futuresTradeFields
	t.Price = st.money(st.price)
	t.Size = float64(1 + zipf(uint32(r>>16), 100))
	t.Timestamp = tickstorm.Timestamp(g.millis)
	t.Sequence = g.sequence(st, uint8(r>>52))
	return t
}

const futuresQuoteFields = tickstorm.QuoteSymbol | tickstorm.QuoteBidPrice | tickstorm.QuoteBidSize | tickstorm.QuoteBidTime |
	tickstorm.QuoteAskPrice | tickstorm.QuoteAskSize | tickstorm.QuoteAskTime | tickstorm.QuoteTimestamp

func (g *Generator) futuresQuote(s *source, symbol string, st *state, r uint64) tickstorm.Event {
	st.step(uint8(r))
	q := &g.quote
	q.Market, q.Stream, q.Symbol = g.market, s.stream, symbol
	q.Has = futuresQuoteFields
	q.BidPrice = st.money(st.bid())
	q.AskPrice = st.money(st.ask())
	q.BidSize = float64(1 + r>>8&0x3F)
	q.AskSize = float64(1 + r>>16&0x3F)
	q.Timestamp = tickstorm.Timestamp(g.millis)
	q.BidTime = tickstorm.Timestamp(g.millis - int64(r>>24&0xFF))
	q.AskTime = tickstorm.Timestamp(g.millis - int64(r>>32&0xFF))
	return q
}
