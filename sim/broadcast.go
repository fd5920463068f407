package sim

import "github.com/tickstorm/tickstorm"

// Bars come from trades: those that were sent, where the trades of a symbol are subscribed
// to, and otherwise made-up ones that nobody sees. What is said of trades here holds for the
// quotes of forex and the values of indices too.
//
//   - A trade counts in the second of its timestamp, whatever its conditions.
//   - A second is over 1.5 s after its end: it is added to its minute and to the day, and
//     its bar is sent. A minute is over 2.5 s after its end, behind the seconds in it and
//     before those after it. Bars that are due go before all else, whatever their number.
//   - A second or a minute without trades has no bar.
//   - The volume and the average of the day are those of the seconds that are over.
//   - One trade in 64, never the first or last of its second, is late for its bars: it is
//     missing in them and in the day's sums, and 7 s after it the bars that lack it are sent
//     again with it.
//   - Where nothing but bars of a symbol is subscribed to, its trades are made up when a bar
//     is drawn: as often as the weight of the channel says, but once for each second or minute.
//     So a rare symbol has few bars. If other channels of the symbol are subscribed to, but
//     not its trades, they are made up beside the events of those.

// When a window is over, in milliseconds after its end. The seconds of a minute can be drawn
// until it is over.
var settle = [periods]int64{second: 1500, minute: 2500}

// dueTime is when the window is over.
func (p period) dueTime(start int64) int64 { return start + lengths[p] + settle[p] }

// lastOver returns the start of the last window that is over at now.
func (p period) lastOver(now int64) int64 {
	return p.startOf(now-settle[p]) - lengths[p]
}

// broadcast is a bar that is to be sent on several channels, one after the other.
type broadcast struct {
	bar
	left channels
}

// record counts a trade that happens now. The bits of r are random.
func (g *Generator) record(st *state, price int32, size int64, r uint8) {
	w := g.seconds.find(st, g.second)
	if w == nil {
		w = g.seconds.open(g.states, st, g.second)
		g.due = min(g.due, second.dueTime(g.second))
	}
	g.count(st, w, price, size, r)
}

// count adds a trade to a window, or holds it back.
func (g *Generator) count(st *state, w *bar, price int32, size int64, r uint8) {
	if w.trades > 0 && r&63 == 0 && st.late == 0 && !g.class.exact && g.late.hold(st, w, price, size, g.millis) {
		return
	}
	w.add(price, size)
	if w.held {
		g.late.at(st).passed = true
	}
}

// advance puts the next bar that is due into g.out, and reports whether there is one.
func (g *Generator) advance() bool {
	for {
		g.out.left &= g.states[g.out.bar.symbol].single | g.all
		if g.out.left != 0 {
			return true
		}
		seconds, minutes, late := g.seconds.due(), g.minutes.due(), g.late.due()
		g.due = min(seconds, minutes, late)
		switch {
		case g.due > g.millis:
			return false
		case g.due == minutes: // before a second that is behind it
			w := g.minutes.removeFirst()
			g.endMinute(&w)
		case g.due == seconds:
			w := g.seconds.removeFirst()
			g.endSecond(&w)
		default:
			g.correct()
		}
	}
}

// send puts a bar into g.out. It replaces what is there.
func (g *Generator) send(p period, w *bar) {
	g.out = broadcast{bar: *w, left: g.class.bars[p]}
	g.due = 0
}

// endSecond sends a second that is over, and adds it to its minute and the day.
func (g *Generator) endSecond(w *bar) {
	st := &g.states[w.symbol]
	g.late.end(st, second, w)
	g.wasSent(second, w)
	start := minute.startOf(w.start)
	m := g.minutes.find(st, start)
	if m == nil {
		m = g.minutes.open(g.states, st, start)
	}
	m.append(w)
	m.held = m.held || w.held
	g.settle(w)
	g.send(second, w)
}

// wasSent notes that a symbol's window has had its bar, for none to be made up.
func (g *Generator) wasSent(p period, w *bar) {
	a := &g.accounts[w.symbol]
	a.sent[p] = max(a.sent[p], w.start)
}

// endMinute sends a minute that is over.
func (g *Generator) endMinute(w *bar) {
	st := &g.states[w.symbol]
	g.late.end(st, minute, w)
	g.wasSent(minute, w)
	g.send(minute, w)
}

// settle adds a window to the day, which may begin with it.
func (g *Generator) settle(w *bar) {
	a := &g.accounts[w.symbol]
	if d := dayOf(w.start); d > a.date {
		a.date = d
		a.day = total{}
		g.states[w.symbol].begin(w.open)
	}
	a.day.plus(&w.total)
}

// makeUp puts a bar into g.out whose trades nobody has seen, and reports whether the channel
// has a symbol that lacks one.
func (g *Generator) makeUp(s *source, r uint64) bool {
	start := s.period.lastOver(g.millis)
	if s.exhausted == start || s.all && g.covers(s.period, start, g.moving, g.barred) {
		return false
	}
	n := s.count()
	i := zipf(uint32(r), n)
	for range n + 1 {
		st := g.stateOf(s.symbol(i))
		a := &g.accounts[st.index]
		if a.sent[s.period] < start && !g.covers(s.period, start, a.moving, a.barred) &&
			!g.covers(s.period, start, g.moving, g.barred) {
			g.invent(s.period, st, start)
			return true
		}
		// The next in a row, so that none is left out for long.
		if s.next++; s.next >= n {
			s.next = 0
		}
		i = s.next
	}
	s.exhausted = start
	return false
}

// covers reports whether the trades of a window are known, because somebody has subscribed to
// something that moves the price, or, for a minute, to the seconds in it, before it was over.
func (g *Generator) covers(p period, start, moving, barred int64) bool {
	end := start + lengths[p]
	return moving != 0 && moving < end || p == minute && barred != 0 && barred < end
}

// invent sends a bar of made-up trades. If the price is moved by others now, it stays.
func (g *Generator) invent(p period, st *state, start int64) {
	w := bar{start: start, symbol: st.index}
	trades := 1 + g.random.next()&3
	if p == minute {
		trades = 4 + g.random.next()&31
	}
	price := st.price
	for range trades {
		r := g.random.next()
		st.step(uint8(r))
		g.count(st, &w, g.tickPrice(st, uint8(r>>8)), g.class.size(st, r>>16), uint8(r>>56))
	}
	if (st.single|g.all)&g.class.moving != 0 {
		st.price = price
	}
	if p == second {
		g.endSecond(&w)
		return
	}
	g.late.end(st, minute, &w)
	if g.accounts[w.symbol].sent[second] < start {
		g.settle(&w)
	} else if w.held { // the day has had it
		g.late.at(st).counted = true
	}
	g.endMinute(&w)
}

// unseen counts a made-up trade beside another event, where trades are not subscribed to and
// bars are.
func (g *Generator) unseen(st *state) {
	if r := g.random.next(); r&3 == 0 { // fewer than quotes
		g.record(st, g.tickPrice(st, uint8(r>>8)), g.class.size(st, r>>16), uint8(r>>56))
	}
}

// tickPrice is the price of a made-up trade.
func (g *Generator) tickPrice(st *state, r uint8) int32 {
	switch g.family {
	case tickstorm.Forex:
		return st.bid()
	case tickstorm.Indices:
		return st.price
	}
	return st.between(r)
}
