package tickstorm_test

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/poison"
)

// frameLog writes down what a Framer tells it.
type frameLog struct {
	lines     []string
	onMessage func(op ws.OpCode, p []byte) error
}

func (l *frameLog) OnMessage(op ws.OpCode, p []byte) error {
	l.lines = append(l.lines, fmt.Sprintf("message %d %q", op, p))
	if l.onMessage != nil {
		return l.onMessage(op, p)
	}
	return nil
}

func (l *frameLog) OnControl(op ws.OpCode, p []byte) {
	l.lines = append(l.lines, fmt.Sprintf("control %d %q", op, p))
}

// counter is a source of masks that differ and repeat from test to test.
type counter byte

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		*c += 41
		p[i] = byte(*c)
	}
	return len(p), nil
}

func config(server bool) tickstorm.FramerConfig {
	return tickstorm.FramerConfig{Server: server, Rand: new(counter)}
}

// wire is a frame as gobwas/ws writes it for a Framer in the given role.
func wire(toServer, fin bool, op ws.OpCode, payload string) []byte {
	f := ws.NewFrame(op, fin, []byte(payload))
	if toServer {
		f = ws.MaskFrameWith(f, [4]byte{0xA1, 0x02, 0xF3, 0x44})
	}
	return ws.MustCompileFrame(f)
}

func closeBody(code int, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(code))) + reason
}

// frames describes outgoing bytes as gobwas/ws reads them.
func frames(t testing.TB, out []byte, masked bool) []string {
	t.Helper()
	var lines []string
	for r := bytes.NewReader(out); r.Len() > 0; {
		h, err := ws.ReadHeader(r)
		require.NoError(t, err)
		require.Equal(t, masked, h.Masked)
		require.True(t, h.Fin)
		require.Zero(t, h.Rsv)
		p := make([]byte, h.Length)
		_, err = io.ReadFull(r, p)
		require.NoError(t, err)
		if masked {
			ws.Cipher(p, h.Mask, 0)
		}
		lines = append(lines, fmt.Sprintf("%d %q", h.OpCode, p))
	}
	return lines
}

func drain(f *tickstorm.Framer) []byte {
	var out []byte
	for len(f.Outgoing()) > 0 {
		p := f.Outgoing()
		out = append(out, p...)
		f.Sent(len(p))
	}
	return out
}

func feedInto(f *tickstorm.Framer, p []byte) error {
	for len(p) > 0 {
		n := copy(f.Buffer(), p)
		p = p[n:]
		if err := f.Commit(n); err != nil {
			return err
		}
	}
	return f.Err()
}

func roles(t *testing.T, test func(t *testing.T, server bool)) {
	t.Run("client", func(t *testing.T) { test(t, false) })
	t.Run("server", func(t *testing.T) { test(t, true) })
}

