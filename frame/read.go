package frame

// consume runs over whole frames: its inner loop takes those of which a feed consists
// (whole unfragmented text, client role), and frameSlow takes one frame of any other kind,
// a broken one, or the beginning of one. Only frameSlow changes the state of the protocol.

import (
	"encoding/binary"
	"errors"
	"math"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm/internal/poison"
)

const finText = 0x80 | byte(ws.OpText)

// consume takes the whole frames at the beginning of b and returns their length. In the
// server role b is in the window and is written to.
func (f *Framer) consume(b []byte) (int, error) {
	i := 0
	if f.seen > 0 { // of the frame in front only the rest is new
		n, err := f.frameSlow(b)
		if n == 0 || err != nil {
			return n, err
		}
		i = n
	}
	for {
		for f.state == ws.StateClientSide {
			h := b[i:]
			if len(h) < 4 || h[0] != finText || h[1] > 126 {
				break
			}
			head, n := 2, int(h[1])
			if n == 126 {
				head, n = 4, int(h[2])<<8|int(h[3])
				if n < 126 {
					break
				}
			}
			if n > len(h)-head || n > f.cfg.MaxMessage {
				break
			}
			p := h[head : head+n : head+n]
			if !ValidText(p) {
				break
			}
			i += head + n
			err := f.h.OnMessage(ws.OpText, p)
			poison.Bytes(p)
			if err != nil {
				f.err = err
				return i, err
			}
		}
		n, err := f.frameSlow(b[i:])
		i += n
		if n == 0 || err != nil {
			return i, err
		}
	}
}

// frameSlow takes the frame at the beginning of b and returns its length, or 0 and no error
// if b does not hold all of it; want then tells how much of it is needed to go on. What can
// be known to be wrong is reported as soon as the bytes that show it are there, in the same
// order however they arrive: bad text fails before its frame is complete, let alone its
// message. So the text of a frame is unmasked and checked as it comes, each byte once, and
// seen tells how much of it that was.
func (f *Framer) frameSlow(b []byte) (int, error) {
	if len(b) < 2 {
		f.want = 2
		return 0, nil
	}
	h := ws.Header{
		Fin:    b[0]&0x80 != 0,
		Rsv:    b[0] >> 4 & 7,
		OpCode: ws.OpCode(b[0] & 0x0F),
		Masked: b[1]&0x80 != 0,
		Length: int64(b[1] & 0x7F), // 126 and 127, longer ones, are too long for control frames as well
	}
	if err := ws.CheckHeader(h, f.state); err != nil {
		return 0, f.violation(ws.StatusProtocolError, err)
	}
	head := 2
	switch h.Length {
	case 126:
		head = 4
		if len(b) < head {
			f.want = head
			return 0, nil
		}
		h.Length = int64(binary.BigEndian.Uint16(b[2:]))
		if h.Length < 126 {
			return 0, f.violation(ws.StatusProtocolError, ErrLength)
		}
	case 127:
		head = 10
		if len(b) < head {
			f.want = head
			return 0, nil
		}
		h.Length = int64(binary.BigEndian.Uint64(b[2:]))
		if h.Length < 0 {
			return 0, f.violation(ws.StatusProtocolError, ws.ErrHeaderLengthMSB)
		}
		if h.Length <= math.MaxUint16 {
			return 0, f.violation(ws.StatusProtocolError, ErrLength)
		}
	}
	if h.OpCode.IsData() && h.Length > int64(f.cfg.MaxMessage-len(f.msg)) {
		return 0, f.violation(ws.StatusMessageTooBig, ErrTooBig)
	}
	if h.Masked {
		head += len(h.Mask)
		if len(b) < head {
			f.want = head
			return 0, nil
		}
		copy(h.Mask[:], b[head-len(h.Mask):])
	}
	end := head + int(h.Length)
	text := h.OpCode == ws.OpText || h.OpCode == ws.OpContinuation && f.op == ws.OpText
	whole := len(b) >= end
	if !whole {
		f.want = end
		f.burst(end > f.cfg.Buffer)
		if !text {
			return 0, nil
		}
		if end = len(b); end == head {
			f.want = head + 1
			return 0, nil
		}
	}
	p := b[head:end:end]
	if h.Masked {
		ws.Cipher(p[f.seen:], h.Mask, f.seen)
	}
	if text && (!f.text.add(p[f.seen:]) || whole && h.Fin && !f.text.whole()) {
		return 0, f.violation(ws.StatusInvalidFramePayloadData, ErrUTF8)
	}
	if !whole {
		f.seen = len(p)
		return 0, nil
	}
	f.seen = 0
	if h.OpCode.IsControl() {
		return end, f.control(h.OpCode, p)
	}
	return end, f.data(h.OpCode, h.Fin, p)
}

