package tickstorm

import (
	"errors"
	"slices"
	"time"
)

// link is what a Lasting knows of one session. Its methods are called by the driver's
// goroutine, most of them within the session's.
type link struct {
	lasting *Lasting
	session *Session
	started bool      // the key was accepted
	settled time.Time // when all that was wanted had been answered; zero before
	events  bool      // some came
	quiet   time.Time // when a gap is told though no event came; zero for never
	late    []*Gap    // of topics that were not live when they came
	preview preview   // of the message at hand, as long as a gap needs it
	caught  caught
	waiting []*errand // for topics of the first request
}

// before sees each message before it is decoded.
func (k *link) before(msg []byte) {
	if k.started && (!k.events || len(k.late) > 0) {
		k.scan(msg)
	}
}

// after is called when a message was handled.
func (k *link) after() {
	if !k.started && k.session.State() == Ready {
		k.start()
	}
}

// start asks for what is wanted.
func (k *link) start() {
	l, s := k.lasting, k.session
	k.started = true
	l.mu.Lock()
	none := len(l.wanted.index) == 0
	l.mu.Unlock()
	if !none {
		l.enter(StateChange{State: StateSubscribing}, s.now) // may change what is wanted
	}
	l.mu.Lock()
	l.connections++
	l.ready = true
	topics, turn := l.wanted.list(), l.wanted.turn
	k.waiting = slices.Clone(l.errands)
	l.mu.Unlock()
	switch {
	case s.State() >= Closing:
	case len(topics) == 0:
		k.tell(nil, new(SubscribeError))
		k.stream(StateChange{})
	default:
		if err := s.Request(func(err error) { k.answered(topics, turn, err) }, topics...); err != nil {
			k.answered(topics, turn, err)
		}
	}
}

// answered is told what came of the topics. What the server refused is not wanted any more.
func (k *link) answered(topics []Topic, turn uint64, err error) {
	l := k.lasting
	r := new(SubscribeError)
	isResult := errors.As(err, &r)
	l.drop(r.Refused, turn, true)
	switch {
	case isResult && r.Err != nil: // the connection has ended
		for _, e := range k.waiting {
			e.keep(r)
		}
		return
	case isResult:
		l.cfg.Logger.Warn("not all topics acknowledged", "err", err)
	case err != nil:
		l.cfg.Logger.Warn("topics not sent", "err", err)
		r = &SubscribeError{Pending: topics}
	default:
		r = &SubscribeError{Acked: topics}
	}
	k.tell(topics, r)
	k.stream(StateChange{Acked: len(r.Acked), Refused: r.Refused, Pending: r.Pending, Unnamed: r.Unnamed})
}

// tell answers the errands that waited for the session.
func (k *link) tell(topics []Topic, r *SubscribeError) {
	waiting := k.waiting
	k.waiting = nil
	if len(waiting) == 0 {
		return
	}
	refused, pending, asked := setOf(r.Refused), setOf(r.Pending), setOf(topics)
	for _, e := range waiting {
		for _, t := range e.topics {
			if !asked[t] { // somebody has thought better of it
				pending[t] = true
			}
		}
		k.lasting.finish(e, e.outcome(refused, pending, r))
	}
}

// stream is called when all is answered.
func (k *link) stream(change StateChange) {
	l := k.lasting
	if k.session.link != k { // it has ended within a handler
		return
	}
	k.settled = k.session.now
	change.State = StateStreaming
	l.enter(change, k.settled)
	k.awaitEnd()
}

// advance does what is due.
func (k *link) advance(now time.Time) {
	if k.quiet.IsZero() || now.Before(k.quiet) {
		return
	}
	if k.catching() {
		k.quiet = now.Add(gapPatience)
		return
	}
	k.quiet = time.Time{}
	to := Moment{Received: k.settled}
	if last := time.Unix(0, k.session.received); k.caught.live != nil && last.After(k.settled) {
		to.Received = last
	}
	k.lasting.tellMissed(to)
	k.tellLate(to)
}

// healthy reports whether the connection streamed for long enough.
func (k *link) healthy(now time.Time) bool {
	return !k.settled.IsZero() && now.Sub(k.settled) >= k.lasting.cfg.Backoff.Healthy
}
