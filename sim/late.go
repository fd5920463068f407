package sim

import "math"

// lateness is how long after a trade that is late its bars are corrected, in milliseconds.
const lateness = 7000

// belated is a trade that is late for its bars.
type belated struct {
	due     int64
	size    int64
	price   int32
	symbol  int32 // -1 if it was not late after all
	passed  bool  // another trade of the same window came behind it
	counted bool  // by the day, and by the minute if that is not over
	// bars are those that were sent without it, by period; without trades if there is none.
	bars [periods]bar
}

// belatedTrades are those that are to correct bars, the earliest first: a ring of fixed size,
// of at most one trade a symbol. While it is full no trade is late.
type belatedTrades struct {
	ring        [64]belated
	head, count int
}

func (q *belatedTrades) at(st *state) *belated { return &q.ring[st.late-1] }

// due returns when something is to be corrected, in milliseconds.
func (q *belatedTrades) due() int64 {
	if q.count == 0 {
		return math.MaxInt64
	}
	return q.ring[q.head].due
}

// hold takes a trade of the window, and reports whether it can: there has to be room, and the
// day must not be over before the correction.
func (q *belatedTrades) hold(st *state, w *bar, price int32, size, now int64) bool {
	if q.count == len(q.ring) || dayOf(w.start) != dayOf(now+lateness) {
		return false
	}
	at := (q.head + q.count) % len(q.ring)
	q.count++
	q.ring[at] = belated{due: now + lateness, price: price, size: size, symbol: st.index}
	st.late = uint8(at + 1)
	w.held = true
	return true
}

// end is told that a window is over, and of the bar that is sent without the trade that the
// window holds. One that turned out to be the last of its window is not late: it is added.
func (q *belatedTrades) end(st *state, p period, w *bar) {
	if !w.held {
		return
	}
	b := q.at(st)
	if !b.passed {
		w.add(b.price, b.size)
		w.held, b.symbol, st.late = false, -1, 0
		return
	}
	b.bars[p] = *w
}

// correct sends a bar again that lacked a trade. A trade whose bars have all been sent is
// done with.
func (g *Generator) correct() {
	q := &g.late
	b := &q.ring[q.head]
	if b.symbol >= 0 {
		st := &g.states[b.symbol]
		if !b.counted {
			b.counted = true
			g.accounts[b.symbol].day.add(b.price, b.size)
			if m := g.minutes.find(st, minute.startOf(b.bars[second].start)); m != nil {
				m.insert(b.price, b.size)
				m.held = false
			}
		}
		for p := range b.bars {
			if w := &b.bars[p]; w.trades > 0 {
				w.insert(b.price, b.size)
				g.send(period(p), w)
				w.trades = 0
				return
			}
		}
		st.late = 0
	}
	q.head = (q.head + 1) % len(q.ring)
	q.count--
}
