package frame_test

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/frame"
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

func config(server bool) frame.Config {
	return frame.Config{Server: server, Rand: new(counter)}
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

func drain(f *frame.Framer) []byte {
	var out []byte
	for len(f.Outgoing()) > 0 {
		p := f.Outgoing()
		out = append(out, p...)
		f.Sent(len(p))
	}
	return out
}

func feedInto(f *frame.Framer, p []byte) error {
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

		{name: "close with half a code", in: one(true, cls, "\x03"), code: 1002, is: frame.ErrCloseBody},
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
			calls: []string{quote(text, "good")}, code: 1007, is: frame.ErrUTF8},
		{name: "text cut in a rune", in: one(true, text, "\xe2\x82"), code: 1007, is: frame.ErrUTF8},
		{name: "surrogate", in: one(true, text, "\xed\xa0\x80"), code: 1007, is: frame.ErrUTF8},
		{name: "bad text in the first fragment", in: one(false, text, "a\xc0\xafb"), code: 1007, is: frame.ErrUTF8},
		{name: "hopeless rune at the end of a fragment", in: one(false, text, "\xe0\x80"), code: 1007, is: frame.ErrUTF8},
		{name: "rune spoilt by the next fragment", in: many(fr{false, text, "\xe2\x82"}, fr{false, cont, "x"}), code: 1007, is: frame.ErrUTF8},
		{name: "fragments end in a rune", in: many(fr{false, text, "\xe2"}, fr{true, cont, "\x82"}), code: 1007, is: frame.ErrUTF8},
		{name: "length 125 in 16 bits", in: func(s bool) []byte { return head(s, 0x81, 126, 0, 125) }, code: 1002, is: frame.ErrLength},
		{name: "length 65535 in 64 bits", in: func(s bool) []byte { return head(s, 0x81, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF) },
			code: 1002, is: frame.ErrLength},
		{name: "length with the top bit", in: func(s bool) []byte { return head(s, 0x82, 127, 0x80, 0, 0, 0, 0, 1, 0, 0) },
			code: 1002, is: ws.ErrHeaderLengthMSB},
		{name: "length of all", in: func(s bool) []byte { return head(s, 0x82, 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF) },
			code: 1009, is: frame.ErrTooBig},
		{name: "one too many", in: func(s bool) []byte { return head(s, 0x81, 127, 0, 0, 0, 0, 1, 0, 0, 1) },
			code: 1009, is: frame.ErrTooBig},
		{name: "one too many in fragments", in: func(s bool) []byte {
			return join(wire(s, false, text, "a"), head(s, 0x00, 127, 0, 0, 0, 0, 1, 0, 0, 0))
		}, code: 1009, is: frame.ErrTooBig},
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
func (d dialogue) check(t *testing.T, server bool, feed func(*frame.Framer, []byte) error) {
	t.Helper()
	var log frameLog
	f := frame.New(config(server), &log)
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
	var ce *frame.CloseError
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

func TestDialogues(t *testing.T) {
	roles(t, func(t *testing.T, server bool) {
		for _, d := range dialogues() {
			t.Run(d.name, func(t *testing.T) {
				d.check(t, server, (*frame.Framer).Feed)
				d.check(t, server, feedInto)
			})
		}
	})
}

// The outcome must not depend on where the bytes were cut: here at every single place, and
// at all of them at once.
func TestCuts(t *testing.T) {
	ways := map[string]func(*frame.Framer, []byte) error{"Feed": (*frame.Framer).Feed, "Commit": feedInto}
	roles(t, func(t *testing.T, server bool) {
		for _, d := range dialogues() {
			t.Run(d.name, func(t *testing.T) {
				for _, feed := range ways {
					d.check(t, server, func(f *frame.Framer, p []byte) error {
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
						d.check(t, server, func(f *frame.Framer, p []byte) error {
							_ = feed(f, p[:cut])
							return feed(f, p[cut:])
						})
					}
				}
			})
		}
	})
}

func TestWrongMaskingNamesTheRole(t *testing.T) {
	f := frame.New(config(false), &frameLog{})
	require.ErrorIs(t, f.Feed(wire(true, true, ws.OpText, "")), ws.ErrProtocolMaskUnexpected)
	f = frame.New(config(true), &frameLog{})
	require.ErrorIs(t, f.Feed(wire(false, true, ws.OpText, "")), ws.ErrProtocolMaskRequired)
}

// A header is judged by its first two bytes, for a peer that stops there is still wrong.
func TestFailsEarly(t *testing.T) {
	f := frame.New(config(false), &frameLog{})
	require.NoError(t, f.Feed([]byte{0x89}))
	require.ErrorIs(t, f.Feed([]byte{126}), ws.ErrProtocolControlPayloadOverflow)

	f = frame.New(frame.Config{Server: true, MaxMessage: 10}, &frameLog{})
	require.ErrorIs(t, f.Feed([]byte{0x81, 0x80 | 11}), frame.ErrTooBig)
}

func TestMaxMessage(t *testing.T) {
	roles(t, func(t *testing.T, server bool) {
		cfg := config(server)
		cfg.MaxMessage = 10
		cfg.Buffer = 1
		ten := strings.Repeat("x", 10)
		for _, feed := range []func(*frame.Framer, []byte) error{(*frame.Framer).Feed, feedInto} {
			var log frameLog
			f := frame.New(cfg, &log)
			require.NoError(t, feed(f, join(
				wire(server, true, ws.OpText, ten), wire(server, false, ws.OpBinary, ten[:4]),
				wire(server, true, ws.OpPing, strings.Repeat("p", 125)), // control frames are no messages
				wire(server, true, ws.OpContinuation, ten[4:]))))
			require.Len(t, log.lines, 3)
			require.NoError(t, feed(f, wire(server, false, ws.OpBinary, ten)))
			require.NoError(t, feed(f, wire(server, false, ws.OpContinuation, "")))
			require.ErrorIs(t, feed(f, wire(server, true, ws.OpContinuation, "x")), frame.ErrTooBig)
			require.Len(t, log.lines, 3)

			f = frame.New(cfg, &log)
			require.ErrorIs(t, feed(f, wire(server, true, ws.OpText, ten+"x")), frame.ErrTooBig)
		}
	})
}

func TestHandlerError(t *testing.T) {
	roles(t, func(t *testing.T, server bool) {
		for _, feed := range []func(*frame.Framer, []byte) error{(*frame.Framer).Feed, feedInto} {
			enough := errors.New("enough")
			var log frameLog
			log.onMessage = func(ws.OpCode, []byte) error {
				if len(log.lines) == 2 {
					return enough
				}
				return nil
			}
			f := frame.New(config(server), &log)
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

func TestBothRoles(t *testing.T) {
	var client, server *frame.Framer
	var atClient, atServer frameLog
	atServer.onMessage = func(op ws.OpCode, p []byte) error { return server.Send(op, p) }
	client = frame.New(config(false), &atClient)
	server = frame.New(config(true), &atServer)
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
	var ce *frame.CloseError
	require.ErrorAs(t, err, &ce)
	require.True(t, client.CloseSent() && client.CloseReceived() && server.CloseSent() && server.CloseReceived())
	require.Equal(t, &frame.CloseError{Code: 1001, Reason: "restart"}, client.Err())
	require.Equal(t, &frame.CloseError{Code: 1001}, server.Err())
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

func TestMisusePanics(t *testing.T) {
	f := frame.New(frame.Config{}, &frameLog{})
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

func TestDefaults(t *testing.T) {
	f := frame.New(frame.Config{Buffer: -1, MaxMessage: math.MinInt, MaxOutgoing: -1}, &frameLog{})
	require.Len(t, f.Buffer(), 256<<10)
	f = frame.New(frame.Config{MaxMessage: math.MaxInt}, &frameLog{})
	require.NoError(t, f.Feed(head(false, 0x82, 127, binary.BigEndian.AppendUint64(nil, math.MaxInt-255)...)))
	require.NoError(t, f.Feed([]byte("x")))
}

// countingHandler allocates nothing.
type countingHandler struct{ messages, bytes, controls int }

func (h *countingHandler) OnMessage(_ ws.OpCode, p []byte) error {
	h.messages++
	h.bytes += len(p)
	return nil
}

func (h *countingHandler) OnControl(ws.OpCode, []byte) { h.controls++ }
