package frame

import (
	"unicode/utf8"

	"github.com/tickstorm/tickstorm/internal/swar"
)

// textCheck checks text that comes in pieces, which may end in the middle of a rune. Its
// zero value stands before a text; after a whole one it does so again.
type textCheck struct {
	cut [utf8.UTFMax]byte // the beginning of the rune in which the last piece ended
	n   int               // its length
}

// add takes the next piece, and reports whether it can be part of valid UTF-8.
func (c *textCheck) add(p []byte) bool {
	for c.n > 0 && len(p) > 0 {
		c.cut[c.n] = p[0]
		c.n++
		p = p[1:]
		if r := c.cut[:c.n]; utf8.FullRune(r) { // false only for what can still become a rune
			if !utf8.Valid(r) {
				return false
			}
			c.n = 0
		}
	}
	if len(p) == 0 {
		return true
	}
	n := wholeRunes(p)
	c.n = copy(c.cut[:], p[n:])
	return ValidText(p[:n])
}

// whole reports whether the text may end here.
func (c *textCheck) whole() bool { return c.n == 0 }

// wholeRunes returns the length of p without the beginning of a rune that it may end in.
func wholeRunes(p []byte) int {
	for i := len(p) - 1; i >= 0 && i > len(p)-utf8.UTFMax; i-- {
		if utf8.RuneStart(p[i]) {
			if !utf8.FullRune(p[i:]) {
				return i
			}
			break
		}
	}
	return len(p)
}

// ValidText is utf8.Valid for what is nearly always ASCII. Messages of a hundred bytes of
// changing length are what utf8.Valid does worst, by its loop over the last few bytes;
// here the last block overlaps the one before.
func ValidText(p []byte) bool {
	if len(p) < swar.BlockSize {
		return utf8.Valid(p)
	}
	bits := swar.BlockBits(p[len(p)-swar.BlockSize:])
	for rest := p; len(rest) > swar.BlockSize; rest = rest[swar.BlockSize:] {
		bits |= swar.BlockBits(rest)
	}
	return bits&swar.Tops == 0 || utf8.Valid(p)
}
