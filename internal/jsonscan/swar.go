package jsonscan

import (
	"encoding/binary"
	"math/bits"
)

// The masks below describe the eight bytes of a word loaded in little-endian
// order: the lowest set bit is the top bit of the first byte that was looked
// for. In stringStops bits above it mean nothing, because borrows run upwards;
// in nonDigits every bit is true.
const (
	ones  = 0x0101010101010101
	tops  = 0x80 * ones
	zeros = '0' * ones
)

// stringStops marks the bytes that end the plain run of a string: quote,
// backslash and control characters. Flipping bit 1 takes the quote to 0x20 and
// leaves the controls below it, so that one subtraction finds both.
func stringStops(w uint64) uint64 {
	return (((w ^ 0x02*ones) - 0x21*ones) | ((w ^ '\\'*ones) - ones)) &^ w & tops
}

// nonDigits marks the bytes that are no decimal digit.
func nonDigits(w uint64) uint64 {
	w ^= zeros
	return ((w&^tops + 0x76*ones) | w) & tops
}

// firstMarked is the index of the first marked byte, 8 when none is.
func firstMarked(mask uint64) int {
	return bits.TrailingZeros64(mask) >> 3
}

// plainEnd returns the index of the first quote, backslash or control character
// at or after b[i], or len(b).
func plainEnd(b []byte, i int) int {
	for ; len(b)-i >= 8; i += 8 {
		if stops := stringStops(binary.LittleEndian.Uint64(b[i : i+8])); stops != 0 {
			return i + firstMarked(stops)
		}
	}
	for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= ' ' {
		i++
	}
	return i
}

// digitsEnd returns the index of the first byte at or after b[i] that is no
// digit, or len(b).
func digitsEnd(b []byte, i int) int {
	for ; len(b)-i >= 8; i += 8 {
		if stops := nonDigits(binary.LittleEndian.Uint64(b[i : i+8])); stops != 0 {
			return i + firstMarked(stops)
		}
	}
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	return i
}

func isDigit(c byte) bool { return c-'0' <= 9 }
