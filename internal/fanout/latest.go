package fanout

import "bytes"

// latest has of each channel and symbol one event that waits, the latest. They are taken in
// the order in which their symbols came in: an event that gives way leaves its place to the later
// one, so that a symbol with many events is not put off for ever. The zero latest is empty.
type latest struct {
	slots       []latestSlot
	spare       int32   // the first of the unused slots, 0 is none; slot 0 is not used
	table       []int32 // slots by hash, 0 is none; its length is a power of two
	first, last int32
	n           int
}

type latestSlot struct {
	hash     uint64
	buf      *buffer // the symbol and the event
	next     int32
	symbol   uint8 // its length
	channel  uint8
	received int64
}

// key is what an event is the latest of.
type key struct {
	hash   uint64 // of symbol and channel
	symbol []byte // nil if there is none
}

const (
	maxSymbol      = 1<<8 - 1
	maxIdleLatest  = 1 << 10 // slots that an empty one keeps the memory of
	slotCost       = 64      // what a slot takes besides its buffer
	minLatestTable = 64
)

// event is the element in a slot's buffer.
func (s *latestSlot) event() []byte { return s.buf.mem[s.symbol:s.buf.end] }

func (s *latestSlot) cost() int { return s.buf.cost() + slotCost }

// release gives a slot's buffer back.
func (s *latestSlot) release(p *pool) {
	p.putOne(s.buf)
	s.buf = nil
}

// find returns the slot of a key, nil if there is none.
func (l *latest) find(channel uint8, k key) *latestSlot {
	if l.n == 0 {
		return nil
	}
	mask := uint64(len(l.table) - 1)
	for i := k.hash & mask; l.table[i] != 0; i = (i + 1) & mask {
		s := &l.slots[l.table[i]]
		if s.hash == k.hash && s.channel == channel && bytes.Equal(s.buf.mem[:s.symbol], k.symbol) {
			return s
		}
	}
	return nil
}

// add puts an event in whose key is not there. The buffer becomes the slot's.
func (l *latest) add(channel uint8, k key, event []byte, received int64, buf *buffer) *latestSlot {
	if 2*(l.n+1) > len(l.table) {
		l.grow()
	}
	i := l.spare
	if i != 0 {
		l.spare = l.slots[i].next
	} else {
		if len(l.slots) == 0 {
			l.slots = append(l.slots, latestSlot{})
		}
		i = int32(len(l.slots))
		l.slots = append(l.slots, latestSlot{})
	}
	s := &l.slots[i]
	*s = latestSlot{hash: k.hash, channel: channel, symbol: uint8(len(k.symbol)), buf: buf, received: received}
	copy(buf.mem, k.symbol)
	s.set(event, received)
	if l.last != 0 {
		l.slots[l.last].next = i
	} else {
		l.first = i
	}
	l.last = i
	l.n++
	l.enter(i)
	return s
}

// set puts an event in the place of another; there must be room.
func (s *latestSlot) set(event []byte, received int64) {
	s.buf.end = int(s.symbol) + copy(s.buf.mem[s.symbol:], event)
	s.received = received
}

// exchange gives a slot another buffer, with room for what set will put in, and returns its own.
func (s *latestSlot) exchange(buf *buffer) *buffer {
	old := s.buf
	copy(buf.mem, old.mem[:s.symbol])
	s.buf = buf
	return old
}

// enter makes a slot found.
func (l *latest) enter(slot int32) {
	mask := uint64(len(l.table) - 1)
	i := l.slots[slot].hash & mask
	for l.table[i] != 0 {
		i = (i + 1) & mask
	}
	l.table[i] = slot
}

// grow makes the table twice as long.
func (l *latest) grow() {
	l.table = make([]int32, max(minLatestTable, 2*len(l.table)))
	for i := l.first; i != 0; i = l.slots[i].next {
		l.enter(i)
	}
}

// pop takes the first out; there must be one. Its buffer becomes the caller's.
func (l *latest) pop() latestSlot {
	i := l.first
	s := l.slots[i]
	l.leave(i)
	if l.first = s.next; l.first == 0 {
		l.last = 0
	}
	l.slots[i] = latestSlot{next: l.spare}
	l.spare = i
	if l.n--; l.n == 0 && len(l.slots) > maxIdleLatest {
		*l = latest{}
	}
	return s
}

// leave makes a slot not found any more, and moves those back that it stood in the way of.
func (l *latest) leave(slot int32) {
	mask := uint64(len(l.table) - 1)
	i := l.slots[slot].hash & mask
	for l.table[i] != slot {
		i = (i + 1) & mask
	}
	for hole := i; ; {
		i = (i + 1) & mask
		next := l.table[i]
		if next == 0 {
			l.table[hole] = 0
			return
		}
		if home := l.slots[next].hash & mask; (i-home)&mask >= (i-hole)&mask {
			l.table[hole] = next
			hole = i
		}
	}
}
