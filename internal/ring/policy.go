package ring

import "bytes"

// Policy is what a ring does with an entry that there is no room for. One that is larger than
// the memory is dropped under any of them.
type Policy uint8

const (
	// Block makes Put wait for room.
	Block Policy = iota
	// DropNewest drops the entry.
	DropNewest
	// DropOldest drops as many of the oldest entries as make room for it.
	DropOldest
	// Conflate keeps of entries with [Latest] only the latest that waits of each channel and
	// key, at any depth. When the ring is full even so, it drops the entry. One that finds no
	// place in the index does not give way.
	Conflate
	// Refuse drops the entry and all that come after it, while Config.Refusing is set.
	Refuse
)

// makeRoom does what the policy says to have room for an entry of this size, which the
// memory is large enough for. The lock is free while it waits, or calls the user.
func (r *Ring) makeRoom(size uint64, fresh *Drops) {
	switch r.cfg.Policy {
	case Block:
		for r.free() < size && !r.closed {
			r.wake()
			r.waiting = true
			r.room.Wait()
		}
	case DropOldest:
		for r.free() < size {
			h := r.headerAt(r.head)
			r.live--
			first, second := r.text(r.head, 0, h.length)
			r.countDrop(&h, first, second, fresh)
			r.forget(r.head + h.size())
		}
	case Conflate:
		// To clear away a few at a time would cost as much as to clear away many.
		if r.dead >= max(size, uint64(len(r.mem)/8)) {
			r.compact()
		}
	case Refuse:
		if !r.cfg.Refusing.Swap(true) && r.cfg.OnRefuse != nil {
			r.unlocked(r.cfg.OnRefuse)
		}
	}
}

// supersede makes the entry that is about to be written the latest of its channel and
// key; an older one that waits will not be taken.
func (r *Ring) supersede(h *header, text []byte, hash uint64) {
	key := text[h.key:][:h.keyLen]
	slot := r.latest.find(hash, r, func(pos uint64) bool { return r.isOf(pos, h.channel, key) })
	if slot == nil {
		return
	}
	if old := slot.pos; slot.hash == hash && old >= r.head && old < r.tail {
		r.kill(old)
	}
	slot.hash, slot.pos = hash, r.tail
}

// isOf reports whether the entry at pos is of this channel and key.
func (r *Ring) isOf(pos uint64, channel uint8, key []byte) bool {
	h := r.headerAt(pos)
	if h.channel != channel || int(h.keyLen) != len(key) {
		return false
	}
	first, second := r.text(pos, int(h.key), int(h.keyLen))
	return bytes.Equal(first, key[:len(first)]) && bytes.Equal(second, key[len(first):])
}

// kill marks a waiting entry as superseded.
func (r *Ring) kill(pos uint64) {
	h := r.headerAt(pos)
	r.mem[r.offset(pos)+4] |= byte(dead)
	r.dead += h.size()
	r.live--
	r.totals.Conflated++
	if pos == r.head {
		r.forget(pos)
	}
}

// compact moves what is live to the front.
func (r *Ring) compact() {
	clear(r.latest.slots)
	to, marks := r.head, r.markers
	for from := r.head; from < r.tail; {
		h := r.headerAt(from)
		for len(marks) > 0 && marks[0].pos <= from {
			marks[0].pos = min(marks[0].pos, to)
			marks = marks[1:]
		}
		if h.flags&dead == 0 {
			r.move(to, from, h.size())
			if h.flags&Latest != 0 {
				r.remember(to, &h)
			}
			to += h.size()
		}
		from += h.size()
	}
	for i := range marks {
		marks[i].pos = to
	}
	r.tail, r.dead = to, 0
	r.rearm()
}

// move copies n bytes of the memory towards the front.
func (r *Ring) move(to, from, n uint64) {
	if to == from {
		return
	}
	for n > 0 {
		dst, src := r.mem[r.offset(to):], r.mem[r.offset(from):]
		if uint64(len(src)) > n {
			src = src[:n]
		}
		moved := uint64(copy(dst, src))
		to, from, n = to+moved, from+moved, n-moved
	}
}

// remember puts an entry that was moved back into the index, where it is the only one
// of its channel and key.
func (r *Ring) remember(pos uint64, h *header) {
	first, second := r.text(pos, int(h.key), int(h.keyLen))
	key := append(append(r.key[:0], first...), second...)
	hash := r.cfg.Hash(h.channel, key)
	if slot := r.latest.find(hash, r, func(uint64) bool { return false }); slot != nil {
		slot.hash, slot.pos = hash, pos
	}
}

// latestIndex says where the latest entries are. An entry that has left the ring leaves
// its slot behind, which is free then.
type latestIndex struct{ slots []latestSlot }

type latestSlot struct{ hash, pos uint64 }

const (
	latestSlotBytes = 16
	latestProbes    = 8
)

// init makes the index, of at most so many bytes, and returns how many it has.
func (x *latestIndex) init(bytes int) int {
	n := 1
	for 2*n*latestSlotBytes <= bytes {
		n *= 2
	}
	x.slots = make([]latestSlot, n)
	return n * latestSlotBytes
}

// find returns the slot in which is has an entry of this hash, else a free one, else nil.
func (x *latestIndex) find(hash uint64, r *Ring, is func(pos uint64) bool) *latestSlot {
	var free *latestSlot
	mask := uint64(len(x.slots) - 1)
	for i := range uint64(latestProbes) {
		slot := &x.slots[(hash+i)&mask]
		if slot.pos < r.head || slot.pos >= r.tail {
			if free == nil {
				free = slot
			}
			continue
		}
		if slot.hash == hash && is(slot.pos) {
			return slot
		}
	}
	return free
}
