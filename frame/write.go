package frame

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm/internal/poison"
)

// Outgoing returns the bytes to send: whole frames, except that the first may have been sent
// in part. It is empty, not nil, when there is nothing to send, and valid until the next call
// of any method but Err, CloseSent and CloseReceived.
func (f *Framer) Outgoing() []byte { return f.out[f.sent:len(f.out):len(f.out)] }

// Sent tells that the first n bytes of Outgoing were sent; the rest stays. It may make room
// for a pong that was held back, so ask Outgoing again. It panics if n is negative or more
// than Outgoing holds.
func (f *Framer) Sent(n int) {
	if n < 0 || n > len(f.out)-f.sent {
		panic("frame: Sent of more bytes than Outgoing holds")
	}
	poison.Bytes(f.out[f.sent : f.sent+n])
	if f.sent += n; f.sent == len(f.out) {
		f.out, f.sent = f.out[:0], 0
	}
	if f.held >= 0 && f.hasRoom(f.held) {
		n := f.held
		f.held = -1
		if err := f.queue(ws.OpPong, f.pong[:n]); err != nil && f.err == nil {
			f.err = err
		}
	}
}

// Send queues a text or binary message as one frame. p is copied. It returns
// ErrCloseSent after a close frame of ours, ErrOpCode, ErrUTF8, or the error
// of Config.Rand; nothing is queued then.
func (f *Framer) Send(op ws.OpCode, p []byte) error {
	switch {
	case f.closeSent:
		return ErrCloseSent
	case op == ws.OpText && !utf8.Valid(p): // the peer would have to fail the connection
		return ErrUTF8
	case op != ws.OpText && op != ws.OpBinary:
		return ErrOpCode
	}
	return f.queue(op, p)
}

// Ping queues a ping frame with p, at most 125 bytes, which is copied. The pong arrives at
// Handler.OnControl. Errors are ws.ErrProtocolControlPayloadOverflow and those of Send.
func (f *Framer) Ping(p []byte) error {
	switch {
	case f.closeSent:
		return ErrCloseSent
	case len(p) > ws.MaxControlFramePayloadSize:
		return ws.ErrProtocolControlPayloadOverflow
	}
	return f.queue(ws.OpPing, p)
}

// Close queues a close frame (RFC 6455, section 5.5.1), after which nothing more is sent.
// Messages still arrive at the handler until the peer's close frame ends the connection:
// Feed or Commit then returns a *CloseError. Code 0 sends an empty body and allows no
// reason. A reason of more than 123 bytes, one that is not UTF-8, and a code that must not
// be sent are errors of gobwas/ws. After a close frame of ours, Close does nothing.
func (f *Framer) Close(code ws.StatusCode, reason string) error {
	if f.closeSent {
		return nil
	}
	if code != 0 || reason != "" {
		if _, err := checkClose(code, reason); err != nil {
			return err
		}
	}
	if len(reason) > ws.MaxControlFramePayloadSize-2 {
		return ws.ErrProtocolControlPayloadOverflow
	}
	return f.queueClose(code, reason)
}

// queueClose queues the one close frame. It is our last: section 5.5.1 forbids data after
// it, and a pong that reaches a socket its owner has closed can come back as a TCP reset
// and destroy the peer's close frame on its way to us.
func (f *Framer) queueClose(code ws.StatusCode, reason string) error {
	if f.closeSent {
		return nil
	}
	var body [ws.MaxControlFramePayloadSize]byte
	n := 0
	if code != 0 {
		binary.BigEndian.PutUint16(body[:], uint16(code))
		n = 2 + copy(body[2:], reason)
	}
	if err := f.queue(ws.OpClose, body[:n]); err != nil {
		return err
	}
	f.closeSent = true
	f.held = -1
	return nil
}

// answer queues the pong to a ping with payload p, or remembers the ping in place of the one
// remembered before if the peer asks faster than it reads (section 5.5.3).
func (f *Framer) answer(p []byte) error {
	switch {
	case f.closeSent:
		return nil
	case f.held >= 0 || !f.hasRoom(len(p)):
		f.held = copy(f.pong[:], p)
		return nil
	}
	return f.queue(ws.OpPong, p)
}

// hasRoom reports whether a control frame with n bytes of payload is within MaxOutgoing.
func (f *Framer) hasRoom(n int) bool {
	waiting := len(f.out) - f.sent
	size := 2 + n
	if !f.cfg.Server {
		size += len(f.mask)
	}
	return waiting == 0 || waiting+size <= f.cfg.MaxOutgoing
}

// queue appends a frame with a copy of p, which a client masks there and not in the memory
// of the caller.
func (f *Framer) queue(op ws.OpCode, p []byte) error {
	masked := byte(0x80)
	if f.cfg.Server {
		masked = 0
	} else if _, err := io.ReadFull(f.cfg.Rand, f.mask[:]); err != nil {
		return fmt.Errorf("mask of a websocket frame: %w", err)
	}
	size := ws.MaxHeaderSize + len(p)
	if f.sent > 0 && size > cap(f.out)-len(f.out) {
		f.out = f.out[:copy(f.out, f.out[f.sent:])]
		f.sent = 0
	}
	b := append(slices.Grow(f.out, size), 0x80|byte(op))
	switch {
	case len(p) < 126:
		b = append(b, masked|byte(len(p)))
	case len(p) <= math.MaxUint16:
		b = binary.BigEndian.AppendUint16(append(b, masked|126), uint16(len(p)))
	default:
		b = binary.BigEndian.AppendUint64(append(b, masked|127), uint64(len(p)))
	}
	if masked != 0 {
		b = append(b, f.mask[:]...)
	}
	head := len(b)
	b = append(b, p...)
	if masked != 0 {
		ws.Cipher(b[head:], f.mask, 0)
	}
	f.out = b
	f.burst(len(b) > f.cfg.MaxOutgoing)
	return nil
}
