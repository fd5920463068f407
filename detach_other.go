//go:build !linux

package tickstorm

import "syscall"

// socket is what Detach needs Linux for; none is ever made here.
type socket struct {
	fd    int
	err   error
	stamp int64
}

func newSocket(syscall.Conn, *SocketOptions) (*socket, error) { return nil, ErrUnsupported }

func (*socket) Read([]byte) (int, error)  { return 0, ErrUnsupported }
func (*socket) Write([]byte) (int, error) { return 0, ErrUnsupported }
func (*socket) ready()                    {}
func (*socket) readDone()                 {}
func (*socket) queue([]byte)              {}
func (*socket) drain() bool               { return true }
func (*socket) backlog() (int, error)     { return 0, ErrUnsupported }
func (*socket) close()                    {}
