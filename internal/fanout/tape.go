package fanout

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"

	"github.com/tickstorm/tickstorm"
)

// This file is how a history is played to one outlet: from a Source of the past, as far as the ring
// does not reach back, then behind the ring until it has caught up.

// tape is where a history is. The zero tape has not begun.
type tape struct {
	splitter *tickstorm.Splitter
	raw      []byte // entries, as in the ring
	played   int64  // when what was played last was received
	same     int    // messages with events that were played of that time
	skip     int    // of these, that come again, from the past

	past  *pastReader
	owes  bool  // it is still to be told which topics were not streamed
	from  int64 // what of the ring was received earlier is not played: the past had it
	place int64 // in the ring of the next entry
	told  int64 // notes at this place and later were told when they came
}

// sight is how many bytes of the ring are passed or copied while messages wait.
const sight = 64 << 10

// history makes the next piece of a history, if it can without waiting.
func (h *Hub) history(o *Outlet, j *recall) (p *piece, over, waits bool) {
	t := &j.tape
	p = &piece{hub: h, first: Mark{From: max(j.Since, t.played), Topics: j.named()}}
	if !j.begun {
		h.beginTape(o, j, p)
		if j.tape.past != nil { // what it has may be long in coming, and the topics are not live meanwhile
			p.begin()
		}
	}
	for p.room() && !over && !waits {
		if t.past != nil {
			waits = h.playPast(o, j, p)
		} else {
			over = h.playRing(o, j, p)
		}
	}
	if !p.begun() {
		return nil, over, waits
	}
	p.end(max(j.Since, t.played), !over)
	return p, over, waits
}

// named returns topics of the recall, as many as a mark names.
func (j *recall) named() []tickstorm.Topic {
	var some []tickstorm.Topic
	for t := range j.topics {
		if some = append(some, t); len(some) == maxNamed {
			break
		}
	}
	slices.SortFunc(some, compareTopics)
	return some
}

func (p *piece) gap(from, to int64, cause string, topics ...tickstorm.Topic) {
	p.mark(Mark{Kind: MarkGap, From: from, To: to, Cause: cause, Topics: topics})
}

// beginTape finds where to begin, and tells what is missing before.
func (h *Hub) beginTape(o *Outlet, j *recall, p *piece) {
	j.begun = true
	t := &j.tape
	t.splitter = tickstorm.NewSplitter(h.cfg.Market)
	t.splitter.SetLimits(h.cfg.Limits)
	t.splitter.SetValidate(h.cfg.Validate)
	h.mu.Lock()
	first := h.reach()
	t.place, t.told = h.ring.tail, h.ring.head
	h.mu.Unlock()
	switch {
	case first <= j.Since:
	case j.Past != nil:
		t.from = first
		t.past = h.readPast(o, j, j.Since, first)
		t.owes = true // in its place
		return
	default:
		t.from = first
		p.gap(j.Since, first, "the history does not reach back")
	}
	p.tellUnstreamed(j, first)
}

// tellUnstreamed tells which topics were not streamed yet when the history begins. What is known of
// them matters as far as the ring reaches, from first on.
func (p *piece) tellUnstreamed(j *recall, first int64) {
	from := max(j.Since, first)
	late := map[int64][]tickstorm.Topic{}
	for topic, known := range j.topics {
		if known > from {
			late[known] = append(late[known], topic)
		}
	}
	for n, known := range slices.Sorted(maps.Keys(late)) {
		topics := late[known]
		if n == maxNamed { // the rest in one
			topics = nil
			for _, some := range late {
				topics = append(topics, some...)
			}
		}
		slices.SortFunc(topics, compareTopics)
		p.gap(from, known, "not streamed", topics[:min(len(topics), maxNamed)]...)
		if n == maxNamed {
			break
		}
	}
}

// reach is from when on the ring has everything. It wants the lock.
func (h *Hub) reach() int64 {
	if h.ring.lost != 0 {
		return h.ring.lost + 1
	}
	return h.born
}

// playRing plays some of the ring, and reports whether that was all, so that the topics are live.
func (h *Hub) playRing(o *Outlet, j *recall, p *piece) (over bool) {
	t, r := &j.tape, h.ring
	t.raw = t.raw[:0]
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.place < r.tail { // it was overwritten
		t.place = r.tail
		from := max(j.Since, t.from, t.played)
		switch {
		case r.lost < from:
		case j.Past != nil:
			if t.skip = 0; from == t.played {
				t.skip = t.same
			}
			t.from = r.lost + 1
			t.past = h.readPast(o, j, from, t.from)
			return false
		default:
			p.gap(from, r.lost+1, "overwritten before it was read")
		}
	}
	begin, looked := t.place, 0
	defer func() { p.passed += int(t.place - begin) }()
	for t.place < r.head && t.place-begin < sight && looked < sight/64 {
		e, next := r.at(t.place)
		if len(e.text) > 0 && e.received >= max(j.Since, t.from) && (!e.note || t.place < t.told) {
			t.raw = appendEntry(t.raw, e)
		}
		t.place = next
		looked++
	}
	over = t.place >= r.head && len(t.raw) <= atOnce
	if !over {
		h.mu.Unlock()
		h.play(o, j, p)
		h.mu.Lock()
		return false
	}
	h.play(o, j, p)
	n := 0
	for topic := range j.topics {
		p.begin()
		if n == goLiveAt {
			break
		}
		n++
		j.goLive(o, topic)
	}
	return len(j.topics) == 0
}

