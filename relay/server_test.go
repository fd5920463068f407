package relay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/relay"
	"github.com/tickstorm/tickstorm/sim"
)

func TestConfig(t *testing.T) {
	up := tickstorm.Config{Key: "key", Market: tickstorm.Stocks}
	for name, cfg := range map[string]relay.Config{
		"no upstream":       {},
		"no key":            {Upstreams: []tickstorm.Config{{Market: tickstorm.Stocks}}},
		"a market twice":    {Upstreams: []tickstorm.Config{up, up}},
		"a negative limit":  {Upstreams: []tickstorm.Config{up}, MaxClients: -1},
		"a giant request":   {Upstreams: []tickstorm.Config{up}, MaxRequest: 1_000_000},
		"a negative queue":  {Upstreams: []tickstorm.Config{up}, Queue: relay.QueueConfig{Bytes: -1}},
		"thresholds":        {Upstreams: []tickstorm.Config{up}, Queue: relay.QueueConfig{High: 1, Low: 2}},
		"no such policy":    {Upstreams: []tickstorm.Config{up}, Queue: relay.QueueConfig{Overflow: 99}},
		"a negative a wait": {Upstreams: []tickstorm.Config{up}, CloseTimeout: -1},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := relay.New(cfg)
			require.Error(t, err)
		})
	}
}

// TestOrigins: one that no browser sends would let nobody in.
func TestOrigins(t *testing.T) {
	for origin, good := range map[string]bool{
		"https://desk.example.com": true, "http://127.0.0.1:8080": true, "http://[::1]:3000": true, "null": true, "file://": true,
		"chrome-extension://abcdef": true, "https://desk.example.com:8443": true,
		"desk.example.com": false, "https://desk.example.com/": false, "https://Desk.example.com": false, "https://desk.example.com:443": false,
		"http://desk:80": false, "https://": false, "": false, "*": false, "https://a@desk": false,
	} {
		_, err := relay.New(relay.Config{Upstreams: []tickstorm.Config{{Key: "key", Market: tickstorm.Stocks}}, Origins: []string{origin}})
		require.Equal(t, good, err == nil, "%q: %v", origin, err)
	}
}

func TestListen(t *testing.T) {
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0", "8.8.8.8:80"} {
		_, err := relay.Listen("tcp", address)
		require.ErrorIs(t, err, relay.ErrNotLoopback, address)
	}
	_, err := relay.Listen("udp", "127.0.0.1:0")
	require.ErrorIs(t, err, errors.ErrUnsupported)
	_, err = relay.Listen("tcp", "no address")
	require.Error(t, err)
	for _, address := range []string{"127.0.0.1:0", "127.9.9.9:0", "localhost:0"} {
		if l, err := relay.Listen("tcp", address); err == nil { // not every system has all of 127/8
			require.True(t, l.Addr().(*net.TCPAddr).IP.IsLoopback())
			require.NoError(t, l.Close())
		}
	}
	open, err := net.Listen("tcp", "0.0.0.0:0")
	require.NoError(t, err)
	s, err := relay.New(relay.Config{Upstreams: []tickstorm.Config{{Key: "key", Market: tickstorm.Stocks}}})
	require.NoError(t, err)
	require.ErrorIs(t, s.Serve(t.Context(), open), relay.ErrNotLoopback)
	require.Error(t, open.Close(), "it is closed already")
}

func TestUnixSocket(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("permissions are Unix's")
	}
	up := fixture.Start(t, quiet)
	path := filepath.Join(t.TempDir(), "relay")
	abandoned, err := net.Listen("unix", path)
	require.NoError(t, err)
	_, err = relay.Listen("unix", path)
	require.ErrorContains(t, err, "somebody listens")
	abandoned.(*net.UnixListener).SetUnlinkOnClose(false)
	require.NoError(t, abandoned.Close())
	l, err := relay.Listen("unix", path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&0o077, "nobody else may")
	s, err := relay.New(relay.Config{Upstreams: []tickstorm.Config{up.ClientConfig(tickstorm.Stocks)}})
	require.NoError(t, err)
	ended := fixture.InBackground(func() error { return s.Serve(context.Background(), l) })
	c, err := dial("unix", path, "/stocks", nil)
	require.NoError(t, err)
	defer c.nc.Close()
	c.t = t
	c.send(auth)
	c.expect(greeting, success)
	require.NoError(t, s.Shutdown(t.Context()))
	require.NoError(t, <-ended)
	require.EqualValues(t, 1012, c.end())
}

