package main

import (
	"context"
	"time"
)

// ending is the flag of verbs that go on until somebody ends them.
type ending struct {
	For time.Duration `placeholder:"DURATION" help:"End after so long."`
}

// after is [time.After], but never where the time is 0.
func after(length time.Duration) <-chan time.Time {
	if length <= 0 {
		return nil
	}
	return time.After(length)
}

// wait waits until somebody ends it, or for so long if that is not 0.
func wait(ctx context.Context, length time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-after(length):
		return nil
	}
}
