package tickstorm

import (
	"errors"
	"slices"
)

// This file holds what is wanted of a connection that lasts: a set of topics, and its
// differences as the server is told them. Both change under one lock, so that what a
// session is asked for comes in the order of what the set went through.

// Request adds topics to what is wanted, now and after each reconnect, without waiting.
// done, if not nil, is called once by the driver's goroutine, when the topics were
// acknowledged (nil), or refused, or went unanswered for Config.AckTimeout (a
// [*SubscribeError]), however many connections that takes; before the first Connect the
// topics are recorded, and it is called at once with nil. Topics that the server refuses are
// not wanted any more, nor are those that are new if they cannot be sent.
//
// The errors are those of topics that cannot be sent, of [ErrSubscriptionLimit], and
// ErrClosed; nothing has changed then, and done is not called.
func (l *Lasting) Request(done func(error), topics ...Topic) error {
	e, err := l.want(topics, done)
	if err == nil && e == nil && done != nil {
		done(nil)
	}
	return err
}

// Withdraw takes topics from what is wanted, without waiting; it is otherwise like
// Request. The end of the connection ends them as well.
func (l *Lasting) Withdraw(done func(error), topics ...Topic) error {
	e, err := l.unwant(topics, done)
	if err == nil && e == nil && done != nil {
		done(nil)
	}
	return err
}

// SetTopics makes topics, and no others, what is wanted, without waiting; none at all is
// fine. The session is sent the difference to what was wanted before; done is told once what
// came of all of it. It is otherwise like Request.
func (l *Lasting) SetTopics(done func(error), topics ...Topic) error {
	var results []error
	left := 0
	each := func(err error) {
		results = append(results, err)
		if left--; left == 0 && done != nil {
			done(joined(results))
		}
	}
	removal, addition, err := l.replace(topics, each, func(n int) { left = n })
	if err == nil && removal == nil && addition == nil && done != nil {
		done(nil)
	}
	return err
}

// joined is errors.Join that leaves a single error as it is.
func joined(errs []error) error {
	var some []error
	for _, err := range errs {
		if err != nil {
			some = append(some, err)
		}
	}
	if len(some) == 1 {
		return some[0]
	}
	return errors.Join(some...)
}

// Topics returns what is wanted, in canonical form and in the order it was asked for.
func (l *Lasting) Topics() []Topic {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wanted.list()
}

// Granted returns the topics that the server has acknowledged and that were not ended, as
// far as this connection goes, sorted.
func (l *Lasting) Granted() []Topic {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session == nil {
		return nil
	}
	return l.session.Granted()
}

// want adds topics, and asks the session for them if there is one.
func (l *Lasting) want(topics []Topic, done func(error)) (*errand, error) {
	topics, err := l.cfg.checked(topics)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	if err := l.cfg.checkLimits(topics, l.wanted.index); err != nil {
		return nil, err
	}
	return l.subscribe(topics, l.wanted.addAll(topics), done), nil
}

// unwant removes topics, and asks the session to end them if there is one.
func (l *Lasting) unwant(topics []Topic, done func(error)) (*errand, error) {
	if len(topics) == 0 {
		return nil, ErrNoSymbols
	}
	topics = append([]Topic(nil), topics...)
	for i, t := range topics {
		topics[i] = l.cfg.Market.canonical(t, l.cfg.KeepCase)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range topics {
		l.wanted.remove(t)
	}
	return l.unsubscribe(topics, done), nil
}

// replace makes topics the set, and asks the session for the difference if there is one: an
// errand is nil where nothing is to be done. count is told how many there are before any
// result is.
func (l *Lasting) replace(topics []Topic, done func(error), count func(int)) (removal, addition *errand, err error) {
	topics, err = l.cfg.canonical(topics)
	if err != nil {
		return nil, nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, nil, ErrClosed
	}
	if err := l.cfg.checkLimits(topics, nil); err != nil {
		return nil, nil, err
	}
	keep := setOf(topics)
	var removed []Topic
	for _, t := range l.wanted.list() {
		if !keep[t] {
			l.wanted.remove(t)
			removed = append(removed, t)
		}
	}
	n := 0
	if len(removed) > 0 {
		if removal = l.unsubscribe(removed, done); removal != nil {
			n++
		}
	}
	if added := l.wanted.addAll(topics); len(added) > 0 {
		if addition = l.subscribe(added, added, done); addition != nil {
			n++
		}
	}
	count(n) // no result is told before the lock is free
	return removal, addition, nil
}

// subscribe asks for topics, of which some are new. It is called under the lock.
func (l *Lasting) subscribe(topics, added []Topic, done func(error)) *errand {
	if !l.begun {
		return nil
	}
	for _, t := range topics {
		delete(l.dropped, t)
	}
	e := newErrand(subscribe, topics, done)
	e.turn, e.added = l.wanted.turn, added
	l.begin(e)
	return e
}

// unsubscribe ends topics, which there are none of without a session. It is called under the
// lock.
func (l *Lasting) unsubscribe(topics []Topic, done func(error)) *errand {
	for _, t := range topics {
		delete(l.dropped, t)
	}
	if !l.ready {
		return nil
	}
	e := newErrand(unsubscribe, topics, done)
	l.begin(e)
	return e
}

// begin takes an errand on, and has the driver serve it if there is a session to ask.
func (l *Lasting) begin(e *errand) {
	if e.then == nil {
		e.then = l.cfg.logResult
	}
	l.errands = append(l.errands, e)
	if s := l.session; l.ready {
		l.driver.Post(func() { l.serve(e, s) })
	}
}

// serve asks a session what an errand wants, if that is the one to ask.
func (l *Lasting) serve(e *errand, s *Session) {
	if k := l.link; k != nil && k.session == s && !e.told.Load() {
		e.serve(s, func(err error) { l.answered(e, err) })
	}
}

// answered takes what a session has answered. The end of the connection is no answer: the
// topics are wanted, and the next session is asked for them.
func (l *Lasting) answered(e *errand, err error) {
	var r *SubscribeError
	isResult := errors.As(err, &r)
	if e.action == subscribe {
		switch {
		case isResult:
			l.drop(r.Refused, e.turn, true)
		case err != nil: // never sent
			l.drop(e.added, e.turn, false)
		}
		if isResult && r.Err != nil {
			e.keep(r)
			return
		}
	} else if isResult && r.Err != nil {
		err = nil
	}
	l.finish(e, err)
}

// finish tells the result of an errand.
func (l *Lasting) finish(e *errand, err error) {
	l.mu.Lock()
	if i := slices.Index(l.errands, e); i >= 0 {
		l.errands = slices.Delete(l.errands, i, i+1)
	}
	l.mu.Unlock()
	e.tell(err)
}

// open returns the errands that wait for an answer.
func (l *Lasting) open() []*errand {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.errands)
}

