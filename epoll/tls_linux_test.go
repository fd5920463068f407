package epoll_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/epoll"
	"github.com/tickstorm/tickstorm/frame"
	"github.com/tickstorm/tickstorm/internal/fixture"
)

// crypto/tls reads on after an error that is a timeout and temporary. That rests on a
// deprecated method, so these tests hold it down: however the encrypted bytes are cut,
// with a read that would block at every cut, the events are the same.

// serverTLS returns a certificate's server side and what a client verifies it with.
func serverTLS(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	t.Cleanup(s.Close)
	client = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	client.ServerName, client.NextProtos = "example.com", nil
	return &tls.Config{Certificates: s.TLS.Certificates}, client
}

// relay stands between a client and a server. What the server sends passes freely until
// hold, and then in the pieces that pass lets through.
type relay struct {
	feed tickstorm.Feed
	nc   net.Conn
	came chan struct{} // holds a token when held has grown

	mu      sync.Mutex
	holding bool
	held    []byte
}

func startRelay(t *testing.T, server tickstorm.Feed) *relay {
	r := &relay{came: make(chan struct{}, 1)}
	feed := fixture.Listen(t, func(nc net.Conn) {
		up, err := net.Dial("tcp", strings.TrimPrefix(string(server), "ws://"))
		if err != nil {
			return
		}
		defer up.Close()
		r.mu.Lock()
		r.nc = nc
		r.mu.Unlock()
		var both sync.WaitGroup
		both.Go(func() {
			_, _ = io.Copy(up, nc)
			_ = up.Close()
		})
		buf := make([]byte, 64<<10)
		for {
			n, err := up.Read(buf)
			if err != nil {
				break
			}
			r.mu.Lock()
			if r.holding {
				r.held = append(r.held, buf[:n]...)
				select {
				case r.came <- struct{}{}:
				default:
				}
			} else {
				_, _ = nc.Write(buf[:n])
			}
			r.mu.Unlock()
		}
		_ = nc.Close()
		both.Wait()
	})
	r.feed = tickstorm.Feed(strings.Replace(string(feed), "ws://", "wss://", 1))
	return r
}

func (r *relay) hold() {
	r.mu.Lock()
	r.holding = true
	r.mu.Unlock()
}

// pass lets the next piece through, once it is there.
func (r *relay) pass(t *testing.T, cut func([]byte) int) {
	t.Helper()
	for !r.cut(cut) {
		select {
		case <-r.came:
		case <-time.After(patience):
			require.FailNow(t, "waited too long")
		}
	}
}

func (r *relay) cut(cut func([]byte) int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := cut(r.held)
	if n == 0 || n > len(r.held) {
		return false
	}
	n, _ = r.nc.Write(r.held[:n])
	r.held = r.held[n:]
	return true
}

// recordLength is the length of the TLS record at the beginning of b, 0 if it is not known yet.
func recordLength(b []byte) int {
	if len(b) < 5 {
		return 0
	}
	return 5 + int(binary.BigEndian.Uint16(b[3:]))
}

// cuts are ways to cut a stream of TLS records. Each is made anew for a connection,
// and returns the length of the next piece.
var cuts = []struct {
	name string
	make func() func([]byte) int
}{
	{"single bytes", func() func([]byte) int { return func(b []byte) int { return min(1, len(b)) } }},
	{"threes", func() func([]byte) int { return func(b []byte) int { return min(3, len(b)) } }},
	{"whole records", func() func([]byte) int { return recordLength }},
	{"header, payload", func() func([]byte) int {
		left := 0
		return func(b []byte) int {
			if n := left; n > 0 {
				if len(b) < n {
					return 0
				}
				left = 0
				return n
			}
			if n := recordLength(b); n > 0 {
				left = n - 5
				return 5
			}
			return 0
		}
	}},
	{"one byte late", func() func([]byte) int { // a piece ends one byte into the next record
		first := true
		return func(b []byte) int {
			n := 1 // of this record are there already
			if first {
				n = 0
			}
			if len(b) < 5-n {
				return 0
			}
			n = 5 - n + int(binary.BigEndian.Uint16(b[3-n:])) + 1
			first = first && n > len(b)
			return n
		}
	}},
	{"random", func() func([]byte) int {
		random := rand.New(rand.NewPCG(1, 2))
		return func(b []byte) int { return min(1+random.IntN(300), len(b)) }
	}},
}

// expected is what the servers of these tests send, and the events in it.
func expected() (frames [][]byte, events int) {
	for i, n := range []int{1, 2, 1, 40, 1, 400, 3, 1, 1, 7} { // 400 take several records
		msg := "[" + trades(n) + "]"
		if i%2 == 0 {
			msg = strings.ReplaceAll(msg, "100", "1e2")
		}
		frames = append(frames, fixture.Wire(false, true, ws.OpText, msg))
		events += n
	}
	return frames, events
}

