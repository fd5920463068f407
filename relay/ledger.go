package relay

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
)

// This file is the ledger of a market's subscriptions: who of the clients wants what, what the
// upstream was asked for on behalf of all of them, and who is told what came of it. What the
// upstream is asked for follows what the clients want, by difference: what is new is asked for
// before what is old is given up, and what nobody wants any more lingers first.
//
// All of a channel (T.*) carries its symbols (T.A): while the upstream has it, or was asked for
// it, symbols are not asked for, nor given up. Before All is given up the symbols that are still
// wanted are asked for; the session asks for them again behind it.

// upstream is what a ledger asks for topics, a [tickstorm.Client] that runs.
type upstream interface {
	Request(done func(error), topics ...tickstorm.Topic) error
	Withdraw(done func(error), topics ...tickstorm.Topic) error
	Granted() []tickstorm.Topic
	Topics() []tickstorm.Topic
}

// subscriber is a client as a ledger sees it. Its methods wait for nothing. No event of
// what it is granted comes before the statuses, and none is missing behind them.
type subscriber interface {
	answer(statuses ...dialogue.Status)
	grant(statuses []dialogue.Status, topics []tickstorm.Topic)
	unwant(topics ...tickstorm.Topic)
}

// standing is how a topic stands with the upstream.
type standing uint8

const (
	absent     standing = iota // not asked for
	asked                      // asked for, by a request or by the connection that follows a broken one
	unanswered                 // asked for, and given up waiting; an answer may still come
	granted
)

// entry is a topic that somebody wants, or that the upstream has.
type entry struct {
	id    tickstorm.Topic
	in    *channel
	up    standing
	since int64 // it is granted, over all connections, in nanoseconds since 1970; 0 is not
	open  int   // requests for it that are under way
	holds map[subscriber]*hold
	until *time.Time // when it is given up, if nobody wants it by then; nil for never
	gone  bool       // it is not in the ledger any more

	catching catching
}

// hold is what a subscriber has of a topic.
type hold struct {
	number   uint64   // in the order of the subscriber's
	spelling string   // of the last request
	waiting  []string // spellings of requests that are not acknowledged
	since    time.Time
	told     bool // that it is pending
}

// maxSpellings bounds how many spellings of one topic are answered.
const maxSpellings = 8

// channel is the topics of a channel.
type channel struct {
	all  *entry
	some map[string]*entry // by symbol
}

// membership is a subscriber's topics.
type membership struct {
	holds    map[*entry]*hold
	last     uint64      // number of the newest
	most     int         // topics that it may hold; 0 is what the ledger allows each
	reminder *time.Timer // of what has no answer; nil if there is nothing
}

type ledger struct {
	market      tickstorm.Market
	optionLimit int           // contracts of a channel, of all subscribers together
	topicLimit  int           // topics of one subscriber
	linger      time.Duration // how long what nobody wants is kept
	patience    time.Duration // how long an answer is waited for without a word
	heard       func() int64  // when the upstream's last message was received, in nanoseconds since 1970

	mu        sync.Mutex // protects what follows
	up        upstream
	channels  map[string]*channel
	members   map[subscriber]*membership
	lingering []lingerer // in the order of their time
	idle      int        // of them, those that are still meant
	timer     *time.Timer
	closed    bool
	recalls   bool  // the upstream's connection has sent something of the past
	sent      int64 // when it last did, but for what may be live at once
	reached   int64 // it has sent it of topics that were acknowledged before, or will not
}

// lingerer is an entry that was to be given up at a time; if that has changed, it is not meant.
type lingerer struct {
	e  *entry
	at *time.Time
}

func (l lingerer) meant() bool { return !l.e.gone && l.e.until == l.at }

func newLedger(m tickstorm.Market, up upstream) *ledger {
	return &ledger{
		market: m, up: up, channels: map[string]*channel{}, members: map[subscriber]*membership{},
		heard: func() int64 { return time.Now().UnixNano() },
	}
}

// join makes somebody a subscriber. Before that, and after leave, it is nobody.
func (l *ledger) join(m subscriber) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.members[m] == nil && !l.closed {
		l.members[m] = &membership{holds: map[*entry]*hold{}}
	}
}

// leave gives up all that a subscriber has. It is told nothing any more.
func (l *ledger) leave(m subscriber) {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := l.members[m]
	if mine == nil {
		return
	}
	delete(l.members, m)
	if mine.reminder != nil {
		mine.reminder.Stop()
	}
	for e := range mine.holds {
		delete(e.holds, m)
		l.release(e)
	}
}

