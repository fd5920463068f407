package tickstorm

// This file holds what a Framer is and its window; frame_read.go takes frames from the
// window or from the caller's bytes, and frame_write.go queues those to send.

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm/internal/poison"
)

// Violations for which gobwas/ws has no error of its own. Together with its
// ws.ErrProtocol... and ws.ErrHeaderLengthMSB they are what CloseError.Err says of a
// connection that the Framer failed.
var (
	ErrFrameLength    = errors.New("length is not in its shortest encoding") // 1002; RFC 6455, section 5.2
	ErrFrameCloseBody = errors.New("close frame with a body of one byte")    // 1002; section 5.5.1
	ErrFrameUTF8      = errors.New("text is not valid UTF-8")                // 1007; section 8.1; Framer.Send returns it too
	ErrFrameTooBig    = errors.New("message is too big")                     // 1009; FramerConfig.MaxMessage
)

// Misuse of the sending methods of a Framer.
var (
	ErrFrameCloseSent = errors.New("close frame was already sent")
	ErrFrameOpCode    = errors.New("message is neither text nor binary")
)

// CloseError is how a WebSocket connection ended: by the close frame of the peer, or by
// ours because the peer broke the protocol. It unwraps to Err.
type CloseError struct {
	Code   ws.StatusCode // 1005 (ws.StatusNoStatusRcvd) if the peer's close frame carried none
	Reason string        // the peer's, or the one we gave it
	Local  bool          // we failed the connection; otherwise the peer closed it
	Err    error         // what the peer did wrong; nil when the peer closed and all went well
}