func TestWhoMayConnect(t *testing.T) {
	b := start(t, quiet, tickstorm.Stocks, func(c *relay.Config) {
		c.MaxClients = 2
		c.Origins = []string{"https://desk.example.com"}
	})
	b.streaming(0)
	origin := func(o string) http.Header { return http.Header{"Origin": {o}} }
	for _, tc := range []struct {
		name, path string
		header     http.Header
		code       int
	}{
		{"no such market", "/crypto", nil, 404},
		{"no path", "/", nil, 404},
		{"a page", "/stocks", origin("https://evil.example.com"), 403},
		{"a page of this machine", "/stocks", origin("http://127.0.0.1:8080"), 403},
		{"a file", "/stocks", origin("null"), 403},
		{"one good page and one other", "/stocks", http.Header{"Origin": {"https://desk.example.com", "https://evil.example.com"}}, 403},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := dial("tcp", b.addr, tc.path, tc.header)
			require.Equal(t, ws.StatusError(tc.code), err)
		})
	}
	good, err := dial("tcp", b.addr, "/stocks", origin("https://desk.example.com"))
	require.NoError(t, err)
	good.t = t
	second := b.login("/stocks/")
	b.await(func(s relay.MarketStats) bool { return s.Clients == 2 }) // an answered handshake is not yet a client
	_, err = dial("tcp", b.addr, "/stocks", nil)
	require.Equal(t, ws.StatusError(503), err, "there are two")
	require.NoError(t, good.nc.Close())
	b.await(func(s relay.MarketStats) bool { return s.Clients == 1 })
	b.login("/stocks")
	second.take("T.A")
	st := b.relay.Stats()
	require.Equal(t, 2, st.Clients)
	require.EqualValues(t, 3, st.Accepted)
	require.EqualValues(t, 7, st.Refused)
	require.Equal(t, 1, b.clients()[0].Topics)
	response, err := http.Get("http://" + b.addr + "/stocks")
	require.NoError(t, err)
	require.Equal(t, 503, response.StatusCode)
	require.NoError(t, response.Body.Close())
}

// TestNotRunning: a handler that is mounted before Run waits for it.
func TestNotRunning(t *testing.T) {
	up := fixture.Start(t, quiet)
	newServer := func(patience time.Duration) *relay.Server {
		s, err := relay.New(relay.Config{Upstreams: []tickstorm.Config{up.ClientConfig(tickstorm.Stocks)}, HandshakeTimeout: patience})
		require.NoError(t, err)
		return s
	}
	mux := http.NewServeMux()
	idle, s := newServer(time.Millisecond), newServer(patience)
	mux.Handle("/idle/", http.StripPrefix("/idle", idle))
	mux.Handle("/relay/", http.StripPrefix("/relay", s))
	web := httptest.NewServer(mux)
	defer web.Close()
	addr := web.Listener.Addr().String()
	_, err := dial("tcp", addr, "/idle/stocks", nil)
	require.Equal(t, ws.StatusError(503), err)
	require.NoError(t, idle.Shutdown(t.Context()))
	require.NoError(t, idle.Run(t.Context()), "it was ended before")

	ctx, cancel := context.WithCancel(t.Context())
	ended := fixture.Runs(ctx, s)
	c, err := dial("tcp", addr, "/relay/stocks", nil)
	require.NoError(t, err)
	defer c.nc.Close()
	c.t = t
	c.send(auth)
	c.expect(greeting, success)
	require.ErrorIs(t, s.Run(t.Context()), tickstorm.ErrRunning)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.EqualValues(t, 1012, c.end())
	require.ErrorIs(t, s.Run(t.Context()), tickstorm.ErrEnded)
	_, err = dial("tcp", addr, "/relay/stocks", nil)
	require.Equal(t, ws.StatusError(503), err)
}

