package tickstorm

import (
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/tickstorm/tickstorm/internal/sock"
)

// SocketOptions are options of a TCP connection. Each is off, or left to the system, by
// its zero value. What the kernel refuses fails the connection with an [*OptionError].
//
// KeepAlive works everywhere, the others on Linux; elsewhere they are refused as
// [errors.ErrUnsupported].
type SocketOptions struct {
	// ReceiveBuffer is how many bytes the kernel may hold (SO_RCVBUF), set before the
	// connection is made because TCP agrees on its window then. The kernel doubles it
	// for its own needs and caps it, silently, by net.core.rmem_max; it also stops sizing
	// the buffer by itself.
	ReceiveBuffer int
	// BusyPoll has reads and waits poll the network card for so long before they sleep
	// (SO_BUSY_POLL). It needs CAP_NET_ADMIN beyond net.core.busy_read, and a card whose
	// driver supports it.
	BusyPoll time.Duration
	// QuickAck sends acknowledgements at once (TCP_QUICKACK). The kernel falls back to
	// delaying them, so package epoll sets it again after every wake in which it read;
	// a Conn, which package net drives, sets it only once.
	QuickAck bool
	// KeepAlive is how the kernel probes a silent connection; the zero value is Go's: after
	// 15 s, every 15 s, nine times.
	KeepAlive net.KeepAliveConfig
	// UserTimeout is how long sent bytes, or probes, may stay unacknowledged until the
	// kernel gives the connection up (TCP_USER_TIMEOUT).
	UserTimeout time.Duration
	// Timestamps takes the Received of events from the kernel (SO_TIMESTAMPNS): when the
	// last segment of what was read came from the network, instead of when the loop was
	// told the time; where the kernel has no timestamp, as for the first moments, it is
	// the latter. For package epoll only. The clock is the wall's, so it may jump.
	Timestamps bool
}

// OptionError is an option that the kernel refused.
type OptionError struct {
	Option string // its name in C, such as "SO_BUSY_POLL"
	Err    error
}

// Error names the option and the reason.
func (e *OptionError) Error() string { return fmt.Sprintf("option %s: %v", e.Option, e.Err) }

// Unwrap returns Err.
func (e *OptionError) Unwrap() error { return e.Err }

// Control sets the options on a socket that is not connected yet: it is a Control of
// [net.Dialer], and of anything else that has one. KeepAlive is not among them, because a
// net.Dialer sets that itself, later.
func (o SocketOptions) Control(_, _ string, c syscall.RawConn) error {
	o.KeepAlive = net.KeepAliveConfig{}
	if o == (SocketOptions{}) {
		return nil
	}
	var refused error
	if err := c.Control(func(fd uintptr) { refused = o.set(fd) }); err != nil {
		return err
	}
	return refused
}

// Dialer returns a dialer that applies the options, for a Config.NetDial that adds to it.
func (o SocketOptions) Dialer() *net.Dialer {
	d := &net.Dialer{KeepAliveConfig: o.KeepAlive}
	o.KeepAlive = net.KeepAliveConfig{}
	if o != (SocketOptions{}) {
		d.Control = o.Control
	}
	return d
}

// set sets the options, but for KeepAlive.
func (o *SocketOptions) set(fd uintptr) error {
	for _, option := range []struct {
		sock.Option
		value int
	}{
		{sock.ReceiveBuffer, o.ReceiveBuffer},
		{sock.BusyPoll, inUnits(o.BusyPoll, time.Microsecond)},
		{sock.QuickAck, flag(o.QuickAck)},
		{sock.UserTimeout, inUnits(o.UserTimeout, time.Millisecond)},
		{sock.Timestamps, flag(o.Timestamps)},
	} {
		if option.value < 0 {
			return &OptionError{option.Name, fmt.Errorf("negative: %w", syscall.EINVAL)}
		}
		if option.value == 0 {
			continue
		}
		if err := option.Set(fd, option.value); err != nil {
			return &OptionError{option.Name, err}
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

// inUnits returns how many units d takes, so that a short time is not none; less than 0 is -1.
func inUnits(d, unit time.Duration) int {
	if d < 0 {
		return -1
	}
	return int((d + unit - 1) / unit)
}
