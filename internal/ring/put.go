package ring

import "math"

// Put puts ranges of msg into the ring, in order, and reports whether all have got in. It waits
// for room if that is the policy. What is dropped is counted in fresh too, if that is not nil.
func (r *Ring) Put(msg []byte, entries []Entry, received int64, fresh *Drops) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := true
	for i := range entries {
		e := &entries[i]
		h := header{
			length: e.End - e.Start, flags: e.Flags, channel: e.Channel,
			key: e.Key, keyLen: e.KeyLen, received: received,
		}
		fits := r.admit(h.size(), fresh)
		r.totals.Enqueued++ // not before: Stats may be asked while admit waits, or calls the user
		text := msg[e.Start:e.End]
		if !fits {
			r.countDrop(&h, text, nil, fresh)
			all = false
			continue
		}
		if h.flags&Latest != 0 && r.cfg.Policy == Conflate {
			r.supersede(&h, text, e.Hash)
		}
		r.write(&h, text)
		r.high = max(r.high, r.used())
		if r.alarms && r.used() >= r.alarm {
			r.soundAlarm()
		}
	}
	r.wake()
	return all
}

// admit reports whether an entry of this size may be written, and makes room for it.
func (r *Ring) admit(size uint64, fresh *Drops) bool {
	if r.closed || r.cfg.Refusing.Load() || size > min(uint64(len(r.mem)), math.MaxUint32) {
		return false
	}
	if r.free() < size && r.alarms {
		r.soundAlarm()
	}
	if r.free() < size {
		r.makeRoom(size, fresh)
	}
	return r.free() >= size && !r.closed && !r.cfg.Refusing.Load() // the lock may have been free
}

// wake makes the taking side look again.
func (r *Ring) wake() {
	if r.idle {
		r.idle = false
		r.work.Signal()
	}
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
func (d *Drops) add(h *header, n uint64) {
	if d.Count == 0 {
		d.First, d.Last = math.MaxInt64, math.MinInt64
	}
	d.Count += n
	d.By[h.channel] += n
	d.First = min(d.First, h.received)
	d.Last = max(d.Last, h.received)
}

// Clear forgets them, as told.
func (d *Drops) Clear() {
	if d.Count > 0 {
		clear(d.By)
		d.Count = 0
	}
}

// countDrop counts an entry that was dropped, whose text is in one or two parts.
func (r *Ring) countDrop(h *header, first, second []byte, fresh *Drops) {
	n := uint64(1)
	if h.flags&Many != 0 {
		n = r.cfg.Count(first, second)
		r.totals.Enqueued += n - 1
	}
	r.drops.add(h, n)
	if fresh != nil {
		fresh.add(h, n)
	}
	r.totals.Dropped += n
	r.dropped[h.channel] += n
}
