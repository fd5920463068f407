package record

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// writer is the goroutine that takes messages out of the buffer and writes them. What is in a
// frame that is not written yet stays in the buffer: where a file fails, it is taken once more,
// for the next segment.
type writer struct {
	r      *Recorder
	beside *beside
	acks   acks
	poll   time.Duration // between two looks at the buffer
	timer  *time.Timer

	seg     *openSegment // nil while there is none
	read    uint64       // position in the buffer
	scratch []byte       // of messages that the ring's end cuts
	frame   tally        // of the frame that is open
	since   time.Time    // when its first line was written

	paused    bool      // for want of space
	failures  int       // since something was written
	retry     time.Time // when to open a segment again
	checkDue  time.Time // when to look after the file and the space
	syncDue   time.Time
	dirty     bool // something was written since the last sync
	dropsTold drops
	dropsDue  time.Time
	retainDue time.Time
}

// openSegment is the segment that is written.
type openSegment struct {
	*partFile
	sw           *segmentWriter
	header, good int64 // bytes of the header, and of whole frames with it
	lines        bool  // there is more than a header
	last         int64 // when what the last line says was received
	from, until  int64 // a message received in between is in its place here
}

// tally is what some lines hold of the buffer.
type tally struct {
	pos             uint64 // behind them
	marks           int
	messages, bytes uint64
	newest          int64
}

const (
	stepBytes     = 4 << 20 // taken at once, before the time is looked at again
	mostPoll      = 25 * time.Millisecond
	checkEvery    = time.Second
	retainEvery   = time.Minute
	firstRetry    = time.Second
	lastRetry     = 30 * time.Second
	closeTries    = 3
	prepareBefore = 5 * time.Second // a time's end, at most
	software      = "tickstorm/record"
)

func newWriter(r *Recorder) *writer {
	poll := min(r.cfg.Flush/8, mostPoll)
	return &writer{r: r, beside: newBeside(r), acks: newAcks(r.cfg.Market, texts(r.cfg.Topics)), poll: poll}
}

// run writes until the recorder is closed.
func (w *writer) run() error {
	w.beside.start()
	w.timer = time.NewTimer(w.poll)
	defer w.timer.Stop()
	for {
		select {
		case <-w.r.closing:
			return w.drain()
		default:
		}
		if !w.work(time.Now()) {
			w.wait()
		}
	}
}

// wait waits for the time to look at the buffer, or for so much in it that it cannot wait.
func (w *writer) wait() {
	b := w.r.buf
	w.timer.Reset(w.poll)
	b.idle.Store(true)
	select {
	case <-b.wake:
	case <-w.timer.C:
	case <-w.r.closing:
	}
	b.idle.Store(false)
}

// work does what is to be done now, and reports whether there is more at once.
func (w *writer) work(now time.Time) (more bool) {
	if w.seg == nil && w.r.buf.pending(w.read) && !now.Before(w.retry) {
		if err := w.open(now); err != nil {
			w.fail(err, now)
		}
	}
	if w.seg != nil {
		err := w.feed(now)
		if err == nil {
			err = w.lookAfter(now)
		}
		if err != nil {
			w.fail(err, now)
		}
		more = w.seg != nil && w.r.buf.pending(w.read)
	}
	w.tellDrops(now, false)
	if w.r.cfg.KeepFor > 0 && now.After(w.retainDue) {
		w.retainDue = now.Add(retainEvery)
		w.beside.retainSoon()
	}
	return more
}

// feed takes what is in the buffer, up to some megabytes.
func (w *writer) feed(now time.Time) error {
	b := w.r.buf
	end := min(b.tail.Load(), w.read+stepBytes)
	for {
		for {
			m, ok := b.takeMark(w.read)
			if !ok {
				break
			}
			if err := w.mark(m, now); err != nil {
				return err
			}
		}
		if w.read >= end {
			return nil
		}
		msg, received, size, scratch := b.entry(w.read, w.scratch)
		w.scratch = scratch
		if received >= w.seg.until || received < w.seg.from || w.seg.sw.written() >= w.r.cfg.RotateSize {
			if err := w.rotate(received, now); err != nil {
				return err
			}
		}
		if w.acks.changed && w.acks.told && !mayHaveStatus(msg) { // later than the state that tells them
			if err := w.control(Control{Kind: Subscribed, Received: received, Topics: w.acks.list()}, tally{pos: w.read}, now); err != nil {
				return err
			}
		}
		w.read += size
		w.seg.last = received
		err := w.seg.sw.message(received, msg)
		if err = w.wrote(err, tally{pos: w.read, messages: 1, bytes: uint64(len(msg)), newest: received}, now); err != nil {
			return err
		}
		w.acks.see(msg)
	}
}

