package tickstorm

import (
	"math/bits"
	"sync"

	"github.com/tickstorm/tickstorm/internal/poison"
)

// Events are flyweights: a parser has one of each kind and uses it over and over. This file
// holds what is done to an event as a whole: copying it to keep, with a pool for the copies, and
// field by field clearing what the last use left and spoiling it once it is taken back.

// Pool makes copies of lent events and takes them back: the way to hand events to
// other goroutines at full rate without an allocation each. The zero Pool is ready;
// all methods are safe for concurrent use.
//
//	var trades tickstorm.Pool[tickstorm.Trade]
//
//	func (h *handler) OnTrade(t *tickstorm.Trade) { h.out <- trades.Copy(t) }
//
//	for t := range out {
//		use(t)
//		trades.Put(t)
//	}
//
// A copy belongs to whoever has it until it is put back. One that never is costs an
// allocation and is collected as garbage.
type Pool[E Trade | Quote | Aggregate | Book | LULD | Imbalance | Value | Status | Unknown] struct {
	pool sync.Pool // of *E
	zero E         // what events are cleared with
}

// copier is what every *E of a Pool is.
type copier[E any] interface{ copyTo(*E) }

// Copy returns a copy of an event that shares no memory with it.
func (p *Pool[E]) Copy(src *E) *E {
	dst, _ := p.pool.Get().(*E)
	if dst == nil {
		dst = new(E)
	}
	any(src).(copier[E]).copyTo(dst)
	return dst
}

// Put takes a copy back. It is cleared, and must not be used any more; what it holds
// of unusual size is dropped. Only what [Pool.Copy] or Clone returned may be put back.
func (p *Pool[E]) Put(e *E) {
	if poison.On {
		takeBack(any(e).(Event))
	}
	any(&p.zero).(copier[E]).copyTo(e)
	p.pool.Put(e)
}

// clearFields zeroes fields of e.
func clearFields(e Event, fields Fields) {
	for ; fields != 0; fields &= fields - 1 {
		switch p := e.field(bits.TrailingZeros32(uint32(fields))).(type) {
		case *float64:
			*p = 0
		case *int64:
			*p = 0
		case *int32:
			*p = 0
		case *Timestamp:
			*p = 0
		case *Decimal:
			*p = Decimal{}
		case *[]byte:
			*p = nil
		case *[]int32:
			*p = (*p)[:0]
		case *[]Level:
			*p = (*p)[:0]
		case *bool:
			*p = false
		case *Auction:
			*p = 0
		case *string:
			*p = ""
			e.Head().SymbolID = 0
		}
	}
}

// The copyTo methods make dst a copy of an event that shares no memory with it. What
// dst has of its own is used again, unless it is so large that it would be a waste.

func (t *Trade) copyTo(dst *Trade) {
	conditions, own := dst.Conditions, dst.own
	*dst = *t
	dst.Conditions = append(reuse(conditions), t.Conditions...)
	dst.own = keepTexts(own, &dst.Raw, &dst.ID, &dst.SizeDecimal.Text)
}

func (q *Quote) copyTo(dst *Quote) {
	conditions, indicators, own := dst.Conditions, dst.Indicators, dst.own
	*dst = *q
	dst.Conditions = append(reuse(conditions), q.Conditions...)
	dst.Indicators = append(reuse(indicators), q.Indicators...)
	dst.own = keepTexts(own, &dst.Raw)
}

func (a *Aggregate) copyTo(dst *Aggregate) {
	own := dst.own
	*dst = *a
	dst.own = keepTexts(own, &dst.Raw, &dst.VolumeDecimal.Text, &dst.DayVolumeDecimal.Text)
}

func (b *Book) copyTo(dst *Book) {
	bids, asks, own := dst.Bids, dst.Asks, dst.own
	*dst = *b
	dst.Bids = append(reuse(bids), b.Bids...)
	dst.Asks = append(reuse(asks), b.Asks...)
	dst.own = keepTexts(own, &dst.Raw)
}

func (l *LULD) copyTo(dst *LULD) {
	indicators, own := dst.Indicators, dst.own
	*dst = *l
	dst.Indicators = append(reuse(indicators), l.Indicators...)
	dst.own = keepTexts(own, &dst.Raw)
}