// close ends the ledger: nothing is asked or told any more.
func (l *ledger) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	for _, mine := range l.members {
		if mine.reminder != nil {
			mine.reminder.Stop()
		}
	}
	clear(l.members)
}

// subscribe takes a request. What the upstream has granted is acknowledged at once.
func (l *ledger) subscribe(m subscriber, topics []dialogue.Asked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := l.members[m]
	if mine == nil {
		return
	}
	r := replies{}
	defer r.send()
	if n := l.tooMany(mine, topics); n > 0 {
		r.answer(m, slices.Repeat([]dialogue.Status{dialogue.SubscriptionLimit}, n)...)
		return
	}
	var need []*entry
	now, waits := time.Now(), false
	for _, t := range topics {
		if !l.sendable(t.Topic) {
			r.answer(m, dialogue.NotAuthorized)
			continue
		}
		e := l.entry(t.ID)
		h := e.holds[m]
		if h == nil {
			mine.last++
			h = &hold{number: mine.last}
			e.holds[m], mine.holds[e] = h, h
		}
		l.keep(e)
		h.spelling = t.Topic.String()
		carrier := e.carrier()
		if carrier.up == granted {
			r.answer(m, dialogue.Subscribed(h.spelling))
			r.want(m, e.id)
			continue
		}
		h.wait(now)
		waits = true
		if carrier == e && e.up != asked {
			e.up = asked
			need = append(need, e)
		}
	}
	l.makeRoom(need)
	l.request(need, nil)
	if waits && mine.reminder == nil {
		mine.reminder = time.AfterFunc(l.patience, func() { l.remind(m, mine) })
	}
}

// unsubscribe takes a request to end topics. All are acknowledged, those that were not held too.
func (l *ledger) unsubscribe(m subscriber, topics []dialogue.Asked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := l.members[m]
	if mine == nil {
		return
	}
	r := replies{}
	defer r.send()
	for _, t := range topics {
		if e := l.find(t.ID); e != nil && e.holds[m] != nil {
			delete(e.holds, m)
			delete(mine.holds, e)
			r.unwant(m, e.id)
			l.release(e)
		}
		r.answer(m, dialogue.Unsubscribed(t.Topic.String()))
	}
}

// wait notes that the last spelling has no answer yet.
func (h *hold) wait(now time.Time) {
	h.since, h.told = now, false
	if !slices.Contains(h.waiting, h.spelling) {
		if len(h.waiting) == maxSpellings {
			h.waiting = h.waiting[1:]
		}
		h.waiting = append(h.waiting, h.spelling)
	}
}

// tooMany returns how many topics of a request are refused because they would be too many: for
// the subscriber, or for the upstream.
func (l *ledger) tooMany(mine *membership, topics []dialogue.Asked) int {
	if most := l.most(mine); len(mine.holds)+len(topics) > most {
		more := map[tickstorm.Topic]bool{}
		for _, t := range topics {
			if e := l.find(t.ID); e == nil || mine.holds[e] == nil {
				more[t.ID] = true
			}
		}
		if len(more) > 0 && len(mine.holds)+len(more) > most {
			return len(topics)
		}
	}
	if l.market != tickstorm.Options || l.optionLimit < 0 {
		return 0
	}
	held := map[tickstorm.Topic]bool{}
	for e := range l.entries() {
		if len(e.holds) > 0 {
			held[e.id] = true
		}
	}
	return dialogue.OverLimit(l.market, l.optionLimit, held, topics)
}

// makeRoom gives up at once what lingers where the upstream would have too many contracts with
// what it is asked for next.
func (l *ledger) makeRoom(need []*entry) {
	if l.market != tickstorm.Options || l.optionLimit < 0 {
		return
	}
	var idle []*entry
	for _, name := range dialogue.LimitedChannels {
		c := l.channels[name]
		if c == nil || !slices.ContainsFunc(need, func(e *entry) bool { return e.in == c }) {
			continue
		}
		have := 0
		var unwanted []*entry
		for _, e := range c.some {
			if e.up == absent {
				continue
			}
			have++
			if len(e.holds) == 0 {
				unwanted = append(unwanted, e)
			}
		}
		if have > l.optionLimit {
			idle = append(idle, unwanted...)
		}
	}
	l.withdraw(idle)
}