// last is what the servers send last: no event.
var last = fixture.Wire(false, true, ws.OpText, "[]")

func inOne(frames [][]byte) []byte { return bytes.Join(frames, nil) }

// passAll lets everything through, piece by piece, and calls ReadReady once behind each.
func passAll(t *testing.T, r *relay, d *epoll.Detached, cut func([]byte) int, done func() bool) (wouldBlock int) {
	t.Helper()
	for !done() {
		r.pass(t, cut)
		arrived(t, d, 1)
		d.Advance(time.Now())
		require.NoError(t, d.ReadReady(0), "it would block, and is fine")
		wouldBlock++
	}
	return wouldBlock
}

func requireTrades(t *testing.T, r *fixture.Recorder, frames [][]byte) {
	t.Helper()
	want := new(fixture.Recorder)
	session, err := tickstorm.NewSession(tickstorm.Config{Key: fixture.Key, Market: tickstorm.Stocks}, want)
	require.NoError(t, err)
	require.NoError(t, session.Feed(fixture.Welcome()))
	require.NoError(t, session.Feed(inOne(frames)))
	require.Empty(t, r.Errors)
	require.Len(t, r.Events, len(want.Events))
	for i, e := range r.Events {
		require.Equal(t, string(want.Events[i].Head().Raw), string(e.Head().Raw))
	}
}

func TestTLSResumption(t *testing.T) {
	serverConfig, clientConfig := serverTLS(t)
	frames, events := expected()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, c := range cuts {
			t.Run(tls.VersionName(version)+"/"+c.name, func(t *testing.T) {
				start := make(chan struct{})
				r := startRelay(t, fixture.Listen(t, func(raw net.Conn) {
					nc := tls.Server(raw, serverConfig)
					_, answer, err := fixture.Accept(nc)
					if err != nil {
						return
					}
					_, _ = nc.Write(append(answer, fixture.Welcome()...))
					<-start
					for _, f := range frames {
						_, _ = nc.Write(f)
					}
					_, _ = nc.Write(inOne(frames))
					_, _ = nc.Write(last)
					fixture.Attend(nc)
				}))
				cfg := fixture.DialConfig(r.feed)
				cfg.TLS = clientConfig.Clone()
				cfg.TLS.MinVersion, cfg.TLS.MaxVersion = version, version
				got := new(fixture.Recorder)
				d := dialDetached(t, cfg, got)
				require.NoError(t, d.ReadReady(0))
				r.hold()
				close(start)
				blocked := passAll(t, r, d, c.make(), func() bool { return len(got.Events) >= 2+2*events })
				requireTrades(t, got, append(frames, frames...))
				if c.name == "single bytes" {
					require.Greater(t, blocked, 10_000)
				}
				d.Shutdown()
				require.NoError(t, d.Err())
			})
		}
	}
}

// keyServer is a server that asks for new keys between messages and sends tickets.
type keyServer struct {
	peer  *tls13Peer
	err   error
	ready chan struct{} // closed when the dialogue is over

	mu      sync.Mutex
	updates int    // that the client has answered
	bytes   []byte // that it has sent
}

func startKeyServer(t *testing.T, cfg *tls.Config) (*keyServer, tickstorm.Feed) {
	s := &keyServer{ready: make(chan struct{})}
	return s, fixture.Listen(t, func(nc net.Conn) {
		if s.err = s.dialogue(nc, cfg); s.err != nil {
			close(s.ready)
			return
		}
		close(s.ready)
		for {
			kind, payload, err := s.peer.read()
			s.mu.Lock()
			switch {
			case err != nil:
				s.err = err
			case kind == recordHandshake:
				s.updates++
			case kind == recordData:
				s.bytes = append(s.bytes, payload...)
			}
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	})
}

func (s *keyServer) dialogue(nc net.Conn, cfg *tls.Config) error {
	var err error
	if s.peer, err = acceptTLS13(nc, cfg); err != nil {
		return err
	}
	var request []byte
	for !bytes.Contains(request, []byte("\r\n\r\n")) {
		kind, payload, err := s.peer.read()
		if err != nil {
			return err
		}
		if kind == recordData {
			request = append(request, payload...)
		}
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request)))
	if err != nil {
		return err
	}
	_, err = nc.Write(s.peer.data(append(fixture.Accepted(r), fixture.Welcome()...)))
	return err
}

// answered returns how many key updates were answered, and the client's text messages.
func (s *keyServer) answered(t *testing.T) (updates int, messages []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	texts := &collector{}
	require.NoError(t, frame.New(frame.Config{Server: true}, texts).Feed(bytes.Clone(s.bytes)))
	return s.updates, texts.messages
}

type collector struct{ messages []string }

func (c *collector) OnMessage(_ ws.OpCode, p []byte) error {
	c.messages = append(c.messages, string(p))
	return nil
}

func (*collector) OnControl(ws.OpCode, []byte) {}

