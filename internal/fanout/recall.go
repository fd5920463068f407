package fanout

import (
	"context"
	"slices"

	"github.com/tickstorm/tickstorm"
)

// This file is what an outlet gets of the time before its topics: the last element of each symbol,
// or the messages since a time, and then what comes live, with nothing twice and nothing missing
// in between. The outlet's goroutine makes it piece by piece, each as fast as the connection has
// taken the one before, and outside of what may wait. A topic goes live under the lock under which
// the last piece of it was made.

// Source is messages of the past: see [Recall].
type Source interface {
	// Next returns the next message and when it was received, in nanoseconds since 1970; 0 is
	// with the one before. msg is valid until the next call. The error is io.EOF at the end.
	Next() (msg []byte, received int64, err error)
}

// Recall says what an outlet gets of topics before they go live. The zero value is the last
// element of each channel and symbol.
type Recall struct {
	// Since is the time of reception, in nanoseconds since 1970, from which on all events come that
	// the history has; 0 is the last element of each symbol instead.
	Since int64
	// Known is from when on the topics' events were handed to the hub, if that is known: what lies
	// between Since and it is told as a gap.
	Known int64
	// Past, if not nil, opens what was received from a time up to another one, where the history
	// does not reach as far back. Times must be those that Message was called with. It is called
	// and read on a goroutine of its own, and closed if it is an io.Closer. ctx ends with the outlet.
	Past func(ctx context.Context, from, to int64) (Source, error)
}

// Mark is what stands around the elements of a piece of the past.
type Mark struct {
	Kind MarkKind
	// Snapshot is whether the elements are the last of their symbols; otherwise they are history.
	Snapshot bool
	// Topics are what the elements are of.
	Topics []tickstorm.Topic
	// From is where the history, or the gap, begins, and To where it ends: times of reception.
	From, To int64
	// Events is how many elements there are, and More whether another piece follows; otherwise the
	// topics are live behind it.
	Events int
	More   bool
	// Cause is that of a gap.
	Cause string
}

// MarkKind is a kind of [Mark].
type MarkKind uint8

// The kinds of marks. A gap stands between the others.
const (
	MarkBegin MarkKind = iota
	MarkEnd
	MarkGap
)

// recall is a Recall under way. The hub's lock of those who edit protects it.
type recall struct {
	Recall
	topics map[tickstorm.Topic]int64  // that are not live yet, and what is known of each
	was    map[tickstorm.Topic]uint64 // up to which message topics were live that were given up since
	begun  bool
	ended  bool   // it is given up
	cause  string // of that

	wild  []tickstorm.Topic // of a snapshot: All of channels, which are left for last
	sweep sweep
	tape  tape // of a history
}

const (
	recallBytes = 128 << 10 // of a piece, but for its last element
	atOnce      = 32 << 10  // the most that is made of it while messages wait
	passAtOnce  = 1 << 20   // bytes that are passed over while whoever changes the table waits
	goLiveAt    = 128       // topics that go live at once
	markRoom    = 32 << 10  // that is left in a message for its marks
)

