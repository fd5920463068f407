package frame

import (
	"crypto/rand"
	"io"
	"math"

	"github.com/gobwas/ws"
)

// Config configures a Framer. The zero value is a client with the defaults below;
// negative numbers count as 0.
type Config struct {
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
	defaultBuffer      = 256 << 10
	defaultMaxMessage  = 16 << 20
	defaultMaxOutgoing = 64 << 10
)

// Handler receives what a Framer reads. Its methods run inside Feed and Commit. They may
// call Send, Ping and Close of that Framer, and look at it; they must not call Feed, Buffer,
// Commit, Borrow or GiveBack.
type Handler interface {
	// OnMessage receives a whole text or binary message; text is valid UTF-8. p is valid
	// until the method returns, must not be written to, and is not nil. An error stops the
	// Framer: Feed or Commit returns it, now and from then on. It sends no close frame, which
	// is a decision of the caller (Close works after it).
	OnMessage(op ws.OpCode, p []byte) error

	// OnControl receives the payload of a ping, pong or close frame that was found
	// correct. Pings and closes are answered already, unless a close frame of ours went
	// before. p is valid until the method returns, must not be written to, and is not nil.
	OnControl(op ws.OpCode, p []byte)
}

// Framer is one end of a WebSocket connection after the opening handshake, without any
// input or output; see the package's comment. It negotiates no extension and knows nothing
// of what messages mean.
//
// A Framer is not safe for concurrent use: it has one owner.
type Framer struct {
	cfg Config
	h   Handler
	err error // why the Framer stopped

	// Receiving; window.go tells how the window is divided.
	state    ws.State // the role, and whether a fragmented message is open
	buf      []byte   // the read window
	r, w     int
	want     int
	borrowed bool   // buf is the caller's
	own      []byte // the window from before Borrow
	calm     int    // reads until trimSlow runs; 0 when no buffer is larger than its default

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

// New returns a Framer that calls h, which must not be nil.
func New(cfg Config, h Handler) *Framer {
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Buffer <= 0 {
		cfg.Buffer = defaultBuffer
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
// error of OnMessage, or that of Config.Rand. It is nil while the Framer works.
func (f *Framer) Err() error { return f.err }

// CloseReceived reports whether the peer's close frame has arrived.
func (f *Framer) CloseReceived() bool { return f.closeReceived }

// CloseSent reports whether a close frame of ours was queued: by Close, as the echo of the
// peer's, or because the peer broke the protocol.
func (f *Framer) CloseSent() bool { return f.closeSent }
