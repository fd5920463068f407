//go:build !linux

package sock

import (
	"errors"
	"syscall"
)

// Descriptor needs Linux; none is ever made here.
type Descriptor struct{}

func Duplicate(syscall.Conn, bool, bool) (*Descriptor, error) { return nil, errors.ErrUnsupported }

func (*Descriptor) FD() int                   { return -1 }
func (*Descriptor) Err() error                { return errors.ErrUnsupported }
func (*Descriptor) Stamp() int64              { return 0 }
func (*Descriptor) Read([]byte) (int, error)  { return 0, errors.ErrUnsupported }
func (*Descriptor) Write([]byte) (int, error) { return 0, errors.ErrUnsupported }
func (*Descriptor) Ready()                    {}
func (*Descriptor) ReadDone()                 {}
func (*Descriptor) queue([]byte)              {}
func (*Descriptor) Drain() bool               { return true }
func (*Descriptor) Backlog() (int, error)     { return 0, errors.ErrUnsupported }
func (*Descriptor) Close()                    {}
