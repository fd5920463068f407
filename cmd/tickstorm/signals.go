package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
)

// Why a command ends by a signal.
var (
	errInterrupted = errors.New("interrupted")
	errTerminated  = errors.New("terminated")
)

// interruptible returns a context that ends with the first signal that asks the process to end, by
// errInterrupted or errTerminated. The second ends the process at once.
func interruptible(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, endings...)
	ignorePipes()
	over := make(chan struct{})
	go func() {
		for first := true; ; first = false {
			select {
			case <-over:
				return
			case s := <-signals:
				if !first {
					os.Exit(exitInterrupted)
				}
				cause := errTerminated
				if s == os.Interrupt {
					cause = errInterrupted
				}
				cancel(cause)
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(over)
		cancel(nil)
	}
}
