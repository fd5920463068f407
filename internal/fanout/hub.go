package fanout

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
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
	// Snapshots bounds the memory, in bytes, of the last elements of each channel and symbol that
	// are kept for [Outlet.Recall], at least 1 MiB; 0 keeps none. Those that have been silent for
	// longest give way. SnapshotOf are the channels whose are kept; all by default.
	Snapshots  int
	SnapshotOf []string
	// History is how many bytes of the latest messages are kept for [Outlet.Recall], at least
	// 64 KiB; 0 keeps none.
	History int
	// Mark appends the element that stands at a place in what is recalled. Without it nothing can be.
	// It must not call the hub, and may be called from any goroutine.
	Mark func(dst []byte, m Mark) []byte
	// Tells reports whether a status in a message of a [Source] is recalled in its place, as one is that
	// tells of a gap; without it none is. It may be called from any goroutine.
	Tells func(element []byte) bool
}

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
	store    *store   // of snapshots; nil is none
	ring     *history // nil is none
	born     int64    // before any message came, in nanoseconds since 1970
}

// New returns a hub without outlets. It starts no goroutine.
func New(cfg Config) *Hub {
	if cfg.MaxMessage <= 0 {
		cfg.MaxMessage = dialogue.MaxMessage
	}
	cfg.MaxMessage = max(cfg.MaxMessage, block)
	h := &Hub{cfg: cfg, hash: intern.NewHasher(), born: time.Now().UnixNano()}
	if cfg.Snapshots > 0 {
		h.store = newStore(cfg.Snapshots)
	}
	if cfg.History > 0 {
		h.ring = newHistory(cfg.History)
	}
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
	// Channels are the Events of each channel that the market has, in the order of its streams.
	Channels []tickstorm.ChannelCount
	// Outlets is how many there are.
	Outlets int
	// Snapshots and History are what is kept for [Outlet.Recall].
	Snapshots SnapshotStats
	History   HistoryStats
}

// SnapshotStats is the state of the last elements that are kept.
type SnapshotStats struct {
	// Symbols is how many channels and symbols there are an element of, in so many Bytes.
	Symbols, Bytes int
	// Evicted are those that gave way to others, and Unkept the elements that there was no room for.
	Evicted, Unkept uint64
}

// HistoryStats is the state of the messages that are kept.
type HistoryStats struct {
	// Bytes is the memory, and From when the first message of which on all are there was received, in
	// nanoseconds since 1970.
	Bytes int
	From  int64
}

// Stats returns what was counted.
func (h *Hub) Stats() Stats {
	h.editing.Lock()
	defer h.editing.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	st := h.stats
	st.Outlets = len(h.outlets) - len(h.vacant)
	if s := h.store; s != nil {
		st.Snapshots = SnapshotStats{s.used, s.bytes(), s.evicted, s.unkept}
	}
	if h.ring != nil {
		st.History = HistoryStats{len(h.ring.ring), h.reach()}
	}
	for _, s := range h.cfg.Market.Streams() {
		name, _ := h.cfg.Market.Channel(s)
		st.Channels = append(st.Channels, tickstorm.ChannelCount{Channel: name, Count: h.channels[s].events})
	}
	return st
}

// Last returns when the last event of a topic came, in nanoseconds since 1970: of a symbol while
// somebody held it, of all of a channel whoever held them. It is 0 if none did.
func (h *Hub) Last(t tickstorm.Topic) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, symbol, all := h.channelOf(t)
	if all {
		return c.last
	}
	if list := c.symbols.find(h.hash, []byte(symbol)); list != nil {
		return list.last
	}
	return 0
}