// TestOtherMachines: a handler that somebody has mounted on an open address serves nobody else.
func TestOtherMachines(t *testing.T) {
	s, err := relay.New(relay.Config{Upstreams: []tickstorm.Config{{Key: "key", Market: tickstorm.Stocks}}})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodGet, "/stocks", nil)
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}))
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	require.Equal(t, http.StatusForbidden, w.Code)
}

// TestShutdownAgain: of a server that has ended before it began, whatever its context.
func TestShutdownAgain(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 { // there are two things to choose from
		s, err := relay.New(relay.Config{Upstreams: []tickstorm.Config{{Key: "key", Market: tickstorm.Stocks}}})
		require.NoError(t, err)
		require.NoError(t, s.Shutdown(t.Context()))
		require.NoError(t, s.Run(t.Context()))
		require.NotPanics(t, func() { _ = s.Shutdown(over) })
	}
}

func TestRestart(t *testing.T) {
	b := start(t, quiet, tickstorm.Stocks)
	b.streaming(0)
	a, c, silent := b.login("/stocks"), b.login("/stocks"), b.client("/stocks")
	a.take("T.AAPL")
	b.up.Broadcast([]byte("[" + oddTrade + "]"))
	b.await(func(s relay.MarketStats) bool { return s.Events == 1 })
	ended := fixture.InBackground(func() error { return b.relay.Shutdown(t.Context()) })
	a.expect("[" + oddTrade + "]")
	require.EqualValues(t, 1012, a.end())
	require.EqualValues(t, 1012, c.end())
	require.EqualValues(t, 1012, silent.end())
	require.NoError(t, <-ended)
	require.NoError(t, b.over())
	_, err := dial("tcp", b.addr, "/stocks", nil)
	require.Error(t, err)
	require.Zero(t, b.relay.Stats().Clients)
}

// TestPatientShutdown: who takes its time gets what is queued for it, as long as Shutdown waits.
func TestPatientShutdown(t *testing.T) {
	for name, patient := range map[string]bool{"patient": true, "the context of Run ends": false} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, quiet, tickstorm.Stocks, nil, func(b *bench) {
				c := b.login("/stocks")
				c.take("T.AAPL")
				const events = 3
				for range events {
					b.up.Broadcast([]byte("[" + oddTrade + "]"))
				}
				b.await(func(s relay.MarketStats) bool { return s.Events == events })
				ended := fixture.InBackground(func() error { return b.relay.Shutdown(context.Background()) })
				if !patient {
					time.Sleep(time.Second)
					b.cancel()
				}
				time.Sleep(3 * time.Second) // less than CloseTimeout
				code := c.end()
				require.NoError(t, <-ended)
				require.NoError(t, b.over())
				if !patient {
					require.Zero(t, code)
					return
				}
				require.EqualValues(t, 1012, code)
				require.Equal(t, events, strings.Count(strings.Join(c.messages, ""), oddTrade))
			})
		})
	}
}

func TestAuthTimeout(t *testing.T) {
	inBubble(t, quiet, tickstorm.Stocks, nil, func(b *bench) {
		c, later := b.client("/stocks"), b.login("/stocks")
		begun := time.Now()
		c.expect(greeting, "["+fixture.Status("auth_timeout", "No authentication request received.")+"]")
		require.Equal(t, 15*time.Second, time.Since(begun))
		require.Equal(t, ws.StatusPolicyViolation, c.end())
		later.take("T.A")
		nc, err := b.dial()
		require.NoError(t, err)
		defer nc.Close()
		_, err = nc.Write([]byte("GET /stocks HTTP/1.1\r\n"))
		require.NoError(t, err)
		begun = time.Now()
		_, _ = io.Copy(io.Discard, nc)
		require.Equal(t, 15*time.Second, time.Since(begun), "it is hung up on")
	})
}

