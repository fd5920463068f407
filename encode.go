package tickstorm

import (
	"math"
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// AppendJSON appends the trade in the wire's form to dst: the fields in Has, those
// in Null as null, in the order and number format of the live feed of the event's
// Market. Odd fields are left out; they stand in Raw. A number that JSON lacks is
// written as null. An event without Market and Stream is written as a stock's.
func (t *Trade) AppendJSON(dst []byte) []byte { return appendEvent(dst, t) }

// AppendJSON appends the quote in the wire's form to dst; see [Trade.AppendJSON].
func (q *Quote) AppendJSON(dst []byte) []byte { return appendEvent(dst, q) }

// AppendJSON appends the aggregate in the wire's form to dst; see [Trade.AppendJSON].
func (a *Aggregate) AppendJSON(dst []byte) []byte { return appendEvent(dst, a) }

// AppendJSON appends the book in the wire's form to dst; see [Trade.AppendJSON].
func (b *Book) AppendJSON(dst []byte) []byte { return appendEvent(dst, b) }

// AppendJSON appends the price band in the wire's form to dst; see [Trade.AppendJSON].
func (l *LULD) AppendJSON(dst []byte) []byte { return appendEvent(dst, l) }

// AppendJSON appends the imbalance in the wire's form to dst; see [Trade.AppendJSON].
func (n *Imbalance) AppendJSON(dst []byte) []byte { return appendEvent(dst, n) }

// AppendJSON appends the value in the wire's form to dst; see [Trade.AppendJSON].
func (v *Value) AppendJSON(dst []byte) []byte { return appendEvent(dst, v) }

// AppendJSON appends the status in the wire's form to dst; see [Trade.AppendJSON].
func (s *Status) AppendJSON(dst []byte) []byte { return appendEvent(dst, s) }

// AppendJSON appends the event as it came, which is its Raw.
func (u *Unknown) AppendJSON(dst []byte) []byte { return append(dst, u.Raw...) }

func appendEvent(dst []byte, e Event) []byte {
	h := e.Head()
	c := statusChannel
	if e.Kind() != KindStatus {
		c = h.Market.channelOf(h.Stream)
		if c == nil || c.kind != e.Kind() {
			c = defaultChannels[e.Kind()]
		}
	}
	dst = append(dst, c.opening...)
	left := h.Has | h.Null
	for i := range c.members {
		m := &c.members[i]
		if left&m.field == 0 || m.flags&alias != 0 {
			continue
		}
		left &^= m.field
		dst = append(dst, c.prefixes[i]...)
		if h.Has&m.field == 0 {
			dst = append(dst, "null"...)
			continue
		}
		dst = appendField(dst, e.field(bits.TrailingZeros32(uint32(m.field))), m.flags)
	}
	return append(dst, '}')
}

func appendField(dst []byte, field any, flags memberFlags) []byte {
	switch p := field.(type) {
	case *float64:
		return appendFloat(dst, *p, flags&whole != 0)
	case *int64:
		return strconv.AppendInt(dst, *p, 10)
	case *int32:
		return strconv.AppendInt(dst, int64(*p), 10)
	case *Timestamp:
		return strconv.AppendInt(dst, int64(*p), 10)
	case *Decimal:
		if len(p.Text) > 0 {
			return appendString(dst, p.Text)
		}
		dst = append(dst, '"')
		dst = strconv.AppendFloat(dst, p.Value, 'f', -1, 64)
		return append(dst, '"')
	case *[]byte:
		return appendString(dst, *p)
	case *string:
		return appendString(dst, *p)
	case *bool:
		return strconv.AppendBool(dst, *p)
	case *Auction:
		return appendString(dst, []byte{byte(*p)})
	case *[]int32:
		if flags&lone != 0 && len(*p) == 1 {
			return strconv.AppendInt(dst, int64((*p)[0]), 10)
		}
		dst = append(dst, '[')
		for i, v := range *p {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendInt(dst, int64(v), 10)
		}
		return append(dst, ']')
	case *[]Level:
		dst = append(dst, '[')
		for i, l := range *p {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, '[')
			dst = appendFloat(dst, l.Price, false)
			dst = append(dst, ',')
			dst = appendFloat(dst, l.Size, false)
			dst = append(dst, ']')
		}
		return append(dst, ']')
	}
	panic("tickstorm: a field of a type that has no wire form")
}

// appendFloat writes a number as the vendor's server does: fields that are floats
// there switch to an exponent below 1e-4 and from 1e6,
// as strconv's format 'g' does; fields that are integers there never do.
func appendFloat(dst []byte, v float64, whole bool) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(dst, "null"...)
	}
	if whole {
		if i := int64(v); float64(i) == v && i < 1<<53 && i > -1<<53 && (i != 0 || !math.Signbit(v)) {
			return strconv.AppendInt(dst, i, 10)
		}
		return strconv.AppendFloat(dst, v, 'f', -1, 64)
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}

func appendString[S string | []byte](dst []byte, s S) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7F || c == '"' || c == '\\' {
			dst = append(dst, s[:i]...)
			return appendStringSlow(dst, string(s[i:]))
		}
	}
	dst = append(dst, s...)
	return append(dst, '"')
}

func appendStringSlow(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			dst = utf8.AppendRune(dst, r) // what is no UTF-8 becomes U+FFFD
		}
	}
	return append(dst, '"')
}
