package relay

import (
	"crypto/tls"
	"net"
	"net/netip"
)

// This file keeps clients that have not shown a key apart from those that have: beyond the
// machine they share few places, so that one of them cannot take all.

// leastShare is how many strangers of one address there may be at least.
const leastShare = 16

// share returns how many strangers of one address there may be.
func share(most int) int { return max(leastShare, most/4) }

// admit counts a connection in, and reports whether there is room for it. It wants the lock.
func (l *limited) admit(c *counted) bool {
	if l.open >= l.most {
		return false
	}
	if l.share > 0 {
		if p, ok := addressOf(c.RemoteAddr().String()); ok {
			if l.strangers[p] >= l.share {
				return false
			}
			if l.strangers == nil {
				l.strangers = map[netip.Prefix]int{}
			}
			l.strangers[p]++
			c.address, c.stranger = p, true
		}
	}
	l.open++
	return true
}

// known takes a connection out of the strangers. It wants the lock.
func (l *limited) known(c *counted) {
	if !c.stranger {
		return
	}
	c.stranger = false
	if l.strangers[c.address]--; l.strangers[c.address] == 0 {
		delete(l.strangers, c.address)
	}
}

// trust is told that a client has shown a key.
func trust(nc net.Conn) {
	if c, ok := bare(nc).(*counted); ok {
		c.of.mu.Lock()
		defer c.of.mu.Unlock()
		c.of.known(c)
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