// TestRequestWithoutItsBody: who announces what it never sends holds no place, whatever it was answered.
func TestRequestWithoutItsBody(t *testing.T) {
	for name, request := range map[string]string{
		"refused":       "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n",
		"in pieces":     "POST /stocks HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
		"no web socket": "GET /stocks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, quiet, tickstorm.Stocks, nil, func(b *bench) {
				nc, err := b.dial()
				require.NoError(t, err)
				defer nc.Close()
				begun := time.Now()
				require.NoError(t, nc.SetDeadline(begun.Add(time.Hour)))
				_, err = nc.Write([]byte(request))
				require.NoError(t, err)
				_, _ = io.Copy(io.Discard, nc)
				require.LessOrEqual(t, time.Since(begun), time.Minute, "it is hung up on")
			})
		})
	}
}

// TestDeadClients: who answers no ping is dead; who answers may be silent.
func TestDeadClients(t *testing.T) {
	inBubble(t, quiet, tickstorm.Stocks, nil, func(b *bench) {
		alive, dead := b.login("/stocks"), b.login("/stocks")
		begun, gone := time.Now(), make(chan time.Duration, 1)
		require.NoError(t, dead.nc.SetReadDeadline(time.Time{}))
		go func() {
			_, _ = io.Copy(io.Discard, dead.nc)
			gone <- time.Since(begun)
		}()
		for alive.pings < 20 {
			require.NoError(t, alive.more())
		}
		require.Equal(t, 4*30*time.Second, <-gone)
		require.Equal(t, 1, b.relay.Stats().Markets[0].Clients)
		alive.take("T.A")
	})
}

func TestHostileClients(t *testing.T) {
	b := start(t, quiet, tickstorm.Stocks, func(c *relay.Config) { c.MaxRequest = 1000 })
	b.streaming(0)
	for _, tc := range []struct {
		name string
		sent []byte
		code ws.StatusCode
	}{
		{"no mask", ws.MustCompileFrame(ws.NewTextFrame([]byte(auth))), ws.StatusProtocolError},
		{"too long", fixture.Wire(true, true, ws.OpText, strings.Repeat("x", 1001)), ws.StatusMessageTooBig},
		{"too long in pieces", bytes.Repeat(fixture.Wire(true, false, ws.OpText, strings.Repeat("x", 999)), 1), 0},
		{"no text", fixture.Wire(true, true, ws.OpText, "\xff"), ws.StatusInvalidFramePayloadData},
		{"garbage", []byte("\xff\xfe\xfd this is no frame"), ws.StatusProtocolError},
		{"half a frame", fixture.Wire(true, true, ws.OpText, auth)[:5], 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := b.login("/stocks")
			_, err := c.nc.Write(tc.sent)
			require.NoError(t, err)
			if tc.code == 0 {
				require.NoError(t, c.nc.Close())
				return
			}
			require.Equal(t, tc.code, c.end())
		})
	}
	b.await(func(s relay.MarketStats) bool { return s.Clients == 0 })
	c := b.login("/stocks")
	c.take("T.A")
}

// TestAsksAndDoesNotRead: answers do not pile up for who does not read them.
func TestAsksAndDoesNotRead(t *testing.T) {
	b := start(t, quiet, tickstorm.Stocks, func(c *relay.Config) { c.MaxRequest = 1000 })
	b.streaming(0)
	c := b.login("/stocks")
	request := fixture.Wire(true, true, ws.OpText, subscribe(strings.Repeat("T.A,", 200)))
	_ = c.nc.SetWriteDeadline(time.Now().Add(patience))
	var err error
	for err == nil {
		_, err = c.nc.Write(request)
	}
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	b.await(func(s relay.MarketStats) bool { return s.Clients == 0 })
}

// TestPingsWithoutAKey: who has shown no key is answered no more than it takes to say that it needs one.
func TestPingsWithoutAKey(t *testing.T) {
	inBubble(t, quiet, tickstorm.Stocks, nil, func(b *bench) {
		c := b.client("/stocks")
		require.NoError(t, c.nc.SetDeadline(time.Now().Add(10*time.Second)), "less than HandshakeTimeout")
		ping := fixture.Wire(true, true, ws.OpPing, strings.Repeat("x", 125))
		var err error
		sent := 0
		for ; err == nil && sent < 1<<20; sent += len(ping) {
			_, err = c.nc.Write(ping)
		}
		require.Error(t, err)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Less(t, sent, 128<<10)
	})
}

