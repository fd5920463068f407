package relay

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"time"
)

// ErrNotLoopback: an address that other machines can reach. A relay serves its own machine
// only: anybody who reaches it gets the feed, which the vendor's terms allow its owner.
var ErrNotLoopback = errors.New("relay: address is not on the loopback interface")

// Listen listens on a "tcp" address of the loopback interface, such as "127.0.0.1:8765", or at
// the path of a "unix" socket, which the user alone may open, and which takes the place of one
// that nobody listens at any more. Any other address is an [ErrNotLoopback].
func Listen(network, address string) (net.Listener, error) {
	switch network {
	case "tcp", "tcp4", "tcp6":
		a, err := net.ResolveTCPAddr(network, address)
		if err != nil {
			return nil, fmt.Errorf("relay: %w", err)
		}
		if err := local(a); err != nil {
			return nil, err
		}
		l, err := net.ListenTCP(network, a)
		if err != nil {
			return nil, fmt.Errorf("relay: %w", err)
		}
		return l, nil
	case "unix":
		return listenUnix(address)
	}
	return nil, fmt.Errorf("relay: listening on %q: %w", network, errors.ErrUnsupported)
}

func listenUnix(path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		c, err := net.DialTimeout("unix", path, time.Second)
		if err == nil {
			_ = c.Close()
			return nil, fmt.Errorf("relay: somebody listens at %s", path)
		}
		_ = os.Remove(path) // if that fails listening says why
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("relay: %w", err)
	}
	return l, nil
}

// local returns an ErrNotLoopback for addresses of TCP that others can reach. Those of sockets
// in the file system and in memory are local.
func local(a net.Addr) error {
	if t, ok := a.(*net.TCPAddr); ok && !t.IP.IsLoopback() {
		return fmt.Errorf("%w: %s", ErrNotLoopback, a)
	}
	return nil
}

// limited is a listener with at most so many connections at once: what is beyond is closed, so
// that nobody can use up the descriptors before there is a request to refuse.
type limited struct {
	net.Listener
	most int

	mu   sync.Mutex
	open int
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		l.mu.Lock()
		room := l.open < l.most
		if room {
			l.open++
		}
		l.mu.Unlock()
		if room {
			return &counted{Conn: c, of: l}, nil
		}
		_ = c.Close()
	}
}

// counted is a connection of a limited listener.
type counted struct {
	net.Conn
	of   *limited
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() {
		c.of.mu.Lock()
		c.of.open--
		c.of.mu.Unlock()
	})
	return c.Conn.Close()
}
