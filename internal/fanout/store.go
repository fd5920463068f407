package fanout

import (
	"bytes"
	"encoding/binary"

	"github.com/tickstorm/tickstorm/internal/intern"
)

// This file is the store of the last element of each channel and symbol, which snapshots are
// made of. It allocates nothing once it has grown to what there is, and evicts what has been
// silent for longest once it has grown to its limit.
//
// An element stands in a chain of blocks, behind its symbol. The next one of the symbol takes
// its place there.

// store is what is kept. Whoever changes it has the hub's lock; a nil store keeps nothing.
type store struct {
	hash   intern.Hasher
	index  []uint64 // by hash: the number of a slot, and above it its tag; 0 is none. Its length is a power of two
	pages  []*storePage
	chunks []*[chunkBlocks][blockSize]byte
	spare  uint32 // the first unused block, 0 is none; each has the next in its link
	unused uint32 // the first unused slot, 0 is none; each has the next in its first
	bytes  int    // of pages, chunks and index
	limit  int
	used   int    // slots
	hand   uint32 // the slot that is looked at first when something has to go

	evicted, unkept uint64
}

// storePage is slots, and the number of the newest message that any of them has an element of.
type storePage struct {
	newest uint64
	slots  [pageSlots]storeSlot
}

// storeSlot is one channel and symbol. It is in use if it has a stream.
type storeSlot struct {
	number uint64 // of the message
	first  uint32 // block
	size   uint32 // of the element
	tag    uint32 // of the hash
	symbol uint8  // its length
	stream uint8
	recent bool // an element came since the hand came by
}

const (
	blockSize   = 64
	blockRoom   = blockSize - 4 // what stands in a block, before the number of the next
	chunkBlocks = 1 << 12
	pageSlots   = 1 << 8
	pageBytes   = pageSlots*32 + 8
	maxStored   = blockRoom // of a symbol, so that it stands in the first block
	minStore    = 1 << 20
)

func newStore(limit int) *store {
	s := &store{hash: intern.NewHasher(), limit: max(limit, minStore)}
	size := 1
	for size < s.limit/256 {
		size *= 2
	}
	s.index = make([]uint64, size)
	s.bytes = 8 * size
	return s
}

func (s *store) block(id uint32) *[blockSize]byte {
	return &s.chunks[id/chunkBlocks][id%chunkBlocks]
}

func linkOf(b *[blockSize]byte) uint32        { return binary.LittleEndian.Uint32(b[blockRoom:]) }
func setLinkOf(b *[blockSize]byte, id uint32) { binary.LittleEndian.PutUint32(b[blockRoom:], id) }

func (s *store) slot(id uint32) *storeSlot { return &s.pages[id/pageSlots].slots[id%pageSlots] }

// find returns the slot of a symbol of a stream, 0 if there is none, and its place in the index, or
// the one where it would be.
func (s *store) find(tag uint32, stream uint8, symbol []byte) (at, id uint32) {
	mask := uint32(len(s.index) - 1)
	for at = tag & mask; s.index[at] != 0; at = (at + 1) & mask {
		if uint32(s.index[at]>>32) != tag {
			continue
		}
		id := uint32(s.index[at])
		k := s.slot(id)
		if k.stream == stream && int(k.symbol) == len(symbol) && bytes.Equal(s.block(k.first)[:len(symbol)], symbol) {
			return at, id
		}
	}
	return at, 0
}

// tagOf is the hash of a symbol of a stream. Its lowest bits are where in the index it begins to be
// looked for.
func (s *store) tagOf(stream uint8, symbol []byte) uint32 {
	return uint32(intern.Fold(s.hash.Hash(symbol), uint64(stream)) >> 32)
}

// keep puts an element in the place of the one before it.
func (s *store) keep(stream uint8, symbol, element []byte, number uint64) {
	if len(symbol) > maxStored || len(element) > s.limit/8 {
		s.unkept++
		if len(symbol) <= maxStored {
			s.forget(stream, symbol) // it is not the last any more
		}
		return
	}
	tag := s.tagOf(stream, symbol)
	_, id := s.find(tag, stream, symbol)
	if id == 0 {
		if id = s.add(tag, stream, symbol); id == 0 {
			s.unkept++
			return
		}
	}
	k := s.slot(id)
	k.size, k.number, k.recent = uint32(len(element)), number, true
	s.pages[id/pageSlots].newest = number
	b := s.block(k.first)
	n := copy(b[k.symbol:blockRoom], element)
	for element = element[n:]; len(element) > 0; element = element[n:] {
		next := linkOf(b)
		if next == 0 {
			if next = s.newBlock(id); next == 0 {
				s.remove(id)
				s.unkept++
				return
			}
			setLinkOf(b, next)
		}
		b = s.block(next)
		n = copy(b[:blockRoom], element)
	}
	if rest := linkOf(b); rest != 0 {
		setLinkOf(b, 0)
		s.free(rest)
	}
}

