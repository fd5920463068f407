package relay

import (
	"crypto/tls"
	"net"

	"github.com/tickstorm/tickstorm/internal/gate"
)

// This file is about what a connection is below TLS: there strangers, who have not shown a key, are kept
// apart from who has.

// trust is told that a client has shown a key.
func trust(nc net.Conn) {
	if c, ok := bare(nc).(*gate.Conn); ok {
		c.Trust()
	}
}

// bare returns what is below TLS.
func bare(nc net.Conn) net.Conn {
	if t, ok := nc.(*tls.Conn); ok {
		return t.NetConn()
	}
	return nc
}

// sever closes a connection at once: over TLS without a farewell, which would wait for a peer
// that reads nothing.
func sever(nc net.Conn) { _ = bare(nc).Close() } // fails only if it is closed
