// Package intern is a table of short texts that gives each a string that is safe to keep and
// a number, dense from 1: what everything that is kept by symbol stands on.
//
// It is made for markets of millions of symbols, where what a lookup costs is how many cache
// lines it has to fetch from memory:
//
//   - A slot holds the text itself, up to [Inline] bytes, and the string that a lookup returns
//     is that memory: one line of two slots answers most lookups (nine of ten in a table that
//     is half full), and has what the caller reads next.
//   - Slots hold no pointers, so that a garbage collection does not depend on how many there are.
//   - The table grows by extendible hashing: a full segment of slots is replaced by two,
//     while the others stay. No insertion pays for more than one segment.
//   - [Table.Touch] asks for a slot's line without waiting for it, so that the misses of
//     texts that will be looked up next overlap.
//
// Lookups take no lock and may run beside an insertion: a slot is written once, before its
// number is published, and a segment that was replaced is left to who still reads it, or
// holds a string of it, and to the garbage collector.
package intern

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
)

// Inline is the longest text in bytes that stands in its slot. The longest of the vendor's
// symbols, option contracts, have 23. Longer ones cost a second line and a pointer each.
const Inline = 24

const (
	segmentSlots = 768
	segmentFull  = segmentSlots * 3 / 4
	lineSlots    = 2 // slots of a cache line, of which a search looks at all before the next line
)

// slot is one text. meta is zero while there is none: it is written last, and read first.
type slot struct {
	text [Inline]byte // zeros behind it; of a longer text the first 16 bytes and its index in long
	meta uint64       // of type meta, for sync/atomic
}

// meta is what a search looks at: the text's number, above it its length, and 24 bits of
// its hash, so that which of a line's slots has a text can be told without reading more.
type meta uint64

// Longest is the longest text that a table takes: its length is a byte of meta.
const Longest = 1<<8 - 1

// markOf returns what meta has besides the number; n is at most Longest.
func markOf(hash uint64, n int) uint32 { return uint32(hash)<<8 | uint32(n) }

func (m meta) id() uint32   { return uint32(m) }
func (m meta) mark() uint32 { return uint32(m >> 32) }
func (m meta) len() int     { return int(m.mark() & 0xFF) }

func (e *slot) load() meta { return meta(atomic.LoadUint64(&e.meta)) }

type segment = [segmentSlots]slot

// directory says where the slots of a hash are: its first bits are an index here. A segment
// that was not split as often as others stands at several places.
type directory struct {
	shift    uint
	segments []atomic.Pointer[segment]
}

// Table is a table of texts. All methods are safe for concurrent use.
type Table struct {
	hasher Hasher
	dir    atomic.Pointer[directory]
	long   atomic.Pointer[[]string] // texts that do not fit a slot
	texts  texts
	count  atomic.Uint32

	mu     sync.Mutex // protects what follows, and insertions
	max    uint32
	owners []*owner   // of the segments, by the index in the directory
	hashes [][]uint64 // of the texts by number, in pages, to find the slot of a number
}

// owner is what only insertions know of a segment.
type owner struct {
	slots *segment
	used  int
	depth int // how many of a hash's first bits are those of all texts in it
}

// hashPage is how many hashes a page has.
const hashPage = 4096

// New returns an empty table for at most max texts.
func New(max uint32) *Table {
	t := &Table{hasher: NewHasher(), max: max}
	first := &owner{slots: new(segment)}
	t.owners = []*owner{first, first}
	d := &directory{shift: 63, segments: make([]atomic.Pointer[segment], 2)}
	for i := range d.segments {
		d.segments[i].Store(first.slots)
	}
	t.dir.Store(d)
	t.long.Store(new([]string))
	return t
}

// Len returns how many texts there are; their numbers are 1 to Len.
func (t *Table) Len() int { return int(t.count.Load()) }

// Large reports whether the table is too large for a processor's inner caches, so that
// [Table.Touch] pays.
func (t *Table) Large() bool { return t.count.Load() > largeCount }

const largeCount = 1 << 14

// Find returns the string and number of a text, 0 if the table does not have it.
func (t *Table) Find(text []byte) (string, uint32) {
	if len(text) > Inline {
		return t.findLong(text)
	}
	a, b, c := Words(text)
	return t.FindWords(a, b, c, len(text))
}

// FindWord is Find for a text of n bytes, fewer than 8, given as a word with zeros behind
// the text.
func (t *Table) FindWord(word uint64, n int) (string, uint32) {
	h := t.hasher.word(word)
	e := t.candidate(h, markOf(h, n))
	if m := e.load(); m.mark() == markOf(h, n) && m != 0 && binary.LittleEndian.Uint64(e.text[:8]) == word {
		return t.texts.of(e, m), m.id()
	}
	return t.search(word, 0, 0, n, h)
}

// FindWords is Find for a text of n bytes, at most [Inline], given as three words with zeros
// behind the text.
func (t *Table) FindWords(a, b, c uint64, n int) (string, uint32) {
	h := t.hasher.Words(a, b, c, n)
	e := t.candidate(h, markOf(h, n))
	if m := e.load(); m.mark() == markOf(h, n) && m != 0 && e.is(a, b, c) {
		return t.texts.of(e, m), m.id()
	}
	return t.search(a, b, c, n, h)
}

