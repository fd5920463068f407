package frame_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/frame"
)

func TestOurClose(t *testing.T) {
	roles(t, func(t *testing.T, server bool) {
		var log frameLog
		f := frame.New(config(server), &log)
		require.NoError(t, f.Send(ws.OpText, []byte("last")))
		require.NoError(t, f.Close(ws.StatusNormalClosure, "done"))
		require.NoError(t, f.Close(ws.StatusGoingAway, "again"))
		require.ErrorIs(t, f.Send(ws.OpText, nil), frame.ErrCloseSent)
		require.ErrorIs(t, f.Ping(nil), frame.ErrCloseSent)
		require.True(t, f.CloseSent())
		require.False(t, f.CloseReceived())

		require.NoError(t, f.Feed(wire(server, true, ws.OpText, "still coming")))
		require.NoError(t, f.Feed(wire(server, true, ws.OpPing, "not answered")))
		err := f.Feed(wire(server, true, ws.OpClose, closeBody(1000, "ok")))
		var ce *frame.CloseError
		require.ErrorAs(t, err, &ce)
		require.Equal(t, frame.CloseError{Code: 1000, Reason: "ok"}, *ce)
		require.EqualError(t, err, `websocket closed by peer with 1000 "ok"`)
		require.True(t, f.CloseReceived())
		require.Equal(t, []string{`message 1 "still coming"`, `control 9 "not answered"`, fmt.Sprintf("control 8 %q", closeBody(1000, "ok"))}, log.lines)
		require.Equal(t, []string{`1 "last"`, fmt.Sprintf("8 %q", closeBody(1000, "done"))}, frames(t, drain(f), !server))
	})
}

func TestViolationAfterOurClose(t *testing.T) {
	f := frame.New(config(false), &frameLog{})
	require.NoError(t, f.Close(0, ""))
	err := f.Feed([]byte{0xFF, 0})
	require.ErrorIs(t, err, ws.ErrProtocolOpCodeReserved)
	require.EqualError(t, err, "websocket failed with 1002: use of reserved op code")
	require.Equal(t, []string{`8 ""`}, frames(t, drain(f), true))
}

func TestCloseArguments(t *testing.T) {
	for _, c := range []struct {
		name   string
		code   ws.StatusCode
		reason string
		is     error
	}{
		{"application", 4000, "", nil},
		{"longest reason", 1000, strings.Repeat("r", 123), nil},
		{"long reason", 1000, strings.Repeat("r", 124), ws.ErrProtocolControlPayloadOverflow},
		{"bad reason", 1000, "\xff", ws.ErrProtocolInvalidUTF8},
		{"reason without a code", 0, "why", ws.ErrProtocolStatusCodeNotInUse},
		{"no status", 1005, "", ws.ErrProtocolStatusCodeApplicationLevel},
		{"abnormal", 1006, "", ws.ErrProtocolStatusCodeApplicationLevel},
		{"past the last", 5000, "", ws.ErrProtocolStatusCodeUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := frame.New(config(false), &frameLog{})
			require.ErrorIs(t, f.Close(c.code, c.reason), c.is)
			require.Equal(t, c.is == nil, f.CloseSent())
			require.Equal(t, c.is == nil, len(f.Outgoing()) > 0)
			require.NoError(t, f.Err())
		})
	}
}

func TestSendArguments(t *testing.T) {
	f := frame.New(config(false), &frameLog{})
	require.ErrorIs(t, f.Send(ws.OpText, []byte("\xff")), frame.ErrUTF8)
	for _, op := range []ws.OpCode{0, 3, 8, 9, 10, 15} {
		require.ErrorIs(t, f.Send(op, nil), frame.ErrOpCode)
	}
	require.ErrorIs(t, f.Ping(make([]byte, 126)), ws.ErrProtocolControlPayloadOverflow)
	require.Empty(t, f.Outgoing())
	require.NoError(t, f.Err())
}

// gobwas/ws, given the same mask, writes the same bytes.
func TestWritesWhatTheOracleWrites(t *testing.T) {
	roles(t, func(t *testing.T, server bool) {
		for _, n := range []int{0, 1, 2, 3, 4, 5, 125, 126, 127, 65535, 65536, 70001} {
			p := bytes.Repeat([]byte("p"), n)
			f := frame.New(config(server), &frameLog{})
			require.NoError(t, f.Send(ws.OpBinary, p))
			require.Equal(t, bytes.Repeat([]byte("p"), n), p, "Send masked the bytes of the caller")
			want := ws.NewBinaryFrame(p)
			if !server {
				var mask [4]byte
				_, _ = new(counter).Read(mask[:])
				want = ws.MaskFrameWith(want, mask)
			}
			require.Equal(t, ws.MustCompileFrame(want), drain(f))
		}
	})
}

func TestMasksDiffer(t *testing.T) {
	f := frame.New(frame.Config{}, &frameLog{})
	seen := map[string]bool{}
	for range 16 {
		require.NoError(t, f.Send(ws.OpText, []byte("same")))
		seen[string(drain(f)[2:6])] = true
	}
	require.Greater(t, len(seen), 14)
}

