package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"slices"
	"sync"
	"time"
)

// Why a command ends by a signal.
var (
	errInterrupted = errors.New("interrupted")
	errTerminated  = errors.New("terminated")
)

// echo is how soon behind a signal another one is taken for the same: timeout, npm, make and others send on what the
// terminal, or they themselves, have sent to the whole group.
const echo = 500 * time.Millisecond

// asking is when the process was asked to end, zero before.
type asking struct{ at time.Time }

// again takes a signal, and reports whether the process was asked before.
func (a *asking) again(now time.Time) bool {
	if a.at.IsZero() {
		a.at = now
	}
	return now.Sub(a.at) >= echo
}

// interruptible returns a context that ends with the first signal that asks the process to end, by
// errInterrupted or errTerminated; a terminal that is closed asks for it too, unless somebody listens to
// hangups, or nohup has it ignored. A second Ctrl-C or the like ends the process at once, but not one that comes
// with the first.
func interruptible(ctx context.Context) (_ context.Context, h *hangups, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, endings...)
	h = &hangups{signals: signals}
	for _, s := range hangupSignals {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	ignorePipes()
	over := make(chan struct{})
	go func() {
		var asked asking
		for {
			var s os.Signal
			select {
			case <-over:
				return
			case s = <-signals:
			}
			hangup := slices.Contains(hangupSignals, s)
			switch {
			case hangup && h.tell(s):
			case hangup: // which comes twice from some shells
				cancel(errTerminated)
			case asked.again(time.Now()):
				os.Exit(exitInterrupted)
			case s == os.Interrupt:
				cancel(errInterrupted) // which an echo does not change
			default:
				cancel(errTerminated)
			}
		}
	}()
	return ctx, h, func() {
		signal.Stop(signals)
		close(over)
		cancel(nil)
	}
}

// hangups are the signals by which files are read again, where somebody listens to them.
type hangups struct {
	signals chan os.Signal

	mu sync.Mutex
	to chan os.Signal // nil if nobody listens
}

// listen returns a channel of the signals, and what ends it.
func (h *hangups) listen() (<-chan os.Signal, func()) {
	if len(hangupSignals) == 0 {
		return nil, func() {}
	}
	signal.Notify(h.signals, hangupSignals...) // nohup or not: who reads files again is asked to
	h.mu.Lock()
	defer h.mu.Unlock()
	h.to = make(chan os.Signal, 1)
	return h.to, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.to = nil
	}
}

// tell passes a signal on to whoever listens; false if nobody does.
func (h *hangups) tell(s os.Signal) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.to == nil {
		return false
	}
	select {
	case h.to <- s:
	default: // one is waiting, and does for both
	}
	return true
}
