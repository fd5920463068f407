package dialogue

import (
	"encoding/binary"
	"math"
	"slices"
	"unicode/utf8"

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

// AppendClose appends a close frame. A code of 0 is none, and of a reason whole characters of at
// most 123 bytes go out.
func AppendClose(dst []byte, code ws.StatusCode, reason string) []byte {
	if code == 0 {
		return AppendFrame(dst, ws.OpClose, nil)
	}
	if most := ws.MaxControlFramePayloadSize - 2; len(reason) > most {
		for most > 0 && !utf8.RuneStart(reason[most]) {
			most--
		}
		reason = reason[:most]
	}
	return AppendFrame(dst, ws.OpClose, ws.NewCloseFrameBody(code, reason))
}

// AppendStatuses appends frames of messages of statuses, some in each.
func AppendStatuses(dst []byte, statuses ...Status) []byte {
	for some := range slices.Chunk(statuses, statusesPerMessage) {
		dst = AppendFrame(dst, ws.OpText, AppendMessage(nil, some...))
	}
	return dst
}
