package sock

import (
	"syscall"
	"time"
)

// Option is a socket option whose value is a number.
type Option struct {
	Name          string // in C
	level, number int
}

// Options of TCP connections. Two of their numbers package syscall has on some
// architectures only; they are the same on all that Go runs on.
var (
	ReceiveBuffer = Option{"SO_RCVBUF", syscall.SOL_SOCKET, syscall.SO_RCVBUF}
	BusyPoll      = Option{"SO_BUSY_POLL", syscall.SOL_SOCKET, 46}
	QuickAck      = Option{"TCP_QUICKACK", syscall.IPPROTO_TCP, syscall.TCP_QUICKACK}
	UserTimeout   = Option{"TCP_USER_TIMEOUT", syscall.IPPROTO_TCP, 18}
	Timestamps    = Option{"SO_TIMESTAMPNS", syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS}
)

// Set sets the option of a socket.
func (o Option) Set(fd uintptr, value int) error {
	return syscall.SetsockoptInt(int(fd), o.level, o.number, value)
}

// ceil returns how many units d takes, so that a short time is not none.
func ceil(d, unit time.Duration) time.Duration { return (d + unit - 1) / unit }