// mark writes the control line that a mark stands for.
func (w *writer) mark(m mark, now time.Time) error {
	t := tally{pos: w.read, marks: 1}
	if m.control == nil {
		c := Control{Kind: Dropped, Received: m.last, Cause: "buffer full", Count: m.count, Bytes: m.bytes}
		c.From.Received, c.To.Received = time.Unix(0, m.first), time.Unix(0, m.last)
		return w.control(c, t, now)
	}
	c := *m.control
	switch c.Kind {
	case Up:
		w.acks.clear()
	case Subscribed:
		c.Topics = w.acks.list()
		w.acks.told = true
	}
	return w.control(c, t, now)
}

// control writes a control line.
func (w *writer) control(c Control, t tally, now time.Time) error {
	w.seg.last = c.Received
	err := w.seg.sw.control(c)
	if errors.Is(err, ErrTooLong) {
		w.r.tell(RecorderEvent{Kind: EventError, Path: w.seg.path(), Err: &WriteError{"write control", w.seg.path(), err}})
		err = nil
	}
	return w.wrote(err, t, now)
}

// wrote accounts for a line. The segment writer may have closed a frame before it, behind it, or
// both.
func (w *writer) wrote(err error, t tally, now time.Time) error {
	if err != nil {
		return err
	}
	if w.frame == (tally{}) {
		w.since = now
	}
	w.seg.lines = true
	before := w.frame
	w.frame.add(t)
	if w.seg.sw.written() == w.seg.good {
		return nil
	}
	if len(w.seg.sw.text) == 0 {
		w.frame = tally{}
		before.add(t)
	} else {
		w.frame, w.since = t, now
	}
	return w.written(before)
}

func (t *tally) add(u tally) {
	t.pos = u.pos
	t.marks += u.marks
	t.messages += u.messages
	t.bytes += u.bytes
	if u.messages > 0 {
		t.newest = u.newest
	}
}

// written lets go of what the file has, and counts it.
func (w *writer) written(t tally) error {
	good := w.seg.sw.written()
	if w.r.cfg.Sync == SyncFrame {
		if err := w.sync(); err != nil {
			return err
		}
	}
	n := &w.r.counts
	n.written.Add(uint64(good - w.seg.good))
	w.seg.good = good
	w.failures, w.dirty = 0, true
	n.messages.Add(t.messages)
	n.bytes.Add(t.bytes)
	if t.messages > 0 {
		n.newest.Store(t.newest)
	}
	if t != (tally{}) {
		w.r.buf.release(t.pos, t.marks)
	}
	return nil
}

// flush closes the open frame.
func (w *writer) flush() error {
	if err := w.seg.sw.flush(); err != nil {
		return err
	}
	return w.flushed()
}

func (w *writer) flushed() error {
	t := w.frame
	w.frame = tally{}
	if w.seg.sw.written() == w.seg.good {
		return nil
	}
	return w.written(t)
}

func (w *writer) sync() error {
	w.dirty = false
	if err := w.seg.Sync(); err != nil {
		return &WriteError{"fsync", w.seg.path(), err}
	}
	return nil
}

