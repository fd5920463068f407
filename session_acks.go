package tickstorm

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// This file is the ledger of what was asked of the server and what it answered. The
// wire makes that a matter of inference: requests have no id; an acknowledgement
// names its topic in the spelling of the request; a refusal names nothing; a topic
// that is held already is not answered again, and one of an unknown channel never.
// So one request is in flight at a time, and refusals are put down to it.

// SubscribeError says how far a subscription (or its end) came. Topics are in
// canonical form. It unwraps to Err and to the Refusals, so that errors.Is finds
// [ErrNotAuthorized], [ErrSubscriptionLimit], [ErrNotRealTime] or a context's error.
type SubscribeError struct {
	// Acked were acknowledged.
	Acked []Topic
	// Pending were not answered: asked for and perhaps granted, or never sent because
	// the wait ended before. A topic of a channel that the server does not know is
	// always pending.
	Pending []Topic
	// Unnamed is how many of the Pending were refused: the server does not say which.
	// Errors whose text the library does not know are not counted.
	Unnamed int
	// Refused are the topics of a request that was answered in full, with refusals for
	// these. Where the answer was incomplete, refused topics are among the Pending.
	Refused []Topic
	// Refusals are the server's words, which name no topic. Among them are errors whose text
	// the library does not know ([StatusRefused]): those have refused nothing that is known.
	Refusals []*StatusError
	// Err is why the wait ended before its time: the end of the connection, or of the
	// context. nil if every request was waited for.
	Err error
}