// sendable reports whether a topic can be asked for at all.
func (l *ledger) sendable(t tickstorm.Topic) bool {
	stream, ok := l.market.StreamOf(t.Channel)
	if !ok {
		return false
	}
	_, err := l.market.Topics(stream, t.Symbol)
	return err == nil
}

// request asks the upstream for topics. then, if not nil, is called under the lock with their
// answer.
func (l *ledger) request(need []*entry, then func(error)) {
	if len(need) == 0 {
		return
	}
	ids := make([]tickstorm.Topic, len(need))
	for i, e := range need {
		ids[i] = e.id
		e.up = asked
		e.catching = catching{owed: e.catching.owed}
		e.open++
	}
	done := func(err error) {
		for _, e := range need {
			e.open--
		}
		l.answered(need, err)
		if then != nil {
			then(err)
		}
	}
	err := l.up.Request(func(err error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.closed {
			done(err)
		}
	}, ids...)
	switch {
	case errors.Is(err, tickstorm.ErrClosed): // nobody is answered any more
	case err != nil:
		done(err)
	}
}

// answered takes what came of a request.
func (l *ledger) answered(need []*entry, err error) {
	r := replies{}
	result := new(tickstorm.SubscribeError)
	isResult := errors.As(err, &result)
	words := refusal(err)
	refused, pending := setOf(result.Refused), setOf(result.Pending)
	var stranded []*entry
	for _, e := range need {
		switch {
		case e.gone:
		case pending[e.id]:
			stranded = append(stranded, l.unanswer(e, &r)...)
		case refused[e.id] || err != nil && !isResult:
			stranded = append(stranded, l.refuse(e, words, &r)...)
		default:
			l.grant(e, &r)
		}
		l.doubt(e, &r)
	}
	l.passOn(need, pending, result, &r)
	r.send()
	l.request(stranded, nil)
}

// passOn tells those whose topics have no answer what the upstream has said of nobody.
func (l *ledger) passOn(need []*entry, pending map[tickstorm.Topic]bool, result *tickstorm.SubscribeError, r *replies) {
	if len(result.Refusals) == 0 {
		return
	}
	topics := map[subscriber]int{}
	for _, e := range need {
		if pending[e.id] {
			for m := range e.holds {
				topics[m]++
			}
		}
	}
	for m, n := range topics {
		if unnamed := min(n, result.Unnamed); unnamed > 0 {
			r.answer(m, slices.Repeat([]dialogue.Status{refusal(result)}, unnamed)...)
		}
		for _, said := range result.Refusals {
			if said.Code == tickstorm.StatusRefused {
				r.answer(m, dialogue.Status{Status: said.Status, Message: said.Message})
			}
		}
	}
}

// refusal is in what words a topic is refused because of err.
func refusal(err error) dialogue.Status {
	var result *tickstorm.SubscribeError
	if errors.As(err, &result) {
		for _, said := range result.Refusals {
			if said.Code != tickstorm.StatusRefused {
				return dialogue.Status{Status: said.Status, Message: said.Message}
			}
		}
	}
	if errors.Is(err, tickstorm.ErrSubscriptionLimit) {
		return dialogue.SubscriptionLimit
	}
	return dialogue.NotAuthorized
}

// grant puts down that the upstream has a topic, and acknowledges it, or all that it carries.
func (l *ledger) grant(e *entry, r *replies) {
	e.up = granted
	e.catching.since = l.heard()
	if e.since == 0 {
		if e.since = e.grantedSince(); e.since == 0 {
			e.since = time.Now().UnixNano()
		}
	}
	e.acknowledge(r)
	if e.id.Symbol == tickstorm.All {
		for _, carried := range e.in.some {
			carried.acknowledge(r)
		}
	}
}

// acknowledge tells who waits for a topic.
func (e *entry) acknowledge(r *replies) {
	for m, h := range e.holds {
		for _, spelling := range h.waiting {
			r.answer(m, dialogue.Subscribed(spelling))
			r.want(m, e.id)
		}
		h.waiting, h.told = nil, false
	}
}

// refuse puts down that the upstream does not have a topic, and returns what has to be asked for
// instead.
func (l *ledger) refuse(e *entry, words dialogue.Status, r *replies) []*entry {
	e.up, e.since, e.catching = absent, 0, catching{}
	if e.carrier() == e {
		l.dismiss(e, words, r)
	}
	l.release(e)
	return l.stranded(e)
}

