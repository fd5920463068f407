package tickstorm

import (
	"bytes"
	"errors"

	"github.com/tickstorm/tickstorm/internal/jsonscan"
	"github.com/tickstorm/tickstorm/internal/poison"
	"github.com/tickstorm/tickstorm/internal/swar"
)

// This file takes apart what is not in the vendor's form, step by step as Parser.elements does.

// begin finds the first element of a message of any form.
func (s *Splitter) begin() {
	i := jsonscan.SkipSpace(s.msg, 0)
	switch {
	case i < len(s.msg) && s.msg[i] == '{':
		s.lone, s.next, s.plain = true, i, nil
	case i < len(s.msg) && s.msg[i] == '[':
		s.next = jsonscan.SkipSpace(s.msg, i+1)
		if s.next < len(s.msg) && s.msg[s.next] == ']' {
			s.close(s.next + 1)
		}
	default:
		s.over, s.plain, s.err = true, nil, ErrNotArray
	}
}

// close ends the message, whose array ends before msg[i].
func (s *Splitter) close(i int) { s.over, s.plain, s.err = true, nil, trailing(s.msg, i) }

// nextOfAny is Next for an element of any form.
func (s *Splitter) nextOfAny() bool {
	if s.over {
		s.element = Element{Start: len(s.msg), End: len(s.msg)}
		return false
	}
	b := s.msg
	start := jsonscan.SkipSpace(b, s.next)
	end, err := jsonscan.Value(b, start, s.limits.Depth)
	next := end
	if err == nil {
		next = jsonscan.SkipSpace(b, end)
	}
	switch {
	case s.lone:
		s.over = true
		switch {
		case errors.Is(err, jsonscan.ErrTruncated):
			s.err = ErrTruncated
			s.fail(start, len(b), ErrTruncated)
		case err == nil && next == len(b):
			s.take(start, end)
		default:
			s.fail(start, len(b), elementError(err))
		}
	case err == nil && next < len(b) && (b[next] == ',' || b[next] == ']'):
		s.step(next)
		s.take(start, end)
	default:
		loose, ok := jsonscan.LooseEnd(b, start)
		if !ok {
			s.over, s.plain, s.err = true, nil, ErrTruncated
			s.fail(start, len(b), ErrTruncated)
			break
		}
		s.step(loose)
		s.fail(start, loose, elementError(err))
	}
	if poison.On {
		s.lend()
	}
	return true
}

// step goes on behind the element that ends before the comma or bracket at msg[i].
func (s *Splitter) step(i int) {
	if s.msg[i] == ']' {
		s.close(i + 1)
		return
	}
	s.next = i + 1
	if s.next > len(s.plain) { // the backslash is behind
		s.look()
	}
}

func (s *Splitter) fail(start, end int, err error) {
	s.element = Element{Start: start, End: end, Err: err}
}

// take identifies an element that is valid JSON.
func (s *Splitter) take(start, end int) {
	raw := s.msg[start:end:end]
	switch {
	case len(raw) > s.limits.Element:
		s.fail(start, end, ErrElementTooLong)
		return
	case raw[0] != '{':
		s.fail(start, end, ErrNotObject)
		return
	case bytes.IndexByte(raw, '\\') < 0 && s.identify(s.msg, start, end):
		return
	}
	var ev []byte
	from, to, ok := s.member(raw, "ev")
	if ok {
		ev, ok = s.textOf(raw[from:to])
	}
	if !ok {
		s.fail(start, end, ErrNoEvent)
		return
	}
	s.element = Element{Start: start, End: end}
	e := &s.element
	r := s.routeOf(ev)
	if r == nil {
		e.Channel = s.nameOf(ev)
		return
	}
	e.Channel, e.Kind, e.Stream, e.index = r.name, r.kind, r.stream, r.index
	if s.nameless || r.key == "" {
		return
	}
	if from, to, ok := s.member(raw, r.key); ok {
		if e.Symbol, ok = s.textOf(raw[from:to]); ok && len(e.Symbol) == to-from-2 { // no escapes
			e.symbolAt = from + 1
		}
	}
}

