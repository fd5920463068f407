package sim_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/poison"
	"github.com/tickstorm/tickstorm/sim"
)

// TestMarketMakesSense: whoever charts what is generated finds nothing that cannot be. The
// messages go through the parser, so what is checked is what a client sees.
func TestMarketMakesSense(t *testing.T) {
	const few = 3
	bars := []tickstorm.Stream{tickstorm.SecondAggregates, tickstorm.MinuteAggregates, tickstorm.LaunchpadAggregates}
	only := func(streams ...tickstorm.Stream) func(tickstorm.Market, tickstorm.Stream) bool {
		return func(_ tickstorm.Market, s tickstorm.Stream) bool { return slices.Contains(streams, s) }
	}
	every := func(tickstorm.Market, tickstorm.Stream) bool { return true }
	midnight := time.Date(2026, time.November, 20, 5, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name    string
		wanted  func(tickstorm.Market, tickstorm.Stream) bool
		symbols int // 0 is all
		rate    int // events a second, at most
		from    time.Time
		lasts   time.Duration
		slack   time.Duration // how late bars may be
	}{
		{"everything of everybody, slowly", every, 0, 500, noon, 70 * time.Second, 8 * time.Second},
		{"everything of everybody", every, 0, 4000, noon.Add(50 * time.Second), 20 * time.Second, time.Second},
		{"everything of a few", every, few, 500, noon.Add(11500 * time.Millisecond), 150 * time.Second, 0},
		{"everything of a few, now and then", every, few, 4, noon, 10 * time.Minute, 4 * time.Second},
		{"everything of one, as fast as can be", every, 1, 10_000, noon.Add(59 * time.Second), 6 * time.Second, 0},
		{"over midnight in New York", every, few, 200, midnight.Add(-100 * time.Second), 200 * time.Second, 0},
		{"bars of a few", only(bars...), few, 500, noon, 150 * time.Second, 0},
		{"bars of everybody", only(bars...), 0, 1000, noon.Add(3 * time.Second), 70 * time.Second, 20 * time.Second},
		{"seconds of one", only(tickstorm.SecondAggregates), 1, 20, noon, 300 * time.Second, 0},
		{"minutes of a few", only(tickstorm.MinuteAggregates, tickstorm.LaunchpadAggregates), few, 20, noon, 20 * time.Minute, 0},
		{"quotes and bars of a few", only(append(bars, tickstorm.Quotes)...), few, 200, noon, 150 * time.Second, 0},
		{"trades and bars of a few", only(append(bars, tickstorm.Trades)...), few, 200, noon, 150 * time.Second, 0},
		{"trades and minutes of a few", only(tickstorm.Trades, tickstorm.MinuteAggregates), few, 200, noon, 150 * time.Second, 0},
	} {
		for _, m := range tickstorm.Markets() {
			if strings.HasPrefix(string(m), "futures/") {
				continue // of the shape of futures
			}
			if poison.On && m != tickstorm.Crypto { // the race detector has one goroutine to look at, ten times slower
				continue
			}
			t.Run(tt.name+"/"+string(m), func(t *testing.T) {
				t.Parallel()
				g := sim.NewGenerator(m, 7)
				symbols := []string{tickstorm.All}
				if tt.symbols > 0 {
					symbols = sim.Symbols(m)[:tt.symbols]
				}
				c := newChart(t, m, tt.from.UnixMilli(), (tt.slack + 250*time.Millisecond).Milliseconds())
				for _, stream := range m.Streams() {
					if !tt.wanted(m, stream) {
						continue
					}
					channel, err := m.Channel(stream)
					require.NoError(t, err)
					for _, symbol := range symbols {
						require.True(t, g.Subscribe(tickstorm.Topic{Channel: channel, Symbol: symbol}))
					}
					c.streams[stream] = true
				}
				if len(c.streams) == 0 {
					t.Skip("nothing of the kind")
				}
				p := tickstorm.NewParser(m)
				var msg []byte
				pace := max(10*time.Millisecond, time.Second/time.Duration(tt.rate))
				for now, end := tt.from, tt.from.Add(tt.lasts); now.Before(end); now = now.Add(pace) {
					c.now = now.UnixMilli()
					if msg = g.AppendMessage(msg[:0], now, int(pace*time.Duration(tt.rate)/time.Second)); len(msg) > 0 {
						require.NoError(t, p.Parse(msg, c))
					}
				}
				c.finish()
				if tt.symbols == few && tt.rate >= 200 && m != tickstorm.Indices {
					require.Positive(t, c.corrections)
				}
			})
		}
	}
}

