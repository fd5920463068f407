// Package fuzz holds the fuzz targets of the whole library.
package fuzz

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/frame"
)

// frameEnd is all that can be seen of a Framer after the same bytes went through it.
type frameEnd struct {
	calls string
	err   error
	out   string
	after string // what Outgoing returns when all is sent
	sent  bool
	rcvd  bool
}

// frameEcho writes down what it receives, echoes it, and stops at a message "stop".
type frameEcho struct {
	f     *frame.Framer
	calls bytes.Buffer
}

func (e *frameEcho) OnMessage(op ws.OpCode, p []byte) error {
	fmt.Fprintf(&e.calls, "message %d %#v\n", op, p) // which tells nil from empty
	if string(p) == "stop" {
		return fmt.Errorf("stopped")
	}
	if err := e.f.Send(op, p); err != nil {
		fmt.Fprintf(&e.calls, "send: %v\n", err)
	}
	return nil
}

func (e *frameEcho) OnControl(op ws.OpCode, p []byte) {
	fmt.Fprintf(&e.calls, "control %d %#v\n", op, p)
}

type frameMasks byte

func (m *frameMasks) Read(p []byte) (int, error) {
	for i := range p {
		*m += 73
		p[i] = byte(*m)
	}
	return len(p), nil
}

func runFramer(cfg frame.Config, feed func(*frame.Framer)) frameEnd {
	cfg.Rand = new(frameMasks)
	e := new(frameEcho)
	f := frame.New(cfg, e)
	e.f = f
	feed(f)
	end := frameEnd{calls: e.calls.String(), err: f.Err(), sent: f.CloseSent(), rcvd: f.CloseReceived()}
	var out []byte
	for len(f.Outgoing()) > 0 {
		n := min(3, len(f.Outgoing()))
		out = append(out, f.Outgoing()[:n]...)
		f.Sent(n)
	}
	end.out = string(out)
	end.after = fmt.Sprintf("%#v", f.Outgoing())
	return end
}

const (
	lull = 0xFF // in the lengths of cut, the first time: many reads of nothing
	many = 65   // more than a Framer waits for before it gives back what a burst has made grow
)

// cut calls take with the pieces of data whose lengths are the bytes of cuts, again and again.
func cut(data, cuts []byte, take func([]byte)) {
	for i := 0; len(data) > 0; i++ {
		n := 1
		if len(cuts) > 0 {
			n = int(cuts[i%len(cuts)])
		}
		if n == lull && i < len(cuts) {
			for range many {
				take(data[:0])
			}
		}
		n = min(n, len(data))
		take(data[:n])
		data = data[n:]
		if n == 0 && i >= len(cuts) { // cuts of nothing but zeros
			take(data)
			return
		}
	}
}

