package sim

import (
	"math/bits"
	"strconv"

	"github.com/tickstorm/tickstorm"
)

const barFields = tickstorm.AggregateSymbol | tickstorm.AggregateOpen | tickstorm.AggregateClose | tickstorm.AggregateHigh |
	tickstorm.AggregateLow | tickstorm.AggregateStart | tickstorm.AggregateEnd

// barEvent makes the event of g.out, for the first of the channels that it is for.
func (g *Generator) barEvent() tickstorm.Event {
	f := &g.class.features[bits.TrailingZeros16(uint16(g.out.left))]
	g.out.left &^= f.bit
	w := &g.out.bar
	st := &g.states[w.symbol]
	a := &g.aggregate
	g.sourceOf(f).head(g, &a.Header, st)
	a.Has = barFields
	a.Open, a.High, a.Low, a.Close = st.money(w.open), st.money(w.high), st.money(w.low), st.money(w.close)
	a.Start, a.End = tickstorm.Timestamp(w.start), tickstorm.Timestamp(w.start+lengths[f.period])
	f.bar(g, a, st, w)
	return a
}

// tradedBar has a volume of whole pieces, and the day's.
func (g *Generator) tradedBar(a *tickstorm.Aggregate, st *state, w *bar) {
	a.Has |= tickstorm.AggregateVolume | tickstorm.AggregateDayVolume | tickstorm.AggregateAverageSize |
		tickstorm.AggregateVWAP | tickstorm.AggregateDayVWAP
	lot := int64(st.lot)
	day := &g.accounts[w.symbol].day
	volume := w.volume / lot
	a.Volume, a.DayVolume = float64(volume), float64(day.volume/lot)
	a.AverageSize = float64(volume / int64(w.trades))
	a.VWAP, a.DayVWAP = st.finely(w.mean()), st.finely(day.mean())
	g.officialOpen(a, st)
}

func (g *Generator) officialOpen(a *tickstorm.Aggregate, st *state) {
	if !st.unopened {
		a.Has |= tickstorm.AggregateOfficialOpen
		a.OfficialOpen = st.money(st.opened)
	}
}

func (g *Generator) stockBar(a *tickstorm.Aggregate, st *state, w *bar) {
	g.tradedBar(a, st, w)
	a.Has |= tickstorm.AggregateVolumeDecimal | tickstorm.AggregateDayVolumeDecimal
	a.VolumeDecimal.Text = appendShares(g.text[0][:0], w.volume)
	a.DayVolumeDecimal.Text = appendShares(g.text[1][:0], g.accounts[w.symbol].day.volume)
	a.OTC = st.otc
	if st.otc {
		a.Has |= tickstorm.AggregateOTC
	}
}

// appendShares appends millionths as a decimal number, whole ones as "129.0".
func appendShares(dst []byte, micros int64) []byte {
	if micros%wholeShare == 0 {
		return append(strconv.AppendInt(dst, micros/wholeShare, 10), ".0"...)
	}
	return appendMicros(dst, micros)
}

func (g *Generator) indexBar(a *tickstorm.Aggregate, st *state, _ *bar) { g.officialOpen(a, st) }

func (g *Generator) futuresBar(a *tickstorm.Aggregate, st *state, w *bar) {
	a.Has |= tickstorm.AggregateVolume | tickstorm.AggregateTurnover | tickstorm.AggregateTransactions
	a.Volume = float64(w.volume)
	a.Turnover = float64(w.worth[0]) / st.unit // a minute's is far below 64 bits
	a.Transactions = int64(w.trades)
}

// forexBar has as its volume the number of quotes.
func (g *Generator) forexBar(a *tickstorm.Aggregate, _ *state, w *bar) {
	a.Has |= tickstorm.AggregateVolume
	a.Volume = float64(w.volume)
}

// cryptoBar has an average size in hundredths of a coin, which is often 0. It is documented
// as an integer, and neither that nor small.
func (g *Generator) cryptoBar(a *tickstorm.Aggregate, st *state, w *bar) {
	a.Has |= tickstorm.AggregateVolume | tickstorm.AggregateAverageSize | tickstorm.AggregateVWAP
	a.Volume = st.amount(w.volume)
	a.VWAP = st.finely(w.mean())
	average := w.volume / int64(w.trades)
	if st.lot > 100 {
		a.AverageSize = float64(average/int64(st.lot/100)) / 100
	} else {
		a.AverageSize = st.amount(average)
	}
}

// launchpadCoinBar has the shape of a stock's bar, with a volume in fractions.
func (g *Generator) launchpadCoinBar(a *tickstorm.Aggregate, st *state, w *bar) {
	g.cryptoBar(a, st, w)
	a.Has |= tickstorm.AggregateDayVolume | tickstorm.AggregateDayVWAP
	day := &g.accounts[w.symbol].day
	a.DayVolume = st.amount(day.volume)
	a.DayVWAP = st.finely(day.mean())
	g.officialOpen(a, st)
}
