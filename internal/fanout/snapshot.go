package fanout

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
)

// This file is snapshots. Those of single symbols are made at once. That of all symbols of a
// channel can be larger than may wait, and take longer than messages may wait: it is made in
// sweeps of what has changed since the sweep before, until so little has that the last is made
// at once. A connection that is slower than the market gets sweeps for ever, which is the latest
// that it can take.

// sweep is a way through the store.
type sweep struct {
	running bool
	after   uint64 // only what is newer than this message
	number  uint64 // of the last message when it began
	place   uint32 // of the next cell
}

// sweepCells is how many cells are looked at while messages wait.
const sweepCells = 1 << 12

// lastCells is how many cells the last sweep may look at, all of it while messages wait. A sweep looks at
// what stands near to cells that have changed, so that each is shorter than the one before until it
// is as short as that.
const lastCells = 4 * sweepCells

// snapshot makes the next piece of a snapshot.
func (h *Hub) snapshot(o *Outlet, j *recall) (p *piece, over bool) {
	if !j.begun {
		j.begun = true
		for t := range j.topics {
			if t.Symbol == tickstorm.All {
				j.wild = append(j.wild, t)
			}
		}
	}
	if len(j.topics) > len(j.wild) {
		p = h.snapshotSome(o, j)
	}
	for p == nil && len(j.wild) > 0 {
		t := j.wild[0]
		if _, has := j.topics[t]; has { // it was not given up
			p = h.snapshotAll(o, j, t)
		}
		if _, has := j.topics[t]; has {
			break
		}
		j.wild = j.wild[1:]
		j.sweep = sweep{}
	}
	return p, len(j.topics) == 0
}

// Keeps reports whether the last elements of a channel are kept.
func (h *Hub) Keeps(channel string) bool {
	return h.store != nil && (len(h.cfg.SnapshotOf) == 0 || slices.Contains(h.cfg.SnapshotOf, channel))
}

// maxNamed is how many topics a mark names.
const maxNamed = dialogue.MostNamed

// snapshotSome makes the piece of some symbols.
func (h *Hub) snapshotSome(o *Outlet, j *recall) *piece {
	var some []tickstorm.Topic
	for t := range j.topics {
		if t.Symbol != tickstorm.All {
			if some = append(some, t); len(some) == maxNamed {
				break // the rest has its own
			}
		}
	}
	if len(some) == 0 {
		return nil
	}
	slices.SortFunc(some, compareTopics)
	p := &piece{hub: h, first: Mark{Snapshot: true, Topics: some}}
	p.begin()
	h.mu.Lock()
	for _, t := range some {
		if s, ok := h.streams[t.Channel]; ok && h.store != nil {
			symbol := []byte(t.Symbol)
			if _, id := h.store.find(h.store.tag(uint8(s), symbol), uint8(s), symbol); id != 0 {
				if c := h.store.cell(id); j.wants(o, t.Channel, symbol, number(c)) {
					p.add(elementOf(c), 0)
				}
			}
		}
		j.goLive(o, t)
	}
	h.mu.Unlock()
	p.end(0, false)
	return p
}

// snapshotAll makes the next piece of all symbols of a channel, nothing if none of it was found yet.
func (h *Hub) snapshotAll(o *Outlet, j *recall, t tickstorm.Topic) *piece {
	p := &piece{hub: h, first: Mark{Snapshot: true, Topics: []tickstorm.Topic{t}}}
	p.begin()
	live := false
	for p.room() && !live {
		h.mu.Lock()
		live = h.sweepOn(o, j, t, p)
		h.mu.Unlock()
		p.passed += sweepCells * unit
	}
	if !live && p.total == 0 {
		return nil
	}
	p.end(0, !live)
	return p
}

// sweepOn goes on with a sweep, or begins one, and reports whether it was the last, so that the
// topic is live. It wants both locks.
func (h *Hub) sweepOn(o *Outlet, j *recall, t tickstorm.Topic, p *piece) (live bool) {
	s := &j.sweep
	stream, kept := h.streams[t.Channel]
	if !kept || h.store == nil {
		j.goLive(o, t)
		return true
	}
	if !s.running {
		// Perhaps this can be the last.
		before, events, total, cells := len(p.text), p.events, p.total, lastCells
		if s.after == 0 {
			cells = sweepCells
		}
		if h.store.sweep(o, j, t.Channel, uint8(stream), p, 0, cells, s.after, before+atOnce) == math.MaxUint32 {
			j.goLive(o, t)
			return true
		}
		p.text, p.events, p.total = p.text[:before], events, total
		s.running, s.place, s.number = true, 0, h.message.number
	}
	s.place = h.store.sweep(o, j, t.Channel, uint8(stream), p, s.place, sweepCells, s.after, recallBytes)
	if s.place == math.MaxUint32 {
		s.running, s.after = false, s.number
	}
	return false
}

// sweep appends the elements of a stream that are newer than a message, from a cell on, until so
// many cells were looked at or the piece has so many bytes. It returns the cell to go on with,
// the highest number if there is none.
func (s *store) sweep(o *Outlet, j *recall, channel string, stream uint8, p *piece, from uint32, cells int, after uint64, size int) uint32 {
	for chunk := from / chunkUnits; int(chunk) < len(s.chunks); chunk++ {
		k := &s.chunks[chunk]
		at := uint32(0)
		if chunk == from/chunkUnits {
			at = from % chunkUnits / k.units * k.units // the chunk may have been divided anew
		}
		for at+k.units <= chunkUnits {
			id, block := chunk*chunkUnits+at, at/blockUnits
			if s.newest[chunk*chunkBlocks+block] <= after {
				at = ((block+1)*blockUnits + k.units - 1) / k.units * k.units
				continue
			}
			if cells == 0 || len(p.text) >= size {
				return id
			}
			cells--
			at += k.units
			if c := s.cell(id); id != 0 && c[cellStream] == stream && number(c) > after && j.wants(o, channel, symbolOf(c), number(c)) {
				p.add(elementOf(c), 0)
			}
		}
	}
	return math.MaxUint32
}

func compareTopics(a, b tickstorm.Topic) int {
	return cmp.Or(strings.Compare(a.Channel, b.Channel), strings.Compare(a.Symbol, b.Symbol))
}
