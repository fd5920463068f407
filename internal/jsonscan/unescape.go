package jsonscan

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// Unescape appends to dst what raw, the inside of a valid JSON string without
// its quotes, stands for, and returns the extended slice. It decodes as
// encoding/json does: half of a surrogate pair becomes U+FFFD. Plain bytes are
// copied as they are, so that text stays as valid as the message was.
//
// The result is never longer than raw; dst must not overlap it. A raw that is
// no valid inside of a string gives unspecified text, but does not panic.
func Unescape(dst, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 || i+1 >= len(raw) {
			return append(dst, raw...)
		}
		dst = append(dst, raw[:i]...)
		c := raw[i+1]
		raw = raw[i+2:]
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			var r rune
			r, raw = unescapeRune(raw)
			dst = utf8.AppendRune(dst, r)
			continue
		}
		dst = append(dst, c)
	}
}

// unescapeRune reads the four hex digits behind \u, and a second escape when
// the two are a surrogate pair. Any other surrogate is U+FFFD by itself, and
// what follows it is left in place.
func unescapeRune(raw []byte) (r rune, rest []byte) {
	r = hexRune(raw)
	rest = raw[min(4, len(raw)):]
	if !utf16.IsSurrogate(r) {
		return max(r, 0), rest
	}
	if len(rest) >= 6 && rest[0] == '\\' && rest[1] == 'u' {
		if pair := utf16.DecodeRune(r, hexRune(rest[2:])); pair != utf8.RuneError {
			return pair, rest[6:]
		}
	}
	return utf8.RuneError, rest
}

// hexRune is the value of the first four bytes as hex digits, or -1.
func hexRune(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	var r rune
	for _, c := range b[:4] {
		v := hexValue(c)
		if v < 0 {
			return -1
		}
		r = r<<4 | v
	}
	return r
}

func hexValue(c byte) rune {
	switch {
	case isDigit(c):
		return rune(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return rune(c|0x20-'a') + 10
	}
	return -1
}
