package sim

import (
	"math"
	"math/bits"
)

// period is how long a bar is.
type period uint8

const (
	second period = iota
	minute
	periods // how many there are
)

// lengths are the periods in milliseconds.
var lengths = [periods]int64{second: 1000, minute: 60_000}

// startOf returns when the period begins that has t in it.
func (p period) startOf(t int64) int64 { return t - t%lengths[p] }

// total is how much was traded, and what for.
type total struct {
	volume int64 // in lots
	// worth is the sum of price times size, in units and lots, in 128 bits: a day of a busy
	// coin does not fit 64.
	worth [2]uint64
}

func (t *total) add(price int32, size int64) {
	hi, lo := bits.Mul64(uint64(price), uint64(size))
	t.plus(&total{volume: size, worth: [2]uint64{lo, hi}})
}

func (t *total) plus(o *total) {
	t.volume += o.volume
	var carry uint64
	t.worth[0], carry = bits.Add64(t.worth[0], o.worth[0], 0)
	t.worth[1], _ = bits.Add64(t.worth[1], o.worth[1], carry)
}

// mean returns the average price weighted by volume, in ten-thousandths of a unit, rounded
// down: it is within what the prices were within. There has to be a volume.
func (t *total) mean() int64 {
	volume := uint64(t.volume)
	whole, rest := bits.Div64(t.worth[1], t.worth[0], volume)
	hi, lo := bits.Mul64(rest, 10_000)
	part, _ := bits.Div64(hi, lo, volume)
	return int64(whole*10_000 + part)
}

// bar is what is known of one: the trades of a symbol in a period of time, which on
// other markets are quotes or values.
//
// It has the size of a line of the cache.
type bar struct {
	start int64 // milliseconds
	total
	open, high, low, close int32 // prices, in units
	trades                 uint32
	symbol                 int32
	held                   bool // one of its trades is held back, see belated
}

// add counts a trade, the last of the window so far.
func (w *bar) add(price int32, size int64) {
	if w.trades == 0 {
		w.open, w.high, w.low = price, price, price
	}
	w.close = price
	w.insert(price, size)
}

// insert counts a trade that is neither the first nor the last of the window.
func (w *bar) insert(price int32, size int64) {
	w.high, w.low = max(w.high, price), min(w.low, price)
	w.total.add(price, size)
	w.trades++
}

// append counts the trades of a later window.
func (w *bar) append(o *bar) {
	if w.trades == 0 {
		w.open, w.high, w.low = o.open, o.high, o.low
	}
	w.high, w.low, w.close = max(w.high, o.high), min(w.low, o.low), o.close
	w.plus(&o.total)
	w.trades += o.trades
}

// barQueue holds those of one period that are open, or over and not yet sent, in the order in
// which they were opened: a ring, which grows to what is open at once, some windows a symbol.
type barQueue struct {
	period period
	ring   []bar
	head   int
	count  int
}

// due returns when the oldest window is over, in milliseconds.
func (q *barQueue) due() int64 {
	if q.count == 0 {
		return math.MaxInt64
	}
	return q.period.dueTime(q.ring[q.head].start)
}

// removeFirst lets go of the oldest window, and returns it.
func (q *barQueue) removeFirst() bar {
	w := &q.ring[q.head]
	first := *w
	w.trades = 0
	q.head = (q.head + 1) % len(q.ring)
	q.count--
	return first
}

// find returns the symbol's window that begins at start, nil if it is not open.
// Valid until open.
func (q *barQueue) find(st *state, start int64) *bar {
	slot := st.slots[q.period]
	if int(slot) >= len(q.ring) {
		return nil
	}
	if w := &q.ring[slot]; w.symbol == st.index && w.start == start && w.trades > 0 {
		return w
	}
	return nil
}

// open returns a new window, which needs a trade at once. Valid until the next open.
func (q *barQueue) open(states []state, st *state, start int64) *bar {
	if q.count == len(q.ring) {
		q.grow(states)
	}
	slot := (q.head + q.count) % len(q.ring)
	q.count++
	st.slots[q.period] = int32(slot)
	q.ring[slot] = bar{start: start, symbol: st.index}
	return &q.ring[slot]
}

func (q *barQueue) grow(states []state) {
	larger := make([]bar, max(2*len(q.ring), 16))
	n := copy(larger, q.ring[q.head:])
	copy(larger[n:], q.ring[:q.head])
	for i := range q.count {
		old := int32((q.head + i) % len(q.ring))
		if slot := &states[larger[i].symbol].slots[q.period]; *slot == old {
			*slot = int32(i)
		}
	}
	q.ring, q.head = larger, 0
}
