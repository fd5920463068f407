// Package ring is memory of a fixed size in which short texts wait, in order, between one
// goroutine that puts them in and one that takes them out in batches, and what gives way
// when it is full. It knows of a text its bytes, its channel, which is an opaque number, a
// key within it, and when it was received.
package ring

import (
	"encoding/binary"
	"math"
	"sync"
	"sync/atomic"
)

// Config says how a [Ring] is built. The pointers may be shared by several rings.
type Config struct {
	// Bytes is the size of the memory, at least 1 KiB; with the policy Conflate at most an eighth
	// of it is the index.
	Bytes int
	// Channels is how many there are: those of entries are below it.
	Channels int
	// Policy is what happens to entries that there is no room for.
	Policy Policy
	// Frame has the bytes before, between and after the texts of a run.
	Frame struct{ Open, Between, Close byte }
	// Count returns how many events an entry with [Many] is, whose text is in two parts.
	Count func(first, second []byte) uint64
	// Hash is that of a key in a channel, as [Entry] has it; for the policy Conflate. The key is
	// valid until it returns.
	Hash func(channel uint8, key []byte) uint64
	// Alarm is the share of the memory at which OnAlarm is called, again only after less than
	// half of it was taken in the meantime. It runs in Put, without the lock.
	Alarm   float64
	OnAlarm func()
	// Refusing, while it is set, makes Put refuse all. The policy Refuse sets it, and calls
	// OnRefuse in Put, without the lock, if it was not set before.
	Refusing *atomic.Bool
	OnRefuse func()
	// Halted, when it is set, makes Take return nothing. A goroutine that waits is woken by Close.
	Halted *atomic.Bool
}

// Ring holds entries, each a header of 16 bytes and a text, padded to a multiple of 16. Only
// a text may wrap around the ring's end. The header's first half is a [head], its second half
// when the text was received.
//
// Positions count bytes since the ring was made; only compaction takes some back. One
// goroutine at a time may call Put, and one Take; all else may be called from any.
//
// Take copies without the lock: what begins before the position pinned is its own until it
// gives it back, and stays as it is. Only Put writes into the memory and the index.
type Ring struct {
	cfg Config

	mu      sync.Mutex // protects what follows, but for the memory and the index
	work    sync.Cond  // the taking side waits for something to do
	room    sync.Cond  // the putting side waits for room
	idle    bool       // the taking side waits
	waiting bool       // the putting side waits
	closed  bool       // nothing more comes in
	copying sync.Mutex // locked while anything is pinned; Take has both, Put never mu before this

	mem        []byte
	base       uint64 // a position that is mem[0]; at most one round before head
	head, tail uint64 // positions: entries are from head up to tail
	pinned     uint64 // entries that begin before are being copied; 0 is none
	dead       uint64 // bytes of entries from head to tail that were superseded
	live       int    // number of all others
	latest     latestIndex
	round      uint8        // of latest.go
	roundEnd   uint64       // the position that ends it
	key        [maxKey]byte // scratch, of compaction
	markers    []marker

	high   uint64
	alarm  uint64 // the depth at which to call
	alarms bool   // and whether to

	drops    Drops    // not yet taken
	totals   Totals   // since the beginning
	dropped  []uint64 // since the beginning, by channel
	inHand   int      // events taken and not yet settled
	handling int64    // received, of the first of them
}

// Totals are the events that came, those that were handled, and those that were not to be. Of an
// entry with [Many] they are one until it is settled or dropped.
type Totals struct{ Enqueued, Delivered, Dropped, Conflated uint64 }

// Flags say how an entry is to be treated.
type Flags uint8

const (
	dead Flags = 1 << iota // superseded
	// Latest makes an entry supersede those of its channel and key that wait, under Conflate.
	Latest
	// Alone makes an entry a run of its own, without a frame.
	Alone
	// Many says that an entry is several events, which Config.Count counts if it is dropped.
	Many
	// Tag means nothing to a ring: a run has it if its entries have.
	Tag
)

// Entry is a text that is to be put in: a range of the bytes given to Put.
type Entry struct {
	start int
	head  head
	hash  uint64
}

// NewEntry is that of a range without a key, which supersedes nothing.
func NewEntry(start, end int, channel uint8, flags Flags) Entry {
	return Entry{start: start, head: head(min(uint64(end-start), math.MaxUint32)) | head(flags)<<32 | head(channel)<<40}
}

