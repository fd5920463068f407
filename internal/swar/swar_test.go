package swar_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/internal/swar"
)

// words are such that every byte has stood at every place, beside what carries and borrows
// come from, and many at random.
func words(yield func(uint64) bool) {
	near := []byte{0x00, 0x01, 0x1F, ' ', '!', '"', '#', '.', '/', '0', '9', ':', '[', '\\', ']', 0x7F, 0x80, 0x81, 0x8A, 0xFF}
	for place := range 8 {
		for c := range 256 {
			for _, others := range near {
				w := uint64(others) * swar.Ones
				w = w&^(0xFF<<(8*place)) | uint64(c)<<(8*place)
				if !yield(w) {
					return
				}
			}
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		var b [8]byte
		for i := range b {
			b[i] = near[r.IntN(len(near))]
		}
		if !yield(binary.LittleEndian.Uint64(b[:])) || !yield(r.Uint64()) {
			return
		}
	}
}

// marks returns what a function that marks every byte of a kind gives.
func marks(w uint64, is func(byte) bool) (m uint64) {
	for i := range 8 {
		if is(byte(w >> (8 * i))) {
			m |= 0x80 << (8 * i)
		}
	}
	return m
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func TestMarks(t *testing.T) {
	for w := range words {
		stops := marks(w, func(c byte) bool { return c == '"' || c == '\\' || c < ' ' })
		if got := swar.StringStops(w); swar.FirstMark(got) != swar.FirstMark(stops) || got&^swar.Tops != 0 {
			t.Fatalf("StringStops(%#x) = %#x, the first should be that of %#x", w, got, stops)
		}
		for _, c := range []byte{'"', '\\', 0, 0x7F, 0x80, 0xFF} {
			if got, want := swar.Equals(w, c), marks(w, func(b byte) bool { return b == c }); got != want {
				t.Fatalf("Equals(%#x, %#x) = %#x, not %#x", w, c, got, want)
			}
		}
		if got, want := swar.Spaces(w), marks(w, func(c byte) bool { return c <= ' ' }); got != want {
			t.Fatalf("Spaces(%#x) = %#x, not %#x", w, got, want)
		}

		other := marks(w, func(c byte) bool { return !isDigit(c) })
		got := swar.NonDigits(w ^ swar.Zeros)
		first := swar.FirstMark(other)
		if swar.FirstMark(got) != first || got&^swar.Tops != 0 {
			t.Fatalf("NonDigits(%#x) = %#x, the first should be that of %#x", w, got, other)
		}
		if first < 8 && swar.ByteAt(w, first) == '.' && swar.FirstMark(got&(got-1)) != swar.FirstMark(other&(other-1)) {
			t.Fatalf("NonDigits(%#x) = %#x, behind the point it should be as %#x", w, got, other)
		}

		one, two := byte(w), byte(w>>8)
		if got, want := swar.BadStart(w^swar.Zeros), !isDigit(one) || one == '0' && two&0xF0 == '0'; got != want {
			t.Fatalf("BadStart(%#x) = %v, not %v", w, got, want)
		}
	}
}

func TestFirstMark(t *testing.T) {
	require.Equal(t, 8, swar.FirstMark(0))
	for n := range 8 {
		require.Equal(t, n, swar.FirstMark(swar.Tops<<(8*n)))
	}
}

func TestBytes(t *testing.T) {
	w := binary.LittleEndian.Uint64([]byte("abcdefgh"))
	for n := range 8 {
		require.Equal(t, "abcdefgh"[n], swar.ByteAt(w, n))
		below := binary.LittleEndian.AppendUint64(nil, swar.Below(w, n))
		require.Equal(t, "abcdefgh"[:n]+strings.Repeat("\x00", 8-n), string(below))
	}
}

func TestLoad(t *testing.T) {
	b := []byte("abcdefghij")
	for i := -1; i < len(b)+1; i++ {
		want := uint64(0)
		if i >= 0 && i+8 <= len(b) {
			want = binary.LittleEndian.Uint64(b[i:])
		}
		require.Equal(t, want, swar.Load(b, i), i)
		c := byte(0)
		if i >= 0 && i < len(b) {
			c = b[i]
		}
		require.Equal(t, c, swar.At(b, i), i)
	}
	require.Zero(t, swar.Load(b[:7], 0), "what is behind the end is not read")
	require.Zero(t, swar.Load(nil, 0))
	require.Zero(t, swar.At(nil, 0))
}

func TestDigits(t *testing.T) {
	for _, n := range []int{0, 1, 9, 10, 99, 12345678, 87654321, 99999999, 10203040, 1, 7654321} {
		w := binary.LittleEndian.Uint64(fmt.Appendf(nil, "%08d", n))
		require.EqualValues(t, n, swar.EightDigits(w^swar.Zeros))

		text := strconv.Itoa(n)
		w = binary.LittleEndian.Uint64([]byte((text + ",\"xyz\":")[:8]))
		require.EqualValues(t, n, swar.EightDigits(swar.Align(w^swar.Zeros, len(text))), text)
	}
}

func TestBlockBits(t *testing.T) {
	b := make([]byte, swar.BlockSize+1)
	require.Zero(t, swar.BlockBits(b))
	for i := range swar.BlockSize {
		b[i] = 0x80
		require.Equal(t, uint64(0x80)<<(8*(i%8)), swar.BlockBits(b))
		b[i] = 0
	}
	b[swar.BlockSize] = 0xFF
	require.Zero(t, swar.BlockBits(b), "only the block counts")
}
