package parquet

import (
	"encoding/binary"
	"math/bits"
)

// Decimals are integers of 16 bytes, in units of 10 to the -decimalScale.
const (
	decimalPrecision = 38
	decimalScale     = 18
	decimalBytes     = 16
)

// wide is an integer of 128 bits without a sign.
type wide struct{ hi, lo uint64 }

// mostWide is 10 to the decimalPrecision.
var mostWide = func() wide {
	w := wide{0, 1}
	for range decimalPrecision {
		w, _ = w.shift(0)
	}
	return w
}()

// shift returns ten times w and a digit; ok is false if that needs more bits.
func (w wide) shift(digit uint64) (out wide, ok bool) {
	carry, lo := bits.Mul64(w.lo, 10)
	over, hi := bits.Mul64(w.hi, 10)
	lo, c := bits.Add64(lo, digit, 0)
	hi, c = bits.Add64(hi, carry, c)
	return wide{hi, lo}, over == 0 && c == 0
}

// appendDecimal appends the number that a text is. ok is false, and dst as it was, if the text is no
// number of JSON, or one that has more digits than fit: nothing is rounded.
func appendDecimal(dst, text []byte) (out []byte, ok bool) {
	i, negative := 0, false
	if len(text) > 0 && text[0] == '-' {
		i, negative = 1, true
	}
	var w wide
	scale, digits, zeros, point := 0, 0, 0, false // zeros are those at the end, not in w yet
	for ; i < len(text); i++ {
		c := text[i]
		if c == '.' && !point {
			point = true
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		digits++
		if point {
			scale++
		}
		if c == '0' {
			zeros++
			continue
		}
		for ; zeros > 0; zeros-- {
			if w, ok = w.shift(0); !ok {
				return dst, false
			}
		}
		if w, ok = w.shift(uint64(c - '0')); !ok {
			return dst, false
		}
	}
	exponent, ok := exponentOf(text[i:])
	if digits == 0 || !ok {
		return dst, false
	}
	if w != (wide{}) {
		shift := decimalScale - scale + exponent + zeros
		if shift < 0 || shift > decimalPrecision {
			return dst, false
		}
		for range shift {
			if w, ok = w.shift(0); !ok {
				return dst, false
			}
		}
		if w.hi > mostWide.hi || w.hi == mostWide.hi && w.lo >= mostWide.lo {
			return dst, false
		}
	}
	if negative {
		lo, borrow := bits.Sub64(0, w.lo, 0)
		hi, _ := bits.Sub64(0, w.hi, borrow)
		w = wide{hi, lo}
	}
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, w.hi), w.lo), true
}

// exponentOf reads what is behind the digits of a number: nothing, or an exponent.
func exponentOf(text []byte) (exponent int, ok bool) {
	if len(text) == 0 {
		return 0, true
	}
	if text[0] != 'e' && text[0] != 'E' || len(text) < 2 {
		return 0, false
	}
	text = text[1:]
	negative := text[0] == '-'
	if text[0] == '-' || text[0] == '+' {
		text = text[1:]
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		exponent = min(exponent*10+int(c-'0'), 1<<20)
	}
	if negative {
		exponent = -exponent
	}
	return exponent, len(text) > 0
}
