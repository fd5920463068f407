package record

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/past"
)

// This file reads the segments of one market in one folder, one after the other.

// segment is a segment that is known.
type segment struct {
	path string
	id   segmentID
	size int64  // of its file when it was found
	told int64  // what of that was read before it was given up
	from uint64 // lines before it are left out
	// since is not 0 where another folder's cursor stands for what was received until then.
	since int64
}

// stream reads the segments of a market in a folder.
type stream struct {
	r        *Reader
	market   tickstorm.Market
	folder   string
	segments []segment // those that come, in their order
	alone    bool      // there is one, and no other comes

	open  *segmentFile // nil before the first and between two
	name  string       // of the segment
	told  int64        // how far in it progress was told
	f     frame
	found bool   // f is wanted, and not read yet
	text  []byte // the lines of f that come
	line  uint64 // the number of the first of them
	left  uint64 // how many there should be

	begun  bool   // the moment that was sought has come
	from   uint64 // of the open segment: lines before it are left out
	within uint64 // and so are elements before it in that line
	since  int64  // and what was received until then

	outside bool    // what came last is left out, and so is damage among it
	damage  *Damage // that may end behind it

	pick  picker
	held  Entry // was found, and comes once what is wrong with it is told
	holds bool
	entry Entry // what comes next
	key   int64 // its place among those of other streams
	ready bool
	idle  bool  // it has nothing now
	last  int64 // receive time of the entry before
}

// add puts a segment in its place, unless that is over.
func (st *stream) add(g segment) {
	i, _ := slices.BinarySearchFunc(st.segments, g, func(a, b segment) int {
		return cmp.Or(cmp.Compare(a.id.sequence, b.id.sequence), cmp.Compare(a.id.started, b.id.started), cmp.Compare(a.path, b.path))
	})
	st.segments = slices.Insert(st.segments, i, g)
}

// fill finds the next entry. The error is io.EOF if there is none, and errIncomplete if there
// may be one later.
func (st *stream) fill() error {
	for {
		if st.holds {
			st.entry, st.holds, st.ready = st.held, false, true
			st.last = st.entry.Received
			st.key = max(st.key, st.last)
			return nil
		}
		if st.open == nil {
			if len(st.segments) == 0 {
				if st.alone || st.r.follow == 0 {
					return io.EOF
				}
				return errIncomplete
			}
			g := st.segments[0]
			st.segments = st.segments[1:]
			if err := st.begin(g); err != nil {
				return st.report(err)
			}
		}
		found, err := st.nextLine()
		if err != nil {
			return st.report(err)
		}
		if found {
			continue
		}
		if !st.found {
			err := st.find()
			switch {
			case err == io.EOF:
				st.end()
				continue
			case errors.Is(err, errIncomplete):
				over, err := st.over()
				if err != nil {
					return err
				}
				if !over {
					return errIncomplete
				}
				continue
			case err != nil:
				return st.report(err)
			case !st.found:
				continue
			}
		}
		st.found = false
		text, err := st.open.open(&st.f)
		if err != nil {
			return st.report(err)
		}
		st.text, st.line, st.left = text, st.f.line, st.f.lines()
	}
}

// find finds the next frame, and whether it is wanted. The error is as that of the segment's next;
// a damage may be one that is told late, in front of the frame.
func (st *stream) find() (err error) {
	st.f, err = st.open.next()
	st.advanced(st.open.at)
	var d *Damage
	if errors.As(err, &d) && st.outside {
		st.damage = d
		return nil
	}
	if err != nil {
		return err
	}
	st.found = st.wants()
	if d = st.damage; d != nil && !st.outside {
		st.damage = nil
		return d
	}
	return nil
}

// report makes an entry of a damage.
func (st *stream) report(err error) error {
	var d *Damage
	if !errors.As(err, &d) {
		return err
	}
	next := uint64(0)
	switch {
	case st.holds:
		next = st.held.Sequence
	case len(st.text) > 0:
		next = st.line
	case st.found:
		next = st.f.line
	case st.open != nil:
		next = st.open.line
	}
	st.entry = Entry{Market: st.market, Received: st.last, Damage: d, Segment: st.name, Sequence: next}
	st.ready = true // its place is where the one before it was
	return nil
}

// begin opens a segment.
func (st *stream) begin(g segment) (err error) {
	st.open, err = openWritten(g.path, st.r.unpacker)
	if errors.Is(err, fs.ErrNotExist) { // it was removed since
		st.name, st.open = g.id.name(), nil
		return &Damage{g.path, 0, 0, Missing}
	}
	if err != nil {
		return err
	}
	st.told = g.told
	st.open.growing = st.r.follow > 0
	st.open.id, st.open.known = g.id, true
	st.name = g.id.name()
	st.from, st.within, st.since = g.from, 0, g.since
	st.outside, st.damage = g.from > 0 || g.since != 0 || g.id.started >= st.r.until, nil
	if c := st.r.resume[g.id.place().market]; c != nil && c.Segment == st.name && c.Sequence >= g.from {
		st.from, st.within = c.Sequence, c.Element
	}
	switch {
	case st.since != 0:
		return st.open.skipTo(Received, st.since+1)
	case st.r.seeking && !st.begun:
		return st.open.skipTo(st.r.clock, st.r.moment)
	}
	return nil
}

// advanced tells that a place in the segment that is open was reached.
func (st *stream) advanced(at int64) {
	if at > st.told {
		st.r.progress.add(at - st.told)
		st.told = at
	}
}

func (st *stream) end() {
	if s := st.open; s != nil {
		if st.r.follow > 0 && !s.finished {
			st.r.unfinished = append(st.r.unfinished, unfinished{segment{path: s.path, id: s.id, told: s.size, from: s.line}, s.size, st.begun})
		}
		s.close()
	}
	st.open, st.found, st.text, st.left = nil, false, nil, 0
}