// dialogue is one connection as seen by a Framer: what arrives, and all that follows.
type dialogue struct {
	name  string
	in    func(s bool) []byte // s: the Framer is the server
	calls []string
	out   []string
	code  ws.StatusCode // of the CloseError; 0 is none
	local bool
	is    error // in the chain of the CloseError
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// head is the header of a frame to the Framer, with raw length bytes.
func head(s bool, first, length byte, ext ...byte) []byte {
	b := []byte{first, length}
	if s {
		b[1] |= 0x80
	}
	b = append(b, ext...)
	if s {
		b = append(b, 0, 0, 0, 0)
	}
	return b
}

func dialogues() []dialogue {
	const cont, text, bin, cls, ping, pong = ws.OpContinuation, ws.OpText, ws.OpBinary, ws.OpClose, ws.OpPing, ws.OpPong
	one := func(fin bool, op ws.OpCode, p string) func(bool) []byte {
		return func(s bool) []byte { return wire(s, fin, op, p) }
	}
	type fr struct {
		fin bool
		op  ws.OpCode
		p   string
	}
	many := func(frs ...fr) func(bool) []byte {
		return func(s bool) []byte {
			var b []byte
			for _, f := range frs {
				b = append(b, wire(s, f.fin, f.op, f.p)...)
			}
			return b
		}
	}
	long := strings.Repeat("x", 126)
	longer := strings.Repeat("y", 65536)
	quote := func(op ws.OpCode, p string) string { return fmt.Sprintf("message %d %q", op, p) }
	closed := func(code int) []string { return []string{fmt.Sprintf("8 %q", closeBody(code, ""))} }

	ds := []dialogue{
		{name: "text", in: one(true, text, "hello"), calls: []string{quote(text, "hello")}},
		{name: "binary", in: one(true, bin, "\xff\x00"), calls: []string{quote(bin, "\xff\x00")}},
		{name: "empty text", in: one(true, text, ""), calls: []string{quote(text, "")}},
		{name: "empty text twice", in: many(fr{true, text, ""}, fr{true, text, ""}), calls: []string{quote(text, ""), quote(text, "")}},
		{name: "text of 125", in: one(true, text, long[:125]), calls: []string{quote(text, long[:125])}},
		{name: "text of 126", in: one(true, text, long), calls: []string{quote(text, long)}},
		{name: "text of 65535", in: one(true, text, longer[:65535]), calls: []string{quote(text, longer[:65535])}},
		{name: "binary of 65536", in: one(true, bin, longer), calls: []string{quote(bin, longer)}},
		{name: "fragments", in: many(fr{false, text, "a"}, fr{false, cont, ""}, fr{true, cont, "b"}, fr{true, text, "c"}),
			calls: []string{quote(text, "ab"), quote(text, "c")}},
		{name: "fragments of nothing", in: many(fr{false, bin, ""}, fr{false, cont, ""}, fr{true, cont, ""}), calls: []string{quote(bin, "")}},
		{name: "rune across fragments", in: many(fr{false, text, "\xf0"}, fr{false, cont, "\x9f\x98"}, fr{true, cont, "\x80!"}),
			calls: []string{quote(text, "\xf0\x9f\x98\x80!")}},
		{name: "binary fragments are not UTF-8", in: many(fr{false, bin, "\xff"}, fr{true, cont, "\xfe"}), calls: []string{quote(bin, "\xff\xfe")}},
		{name: "control frames among fragments",
			in:    many(fr{true, ping, "1"}, fr{false, text, "a"}, fr{true, ping, "2"}, fr{true, pong, "3"}, fr{true, cont, "b"}),
			calls: []string{`control 9 "1"`, `control 9 "2"`, `control 10 "3"`, quote(text, "ab")},
			out:   []string{`10 "1"`, `10 "2"`}},
		{name: "longest ping", in: one(true, ping, long[:125]),
			calls: []string{fmt.Sprintf("control 9 %q", long[:125])}, out: []string{fmt.Sprintf("10 %q", long[:125])}},
		{name: "close", in: many(fr{true, cls, closeBody(1000, "bye")}, fr{true, text, "late"}, fr{true, ping, ""}),
			calls: []string{fmt.Sprintf("control 8 %q", closeBody(1000, "bye"))}, out: closed(1000), code: 1000},
		{name: "close without a code", in: one(true, cls, ""), calls: []string{`control 8 ""`}, out: []string{`8 ""`}, code: 1005},
		{name: "close among fragments", in: many(fr{false, text, "a"}, fr{true, cls, closeBody(1001, "")}),
			calls: []string{fmt.Sprintf("control 8 %q", closeBody(1001, ""))}, out: closed(1001), code: 1001},

		{name: "close with half a code", in: one(true, cls, "\x03"), code: 1002, is: tickstorm.ErrFrameCloseBody},
		{name: "close with a bad reason", in: one(true, cls, closeBody(1000, "\xff")), code: 1007, is: ws.ErrProtocolInvalidUTF8},
		{name: "close 3000 with a bad reason", in: one(true, cls, closeBody(3000, "\xff")), code: 1007, is: ws.ErrProtocolInvalidUTF8},
		{name: "long ping", in: one(true, ping, long), code: 1002, is: ws.ErrProtocolControlPayloadOverflow},
		{name: "long close", in: one(true, cls, closeBody(1000, long[:124])), code: 1002, is: ws.ErrProtocolControlPayloadOverflow},
		{name: "fragmented ping", in: one(false, ping, ""), code: 1002, is: ws.ErrProtocolControlNotFinal},
		{name: "continuation of nothing", in: one(true, cont, "x"), code: 1002, is: ws.ErrProtocolContinuationUnexpected},
		{name: "continuation after the end", in: many(fr{false, text, "a"}, fr{true, cont, "b"}, fr{true, cont, "c"}),
			calls: []string{quote(text, "ab")}, code: 1002, is: ws.ErrProtocolContinuationUnexpected},
		{name: "text within a message", in: many(fr{false, text, "a"}, fr{true, text, "whole"}), code: 1002, is: ws.ErrProtocolContinuationExpected},
		{name: "bad text", in: many(fr{true, text, "good"}, fr{true, text, "b\xffd"}, fr{true, text, "late"}),
			calls: []string{quote(text, "good")}, code: 1007, is: tickstorm.ErrFrameUTF8},
		{name: "text cut in a rune", in: one(true, text, "\xe2\x82"), code: 1007, is: tickstorm.ErrFrameUTF8},
		{name: "surrogate", in: one(true, text, "\xed\xa0\x80"), code: 1007, is: tickstorm.ErrFrameUTF8},
		{name: "bad text in the first fragment", in: one(false, text, "a\xc0\xafb"), code: 1007, is: tickstorm.ErrFrameUTF8},
		{name: "hopeless rune at the end of a fragment", in: one(false, text, "\xe0\x80"), code: 1007, is: tickstorm.ErrFrameUTF8},
		{name: "rune spoilt by the next fragment", in: many(fr{false, text, "\xe2\x82"}, fr{false, cont, "x"}), code: 1007, is: tickstorm.ErrFrameUTF8},
		{name: "fragments end in a rune", in: many(fr{false, text, "\xe2"}, fr{true, cont, "\x82"}), code: 1007, is: tickstorm.ErrFrameUTF8},
		{name: "length 125 in 16 bits", in: func(s bool) []byte { return head(s, 0x81, 126, 0, 125) }, code: 1002, is: tickstorm.ErrFrameLength},
		{name: "length 65535 in 64 bits", in: func(s bool) []byte { return head(s, 0x81, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF) },
			code: 1002, is: tickstorm.ErrFrameLength},
		{name: "length with the top bit", in: func(s bool) []byte { return head(s, 0x82, 127, 0x80, 0, 0, 0, 0, 1, 0, 0) },
			code: 1002, is: ws.ErrHeaderLengthMSB},
		{name: "length of all", in: func(s bool) []byte { return head(s, 0x82, 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF) },
			code: 1009, is: tickstorm.ErrFrameTooBig},
		{name: "one too many", in: func(s bool) []byte { return head(s, 0x81, 127, 0, 0, 0, 0, 1, 0, 0, 1) },
			code: 1009, is: tickstorm.ErrFrameTooBig},
		{name: "one too many in fragments", in: func(s bool) []byte {
			return join(wire(s, false, text, "a"), head(s, 0x00, 127, 0, 0, 0, 0, 1, 0, 0, 0))
		}, code: 1009, is: tickstorm.ErrFrameTooBig},
		{name: "wrong masking", in: func(s bool) []byte { return wire(!s, true, text, "hello") }, code: 1002},
	}
	for _, op := range []ws.OpCode{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		ds = append(ds, dialogue{name: fmt.Sprintf("opcode %d", op), in: one(true, op, ""), code: 1002, is: ws.ErrProtocolOpCodeReserved})
	}
	for _, rsv := range []byte{0x10, 0x20, 0x40, 0x70} {
		for _, op := range []byte{0x80, 0x81, 0x89} {
			ds = append(ds, dialogue{name: fmt.Sprintf("first byte %#x", op|rsv), in: func(s bool) []byte { return head(s, op|rsv, 0) },
				code: 1002, is: ws.ErrProtocolNonZeroRsv})
		}
	}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		ds = append(ds, dialogue{name: fmt.Sprintf("close %d", code), in: one(true, cls, closeBody(code, "")),
			calls: []string{fmt.Sprintf("control 8 %q", closeBody(code, ""))}, out: closed(code), code: ws.StatusCode(code)})
	}
	for _, code := range []int{0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		ds = append(ds, dialogue{name: fmt.Sprintf("close %d", code), in: one(true, cls, closeBody(code, "")), code: 1002, local: true})
	}
	for i := range ds {
		if ds[i].is != nil || ds[i].name == "wrong masking" {
			ds[i].local = true
		}
	}
	return ds
}

