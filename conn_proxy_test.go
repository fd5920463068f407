package tickstorm_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
)

// tunnels is an HTTP proxy that knows CONNECT and nothing else.
type tunnels struct {
	requests chan *http.Request
	password string // to be given as user:password in base64, "" for none
}

func (p *tunnels) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.requests <- r
	switch {
	case r.Method != http.MethodConnect:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	case p.password != "" && r.Header.Get("Proxy-Authorization") != "Basic "+p.password:
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	target, err := net.Dial("tcp", r.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer target.Close()
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	_, _ = io.WriteString(client, "HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n")
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{client, target}, {target, client}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			way[0].Close()
			way[1].Close()
		})
	}
	both.Wait()
}

func startProxy(t *testing.T, password string) (*tunnels, *url.URL) {
	t.Helper()
	p := &tunnels{requests: make(chan *http.Request, 8), password: password}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	require.NoError(t, err)
	return p, u
}

// welcoming is a server of plain WebSocket that welcomes any key.
func welcoming(t *testing.T) tickstorm.Feed {
	t.Helper()
	return fixture.Listen(t, func(nc net.Conn) {
		if _, answer, err := fixture.Accept(nc); err == nil {
			_, _ = nc.Write(append(answer, fixture.Welcome()...))
			fixture.Attend(nc)
		}
	})
}

func TestDialThroughProxy(t *testing.T) {
	for _, tc := range []struct {
		name     string
		user     *url.Userinfo
		password string // that the proxy wants
		status   int    // 0 for success
	}{
		{"open", nil, "", 0},
		{"user and password", url.UserPassword("me", "pass word"), "bWU6cGFzcyB3b3Jk", 0},
		{"wrong password", url.UserPassword("me", "proxy-secret"), "bWU6cGFzcyB3b3Jk", 407},
		{"no password", nil, "bWU6cGFzcyB3b3Jk", 407},
	} {
		t.Run(tc.name, func(t *testing.T) {
			feed := welcoming(t)
			p, u := startProxy(t, tc.password)
			u.User = tc.user
			cfg := fixture.DialConfig(feed)
			var asked *http.Request
			cfg.Proxy = func(r *http.Request) (*url.URL, error) {
				asked = r
				return u, nil
			}
			conn, err := tickstorm.Dial(t.Context(), cfg, nil)
			require.Equal(t, "http://"+feedHost(feed)+"/stocks", asked.URL.String(), "in the words of http.Transport")
			r := <-p.requests
			require.Equal(t, http.MethodConnect, r.Method)
			require.Equal(t, feedHost(feed), r.Host)
			if tc.status == 0 {
				require.NoError(t, err)
				require.NoError(t, conn.Close())
				return
			}
			require.ErrorIs(t, err, tickstorm.ErrProxy)
			require.False(t, tickstorm.Retryable(err))
			var e *tickstorm.DialError
			require.ErrorAs(t, err, &e)
			require.Equal(t, tc.status, e.Status)
			require.NotContains(t, err.Error(), "proxy-secret")
		})
	}
}

func TestDialTLSThroughProxy(t *testing.T) {
	server, err := secureServer(t, "127.0.0.1:0")
	require.NoError(t, err)
	p, u := startProxy(t, "")
	cfg := fixture.DialConfig(tickstorm.Feed("wss://" + server.Listener.Addr().String()))
	cfg.TLS = trusting(server)
	cfg.Proxy = http.ProxyURL(u)
	conn, err := tickstorm.Dial(t.Context(), cfg, nil)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.Len(t, p.requests, 1)
}

// proxied is a Config for a server behind a proxy in memory, of which nothing but its host may
// be in an error.
func proxied(feed tickstorm.Feed, proxy string, serve func(net.Conn)) tickstorm.Config {
	cfg := fixture.DialConfig(feed)
	cfg.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(proxy) }
	cfg.NetDial = pipeTo(serve)
	return cfg
}

const secretProxy = "http://me:proxy-secret@proxy.invalid:3128/path"

// requireNoSecret checks that an error tells neither who asks the proxy nor the key.
func requireNoSecret(t *testing.T, err error) {
	t.Helper()
	for _, secret := range []string{"proxy-secret", "me:", "bWU6cHJveHktc2VjcmV0", fixture.Key} {
		require.NotContains(t, err.Error(), secret)
	}
	require.Less(t, len(err.Error()), 500)
}

