package tickstorm

import (
	"github.com/tickstorm/tickstorm/internal/jsonscan"
	"github.com/tickstorm/tickstorm/internal/swar"
)

// This file is the fast path: it decodes an element in one walk over its bytes, without
// looking for anything.
//
// The feed sends the events of a channel with their keys in the same few orders. The
// decoder remembers them as a tree: a path from the root is an order of keys that came
// before, each step one key and what to do with its value. To decode an event is to
// walk down its path, comparing one word a key:
//
//	{"ev":"T" ─ ,"sym": ─ ,"i": ─ ,"x": ─ ,"p": ─ ,"s": ─┬─ ,"c": ─ ,"t": ─ ... ─ }
//	                                                      └─ ,"t": ─ ... ─ }
//
// Which fields an event has, which keys were unknown and which came twice is known by
// the path alone. A key that no step knows is looked up in the schema, and becomes a
// step while there is room (decode_learn.go): any order of keys is decoded, and a field
// that the vendor adds is learned once. A step is all that stands between two values, so the
// space of a server that sends some is learned with its keys.
//
// What the decoder does not understand, such as an escape, null, or a value of an unexpected
// type, it leaves to the reference, which decides what it means. What it does decode is the
// same to the bit, and as strictly checked: bytes are accepted only by being equal to a key or
// by the grammar of a value.

// fastDepth is how deep the elements nest that the fast path reads: books do.
const fastDepth = 3

// tailLength is how much of a message's end is copied so that a load need not ask how
// much is left: the elements in it, and whole messages that are shorter.
const tailLength = 512

// padding is how many bytes behind an element a buffer must have for [swar.Load].
const padding = 8

// verb says what to do with a value.
type verb uint8

const (
	readStrange verb = iota // a key that no step knows
	readEnd                 // no value: the closing brace
	readPart                // no value yet: a key that is longer than a word goes on
	readFloat
	readWhole // a float that is most likely integral
	readTime  // an integer that is most likely 13 digits
	readInt64
	readInt32
	readSymbol
	readText
	readIntegers
	readDecimal
	readLevels
	readBool
	readAuction
	skipValue
)

// step is one key at its place in an order of keys.
type step struct {
	word, mask uint64 // the key as it stands in the message, ,"bx": or }, or a word of it
	size       int    // the length of that in bytes
	verb       verb
	next       *step // the first of the steps that may follow
	other      *step // another that may stand at this one's place

	// The field to store the value in; one of them is set.
	float    *float64
	int64    *int64
	int32    *int32
	text     *[]byte
	integers *[]int32
	decimal  *Decimal
	levels   *[]Level
	bool     *bool
	auction  *Auction

	// The first eight digits of the last timestamp read here, and what they are worth:
	// on the feed they change every 100 seconds.
	leading uint64
	worth   int64

	field   Fields // the key's own field
	has     Fields // the fields of the path up to here
	unknown uint32 // the unknown keys on it

	// A key that is longer than a word is a step for each, all but the last of which only lead
	// to the next. Those know how much of the key has been read, and the step before it.
	behind int
	parent *step

	// before is set in the last of the steps at a place, which equals any word: it is
	// for the keys that none of the others is.
	before *step
	// stranger is that last step, at the place behind this one.
	stranger *step
}

// route is the tree of one channel.
type route struct {
	step            // the opening: {"ev":"T"
	another  *route // of a channel with the same first letter
	unwanted bool   // by the Interest
	// What stands between ev and the symbol where that comes first, ,"sym":" or of a
	// longer key the first eight bytes.
	symbolWord, symbolMask uint64
	symbolSize             int
	symbolSpaced           string // with space behind comma and colon: , "sym": "
	channel                *channel
	event                  Event
	head                   *Header
	steps                  int // in the tree
	strange                int // keys that found no room in it
	resets                 int
	// How many events are to be decoded without the tree, as the last ones would not have
	// been found there, and how many that was the last time.
	astray, patience int
	lost             uint64 // Stats.Fast when the last of them is
	schema           schema
}

type fastDecoder struct {
	p      *Parser
	routes [128]*route // by the first letter of ev
	// Once a key has found no room in the tree, the path is kept here: lost is set, and
	// has and unknown are what they are in a step.
	lost    bool
	has     Fields
	unknown uint32

	fresh  []byte // the symbol of the event at hand, if that is new
	end    int    // of the message in the buffer
	passed route  // stands for an event that nobody wants

	padded step // stands for a key behind which there is space

	ahead ahead
}

const opening = `{"ev":"`

// spacedOpening is that of a server that has a space behind every comma and colon.
const spacedOpening = `{"ev": "`

