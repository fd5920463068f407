package relay

import (
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/past"
)

// This file is how the ledger of a relay behind a relay keeps account of what that sends of the past. Behind the
// acknowledgement of a topic come pieces of what was before, and until the last of them the topic is not live: what
// happens meanwhile is in these pieces alone, which are passed over, since a client that has asked for the past gets
// this relay's own. So those who have the topic are told a gap, from its acknowledgement to that last piece.
//
// After a connection that broke the gap of the upstream's client lasts until its topics are live, and is told for
// them; what is owed to that is not told twice.

// catching is how far the upstream has caught up with a topic, on this connection.
type catching struct {
	since int64 // what has come since then may be in the past alone: its acknowledgement, or the last piece of it
	ended bool  // a last piece has come
	more  bool  // pieces have come, and the last is still to come
	some  bool  // there was something in them
	owed  bool  // the gap of the upstream's client is still to be told, and will be of the topic
	other bool  // a history that does not name all of its topics may be of it
}

// soon is within what time an upstream that sends the past has begun with a topic that it has acknowledged, once it is
// at no other.
const soon = 10 * time.Second

// hole is a time in which events of topics came that were passed over.
type hole struct {
	from   int64
	topics []tickstorm.Topic
}

func (h *hole) add(from int64, t tickstorm.Topic) {
	if h.from == 0 || from < h.from {
		h.from = from
	}
	h.topics = append(h.topics, t)
}

// missing is a hole as a whole, of topics as the upstream has them, and as it concerns subscribers, of topics as
// they have them.
type missing struct {
	hole
	of map[subscriber]*hole
}

// recalled is told of a piece of the past, and when it came. It returns what its topics lack.
func (l *ledger) recalled(p *past.Piece, received int64) missing {
	l.mu.Lock()
	defer l.mu.Unlock()
	var m missing
	l.recalls = true
	if !atOnce(p) {
		l.sent = received
	}
	for _, name := range p.Topics {
		t, err := tickstorm.ParseTopic(name)
		if err != nil {
			continue
		}
		if e := l.find(l.market.Canonical(t)); e != nil { // else it was given up meanwhile
			l.catchUp(e, p, received, &m)
		}
	}
	if p.Others {
		l.recalledOthers(p, received, &m)
	}
	return m
}

// recalledOthers takes a piece that may be of more topics than it names. It is of none that was acknowledged, or began
// again, since the first piece of its kind: those get a past of their own, behind the last one.
func (l *ledger) recalledOthers(p *past.Piece, received int64, m *missing) {
	begun := false
	for e := range l.entries() {
		begun = begun || e.catching.other
	}
	for e := range l.entries() {
		c := &e.catching
		if !begun {
			c.other = e.up == granted && !c.ended
		}
		if c.other {
			l.catchUp(e, p, received, m)
		}
	}
}

// atOnce reports whether a piece may be of what is live at once, because there is nothing of it, and has not waited for
// others.
func atOnce(p *past.Piece) bool { return p.Empty && !p.More }

// catchUp takes a piece of the past of an entry.
func (l *ledger) catchUp(e *entry, p *past.Piece, received int64, m *missing) {
	c := &e.catching
	if !c.ended && !atOnce(p) {
		l.reached = max(l.reached, c.since)
	}
	if p.More {
		c.more, c.ended, c.some = true, false, c.some || !p.Empty
		return
	}
	was := *c
	*c = catching{since: received, ended: true, owed: c.owed}
	if e.up == granted && !c.owed && (was.some || !p.Empty) {
		m.add(e, was.since)
	}
}

// add adds an entry, and those who have it: by itself, or by All where their own symbol was not asked for.
func (m *missing) add(e *entry, from int64) {
	m.hole.add(from, e.id)
	if m.of == nil {
		m.of = map[subscriber]*hole{}
	}
	tell := func(e *entry) {
		for s := range e.holds {
			if m.of[s] == nil {
				m.of[s] = &hole{}
			}
			m.of[s].add(from, e.id)
		}
	}
	tell(e)
	if e.id.Symbol == tickstorm.All {
		for _, carried := range e.in.some {
			if carried.up != granted {
				tell(carried)
			}
		}
	}
}

// interrupt returns what topics lack that the upstream had not caught up with when its connection broke, up to
// then. What they lack from then on is for the gap of the upstream's client, which goes on from there. An upstream that
// has sent something of the past was about to send it of all that it has acknowledged since the topic that it was at,
// one after the other: of those that have waited for long only if it was at another one, or just had been. It wants the
// lock.
func (l *ledger) interrupt() missing {
	var m missing
	busy := false
	for e := range l.entries() {
		busy = busy || e.catching.more
	}
	lately := l.heard() - int64(soon)
	for e := range l.entries() {
		c := &e.catching
		waits := l.recalls && c.since >= l.reached && (busy || max(c.since, l.sent) > lately)
		if e.up == granted && !c.owed && !c.ended && (c.more || waits) {
			m.add(e, c.since)
		}
		*c = catching{owed: e.up == granted || c.owed}
	}
	l.recalls, l.sent, l.reached = false, 0, 0
	return m
}

// told is told of which topics the upstream's client has told a gap.
func (l *ledger) told(topics []tickstorm.Topic) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range topics {
		if e := l.find(t); e != nil {
			e.catching.owed = false
		}
	}
}
