package fanout

import (
	"math"
	"reflect"

	"github.com/tickstorm/tickstorm"
)

// Lent returns how many buffers somebody has.
func (h *Hub) Lent() int {
	h.pool.mu.Lock()
	defer h.pool.mu.Unlock()
	return h.pool.lent
}

// Symbols returns how many symbols the table has, held or not.
func (h *Hub) Symbols() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for i := range h.channels {
		n += h.channels[i].symbols.len()
	}
	return n
}

// Inert makes an outlet without a goroutine: what comes to it waits until Drain is called.
func (h *Hub) Inert(cfg OutletConfig) *Outlet {
	o := h.newOutlet(nil, cfg)
	return o
}

// Batch is memory for Drain.
type Batch struct{ batch }

// Drain does what the outlet's goroutine does, and writes nothing.
func (o *Outlet) Drain(b *Batch) {
	for {
		o.mu.Lock()
		taken := o.take(&b.batch)
		o.mu.Unlock()
		if !taken {
			return
		}
		b.prepare(&o.hub.pool)
		b.release(&o.hub.pool)
		o.mu.Lock()
		o.settle(&b.batch)
		o.mu.Unlock()
	}
}

// Backlog returns the bytes that wait or are being written.
func (o *Outlet) Backlog() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes
}

// Find is what Message does before it gives anything to outlets.
func (h *Hub) Find(msg []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.find(msg, 1)
	h.message.text = nil
}

// HotLine is how many bytes from an outlet's beginning what every event needs ends: behind the count of
// events, the first of stats.
func HotLine() uintptr {
	f, _ := reflect.TypeFor[Outlet]().FieldByName("stats")
	return f.Offset + 8
}

// SymbolLine is how many bytes of a table of symbols each has.
func SymbolLine() uintptr { return reflect.TypeFor[holders]().Size() }

// Age has the history be one that so many bytes have come to, or a few less. It is for a hub that no
// message has come to.
func (h *Hub) Age(bytes int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ring.head = bytes - bytes%int64(len(h.ring.ring))
	h.ring.tail = h.ring.head
}

// Piece does once what the outlet's goroutine does of what is to be recalled, and reports whether
// that has made something to write, and whether it is to be done again.
func (o *Outlet) Piece() (made, more bool) {
	buffers := o.hub.recallNext(o)
	o.hub.pool.put(buffers)
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(buffers) > 0, o.recalling
}

// LastSweep returns how many symbols of a channel have an element that is newer than the message of a
// number, and whether all can be found while messages wait.
func (h *Hub) LastSweep(channel string, after uint64) (symbols int, whole bool) {
	h.editing.Lock()
	defer h.editing.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	j := &recall{topics: map[tickstorm.Topic]int64{{Channel: channel, Symbol: tickstorm.All}: 0}}
	p := &piece{hub: h}
	next := h.store.sweep(&Outlet{}, j, channel, uint8(h.streams[channel]), p, 0, lastCells, after, math.MaxInt)
	return p.total, next == math.MaxUint32
}