var (
	openingWord, openingMask = wordOf(opening)
	spacedWord, _            = wordOf(spacedOpening)
)

func (d *fastDecoder) init(p *Parser) {
	d.p = p
	for _, c := range append(p.channels[:len(p.channels):len(p.channels)], statusChannel) {
		r := &route{channel: c, event: p.flyweight(c.kind), another: d.routes[c.name[0]]}
		r.head = r.event.Head()
		r.word, r.mask = wordOf(c.name + `"`)
		r.size = len(c.name) + 1
		d.routes[c.name[0]] = r
		r.init()
	}
}

// wordOf returns the first eight bytes of s as a word, and a mask of those it has.
func wordOf(s string) (word, mask uint64) {
	for i := range min(len(s), 8) {
		word |= uint64(s[i]) << (8 * i)
		mask |= 0xFF << (8 * i)
	}
	return word, mask
}

// decode decodes the element that begins at b[i] and returns its event's route and the
// index behind it, where a comma or the array's bracket is. The route is nil if all that
// is for the reference to do.
func (d *fastDecoder) decode(b []byte, i int) (*route, int) {
	start := i
	if swar.Load(b, i)&openingMask == openingWord {
		i += len(opening)
	} else if start, i = openingAt(b, i); i < 0 {
		return nil, 0
	}
	w := swar.Load(b, i)
	r := d.routes[w&127]
	for r != nil && w&r.mask != r.word {
		r = r.another
	}
	if r == nil {
		return nil, 0
	}
	i += r.size
	unwanted := r.unwanted
	if unwanted {
		if end := d.pass(b, i); end >= 0 && end-start <= d.p.limits.Element {
			return &d.passed, end
		}
	}
	d.lost = false
	s := r.next
	if r.astray > 0 {
		s = r.stray()
		d.lost, d.has, d.unknown = true, 0, 0
	}
	from := i // where the value at hand begins
walk:
	for {
		w = swar.Load(b, i)
		for w&s.mask != s.word {
			s = s.other
		}
		if s.verb == readStrange {
			here := s.before
			if here.verb == readPart {
				i -= here.behind
				here = here.parent
			}
			switch swar.At(b, i) {
			case ',', '}', ' ', '\n', '\t', '\r':
				if d.lost {
					s, i = d.lostStep(r, b, i)
				} else {
					s, i = d.learn(r, here, b, i)
				}
				if s == nil {
					break walk
				}
			default:
				// The value before was not read whole: it has another form.
				end := here.value(b, from)
				if end <= i {
					break walk
				}
				i, s = end, here.next
				continue
			}
		} else {
			i += s.size
		}
		from = i
		switch s.verb {
		case readFloat:
			w = swar.Load(b, i)
			x := w ^ swar.Zeros
			marks := swar.NonDigits(x)
			if marks == 0 || swar.BadStart(x) {
				goto value
			}
			point := swar.FirstMark(marks)
			if swar.ByteAt(w, point) != '.' {
				mant := swar.EightDigits(swar.Align(x, point))
				if swar.ByteAt(w, point)|0x20 == 'e' {
					if *s.float, i = exponent(b, i, i+point, mant, 0); i < 0 {
						break walk
					}
					break
				}
				*s.float = float64(mant)
				i += point
				break
			}
			marks &= marks - 1
			n := swar.FirstMark(marks)
			if marks == 0 || n == point+1 {
				if *s.float, i = floatLong(b, i); i < 0 {
					break walk
				}
				break
			}
			low := uint64(1)<<(8*point&63) - 1
			mant := swar.EightDigits(swar.Align(x&low|x>>8&^low, n-1))
			if swar.ByteAt(w, n)|0x20 == 'e' {
				if *s.float, i = exponent(b, i, i+n, mant, n-point-1); i < 0 {
					break walk
				}
				break
			}
			*s.float = float64(mant) / tens[(n-point-1)&31]
			i += n

		case readWhole:
			x := swar.Load(b, i) ^ swar.Zeros
			marks := swar.NonDigits(x)
			if marks == 0 || swar.BadStart(x) {
				goto value
			}
			n := swar.FirstMark(marks)
			*s.float = float64(swar.EightDigits(swar.Align(x, n)))
			i += n

		case readTime:
			w = swar.Load(b, i)
			tail := swar.Load(b, i+5) ^ swar.Zeros
			if w != s.leading && !s.lead(w) || swar.NonDigits(tail) != 0 {
				goto value
			}
			*s.int64 = s.worth + int64(swar.EightDigits(tail&^0xFFFFFF))
			i += 13

		case readInt64:
			x := swar.Load(b, i) ^ swar.Zeros
			marks := swar.NonDigits(x)
			if swar.BadStart(x) {
				goto value
			}
			if marks == 0 {
				more := swar.Load(b, i+8) ^ swar.Zeros
				if marks = swar.NonDigits(more); marks == 0 {
					goto value
				}
				n := swar.FirstMark(marks)
				*s.int64 = int64(swar.EightDigits(x)*wholeTens[n&7] + swar.EightDigits(more<<1<<((63-8*n)&63)))
				i += 8 + n
				break
			}
			n := swar.FirstMark(marks)
			*s.int64 = int64(swar.EightDigits(swar.Align(x, n)))
			i += n

		case readInt32:
			x := swar.Load(b, i) ^ swar.Zeros
			marks := swar.NonDigits(x)
			if marks == 0 || swar.BadStart(x) {
				goto value
			}
			n := swar.FirstMark(marks)
			*s.int32 = int32(swar.EightDigits(swar.Align(x, n)))
			i += n

		case readSymbol:
			// Most symbols are of a word at most, and known.
			w = swar.Load(b, i+1)
			n := swar.FirstMark(swar.StringStops(w))
			if d.p.wanted != nil && !unwanted {
				if unwanted = !d.wants(b, i); unwanted {
					if end := d.pass(b, i); end >= 0 && end-start <= d.p.limits.Element {
						r.head.Has = ^Fields(0)
						return &d.passed, end
					}
				}
			}
			if n < 8 {
				if swar.ByteAt(w, n) == '"' && swar.At(b, i) == '"' {
					if text, id := d.p.symbols.table.FindWord(swar.Below(w, n), n); id != 0 {
						r.head.Symbol, r.head.SymbolID = text, id
						i += n + 2
						break
					}
				}
			} else if swar.At(b, i+9) == '"' && swar.At(b, i) == '"' {
				if text, id := d.p.symbols.table.FindWords(w, 0, 0, 8); id != 0 {
					r.head.Symbol, r.head.SymbolID = text, id
					i += 10
					break
				}
			}
			if i = d.symbol(b, i, r.head); i < 0 {
				break walk
			}

		case readText:
			end := textEnd(b, i)
			if end < 0 {
				break walk
			}
			*s.text = b[i+1 : end-1 : end-1]
			i = end

		case readIntegers:
			list, end := integers((*s.integers)[:0], b, i)
			*s.integers = list
			if end < 0 {
				break walk
			}
			i = end

		case readDecimal:
			if swar.At(b, i) != '"' {
				break walk
			}
			v, end := float(b, i+1)
			if end < 0 || swar.At(b, end) != '"' {
				break walk
			}
			*s.decimal = Decimal{Text: b[i+1 : end : end], Value: v}
			i = end + 1

		case readLevels:
			list, end := levels((*s.levels)[:0], b, i)
			*s.levels = list
			if end < 0 {
				break walk
			}
			i = end

		case readBool:
			switch w = swar.Load(b, i); {
			case w&trueMask == trueWord:
				*s.bool = true
				i += len("true")
			case w&falseMask == falseWord:
				*s.bool = false
				i += len("false")
			default:
				break walk
			}

		case readAuction:
			if swar.At(b, i) != '"' || swar.At(b, i+2) != '"' || textEnd(b, i) != i+3 {
				break walk
			}
			*s.auction = Auction(b[i+1])
			i += 3

		case skipValue:
			end, err := jsonscan.Value(b, i, d.p.limits.Depth-1)
			if err != nil {
				break walk
			}
			i = end

		case readEnd:
			end := i
			c := swar.At(b, end)
			if c <= ' ' {
				end = jsonscan.SkipSpace(b, end)
				c = swar.At(b, end)
			}
			if c != ',' && c != ']' || i-start > d.p.limits.Element {
				break walk
			}
			if unwanted {
				d.fresh = nil
				r.head.Has = ^Fields(0)
				return &d.passed, end
			}
			d.finish(r, s, b[start:i:i])
			return r, end

		case readPart:

		}
		s = s.next
		continue

	value: // not of the usual form
		if i = s.value(b, from); i < 0 {
			break walk
		}
		s = s.next
	}
	// Where a key is known both with and without space behind it, the one that was learned first
	// is found, and then no value where it should be.
	if s != nil && s.verb != readStrange && s.verb != readEnd && swar.At(b, from) <= ' ' {
		if i = jsonscan.SkipSpace(b, from); i > from {
			d.padded = *s
			s = &d.padded
			s.word, s.mask, s.size = 0, 0, 0 // is any key
			goto walk
		}
	}
	// The event is spoiled: the reference must clear all of it.
	d.fresh = nil
	r.head.Has = ^Fields(0)
	return nil, 0
}