// settle answers errands that no session will.
func (l *Lasting) settle(cause error) {
	l.answer(l.open(), func(e *errand) error { return e.soFar(cause) })
}

// answer tells errands their results. A done that panics keeps no other from being called.
func (l *Lasting) answer(errands []*errand, result func(*errand) error) {
	if len(errands) > 0 {
		defer l.answer(errands[1:], result)
		l.finish(errands[0], result(errands[0]))
	}
}

// mended is told of a topic that was put down as refused and is granted all the same: it is
// wanted, unless somebody has thought better of it.
func (l *Lasting) mended(t Topic) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dropped[t] {
		delete(l.dropped, t)
		l.wanted.add(t)
	}
}

// logResult logs what came of a request that nobody waits for.
func (c *Config) logResult(err error) {
	var e *SubscribeError
	switch {
	case errors.As(err, &e) && e.Err == nil:
		c.Logger.Warn("not all topics acknowledged", "err", err)
	case err != nil && e == nil:
		c.Logger.Warn("request not sent", "err", err)
	}
}

// drop takes topics that cannot be had from the set, but for those that were asked for
// again after the turn.
func (l *Lasting) drop(topics []Topic, turn uint64, refused bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range topics {
		p, wanted := l.wanted.index[t]
		if !wanted || p.turn > turn {
			continue
		}
		l.wanted.remove(t)
		if refused {
			if l.dropped == nil {
				l.dropped = map[Topic]bool{}
			}
			l.dropped[t] = true
		}
	}
}

// checkLimits refuses topics that would, with those of the set, go beyond a channel's limit.
func (c *Config) checkLimits(topics []Topic, set map[Topic]place) error {
	if !slices.ContainsFunc(c.Market.channels(), func(ch *channel) bool { return ch.limits(topics) }) {
		return nil
	}
	wanted := ledger{market: c.Market, maxQuote: c.MaxOptionQuotes, held: map[Topic]holding{}}
	for t := range set {
		wanted.held[t] = granted
	}
	return wanted.checkLimits(topics)
}

// topicSet is a set that keeps the order in which it was filled.
type topicSet struct {
	index map[Topic]place
	order []Topic // with zero Topics where one was removed
	turn  uint64  // counts the calls of add
}

// place is where a topic stands in the order, and when it was asked for last.
type place struct {
	at   int
	turn uint64
}

// add reports whether t is new.
func (s *topicSet) add(t Topic) bool {
	if s.index == nil {
		s.index = map[Topic]place{}
	}
	s.turn++
	if p, ok := s.index[t]; ok {
		s.index[t] = place{p.at, s.turn}
		return false
	}
	s.index[t] = place{len(s.order), s.turn}
	s.order = append(s.order, t)
	return true
}

// addAll adds topics and returns those that are new.
func (s *topicSet) addAll(topics []Topic) (added []Topic) {
	for _, t := range topics {
		if s.add(t) {
			added = append(added, t)
		}
	}
	return added
}

func (s *topicSet) remove(t Topic) {
	p, ok := s.index[t]
	if !ok {
		return
	}
	delete(s.index, t)
	s.order[p.at] = Topic{}
	if len(s.order) > 64 && len(s.order) > 2*len(s.index) {
		s.order = s.list()
		for i, t := range s.order {
			s.index[t] = place{i, s.index[t].turn}
		}
	}
}

func (s *topicSet) list() []Topic {
	list := make([]Topic, 0, len(s.index))
	for _, t := range s.order {
		if t != (Topic{}) {
			list = append(list, t)
		}
	}
	return list
}
