package sock

import (
	"errors"
	"net"
	"time"
)

// Shim is the connection below TLS. crypto/tls goes on reading after an error that is a
// timeout and temporary, and takes any other for the end: the shim makes every expired
// deadline the former, whatever the connection underneath calls it, because a read is broken
// off that way whenever its owner is needed elsewhere.
//
// Detach exchanges what is underneath for a descriptor that never blocks. A read that would
// block is such an error too; a write takes everything, because TLS does not survive a write
// that failed half-way, and queues what the kernel does not.
type Shim struct {
	net.Conn
	descriptor *Descriptor // since Detach; Conn is closed then
}

// Detach puts a descriptor in the place of Conn.
func (s *Shim) Detach(d *Descriptor) { s.descriptor = d }

// Read reads what is there, or waits for it where Conn does.
func (s *Shim) Read(p []byte) (int, error) {
	if s.descriptor != nil {
		return s.descriptor.Read(p)
	}
	n, err := s.Conn.Read(p)
	if err != nil && err != ErrWouldBlock && IsTimeout(err) { // in a function of its own: errors.As needs memory
		err = readTimeout{err}
	}
	return n, err
}

// Write takes all of p.
func (s *Shim) Write(p []byte) (int, error) {
	if s.descriptor != nil {
		s.descriptor.queue(p)
		return len(p), nil
	}
	return s.Conn.Write(p)
}

// SetWriteDeadline is what crypto/tls guards its last alert with.
func (s *Shim) SetWriteDeadline(t time.Time) error {
	if s.descriptor != nil {
		return nil
	}
	return s.Conn.SetWriteDeadline(t)
}

// IsTimeout reports whether err is an expired deadline, or a read that would block.
func IsTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// readTimeout is a timeout after which reading can go on.
type readTimeout struct{ error }

func (readTimeout) Timeout() bool   { return true }
func (readTimeout) Temporary() bool { return true }

func (e readTimeout) Unwrap() error { return e.error }

// ErrWouldBlock is what a Descriptor returns instead of waiting. It is a net.Error, a
// timeout and temporary.
var ErrWouldBlock error = wouldBlock{}

type wouldBlock struct{}

func (wouldBlock) Error() string   { return "would block" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }
