package fanout

import (
	"maps"
	"math"
	"slices"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/intern"
)

// This file is the table of topics: who holds which.

// channel is one of the market's. Its place among Hub.channels is its stream. The one called
// unknown stands for all that the market does not have: its symbols are their names.
type channel struct {
	bit       uint32
	conflates bool                   // only the latest event of a symbol matters
	wild      []int32                // the outlets that hold all symbols
	symbols   *intern.Table          // that somebody holds, or held; nil is none
	holders   *intern.Pages[holders] // of a symbol, by its number
	held      int                    // symbols with holders

	sought []sought // in the message at hand
	hashes []uint64 // of these
}

const (
	maxStreams = 31 // of channel.bit
	unknown    = maxStreams
)

// holders are the outlets that hold a symbol. Most are held by few, which stand in the line of
// memory that has to be fetched for their number.
type holders struct {
	n    int32 // of all
	few  [few]int32
	more *[]int32
}

const few = 3

func (h *holders) add(place int32) {
	switch {
	case h.n < few:
		h.few[h.n] = place
	case h.more == nil:
		h.more = &[]int32{place}
	default:
		*h.more = append(*h.more, place)
	}
	h.n++
}

// remove takes a place out, if it is there, and puts the last in its place.
func (h *holders) remove(place int32) {
	at := slices.Index(h.few[:min(h.n, few)], place)
	if at < 0 && h.more != nil {
		if at = slices.Index(*h.more, place); at >= 0 {
			at += few
		}
	}
	if at < 0 {
		return
	}
	h.n--
	*h.at(at) = *h.at(int(h.n))
	if h.more != nil {
		*h.more = (*h.more)[:h.n-few]
		if h.n == few {
			h.more = nil
		}
	}
}

func (h *holders) at(i int) *int32 {
	if i < few {
		return &h.few[i]
	}
	return &(*h.more)[i-few]
}

func (h *holders) has(place int32) bool {
	return slices.Contains(h.few[:min(h.n, few)], place) || h.more != nil && slices.Contains(*h.more, place)
}

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
	h.channels[unknown].bit = 1 << unknown
	for _, s := range h.cfg.Market.Streams() {
		name, _ := h.cfg.Market.Channel(s)
		h.streams[name] = s
		h.channels[s] = channel{bit: 1 << s, conflates: conflates(s)}
	}
}

// enlist gives an outlet its place.
func (h *Hub) enlist(o *Outlet) {
	h.editing.Lock()
	defer h.editing.Unlock()
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
	c, symbol := h.find(t)
	if symbol == tickstorm.All {
		c.wild = append(c.wild, o.place)
		h.routes[o.place].wild |= c.bit
		return
	}
	if c.symbols == nil {
		c.symbols, c.holders = intern.New(math.MaxUint32), new(intern.Pages[holders])
	}
	_, id, ok := c.symbols.Insert([]byte(symbol))
	if !ok {
		return // it is longer than any symbol
	}
	list := c.holders.At(id)
	if list.n == 0 {
		c.held++
	} else if c.bit == 1<<unknown && list.has(o.place) {
		return
	}
	list.add(o.place)
}

func (h *Hub) remove(o *Outlet, t tickstorm.Topic) {
	c, symbol := h.find(t)
	if symbol == tickstorm.All {
		c.wild = without(c.wild, o.place)
		h.routes[o.place].wild &^= c.bit
		return
	}
	if c.bit == 1<<unknown && !o.left {
		for other := range o.topics {
			if other.Channel == t.Channel {
				return
			}
		}
	}
	if _, id := c.symbols.Find([]byte(symbol)); id != 0 {
		if list := c.holders.At(id); list.n > 0 {
			if list.remove(o.place); list.n == 0 {
				c.held--
			}
		}
	}
}

// find returns the channel of a topic, and which of its symbols it is.
func (h *Hub) find(t tickstorm.Topic) (c *channel, symbol string) {
	if s, ok := h.streams[t.Channel]; ok {
		return &h.channels[s], t.Symbol
	}
	return &h.channels[unknown], t.Channel
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
		symbols, lists := intern.New(math.MaxUint32), new(intern.Pages[holders])
		for id := range uint32(c.symbols.Len() + 1) {
			if list := c.holders.Lookup(id); list != nil && list.n > 0 {
				_, id, _ := symbols.Insert([]byte(c.symbols.Text(id)))
				*lists.At(id) = *list
			}
		}
		h.mu.Lock()
		c.symbols, c.holders = symbols, lists
		h.mu.Unlock()
	}
}
