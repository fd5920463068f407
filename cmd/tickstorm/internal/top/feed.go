package top

import (
	"time"

	"github.com/tickstorm/tickstorm"
)

// A Feed is what a [Model] shows.
type Feed interface {
	// Sample takes a snapshot, without symbols; rates are of the time since the one before.
	Sample(now time.Time) *Snapshot
	// Rank returns symbols as they were at the last sample.
	Rank(q Query) []Symbol
	// Watch has the events of a symbol be kept from now on, by its number; 0 ends it.
	Watch(id uint32)
	// Tail copies what was kept, if there is more than at the version of what is there.
	Tail(to *Tail) (changed bool)
	// Markets are those that one may switch to.
	Markets() []tickstorm.Market
	// Switch shows another market, without waiting.
	Switch(m tickstorm.Market)
}
