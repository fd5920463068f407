package ring

import "fmt"

// Check reports what is wrong with a ring between two calls.
func (r *Ring) Check() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	killed, live, first := uint64(0), 0, true
	at := map[uint64]head{}
	pos := r.head
	for pos < r.tail {
		h := r.headAt(pos)
		switch {
		case !h.is(dead):
			live++
		case first:
			return fmt.Errorf("the entry at the head is dead")
		default:
			killed += h.size()
		}
		at[pos], first = h, false
		pos += h.size()
	}
	switch {
	case pos != r.tail:
		return fmt.Errorf("the last entry ends at %d, the tail is at %d", pos, r.tail)
	case killed != r.dead || live != r.live:
		return fmt.Errorf("%d live and %d bytes dead, counted as %d and %d", live, killed, r.live, r.dead)
	case r.head-r.base > uint64(len(r.mem)) || r.used() > uint64(len(r.mem)):
		return fmt.Errorf("%d bytes from %d on, with %d at the memory's start", r.used(), r.head, r.base)
	case r.pinned != 0:
		return fmt.Errorf("pinned up to %d", r.pinned)
	}
	for _, s := range r.latest.slots {
		if h, ok := at[s.pos]; s.pos >= r.head && s.pos < r.tail && (!ok || h.is(dead) || !h.is(Latest)) {
			return fmt.Errorf("the index names what is no latest entry, at %d", s.pos)
		}
	}
	return nil
}

// Pin does what Take does before it copies, of all there is, until the function that it
// returns is called.
func (r *Ring) Pin() (release func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pinned = r.tail
	r.copying.Lock()
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.copying.Unlock()
		r.pinned = 0
	}
}

// Fits is whether an entry of this size is ever taken.
func (r *Ring) Fits(size uint64) bool { return r.fits(size) }