// TestManyAnswersTogether: what many requests have asked for may be answered at once.
func TestManyAnswersTogether(t *testing.T) {
	inBubble(t, sim.Config{Quiet: true, Acks: sim.AckNothing}, tickstorm.Stocks, func(c *relay.Config) {
		c.MaxRequest = 4096
	}, func(b *bench) {
		c := b.login("/stocks")
		const requests, each = 10, 500
		for n := range requests {
			var topics []string
			for i := range each {
				topics = append(topics, fmt.Sprintf("T.X%d", n*each+i))
			}
			c.send(subscribe(strings.Join(topics, ",")))
		}
		for got := 0; got < requests*each; {
			m := c.next()
			require.Contains(t, m, `"status":"pending"`)
			got += strings.Count(m, `"status":"pending"`)
		}
	})
}

// TestRequestsAreNotKept: of a request no more is kept than its topics.
func TestRequestsAreNotKept(t *testing.T) {
	b := start(t, quiet, tickstorm.Stocks)
	b.streaming(0)
	c := b.login("/stocks")
	heap := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := heap()
	for i := range 300 {
		topic := fmt.Sprint("T.X", i)
		c.send(subscribe(topic + "," + strings.Repeat("x", 100_000)))
		c.expect(acks(topic))
	}
	require.Less(t, heap()-before, 10<<20)
}

// TestLongestRefusal: a request of short topics is refused in as many long words.
func TestLongestRefusal(t *testing.T) {
	inBubble(t, quiet, tickstorm.Stocks, func(c *relay.Config) {
		c.MaxRequest, c.MaxTopics = 4096, 1
	}, func(b *bench) {
		c := b.login("/stocks")
		const topics = 1000
		c.send(subscribe(strings.Repeat("T.A,T.B,", topics/2)))
		for got := 0; got < topics; {
			m := c.next()
			require.Contains(t, m, "Subscription limit reached")
			got += strings.Count(m, `"status":"error"`)
		}
	})
}

// TestKeysStayWhereTheyAre: neither the upstream's nor a client's is logged or sent down.
func TestKeysStayWhereTheyAre(t *testing.T) {
	const key = "upstream-secret-key"
	var log safeBuffer
	up := fixture.Start(t, sim.Config{Quiet: true, Keys: map[string]sim.Plan{key: {}}})
	upstream := up.ClientConfig(tickstorm.Stocks)
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	upstream.Logger = logger
	b := startAt(t, up, upstream, func(c *relay.Config) { c.Logger = logger })
	b.streaming(0)
	c := b.client("/stocks")
	c.send(`{"action":"auth","params":"client-secret-key"}`)
	c.expect(greeting, success)
	c.take("T.AAPL")
	up.Broadcast([]byte("[" + fixture.Status("error", "the key is "+key) + `,{"ev":"T","sym":"AAPL","i":"` + key + `"}]`))
	c.expect(`[{"ev":"T","sym":"AAPL","i":"[redacted]"}]`)
	require.NoError(t, b.relay.Shutdown(t.Context()))
	require.NotContains(t, log.String(), "secret")
	require.NotContains(t, fmt.Sprintf("%+v", b.relay.Stats()), "secret")
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestLongMessages: official clients read less than a million bytes.
func TestLongMessages(t *testing.T) {
	b := start(t, quiet, tickstorm.Stocks)
	b.streaming(0)
	c := b.login("/stocks")
	c.take("T.*")
	element := `{"ev":"T","sym":"AAPL","i":"` + strings.Repeat("x", 100_000) + `"}`
	b.up.Broadcast([]byte("[" + strings.Repeat(element+",", 24) + element + "]"))
	got := 0
	for got < 25 {
		m := c.next()
		require.LessOrEqual(t, len(m), dialogue.MaxMessage)
		got += strings.Count(m, `"ev":"T"`)
	}
	require.Equal(t, 25, got)
}
