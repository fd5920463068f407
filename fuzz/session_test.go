package fuzz

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// sessionEnd is all that can be seen of a Session after the same bytes went through it.
type sessionEnd struct {
	calls, err, out, topics string
	state                   tickstorm.SessionState
	stats                   tickstorm.Stats
}

func runSession(t *testing.T, feed func(*tickstorm.Session)) sessionEnd {
	var calls bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&calls, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	s, err := tickstorm.NewSession(tickstorm.Config{
		Key: "k", Market: tickstorm.Stocks, Rand: new(frameMasks), Logger: logger,
		ChunkTopics: 1, ReadBuffer: 32, Limits: tickstorm.Limits{Message: 1 << 12, Element: 1 << 10, Depth: 8},
	}, tickstorm.LogHandler{Logger: logger})
	require.NoError(t, err)
	done := func(err error) { fmt.Fprintln(&calls, "done", err) }
	require.NoError(t, s.Request(done, tickstorm.Topic{Channel: "T", Symbol: "A"}, tickstorm.Topic{Channel: "Q", Symbol: "A"}))
	require.NoError(t, s.Request(done, tickstorm.Topic{Channel: "ZZ", Symbol: "A"}))
	now := time.Unix(1_800_000_000, 0)
	s.Advance(now)
	feed(s)
	s.Advance(now.Add(11 * time.Second)) // what was not answered expires
	acked, pending := s.Topics()
	for _, topics := range [][]tickstorm.Topic{acked, pending} {
		slices.SortFunc(topics, func(a, b tickstorm.Topic) int { return strings.Compare(a.String(), b.String()) })
	}
	end := sessionEnd{err: fmt.Sprint(s.Err()), state: s.State(), stats: s.Stats(), topics: fmt.Sprint(acked, pending)}
	end.stats.Received = 0 // counts what comes in one piece with the end
	for n := range 3 {     // taking the bytes may make room for a pong that was held back
		out := s.Outgoing()
		end.out += fmt.Sprintf("%d: %x\n", n, out)
		s.Sent(len(out))
	}
	end.calls = calls.String()
	return end
}

func textFrames(data []byte) []byte {
	var in []byte
	for line := range bytes.Lines(data) {
		in = append(in, ws.MustCompileFrame(ws.NewTextFrame(bytes.TrimSuffix(line, []byte("\n"))))...)
	}
	return in
}

// FuzzSessionChunks: however the bytes of a server are cut, a Session makes the same calls,
// counts the same, says the same and ends the same. With lines, data are not bytes of
// WebSocket but messages, one a line, which reaches deeper than frames made by chance.
func FuzzSessionChunks(f *testing.F) {
	const dialogue = `[{"ev":"status","status":"connected","message":"Connected Successfully"}]
[{"ev":"status","status":"auth_success","message":"authenticated"}]
[{"ev":"status","status":"success","message":"subscribed to: T.A"},{"ev":"T","sym":"A","x":4,"p":1.5,"s":100,"t":1725984000123,"q":7}]
[{"ev":"status","status":"error","message":"not authorized"},{"ev":"T","sym":"A"},{"ev":"NEW"},7]
[{"ev":"status","status":"success","message":"unsubscribed to: T.A"},{"ev":"status","status":"success","message":"subscribed"}]
[{"ev":"status","status":"error","message":"Subscription limit reached for feed."}]
{"ev":"status","status":"success","message":"subscribed to: ZZ.A"}
no JSON
[{"ev":"status","status":"max_connections","message":"Maximum number of websocket connections exceeded. "}]
`
	in := textFrames([]byte(dialogue))
	f.Add([]byte(dialogue), true, uint16(5))
	f.Add([]byte(`[{"ev":"status","status":"auth_failed","message":"authentication failed"}]`), true, uint16(1))
	f.Add(in, false, uint16(3))
	f.Add(in[:len(in)/2], false, uint16(4096))
	f.Add(append(in[:200:200], ws.MustCompileFrame(ws.NewPingFrame([]byte("ping")))...), false, uint16(9))
	f.Add(append(in[:92:92], ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1008, "bye")))...), false, uint16(1))
	f.Add([]byte{0x81, 127, 0x40, 0, 0, 0, 0, 0, 0, 0}, false, uint16(2))
	f.Add([]byte{0x01, 2, '[', ']', 0x80, 0, 0x82, 1, 0xFF}, false, uint16(2))
	f.Fuzz(func(t *testing.T, in []byte, lines bool, size uint16) {
		if len(in) > 1<<14 {
			return // byte by byte, what is longer only takes longer
		}
		if lines {
			in = textFrames(in)
		}
		want := runSession(t, func(s *tickstorm.Session) { _ = s.Feed(in) })
		for _, size := range []int{1, int(size) + 1} {
			require.Equal(t, want, runSession(t, func(s *tickstorm.Session) {
				for p := range slices.Chunk(in, size) {
					require.Equal(t, s.Feed(p), s.Err())
				}
			}))
			require.Equal(t, want, runSession(t, func(s *tickstorm.Session) {
				for p := range slices.Chunk(in, size) {
					for len(p) > 0 && s.Err() == nil {
						n := copy(s.Buffer(), p)
						require.Positive(t, n)
						require.Equal(t, s.Commit(n), s.Err())
						p = p[n:]
					}
				}
			}))
		}
	})
}
