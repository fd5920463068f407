package ring

import "bytes"

// latestIndex says where the latest entries are. An entry that has left the ring leaves
// its slot behind, which is free then.
type latestIndex struct {
	slots   []latestSlot
	touched uint64 // keeps what is only touched from being left out
}

type latestSlot struct{ hash, pos uint64 }

// A hash has its place among the slots of one cache line, or of that line's neighbour.
const (
	latestSlotBytes = 16
	lineSlots       = 4
	latestProbes    = 2 * lineSlots
)

// init makes the index, of at most so many bytes, and returns how many it has.
func (x *latestIndex) init(bytes int) int {
	n := latestProbes
	for 2*n*latestSlotBytes <= bytes {
		n *= 2
	}
	x.slots = make([]latestSlot, n)
	return n * latestSlotBytes
}

// probe is the i-th slot in which a hash may be.
func (x *latestIndex) probe(hash uint64, i int) *latestSlot {
	return &x.slots[(hash*lineSlots^uint64(i))&uint64(len(x.slots)-1)]
}

// touch reads what find is about to read, of all entries at once: a processor waits for
// many lines of memory in the time that one takes. It needs no lock.
func (x *latestIndex) touch(entries []Entry) {
	sum := uint64(0)
	for i := range entries {
		sum += x.probe(entries[i].hash, 0).pos
	}
	x.touched = sum
}

// touchOld does the same for the entries that may be superseded.
func (r *Ring) touchOld(entries []Entry) {
	sum, from := uint64(0), max(r.head, r.pinned)
	for i := range entries {
		e := &entries[i]
		for p := range lineSlots {
			if s := r.latest.probe(e.hash, p); s.hash == e.hash && s.pos >= from && s.pos < r.tail {
				sum += uint64(r.headAt(s.pos))
			}
		}
	}
	r.latest.touched = sum
}

// find returns the slot that has an entry of this hash, channel and key, else a free one, else nil.
func (r *Ring) find(hash uint64, channel uint8, key []byte) (slot *latestSlot, has bool) {
	from := max(r.head, r.pinned)
	for i := range latestProbes {
		s := r.latest.probe(hash, i)
		switch {
		case s.pos < from || s.pos >= r.tail:
			if slot == nil {
				slot = s
			}
		case s.hash == hash && r.isOf(s.pos, channel, key):
			return s, true
		}
	}
	return slot, false
}

// supersede makes the entry that is about to be written the latest of its channel and key. An
// older one that waits will not be taken, unless it is its turn. It returns the entry's head.
func (r *Ring) supersede(h head, text []byte, hash uint64) head {
	at, n := h.key()
	slot, has := r.find(hash, h.channel(), text[at:][:n])
	if slot == nil {
		return h
	}
	round := r.round
	if has {
		if old := r.headAt(slot.pos); (r.round-old.round())&maxRound < turn {
			round = old.round()
			r.kill(slot.pos)
		} else {
			r.mem[r.offset(slot.pos)+4] &^= byte(Latest) // it is to be taken, and no other gives way to it
		}
	}
	slot.hash, slot.pos = hash, r.tail
	return h.in(round)
}

// A round ends when something is taken and all that waited at its beginning has gone. The latest entry of a key has the
// round in which the first of those came that have given way to it; one that is two rounds old
// has been passed by all that waited when that one came, and its turn has come. Otherwise a key
// whose entries come faster than the ring is taken round would never be taken.
const (
	roundShift = 37 // in a head's flags, above the others
	maxRound   = 7  // they are counted modulo 8; one whose turn has come is taken within two more
	turn       = 2
)

func (h head) round() uint8 { return uint8(h>>roundShift) & maxRound }

func (h head) in(round uint8) head { return h | head(round&maxRound)<<roundShift }

// endRound, when entries were taken, begins another round if one has ended.
func (r *Ring) endRound() {
	if r.head >= r.roundEnd {
		r.round++
		r.roundEnd = r.tail
	}
}

// isOf reports whether the entry at pos is of this channel and key.
func (r *Ring) isOf(pos uint64, channel uint8, key []byte) bool {
	h := r.headAt(pos)
	at, n := h.key()
	if h.channel() != channel || n != len(key) {
		return false
	}
	first, second := r.text(pos, at, n)
	return bytes.Equal(first, key[:len(first)]) && bytes.Equal(second, key[len(first):])
}

// kill marks a waiting entry as superseded.
func (r *Ring) kill(pos uint64) {
	h := r.headAt(pos)
	r.mem[r.offset(pos)+4] |= byte(dead)
	r.dead += h.size()
	r.live--
	r.totals.Conflated++
	if pos == r.head {
		r.forget(pos)
		r.rearm()
	}
}

// remember puts an entry that was moved back into the index. It is not superseded if there is
// no place for it. There may be another of its channel and key, from when there was none: the
// first is found first.
func (r *Ring) remember(pos uint64, h head) {
	at, n := h.key()
	first, second := r.text(pos, at, n)
	key := append(append(r.key[:0], first...), second...)
	hash := r.cfg.Hash(h.channel(), key)
	for i := range latestProbes {
		if s := r.latest.probe(hash, i); s.pos == 0 {
			s.hash, s.pos = hash, pos
			return
		}
	}
}
