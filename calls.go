package tickstorm

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"
)

// This file is about calls of handlers: on whose goroutine they are made, what becomes of one
// that panics, and how they end, by a flag that the parser looks at before each and by a
// context.

// isGoroutine reports whether the calling goroutine has this number.
func isGoroutine(id uint64) bool { return id != 0 && id == goroutineID() }

// goroutineID returns the number that the runtime prints for the calling goroutine.
//
// Close and Subscribe must know whether they were called by a handler, on the
// goroutine that they would otherwise wait for: the first then returns at once, the
// second would wait for itself. There is no other way to tell a handler from another
// goroutine that calls while a handler runs. It takes about a microsecond and is never
// asked in the hot path; were the format ever to change, the number would be 0, which is
// nobody's, and such a call would end with its time limit instead.
func goroutineID() uint64 {
	var buf [64]byte
	b := buf[:runtime.Stack(buf[:], false)]
	b, ok := bytes.CutPrefix(b, []byte("goroutine "))
	if !ok {
		return 0
	}
	b, _, _ = bytes.Cut(b, []byte(" "))
	id, err := strconv.ParseUint(string(b), 10, 64)
	if err != nil {
		return 0
	}
	return id
}

// PanicError is a panic in a handler, or in another function of the user's that was
// called beside it. It ends [Conn.Run] and [Client.Run], with the socket closed, and is
// what they return; connecting again would be of no use. On a poller of package epoll the panic itself goes
// up through Poll or Run, and this is what the connection has ended with. Who feeds a [Session] or a
// [Parser] on a goroutine of his own gets the panic itself.
type PanicError struct {
	// Value is what panic was called with.
	Value any
	// Stack is where, as [debug.Stack] prints it.
	Stack []byte
}

// Error gives the value; the stack is for logs.
func (e *PanicError) Error() string { return fmt.Sprintf("a handler panicked: %v", e.Value) }

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// catch calls f and returns its panic, nil if it returned.
func catch(f func()) (p *PanicError) {
	returned := false
	defer func() {
		if !returned {
			p = recovered(recover())
		}
	}()
	f()
	returned = true
	return nil
}

// recovered makes an error of what recover returned: nil only where the goroutine ends
// without a panic, by [runtime.Goexit].
func recovered(v any) *PanicError {
	if v == nil {
		return nil
	}
	return &PanicError{Value: v, Stack: debug.Stack()}
}

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
