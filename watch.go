package tickstorm

import (
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/tickstorm/tickstorm/internal/intern"
	"github.com/tickstorm/tickstorm/internal/past"
)

// Watch is a [Handler] that passes everything on to another one and keeps, for each symbol
// of each stream, the sequence number and the time of its last event. It counts steps back
// and repeats of sequence numbers, and tells which symbols, or whether the whole feed, have
// been silent for long.
//
// It cannot tell that nothing was lost, and does not try: the vendor's sequence numbers rise
// per symbol but skip most integers, so that a missing event looks like any other step.
//
// A Watch serves one connection at a time, or one [Client], since it is a Handler, and
// one [Symbols] table, by whose numbers it keeps its books. It is as bounded as the
// table: 40 bytes a symbol and stream, and 32 a symbol, and grows some 256 symbols at a time. In steady state it allocates
// nothing. Its own methods, which are those that are not a Handler's, may be called from any
// goroutine, handlers included; they know what came up to the end of the last message.
//
// The optional abilities of the other handler are at work behind a Watch as they would be
// without it: one without OnRaw does not become a [RawHandler] by being watched, so that a
// [Queue] conflates and deals out its events all the same. Behind a Queue of several
// consumers each has a part of the Watch for itself, and all write into the same books.
//
// What a relay sends of the past between its statuses is passed on and leaves no trace, as what is
// backfilled does.
type Watch struct {
	handlers
	state   StateHandler
	gap     GapHandler
	drop    DropHandler
	streams []Stream
	root    *Watch // whose books are written: itself, unless it is a consumer's part

	pending  []sighting // of the message that is being delivered
	received int64      // when they came
	past     past.Events

	mu     sync.Mutex                         // protects what follows
	books  [streamCount]intern.Pages[watched] // by SymbolID
	names  intern.Names
	stats  WatchStats // but for its times
	heard  int64      // when the last event came
	latest int64      // the latest time that an event gave itself
}

// WatchConfig configures a [Watch]. The zero WatchConfig watches everything.
type WatchConfig struct {
	// Streams are the streams that are watched; nil means all. Events of others are
	// passed on and leave no trace.
	Streams []Stream
}

// WatchStats is what a [Watch] has seen of its streams together.
type WatchStats struct {
	// Regressions are the events whose sequence number was below that of the event before
	// them, of the same symbol and stream, and Duplicates those where it was the same.
	// The vendor's feed has both.
	Regressions uint64
	Duplicates  uint64
	// Untracked are the events without a symbol, or of one that the table had no room for.
	Untracked uint64
	// LastReceived is when the last event came by the local clock, LastEvent the latest time
	// that an event has given itself. Zero if there is none.
	LastReceived time.Time
	LastEvent    time.Time
}

// SymbolWatch is what a [Watch] knows of a symbol on a stream.
type SymbolWatch struct {
	Stream Stream
	Symbol string
	// Sequence is the last sequence number; 0 if the stream has none.
	Sequence int64
	// Regressions and Duplicates are as in [WatchStats].
	Regressions uint64
	Duplicates  uint64
	// LastReceived is when its last event came by the local clock, LastEvent the time that
	// event gave itself, zero if it gave none.
	LastReceived time.Time
	LastEvent    time.Time
}

// sighting is an event as far as a Watch is interested. Sightings wait for the end of the
// message, so that the lock is taken once for all of them and never while a handler runs.
type sighting struct {
	symbol   string
	sequence int64
	time     Timestamp
	id       uint32
	stream   Stream
	numbered bool // it has a sequence number
}

// maxSightings bounds them in messages that are long.
const maxSightings = 256

// watched is a symbol on a stream.
type watched struct {
	sequence    int64
	received    int64
	time        int64 // nanoseconds since 1970; 0 if not known
	regressions uint32
	duplicates  uint32
	known       bool
	numbered    bool // sequence is one
}

// NewWatch returns a Watch that passes on to h, which may be nil.
func NewWatch(h Handler, cfg WatchConfig) *Watch {
	w := newWatch(h, slices.Clone(cfg.Streams))
	w.root = w
	return w
}

func newWatch(h Handler, streams []Stream) *Watch {
	w := &Watch{handlers: resolve(h), streams: streams, pending: make([]sighting, 0, maxSightings)}
	w.state, _ = h.(StateHandler)
	w.gap, _ = h.(GapHandler)
	w.drop, _ = h.(DropHandler)
	return w
}

