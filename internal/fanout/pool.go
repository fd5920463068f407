package fanout

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm/internal/dialogue"
	"github.com/tickstorm/tickstorm/internal/poison"
)

// buffer is memory for one text frame, from a pool: room for its header, and its payload. One that
// several outlets have is not written to any more.
type buffer struct {
	mem      []byte
	end      int   // behind what is in it
	limit    int   // of end
	events   int   // in it
	received int64 // of the first of them
	from     int   // where the frame begins, once it is sealed
	refs     atomic.Int32
	class    int8 // of the pool; -1 is none
	sealed   bool
	note     bool // it has a message of another kind
}

const (
	headroom = ws.MaxHeaderSize - 4 // a header without a mask
	overhead = 96                   // what a buffer takes besides its mem
)

// cost is the memory that a buffer takes.
func (b *buffer) cost() int { return costOf(len(b.mem)) }

func costOf(size int) int { return size + overhead }

// fits reports whether there is room for an element of n bytes and what follows it.
func (b *buffer) fits(n int) bool { return b.end+n < b.limit }

// begin makes it an array of elements, still without any, of which size bytes may be used.
func (b *buffer) begin(received int64, size int) {
	b.mem[headroom] = '['
	b.end, b.limit, b.received = headroom+1, size, received
	b.events, b.sealed, b.note = 0, false, false
}

// add appends elements, with the commas between them.
func (b *buffer) add(elements []byte, events int) {
	b.end += copy(b.mem[b.end:], elements)
	b.mem[b.end] = ','
	b.end++
	b.events += events
}

// finish ends the array, which has elements, and seals it.
func (b *buffer) finish() {
	b.mem[b.end-1] = ']'
	b.seal()
}

// seal puts the header in front of the payload.
func (b *buffer) seal() {
	var header [headroom]byte
	n := len(dialogue.AppendHeader(header[:0], ws.OpText, b.end-headroom))
	b.from = headroom - n
	copy(b.mem[b.from:headroom], header[:n])
	b.sealed = true
}

// frame is what goes out, once it is sealed.
func (b *buffer) frame() []byte { return b.mem[b.from:b.end:b.end] }

// pool has buffers that nobody uses, by size. Each doubling of the size has four classes, so
// that at most a fifth of a buffer is in vain.
type pool struct {
	mu   sync.Mutex // protects what follows; no other lock is taken while it is held
	free [classes][]*buffer
	kept int // bytes in free
	lent int // buffers that somebody has
}

const (
	firstOctave = 6  // up to 64 bytes
	lastOctave  = 20 // and up to 1 MiB; what is larger is left to the garbage collector
	classes     = 4*(lastOctave-firstOctave) + 1
	maxKept     = 16 << 20 // so is what is beyond this
)

func classOf(size int) int {
	if size <= 1<<firstOctave {
		return 0
	}
	octave := bits.Len(uint(size-1)) - 1
	return 4*(octave-firstOctave) + (size-1)>>(octave-2)&3 + 1
}

// sizeFor is the size of the buffer that get returns for so many bytes.
func sizeFor(size int) int {
	class := classOf(size)
	if class >= classes {
		return size
	}
	return (4 + class%4) << (class/4 + firstOctave - 2)
}

// get returns an empty buffer of at least so many bytes, which the caller has the only
// reference to.
func (p *pool) get(size int) *buffer {
	class := classOf(size)
	p.mu.Lock()
	p.lent++
	if class >= classes {
		class = -1
	} else if n := len(p.free[class]); n > 0 {
		b := p.free[class][n-1]
		p.free[class] = p.free[class][:n-1]
		p.kept -= len(b.mem)
		p.mu.Unlock()
		b.end, b.events, b.sealed, b.note = 0, 0, false, false
		b.refs.Store(1)
		return b
	}
	p.mu.Unlock()
	b := &buffer{mem: make([]byte, sizeFor(size)), class: int8(class)}
	b.refs.Store(1)
	return b
}

// put gives references back, and leaves none in the slice.
func (p *pool) put(buffers []*buffer) {
	if len(buffers) == 0 {
		return
	}
	unused := buffers[:0]
	for _, b := range buffers {
		if b.refs.Add(-1) == 0 {
			poison.Bytes(b.mem)
			unused = append(unused, b)
		}
	}
	p.mu.Lock()
	p.lent -= len(unused)
	for _, b := range unused {
		if b.class >= 0 && p.kept+len(b.mem) <= maxKept {
			p.free[b.class] = append(p.free[b.class], b)
			p.kept += len(b.mem)
		}
	}
	p.mu.Unlock()
	clear(buffers)
}

// putOne is put for one.
func (p *pool) putOne(b *buffer) {
	one := [1]*buffer{b}
	p.put(one[:])
}
