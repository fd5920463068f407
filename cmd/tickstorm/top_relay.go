package main

import (
	"context"
	"sync"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/top"
)

// topRelay looks at a relay alone.
type topRelay struct {
	cmd   *topCmd
	admin *top.Admin
	meter *top.RelayMeter

	mu     sync.Mutex
	market tickstorm.Market
}

// run implements shown.
func (r *topRelay) run(ctx context.Context) error {
	if err := r.admin.Await(ctx, r.cmd.Attempts); err != nil {
		return err
	}
	return wait(ctx, r.cmd.For)
}

func (r *topRelay) ready() <-chan struct{} { return r.admin.Answered() }
func (r *topRelay) close()                 {}

// Sample and the other methods implement [top.Feed].
func (r *topRelay) Sample(now time.Time, _ bool) *top.Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.meter.Sample(now, r.market)
}

// Rank returns nothing: a relay does not tell its symbols.
func (r *topRelay) Rank(top.Query) []top.Symbol { return []top.Symbol{} }

// Symbol knows none either.
func (r *topRelay) Symbol(uint32) (top.Symbol, bool) { return top.Symbol{}, false }

// Watch does nothing.
func (r *topRelay) Watch(uint32) {}

// Tail returns nothing.
func (r *topRelay) Tail(*top.Tail) bool { return false }

// Markets are those that the relay has.
func (r *topRelay) Markets() []tickstorm.Market {
	var markets []tickstorm.Market
	for _, m := range r.admin.Latest().Markets {
		markets = append(markets, m.Market)
	}
	return markets
}

// Switch shows another of its markets.
func (r *topRelay) Switch(market tickstorm.Market) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.market = market
}