var (
	_ Handler           = (*Watch)(nil)
	_ RawHandler        = (*Watch)(nil)
	_ MessageEndHandler = (*Watch)(nil)
	_ StateHandler      = (*Watch)(nil)
	_ GapHandler        = (*Watch)(nil)
	_ DropHandler       = (*Watch)(nil)
	_ ShardHandler      = (*Watch)(nil)
)

// OnTrade is part of [Handler].
func (w *Watch) OnTrade(t *Trade) {
	w.see(&t.Header, t.Timestamp, t.Sequence, TradeSequence)
	w.Handler.OnTrade(t)
}

// OnQuote is part of [Handler].
func (w *Watch) OnQuote(q *Quote) {
	w.see(&q.Header, q.Timestamp, q.Sequence, QuoteSequence)
	w.Handler.OnQuote(q)
}

// OnAggregate is part of [Handler].
func (w *Watch) OnAggregate(a *Aggregate) {
	w.see(&a.Header, a.End, 0, 0)
	w.Handler.OnAggregate(a)
}

// OnBook is part of [Handler].
func (w *Watch) OnBook(b *Book) {
	w.see(&b.Header, b.Timestamp, 0, 0)
	w.Handler.OnBook(b)
}

// OnLULD is part of [Handler].
func (w *Watch) OnLULD(l *LULD) {
	w.see(&l.Header, l.Timestamp, l.Sequence, LULDSequence)
	w.Handler.OnLULD(l)
}

// OnImbalance is part of [Handler].
func (w *Watch) OnImbalance(n *Imbalance) {
	w.see(&n.Header, n.Timestamp, n.Sequence, ImbalanceSequence)
	w.Handler.OnImbalance(n)
}

// OnValue is part of [Handler].
func (w *Watch) OnValue(v *Value) {
	w.see(&v.Header, v.Timestamp, 0, 0)
	w.Handler.OnValue(v)
}

// OnStatus is part of [Handler].
func (w *Watch) OnStatus(s *Status) {
	w.past.Status(s.Status, s.Received)
	w.Handler.OnStatus(s)
}

// tellPast is told by a queue whose consumers are not told all statuses.
func (w *Watch) tellPast(received int64, is bool) {
	w.past.Place(received, is)
	if w.handlers.past != nil {
		w.handlers.past.tellPast(received, is)
	}
}

// OnRaw is part of [RawHandler]: it asks the other handler if that is one. Events of
// messages that it has not decoded are not seen.
func (w *Watch) OnRaw(msg []byte, received int64) (decode bool) {
	return w.raw == nil || w.raw.OnRaw(msg, received)
}

// OnMessageEnd is part of [MessageEndHandler].
func (w *Watch) OnMessageEnd() {
	w.record()
	if w.end != nil {
		w.end.OnMessageEnd()
	}
}

// OnState is part of [StateHandler].
func (w *Watch) OnState(s *StateChange) {
	if w.state != nil {
		w.state.OnState(s)
	}
}

// OnGap is part of [GapHandler].
func (w *Watch) OnGap(g *Gap) {
	if w.gap != nil {
		w.gap.OnGap(g)
	}
}

// OnDrop is part of [DropHandler].
func (w *Watch) OnDrop(d *Drop) {
	if w.drop != nil {
		w.drop.OnDrop(d)
	}
}

// Shard is part of [ShardHandler]: it returns a part of the Watch in front of what the other
// handler has for this consumer, which is itself unless it is a ShardHandler.
func (w *Watch) Shard(i, n int) Handler {
	own := w.Handler
	if sharded, ok := own.(ShardHandler); ok {
		own = sharded.Shard(i, n)
	}
	part := newWatch(own, w.streams)
	part.root = w.root
	return part
}

// see takes note of an event. It comes before the other handler, which may change it.
func (w *Watch) see(h *Header, at Timestamp, sequence int64, field Fields) {
	if h.Backfilled || w.past.Has(h.Received) || w.streams != nil && !slices.Contains(w.streams, h.Stream) {
		return
	}
	if h.Received != w.received { // a queue's batch is of several reads
		w.record()
		w.received = h.Received
	}
	w.pending = append(w.pending, sighting{h.Symbol, sequence, at, h.SymbolID, h.Stream, h.Has.Any(field)})
	if len(w.pending) == maxSightings {
		w.record()
	}
}