// Error names the side that closed, the code, and why.
func (e *CloseError) Error() string {
	if e.Local {
		return fmt.Sprintf("websocket failed with %d: %v", e.Code, e.Err)
	}
	s := fmt.Sprintf("websocket closed by peer with %d", e.Code)
	if e.Reason != "" {
		s += fmt.Sprintf(" %q", e.Reason)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns e.Err.
func (e *CloseError) Unwrap() error { return e.Err }

// FramerConfig configures a Framer. The zero value is a client with the defaults below.
type FramerConfig struct {
	// Server is the role. A client masks what it sends and rejects masked frames, a
	// server does the reverse (RFC 6455, section 5.1).
	Server bool

	// Rand is where a client's masks come from, 4 bytes a frame; nil is crypto/rand.
	// Masks that can be guessed void section 10.3: anything else is for tests. When it
	// fails, the method that needed a mask returns its error.
	Rand io.Reader

	// Buffer is the size of the read window in bytes; 0 is 256 KiB. It is allocated at
	// the first call of Framer.Buffer; a client that only uses Feed makes do with what the
	// frames cut off by it need.
	Buffer int

	// MaxMessage is the longest message accepted, in bytes, all fragments together;
	// 0 is 16 MiB. A longer one fails the connection with code 1009.
	MaxMessage int

	// MaxOutgoing is the number of outgoing bytes not yet sent from which on pings are
	// no longer answered one by one: only the last is remembered, and answered when
	// there is room (section 5.5.3 allows it). 0 is 64 KiB. It bounds what a peer can
	// make us hold; Send and Ping are not refused for it.
	MaxOutgoing int
}

const (
	defaultFrameBuffer = 256 << 10
	defaultMaxMessage  = 16 << 20
	defaultMaxOutgoing = 64 << 10

	minFrameWindow = 4 << 10 // where the window starts when only Feed is used

	// calmReads is after how many reads that had no need of it a buffer that grew for a
	// burst is given back: often enough not to hold megabytes for a message of the
	// morning, seldom enough that a reallocation is lost among the reads.
	calmReads = 64
)

// FrameHandler receives what a Framer reads. Its methods run inside Feed and Commit. They
// may call Send, Ping and Close of that Framer, and look at it; they must not call Feed,
// Buffer or Commit.
type FrameHandler interface {
	// OnMessage receives a whole text or binary message; text is valid UTF-8. p is valid
	// until the method returns, must not be written to, and is not nil. An error stops the
	// Framer: Feed or Commit returns it, now and from then on. It sends no close frame, which
	// is a decision of the caller (Close works after it).
	OnMessage(op ws.OpCode, p []byte) error

	// OnControl receives the payload of a ping, pong or close frame that was found
	// correct. Pings and closes are answered already, unless a close frame of ours went
	// before. p is valid until the method returns and must not be written to.
	OnControl(op ws.OpCode, p []byte)
}

// Framer is the WebSocket protocol (RFC 6455) after the opening handshake, without any
// input or output: received bytes go in by Feed, or by Buffer and Commit; whole messages
// come out at a FrameHandler; bytes to send wait in Outgoing. It negotiates no
// extension and knows nothing of what messages mean.
//
// However the received bytes are cut, the calls on the handler, the errors and the bytes
// queued are the same.
//
// A Framer is not safe for concurrent use: it has one owner. It allocates nothing once its
// buffers have grown to what the traffic needs, and gives back what a burst made them grow.
//
// The read window:
//
//	buf[:r]   consumed
//	buf[r:w]  received: between calls, the beginning of one frame, or nothing
//	buf[w:]   free: lent by Buffer
//
// Invariants: 0 <= r <= w <= len(buf), and between calls r == w or w-r < want.
// want, the bytes needed to take the frame at r one step further, is at most
// max(MaxMessage, 125)+14, so that a window of that size is never full.
type Framer struct {
	cfg FramerConfig
	h   FrameHandler
	err error // why the Framer stopped

	// Receiving.
	state ws.State // the role, and whether a fragmented message is open
	buf   []byte
	r, w  int
	want  int
	calm  int // reads until trimSlow runs; 0 when no buffer is larger than its default

	// The open fragmented message.
	op  ws.OpCode
	msg []byte

	// The text at hand: a message, as far as it has come.
	text textCheck
	seen int // bytes of an incomplete frame's payload that are unmasked and checked

	// Sending.
	out  []byte // out[sent:] waits
	sent int
	mask [4]byte
	pong [ws.MaxControlFramePayloadSize]byte // the ping to answer when out has room
	held int                                 // its length; -1 when there is none

	closeSent, closeReceived bool
}

// NewFramer returns a Framer that calls h, which must not be nil. Negative numbers in cfg
// count as 0.
func NewFramer(cfg FramerConfig, h FrameHandler) *Framer {
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Buffer <= 0 {
		cfg.Buffer = defaultFrameBuffer
	}
	if cfg.MaxMessage <= 0 {
		cfg.MaxMessage = defaultMaxMessage
	}
	cfg.MaxMessage = min(cfg.MaxMessage, math.MaxInt-ws.MaxHeaderSize)
	if cfg.MaxOutgoing <= 0 {
		cfg.MaxOutgoing = defaultMaxOutgoing
	}
	state := ws.StateClientSide
	if cfg.Server {
		state = ws.StateServerSide
	}
	return &Framer{cfg: cfg, h: h, state: state, msg: []byte{}, out: []byte{}, held: -1}
}

// Err returns what Feed and Commit return since the Framer stopped: a *CloseError, the
// error of OnMessage, or that of FramerConfig.Rand. It is nil while the Framer works.
func (f *Framer) Err() error { return f.err }

// CloseReceived reports whether the peer's close frame has arrived.
func (f *Framer) CloseReceived() bool { return f.closeReceived }

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
	if len(f.buf) < f.cfg.Buffer {
		f.resize(f.cfg.Buffer)
	}
	f.room(1)
	return f.buf[f.w:len(f.buf):len(f.buf)]
}

// Commit takes the first n bytes of what Buffer returned as received, and then does what
// Feed does, without copying. It panics if n is negative or more than Buffer returned.
func (f *Framer) Commit(n int) error {
	if n < 0 || n > len(f.buf)-f.w {
		panic("tickstorm: Framer.Commit of more bytes than Buffer returned")
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
	size := max(2*len(f.buf), min(minFrameWindow, f.cfg.Buffer))
	for size < f.w+n {
		size *= 2
	}
	limit := max(f.cfg.MaxMessage, ws.MaxControlFramePayloadSize) + ws.MaxHeaderSize
	f.resize(min(size, max(limit, f.cfg.Buffer)))
}

// resize gives the window a new array of size bytes, which must hold what was received.
func (f *Framer) resize(size int) {
	buf := make([]byte, size)
	f.w = copy(buf, f.buf[f.r:f.w])
	f.r, f.buf = 0, buf
}

// exchange makes window, which has more room than what was received, the read window,
// and returns the old one.
func (f *Framer) exchange(window []byte) []byte {
	old := f.buf
	f.w = copy(window, old[f.r:f.w])
	f.r, f.buf = 0, window
	return old
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
	if len(f.buf) > f.cfg.Buffer {
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
