package tickstorm_test

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
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
	return listen(t, func(nc net.Conn) {
		if _, answer, err := accept(nc); err == nil {
			_, _ = nc.Write(append(answer, welcome()...))
			attend(nc)
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
			cfg := dialConfig(feed)
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
	cfg := dialConfig(tickstorm.Feed("wss://" + server.Listener.Addr().String()))
	cfg.TLS = trusting(server)
	cfg.Proxy = http.ProxyURL(u)
	conn, err := tickstorm.Dial(t.Context(), cfg, nil)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.Len(t, p.requests, 1)
}

func TestDialProxyFails(t *testing.T) {
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	garbage := listen(t, func(nc net.Conn) { _, _ = io.WriteString(nc, "220 mail ready\r\n"); swallow(nc) })
	broken := errors.New("no idea")
	for _, tc := range []struct {
		name  string
		proxy string
		err   error // of the function
		retry bool
	}{
		{"unsupported scheme", "socks5://me:proxy-secret@127.0.0.1:1080", nil, false},
		{"untrusted certificate", secure.URL, nil, false},
		{"refused", closed.URL, nil, true},
		{"no HTTP", "http://" + feedHost(garbage), nil, true},
		{"no answer to the question", "", broken, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := dialConfig("ws://127.0.0.1:1")
			cfg.Proxy = func(*http.Request) (*url.URL, error) {
				if tc.err != nil {
					return nil, tc.err
				}
				return url.Parse(tc.proxy)
			}
			_, err := tickstorm.Dial(t.Context(), cfg, nil)
			require.ErrorIs(t, err, tickstorm.ErrProxy)
			if tc.err != nil {
				require.ErrorIs(t, err, tc.err)
			}
			var e *tickstorm.DialError
			require.ErrorAs(t, err, &e)
			require.Equal(t, tc.retry, tickstorm.Retryable(err))
			require.NotContains(t, err.Error(), "proxy-secret")
		})
	}
}

func feedHost(feed tickstorm.Feed) string {
	return strings.TrimPrefix(strings.TrimPrefix(string(feed), "wss://"), "ws://")
}
