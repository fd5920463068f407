package relay_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/relay"
)

// roots are those of a certificate that signs itself.
func roots(t testing.TB, certFile string) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(certFile)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(pem))
	return &tls.Config{RootCAs: pool}
}

// TestBeyondLoopback: what an address that others can reach needs, wherever clients come in.
func TestBeyondLoopback(t *testing.T) {
	certFile, keyFile := fixture.CertFiles(t, t.TempDir(), "relay")
	keys := newKeys(t, relay.Key{Name: "desk", Token: token("desk")})
	for _, tc := range []struct {
		name       string
		change     func(*relay.Config)
		plain, tls bool // may be
	}{
		{"nothing", func(*relay.Config) {}, false, false},
		{"keys", func(c *relay.Config) { c.Keys = keys }, false, false},
		{"TLS", func(c *relay.Config) { c.CertFile, c.KeyFile = certFile, keyFile }, false, false},
		{"keys and TLS", func(c *relay.Config) { c.Keys = keys; c.CertFile, c.KeyFile = certFile, keyFile }, false, true},
		{"insecure", func(c *relay.Config) { c.Insecure = true }, true, false},
		{"insecure with TLS", func(c *relay.Config) { c.Insecure = true; c.CertFile, c.KeyFile = certFile, keyFile }, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := relay.Config{Upstreams: []tickstorm.Config{{Key: "key", Market: tickstorm.Stocks}}, HandshakeTimeout: time.Millisecond}
			tc.change(&cfg)
			s, err := relay.New(cfg)
			require.NoError(t, err)
			check := func(l net.Listener, err error, may bool) {
				t.Helper()
				if may {
					require.NoError(t, err)
					require.NoError(t, l.Close())
					return
				}
				require.Error(t, err)
			}
			for _, address := range []string{":0", "0.0.0.0:0", "[::]:0"} {
				if l, err := net.Listen("tcp", address); err != nil {
					continue // the machine has no such
				} else {
					require.NoError(t, l.Close())
				}
				l, err := s.Listen(t.Context(), "tcp", address)
				check(l, err, tc.plain)
				if !tc.plain {
					require.ErrorIs(t, err, relay.ErrNotLoopback)
				}
				l, err = s.Listen(t.Context(), "tls", address)
				check(l, err, tc.tls)
			}
			l, err := s.Listen(t.Context(), "tcp", "127.0.0.1:0")
			check(l, err, true)
			l, err = s.Listen(t.Context(), "tls", "127.0.0.1:0")
			check(l, err, cfg.CertFile != "")

			for _, secure := range []bool{false, true} {
				r := httptest.NewRequest(http.MethodGet, "/stocks", nil)
				r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}))
				if secure {
					r.TLS = &tls.ConnectionState{}
				}
				w := httptest.NewRecorder()
				s.ServeHTTP(w, r)
				want := http.StatusForbidden
				if cfg.Insecure || cfg.Keys != nil && secure {
					want = http.StatusServiceUnavailable // it does not run
				}
				require.Equal(t, want, w.Code)
			}
			open, err := net.Listen("tcp", "0.0.0.0:0")
			require.NoError(t, err)
			if !cfg.Insecure { // a listener of the caller's own can have TLS, and cannot be asked
				require.ErrorIs(t, s.Serve(t.Context(), open), relay.ErrNotLoopback)
			}
			_ = open.Close()
		})
	}
}

func TestBadCertificates(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := fixture.CertFiles(t, dir, "relay")
	_, otherKey := fixture.CertFiles(t, t.TempDir(), "other")
	for name, change := range map[string]func(*relay.Config){
		"no file":         func(c *relay.Config) { c.CertFile, c.KeyFile = filepath.Join(dir, "none"), keyFile },
		"no key":          func(c *relay.Config) { c.CertFile = certFile },
		"no certificate":  func(c *relay.Config) { c.KeyFile = keyFile },
		"another's key":   func(c *relay.Config) { c.CertFile, c.KeyFile = certFile, otherKey },
		"no PEM":          func(c *relay.Config) { c.CertFile, c.KeyFile = keyFile, certFile },
		"TLS without any": func(c *relay.Config) { c.TLS = &tls.Config{} },
		"a version of old": func(c *relay.Config) {
			c.CertFile, c.KeyFile, c.TLS = certFile, keyFile, &tls.Config{MinVersion: tls.VersionTLS11}
		},
		"one for each client": func(c *relay.Config) {
			c.CertFile, c.KeyFile = certFile, keyFile
			c.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil }}
		},
		"a lock in no place": func(c *relay.Config) { c.Lock = filepath.Join(dir, "none", "lock") },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := relay.Config{Upstreams: []tickstorm.Config{{Key: "key", Market: tickstorm.Stocks}}}
			change(&cfg)
			s, err := relay.New(cfg)
			if err == nil {
				err = s.Run(t.Context())
			}
			require.Error(t, err)
			require.NotErrorIs(t, err, context.Canceled)
		})
	}
	if runtime.GOOS != "windows" {
		require.NoError(t, os.Chmod(keyFile, 0o644))
		_, err := relay.New(relay.Config{Upstreams: []tickstorm.Config{{Key: "key", Market: tickstorm.Stocks}}, CertFile: certFile, KeyFile: keyFile})
		require.ErrorIs(t, err, relay.ErrExposed)
	}
}

