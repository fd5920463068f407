package fanout

import (
	"encoding/binary"
	"math"

	"github.com/gobwas/ws"
)

// appendFrame appends an unmasked frame.
func appendFrame(dst []byte, op ws.OpCode, payload []byte) []byte {
	dst = append(dst, 0x80|byte(op))
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
	}
	return append(dst, payload...)
}

// appendClose appends a close frame.
func appendClose(dst []byte, code ws.StatusCode, reason string) []byte {
	var body []byte
	if code != 0 {
		body = binary.BigEndian.AppendUint16(body, uint16(code))
		body = append(body, reason[:min(len(reason), ws.MaxControlFramePayloadSize-2)]...)
	}
	return appendFrame(dst, ws.OpClose, body)
}
