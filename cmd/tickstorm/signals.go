package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"slices"
	"sync"
)

// Why a command ends by a signal.
var (
	errInterrupted = errors.New("interrupted")
	errTerminated  = errors.New("terminated")
)

// interruptible returns a context that ends with the first signal that asks the process to end, by
// errInterrupted or errTerminated; a terminal that is closed asks for it too, unless somebody listens to
// hangups, or nohup has it ignored. A second Ctrl-C or the like ends the process at once.
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
		asked := false
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
			case asked:
				os.Exit(exitInterrupted)
			case s == os.Interrupt:
				asked = true
				cancel(errInterrupted)
			default:
				asked = true
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