// Error sums up.
func (e *SubscribeError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d topics acknowledged", len(e.Acked), len(e.Acked)+len(e.Pending)+len(e.Refused))
	for _, list := range []struct {
		name   string
		topics []Topic
	}{{"refused", e.Refused}, {"pending", e.Pending}} {
		if len(list.topics) > 0 {
			fmt.Fprintf(&b, ", %d %s (%s", len(list.topics), list.name, list.topics[0])
			if len(list.topics) > 1 {
				b.WriteString(" …")
			}
			b.WriteByte(')')
		}
	}
	if len(e.Refusals) > 0 {
		fmt.Fprintf(&b, ": %v", e.Refusals[0])
		if len(e.Refusals) > 1 {
			fmt.Fprintf(&b, " (and %d more)", len(e.Refusals)-1)
		}
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Unwrap returns the causes.
func (e *SubscribeError) Unwrap() []error {
	var errs []error
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	for _, r := range e.Refusals {
		errs = append(errs, r)
	}
	return errs
}

const (
	subscribe   = "subscribe"
	unsubscribe = "unsubscribe"
)

// settle is how long more answers are waited for where it is not known how many will come:
// of refusals that speak for a whole request the server prints about one for each topic, of
// which the first tells all; and an answer that is not understood may have been the last.
const settle = time.Second

// request is one call: topics that share a result.
type request struct {
	action string
	topics []Topic
	left   int         // topics without a result
	done   func(error) // nil if nobody waits

	mu     sync.Mutex // protects result: who stops waiting reads it
	result SubscribeError
}

// update changes the result.
func (r *request) update(change func(*SubscribeError)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.result)
}

// soFar is the result for somebody who does not wait any longer, from any goroutine.
func (r *request) soFar(err error) *SubscribeError {
	r.mu.Lock()
	defer r.mu.Unlock()
	answered := make(map[Topic]bool, len(r.result.Acked)+len(r.result.Refused))
	for _, t := range slices.Concat(r.result.Acked, r.result.Refused) {
		answered[t] = true
	}
	e := &SubscribeError{
		Acked: slices.Clone(r.result.Acked), Refused: slices.Clone(r.result.Refused),
		Refusals: slices.Clone(r.result.Refusals), Unnamed: r.result.Unnamed, Err: err,
	}
	for _, t := range r.topics {
		if !answered[t] {
			e.Pending = append(e.Pending, t)
		}
	}
	return e
}

// holding is what is known of a topic that was asked for; 0 is no answer.
type holding uint8

const (
	granted holding = 1 << iota // acknowledged
	leaving                     // its end was asked for, and that not answered
)

// chunk is the part of a request that fits a message.
type chunk struct {
	*request
	topics   []Topic   // once it is in flight, those without a result
	limit    time.Time // of the wait for answers
	deadline time.Time // limit, or earlier
	refusals int       // that came and may each be one of the topics
	refused  bool      // as a whole; waiting for the refusals to settle
	doubted  bool      // an answer was not understood; waiting for the answers to settle
	answered bool      // by a server that knows the channel; else it holds nobody up
	ends     []Topic   // of an unsubscribe, what it was sent for
	again    bool      // the topics are held already; see overlap
}

type ledger struct {
	market   Market
	keepCase bool
	perChunk int
	maxQuote int // Config.MaxOptionQuotes
	timeout  time.Duration

	mu     sync.Mutex        // protects held from other goroutines, which only read it
	held   map[Topic]holding // see hold
	queue  []*chunk
	flight []*chunk // at most one of them is answered; the others wait out their time
	refuse uint64   // refusals counted

	grants        int    // how many of held are acknowledged
	refusedTopics uint64 // those that are known to be
	// refused are topics that refusals were put down to. Since those name none, that can be
	// wrong: an acknowledgement that comes all the same is the truth.
	refused map[Topic]bool
	mended  func(Topic) // is told of it; nil for nobody

	finished []*request // whose results have not been told yet
}

// add puts a request in the queue. done, if not nil, is called once, by report.
func (l *ledger) add(action string, topics []Topic, done func(error)) (*request, error) {
	if len(topics) == 0 {
		return nil, ErrNoSymbols
	}
	r := &request{action: action, done: done}
	known := make([]Topic, 0, len(topics))
	var unknown []Topic
	seen := make(map[Topic]bool, len(topics))
	for _, t := range topics {
		t, err := l.market.topic(t, l.keepCase)
		if err != nil {
			return nil, err
		}
		if seen[t] {
			continue
		}
		seen[t] = true
		if _, ok := l.market.StreamOf(t.Channel); ok {
			known = append(known, t)
		} else {
			unknown = append(unknown, t)
		}
	}
	if action == subscribe {
		if err := l.checkLimits(known); err != nil {
			return nil, err
		}
	}
	r.topics = slices.Concat(known, unknown)
	r.left = len(r.topics)
	for part := range slices.Chunk(known, l.perChunk) {
		l.queue = append(l.queue, &chunk{request: r, topics: part, answered: true})
	}
	for part := range slices.Chunk(unknown, l.perChunk) {
		l.queue = append(l.queue, &chunk{request: r, topics: part})
	}
	return r, nil
}

// checkLimits refuses a subscription that would take a channel beyond its limit once
// all that is queued before it has been done.
func (l *ledger) checkLimits(topics []Topic) error {
	for _, c := range l.market.channels() {
		if !c.limits(topics) || l.maxQuote < 0 {
			continue
		}
		set := map[Topic]bool{}
		count := func(action string, topics []Topic) {
			for _, t := range topics {
				switch {
				case t.Channel != c.name:
				case action == subscribe:
					set[t] = true
				default:
					delete(set, t)
				}
			}
		}
		for t := range l.held {
			count(subscribe, []Topic{t})
		}
		for _, ch := range slices.Concat(l.flight, l.queue) {
			count(ch.action, ch.topics)
		}
		before := len(set)
		switch count(subscribe, topics); {
		case len(set) == before: // nothing new
		case set[Topic{c.name, All}]:
			return fmt.Errorf("%w: all of %s are more than the %d topics that can be held", ErrSubscriptionLimit, c.name, l.maxQuote)
		case len(set) > l.maxQuote:
			return fmt.Errorf("%w: %d topics of %s would be held, at most %d can be", ErrSubscriptionLimit, len(set), c.name, l.maxQuote)
		}
	}
	return nil
}

// limits reports whether the channel has a limit that concerns some of the topics.
func (c *channel) limits(topics []Topic) bool {
	return c.limited && slices.ContainsFunc(topics, func(t Topic) bool { return t.Channel == c.name })
}

// next returns the next message to send, if one can be sent now.
func (l *ledger) next(now time.Time, buf []byte) ([]byte, bool) {
	for len(l.queue) > 0 {
		c := l.queue[0]
		if c.answered && slices.ContainsFunc(l.flight, func(f *chunk) bool { return f.answered }) {
			return nil, false
		}
		l.queue[0] = nil
		l.queue = l.queue[1:]
		l.skip(c)
		if len(c.topics) == 0 {
			continue
		}
		if c.again {
			return appendRequest(buf, c.action, c.topics), true
		}
		for _, t := range c.topics {
			if c.action == subscribe {
				delete(l.refused, t)
				l.hold(t, 0)
			} else {
				l.hold(t, l.held[t]|leaving)
			}
		}
		if c.action == unsubscribe {
			c.ends = slices.Clone(c.topics)
		}
		c.limit = now.Add(l.timeout)
		c.deadline = c.limit
		l.flight = append(l.flight, c)
		return appendRequest(buf, c.action, c.topics), true
	}
	return nil, false
}

// skip settles the topics that the server would not answer: those that are held
// already, or not held at all.
func (l *ledger) skip(c *chunk) {
	if c.again {
		c.topics = slices.DeleteFunc(c.topics, func(t Topic) bool {
			h, held := l.held[t]
			return !held || h&leaving != 0
		})
		return
	}
	send := c.topics[:0:0]
	for _, t := range c.topics {
		now, held := l.held[t]
		if c.action == subscribe && now == granted || c.action == unsubscribe && !held {
			l.acked(c.request, t)
		} else {
			send = append(send, t)
		}
	}
	c.topics = send
}

// ack takes the acknowledgement of one topic, late ones included.
func (l *ledger) ack(action string, t Topic, now time.Time) {
	t = l.market.canonical(t, l.keepCase)
	i, j := l.find(action, t)
	if i >= 0 {
		c := l.flight[i]
		l.grant(c, j)
		c.settle(now)
		l.check(i)
		return
	}
	// After its time. What was asked for since then counts: the server answers in order.
	switch now, held := l.held[t]; {
	case !held:
		if action == subscribe && l.refused[t] {
			delete(l.refused, t)
			l.refusedTopics--
			l.hold(t, granted)
			if l.mended != nil {
				l.mended(t)
			}
		}
	case action == subscribe && now&leaving == 0:
		l.hold(t, granted)
	case action == unsubscribe && now != 0:
		l.release(t)
	}
}

// find returns the chunk in flight that a topic was asked for by, and its place there; -1 if
// there is none. A topic that nothing is known of is one of them in a spelling of the server's
// own, if it can be one only.
func (l *ledger) find(action string, t Topic) (chunk, topic int) {
	for i, c := range l.flight {
		if c.action == action {
			if j := slices.Index(c.topics, t); j >= 0 {
				return i, j
			}
		}
	}
	chunk, topic = -1, -1
	if _, held := l.held[t]; held || l.refused[t] {
		return chunk, topic
	}
	for i, c := range l.flight {
		for j, asked := range c.topics {
			if c.action != action || !asked.resembles(t) {
				continue
			}
			if chunk >= 0 {
				return -1, -1
			}
			chunk, topic = i, j
		}
	}
	return chunk, topic
}

// resembles reports whether topics are the same but for case and separators.
func (t Topic) resembles(o Topic) bool {
	return strings.EqualFold(t.Channel, o.Channel) && strings.EqualFold(unparted(t.Symbol), unparted(o.Symbol))
}

// unparted returns a symbol without its separators.
func unparted(symbol string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("-/.", r) {
			return -1
		}
		return r
	}, symbol)
}

