package tickstorm

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// This file is how calls of handlers end: by a flag that the parser looks at before each of
// them, and by a context.

var (
	// ErrRunning: Run was called while another Run is at work.
	ErrRunning = errors.New("already running")
	// ErrEnded: Run was called on a [Conn], a [Client] or a [Queue] that has run: each does
	// so once. The error is also what that Run has returned, if it was not nil.
	ErrEnded = errors.New("has run already, and runs only once")
)

// runOnce is what runs only once.
type runOnce struct {
	state atomic.Uint32
	err   error // with which it ended; set before the state is hasRun
}

const (
	runs uint32 = iota + 1
	hasRun
)

// begin returns ErrRunning or ErrEnded from the second time on.
func (r *runOnce) begin() error {
	switch {
	case r.state.CompareAndSwap(0, runs):
		return nil
	case r.state.Load() != hasRun:
		return ErrRunning
	case r.err != nil:
		return fmt.Errorf("%w: %w", ErrEnded, r.err)
	}
	return ErrEnded
}

// end is called when begin has returned nil and it has run.
func (r *runOnce) end(err error) {
	r.err = err
	r.state.Store(hasRun)
}

// slowHandler is the time an event, decoding included, from which on a handler is slow.
//
// The end of a context comes to the parser by a flag, which costs nothing to look at but is
// set by another goroutine, some microseconds late. To ask the context itself is exact and
// takes two nanoseconds. So it is asked where that is little beside the handler; quick
// handlers may be called for those microseconds.
const slowHandler = time.Microsecond

// heed has the parser ask ctx, which may be nil, before each call of the handler, if so many
// events took the handler so long that it is slow.
func (p *Parser) heed(ctx context.Context, took time.Duration, events uint64) {
	p.life = nil
	if ctx != nil && ctx.Done() != nil && took >= time.Duration(events)*slowHandler {
		p.life = ctx
	}
}

// never is the flag of parsers that nobody stops.
var never atomic.Bool

// halted reports whether the handler is not to be called any more. It is asked for every
// element, and just small enough to be inlined.
func (p *Parser) halted() bool { return p.halt.Load() || p.life != nil && p.life.Err() != nil }