// member returns where in an object the value stands of the first member that has this key. The
// object is valid JSON.
func (s *Splitter) member(raw []byte, key string) (from, to int, ok bool) {
	for i := 1; ; i++ {
		if i = jsonscan.SkipSpace(raw, i); raw[i] == '}' {
			return 0, 0, false
		}
		end, _ := jsonscan.Value(raw, i, 0)
		name, _ := s.textOf(raw[i:end])
		i = jsonscan.SkipSpace(raw, jsonscan.SkipSpace(raw, end)+1)
		end, _ = jsonscan.Value(raw, i, jsonscan.MaxDepth)
		if string(name) == key {
			return i, end, true
		}
		if i = jsonscan.SkipSpace(raw, end); raw[i] == '}' {
			return 0, 0, false
		}
	}
}

// textOf returns what a JSON string says, and reports whether the value is one. It is valid
// until the next call.
func (s *Splitter) textOf(value []byte) ([]byte, bool) {
	if value[0] != '"' {
		return nil, false
	}
	inside := value[1 : len(value)-1 : len(value)-1]
	if bytes.IndexByte(inside, '\\') < 0 {
		return inside, true
	}
	if cap(s.text) > maxKeptArena {
		s.text = nil
	}
	s.text = jsonscan.Unescape(s.text[:0], inside)
	return s.text[:len(s.text):len(s.text)], true
}

func (s *Splitter) routeOf(ev []byte) *splitRoute {
	if len(ev) == 0 {
		return nil
	}
	for r := s.routes[ev[0]&127]; r != nil; r = r.another {
		if r.name == string(ev) {
			return r
		}
	}
	return nil
}

// identifyUnknown is identify for a channel that the market does not have, whose name begins at
// b[i] and ends in b.
func (s *Splitter) identifyUnknown(b []byte, i int) bool {
	n := stringLength(b, i)
	if n < 0 {
		return false
	}
	name := b[i : i+n]
	if s.routeOf(name) != nil {
		return false // at the end of a message, where load gives 0
	}
	e := &s.element
	*e = Element{Start: e.Start, End: e.End, Channel: s.nameOf(name)}
	return true
}

// Channels that a market does not have are remembered up to this number, and up to the length
// of the longest symbol: of more, each element costs an allocation.
const maxUnknownChannels = 64

// nameOf returns the name of a channel that the market does not have.
func (s *Splitter) nameOf(ev []byte) string {
	if name, ok := s.unknown[string(ev)]; ok {
		return name
	}
	name := string(ev)
	if len(s.unknown) < maxUnknownChannels && len(name) <= MaxSymbol {
		if s.unknown == nil {
			s.unknown = map[string]string{}
		}
		s.unknown[name] = name
	}
	return name
}

// findKey returns where the value of an object's key begins, or the space before it, or -1. The
// value of its first key ends at b[i]. The object ends with b and has no backslashes.
func findKey(b []byte, i int, key string) int {
	for depth := 0; i < len(b); i++ {
		switch b[i] {
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		case '"':
			n := stringLength(b, i+1)
			if n < 0 {
				return -1
			}
			text := b[i+1 : i+1+n]
			i += n + 1
			if depth == 0 && string(text) == key {
				if colon := jsonscan.SkipSpace(b, i+1); swar.At(b, colon) == ':' {
					return colon + 1
				}
			}
		}
	}
	return -1
}

// lend has poison builds lend a copy of the symbol, since the message is not the splitter's to
// spoil.
func (s *Splitter) lend() {
	s.element.Symbol = bytes.Clone(s.element.Symbol)
}

// takeBack spoils what was lent.
func (s *Splitter) takeBack() {
	poison.Bytes(s.element.Symbol)
	s.element = Element{}
}
