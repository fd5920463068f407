package tickstorm

import (
	"math"
	"sync/atomic"

	"github.com/tickstorm/tickstorm/internal/intern"
)

// Symbols interns symbols: it gives each a string that is safe to keep and a number,
// dense from 1, for state kept in arrays. It is bounded: once it holds as many symbols
// as it may, a new one is delivered with the number 0 and a string of its own,
// allocated each time, and counted in [Symbols.Overflows]. The same happens to a
// symbol longer than [MaxSymbol] bytes.
//
// One table can serve many connections and outlive them, so that numbers stay the
// same across reconnects. All methods are safe for concurrent use; looking up a
// known symbol takes no lock, and a new one never waits for the table to grow as a whole.
//
// A symbol of up to 24 bytes, which the vendor's are, takes 32 bytes in a table that is three
// eighths to three quarters full, and 8 more: 51 to 93 bytes in all. Its string shares memory
// with up to a thousand others of the table, which keeping one of them keeps.
type Symbols struct {
	table     *intern.Table
	overflows atomic.Uint64
}

// Bounds of a table of symbols.
const (
	// MaxSymbol is the longest symbol in bytes that is interned. The longest of the
	// vendor's, option contracts, have 23.
	MaxSymbol = 64
	// DefaultSymbols is how many symbols a table holds unless told otherwise: more than
	// the option contracts listed in the US.
	DefaultSymbols = 1 << 21
)

// NewSymbols returns a table for at most max symbols; 0 means [DefaultSymbols].
// It starts with 24 KiB and grows with what it sees.
func NewSymbols(max int) *Symbols {
	if max <= 0 {
		max = DefaultSymbols
	}
	return &Symbols{table: intern.New(uint32(min(uint64(max), math.MaxUint32)))}
}

// Len returns how many symbols the table holds; their numbers are 1 to Len.
func (s *Symbols) Len() int { return s.table.Len() }

// Overflows returns how many times a symbol was not interned, because the table was
// full or the symbol too long.
func (s *Symbols) Overflows() uint64 { return s.overflows.Load() }

// Symbol returns the symbol with this number, "" if there is none.
func (s *Symbols) Symbol(id uint32) string { return s.table.Text(id) }

// ID returns the number of a symbol that the table holds, 0 if it does not.
func (s *Symbols) ID(text string) uint32 {
	_, id := s.table.Find([]byte(text))
	return id
}

// Intern returns the string and number of a symbol and takes it in if it is new.
func (s *Symbols) Intern(text []byte) (string, uint32) {
	if known, id := s.table.Find(text); id != 0 {
		return known, id
	}
	if len(text) <= MaxSymbol {
		if own, id, ok := s.table.Insert(text); ok {
			return own, id
		}
	}
	s.overflows.Add(1)
	return string(text), 0
}
