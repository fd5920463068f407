package tickstorm

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"

	"github.com/tickstorm/tickstorm/internal/swar"
)

// This file splits messages in the vendor's compact form and finds what each element
// is, without decoding. Any other message is queued whole.

// element is one of a message, or the message as a whole.
type element struct {
	start, end     int
	hash           uint64 // of channel and symbol, for conflation
	shard          int
	channel        uint8 // in scanner.channels
	flags          entryFlags
	symbol, length uint8 // where in the element the symbol is
}

// maxElements is the most elements that a message is split into: the feed sends hundreds.
const maxElements = 1 << 14

// scanRoute is what the scan knows of a channel.
type scanRoute struct {
	word, mask       uint64 // the rest of the opening: T"
	keyWord, keyMask uint64 // the symbol's key: ,"sym":
	size, keySize    int
	key              string // without quotes
	channel          uint8
	flags            entryFlags
	unwanted         bool // by the Interest
	another          *scanRoute
}

// scanner takes messages apart. Its elements are those of the last one.
type scanner struct {
	parser   *Parser // for its Interest and limits, which do not change
	routes   [128]*scanRoute
	channels []string // their names; the first is that of what was not understood
	keyed    bool     // symbols matter
	shards   int
	hash     symbolTable

	elements []element
	mine     []element
}

func (c *scanner) init(p *Parser, qc QueueConfig) {
	c.parser, c.shards = p, qc.Consumers
	c.keyed = qc.Consumers > 1 || qc.Overflow == OverflowConflate || p.wanted != nil
	c.hash.seed = rand.Uint64()
	c.channels = []string{""}
	for _, ch := range append(p.channels[:len(p.channels):len(p.channels)], statusChannel) {
		r := &scanRoute{size: len(ch.name) + 1, channel: uint8(len(c.channels)), another: c.routes[ch.name[0]]}
		r.word, r.mask = wordOf(ch.name + `"`)
		if ch.kind != KindStatus {
			r.unwanted = !p.wantsStream(ch.stream)
			for _, m := range ch.members {
				if m.field == 1 { // the symbol of every kind of data
					r.key = m.key
				}
			}
			r.keyWord, r.keyMask = wordOf(`,"` + r.key + `":`)
			r.keySize = len(r.key) + 4
		}
		switch ch.kind {
		case KindQuote, KindAggregate, KindValue, KindBook:
			if qc.Overflow == OverflowConflate {
				r.flags = entryLatest
			}
		}
		c.channels = append(c.channels, ch.name)
		c.routes[ch.name[0]] = r
	}
}

// all makes the message its only element.
func (c *scanner) all(msg []byte) {
	c.elements = append(c.elements[:0], element{end: len(msg)})
}

// split finds the elements of a message. It reports false if that is anything but an
// array of objects without escapes and without space between them: then a parser must
// say what it is. Where it splits, a parser does, also among elements that are not
// valid: see jsonscan.LooseEnd.
func (c *scanner) split(msg []byte) bool {
	c.elements = c.elements[:0]
	if len(msg) < 2 || msg[0] != '[' || bytes.IndexByte(msg, '\\') >= 0 {
		return false
	}
	for i := 1; i < len(msg) && msg[i] == '{' && len(c.elements) < maxElements; {
		end := objectEnd(msg, i)
		if end < 0 || end >= len(msg) {
			return false
		}
		c.elements = append(c.elements, element{start: i, end: end})
		switch {
		case msg[end] == ',':
			i = end + 1
		case msg[end] == ']':
			return end+1 == len(msg)
		default:
			return false
		}
	}
	return false
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

// identify finds the channel and symbol of each element and takes out those that nobody
// wants, whose number it returns.
func (c *scanner) identify(msg []byte) (skipped int) {
	kept := 0
	for i := range c.elements {
		e := &c.elements[i]
		if !c.know(msg, e) {
			skipped++
			continue
		}
		if kept != i {
			c.elements[kept] = *e
		}
		kept++
	}
	c.elements = c.elements[:kept]
	return skipped
}

// know identifies an element, and reports whether it is wanted.
func (c *scanner) know(msg []byte, e *element) bool {
	if swar.Load(msg, e.start)&openingMask != openingWord {
		return true
	}
	i := e.start + len(opening)
	w := swar.Load(msg, i)
	r := c.routes[w&127]
	for r != nil && w&r.mask != r.word {
		r = r.another
	}
	if r == nil {
		return true
	}
	e.channel = r.channel
	short := e.end-e.start <= c.parser.limits.Element // a longer one is an error, whoever wants it
	if r.unwanted && short {
		return false
	}
	if !c.keyed || r.keySize == 0 {
		return true
	}
	i += r.size
	if swar.Load(msg, i)&r.keyMask == r.keyWord {
		i += r.keySize
	} else if i = findKey(msg[:e.end], i, r.key); i < 0 {
		return true
	}
	if swar.At(msg, i) != '"' {
		return true
	}
	i++
	n := stringLength(msg, i)
	if n < 0 || i+n > e.end {
		return true
	}
	symbol := msg[i : i+n]
	if short && c.parser.wanted != nil && c.parser.wanted.find(symbol) == nil {
		return false
	}
	hash, _ := c.hash.hash(symbol)
	e.shard = c.shardFor(hash)
	if offset := i - e.start; n <= MaxSymbol && offset <= 0xFF {
		e.symbol, e.length, e.flags = uint8(offset), uint8(n), r.flags
		e.hash = fold(hash, uint64(r.channel))
	}
	return true
}

// shardOf returns the shard of a symbol's events.
func (c *scanner) shardOf(symbol []byte) int {
	hash, _ := c.hash.hash(symbol)
	return c.shardFor(hash)
}

func (c *scanner) shardFor(hash uint64) int {
	high, _ := bits.Mul64(hash, uint64(c.shards))
	return int(high)
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

// findKey returns where the value of an object's key begins, whose first one ends at b[i],
// or -1. The object has no backslashes.
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
			behind := i + n + 2
			if depth == 0 && swar.At(b, behind) == ':' && string(text) == key {
				return behind + 1
			}
			i = behind - 1
		}
	}
	return -1
}

// of returns the elements of a shard.
func (c *scanner) of(shard int) []element {
	c.mine = c.mine[:0]
	for i := range c.elements {
		if c.elements[i].shard == shard {
			c.mine = append(c.mine, c.elements[i])
		}
	}
	return c.mine
}
