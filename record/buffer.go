package record

import (
	"encoding/binary"
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
)

// buffer is where messages wait between the goroutine that reads the socket and the one that
// writes: a ring of bytes with one producer and one consumer.
//
// A position counts bytes from the beginning and never goes back; its place in buf is its
// remainder. An entry is a header of its length and its time, then its bytes, then what is
// missing to a multiple of entryAlign, so that no header is cut by the ring's end. The
// invariant is head <= consumer's place <= tail <= head+len(buf): the producer writes beyond
// tail and publishes by storing it, the consumer reads below tail and gives back by storing
// head. Neither waits for the other, and a message takes no lock.
//
// What is no message (the connection's states, gaps, and how many messages had no room) is
// rare and lies beside the ring, as marks of the position that it comes before. Of messages
// without room the newest gives way: it becomes part of a mark.
type buffer struct {
	buf  []byte
	mask uint64
	high uint64 // how full it is when an idle consumer is woken before its time

	_    [64]byte // the producer's own line of the cache
	put  uint64   // tail
	free uint64   // head as last seen: there may be more room than that says
	_    [64]byte

	tail atomic.Uint64
	_    [64]byte
	head atomic.Uint64
	_    [64]byte

	idle atomic.Bool   // the consumer waits for wake
	wake chan struct{} // has room for one

	next  atomic.Uint64 // the position of the first mark that was not taken, noMark if there is none
	mu    sync.Mutex    // protects what follows; held for moments
	marks []mark
	taken int // of marks: they stay until what is around them is released
	drops drops
}

// mark is a control line to be, before the entry at pos.
type mark struct {
	pos         uint64
	control     *Control // nil for drops
	count       uint64   // messages that had no room
	bytes       uint64   // of them
	first, last int64    // when they were received
}

// drops are totals.
type drops struct{ messages, bytes, controls uint64 }

const (
	entryHeader = 16
	entryAlign  = 16
	noMark      = math.MaxUint64
	// maxMarks bounds the controls that wait; a ring has no more drops than messages.
	maxMarks = 1 << 16
)

// newBuffer returns a buffer of at least so many bytes: a power of two.
func newBuffer(size int) *buffer {
	size = 1 << bits.Len(uint(size-1))
	b := &buffer{buf: make([]byte, size), mask: uint64(size) - 1, high: min(uint64(size)/8, 8<<20), wake: make(chan struct{}, 1)}
	b.next.Store(noMark)
	return b
}

// touch has the system provide the memory now, and not under the first messages.
func (b *buffer) touch() {
	const page = 4096
	for i := 0; i < len(b.buf); i += page {
		b.buf[i] = 0
	}
}

func entrySize(length int) uint64 {
	return (entryHeader + uint64(length) + entryAlign - 1) &^ (entryAlign - 1)
}

// message puts a message in, or counts it where there is no room. It is the producer's.
func (b *buffer) message(msg []byte, received int64) {
	need := entrySize(len(msg))
	tail := b.put
	if tail+need-b.free > b.high {
		b.free = b.head.Load()
		if used := tail + need - b.free; used > b.high {
			b.rouse()
			if used > uint64(len(b.buf)) || len(msg) > MaxMessage {
				b.drop(len(msg), received)
				return
			}
		}
	}
	at := tail & b.mask
	head := b.buf[at : at+entryHeader]
	binary.LittleEndian.PutUint64(head, uint64(len(msg)))
	binary.LittleEndian.PutUint64(head[8:], uint64(received))
	if n := copy(b.buf[at+entryHeader:], msg); n < len(msg) {
		copy(b.buf, msg[n:])
	}
	b.put = tail + need
	b.tail.Store(b.put)
}

// rouse wakes a consumer that waits for its time.
func (b *buffer) rouse() {
	if b.idle.Load() && b.idle.CompareAndSwap(true, false) {
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
}

// drop counts a message that has no room, at its place among the others.
func (b *buffer) drop(length int, received int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drops.messages++
	b.drops.bytes += uint64(length)
	if n := len(b.marks); n > b.taken {
		if m := &b.marks[n-1]; m.control == nil && m.pos == b.put {
			m.count++
			m.bytes += uint64(length)
			m.first, m.last = min(m.first, received), max(m.last, received)
			return
		}
	}
	b.mark(mark{pos: b.put, count: 1, bytes: uint64(length), first: received, last: received})
}

// control puts a control line in, behind the messages so far. It is the producer's.
func (b *buffer) control(c *Control) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.marks) >= maxMarks {
		b.drops.controls++
		return
	}
	b.mark(mark{pos: b.put, control: c})
}

// mark appends a mark; b.mu is held.
func (b *buffer) mark(m mark) {
	b.marks = append(b.marks, m)
	if len(b.marks) == b.taken+1 {
		b.next.Store(m.pos)
	}
}

// takeMark returns the next mark up to a position. It is the consumer's.
func (b *buffer) takeMark(pos uint64) (m mark, ok bool) {
	if b.next.Load() > pos {
		return mark{}, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	m = b.marks[b.taken]
	b.taken++
	b.noteNext()
	return m, true
}

// noteNext publishes where the first mark is that was not taken; b.mu is held.
func (b *buffer) noteNext() {
	if b.taken < len(b.marks) {
		b.next.Store(b.marks[b.taken].pos)
	} else {
		b.next.Store(noMark)
	}
}

// entry returns the entry at a position below tail. Its bytes are in the ring, or in scratch
// where the ring's end cuts them, and valid until the entry is released. It is the consumer's.
func (b *buffer) entry(pos uint64, scratch []byte) (msg []byte, received int64, size uint64, kept []byte) {
	at := pos & b.mask
	head := b.buf[at : at+entryHeader]
	length := binary.LittleEndian.Uint64(head)
	received = int64(binary.LittleEndian.Uint64(head[8:]))
	start := at + entryHeader
	if end := start + length; end <= uint64(len(b.buf)) {
		msg = b.buf[start:end]
	} else {
		scratch = append(append(scratch[:0], b.buf[start:]...), b.buf[:end-uint64(len(b.buf))]...)
		msg = scratch
	}
	return msg, received, entrySize(int(length)), scratch
}

// release gives back what is before a position, and so many marks of those that were taken. It
// is the consumer's.
func (b *buffer) release(pos uint64, marks int) {
	b.head.Store(pos)
	if marks == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	n := copy(b.marks, b.marks[marks:])
	clear(b.marks[n:])
	b.marks, b.taken = b.marks[:n], b.taken-marks
}

// rewind makes what was taken and not released new again. It is the consumer's.
func (b *buffer) rewind() (pos uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken = 0
	b.noteNext()
	return b.head.Load()
}

// pending reports whether there is something behind a position. It is the consumer's.
func (b *buffer) pending(pos uint64) bool { return b.tail.Load() != pos || b.next.Load() <= pos }

// fill returns how many bytes are in use. Any goroutine may ask.
func (b *buffer) fill() uint64 {
	head := b.head.Load()
	return b.tail.Load() - head
}

// dropped returns what had no room so far. Any goroutine may ask.
func (b *buffer) dropped() drops {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.drops
}
