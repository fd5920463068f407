package tickstorm

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tickstorm/tickstorm/internal/past"
	"github.com/tickstorm/tickstorm/internal/poison"
)

// Gap is a window of time of which events are missing: from when a connection broke
// until the next one had subscribed again. What the server sent meanwhile is lost, and
// nothing in the stream says so. A topic of which a relay sends the past first is not live before
// that has ended, so that the window lasts until then: what happened in it is in the past alone, all of it
// or the last event of each symbol. A relay begins with that at once: where it comes over a second behind the
// acknowledgement, and behind the past of other topics, the window may have ended before. It is no claim of
// more: gaps that the server leaves within a connection are not noticed, and nothing need have happened in the
// window.
type Gap struct {
	Market Market
	// From is the last that came before, To the first that came after.
	From, To Moment
	// Topics are those that the connection had, and that are still wanted. Do not change
	// them: gaps share the list.
	Topics []Topic
	// Cause is why the connection ended.
	Cause error
	// Attempt is how many attempts to connect it took.
	Attempt int

	// before is where a queue's consumer notes the time of the last event before; nil
	// without a queue.
	before *atomic.Int64
}

// Moment is one end of a [Gap].
type Moment struct {
	// Event is the event's own time: in From of the newest among the last events of each
	// kind, in To of the first one in its message that has a time, nothing of the past that a
	// relay sends. An aggregate's is its end. It is zero if that is not known: in From if nothing was
	// decoded, in To if nothing came within a second after all topics were answered and such a past
	// had ended.
	Event time.Time
	// Received is when the message came; where nothing came in To, when the topics had been
	// answered, or the last message of the past came.
	Received time.Time
}

// String gives the window by its times of receipt.
func (g *Gap) String() string {
	return fmt.Sprintf("gap of %v on %s from %s, %d topics", g.To.Received.Sub(g.From.Received),
		g.Market, g.From.Received.UTC().Format(time.RFC3339Nano), len(g.Topics))
}

// GapHandler is an optional ability of a [Handler] that a [Client] calls, and any other driver
// of a [Lasting]: OnGap is told of
// each [Gap], after the connection was made again and before its first event that is live. A
// connection that breaks again before that makes it a longer gap, not another; one that breaks while some topics are
// not live makes it longer for these, and opens another for the others. Many topics
// are asked for in several requests, and a relay sends the past of each by itself: those that were
// not acknowledged and live when the first event
// came have a Gap of their own. It ends with the first event after all are, and is
// told before that; behind a [Queue], where the last answer and the event are in one message,
// after that message. The gap is the handler's to keep.
type GapHandler interface {
	OnGap(*Gap)
}

// gapPatience is how long the first event after a gap is waited for.
const gapPatience = time.Second

// lost opens a gap, unless there was nothing to lose. One that is open already goes on: of what it is of where
// something else was live on this connection, and of all where nothing was.
func (k *link) lost(cause error) {
	l, s := k.lasting, k.session
	if at := s.parser.lastEventTime(); at != 0 {
		l.last.Event = time.Unix(0, at)
	}
	if s.received != 0 {
		l.last.Received = time.Unix(0, s.received)
	}
	l.missed = append(l.missed, k.late...)
	if k.settled.IsZero() && !k.events && s.ledger.grants == 0 || len(s.ledger.held) == 0 {
		return
	}
	had := map[Topic]bool{}
	for _, gap := range l.missed {
		for _, t := range gap.Topics {
			had[t] = true
		}
	}
	var more []Topic
	for t := range s.ledger.held {
		if !had[t] {
			more = append(more, t)
		}
	}
	if n := len(l.missed); n > 0 && !k.events {
		l.missed[n-1].Topics = append(l.missed[n-1].Topics, more...)
		return
	}
	if len(more) == 0 {
		return
	}
	gap := &Gap{Market: l.cfg.Market, From: l.last, Topics: more, Cause: cause}
	l.missed = append(l.missed, gap)
	if l.opened != nil {
		l.opened(gap)
	}
}

func setOf(topics []Topic) map[Topic]bool {
	set := make(map[Topic]bool, len(topics))
	for _, t := range topics {
		set[t] = true
	}
	return set
}

// scan sees the connection's messages before they are delivered: until one has events that are live, and
// where some topics were not live by then, until one has events after all are.
func (k *link) scan(msg []byte) {
	l, s := k.lasting, k.session
	if past.Message(msg) {
		k.catchUp(msg)
		return
	}
	if len(k.late) > 0 && (k.settled.IsZero() || k.behind()) && !mayHaveStatus(msg) {
		return // the last answer is not in it
	}
	k.preview.begin(s.parser.stats.Events[KindStatus])
	_ = l.scanner.Parse(msg, &k.preview) // the handler is told what is wrong with it
	k.letGo(k.preview.ended)
	first, came := k.preview.behind(0)
	if !came {
		return
	}
	switch to := s.moment(first); {
	case !k.events:
		k.events = true
		k.split()
		l.tellMissed(to)
	case !k.settled.IsZero() && !k.behind():
		k.tellLate(to)
	}
}

