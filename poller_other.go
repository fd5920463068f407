//go:build !linux

package tickstorm

import "time"

// epoll is what a Poller needs Linux for; none is ever made here.
type epoll struct{ fd int }

func newEpoll(*PollerConfig) (*epoll, error) { return nil, ErrUnsupported }

func (*epoll) add(int, int32, int32) error          { return ErrUnsupported }
func (*epoll) modify(int, int32, int32, bool) error { return ErrUnsupported }
func (*epoll) remove(int)                           {}
func (*epoll) wait(time.Duration) (int, error)      { return 0, ErrUnsupported }
func (*epoll) look() (int, error)                   { return 0, ErrUnsupported }
func (*epoll) event(int) (int32, int32, bool)       { return 0, 0, false }
func (*epoll) wake()                                {}
func (*epoll) woken()                               {}
func (*epoll) close()                               {}

func setAffinity([]int) (func(), error) { return nil, ErrUnsupported }
