package fanout

import (
	"maps"
	"math"
	"slices"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/intern"
)

// This file is the table of topics: who holds which.

// channel is one of the market's. Its place among Hub.channels is its stream.
type channel struct {
	bit       uint32
	conflates bool                   // only the latest event of a symbol matters
	wild      []int32                // the outlets that hold all symbols
	symbols   *intern.Table          // that somebody holds, or held; nil is none
	holders   *intern.Pages[[]int32] // of a symbol, by its number
	held      int                    // symbols with holders
}

const (
	maxStreams = 31         // of channel.bit
	unknown    = maxStreams // the place of elements of channels that the market does not have
)

// conflates reports whether a stream's older events do not matter where there is a later one:
// the rule of [tickstorm.OverflowConflate].
func conflates(s tickstorm.Stream) bool {
	switch s {
	case tickstorm.Quotes, tickstorm.SecondAggregates, tickstorm.MinuteAggregates, tickstorm.LaunchpadAggregates,
		tickstorm.Values, tickstorm.FairMarketValues, tickstorm.LaunchpadValues, tickstorm.Level2:
		return true
	}
	return false
}

func (h *Hub) initTable() {
	h.streams = map[string]tickstorm.Stream{}
	h.unknown = map[string][]int32{}
	for _, s := range h.cfg.Market.Streams() {
		name, _ := h.cfg.Market.Channel(s)
		h.streams[name] = s
		h.channels[s] = channel{bit: 1 << s, conflates: conflates(s)}
	}
}

// enlist gives an outlet its place.
func (h *Hub) enlist(o *Outlet) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.vacant); n > 0 {
		o.place = h.vacant[n-1]
		h.vacant = h.vacant[:n-1]
	} else {
		o.place = int32(len(h.outlets))
		h.outlets = append(h.outlets, nil)
		h.routes = append(h.routes, route{})
	}
	h.outlets[o.place] = o
}

// stride is how many topics change while messages wait.
const stride = 64

// subscribe adds topics to those of an outlet.
func (h *Hub) subscribe(o *Outlet, topics []tickstorm.Topic) {
	h.editing.Lock()
	defer h.editing.Unlock()
	for some := range slices.Chunk(topics, stride) {
		h.mu.Lock()
		for _, t := range some {
			if _, has := o.topics[t]; !has && !o.left {
				o.topics[t] = struct{}{}
				h.add(o, t)
			}
		}
		h.mu.Unlock()
	}
}

// unsubscribe takes topics from those of an outlet.
func (h *Hub) unsubscribe(o *Outlet, topics []tickstorm.Topic) {
	h.editing.Lock()
	defer h.editing.Unlock()
	for some := range slices.Chunk(topics, stride) {
		h.mu.Lock()
		for _, t := range some {
			if _, has := o.topics[t]; has {
				delete(o.topics, t)
				h.remove(o, t)
			}
		}
		h.mu.Unlock()
	}
	h.tidy()
}

// delist takes all topics and the place from an outlet.
func (h *Hub) delist(o *Outlet) {
	h.editing.Lock()
	defer h.editing.Unlock()
	h.mu.Lock()
	o.left = true
	h.mu.Unlock()
	for some := range slices.Chunk(slices.Collect(maps.Keys(o.topics)), stride) {
		h.mu.Lock()
		for _, t := range some {
			h.remove(o, t)
		}
		h.mu.Unlock()
	}
	h.mu.Lock()
	o.topics = nil
	h.outlets[o.place] = nil
	h.routes[o.place] = route{}
	h.vacant = append(h.vacant, o.place)
	h.mu.Unlock()
	h.tidy()
}

func (h *Hub) add(o *Outlet, t tickstorm.Topic) {
	s, ok := h.streams[t.Channel]
	if !ok {
		if !slices.Contains(h.unknown[t.Channel], o.place) {
			h.unknown[t.Channel] = append(h.unknown[t.Channel], o.place)
		}
		return
	}
	c := &h.channels[s]
	if t.Symbol == tickstorm.All {
		c.wild = append(c.wild, o.place)
		h.routes[o.place].wild |= c.bit
		return
	}
	if c.symbols == nil {
		c.symbols, c.holders = intern.New(math.MaxUint32), new(intern.Pages[[]int32])
	}
	_, id, ok := c.symbols.Insert([]byte(t.Symbol))
	if !ok {
		return // it is longer than any symbol
	}
	list := c.holders.At(id)
	if len(*list) == 0 {
		c.held++
	}
	*list = append(*list, o.place)
}

func (h *Hub) remove(o *Outlet, t tickstorm.Topic) {
	s, ok := h.streams[t.Channel]
	if !ok {
		for other := range o.topics {
			if other.Channel == t.Channel && other != t && !o.left {
				return
			}
		}
		if rest := without(h.unknown[t.Channel], o.place); len(rest) > 0 {
			h.unknown[t.Channel] = rest
		} else {
			delete(h.unknown, t.Channel)
		}
		return
	}
	c := &h.channels[s]
	if t.Symbol == tickstorm.All {
		c.wild = without(c.wild, o.place)
		h.routes[o.place].wild &^= c.bit
		return
	}
	if _, id := c.symbols.Find([]byte(t.Symbol)); id != 0 {
		list := c.holders.At(id)
		if *list = without(*list, o.place); len(*list) == 0 {
			*list = nil
			c.held--
		}
	}
}

// without takes a place out of a list, if it is there.
func without(list []int32, place int32) []int32 {
	if i := slices.Index(list, place); i >= 0 {
		last := len(list) - 1
		list[i] = list[last]
		list = list[:last]
	}
	return list
}

// maxUnheld is how many symbols that nobody holds a channel keeps beside as many as are held.
const maxUnheld = 1 << 10

// tidy forgets symbols that nobody holds, where they are many. Messages do not wait for that,
// since only who holds the lock of those who edit changes what it reads.
func (h *Hub) tidy() {
	for i := range h.channels {
		c := &h.channels[i]
		if c.symbols == nil || c.symbols.Len() <= 2*c.held+maxUnheld {
			continue
		}
		symbols, holders := intern.New(math.MaxUint32), new(intern.Pages[[]int32])
		for id := range uint32(c.symbols.Len() + 1) {
			if list := c.holders.Lookup(id); list != nil && len(*list) > 0 {
				_, id, _ := symbols.Insert([]byte(c.symbols.Text(id)))
				*holders.At(id) = *list
			}
		}
		h.mu.Lock()
		c.symbols, c.holders = symbols, holders
		h.mu.Unlock()
	}
}