// play adds what is wanted of raw to the piece.
func (h *Hub) play(o *Outlet, j *recall, p *piece) {
	t := &j.tape
	for raw := t.raw; len(raw) > 0; {
		e, size := parseEntry(raw)
		raw = raw[size:]
		if e.note {
			p.begin()
			p.text = append(append(p.text, ','), e.text...)
			continue
		}
		s, has := t.splitter, false
		again := t.skip > 0 && e.received == t.played
		for s.Reset(e.text); s.Next(); {
			el := s.Element()
			if el.Kind == tickstorm.KindStatus && el.Err == nil {
				h.pass(p, e, el)
				continue
			}
			if el.Err != nil {
				continue
			}
			if has = true; again {
				t.skip--
				break
			}
			if el.Stream != 0 && j.wants(o, el.Channel, el.Symbol, e.number) {
				if el.End-el.Start > h.mostRecalled()-markRoom {
					p.gap(e.received, e.received+1, "too long an event")
					continue
				}
				p.add(e.text[el.Start:el.End], e.received)
			}
		}
		switch {
		case !has || again:
		case e.received == t.played:
			t.same++
		default:
			t.played, t.same = e.received, 1
		}
	}
	t.raw = t.raw[:0]
}

// pass puts a status of a Source in its place, if it tells something. What the ring has was put there as
// it is to be told.
func (h *Hub) pass(p *piece, e entry, el *tickstorm.Element) {
	text := e.text[el.Start:el.End]
	switch {
	case e.number != 0 || h.cfg.Tells == nil || !h.cfg.Tells(text):
	case len(text) > longestNote:
		p.gap(e.received, e.received+1, "too long a status")
	default:
		p.begin()
		p.text = append(append(p.text, ','), text...)
	}
}

// longestNote is how long a status of a Source may be.
const longestNote = 4 << 10

// pastReader reads a Source on a goroutine of its own, and holds what it has read until that is
// played.
type pastReader struct {
	upTo   int64
	cancel context.CancelFunc
	ready  chan pastRead
}

// pastRead is some of a Source: entries, as in a ring, and why there are no more.
type pastRead struct {
	raw []byte
	err error // io.EOF at the end
}

// readPast begins to read the past.
func (h *Hub) readPast(o *Outlet, j *recall, from, to int64) *pastReader {
	ctx, cancel := context.WithCancel(context.Background())
	r := &pastReader{upTo: to, cancel: cancel, ready: make(chan pastRead, 1)}
	open := j.Past
	go func() {
		defer cancel()
		source, err := open(ctx, from, to)
		if err == nil {
			err = r.read(ctx, o, source, from)
			if c, ok := source.(io.Closer); ok {
				_ = c.Close() // what was read was read
			}
		}
		r.give(ctx, o, pastRead{err: err})
	}()
	return r
}

// read reads what was received since a time, to the end of what is wanted.
func (r *pastReader) read(ctx context.Context, o *Outlet, source Source, from int64) error {
	var raw []byte
	last := from
	for {
		msg, received, err := source.Next()
		if received == 0 {
			received = last
		}
		if err != nil || received >= r.upTo {
			if len(raw) > 0 {
				r.give(ctx, o, pastRead{raw: raw})
			}
			if err == nil {
				err = io.EOF
			}
			return err
		}
		last = received
		if received < from {
			continue
		}
		raw = appendEntry(raw, entry{received: received, text: msg})
		if len(raw) >= sight {
			if !r.give(ctx, o, pastRead{raw: raw}) {
				return ctx.Err()
			}
			raw = make([]byte, 0, sight+sight/4)
		}
	}
}

// give hands over what was read, once what was before is taken, and wakes the outlet.
func (r *pastReader) give(ctx context.Context, o *Outlet, some pastRead) bool {
	select {
	case r.ready <- some:
	case <-ctx.Done():
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.recalling = true
	o.wake()
	return true
}

// playPast plays what was read of the past, and reports whether there is nothing at the moment.
func (h *Hub) playPast(o *Outlet, j *recall, p *piece) (waits bool) {
	t := &j.tape
	var some pastRead
	select {
	case some = <-t.past.ready:
	default:
		return true
	}
	if len(some.raw) > 0 {
		t.raw = some.raw
		p.passed += len(some.raw)
		h.play(o, j, p)
		return false
	}
	upTo := t.past.upTo
	t.past = nil
	if !errors.Is(some.err, io.EOF) {
		p.gap(max(j.Since, t.played), upTo, some.err.Error())
	}
	if t.owes {
		t.owes = false
		p.tellUnstreamed(j, upTo)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	t.place = h.ring.tail
	if first := h.reach(); first > upTo { // the ring has gone on
		t.from = first
		t.past = h.readPast(o, j, upTo, first)
	}
	return false
}

// stop ends what reads.
func (t *tape) stop() {
	if t.past != nil {
		t.past.cancel()
	}
}
