package top

import "github.com/tickstorm/tickstorm"

// tailLength is how many events of each kind are kept of the symbol that is looked at.
const tailLength = 64

// A Row is an event of the symbol that is looked at, reduced to what is shown of it.
type Row struct {
	Kind   tickstorm.Kind
	Stream tickstorm.Stream
	Time   int64 // its own, in nanoseconds since 1970; the start of a bar
	// Values are a trade's price and size; a quote's, and a book's best level's, bid size, bid, ask and ask
	// size; a bar's open, high, low, close and volume; a limit's lower and upper band; an imbalance's
	// quantity, paired quantity and price; a value.
	Values   [5]float64
	Codes    [4]int32 // of a trade, the first ones
	Exchange int32
	codes    uint8
}

func rowOf(h *tickstorm.Header, k tickstorm.Kind, at tickstorm.Timestamp, values ...float64) Row {
	r := Row{Kind: k, Stream: h.Stream, Time: at.Nanoseconds()}
	if r.Time == 0 {
		r.Time = h.Received
	}
	copy(r.Values[:], values)
	return r
}

// A Tail has the last events of a symbol, by kind.
type Tail struct {
	// Version is another one when something has come.
	Version uint64
	rings   [tickstorm.Kinds]ring
}

// ring has the last events of a kind.
type ring struct {
	rows  [tailLength]Row
	total uint64
}

// Total is how many events of a kind have come since the symbol is looked at.
func (t *Tail) Total(k tickstorm.Kind) uint64 { return t.rings[k].total }

// Rows returns the last events of a kind, n at most, the latest first.
func (t *Tail) Rows(k tickstorm.Kind, n int) []Row {
	r := &t.rings[k]
	n = int(min(uint64(max(n, 0)), r.total, tailLength))
	rows := make([]Row, n)
	for i := range rows {
		rows[i] = r.rows[(r.total-1-uint64(i))%tailLength]
	}
	return rows
}

// Watch has the events of a symbol be kept from now on, by its number; 0 ends it.
func (t *Tally) Watch(id uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tail = Tail{Version: t.tail.Version + 1}
	t.watched.Store(id)
}

// Tail copies what was kept, if there is more than at a version.
func (t *Tally) Tail(to *Tail) (changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tail.Version == to.Version {
		return false
	}
	*to = t.tail
	return true
}

func (t *Tally) looksAt(h *tickstorm.Header) bool {
	id := t.watched.Load()
	return id != 0 && id == h.SymbolID
}

// keep keeps an event of the symbol that is looked at.
func (t *Tally) keep(r Row) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ring := &t.tail.rings[r.Kind]
	ring.rows[ring.total%tailLength] = r
	ring.total++
	t.tail.Version++
}
