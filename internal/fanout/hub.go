package fanout

import (
	"sync"

	"github.com/tickstorm/tickstorm"
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
	// clients read less than a million. An element that does not fit is dropped.
	MaxMessage int
}

const defaultMaxMessage = 999_999

// Hub is the table of topics and outlets of one market. Message is for one goroutine at a time,
// everything else for any.
type Hub struct {
	cfg Config

	mu       sync.Mutex
	splitter *tickstorm.Splitter
	outlets  map[*Outlet]struct{}
	stats    Stats
}

// New returns a hub without outlets. It starts no goroutine.
func New(cfg Config) *Hub {
	if cfg.MaxMessage <= 0 {
		cfg.MaxMessage = defaultMaxMessage
	}
	h := &Hub{cfg: cfg, splitter: tickstorm.NewSplitter(cfg.Market), outlets: map[*Outlet]struct{}{}}
	h.splitter.SetLimits(cfg.Limits)
	h.splitter.SetValidate(cfg.Validate)
	return h
}

// Message hands out a message of the upstream that was received at this time, in nanoseconds
// since 1970. msg must be UTF-8, is not written to, and needs to be valid until Message returns.
// It waits for no outlet.
//
// Statuses are not passed on: they are about the upstream connection. An event of a channel that
// the market does not have is one without a known symbol: it goes to whoever holds any topic of
// that channel. Other events without a symbol go to whoever holds all of their channel. What is
// no event is counted in Stats and goes to nobody.
func (h *Hub) Message(msg []byte, received int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stats.Messages++
	wanted := map[*Outlet][]byte{}
	events := map[*Outlet]int{}
	s := h.splitter
	for s.Reset(msg); s.Next(); {
		e := s.Element()
		switch {
		case e.Err != nil:
			h.stats.Errors++
			continue
		case e.Kind == tickstorm.KindStatus:
			h.stats.Statuses++
			continue
		}
		h.stats.Events++
		for o := range h.outlets {
			if o.wants(e) {
				wanted[o] = append(append(wanted[o], msg[e.Start:e.End]...), ',')
				events[o]++
			}
		}
	}
	if s.Err() != nil {
		h.stats.Errors++
	}
	for o, b := range wanted {
		b[len(b)-1] = ']'
		o.put(append([]byte{'['}, b...), events[o], received)
	}
}

// Stats is what a hub has counted.
type Stats struct {
	// Messages came, with so many Events, of which Unwanted were wanted by nobody. Statuses
	// were not passed on.
	Messages, Events, Unwanted, Statuses uint64
	// Errors are elements that are no events, and messages that are broken as a whole.
	Errors uint64
	// Outlets is how many there are, and Topics how many are held by one at least.
	Outlets, Topics int
}

// Stats returns what was counted.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	st := h.stats
	st.Outlets = len(h.outlets)
	topics := map[tickstorm.Topic]bool{}
	for o := range h.outlets {
		for t := range o.topics {
			topics[t] = true
		}
	}
	st.Topics = len(topics)
	return st
}
