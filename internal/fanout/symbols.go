package fanout

import (
	"math/bits"
	"slices"

	"github.com/tickstorm/tickstorm/internal/intern"
)

// This file is the table of a channel's symbols. To find who wants an event costs as much as the lines of
// memory that have to be fetched for it, so a symbol and who holds it stand in one.

// symbols are those of a channel that somebody holds, or held. The zero value has none.
type symbols struct {
	slots []holders           // by hash; their number is a power of two
	used  int                 // of slots
	long  map[string]*holders // of symbols that do not fit a slot
}

// holders are the outlets that hold a symbol. Most are held by few, which stand in the symbol's line.
type holders struct {
	text [3]uint64 // the symbol, zeros behind it; nothing of a long one
	size int32     // its length and one; 0 is a slot that is free
	n    int32     // of all outlets
	few  [few]int32
	more *[]int32
	last int64 // when the last event came
}

const (
	few      = 4
	minSlots = 64
)

// slotsFor is how many slots so many symbols get: no more than half of them are used.
func slotsFor(n int) int { return max(minSlots, 1<<bits.Len(uint(2*n))) }

// crowded reports whether so many slots are used that there should be more.
func (s *symbols) crowded() bool { return 8*s.used > 5*len(s.slots) }

// len returns how many symbols there are.
func (s *symbols) len() int { return s.used + len(s.long) }

// find returns the holders of a symbol, nil if it is not in the table.
func (s *symbols) find(hash intern.Hasher, symbol []byte) *holders {
	if len(symbol) > intern.Inline {
		return s.long[string(symbol)]
	}
	if s.used == 0 {
		return nil
	}
	a, b, c := intern.Words(symbol)
	if h := s.slot(hash, [3]uint64{a, b, c}, len(symbol)); h.size != 0 {
		return h
	}
	return nil
}

// slot returns the slot of a symbol of n bytes, which fits one, or the free one that it would have.
func (s *symbols) slot(hash intern.Hasher, text [3]uint64, n int) *holders {
	for i := hash.Words(text[0], text[1], text[2], n); ; i++ {
		if h := &s.slots[i&uint64(len(s.slots)-1)]; h.size == 0 || h.text == text && int(h.size) == n+1 {
			return h
		}
	}
}

// insert is find, and puts the symbol in if it is new.
func (s *symbols) insert(hash intern.Hasher, symbol []byte) *holders {
	if h := s.find(hash, symbol); h != nil {
		return h
	}
	if len(symbol) > intern.Inline {
		if s.long == nil {
			s.long = map[string]*holders{}
		}
		h := new(holders)
		s.long[string(symbol)] = h
		return h
	}
	if 4*s.used >= 3*len(s.slots) {
		old := s.slots
		s.slots, s.used = make([]holders, max(minSlots, 2*len(old))), 0
		for i := range old {
			if old[i].size != 0 {
				s.put(hash, &old[i])
			}
		}
	}
	a, b, c := intern.Words(symbol)
	return s.put(hash, &holders{text: [3]uint64{a, b, c}, size: int32(len(symbol)) + 1})
}

// put puts in what the table does not have and has a free slot for.
func (s *symbols) put(hash intern.Hasher, h *holders) *holders {
	slot := s.slot(hash, h.text, int(h.size)-1)
	*slot = *h
	s.used++
	return slot
}

func (h *holders) add(place int32) {
	switch {
	case h.n < few:
		h.few[h.n] = place
	case h.more == nil:
		h.more = &[]int32{place}
	default:
		*h.more = append(*h.more, place)
	}
	h.n++
}

// remove takes a place out, if it is there, and puts the last in its place.
func (h *holders) remove(place int32) {
	at := slices.Index(h.few[:min(h.n, few)], place)
	if at < 0 && h.more != nil {
		if at = slices.Index(*h.more, place); at >= 0 {
			at += few
		}
	}
	if at < 0 {
		return
	}
	h.n--
	*h.at(at) = *h.at(int(h.n))
	if h.more != nil {
		*h.more = (*h.more)[:h.n-few]
		if h.n == few {
			h.more = nil
		}
	}
}

func (h *holders) at(i int) *int32 {
	if i < few {
		return &h.few[i]
	}
	return &(*h.more)[i-few]
}

func (h *holders) has(place int32) bool {
	return slices.Contains(h.few[:min(h.n, few)], place) || h.more != nil && slices.Contains(*h.more, place)
}
