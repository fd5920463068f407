package tickstorm

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tickstorm/tickstorm/internal/poison"
)

// Gap is a window of time of which events are missing: from when a connection broke
// until the next one had subscribed again. What the server sent meanwhile is lost, and
// nothing in the stream says so. It is no claim of more: gaps that the server leaves
// within a connection are not noticed, and nothing need have happened in the window.
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
	// kind, in To of the first one. An aggregate's is its end. It is zero if that is not
	// known: in From if nothing was decoded, in To if nothing came within a second
	// after all topics were answered.
	Event time.Time
	// Received is when the message came; where To has no event, when the topics had been
	// answered.
	Received time.Time
}

// String gives the window by its times of receipt.
func (g *Gap) String() string {
	return fmt.Sprintf("gap of %v on %s from %s, %d topics", g.To.Received.Sub(g.From.Received),
		g.Market, g.From.Received.UTC().Format(time.RFC3339Nano), len(g.Topics))
}

// GapHandler is an optional ability of a [Handler] that a [Client] calls, and any other driver
// of a [Lasting]: OnGap is told of
// each [Gap], after the connection was made again and before its first event. A
// connection that breaks again before that makes it a longer gap, not another. Many topics
// are asked for in several requests: those that were not acknowledged when the first event
// came have a Gap of their own, which is told when all are answered, right after
// StateStreaming. The gap is the handler's to keep.
type GapHandler interface {
	OnGap(*Gap)
}

// gapPatience is how long the first event after a gap is waited for.
const gapPatience = time.Second

// lost opens a gap, unless one is open or there was nothing to lose.
func (k *link) lost(cause error) {
	l, s := k.lasting, k.session
	if at := s.parser.lastEventTime(); at != 0 {
		l.last.Event = time.Unix(0, at)
	}
	if s.received != 0 {
		l.last.Received = time.Unix(0, s.received)
	}
	if l.missed == nil {
		l.missed = k.late
	}
	if k.settled.IsZero() && !k.events && s.ledger.grants == 0 || len(s.ledger.held) == 0 {
		return
	}
	if l.missed == nil {
		l.missed = &Gap{Market: l.cfg.Market, From: l.last, Cause: cause}
		if l.opened != nil {
			l.opened(l.missed)
		}
	}
	had := setOf(l.missed.Topics)
	for t := range s.ledger.held {
		if !had[t] {
			l.missed.Topics = append(l.missed.Topics, t)
		}
	}
}

func setOf(topics []Topic) map[Topic]bool {
	set := make(map[Topic]bool, len(topics))
	for _, t := range topics {
		set[t] = true
	}
	return set
}

// scan sees the connection's messages until one has events, before those are delivered.
func (k *link) scan(msg []byte) {
	l := k.lasting
	var first firstEvent
	_ = l.scanner.Parse(msg, &first) // the handler is told what is wrong with it
	if !first.seen {
		return
	}
	k.events, k.quiet = true, time.Time{}
	to := Moment{Received: time.Unix(0, k.session.received)}
	if first.time != 0 {
		to.Event = time.Unix(0, first.time)
	}
	k.split()
	l.tellGap(to)
}

// split makes a gap of its own of the topics whose turn to be asked for comes after the
// first event: they are missed for longer. Where nothing is acknowledged yet, the event is of
// what was asked for first.
func (k *link) split() {
	gap, ledger := k.lasting.missed, &k.session.ledger
	if gap == nil || !k.settled.IsZero() {
		return
	}
	late, topics := *gap, gap.Topics
	gap.Topics, late.Topics = nil, nil
	for _, t := range topics {
		if h, held := ledger.held[t]; h&granted != 0 || held && ledger.grants == 0 {
			gap.Topics = append(gap.Topics, t)
		} else {
			late.Topics = append(late.Topics, t)
		}
	}
	if len(late.Topics) > 0 {
		k.late = &late
	}
}

// tellGap closes the gap and tells it.
func (l *Lasting) tellGap(to Moment) {
	if gap := l.missed; gap != nil {
		l.missed = nil
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

// firstEvent notes the first event of a message.
type firstEvent struct {
	NopHandler
	seen bool
	time int64
}

func (f *firstEvent) note(e Event) {
	if !f.seen {
		f.seen, f.time = true, eventTime(e).Nanoseconds()
	}
}

func (f *firstEvent) OnTrade(e *Trade)         { f.note(e) }
func (f *firstEvent) OnQuote(e *Quote)         { f.note(e) }
func (f *firstEvent) OnAggregate(e *Aggregate) { f.note(e) }
func (f *firstEvent) OnBook(e *Book)           { f.note(e) }
func (f *firstEvent) OnLULD(e *LULD)           { f.note(e) }
func (f *firstEvent) OnImbalance(e *Imbalance) { f.note(e) }
func (f *firstEvent) OnValue(e *Value)         { f.note(e) }
func (f *firstEvent) OnUnknown(e *Unknown)     { f.note(e) }

// lastEventTime returns the newest of the times of the last event of each kind, 0 if there
// is none. It costs nothing while events are delivered: the parser still has them.
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
