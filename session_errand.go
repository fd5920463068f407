package tickstorm

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// errand is something that another goroutine wants of a session: its driver serves it, and
// somebody may wait for the result.
type errand struct {
	action string
	topics []Topic
	then   func(error) // is told the result before who waits; nil for nobody
	told   atomic.Bool // the result is known
	result chan error  // has room for it

	// A Lasting's.
	turn  uint64  // of the set of topics, when it was made
	added []Topic // of the topics, those that were not wanted before

	mu      sync.Mutex     // protects what follows
	request *request       // once a session has it
	refused SubscribeError // what sessions that have ended have refused
}

func newErrand(action string, topics []Topic, then func(error)) *errand {
	return &errand{action: action, topics: topics, then: then, result: make(chan error, 1)}
}

// serve asks the session, which tells answer. It is called by the session's goroutine.
func (e *errand) serve(s *Session, answer func(error)) {
	r, err := s.ask(e.action, e.topics, answer)
	switch {
	case err == nil:
		e.mu.Lock()
		e.request = r
		e.mu.Unlock()
	case s.State() >= Closing:
		answer(&SubscribeError{Pending: e.topics, Err: err})
	default:
		answer(err)
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
	case <-over:
		return e.soFar(reason())
	default:
		return e.soFar(ctx.Err())
	}
}

// soFar is the result for who does not wait any longer.
func (e *errand) soFar(err error) error {
	e.mu.Lock()
	asked := e.request
	e.mu.Unlock()
	if asked != nil {
		return asked.soFar(err)
	}
	return e.outcome(nil, setOf(e.topics), &SubscribeError{Err: err})
}

// keep notes what a session has refused before it ended: another is asked for the rest.
func (e *errand) keep(r *SubscribeError) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.request = nil
	mine := setOf(e.topics)
	before := len(e.refused.Refused)
	for _, t := range r.Refused {
		if mine[t] {
			e.refused.Refused = append(e.refused.Refused, t)
		}
	}
	if len(e.refused.Refused) > before {
		e.refused.Refusals = append(e.refused.Refusals, r.Refusals...)
	}
}

// outcome is the result where a session was asked for more than the errand's topics: refused
// and pending are sets of those in answer.
func (e *errand) outcome(refused, pending map[Topic]bool, answer *SubscribeError) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := setOf(e.refused.Refused)
	r := &SubscribeError{Err: answer.Err}
	for _, t := range e.topics {
		switch {
		case refused[t] || before[t]:
			r.Refused = append(r.Refused, t)
		case pending[t]:
			r.Pending = append(r.Pending, t)
		default:
			r.Acked = append(r.Acked, t)
		}
	}
	if len(r.Refused) == 0 && len(r.Pending) == 0 && r.Err == nil {
		return nil
	}
	r.Unnamed = min(answer.Unnamed, len(r.Pending))
	r.Refusals = e.refused.Refusals
	if len(r.Refused) > len(e.refused.Refused) || r.Unnamed > 0 {
		r.Refusals = slices.Concat(r.Refusals, answer.Refusals)
	}
	return r
}
