package fanout

import (
	"math/bits"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/intern"
)

// This file is the way of a message to the outlets. It allocates nothing once its memory has
// grown to what messages need.

// message is the one at hand, and memory for it.
type message struct {
	splitter *tickstorm.Splitter
	text     []byte
	received int64
	number   uint64 // of messages, from 1

	elements []element // those that somebody wants
	present  uint32    // their channels' bits
	size     int       // of all these in an array, in bytes
	touched  []int32   // the outlets that want some
	links    []link
	picks    []int32 // what one outlet wants
	frames   []frame // made for several
	looked   uint64  // keeps what is only touched from being left out
	keyed    bool    // keys are known
	keys     []key
	symbols  []byte // that keys are made of
	gone     []*buffer
	notes    []*buffer
}

// element is where in the message an element stands.
type element struct {
	start, end int32
	stream     uint8 // of its channel, or unknown
}

// route is what is known of one outlet while a message is handed out.
type route struct {
	number     uint64 // the message that the rest is about, but for wild
	first, end int32  // its links
	picked     int32  // their number
	wild       uint32 // the channels that it holds all symbols of
}

// link is one element that an outlet wants, and where its next one is.
type link struct{ element, next int32 }

// frame is the elements of some channels, for all who want these and no others.
type frame struct {
	mask uint32
	buf  *buffer // nil where it is better copied
}

const (
	shareFrom = 1 << 10 // the least bytes that are not better copied
	maxFrames = 8       // of a message
	maxIdle   = 1 << 14 // elements that memory is kept for
)

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
	m := &h.message
	h.find(msg, received)
	for _, place := range m.touched { // a processor waits for many lines in the time that one takes
		m.looked += uint64(h.outlets[place].place)
	}
	for _, place := range m.touched {
		h.deliver(place)
	}
	h.releaseFrames()
	m.trim()
	m.text = nil
}

// find finds the elements that somebody wants, and who wants which.
func (h *Hub) find(msg []byte, received int64) {
	m := &h.message
	m.text, m.received = msg, received
	m.number++
	m.elements, m.touched, m.links, m.present, m.size = m.elements[:0], m.touched[:0], m.links[:0], 0, 1
	m.keys, m.symbols, m.keyed = m.keys[:0], m.symbols[:0], h.conflating.Load() > 0
	unwanted := 0
	s := m.splitter
	for s.Reset(msg); s.Next(); {
		e := s.Element()
		stream, symbol := uint8(e.Stream), e.Symbol
		if stream == 0 {
			if !h.isEvent(e) {
				continue
			}
			stream, symbol = unknown, []byte(e.Channel)
		}
		c := &h.channels[stream&maxStreams]
		c.events++
		c.last = received
		if c.stored && symbol != nil {
			h.store.take(stream, symbol, msg[e.Start:e.End])
		}
		wanted := len(c.wild) > 0
		if c.held > 0 && symbol != nil {
			if list := c.symbols.find(h.hash, symbol); list != nil {
				wanted = h.pick(list, c.bit) || wanted
			}
		}
		if !wanted {
			unwanted++
			continue
		}
		m.elements = append(m.elements, element{int32(e.Start), int32(e.End), stream})
		m.present |= c.bit
		m.size += e.End - e.Start + 1
		if m.keyed {
			h.key(e, stream)
		}
	}
	if h.store != nil {
		h.store.flush(m.number)
	}
	events := len(m.elements) + unwanted
	if h.ring != nil && events > 0 {
		h.ring.put(entry{number: m.number, received: m.received, text: m.text})
	}
	h.stats.Messages++
	h.stats.Events += uint64(events)
	h.stats.Unwanted += uint64(unwanted)
	if s.Err() != nil {
		h.stats.Errors++
	}
	h.touchWild()
}

// isEvent counts what is none.
func (h *Hub) isEvent(e *tickstorm.Element) bool {
	switch {
	case e.Err != nil:
		h.stats.Errors++
	case e.Kind == tickstorm.KindStatus:
		h.stats.Statuses++
	default:
		return true
	}
	return false
}

// pick puts the next element down for who holds its symbol, and reports whether there is any.
func (h *Hub) pick(list *holders, bit uint32) bool {
	list.last = h.message.received
	h.pickEach(list.few[:min(list.n, few)], bit)
	if list.more != nil {
		h.pickEach(*list.more, bit)
	}
	return list.n > 0
}

// pickEach leaves those out who hold all of the channel.
func (h *Hub) pickEach(places []int32, bit uint32) {
	m := &h.message
	for _, place := range places {
		r := &h.routes[place]
		if r.wild&bit != 0 {
			continue
		}
		if r.number != m.number {
			h.touch(r, place)
		}
		at := int32(len(m.links))
		m.links = append(m.links, link{int32(len(m.elements)), -1})
		if r.picked == 0 {
			r.first = at
		} else {
			m.links[r.end].next = at
		}
		r.end = at
		r.picked++
	}
}