// openingAt is for an element that does not begin as the feed's do: it returns where it does,
// after space, and the index behind the quote that opens ev's text, -1 if ev is not its first key.
func openingAt(b []byte, i int) (start, behind int) {
	start = jsonscan.SkipSpace(b, i)
	if swar.Load(b, start) == spacedWord {
		return start, start + len(spacedOpening)
	}
	i = start
	for _, token := range [...]string{"{", `"ev"`, ":", `"`} {
		i = jsonscan.SkipSpace(b, i)
		if len(b)-i < len(token) || string(b[i:i+len(token)]) != token {
			return 0, -1
		}
		i += len(token)
	}
	return start, i
}

var (
	trueWord, trueMask   = wordOf("true")
	falseWord, falseMask = wordOf("false")
)

// value reads a number of any form for the step's field and returns the index behind
// it, or -1.
func (s *step) value(b []byte, i int) (end int) {
	switch s.verb {
	case readFloat, readWhole:
		*s.float, end = float(b, i)
	case readInt64, readTime:
		*s.int64, end = integer(b, i)
	case readInt32:
		*s.int32, end = integer32(b, i)
	default:
		return -1
	}
	return end
}

// lead takes the first eight digits of a timestamp, and reports whether they are such.
func (s *step) lead(w uint64) bool {
	x := w ^ swar.Zeros
	if swar.NonDigits(x) != 0 || swar.BadStart(x) {
		return false
	}
	s.leading, s.worth = w, int64(swar.EightDigits(x))*1e5
	return true
}