// chart keeps books of all that comes.
type chart struct {
	tickstorm.NopHandler
	t           *testing.T
	market      tickstorm.Market
	streams     map[tickstorm.Stream]bool
	began, now  int64
	slack       int64
	symbols     map[string]*listing
	last        map[tickstorm.Stream]int64 // timestamps
	events      int
	corrections int
}

// listing is what is known of one symbol.
type listing struct {
	sequence         int64
	bid, ask         float64 // of the last quote, 0 for a side that it lacks
	quoted           bool
	lower, upper     float64 // the band
	bidTime, askTime int64
	ids              map[string]bool
	open             map[int64]float64 // official, by day
	otc              []bool            // of each bar
	day              int64
	total            float64 // of the day, by the last bar; negative if there is none
	worth            float64
	ticks            map[int64]*candle              // of trades, values or forex quotes, by second
	quotes           map[int64]*candle              // ranges, from bids to asks
	bars             map[tickstorm.Stream][]*candle // as they came
}

// candle is a bar.
type candle struct {
	start, came                 int64
	open, high, low, close      float64
	volume, worth, trades, vwap float64
	whole                       float64 // shares, without fractions of one
	counted                     bool    // the day's volume had it before
}

func (c *candle) add(price, size float64) {
	if c.trades == 0 {
		c.open, c.high, c.low = price, price, price
	}
	c.high, c.low, c.close = max(c.high, price), min(c.low, price), price
	c.volume += size
	c.worth += price * size
	c.trades++
}

func newChart(t *testing.T, m tickstorm.Market, began, slack int64) *chart {
	return &chart{
		t: t, market: m, began: began, slack: slack, streams: make(map[tickstorm.Stream]bool),
		symbols: make(map[string]*listing), last: make(map[tickstorm.Stream]int64),
	}
}

// tick is the stream whose events bars count.
func (c *chart) tick() tickstorm.Stream {
	switch c.market {
	case tickstorm.Forex:
		return tickstorm.Quotes
	case tickstorm.Indices:
		return tickstorm.Values
	}
	return tickstorm.Trades
}

// of returns the books of an event's symbol, whatever its channel's spelling.
func (c *chart) of(h *tickstorm.Header) *listing {
	c.events++
	symbol := h.Symbol
	if c.market == tickstorm.Forex || c.market == tickstorm.Crypto {
		symbol = strings.NewReplacer("-", "", "/", "", "C:", "", "X:", "").Replace(symbol)
	}
	l := c.symbols[symbol]
	if l == nil {
		l = &listing{
			total: -1, ids: make(map[string]bool), open: make(map[int64]float64), ticks: make(map[int64]*candle),
			quotes: make(map[int64]*candle), bars: make(map[tickstorm.Stream][]*candle),
		}
		c.symbols[symbol] = l
	}
	return l
}

// at checks an event's timestamp.
func (c *chart) at(h *tickstorm.Header, t tickstorm.Timestamp) {
	ns := t.Nanoseconds()
	atLeast(c.t, ns, c.last[h.Stream], h.Stream)
	c.last[h.Stream] = ns
	near(c.t, float64(c.now), float64(ns/1e6), 150)
}

func (c *chart) number(l *listing, q int64) {
	above(c.t, q, l.sequence)
	l.sequence = q
}

func second(at int64) int64 { return at - at%1000 }

func (l *listing) tick(at tickstorm.Timestamp, price, size, whole float64) {
	s := second(int64(at))
	if l.ticks[s] == nil {
		l.ticks[s] = &candle{start: s}
	}
	l.ticks[s].add(price, size)
	l.ticks[s].whole += whole
}

func decimal(t *testing.T, d tickstorm.Decimal) float64 {
	v, err := strconv.ParseFloat(string(d.Text), 64)
	require.NoError(t, err)
	return v
}

// The comparisons of package require take a microsecond each.

