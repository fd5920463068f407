package tickstorm

import (
	"context"
	"errors"
	"iter"
)

// Events runs the connection and yields its events, for those who prefer a loop to a
// handler. It takes the handler's place and calls Run, so the loop body is where
// handlers run: while it works nothing is read. An event is valid until the next
// iteration begins.
//
//	for e, err := range conn.Events(ctx) {
//		switch e := e.(type) {
//		case *tickstorm.Trade: ...
//
// With an error the event is nil. A [*EventError] is an element that was no event,
// and the loop goes on; any other error is why Run ended, and the last there is.
// After Close there is none. Once ctx has ended, or Close has been called, the body runs for no
// other event. Breaking out of the loop closes the connection, and waits
// for the server's answer within Config.CloseTimeout; a panic in the body does the same and
// goes on. In the loop's body, as in a
// handler, Subscribe returns [ErrInHandler] and Close does not wait. With [iter.Pull]
// the body is another goroutine: end the loop by its stop function, since Close and
// Subscribe would wait for it.
//
// The price is one indirect call and a type switch an event; nothing is allocated
// for an event, and no goroutine is started.
func (c *Conn) Events(ctx context.Context) iter.Seq2[Event, error] {
	return events(ctx, c.run, c.Close)
}

// Events runs the client and yields its events across reconnects; see [Conn.Events]. States,
// gaps and drops are not among them: who wants those uses a handler, and Run. After Close the
// loop goes on with what is queued, as Run does; breaking out of it leaves that. With
// more than one consumer it yields [ErrConsumers] alone.
func (c *Client) Events(ctx context.Context) iter.Seq2[Event, error] {
	if c.queue != nil && len(c.queue.shards) > 1 {
		return func(yield func(Event, error) bool) { yield(nil, ErrConsumers) }
	}
	return events(ctx, c.run, func() error {
		c.abandon(ErrClosed)
		return c.Close()
	})
}

func events(ctx context.Context, run func(context.Context, Handler) error, stop func() error) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		y := &yielder{ctx: ctx, yield: yield, stop: stop}
		err := run(ctx, y)
		var panicked *PanicError
		if y.inBody && errors.As(err, &panicked) {
			panic(panicked.Value) // a loop has nobody to give an error to: it goes on as a panic
		}
		if err != nil && !y.stopped {
			yield(nil, err)
		}
	}
}

// yielder is the handler behind a loop.
type yielder struct {
	ctx     context.Context
	yield   func(Event, error) bool
	stop    func() error
	inBody  bool // the loop's body is at work, or has panicked
	stopped bool
}

func (y *yielder) next(e Event, err error) {
	if y.stopped || y.ctx.Err() != nil {
		return
	}
	y.inBody = true
	more := y.yield(e, err)
	y.inBody = false
	if more {
		return
	}
	y.stopped = true
	_ = y.stop() // inside a handler it does not wait and has no error
}

func (y *yielder) OnTrade(e *Trade)         { y.next(e, nil) }
func (y *yielder) OnQuote(e *Quote)         { y.next(e, nil) }
func (y *yielder) OnAggregate(e *Aggregate) { y.next(e, nil) }
func (y *yielder) OnBook(e *Book)           { y.next(e, nil) }
func (y *yielder) OnLULD(e *LULD)           { y.next(e, nil) }
func (y *yielder) OnImbalance(e *Imbalance) { y.next(e, nil) }
func (y *yielder) OnValue(e *Value)         { y.next(e, nil) }
func (y *yielder) OnStatus(e *Status)       { y.next(e, nil) }
func (y *yielder) OnUnknown(e *Unknown)     { y.next(e, nil) }
func (y *yielder) OnError(e *EventError)    { y.next(nil, e) }
