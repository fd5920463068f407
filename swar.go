package tickstorm

import (
	"encoding/binary"
	"math/bits"
)

// Eight bytes of a message are one little-endian word here: the first byte is the
// lowest. What is looked for in a word is marked by the top bit of its byte.
const (
	ones  = 0x0101010101010101
	tops  = 0x80 * ones
	zeros = '0' * ones
)

// fastDepth is how deep the elements nest that the fast path reads: books do.
const fastDepth = 3

// tailLength is how much of a message's end is copied so that load need not ask how
// much is left: the elements in it, and whole messages that are shorter.
const tailLength = 512

// padding is how many bytes behind an element a buffer must have for load.
const padding = 8

// load returns the eight bytes from b[i] on, 0 if there are fewer. Written so, the
// compiler proves the slice within bounds and makes it one comparison and one load.
func load(b []byte, i int) uint64 {
	if i >= 0 && i < len(b)-7 {
		return binary.LittleEndian.Uint64(b[i : i+8 : len(b)])
	}
	return 0
}

// at returns b[i], 0 behind the end.
func at(b []byte, i int) byte {
	if uint(i) < uint(len(b)) {
		return b[i]
	}
	return 0
}

// nonDigits marks the bytes of a word of digits that are none; '0' has been taken off
// each byte by xor. The first mark is right, and the second if the first is a point; those
// behind them may not be.
func nonDigits(x uint64) uint64 { return ((x + 0x76*ones) | x) & tops }

// stringStops marks the first quote, backslash or control character of a word.
func stringStops(w uint64) uint64 {
	return (((w ^ 0x02*ones) - 0x21*ones) | ((w ^ '\\'*ones) - ones)) &^ w & tops
}

// equals marks every byte of a word that is c.
func equals(w uint64, c byte) uint64 {
	x := w ^ uint64(c)*ones
	return ^((x&^tops + 0x7F*ones) | x) & tops
}

// spaces marks every byte of a word that is a space or a control character.
func spaces(w uint64) uint64 { return ^((w&^tops + 0x5F*ones) | w) & tops }

// firstMark is the index of the first marked byte, 8 if there is none.
func firstMark(marks uint64) int { return bits.TrailingZeros64(marks) >> 3 }

// byteAt is byte n of a word; n is less than 8.
func byteAt(w uint64, n int) byte { return byte(w >> (8 * n & 63)) }

// below keeps the first n bytes of a word; n is less than 8.
func below(w uint64, n int) uint64 { return w & (1<<(8*n&63) - 1) }

// badStart reports whether a word, '0' taken off each byte, does not begin as a JSON
// number without a sign does: with a digit, and not with a zero and another one. What
// follows a number differs from a digit in its upper four bits.
func badStart(x uint64) bool {
	first := byte(x)
	return first-1 > 8 && (first != 0 || x&0xF0FF == 0)
}

// align moves the first n bytes of a word of digits to its end, with leading zeros in
// front of them; n is 1 to 8.
func align(x uint64, n int) uint64 { return x << ((64 - 8*n) & 63) }

// eight converts eight digits, '0' taken off each, by three multiplications: pairs,
// then the four pairs at once.
func eight(x uint64) uint64 {
	x = x*10 + x>>8
	return ((x&0x000000FF000000FF)*(100+1000000<<32) + (x>>16&0x000000FF000000FF)*(1+10000<<32)) >> 32
}
