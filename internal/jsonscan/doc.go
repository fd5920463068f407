// Package jsonscan holds the pure functions over bytes with which the parser
// looks at a message before and besides fastjson: a strict validator, the
// search for the end of a broken element, exact conversions of numbers, and
// the decoding of strings.
//
// The grammar is RFC 8259, neither more nor less, and what [Valid] accepts is
// what encoding/json.Valid accepts, but for nesting, which ends at [MaxDepth]
// here. Neither looks at UTF-8: whoever reads a message checks that once, for
// the message as a whole.
//
// Nothing here keeps state, recurses, or reads a byte more than a fixed number
// of times, and nothing allocates but for the corners that [Float] documents and
// the growth of the slice given to [Unescape]. All functions may be called
// concurrently.
//
// The files: validate.go checks values, split.go finds borders between them,
// runs.go finds the end of a run of plain text or digits for both, number.go and unescape.go
// turn tokens into values. Functions whose name ends in Slow are the rare
// second half of the one that they are named after.
package jsonscan

import "errors"

// MaxDepth is the deepest nesting of arrays and objects that [Value] can be
// asked to follow: the size of its stack, which is an array of bits.
const MaxDepth = 256

var (
	// ErrSyntax says that a byte cannot stand where it stands.
	ErrSyntax = errors.New("jsonscan: invalid JSON")

	// ErrDepth says that arrays and objects nest deeper than the caller allows.
	ErrDepth = errors.New("jsonscan: JSON nested too deeply")

	// ErrTruncated says that the input ends inside the value: every byte so far
	// is fine, and more could have made it valid.
	ErrTruncated = errors.New("jsonscan: JSON ends too early")
)
