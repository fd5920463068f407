package tickstorm_test

import (
	"encoding/binary"
)

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
