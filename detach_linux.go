package tickstorm

import (
	"encoding/binary"
	"io"
	"reflect"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// socket is a descriptor that never blocks. Reads return errWouldBlock instead.
type socket struct {
	fd    int
	write func(fd int, p []byte) (int, error) // the system call, or a test that says how much room there is
	err   error                               // of a write that TLS was not told of

	queued []byte // what TLS has written and the kernel not taken

	read     bool // something was since ready
	drained  bool // a read came back short: there was no more
	quickAck bool
	stamps   bool  // read the kernel's timestamps
	stamp    int64 // when the bytes of the last read came, in nanoseconds since 1970; 0 if unknown
	control  [64]byte
	waiting  int32 // for backlog
}

// newSocket duplicates the descriptor of raw, which may be closed then.
func newSocket(raw syscall.Conn, o *SocketOptions) (*socket, error) {
	rc, err := raw.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd, errno := -1, syscall.Errno(0)
	err = rc.Control(func(old uintptr) {
		n, _, e := syscall.Syscall(syscall.SYS_FCNTL, old, syscall.F_DUPFD_CLOEXEC, 0)
		fd, errno = int(n), e
	})
	switch {
	case err != nil:
		return nil, err
	case errno != 0:
		return nil, errno
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // it is, unless a program has done strange things
		_ = syscall.Close(fd)
		return nil, err
	}
	return &socket{fd: fd, write: syscall.Write, quickAck: o.QuickAck, stamps: o.Timestamps}, nil
}

// ready is called when the descriptor may have something to read again.
func (s *socket) ready() { s.drained, s.read = false, false }

// readDone is called when nothing more is read for now.
func (s *socket) readDone() {
	if s.quickAck && s.read && s.fd >= 0 {
		_ = syscall.SetsockoptInt(s.fd, syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1) // was accepted when it was set first
	}
}

// Read reads what is there. A read that did not fill p is known to have emptied the
// socket, and the next is not tried before ready: what came meanwhile is epoll's to tell.
func (s *socket) Read(p []byte) (int, error) {
	if s.drained {
		return 0, errWouldBlock
	}
	for {
		n, err := s.receive(p)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			s.drained = true
			return 0, errWouldBlock
		case err != nil:
			return 0, err
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		}
		s.read = true
		s.drained = n < len(p)
		return n, nil
	}
}

func (s *socket) receive(p []byte) (int, error) {
	if !s.stamps {
		return syscall.Read(s.fd, p)
	}
	n, control, _, _, err := syscall.Recvmsg(s.fd, p, s.control[:], 0)
	if err == nil && n > 0 {
		s.stamp = stampOf(s.control[:control])
	}
	return n, err
}

// Write writes what the kernel takes; if that is not all, it returns errWouldBlock too.
func (s *socket) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, err := s.write(s.fd, p[done:])
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return done, errWouldBlock
		case err != nil:
			return done, err
		}
		done += n
	}
	return done, nil
}

// queue writes p, or keeps what the kernel does not take for drain. Errors stay in err.
func (s *socket) queue(p []byte) {
	n := 0
	if len(s.queued) == 0 && s.err == nil {
		var err error
		if n, err = s.Write(p); err != nil && err != errWouldBlock {
			s.err = err
		}
	}
	if s.err == nil && len(s.queued)+len(p)-n > maxQueued {
		s.err = errWriteBacklog
	}
	if s.err == nil {
		s.queued = append(s.queued, p[n:]...)
	}
}

// drain writes what was queued and reports whether all of it is gone.
func (s *socket) drain() bool {
	if len(s.queued) == 0 || s.err != nil {
		return s.err == nil
	}
	n, err := s.Write(s.queued)
	s.queued = s.queued[:copy(s.queued, s.queued[n:])]
	if err != nil && err != errWouldBlock {
		s.err = err
	}
	if len(s.queued) == 0 {
		s.queued = nil // it is rarely needed
	}
	return s.err == nil && err == nil
}

func (s *socket) backlog() (int, error) {
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(s.fd), syscall.TIOCINQ, address(&s.waiting)) // SIOCINQ by another name
	runtime.KeepAlive(s)
	if errno != 0 {
		return 0, errno
	}
	return int(s.waiting), nil
}

func (s *socket) close() {
	_ = syscall.Close(s.fd)
	s.fd, s.queued = -1, nil
}

// stampOf finds the kernel's timestamp in a control message, which on TCP comes alone. The
// form is the old one, whose numbers are of the machine's size.
func stampOf(control []byte) int64 {
	head := syscall.CmsgLen(0)
	if len(control) < head+2*wordSize {
		return 0
	}
	kind := control[head-8:] // the header ends with level and type
	if binary.NativeEndian.Uint32(kind) != syscall.SOL_SOCKET || binary.NativeEndian.Uint32(kind[4:]) != syscall.SO_TIMESTAMPNS {
		return 0
	}
	return word(control[head:])*int64(time.Second) + word(control[head+wordSize:])
}

const wordSize = strconv.IntSize / 8

func word(b []byte) int64 {
	if wordSize == 4 {
		return int64(int32(binary.NativeEndian.Uint32(b)))
	}
	return int64(binary.NativeEndian.Uint64(b))
}

// address returns where v is, for system calls that package syscall has no function
// for: reflect's form of it, since this module imports no unsafe. v must be on the heap,
// where nothing moves, and be kept alive until the call has returned.
func address[T any](v *T) uintptr { return reflect.ValueOf(v).Pointer() }
