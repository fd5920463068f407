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

// callLog writes down what a Session tells its handler, with every field of every event: a
// slice that is nil is told from one that is empty.
type callLog struct{ w *bytes.Buffer }

func (l callLog) OnRaw(msg []byte, received int64) bool {
	fmt.Fprintf(l.w, "raw %d %#v\n", received, msg)
	return true
}
func (l callLog) OnTrade(e *tickstorm.Trade)         { fmt.Fprintf(l.w, "%#v\n", e) }
func (l callLog) OnQuote(e *tickstorm.Quote)         { fmt.Fprintf(l.w, "%#v\n", e) }
func (l callLog) OnAggregate(e *tickstorm.Aggregate) { fmt.Fprintf(l.w, "%#v\n", e) }
func (l callLog) OnBook(e *tickstorm.Book)           { fmt.Fprintf(l.w, "%#v\n", e) }
func (l callLog) OnLULD(e *tickstorm.LULD)           { fmt.Fprintf(l.w, "%#v\n", e) }
func (l callLog) OnImbalance(e *tickstorm.Imbalance) { fmt.Fprintf(l.w, "%#v\n", e) }
func (l callLog) OnValue(e *tickstorm.Value)         { fmt.Fprintf(l.w, "%#v\n", e) }
func (l callLog) OnStatus(e *tickstorm.Status)       { fmt.Fprintf(l.w, "%#v\n", e) }
func (l callLog) OnUnknown(e *tickstorm.Unknown)     { fmt.Fprintf(l.w, "%#v\n", e) }
func (l callLog) OnError(e *tickstorm.EventError)    { fmt.Fprintf(l.w, "%v %#v\n", e, e) }

var sessionTime = time.Unix(1_800_000_000, 0)

// runSession runs a Session whose read window has a size of its own: each, and each number of
// reads, gives back memory at other moments.
func runSession(t *testing.T, window int, feed func(*tickstorm.Session)) sessionEnd {
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
		ChunkTopics: 1, ReadBuffer: window, Limits: tickstorm.Limits{Message: 1 << 12, Element: 1 << 10, Depth: 8},
	}, callLog{&calls})
	require.NoError(t, err)
	done := func(err error) { fmt.Fprintln(&calls, "done", err) }
	require.NoError(t, s.Request(done, tickstorm.Topic{Channel: "T", Symbol: "A"}, tickstorm.Topic{Channel: "Q", Symbol: "A"}))
	require.NoError(t, s.Request(done, tickstorm.Topic{Channel: "ZZ", Symbol: "A"}))
	s.Advance(sessionTime)
	feed(s)
	s.Advance(sessionTime.Add(11 * time.Second)) // what was not answered expires
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
	frames := func(frames ...ws.Frame) []byte {
		var b []byte
		for _, f := range frames {
			b = append(b, ws.MustCompileFrame(f)...)
		}
		return b
	}
	f.Add([]byte(dialogue), true, []byte{5}, uint8(31))
	f.Add([]byte(`[{"ev":"status","status":"auth_failed","message":"authentication failed"}]`), true, []byte{1}, uint8(31))
	f.Add(in, false, []byte{3}, uint8(0))
	f.Add(in, false, []byte{3, lull, 200}, uint8(99))
	f.Add(in[:len(in)/2], false, []byte{254, 0}, uint8(31))
	f.Add(append(in[:200:200], frames(ws.NewPingFrame([]byte("ping")))...), false, []byte{9}, uint8(31))
	f.Add(append(in[:92:92], frames(ws.NewCloseFrame(ws.NewCloseFrameBody(1008, "bye")))...), false, []byte{1}, uint8(31))
	f.Add([]byte{0x81, 127, 0x40, 0, 0, 0, 0, 0, 0, 0}, false, []byte{2}, uint8(31))
	f.Add([]byte{0x01, 2, '[', ']', 0x80, 0, 0x82, 1, 0xFF}, false, []byte{2}, uint8(31))
	burst := frames(ws.NewFrame(ws.OpText, false, []byte("[    ")), ws.NewFrame(ws.OpContinuation, true, []byte("]")))
	empty := frames(ws.NewFrame(ws.OpText, false, nil), ws.NewFrame(ws.OpContinuation, true, nil))
	f.Add(slices.Concat(burst, bytes.Repeat(frames(ws.NewPongFrame(nil)), 40), empty), false, []byte{2}, uint8(3))
	f.Add(slices.Concat(empty, burst, empty, empty), false, []byte{1, lull}, uint8(3))
	f.Fuzz(func(t *testing.T, in []byte, lines bool, cuts []byte, window uint8) {
		if len(in) > 1<<14 {
			return // byte by byte, what is longer only takes longer
		}
		if lines {
			in = textFrames(in)
		}
		run := func(feed func(*tickstorm.Session)) sessionEnd { return runSession(t, 1+int(window), feed) }
		want := run(func(s *tickstorm.Session) { _ = s.Feed(in) })
		for _, cuts := range [][]byte{{1}, cuts} {
			require.Equal(t, want, run(func(s *tickstorm.Session) {
				cut(in, cuts, func(p []byte) {
					s.Advance(sessionTime) // as a loop does, each time it has waited
					if err := s.Feed(p); err != s.Err() {
						t.Fatalf("Feed returned %v, Err %v", err, s.Err())
					}
				})
			}))
			require.Equal(t, want, run(func(s *tickstorm.Session) {
				cut(in, cuts, func(p []byte) {
					for s.Err() == nil {
						n := copy(s.Buffer(), p)
						if err := s.Commit(n); err != s.Err() {
							t.Fatalf("Commit returned %v, Err %v", err, s.Err())
						}
						if p = p[n:]; len(p) == 0 {
							return
						}
						require.Positive(t, n)
					}
				})
			}))
		}
	})
}
