package fanout

import (
	"maps"
	"slices"

	"github.com/tickstorm/tickstorm"
)

// This file is the table of topics: who holds which.

// channel is one of the market's. Its place among Hub.channels is its stream. The one called
// unknown stands for all that the market does not have: its symbols are their names.
type channel struct {
	bit       uint32
	stored    bool    // the last element of each symbol is kept
	conflates bool    // only the latest event of a symbol matters
	wild      []int32 // the outlets that hold all symbols
	symbols   symbols
	held      int    // symbols with holders
	events    uint64 // that came
	last      int64  // when the last one came
}

const (
	maxStreams = 31 // of channel.bit
	unknown    = maxStreams
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
	h.channels[unknown].bit = 1 << unknown
	for _, s := range h.cfg.Market.Streams() {
		name, _ := h.cfg.Market.Channel(s)
		h.streams[name] = s
		h.channels[s] = channel{bit: 1 << s, conflates: conflates(s), stored: h.Keeps(name)}
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

// edit does something for each of some topics. Whoever waits for one of the locks waits for few
// topics, however many there are.
func (h *Hub) edit(topics []tickstorm.Topic, do func(tickstorm.Topic)) {
	for some := range slices.Chunk(topics, stride) {
		h.editing.Lock()
		h.mu.Lock()
		for _, t := range some {
			do(t)
		}
		h.mu.Unlock()
		h.tidy()
		h.editing.Unlock()
	}
}

const stride = 64

// subscribe adds topics to those of an outlet.
func (h *Hub) subscribe(o *Outlet, topics []tickstorm.Topic) {
	h.edit(topics, func(t tickstorm.Topic) {
		if _, has := o.topics[t]; !has && !o.left {
			o.topics[t] = struct{}{}
			h.add(o, t)
		}
	})
}

// unsubscribe takes topics from those of an outlet.
func (h *Hub) unsubscribe(o *Outlet, topics []tickstorm.Topic) {
	h.edit(topics, func(t tickstorm.Topic) {
		if o.left {
			return
		}
		_, has := o.topics[t]
		if has {
			delete(o.topics, t)
			h.remove(o, t)
		}
		o.giveUp(t, has)
	})
}

// delist takes all topics and the place from an outlet.
func (h *Hub) delist(o *Outlet) {
	h.mu.Lock()
	o.left = true // from when on nobody else touches its topics
	h.mu.Unlock()
	h.edit(slices.Collect(maps.Keys(o.topics)), func(t tickstorm.Topic) { h.remove(o, t) })
	h.editing.Lock()
	defer h.editing.Unlock()
	o.endRecalls()
	h.mu.Lock()
	defer h.mu.Unlock()
	o.topics = nil
	h.outlets[o.place] = nil
	h.routes[o.place] = route{}
	h.vacant = append(h.vacant, o.place)
}

func (h *Hub) add(o *Outlet, t tickstorm.Topic) {
	c, symbol, all := h.channelOf(t)
	if all {
		c.wild = append(c.wild, o.place)
		h.routes[o.place].wild |= c.bit
		return
	}
	list := c.symbols.insert(h.hash, []byte(symbol))
	if list.n == 0 {
		c.held++
	} else if c.bit == 1<<unknown && list.has(o.place) {
		return
	}
	list.add(o.place)
}

func (h *Hub) remove(o *Outlet, t tickstorm.Topic) {
	c, symbol, all := h.channelOf(t)
	if all {
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
	if list := c.symbols.find(h.hash, []byte(symbol)); list != nil && list.n > 0 {
		if list.remove(o.place); list.n == 0 {
			c.held--
		}
	}
}

// channelOf returns the channel of a topic, and whether that is all of it, or which symbol.
func (h *Hub) channelOf(t tickstorm.Topic) (c *channel, symbol string, all bool) {
	if s, ok := h.streams[t.Channel]; ok {
		return &h.channels[s], t.Symbol, t.Symbol == tickstorm.All
	}
	return &h.channels[unknown], t.Channel, false
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

// maxUnheld is how many symbols that nobody holds a channel keeps at most, beside as many as are held. Where its
// table is crowded it keeps none.
const maxUnheld = 1 << 10

// tidy forgets symbols that nobody holds, where they are many, and makes room for more before a topic
// has to. Messages wait for a stride of it at most: only who holds the lock of those who edit changes
// what it reads, but for the times of events, of which one that comes meanwhile may be forgotten.
func (h *Hub) tidy() {
	for i := range h.channels {
		c := &h.channels[i]
		old := &c.symbols
		if old.len() <= 2*c.held+maxUnheld && !old.crowded() {
			continue
		}
		next := symbols{slots: make([]holders, slotsFor(c.held))}
		for some := range slices.Chunk(old.slots, stride) {
			h.mu.Lock()
			for i := range some {
				if some[i].n > 0 {
					next.put(h.hash, &some[i])
				}
			}
			h.mu.Unlock()
		}
		for symbol, list := range old.long {
			if list.n > 0 {
				if next.long == nil {
					next.long = map[string]*holders{}
				}
				next.long[symbol] = list
			}
		}
		h.mu.Lock()
		c.symbols = next
		h.mu.Unlock()
	}
}