// textEnd returns the index behind the string at b[i], -1 if that is no string, or one
// with an escape, a control character or no end.
func textEnd(b []byte, i int) int {
	if swar.At(b, i) != '"' {
		return -1
	}
	for i++; i < len(b); i += 8 {
		if i > len(b)-8 { // the end of a long last element
			return textEndSlow(b, i)
		}
		w := swar.Load(b, i)
		if stops := swar.StringStops(w); stops != 0 {
			n := swar.FirstMark(stops)
			if swar.ByteAt(w, n) != '"' {
				return -1
			}
			return i + n + 1
		}
	}
	return -1
}

// textEndSlow is textEnd for the last bytes of b.
func textEndSlow(b []byte, i int) int {
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c == '\\' || c < ' ':
			return -1
		}
	}
	return -1
}

// wants reports whether the symbol at b[i] is wanted, or no plain string: then the
// reference is asked.
func (d *fastDecoder) wants(b []byte, i int) bool {
	if swar.At(b, i) == '"' {
		if x, y, z, n := symbolWords(b, i+1); n >= 0 {
			_, id := d.p.wanted.FindWords(x, y, z, n)
			return id != 0
		}
	}
	end := textEnd(b, i)
	if end < 0 {
		return true
	}
	_, id := d.p.wanted.Find(b[i+1 : end-1])
	return id != 0
}

// symbol reads a symbol that is long, or new, and returns the index behind it, or -1.
// A new one is interned when the whole event is known to be sound.
func (d *fastDecoder) symbol(b []byte, i int, h *Header) int {
	var text string
	var id uint32
	end := -1
	if x, y, z, n := symbolWords(b, i+1); n >= 0 && swar.At(b, i) == '"' {
		end = i + n + 2
		text, id = d.p.symbols.table.FindWords(x, y, z, n)
	} else if end = textEnd(b, i); end >= 0 {
		text, id = d.p.symbols.table.Find(b[i+1 : end-1])
	}
	if id != 0 {
		h.Symbol, h.SymbolID = text, id
	} else if end >= 0 {
		d.fresh = b[i+1 : end-1]
	}
	return end
}

// finish completes the header, and clears what the event's last use left behind.
func (d *fastDecoder) finish(r *route, s *step, raw []byte) {
	h := r.head
	if d.fresh != nil {
		h.Symbol, h.SymbolID = d.p.symbols.Intern(d.fresh)
		d.fresh = nil
	}
	if stale := (h.Has | h.Null | h.Odd) &^ s.has; stale != 0 {
		clearFields(r.event, stale)
	}
	h.Has, h.Null, h.Odd = s.has, 0, 0
	h.Market = d.p.market
	h.Stream = r.channel.stream
	h.Raw = raw
	h.Received = d.p.received
	h.Backfilled = d.p.backfilled
	h.Replayed = d.p.replayed
	d.p.stats.UnknownKeys += uint64(s.unknown)
	if s.has&1 == 0 && r.channel.kind != KindStatus {
		d.p.stats.NoSymbol++
	}
}