// dialKeyServer connects, by way of a relay or directly, or skips the test where crypto/tls
// would rather use a cipher that the test has no code for.
func dialKeyServer(t *testing.T, h tickstorm.Handler, relayed bool) (*keyServer, *relay, *epoll.Detached) {
	t.Helper()
	serverConfig, clientConfig := serverTLS(t)
	s, feed := startKeyServer(t, serverConfig)
	cfg := fixture.DialConfig(tickstorm.Feed(strings.Replace(string(feed), "ws://", "wss://", 1)))
	var r *relay
	if relayed {
		r = startRelay(t, feed)
		cfg.Feed = r.feed
	}
	cfg.TLS, cfg.WriteTimeout = clientConfig, time.Hour
	cfg.ChunkTopics = 1 << 20
	conn, err := tickstorm.Dial(t.Context(), cfg, h)
	<-s.ready
	if s.err == errCipherSuite {
		t.Skip(s.err)
	}
	require.NoError(t, s.err)
	require.NoError(t, err)
	d, err := epoll.Detach(conn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = d.Close() })
	return s, r, d
}

func TestTLSKeyUpdates(t *testing.T) {
	frames, events := expected()
	for _, c := range cuts {
		t.Run(c.name, func(t *testing.T) {
			got := new(fixture.Recorder)
			s, r, d := dialKeyServer(t, got, true)
			r.hold()
			for _, f := range frames {
				records := s.peer.data(f)
				update, err := s.peer.keyUpdate()
				require.NoError(t, err)
				records = append(records, update...)
				_, err = s.peer.nc.Write(append(records, s.peer.ticket()...))
				require.NoError(t, err)
			}
			_, err := s.peer.nc.Write(append(s.peer.data(frames[0]), s.peer.data(last)...))
			require.NoError(t, err)
			passAll(t, r, d, c.make(), func() bool { return len(got.Events) >= 2+events+1 })
			requireTrades(t, got, append(frames, frames[0]))

			require.NoError(t, d.Request(nil, fixture.Topics(t, "T.LAST")...))
			require.Eventually(t, func() bool {
				updates, messages := s.answered(t)
				return updates == len(frames) && len(messages) > 0 && strings.Contains(messages[len(messages)-1], "T.LAST")
			}, patience, time.Millisecond)
		})
	}
}

// TestTLSKeyUpdateBlocked: while the kernel takes nothing, answers to key updates wait
// behind what was begun, and all of it arrives whole.
func TestTLSKeyUpdateBlocked(t *testing.T) {
	for _, room := range []int{0, 3, 1000, 20_000} { // the request begins nowhere, in a header, in a record, in the second
		t.Run(fmt.Sprint(room), func(t *testing.T) {
			got := new(fixture.Recorder)
			s, _, d := dialKeyServer(t, got, false)
			l := newLoop(t, d)
			many, request := manyTopics(10_000)
			l.narrow(room)
			require.NoError(t, d.Request(nil, many...))
			require.True(t, d.WantWrite())
			const updates = 10
			for range updates {
				update, err := s.peer.keyUpdate()
				require.NoError(t, err)
				_, err = s.peer.nc.Write(append(update, s.peer.data(fixture.Wire(false, true, ws.OpText, "["+trades(1)+"]"))...))
				require.NoError(t, err)
			}
			require.NoError(t, l.until(func() bool { return len(got.Events) == 2+updates }))
			require.True(t, d.WantWrite())
			var n int
			var messages []string
			require.Eventually(t, func() bool {
				n, messages = s.answered(t)
				return len(messages) > 0
			}, patience, time.Millisecond)
			require.Zero(t, n)
			require.Len(t, messages, 1, "the key")
			l.widen()
			require.NoError(t, l.until(func() bool { return !d.WantWrite() }))
			require.Eventually(t, func() bool {
				n, messages = s.answered(t)
				return n == updates && len(messages) == 2
			}, patience, 10*time.Millisecond)
			require.Equal(t, request, messages[1])
		})
	}
}

// TestTLSKeyUpdateFlood: a peer that asks for new keys and reads no answer is cut off.
func TestTLSKeyUpdateFlood(t *testing.T) {
	s, _, d := dialKeyServer(t, nil, false)
	l := newLoop(t, d)
	l.narrow(1000)
	var writer sync.WaitGroup
	defer writer.Wait()
	defer d.Close()
	writer.Go(func() {
		note := fixture.Wire(false, true, ws.OpText, `[]`) // without data in between crypto/tls itself objects
		for {
			var records []byte
			for range 100 {
				update, err := s.peer.keyUpdate()
				if err != nil {
					return
				}
				records = append(append(records, update...), s.peer.data(note)...)
			}
			if _, err := s.peer.nc.Write(records); err != nil {
				return
			}
		}
	})
	require.ErrorIs(t, l.until(func() bool { return false }), tickstorm.ErrDisconnected)
	require.ErrorContains(t, d.Err(), "reads none")
}
