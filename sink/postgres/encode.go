package postgres

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"

	"github.com/tickstorm/tickstorm"
)

// This file writes values in the binary form of COPY: for each its length in four bytes, and the
// value as the type's receive function reads it. Nothing here allocates but what dst has no room for.

// The frame of the data: a signature, no flags, no extension; and behind the last row -1 columns.
const (
	copyHeader  = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"
	copyTrailer = "\xff\xff"
)

const nullLength = math.MaxUint32 // -1

func appendNull(b []byte) []byte { return binary.BigEndian.AppendUint32(b, nullLength) }

func appendInteger(b []byte, v int32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, 4), uint32(v))
}

func appendBigint(b []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, 8), uint64(v))
}

func appendDouble(b []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, 8), math.Float64bits(v))
}

func appendBoolean(b []byte, v bool) []byte {
	b = binary.BigEndian.AppendUint32(b, 1)
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendText[T string | []byte](b []byte, v T) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
}

// epochMicros is the year 2000, which times are counted from, in microseconds since 1970.
const epochMicros = 946_684_800 * 1e6

func appendTime(b []byte, micros int64) []byte { return appendBigint(b, micros-epochMicros) }

// microsOf is a time in microseconds since 1970, rounded down, and whether nothing was lost.
func microsOf(nanos int64) (micros int64, whole bool) {
	micros = nanos / 1000
	if rest := nanos % 1000; rest != 0 {
		if rest < 0 {
			micros--
		}
		return micros, false
	}
	return micros, true
}

// timestampMicros is microsOf of a time of the vendor's. That goes farther than nanoseconds reach.
func timestampMicros(t tickstorm.Timestamp) (micros int64, whole bool) {
	const farthest = 1e14 // milliseconds, below which Timestamp takes an integer for them
	if t > -farthest && t < farthest {
		return int64(t) * 1000, true
	}
	if t > -1000*farthest && t < 1000*farthest {
		return int64(t), true
	}
	return microsOf(int64(t))
}

// The parts of an array: type of its elements, lower bounds.
const (
	oidInt4   = 23
	oidText   = 25
	oidFloat8 = 701
)

// appendArray appends the head of an array of so many elements of so many bytes, with their lengths
// among these.
func appendArray(b []byte, oid uint32, size int, dimensions ...int) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(12+8*len(dimensions)+size))
	b = binary.BigEndian.AppendUint32(b, uint32(len(dimensions)))
	b = binary.BigEndian.AppendUint32(b, 0) // no element is NULL
	b = binary.BigEndian.AppendUint32(b, oid)
	for _, n := range dimensions {
		b = binary.BigEndian.AppendUint32(b, uint32(n))
		b = binary.BigEndian.AppendUint32(b, 1) // where indexes begin
	}
	return b
}

func appendIntegers(b []byte, list []int32) []byte {
	if len(list) == 0 {
		return appendArray(b, oidInt4, 0)
	}
	b = appendArray(b, oidInt4, 8*len(list), len(list))
	for _, v := range list {
		b = appendInteger(b, v)
	}
	return b
}

// appendLevels appends an array of two dimensions: of each level price and size.
func appendLevels(b []byte, list []tickstorm.Level) []byte {
	if len(list) == 0 {
		return appendArray(b, oidFloat8, 0)
	}
	b = appendArray(b, oidFloat8, 24*len(list), len(list), 2)
	for i := range list {
		b = appendDouble(appendDouble(b, list[i].Price), list[i].Size)
	}
	return b
}

func appendTexts(b []byte, list []string) []byte {
	size := 0
	for _, v := range list {
		size += 4 + len(v)
	}
	b = appendArray(b, oidText, size, len(list))
	for _, v := range list {
		b = appendText(b, v)
	}
	return b
}

// maxNumeric is how many digits a decimal may have, with those that its exponent stands for. The
// server has room for more, and no price or size has.
const maxNumeric = 1000

