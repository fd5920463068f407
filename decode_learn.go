package tickstorm

import (
	"math/bits"

	"github.com/tickstorm/tickstorm/internal/swar"
)

// This file is how the fast path learns orders of keys, and what it does with keys in
// an order that it has no room to learn.

// The tree of a channel is bounded: a feed that sends keys in any order must not fill
// memory, nor make the walk try step after step.
const (
	maxSteps   = 512 // in a tree
	maxOthers  = 8   // at one place
	maxLearned = 64  // bytes of a key that is remembered
	// maxStrange keys that find no room have the tree learned anew: what filled it may
	// have passed. The number doubles each time, so that a feed without any order costs
	// less and less.
	maxStrange = 4096
	maxResets  = 16
	// maxAstray is the most events that are decoded without the tree before it is tried
	// again.
	maxAstray = 1 << 10
)

// schema is what a route knows of its channel's keys whatever their order.
type schema struct {
	// keys holds a step for each key of the channel, by a hash of the key as a word.
	keys [64]struct {
		word uint64
		step *step
	}
	skip  step // for a key that is unknown, or came before
	close step // for the end
}

const ev = uint64('e') | 'v'<<8 // the key as a word

func (r *route) init() {
	r.step.close()
	r.schema.skip = step{verb: skipValue}
	r.schema.skip.close()
	r.schema.close = step{verb: readEnd, size: 1}
	r.schema.close.word, r.schema.close.mask = wordOf("}")
	for _, m := range r.channel.members {
		if m.field == 1 { // the symbol, whatever the kind
			key := `,"` + m.key + `":"`
			r.symbolWord, r.symbolMask = wordOf(key)
			r.symbolSize = len(key)
		}
		if len(m.key) >= 8 {
			panic("tickstorm: a key of the table that is no word: " + m.key)
		}
		s := &step{field: m.field, size: len(m.key) + len(`,"":`)}
		s.store(r.event.field(bits.TrailingZeros32(uint32(m.field))))
		if s.verb == readFloat && m.flags&whole != 0 {
			s.verb = readWhole
		}
		s.close()
		word, _ := wordOf(m.key)
		i := hashKey(word)
		for r.schema.keys[i].step != nil {
			i = (i + 1) % uint64(len(r.schema.keys))
		}
		r.schema.keys[i].word, r.schema.keys[i].step = word, s
	}
}

func hashKey(word uint64) uint64 { return word * 0x9E3779B97F4A7C15 >> 58 }

// find returns the step for a key of the channel, nil if the key is unknown.
func (s *schema) find(word uint64) *step {
	for i := hashKey(word); ; i = (i + 1) % uint64(len(s.keys)) {
		if k := &s.keys[i]; k.word == word || k.step == nil {
			return k.step
		}
	}
}

// learn returns the step for the key at b[i], which none of those after here is: a new
// one in the tree if there is room, else one of the schema. It is nil if b[i] is neither
// the plain beginning of a key nor the end of the object.
func (d *fastDecoder) learn(r *route, here *step, b []byte, i int) *step {
	if d.lost {
		return d.lostStep(r, b, i)
	}
	key, word, ok := keyAt(b, i)
	if !ok {
		return nil
	}
	// Long keys are compared here, and all keys at the end of a long last element,
	// where swar.Load gives 0.
	whole, mask := wordOf(string(key[:min(len(key), 8)]))
	for o := here.next; o.verb != readStrange; o = o.other {
		if o.size == len(key) && (o.key == string(key) || o.key == "" && o.word == whole && o.mask == mask) {
			return o
		}
	}
	if s := r.grow(here, key, word); s != nil {
		d.p.stats.Strange++
		return s
	}
	d.lost, d.has, d.unknown = true, here.has, here.unknown
	r.lose(d.p.stats.Fast)
	d.p.stats.Strange++
	return d.anyOrder(r, len(key), word)
}

// lostStep is learn once the path is lost: nothing is compared but the key itself, which
// is one word if its name has no more than four bytes.
func (d *fastDecoder) lostStep(r *route, b []byte, i int) *step {
	w := swar.Load(b, i)
	name := w >> 16
	n := swar.FirstMark(swar.StringStops(name))
	if w&0xFFFF != ','|'"'<<8 || n > 4 || name>>(8*n&63)&0xFFFF != '"'|':'<<8 {
		return d.lostStepSlow(r, b, i)
	}
	d.p.stats.Strange++
	return d.anyOrder(r, n+len(`,"":`), swar.Below(name, n))
}

