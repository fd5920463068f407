// Package redact keeps a secret out of texts that leave the program: errors, logs, and what
// a handler may print.
package redact

import (
	"cmp"
	"encoding/base64"
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
// characters may be escaped as in JSON or in Go's quoted strings, or as in URLs, also those in the
// queries of others. The empty secret is nowhere.
func Index[T ~string | ~[]byte](text T, secret string) int {
	if secret == "" {
		return -1
	}
	for i := range len(text) {
		if c := text[i]; (c == secret[0] || c == '\\' || c == '%' || c == '+') && match(text[i:], secret) > 0 {
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

// The least lengths of secrets, in bytes. What is shorter guards nothing: the vendor's keys have 32, and
// tokens of a relay at least 16.
const (
	// least is that of any: what is shorter is in every text.
	least = 4
	// leastInData is that of those that are taken out of data, of which a shorter one may be a part.
	leastInData = 8
)

// NewSecrets returns those that have a length. The longest goes first, since it may have another in it,
// without which the rest of it would be left.
func NewSecrets(all ...string) Secrets {
	all = slices.DeleteFunc(slices.Clone(all), func(secret string) bool { return len(secret) < least })
	slices.SortStableFunc(all, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return Secrets(slices.Compact(all))
}

// InData returns those that are taken out of data as well, where a mask in the wrong place destroys what
// is kept.
func (s Secrets) InData() Secrets {
	for i, secret := range s {
		if len(secret) < leastInData {
			return s[:i:i]
		}
	}
	return s
}

// InBase64 returns the secrets, and what is to be found of each, wherever in a text it stands, if that is
// written in Base64.
func (s Secrets) InBase64() Secrets {
	all := slices.Clone(s)
	for _, secret := range s.InData() {
		for before := range 3 { // bytes of its group
			text := base64.StdEncoding.EncodeToString(append(make([]byte, before), secret...))
			// Characters that have bits of what is beside the secret can be any.
			text = text[(before*8+5)/6 : (before+len(secret))*8/6]
			all = append(all, text, strings.NewReplacer("+", "-", "/", "_").Replace(text))
		}
	}
	return NewSecrets(all...)
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
	n := matchEscaped(text, secret, mixed)
	for nested := 1; n == 0 && nested <= mostNested && strings.Contains(secret, "%"); nested++ {
		n = matchEscaped(text, secret, nested)
	}
	return n
}

// mostNested bounds how often the percent signs of a secret may have been escaped themselves; where it is
// mixed, each once or not at all.
const (
	mostNested = 4
	mixed      = -1
)

// matchEscaped is match where the secret's own percent signs are escaped so many times.
func matchEscaped[T ~string | ~[]byte](text T, secret string, nested int) int {
	i := 0
	for left := secret; left != ""; {
		if i == len(text) {
			return 0
		}
		switch c := text[i]; {
		case c == '\\':
			var c [utf8.UTFMax]byte
			size, n := unescape(&c, text[i:])
			if n == 0 || len(left) < size || left[:size] != string(c[:size]) {
				return 0
			}
			i, left = i+n, left[size:]
			continue
		case c == '%':
			n := percent(text[i:], left, nested)
			if n == 0 {
				return 0
			}
			i += n
		case c == left[0] || c == '+' && left[0] == ' ':
			i++
		default:
			return 0
		}
		left = left[1:]
	}
	return i
}

// percent returns the length of what stands for the secret's first byte at text's beginning, which is a
// percent sign: that itself, escaped so many times, or an escape as in a URL, whose sign may be escaped in its
// turn. It is 0 if nothing does.
func percent[T ~string | ~[]byte](text T, secret string, nested int) int {
	const again = "25"
	n := 1
	if secret[0] == '%' {
		escaped := func() bool { return len(text) >= n+len(again) && string(text[n:n+len(again)]) == again }
		if nested == mixed {
			nested = 0
			if escaped() && !strings.HasPrefix(secret[1:], again) {
				nested = 1
			}
		}
		for ; nested > 0; nested-- {
			if !escaped() {
				return 0
			}
			n += len(again)
		}
		return n
	}
	for c := byte('%'); c != secret[0]; {
		if c != '%' || len(text) < n+2 {
			return 0
		}
		high, low := hex(text[n]), hex(text[n+1])
		if high < 0 || low < 0 {
			return 0
		}
		c, n = byte(high<<4|low), n+2
	}
	return n
}

// hex is the value of a hexadecimal digit, -1 if it is none.
func hex(c byte) rune {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return rune(c | 0x20 - 'a' + 10)
	}
	return -1
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
		digit := hex(text[i])
		if digit < 0 {
			return 0, 0
		}
		r = r<<4 | digit
	}
	return r, n
}