func (n *Imbalance) copyTo(dst *Imbalance) {
	own := dst.own
	*dst = *n
	dst.own = keepTexts(own, &dst.Raw)
}

func (v *Value) copyTo(dst *Value) {
	own := dst.own
	*dst = *v
	dst.own = keepTexts(own, &dst.Raw)
}

func (s *Status) copyTo(dst *Status) {
	own := dst.own
	*dst = *s
	dst.own = keepTexts(own, &dst.Raw, &dst.Status, &dst.Message)
}

func (u *Unknown) copyTo(dst *Unknown) {
	own := dst.own
	*dst = *u
	dst.own = keepTexts(own, &dst.Raw, &dst.Event)
}

// The most that a copy keeps for its next use: the odd huge event must not hold its
// memory for ever. See https://go.dev/issue/23199. A book has at most 100 levels a side.
const (
	maxKeptText  = 16 << 10
	maxKeptItems = 256
)

func reuse[T any](s []T) []T {
	if cap(s) > maxKeptItems {
		return nil
	}
	return s[:0]
}

// keepTexts moves texts into own, or into new memory where own is too small.
func keepTexts(own []byte, texts ...*[]byte) []byte {
	need := 0
	for _, t := range texts {
		need += len(*t)
	}
	if cap(own) < need || cap(own) > maxKeptText {
		own = make([]byte, 0, need)
	}
	own = own[:0]
	for _, t := range texts {
		if *t == nil {
			continue
		}
		start := len(own)
		own = append(own, *t...)
		*t = own[start:len(own):len(own)]
	}
	return own
}

// Clone returns a copy of t that shares no memory with it.
func (t *Trade) Clone() *Trade { return clone(t) }

// Clone returns a copy of q that shares no memory with it.
func (q *Quote) Clone() *Quote { return clone(q) }

// Clone returns a copy of a that shares no memory with it.
func (a *Aggregate) Clone() *Aggregate { return clone(a) }

// Clone returns a copy of b that shares no memory with it.
func (b *Book) Clone() *Book { return clone(b) }

// Clone returns a copy of l that shares no memory with it.
func (l *LULD) Clone() *LULD { return clone(l) }

// Clone returns a copy of n that shares no memory with it.
func (n *Imbalance) Clone() *Imbalance { return clone(n) }

// Clone returns a copy of v that shares no memory with it.
func (v *Value) Clone() *Value { return clone(v) }

// Clone returns a copy of s that shares no memory with it.
func (s *Status) Clone() *Status { return clone(s) }

// Clone returns a copy of u that shares no memory with it.
func (u *Unknown) Clone() *Unknown { return clone(u) }

func clone[E any, P interface {
	*E
	copyTo(*E)
}](src P) *E {
	dst := new(E)
	src.copyTo(dst)
	return dst
}

// takeBack spoils an event that was lent, in poison builds: every number becomes
// nonsense, every lent byte 0xCC. The strings stay, being safe to keep.
func takeBack(e Event) {
	if !poison.On {
		return
	}
	const nonsense = -0x3333333333333334 // 0xCC in every byte
	h := e.Head()
	for i := range 32 {
		switch p := e.field(i).(type) {
		case *float64:
			*p = nonsense
		case *int64:
			*p = nonsense
		case *int32:
			*p = -0x33333334
		case *Timestamp:
			*p = nonsense
		case *Decimal:
			poison.Bytes(p.Text)
			*p = Decimal{Value: nonsense}
		case *[]byte:
			poison.Bytes(*p)
			*p = nil
		case *[]int32:
			for i := range *p {
				(*p)[i] = -0x33333334
			}
			*p = (*p)[:0]
		case *[]Level:
			for i := range *p {
				(*p)[i] = Level{nonsense, nonsense}
			}
			*p = (*p)[:0]
		case *bool:
			*p = true
		case *Auction:
			*p = 0xCC
		case *string:
			*p = "taken back: valid until the handler method returned"
			h.SymbolID = 0xCCCCCCCC // only where there is a symbol, which the next use clears
		}
	}
	if u, ok := e.(*Unknown); ok {
		poison.Bytes(u.Event)
		u.Event = nil
	}
	poison.Bytes(h.Raw)
	h.Raw = nil
	h.Received = nonsense
	// All fields are marked, so that the next use clears all of them.
	h.Has, h.Null, h.Odd = ^Fields(0), 0, 0
}