func atMost[T cmp.Ordered](t *testing.T, a, b T, message ...any) {
	if !(a <= b) {
		require.LessOrEqual(t, a, b, message...)
	}
}

func atLeast[T cmp.Ordered](t *testing.T, a, b T, message ...any) {
	if !(a >= b) {
		require.GreaterOrEqual(t, a, b, message...)
	}
}

func above[T cmp.Ordered](t *testing.T, a, b T, message ...any) {
	if !(a > b) {
		require.Greater(t, a, b, message...)
	}
}

func below[T cmp.Ordered](t *testing.T, a, b T, message ...any) {
	if !(a < b) {
		require.Less(t, a, b, message...)
	}
}

func same[T comparable](t *testing.T, want, got T, message ...any) {
	if want != got {
		require.Equal(t, want, got, message...)
	}
}

func near(t *testing.T, want, got, delta float64, message ...any) {
	if !(math.Abs(want-got) <= delta) {
		require.InDelta(t, want, got, delta, message...)
	}
}

func (c *chart) OnTrade(e *tickstorm.Trade) {
	l := c.of(&e.Header)
	c.at(&e.Header, e.Timestamp)
	if e.Has.All(tickstorm.TradeSequence) {
		c.number(l, e.Sequence)
	}
	if e.Has.All(tickstorm.TradeID) {
		same(c.t, false, l.ids[string(e.ID)], "id twice")
		l.ids[string(e.ID)] = true
	}
	size := e.Size
	if e.Has.All(tickstorm.TradeSizeDecimal) {
		size = decimal(c.t, e.SizeDecimal)
		near(c.t, math.Floor(size), e.Size, 0)
	}
	above(c.t, size, 0)
	above(c.t, e.Price, 0)
	if l.quoted {
		atLeast(c.t, e.Price, l.bid, "below the bid")
		if l.ask != 0 {
			atMost(c.t, e.Price, l.ask, "above the ask")
		}
	}
	c.banded(l, e.Price)
	if e.Has.All(tickstorm.TradeParticipantTimestamp) {
		atMost(c.t, e.ParticipantTimestamp, e.Timestamp)
	}
	if e.Has.All(tickstorm.TradeTRFTimestamp) {
		atMost(c.t, e.ParticipantTimestamp, e.TRFTimestamp)
		atMost(c.t, e.TRFTimestamp, e.Timestamp)
		same(c.t, 4, e.Exchange)
	}
	if e.Has.All(tickstorm.TradeVendorReceived) {
		above(c.t, e.VendorReceived, e.Timestamp)
		same(c.t, c.now, int64(e.VendorReceived), "received before it is sent")
	}
	l.tick(e.Timestamp, e.Price, size, e.Size)
}

func (c *chart) banded(l *listing, price float64) {
	if l.upper != 0 {
		atLeast(c.t, price, l.lower)
		atMost(c.t, price, l.upper)
	}
}

func (c *chart) OnQuote(e *tickstorm.Quote) {
	l := c.of(&e.Header)
	c.at(&e.Header, e.Timestamp)
	if e.Has.All(tickstorm.QuoteSequence) {
		c.number(l, e.Sequence)
	}
	same(c.t, true, e.Has.Any(tickstorm.QuoteBidPrice|tickstorm.QuoteAskPrice))
	l.quoted, l.bid, l.ask = true, e.BidPrice, e.AskPrice
	s := second(int64(e.Timestamp))
	if l.quotes[s] == nil {
		l.quotes[s] = &candle{low: math.Inf(1), high: math.Inf(-1)}
	}
	r := l.quotes[s]
	if e.Has.All(tickstorm.QuoteBidPrice) {
		above(c.t, e.BidPrice, 0)
		c.banded(l, e.BidPrice)
		r.low = min(r.low, e.BidPrice)
	}
	if e.Has.All(tickstorm.QuoteAskPrice) {
		c.banded(l, e.AskPrice)
		r.high = max(r.high, e.AskPrice)
	}
	if e.Has.All(tickstorm.QuoteBidPrice | tickstorm.QuoteAskPrice) {
		below(c.t, e.BidPrice, e.AskPrice)
	} else { // the range is not known
		r.low, r.high = 0, math.Inf(1)
	}
	if e.Has.All(tickstorm.QuoteParticipantTimestamp) {
		atMost(c.t, e.ParticipantTimestamp, e.Timestamp)
	}
	if e.Has.All(tickstorm.QuoteBidTime | tickstorm.QuoteAskTime) {
		atLeast(c.t, int64(e.BidTime), l.bidTime)
		atLeast(c.t, int64(e.AskTime), l.askTime)
		same(c.t, e.Timestamp, max(e.BidTime, e.AskTime))
		l.bidTime, l.askTime = int64(e.BidTime), int64(e.AskTime)
	}
	if c.tick() == tickstorm.Quotes {
		l.tick(e.Timestamp, e.BidPrice, 1, 1)
	}
}

