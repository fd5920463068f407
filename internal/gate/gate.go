// Package gate bounds how many connections a server has at once, whatever they do, and how many of them
// may come from one other machine.
package gate

import (
	"net"
	"net/netip"
	"sync"
)

// Listener is a listener with at most so many connections at once: what is beyond is closed, so
// that nobody can use up the descriptors before there is a request to refuse.
type Listener struct {
	net.Listener
	// Most is how many there may be.
	Most int
	// Share is how many of them may be strangers of one address: who has come from another machine,
	// and is not trusted; 0 is all. See [Address].
	Share int
	// Refused, if not nil, is called by Accept for each that is closed.
	Refused func()

	mu        sync.Mutex // protects what follows
	open      int
	strangers map[netip.Prefix]int
}

// leastShare is how many strangers of one address there may be at least.
const leastShare = 16

// Share returns how many of so many connections may be strangers of one address, so that one of
// them cannot take all.
func Share(most int) int { return max(leastShare, most/4) }

// Accept returns the next connection that there is room for, a [*Conn].
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		one := &Conn{Conn: c, of: l}
		if l.admit(one) {
			return one, nil
		}
		_ = c.Close()
		if l.Refused != nil {
			l.Refused()
		}
	}
}

// admit counts a connection in, and reports whether there is room for it.
func (l *Listener) admit(c *Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.Most {
		return false
	}
	if l.Share > 0 {
		if p, ok := Address(c.RemoteAddr().String()); ok {
			if l.strangers[p] >= l.Share {
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
	c.Place = l.open
	return true
}

// Conn is a connection of a [Listener].
type Conn struct {
	net.Conn
	// Place is how many there were when it came, itself included.
	Place int

	of       *Listener
	once     sync.Once
	address  netip.Prefix
	stranger bool // the listener's lock protects it
}

// Close closes it, and makes room for another one.
func (c *Conn) Close() error {
	c.once.Do(func() {
		c.of.mu.Lock()
		defer c.of.mu.Unlock()
		c.of.open--
		c.known()
	})
	return c.Conn.Close()
}

// Trust takes it out of the strangers.
func (c *Conn) Trust() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.known()
}

// known is Trust under the lock.
func (c *Conn) known() {
	if !c.stranger {
		return
	}
	c.stranger = false
	l := c.of
	if l.strangers[c.address]--; l.strangers[c.address] == 0 {
		delete(l.strangers, c.address)
	}
}

const (
	hostBits     = 32 // of an address of IPv4
	networkBits6 = 64 // of one of IPv6: who has one has all of its network
)

// Address returns whose an address with a port is, such as that of [net.Conn].RemoteAddr; false if it is
// of this machine, where a proxy would be all of its clients, or none of the internet protocol's.
func Address(from string) (netip.Prefix, bool) {
	at, err := netip.ParseAddrPort(from)
	if err != nil {
		return netip.Prefix{}, false
	}
	a := at.Addr().Unmap().WithZone("")
	if a.IsLoopback() {
		return netip.Prefix{}, false
	}
	bits := hostBits
	if a.Is6() {
		bits = networkBits6
	}
	p, err := a.Prefix(bits)
	return p, err == nil
}
