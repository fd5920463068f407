package tickstorm

import (
	"math"

	"github.com/tickstorm/tickstorm/internal/jsonscan"
	"github.com/tickstorm/tickstorm/internal/swar"
)

// This file reads numbers where they stand in a message. Each reader returns the index
// behind the number, or -1 where the token is no number of its kind: the event then
// goes to the reference. What follows the number is for the caller to check, which
// compares it with what comes next anyway.
//
// A number that is outside of what is exact here is handed to jsonscan, alone.

// exactMantissa is the last integer before the first that a float64 skips.
const exactMantissa = 1 << 53

// tens are the powers of ten that a float64 holds exactly: dividing an exact mantissa
// by one, or multiplying, rounds once and so correctly.
var tens = [32]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

const maxTen = 22

// wholeTens are the powers of ten by which 16 digits are put behind others.
var wholeTens = [17]uint64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16}

// float reads a number. Up to seven bytes without sign and exponent, such as 225.62
// or 100, are one word: the digits around the point are pushed together and converted
// at once.
func float(b []byte, i int) (v float64, end int) {
	w := swar.Load(b, i)
	x := w ^ swar.Zeros
	marks := swar.NonDigits(x)
	if marks == 0 || swar.BadStart(x) {
		return floatSlow(b, i)
	}
	n := swar.FirstMark(marks)
	if c := swar.ByteAt(w, n); c != '.' {
		mant := swar.EightDigits(swar.Align(x, n))
		if c|0x20 == 'e' {
			return exponent(b, i, i+n, mant, 0)
		}
		return float64(mant), i + n
	}
	marks &= marks - 1
	point := n
	n = swar.FirstMark(marks)
	if marks == 0 || n == point+1 {
		return floatLong(b, i)
	}
	low := uint64(1)<<(8*point&63) - 1
	mant := swar.EightDigits(swar.Align(x&low|x>>8&^low, n-1))
	if swar.ByteAt(w, n)|0x20 == 'e' {
		return exponent(b, i, i+n, mant, n-point-1)
	}
	return float64(mant) / tens[(n-point-1)&31], i + n
}

// floatLong reads a number that float does not: of two words and up to fifteen digits, such as
// 101657.74, at once.
func floatLong(b []byte, i int) (v float64, end int) {
	x, y := swar.Load(b, i)^swar.Zeros, swar.Load(b, i+8)^swar.Zeros
	marks, more := swar.NonDigits(x), swar.NonDigits(y)
	point := swar.FirstMark(marks)
	if marks == 0 || marks&(marks-1) != 0 || more == 0 || swar.BadStart(x) || swar.ByteAt(x, point) != '.'^'0' || point == 7 && more&0x80 != 0 {
		return floatSlow(b, i)
	}
	low := uint64(1)<<(8*point&63) - 1
	x = x&low | x>>8&^low | y<<56
	n := swar.FirstMark(more)
	var mant uint64
	if n == 0 {
		mant = swar.EightDigits(x << 8)
	} else {
		mant = swar.EightDigits(x)*wholeTens[n-1] + swar.EightDigits(y>>8<<1<<((63-8*(n-1))&63))
	}
	places := 7 + n - point
	if swar.At(b, i+8+n)|0x20 == 'e' {
		return exponent(b, i, i+8+n, mant, places)
	}
	return float64(mant) / tens[places&31], i + 8 + n
}

// exponent reads what follows the digits of the number at b[i], whose exponent begins at b[end]:
// usually such as e-05.
func exponent(b []byte, i, end int, mant uint64, places int) (float64, int) {
	w := swar.Load(b, end)
	x := w>>16 ^ swar.Zeros
	if swar.FirstMark(swar.NonDigits(x)) != 2 {
		return floatSlow(b, i)
	}
	e := int(byte(x))*10 + int(byte(x>>8))
	switch byte(w >> 8) {
	case '-':
		places += e
	case '+':
		places -= e
	default:
		return floatSlow(b, i)
	}
	if places < 0 || places > maxTen {
		return floatSlow(b, i)
	}
	return float64(mant) / tens[places&31], end + 4
}

