package tickstorm

import (
	"fmt"
	"net"
	"syscall"
	"time"
)

// SocketOptions are options of a TCP connection. Each is off, or left to the system, by
// its zero value. What the kernel refuses fails the connection with an [*OptionError].
//
// KeepAlive works everywhere, the others on Linux; elsewhere they are refused as
// [ErrUnsupported].
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
	// delaying them, so a [Detached] sets it again after every wake in which it read;
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
	// the latter. For a [Detached] only. The clock is the wall's, so it may jump.
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
