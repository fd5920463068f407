package intern

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
)

// This file is how a table grows: a segment at a time, under the table's lock.

// makeRoom sees to it that the segment of a hash has a free slot for it. It reports false if
// that would take more splits than hashes of a secret seed ever need.
func (t *Table) makeRoom(hash uint64) bool {
	for {
		o := t.owners[hash>>(t.dir.Load().shift&63)]
		if o.used < segmentFull {
			return true
		}
		if o.depth >= t.deepest() {
			return false
		}
		t.split(o, hash)
	}
}

// deepest is how many of a hash's first bits the directory may be indexed by: a few more than
// the segments of a full table need if all are filled alike.
func (t *Table) deepest() int { return bits.Len32(t.max/segmentFull) + 4 }

// split replaces the segment of a hash by two, told apart by the next of their hashes' bits.
func (t *Table) split(o *owner, hash uint64) {
	d := t.dir.Load()
	if o.depth == 64-int(d.shift) {
		d = t.double(d)
	}
	halves := [2]*owner{}
	for i := range halves {
		halves[i] = &owner{slots: new(segment), depth: o.depth + 1}
	}
	for i := range o.slots {
		e := &o.slots[i]
		if e.meta == 0 {
			continue
		}
		h := t.hashOf(e)
		half := halves[h>>(63-o.depth)&1]
		*freeSlot(half.slots, h) = *e // nobody else sees it yet
		half.used++
	}
	places := 1 << (64 - int(d.shift) - o.depth) // where the old one stands in the directory
	first := int(hash>>(d.shift&63)) &^ (places - 1)
	for i := range places {
		half := halves[i/(places/2)]
		t.owners[first+i] = half
		d.segments[first+i].Store(half.slots)
	}
}

// double makes the directory one of twice the length, and publishes it.
func (t *Table) double(old *directory) *directory {
	d := &directory{shift: old.shift - 1, segments: make([]atomic.Pointer[segment], 2*len(old.segments))}
	owners := make([]*owner, 2*len(t.owners))
	for i := range d.segments {
		owners[i] = t.owners[i/2]
		d.segments[i].Store(owners[i].slots)
	}
	t.owners = owners
	t.dir.Store(d)
	return d
}

// freeSlot returns the slot for a text that is not in a segment, which has room.
func freeSlot(s *segment, hash uint64) *slot {
	for i := home(hash); ; i = next(i) {
		if e := &s[i]; e.meta == 0 {
			return e
		}
	}
}

// hashOf returns the hash of the text in a slot.
func (t *Table) hashOf(e *slot) uint64 {
	n := meta(e.meta).len()
	if n > Inline {
		return t.hasher.Hash([]byte(t.longText(e)))
	}
	return t.hasher.Words(binary.LittleEndian.Uint64(e.text[:8]), binary.LittleEndian.Uint64(e.text[8:16]),
		binary.LittleEndian.Uint64(e.text[16:]), n)
}
