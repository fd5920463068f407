package fanout

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/tickstorm/tickstorm/internal/intern"
)

// This file is the store of the last element of each channel and symbol, which snapshots are
// made of. It allocates nothing once it has grown to what there is, and evicts what has been
// silent for longest once it has grown to its limit.
//
// An element stands behind its symbol in a cell of as many bytes as it needed at its longest, so
// that what a lookup fetches is a line of the index and one of the cell. The next element of the
// symbol takes its place there.

// store is what is kept. Whoever changes it has the hub's lock; a nil store keeps nothing.
type store struct {
	hash    intern.Hasher
	index   []uint64 // by hash: the number of a cell, and above it its tag; 0 is none. Its length is a power of two
	chunks  []storeChunk
	newest  []uint64 // message that any cell has an element of that begins in a block
	classes [storeClasses]storeClass
	limit   int // of bytes
	used    int // cells
	touched uint64

	wait    []storeWait // of the message at hand
	symbols []byte      // of these

	evicted, unkept uint64
}

// storeChunk is memory for cells of one size.
type storeChunk struct {
	units uint32 // of each cell
	data  []byte
}

// storeClass is the cells of one size. A cell's number is its place in units, chunk by chunk.
type storeClass struct {
	free   uint32 // the first unused cell, 0 is none; each has the next in its tag
	chunks []uint32
	hand   uint32 // where in the chunks to look first when one has to go
}

// storeWait is an element that is to be kept.
type storeWait struct {
	symbol, element []byte
	id              uint32 // of the cell that it may be in
	tag             uint32
	stream          uint8
}

const (
	unit         = 64
	chunkUnits   = 1 << 12
	blockUnits   = 1 << 6 // of a part of a chunk
	chunkBlocks  = chunkUnits / blockUnits
	chunkBytes   = unit * chunkUnits
	storeClasses = 45
	minStore     = 1 << 20
	minIndex     = 1 << 10
	maxStored    = 1<<8 - 1 // of a symbol
	maxElement   = chunkBytes / 2
)

// A cell begins with the number of the message, then come the element's length, the tag, the
// symbol's length, the stream, which is 0 in one that is not used, and whether an element came
// since the hand came by.
const (
	cellSize   = 8
	cellTag    = 12
	cellSymbol = 16
	cellStream = 17
	cellRecent = 18
	cellHead   = 20
)

func newStore(limit int) *store {
	return &store{hash: intern.NewHasher(), limit: max(limit, minStore), index: make([]uint64, minIndex)}
}

// bytes is the memory that is taken.
func (s *store) bytes() int { return len(s.chunks)*chunkBytes + 8*len(s.index) }

// unitsFor is the size of the cell for so many bytes, and its class.
func unitsFor(n int) (units uint32, class int) {
	u := uint32(n+unit-1) / unit
	if u <= 8 {
		return u, int(u)
	}
	shift := bits.Len32(u-1) - 3
	n8 := (u + 1<<shift - 1) >> shift
	return n8 << shift, 4*shift + int(n8)
}

func (s *store) cell(id uint32) []byte {
	c := &s.chunks[id/chunkUnits]
	at := id % chunkUnits * unit
	return c.data[at : at+c.units*unit]
}

func number(c []byte) uint64 { return binary.LittleEndian.Uint64(c) }
func tagOf(c []byte) uint32  { return binary.LittleEndian.Uint32(c[cellTag:]) }

// symbolOf returns the symbol of a cell, which is valid until the store changes, and element its
// element.
func symbolOf(c []byte) []byte { return c[cellHead : cellHead+int(c[cellSymbol])] }
func elementOf(c []byte) []byte {
	from := cellHead + int(c[cellSymbol])
	return c[from : from+int(binary.LittleEndian.Uint32(c[cellSize:]))]
}

// tag is the hash of a symbol of a stream. Its lowest bits are where in the index it begins to be
// looked for.
func (s *store) tag(stream uint8, symbol []byte) uint32 {
	return uint32(intern.Fold(s.hash.Hash(symbol), uint64(stream)) >> 32)
}

