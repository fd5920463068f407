package jsonscan

import (
	"math"
	"math/bits"
	"strconv"
)

// IsNumber reports whether the whole of tok is one JSON number.
func IsNumber(tok []byte) bool {
	end, err := numberEnd(tok, 0)
	return err == nil && end == len(tok)
}

// exactDigits is how many decimal digits always fit into a uint64.
const exactDigits = 19

// exactMantissa is the last integer before the first that a float64 skips.
const exactMantissa = 1 << 53

// powersOfTen are those that a float64 holds exactly.
var powersOfTen = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// Float converts a valid JSON number to the nearest float64, bit for bit as
// strconv.ParseFloat does, -0 included. (Where more than 800 digits stand before
// the point, or more than five behind the e, ParseFloat of Go 1.26 can be far
// off and Float is right.) ok is false, and f infinite, when the number is out of
// range. What a token that is no JSON number gives is unspecified, but it does
// not panic.
//
// It allocates in two corners that no price ever comes near: a token of more
// than 32 bytes whose first 19 significant digits leave open which of two
// floats is nearer costs a string of less than 1 KiB, and a number of 309
// integer digits that is out of range costs the error of ParseFloat.
func Float(tok []byte) (f float64, ok bool) {
	i, neg := 0, len(tok) > 0 && tok[0] == '-'
	if neg {
		i = 1
	}
	if len(tok)-i > exactDigits {
		return floatSlow(tok)
	}

	// So few bytes cannot overflow the mantissa.
	var mant uint64
	for i < len(tok) && isDigit(tok[i]) {
		mant = mant*10 + uint64(tok[i]-'0')
		i++
	}
	frac := 0
	if i < len(tok) && tok[i] == '.' {
		i++
		start := i
		for i < len(tok) && isDigit(tok[i]) {
			mant = mant*10 + uint64(tok[i]-'0')
			i++
		}
		frac = i - start
	}
	switch {
	case mant > exactMantissa:
		return floatSlow(tok)
	case i == len(tok):
		// Both operands are exact, so that the one division rounds once, correctly.
		f = float64(mant) / powersOfTen[frac]
	default:
		if f, ok = scaleExactly(mant, writtenExponent(tok[i:])-int64(frac)); !ok {
			return floatSlow(tok)
		}
	}
	if neg {
		f = -f
	}
	return f, true
}

// scaleExactly is mant times ten to the exp where one operation on two exact
// operands gives it; mant is not above exactMantissa.
func scaleExactly(mant uint64, exp int64) (f float64, ok bool) {
	switch {
	case 0 <= exp && exp < int64(len(powersOfTen)):
		return float64(mant) * powersOfTen[exp], true
	case exp < 0 && -exp < int64(len(powersOfTen)):
		return float64(mant) / powersOfTen[-exp], true
	}
	return 0, false
}

// floatSlow takes every token, with or without an exponent.
func floatSlow(tok []byte) (f float64, ok bool) {
	d := takeApart(tok)
	exp := d.scale + d.exponent
	// The number is 0.d1d2d3… times ten to the point.
	point := exp + int64(d.digits)
	switch {
	case d.mant == 0 || point < -330:
		// Half of the smallest float is 2.5e-324.
		f = 0
	case point > 309:
		f = math.Inf(1)
	default:
		if !d.cut && d.mant <= exactMantissa {
			f, ok = scaleExactly(d.mant, exp)
		}
		if !ok {
			f = floatRounded(tok, d, exp)
		}
	}
	if d.neg {
		f = -f
	}
	return f, !math.IsInf(f, 0)
}

// floatRounded gives the absolute value of tok, taken apart as d with the
// exponent exp, where rounding needs more than one operation on floats. The
// strings that it makes are short enough to live on the stack, but for the last.
func floatRounded(tok []byte, d decimal, exp int64) float64 {
	if len(tok) <= 32 {
		f, _ := strconv.ParseFloat(string(tok), 64)
		return math.Abs(f)
	}
	low := parseScaled(d.mant, exp)
	// The number lies between mant and mant+1. Rounding never reverses an order,
	// so where both round alike the digits that were cut off do not matter.
	if !d.cut || low == parseScaled(d.mant+1, exp) {
		return low
	}
	return parseLong(tok, exp+int64(d.digits))
}

// parseScaled is the float64 nearest to mant times ten to the exp, which is
// known to be of three digits.
func parseScaled(mant uint64, exp int64) float64 {
	var buf [32]byte
	text := strconv.AppendUint(buf[:0], mant, 10)
	text = append(text, 'e')
	text = strconv.AppendInt(text, exp, 10)
	f, _ := strconv.ParseFloat(string(text), 64)
	return f
}

