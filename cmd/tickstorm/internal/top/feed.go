package top

import (
	"time"

	"github.com/tickstorm/tickstorm"
)

// A Feed is what a [Model] shows.
type Feed interface {
	// Sample takes a snapshot, without symbols; rates are of the time since the one before. If symbols,
	// these are counted anew too, and else stay as they are.
	Sample(now time.Time, symbols bool) *Snapshot
	// Rank returns symbols as they were when they were last counted.
	Rank(q Query) []Symbol
	// Symbol returns one by its number; false if nothing had come of it when symbols were last counted.
	Symbol(id uint32) (Symbol, bool)
	// Watch has the events of a symbol be kept from now on, by its number; 0 ends it.
	Watch(id uint32)
	// Tail copies what was kept, if there is more than at the version of what is there.
	Tail(to *Tail) (changed bool)
	// Markets are those that one may switch to.
	Markets() []tickstorm.Market
	// Switch shows another market, without waiting.
	Switch(m tickstorm.Market)
}