// FuzzFrameChunks feeds the same bytes whole and cut, through Feed and through Buffer and
// Commit, to clients and servers: the calls on the handler, the error and the outgoing bytes
// must be the same.
func FuzzFrameChunks(f *testing.F) {
	join := func(frames ...[]byte) []byte { return bytes.Join(frames, nil) }
	wire := func(masked, fin bool, op ws.OpCode, p string) []byte {
		fr := ws.NewFrame(op, fin, []byte(p))
		if masked {
			fr = ws.MaskFrameWith(fr, [4]byte{1, 2, 3, 4})
		}
		return ws.MustCompileFrame(fr)
	}
	for _, server := range []bool{false, true} {
		add := func(frames ...[]byte) {
			data := join(frames...)
			f.Add(data, []byte{1}, server, uint8(0))
			f.Add(data, []byte{3, 0, 7, 2}, server, uint8(60))
			f.Add(data, []byte{14, lull}, server, uint8(3))
			f.Add(data, []byte{30, lull}, server, uint8(3))
		}
		long := string(bytes.Repeat([]byte("long "), 60))
		add(wire(server, true, ws.OpText, "hello"), wire(server, true, ws.OpBinary, "\xff"), wire(server, true, ws.OpText, long))
		add(wire(server, false, ws.OpText, "\xe2\x82"), wire(server, true, ws.OpPing, "p"), wire(server, true, ws.OpContinuation, "\xac"))
		add(wire(server, false, ws.OpText, "\xe2\x82"), wire(server, false, ws.OpContinuation, "x"))
		add(wire(server, true, ws.OpPing, long[:100]), wire(server, true, ws.OpPing, long[:101]), wire(server, true, ws.OpPing, long[:102]),
			wire(server, true, ws.OpClose, "\x03\xe8bye"), wire(server, true, ws.OpText, "late"))
		add(wire(server, true, ws.OpText, "stop"), wire(server, true, ws.OpText, "late"))
		add(wire(server, true, ws.OpClose, "\x03"))
		add(wire(!server, true, ws.OpText, "wrong"))
		add(wire(server, true, ws.OpText, "x"), []byte{0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4})
		add([]byte{0x81, 0x7F, 0x80, 0, 0, 0, 0, 0, 0, 0})
		add([]byte{0x81, 0x7E, 0, 5}, []byte("hello"))
		burst := join(wire(server, false, ws.OpText, "[    "), wire(server, true, ws.OpContinuation, "]"))
		empty := join(wire(server, false, ws.OpText, ""), wire(server, true, ws.OpContinuation, ""))
		add(burst, bytes.Repeat(wire(server, true, ws.OpPong, ""), 40), empty)
		add(empty, burst, empty, empty)
	}
	f.Fuzz(func(t *testing.T, data, cuts []byte, server bool, small uint8) {
		cfg := frame.Config{Server: server, Buffer: 1 + int(small), MaxOutgoing: 150}
		if small > 0 {
			cfg.MaxMessage = 4 * int(small)
		}
		feed := func(f *frame.Framer) func([]byte) {
			return func(p []byte) {
				kept := bytes.Clone(p)
				if err := f.Feed(p); err != f.Err() {
					t.Fatalf("Feed returned %v, Err %v", err, f.Err())
				}
				if !bytes.Equal(kept, p) {
					t.Fatal("Feed wrote to the bytes of the caller")
				}
				for i := range p { // nor may it have kept them
					p[i] = 0xEE
				}
			}
		}
		commit := func(f *frame.Framer) func([]byte) {
			return func(p []byte) {
				for {
					b := f.Buffer()
					if len(b) == 0 {
						t.Fatal("Buffer is empty")
					}
					n := copy(b, p)
					p = p[n:]
					if err := f.Commit(n); err != f.Err() {
						t.Fatalf("Commit returned %v, Err %v", err, f.Err())
					}
					if len(p) == 0 {
						return
					}
				}
			}
		}
		want := runFramer(cfg, func(f *frame.Framer) { feed(f)(bytes.Clone(data)) })
		require.Equal(t, want, runFramer(cfg, func(f *frame.Framer) { cut(bytes.Clone(data), cuts, feed(f)) }), "Feed in pieces")
		require.Equal(t, want, runFramer(cfg, func(f *frame.Framer) { commit(f)(data) }), "Commit")
		require.Equal(t, want, runFramer(cfg, func(f *frame.Framer) { cut(data, cuts, commit(f)) }), "Commit in pieces")
		require.Equal(t, want, runFramer(cfg, func(f *frame.Framer) {
			odd := false
			cut(bytes.Clone(data), cuts, func(p []byte) {
				if odd = !odd; odd {
					feed(f)(p)
				} else {
					commit(f)(p)
				}
			})
		}), "both by turns")
		window := make([]byte, 1+int(small)/2)
		require.Equal(t, want, runFramer(cfg, func(f *frame.Framer) {
			cut(data, cuts, func(p []byte) {
				f.Borrow(window)
				commit(f)(p)
				f.GiveBack()
				for i := range window { // somebody else's turn
					window[i] = 0xEE
				}
			})
		}), "in a borrowed window")
	})
}
