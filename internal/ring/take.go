package ring

// maxKept is how large a batch's memory may be to be used again.
const maxKept = 256 << 10

// Batch is what was taken at once, in memory of its own: it is valid until it is given to Take
// again. The zero Batch is empty.
type Batch struct {
	// Buf has the texts, and Runs says where they are. Texts that were received at the same
	// time are one run.
	Buf  []byte
	Runs []Run
	// Drops is what was dropped since the last batch.
	Drops Drops
	// Mark is what stands behind the batch, if that is not nil.
	Mark any
}

// Run is texts within a frame, or one [Alone] without.
type Run struct {
	Start, End int // in the batch's Buf
	Entries    int
	Received   int64
	Flags      Flags // Alone, Many and Tag
}

// Take waits for something to be told, and takes it: entries that begin within limit bytes of
// the ring, at least one if there is any, and none from behind a mark. It reports false when
// there will be nothing any more. What was taken before must be settled.
func (r *Ring) Take(b *Batch, limit uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.nothing() && !r.closed {
		r.idle = true
		r.work.Wait()
	}
	r.idle = false
	if r.cfg.Halted.Load() || r.nothing() {
		return false
	}
	b.take(&r.drops)
	b.reset()
	if r.live > 0 {
		r.takeEntries(b, max(limit, 1))
	}
	b.Mark = nil
	if len(r.markers) > 0 && r.markers[0].pos <= r.head {
		b.Mark = r.markers[0].at
		r.markers[0] = marker{}
		r.markers = r.markers[1:]
	}
	if r.waiting {
		r.waiting = false
		r.room.Signal()
	}
	return true
}

// takeEntries copies entries into the batch. The lock is free meanwhile.
func (r *Ring) takeEntries(b *Batch, limit uint64) {
	from, end := r.head, min(r.head+limit, r.tail)
	if len(r.markers) > 0 {
		end = min(end, r.markers[0].pos)
	}
	if from >= end { // the mark is before all there is
		return
	}
	r.pinned = end
	r.copying.Lock()
	r.mu.Unlock()
	next, entries, killed := r.copy(b, from, end)
	r.mu.Lock()
	r.copying.Unlock()
	r.pinned = 0
	r.dead -= killed
	r.live -= entries
	r.inHand += entries
	r.handling = b.Runs[0].Received
	r.forget(next)
	r.endRound()
	r.rearm()
}

func (r *Ring) nothing() bool {
	return r.head == r.tail && r.drops.Count == 0 && len(r.markers) == 0
}

// Settle counts what was handled of what was taken: entries, and how many events these were
// beyond one each.
func (r *Ring) Settle(entries, more int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.totals.Delivered += uint64(entries + more)
	r.totals.Enqueued += uint64(more)
	r.inHand -= entries
}

// copy appends the entries that begin from one position up to another, and are not dead. It
// returns where the next one begins, how many these were, and the bytes of those that are.
func (r *Ring) copy(b *Batch, from, end uint64) (next uint64, entries int, killed uint64) {
	for pos := from; ; {
		if pos >= end {
			return pos, entries, killed
		}
		h := r.headAt(pos)
		if h.is(dead) {
			killed += h.size()
		} else {
			first, second := r.text(pos, 0, h.length())
			r.add(b, h.flags()&(Alone|Many|Tag), r.receivedAt(pos), first, second)
			entries++
		}
		pos += h.size()
	}
}

// add appends an entry to the batch's last run, or to a new one.
func (r *Ring) add(b *Batch, flags Flags, received int64, first, second []byte) {
	var last *Run
	if n := len(b.Runs); n > 0 && flags&Alone == 0 && b.Runs[n-1].Received == received && b.Runs[n-1].Flags == flags {
		last = &b.Runs[n-1]
		b.Buf[last.End-1] = r.cfg.Frame.Between
	} else {
		b.Runs = append(b.Runs, Run{Start: len(b.Buf), Received: received, Flags: flags})
		last = &b.Runs[len(b.Runs)-1]
		if flags&Alone == 0 {
			b.Buf = append(b.Buf, r.cfg.Frame.Open)
		}
	}
	b.Buf = append(append(b.Buf, first...), second...)
	if flags&Alone == 0 {
		b.Buf = append(b.Buf, r.cfg.Frame.Close)
	}
	last.End = len(b.Buf)
	last.Entries++
}

// reset makes the batch empty.
func (b *Batch) reset() {
	if b.Buf == nil || cap(b.Buf) > maxKept {
		b.Buf = []byte{} // not nil: an empty text is not either
	}
	b.Buf, b.Runs = b.Buf[:0], b.Runs[:0]
}

// take moves what is to be told into the batch.
func (b *Batch) take(d *Drops) {
	if d.Count == 0 {
		b.Drops.Count = 0
		return
	}
	by := append(b.Drops.By[:0], d.By...)
	b.Drops = Drops{Count: d.Count, First: d.First, Last: d.Last, By: by}
	d.Clear()
}