// record enters what was seen into the books.
func (w *Watch) record() {
	if len(w.pending) == 0 {
		return
	}
	root := w.root
	root.mu.Lock()
	for i := range w.pending {
		root.enter(&w.pending[i], w.received)
	}
	root.heard = max(root.heard, w.received)
	root.mu.Unlock()
	w.pending = w.pending[:0]
}

func (w *Watch) enter(s *sighting, received int64) {
	at := s.time.Nanoseconds()
	w.latest = max(w.latest, at)
	if s.id == 0 || s.stream >= streamCount {
		w.stats.Untracked++
		return
	}
	e := w.books[s.stream].At(s.id)
	if !e.known {
		e.known = true
		if w.names.Of(s.id) == "" { // new to all streams
			w.names.Set(s.id, s.symbol)
		}
	}
	e.received, e.time = received, at
	if !s.numbered {
		return
	}
	switch {
	case !e.numbered:
		e.numbered = true
	case s.sequence < e.sequence:
		e.regressions++
		w.stats.Regressions++
	case s.sequence == e.sequence:
		e.duplicates++
		w.stats.Duplicates++
	}
	e.sequence = s.sequence
}

// Stats returns what was seen of all symbols together.
func (w *Watch) Stats() WatchStats {
	w.mu.Lock()
	defer w.mu.Unlock()
	stats := w.stats
	stats.LastReceived, stats.LastEvent = timeOf(w.heard), timeOf(w.latest)
	return stats
}

// Symbols yields every symbol of every stream that an event has come of, by stream and
// number. The stream goes on meanwhile: what is yielded
// late is as of late.
func (w *Watch) Symbols() iter.Seq[SymbolWatch] {
	return func(yield func(SymbolWatch) bool) {
		var part [64]SymbolWatch // so that the reader never waits for whoever iterates
		for stream := range streamCount {
			for next := 0; next >= 0; {
				var n int
				n, next = w.copyBook(part[:], stream, next)
				for _, s := range part[:n] {
					if !yield(s) {
						return
					}
				}
			}
		}
	}
}

// copyBook copies symbols of a stream from the number from on, and returns how many, and
// where to go on, -1 at the end.
func (w *Watch) copyBook(to []SymbolWatch, stream Stream, from int) (n, next int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	book := &w.books[stream]
	end := min(from+len(to), book.Len())
	for id := from; id < end; id++ {
		if e := book.Lookup(uint32(id)); e != nil && e.known {
			to[n] = w.symbolWatch(e, stream, uint32(id))
			n++
		}
	}
	if end == book.Len() {
		return n, -1
	}
	return n, end
}

func (w *Watch) symbolWatch(e *watched, stream Stream, id uint32) SymbolWatch {
	return SymbolWatch{
		Stream: stream, Symbol: w.names.Of(id), Sequence: e.sequence,
		Regressions: uint64(e.regressions), Duplicates: uint64(e.duplicates),
		LastReceived: timeOf(e.received), LastEvent: timeOf(e.time),
	}
}

// Symbol returns what is known of a symbol on a stream, by its [Header].SymbolID or
// [Symbols.ID]. ok is false if no event of it has come.
func (w *Watch) Symbol(s Stream, id uint32) (symbol SymbolWatch, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s >= streamCount {
		return SymbolWatch{}, false
	}
	e := w.books[s].Lookup(id)
	if e == nil || !e.known {
		return SymbolWatch{}, false
	}
	return w.symbolWatch(e, s, id), true
}

// Stale yields the symbols whose last event came longer than d before now. A symbol that
// no event has come of at all is not among them. Silence may be all there is to hear: most
// symbols do not trade each minute.
func (w *Watch) Stale(now time.Time, d time.Duration) iter.Seq[SymbolWatch] {
	return func(yield func(SymbolWatch) bool) {
		for s := range w.Symbols() {
			if now.Sub(s.LastReceived) > d && !yield(s) {
				return
			}
		}
	}
}

// timeOf returns nanoseconds since 1970 as a time, 0 as the zero Time.
func timeOf(nanoseconds int64) time.Time {
	if nanoseconds == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanoseconds)
}
