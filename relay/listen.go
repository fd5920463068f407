package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"
)

// ErrNotLoopback: an address that other machines can reach, without Config.Keys and TLS. Anybody
// who reaches it would get the feed, which the vendor's terms allow its owner.
var ErrNotLoopback = errors.New("relay: address is not on the loopback interface")

// Listen listens on a "tcp" address of the loopback interface, such as "127.0.0.1:8765", or at
// the path of a "unix" socket, which the user alone may open, and which takes the place of one
// that nobody listens at any more. Any other address is an [ErrNotLoopback]: see [Server.Listen].
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

// Listen is the function Listen with what the Config allows besides: TCP with TLS is the network
// "tls", for which it needs Config.TLS or a certificate, and an address that other machines can
// reach needs that and Config.Keys, or Config.Insecure. Where there is a Config.Lock it waits for
// that first, until ctx ends, so that the address of another server can be taken over with it.
//
// The listener is for Serve. Who does not call that calls Shutdown, which gives the lock up.
func (s *Server) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	secure := network == "tls"
	if secure {
		if s.tls == nil {
			return nil, errors.New("relay: no Config.TLS, and no CertFile, to listen with TLS")
		}
		network = "tcp"
	}
	switch network {
	case "tcp", "tcp4", "tcp6":
		a, err := net.ResolveTCPAddr(network, address)
		if err != nil {
			return nil, fmt.Errorf("relay: %w", err)
		}
		if !s.mayServe(a, secure) {
			return nil, local(a)
		}
		address = a.String()
	case "unix":
	default:
		return nil, fmt.Errorf("relay: listening on %q: %w", network, errors.ErrUnsupported)
	}
	if err := s.acquire(ctx); err != nil {
		return nil, err
	}
	l, err := s.bind(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if secure {
		l = &secured{Listener: tls.NewListener(l, s.tls), plain: l}
	}
	return l, nil
}

// handover is how long a server that has the lock tries to get an address: who had both has given
// up the lock, and may take a moment to close the rest.
const handover = 5 * time.Second

func (s *Server) bind(ctx context.Context, network, address string) (net.Listener, error) {
	deadline := time.Now().Add(handover)
	for {
		var l net.Listener
		var err error
		if network == "unix" {
			l, err = listenUnix(address)
		} else if l, err = net.Listen(network, address); err != nil {
			err = fmt.Errorf("relay: %w", err)
		}
		if err == nil || s.cfg.Lock == "" || time.Now().After(deadline) {
			return l, err
		}
		select {
		case <-time.After(lockPoll):
		case <-s.closing:
			return nil, err
		case <-ctx.Done():
			return nil, err
		}
	}
}

// mayServe reports whether clients may come in by an address.
func (s *Server) mayServe(a net.Addr, secure bool) bool {
	return local(a) == nil || s.cfg.Insecure || s.cfg.Keys != nil && secure
}

// secured is a listener with TLS, which Serve knows by its type.
type secured struct {
	net.Listener
	plain net.Listener
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
		return fmt.Errorf("%w: %s needs Config.Keys and TLS, or Config.Insecure", ErrNotLoopback, a)
	}
	return nil
}
