package sock

import (
	"errors"
	"io"
	"runtime"
	"syscall"
)

// maxQueued bounds what TLS has written and the kernel not taken: answers to key updates,
// which a peer could ask for without end.
const maxQueued = 256 << 10

var errWriteBacklog = errors.New("peer demands answers and reads none")

// Descriptor is a connected socket that never blocks: reads return ErrWouldBlock instead.
// It belongs to one goroutine at a time.
type Descriptor struct {
	fd    int
	write func(fd int, p []byte) (int, error) // the system call
	err   error                               // of a write that TLS was not told of

	queued []byte // what TLS has written and the kernel not taken

	read     bool // something was since Ready
	drained  bool // a read came back short: there was no more
	quickAck bool
	stamps   bool  // read the kernel's timestamps
	stamp    int64 // when the bytes of the last read came, in nanoseconds since 1970; 0 if unknown
	control  [64]byte
	waiting  int32 // for Backlog
}

// Duplicate returns a duplicate of the descriptor of raw, which may be closed then.
// quickAck has acknowledgements sent at once after each wake in which something was read, stamps
// has the kernel's receive timestamps read, which the socket must be set to take.
func Duplicate(raw syscall.Conn, quickAck, stamps bool) (*Descriptor, error) {
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
	return &Descriptor{fd: fd, write: syscall.Write, quickAck: quickAck, stamps: stamps}, nil
}

// FD returns the descriptor, -1 after Close.
func (d *Descriptor) FD() int { return d.fd }

// WriteWith replaces the system call that writes: tests say by it how much room there is, which
// is the kernel's own business otherwise.
func (d *Descriptor) WriteWith(write func(fd int, p []byte) (int, error)) { d.write = write }

// Err returns what failed in a write that was queued.
func (d *Descriptor) Err() error { return d.err }

// Stamp returns when the bytes of the last read came from the network, in nanoseconds since
// 1970; 0 if that is not known.
func (d *Descriptor) Stamp() int64 { return d.stamp }

// Ready is called when the descriptor may have something to read again.
func (d *Descriptor) Ready() { d.drained, d.read = false, false }

// ReadDone is called when nothing more is read for now.
func (d *Descriptor) ReadDone() {
	if d.quickAck && d.read && d.fd >= 0 {
		_ = syscall.SetsockoptInt(d.fd, syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1) // was accepted when it was set first
	}
}

// Read reads what is there. A read that did not fill p is known to have emptied the
// socket, and the next is not tried before Ready: what came meanwhile is epoll's to tell.
func (d *Descriptor) Read(p []byte) (int, error) {
	if d.drained {
		return 0, ErrWouldBlock
	}
	for {
		n, err := d.receive(p)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			d.drained = true
			return 0, ErrWouldBlock
		case err != nil:
			return 0, err
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		}
		d.read = true
		d.drained = n < len(p)
		return n, nil
	}
}

func (d *Descriptor) receive(p []byte) (int, error) {
	if !d.stamps {
		return syscall.Read(d.fd, p)
	}
	n, control, _, _, err := syscall.Recvmsg(d.fd, p, d.control[:], 0)
	if err == nil && n > 0 {
		d.stamp = stampOf(d.control[:control])
	}
	return n, err
}

// Write writes what the kernel takes; if that is not all, it returns ErrWouldBlock too.
func (d *Descriptor) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, err := d.write(d.fd, p[done:])
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return done, ErrWouldBlock
		case err != nil:
			return done, err
		}
		done += n
	}
	return done, nil
}

// queue writes p, or keeps what the kernel does not take for Drain. Errors stay in Err.
func (d *Descriptor) queue(p []byte) {
	n := 0
	if len(d.queued) == 0 && d.err == nil {
		var err error
		if n, err = d.Write(p); err != nil && err != ErrWouldBlock {
			d.err = err
		}
	}
	if d.err == nil && len(d.queued)+len(p)-n > maxQueued {
		d.err = errWriteBacklog
	}
	if d.err == nil {
		d.queued = append(d.queued, p[n:]...)
	}
}

// Drain writes what was queued and reports whether all of it is gone.
func (d *Descriptor) Drain() bool {
	if len(d.queued) == 0 || d.err != nil {
		return d.err == nil
	}
	n, err := d.Write(d.queued)
	d.queued = d.queued[:copy(d.queued, d.queued[n:])]
	if err != nil && err != ErrWouldBlock {
		d.err = err
	}
	if len(d.queued) == 0 {
		d.queued = nil // it is rarely needed
	}
	return d.err == nil && err == nil
}

// Backlog returns how many bytes wait in the kernel to be read.
func (d *Descriptor) Backlog() (int, error) {
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(d.fd), syscall.TIOCINQ, address(&d.waiting)) // SIOCINQ by another name
	runtime.KeepAlive(d)
	if errno != 0 {
		return 0, errno
	}
	return int(d.waiting), nil
}

// Close closes the descriptor.
func (d *Descriptor) Close() {
	_ = syscall.Close(d.fd)
	d.fd, d.queued = -1, nil
}