// check feeds a dialogue by feed and compares all that can be seen of it.
func (d dialogue) check(t *testing.T, server bool, feed func(*tickstorm.Framer, []byte) error) {
	t.Helper()
	var log frameLog
	f := tickstorm.NewFramer(config(server), &log)
	in := d.in(server)
	kept := bytes.Clone(in)
	err := feed(f, in)
	require.Equal(t, kept, in, "Feed wrote to the bytes of the caller")
	require.Equal(t, d.calls, log.lines)
	out := drain(f)
	if d.code == 0 {
		require.NoError(t, err)
		require.NoError(t, f.Err())
		require.Equal(t, d.out, frames(t, out, !server))
		require.False(t, f.CloseSent() || f.CloseReceived())
		return
	}
	var ce *tickstorm.CloseError
	require.ErrorAs(t, err, &ce)
	require.Equal(t, d.code, ce.Code)
	require.Equal(t, d.local, ce.Local)
	if d.is != nil {
		require.ErrorIs(t, err, d.is)
	}
	require.True(t, f.CloseSent())
	require.Equal(t, !d.local, f.CloseReceived())
	want := d.out
	if d.local {
		require.Error(t, ce.Err)
		want = []string{fmt.Sprintf("8 %q", closeBody(int(d.code), ce.Reason))}
	} else {
		require.NoError(t, ce.Err)
	}
	require.Equal(t, want, frames(t, out, !server))

	require.Same(t, ce, f.Feed(wire(server, true, ws.OpText, "ignored")))
	require.NotEmpty(t, f.Buffer())
	require.Same(t, ce, f.Commit(1))
	require.Same(t, ce, f.Err())
	require.Equal(t, d.calls, log.lines)
	require.Empty(t, f.Outgoing())
}

func TestFramerDialogues(t *testing.T) {
	roles(t, func(t *testing.T, server bool) {
		for _, d := range dialogues() {
			t.Run(d.name, func(t *testing.T) {
				d.check(t, server, (*tickstorm.Framer).Feed)
				d.check(t, server, feedInto)
			})
		}
	})
}

// The outcome must not depend on where the bytes were cut: here at every single place, and
// at all of them at once.
func TestFramerCuts(t *testing.T) {
	ways := map[string]func(*tickstorm.Framer, []byte) error{"Feed": (*tickstorm.Framer).Feed, "Commit": feedInto}
	roles(t, func(t *testing.T, server bool) {
		for _, d := range dialogues() {
			t.Run(d.name, func(t *testing.T) {
				for _, feed := range ways {
					d.check(t, server, func(f *tickstorm.Framer, p []byte) error {
						if len(p) > 1000 {
							return feed(f, p)
						}
						for i := range p {
							_ = feed(f, p[i:i+1])
						}
						return f.Err()
					})
					n := len(d.in(server))
					for cut := 0; cut <= min(n, 40); cut++ {
						d.check(t, server, func(f *tickstorm.Framer, p []byte) error {
							_ = feed(f, p[:cut])
							return feed(f, p[cut:])
						})
					}
				}
			})
		}
	})
}

func TestFramerWrongMaskingNamesTheRole(t *testing.T) {
	f := tickstorm.NewFramer(config(false), &frameLog{})
	require.ErrorIs(t, f.Feed(wire(true, true, ws.OpText, "")), ws.ErrProtocolMaskUnexpected)
	f = tickstorm.NewFramer(config(true), &frameLog{})
	require.ErrorIs(t, f.Feed(wire(false, true, ws.OpText, "")), ws.ErrProtocolMaskRequired)
}

// A header is judged by its first two bytes, for a peer that stops there is still wrong.
func TestFramerFailsEarly(t *testing.T) {
	f := tickstorm.NewFramer(config(false), &frameLog{})
	require.NoError(t, f.Feed([]byte{0x89}))
	require.ErrorIs(t, f.Feed([]byte{126}), ws.ErrProtocolControlPayloadOverflow)

	f = tickstorm.NewFramer(tickstorm.FramerConfig{Server: true, MaxMessage: 10}, &frameLog{})
	require.ErrorIs(t, f.Feed([]byte{0x81, 0x80 | 11}), tickstorm.ErrFrameTooBig)
}