// add makes a slot for a symbol that has none, still without an element; 0 if there is no room.
func (s *store) add(tag uint32, stream uint8, symbol []byte) uint32 {
	id := s.newSlot()
	if id == 0 {
		return 0
	}
	k := s.slot(id)
	first := s.newBlock(id)
	if first == 0 {
		k.first, s.unused = s.unused, id
		return 0
	}
	copy(s.block(first)[:], symbol)
	*k = storeSlot{tag: tag, symbol: uint8(len(symbol)), stream: stream, first: first}
	at, _ := s.find(tag, stream, symbol) // only now: what was evicted for it may have moved others
	s.index[at] = uint64(tag)<<32 | uint64(id)
	s.used++
	return id
}

// appendTo appends the element of a slot.
func (s *store) appendTo(dst []byte, k *storeSlot) []byte {
	b, left := s.block(k.first), int(k.size)
	part := b[k.symbol:blockRoom]
	for {
		n := min(left, len(part))
		dst = append(dst, part[:n]...)
		if left -= n; left == 0 {
			return dst
		}
		b = s.block(linkOf(b))
		part = b[:blockRoom]
	}
}

// symbolOf returns the symbol of a slot, which is valid until the store changes.
func (s *store) symbolOf(k *storeSlot) []byte { return s.block(k.first)[:k.symbol] }

// newBlock returns an empty block for a slot, 0 if there is no room.
func (s *store) newBlock(forSlot uint32) uint32 {
	for s.spare == 0 {
		if s.bytes+chunkBlocks*blockSize <= s.limit {
			s.addChunk()
		} else if !s.evict(forSlot) {
			return 0
		}
	}
	id := s.spare
	b := s.block(id)
	s.spare = linkOf(b)
	setLinkOf(b, 0)
	return id
}

func (s *store) addChunk() {
	first := uint32(len(s.chunks) * chunkBlocks)
	s.chunks = append(s.chunks, new([chunkBlocks][blockSize]byte))
	s.bytes += chunkBlocks * blockSize
	for id := first + chunkBlocks - 1; id >= max(first, 1); id-- { // 0 is no block
		setLinkOf(s.block(id), s.spare)
		s.spare = id
	}
}

// free gives a chain of blocks back.
func (s *store) free(first uint32) {
	last := s.block(first)
	for next := linkOf(last); next != 0; next = linkOf(last) {
		last = s.block(next)
	}
	setLinkOf(last, s.spare)
	s.spare = first
}

// newSlot takes an unused slot, 0 if there is none.
func (s *store) newSlot() uint32 {
	for s.unused == 0 || s.used >= len(s.index)/2 {
		if s.used < len(s.index)/2 && s.bytes+pageBytes <= s.limit {
			first := uint32(len(s.pages) * pageSlots)
			s.pages = append(s.pages, &storePage{})
			s.bytes += pageBytes
			for id := first + pageSlots - 1; id >= max(first, 1); id-- { // 0 is no slot
				s.slot(id).first = s.unused
				s.unused = id
			}
		} else if !s.evict(0) {
			return 0
		}
	}
	id := s.unused
	s.unused, s.slot(id).first = s.slot(id).first, 0
	return id
}

// evict forgets the first slot from the hand on that has been silent since the hand came by,
// but for one, and reports whether there was any.
func (s *store) evict(but uint32) bool {
	all := uint32(len(s.pages) * pageSlots)
	for range 2 * all {
		if s.hand++; s.hand >= all {
			s.hand = 0
		}
		switch k := s.slot(s.hand); {
		case k.stream == 0 || s.hand == but:
		case k.recent:
			k.recent = false
		default:
			s.remove(s.hand)
			s.evicted++
			return true
		}
	}
	return false
}

// forget removes a symbol of a stream, if it is there.
func (s *store) forget(stream uint8, symbol []byte) {
	if _, id := s.find(s.tagOf(stream, symbol), stream, symbol); id != 0 {
		s.remove(id)
	}
}

// remove takes a slot out, and moves those back in the index that it stood in the way of.
func (s *store) remove(id uint32) {
	k := s.slot(id)
	mask := uint32(len(s.index) - 1)
	i := k.tag & mask
	for uint32(s.index[i]) != id {
		i = (i + 1) & mask
	}
	for hole := i; ; {
		i = (i + 1) & mask
		next := s.index[i]
		if next == 0 {
			s.index[hole] = 0
			break
		}
		if home := uint32(next>>32) & mask; (i-home)&mask >= (i-hole)&mask {
			s.index[hole] = next
			hole = i
		}
	}
	if k.first != 0 {
		s.free(k.first)
	}
	*k = storeSlot{first: s.unused}
	s.unused = id
	s.used--
}
