package tickstorm

import (
	"context"
	"errors"
	"net"
)

// ErrReleased: the Conn was released, and somebody else has its connection.
var ErrReleased = errors.New("connection was released")

// Opened is an open WebSocket that nobody drives yet, for event loops of a program's own:
// see [Session] for what such a loop does. It comes from [Open] or from [Conn.Release].
type Opened struct {
	// Conn is the transport: TCP, or a [*crypto/tls.Conn] on top of it, whose reads go on
	// after a deadline has broken one off.
	Conn net.Conn
	// Early is what the server sent right behind its handshake. Feed it to the session
	// before anything else.
	Early []byte
	// Session speaks on it.
	Session *Session
}

// Open opens the WebSocket of a session that has not begun: TCP, perhaps through a proxy,
// TLS and the handshake, as its Config says. ctx bounds it, and Config.DialTimeout within
// it. It only reads the session's Config, and may run on another goroutine than the
// session's.
//
// Errors: a [*DialError], which is ctx's error too if that has ended.
func Open(ctx context.Context, s *Session) (*Opened, error) {
	nc, early, err := open(ctx, &s.cfg)
	if err != nil {
		return nil, err
	}
	return &Opened{Conn: nc, Early: early, Session: s}, nil
}

// Release gives the connection to take, with everything that was read, decrypted and
// queued. If take returns nil the Conn is over: its methods return [ErrReleased], or do
// nothing. Otherwise the Conn is as it was, and Release returns take's error.
//
// It works on connections that no goroutine is using: after [Dial], not during Run or
// Subscribe. Other errors: [ErrRunning]; [ErrInHandler]; why the Conn ended, or ErrClosed,
// if it has.
func (c *Conn) Release(take func(*Opened) error) error {
	if c.inHandler() {
		return ErrInHandler
	}
	select {
	case c.driver <- struct{}{}:
	default:
		if c.isOver() {
			return c.reasonOrClosed()
		}
		return ErrRunning
	}
	if c.isOver() {
		<-c.driver
		return c.reasonOrClosed()
	}
	c.serve()
	if err := take(&Opened{Conn: c.nc, Early: c.early, Session: c.session}); err != nil {
		<-c.driver
		return err
	}
	// The token is kept: nobody drives this Conn any more.
	c.mu.Lock()
	late := c.asks
	c.asks, c.err = nil, ErrReleased
	close(c.over)
	c.mu.Unlock()
	for _, do := range late { // of a Close: the session is closing then
		do()
	}
	return nil
}
