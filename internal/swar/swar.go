// Package swar looks at eight bytes at a time, without vector instructions (SIMD within a
// register).
//
// A word is eight bytes of a text in little-endian order: the first byte is the lowest.
// What is looked for in a word is marked by the top bit of its byte, and [FirstMark] tells
// where the first one is. All functions are pure, small enough to be inlined, and free of
// branches where it counts.
package swar

import (
	"encoding/binary"
	"math/bits"
)

// Words of eight equal bytes.
const (
	Ones  = 0x0101010101010101 // times c, a word of eight c
	Tops  = 0x80 * Ones        // all marks
	Zeros = '0' * Ones         // what turns digits into their values, by xor
)

// Load returns the eight bytes from b[i] on, 0 if there are fewer. Written so, the
// compiler proves the slice within bounds and makes it one comparison and one load.
func Load(b []byte, i int) uint64 {
	if i >= 0 && i < len(b)-7 {
		return binary.LittleEndian.Uint64(b[i : i+8 : len(b)])
	}
	return 0
}

// Short returns a text of at most eight bytes as a word, zeros behind it.
func Short(text []byte) (w uint64) {
	for i, c := range text {
		w |= uint64(c) << (8 * i & 63)
	}
	return w
}

// At returns b[i], 0 behind the end.
func At(b []byte, i int) byte {
	if uint(i) < uint(len(b)) {
		return b[i]
	}
	return 0
}

// NonDigits marks the bytes of a word of digits that are none; '0' has been taken off
// each byte by xor with Zeros. The first mark is right, and the second if the first is a
// point; those behind them may not be.
func NonDigits(x uint64) uint64 { return ((x + 0x76*Ones) | x) & Tops }

// StringStops marks the first byte of a word that ends the plain run of a JSON string:
// quote, backslash or control character. Marks behind it mean nothing, because borrows run
// upwards. Flipping bit 1 takes the quote to 0x20 and leaves the controls below it, so that
// one subtraction finds both.
func StringStops(w uint64) uint64 {
	return (((w ^ 0x02*Ones) - 0x21*Ones) | ((w ^ '\\'*Ones) - Ones)) &^ w & Tops
}

// Equals marks every byte of a word that is c.
func Equals(w uint64, c byte) uint64 {
	x := w ^ uint64(c)*Ones
	return ^((x&^Tops + 0x7F*Ones) | x) & Tops
}

// Spaces marks every byte of a word that is a space or a control character.
func Spaces(w uint64) uint64 { return ^((w&^Tops + 0x5F*Ones) | w) & Tops }

// FirstMark is the index of the first marked byte, 8 if there is none.
func FirstMark(marks uint64) int { return bits.TrailingZeros64(marks) >> 3 }

// ByteAt is byte n of a word; n is less than 8.
func ByteAt(w uint64, n int) byte { return byte(w >> (8 * n & 63)) }

// Below keeps the first n bytes of a word; n is less than 8.
func Below(w uint64, n int) uint64 { return w & (1<<(8*n&63) - 1) }

// BadStart reports whether a word, '0' taken off each byte, does not begin as a JSON
// number without a sign does: with a digit, and not with a zero and another one. What
// follows a number differs from a digit in its upper four bits.
func BadStart(x uint64) bool {
	first := byte(x)
	return first-1 > 8 && (first != 0 || x&0xF0FF == 0)
}

// Align moves the first n bytes of a word of digits to its end, with leading zeros in
// front of them; n is 1 to 8.
func Align(x uint64, n int) uint64 { return x << ((64 - 8*n) & 63) }

// EightDigits converts eight digits, '0' taken off each, by three multiplications: pairs,
// then the four pairs at once.
func EightDigits(x uint64) uint64 {
	x = x*10 + x>>8
	return ((x&0x000000FF000000FF)*(100+1000000<<32) + (x>>16&0x000000FF000000FF)*(1+10000<<32)) >> 32
}

// BlockSize is the length of what BlockBits looks at.
const BlockSize = 32

// BlockBits returns the bits of the first four words of p in one, for asking all of them
// the same: p has at least BlockSize bytes.
func BlockBits(p []byte) uint64 {
	_ = p[BlockSize-1]
	return binary.LittleEndian.Uint64(p) | binary.LittleEndian.Uint64(p[8:]) |
		binary.LittleEndian.Uint64(p[16:]) | binary.LittleEndian.Uint64(p[24:])
}
