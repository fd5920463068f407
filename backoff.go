package tickstorm

import (
	"errors"
	"math"
	"math/rand/v2"
	"time"
)

// backoff computes the waits between attempts to connect. Its zero bound is Min.
type backoff struct {
	Backoff
	bound time.Duration // of the next random wait
}

// next returns how long to wait after err, which ended an attempt or a connection that was
// healthy or not. Where somebody has said what is the least, the random part comes on top of
// it and grows with it, so that those who were sent away together do not return together.
func (b *backoff) next(err error, healthy bool) time.Duration {
	if healthy || b.bound == 0 {
		b.bound = b.Min
	}
	random := b.bound
	if b.bound = b.Max; random < b.Max/2 {
		b.bound = 2 * random
	}
	var least time.Duration
	if errors.Is(err, ErrMaxConnections) {
		least = b.MaxConnections
	}
	var refused *DialError
	if errors.As(err, &refused) {
		least = max(least, refused.RetryAfter)
	}
	wait := rand.N(max(random, least/4))
	if wait >= math.MaxInt64-least {
		return math.MaxInt64
	}
	return least + wait + 1
}
