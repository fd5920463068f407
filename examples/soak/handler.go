package main

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// handler is an audit with moments in which it is slow.
type handler struct {
	sim.Audit
	random *rand.Rand
	events uint64
	next   uint64 // events until the next slow moment
	slow   atomic.Int64
	over   chan struct{} // closed when there are to be no more
}

func newHandler(seed uint64) *handler {
	h := &handler{random: rand.New(rand.NewPCG(seed, 2)), over: make(chan struct{})}
	h.plan()
	return h
}

// plan chooses how many events there are until the next slow moment.
func (h *handler) plan() { h.next = h.events + 100_000 + h.random.Uint64N(2_000_000) }

func (h *handler) OnTrade(e *tickstorm.Trade) {
	h.pace()
	h.Audit.OnTrade(e)
}

func (h *handler) OnQuote(e *tickstorm.Quote) {
	h.pace()
	h.Audit.OnQuote(e)
}

// pace is slow now and then: mostly as a disk or a lock would be, sometimes for so long that
// the server gives up on a client that does not read.
func (h *handler) pace() {
	if h.events++; h.events < h.next {
		return
	}
	h.plan()
	length := time.Duration(h.random.Int64N(int64(200 * time.Millisecond)))
	if h.random.IntN(20) == 0 {
		length = time.Duration(h.random.Int64N(int64(7 * time.Second)))
	}
	h.slow.Add(1)
	select {
	case <-time.After(length):
	case <-h.over:
	}
}

func (h *handler) moments() int64 { return h.slow.Load() }

func (h *handler) calm() { close(h.over) }
