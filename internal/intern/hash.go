package intern

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"

	"github.com/tickstorm/tickstorm/internal/swar"
)

// Hasher hashes texts with a seed of its own, unknown to whoever chooses the texts: they cannot
// be chosen so that they collide.
type Hasher struct{ seed, second uint64 }

// NewHasher returns a hasher with a new seed.
func NewHasher() Hasher { return Hasher{rand.Uint64(), rand.Uint64()} }

// Fold mixes a word into a hash by both halves of a product, as wyhash does.
func Fold(h, word uint64) uint64 { return product(h^word, 0x9E3779B97F4A7C15) }

func product(x, y uint64) uint64 {
	high, low := bits.Mul64(x, y)
	return high ^ low
}

// Hash returns the hash of a text.
func (h Hasher) Hash(text []byte) uint64 {
	a, b, c := Words(text[:min(len(text), Inline)])
	hash := h.Words(a, b, c, len(text))
	for i := Inline; i < len(text); i += 8 {
		hash = Fold(hash, swar.Short(text[i:min(i+8, len(text))]))
	}
	return hash
}

// Words is Hash for a text of n bytes whose first 24 are given as words.
func (h Hasher) Words(a, b, c uint64, n int) uint64 {
	if n < 8 {
		return h.word(a)
	}
	return Fold(product(a^h.seed, b^h.second), c)
}

// word is Hash for a text of fewer than eight bytes, given as a word.
func (h Hasher) word(w uint64) uint64 { return Fold(h.seed, w) }

// Words returns a text of at most [Inline] bytes as three words, zeros behind it.
func Words(text []byte) (a, b, c uint64) {
	switch n := len(text); {
	case n < 8:
		return swar.Short(text), 0, 0
	case n < 16:
		return binary.LittleEndian.Uint64(text), swar.Short(text[8:]), 0
	case n < 24:
		return binary.LittleEndian.Uint64(text), binary.LittleEndian.Uint64(text[8:]), swar.Short(text[16:])
	default:
		return binary.LittleEndian.Uint64(text), binary.LittleEndian.Uint64(text[8:]), binary.LittleEndian.Uint64(text[16:])
	}
}
