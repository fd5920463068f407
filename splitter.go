package tickstorm

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/tickstorm/tickstorm/internal/jsonscan"
	"github.com/tickstorm/tickstorm/internal/poison"
	"github.com/tickstorm/tickstorm/internal/swar"
)

// This file is the Splitter and its fast path, for elements as the vendor writes them;
// splitter_any.go takes all others.

// Splitter takes messages of one market apart without decoding them: it finds where each
// element stands, and of which channel and symbol it is. It is for programs that pass
// elements on as they came, such as recorders and relays:
//
//	s.Reset(msg)
//	for s.Next() {
//		e := s.Element()
//		// msg[e.Start:e.End] is an event of e.Channel and e.Symbol, unless e.Err is set
//	}
//	err := s.Err() // about the message as a whole
//
// Every message has the elements that a [Parser] with the same [Limits] finds in it, in the
// same order, whatever is wrong with it, and each event the channel and symbol that it has
// there. An element in the vendor's compact form, which begins with {"ev":" and has no
// escapes, or in that with a space behind the colon, is taken at a glance, and what is broken
// further inside goes unnoticed, unless [Splitter.SetValidate] was called. All others are
// validated and searched, which takes up to ten times as long.
//
// A Splitter does not write to messages and allocates nothing in steady state. The names of
// channels that the market does not have cost an allocation each, once for the first 64, else
// every time. It serves one goroutine at a time, and one message.
type Splitter struct {
	limits   Limits
	validate bool
	nameless bool // symbols do not matter
	routes   [128]*splitRoute
	channels []string // the market's; the first is that of what is none of them
	unknown  map[string]string

	msg     []byte
	plain   []byte // the beginning of msg, up to the first backslash behind next; nil for the slow path
	next    int    // where the next element begins, or the space before it
	over    bool   // there is none
	lone    bool   // the message is an object and no array
	err     error
	element Element
	text    []byte // of the last string that had escapes
}

// Element is one element of a message. It is valid until Next or Reset is called.
type Element struct {
	// Start and End are where in the message it stands, without the space around it.
	Start, End int
	// Channel is the ev, such as "T"; "" if Err is set. Safe to keep.
	Channel string
	// Symbol is the symbol as a [Header] has it: spelled as the wire has it, without
	// escapes. nil if there is none, as in statuses and events of channels that the market
	// does not have. Valid until Next or Reset is called.
	Symbol []byte
	// Kind and Stream are those of the channel; KindUnknown and the zero Stream if the market
	// does not have it.
	Kind   Kind
	Stream Stream
	// Err is why the element is no event, what an [EventError] would have: ErrSyntax,
	// ErrTooDeep, ErrElementTooLong, ErrNotObject, ErrNoEvent or, for what is left of a
	// message that has no end, ErrTruncated.
	Err error

	index    uint8 // in Splitter.channels
	symbolAt int   // where in the element the symbol stands as it is; 0 if nowhere
}

// splitRoute is what a Splitter knows of a channel.
type splitRoute struct {
	word, mask       uint64 // the rest of the opening: T"
	keyWord, keyMask uint64 // the symbol's key: ,"sym":
	size, keySize    int
	key              string // without quotes; "" if the channel has no symbol
	name             string
	kind             Kind
	stream           Stream
	index            uint8
	another          *splitRoute
}

// NewSplitter returns a splitter for a market's messages, with the default [Limits]. It has no
// message yet.
func NewSplitter(m Market) *Splitter {
	s := &Splitter{limits: Limits{}.withDefaults(), channels: []string{""}, over: true}
	channels := m.channels()
	for _, ch := range append(channels[:len(channels):len(channels)], statusChannel) {
		r := &splitRoute{
			name: ch.name, kind: ch.kind, stream: ch.stream, index: uint8(len(s.channels)),
			size: len(ch.name) + 1, another: s.routes[ch.name[0]],
		}
		r.word, r.mask = wordOf(ch.name + `"`)
		for _, m := range ch.members {
			if m.field == 1 && ch.kind != KindStatus { // the symbol of every kind of data
				key := `,"` + m.key + `":`
				r.key, r.keySize = m.key, len(key)
				r.keyWord, r.keyMask = wordOf(key)
				if len(key) > 8 {
					panic("tickstorm: a symbol's key in the table that is no word: " + m.key)
				}
			}
		}
		s.channels = append(s.channels, ch.name)
		s.routes[ch.name[0]] = r
	}
	return s
}

// SetLimits replaces the limits, of which a splitter heeds Depth and Element.
func (s *Splitter) SetLimits(l Limits) { s.limits = l.withDefaults() }

// SetValidate has every element validated, from the next Reset on, so that Err is set in all
// that a [Parser] would give to OnError: what is passed on inside an array with others must not
// break that. It more than doubles the time.
func (s *Splitter) SetValidate(on bool) { s.validate = on }

// Reset begins with a message, which the splitter reads until the next Reset. msg must be
// UTF-8, which is not checked here: what sessions and parsers give to a [RawHandler] is.
func (s *Splitter) Reset(msg []byte) {
	if poison.On {
		s.takeBack()
	}
	s.msg, s.err, s.over, s.lone = msg, nil, false, false
	s.next = 1
	s.look()
	if len(msg) < 2 || msg[0] != '[' || msg[1] != '{' {
		s.begin()
	}
}

