package fanout

// fifo is buffers in order. The zero fifo is empty.
type fifo struct {
	ring    []*buffer // its length is a power of two
	head, n int
}

const maxIdleFifo = 64 // entries that an empty one keeps the memory of

func (f *fifo) push(b *buffer) {
	if f.n == len(f.ring) {
		ring := make([]*buffer, max(8, 2*f.n))
		for i := range f.n {
			ring[i] = f.ring[(f.head+i)&(len(f.ring)-1)]
		}
		f.ring, f.head = ring, 0
	}
	f.ring[(f.head+f.n)&(len(f.ring)-1)] = b
	f.n++
}

// pop returns the first; there must be one.
func (f *fifo) pop() *buffer {
	b := f.ring[f.head]
	f.ring[f.head] = nil
	f.head = (f.head + 1) & (len(f.ring) - 1)
	if f.n--; f.n == 0 && len(f.ring) > maxIdleFifo {
		*f = fifo{}
	}
	return b
}

// unpop puts what was popped back in front.
func (f *fifo) unpop(b *buffer) {
	f.push(b)
	for i := f.n - 1; i > 0; i-- { // notes are few
		at, before := (f.head+i)&(len(f.ring)-1), (f.head+i-1)&(len(f.ring)-1)
		f.ring[at], f.ring[before] = f.ring[before], f.ring[at]
	}
}
