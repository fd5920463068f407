//go:build !tickstorm_safe

package intern

import "unsafe"

// texts makes the strings of slots: they are the slots' own memory, which is written once,
// before the slot is published. The tag tickstorm_safe takes the other form of it, without
// package unsafe, which keeps a string for each text.
type texts struct{}

// Safe reports whether the form without package unsafe was built.
const Safe = false

func (*texts) add(id uint32, text []byte) {}

// of returns the string of a slot whose text is in it.
func (*texts) of(e *slot, m meta) string { return unsafe.String(&e.text[0], m.len()) }

// nameOf is of for a slot of [Names].
func nameOf(e *slot) string { return unsafe.String(&e.text[0], int(e.meta)) }