// TestDialTunnel: any 2xx opens a tunnel, and what follows is the server's, whatever the
// answer says of a body.
func TestDialTunnel(t *testing.T) {
	for name, answer := range map[string]string{
		"200":                     "HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.0":                "HTTP/1.0 200 Connection established\r\n\r\n",
		"201":                     "HTTP/1.1 201 Created\r\n\r\n",
		"204":                     "HTTP/1.1 204 No Content\r\n\r\n",
		"299":                     "HTTP/1.1 299 Fine\r\n\r\n",
		"length":                  "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
		"chunks":                  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"lengths that are none":   "HTTP/1.1 200 OK\r\nContent-Length: x\r\nContent-Length: 5\r\n\r\n",
		"encoding that is none":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
		"to be closed":            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
		"interim answers":         "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
		"interim answers of 64 K": strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: "+strings.Repeat("x", 13_000)+"\r\n\r\n", 5) + "HTTP/1.1 200 OK\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn, err := tickstorm.Dial(t.Context(), proxied("ws://host", secretProxy, func(nc net.Conn) {
					if _, _, err := fixture.Accept(nc); err == nil {
						_, _ = io.WriteString(nc, answer)
						answers(nc, switching, true)
					}
				}), nil)
				require.NoError(t, err)
				require.EqualValues(t, len(fixture.Welcome()), conn.Stats().Received)
				require.NoError(t, conn.Close())
			})
		})
	}
}

// TestDialTunnelTarget: a zone means nothing to a proxy.
func TestDialTunnelTarget(t *testing.T) {
	for feed, target := range map[tickstorm.Feed]string{
		"ws://host": "host:80", "wss://host": "host:443", "ws://host:81": "host:81", "ws://[::1]:81": "[::1]:81",
		"ws://[fe80::1%25eth0]": "[fe80::1]:80", "wss://[fe80::1%25eth0]:81": "[fe80::1]:81",
	} {
		t.Run(string(feed), func(t *testing.T) {
			var r *http.Request
			_, err := tickstorm.Dial(t.Context(), proxied(feed, secretProxy, func(nc net.Conn) { r, _, _ = fixture.Accept(nc) }), nil)
			require.ErrorIs(t, err, tickstorm.ErrProxy)
			require.Equal(t, http.MethodConnect, r.Method)
			require.Equal(t, target, r.RequestURI)
			require.Equal(t, target, r.Host)
		})
	}
}

// TestDialTunnelRefused: a proxy's answer counts as a server's does, and every failure says
// that it is the proxy's, and which.
func TestDialTunnelRefused(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer string
		hangUp bool
		status int
		after  time.Duration
		retry  bool
		is     error // beside ErrProxy
	}{
		{"wrong password", "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", false, 407, 0, false, nil},
		{"forbidden", "HTTP/1.1 403 proxy-secret\r\n\r\n", false, 403, 0, false, nil},
		{"forbidden by HTTP/1.0", "HTTP/1.0 403 Forbidden\r\n\r\n", false, 403, 0, false, nil},
		{"too many", "HTTP/1.1 429 X\r\nRetry-After: 7\r\n\r\n", false, 429, 7 * time.Second, true, nil},
		{"unavailable", "HTTP/1.1 503 X\r\nRetry-After: 99999999999999999999\r\n\r\n", false, 503, 5 * time.Minute, true, nil},
		{"bad gateway", "HTTP/1.1 502 X\r\n\r\n", false, 502, 0, true, nil},
		{"body that never comes", "HTTP/1.1 403 X\r\nContent-Length: 1000\r\n\r\n<html>", false, 403, 0, false, nil},
		{"body without end", "HTTP/1.1 502 X\r\n\r\n" + strings.Repeat("x", 100_000), false, 502, 0, true, nil},
		{"broken chunks", "HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\nRetry-After: 7\r\n\r\nzz", false, 503, 7 * time.Second, true, nil},
		{"moved", "HTTP/1.1 302 Found\r\nLocation: https://me:proxy-secret@login/?bWU6cHJveHktc2VjcmV0\r\n\r\n", false, 302, 0, true, nil},
		{"switching", switching, false, 101, 0, true, nil},
		{"interim answers without end", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 6), false, 0, 0, true, tickstorm.ErrHandshake},
		{"cut short", "HTTP/1.1 503 X\r\nRetry-After: 7\r\nSer", true, 503, 7 * time.Second, true, io.ErrUnexpectedEOF},
		{"cut short though it is good", "HTTP/1.1 200 OK\r\n", true, 0, 0, true, io.ErrUnexpectedEOF},
		{"hangs up", "", true, 0, 0, true, io.ErrUnexpectedEOF},
		{"no HTTP", "220 proxy-secret bWU6cHJveHktc2VjcmV0 " + fixture.Key + "\r\n", false, 0, 0, true, tickstorm.ErrHandshake},
		{"TLS", "\x15\x03\x01\x00\x02\x02\x46", false, 0, 0, true, tickstorm.ErrHandshake},
		{"malformed header", "HTTP/1.1 200 OK\r\nproxy-secret\r\n\r\n", false, 0, 0, true, tickstorm.ErrHandshake},
		{"bytes before any were asked for", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, 0, 0, true, tickstorm.ErrHandshake},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				_, err := tickstorm.Dial(t.Context(), proxied("wss://host", secretProxy, func(nc net.Conn) {
					if _, _, err := fixture.Accept(nc); err == nil {
						if _, _ = io.WriteString(nc, tc.answer); !tc.hangUp {
							fixture.Swallow(nc)
						}
					}
				}), nil)
				require.Zero(t, time.Since(start))
				require.ErrorIs(t, err, tickstorm.ErrProxy)
				require.ErrorContains(t, err, "http://proxy.invalid:3128")
				requireNoSecret(t, err)
				var e *tickstorm.DialError
				require.ErrorAs(t, err, &e)
				require.Equal(t, "host", e.Host)
				require.Equal(t, tc.status, e.Status)
				require.Equal(t, tc.after, e.RetryAfter)
				require.Equal(t, tc.retry, tickstorm.Retryable(err))
				if tc.is != nil {
					require.ErrorIs(t, err, tc.is)
				}
			})
		})
	}
}

