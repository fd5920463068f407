package tickstorm_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
)

// timeless is a logger into w whose lines are the same at any time.
func timeless(w *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// sessionEnd is all that can be seen of a session after the same bytes went through it.
type sessionEnd struct {
	calls, err, out, acked, pending, results string
	state                                    tickstorm.SessionState
	stats                                    tickstorm.Stats
}

func runSession(t *testing.T, feed func(*tickstorm.Session)) sessionEnd {
	t.Helper()
	var calls bytes.Buffer
	cfg := testConfig()
	cfg.ChunkTopics = 2
	cfg.ReadBuffer = 64 // so that most frames do not fit
	cfg.Limits.Message = 2048
	cfg.Logger = timeless(&calls)
	s, err := tickstorm.NewSession(cfg, tickstorm.LogHandler{Logger: timeless(&calls)})
	require.NoError(t, err)
	var end sessionEnd
	require.NoError(t, s.Request(func(err error) { end.results += fmt.Sprintln(err) }, fixture.Topics(t, "T.A,Q.A,T.B,ZZ.A")...))
	s.Advance(began)
	feed(s)
	end.state, end.stats = s.State(), s.Stats()
	end.stats.Received = 0 // counts what comes in one piece with the end
	end.acked, end.pending = held(s)
	end.calls, end.err, end.out = calls.String(), fmt.Sprint(s.Err()), string(s.Outgoing())
	return end
}

// TestSessionChunkInvariance: however the server's bytes are cut, the calls, the errors
// and the bytes to send are the same.
func TestSessionChunkInvariance(t *testing.T) {
	text := func(events ...string) []byte {
		return fixture.Wire(false, true, ws.OpText, "["+strings.Join(events, ",")+"]")
	}
	opening := slices.Concat(
		text(fixture.Status("connected", "Connected Successfully")),
		fixture.Wire(false, true, ws.OpPing, "early"),
		text(fixture.Status("auth_success", "authenticated")),
		text(append([]string{fixture.Trade("A"), fixture.Status("error", "not authorized")}, fixture.Acks("T.A")...)...),
		fixture.Wire(false, false, ws.OpText, "["+fixture.Trade("B")[:9]), fixture.Wire(false, true, ws.OpPing, "between"),
		fixture.Wire(false, false, ws.OpContinuation, fixture.Trade("B")[9:]), fixture.Wire(false, true, ws.OpContinuation, "]"),
		fixture.Wire(false, true, ws.OpText, "no JSON"), fixture.Wire(false, true, ws.OpBinary, "\x00\xff"),
		text(`{"ev":"NEW","x":[1,2]}`, `{"ev":T}`, fixture.Trade("€")),
		text(fixture.Acks("T.B", "ZZ.A")...),
	)
	for _, tc := range []struct {
		name string
		tail []byte
		err  string
	}{
		{"goes on", nil, "<nil>"},
		{"cut", text(fixture.Trade("C"))[:20], "<nil>"},
		{"close", fixture.Wire(false, true, ws.OpClose, closeBody(1008, "bye")), "1008"},
		{"max connections", text(fixture.Status("max_connections", "too many"), fixture.Trade("C")), "max_connections"},
		{"bad length", []byte{0x81, 126, 0, 5}, "1002"},
		{"not UTF-8", fixture.Wire(false, true, ws.OpText, strings.Repeat("é", 100)+"\xff"), "1007"},
		{"not UTF-8 at the beginning", fixture.Wire(false, true, ws.OpText, "[\xff"+strings.Repeat(" ", 1000))[:20], "1007"},
		{"too big", fixture.Wire(false, true, ws.OpText, strings.Repeat(" ", 2049)), "1009"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := slices.Concat(opening, tc.tail)
			want := runSession(t, func(s *tickstorm.Session) { _ = s.Feed(in) })
			require.Contains(t, want.err, tc.err)
			require.NotEmpty(t, want.results)
			require.NotEmpty(t, want.calls)
			require.NotEmpty(t, want.out)
			for _, size := range []int{1, 2, 3, 7, 64, 1000} {
				require.Equal(t, want, runSession(t, func(s *tickstorm.Session) {
					for p := range slices.Chunk(in, size) {
						_ = s.Feed(p)
					}
				}), "Feed of %d bytes", size)
				require.Equal(t, want, runSession(t, func(s *tickstorm.Session) {
					for p := range slices.Chunk(in, size) {
						for len(p) > 0 && s.Err() == nil {
							n := copy(s.Buffer(), p)
							_ = s.Commit(n)
							p = p[n:]
						}
					}
				}), "Commit of %d bytes", size)
			}
		})
	}
}
