package tickstorm

import (
	"sync"

	"github.com/tickstorm/tickstorm/internal/poison"
)

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