// moment is the message at hand, and an event in it.
func (s *Session) moment(event int64) Moment {
	m := Moment{Received: time.Unix(0, s.received)}
	if event != 0 {
		m.Event = time.Unix(0, event)
	}
	return m
}

// split makes a gap of its own of the topics that are not live when the first event comes: their turn to be asked
// for comes after it, or a relay has not sent all yet of what was before it. They are missed for longer.
func (k *link) split() {
	k.caught.unsure = true
	for _, gap := range k.lasting.missed {
		late, topics := *gap, gap.Topics
		gap.Topics, late.Topics = nil, nil
		for _, t := range topics {
			if k.isLive(t) {
				gap.Topics = append(gap.Topics, t)
			} else {
				late.Topics = append(late.Topics, t)
			}
		}
		if len(late.Topics) > 0 {
			k.late = append(k.late, &late)
		}
	}
}

// isLive reports whether the events of a topic come. Where nothing is acknowledged yet, those that come are of
// what was asked for first; and what has had no answer in its time may get none.
func (k *link) isLive(t Topic) bool {
	h, held := k.session.ledger.held[t]
	switch {
	case h == granted:
		return k.caught.live == nil || k.caught.live[t]
	case !k.settled.IsZero():
		return true
	}
	return held && k.session.ledger.grants == 0
}

// awaitEnd is called when all is answered. What is missed until then ends with the next event of a time when all
// topics are live. That may be behind the last answer in one message; without one the gap ends after a while.
func (k *link) awaitEnd() {
	s := k.session
	k.caught.unsure = true
	if len(k.late) > 0 && s.answering {
		if next, came := k.preview.behind(s.parser.stats.Events[KindStatus]); came && !k.behind() {
			k.tellLate(s.moment(next))
		}
	}
	if len(k.late) > 0 || len(k.lasting.missed) > 0 && !k.events {
		k.quiet = k.settled.Add(gapPatience)
	}
}

// tellLate closes the gaps of the topics that were live late.
func (k *link) tellLate(to Moment) {
	late := k.late
	k.late = nil
	k.lasting.tellAll(late, to)
}

// tellMissed closes the gaps and tells them.
func (l *Lasting) tellMissed(to Moment) {
	missed := l.missed
	l.missed = nil
	l.tellAll(missed, to)
}

func (l *Lasting) tellAll(gaps []*Gap, to Moment) {
	for _, gap := range gaps {
		l.tell(gap, to)
	}
}

func (l *Lasting) tell(gap *Gap, to Moment) {
	gap.To = to
	had := setOf(gap.Topics)
	gap.Topics = slices.DeleteFunc(l.Topics(), func(t Topic) bool { return !had[t] })
	if last := l.gapTopics; slices.Equal(gap.Topics, last) {
		gap.Topics = last // gaps that wait behind a handler hold one list together
	}
	l.gapTopics = gap.Topics
	if len(gap.Topics) == 0 {
		return
	}
	l.cfg.Logger.Warn("events were missed", "gap", gap.String(), "cause", gap.Cause)
	if l.cfg.Tap != nil {
		told := *gap
		l.cfg.Tap.OnGap(&told)
	}
	if l.cfg.OnGap != nil {
		told := *gap
		l.cfg.OnGap(&told)
	}
	l.driver.OnGap(gap)
}

// caught is how far a relay has caught up with topics that it sends the past of.
type caught struct {
	live   map[Topic]bool // those that it has sent some of: whether they are live now; nil if it sends nothing of the past
	others map[Topic]bool // those that are not, and that a history may be of that does not name all of its topics
	behind bool           // some of the late gaps' topics are not live
	unsure bool           // that has to be looked at anew
}

// put puts down whether a topic is live.
func (c *caught) put(t Topic, live bool) {
	if _, known := c.live[t]; !known {
		t = Topic{strings.Clone(t.Channel), strings.Clone(t.Symbol)} // it is part of a message
	}
	c.live[t] = live
	if live {
		delete(c.others, t)
	}
}

// catchUpOthers takes a piece that may be of more topics than it names. It is of none that was acknowledged, or began
// again, since the first piece of its kind: those get a past of their own, behind the last one.
func (k *link) catchUpOthers(more bool) {
	c, held := &k.caught, k.session.ledger.held
	maps.DeleteFunc(c.others, func(t Topic, _ bool) bool { return held[t] != granted })
	if len(c.others) == 0 {
		c.others = map[Topic]bool{}
		for t, h := range held {
			if h == granted && !c.live[t] {
				c.others[t] = true
			}
		}
	}
	for t := range c.others {
		c.live[t] = !more
	}
	if !more {
		c.others = nil
	}
}

