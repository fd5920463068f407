package top

import (
	"sync"
	"sync/atomic"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/past"
)

// MaxSymbols is how many symbols are told apart; the events of others count for their channel alone.
const MaxSymbols = 1 << 20

// streams is how many streams there are, with the zero Stream of unknown events.
const streams = int(tickstorm.LaunchpadAggregates) + 1

// A Tally is a handler that counts events by stream and symbol, and keeps the last ones of the symbol
// that is looked at. It belongs to one consumer; what it has counted may be asked for from anywhere.
// Events wait for the end of their message, so that the lock is taken once for all of them. What a relay
// sends of the past is none of them.
type Tally struct {
	tickstorm.NopHandler

	middles bool // the market has no trades: the middle of a quote is a price
	pending []sighting
	past    past.Events

	watched atomic.Uint32 // the number of the symbol that is looked at, 0 for none

	mu        sync.Mutex // protects what follows
	streams   [streams]count
	pages     []*page
	last      int64 // when the last event came, in nanoseconds since 1970
	untracked uint64
	tail      Tail
	log       journal
}

// count is what came.
type count struct{ events, bytes uint64 }

// sighting is an event as far as it is counted.
type sighting struct {
	received int64
	price    float64 // 0 if it has none
	id       uint32
	size     uint32
	stream   tickstorm.Stream
}

// maxPending bounds what waits for the end of its message.
const maxPending = 256

// pageSize is how many symbols the books grow by.
const pageSize = 1024

type page [pageSize]entry

// entry is a symbol in the books.
type entry struct {
	events   uint64
	received int64
	price    float64
}

// NewTally returns one for the events of a market. The config that it is used with wants its Symbols to
// be a table of [MaxSymbols].
func NewTally(m tickstorm.Market) *Tally {
	_, err := m.Channel(tickstorm.Trades)
	return &Tally{middles: err != nil, pending: make([]sighting, 0, maxPending)}
}

var (
	_ tickstorm.Handler           = (*Tally)(nil)
	_ tickstorm.MessageEndHandler = (*Tally)(nil)
)

// see takes note of an event, and reports whether it counts.
func (t *Tally) see(h *tickstorm.Header, price float64) bool {
	if t.past.Has(h.Received) {
		return false
	}
	t.pending = append(t.pending, sighting{h.Received, price, h.SymbolID, uint32(len(h.Raw)), h.Stream})
	if len(t.pending) == maxPending {
		t.OnMessageEnd()
	}
	return true
}

// OnStatus hears where the past begins and ends.
func (t *Tally) OnStatus(s *tickstorm.Status) { t.past.Status(s.Status, s.Received) }

// OnMessageEnd enters what was seen into the books.
func (t *Tally) OnMessageEnd() {
	if len(t.pending) == 0 {
		return
	}
	t.mu.Lock()
	for i := range t.pending {
		t.enter(&t.pending[i])
	}
	t.mu.Unlock()
	t.pending = t.pending[:0]
}

func (t *Tally) enter(s *sighting) {
	c := &t.streams[0]
	if int(s.stream) < streams {
		c = &t.streams[s.stream]
	}
	c.events++
	c.bytes += uint64(s.size)
	t.last = max(t.last, s.received)
	if s.id == 0 || s.id > MaxSymbols {
		t.untracked++
		return
	}
	n := int(s.id) / pageSize
	for n >= len(t.pages) {
		t.pages = append(t.pages, new(page))
	}
	e := &t.pages[n][s.id%pageSize]
	e.events++
	e.received = s.received
	if s.price != 0 {
		e.price = s.price
	}
}

// OnTrade and the other methods implement [tickstorm.Handler].
func (t *Tally) OnTrade(e *tickstorm.Trade) {
	if t.see(&e.Header, e.Price) && t.looksAt(&e.Header) {
		size := e.Size
		if e.Has.All(tickstorm.TradeSizeDecimal) {
			size = e.SizeDecimal.Value
		}
		r := rowOf(&e.Header, tickstorm.KindTrade, e.Timestamp, e.Price, size)
		r.codes = uint8(copy(r.Codes[:], e.Conditions))
		r.Exchange = e.Exchange
		t.keep(r)
	}
}

// OnQuote counts a quote.
func (t *Tally) OnQuote(e *tickstorm.Quote) {
	price := 0.0
	if t.middles {
		price = (e.BidPrice + e.AskPrice) / 2
	}
	if t.see(&e.Header, price) && t.looksAt(&e.Header) {
		t.keep(rowOf(&e.Header, tickstorm.KindQuote, e.Timestamp, e.BidSize, e.BidPrice, e.AskPrice, e.AskSize))
	}
}

// OnAggregate counts a bar.
func (t *Tally) OnAggregate(e *tickstorm.Aggregate) {
	if t.see(&e.Header, e.Close) && t.looksAt(&e.Header) {
		t.keep(rowOf(&e.Header, tickstorm.KindAggregate, e.Start, e.Open, e.High, e.Low, e.Close, e.Volume))
	}
}

// OnBook counts a book, of which the best level is kept.
func (t *Tally) OnBook(e *tickstorm.Book) {
	if t.see(&e.Header, 0) && t.looksAt(&e.Header) {
		var bid, ask tickstorm.Level
		if len(e.Bids) > 0 {
			bid = e.Bids[0]
		}
		if len(e.Asks) > 0 {
			ask = e.Asks[0]
		}
		t.keep(rowOf(&e.Header, tickstorm.KindBook, e.Timestamp, bid.Size, bid.Price, ask.Price, ask.Size))
	}
}

// OnLULD counts a limit.
func (t *Tally) OnLULD(e *tickstorm.LULD) {
	if t.see(&e.Header, 0) && t.looksAt(&e.Header) {
		t.keep(rowOf(&e.Header, tickstorm.KindLULD, e.Timestamp, e.LowerBand, e.UpperBand))
	}
}

// OnImbalance counts an imbalance.
func (t *Tally) OnImbalance(e *tickstorm.Imbalance) {
	if t.see(&e.Header, 0) && t.looksAt(&e.Header) {
		t.keep(rowOf(&e.Header, tickstorm.KindImbalance, e.Timestamp, float64(e.Imbalance), float64(e.Paired), e.BookClearingPrice))
	}
}

// OnValue counts a value.
func (t *Tally) OnValue(e *tickstorm.Value) {
	if t.see(&e.Header, e.Val) && t.looksAt(&e.Header) {
		t.keep(rowOf(&e.Header, tickstorm.KindValue, e.Timestamp, e.Val))
	}
}

// OnUnknown counts an event of a channel that is not known.
func (t *Tally) OnUnknown(e *tickstorm.Unknown) { t.see(&e.Header, 0) }

// LastEvent returns when the last event was received, in nanoseconds since 1970; 0 if none was.
func (t *Tally) LastEvent() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

// counts are what came by stream, and what came of symbols that there was no room for.
func (t *Tally) counts() (by [streams]count, untracked uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.streams, t.untracked
}

// page copies a page of the books; false behind the last.
func (t *Tally) page(n int, to *page) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n >= len(t.pages) {
		return false
	}
	*to = *t.pages[n]
	return true
}
