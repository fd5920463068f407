package frame_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/frame"
)

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
func TestBadTextFailsEarly(t *testing.T) {
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
	ways := map[string]func(*frame.Framer, []byte) error{"Feed": (*frame.Framer).Feed, "Commit": feedInto}
	// start returns what comes before text in a frame that announces more of it, and text as
	// it goes on the wire.
	start := func(server, fin bool, op ws.OpCode, text string) (head, payload []byte) {
		whole := wire(server, fin, op, text+strings.Repeat(".", 200))
		n := len(whole) - len(text) - 200
		return whole[:n:n], whole[n : n+len(text)]
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
							f := frame.New(cfg, &log)
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
							var ce *frame.CloseError
							require.ErrorAs(t, f.Err(), &ce)
							require.ErrorIs(t, ce, frame.ErrUTF8)
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
func TestTextByteByByte(t *testing.T) {
	kinds := []byte{0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5}
	head := []byte{0x81, 126, 1, 0}
	var p []byte
	var try func()
	try = func() {
		f := frame.New(frame.Config{Buffer: 64, Rand: new(counter)}, new(countingHandler))
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
func TestTextInPieces(t *testing.T) {
	text := strings.Repeat("aé€😀", 40)
	roles(t, func(t *testing.T, server bool) {
		for size := 1; size < 20; size++ {
			var log frameLog
			cfg := config(server)
			cfg.Buffer = 8
			f := frame.New(cfg, &log)
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
