package frame_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/frame"
	"github.com/tickstorm/tickstorm/internal/poison"
)

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
func TestDeclaredLengthAllocatesNothing(t *testing.T) {
	roles(t, func(t *testing.T, server bool) {
		cfg := config(server)
		cfg.MaxMessage = 1 << 30
		cfg.Buffer = 8 << 10
		for _, first := range []byte{0x82, 0x02} {
			f := frame.New(cfg, &frameLog{})
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

func TestShrinksAfterABurst(t *testing.T) {
	const huge = 8 << 20
	single := func(feed func([]byte), _ *frame.Framer) {
		in := wire(false, true, ws.OpBinary, string(make([]byte, huge)))
		feed(in[:huge/2])
		feed(in[huge/2:])
	}
	fragments := func(feed func([]byte), _ *frame.Framer) {
		feed(wire(false, false, ws.OpBinary, ""))
		part := wire(false, false, ws.OpContinuation, string(make([]byte, 4<<10)))
		for range huge / (4 << 10) {
			feed(part)
		}
		feed(wire(false, true, ws.OpContinuation, ""))
	}
	outgoing := func(_ func([]byte), f *frame.Framer) {
		require.NoError(t, f.Send(ws.OpBinary, make([]byte, huge)))
		f.Sent(len(f.Outgoing()))
	}
	for burst, run := range map[string]func(func([]byte), *frame.Framer){"frame": single, "fragments": fragments, "outgoing": outgoing} {
		for way, feed := range map[string]func(*frame.Framer, []byte) error{"Feed": (*frame.Framer).Feed, "Commit": feedInto} {
			t.Run(burst+" by "+way, func(t *testing.T) {
				cfg := config(false)
				cfg.Buffer = 8 << 10
				h := new(countingHandler)
				before := heapInUse()
				f := frame.New(cfg, h)
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
func TestEmptyIsNotNil(t *testing.T) {
	roles(t, func(t *testing.T, server bool) {
		cfg := config(server)
		cfg.Buffer, cfg.MaxOutgoing = 4, 4
		var log frameLog
		log.onMessage = func(_ ws.OpCode, p []byte) error {
			require.NotNil(t, p)
			return nil
		}
		f := frame.New(cfg, &log)
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
func TestDoesNotShrinkUnderTheQueue(t *testing.T) {
	f := frame.New(config(true), &frameLog{})
	p := make([]byte, 1<<20)
	_, _ = rand.Read(p)
	require.NoError(t, f.Send(ws.OpBinary, p))
	for range 200 {
		require.NoError(t, f.Feed(wire(true, true, ws.OpText, "small")))
	}
	require.Equal(t, ws.MustCompileFrame(ws.NewBinaryFrame(p)), drain(f))
}

// Bytes of a large frame that is still arriving survive the shrinking.
func TestDoesNotShrinkUnderAFrame(t *testing.T) {
	cfg := config(false)
	cfg.Buffer = 64
	var got [][]byte
	var log frameLog
	log.onMessage = func(_ ws.OpCode, p []byte) error { got = append(got, bytes.Clone(p)); return nil }
	f := frame.New(cfg, &log)
	p := make([]byte, 3000)
	_, _ = rand.Read(p)
	in := join(wire(false, false, ws.OpBinary, string(p)), wire(false, true, ws.OpContinuation, string(p)), wire(false, true, ws.OpBinary, string(p)))
	for i := range in {
		require.NoError(t, feedInto(f, in[i:i+1]))
	}
	require.Equal(t, [][]byte{join(p, p), p}, got)
}

func TestLendsNoNeighbours(t *testing.T) {
	var log frameLog
	log.onMessage = func(_ ws.OpCode, p []byte) error {
		require.Equal(t, len(p), cap(p))
		return nil
	}
	f := frame.New(config(false), &log)
	msg := join(wire(false, true, ws.OpText, "one"), wire(false, false, ws.OpText, "t"), wire(false, true, ws.OpContinuation, "wo"))
	require.NoError(t, f.Feed(msg))
	require.NoError(t, feedInto(f, msg))
	require.NoError(t, f.Send(ws.OpText, nil))
	require.Equal(t, len(f.Outgoing()), cap(f.Outgoing()))
	require.Equal(t, len(f.Buffer()), cap(f.Buffer()))
}

// In poisoned builds a handler that keeps what it was lent reads 0xCC.
func TestPoison(t *testing.T) {
	if !poison.On {
		t.Skip("only under -race or -tags tickstorm_poison")
	}
	roles(t, func(t *testing.T, server bool) {
		h := new(keeper)
		f := frame.New(config(server), h)
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

func TestAllocatesNothing(t *testing.T) {
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
				f := frame.New(frame.Config{Server: server, Buffer: buffer}, h)
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

// Framers that take turns with one window receive what they would with one each, whatever
// becomes of the window between their turns.
func TestBorrow(t *testing.T) {
	text := strings.Repeat("aé€", 30)
	roles(t, func(t *testing.T, server bool) {
		in := join(wire(server, true, ws.OpText, text), wire(server, true, ws.OpPing, "ping"), wire(server, false, ws.OpText, text[:100]),
			wire(server, true, ws.OpContinuation, text[100:]), wire(server, true, ws.OpBinary, strings.Repeat("b", 1000)),
			wire(server, true, ws.OpText, "last"))
		var want frameLog
		require.NoError(t, frame.New(config(server), &want).Feed(in))
		for _, window := range []int{1, 7, 64, 500, 2000} {
			for _, size := range []int{1, 5, 100, 1500} {
				shared := make([]byte, window)
				var logs [3]frameLog
				var framers [3]*frame.Framer
				for i := range framers {
					cfg := config(server)
					cfg.Buffer = 64
					framers[i] = frame.New(cfg, &logs[i])
				}
				for start := 0; start < len(in); start += size {
					for _, f := range framers {
						f.Borrow(shared)
						require.NoError(t, feedInto(f, in[start:min(start+size, len(in))]))
						f.GiveBack()
						for i := range shared {
							shared[i] = 0xEE
						}
					}
				}
				for i := range framers {
					require.Equal(t, want.lines, logs[i].lines, "window of %d, reads of %d", window, size)
				}
			}
		}
	})
}

func TestBorrowedWindowIsWhatBufferLends(t *testing.T) {
	same := func(a, b []byte) bool { return &a[0] == &b[0] }
	cfg := config(false)
	cfg.Buffer = 1000
	f := frame.New(cfg, new(countingHandler))
	for _, size := range []int{1, 1000, 5000} {
		window := make([]byte, size)
		f.Borrow(window)
		require.True(t, same(window, f.Buffer()))
		require.Len(t, f.Buffer(), size)
		other := make([]byte, size)
		f.Borrow(other)
		require.True(t, same(other, f.Buffer()), "the first is given back")
		f.GiveBack()
		require.False(t, same(other, f.Buffer()))
		f.GiveBack()
	}

	begun := wire(false, true, ws.OpText, "incomplete")[:8]
	require.NoError(t, feedInto(f, begun))
	full := make([]byte, len(begun))
	f.Borrow(full)
	require.False(t, same(full, f.Buffer()), "there is no room in it")
	f.GiveBack()
	roomy := make([]byte, len(begun)+1)
	f.Borrow(roomy)
	require.Equal(t, begun, roomy[:len(begun)])
	require.True(t, same(roomy[len(begun):], f.Buffer()))

	require.NoError(t, f.Commit(copy(f.Buffer(), "l")))
	require.False(t, same(roomy, f.Buffer()), "the frame has outgrown it")
	f.GiveBack()
	require.NoError(t, feedInto(f, []byte("ete")))
	f.Borrow(roomy)
	require.True(t, same(roomy, f.Buffer()), "the frame is over")
}

// A connection that is quiet costs no memory between its turns, one that is not a little.
func TestBorrowCostsNothing(t *testing.T) {
	if poison.On {
		t.Skip("allocations are not counted under the race detector")
	}
	const n = 1000
	window := make([]byte, 256<<10)
	whole := wire(false, true, ws.OpText, strings.Repeat("x", 100))
	framers := make([]*frame.Framer, n)
	for i := range framers {
		framers[i] = frame.New(config(false), new(countingHandler))
	}
	turn := func(in []byte) {
		for _, f := range framers {
			f.Borrow(window)
			if err := f.Commit(copy(f.Buffer(), in)); err != nil {
				panic(err)
			}
			f.GiveBack()
		}
	}
	require.Less(t, allocated(func() { turn(whole) }), uint64(64<<10))
	turn(whole[:50])
	turn(whole[50:])
	require.Less(t, allocated(func() {
		for range 20 {
			turn(whole[:50])
			turn(whole[50:])
		}
	}), uint64(64<<10))

	long := wire(false, true, ws.OpBinary, string(make([]byte, 1<<20)))
	before := heapInUse()
	f := framers[0]
	f.Borrow(window)
	require.NoError(t, feedInto(f, long))
	f.GiveBack()
	for range 3 {
		turn(whole)
	}
	require.Less(t, heapInUse(), before+256<<10, "the memory of a long message is given back")
	runtime.KeepAlive(framers)
}
