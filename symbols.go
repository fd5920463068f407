package tickstorm

import (
	"hash/maphash"
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
	seed  maphash.Seed
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

// MaxSymbol is the longest symbol in bytes that is interned. The longest of the
// vendor's, option contracts, have 21.
const MaxSymbol = 64

// DefaultSymbols is how many symbols a table holds unless told otherwise: more than
// the option contracts listed in the US.
const DefaultSymbols = 1 << 21

// symbolTable is an open-addressing hash table: readers follow it without a lock,
// the writer under Symbols.mu only ever fills empty slots and replaces it to grow.
type symbolTable struct {
	slots []atomic.Pointer[symbol] // a power of two of them, at most half full
}

type symbol struct {
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
	s := &Symbols{seed: maphash.MakeSeed(), max: max}
	s.table.Store(&symbolTable{make([]atomic.Pointer[symbol], 256)})
	return s
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
	if sym := s.table.Load().find(maphash.String(s.seed, text), text); sym != nil {
		return sym.id
	}
	return 0
}

// Intern returns the string and number of a symbol and takes it in if it is new.
func (s *Symbols) Intern(text []byte) (string, uint32) {
	hash := maphash.Bytes(s.seed, text)
	if sym := s.table.Load().findBytes(hash, text); sym != nil {
		return sym.text, sym.id
	}
	return s.internSlow(hash, text)
}

func (s *Symbols) internSlow(hash uint64, text []byte) (string, uint32) {
	if len(text) > MaxSymbol {
		s.overflows.Add(1)
		return string(text), 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table.Load()
	if sym := t.findBytes(hash, text); sym != nil {
		return sym.text, sym.id
	}
	if len(s.list) >= s.max {
		s.overflows.Add(1)
		return string(text), 0
	}
	sym := s.make(text)
	sym.hash, sym.id = hash, uint32(len(s.list)+1)
	s.list = append(s.list, sym)
	if 2*len(s.list) > len(t.slots) {
		t = &symbolTable{make([]atomic.Pointer[symbol], 2*len(t.slots))}
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

func (t *symbolTable) find(hash uint64, text string) *symbol {
	mask := uint64(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		sym := t.slots[i].Load()
		if sym == nil || sym.hash == hash && sym.text == text {
			return sym
		}
	}
}

// findBytes is find without making a string.
func (t *symbolTable) findBytes(hash uint64, text []byte) *symbol {
	mask := uint64(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		sym := t.slots[i].Load()
		if sym == nil || sym.hash == hash && sym.text == string(text) {
			return sym
		}
	}
}

func (t *symbolTable) put(sym *symbol) {
	mask := uint64(len(t.slots) - 1)
	i := sym.hash & mask
	for t.slots[i].Load() != nil {
		i = (i + 1) & mask
	}
	t.slots[i].Store(sym)
}