// floatSlow reads a number digit run by digit run.
func floatSlow(b []byte, i int) (v float64, end int) {
	mant, n := digits(b, i)
	if n == 0 || n == 16 || n > 1 && b[i] == '0' {
		return floatToken(b, i)
	}
	end = i + n
	exp := 0
	if swar.At(b, end) == '.' {
		frac, k := digits(b, end+1)
		if k == 0 || n+k > 18 {
			return floatToken(b, i)
		}
		mant = mant*wholeTens[k] + frac
		exp = -k
		end += 1 + k
	}
	if swar.At(b, end)|0x20 == 'e' {
		j := end + 1
		sign := swar.At(b, j)
		if sign == '-' || sign == '+' {
			j++
		}
		e, k := digits(b, j)
		if k == 0 || k > 3 {
			return floatToken(b, i)
		}
		if sign == '-' {
			exp -= int(e)
		} else {
			exp += int(e)
		}
		end = j + k
	}
	switch {
	case mant > exactMantissa:
	case exp >= 0 && exp <= maxTen:
		return float64(mant) * tens[exp], end
	case exp < 0 && -exp <= maxTen:
		return float64(mant) / tens[-exp], end
	}
	return floatToken(b, i)
}

// floatToken reads any number, by jsonscan.
func floatToken(b []byte, i int) (v float64, end int) {
	end = numberEnd(b, i)
	if end < 0 {
		return 0, -1
	}
	v, ok := jsonscan.Float(b[i:end])
	if !ok {
		return 0, -1
	}
	return v, end
}

// integer reads an integer that is not one of up to seven digits.
func integer(b []byte, i int) (v int64, end int) {
	u, n := digits(b, i)
	if n > 0 && n < 16 && (n == 1 || b[i] != '0') {
		switch swar.At(b, i+n) {
		case '.', 'e', 'E':
		default:
			return int64(u), i + n
		}
	}
	end = numberEnd(b, i)
	if end < 0 {
		return 0, -1
	}
	v, ok := jsonscan.Int(b[i:end])
	if !ok {
		return 0, -1
	}
	return v, end
}

func integer32(b []byte, i int) (v int32, end int) {
	wide, end := integer(b, i)
	if wide < math.MinInt32 || wide > math.MaxInt32 {
		return 0, -1
	}
	return int32(wide), end
}

// digits reads up to 16 digits and returns their number.
func digits(b []byte, i int) (v uint64, n int) {
	x := swar.Load(b, i) ^ swar.Zeros
	n = swar.FirstMark(swar.NonDigits(x))
	if n == 0 {
		return 0, 0
	}
	v = swar.EightDigits(swar.Align(x, n))
	if n < 8 {
		return v, n
	}
	x = swar.Load(b, i+8) ^ swar.Zeros
	n = swar.FirstMark(swar.NonDigits(x))
	if n == 0 {
		return v, 8
	}
	return v*wholeTens[n] + swar.EightDigits(swar.Align(x, n)), 8 + n
}

// numberEnd returns where the number at b[i] ends, -1 if there is none.
func numberEnd(b []byte, i int) int {
	if c := swar.At(b, i); c != '-' && c-'0' > 9 {
		return -1
	}
	end, err := jsonscan.Value(b, i, 0)
	if err != nil {
		return -1
	}
	return end
}

// integers reads a list of integers, or a bare one as a list of one.
func integers(dst []int32, b []byte, i int) (list []int32, end int) {
	if swar.At(b, i) != '[' {
		v, end := integer32(b, i)
		return append(dst, v), end
	}
	i = jsonscan.SkipSpace(b, i+1)
	if swar.At(b, i) == ']' {
		return dst, i + 1
	}
	for {
		v, end := integer32(b, i)
		if end < 0 {
			return dst, -1
		}
		dst = append(dst, v)
		end = jsonscan.SkipSpace(b, end)
		switch swar.At(b, end) {
		case ',':
			i = jsonscan.SkipSpace(b, end+1)
		case ']':
			return dst, end + 1
		default:
			return dst, -1
		}
	}
}

// levels reads a list of pairs of price and size.
func levels(dst []Level, b []byte, i int) (list []Level, end int) {
	if swar.At(b, i) != '[' {
		return dst, -1
	}
	i = jsonscan.SkipSpace(b, i+1)
	if swar.At(b, i) == ']' {
		return dst, i + 1
	}
	for {
		if swar.At(b, i) != '[' {
			return dst, -1
		}
		price, end := float(b, jsonscan.SkipSpace(b, i+1))
		if end < 0 {
			return dst, -1
		}
		if end = jsonscan.SkipSpace(b, end); swar.At(b, end) != ',' {
			return dst, -1
		}
		size, end := float(b, jsonscan.SkipSpace(b, end+1))
		if end < 0 {
			return dst, -1
		}
		if end = jsonscan.SkipSpace(b, end); swar.At(b, end) != ']' {
			return dst, -1
		}
		dst = append(dst, Level{price, size})
		i = jsonscan.SkipSpace(b, end+1)
		switch swar.At(b, i) {
		case ',':
			i = jsonscan.SkipSpace(b, i+1)
		case ']':
			return dst, i + 1
		default:
			return dst, -1
		}
	}
}