// touch begins with an outlet.
func (h *Hub) touch(r *route, place int32) {
	r.number, r.picked, r.first = h.message.number, 0, -1
	h.message.touched = append(h.message.touched, place)
}

// touchWild finds who holds all of a channel.
func (h *Hub) touchWild() {
	m := &h.message
	for left := m.present; left != 0; left &= left - 1 {
		for _, place := range h.channels[bits.TrailingZeros32(left)].wild {
			if r := &h.routes[place]; r.number != m.number {
				h.touch(r, place)
			}
		}
	}
}

// deliver gives an outlet what it wants.
func (h *Hub) deliver(place int32) {
	m, o, r := &h.message, h.outlets[place], &h.routes[place]
	wild := r.wild & m.present
	mask := uint32(0) // of the frame that has what it wants
	switch {
	case r.picked == 0:
		mask = wild
	case int(r.picked) == len(m.elements):
		mask = m.present
	}
	if mask != 0 && m.size >= shareFrom && o.putFrame(mask) { // of less nothing is better shared
		return
	}
	h.gather(r, wild)
	o.put(m.picks)
}

// gather makes the list of what an outlet wants: what it was picked for, and the channels in wild.
func (h *Hub) gather(r *route, wild uint32) {
	m := &h.message
	m.picks = m.picks[:0]
	next := r.first
	if wild == 0 {
		for ; next >= 0; next = m.links[next].next {
			m.picks = append(m.picks, m.links[next].element)
		}
		return
	}
	for i := range m.elements {
		picked := next >= 0 && m.links[next].element == int32(i)
		if picked {
			next = m.links[next].next
		}
		if picked || wild>>m.elements[i].stream&1 != 0 {
			m.picks = append(m.picks, int32(i))
		}
	}
}

// frame returns the frame of the channels in mask, which some element is of; nil where it is
// better copied, too long, or one too many.
func (h *Hub) frame(mask uint32) *buffer {
	m := &h.message
	for i := range m.frames {
		if m.frames[i].mask == mask {
			return m.frames[i].buf
		}
	}
	if len(m.frames) == maxFrames {
		return nil
	}
	size := 1
	for i := range m.elements {
		if e := &m.elements[i]; mask>>e.stream&1 != 0 {
			size += int(e.end-e.start) + 1
		}
	}
	var b *buffer
	if size >= shareFrom && size <= h.cfg.MaxMessage {
		b = h.pool.get(headroom + size)
		b.begin(m.received, headroom+size)
		m.copy(b, mask)
		b.finish()
	}
	m.frames = append(m.frames, frame{mask, b})
	return b
}

// copy adds the elements of the channels in mask to a buffer with room for them, together
// where they stand together.
func (m *message) copy(b *buffer, mask uint32) {
	for i := 0; i < len(m.elements); i++ {
		e := m.elements[i]
		if mask>>e.stream&1 == 0 {
			continue
		}
		end, n := e.end, 1
		for ; i+1 < len(m.elements); i++ {
			next := &m.elements[i+1]
			if mask>>next.stream&1 == 0 || next.start != end+1 || m.text[end] != ',' {
				break
			}
			end = next.end
			n++
		}
		b.add(m.text[e.start:end], n)
	}
}

// releaseFrames gives back what the message holds of its frames.
func (h *Hub) releaseFrames() {
	m := &h.message
	if len(m.frames) == 0 {
		return
	}
	var some [maxFrames]*buffer
	n := 0
	for _, f := range m.frames {
		if f.buf != nil {
			some[n] = f.buf
			n++
		}
	}
	if n > 0 {
		h.pool.put(some[:n])
	}
	clear(m.frames)
	m.frames = m.frames[:0]
}

// key puts down what the next element is the latest of.
func (h *Hub) key(e *tickstorm.Element, stream uint8) {
	m := &h.message
	k := key{}
	if e.Symbol != nil && len(e.Symbol) <= maxSymbol && h.channels[stream].conflates {
		from := len(m.symbols)
		m.symbols = append(m.symbols, e.Symbol...)
		k.symbol = m.symbols[from:len(m.symbols):len(m.symbols)]
		k.hash = intern.Fold(h.hash.Hash(k.symbol), uint64(stream))
	}
	m.keys = append(m.keys, k)
}

// findKeys finds the keys of a message that was split when nobody conflated.
func (h *Hub) findKeys() {
	m := &h.message
	m.keyed = true
	s := m.splitter
	for s.Reset(m.text); s.Next() && len(m.keys) < len(m.elements); {
		if at := &m.elements[len(m.keys)]; s.Element().Start == int(at.start) {
			h.key(s.Element(), at.stream)
		}
	}
}

// trim gives memory back behind a message of very many elements.
func (m *message) trim() {
	if cap(m.elements) > maxIdle {
		m.elements, m.links, m.picks, m.keys, m.symbols, m.gone = nil, nil, nil, nil, nil, nil
	}
}