// catchUp takes a message of the past. All of it happened before what is live, and perhaps long before the gap began,
// but topics are live only behind the last message of it: a relay that has sent some of one topic sends it of all that
// the connection has asked for.
func (k *link) catchUp(msg []byte) {
	l, s := k.lasting, k.session
	k.preview.begin(s.parser.stats.Events[KindStatus]) // nothing in it ends a gap
	if len(l.missed) == 0 && len(k.late) == 0 {
		return
	}
	var p pastPiece
	_ = l.scanner.Parse(msg, &p)
	if k.caught.live == nil {
		k.caught.live = map[Topic]bool{}
	}
	for _, name := range p.Topics {
		t, err := ParseTopic(name)
		if err != nil {
			continue
		}
		t = s.ledger.market.canonical(t, s.ledger.keepCase)
		if _, held := s.ledger.held[t]; held {
			k.caught.put(t, !p.More)
		}
	}
	if p.Others {
		k.catchUpOthers(p.More)
	}
	k.caught.unsure = true
	if !k.settled.IsZero() {
		k.quiet = s.now.Add(gapPatience)
	}
}

// letGo is told of topics that the server has ended: a relay sends no more of the past of them, and no last piece.
func (k *link) letGo(ended []Topic) {
	l := &k.session.ledger
	for _, t := range ended {
		t = l.market.canonical(t, l.keepCase)
		if _, held := l.held[t]; held && k.caught.live != nil {
			k.caught.put(t, true)
		}
		k.caught.unsure = true
	}
}

// behind reports whether topics of the late gaps are not live, though they were acknowledged.
func (k *link) behind() bool {
	if c := &k.caught; c.unsure {
		c.unsure = false
		c.behind = slices.ContainsFunc(k.late, func(g *Gap) bool {
			return slices.ContainsFunc(g.Topics, func(t Topic) bool { return !k.isLive(t) })
		})
	}
	return k.caught.behind
}

// catching reports whether a relay is still to send more of the past of some topic.
func (k *link) catching() bool {
	for t, live := range k.caught.live {
		if !live && k.session.ledger.held[t] == granted {
			return true
		}
	}
	return false
}

// pastPiece hears what a piece of the past says of itself.
type pastPiece struct {
	NopHandler
	past.Piece
}

func (p *pastPiece) OnStatus(s *Status) { p.Status(s.Status, s.Message) }

// preview is what there is in a message, before it is delivered.
type preview struct {
	NopHandler
	statuses uint64      // those of the messages before
	firsts   []firstSeen // what comes before the first status, and behind each of them up to the next
	ended    []Topic     // that are not streamed any more
}

// firstSeen is the first of some events; time is 0 if none of them has one.
type firstSeen struct {
	came bool
	time int64
}

// begin makes it that of a message before which there were so many statuses.
func (p *preview) begin(statuses uint64) {
	p.statuses = statuses
	p.firsts = append(p.firsts[:0], firstSeen{})
	p.ended = p.ended[:0]
}

// behind returns the time of the first event that has one, 0 if none has, and whether any
// comes behind so many statuses, counted like those given to begin; 0 is the whole message.
func (p *preview) behind(statuses uint64) (first int64, came bool) {
	skip := uint64(0)
	if statuses > p.statuses {
		skip = min(statuses-p.statuses, uint64(len(p.firsts)))
	}
	for _, f := range p.firsts[skip:] {
		came = came || f.came
		if f.time != 0 {
			return f.time, true
		}
	}
	return 0, came
}

func (p *preview) note(e Event) {
	f := &p.firsts[len(p.firsts)-1]
	f.came = true
	if f.time == 0 {
		f.time = eventTime(e).Nanoseconds()
	}
}

func (p *preview) OnTrade(e *Trade)         { p.note(e) }
func (p *preview) OnQuote(e *Quote)         { p.note(e) }
func (p *preview) OnAggregate(e *Aggregate) { p.note(e) }
func (p *preview) OnBook(e *Book)           { p.note(e) }
func (p *preview) OnLULD(e *LULD)           { p.note(e) }
func (p *preview) OnImbalance(e *Imbalance) { p.note(e) }
func (p *preview) OnValue(e *Value)         { p.note(e) }
func (p *preview) OnUnknown(e *Unknown)     { p.note(e) }

func (p *preview) OnStatus(s *Status) {
	p.firsts = append(p.firsts, firstSeen{})
	if t, ok := withdrawn(s); ok {
		p.ended = append(p.ended, t)
	} else if s.Code() == StatusUnsubscribed {
		p.ended = slices.AppendSeq(p.ended, s.Topics())
	}
}

// lastEventTime returns the newest of the times of the last event of each kind, 0 if there
// is none. It costs nothing while events are delivered: the parser still has them, but for
// a kind of which something broken came behind the last one.
func (p *Parser) lastEventTime() int64 {
	newest := int64(0)
	for k := range Kind(Kinds) {
		if poison.On {
			newest = max(newest, p.times[k])
		} else {
			newest = max(newest, eventTime(p.flyweight(k)).Nanoseconds())
		}
	}
	return newest
}