// candidate returns the slot of the home line that has a text of this mark, if one has. Which one
// cannot be predicted, so there is no branch in it.
func (t *Table) candidate(hash uint64, mark uint32) *slot {
	s := t.segment(hash)
	i := home(hash)
	at := i
	if s[i].load().mark() != mark {
		at = i + 1
	}
	return &s[at]
}

// is reports whether a slot that is published has the text of these words.
func (e *slot) is(a, b, c uint64) bool {
	return (binary.LittleEndian.Uint64(e.text[:8])^a)|(binary.LittleEndian.Uint64(e.text[8:16])^b)|
		(binary.LittleEndian.Uint64(e.text[16:])^c) == 0
}

// search is FindWords, slot by slot.
func (t *Table) search(a, b, c uint64, n int, hash uint64) (string, uint32) {
	s := t.segment(hash)
	for i := home(hash); ; i = next(i) {
		e := &s[i]
		m := e.load()
		if m == 0 { // before anything else in the slot, which an insertion may be writing
			return "", 0
		}
		if m.mark() == markOf(hash, n) && e.is(a, b, c) {
			return t.texts.of(e, m), m.id()
		}
	}
}

// Hash returns the hash of a text that is given as for FindWords, to be touched.
func (t *Table) Hash(a, b, c uint64, n int) uint64 { return t.hasher.Words(a, b, c, n) }

// Touch fetches the lines where the searches for texts of these hashes would begin, and returns
// something of them, which the caller must keep from being optimized away. It is a short loop,
// so that a processor has many of them on their way at once.
func (t *Table) Touch(hashes []uint64) (some uint64) {
	d := t.dir.Load()
	for _, h := range hashes {
		s := d.segments[h>>(d.shift&63)].Load()
		some += uint64(s[home(h)].load())
	}
	return some
}

// home is where in a segment the search for a text begins: at the first slot of a line.
func home(hash uint64) uint64 {
	return uint64(uint32(hash)) * (segmentSlots / lineSlots) >> 32 * lineSlots
}

func next(i uint64) uint64 {
	if i++; i == segmentSlots {
		return 0
	}
	return i
}

func (t *Table) segment(hash uint64) *segment {
	d := t.dir.Load()
	return d.segments[hash>>(d.shift&63)].Load()
}

func (t *Table) findLong(text []byte) (string, uint32) {
	if len(text) > Longest {
		return "", 0
	}
	h := t.hasher.Hash(text)
	s := t.segment(h)
	for i := home(h); ; i = next(i) {
		e := &s[i]
		m := e.load()
		if m == 0 {
			return "", 0
		}
		if m.mark() == markOf(h, len(text)) {
			if known := t.longText(e); known == string(text) {
				return known, m.id()
			}
		}
	}
}

func (t *Table) longText(e *slot) string {
	return (*t.long.Load())[binary.LittleEndian.Uint64(e.text[16:])]
}

// text returns the string of a slot that has one.
func (t *Table) text(e *slot, m meta) string {
	if m.len() > Inline {
		return t.longText(e)
	}
	return t.texts.of(e, m)
}

// Insert returns the string and number of a text and takes it in if it is new. ok is false
// when the table is full, or the text longer than [Longest].
func (t *Table) Insert(text []byte) (s string, id uint32, ok bool) {
	if len(text) > Longest {
		return "", 0, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if s, id := t.Find(text); id != 0 {
		return s, id, true
	}
	id = t.count.Load() + 1
	hash := t.hasher.Hash(text)
	if id > t.max || !t.makeRoom(hash) {
		return "", 0, false
	}
	o := t.owners[hash>>(t.dir.Load().shift&63)]
	e := freeSlot(o.slots, hash)
	o.used++
	if len(text) > Inline {
		copy(e.text[:16], text)
		list := append(*t.long.Load(), string(text)) // readers know no more of it than they saw
		binary.LittleEndian.PutUint64(e.text[16:], uint64(len(list)-1))
		t.long.Store(&list)
	} else {
		copy(e.text[:], text)
		t.texts.add(id, text)
	}
	if (id-1)%hashPage == 0 {
		t.hashes = append(t.hashes, make([]uint64, 0, hashPage))
	}
	page := &t.hashes[(id-1)/hashPage]
	*page = append(*page, hash)
	m := meta(id) | meta(markOf(hash, len(text)))<<32
	t.count.Store(id)
	atomic.StoreUint64(&e.meta, uint64(m))
	return t.text(e, m), id, true
}

// Text returns the text with this number, "" if there is none.
func (t *Table) Text(id uint32) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if id == 0 || id > t.count.Load() {
		return ""
	}
	hash := t.hashes[(id-1)/hashPage][(id-1)%hashPage]
	s := t.segment(hash)
	for i := home(hash); ; i = next(i) {
		if e := &s[i]; meta(e.meta).id() == id {
			return t.text(e, meta(e.meta))
		}
	}
}
