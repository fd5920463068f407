package tickstorm_test

import (
	"encoding/binary"

	"github.com/gobwas/ws"
)

// wire is a frame as gobwas/ws writes it to a server, masked, or to a client.
func wire(toServer, fin bool, op ws.OpCode, payload string) []byte {
	f := ws.NewFrame(op, fin, []byte(payload))
	if toServer {
		f = ws.MaskFrameWith(f, [4]byte{0xA1, 0x02, 0xF3, 0x44})
	}
	return ws.MustCompileFrame(f)
}

func closeBody(code int, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(code))) + reason
}

// counter is a source of masks that differ and repeat from test to test.
type counter byte

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		*c += 41
		p[i] = byte(*c)
	}
	return len(p), nil
}
