package tickstorm

import (
	"bytes"
	"fmt"
	"math"

	"github.com/tickstorm/tickstorm/internal/intern"
)

// Overflow is what a [Queue] does with an event that there is no room for.
type Overflow uint8

// The policies. Every event that is dropped is counted by channel in [QueueStats] and
// told to a [DropHandler]; so is one, under any of them, that is larger than the queue.
const (
	// OverflowBlock makes the reader wait for room: nothing is lost here, but the server
	// hangs up on connections that read too slowly for too long.
	OverflowBlock Overflow = iota
	// OverflowDropNewest drops the event that came.
	OverflowDropNewest
	// OverflowDropOldest drops as many of the oldest events as make room for it.
	OverflowDropOldest
	// OverflowConflate keeps of quotes, aggregates, values and books only the latest that
	// is waiting of each channel and symbol, at any depth: an older one that still waits
	// gives way to it. Trades and all other events are never conflated. When the queue
	// is full even so, it drops the event that came. An eighth of the memory remembers
	// where the latest events are; one that finds no place there does not give way.
	OverflowConflate
	// OverflowDisconnect drops the event and all that come after it, and calls
	// QueueConfig.OnOverflow, so that the connection can be ended. What is queued is
	// handled; [Queue.Err] is ErrOverflow from then on.
	OverflowDisconnect
	overflows
)

var overflowNames = [overflows]string{"block", "drop newest", "drop oldest", "conflate", "disconnect"}

// String returns the policy's name, such as "drop oldest".
func (o Overflow) String() string {
	if o < overflows {
		return overflowNames[o]
	}
	return "unknown"
}

// Err returns [ErrOverflow] once OverflowDisconnect has found no room.
func (q *Queue) Err() error {
	if q.overflowed.Load() {
		return ErrOverflow
	}
	return nil
}

// resume lets a queue that overflowed take events again, from another connection.
func (q *Queue) resume() { q.overflowed.Store(false) }

// DropHandler is an optional ability of a [Handler] behind a [Queue]: OnDrop is told of
// events that were dropped, before the first event that is handled after that was
// noticed, and without one when none follows. What is dropped after [Queue.Close] is only
// counted, where Run has nothing left to handle.
type DropHandler interface {
	OnDrop(*Drop)
}

// Drop is what was dropped since the last one. It is valid until the method returns.
type Drop struct {
	// Count is how many events.
	Count uint64
	// Channels is how many of each channel. Valid until the method returns.
	Channels []ChannelCount
	// First and Last are the earliest and the latest Received of them, in nanoseconds since 1970.
	First, Last int64
}

// ChannelCount is a number of events of one channel.
type ChannelCount struct {
	// Channel is its name on the wire, such as "T"; that of statuses is "status", on which the
	// session has acted all the same; "" stands for what is no event of a
	// known channel, or in a message that was not split.
	Channel string
	Count   uint64
}

// String is channel and count, such as "T 12"; channel "" is called other.
func (c ChannelCount) String() string {
	if c.Channel == "" {
		return fmt.Sprint("other ", c.Count)
	}
	return fmt.Sprint(c.Channel, " ", c.Count)
}

// drops is what was dropped and not yet told.
type drops struct {
	count       uint64
	first, last int64
	by          []uint64
}

// countDrop counts an entry that was dropped, whose text is in one or two parts: of a message
// that was not split its events.
func (s *shard) countDrop(e *entry, first, second []byte) {
	n := uint64(1)
	if e.flags&(entryWhole|entryBinary) == entryWhole {
		n = countElements(first, second)
		s.totals.enqueued += n - 1
	}
	s.drops.add(e, n)
	if s.q.onDrop != nil {
		s.q.fresh.add(e, n)
	}
	s.totals.dropped += n
	s.dropped[e.channel] += n
}

// countElements returns how many elements a message has, which is in one or two parts; at
// least one. Broken ones end where jsonscan.LooseEnd says.
func countElements(first, second []byte) uint64 {
	n, depth := uint64(1), 0
	inside, escaped := false, false
	for _, part := range [...][]byte{first, second} {
		for _, c := range part {
			switch {
			case escaped:
				escaped = false
			case depth == 0 && c == '[':
				depth = 1
			case depth == 0:
				if c > ' ' {
					return 1 // it is no array
				}
			case c > ']' && c < '{': // most letters
			case inside:
				inside, escaped = c != '"', c == '\\'
			case c == '"':
				inside = true
			case c == '[' || c == '{':
				depth++
			case c == ',' && depth == 1:
				n++
			case c == ']':
				if depth--; depth == 0 {
					return n
				}
			case c == '}':
				depth = max(depth-1, 1)
			}
		}
	}
	return n
}

// add adds n events of an entry.
func (d *drops) add(e *entry, n uint64) {
	if d.count == 0 {
		d.first, d.last = math.MaxInt64, math.MinInt64
	}
	d.count += n
	d.by[e.channel] += n
	d.first = min(d.first, e.received)
	d.last = max(d.last, e.received)
}