func TestPartialWrites(t *testing.T) {
	f := frame.New(config(false), &frameLog{})
	var out []byte
	for i := range 300 {
		require.NoError(t, f.Send(ws.OpText, fmt.Appendf(nil, "message %d", i)))
		n := min(7, len(f.Outgoing()))
		out = append(out, f.Outgoing()[:n]...)
		f.Sent(n)
	}
	out = append(out, drain(f)...)
	lines := frames(t, out, true)
	require.Len(t, lines, 300)
	for i, line := range lines {
		require.Equal(t, fmt.Sprintf(`1 "message %d"`, i), line)
	}
}

// A writer that always leaves something behind must not make the queue grow.
func TestQueueIsReused(t *testing.T) {
	f := frame.New(config(true), &frameLog{})
	p := make([]byte, 1000)
	require.NoError(t, f.Send(ws.OpBinary, p))
	require.Less(t, allocated(func() {
		for range 5000 {
			_ = f.Send(ws.OpBinary, p)
			f.Sent(len(f.Outgoing()) - 1)
		}
	}), uint64(64<<10))
	require.Equal(t, []byte{0}, f.Outgoing())
}

func TestPingFloodIsBounded(t *testing.T) {
	roles(t, func(t *testing.T, server bool) {
		cfg := config(server)
		cfg.MaxOutgoing = 1000
		var log frameLog
		f := frame.New(cfg, &log)
		const n = 500
		for i := range n {
			require.NoError(t, f.Feed(wire(server, true, ws.OpPing, fmt.Sprintf("%090d", i))))
			require.LessOrEqual(t, len(f.Outgoing()), cfg.MaxOutgoing)
		}
		require.Len(t, log.lines, n, "every ping is shown, answered or not")
		require.NoError(t, f.Send(ws.OpText, make([]byte, 2000)), "Send is not refused for the pings of the peer")

		var pongs []string
		for _, line := range frames(t, drain(f), !server) {
			if strings.HasPrefix(line, "10 ") {
				pongs = append(pongs, line)
			}
		}
		for i, line := range pongs[:len(pongs)-1] {
			require.Equal(t, fmt.Sprintf(`10 "%090d"`, i), line)
		}
		require.Equal(t, fmt.Sprintf(`10 "%090d"`, n-1), pongs[len(pongs)-1], "the last ping is always answered")

		require.NoError(t, f.Feed(wire(server, true, ws.OpPing, "after")))
		require.Equal(t, []string{`10 "after"`}, frames(t, drain(f), !server))
	})
}

// A ping that would fit must not overtake one that waits for room.
func TestPongsKeepTheirOrder(t *testing.T) {
	cfg := config(true)
	cfg.MaxOutgoing = 150
	f := frame.New(cfg, &frameLog{})
	for _, p := range []string{strings.Repeat("a", 100), strings.Repeat("b", 100), "c"} {
		require.NoError(t, f.Feed(wire(true, true, ws.OpPing, p)))
	}
	require.Equal(t, []string{fmt.Sprintf("10 %q", strings.Repeat("a", 100)), `10 "c"`}, frames(t, drain(f), false))
}

// With a bound below one pong, pings are answered one at a time.
func TestTinyMaxOutgoing(t *testing.T) {
	cfg := config(false)
	cfg.MaxOutgoing = 1
	f := frame.New(cfg, &frameLog{})
	for _, p := range []string{"a", "b", "c"} {
		require.NoError(t, f.Feed(wire(false, true, ws.OpPing, p)))
	}
	first := bytes.Clone(f.Outgoing())
	require.Equal(t, []string{`10 "a"`}, frames(t, first, true))
	f.Sent(len(first))
	require.Equal(t, []string{`10 "c"`}, frames(t, f.Outgoing(), true))
}

// Nothing follows the close frame, not even the pong that waited.
func TestCloseIsLast(t *testing.T) {
	cfg := config(false)
	cfg.MaxOutgoing = 1
	f := frame.New(cfg, &frameLog{})
	require.NoError(t, f.Feed(join(wire(false, true, ws.OpPing, "a"), wire(false, true, ws.OpPing, "b"))))
	require.NoError(t, f.Close(ws.StatusNormalClosure, ""))
	require.Equal(t, []string{`10 "a"`, fmt.Sprintf("8 %q", closeBody(1000, ""))}, frames(t, drain(f), true))
}

func TestRandFails(t *testing.T) {
	newFramer := func() *frame.Framer {
		return frame.New(frame.Config{Rand: strings.NewReader("")}, &frameLog{})
	}
	f := newFramer()
	require.ErrorIs(t, f.Send(ws.OpText, nil), io.EOF)
	require.ErrorIs(t, f.Ping(nil), io.EOF)
	require.ErrorIs(t, f.Close(ws.StatusNormalClosure, ""), io.EOF)
	require.False(t, f.CloseSent())
	require.NoError(t, f.Err())
	require.ErrorIs(t, f.Feed(wire(false, true, ws.OpPing, "")), io.EOF)
	require.ErrorIs(t, f.Err(), io.EOF)

	f = newFramer()
	err := f.Feed(wire(false, true, ws.OpClose, closeBody(1000, "")))
	var ce *frame.CloseError
	require.ErrorAs(t, err, &ce)
	require.Equal(t, ws.StatusNormalClosure, ce.Code)
	require.ErrorIs(t, err, io.EOF)
	require.Contains(t, err.Error(), "EOF")

	f = newFramer()
	err = f.Feed([]byte{0xFF, 0})
	require.ErrorIs(t, err, io.EOF)
	require.ErrorIs(t, err, ws.ErrProtocolOpCodeReserved)
	require.Empty(t, f.Outgoing())
}
