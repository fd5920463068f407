package tickstorm

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/tickstorm/tickstorm/internal/redact"
)

// This file is about the HTTP proxy on the way to the server.

// proxyError is a failure of a proxy, or on the way to one.
type proxyError struct {
	name string // without credentials; empty where it is not known which
	err  error
}

func (e *proxyError) Error() string {
	if e.name == "" {
		return fmt.Sprintf("proxy: %v", e.err)
	}
	return fmt.Sprintf("proxy %s: %v", e.name, e.err)
}

func (*proxyError) Is(target error) bool { return target == ErrProxy }
func (e *proxyError) Unwrap() error      { return e.err }

// ofProxy returns an error as that of the proxy, if there is one: it is not if proxy is nil.
func ofProxy(proxy *url.URL, err error) error {
	if proxy == nil {
		return err
	}
	return &proxyError{proxyName(proxy), err}
}

// behindProxy returns an error of the server, which names the proxy on the way to it, if there
// is one.
func behindProxy(proxy *url.URL, err error) error {
	if proxy == nil {
		return err
	}
	return fmt.Errorf("through the proxy %s: %w", proxyName(proxy), err)
}

// badProxy is a proxy that no retry can help to.
type badProxy string

func (e badProxy) Error() string { return string(e) }

// proxyName is a proxy as errors name it. A user, a password or a path are nobody's business.
func proxyName(proxy *url.URL) string { return proxy.Scheme + "://" + proxy.Host }

// proxyFor returns the proxy to u, nil for none. Proxy settings are about http and https; a
// WebSocket is one of them.
func proxyFor(cfg *Config, u *url.URL) (*url.URL, error) {
	target := *u
	target.RawQuery = "" // which is the server's business
	target.Scheme = map[string]string{"ws": "http", "wss": "https"}[u.Scheme]
	proxy, err := cfg.Proxy(&http.Request{Method: http.MethodGet, URL: &target, Host: u.Host, Header: http.Header{}})
	switch {
	case err != nil:
		if strings.Contains(err.Error(), "@") { // as those of http.ProxyFromEnvironment, which quote the setting
			err = &redactedError{err, "Config.Proxy failed with an error that may hold a password"}
		}
		return nil, &proxyError{"", err}
	case proxy == nil:
		return nil, nil
	case proxy.Hostname() == "":
		return nil, &proxyError{"", badProxy("its URL has no host")}
	case proxy.Scheme != "http" && proxy.Scheme != "https":
		return nil, &proxyError{proxyName(proxy), badProxy("the scheme is not supported, http and https are")}
	}
	return proxy, nil
}

// tunnel asks the proxy at the other end of nc for a tunnel to addr (RFC 9110, section 9.3.6),
// and returns the connection through it.
func tunnel(ctx context.Context, nc net.Conn, proxy *url.URL, addr string, secrets redact.Secrets) (net.Conn, error) {
	if proxy.Scheme == "https" {
		var err error
		if nc, err = secure(ctx, nc, tlsConfig(nil, proxy)); err != nil {
			return nil, err
		}
	}
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: http.Header{}}
	if proxy.User != nil {
		req.Header.Set("Proxy-Authorization", "Basic "+basicAuth(proxy.User))
	}
	r := newAnswerReader(nc, secrets)
	// "Any 2xx (Successful) response indicates that the sender ... will switch to tunnel
	// mode immediately after the response header section", and "A client MUST ignore any
	// Content-Length or Transfer-Encoding header fields".
	if _, err := r.ask(nc, req, func(status int) bool { return status/100 == 2 }); err != nil {
		return nil, err
	}
	// The server waits for our first byte. What comes before it would be lost in the reader.
	if n := r.br.Buffered(); n > 0 {
		return nil, fmt.Errorf("%w: %d bytes behind the answer, before the server was told anything", ErrHandshake, n)
	}
	return nc, nil
}

func basicAuth(user *url.Userinfo) string {
	password, _ := user.Password()
	return base64.StdEncoding.EncodeToString([]byte(user.Username() + ":" + password))
}

// credentials returns what no error may quote of who asks a proxy. The user may be a token.
func credentials(proxy *url.URL) []string {
	if proxy == nil || proxy.User == nil {
		return nil
	}
	password, _ := proxy.User.Password()
	return []string{basicAuth(proxy.User), password, proxy.User.Username()}
}
