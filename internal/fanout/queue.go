package fanout

import (
	"errors"
	"math"
	"slices"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
)

// This file is what an outlet makes of events that come to it. Buffers wait in order; the last
// is filled up while it waits. All functions that say nothing else want the outlet's lock.

// block is the size of the buffers that elements are copied into.
const block = 4 << 10

// putFrame takes the frame of some channels, which others have too, and reports whether it did:
// not if there is none, or it is a case for the policy. It takes the lock.
func (o *Outlet) putFrame(mask uint32) bool {
	o.mu.Lock()
	if !o.plain() {
		o.mu.Unlock()
		return false
	}
	b := o.hub.frame(mask)
	if b == nil || o.bytes+b.cost() > o.cfg.High {
		o.mu.Unlock()
		return false
	}
	o.stats.Events += uint64(b.events)
	b.refs.Add(1)
	o.push(b)
	o.unlock()
	return true
}

// unlock unlocks, and wakes the goroutine if it waits.
func (o *Outlet) unlock() {
	idle := o.idle
	if idle {
		idle = !o.patient()
		o.idle = !idle
	}
	o.mu.Unlock()
	if idle { // which needs the lock at once
		o.work.Signal()
	}
}

// put takes elements of the hub's message, by their numbers. It takes the lock.
func (o *Outlet) put(picks []int32) {
	m := &o.hub.message
	o.mu.Lock()
	o.stats.Events += uint64(len(picks))
	if o.plain() {
		for len(picks) > 0 {
			e := &m.elements[picks[0]]
			if n := int(e.end - e.start); !o.fits(n) && !o.begin(n, m.received, o.cfg.High) {
				break
			}
			o.add(m.text[e.start:e.end])
			picks = picks[1:]
		}
	}
	if len(picks) > 0 {
		o.putByPolicy(picks)
	}
	o.unlock()
}

// plain reports whether events have only to be put behind what waits, while there is room.
func (o *Outlet) plain() bool {
	return !o.ending && !o.dropping && !o.conflating && !o.untold
}

// fits reports whether the open buffer has room for an element of n bytes and what follows it.
func (o *Outlet) fits(n int) bool { return n < len(o.room) }

// add adds an element to the open buffer, which it fits.
func (o *Outlet) add(text []byte) {
	n := copy(o.room, text)
	o.room[n] = ','
	o.room = o.room[n+1:]
	o.added++
}

// shut ends the adding to the open buffer, if there is one.
func (o *Outlet) shut() {
	if o.open != nil {
		o.open.end = o.open.limit - len(o.room)
		o.open.events += int(o.added)
		o.open, o.room, o.added = nil, nil, 0
	}
}

// begin opens a buffer for an element of n bytes, and others, and reports whether it did: not if
// there were more bytes then than the limit, or messages may not be as long.
func (o *Outlet) begin(n int, received int64, limit int) bool {
	size := bufferSize(n)
	if o.tooLong(n) || o.bytes+costOf(sizeFor(size)) > limit {
		return false
	}
	var b *buffer
	if size == block && o.spare != nil {
		b, o.spare = o.spare, nil
	} else {
		b = o.hub.pool.get(size)
	}
	b.begin(received, size)
	o.push(b)
	o.open, o.room = b, b.mem[b.end:size:size]
	return true
}

// bufferSize is the size of a buffer for an element of n bytes: a long one has one to itself.
func bufferSize(n int) int {
	if n <= block/4 {
		return block
	}
	return headroom + n + len("[]")
}

func costFor(n int) int { return costOf(sizeFor(bufferSize(n))) }

func (o *Outlet) tooLong(n int) bool { return n+len("[]") > o.hub.cfg.MaxMessage }

// push puts a buffer behind what waits.
func (o *Outlet) push(b *buffer) {
	o.shut()
	o.waiting.push(b)
	o.pushed++
	o.charge(b.cost())
	if o.flush.waiting && o.enough() {
		o.wake()
	}
}

func (o *Outlet) charge(bytes int) {
	o.bytes += bytes
	o.stats.HighWater = max(o.stats.HighWater, o.bytes)
}