func (d *fastDecoder) lostStepSlow(r *route, b []byte, i int) *step {
	key, word, ok := keyAt(b, i)
	if !ok {
		return nil
	}
	d.p.stats.Strange++
	return d.anyOrder(r, len(key), word)
}

// anyOrder returns the step of the schema for a key of this size, as it stands, and name.
func (d *fastDecoder) anyOrder(r *route, size int, word uint64) *step {
	if size == 1 {
		s := &r.schema.close
		s.has, s.unknown = d.has, d.unknown
		return s
	}
	s := r.schema.find(word)
	switch {
	case s != nil && d.has&s.field == 0:
		d.has |= s.field
		return s
	case s == nil && word != ev:
		d.unknown++
	}
	r.schema.skip.size = size
	return &r.schema.skip
}

// keyAt returns the key at b[i] as it stands there, ,"bx":, or the closing brace, and the
// name as a word, 0 if it is longer than that.
func keyAt(b []byte, i int) (key []byte, word uint64, ok bool) {
	switch swar.At(b, i) {
	case '}':
		return b[i : i+1], 0, true
	case ',':
	default:
		return nil, 0, false
	}
	end := textEnd(b, i+1)
	if end < 0 || swar.At(b, end) != ':' {
		return nil, 0, false
	}
	if n := end - 1 - (i + 2); n < 8 {
		word, _ = wordOf(string(b[i+2 : i+2+n])) // not swar.Load, which is 0 at the end
	}
	return b[i : end+1], word, true
}

// store makes s store the value in a field, given as a pointer.
func (s *step) store(field any) {
	switch p := field.(type) {
	case *float64:
		s.verb, s.float = readFloat, p
	case *Timestamp:
		s.verb, s.int64 = readTime, (*int64)(p)
	case *int64:
		s.verb, s.int64 = readInt64, p
	case *int32:
		s.verb, s.int32 = readInt32, p
	case *string:
		s.verb = readSymbol
	case *[]byte:
		s.verb, s.text = readText, p
	case *[]int32:
		s.verb, s.integers = readIntegers, p
	case *Decimal:
		s.verb, s.decimal = readDecimal, p
	case *[]Level:
		s.verb, s.levels = readLevels, p
	case *bool:
		s.verb, s.bool = readBool, p
	case *Auction:
		s.verb, s.auction = readAuction, p
	default:
		panic("tickstorm: a field of a type that the fast path cannot store")
	}
}

// grow puts a step for a key into the tree behind here, if there is room.
func (r *route) grow(here *step, key []byte, word uint64) *step {
	last, others := &here.next, 0
	for (*last).verb != readStrange {
		last = &(*last).other
		others++
	}
	if r.steps >= maxSteps || others >= maxOthers || len(key) > maxLearned {
		if r.strange++; r.strange > maxStrange<<r.resets {
			r.strange, r.steps = 0, 0
			r.resets = min(r.resets+1, maxResets)
			r.step.close()
		}
		return nil
	}
	s := &step{verb: skipValue}
	known := r.schema.find(word)
	switch {
	case len(key) == 1:
		s.verb = readEnd
	case known != nil && here.has&known.field == 0: // of a key that comes twice the first counts
		*s = *known
		s.stranger = nil
	}
	s.size = len(key)
	s.has, s.unknown = here.has|s.field, here.unknown
	if known == nil && word != ev && len(key) > 1 {
		s.unknown++
	}
	if len(key) <= 8 {
		s.word, s.mask = wordOf(string(key))
	} else {
		s.word, s.mask, s.key = 1, 0, string(key) // equals no word: learn compares the key
	}
	r.steps++
	s.other = *last
	*last = s
	s.close()
	return s
}

// close makes s a step that nothing is known to follow.
func (s *step) close() {
	if s.stranger == nil {
		s.stranger = &step{verb: readStrange, before: s}
	}
	s.next = s.stranger
}

// lose has the next events decoded without the tree: more of them each time, unless the
// tree has done well since.
func (r *route) lose(events uint64) {
	if events > r.lost+16 {
		r.patience = 0
	}
	r.patience = min(2*r.patience+1, maxAstray)
	r.astray, r.lost = r.patience, events+uint64(r.patience)
}

// stray returns the step to begin an event with that the tree is not asked for.
func (r *route) stray() *step {
	r.astray--
	return r.schema.skip.next
}