// ackAll takes an acknowledgement that names no topic; action is "" if it does not say of
// what it is one.
func (l *ledger) ackAll(action string, now time.Time) {
	for i, c := range l.flight {
		if !c.answered {
			continue
		}
		if action != "" && action != c.action {
			l.doubt(now)
			return
		}
		for len(c.topics) > 0 {
			l.grant(c, 0)
		}
		l.check(i)
		return
	}
}

// doubt takes an answer that is not understood: nothing follows from it but that the request
// in flight is being answered.
func (l *ledger) doubt(now time.Time) {
	for _, c := range l.flight {
		if c.answered {
			c.doubted = true
			c.settle(now)
			return
		}
	}
}

// settle makes the wait for further answers a short one, if that is in order.
func (c *chunk) settle(now time.Time) {
	if c.doubted && !c.refused {
		c.deadline = earlier(c.limit, now.Add(settle))
	}
}

func (l *ledger) grant(c *chunk, i int) {
	t := c.topics[i]
	if c.action == subscribe {
		l.hold(t, granted)
	} else {
		l.release(t)
	}
	c.topics = slices.Delete(c.topics, i, i+1)
	l.acked(c.request, t)
}

// hold and release keep count of what is held.
func (l *ledger) hold(t Topic, h holding) {
	l.release(t)
	l.mu.Lock()
	l.held[t] = h
	l.mu.Unlock()
	if h&granted != 0 {
		l.grants++
	}
}

func (l *ledger) release(t Topic) {
	if l.held[t]&granted != 0 {
		l.grants--
	}
	l.mu.Lock()
	delete(l.held, t)
	l.mu.Unlock()
}

// acknowledged returns what is held for certain, sorted, to any goroutine.
func (l *ledger) acknowledged() []Topic {
	l.mu.Lock()
	defer l.mu.Unlock()
	var topics []Topic
	for t, h := range l.held {
		if h == granted {
			topics = append(topics, t)
		}
	}
	sortTopics(topics)
	return topics
}

func sortTopics(topics []Topic) {
	slices.SortFunc(topics, func(a, b Topic) int {
		return cmp.Or(cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Symbol, b.Symbol))
	})
}