// putByPolicy takes elements one by one, as the policy says.
func (o *Outlet) putByPolicy(picks []int32) {
	m := &o.hub.message
	o.ease()
	for _, p := range picks {
		e := &m.elements[p]
		text := m.text[e.start:e.end]
		switch {
		case o.ending:
			o.lose(1, o.reason)
		case o.tooLong(len(text)) || costFor(len(text)) > o.cfg.High:
			o.drop(m.received)
		default:
			if o.untold && !o.dropping && !o.conflating {
				o.tell() // before what comes behind them
			}
			if o.conflates(p) {
				o.putLatest(e.stream, m.keys[p], text)
			} else if !o.dropping && (o.fits(len(text)) || o.makeRoom(len(text))) {
				o.add(text)
			} else {
				o.drop(m.received)
			}
		}
	}
}

// conflates reports whether an element is to take the place of an earlier one.
func (o *Outlet) conflates(p int32) bool {
	if o.cfg.Overflow != tickstorm.OverflowConflate && o.cfg.Every <= 0 {
		return false
	}
	m := &o.hub.message
	n := int(m.elements[p].end - m.elements[p].start)
	if !o.conflating && !o.fits(n) && o.bytes+costFor(n) > o.cfg.High {
		o.conflate()
	}
	if !o.conflating {
		return false
	}
	if !m.keyed {
		o.hub.findKeys()
	}
	return m.keys[p].symbol != nil
}

// conflate begins to conflate. What waits already is written before.
func (o *Outlet) conflate() {
	o.conflating = true
	o.hub.conflating.Add(1)
	o.after = o.pushed
}

// drop drops an event that has come, which will be told unless the outlet ends.
func (o *Outlet) drop(received int64) {
	o.stats.Dropped++
	if !o.ending {
		o.drops.add(1, received)
		o.untold = true
	}
}

// makeRoom opens a buffer for an element of n bytes where the policy has room for it, and otherwise
// does what the policy says. It reports whether there is one in the end.
func (o *Outlet) makeRoom(n int) bool {
	limit, received := o.cfg.High, o.hub.message.received
	if o.conflating && o.cfg.Overflow == tickstorm.OverflowConflate {
		limit = min(o.cfg.Bytes, o.cfg.Bytes/2+o.inLatest) // half of it is kept for the latest
	}
	if o.begin(n, received, limit) {
		return true
	}
	switch o.cfg.Overflow {
	case tickstorm.OverflowDisconnect:
		o.tooSlow()
		return false
	case tickstorm.OverflowDropOldest:
		if o.dropOldest(); o.begin(n, received, limit) {
			return true
		}
	}
	o.dropping = true
	return false
}

// dropOldest drops what waits until no more than Low is left, but for notes.
func (o *Outlet) dropOldest() {
	m := &o.hub.message
	notes, gone := m.notes[:0], m.gone[:0]
	for o.bytes-o.inLatest > o.cfg.Low && o.waiting.n > 0 {
		b := o.waiting.pop()
		if b == o.open {
			o.shut()
		}
		if b.note {
			notes = append(notes, b)
			continue
		}
		o.bytes -= b.cost()
		o.holes.add(b.events, b.received)
		o.stats.Dropped += uint64(b.events)
		o.taken++
		gone = append(gone, b)
	}
	for _, b := range slices.Backward(notes) {
		o.waiting.unpop(b)
	}
	o.hub.pool.put(gone)
	clear(notes)
	m.notes, m.gone = notes, gone
}

// putLatest takes an element in the place of an earlier one, if that waits still.
func (o *Outlet) putLatest(stream uint8, k key, text []byte) {
	m, p := &o.hub.message, &o.hub.pool
	n := len(k.symbol) + len(text)
	s := o.latest.find(stream, k)
	switch {
	case o.tooLong(len(text)):
		o.drop(m.received)
	case s == nil:
		if o.bytes+costOf(sizeFor(n))+slotCost > o.cfg.Bytes {
			o.dropLatest(m.received)
			return
		}
		s = o.latest.add(stream, k, text, m.received, p.get(n))
		o.inLatest += s.cost()
		o.charge(s.cost())
	default:
		if n > len(s.buf.mem) {
			more := costOf(sizeFor(n)) - s.buf.cost()
			if o.bytes+more > o.cfg.Bytes {
				o.dropLatest(m.received)
				return
			}
			p.putOne(s.exchange(p.get(n)))
			o.inLatest += more
			o.charge(more)
		}
		s.set(text, m.received)
		o.stats.Conflated++
	}
}

