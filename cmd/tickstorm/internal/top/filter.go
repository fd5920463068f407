package top

import "strings"

// A Filter picks symbols: those that a pattern with * matches as a whole, or those that a text is in;
// the case of letters does not matter. The zero Filter has all.
type Filter struct{ text string }

// NewFilter returns the filter of a text.
func NewFilter(text string) Filter { return Filter{strings.ToUpper(strings.TrimSpace(text))} }

// Zero reports whether it has all symbols.
func (f Filter) Zero() bool { return f.text == "" }

// String returns its text.
func (f Filter) String() string { return f.text }

// Match reports whether it has a symbol.
func (f Filter) Match(symbol string) bool {
	rest := strings.ToUpper(symbol)
	head, tail, pattern := strings.Cut(f.text, "*")
	if !pattern {
		return strings.Contains(rest, head)
	}
	rest, ok := strings.CutPrefix(rest, head)
	if !ok {
		return false
	}
	for {
		piece, more, ok := strings.Cut(tail, "*")
		if !ok {
			return strings.HasSuffix(rest, piece)
		}
		at := strings.Index(rest, piece)
		if at < 0 {
			return false
		}
		rest, tail = rest[at+len(piece):], more
	}
}