// SetKey says where in the text the key is, and the hash of channel and key.
func (e *Entry) SetKey(at, length uint8, hash uint64) {
	e.head |= head(at)<<48 | head(length)<<56
	e.hash = hash
}

// SetFlags adds flags.
func (e *Entry) SetFlags(flags Flags) { e.head |= head(flags) << 32 }

// head is the first half of a header.
//
//	length  4 bytes, of the text; one of 4 GiB stands for all longer ones, since none of them fits
//	flags   1
//	channel 1
//	key     1, where in the text it begins
//	length  1, of the key
type head uint64

func (h head) length() int         { return int(uint32(h)) }
func (h head) flags() Flags        { return Flags(h >> 32) }
func (h head) channel() uint8      { return uint8(h >> 40) }
func (h head) key() (at, n int)    { return int(uint8(h >> 48)), int(h >> 56) }
func (h head) is(flags Flags) bool { return h&(head(flags)<<32) != 0 }

// size is what an entry takes in the ring.
func (h head) size() uint64 {
	return headerSize + (uint64(uint32(h))+align-1)&^(align-1)
}

// marker is where something stands among the entries.
type marker struct {
	pos uint64
	at  any
}

const (
	align      = 16
	headerSize = 16
	maxKey     = 1<<8 - 1
)

// New returns an empty ring. All memory is allocated here, but for a few markers.
func New(cfg Config) *Ring {
	r := &Ring{cfg: cfg, alarms: true}
	r.work.L, r.room.L = &r.mu, &r.mu
	size := cfg.Bytes
	if cfg.Policy == Conflate {
		size -= r.latest.init(size / 8)
	}
	r.mem = make([]byte, size&^(align-1))
	r.alarm = uint64(cfg.Alarm * float64(len(r.mem)))
	r.dropped = make([]uint64, cfg.Channels)
	r.drops.By = make([]uint64, cfg.Channels)
	r.head, r.tail, r.base = align, align, align // 0 is the position of nothing
	return r
}

func (r *Ring) used() uint64 { return r.tail - r.head }

func (r *Ring) free() uint64 { return uint64(len(r.mem)) - r.used() }

// offset is where in the memory a position is.
func (r *Ring) offset(pos uint64) int {
	off := pos - r.base
	if off >= uint64(len(r.mem)) {
		off -= uint64(len(r.mem))
	}
	return int(off)
}

func (r *Ring) headAt(pos uint64) head {
	return head(binary.LittleEndian.Uint64(r.mem[r.offset(pos):]))
}

func (r *Ring) receivedAt(pos uint64) int64 {
	return int64(binary.LittleEndian.Uint64(r.mem[r.offset(pos)+8:]))
}

// text returns n bytes of the text of an entry in their two parts; the second is empty unless
// they wrap around.
func (r *Ring) text(pos uint64, from, n int) (first, second []byte) {
	off := r.offset(pos) + headerSize + from
	if off >= len(r.mem) {
		off -= len(r.mem)
	}
	if end := off + n; end > len(r.mem) {
		return r.mem[off:], r.mem[:end-len(r.mem)]
	}
	return r.mem[off : off+n], nil
}

// Mark puts at behind the entries that are in the ring, in no room and whatever the policy;
// Take returns it. It reports false if the ring is closed.
func (r *Ring) Mark(at any) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.markers = append(r.markers, marker{r.tail, at})
	r.wake()
	return true
}

// Close ends the coming in; a Put that waits goes on, and Take returns what there is.
func (r *Ring) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.wake()
	r.room.Broadcast()
}

// wake makes the taking side look again.
func (r *Ring) wake() {
	if r.idle {
		r.idle = false
		r.work.Signal()
	}
}

// Waiting reports whether a Put waits for room.
func (r *Ring) Waiting() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.waiting
}

// Stats is the state of a ring.
type Stats struct {
	Totals
	Events                     int   // that wait, or were taken and are not settled
	Oldest                     int64 // received, of the first of them
	Bytes, Capacity, HighWater int
}

// Stats returns the state, and adds what was dropped of each channel to dropped.
func (r *Ring) Stats(dropped []uint64) Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := Stats{
		Totals: r.totals, Events: r.live + r.inHand,
		Bytes: int(r.used()), Capacity: len(r.mem), HighWater: int(r.high),
	}
	switch {
	case r.inHand > 0:
		st.Oldest = r.handling
	case r.live > 0:
		st.Oldest = r.receivedAt(r.head)
	}
	for i, n := range r.dropped {
		dropped[i] += n
	}
	return st
}