// dismiss refuses a topic to all who hold it.
func (l *ledger) dismiss(e *entry, words dialogue.Status, r *replies) {
	for m, h := range e.holds {
		for range max(1, len(h.waiting)) {
			r.answer(m, words)
		}
		r.unwant(m, e.id)
		delete(l.members[m].holds, e)
		delete(e.holds, m)
	}
}

// unanswer puts down that the upstream has not answered, and says so. Events may come all the
// same.
func (l *ledger) unanswer(e *entry, r *replies) []*entry {
	e.up, e.since = unanswered, 0
	if e.carrier() == e {
		for m, h := range e.holds {
			if len(h.waiting) == 0 { // a connection that broke had it
				h.waiting, h.told = []string{h.spelling}, false
			}
			h.remind(m, e, r)
		}
	}
	l.release(e)
	return l.stranded(e)
}

// remind says of a topic that it is pending, once.
func (h *hold) remind(m subscriber, e *entry, r *replies) {
	if h.told {
		return
	}
	h.told = true
	for _, spelling := range h.waiting {
		r.answer(m, dialogue.PendingNote(spelling))
	}
	r.want(m, e.id)
}

// stranded returns the symbols that have to be asked for because All does not carry them any
// more.
func (l *ledger) stranded(all *entry) []*entry {
	var need []*entry
	if all.id.Symbol != tickstorm.All {
		return nil
	}
	for _, e := range all.in.some {
		switch {
		case len(e.holds) == 0:
			l.release(e)
		case e.up == absent:
			need = append(need, e)
		}
	}
	return need
}

// doubt says of symbols that have no answer of their own, where All does not carry them any more,
// that they are pending.
func (l *ledger) doubt(all *entry, r *replies) {
	if all.id.Symbol != tickstorm.All {
		return
	}
	for _, e := range all.in.some {
		if e.up == unanswered {
			l.unanswer(e, r)
		}
	}
}

// remind tells a subscriber what has had no answer for a while.
func (l *ledger) remind(m subscriber, mine *membership) {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine.reminder = nil
	if l.members[m] != mine {
		return
	}
	r := replies{}
	defer r.send()
	now := time.Now()
	next := time.Duration(0)
	for e, h := range mine.holds {
		if len(h.waiting) == 0 || h.told {
			continue
		}
		if left := l.patience - now.Sub(h.since); left <= 0 {
			h.remind(m, e, &r)
		} else if next == 0 || left < next {
			next = left
		}
	}
	if next > 0 {
		mine.reminder = time.AfterFunc(next, func() { l.remind(m, mine) })
	}
}

// acked takes an acknowledgement that the upstream gave to nobody's question: it comes late. What
// nobody has asked for is given back.
func (l *ledger) acked(t tickstorm.Topic) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t = l.market.Canonical(t)
	e := l.find(t)
	switch {
	case l.closed:
	case e == nil:
		if slices.Contains(l.up.Topics(), t) {
			_ = l.up.Withdraw(nil, t)
		}
	case e.up == unanswered:
		r := replies{}
		l.grant(e, &r)
		r.send()
	}
}

// down is told that the upstream's connection has broken: the next one has to be granted all
// anew. It returns what topics lack of which that one was still sending the past.
func (l *ledger) down() missing {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.interrupt()
	for e := range l.entries() {
		if e.up == granted {
			e.up = asked
		}
	}
	return m
}

// streaming is told that the upstream's next connection has answers to all that it was asked for.
func (l *ledger) streaming(change *tickstorm.StateChange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	has, refused := setOf(l.up.Granted()), setOf(change.Refused)
	r := replies{}
	var stranded []*entry
	for _, e := range slices.Collect(l.entries()) {
		switch {
		case e.gone || e.open > 0 || e.up != asked && e.up != unanswered:
		case has[e.id]:
			l.grant(e, &r)
		case refused[e.id]:
			stranded = append(stranded, l.refuse(e, dialogue.NotAuthorized, &r)...)
		default:
			stranded = append(stranded, l.unanswer(e, &r)...)
		}
	}
	r.send()
	l.request(stranded, nil)
}

func setOf(topics []tickstorm.Topic) map[tickstorm.Topic]bool {
	set := make(map[tickstorm.Topic]bool, len(topics))
	for _, t := range topics {
		set[t] = true
	}
	return set
}
