package dialogue

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/gobwas/ws"
)

// MaxMessage is the longest message, in bytes, that the vendor's official clients read.
const MaxMessage = 1_000_000 - 1

// statusesPerMessage is how many statuses the vendor has been seen to put into one message.
const statusesPerMessage = 100

// AppendFrame appends an unmasked frame, as servers send.
func AppendFrame(dst []byte, op ws.OpCode, payload []byte) []byte {
	return append(AppendHeader(dst, op, len(payload)), payload...)
}

// AppendHeader appends the header of an unmasked frame whose payload has n bytes.
func AppendHeader(dst []byte, op ws.OpCode, n int) []byte {
	dst = append(dst, 0x80|byte(op))
	switch {
	case n < 126:
		return append(dst, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
}

// AppendClose appends a close frame. A code of 0 is none, and of a reason at most 123 bytes go out.
func AppendClose(dst []byte, code ws.StatusCode, reason string) []byte {
	if code == 0 {
		return AppendFrame(dst, ws.OpClose, nil)
	}
	return AppendFrame(dst, ws.OpClose, ws.NewCloseFrameBody(code, reason[:min(len(reason), ws.MaxControlFramePayloadSize-2)]))
}

// AppendStatuses appends frames of messages of statuses, some in each.
func AppendStatuses(dst []byte, statuses ...Status) []byte {
	for some := range slices.Chunk(statuses, statusesPerMessage) {
		dst = AppendFrame(dst, ws.OpText, AppendMessage(nil, some...))
	}
	return dst
}