func (c *chart) OnBook(e *tickstorm.Book) {
	l := c.of(&e.Header)
	c.at(&e.Header, e.Timestamp)
	require.NotEmpty(c.t, e.Bids)
	require.NotEmpty(c.t, e.Asks)
	below(c.t, e.Bids[0].Price, e.Asks[0].Price)
	falling := func(a, b tickstorm.Level) bool { return a.Price > b.Price && a.Size > 0 && b.Size > 0 && b.Price > 0 }
	for i := range e.Bids[1:] {
		same(c.t, true, falling(e.Bids[i], e.Bids[i+1]))
	}
	for i := range e.Asks[1:] {
		same(c.t, true, falling(e.Asks[i+1], e.Asks[i]))
	}
	if l.quoted {
		same(c.t, l.bid, e.Bids[0].Price)
		same(c.t, l.ask, e.Asks[0].Price)
	}
}

func (c *chart) OnLULD(e *tickstorm.LULD) {
	l := c.of(&e.Header)
	c.at(&e.Header, e.Timestamp)
	c.number(l, e.Sequence)
	below(c.t, e.LowerBand, e.UpperBand)
	l.lower, l.upper = e.LowerBand, e.UpperBand
	if l.quoted && l.bid != 0 {
		c.banded(l, l.bid)
	}
}

func (c *chart) OnImbalance(e *tickstorm.Imbalance) {
	l := c.of(&e.Header)
	c.at(&e.Header, e.Timestamp)
	c.number(l, e.Sequence)
	eastern := time.UnixMilli(c.now).UTC().Add(-5 * time.Hour)
	if now := int32(100*eastern.Hour() + eastern.Minute()); now < 1600 {
		above(c.t, e.AuctionTime, now, "an auction that is over")
	}
	if l.quoted && l.bid != 0 && l.ask != 0 {
		atLeast(c.t, e.BookClearingPrice, l.bid)
		atMost(c.t, e.BookClearingPrice, l.ask)
	}
}

func (c *chart) OnValue(e *tickstorm.Value) {
	l := c.of(&e.Header)
	c.at(&e.Header, e.Timestamp)
	above(c.t, e.Val, 0)
	if e.Stream == tickstorm.Values {
		l.tick(e.Timestamp, e.Val, 1, 1)
	} else if l.quoted && l.bid != 0 && l.ask != 0 {
		atLeast(c.t, e.Val, l.bid)
		atMost(c.t, e.Val, l.ask)
	}
}

func (c *chart) OnStatus(e *tickstorm.Status)        { require.Fail(c.t, "a status", string(e.Raw)) }
func (c *chart) OnUnknown(e *tickstorm.Unknown)      { require.Fail(c.t, "unknown", string(e.Raw)) }
func (c *chart) OnError(e *tickstorm.EventError)     { require.NoError(c.t, e) }
func (c *chart) day(start tickstorm.Timestamp) int64 { return (int64(start)/3_600_000 - 5) / 24 }

