package tickstorm

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm/internal/redact"
	"github.com/tickstorm/tickstorm/internal/sock"
)

// This file opens a connection: TCP, perhaps through a proxy, TLS, and the WebSocket
// handshake.

// DialError is why a connection could not be opened. It unwraps to the cause.
type DialError struct {
	// Host is the host that was dialled. It never holds the key.
	Host string
	// Status is the HTTP status if the server, or a proxy, answered with another than
	// it should have; else 0.
	Status int
	// RetryAfter is how long a server that refused with 429 or 503 wants to be left
	// alone, by its Retry-After; 0 if it did not say, and at most five minutes.
	RetryAfter time.Duration
	Err        error
}

// Error names the host and the cause.
func (e *DialError) Error() string { return fmt.Sprintf("dial %s: %v", e.Host, e.Err) }

// Unwrap returns Err.
func (e *DialError) Unwrap() error { return e.Err }

// ErrProxy is the identity of the errors of a proxy.
var ErrProxy = errors.New("proxy")

// open connects. The bytes that came right behind the handshake are in early: this
// vendor greets at once.
func open(ctx context.Context, cfg *Config) (nc net.Conn, early []byte, err error) {
	u, err := cfg.url()
	if err != nil {
		return nil, nil, err
	}
	var retryAfter time.Duration
	dialer := ws.Dialer{
		Timeout: cfg.DialTimeout,
		Header:  ws.HandshakeHeaderHTTP(cfg.Header),
		NetDial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return dialThrough(ctx, cfg, u, network, addr)
		},
		OnStatusError: func(status int, _ []byte, resp io.Reader) {
			retryAfter = retryAfterOf(status, resp)
		},
		TLSClient: func(conn net.Conn, hostname string) net.Conn {
			return tls.Client(&sock.Shim{Conn: conn}, tlsConfig(cfg.TLS, hostname))
		},
	}
	nc, br, _, err := dialer.Dial(ctx, u.String())
	if err != nil {
		if ctxErr := ctx.Err(); ctxErr != nil {
			err = errors.Join(ctxErr, err)
		}
		e := &DialError{Host: u.Host, RetryAfter: retryAfter, Err: withoutKey(err, cfg.Key)}
		var status ws.StatusError
		var proxy *proxyError
		switch {
		case errors.As(err, &status):
			e.Status = int(status)
		case errors.As(err, &proxy):
			e.Status = proxy.status
		}
		return nil, nil, e
	}
	if br != nil {
		early, err = br.Peek(br.Buffered())
		early = append([]byte(nil), early...)
		ws.PutReader(br)
	}
	return nc, early, err
}

const (
	maxRetryAfter = 5 * time.Minute
	maxRefusal    = 64 << 10 // of the headers of a refusal, in bytes
)

// retryAfterOf reads the Retry-After (RFC 9110, section 10.2.3) of a refused handshake.
func retryAfterOf(status int, resp io.Reader) time.Duration {
	if status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
		return 0
	}
	r, err := http.ReadResponse(bufio.NewReader(io.LimitReader(resp, maxRefusal)), nil)
	if err != nil {
		return 0
	}
	text := r.Header.Get("Retry-After") // the body is left: the connection is closed
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(0, time.Until(at)), maxRetryAfter)
	}
	return 0
}

// redactedError is an error whose text had the key in it: what a server prints of itself,
// in its certificate for example, may be what an earlier connection told it.
type redactedError struct {
	error
	text string
}

func (e *redactedError) Error() string { return e.text }
func (e *redactedError) Unwrap() error { return e.error }

func withoutKey(err error, key string) error {
	if text := err.Error(); redact.Index(text, key) >= 0 {
		return &redactedError{err, redact.String(text, key)}
	}
	return err
}

// tlsConfig fills in the name to verify. A host that is an IPv6 address comes in
// brackets, which are not part of its name.
func tlsConfig(base *tls.Config, hostname string) *tls.Config {
	c := base.Clone() // of nil is nil
	if c == nil {
		c = &tls.Config{}
	}
	if c.ServerName == "" {
		if n := len(hostname); n > 2 && hostname[0] == '[' && hostname[n-1] == ']' {
			hostname = hostname[1 : n-1]
		}
		c.ServerName = hostname
	}
	return c
}

// dialThrough opens a TCP connection to addr, by way of the proxy if there is one.
func dialThrough(ctx context.Context, cfg *Config, u *url.URL, network, addr string) (net.Conn, error) {
	dial := cfg.NetDial
	if dial == nil {
		dial = cfg.Socket.Dialer().DialContext
	}
	// Proxy settings are about http and https; a WebSocket is one of them.
	target := *u
	target.Scheme = map[string]string{"ws": "http", "wss": "https"}[u.Scheme]
	proxy, err := cfg.Proxy(&http.Request{Method: http.MethodGet, URL: &target, Host: u.Host, Header: http.Header{}})
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrProxy, err)
	case proxy == nil:
		return dial(ctx, network, addr)
	}
	port := map[string]string{"http": "80", "https": "443"}[proxy.Scheme]
	if port == "" {
		return nil, proxySchemeError(proxy.Scheme)
	}
	if p := proxy.Port(); p != "" {
		port = p
	}
	nc, err := dial(ctx, network, net.JoinHostPort(proxy.Hostname(), port))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProxy, err)
	}
	if proxy.Scheme == "https" {
		nc = tls.Client(&sock.Shim{Conn: nc}, tlsConfig(nil, proxy.Hostname()))
	}
	if err := connectThrough(ctx, nc, proxy, addr); err != nil {
		nc.Close()
		return nil, err
	}
	return nc, nil
}

// proxyError is a proxy's answer that is not 200.
type proxyError struct{ status int }

func (e *proxyError) Error() string {
	return fmt.Sprintf("proxy answered %d %s", e.status, http.StatusText(e.status))
}

func (*proxyError) Is(target error) bool { return target == ErrProxy }

// proxySchemeError is a proxy of an unsupported scheme, which no retry can help.
type proxySchemeError string

func (e proxySchemeError) Error() string {
	return fmt.Sprintf("proxy: scheme %q is not supported, http and https are", string(e))
}

func (proxySchemeError) Is(target error) bool { return target == ErrProxy }

// connectThrough asks a proxy for a tunnel to addr (RFC 9110, section 9.3.6).
func connectThrough(ctx context.Context, nc net.Conn, proxy *url.URL, addr string) error {
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(longAgo) })
	defer stop()
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: http.Header{}}
	if proxy.User != nil {
		password, _ := proxy.User.Password()
		token := base64.StdEncoding.EncodeToString([]byte(proxy.User.Username() + ":" + password))
		req.Header.Set("Proxy-Authorization", "Basic "+token)
	}
	if err := req.Write(nc); err != nil {
		return fmt.Errorf("%w: %w", ErrProxy, err)
	}
	// The server behind the tunnel waits for our first byte, so nothing can come
	// behind the answer and be lost in the reader.
	resp, err := http.ReadResponse(bufio.NewReader(nc), req)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProxy, err)
	}
	_ = resp.Body.Close() // empty by the method's definition
	if resp.StatusCode != http.StatusOK {
		return &proxyError{resp.StatusCode}
	}
	return nil
}
