package tickstorm

import (
	"math/bits"

	"github.com/tickstorm/tickstorm/internal/jsonscan"
	"github.com/tickstorm/tickstorm/internal/swar"
)

// This file is how the fast path learns orders of keys, and what it does with keys in
// an order that it has no room to learn.

// The tree of a channel is bounded: a feed that sends keys in any order must not fill
// memory, nor make the walk try step after step.
const (
	maxSteps   = 512 // in a tree
	maxOthers  = 8   // at one place
	maxLearned = 64  // bytes of what is remembered of a key, with all that stands around it
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
	r.schema.close = step{verb: readEnd}
	for _, m := range r.channel.members {
		if m.field == 1 { // the symbol, whatever the kind
			key := `,"` + m.key + `":"`
			r.symbolWord, r.symbolMask = wordOf(key)
			r.symbolSize = len(key)
			r.symbolSpaced = `, "` + m.key + `": "`
		}
		if len(m.key) >= 8 {
			panic("tickstorm: a key of the table that is no word: " + m.key)
		}
		s := &step{field: m.field}
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

// learn returns the step for the key at b[i], which none of those after here is, and the index
// behind the key: a new step in the tree if there is room, else one of the schema. The step is
// nil if what stands there is neither a key nor the end of the object.
func (d *fastDecoder) learn(r *route, here *step, b []byte, i int) (*step, int) {
	k, ok := keyAt(b, i)
	if !ok {
		return nil, 0
	}
	text := b[i:k.end]
	// At the end of a long last element, where swar.Load gives 0, no step is found without this.
	if s := here.find(text); s != nil {
		return s, k.end
	}
	if s := r.grow(here, text, k); s != nil {
		d.p.stats.Strange++
		return s, k.end
	}
	d.lost, d.has, d.unknown = true, here.has, here.unknown
	r.lose(d.p.stats.Fast)
	return d.lostStep(r, b, i)
}

// lostStep is learn once the path is lost: nothing is compared but the key itself, which
// is one word if its name has no more than four bytes, with a space before it or none.
func (d *fastDecoder) lostStep(r *route, b []byte, i int) (*step, int) {
	quote := i + 1
	if swar.At(b, quote) == ' ' {
		quote++
	}
	w := swar.Load(b, quote) >> 8
	n := swar.FirstMark(swar.StringStops(w))
	name, end := swar.Below(w, n&7), quote+n+len(`"":`)
	if n > 4 || w>>(8*n&63)&0xFFFF != '"'|':'<<8 || swar.At(b, quote) != '"' || swar.At(b, i) != ',' {
		k, ok := keyAt(b, i)
		switch {
		case !ok:
			return nil, 0
		case k.closes:
			s := &r.schema.close
			s.has, s.unknown = d.has, d.unknown
			return s, k.end
		}
		name, end = k.name, k.end
	} else if swar.At(b, end) <= ' ' {
		end = jsonscan.SkipSpace(b, end)
	}
	d.p.stats.Strange++
	s := r.schema.find(name)
	switch {
	case s != nil && d.has&s.field == 0:
		d.has |= s.field
		return s, end
	case s == nil && name != ev:
		d.unknown++
	}
	return &r.schema.skip, end
}

// key is what stands between two values.
type key struct {
	name   uint64 // as a word, 0 if it is longer than that
	end    int    // where the value begins
	closes bool   // it is the closing brace
}

// keyAt returns the key at b[i], where the value before ended: a comma, a name and a colon, or the
// closing brace, with any space before and between, and behind the colon.
func keyAt(b []byte, i int) (k key, ok bool) {
	i = jsonscan.SkipSpace(b, i)
	switch swar.At(b, i) {
	case '}':
		return key{end: i + 1, closes: true}, true
	case ',':
	default:
		return k, false
	}
	start := jsonscan.SkipSpace(b, i+1)
	end := textEnd(b, start)
	if end < 0 {
		return k, false
	}
	colon := jsonscan.SkipSpace(b, end)
	if swar.At(b, colon) != ':' {
		return k, false
	}
	if n := end - start - len(`""`); n < 8 {
		k.name = swar.Short(b[start+1 : end-1]) // not swar.Load, which is 0 at the end
	}
	k.end = jsonscan.SkipSpace(b, colon+1)
	return k, true
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

// wordAt returns the word of a key that begins at text[i], and whether it is the last.
func wordAt(text []byte, i int) (word, mask uint64, last bool) {
	word, mask = wordOf(string(text[i:min(i+8, len(text))]))
	return word, mask, i+8 >= len(text)
}

// follower returns the step behind s of a word of a key, nil if there is none.
func (s *step) follower(word, mask uint64, last bool) *step {
	for o := s.next; o.verb != readStrange; o = o.other {
		if o.word == word && o.mask == mask && last == (o.verb != readPart) {
			return o
		}
	}
	return nil
}

// find returns the last step of a key, as it stands, behind s, nil if it was not learned.
func (s *step) find(text []byte) *step {
	for i := 0; s != nil; i += 8 {
		word, mask, last := wordAt(text, i)
		if s = s.follower(word, mask, last); last {
			break
		}
	}
	return s
}

// grow puts the steps for a key, as it stands, into the tree behind here, if there is room, and
// returns the last one.
func (r *route) grow(here *step, text []byte, k key) *step {
	at := here
	for i := 0; len(text) <= maxLearned; i += 8 {
		word, mask, last := wordAt(text, i)
		s := at.follower(word, mask, last)
		if s == nil {
			s = &step{verb: readPart, parent: here, behind: i + 8}
			if last {
				s = r.reader(here, k)
			}
			s.word, s.mask, s.size = word, mask, min(8, len(text)-i)
			s.close()
			if !r.add(at, s) {
				break
			}
		}
		if last {
			return s
		}
		at = s
	}
	if r.strange++; r.strange > maxStrange<<r.resets {
		r.strange, r.steps = 0, 0
		r.resets = min(r.resets+1, maxResets)
		r.step.close()
	}
	return nil
}

// add puts s behind at, and reports false if there is no room for it.
func (r *route) add(at, s *step) bool {
	last, others := &at.next, 0
	for (*last).verb != readStrange {
		last = &(*last).other
		others++
	}
	if r.steps >= maxSteps || others >= maxOthers {
		return false
	}
	r.steps++
	s.other = *last
	*last = s
	return true
}

// reader returns a step that does with the value of a key what the schema says.
func (r *route) reader(here *step, k key) *step {
	s := &step{verb: skipValue}
	known := r.schema.find(k.name)
	switch {
	case k.closes:
		s.verb = readEnd
	case known != nil && here.has&known.field == 0: // of a key that comes twice the first counts
		*s = *known
		s.stranger = nil
	}
	s.has, s.unknown = here.has|s.field, here.unknown
	if known == nil && k.name != ev && !k.closes {
		s.unknown++
	}
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