// wants reports whether something in the frame may be wanted.
func (st *stream) wants() bool {
	f := &st.f
	if f.kind != dataFrame {
		return false
	}
	early := f.line+f.lines() <= st.from || st.since != 0 && f.received.last <= st.since
	if st.outside = early || f.received.first >= st.r.until; st.outside {
		st.damage = nil
		return false
	}
	switch {
	case f.orphan: // without an index that could tell
		return true
	case st.r.seeking && !st.begun && st.r.clock.of(f.received, f.event).last < st.r.moment:
		return false
	}
	return st.r.filter.wants(&f.index)
}

// nextLine takes the next line of the frame that is wanted, and reports whether there is one.
// The error is a *Damage.
func (st *stream) nextLine() (bool, error) {
	for len(st.text) > 0 {
		l, rest, ok := cutLine(st.text)
		if !ok {
			st.text, st.left = nil, 0
			return false, st.lies()
		}
		n := st.line
		st.text = rest
		st.line++
		st.left--
		if n < st.from {
			continue
		}
		e := Entry{Market: st.f.market, Received: l.received, Segment: st.name, Sequence: n}
		if l.control {
			c, err := parseControl(l.raw)
			if err != nil {
				return false, st.lies()
			}
			e.Control, e.Received = c, c.Received
		}
		if st.outside = e.Received >= st.r.until || st.since != 0 && e.Received <= st.since; st.outside {
			continue
		}
		if e.Past = !l.control && past.Message(l.raw); e.Past && !st.r.past {
			e.Past, e.Control = false, PastGap(st.last, e.Received)
		}
		if st.r.seeking && !st.begun && !st.reached(&e, l.raw) {
			continue
		}
		if e.Control == nil {
			within := uint64(0)
			if n == st.from {
				within = st.within
			}
			if e.Raw, e.Elements, ok = st.pick.pick(l.raw, &st.r.filter, within); !ok {
				continue
			}
		}
		st.held, st.holds = e, true
		if back := st.last > e.Received; back {
			return false, &Damage{st.open.path, st.f.from, 0, ClockBack}
		}
		return true, nil
	}
	if st.left != 0 {
		st.left = 0
		return false, st.lies()
	}
	return false, nil
}

func (st *stream) lies() error {
	return &Damage{st.open.path, st.f.from, st.f.end() - st.f.from, Lying}
}

// reached reports whether the moment has come that was sought.
func (st *stream) reached(e *Entry, raw []byte) bool {
	if st.r.clock == Received {
		st.begun = e.Received >= st.r.moment
		return st.begun
	}
	if e.Control != nil {
		return false
	}
	for st.pick.split.Reset(raw); st.pick.split.Next(); {
		e := st.pick.split.Element()
		if t := EventTime(e.Kind, raw[e.Start:e.End]); t != 0 && t >= st.r.moment {
			st.begun = true
			return true
		}
	}
	return false
}

// over reports whether nothing will be written to the open segment any more, though it has no
// footer: a later one has messages. What was written before that is read first.
func (st *stream) over() (bool, error) {
	if !st.open.growing {
		return false, nil
	}
	over := false
	for _, g := range st.segments {
		has, err := hasData(g.path, st.r.unpacker)
		gone := errors.Is(err, fs.ErrNotExist) // which is told when its turn comes
		if err != nil && !gone {
			return false, err
		}
		if over = has || gone; over {
			break
		}
	}
	size := st.open.size
	if err := st.open.grow(); err != nil {
		return false, err
	}
	st.open.growing = !over
	return over || st.open.size > size, nil
}

// hasData reports whether there is a frame with lines in a segment.
func hasData(path string, u *unpacker) (bool, error) {
	s, err := openWritten(path, u)
	if err != nil {
		return false, err
	}
	defer s.close()
	s.growing = true
	if err := s.elect(); err != nil {
		return false, err
	}
	for {
		f, err := s.next()
		var d *Damage
		switch {
		case err == nil && f.kind == dataFrame:
			return true, nil
		case err == nil || errors.As(err, &d):
		case errors.Is(err, errIncomplete) || err == io.EOF:
			return false, nil
		default:
			return false, err
		}
	}
}

// identify finds out which segment a file is. ok is false if nothing in it says so.
func identify(path string, u *unpacker) (id segmentID, size int64, ok bool, err error) {
	s, err := openWritten(path, u)
	if err != nil {
		return segmentID{}, 0, false, err
	}
	defer s.close()
	if err := s.elect(); err != nil {
		return segmentID{}, 0, false, err
	}
	for !s.known {
		_, err := s.next()
		var d *Damage
		if err == io.EOF {
			return segmentID{}, s.size, false, nil
		}
		if err != nil && !errors.As(err, &d) {
			return segmentID{}, 0, false, err
		}
	}
	return s.id, s.size, true, nil
}

// header is the header of the segment that is open, which has what every frame says if it is
// damaged.
func (st *stream) header() (Header, error) {
	plain := Header{Market: st.open.id.market, Started: time.Unix(0, st.open.id.started).UTC(), Sequence: st.open.id.sequence}
	s := newSegmentReader(st.open.file, st.open.path, st.open.size, st.r.unpacker)
	s.id, s.known = st.open.id, true
	f, err := s.next()
	var text []byte
	if err == nil {
		text, err = s.open(&f)
	}
	var d *Damage
	if errors.As(err, &d) {
		return plain, nil
	}
	if err != nil {
		return Header{}, err
	}
	h, id, err := parseHeader(text)
	if err != nil || id != s.id {
		return plain, nil
	}
	return *h, nil
}
