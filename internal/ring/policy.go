package ring

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
	// place in the index does not give way, nor one whose turn has come; see latest.go.
	Conflate
	// Refuse drops the entry and all that come after it, while Config.Refusing is set.
	Refuse
)

// makeRoom does what the policy says to have room for so many bytes, which the memory is
// large enough for. The lock is free while it waits, or calls the user.
func (r *Ring) makeRoom(size uint64, fresh *Drops) {
	switch r.cfg.Policy {
	case Block:
		for r.free() < size && !r.closed {
			r.wake()
			r.waiting = true
			r.room.Wait()
		}
		r.waiting = false
	case DropOldest:
		r.awaitCopy()
		for r.free() < size && !r.refuses() {
			h := r.headAt(r.head)
			first, second := r.text(r.head, 0, h.length())
			r.countDrop(h, r.receivedAt(r.head), first, second, fresh)
			r.live--
			r.forget(r.head + h.size())
		}
	case Conflate:
		// To clear away a few at a time would cost as much as to clear away many.
		if enough := max(size, uint64(len(r.mem)/8)); r.dead >= enough {
			r.awaitCopy()
			if r.free() < size && r.dead >= enough {
				r.compact()
			}
		}
	case Refuse:
		if !r.cfg.Refusing.Swap(true) && r.cfg.OnRefuse != nil {
			r.unlocked(r.cfg.OnRefuse)
		}
	}
}

// awaitCopy waits until nothing is pinned. The lock is free meanwhile.
func (r *Ring) awaitCopy() {
	for r.pinned != 0 {
		r.mu.Unlock()
		r.copying.Lock()
		//lint:ignore SA2001 to have waited is all; with it held, waiting for mu could be for ever
		r.copying.Unlock()
		r.mu.Lock()
	}
}

// forget moves head to pos, and on past what is dead: the entry at head is always live.
func (r *Ring) forget(pos uint64) {
	r.head = pos
	for r.dead > 0 && r.head < r.tail {
		h := r.headAt(r.head)
		if !h.is(dead) {
			break
		}
		r.dead -= h.size()
		r.head += h.size()
	}
	if r.head == r.tail { // begin anew at the memory's start, where it is warm
		r.base = r.head
	} else if r.head-r.base >= uint64(len(r.mem)) {
		r.base += uint64(len(r.mem))
	}
}

// rearm is called where the ring has become emptier. What is dropped to make room is not that.
func (r *Ring) rearm() {
	if r.used() < r.alarm/2 {
		r.alarms = true
	}
}

// compact moves what is live to the front.
func (r *Ring) compact() {
	clear(r.latest.slots)
	to, marks, roundEnd := r.head, r.markers, r.roundEnd
	for from := r.head; from < r.tail; {
		h := r.headAt(from)
		for len(marks) > 0 && marks[0].pos <= from {
			marks[0].pos = min(marks[0].pos, to)
			marks = marks[1:]
		}
		if !h.is(dead) {
			r.move(to, from, h.size())
			if h.is(Latest) {
				r.remember(to, h)
			}
			to += h.size()
		}
		if from < roundEnd {
			r.roundEnd = to
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
