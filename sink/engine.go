package sink

import (
	"context"
	"errors"
)

// Engine is a system that rows are given to. A [Runner] calls it from one goroutine at a time.
type Engine interface {
	// Write stores a batch and returns nil once the engine has confirmed all of it, or, of a
	// [Flusher], once it has taken it. It keeps the order of each symbol: where something in the
	// middle was not taken, nothing of the same symbol behind it may be stored before that is. A
	// batch that came to an error comes again, whole or in parts, so Write either knows what it
	// has stored before or stores it twice; nothing of what was not confirmed is left out.
	//
	// The error says what to do: [Permanent] and [Poison] make those that no other try will mend;
	// any other is tried again after a while.
	Write(ctx context.Context, b *Batch) error
}

// Flusher is an optional ability of an [Engine] that confirms nothing in Write, such as one that
// gathers rows until they are worth a file. The cursor moves only behind a Flush.
type Flusher interface {
	// Flush stores what Write took and returns nil once it is confirmed. If it fails for good the
	// runner ends, and the next begins at the last Flush that did not.
	Flush(ctx context.Context) error
}

// PermanentError is why an engine will never take anything, such as a key that it refuses: the
// [Runner] ends with it.
type PermanentError struct{ Err error }

// Error is that of Err.
func (e *PermanentError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *PermanentError) Unwrap() error { return e.Err }

// Permanent makes err a [*PermanentError]; nil of nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &PermanentError{err}
}

// PoisonError is why an engine will never take a row, while it takes others: the row goes to the
// file of dead letters.
type PoisonError struct {
	// Row is the row's number in the batch; below 0 if the engine does not say which it is: the
	// batch is halved until it is alone.
	Row int
	Err error
}

// Error is that of Err.
func (e *PoisonError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *PoisonError) Unwrap() error { return e.Err }

// Poison makes err a [*PoisonError] of a row, -1 if it is not known which; nil of nil.
func Poison(row int, err error) error {
	if err == nil {
		return nil
	}
	return &PoisonError{row, err}
}

// Retryable reports whether an engine's error is worth another try: it is neither permanent nor
// poison.
func Retryable(err error) bool {
	var permanent *PermanentError
	var poison *PoisonError
	return err != nil && !errors.As(err, &permanent) && !errors.As(err, &poison)
}
