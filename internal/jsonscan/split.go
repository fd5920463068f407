package jsonscan

// SkipSpace returns the index of the first byte at or after b[i] that is no
// JSON space, or len(b).
func SkipSpace(b []byte, i int) int {
	if i < len(b) && b[i] > ' ' {
		return i
	}
	return skipSpaceSlow(b, i)
}

func skipSpaceSlow(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// LooseEnd finds where an element that is no valid JSON ends, so that reading
// can go on behind it: the index of the first comma or ] at or after b[i] that
// stands outside strings at depth 0. Brackets of either kind count alike, as
// nobody knows which of them is the wrong one; a } at depth 0 is ignored, and
// the byte behind a backslash never ends a string.
//
// ok is false, and end is len(b), when the input ends first, be it inside a
// string. Where [Value] accepts an element, both agree on its end but for the
// space behind it.
func LooseEnd(b []byte, i int) (end int, ok bool) {
	depth := 0
	for ; i < len(b); i++ {
		switch b[i] {
		case ',':
			if depth == 0 {
				return i, true
			}
		case '[', '{':
			depth++
		case ']':
			if depth == 0 {
				return i, true
			}
			depth--
		case '}':
			depth = max(depth-1, 0)
		case '"':
			i = looseStringEnd(b, i+1)
		}
	}
	return len(b), false
}

// looseStringEnd returns the index of the quote that closes a string whose
// content starts at b[i], or len(b), whatever stands in between.
func looseStringEnd(b []byte, i int) int {
	for {
		i = plainEnd(b, i)
		switch {
		case i >= len(b):
			return len(b)
		case b[i] == '"':
			return i
		case b[i] == '\\':
			i++
		}
		i++
	}
}