// TestDialBehindProxy: what a server does is not the proxy's fault, but that there is one is
// told.
func TestDialBehindProxy(t *testing.T) {
	for _, feed := range []tickstorm.Feed{"ws://host", "wss://host"} {
		_, err := tickstorm.Dial(t.Context(), proxied(feed, secretProxy, func(nc net.Conn) {
			if _, _, err := fixture.Accept(nc); err == nil {
				_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\n\r\n")
				_, _ = nc.Read(make([]byte, 4096))
				_, _ = io.WriteString(nc, "HTTP/1.1 404 Not Found\r\n\r\n")
			}
		}), nil)
		require.False(t, errors.Is(err, tickstorm.ErrProxy))
		require.ErrorContains(t, err, "http://proxy.invalid:3128")
		requireNoSecret(t, err)
		var e *tickstorm.DialError
		require.ErrorAs(t, err, &e)
		require.Equal(t, map[tickstorm.Feed]int{"ws://host": 404}[feed], e.Status)
	}
}

func TestDialProxyFails(t *testing.T) {
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	broken := errors.New("no idea")
	withUser := func(u string) string { return strings.Replace(u, "://", "://me:proxy-secret@", 1) }
	host := func(u string) string { return strings.TrimPrefix(strings.TrimPrefix(u, "https://"), "http://") }
	for _, tc := range []struct {
		name  string
		proxy string
		says  string
		err   error // of the function
		retry bool
	}{
		{"unsupported scheme", "socks5://me:proxy-secret@127.0.0.1:1080", "socks5://127.0.0.1:1080", nil, false},
		{"no scheme", "//me:proxy-secret@127.0.0.1:1080", "127.0.0.1:1080", nil, false},
		{"no host", "http://me:proxy-secret@", "no host", nil, false},
		{"a user for a scheme", "me:proxy-secret@host", "no host", nil, false},
		{"untrusted certificate", withUser(secure.URL), secure.URL, nil, false},
		{"TLS where there is none", withUser("https://" + host(plain.URL)), "http://", nil, true},
		{"none where there is TLS", withUser("http://" + host(secure.URL)), host(secure.URL), nil, true},
		{"refused", withUser(closed.URL), closed.URL, nil, true},
		{"no answer to the question", "", "no idea", broken, true},
		{"a password in the answer", "", "Config.Proxy", fmt.Errorf(`invalid proxy address "http://me:proxy-secret@%%zz": %w`, broken), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := fixture.DialConfig("ws://127.0.0.1:1")
			cfg.Proxy = func(*http.Request) (*url.URL, error) {
				if tc.err != nil {
					return nil, tc.err
				}
				return url.Parse(tc.proxy)
			}
			_, err := tickstorm.Dial(t.Context(), cfg, nil)
			require.ErrorIs(t, err, tickstorm.ErrProxy)
			require.ErrorContains(t, err, tc.says)
			requireNoSecret(t, err)
			if tc.err != nil {
				require.ErrorIs(t, err, broken)
			}
			var e *tickstorm.DialError
			require.ErrorAs(t, err, &e)
			require.Equal(t, tc.retry, tickstorm.Retryable(err))
		})
	}
}

func feedHost(feed tickstorm.Feed) string {
	return strings.TrimPrefix(strings.TrimPrefix(string(feed), "wss://"), "ws://")
}