// doomed reports whether nothing that could follow makes text of p.
func doomed(p []byte) bool {
	for len(p) > 0 && utf8.FullRune(p) {
		r, n := utf8.DecodeRune(p)
		if r == utf8.RuneError && n == 1 {
			return true
		}
		p = p[n:]
	}
	return false
}

// Text is refused at the byte that spoils it, in a frame of which more is to come, whole or
// a fragment: not when the frame is complete, which may be never.
func TestFramerBadTextFailsEarly(t *testing.T) {
	texts := map[string]string{
		"good":            "κόσμε",
		"first byte":      "\xff and more",
		"in the middle":   "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited",
		"surrogate":       "a\xed\xa0\x80b",
		"overlong":        "\xf0\x80\x80\x80",
		"rune cut off":    "\xe2\x82!",
		"stray":           "ok \x80",
		"behind a block":  strings.Repeat("x", 70) + "\xc0",
		"long and doomed": strings.Repeat("€", 50) + "\xed\xbf",
	}
	ways := map[string]func(*tickstorm.Framer, []byte) error{"Feed": (*tickstorm.Framer).Feed, "Commit": feedInto}
	// start returns what comes before text in a frame that announces more of it, and text as
	// it goes on the wire.
	start := func(server, fin bool, op ws.OpCode, text string) (head, payload []byte) {
		frame := wire(server, fin, op, text+strings.Repeat(".", 200))
		n := len(frame) - len(text) - 200
		return frame[:n:n], frame[n : n+len(text)]
	}
	roles(t, func(t *testing.T, server bool) {
		for name, text := range texts {
			t.Run(name, func(t *testing.T) {
				for way, feed := range ways {
					for split := range len(text) + 1 { // before it, a fragment of its own
						for _, whole := range []bool{true, false} { // the bytes at once, or one by one
							if doomed([]byte(text[:split])) {
								continue
							}
							cfg := config(server)
							cfg.Buffer = 16
							var log frameLog
							f := tickstorm.NewFramer(cfg, &log)
							before, op := 0, ws.OpText
							if split > 0 {
								require.NoError(t, feed(f, join(wire(server, false, op, text[:split]), wire(server, true, ws.OpPing, "p"))))
								before, op = len(log.lines), ws.OpContinuation
							}
							head, payload := start(server, split%2 == 0, op, text[split:])
							require.NoError(t, feed(f, head))
							if whole {
								_ = feed(f, payload)
							}
							for i := 0; !whole && i < len(payload) && f.Err() == nil; i++ {
								_ = feed(f, payload[i:i+1])
								require.Equal(t, doomed([]byte(text[:split+i+1])), f.Err() != nil, "%s: %d bytes of %d", way, i+1, len(payload))
							}
							require.Len(t, log.lines, before)
							if !doomed([]byte(text)) {
								require.NoError(t, f.Err())
								continue
							}
							var ce *tickstorm.CloseError
							require.ErrorAs(t, f.Err(), &ce)
							require.ErrorIs(t, ce, tickstorm.ErrFrameUTF8)
							require.EqualValues(t, 1007, ce.Code)
							out := frames(t, drain(f), !server)
							require.Equal(t, fmt.Sprintf("8 %q", closeBody(1007, ce.Reason)), out[len(out)-1])
						}
					}
				}
			})
		}
	})
}

// Every way in which four bytes can be text or not is told at the right one.
func TestFramerTextByteByByte(t *testing.T) {
	kinds := []byte{0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5}
	head := []byte{0x81, 126, 1, 0}
	var p []byte
	var try func()
	try = func() {
		f := tickstorm.NewFramer(tickstorm.FramerConfig{Buffer: 64, Rand: new(counter)}, new(countingHandler))
		_ = f.Feed(head)
		for i := range p {
			_ = f.Feed(p[i : i+1])
		}
		if want := doomed(p); want != (f.Err() != nil) {
			t.Fatalf("% x: %v, want an error: %v", p, f.Err(), want)
		} else if want || len(p) == 4 {
			return
		}
		for _, c := range kinds {
			p = append(p, c)
			try()
			p = p[:len(p)-1]
		}
	}
	try()
}

// A frame that was looked at before it was complete is text of the same runes after it.
func TestFramerTextInPieces(t *testing.T) {
	text := strings.Repeat("aé€😀", 40)
	roles(t, func(t *testing.T, server bool) {
		for size := 1; size < 20; size++ {
			var log frameLog
			cfg := config(server)
			cfg.Buffer = 8
			f := tickstorm.NewFramer(cfg, &log)
			in := join(wire(server, true, ws.OpText, text), wire(server, false, ws.OpText, text[:101]), wire(server, true, ws.OpPing, ""),
				wire(server, true, ws.OpContinuation, text[101:]), wire(server, true, ws.OpText, text))
			for i := 0; i < len(in); i += size {
				require.NoError(t, f.Feed(in[i:min(i+size, len(in))]))
			}
			want := fmt.Sprintf("message 1 %q", text)
			require.Equal(t, []string{want, `control 9 ""`, want, want}, log.lines)
		}
	})
}

