package sinktest

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/sink"
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

// GoSink runs a sink of a folder, and closes the engine when it has ended.
func GoSink[E interface {
	sink.Engine
	io.Closer
}](t testing.TB, e E, folder sink.FolderConfig) *Runs {
	t.Helper()
	r, err := sink.NewRunner(e, sink.NewFolder(folder), sink.Config{MaxRows: 64, Linger: 5 * time.Millisecond, MinWait: 5 * time.Millisecond, MaxWait: time.Second})
	require.NoError(t, err)
	return Go(r.Run, r.Stop, func() { _ = e.Close() })
}

// SinkAll runs a sink of a folder to its end.
func SinkAll(t testing.TB, e sink.Engine, dir string, cfg sink.Config) sink.Stats {
	t.Helper()
	r, err := sink.NewRunner(e, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}}), cfg)
	require.NoError(t, err)
	require.NoError(t, r.Run(t.Context()))
	return r.Stats()
}

// Wait waits for its end.
func (r *Runs) Wait() error { return <-r.over }

// Halt stops it, and requires that it ends well.
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
