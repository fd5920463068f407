package record

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// numbered is a message of some length that begins with a number and goes on with its bytes.
func numbered(n uint64, length int) []byte {
	msg := make([]byte, max(8, length))
	binary.LittleEndian.PutUint64(msg, n)
	for i := 8; i < len(msg); i++ {
		msg[i] = byte(n) + byte(i)
	}
	return msg
}

// TestBufferConcurrent: whatever the producer puts in comes out once, whole and in order, or is
// counted at its place.
func TestBufferConcurrent(t *testing.T) {
	const total = 200_000
	b := newBuffer(1 << 16)
	go func() {
		lengths := rand.New(rand.NewPCG(1, 2))
		for n := range uint64(total) {
			length := int(lengths.Uint64() % 3000)
			if n%1000 == 0 {
				length = 1 << 16 // never fits
			}
			b.message(numbered(n, length), int64(n))
			if n%777 == 0 {
				b.control(&Control{Kind: Status, Received: int64(n)})
			}
		}
		b.control(&Control{Kind: Down})
	}()
	var pos, next uint64
	var scratch, msg []byte
	var controls int
	random := rand.New(rand.NewPCG(3, 4))
	for done := false; !done; {
		if m, ok := b.takeMark(pos); ok {
			switch {
			case m.control == nil:
				require.EqualValues(t, next, m.first)
				next += m.count
				require.EqualValues(t, next-1, m.last)
			case m.control.Kind == Down:
				done = true
			default:
				require.EqualValues(t, next-1, m.control.Received)
				controls++
			}
			b.release(pos, 1)
			continue
		}
		if b.tail.Load() == pos {
			runtime.Gosched()
			continue
		}
		// A mark of this position may have come since it was looked for, but none comes later.
		if b.next.Load() <= pos {
			continue
		}
		var received int64
		var size uint64
		msg, received, size, scratch = b.entry(pos, scratch)
		require.EqualValues(t, next, received)
		require.True(t, string(numbered(next, len(msg))) == string(msg))
		next++
		pos += size
		if random.Uint64()%4 == 0 {
			b.release(pos, 0)
		}
	}
	require.EqualValues(t, total, next)
	require.Equal(t, (total+776)/777, controls)
	require.NotZero(t, b.dropped().messages)
}

// TestBufferRewind: what was not released comes again, marks too.
func TestBufferRewind(t *testing.T) {
	b := newBuffer(1 << 12)
	b.control(&Control{Kind: Up})
	b.message([]byte("one"), 1)
	b.control(&Control{Kind: Gap})
	b.message([]byte("two"), 2)
	take := func(pos uint64) (seen []string, end uint64) {
		for {
			if m, ok := b.takeMark(pos); ok {
				seen = append(seen, string(m.control.Kind))
				continue
			}
			if !b.pending(pos) {
				return seen, pos
			}
			msg, _, size, _ := b.entry(pos, nil)
			seen, pos = append(seen, string(msg)), pos+size
		}
	}
	all := []string{"up", "one", "gap", "two"}
	seen, _ := take(0)
	require.Equal(t, all, seen)
	require.Zero(t, b.rewind())
	seen, _ = take(0)
	require.Equal(t, all, seen)
	b.release(entrySize(3), 1)
	seen, end := take(b.rewind())
	require.Equal(t, all[2:], seen)
	b.release(end, 1)
	require.Zero(t, b.fill())
	require.Empty(t, b.marks)
}

// TestBufferFull: the newest gives way, drops side by side are told as one, and what is released
// makes room.
func TestBufferFull(t *testing.T) {
	b := newBuffer(1 << 12)
	msg := make([]byte, 1000)
	for n := range 10 {
		b.message(msg, int64(n))
	}
	require.Equal(t, drops{messages: 6, bytes: 6000}, b.dropped())
	m, ok := b.takeMark(b.tail.Load())
	require.True(t, ok)
	require.Equal(t, mark{pos: b.put, count: 6, bytes: 6000, first: 4, last: 9}, m)
	b.message(msg, 10)
	m, ok = b.takeMark(b.tail.Load())
	require.True(t, ok, "the one before was taken")
	require.EqualValues(t, 1, m.count)
	b.release(entrySize(1000), 2)
	b.message(msg, 11)
	require.EqualValues(t, 7, b.dropped().messages)
	require.EqualValues(t, 4*entrySize(1000), b.fill())
}

// TestBufferAllocs: neither a message nor a drop allocates.
func TestBufferAllocs(t *testing.T) {
	b := newBuffer(1 << 20)
	msg := make([]byte, 2600)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		b.message(msg, 1)
		b.release(b.put, 0)
	}))
	for b.dropped().messages == 0 {
		b.message(msg, 1)
	}
	require.Zero(t, testing.AllocsPerRun(1000, func() { b.message(msg, 1) }))
}

// TestBufferControlsBound: controls that nobody takes have an end, and are counted.
func TestBufferControlsBound(t *testing.T) {
	b := newBuffer(1 << 12)
	for range maxMarks + 5 {
		b.control(&Control{Kind: Status})
	}
	require.Len(t, b.marks, maxMarks)
	require.EqualValues(t, 5, b.dropped().controls)
}
