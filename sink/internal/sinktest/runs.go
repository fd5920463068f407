package sinktest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// Runs is a runner or a consumer at work.
type Runs struct {
	stop func(context.Context) error
	kill context.CancelFunc
	over chan error
}

// Go runs something that can be stopped, and calls after when it has ended.
func Go(run, stop func(context.Context) error, after func()) *Runs {
	ctx, kill := context.WithCancel(context.Background())
	r := &Runs{stop, kill, make(chan error, 1)}
	go func() {
		err := run(ctx)
		if after != nil {
			after()
		}
		kill()
		r.over <- err
	}()
	return r
}

// Halt stops it.
func (r *Runs) Halt(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	require.NoError(t, r.stop(ctx))
	require.NoError(t, <-r.over)
}

// Kill ends its context.
func (r *Runs) Kill() {
	r.kill()
	<-r.over
}
