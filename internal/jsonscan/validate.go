package jsonscan

import (
	"encoding/binary"

	"github.com/tickstorm/tickstorm/internal/swar"
)

// Value checks the one JSON value that starts at b[i], where no space is
// skipped, and returns the index behind it. maxDepth is how deep [ and { may
// nest, a scalar having depth 0; more than [MaxDepth] counts as MaxDepth.
//
// The error is nil, [ErrSyntax], [ErrDepth] or [ErrTruncated], bare; with an
// error, end is the index of the byte at which the check stopped, or len(b).
// A number ends where its grammar does: of 01 the value is 0, and it is for
// the caller to see that what follows is neither comma nor bracket.
func Value(b []byte, i, maxDepth int) (end int, err error) {
	// The labels are the states of the automaton, and each begins with what a feed
	// without spaces sends; the rest is left to the functions behind.
	//
	// Bit d of the stack is set when the container at depth d is an object. That
	// of the innermost one is stored only once another one opens inside it.
	var (
		stack  [MaxDepth / 64]uint64
		depth  int
		object bool
		c      byte
	)
	maxDepth = min(maxDepth, MaxDepth)

value: // begins at b[i]
	if i >= len(b) {
		return i, ErrTruncated
	}
	switch c = b[i]; {
	case c == '"':
		if rest := b[i:]; len(rest) > 8 {
			stops := swar.StringStops(binary.LittleEndian.Uint64(rest[1:9]))
			if n := 1 + swar.FirstMark(stops); n <= 8 && rest[n] == '"' {
				i += n + 1
				goto next
			}
		}
		if i, err = stringEnd(b, i+1); err != nil {
			return i, err
		}
		goto next

	case '1' <= c && c <= '9':
		if rest := b[i:]; len(rest) > 16 {
			stops := swar.NonDigits(binary.LittleEndian.Uint64(rest[:8]) ^ swar.Zeros)
			n := swar.FirstMark(stops)
			switch {
			case n == 8: // an integer such as a timestamp
				n += swar.FirstMark(swar.NonDigits(binary.LittleEndian.Uint64(rest[8:16]) ^ swar.Zeros))
				if n < 16 && !continuesNumber(rest[n]) {
					i += n
					goto next
				}
			case rest[n] == '.': // a price
				point := n
				n = swar.FirstMark(stops & (stops - 1))
				if n > point+1 && n < 8 && !continuesNumber(rest[n]) {
					i += n
					goto next
				}
			case !continuesNumber(rest[n]):
				i += n
				goto next
			}
		}
		if i, err = numberEnd(b, i); err != nil {
			return i, err
		}
		goto next

	case c == '{':
		if depth >= maxDepth {
			return i, ErrDepth
		}
		push(&stack, depth, object)
		depth++
		object = true
		if i = SkipSpace(b, i+1); i < len(b) && b[i] == '}' {
			goto pop
		}
		goto key

	case c == '[':
		if depth >= maxDepth {
			return i, ErrDepth
		}
		push(&stack, depth, object)
		depth++
		object = false
		if i = SkipSpace(b, i+1); i < len(b) && b[i] == ']' {
			goto pop
		}
		goto value

	default:
		if i, err = valueSlow(b, i); err != nil {
			return i, err
		}
		goto next
	}

key: // or the space before it, at b[i]
	if i >= len(b) || b[i] != '"' {
		if i = skipSpaceSlow(b, i); i >= len(b) || b[i] != '"' {
			return i, stopError(b, i)
		}
	}
	if rest := b[i:]; len(rest) > 9 {
		// Names of one to three bytes, which is nearly all of them, are told apart
		// by branches: these are predicted, so that reading goes on at once, where
		// an index that is computed has to be waited for. On this feed that is
		// worth a third of the whole time.
		if isPlain(rest[1]) {
			if rest[2] == '"' && rest[3] == ':' {
				i += 4
				goto keyedValue
			}
			if isPlain(rest[2]) {
				if rest[3] == '"' && rest[4] == ':' {
					i += 5
					goto keyedValue
				}
				if isPlain(rest[3]) && rest[4] == '"' && rest[5] == ':' {
					i += 6
					goto keyedValue
				}
			}
		}
		stops := swar.StringStops(binary.LittleEndian.Uint64(rest[1:9]))
		if n := 1 + swar.FirstMark(stops); n <= 8 && rest[n] == '"' && rest[n+1] == ':' {
			i += n + 2
			goto keyedValue
		}
	}
	if i, err = stringEnd(b, i+1); err != nil {
		return i, err
	}
	if i = SkipSpace(b, i); i >= len(b) || b[i] != ':' {
		return i, stopError(b, i)
	}
	i++

keyedValue: // or the space before it, at b[i]
	if i < len(b) && b[i] <= ' ' {
		i = skipSpaceSlow(b, i)
	}
	goto value

next: // what follows a value, or the space before it, is at b[i]
	if depth == 0 {
		return i, nil
	}
	if i >= len(b) || b[i] <= ' ' {
		if i = skipSpaceSlow(b, i); i >= len(b) {
			return i, ErrTruncated
		}
	}
	switch c = b[i]; {
	case c == ',':
		i++
		if object {
			goto key
		}
		i = SkipSpace(b, i)
		goto value
	case c == '}' && object, c == ']' && !object:
		goto pop
	}
	return i, ErrSyntax

pop: // the closing bracket is at b[i]
	i++
	depth--
	object = stack[depth>>6&3]>>(depth&63)&1 != 0
	goto next
}