// keptDigits is how many significant digits parseLong keeps. The middle of two
// neighbouring floats never has more than 767, so that from there on it matters
// only whether anything but zeros follows. ParseFloat keeps 800.
const keptDigits = 790

// parseLong is the absolute value of tok, whose significant digits are those of
// a fraction to be multiplied by ten to the point.
func parseLong(tok []byte, point int64) float64 {
	var buf [keptDigits + 16]byte
	text := append(buf[:0], '0', '.')
	kept := 0
	for _, c := range tok {
		if c|0x20 == 'e' {
			break
		}
		if !isDigit(c) || c == '0' && kept == 0 {
			continue
		}
		if kept < keptDigits {
			text = append(text, c)
			kept++
		} else if c != '0' {
			text = append(text, '1')
			break
		}
	}
	text = append(text, 'e')
	text = strconv.AppendInt(text, point, 10)
	f, _ := strconv.ParseFloat(string(text), 64)
	return f
}

// Int converts a valid JSON number to an int64 when it is integral and fits,
// in whatever form it is written: 12, 12.0, 120e-1 and 1.2E1 are all 12. The
// result is exact, also beyond 2^53, and ok is false otherwise. What a token
// that is no JSON number gives is unspecified, but it does not panic.
func Int(tok []byte) (v int64, ok bool) {
	i, neg := 0, len(tok) > 0 && tok[0] == '-'
	if neg {
		i = 1
	}
	if n := len(tok) - i; n == 0 || n >= exactDigits {
		return intSlow(tok)
	}
	for ; i < len(tok); i++ {
		c := tok[i] - '0'
		if c > 9 {
			return intSlow(tok)
		}
		v = v*10 + int64(c)
	}
	if neg {
		v = -v
	}
	return v, true
}

// intSlow takes every token: of 19 digits, with a point or with an exponent.
// The work is one pass over the token, however large its exponent.
func intSlow(tok []byte) (v int64, ok bool) {
	d := takeApart(tok)
	if d.mant == 0 {
		return 0, d.digits > 0 // no digit at all is no number
	}
	if d.cut {
		return 0, false // 20 significant digits: too large, or not integral
	}
	exp := d.scale + d.exponent
	mant := d.mant
	for exp < 0 && mant%10 == 0 {
		mant /= 10
		exp++
	}
	if exp < 0 || exp >= exactDigits {
		return 0, false
	}
	for ; exp > 0; exp-- {
		high, low := bits.Mul64(mant, 10)
		if high != 0 {
			return 0, false
		}
		mant = low
	}
	if d.neg {
		return -int64(mant), mant <= 1<<63
	}
	return int64(mant), mant < 1<<63
}

// decimal is a JSON number taken apart: ±mant times ten to the (scale +
// exponent), and a little more when digits were cut off.
type decimal struct {
	neg      bool
	cut      bool   // digits other than 0 follow those in mant
	mant     uint64 // the first 19 significant digits
	digits   int    // how many of them there are; of zero, 1
	scale    int64  // what the position of the point adds to the exponent
	exponent int64  // as written, but never beyond some 2^43
}

// takeApart reads a number of any length in one pass and without overflow.
func takeApart(tok []byte) decimal {
	var (
		mant   uint64
		digits int
		scale  int64
		cut    bool
	)
	i, neg := 0, len(tok) > 0 && tok[0] == '-'
	if neg {
		i = 1
	}
	point := len(tok) // the index of the point, once it is known
	for ; i < len(tok); i++ {
		c := tok[i] - '0'
		if c > 9 {
			if tok[i] != '.' || point < len(tok) {
				break
			}
			point = i
			continue
		}
		if digits < exactDigits {
			if mant != 0 || digits == 0 {
				digits++
			}
			mant = mant*10 + uint64(c)
			if i > point {
				scale--
			}
			continue
		}
		cut = cut || c != 0
		if i < point {
			scale++
		}
	}
	return decimal{neg, cut, mant, digits, scale, writtenExponent(tok[i:])}
}

// writtenExponent reads the number behind an e, if there is one. Beyond 2^40 it stops
// accumulating: no token is long enough to bring such a number back.
func writtenExponent(tok []byte) (exp int64) {
	i, neg := 1, false
	if len(tok) > 1 && (tok[1] == '+' || tok[1] == '-') {
		i, neg = 2, tok[1] == '-'
	}
	for ; i < len(tok) && isDigit(tok[i]); i++ {
		if exp < 1<<40 {
			exp = exp*10 + int64(tok[i]-'0')
		}
	}
	if neg {
		return -exp
	}
	return exp
}