func (c *chart) OnAggregate(e *tickstorm.Aggregate) {
	l := c.of(&e.Header)
	length := int64(60_000)
	if e.Stream == tickstorm.SecondAggregates {
		length = 1000
	}
	same(c.t, 0, int64(e.Start)%length)
	same(c.t, length, int64(e.End-e.Start))
	atLeast(c.t, c.now, int64(e.End)+1500, "too early")
	in := func(price float64, name string) {
		atLeast(c.t, price, e.Low, name)
		atMost(c.t, price, e.High, name)
	}
	in(e.Open, "open")
	in(e.Close, "close")
	above(c.t, e.Low, 0)
	b := &candle{start: int64(e.Start), came: c.now, open: e.Open, high: e.High, low: e.Low, close: e.Close, volume: e.Volume, vwap: e.VWAP, whole: e.Volume}
	if e.Has.All(tickstorm.AggregateVWAP) {
		in(e.VWAP, "average")
	}
	if e.Has.All(tickstorm.AggregateVolumeDecimal) {
		b.volume = decimal(c.t, e.VolumeDecimal)
		same(c.t, math.Floor(b.volume), e.Volume)
		same(c.t, math.Floor(decimal(c.t, e.DayVolumeDecimal)), e.DayVolume)
	}
	if e.Has.All(tickstorm.AggregateAverageSize) {
		atMost(c.t, e.AverageSize, e.Volume)
	}
	if e.Has.All(tickstorm.AggregateTransactions) {
		atMost(c.t, float64(e.Transactions), e.Volume)
		b.trades = float64(e.Transactions)
		atMost(c.t, e.Turnover, e.High*e.Volume*(1+1e-12))
		atLeast(c.t, e.Turnover, e.Low*e.Volume*(1-1e-12))
	}
	if e.Has.All(tickstorm.AggregateOfficialOpen) {
		day := c.day(e.Start)
		if open, known := l.open[day]; known {
			same(c.t, open, e.OfficialOpen)
		}
		l.open[day] = e.OfficialOpen
	}
	l.otc = append(l.otc, e.OTC)
	same(c.t, l.otc[0], e.OTC, "over the counter at times")
	same(c.t, e.OTC, e.Has.All(tickstorm.AggregateOTC), "only present when true")

	// The bars before it: this one is the next, or one of them again.
	bars := l.bars[e.Stream]
	if n := len(bars); n == 0 || bars[n-1].start < b.start {
		l.bars[e.Stream] = append(bars, b)
		heard := l.bars[tickstorm.SecondAggregates]
		b.counted = b.start >= c.began || len(heard) > 0 && heard[len(heard)-1].start >= b.start
		c.sums(l, e, b, b.volume, true)
		return
	}
	i := slices.IndexFunc(bars, func(o *candle) bool { return o.start == b.start })
	require.GreaterOrEqual(c.t, i, 0, "a bar that is out of order and no correction")
	before := bars[i]
	above(c.t, b.volume, before.volume, "the same bar again")
	same(c.t, before.open, b.open)
	same(c.t, before.close, b.close)
	atMost(c.t, b.low, before.low)
	atLeast(c.t, b.high, before.high)
	atMost(c.t, b.came, before.came+7000+c.slack, "a late correction")
	c.corrections++
	b.came, b.counted, bars[i] = before.came, before.counted, b
	c.sums(l, e, b, b.volume-before.volume, false)
}

// sums checks the day's volume and average. more is the volume that was not told before.
func (c *chart) sums(l *listing, e *tickstorm.Aggregate, b *candle, more float64, first bool) {
	if !e.Has.All(tickstorm.AggregateDayVolume | tickstorm.AggregateDayVWAP) {
		return
	}
	total := e.DayVolume
	if e.Has.All(tickstorm.AggregateDayVolumeDecimal) {
		total = decimal(c.t, e.DayVolumeDecimal)
	}
	day := c.day(e.Start)
	if day > l.day {
		if l.day != 0 {
			require.InEpsilon(c.t, b.volume, total, 1e-9, "the first bar of a day")
		}
		l.day, l.total = day, -1
	}
	atLeast(c.t, total, b.volume*(1-1e-12))
	worth := e.DayVWAP * total
	if l.total >= 0 {
		atLeast(c.t, total, l.total, "the day's volume falls")
		seconds := c.streams[tickstorm.SecondAggregates] && c.market != tickstorm.Crypto && c.market != tickstorm.Forex
		switch {
		case !seconds:
		case e.Stream == tickstorm.SecondAggregates:
			near(c.t, more, total-l.total, 1e-6*max(1, total*1e-8), "the day's volume is not that of the seconds")
			if first {
				near(c.t, l.worth+b.vwap*b.volume, worth, 2e-6*worth/max(b.vwap, 1)+1e-5*total)
			}
		case b.counted:
			near(c.t, l.total, total, 1e-6, "a minute is no more than its seconds")
		}
	}
	l.total, l.worth = total, worth
}