// isPlain leaves out the space and the exclamation mark for the sake of one
// comparison; names with such bytes take the longer way.
func isPlain(c byte) bool { return c > '"' && c != '\\' }

func continuesNumber(c byte) bool { return c == '.' || c|0x20 == 'e' }

// Valid reports whether b is one JSON value with nothing but space around it,
// nested no deeper than [MaxDepth].
func Valid(b []byte) bool {
	end, err := Value(b, SkipSpace(b, 0), MaxDepth)
	return err == nil && SkipSpace(b, end) == len(b)
}

// push stores whether the container at the given depth is an object.
func push(stack *[MaxDepth / 64]uint64, depth int, object bool) {
	bit := uint64(1) << (depth & 63)
	if object {
		stack[depth>>6&3] |= bit
	} else {
		stack[depth>>6&3] &^= bit
	}
}

// stopError is the error of a check that cannot go on at b[i].
func stopError(b []byte, i int) error {
	if i >= len(b) {
		return ErrTruncated
	}
	return ErrSyntax
}

// valueSlow checks the rarer scalars, among them those that are none.
func valueSlow(b []byte, i int) (end int, err error) {
	switch c := b[i]; {
	case c == '-', isDigit(c):
		return numberEnd(b, i)
	case c == 't':
		return literalEnd(b, i, "true")
	case c == 'f':
		return literalEnd(b, i, "false")
	case c == 'n':
		return literalEnd(b, i, "null")
	}
	return i, ErrSyntax
}

func literalEnd(b []byte, i int, word string) (end int, err error) {
	for k := range len(word) {
		if i+k >= len(b) || b[i+k] != word[k] {
			return i + k, stopError(b, i+k)
		}
	}
	return i + len(word), nil
}

// numberEnd checks a number of any form that starts at b[i].
func numberEnd(b []byte, i int) (end int, err error) {
	if i < len(b) && b[i] == '-' {
		i++
	}
	switch {
	case i >= len(b) || !isDigit(b[i]):
		return i, stopError(b, i)
	case b[i] == '0':
		i++
	default:
		i = digitsEnd(b, i+1)
	}
	if i < len(b) && b[i] == '.' {
		start := i + 1
		if i = digitsEnd(b, start); i == start {
			return i, stopError(b, i)
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		return exponentEnd(b, i+1)
	}
	return i, nil
}

// exponentEnd checks what follows the e of a number.
func exponentEnd(b []byte, i int) (end int, err error) {
	if i < len(b) && (b[i] == '+' || b[i] == '-') {
		i++
	}
	end = digitsEnd(b, i)
	if end == i {
		return end, stopError(b, end)
	}
	return end, nil
}

// stringEnd checks a string whose content starts at b[i] and returns the index
// behind its closing quote.
func stringEnd(b []byte, i int) (end int, err error) {
	for {
		i = plainEnd(b, i)
		if i >= len(b) || b[i] < ' ' {
			return i, stopError(b, i)
		}
		if b[i] == '"' {
			return i + 1, nil
		}
		if i, err = escapeEnd(b, i+1); err != nil {
			return i, err
		}
	}
}

// escapeEnd checks what follows a backslash.
func escapeEnd(b []byte, i int) (end int, err error) {
	if i >= len(b) {
		return i, ErrTruncated
	}
	switch b[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1, nil
	case 'u':
		for end = i + 1; end <= i+4; end++ {
			if end >= len(b) || hexValue(b[end]) < 0 {
				return end, stopError(b, end)
			}
		}
		return end, nil
	}
	return i, ErrSyntax
}
