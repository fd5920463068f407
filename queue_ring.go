package tickstorm

import (
	"encoding/binary"
	"math"
	"sync"
	"sync/atomic"
)

// shard is the part of a Queue that one consumer empties: a ring of entries, each a
// header of 16 bytes and the text of one element, padded to a multiple of 16. Only a
// text may wrap around the ring's end.
//
//	length  4 bytes, of the text
//	flags   1
//	channel 1, see scanner.channels
//	symbol  1, where in the text it begins
//	length  1, of the symbol
//	received 8
//
// Positions count bytes since the ring was made; only compaction takes some back.
type shard struct {
	q      *Queue
	index  int
	parser *Parser // of the consumer, as is all that is said to be

	handlers atomic.Pointer[consumerHandlers]

	mu      sync.Mutex // protects what follows
	work    sync.Cond  // the consumer waits for something to do
	room    sync.Cond  // the feeding side waits for room
	idle    bool       // the consumer waits
	waiting bool       // the feeding side waits
	closed  bool       // nothing more comes in

	ring       []byte
	base       uint64 // a position that is ring[0]; at most one round before head
	head, tail uint64 // positions: entries are from head up to tail
	dead       uint64 // bytes of entries between them that are not to be handled
	live       int    // number of all others
	latest     latestIndex
	markers    []marker

	high   uint64
	alarm  uint64 // the depth at which to call
	alarms bool   // and whether to

	drops     drops         // not yet told
	totals    queueCount    // since the beginning
	dropped   []uint64      // since the beginning, by channel
	inHand    int           // events taken and not yet handled
	handling  int64         // received, of the first of them
	owner     atomic.Uint64 // the consumer's goroutine
	published Counters
	samples   ErrorSamples

	// The consumer's.
	batch   batch
	handled int  // of those in hand
	more    int  // events that these were, of messages that had not been split, beyond one each
	runs    int  // handled so far, of which some are timed
	drop    Drop // lent to handlers
}

type queueCount struct{ enqueued, delivered, dropped, conflated uint64 }

type entryFlags uint8

const (
	entryDead   entryFlags = 1 << iota // superseded
	entryLatest                        // takes part in conflation
	entryWhole                         // a message, not an element
	entryBinary                        // a binary message
)

const (
	entryAlign  = 16
	entryHeader = 16
)

// entry is a header, unpacked.
type entry struct {
	length         int
	flags          entryFlags
	channel        uint8
	symbol, symLen uint8
	received       int64
}

// size is what the entry takes in the ring.
func (e *entry) size() uint64 {
	return entryHeader + (uint64(e.length)+entryAlign-1)&^(entryAlign-1)
}

func newShard(q *Queue, p *Parser) *shard {
	size := q.cfg.Bytes / q.cfg.Consumers
	s := &shard{q: q, index: len(q.shards), parser: p, alarms: true}
	s.work.L, s.room.L = &s.mu, &s.mu
	if q.cfg.Overflow == OverflowConflate {
		size -= s.latest.init(size / 8)
	}
	s.ring = make([]byte, size&^(entryAlign-1))
	s.alarm = uint64(q.cfg.Alarm * float64(len(s.ring)))
	s.dropped = make([]uint64, len(p.channels)+2)
	s.drops.by = make([]uint64, len(s.dropped))
	s.drop.Channels = make([]ChannelCount, 0, len(s.dropped))
	s.batch.limit = minBatch
	s.head, s.tail, s.base = entryAlign, entryAlign, entryAlign // 0 is the position of nothing
	return s
}

func (s *shard) used() uint64 { return s.tail - s.head }

func (s *shard) free() uint64 { return uint64(len(s.ring)) - s.used() }

// offset is where in the ring a position is.
func (s *shard) offset(pos uint64) int {
	off := pos - s.base
	if off >= uint64(len(s.ring)) {
		off -= uint64(len(s.ring))
	}
	return int(off)
}