func TestFramerMaxMessage(t *testing.T) {
	roles(t, func(t *testing.T, server bool) {
		cfg := config(server)
		cfg.MaxMessage = 10
		cfg.Buffer = 1
		ten := strings.Repeat("x", 10)
		for _, feed := range []func(*tickstorm.Framer, []byte) error{(*tickstorm.Framer).Feed, feedInto} {
			var log frameLog
			f := tickstorm.NewFramer(cfg, &log)
			require.NoError(t, feed(f, join(
				wire(server, true, ws.OpText, ten), wire(server, false, ws.OpBinary, ten[:4]),
				wire(server, true, ws.OpPing, strings.Repeat("p", 125)), // control frames are no messages
				wire(server, true, ws.OpContinuation, ten[4:]))))
			require.Len(t, log.lines, 3)
			require.NoError(t, feed(f, wire(server, false, ws.OpBinary, ten)))
			require.NoError(t, feed(f, wire(server, false, ws.OpContinuation, "")))
			require.ErrorIs(t, feed(f, wire(server, true, ws.OpContinuation, "x")), tickstorm.ErrFrameTooBig)
			require.Len(t, log.lines, 3)

			f = tickstorm.NewFramer(cfg, &log)
			require.ErrorIs(t, feed(f, wire(server, true, ws.OpText, ten+"x")), tickstorm.ErrFrameTooBig)
		}
	})
}

func TestFramerOurClose(t *testing.T) {
	roles(t, func(t *testing.T, server bool) {
		var log frameLog
		f := tickstorm.NewFramer(config(server), &log)
		require.NoError(t, f.Send(ws.OpText, []byte("last")))
		require.NoError(t, f.Close(ws.StatusNormalClosure, "done"))
		require.NoError(t, f.Close(ws.StatusGoingAway, "again"))
		require.ErrorIs(t, f.Send(ws.OpText, nil), tickstorm.ErrFrameCloseSent)
		require.ErrorIs(t, f.Ping(nil), tickstorm.ErrFrameCloseSent)
		require.True(t, f.CloseSent())
		require.False(t, f.CloseReceived())

		require.NoError(t, f.Feed(wire(server, true, ws.OpText, "still coming")))
		require.NoError(t, f.Feed(wire(server, true, ws.OpPing, "not answered")))
		err := f.Feed(wire(server, true, ws.OpClose, closeBody(1000, "ok")))
		var ce *tickstorm.CloseError
		require.ErrorAs(t, err, &ce)
		require.Equal(t, tickstorm.CloseError{Code: 1000, Reason: "ok"}, *ce)
		require.EqualError(t, err, `websocket closed by peer with 1000 "ok"`)
		require.True(t, f.CloseReceived())
		require.Equal(t, []string{`message 1 "still coming"`, `control 9 "not answered"`, fmt.Sprintf("control 8 %q", closeBody(1000, "ok"))}, log.lines)
		require.Equal(t, []string{`1 "last"`, fmt.Sprintf("8 %q", closeBody(1000, "done"))}, frames(t, drain(f), !server))
	})
}

func TestFramerViolationAfterOurClose(t *testing.T) {
	f := tickstorm.NewFramer(config(false), &frameLog{})
	require.NoError(t, f.Close(0, ""))
	err := f.Feed([]byte{0xFF, 0})
	require.ErrorIs(t, err, ws.ErrProtocolOpCodeReserved)
	require.EqualError(t, err, "websocket failed with 1002: use of reserved op code")
	require.Equal(t, []string{`8 ""`}, frames(t, drain(f), true))
}

func TestFramerCloseArguments(t *testing.T) {
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
			f := tickstorm.NewFramer(config(false), &frameLog{})
			require.ErrorIs(t, f.Close(c.code, c.reason), c.is)
			require.Equal(t, c.is == nil, f.CloseSent())
			require.Equal(t, c.is == nil, len(f.Outgoing()) > 0)
			require.NoError(t, f.Err())
		})
	}
}

func TestFramerSendArguments(t *testing.T) {
	f := tickstorm.NewFramer(config(false), &frameLog{})
	require.ErrorIs(t, f.Send(ws.OpText, []byte("\xff")), tickstorm.ErrFrameUTF8)
	for _, op := range []ws.OpCode{0, 3, 8, 9, 10, 15} {
		require.ErrorIs(t, f.Send(op, nil), tickstorm.ErrFrameOpCode)
	}
	require.ErrorIs(t, f.Ping(make([]byte, 126)), ws.ErrProtocolControlPayloadOverflow)
	require.Empty(t, f.Outgoing())
	require.NoError(t, f.Err())
}