// Recall adds topics to what the outlet wants, as [Outlet.Subscribe] does, behind what of the past
// it is to get of them. What it wants already it gets nothing of.
//
// It comes in pieces: messages that begin with a MarkBegin and end with a MarkEnd, made by
// Config.Mark, in no order with other events. Nothing of them is dropped, or counted as waiting. All
// pieces of a history are in the order of its messages. In those of a snapshot a symbol comes again
// where it has had an event since the piece that it came in: what is behind the last piece goes on
// from its last element. Where the hub keeps nothing, Recall is Subscribe: see Config.
func (o *Outlet) Recall(r Recall, topics ...tickstorm.Topic) {
	h := o.hub
	if h.cfg.Mark == nil || r.Since == 0 && h.store == nil || r.Since != 0 && h.ring == nil {
		h.subscribe(o, topics)
		return
	}
	h.editing.Lock()
	defer h.editing.Unlock()
	h.mu.Lock()
	left := o.left
	h.mu.Unlock()
	if left {
		return
	}
	var j *recall
	if n := len(o.recalls); n > 0 && o.recalls[n-1].joinable() && (o.recalls[n-1].Since == 0) == (r.Since == 0) {
		j = o.recalls[n-1]
		j.Since = min(j.Since, r.Since)
	} else {
		j = &recall{Recall: r, topics: map[tickstorm.Topic]int64{}}
	}
	for _, t := range topics {
		_, has := o.topics[t]
		if has || slices.ContainsFunc(o.recalls, func(j *recall) bool { _, has := j.topics[t]; return has }) {
			continue
		}
		j.topics[t] = r.Known
	}
	if len(j.topics) == 0 {
		return
	}
	if n := len(o.recalls); n == 0 || o.recalls[n-1] != j {
		o.recalls = append(o.recalls, j)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ending {
		return
	}
	if o.unwanted { // what waits may be of a topic that it has wanted before
		o.unwanted = false
		o.settleLatest()
	}
	o.recallAfter = o.pushed
	o.recalling = true
	o.wake()
}

// joinable reports whether other topics may be recalled together with those of the recall.
func (j *recall) joinable() bool { return !j.begun && !j.ended && len(j.topics) > 0 }

// giveUp ends the recall of a topic, or puts down that it was live until now, for recalls of what
// has its events too. It wants both of the hub's locks.
func (o *Outlet) giveUp(t tickstorm.Topic, live bool) {
	for _, j := range o.recalls {
		delete(j.topics, t)
		if len(j.topics) == 0 {
			j.tape.stop()
			o.goOn()
		}
		if !live {
			continue
		}
		if j.was == nil {
			j.was = map[tickstorm.Topic]uint64{}
		}
		j.was[t] = o.hub.message.number
	}
}

// EndRecalls gives up what is still to be recalled: the topics go live, behind a gap of that cause.
func (o *Outlet) EndRecalls(cause string) {
	h := o.hub
	h.editing.Lock()
	defer h.editing.Unlock()
	for _, j := range o.recalls {
		j.ended, j.cause = true, cause
		j.tape.stop()
	}
	if len(o.recalls) > 0 {
		o.goOn()
	}
}

// goOn has the outlet's goroutine look at its recalls. It wants the hub's lock of those who edit, under
// which they change.
func (o *Outlet) goOn() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.recalling = true
	o.wake()
}

// endRecall makes the last piece of a recall that is given up.
func (h *Hub) endRecall(o *Outlet, j *recall) *piece {
	from := int64(0)
	if j.Since != 0 {
		from = max(j.Since, j.tape.played)
	}
	p := &piece{hub: h, first: Mark{Snapshot: j.Since == 0, From: from, Topics: j.named()}}
	to := from
	for len(j.topics) > 0 {
		h.mu.Lock()
		n := 0
		for topic := range j.topics {
			if n == goLiveAt {
				break
			}
			n++
			j.goLive(o, topic)
		}
		to = max(to, h.message.received+1)
		h.mu.Unlock()
		h.tidy()
	}
	p.gap(from, to, j.cause, p.first.Topics...)
	p.end(to, false)
	return p
}

// wants reports whether an element is of the recall's topics, and has not come live.
func (j *recall) wants(o *Outlet, channel string, symbol []byte, number uint64) bool {
	if !covers(j.topics, channel, symbol) || covers(o.topics, channel, symbol) {
		return false
	}
	if len(j.was) == 0 {
		return true
	}
	was := max(j.was[tickstorm.Topic{Channel: channel, Symbol: string(symbol)}],
		j.was[tickstorm.Topic{Channel: channel, Symbol: tickstorm.All}])
	return was == 0 || number > was // what a Source has is older than any
}

func covers[V any](topics map[tickstorm.Topic]V, channel string, symbol []byte) bool {
	if _, has := topics[tickstorm.Topic{Channel: channel, Symbol: string(symbol)}]; has && symbol != nil {
		return true
	}
	_, has := topics[tickstorm.Topic{Channel: channel, Symbol: tickstorm.All}]
	return has
}