// refusal takes a refusal of one topic, or of the whole request.
func (l *ledger) refusal(e *StatusError, whole bool, now time.Time) {
	l.refuse++
	for i, c := range l.flight {
		if !c.answered {
			continue
		}
		c.update(func(r *SubscribeError) { r.Refusals = append(r.Refusals, e) })
		c.refusals++
		if whole {
			c.refused = true
			c.deadline = now.Add(settle)
			return
		}
		c.settle(now)
		l.check(i)
		return
	}
}

// unclear takes an error that may be a refusal, or about something else: it is told with the
// result of the request in flight, and takes no topic from what is wanted.
func (l *ledger) unclear(e *StatusError, now time.Time) {
	l.refuse++
	for _, c := range l.flight {
		if c.answered {
			c.update(func(r *SubscribeError) { r.Refusals = append(r.Refusals, e) })
			break
		}
	}
	l.doubt(now)
}

// check ends the chunk in flight if every topic of it is accounted for.
func (l *ledger) check(i int) {
	c := l.flight[i]
	if len(c.topics) == 0 || !c.refused && c.refusals >= len(c.topics) {
		l.refuseRest(c)
		l.flight = slices.Delete(l.flight, i, i+1)
		l.overlap(c.ends)
	}
}

// overlap asks again for what is held beside topics that have ended: the symbols of a channel
// whose All has, or All where a symbol has. Whether they outlive that the vendor does not say. A
// server that has them still does not answer, so that such a request is never in flight: an answer
// is one that comes after its time.
func (l *ledger) overlap(ended []Topic) {
	again := map[Topic]bool{}
	for _, t := range ended {
		if t.Symbol != All {
			again[Topic{t.Channel, All}] = true
			continue
		}
		for o := range l.held {
			if o.Channel == t.Channel && o.Symbol != All {
				again[o] = true
			}
		}
	}
	var topics []Topic
	for t := range again {
		if h, held := l.held[t]; held && h&leaving == 0 {
			topics = append(topics, t)
		}
	}
	sortTopics(topics)
	for part := range slices.Chunk(topics, l.perChunk) {
		l.queue = append(l.queue, &chunk{request: &request{action: subscribe}, topics: slices.Clone(part), again: true})
	}
}

func (l *ledger) refuseRest(c *chunk) {
	for _, t := range c.topics {
		if c.action == subscribe {
			l.release(t)
			l.refusedTopics++
			if l.refused == nil {
				l.refused = map[Topic]bool{}
			}
			l.refused[t] = true
		} else if h, held := l.held[t]; held {
			l.hold(t, h&^leaving)
		}
	}
	c.update(func(r *SubscribeError) { r.Refused = append(r.Refused, c.topics...) })
	l.resolved(c.request, len(c.topics))
	c.topics = nil
}

// expire ends what was not answered in time.
func (l *ledger) expire(now time.Time) {
	var ended []Topic
	defer func() { l.overlap(ended) }()
	l.flight = slices.DeleteFunc(l.flight, func(c *chunk) bool {
		if now.Before(c.deadline) {
			return false
		}
		if c.refused {
			l.refuseRest(c)
			return true
		}
		c.update(func(r *SubscribeError) {
			r.Pending = append(r.Pending, c.topics...)
			r.Unnamed += c.refusals
		})
		l.resolved(c.request, len(c.topics))
		ended = append(ended, c.ends...)
		return true
	})
}

// deadline returns when expire has something to do, zero for never.
func (l *ledger) deadline() time.Time {
	var first time.Time
	for _, c := range l.flight {
		first = earlier(first, c.deadline)
	}
	return first
}

// end settles everything that is open because the connection is over.
func (l *ledger) end(err error) {
	for _, c := range slices.Concat(l.flight, l.queue) {
		c.update(func(r *SubscribeError) {
			if r.Err == nil {
				r.Err = err
			}
			r.Pending = append(r.Pending, c.topics...)
			r.Unnamed += c.refusals
		})
		l.resolved(c.request, len(c.topics))
	}
	l.flight, l.queue = nil, nil
}

func (l *ledger) acked(r *request, t Topic) {
	r.update(func(result *SubscribeError) { result.Acked = append(result.Acked, t) })
	l.resolved(r, 1)
}

func (l *ledger) resolved(r *request, n int) {
	r.left -= n
	if r.left > 0 || n == 0 || r.done == nil {
		return
	}
	l.finished = append(l.finished, r)
}

// report tells the results that are due. It is not done where they come up because
// whoever gets one may ask for more, or close, while the books are open.
func (l *ledger) report() {
	for len(l.finished) > 0 {
		r := l.finished[0]
		l.finished = l.finished[1:]
		if len(r.result.Pending) == 0 && len(r.result.Refused) == 0 {
			r.done(nil)
		} else {
			r.done(&r.result)
		}
	}
}

// earlier returns the earlier of two times, of which the zero Time is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
