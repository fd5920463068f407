package fanout

import (
	"encoding/binary"
	"time"
)

// This file is the history: the latest messages as they came, in a ring of bytes.

// history is a ring of messages and of notes about gaps among them. Whoever changes it has the
// hub's lock. Places in it are bytes since the beginning of all, so that a reader can tell whether
// what it was to read next is still there.
type history struct {
	ring []byte
	head int64 // where the next entry comes
	tail int64 // where the oldest begins
	lost int64 // when the last message that is overwritten was received; 0 is none
}

// entry is a message, or a note that others were told in its place.
type entry struct {
	number   uint64 // of the message
	received int64
	note     bool
	text     []byte
}

// entryHead is the bytes before an entry's text: its length, with noteBit, the number and the time.
const (
	entryHead  = 4 + 8 + 8
	noteBit    = 1 << 31
	padding    = 1<<32 - 1 // instead of a length: the next entry is at the ring's beginning
	minHistory = 1 << 16
)

func newHistory(size int) *history { return &history{ring: make([]byte, max(size, minHistory))} }

// put puts an entry in, in the place of the oldest ones.
func (r *history) put(e entry) {
	need, size := int64(entryHead+len(e.text)), int64(len(r.ring))
	if need > size {
		r.evict(r.head) // readers find it overwritten
		r.head++
		r.tail = r.head
		r.lost = e.received
		return
	}
	at := r.head % size
	if room := size - at; room < need {
		r.evict(r.head + room - size)
		if room >= 4 {
			binary.LittleEndian.PutUint32(r.ring[at:], padding)
		}
		r.head += room
		at = 0
	}
	r.evict(r.head + need - size)
	appendEntry(r.ring[:at], e)
	r.head += need
}

// evict gives up what is before a place.
func (r *history) evict(before int64) {
	for r.tail < before && r.tail < r.head {
		e, next := r.at(r.tail)
		if !e.note {
			r.lost = e.received
		}
		r.tail = next
	}
}

// at returns the entry at a place, which must be between tail and head, and the place of the next.
// Its text is valid until the history changes. An entry without a text is none.
func (r *history) at(place int64) (e entry, next int64) {
	at := place % int64(len(r.ring))
	if room := int64(len(r.ring)) - at; room < 4 || binary.LittleEndian.Uint32(r.ring[at:]) == padding {
		return entry{note: true}, place + room
	}
	e, size := parseEntry(r.ring[at:])
	return e, place + int64(size)
}

// appendEntry appends an entry as it stands in a ring.
func appendEntry(dst []byte, e entry) []byte {
	size := uint32(len(e.text))
	if e.note {
		size |= noteBit
	}
	dst = binary.LittleEndian.AppendUint32(dst, size)
	dst = binary.LittleEndian.AppendUint64(dst, e.number)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(e.received))
	return append(dst, e.text...)
}

// parseEntry returns the first entry, and how long it is.
func parseEntry(b []byte) (e entry, size int) {
	n := binary.LittleEndian.Uint32(b)
	size = entryHead + int(n&^noteBit)
	return entry{
		number:   binary.LittleEndian.Uint64(b[4:]),
		received: int64(binary.LittleEndian.Uint64(b[12:])),
		note:     n&noteBit != 0,
		text:     b[entryHead:size:size],
	}, size
}

// Begin has the history begin now: what came before was not handed to the hub. Without it that is when
// the hub was made.
func (h *Hub) Begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.born = time.Now().UnixNano()
}

// Remember puts an element into the history that tells of something between the last message and
// the next, such as a gap. It is recalled there.
func (h *Hub) Remember(element []byte, at int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ring != nil {
		h.ring.put(entry{number: h.message.number, received: at, note: true, text: element})
	}
}
