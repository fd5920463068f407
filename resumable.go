package tickstorm

import (
	"net"
	"time"
)

// resumable is the connection below TLS. crypto/tls goes on reading after an error
// that is a timeout and temporary, and takes any other for the end: this makes every
// expired deadline the former, whatever the connection underneath calls it, because
// a read is broken off that way whenever its owner is needed elsewhere.
//
// [Conn.Detach] exchanges what is underneath for a descriptor that never blocks. A
// read that would block is such an error too; a write takes everything, because TLS
// does not survive a write that failed half-way, and queues what the kernel does not.
type resumable struct {
	net.Conn
	socket *socket // since Detach; Conn is closed then
}

func (r *resumable) Read(p []byte) (int, error) {
	if r.socket != nil {
		return r.socket.Read(p)
	}
	n, err := r.Conn.Read(p)
	if err != nil && err != errWouldBlock && isTimeout(err) { // in a function of its own: errors.As needs memory
		err = readTimeout{err}
	}
	return n, err
}

func (r *resumable) Write(p []byte) (int, error) {
	if r.socket != nil {
		r.socket.queue(p)
		return len(p), nil
	}
	return r.Conn.Write(p)
}

// SetWriteDeadline is what crypto/tls guards its last alert with.
func (r *resumable) SetWriteDeadline(t time.Time) error {
	if r.socket != nil {
		return nil
	}
	return r.Conn.SetWriteDeadline(t)
}

// readTimeout is a timeout after which reading can go on.
type readTimeout struct{ error }

func (readTimeout) Timeout() bool   { return true }
func (readTimeout) Temporary() bool { return true }

func (e readTimeout) Unwrap() error { return e.error }

// errWouldBlock is what a socket returns instead of waiting.
var errWouldBlock error = wouldBlock{}

type wouldBlock struct{}

func (wouldBlock) Error() string   { return "would block" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }
