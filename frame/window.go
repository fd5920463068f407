package frame

import (
	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm/internal/poison"
)

// The read window:
//
//	buf[:r]   consumed
//	buf[r:w]  received: between calls, the beginning of one frame, or nothing
//	buf[w:]   free: lent by Buffer
//
// Invariants: 0 <= r <= w <= len(buf), and between calls r == w or w-r < want.
// want, the bytes needed to take the frame at r one step further, is at most
// max(MaxMessage, 125)+14, so that a window of that size is never full.

const (
	// minWindow is where the window starts when only Feed is used.
	minWindow = 4 << 10

	// calmReads is after how many reads that had no need of it a buffer that grew for a
	// burst is given back: often enough not to hold megabytes for a message of the
	// morning, seldom enough that a reallocation is lost among the reads.
	calmReads = 64

	// keptTail is how much memory for an incomplete frame is kept from one Borrow to the next.
	keptTail = 4 << 10
)

// Feed takes received bytes and calls the handler for every message and control frame that
// they complete. p is neither written to nor kept. A client parses p in place and copies
// only the beginning of a frame that p cuts off; a server copies everything, because frames
// are unmasked where they lie.
//
// The error is a *CloseError when the connection is over by protocol, or as Err says. After
// an error Feed ignores its bytes and returns the same error; Outgoing may hold a close
// frame that should still be sent. Feed invalidates what Buffer has lent.
func (f *Framer) Feed(p []byte) error {
	// In poisoned builds the handler's bytes are overwritten, so they cannot be the caller's.
	if poison.On || f.cfg.Server {
		return f.feedCopied(p)
	}
	if f.err != nil {
		return f.err
	}
	f.trim()
	for f.w > f.r && len(p) > 0 { // the frame that an earlier call left cut off
		n := min(f.want-(f.w-f.r), len(p))
		f.room(n)
		copy(f.buf[f.w:], p[:n])
		p = p[n:]
		if err := f.received(n); err != nil {
			return err
		}
	}
	if len(p) == 0 {
		return nil
	}
	n, err := f.consume(p)
	if err != nil {
		return err
	}
	if rest := p[n:]; len(rest) > 0 {
		f.room(len(rest))
		f.w += copy(f.buf[f.w:], rest)
	}
	return nil
}

func (f *Framer) feedCopied(p []byte) error {
	for len(p) > 0 && f.err == nil {
		n := copy(f.Buffer(), p)
		p = p[n:]
		_ = f.Commit(n) // is f.err
	}
	return f.err
}

// Buffer returns the free part of the read window, which is never empty, to read into. It
// is valid until the next call of Buffer, Commit or Feed.
func (f *Framer) Buffer() []byte {
	f.trim()
	if !f.borrowed && len(f.buf) < f.cfg.Buffer {
		f.resize(f.cfg.Buffer)
	}
	f.room(1)
	return f.buf[f.w:len(f.buf):len(f.buf)]
}

// Commit takes the first n bytes of what Buffer returned as received, and then does what
// Feed does, without copying. It panics if n is negative or more than Buffer returned.
func (f *Framer) Commit(n int) error {
	if n < 0 || n > len(f.buf)-f.w {
		panic("frame: Commit of more bytes than Buffer returned")
	}
	if f.err != nil {
		return f.err
	}
	return f.received(n)
}

// received consumes what the window holds after n more bytes were put into it.
func (f *Framer) received(n int) error {
	f.w += n
	if f.w-f.r < f.want && f.seen == 0 {
		return nil
	}
	n, err := f.consume(f.buf[f.r:f.w])
	f.r += n
	if f.r == f.w || err != nil {
		f.r, f.w = 0, 0
	}
	return err
}

// room makes the free part of the window at least n bytes long, n being bytes that are
// there, or 1: the window grows with what was received, never with what a header declares.
// A byte is moved to the front at most once, since the frame it belongs to then stays there.
func (f *Framer) room(n int) {
	if f.r > 0 {
		f.w = copy(f.buf, f.buf[f.r:f.w])
		f.r = 0
	}
	if n <= len(f.buf)-f.w {
		return
	}
	size := max(2*len(f.buf), min(minWindow, f.cfg.Buffer))
	for size < f.w+n {
		size *= 2
	}
	limit := max(f.cfg.MaxMessage, ws.MaxControlFramePayloadSize) + ws.MaxHeaderSize
	f.resize(min(size, max(limit, f.cfg.Buffer)))
}

// resize gives the window a new array of size bytes, which must hold what was received.
func (f *Framer) resize(size int) {
	f.exchange(make([]byte, size))
	f.borrowed, f.own = false, nil
}

// exchange makes window, which must hold what was received, the read window.
func (f *Framer) exchange(window []byte) {
	f.w = copy(window, f.buf[f.r:f.w])
	f.r, f.buf = 0, window
}

// Borrow makes window what Buffer lends, in place of memory of the Framer's own, until
// GiveBack: many connections that take turns can read into one window. It stays warm in
// the cache, and a connection that is quiet costs no memory. What there is of an incomplete
// frame is copied into it. A frame that outgrows it gets memory of its own, as it does
// without Borrow, and a window in which no byte would be free is not borrowed.
//
// Borrow and GiveBack invalidate what Buffer has lent.
func (f *Framer) Borrow(window []byte) {
	f.GiveBack()
	if f.w-f.r < len(window) {
		f.borrowed, f.own = true, f.buf
		f.exchange(window)
	}
}

// GiveBack ends Borrow. The Framer keeps a copy of what there is of an incomplete frame, and
// nothing of the window. Without Borrow it does nothing.
func (f *Framer) GiveBack() {
	if !f.borrowed {
		return
	}
	n := f.w - f.r
	if size := max(n, keptTail); n > len(f.own) || len(f.own) > 4*size { // too small, or left by a long message
		f.own = make([]byte, size)
	}
	f.exchange(f.own)
	f.borrowed, f.own = false, nil
}

// burst notes that a buffer has to be larger than its default.
func (f *Framer) burst(yes bool) {
	if yes {
		f.calm = calmReads
	}
}

// trim runs once a read. What it gives back is not seen in what the Framer does: what is
// empty stays empty, and does not become nil.
func (f *Framer) trim() {
	if f.calm > 0 {
		if f.calm--; f.calm == 0 {
			f.trimSlow()
		}
	}
}

func (f *Framer) trimSlow() {
	if len(f.buf) > f.cfg.Buffer && !f.borrowed {
		switch {
		case f.r == f.w:
			f.buf, f.r, f.w = nil, 0, 0
		case f.want <= f.cfg.Buffer:
			f.resize(f.cfg.Buffer)
		default:
			f.burst(true)
		}
	}
	if cap(f.msg) > f.cfg.Buffer {
		if f.state.Fragmented() {
			f.burst(true)
		} else {
			f.msg = []byte{}
		}
	}
	if cap(f.out) > f.cfg.MaxOutgoing {
		if f.sent < len(f.out) {
			f.burst(true)
		} else {
			f.out, f.sent = []byte{}, 0
		}
	}
}
