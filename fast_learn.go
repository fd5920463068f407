package tickstorm

import "math/bits"

// This file is how the fast path learns orders of keys.

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
	maxResets  = 40
)

// learn returns the step for the key at b[i], which none of those after here is: a new
// one, in the tree if there is room. It is nil if b[i] is not the plain beginning of a
// key, or the end of the object.
func (d *fastDecoder) learn(r *route, here *step, b []byte, i int) *step {
	d.p.stats.Strange++
	s := &d.spare
	lost := here == s // the key before this one found no room either
	*s = step{has: here.has, unknown: here.unknown, stranger: s.stranger}
	if at(b, i) == '}' {
		s.verb, s.size = readEnd, 1
		s.word, s.mask = wordOf("}")
		return r.grow(here, s, lost)
	}
	if at(b, i) != ',' {
		return nil
	}
	end := textEnd(b, i+1)
	if end < 0 || at(b, end) != ':' {
		return nil
	}
	end++
	key := b[i:end]
	for o := here.next; o != nil && !lost; o = o.other { // long keys are compared here
		if o.key != "" && o.key == string(key) {
			return o
		}
	}
	s.size = len(key)
	s.verb = skipValue
	name := key[2 : len(key)-2]
	switch m := r.channel.find(name); {
	case string(name) == "ev":
	case m < 0:
		s.unknown++
	case s.has&r.channel.members[m].field == 0: // of a key that comes twice the first counts
		field := r.channel.members[m].field
		s.has |= field
		s.store(r.event.field(bits.TrailingZeros32(uint32(field))))
		if s.verb == readFloat && r.channel.members[m].flags&whole != 0 {
			s.verb = readWhole
		}
	}
	if len(key) <= 8 {
		s.word, s.mask = wordOf(string(key))
	} else {
		s.word, s.mask = 1, 0 // equals no word: learn compares the whole key
		if len(key) > maxLearned {
			return s
		}
	}
	return r.grow(here, s, lost)
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

// grow puts a copy of s into the tree behind here, if there is room.
func (r *route) grow(here, s *step, lost bool) *step {
	last, others := &here.next, 0
	if !lost {
		for (*last).verb != readStrange {
			last = &(*last).other
			others++
		}
	}
	if lost || r.steps >= maxSteps || others >= maxOthers {
		s.close()
		if r.strange++; r.strange > maxStrange<<r.resets {
			r.strange, r.steps = 0, 0
			r.resets = min(r.resets+1, maxResets)
			r.step.close()
		}
		return s
	}
	r.steps++
	c := new(step)
	*c = *s
	c.stranger = nil
	c.other = *last
	*last = c
	c.close()
	return c
}

// close makes s a step that nothing is known to follow.
func (s *step) close() {
	if s.stranger == nil {
		s.stranger = &step{verb: readStrange, before: s}
	}
	s.next = s.stranger
}
