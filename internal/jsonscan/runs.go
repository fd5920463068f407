package jsonscan

import (
	"encoding/binary"

	"github.com/tickstorm/tickstorm/internal/swar"
)

// plainEnd returns the index of the first quote, backslash or control character
// at or after b[i], or len(b).
func plainEnd(b []byte, i int) int {
	for ; len(b)-i >= 8; i += 8 {
		if stops := swar.StringStops(binary.LittleEndian.Uint64(b[i : i+8])); stops != 0 {
			return i + swar.FirstMark(stops)
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
		if stops := swar.NonDigits(binary.LittleEndian.Uint64(b[i:i+8]) ^ swar.Zeros); stops != 0 {
			return i + swar.FirstMark(stops)
		}
	}
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	return i
}

func isDigit(c byte) bool { return c-'0' <= 9 }