func (s *shard) entryAt(pos uint64) entry {
	h := s.ring[s.offset(pos):][:entryHeader]
	w := binary.LittleEndian.Uint64(h)
	return entry{
		length: int(uint32(w)), flags: entryFlags(w >> 32), channel: uint8(w >> 40),
		symbol: uint8(w >> 48), symLen: uint8(w >> 56),
		received: int64(binary.LittleEndian.Uint64(h[8:])),
	}
}

func (s *shard) write(e *entry, text []byte) {
	off := s.offset(s.tail)
	h := s.ring[off:][:entryHeader]
	binary.LittleEndian.PutUint64(h, uint64(uint32(e.length))|uint64(e.flags)<<32|uint64(e.channel)<<40|
		uint64(e.symbol)<<48|uint64(e.symLen)<<56)
	binary.LittleEndian.PutUint64(h[8:], uint64(e.received))
	n := copy(s.ring[off+entryHeader:], text)
	copy(s.ring, text[n:])
	s.tail += e.size()
	s.live++
}

// text returns the text of an entry in its two parts; the second is empty unless the
// text wraps around.
func (s *shard) text(pos uint64, from, n int) (first, second []byte) {
	off := s.offset(pos) + entryHeader + from
	if off >= len(s.ring) {
		off -= len(s.ring)
	}
	if end := off + n; end > len(s.ring) {
		return s.ring[off:], s.ring[:end-len(s.ring)]
	}
	return s.ring[off : off+n], nil
}

// forget moves head to pos, and on past what is dead: the entry at head is always live.
func (s *shard) forget(pos uint64) {
	s.head = pos
	for s.head < s.tail {
		e := s.entryAt(s.head)
		if e.flags&entryDead == 0 {
			break
		}
		s.dead -= e.size()
		s.head += e.size()
	}
	if s.head == s.tail { // begin anew at the ring's start, where memory is warm
		s.base = s.head
	} else if s.head-s.base >= uint64(len(s.ring)) {
		s.base += uint64(len(s.ring))
	}
	s.rearm()
}

func (s *shard) rearm() {
	if s.used() < s.alarm/2 {
		s.alarms = true
	}
}

// put puts elements of a message into the ring and reports whether all have got in.
func (s *shard) put(msg []byte, elements []element, received int64, flags entryFlags) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := true
	for i := range elements {
		el := &elements[i]
		e := entry{
			length: el.end - el.start, flags: el.flags | flags, channel: el.channel,
			symbol: el.symbol, symLen: el.length, received: received,
		}
		fits := s.admit(e.size())
		s.totals.enqueued++ // not before: Stats may be asked while admit waits, or calls the user
		text := msg[el.start:el.end]
		if !fits {
			s.countDrop(&e, text, nil)
			all = false
			continue
		}
		if e.flags&entryLatest != 0 {
			s.supersede(&e, text, el.hash)
		}
		s.write(&e, text)
		s.high = max(s.high, s.used())
		if s.alarms && s.used() >= s.alarm {
			s.soundAlarm()
		}
	}
	s.wake()
	return all
}

// admit reports whether an entry of this size may be written, and makes room for it.
func (s *shard) admit(size uint64) bool {
	if s.closed || s.q.overflowed.Load() || size > min(uint64(len(s.ring)), math.MaxUint32) {
		return false
	}
	if s.free() < size && s.alarms {
		s.soundAlarm()
	}
	if s.free() < size {
		s.makeRoom(size)
	}
	return s.free() >= size && !s.closed && !s.q.overflowed.Load() // the lock may have been free
}

// wake makes the consumer look again.
func (s *shard) wake() {
	if s.idle {
		s.idle = false
		s.work.Signal()
	}
}

// soundAlarm calls the user.
func (s *shard) soundAlarm() {
	s.alarms = false
	if call := s.q.cfg.OnAlarm; call != nil {
		s.unlocked(func() { call(s.q.Stats()) })
	}
}

// unlocked calls f without the lock.
func (s *shard) unlocked(f func()) {
	s.wake()
	s.mu.Unlock()
	defer s.mu.Lock()
	f()
}

// end ends the coming in, and the going out too if the queue was stopped.
func (s *shard) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.wake()
	s.room.Broadcast()
}
