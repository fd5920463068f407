//go:build !linux

package sock

import "errors"

// Option is a socket option whose value is a number.
type Option struct {
	Name string // in C
}

// Options of TCP connections.
var (
	ReceiveBuffer = Option{"SO_RCVBUF"}
	BusyPoll      = Option{"SO_BUSY_POLL"}
	QuickAck      = Option{"TCP_QUICKACK"}
	UserTimeout   = Option{"TCP_USER_TIMEOUT"}
	Timestamps    = Option{"SO_TIMESTAMPNS"}
)

// Set sets the option of a socket.
func (o Option) Set(uintptr, int) error { return errors.ErrUnsupported }