// look finds the backslash that ends what can be taken at a glance, from next on.
func (s *Splitter) look() {
	s.plain = nil
	if s.validate {
		return
	}
	s.plain = s.msg
	from := min(s.next, len(s.msg))
	if n := bytes.IndexByte(s.msg[from:], '\\'); n >= 0 {
		s.plain = s.msg[:from+n]
	}
}

// Err returns what is wrong with the message as a whole, once Next has reported false:
// [ErrNotArray], without elements; [ErrTrailing], behind all elements; [ErrTruncated], where
// the last element is the rest.
func (s *Splitter) Err() error { return s.err }

// Element returns the element that Next has found.
func (s *Splitter) Element() *Element { return &s.element }

// Next finds the next element and reports whether there is one.
func (s *Splitter) Next() bool {
	if poison.On {
		s.takeBack()
	}
	b, i := s.plain, s.next
	if swar.At(b, i) == ' ' {
		i++
	}
	if swar.At(b, i) != '{' {
		return s.nextOfAny()
	}
	end := objectEnd(b, i)
	if uint(end) >= uint(len(b)) || b[end] != ',' && b[end] != ']' || end-i > s.limits.Element || !s.identify(b, i, end) {
		return s.nextOfAny()
	}
	if b[end] == ',' {
		s.next = end + 1
	} else {
		s.close(end + 1)
	}
	if poison.On {
		s.lend()
	}
	return true
}

// identify finds the channel and symbol of the element in b[i:end], where no backslash is. It
// reports false if that begins as the vendor's do not.
func (s *Splitter) identify(b []byte, i, end int) bool {
	e := &s.element
	e.Start, e.End = i, end
	switch w := swar.Load(b, i); {
	case w&openingMask == openingWord:
		i += len(opening)
	case w == spacedWord:
		i += len(spacedOpening)
	default:
		return false
	}
	w := swar.Load(b, i)
	r := s.routes[w&127]
	for r != nil && w&r.mask != r.word {
		r = r.another
	}
	if r == nil {
		return s.identifyUnknown(b[:end], i)
	}
	e.Channel, e.Kind, e.Stream, e.index = r.name, r.kind, r.stream, r.index
	e.Symbol, e.Err, e.symbolAt = nil, nil, 0
	if s.nameless || r.keySize == 0 {
		return true
	}
	i += r.size
	if swar.At(b, i+1) == ' ' { // where the keys of a spaced element are as others are
		i++
	}
	if w = swar.Load(b, i) & r.keyMask; w == r.keyWord || w == r.keyWord^(','^' ') {
		i += r.keySize
	} else if i = findKey(b[:end], i, r.key); i < 0 {
		return true
	}
	if i = jsonscan.SkipSpace(b, i); swar.At(b, i) != '"' {
		return true
	}
	i++
	if n := stringLength(b[:end], i); n >= 0 {
		e.Symbol, e.symbolAt = b[i:i+n:i+n], i-e.Start
	}
	return true
}

// objectEnd returns the index behind the object that begins at b[i]: where as many
// brackets have closed as opened, whichever they are, outside strings. It is -1 if that
// does not come. There must be no backslash.
func objectEnd(b []byte, i int) int {
	depth := 0
	inside := uint64(0) // tops while in a string
	for ; i <= len(b)-8; i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		x := w ^ '"'*swar.Ones
		quotes := ^((x&^swar.Tops + ^uint64(swar.Tops)) | x) & swar.Tops
		x = (w | 0x26*swar.Ones) ^ 0x7F*swar.Ones // zero for any bracket, and for Y, y, _ and DEL
		brackets := (x - swar.Ones) &^ x & swar.Tops
		if brackets == 0 {
			inside ^= swar.Tops * uint64(bits.OnesCount64(quotes)&1)
			continue
		}
		strings := quotes ^ quotes<<8 // from each opening quote to before its closing one
		strings ^= strings << 16
		strings ^= strings << 32
		strings ^= inside
		for brackets &^= strings; brackets != 0; brackets &= brackets - 1 {
			at := i + swar.FirstMark(brackets)
			switch b[at] {
			case '[', '{':
				depth++
			case ']', '}':
				if depth--; depth == 0 {
					return at + 1
				}
			}
		}
		inside = swar.Tops * (strings >> 63)
	}
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			inside ^= swar.Tops
		case inside != 0:
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// stringLength is the length of the string whose text begins at b[i], -1 without end.
func stringLength(b []byte, i int) int {
	for start := i; i < len(b); i += 8 {
		if i > len(b)-8 {
			for ; i < len(b); i++ {
				if b[i] == '"' {
					return i - start
				}
			}
			break
		}
		x := binary.LittleEndian.Uint64(b[i:]) ^ '"'*swar.Ones
		if quotes := (x - swar.Ones) &^ x & swar.Tops; quotes != 0 {
			return i - start + swar.FirstMark(quotes)
		}
	}
	return -1
}