// lookAfter does what has its time: frames, syncs, the end of a segment's time, and a look at the
// file and at the space.
func (w *writer) lookAfter(now time.Time) error {
	cfg := &w.r.cfg
	sync := cfg.Sync == SyncInterval && !now.Before(w.syncDue)
	if w.frame != (tally{}) && (sync || now.Sub(w.since) >= cfg.Flush-2*w.poll) {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if err := w.beside.syncFailed(w.seg.partFile); err != nil {
		return err
	}
	if sync && w.dirty && w.beside.sync(w.seg.partFile) {
		w.dirty, w.syncDue = false, now.Add(cfg.SyncEvery-2*w.poll)
	}
	if now.UnixNano() >= w.seg.until && w.seg.lines && !w.r.buf.pending(w.read) { // nothing came that would have ended it
		return w.finish(Control{Kind: Rotate, Received: w.seg.last}, now) // not now: what comes next may have been received before
	}
	if now.Before(w.checkDue) {
		return nil
	}
	w.checkDue = now.Add(checkEvery)
	if err := w.r.folder.there(w.seg.partFile); err != nil {
		return err
	}
	if err := w.space(); err != nil {
		// Received is not now, as of what else ends a segment before something has come; the text says when it was.
		text := fmt.Sprintf("%v, at %s", err, now.UTC().Format(time.RFC3339Nano))
		if ferr := w.finish(Control{Kind: Status, Received: w.seg.last, Text: text}, now); ferr != nil {
			return ferr
		}
		return err
	}
	w.prepare(now)
	return nil
}

// space returns an error if there is less than has to be free.
func (w *writer) space() error {
	cfg := &w.r.cfg
	if cfg.MinFree == 0 {
		return nil
	}
	free, ok, err := cfg.fs.Free(cfg.Dir)
	switch {
	case err != nil:
		return &WriteError{"ask for free space in", cfg.Dir, err}
	case ok && free < uint64(cfg.MinFree):
		return &SpaceError{cfg.Dir, free, uint64(cfg.MinFree)}
	}
	return nil
}

// open begins a segment.
func (w *writer) open(now time.Time) error {
	started := now.UnixNano()
	if tail := w.r.buf.tail.Load(); tail != w.read {
		_, started, _, w.scratch = w.r.buf.entry(w.read, w.scratch)
	}
	p, err := w.next(started)
	if err != nil {
		return err
	}
	return w.begin(p, started)
}

// next returns the file of the next segment: the one that was made ahead, if it can be that.
func (w *writer) next(started int64) (*partFile, error) {
	started = max(started, 0)
	f := &w.r.folder
	if err := w.r.cfg.fs.MkdirAll(w.r.cfg.Dir); err != nil {
		return nil, &WriteError{"make folder", w.r.cfg.Dir, err}
	}
	if err := w.space(); err != nil {
		return nil, err
	}
	if p := w.beside.prepared(); p != nil {
		from, _ := window(started, w.r.cfg.Rotate)
		fresh := p.started >= from || p.started >= started-int64(prepareBefore)
		if fresh && p.started <= started && p.dir == f.dayOf(started) && f.there(p) == nil {
			return p, nil
		}
		f.discard(p)
	}
	return f.create(started)
}

// begin makes a file the segment that is written.
func (w *writer) begin(p *partFile, received int64) error {
	sw, err := newSegmentWriter(sink{p}, Header{
		Market: w.r.cfg.Market, Host: w.r.host, Topics: w.acks.list(), Started: time.Unix(0, p.started).UTC(),
		Sequence: p.sequence, Software: software,
	}, w.r.cfg.Level)
	if err != nil {
		w.r.folder.discard(p)
		return err
	}
	from, until := window(received, w.r.cfg.Rotate)
	w.seg = &openSegment{partFile: p, sw: sw, header: sw.written(), good: sw.written(), from: from - int64(w.r.cfg.Rotate), until: until}
	w.r.counts.written.Add(uint64(w.seg.good))
	w.frame = tally{}
	if w.paused {
		w.paused = false
		w.r.tell(RecorderEvent{Kind: EventResumed})
	}
	w.r.tell(RecorderEvent{Kind: EventOpened, Path: p.path()})
	return nil
}

// sink has errors say which file it was.
type sink struct{ *partFile }

func (s sink) Write(b []byte) (int, error) {
	n, err := s.partFile.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		err = &WriteError{"write", s.path(), err}
	}
	return n, err
}

// window returns the times, from the first to before the second, of which a segment is: so many
// steps behind midnight UTC, and none across one where a step is shorter than a day.
func window(t int64, step time.Duration) (from, until int64) {
	const day = int64(24 * time.Hour)
	t, length := max(t, 0), int64(step)
	midnight := int64(0)
	if length < day {
		midnight = t - t%day
	}
	from = t - (t-midnight)%length
	until = from + length
	if length < day {
		until = min(until, midnight+day)
	}
	return from, until
}

// rotate goes on in a new segment.
func (w *writer) rotate(received int64, now time.Time) error {
	if !w.seg.lines {
		w.r.folder.discard(w.seg.partFile)
		w.seg = nil
		p, err := w.next(received)
		if err != nil {
			return err
		}
		return w.begin(p, received)
	}
	p, err := w.next(received)
	last := Control{Kind: Rotate, Received: received}
	if err == nil {
		last.Text = p.name
		if p.dir != w.seg.dir { // another day's, which is read from its start on
			last.Received = p.started
		}
	}
	if ferr := w.finish(last, now); ferr != nil {
		if err == nil {
			w.r.folder.discard(p)
		}
		return ferr
	}
	if err != nil {
		return err
	}
	return w.begin(p, received)
}

