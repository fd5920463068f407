package tickstorm

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/tickstorm/tickstorm/internal/redact"
	"github.com/tickstorm/tickstorm/internal/sock"
)

// This file opens a connection: TCP, a tunnel where there is a proxy, TLS, and the WebSocket
// handshake, within one time.

// DialError is why a connection could not be opened. It unwraps to the cause.
type DialError struct {
	// Host is the host that was dialled. It never holds the key.
	Host string
	// Status is the HTTP status if the server, or a proxy, answered with another than
	// it should have; else 0.
	Status int
	// RetryAfter is how long a server, or a proxy, that refused with 429 or 503 wants to
	// be left alone, by its Retry-After; 0 if it did not say, and at most five minutes.
	RetryAfter time.Duration
	// Err is the cause, such as [ErrHandshake], [ErrAnswerTooLong], an error of [ErrProxy],
	// of package net or of TLS.
	Err error
}

// Error names the host and the cause.
func (e *DialError) Error() string { return fmt.Sprintf("dial %s: %v", e.Host, e.Err) }

// Unwrap returns Err.
func (e *DialError) Unwrap() error { return e.Err }

// open connects. The bytes that came right behind the handshake are in early: this
// vendor greets at once.
func open(ctx context.Context, cfg *Config) (nc net.Conn, early []byte, err error) {
	u, err := cfg.url()
	if err != nil {
		return nil, nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, cfg.DialTimeout)
	defer cancel()
	nc, early, err = connect(bounded, cfg, u)
	if err == nil {
		return nc, early, nil
	}
	if why := bounded.Err(); why != nil && !errors.Is(err, why) { // then the error is only how it was broken off
		err = fmt.Errorf("%w: %w", why, err)
	}
	if ctx.Err() == nil && bounded.Err() != nil {
		err = fmt.Errorf("not open within %v: %w", cfg.DialTimeout, err)
	}
	e := &DialError{Host: u.Host, Err: withoutSecrets(err, cfg.secrets().InBase64())}
	var refused *refusal
	if errors.As(err, &refused) {
		e.Status, e.RetryAfter = refused.status, refused.retryAfter
	}
	return nil, nil, e
}

// connect does what open is for. When ctx ends, whatever is going on is broken off.
func connect(ctx context.Context, cfg *Config, u *url.URL) (nc net.Conn, early []byte, err error) {
	proxy, err := proxyFor(cfg, u)
	if err != nil {
		return nil, nil, err
	}
	dial := cfg.NetDial
	if dial == nil {
		dial = cfg.Socket.Dialer().DialContext
	}
	first := cmp.Or(proxy, u)
	raw, err := dial(ctx, "tcp", net.JoinHostPort(first.Hostname(), portOf(first)))
	if err == nil && raw == nil {
		err = errors.New("Config.NetDial returned neither a connection nor an error")
	}
	if err != nil {
		return nil, nil, ofProxy(proxy, err)
	}
	// Closing what is below TLS breaks off every read and write, of connections that know no
	// deadlines too, and waits for nobody to read an alert.
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	nc, early, err = climb(ctx, cfg, u, proxy, raw)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = raw.Close()
		return nil, nil, err
	}
	return nc, early, nil
}

// climb goes from the TCP connection, which is to the proxy if that is not nil, up to the
// WebSocket.
func climb(ctx context.Context, cfg *Config, u, proxy *url.URL, nc net.Conn) (_ net.Conn, early []byte, err error) {
	secrets := redact.NewSecrets(append(credentials(proxy), cfg.secrets()...)...).InBase64()
	if proxy != nil {
		if nc, err = tunnel(ctx, nc, proxy, net.JoinHostPort(nameOf(u), portOf(u)), secrets); err != nil {
			return nil, nil, ofProxy(proxy, err)
		}
	}
	if u.Scheme == "wss" {
		if nc, err = secure(ctx, nc, tlsConfig(cfg.TLS, u)); err != nil {
			return nil, nil, behindProxy(proxy, err)
		}
	}
	if early, err = handshake(nc, u, cfg.Header, secrets); err != nil {
		return nil, nil, behindProxy(proxy, err)
	}
	return nc, early, nil
}

// portOf returns the port of a URL.
func portOf(u *url.URL) string {
	return cmp.Or(u.Port(), map[string]string{"ws": "80", "wss": "443", "http": "80", "https": "443"}[u.Scheme])
}

// nameOf returns the host of a URL as others know it: the zone of an IPv6 address means
// something on this machine only (RFC 6874, section 1).
func nameOf(u *url.URL) string {
	name, _, _ := strings.Cut(u.Hostname(), "%")
	return name
}

// secure does the TLS handshake on nc. Package epoll and whoever breaks a read off rely on
// the shim below it.
func secure(ctx context.Context, nc net.Conn, config *tls.Config) (net.Conn, error) {
	t := tls.Client(&sock.Shim{Conn: nc}, config)
	err := t.HandshakeContext(ctx)
	var record tls.RecordHeaderError
	switch {
	case err == nil:
		return t, nil
	case errors.As(err, &record) && record.Conn != nil:
		return nil, fmt.Errorf("TLS handshake: %w: the port has no TLS, so the URL should begin with ws:// (http:// of a proxy)", err)
	}
	return nil, fmt.Errorf("TLS handshake: %w", err)
}

// tlsConfig fills in the name to verify. It asks for HTTP/1.1 whatever base says, because in
// HTTP/2 this handshake does not exist.
func tlsConfig(base *tls.Config, u *url.URL) *tls.Config {
	c := base.Clone() // of nil is nil
	if c == nil {
		c = &tls.Config{}
	}
	if c.ServerName == "" {
		c.ServerName = nameOf(u)
	}
	c.NextProtos = []string{"http/1.1"}
	return c
}

// redactedError is an error whose text had a secret in it: what a server prints of itself,
// in its certificate for example, may be what an earlier connection told it.
type redactedError struct {
	error
	text string
}

func (e *redactedError) Error() string { return e.text }
func (e *redactedError) Unwrap() error { return e.error }

func withoutSecrets(err error, secrets redact.Secrets) error {
	text := err.Error()
	if clean := secrets.String(text); clean != text {
		return &redactedError{err, clean}
	}
	return err
}

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