// goLive lets a topic of the recall go live. It wants both of the hub's locks.
func (j *recall) goLive(o *Outlet, t tickstorm.Topic) {
	delete(j.topics, t)
	if _, has := o.topics[t]; !has && !o.left {
		o.topics[t] = struct{}{}
		o.hub.add(o, t)
	}
}

// piece is a message of the past that is being made, and others before it where that would have
// become too long.
type piece struct {
	hub    *Hub
	first  Mark // as it begins
	text   []byte
	events int // in text
	total  int
	passed int // bytes of what was looked through for it
	made   []*buffer
}

// begin begins the piece, if it has not begun.
func (p *piece) begin() {
	if p.text == nil {
		p.text = p.hub.cfg.Mark(append(p.text, '['), p.first)
	}
}

func (p *piece) begun() bool { return p.text != nil }

// mark adds a mark.
func (p *piece) mark(m Mark) {
	p.begin()
	m.Snapshot = p.first.Snapshot
	p.text = p.hub.cfg.Mark(append(p.text, ','), m)
}

// end ends the piece: another follows, or the topics are live.
func (p *piece) end(to int64, more bool) {
	p.mark(Mark{Kind: MarkEnd, Topics: p.first.Topics, To: to, Events: p.events, More: more})
	p.made = append(p.made, p.hub.newNote(append(p.text, ']')))
	p.text, p.events = nil, 0
}

// mostRecalled is how long a message may become before its last mark.
func (h *Hub) mostRecalled() int { return h.cfg.MaxMessage - min(markRoom, h.cfg.MaxMessage/4) }

// room reports whether there should be more in the piece, and more be looked through for it.
func (p *piece) room() bool {
	return len(p.made) == 0 && len(p.text) < recallBytes && p.passed < passAtOnce
}

// add adds an element that was received at a time.
func (p *piece) add(element []byte, received int64) {
	p.begin()
	if most := p.hub.mostRecalled(); p.events > 0 && len(p.text)+len(element) > most {
		p.end(received, true)
		p.first.From = received
		p.begin()
	}
	p.text = append(append(p.text, ','), element...)
	p.events++
	p.total++
}

// recall appends the next piece to a batch. It wants the lock, and gives it up in the meantime.
func (o *Outlet) recall(b *batch) {
	o.mu.Unlock()
	made := o.hub.recallNext(o)
	o.mu.Lock()
	b.buffers = append(b.buffers, made...)
}

// recallNext makes the next piece, nothing if there is none to write at the moment or none was found in
// what may be looked through at once, and takes note of whether to go on.
func (h *Hub) recallNext(o *Outlet) []*buffer {
	h.editing.Lock()
	defer h.editing.Unlock()
	var made *piece
	waits := false
	for made == nil && len(o.recalls) > 0 && !o.left {
		j := o.recalls[0]
		over := true
		switch {
		case len(j.topics) == 0: // all were given up
		case j.ended:
			made = h.endRecall(o, j)
		case j.Since != 0:
			made, over, waits = h.history(o, j)
		default:
			made, over = h.snapshot(o, j)
		}
		if !over {
			break
		}
		j.tape.stop()
		o.recalls = append(o.recalls[:0:0], o.recalls[1:]...)
	}
	h.tidy() // for what went live
	o.mu.Lock()
	defer o.mu.Unlock()
	if waits && len(o.recalls[0].tape.past.ready) > 0 { // in the meantime
		waits = false
	}
	o.recalling = len(o.recalls) > 0 && !waits
	if made == nil {
		return nil
	}
	o.stats.Recalled += uint64(made.total)
	return made.made
}

// endRecalls gives up what was to be recalled.
func (o *Outlet) endRecalls() {
	for _, j := range o.recalls {
		j.tape.stop()
	}
	o.recalls = nil
}