// finish ends the segment with a control, and has it get its final name. A segment in which
// nothing is goes.
func (w *writer) finish(last Control, now time.Time) error {
	if !w.seg.lines {
		w.r.folder.discard(w.seg.partFile)
		w.seg = nil
		return nil
	}
	if err := w.control(last, tally{pos: w.read}, now); err != nil {
		return err
	}
	if err := w.flush(); err != nil { // so that a footer that fails has nothing written again
		return err
	}
	if err := w.seg.sw.finish(); err != nil {
		return err
	}
	_ = w.flushed() // a sync that fails does so again where the file should get its name, and is told
	p := w.seg.partFile
	w.seg = nil
	w.beside.publish(p)
	return nil
}

// prepare has the next segment's file made, if this one ends soon.
func (w *writer) prepare(now time.Time) {
	cfg, seg := &w.r.cfg, w.seg
	switch ahead := min(cfg.Rotate/8, prepareBefore); {
	case now.UnixNano() >= seg.until-int64(ahead):
		w.beside.prepare(seg.until)
	case seg.good >= cfg.RotateSize/8*7:
		w.beside.prepare(now.UnixNano())
	}
}

// fail tells what was refused, and leaves the segment, whose whole frames stay readable under
// the name that it has.
func (w *writer) fail(err error, now time.Time) {
	var low *SpaceError
	event := errorEvent(err)
	if errors.As(err, &low) {
		event = RecorderEvent{Kind: EventLowSpace, Err: err}
	}
	if low == nil || !w.paused {
		w.r.tell(event)
	}
	if seg := w.seg; seg != nil {
		if seg.good == seg.header {
			w.r.folder.discard(seg.partFile)
		} else {
			_ = seg.Truncate(seg.good) // what was torn, if it can be
			_ = seg.Close()            // the error that matters is err
		}
		w.seg, w.dirty = nil, false
	}
	w.frame = tally{}
	w.read = w.r.buf.rewind()
	switch {
	case low != nil:
		w.paused = true
		w.retry = now.Add(checkEvery)
	case w.failures == 0:
		w.failures++
		w.retry = now
	default:
		w.retry = now.Add(min(firstRetry<<min(w.failures-1, 10), lastRetry))
		w.failures++
	}
}

// tellDrops tells of what had no room, once a second.
func (w *writer) tellDrops(now time.Time, atOnce bool) {
	if now.Before(w.dropsDue) && !atOnce {
		return
	}
	d := w.r.buf.dropped()
	if d == w.dropsTold {
		return
	}
	w.r.tell(RecorderEvent{Kind: EventDropped, Count: d.messages - w.dropsTold.messages, Bytes: d.bytes - w.dropsTold.bytes})
	w.dropsTold, w.dropsDue = d, now.Add(checkEvery)
}

// drain writes what is left and ends the segment, in another one where it has to.
func (w *writer) drain() (err error) {
	for range closeTries {
		now := time.Now()
		if w.seg == nil && w.r.buf.pending(w.read) {
			err = w.open(now)
		} else {
			err = nil
		}
		for err == nil && w.r.buf.pending(w.read) && w.r.abandon.Err() == nil {
			err = w.feed(time.Now())
		}
		if err == nil && w.seg != nil {
			err = w.finish(Control{Kind: Status, Received: now.UnixNano(), Text: "closed"}, now)
		}
		if err == nil {
			break
		}
		w.fail(err, now)
	}
	if p := w.beside.prepared(); p != nil {
		w.r.folder.discard(p)
	}
	if lost := w.rest(); lost.messages > 0 {
		if err == nil {
			err = w.r.abandon.Err()
		}
		w.r.counts.lost.Add(lost.messages)
		w.r.counts.lostBytes.Add(lost.bytes)
		w.r.tell(RecorderEvent{Kind: EventLost, Count: lost.messages, Bytes: lost.bytes, Err: err})
	}
	w.tellDrops(time.Now(), true)
	return err
}

// rest counts what is in the buffer.
func (w *writer) rest() (t tally) {
	for tail := w.r.buf.tail.Load(); w.read != tail; {
		msg, _, size, scratch := w.r.buf.entry(w.read, w.scratch)
		w.read, w.scratch = w.read+size, scratch
		t.messages++
		t.bytes += uint64(len(msg))
	}
	return t
}