// gobwas/ws, given the same mask, writes the same bytes.
func TestFramerWritesWhatTheOracleWrites(t *testing.T) {
	roles(t, func(t *testing.T, server bool) {
		for _, n := range []int{0, 1, 2, 3, 4, 5, 125, 126, 127, 65535, 65536, 70001} {
			p := bytes.Repeat([]byte("p"), n)
			f := tickstorm.NewFramer(config(server), &frameLog{})
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

func TestFramerMasksDiffer(t *testing.T) {
	f := tickstorm.NewFramer(tickstorm.FramerConfig{}, &frameLog{})
	seen := map[string]bool{}
	for range 16 {
		require.NoError(t, f.Send(ws.OpText, []byte("same")))
		seen[string(drain(f)[2:6])] = true
	}
	require.Greater(t, len(seen), 14)
}

func TestFramerPartialWrites(t *testing.T) {
	f := tickstorm.NewFramer(config(false), &frameLog{})
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
func TestFramerQueueIsReused(t *testing.T) {
	f := tickstorm.NewFramer(config(true), &frameLog{})
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

func TestFramerPingFloodIsBounded(t *testing.T) {
	roles(t, func(t *testing.T, server bool) {
		cfg := config(server)
		cfg.MaxOutgoing = 1000
		var log frameLog
		f := tickstorm.NewFramer(cfg, &log)
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
func TestFramerPongsKeepTheirOrder(t *testing.T) {
	cfg := config(true)
	cfg.MaxOutgoing = 150
	f := tickstorm.NewFramer(cfg, &frameLog{})
	for _, p := range []string{strings.Repeat("a", 100), strings.Repeat("b", 100), "c"} {
		require.NoError(t, f.Feed(wire(true, true, ws.OpPing, p)))
	}
	require.Equal(t, []string{fmt.Sprintf("10 %q", strings.Repeat("a", 100)), `10 "c"`}, frames(t, drain(f), false))
}

// With a bound below one pong, pings are answered one at a time.
func TestFramerTinyMaxOutgoing(t *testing.T) {
	cfg := config(false)
	cfg.MaxOutgoing = 1
	f := tickstorm.NewFramer(cfg, &frameLog{})
	for _, p := range []string{"a", "b", "c"} {
		require.NoError(t, f.Feed(wire(false, true, ws.OpPing, p)))
	}
	first := bytes.Clone(f.Outgoing())
	require.Equal(t, []string{`10 "a"`}, frames(t, first, true))
	f.Sent(len(first))
	require.Equal(t, []string{`10 "c"`}, frames(t, f.Outgoing(), true))
}

// Nothing follows the close frame, not even the pong that waited.
func TestFramerCloseIsLast(t *testing.T) {
	cfg := config(false)
	cfg.MaxOutgoing = 1
	f := tickstorm.NewFramer(cfg, &frameLog{})
	require.NoError(t, f.Feed(join(wire(false, true, ws.OpPing, "a"), wire(false, true, ws.OpPing, "b"))))
	require.NoError(t, f.Close(ws.StatusNormalClosure, ""))
	require.Equal(t, []string{`10 "a"`, fmt.Sprintf("8 %q", closeBody(1000, ""))}, frames(t, drain(f), true))
}

func TestFramerHandlerError(t *testing.T) {
	roles(t, func(t *testing.T, server bool) {
		for _, feed := range []func(*tickstorm.Framer, []byte) error{(*tickstorm.Framer).Feed, feedInto} {
			enough := errors.New("enough")
			var log frameLog
			log.onMessage = func(ws.OpCode, []byte) error {
				if len(log.lines) == 2 {
					return enough
				}
				return nil
			}
			f := tickstorm.NewFramer(config(server), &log)
			msg := wire(server, true, ws.OpText, "message")
			require.Equal(t, enough, feed(f, join(msg, msg, msg)))
			require.Equal(t, enough, f.Feed(msg))
			require.Equal(t, enough, f.Err())
			require.Len(t, log.lines, 2)
			require.Empty(t, f.Outgoing())
			require.NoError(t, f.Close(ws.StatusPolicyViolation, ""))
			require.NotEmpty(t, f.Outgoing())
		}
	})
}

func TestFramerRandFails(t *testing.T) {
	newFramer := func() *tickstorm.Framer {
		return tickstorm.NewFramer(tickstorm.FramerConfig{Rand: strings.NewReader("")}, &frameLog{})
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
	var ce *tickstorm.CloseError
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

func TestFramerBothRoles(t *testing.T) {
	var client, server *tickstorm.Framer
	var atClient, atServer frameLog
	atServer.onMessage = func(op ws.OpCode, p []byte) error { return server.Send(op, p) }
	client = tickstorm.NewFramer(config(false), &atClient)
	server = tickstorm.NewFramer(config(true), &atServer)
	pump := func() (err error) {
		for len(client.Outgoing())+len(server.Outgoing()) > 0 {
			err = errors.Join(err, server.Feed(drain(client)), client.Feed(drain(server)))
		}
		return err
	}

	var want []string
	for _, n := range []int{0, 1, 125, 126, 5000, 65535, 65536, 1 << 20} {
		text, binary := strings.Repeat("é", n/2)+strings.Repeat("x", n%2), make([]byte, n)
		_, _ = rand.Read(binary)
		require.NoError(t, client.Send(ws.OpText, []byte(text)))
		require.NoError(t, client.Send(ws.OpBinary, binary))
		want = append(want, fmt.Sprintf("message 1 %q", text), fmt.Sprintf("message 2 %q", binary))
	}
	require.NoError(t, client.Ping([]byte("there?")))
	require.NoError(t, pump())
	require.Equal(t, append(want, `control 10 "there?"`), sortedControlLast(atClient.lines))

	require.NoError(t, server.Close(ws.StatusGoingAway, "restart"))
	err := pump()
	var ce *tickstorm.CloseError
	require.ErrorAs(t, err, &ce)
	require.True(t, client.CloseSent() && client.CloseReceived() && server.CloseSent() && server.CloseReceived())
	require.Equal(t, &tickstorm.CloseError{Code: 1001, Reason: "restart"}, client.Err())
	require.Equal(t, &tickstorm.CloseError{Code: 1001}, server.Err())
}

func sortedControlLast(lines []string) []string {
	var messages, controls []string
	for _, l := range lines {
		if strings.HasPrefix(l, "message") {
			messages = append(messages, l)
		} else {
			controls = append(controls, l)
		}
	}
	return append(messages, controls...)
}

// heapInUse is what lives after a collection.
func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A length costs the peer ten bytes; it must not cost us more.
func TestFramerDeclaredLengthAllocatesNothing(t *testing.T) {
	roles(t, func(t *testing.T, server bool) {
		cfg := config(server)
		cfg.MaxMessage = 1 << 30
		cfg.Buffer = 8 << 10
		for _, first := range []byte{0x82, 0x02} {
			f := tickstorm.NewFramer(cfg, &frameLog{})
			in := append(head(server, first, 127, 0, 0, 0, 0, 0x3F, 0, 0, 0), make([]byte, 1000)...)
			require.Less(t, allocated(func() { require.NoError(t, f.Feed(in)) }), uint64(64<<10))
			require.LessOrEqual(t, len(f.Buffer()), cfg.Buffer)
			require.Less(t, allocated(func() {
				for range 50 {
					require.NoError(t, feedInto(f, make([]byte, 1000)))
				}
			}), uint64(512<<10))
		}
	})
}

func TestFramerShrinksAfterABurst(t *testing.T) {
	const huge = 8 << 20
	frame := func(feed func([]byte), _ *tickstorm.Framer) {
		in := wire(false, true, ws.OpBinary, string(make([]byte, huge)))
		feed(in[:huge/2])
		feed(in[huge/2:])
	}
	fragments := func(feed func([]byte), _ *tickstorm.Framer) {
		feed(wire(false, false, ws.OpBinary, ""))
		part := wire(false, false, ws.OpContinuation, string(make([]byte, 4<<10)))
		for range huge / (4 << 10) {
			feed(part)
		}
		feed(wire(false, true, ws.OpContinuation, ""))
	}
	outgoing := func(_ func([]byte), f *tickstorm.Framer) {
		require.NoError(t, f.Send(ws.OpBinary, make([]byte, huge)))
		f.Sent(len(f.Outgoing()))
	}
	for burst, run := range map[string]func(func([]byte), *tickstorm.Framer){"frame": frame, "fragments": fragments, "outgoing": outgoing} {
		for way, feed := range map[string]func(*tickstorm.Framer, []byte) error{"Feed": (*tickstorm.Framer).Feed, "Commit": feedInto} {
			t.Run(burst+" by "+way, func(t *testing.T) {
				cfg := config(false)
				cfg.Buffer = 8 << 10
				h := new(countingHandler)
				before := heapInUse()
				f := tickstorm.NewFramer(cfg, h)
				run(func(p []byte) { require.NoError(t, feed(f, p)) }, f)
				require.Greater(t, heapInUse(), before+huge/2, "the burst should be held for a while")
				seen := h.messages
				small := wire(false, true, ws.OpText, "small")
				for range 200 {
					require.NoError(t, feed(f, small[:3])) // the window is never empty between reads
					require.NoError(t, feed(f, small[3:]))
				}
				require.Less(t, heapInUse(), before+huge/4)
				require.Equal(t, seen+200, h.messages)
				require.NoError(t, f.Send(ws.OpText, []byte("works")))
				require.Equal(t, []string{`1 "works"`}, frames(t, drain(f), true))
				runtime.KeepAlive(f)
			})
		}
	}
}

// When the memory of a burst is given back depends on how many reads there were. What the
// handler is lent, and what waits to be sent, must not: an empty message is not nil, before
// the burst and after it.
func TestFramerEmptyIsNotNil(t *testing.T) {
	roles(t, func(t *testing.T, server bool) {
		cfg := config(server)
		cfg.Buffer, cfg.MaxOutgoing = 4, 4
		var log frameLog
		log.onMessage = func(_ ws.OpCode, p []byte) error {
			require.NotNil(t, p)
			return nil
		}
		f := tickstorm.NewFramer(cfg, &log)
		empty := join(wire(server, false, ws.OpText, ""), wire(server, true, ws.OpContinuation, ""))
		check := func() {
			t.Helper()
			require.NoError(t, f.Feed(empty))
			require.Equal(t, `message 1 ""`, log.lines[len(log.lines)-1])
			require.NotNil(t, f.Outgoing())
			require.Empty(t, f.Outgoing())
		}
		check()
		require.NoError(t, f.Feed(join(wire(server, false, ws.OpText, "[    "), wire(server, true, ws.OpContinuation, "]"))))
		require.NoError(t, f.Send(ws.OpText, []byte("a burst")))
		drain(f)
		for range 100 {
			check()
		}
	})
}

// What waits to be sent is not given back with the memory of a burst.
func TestFramerDoesNotShrinkUnderTheQueue(t *testing.T) {
	f := tickstorm.NewFramer(config(true), &frameLog{})
	p := make([]byte, 1<<20)
	_, _ = rand.Read(p)
	require.NoError(t, f.Send(ws.OpBinary, p))
	for range 200 {
		require.NoError(t, f.Feed(wire(true, true, ws.OpText, "small")))
	}
	require.Equal(t, ws.MustCompileFrame(ws.NewBinaryFrame(p)), drain(f))
}

// Bytes of a large frame that is still arriving survive the shrinking.
func TestFramerDoesNotShrinkUnderAFrame(t *testing.T) {
	cfg := config(false)
	cfg.Buffer = 64
	var got [][]byte
	var log frameLog
	log.onMessage = func(_ ws.OpCode, p []byte) error { got = append(got, bytes.Clone(p)); return nil }
	f := tickstorm.NewFramer(cfg, &log)
	p := make([]byte, 3000)
	_, _ = rand.Read(p)
	in := join(wire(false, false, ws.OpBinary, string(p)), wire(false, true, ws.OpContinuation, string(p)), wire(false, true, ws.OpBinary, string(p)))
	for i := range in {
		require.NoError(t, feedInto(f, in[i:i+1]))
	}
	require.Equal(t, [][]byte{join(p, p), p}, got)
}

func TestFramerMisusePanics(t *testing.T) {
	f := tickstorm.NewFramer(tickstorm.FramerConfig{}, &frameLog{})
	require.Panics(t, func() { _ = f.Commit(1) }, "nothing was lent")
	n := len(f.Buffer())
	require.Panics(t, func() { _ = f.Commit(n + 1) })
	require.Panics(t, func() { _ = f.Commit(-1) })
	require.Panics(t, func() { f.Sent(1) })
	require.Panics(t, func() { f.Sent(-1) })
	require.NoError(t, f.Commit(0))
	require.NoError(t, f.Feed(nil))
	f.Sent(0)
}

func TestFramerDefaults(t *testing.T) {
	f := tickstorm.NewFramer(tickstorm.FramerConfig{Buffer: -1, MaxMessage: math.MinInt, MaxOutgoing: -1}, &frameLog{})
	require.Len(t, f.Buffer(), 256<<10)
	f = tickstorm.NewFramer(tickstorm.FramerConfig{MaxMessage: math.MaxInt}, &frameLog{})
	require.NoError(t, f.Feed(head(false, 0x82, 127, binary.BigEndian.AppendUint64(nil, math.MaxInt-255)...)))
	require.NoError(t, f.Feed([]byte("x")))
}

func TestFramerLendsNoNeighbours(t *testing.T) {
	var log frameLog
	log.onMessage = func(_ ws.OpCode, p []byte) error {
		require.Equal(t, len(p), cap(p))
		return nil
	}
	f := tickstorm.NewFramer(config(false), &log)
	msg := join(wire(false, true, ws.OpText, "one"), wire(false, false, ws.OpText, "t"), wire(false, true, ws.OpContinuation, "wo"))
	require.NoError(t, f.Feed(msg))
	require.NoError(t, feedInto(f, msg))
	require.NoError(t, f.Send(ws.OpText, nil))
	require.Equal(t, len(f.Outgoing()), cap(f.Outgoing()))
	require.Equal(t, len(f.Buffer()), cap(f.Buffer()))
}

// In poisoned builds a handler that keeps what it was lent reads 0xCC.
func TestFramerPoison(t *testing.T) {
	if !poison.On {
		t.Skip("only under -race or -tags tickstorm_poison")
	}
	roles(t, func(t *testing.T, server bool) {
		h := new(keeper)
		f := tickstorm.NewFramer(config(server), h)
		in := join(wire(server, true, ws.OpText, "text"), wire(server, true, ws.OpBinary, "binary"), wire(server, true, ws.OpPing, "ping"),
			wire(server, true, ws.OpPong, "pong"), wire(server, false, ws.OpText, "frag"), wire(server, true, ws.OpContinuation, "ments"),
			wire(server, true, ws.OpClose, closeBody(1000, "")))
		kept := bytes.Clone(in)
		require.Error(t, f.Feed(in))
		require.Equal(t, kept, in)
		require.Len(t, h.kept, 6)
		for _, p := range h.kept {
			require.Equal(t, bytes.Repeat([]byte{0xCC}, len(p)), p)
		}
		out := f.Outgoing()
		f.Sent(len(out))
		require.Equal(t, bytes.Repeat([]byte{0xCC}, len(out)), out)
	})
}

type keeper struct{ kept [][]byte }

func (k *keeper) OnMessage(_ ws.OpCode, p []byte) error {
	k.kept = append(k.kept, p)
	return nil
}

func (k *keeper) OnControl(_ ws.OpCode, p []byte) { k.kept = append(k.kept, p) }

// countingHandler allocates nothing.
type countingHandler struct{ messages, bytes, controls int }

func (h *countingHandler) OnMessage(_ ws.OpCode, p []byte) error {
	h.messages++
	h.bytes += len(p)
	return nil
}

func (h *countingHandler) OnControl(ws.OpCode, []byte) { h.controls++ }

func TestFramerAllocatesNothing(t *testing.T) {
	if poison.On {
		t.Skip("allocations are not counted under the race detector")
	}
	const buffer = 8 << 10
	text := strings.Repeat("x", 124)
	roles(t, func(t *testing.T, server bool) {
		for _, c := range []struct {
			name string
			in   []byte
		}{
			{"frames", join(wire(server, true, ws.OpText, text), wire(server, true, ws.OpPing, "ping"), wire(server, true, ws.OpBinary, text))},
			{"fragments", join(wire(server, false, ws.OpText, text), wire(server, true, ws.OpPong, "pong"), wire(server, true, ws.OpContinuation, text))},
			{"a frame larger than the window", wire(server, true, ws.OpText, strings.Repeat("x", 2*buffer))},
			{"fragments larger than the window", join(wire(server, false, ws.OpText, text), bytes.Repeat(wire(server, false, ws.OpContinuation, text), buffer/64),
				wire(server, true, ws.OpContinuation, text))},
		} {
			t.Run(c.name, func(t *testing.T) {
				h := new(countingHandler)
				f := tickstorm.NewFramer(tickstorm.FramerConfig{Server: server, Buffer: buffer}, h)
				payload := []byte(text)
				run := func() {
					half := len(c.in) / 2
					err := errors.Join(f.Feed(c.in[:half]), f.Feed(c.in[half:]), f.Feed(c.in), feedInto(f, c.in),
						f.Send(ws.OpText, payload), f.Send(ws.OpBinary, payload), f.Ping(payload))
					if err != nil {
						panic(err)
					}
					for len(f.Outgoing()) > 0 {
						f.Sent(len(f.Outgoing()))
					}
				}
				run()
				require.Zero(t, testing.AllocsPerRun(3, func() { // which rounds down: rare ones add up in many rounds
					for range 200 {
						run()
					}
				}))
				require.NotZero(t, h.messages)
			})
		}
	})
}