// take moves what is to be told into drop and reports whether there is any.
func (d *drops) take(drop *Drop, channels []string) bool {
	if d.count == 0 {
		return false
	}
	*drop = Drop{Count: d.count, First: d.first, Last: d.last, Channels: appendCounts(drop.Channels[:0], channels, d.by)}
	clear(d.by)
	d.count = 0
	return true
}

func appendCounts(dst []ChannelCount, channels []string, counts []uint64) []ChannelCount {
	for i, n := range counts {
		if n > 0 {
			dst = append(dst, ChannelCount{channels[i], n})
		}
	}
	return dst
}

// makeRoom does what the policy says to have room for an entry of this size, which the
// ring is large enough for. The lock is free while it waits, or calls the user.
func (s *shard) makeRoom(size uint64) {
	switch s.q.cfg.Overflow {
	case OverflowBlock:
		for s.free() < size && !s.closed {
			s.wake()
			s.waiting = true
			s.room.Wait()
		}
	case OverflowDropOldest:
		for s.free() < size {
			e := s.entryAt(s.head)
			s.live--
			first, second := s.text(s.head, 0, e.length)
			s.countDrop(&e, first, second)
			s.forget(s.head + e.size())
		}
	case OverflowConflate:
		// To clear away a few at a time would cost as much as to clear away many.
		if s.dead >= max(size, uint64(len(s.ring)/8)) {
			s.compact()
		}
	case OverflowDisconnect:
		if !s.q.overflowed.Swap(true) && s.q.cfg.OnOverflow != nil {
			s.unlocked(s.q.cfg.OnOverflow)
		}
	}
}

// supersede makes the entry that is about to be written the latest of its channel and
// symbol; an older one that waits will not be handled.
func (s *shard) supersede(e *entry, text []byte, hash uint64) {
	symbol := text[e.symbol:][:e.symLen]
	slot := s.latest.find(hash, s, func(pos uint64) bool { return s.isOf(pos, e.channel, symbol) })
	if slot == nil {
		return
	}
	if old := slot.pos; slot.hash == hash && old >= s.head && old < s.tail {
		s.kill(old)
	}
	slot.hash, slot.pos = hash, s.tail
}

// isOf reports whether the entry at pos is of this channel and symbol.
func (s *shard) isOf(pos uint64, channel uint8, symbol []byte) bool {
	e := s.entryAt(pos)
	if e.channel != channel || int(e.symLen) != len(symbol) {
		return false
	}
	first, second := s.text(pos, int(e.symbol), int(e.symLen))
	return bytes.Equal(first, symbol[:len(first)]) && bytes.Equal(second, symbol[len(first):])
}

// kill marks a waiting entry as superseded.
func (s *shard) kill(pos uint64) {
	e := s.entryAt(pos)
	s.ring[s.offset(pos)+4] |= byte(entryDead)
	s.dead += e.size()
	s.live--
	s.totals.conflated++
	if pos == s.head {
		s.forget(pos)
	}
}

// compact moves what is live to the front.
func (s *shard) compact() {
	clear(s.latest.slots)
	to, marks := s.head, s.markers
	for from := s.head; from < s.tail; {
		e := s.entryAt(from)
		for len(marks) > 0 && marks[0].pos <= from {
			marks[0].pos = min(marks[0].pos, to)
			marks = marks[1:]
		}
		if e.flags&entryDead == 0 {
			s.move(to, from, e.size())
			if e.flags&entryLatest != 0 {
				s.remember(to, &e)
			}
			to += e.size()
		}
		from += e.size()
	}
	for i := range marks {
		marks[i].pos = to
	}
	s.tail, s.dead = to, 0
	s.rearm()
}

// move copies n bytes of the ring towards the front.
func (s *shard) move(to, from, n uint64) {
	if to == from {
		return
	}
	for n > 0 {
		dst, src := s.ring[s.offset(to):], s.ring[s.offset(from):]
		if uint64(len(src)) > n {
			src = src[:n]
		}
		moved := uint64(copy(dst, src))
		to, from, n = to+moved, from+moved, n-moved
	}
}

// remember puts an entry that was moved back into the index, where it is the only one
// of its channel and symbol.
func (s *shard) remember(pos uint64, e *entry) {
	var buf [MaxSymbol]byte
	first, second := s.text(pos, int(e.symbol), int(e.symLen))
	symbol := append(append(buf[:0], first...), second...)
	hash := s.q.scanner.hash.Hash(symbol)
	hash = intern.Fold(hash, uint64(e.channel))
	if slot := s.latest.find(hash, s, func(uint64) bool { return false }); slot != nil {
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
func (x *latestIndex) find(hash uint64, s *shard, is func(pos uint64) bool) *latestSlot {
	var free *latestSlot
	mask := uint64(len(x.slots) - 1)
	for i := range uint64(latestProbes) {
		slot := &x.slots[(hash+i)&mask]
		if slot.pos < s.head || slot.pos >= s.tail {
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
