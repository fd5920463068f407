// Package redact keeps a secret out of texts that leave the program: errors, logs, and what
// a handler may print.
package redact

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Mask stands where a secret stood.
const Mask = "[redacted]"

// otherMask stands there if the secret is part of Mask. Nothing is part of both.
const otherMask = "***"

// Index returns where the secret begins in text for the first time, -1 if it does not. Its
// characters may be escaped as in JSON or in Go's quoted strings. The empty secret is nowhere.
func Index[T ~string | ~[]byte](text T, secret string) int {
	if secret == "" {
		return -1
	}
	for i := range len(text) {
		if c := text[i]; (c == secret[0] || c == '\\') && match(text[i:], secret) > 0 {
			return i
		}
	}
	return -1
}

// String returns text without the secret: what stood for it is replaced by [Mask], or all of
// the text if the secret would come of the replacement.
func String(text, secret string) string {
	at := Index(text, secret)
	if at < 0 {
		return text
	}
	mask := Mask
	if strings.Contains(Mask, secret) {
		mask = otherMask
	}
	var b strings.Builder
	for rest := text; ; at = Index(rest, secret) {
		if at < 0 {
			b.WriteString(rest)
			break
		}
		b.WriteString(rest[:at])
		b.WriteString(mask)
		rest = rest[at+match(rest[at:], secret):]
	}
	if clean := b.String(); Index(clean, secret) < 0 {
		return clean
	}
	return mask
}

// Bytes is String for bytes. It returns text itself if the secret is not in it, and new
// memory otherwise.
func Bytes(text []byte, secret string) []byte {
	if Index(text, secret) < 0 {
		return text
	}
	return []byte(String(string(text), secret))
}

// Secrets are all that is kept out of the same texts.
type Secrets []string

// NewSecrets returns those that are not empty. The longest goes first, since it may have another in it,
// without which the rest of it would be left.
func NewSecrets(all ...string) Secrets {
	all = slices.DeleteFunc(slices.Clone(all), func(secret string) bool { return secret == "" })
	slices.SortStableFunc(all, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return Secrets(slices.Compact(all))
}

// String returns text without the secrets, as the function String does.
func (s Secrets) String(text string) string {
	for _, secret := range s {
		text = String(text, secret)
	}
	return text
}

// Bytes is String for bytes. It returns text itself if no secret is in it, and new memory otherwise.
func (s Secrets) Bytes(text []byte) []byte {
	for _, secret := range s {
		text = Bytes(text, secret)
	}
	return text
}

// In reports whether a secret is in text.
func (s Secrets) In(text []byte) bool {
	return slices.ContainsFunc(s, func(secret string) bool { return Index(text, secret) >= 0 })
}

// match returns how many bytes of text's beginning stand for the secret, 0 if they do not.
func match[T ~string | ~[]byte](text T, secret string) int {
	if len(text) >= len(secret) && string(text[:len(secret)]) == secret {
		return len(secret)
	}
	i := 0
	for left := secret; left != ""; {
		if i == len(text) {
			return 0
		}
		if text[i] != '\\' {
			if text[i] != left[0] {
				return 0
			}
			i, left = i+1, left[1:]
			continue
		}
		var c [utf8.UTFMax]byte
		size, n := unescape(&c, text[i:])
		if n == 0 || len(left) < size || left[:size] != string(c[:size]) {
			return 0
		}
		i, left = i+n, left[size:]
	}
	return i
}

// unescape puts the character that the escape at text's beginning stands for into c, and
// returns its size and the escape's length, 0 if it is none.
func unescape[T ~string | ~[]byte](c *[utf8.UTFMax]byte, text T) (size, n int) {
	if len(text) < 2 {
		return 0, 0
	}
	var r rune
	switch e := text[1]; e {
	case '"', '\'', '\\', '/':
		r, n = rune(e), 2
	case 'u':
		r, n = codeUnit(text, 6)
		if utf16.IsSurrogate(r) && len(text) >= 2*n && text[n] == '\\' && text[n+1] == 'u' {
			if low, more := codeUnit(text[n:], n); more > 0 && utf16.DecodeRune(r, low) != utf8.RuneError {
				r, n = utf16.DecodeRune(r, low), n+more
			}
		}
	case 'U':
		r, n = codeUnit(text, 10)
	case 'x':
		r, n = codeUnit(text, 4)
		c[0] = byte(r)
		return 1, n
	default:
		at := strings.IndexByte("abfnrtv", e)
		if at < 0 {
			return 0, 0
		}
		r, n = rune("\a\b\f\n\r\t\v"[at]), 2
	}
	return utf8.EncodeRune(c[:], r), n
}

// codeUnit reads the hexadecimal digits of an escape of n bytes.
func codeUnit[T ~string | ~[]byte](text T, n int) (rune, int) {
	if len(text) < n {
		return 0, 0
	}
	var r rune
	for i := 2; i < n; i++ {
		switch c := text[i]; {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, 0
		}
	}
	return r, n
}
