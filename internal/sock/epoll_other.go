//go:build !linux

package sock

import (
	"errors"
	"time"
)

// WakeSlot is the slot of Wake.
const WakeSlot = -1

// Epoll needs Linux; none is ever made here.
type Epoll struct{}

func NewEpoll() (*Epoll, error) { return nil, errors.ErrUnsupported }

func (*Epoll) FD() int                              { return -1 }
func (*Epoll) BusyPoll(time.Duration, int) error    { return errors.ErrUnsupported }
func (*Epoll) Add(int, int32, int32) error          { return errors.ErrUnsupported }
func (*Epoll) Modify(int, int32, int32, bool) error { return errors.ErrUnsupported }
func (*Epoll) Remove(int)                           {}
func (*Epoll) Wait(time.Duration) (int, error)      { return 0, errors.ErrUnsupported }
func (*Epoll) Look() (int, error)                   { return 0, errors.ErrUnsupported }
func (*Epoll) Event(int) (int32, int32, bool)       { return 0, 0, false }
func (*Epoll) Wake()                                {}
func (*Epoll) Woken()                               {}
func (*Epoll) Close()                               {}

func SetAffinity([]int) (func(), error) { return nil, errors.ErrUnsupported }