// appendNumeric appends a decimal number, digit by digit, from its text as JSON has it. ok is false,
// and nothing is appended, if it is none or is too long.
func appendNumeric(b []byte, text []byte) (_ []byte, ok bool) {
	negative := len(text) > 0 && text[0] == '-'
	if negative {
		text = text[1:]
	}
	exponent := 0
	if e := bytes.IndexAny(text, "eE"); e >= 0 {
		if exponent, ok = smallInteger(text[e+1:]); !ok {
			return b, false
		}
		text = text[:e]
	}
	point := len(text)
	if dot := bytes.IndexByte(text, '.'); dot >= 0 {
		point = dot
	}
	total := len(text)
	if point < total {
		total--
	}
	if total == 0 || total > maxNumeric {
		return b, false
	}
	digit := func(i int) byte { // the i-th of all, whatever point
		if i >= point {
			i++
		}
		return text[i] - '0'
	}
	for i := range total {
		if digit(i) > 9 {
			return b, false
		}
	}
	first := 0
	for first < total && digit(first) == 0 {
		first++
	}
	whole := point + exponent // digits before the point; digit i stands for 10^(whole-1-i)
	scale := max(0, total-whole)
	if whole > maxNumeric || scale > maxNumeric {
		return b, false
	}
	start := len(b)
	b = append(b, make([]byte, 12)...) // length, number of groups, weight, sign, scale
	groups, weight := 0, 0
	if first < total {
		// Groups of four digits: the first has what is left before a multiple of four.
		weight = floorDiv(whole-1-first, 4)
		for at := whole - 4*(weight+1); at < total; at += 4 { // digit before which a group begins
			v := uint16(0)
			for i := at; i < at+4; i++ {
				v *= 10
				if i >= first && i < total {
					v += uint16(digit(i))
				}
			}
			b = binary.BigEndian.AppendUint16(b, v)
			groups++
		}
		for groups > 0 && b[len(b)-1] == 0 && b[len(b)-2] == 0 { // as the server has them
			b, groups = b[:len(b)-2], groups-1
		}
	}
	sign := uint16(0)
	if negative && groups > 0 {
		sign = 0x4000
	}
	head := b[start:]
	binary.BigEndian.PutUint32(head, uint32(len(head)-4))
	binary.BigEndian.PutUint16(head[4:], uint16(groups))
	binary.BigEndian.PutUint16(head[6:], uint16(int16(weight)))
	binary.BigEndian.PutUint16(head[8:], sign)
	binary.BigEndian.PutUint16(head[10:], uint16(scale))
	return b, true
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// smallInteger reads an exponent of a few digits.
func smallInteger(text []byte) (n int, ok bool) {
	negative := false
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		negative, text = text[0] == '-', text[1:]
	}
	if len(text) == 0 {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' || n > maxNumeric {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}

// appendValue appends a field of an event that has a value. fits is false if the server's type has no
// room for all of it: then it is NULL, or what of it there is room for.
func appendValue(b []byte, field any, nanos bool) (_ []byte, fits bool) {
	switch p := field.(type) {
	case *float64:
		return appendDouble(b, *p), true
	case *int64:
		return appendBigint(b, *p), true
	case *int32:
		return appendInteger(b, *p), true
	case *tickstorm.Timestamp:
		micros, whole := timestampMicros(*p)
		b = appendTime(b, micros)
		if nanos {
			return appendBigint(b, p.Nanoseconds()), true
		}
		return b, whole
	case *tickstorm.Decimal:
		if b, ok := appendNumeric(b, p.Text); ok {
			return b, true
		}
	case *string:
		if strings.IndexByte(*p, 0) < 0 {
			return appendText(b, *p), true
		}
	case *[]byte:
		if bytes.IndexByte(*p, 0) < 0 {
			return appendText(b, *p), true
		}
	case *tickstorm.Auction:
		if *p != 0 {
			return appendText(b, p.String()), true
		}
	case *bool:
		return appendBoolean(b, *p), true
	case *[]int32:
		return appendIntegers(b, *p), true
	case *[]tickstorm.Level:
		return appendLevels(b, *p), true
	}
	return appendNull(b), false
}
