package ring

import (
	"encoding/binary"
	"math"
)

// Put puts ranges of msg into the ring, in order, and reports whether all have got in. It waits
// for room if that is the policy. What is dropped is counted in fresh too, if that is not nil.
func (r *Ring) Put(msg []byte, entries []Entry, received int64, fresh *Drops) bool {
	if r.cfg.Policy == Conflate {
		r.latest.touch(entries)
	}
	r.mu.Lock()
	if !r.takesAll(entries, fresh) {
		return r.putEach(msg, entries, received, fresh)
	}
	if r.cfg.Policy == Conflate {
		r.touchOld(entries)
	}
	for i := range entries {
		r.write(&entries[i], msg, received)
	}
	r.totals.Enqueued += uint64(len(entries))
	r.high = max(r.high, r.used())
	idle := r.idle
	r.idle = false
	r.mu.Unlock()
	if idle { // which needs the lock at once
		r.work.Signal()
	}
	return true
}

// takesAll reports whether all entries may be written without a look at each. Under
// DropOldest it drops what makes that so.
func (r *Ring) takesAll(entries []Entry, fresh *Drops) bool {
	size := uint64(0)
	for i := range entries {
		size += entries[i].head.size()
	}
	if !r.fits(size) || r.alarms && r.used()+size >= r.alarm {
		return false
	}
	if r.free() < size && r.cfg.Policy == DropOldest {
		r.makeRoom(size, fresh)
	}
	// The lock may have been free.
	return r.free() >= size && !r.refuses() && !(r.alarms && r.used()+size >= r.alarm)
}

// fits reports whether the empty memory would have room for so many bytes.
func (r *Ring) fits(size uint64) bool { return size <= min(uint64(len(r.mem)), math.MaxUint32) }

// refuses reports whether nothing is taken.
func (r *Ring) refuses() bool { return r.closed || r.cfg.Refusing.Load() }

// putEach is Put entry by entry. It unlocks. If a call to the user panics, what is left of
// the message is dropped.
func (r *Ring) putEach(msg []byte, entries []Entry, received int64, fresh *Drops) bool {
	defer r.mu.Unlock()
	all, next := true, 0
	drop := func(e *Entry) {
		r.totals.Enqueued++
		r.countDrop(e.head, received, msg[e.start:][:e.head.length()], nil, fresh)
		all = false
	}
	defer func() {
		for ; next < len(entries); next++ {
			drop(&entries[next])
		}
	}()
	for next < len(entries) {
		e := &entries[next]
		fits := r.admit(e.head.size(), fresh)
		next++
		if !fits {
			drop(e)
			continue
		}
		r.totals.Enqueued++ // not before: Stats may be asked while admit waits, or calls the user
		r.write(e, msg, received)
		r.high = max(r.high, r.used())
		if r.alarms && r.used() >= r.alarm {
			r.soundAlarm()
		}
	}
	r.wake()
	return all
}

// write puts an entry at the tail, where there is room for it.
func (r *Ring) write(e *Entry, msg []byte, received int64) {
	h := e.head
	text := msg[e.start:][:h.length()]
	if h.is(Latest) && r.cfg.Policy == Conflate {
		h = r.supersede(h, text, e.hash)
	}
	off := r.offset(r.tail)
	b := r.mem[off:]
	binary.LittleEndian.PutUint64(b, uint64(h))
	binary.LittleEndian.PutUint64(b[8:], uint64(received))
	if n := copy(b[headerSize:], text); n < len(text) {
		copy(r.mem, text[n:])
	}
	r.tail += h.size()
	r.live++
}

// admit reports whether an entry of this size may be written, and makes room for it.
func (r *Ring) admit(size uint64, fresh *Drops) bool {
	if r.refuses() || !r.fits(size) {
		return false
	}
	if r.free() < size && r.alarms {
		r.soundAlarm()
	}
	if r.free() < size {
		r.makeRoom(size, fresh)
	}
	return r.free() >= size && !r.refuses() // the lock may have been free
}

// soundAlarm calls the user.
func (r *Ring) soundAlarm() {
	r.alarms = false
	if r.cfg.OnAlarm != nil {
		r.unlocked(r.cfg.OnAlarm)
	}
}

// unlocked calls f without the lock.
func (r *Ring) unlocked(f func()) {
	r.wake()
	r.mu.Unlock()
	defer r.mu.Lock()
	f()
}

// Drops is what was dropped and not yet told. By has the events of each channel.
type Drops struct {
	Count       uint64
	First, Last int64 // the earliest and the latest received
	By          []uint64
}

// add adds n events of an entry.
func (d *Drops) add(channel uint8, received int64, n uint64) {
	if d.Count == 0 {
		d.First, d.Last = math.MaxInt64, math.MinInt64
	}
	d.Count += n
	d.By[channel] += n
	d.First = min(d.First, received)
	d.Last = max(d.Last, received)
}

// Clear forgets them, as told.
func (d *Drops) Clear() {
	if d.Count > 0 {
		clear(d.By)
		d.Count = 0
	}
}

// countDrop counts an entry that was dropped, whose text is in one or two parts.
func (r *Ring) countDrop(h head, received int64, first, second []byte, fresh *Drops) {
	n := uint64(1)
	if h.is(Many) {
		n = r.cfg.Count(first, second)
		r.totals.Enqueued += n - 1
	}
	r.drops.add(h.channel(), received, n)
	if fresh != nil {
		fresh.add(h.channel(), received, n)
	}
	r.totals.Dropped += n
	r.dropped[h.channel()] += n
}
