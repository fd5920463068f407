package relay

import (
	"iter"
	"strings"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
)

// This file is how entries come into a ledger and leave it: what nobody wants any more lingers,
// so that a client that comes back does not make the upstream end and begin anew.

// entry returns the entry of a topic, a new one if there is none.
func (l *ledger) entry(t tickstorm.Topic) *entry {
	if e := l.find(t); e != nil {
		return e
	}
	t = tickstorm.Topic{Channel: strings.Clone(t.Channel), Symbol: strings.Clone(t.Symbol)} // which are parts of a request
	c := l.channels[t.Channel]
	if c == nil {
		c = &channel{some: map[string]*entry{}}
		l.channels[t.Channel] = c
	}
	e := &entry{id: t, in: c, holds: map[subscriber]*hold{}}
	if t.Symbol == tickstorm.All {
		c.all = e
	} else {
		c.some[t.Symbol] = e
	}
	return e
}

// find returns the entry of a topic, nil if there is none.
func (l *ledger) find(t tickstorm.Topic) *entry {
	c := l.channels[t.Channel]
	switch {
	case c == nil:
		return nil
	case t.Symbol == tickstorm.All:
		return c.all
	}
	return c.some[t.Symbol]
}

// entries iterates over all, those of All first.
func (l *ledger) entries() iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		for _, c := range l.channels {
			if c.all != nil && !yield(c.all) {
				return
			}
			for _, e := range c.some {
				if !yield(e) {
					return
				}
			}
		}
	}
}

// carrier returns the entry that decides whether the upstream sends a topic: its own, or that of
// All.
func (e *entry) carrier() *entry {
	if all := e.in.all; all != nil && (all.up == asked || all.up == granted) {
		return all
	}
	return e
}

// forget takes an entry out.
func (l *ledger) forget(e *entry) {
	if e.gone {
		return
	}
	l.keep(e)
	e.gone = true
	if e.id.Symbol == tickstorm.All {
		e.in.all = nil
	} else {
		delete(e.in.some, e.id.Symbol)
	}
}

// keep ends an entry's lingering.
func (l *ledger) keep(e *entry) {
	if e.until != nil {
		e.until = nil
		l.idle--
	}
}

// release is called when an entry may have become one that nobody wants.
func (l *ledger) release(e *entry) {
	switch {
	case len(e.holds) > 0 || e.gone || e.until != nil:
	case e.up == absent:
		l.forget(e)
	case e.carrier() != e: // to be given up with All, lest its end makes a hole in that
	default:
		at := time.Now().Add(l.linger)
		e.until = &at
		l.idle++
		if len(l.lingering) > 2*l.idle+64 {
			kept := l.lingering[:0]
			for _, w := range l.lingering {
				if w.meant() {
					kept = append(kept, w)
				}
			}
			clear(l.lingering[len(kept):])
			l.lingering = kept
		}
		l.lingering = append(l.lingering, lingerer{e, e.until})
		if len(l.lingering) == 1 {
			l.wakeAt(at)
		}
	}
}

// wakeAt has expire called at a time.
func (l *ledger) wakeAt(at time.Time) {
	if l.closed {
		return
	}
	if l.timer == nil {
		l.timer = time.AfterFunc(time.Until(at), l.expire)
		return
	}
	l.timer.Reset(time.Until(at))
}

// expire gives up what has lingered long enough.
func (l *ledger) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	now := time.Now()
	var some, all []*entry
	for len(l.lingering) > 0 {
		next := l.lingering[0]
		if next.meant() && next.at.After(now) {
			l.wakeAt(*next.at)
			break
		}
		l.lingering[0] = lingerer{}
		l.lingering = l.lingering[1:]
		if !next.meant() {
			continue
		}
		switch e := next.e; {
		case e.id.Symbol == tickstorm.All:
			all = append(all, e)
		case e.carrier() != e:
			l.keep(e)
		default:
			some = append(some, e)
		}
	}
	l.withdraw(some)
	for _, e := range all {
		l.narrow(e)
	}
}

// narrow gives up All of a channel: first the symbols that are wanted are asked for.
func (l *ledger) narrow(all *entry) {
	if all.gone || len(all.holds) > 0 || all.until == nil {
		return // somebody wants it again
	}
	var need []*entry
	end := []*entry{all}
	for _, e := range all.in.some {
		switch {
		case len(e.holds) > 0 && e.up == absent:
			need = append(need, e)
		case len(e.holds) == 0:
			end = append(end, e)
		}
	}
	if len(need) > 0 {
		l.request(need, func(err error) { l.narrowed(all, need, err) })
		return
	}
	l.withdraw(end)
	r := replies{}
	l.doubt(all, &r)
	r.send()
}

// narrowed goes on when the symbols that were asked for have an answer. What the upstream has
// refused ends with All.
func (l *ledger) narrowed(all *entry, need []*entry, err error) {
	r := replies{}
	defer r.send()
	if !all.gone && len(all.holds) == 0 {
		for _, e := range need {
			if !e.gone && e.up == absent {
				l.dismiss(e, refusal(err), &r)
				l.release(e)
			}
		}
	}
	l.narrow(all)
}

// withdraw gives topics up that nobody wants.
func (l *ledger) withdraw(entries []*entry) {
	if len(entries) == 0 {
		return
	}
	ids := make([]tickstorm.Topic, len(entries))
	for i, e := range entries {
		ids[i] = e.id
		l.forget(e)
	}
	_ = l.up.Withdraw(nil, ids...) // fails for no topics only
}

// replies are what subscribers are told together.
type replies struct {
	order []*reply
	by    map[subscriber]*reply
}

type reply struct {
	to             subscriber
	statuses       []dialogue.Status
	wants, unwants []tickstorm.Topic
}

func (r *replies) of(m subscriber) *reply {
	if p := r.by[m]; p != nil {
		return p
	}
	if r.by == nil {
		r.by = map[subscriber]*reply{}
	}
	p := &reply{to: m}
	r.by[m] = p
	r.order = append(r.order, p)
	return p
}

func (r *replies) answer(m subscriber, statuses ...dialogue.Status) {
	p := r.of(m)
	p.statuses = append(p.statuses, statuses...)
}

func (r *replies) want(m subscriber, t tickstorm.Topic) {
	p := r.of(m)
	p.wants = append(p.wants, t)
}

func (r *replies) unwant(m subscriber, t tickstorm.Topic) {
	p := r.of(m)
	p.unwants = append(p.unwants, t)
}

// send tells everybody.
func (r *replies) send() {
	for _, p := range r.order {
		if len(p.unwants) > 0 {
			p.to.unwant(p.unwants...)
		}
		switch {
		case len(p.wants) > 0:
			p.to.grant(p.statuses, p.wants)
		case len(p.statuses) > 0:
			p.to.answer(p.statuses...)
		}
	}
}