// find returns the cell of a symbol of a stream, 0 if there is none, and its place in the index, or
// the one where it would be.
func (s *store) find(tag uint32, stream uint8, symbol []byte) (at, id uint32) {
	mask := uint32(len(s.index) - 1)
	for at = tag & mask; s.index[at] != 0; at = (at + 1) & mask {
		if uint32(s.index[at]>>32) != tag {
			continue
		}
		id := uint32(s.index[at])
		if c := s.cell(id); c[cellStream] == stream && bytes.Equal(symbolOf(c), symbol) {
			return at, id
		}
	}
	return at, 0
}

// take puts an element down to be kept with the others of its message. It must be valid until flush.
func (s *store) take(stream uint8, symbol, element []byte) {
	from := len(s.symbols)
	s.symbols = append(s.symbols, symbol...)
	s.wait = append(s.wait, storeWait{symbol: s.symbols[from:], element: element, tag: s.tag(stream, symbol), stream: stream})
}

// flush keeps what was taken. It fetches what it will need of all of it in turns, because a
// processor waits for many lines of memory in the time that one takes.
func (s *store) flush(number uint64) {
	if len(s.wait) > 1 {
		mask := uint32(len(s.index) - 1)
		for i := range s.wait {
			w := &s.wait[i]
			w.id = uint32(s.index[w.tag&mask])
		}
		for i := range s.wait {
			id := s.wait[i].id
			if c := id / chunkUnits; id != 0 && int(c) < len(s.chunks) {
				s.touched += uint64(s.chunks[c].data[id%chunkUnits*unit])
			}
		}
	}
	for i := range s.wait {
		w := &s.wait[i]
		s.keep(w.tag, w.stream, w.symbol, w.element, number)
	}
	if cap(s.wait) > maxIdle {
		s.wait, s.symbols = nil, nil
	}
	clear(s.wait)
	s.wait, s.symbols = s.wait[:0], s.symbols[:0]
}

// keep puts an element in the place of the one before it.
func (s *store) keep(tag uint32, stream uint8, symbol, element []byte, number uint64) {
	if len(symbol) > maxStored {
		s.unkept++
		return
	}
	need := cellHead + len(symbol) + len(element)
	at, id := s.find(tag, stream, symbol)
	if id == 0 || need > int(s.chunks[id/chunkUnits].units)*unit {
		if id != 0 {
			s.remove(at, id)
		}
		if id = s.add(tag, stream, symbol, need); id == 0 {
			s.unkept++ // and what came before it is the last no more
			return
		}
	}
	c := s.cell(id)
	binary.LittleEndian.PutUint64(c, number)
	binary.LittleEndian.PutUint32(c[cellSize:], uint32(len(element)))
	c[cellRecent] = 1
	copy(c[cellHead+len(symbol):], element)
	s.newest[id/blockUnits] = number
}

// add makes a cell for a symbol that has none, still without an element; 0 if there is no room.
func (s *store) add(tag uint32, stream uint8, symbol []byte, need int) uint32 {
	if need > maxElement {
		return 0
	}
	units, class := unitsFor(need)
	if 2*(s.used+1) > len(s.index) {
		if s.bytes()+8*len(s.index) <= s.limit || len(s.index) < minIndex {
			s.grow()
		} else if !s.evict(class) {
			return 0
		}
	}
	id := s.newCell(units, class)
	if id == 0 {
		return 0
	}
	c := s.cell(id)
	binary.LittleEndian.PutUint32(c[cellTag:], tag)
	c[cellSymbol], c[cellStream] = uint8(len(symbol)), stream
	copy(c[cellHead:], symbol)
	at, _ := s.find(tag, stream, symbol) // only now: what was evicted for it may have moved others
	s.index[at] = uint64(tag)<<32 | uint64(id)
	s.used++
	return id
}

// grow makes the index twice as long.
func (s *store) grow() {
	old := s.index
	s.index = make([]uint64, 2*len(old))
	mask := uint32(len(s.index) - 1)
	for _, e := range old {
		if e == 0 {
			continue
		}
		at := uint32(e>>32) & mask
		for s.index[at] != 0 {
			at = (at + 1) & mask
		}
		s.index[at] = e
	}
}

