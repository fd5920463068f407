package main

import (
	"context"
	"io"
	"sync"
	"time"
)

// An output gathers lines and writes them in pieces: to a terminal after each message, else when
// there is enough of them, or some have waited for long enough. Between lock and unlock lines are
// appended to buf.
type output struct {
	w     io.Writer
	eager bool

	mu     sync.Mutex
	buf    []byte // what was not written yet
	err    error  // of a write, behind which there is none
	failed chan struct{}
	over   chan struct{}
	timer  sync.WaitGroup
}

const (
	// piece is how much is written at a time.
	piece = 64 << 10
	// longest is how long a line may wait.
	longest = 100 * time.Millisecond
)

// newOutput returns one that is eager where somebody looks on. Close it.
func newOutput(w io.Writer, eager bool) *output {
	o := &output{w: w, eager: eager, failed: make(chan struct{}), over: make(chan struct{}), buf: make([]byte, 0, 2*piece)}
	if !eager {
		o.timer.Go(o.tick)
	}
	return o
}

func (o *output) tick() {
	t := time.NewTicker(longest)
	defer t.Stop()
	for {
		select {
		case <-o.over:
			return
		case <-o.failed:
			return
		case <-t.C:
			o.mu.Lock()
			o.flush()
			o.mu.Unlock()
		}
	}
}

func (o *output) lock() { o.mu.Lock() }

// unlock writes what there is, if it is time to.
func (o *output) unlock() {
	if o.eager || len(o.buf) >= piece {
		o.flush()
	}
	o.mu.Unlock()
}

// flush writes what there is; o.mu is held.
func (o *output) flush() {
	if o.err == nil && len(o.buf) > 0 {
		if _, o.err = o.w.Write(o.buf); o.err != nil {
			close(o.failed)
		}
	}
	o.buf = o.buf[:0]
}

// Write implements [io.Writer].
func (o *output) Write(b []byte) (int, error) {
	o.lock()
	o.buf = append(o.buf, b...)
	o.unlock()
	if err := o.failure(); err != nil {
		return 0, err
	}
	return len(b), nil
}

// failure is what a write has failed with.
func (o *output) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

const (
	// unread is how long whoever has ended it waits for whoever reads.
	unread = 5 * time.Second
	// lastly is how long the last write may take when that is over.
	lastly = 250 * time.Millisecond
)

// close writes the rest, and returns what a write has failed with; that nobody reads any more is
// no failure. A reader that takes its time, such as a pager, is waited for until ctx ends: if it does not read
// at all then, it is errUnread, and the output stays locked.
func (o *output) close(ctx context.Context) error {
	close(o.over)
	done := make(chan error, 1)
	go func() {
		o.timer.Wait()
		o.mu.Lock()
		defer o.mu.Unlock()
		o.flush()
		done <- o.err
	}()
	select {
	case err := <-done:
		return outputError(err)
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return outputError(err)
	case <-time.After(lastly):
		return outputError(errUnread)
	}
}

// outputError says what it was that could not be written.
func outputError(err error) error {
	if err == nil || isBrokenPipe(err) {
		return nil
	}
	return &writeError{err}
}

// writeError is that standard output takes nothing more.
type writeError struct{ err error }

func (e *writeError) Error() string { return "standard output: " + e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }
