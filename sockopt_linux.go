package tickstorm

import (
	"fmt"
	"syscall"
	"time"
)

// Numbers that package syscall has on some architectures only; they are the same on all
// that Go runs on.
const (
	soBusyPoll     = 46
	tcpUserTimeout = 18
)

// set sets the options, but for KeepAlive.
func (o *SocketOptions) set(fd uintptr) error {
	for _, option := range []struct {
		name               string
		level, number, val int
		bad                bool
	}{
		{"SO_RCVBUF", syscall.SOL_SOCKET, syscall.SO_RCVBUF, o.ReceiveBuffer, o.ReceiveBuffer < 0},
		{"SO_BUSY_POLL", syscall.SOL_SOCKET, soBusyPoll, int(ceil(o.BusyPoll, time.Microsecond)), o.BusyPoll < 0},
		{"TCP_QUICKACK", syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, flag(o.QuickAck), false},
		{"TCP_USER_TIMEOUT", syscall.IPPROTO_TCP, tcpUserTimeout, int(ceil(o.UserTimeout, time.Millisecond)), o.UserTimeout < 0},
		{"SO_TIMESTAMPNS", syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS, flag(o.Timestamps), false},
	} {
		if option.bad {
			return &OptionError{option.name, fmt.Errorf("negative: %w", syscall.EINVAL)}
		}
		if option.val == 0 {
			continue
		}
		if err := syscall.SetsockoptInt(int(fd), option.level, option.number, option.val); err != nil {
			return &OptionError{option.name, err}
		}
	}
	return nil
}

func flag(on bool) int {
	if on {
		return 1
	}
	return 0
}

// ceil returns how many units d takes, so that a short time is not none.
func ceil(d, unit time.Duration) time.Duration { return (d + unit - 1) / unit }