// newCell takes an unused cell, 0 if there is none.
func (s *store) newCell(units uint32, class int) uint32 {
	k := &s.classes[class]
	if k.free == 0 {
		switch {
		case s.bytes()+chunkBytes <= s.limit:
			s.chunks = append(s.chunks, storeChunk{data: make([]byte, chunkBytes)})
			s.newest = append(s.newest, make([]uint64, chunkBlocks)...)
			s.divide(uint32(len(s.chunks)-1), units, class)
		case !s.evict(class) && !s.steal(units, class):
			return 0
		}
	}
	id := k.free
	k.free = tagOf(s.cell(id))
	return id
}

// divide makes a chunk one of unused cells.
func (s *store) divide(chunk, units uint32, class int) {
	k, c := &s.classes[class], &s.chunks[chunk]
	c.units = units
	clear(s.newest[chunk*chunkBlocks : (chunk+1)*chunkBlocks])
	k.chunks = append(k.chunks, chunk)
	for at := uint32(0); at+units <= chunkUnits; at += units {
		id := chunk*chunkUnits + at
		if id == 0 { // which is none
			continue
		}
		cell := s.cell(id)
		cell[cellStream] = 0
		binary.LittleEndian.PutUint32(cell[cellTag:], k.free)
		k.free = id
	}
}

// evict forgets the first cell of a class, from the hand on, that has been silent since the hand
// came by, and reports whether there was any.
func (s *store) evict(class int) bool {
	k := &s.classes[class]
	if len(k.chunks) == 0 {
		return false
	}
	units := s.chunks[k.chunks[0]].units
	each := chunkUnits / units
	all := uint32(len(k.chunks)) * each
	for range 2 * all {
		if k.hand++; k.hand >= all {
			k.hand = 0
		}
		id := k.chunks[k.hand/each]*chunkUnits + k.hand%each*units
		switch c := s.cell(id); {
		case id == 0 || c[cellStream] == 0:
		case c[cellRecent] != 0:
			c[cellRecent] = 0
		default:
			s.removeCell(id)
			s.evicted++
			return true
		}
	}
	return false
}

// steal gives a class that has no memory a chunk of the one that has most.
func (s *store) steal(units uint32, class int) bool {
	most := 0
	for i := range s.classes {
		if len(s.classes[i].chunks) > len(s.classes[most].chunks) {
			most = i
		}
	}
	from := &s.classes[most]
	if len(from.chunks) == 0 {
		return false
	}
	chunk := from.chunks[0]
	from.chunks = append(from.chunks[:0], from.chunks[1:]...)
	size := s.chunks[chunk].units
	for at := uint32(0); at+size <= chunkUnits; at += size {
		if id := chunk*chunkUnits + at; id != 0 && s.cell(id)[cellStream] != 0 {
			s.removeCell(id)
			s.evicted++
		}
	}
	rest := uint32(0) // those that are not of the chunk
	for id := from.free; id != 0; {
		c := s.cell(id)
		next := tagOf(c)
		if id/chunkUnits != chunk {
			binary.LittleEndian.PutUint32(c[cellTag:], rest)
			rest = id
		}
		id = next
	}
	from.free = rest
	s.divide(chunk, units, class)
	return true
}

// removeCell removes a cell, wherever it is in the index.
func (s *store) removeCell(id uint32) {
	mask := uint32(len(s.index) - 1)
	at := tagOf(s.cell(id)) & mask
	for uint32(s.index[at]) != id {
		at = (at + 1) & mask
	}
	s.remove(at, id)
}

// remove takes a cell out, and moves those back in the index that it stood in the way of.
func (s *store) remove(at, id uint32) {
	mask := uint32(len(s.index) - 1)
	for hole := at; ; {
		at = (at + 1) & mask
		next := s.index[at]
		if next == 0 {
			s.index[hole] = 0
			break
		}
		if home := uint32(next>>32) & mask; (at-home)&mask >= (at-hole)&mask {
			s.index[hole] = next
			hole = at
		}
	}
	c := s.cell(id)
	_, class := unitsFor(len(c))
	k := &s.classes[class]
	c[cellStream] = 0
	binary.LittleEndian.PutUint32(c[cellTag:], k.free)
	k.free = id
	s.used--
}
