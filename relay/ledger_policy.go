package relay

import (
	"cmp"
	"slices"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
)

// This file is how subscribers lose what they hold: because they may not have it any more, or
// because the upstream, which is a relay then, does not let this one have it.

// restrict bounds what a subscriber holds from now on: most topics, 0 is what the ledger allows
// each. What it may not hold any more, and of what is too much the newest, is taken from it, and
// it is told.
func (l *ledger) restrict(m subscriber, most int, allowed func(tickstorm.Topic) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := l.members[m]
	if mine == nil {
		return
	}
	mine.most = most
	var lost, kept []*entry
	for e := range mine.holds {
		if allowed(e.id) {
			kept = append(kept, e)
		} else {
			lost = append(lost, e)
		}
	}
	if most := l.most(mine); len(kept) > most {
		slices.SortFunc(kept, func(a, b *entry) int { return cmp.Compare(mine.holds[a].number, mine.holds[b].number) })
		lost = append(lost, kept[most:]...)
	}
	r := replies{}
	defer r.send()
	for _, e := range lost {
		l.take(m, mine, e, &r)
	}
}

// most returns how many topics a subscriber may hold.
func (l *ledger) most(mine *membership) int {
	if mine.most > 0 {
		return min(mine.most, l.topicLimit)
	}
	return l.topicLimit
}

// take takes a topic from a subscriber. What it has asked for and has no answer yet is refused
// besides.
func (l *ledger) take(m subscriber, mine *membership, e *entry, r *replies) {
	h := e.holds[m]
	delete(e.holds, m)
	delete(mine.holds, e)
	r.unwant(m, e.id)
	for range h.waiting {
		r.answer(m, dialogue.NotAuthorized)
	}
	r.answer(m, dialogue.WithdrawnNote(h.spelling))
	l.release(e)
}

// withdrawn is told that the upstream has taken a topic back.
func (l *ledger) withdrawn(t tickstorm.Topic) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t = l.market.Canonical(t)
	e := l.find(t)
	if l.closed || e == nil || e.up == absent {
		return
	}
	e.up, e.since, e.catching = absent, 0, catching{}
	r := replies{}
	if e.carrier() == e {
		for m := range e.holds {
			l.take(m, l.members[m], e, &r)
		}
	}
	l.release(e)
	_ = l.up.Withdraw(nil, t) // lest it is asked for again by each connection
	stranded := l.stranded(e)
	l.doubt(e, &r)
	r.send()
	l.request(stranded, nil)
}