// serveTLS serves a relay of a simulator with TLS, until the test ends.
func serveTLS(t *testing.T, upstream tickstorm.Config, cfg relay.Config) *bench {
	t.Helper()
	upstream.Backoff = tickstorm.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond}
	cfg.Upstreams = []tickstorm.Config{upstream}
	s, err := relay.New(cfg)
	require.NoError(t, err)
	l, err := s.Listen(t.Context(), "tls", "127.0.0.1:0")
	require.NoError(t, err)
	return run(t, s, l)
}

// TestTLS: a client of this library over TLS with a token; and a certificate that is renewed, or
// broken, while the relay runs.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := fixture.CertFiles(t, dir, "first")
	up := fixture.Start(t, quiet)
	b := serveTLS(t, up.ClientConfig(tickstorm.Stocks), relay.Config{
		Keys:     newKeys(t, relay.Key{Name: "desk", Token: token("desk")}),
		CertFile: certFile, KeyFile: keyFile, FilePoll: time.Millisecond,
	})
	b.up = up
	b.streaming(0)
	client := tickstorm.Config{
		Key: token("desk"), Market: tickstorm.Stocks, Feed: tickstorm.Feed("wss://" + b.addr), Proxy: tickstorm.NoProxy, TLS: roots(t, certFile),
	}
	conn, err := tickstorm.Dial(t.Context(), client, tickstorm.NopHandler{})
	require.NoError(t, err)
	require.NoError(t, conn.Subscribe(t.Context(), tickstorm.Trades, "AAPL"))
	require.NoError(t, conn.Close())

	named := func() string {
		nc, err := tls.Dial("tcp", b.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}}) // whose name is looked at
		require.NoError(t, err)
		defer nc.Close()
		require.Equal(t, "http/1.1", nc.ConnectionState().NegotiatedProtocol)
		require.GreaterOrEqual(t, nc.ConnectionState().Version, uint16(tls.VersionTLS12))
		return nc.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	require.Equal(t, "first", named())
	await := func(cond func(relay.CertificateStats) bool) {
		t.Helper()
		for deadline := time.Now().Add(patience); !cond(b.relay.Stats().Certificate); time.Sleep(time.Millisecond) {
			require.True(t, time.Now().Before(deadline))
		}
	}
	require.NoError(t, os.WriteFile(certFile, []byte("broken"), 0o644))
	await(func(s relay.CertificateStats) bool { return s.Err != nil })
	require.Equal(t, "first", named())
	loaded := b.relay.Stats().Certificate.Loaded
	fixture.CertFiles(t, dir, "second")
	await(func(s relay.CertificateStats) bool { return s.Err == nil && s.Loaded.After(loaded) })
	require.Equal(t, "second", named())
	require.WithinDuration(t, time.Now().Add(time.Hour), b.relay.Stats().Certificate.NotAfter, time.Minute)

	plain, err := dial("tcp", b.addr, "/stocks", nil)
	require.Error(t, err, "without TLS")
	require.Nil(t, plain)
	require.NoError(t, b.relay.Shutdown(t.Context()))
	require.NoError(t, b.over())
}

// TestCertificateOfFiles: it goes before those that the TLS of the Config has, also for a client that asks for no name.
func TestCertificateOfFiles(t *testing.T) {
	certFile, keyFile := fixture.CertFiles(t, t.TempDir(), "file")
	other, err := tls.LoadX509KeyPair(fixture.CertFiles(t, t.TempDir(), "other"))
	require.NoError(t, err)
	up := fixture.Start(t, quiet)
	cfg := &tls.Config{
		Certificates:   []tls.Certificate{other},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &other, nil },
	}
	b := serveTLS(t, up.ClientConfig(tickstorm.Stocks), relay.Config{TLS: cfg, CertFile: certFile, KeyFile: keyFile})
	for _, name := range []string{"", "localhost", "elsewhere"} {
		nc, err := tls.Dial("tcp", b.addr, &tls.Config{InsecureSkipVerify: true, ServerName: name}) // whose name is looked at
		require.NoError(t, err)
		require.Equal(t, "file", nc.ConnectionState().PeerCertificates[0].Subject.CommonName, name)
		require.NoError(t, nc.Close())
	}
	require.Len(t, cfg.Certificates, 1, "the caller's is as it was")
}

// TestStuckOverTLS: one that reads nothing is cut off, and holds nobody up.
func TestStuckOverTLS(t *testing.T) {
	certFile, keyFile := fixture.CertFiles(t, t.TempDir(), "relay")
	up := fixture.Start(t, quiet)
	b := serveTLS(t, up.ClientConfig(tickstorm.Stocks), relay.Config{
		CertFile: certFile, KeyFile: keyFile, CloseTimeout: 10 * time.Millisecond,
		Queue: relay.QueueConfig{Bytes: 64 << 10},
	})
	b.up, b.dial = up, func() (net.Conn, error) { return tls.Dial("tcp", b.addr, roots(t, certFile)) }
	b.streaming(0)
	stuck := b.login("/stocks")
	stuck.take("T.A")
	flood := `[{"ev":"T","sym":"A","i":"` + strings.Repeat("x", 10_000) + `"}]`
	for b.relay.Stats().Markets[0].Clients > 0 {
		b.up.Broadcast([]byte(flood))
	}
}
