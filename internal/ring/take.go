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

// Take waits for something to be told, and takes it: entries up to limit bytes of the ring, at
// least one if there is any, and none from behind a mark. It reports false when there will
// be nothing any more. What was taken before must be settled.
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
	r.fill(b, limit)
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

// fill copies entries into the batch, up to the limit or the next marker.
func (r *Ring) fill(b *Batch, most uint64) {
	if b.Buf == nil || cap(b.Buf) > maxKept {
		b.Buf = []byte{} // not nil: an empty text is not either
	}
	b.Buf, b.Runs = b.Buf[:0], b.Runs[:0]
	end := r.tail
	if len(r.markers) > 0 {
		end = min(end, r.markers[0].pos)
	}
	pos, limit := r.head, r.head+most
	for pos < end {
		h := r.headerAt(pos)
		if h.flags&dead != 0 {
			r.dead -= h.size()
			pos += h.size()
			limit += h.size()
			continue
		}
		if len(b.Runs) > 0 && pos+h.size() > limit {
			break
		}
		first, second := r.text(pos, 0, h.length)
		r.add(b, &h, first, second)
		r.inHand++
		r.live--
		pos += h.size()
	}
	if r.inHand > 0 {
		r.handling = b.Runs[0].Received
	}
	r.forget(pos)
}

// add appends an entry to the batch's last run, or to a new one.
func (r *Ring) add(b *Batch, h *header, first, second []byte) {
	flags := h.flags & (Alone | Many | Tag)
	var last *Run
	if n := len(b.Runs); n > 0 && flags&Alone == 0 && b.Runs[n-1].Received == h.received && b.Runs[n-1].Flags == flags {
		last = &b.Runs[n-1]
		b.Buf[last.End-1] = r.cfg.Frame.Between
	} else {
		b.Runs = append(b.Runs, Run{Start: len(b.Buf), Received: h.received, Flags: flags})
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