// dropLatest drops an event that there is no room for among the latest.
func (o *Outlet) dropLatest(received int64) {
	if o.cfg.Overflow == tickstorm.OverflowDisconnect {
		o.tooSlow()
	}
	o.drop(received)
}

// tooSlow ends the outlet as the policy of those that must not miss anything says.
func (o *Outlet) tooSlow() {
	o.reason = ErrTooSlow
	o.hangup(dialogue.AppendClose(nil, ws.StatusPolicyViolation, "too slow"))
}

// settleLatest puts the latest events behind what waits, so that what comes next is behind them.
func (o *Outlet) settleLatest() {
	o.bytes -= o.inLatest
	o.inLatest = 0
	o.skipRound()
	for o.latest.n > 0 {
		s := o.latest.pop()
		text := s.event()
		if !o.fits(len(text)) {
			o.begin(len(text), s.received, math.MaxInt)
		}
		o.add(text)
		s.release(&o.hub.pool)
	}
	o.after = o.pushed
}

// ease ends what a policy has begun, where so little waits that it may, and tells what was dropped.
func (o *Outlet) ease() {
	if o.conflating && o.cfg.Every <= 0 && o.bytes <= o.cfg.Low {
		o.settleLatest()
		o.endConflating()
		o.dropping = false
	}
	if o.dropping && o.bytes-o.inLatest <= o.cfg.Low {
		o.dropping = false
	}
	if o.untold && !o.dropping && o.bytes <= max(o.cfg.Low, o.cfg.Bytes/4*3) {
		o.tell()
	}
}

// tell puts the message about drops behind what waits.
func (o *Outlet) tell() {
	if b := o.newNote(o.drops); b != nil {
		o.pushNote(b)
	}
	o.drops, o.untold = Drops{}, false
}

func (o *Outlet) endConflating() {
	if o.conflating {
		o.conflating = false
		o.hub.conflating.Add(-1)
	}
}

// discard drops all events and notes that wait, since the outlet ends for a reason, and tells nothing any more.
func (o *Outlet) discard(reason error) {
	o.shut()
	var gone []*buffer
	for o.waiting.n > 0 {
		b := o.waiting.pop()
		o.bytes -= b.cost()
		o.lose(b.events, reason)
		gone = append(gone, b)
	}
	for o.latest.n > 0 {
		s := o.latest.pop()
		o.bytes -= s.cost()
		o.lose(1, reason)
		gone = append(gone, s.buf)
	}
	o.hub.pool.put(gone)
	o.inLatest, o.inNotes = 0, 0
	o.drops, o.holes, o.untold, o.dropping = Drops{}, Drops{}, false, false
	o.endConflating()
}

// lose counts events that waited when the outlet ends for a reason.
func (o *Outlet) lose(events int, reason error) {
	if errors.Is(reason, ErrTooSlow) {
		o.stats.Dropped += uint64(events)
	} else {
		o.stats.Left += uint64(events)
	}
}

func (o *Outlet) pushNote(b *buffer) {
	o.push(b)
	o.inNotes += b.cost()
}

// newNote makes the message that tells of drops, nil if there is none.
func (o *Outlet) newNote(d Drops) *buffer {
	if o.cfg.Dropped == nil {
		return nil
	}
	o.scratch = o.cfg.Dropped(o.scratch[:0], d)
	return o.hub.newNote(o.scratch)
}

// newNote makes a message of a text.
func (h *Hub) newNote(msg []byte) *buffer {
	b := h.pool.get(headroom + len(msg))
	b.end = headroom + copy(b.mem[headroom:], msg)
	b.note = true
	b.seal()
	return b
}
