// Package again is how long one waits until something is tried again.
package again

import (
	"context"
	"math/rand/v2"
	"time"
)

// Wait is how long to wait after so many tries: from least on it doubles from one to the next, up to
// most, and is shortened by up to half at random.
func Wait(tries int, least, most time.Duration) time.Duration {
	wait := least << min(tries-1, 30)
	if wait <= 0 || wait > most {
		wait = most
	}
	return wait - rand.N(wait/2+1)
}

// Pause waits for so long, or until ctx ends, whose error it then returns.
func Pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
