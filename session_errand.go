package tickstorm

import (
	"context"
	"sync/atomic"
)

// errand is something that another goroutine wants of a session: its driver serves it, and
// somebody may wait for the result.
type errand struct {
	action  string
	topics  []Topic
	then    func(error)             // is told the result before who waits; nil for nobody
	told    atomic.Bool             // the result is known
	result  chan error              // has room for it
	request atomic.Pointer[request] // once the session has it
}

func newErrand(action string, topics []Topic, then func(error)) *errand {
	return &errand{action: action, topics: topics, then: then, result: make(chan error, 1)}
}

// serve asks the session. It is called by the session's goroutine.
func (e *errand) serve(s *Session) {
	r, err := s.ask(e.action, e.topics, e.tell)
	switch {
	case err == nil:
		e.request.Store(r)
	case s.State() >= Closing:
		e.tell(&SubscribeError{Pending: e.topics, Err: err})
	default:
		e.tell(err)
	}
}

// tell tells the result, once.
func (e *errand) tell(err error) {
	if e.told.Swap(true) {
		return
	}
	if e.then != nil {
		e.then(err)
	}
	e.result <- err
}

// wait waits for the result until ctx ends, or over is closed, of which reason says why.
func (e *errand) wait(ctx context.Context, over <-chan struct{}, reason func() error) error {
	select {
	case err := <-e.result:
		return err
	case <-over:
	case <-ctx.Done():
	}
	select {
	case err := <-e.result:
		return err
	default:
	}
	select {
	case <-over:
		return e.soFar(reason())
	default:
		return e.soFar(ctx.Err())
	}
}

// soFar is the result for who does not wait any longer.
func (e *errand) soFar(err error) error {
	if r := e.request.Load(); r != nil {
		return r.soFar(err)
	}
	return &SubscribeError{Pending: e.topics, Err: err}
}