// data takes a frame of a message (section 5.4); text has been checked.
func (f *Framer) data(op ws.OpCode, fin bool, p []byte) error {
	if fin && !f.state.Fragmented() {
		return f.deliver(op, p)
	}
	if !f.state.Fragmented() {
		f.state = f.state.Set(ws.StateFragmented)
		f.op = op
	}
	f.msg = append(f.msg, p...)
	f.burst(len(f.msg) > f.cfg.Buffer)
	if !fin {
		return nil
	}
	msg := f.msg[:len(f.msg):len(f.msg)]
	f.state = f.state.Clear(ws.StateFragmented)
	f.msg = f.msg[:0]
	return f.deliver(f.op, msg)
}

func (f *Framer) deliver(op ws.OpCode, p []byte) error {
	f.err = f.h.OnMessage(op, p)
	poison.Bytes(p)
	return f.err
}

// control takes a control frame (section 5.5) and answers it before the handler sees it.
func (f *Framer) control(op ws.OpCode, p []byte) error {
	switch op {
	case ws.OpPing:
		if err := f.answer(p); err != nil {
			f.err = err
			return err
		}
	case ws.OpClose:
		return f.peerClose(p)
	}
	f.h.OnControl(op, p)
	poison.Bytes(p)
	return nil
}

// peerClose takes the peer's close frame and echoes its code if we have not sent ours yet
// (section 5.5.1).
func (f *Framer) peerClose(p []byte) error {
	ce := &CloseError{Code: ws.StatusNoStatusRcvd}
	var echo ws.StatusCode
	switch {
	case len(p) == 1:
		return f.violation(ws.StatusProtocolError, ErrCloseBody)
	case len(p) >= 2:
		ce.Code, ce.Reason = ws.ParseCloseFrameData(p)
		if code, err := checkClose(ce.Code, ce.Reason); err != nil {
			return f.violation(code, err)
		}
		echo = ce.Code
	}
	f.closeReceived = true
	ce.Err = f.queueClose(echo, "")
	f.h.OnControl(ws.OpClose, p)
	poison.Bytes(p)
	f.err = ce
	return ce
}

// violation fails the connection (section 7.1.7): a close frame with code, and the end.
func (f *Framer) violation(code ws.StatusCode, err error) error {
	ce := &CloseError{Code: code, Reason: err.Error(), Local: true, Err: err}
	if err := f.queueClose(code, ce.Reason); err != nil {
		ce.Err = errors.Join(ce.Err, err)
	}
	f.err = ce
	return ce
}

// checkClose returns what is wrong with code and reason of a close frame, and the code to
// answer that with. Beyond RFC 6455 it lets pass 1012 to 1014 (service restart, try again
// later, bad gateway), which IANA has registered since and servers send.
func checkClose(code ws.StatusCode, reason string) (ws.StatusCode, error) {
	err := ws.CheckCloseFrameData(code, "")
	switch {
	case err == ws.ErrProtocolStatusCodeUnknown && code >= 1012 && code <= 1014:
		err = nil
	case err == nil && code > ws.StatusRangePrivate.Max:
		err = ws.ErrProtocolStatusCodeUnknown
	}
	if err != nil {
		return ws.StatusProtocolError, err
	}
	if !utf8.ValidString(reason) {
		return ws.StatusInvalidFramePayloadData, ws.ErrProtocolInvalidUTF8
	}
	return 0, nil
}
