package tickstorm

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
)

// Symbols interns symbols: it gives each a string that is safe to keep and a number,
// dense from 1, for state kept in arrays. It is bounded: once it holds as many symbols
// as it may, a new one is delivered with the number 0 and a string of its own,
// allocated each time, and counted in [Symbols.Overflows]. The same happens to a
// symbol longer than [MaxSymbol] bytes.
//
// One table can serve many connections and outlive them, so that numbers stay the
// same across reconnects. All methods are safe for concurrent use; looking up a
// known symbol takes no lock.
type Symbols struct {
	table atomic.Pointer[symbolTable]
	max   int

	overflows atomic.Uint64

	mu    sync.Mutex // protects what follows, and growth
	list  []*symbol  // by number, less one
	chunk []symbol   // where the next ones are made, so that each costs no allocation
	texts strings.Builder
}

// Symbols are made in chunks of this many, and their texts of so many bytes: a feed
// of thousands of symbols costs dozens of allocations.
const (
	symbolChunk = 256
	textChunk   = 4 << 10
)

// Bounds of a table of symbols.
const (
	// MaxSymbol is the longest symbol in bytes that is interned. The longest of the
	// vendor's, option contracts, have 21.
	MaxSymbol = 64
	// DefaultSymbols is how many symbols a table holds unless told otherwise: more than
	// the option contracts listed in the US.
	DefaultSymbols = 1 << 21
)

// symbolTable is an open-addressing hash table: readers follow it without a lock,
// the writer under Symbols.mu only ever fills empty slots and replaces it to grow.
type symbolTable struct {
	seed  uint64                   // unknown to whoever chooses the symbols
	slots []atomic.Pointer[symbol] // a power of two of them, at most half full
}

type symbol struct {
	word uint64 // the first eight bytes: of most symbols, all there is
	text string
	hash uint64
	id   uint32
}

// NewSymbols returns a table for at most max symbols; 0 means [DefaultSymbols].
// It starts small and grows with what it sees.
func NewSymbols(max int) *Symbols {
	if max <= 0 {
		max = DefaultSymbols
	}
	s := &Symbols{max: max}
	s.table.Store(newSymbolTable(rand.Uint64(), 256))
	return s
}

func newSymbolTable(seed uint64, slots int) *symbolTable {
	return &symbolTable{seed, make([]atomic.Pointer[symbol], slots)}
}

// Len returns how many symbols the table holds; their numbers are 1 to Len.
func (s *Symbols) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.list)
}

// Overflows returns how many times a symbol was not interned, because the table was
// full or the symbol too long.
func (s *Symbols) Overflows() uint64 { return s.overflows.Load() }

// Symbol returns the symbol with this number, "" if there is none.
func (s *Symbols) Symbol(id uint32) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id == 0 || int64(id) > int64(len(s.list)) {
		return ""
	}
	return s.list[id-1].text
}

// ID returns the number of a symbol that the table holds, 0 if it does not.
func (s *Symbols) ID(text string) uint32 {
	if sym := s.table.Load().find([]byte(text)); sym != nil {
		return sym.id
	}
	return 0
}

// Intern returns the string and number of a symbol and takes it in if it is new.
func (s *Symbols) Intern(text []byte) (string, uint32) {
	if sym := s.table.Load().find(text); sym != nil {
		return sym.text, sym.id
	}
	return s.internSlow(text)
}

func (s *Symbols) internSlow(text []byte) (string, uint32) {
	if len(text) > MaxSymbol {
		s.overflows.Add(1)
		return string(text), 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table.Load()
	if sym := t.find(text); sym != nil {
		return sym.text, sym.id
	}
	if len(s.list) >= s.max {
		s.overflows.Add(1)
		return string(text), 0
	}
	sym := s.make(text)
	sym.hash, sym.word = t.hash(text)
	sym.id = uint32(len(s.list) + 1)
	s.list = append(s.list, sym)
	if 2*len(s.list) > len(t.slots) {
		t = newSymbolTable(t.seed, 2*len(t.slots))
		for _, old := range s.list {
			t.put(old)
		}
		s.table.Store(t)
	} else {
		t.put(sym)
	}
	return sym.text, sym.id
}

// make returns a symbol with a text that shares its memory with others. A full
// builder is left to the texts that were cut from it.
func (s *Symbols) make(text []byte) *symbol {
	if len(s.chunk) == cap(s.chunk) {
		s.chunk = make([]symbol, 0, symbolChunk)
	}
	if s.texts.Cap()-s.texts.Len() < len(text) {
		s.texts = strings.Builder{}
		s.texts.Grow(textChunk)
	}
	start := s.texts.Len()
	s.texts.Write(text)
	s.chunk = append(s.chunk, symbol{text: s.texts.String()[start:]})
	return &s.chunk[len(s.chunk)-1]
}

// fold mixes a word into a hash by both halves of a product, as wyhash does.
func fold(h, word uint64) uint64 {
	high, low := bits.Mul64(h^word, 0x9E3779B97F4A7C15)
	return high ^ low
}

// hash returns the hash of a text and its first word.
func (t *symbolTable) hash(text []byte) (hash, word uint64) {
	if len(text) < 8 {
		word = shortWord(text)
		return fold(t.seed, word), word
	}
	word = binary.LittleEndian.Uint64(text)
	hash = fold(t.seed, word)
	for i := 8; i < len(text)-8; i += 8 {
		hash = fold(hash, binary.LittleEndian.Uint64(text[i:]))
	}
	// The last word overlaps the one before it unless the length is a multiple of 8.
	return fold(hash, binary.LittleEndian.Uint64(text[len(text)-8:])), word
}

// shortWord returns a text of fewer than eight bytes as a word, zeros behind it.
func shortWord(text []byte) (w uint64) {
	for i, c := range text {
		w |= uint64(c) << (8 * i)
	}
	return w
}

func (t *symbolTable) find(text []byte) *symbol {
	i, word := t.hash(text)
	for mask := uint64(len(t.slots) - 1); ; i++ {
		sym := t.slots[i&mask].Load()
		if sym == nil || sym.word == word && sym.text == string(text) {
			return sym
		}
	}
}

// short is find for a text of n bytes, n less than 8, given as a word.
func (t *symbolTable) short(word uint64, n int) *symbol {
	i := fold(t.seed, word)
	for mask := uint64(len(t.slots) - 1); ; i++ {
		sym := t.slots[i&mask].Load()
		if sym == nil || sym.word == word && len(sym.text) == n {
			return sym
		}
	}
}

func (t *symbolTable) put(sym *symbol) {
	mask := uint64(len(t.slots) - 1)
	i := sym.hash
	for t.slots[i&mask].Load() != nil {
		i++
	}
	t.slots[i&mask].Store(sym)
}
