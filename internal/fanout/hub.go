package fanout

import (
	"sync"
	"sync/atomic"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/intern"
)

// Config says how a [Hub] is built. The zero value of all but Market is good.
type Config struct {
	// Market is whose messages come.
	Market tickstorm.Market
	// Limits are those of elements.
	Limits tickstorm.Limits
	// Validate has every element validated, and passes on no broken one. Without it an element
	// that is broken inside, in brackets that match, goes out as it came and spoils the array
	// that it stands in for its reader.
	Validate bool
	// MaxMessage is the longest message that goes out, in bytes; default 999,999, since official
	// clients read less than a million; at least 4 KiB. An element that does not fit is dropped.
	MaxMessage int
}

const defaultMaxMessage = 999_999

// Hub is the table of topics and outlets of one market. Message is for one goroutine at a time,
// everything else for any.
type Hub struct {
	cfg        Config
	pool       pool
	hash       intern.Hasher
	conflating atomic.Int32 // outlets that conflate now

	editing sync.Mutex // who changes the table has it, and mu too where Message reads
	streams map[string]tickstorm.Stream
	vacant  []int32 // places without an outlet

	mu       sync.Mutex // protects what follows, and is not held while anything is written
	channels [maxStreams + 1]channel
	outlets  []*Outlet // by place
	routes   []route   // by place
	stats    Stats
	message  message
}

// New returns a hub without outlets. It starts no goroutine.
func New(cfg Config) *Hub {
	if cfg.MaxMessage <= 0 {
		cfg.MaxMessage = defaultMaxMessage
	}
	cfg.MaxMessage = max(cfg.MaxMessage, block)
	h := &Hub{cfg: cfg, hash: intern.NewHasher()}
	h.message.splitter = tickstorm.NewSplitter(cfg.Market)
	h.message.splitter.SetLimits(cfg.Limits)
	h.message.splitter.SetValidate(cfg.Validate)
	h.initTable()
	return h
}

// Stats is what a hub has counted.
type Stats struct {
	// Messages came, with so many Events, of which Unwanted were wanted by nobody. Statuses
	// were not passed on.
	Messages, Events, Unwanted, Statuses uint64
	// Errors are elements that are no events, and messages that are broken as a whole.
	Errors uint64
	// Outlets is how many there are.
	Outlets int
}

// Stats returns what was counted.
func (h *Hub) Stats() Stats {
	h.editing.Lock()
	defer h.editing.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	st := h.stats
	st.Outlets = len(h.outlets) - len(h.vacant)
	return st
}