// finish compares the last versions of all bars with what they were made of.
func (c *chart) finish() {
	require.NotEmpty(c.t, c.symbols)
	require.Positive(c.t, c.events)
	whole := (c.began + 999) / 1000 * 1000 // the first second that was heard in full
	known := 10_000 + c.slack              // after this nothing is corrected any more
	minuteStreams := []tickstorm.Stream{tickstorm.MinuteAggregates, tickstorm.LaunchpadAggregates}
	for symbol, l := range c.symbols {
		seconds := l.bars[tickstorm.SecondAggregates]
		if c.streams[c.tick()] && c.streams[tickstorm.SecondAggregates] {
			had := map[int64]bool{}
			for _, b := range seconds {
				had[b.start] = true
				if b.start < whole || b.start > c.now-known {
					continue
				}
				c.equal(symbol, l.ticks[b.start], b)
				atMost(c.t, b.came, b.start+2500+c.slack, "a bar that comes late")
			}
			for start := range l.ticks {
				require.True(c.t, had[start] || start < whole || start > c.now-known, "%s traded at %d, and no bar", symbol, start)
			}
		}
		if q := c.streams[tickstorm.Quotes] && c.market != tickstorm.Forex; q && !c.streams[tickstorm.Trades] {
			for _, b := range seconds {
				if r := l.quotes[b.start]; b.start >= whole {
					require.NotNil(c.t, r, "a bar without quotes")
					atLeast(c.t, b.low, r.low)
					atMost(c.t, b.high, r.high)
				}
			}
		}
		for _, stream := range minuteStreams {
			minutes := l.bars[stream]
			for _, m := range minutes {
				if m.start < whole || m.start > c.now-60_000-known {
					continue
				}
				if c.streams[c.tick()] {
					c.equal(symbol, merge(l.ticks, m.start), m)
				}
				if c.streams[tickstorm.SecondAggregates] {
					of := map[int64]*candle{}
					for _, b := range seconds {
						of[b.start] = b
					}
					whole := merge(of, m.start)
					whole.trades = m.trades
					whole.worth, whole.whole = math.NaN(), m.whole
					c.equal(symbol, whole, m)
				}
			}
		}
		// Launchpad's minutes are those of the market.
		a, b := l.bars[tickstorm.MinuteAggregates], l.bars[tickstorm.LaunchpadAggregates]
		if c.streams[tickstorm.MinuteAggregates] && len(b) > 0 {
			require.Len(c.t, b, len(a))
			for i := range a {
				same(c.t, a[i].start, b[i].start)
				same(c.t, a[i].volume, b[i].volume)
				same(c.t, a[i].close, b[i].close)
			}
		}
	}
}

// merge makes of seconds the minute that begins at start.
func merge(seconds map[int64]*candle, start int64) *candle {
	m := &candle{start: start}
	for s := start; s < start+60_000; s += 1000 {
		c := seconds[s]
		if c == nil {
			continue
		}
		if m.open == 0 {
			m.open, m.low = c.open, c.low
		}
		m.high, m.low, m.close = max(m.high, c.high), min(m.low, c.low), c.close
		m.volume += c.volume
		m.worth += c.worth
		m.whole += c.whole
		m.trades += c.trades
	}
	return m
}

func (c *chart) equal(symbol string, want, got *candle) {
	name := fmt.Sprintf("%s at %d", symbol, got.start)
	require.NotNil(c.t, want, name)
	same(c.t, [4]float64{want.open, want.high, want.low, want.close}, [4]float64{got.open, got.high, got.low, got.close}, name)
	if c.market == tickstorm.Indices {
		return
	}
	require.InEpsilon(c.t, want.volume, got.volume, 1e-9, name)
	if got.vwap != 0 && !math.IsNaN(want.worth) {
		near(c.t, want.worth/want.volume, got.vwap, max(1e-5*got.vwap, 1.01e-6), name) // the last digit of what costs cents
	}
	near(c.t, want.whole, got.whole, 1e-9*got.whole, name)
	if got.trades != 0 {
		same(c.t, want.trades, got.trades, name)
	}
}
