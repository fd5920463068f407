package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tickstorm/tickstorm"
)

// Entry is what a [Reader] finds: a message, a control or a damage. It is valid until the next
// call of Next; a Control and a Damage are safe to keep.
type Entry struct {
	// Market is that of the segment; "" of a damage in a file that does not say.
	Market tickstorm.Market
	// Received is when the message was read or the control happened, in nanoseconds since 1970;
	// of a damage that of the entry before.
	Received int64
	// Raw is the message as it came; with a filter, an array of the elements that it takes, each
	// as it came. nil if it is no message. Valid until the next call of Next.
	Raw []byte
	// Past is that Raw is no live message: see [Reader.Past].
	Past bool
	// Elements are the numbers that the elements of Raw have in the message as it came, if
	// some were left out; nil if none were. Valid until the next call of Next.
	Elements []int
	// Control is not nil if it is a control, Damage if it is a damage.
	Control *Control
	Damage  *Damage
	// Segment is the segment's name and Sequence the entry's number in it; of a damage that
	// of what may come next, and "" if its file does not say. Numbers that never come were lost,
	// left out, or are of another kind.
	Segment  string
	Sequence uint64
}

// Cursor is the place before the entry. If its Segment is "", it is no place.
func (e *Entry) Cursor() Cursor { return Cursor{e.Segment, e.Sequence, 0} }

// After is the place behind the entry, where reading is to go on once it was dealt with.
func (e *Entry) After() Cursor {
	if e.Damage != nil {
		return e.Cursor()
	}
	return Cursor{e.Segment, e.Sequence + 1, 0}
}

// Reader reads recordings. Its memory is bounded whatever they are: for each market and folder
// it holds a frame, which has 1 MiB if no message is longer. It serves one goroutine at a time.
//
// Damage is an entry among others, and reading goes on behind it: nothing that is whole is left
// out for what is broken next to it.
type Reader struct {
	paths    []string
	unpacker *unpacker
	filter   filter
	past     bool
	follow   time.Duration
	seeking  bool
	clock    Clock
	moment   int64
	until    int64                  // what was received then or later is left out
	resume   map[string]*resumption // by market as it stands in names

	begun      bool
	known      map[uint64]bool // segments by their random number
	seen       map[string]bool // paths of files that were looked into
	streams    []*stream       // the next entry is in the first
	unfinished []unfinished    // were given up while others went on
	damaged    []Entry         // to be told first
	timer      *time.Timer
	progress   *tracker
	alone      Entry
}

// Open opens a recording of any number of markets: files, folders with all that is below them,
// and patterns of [filepath.Match]. In folders what has not the [Suffix] of a segment, nor the
// [PartSuffix] of one that is being written, is not looked at. The segments of one market in one
// folder are read in the order of their numbers, and different ones are merged by receive
// time; of two files of one segment, such as a copy or what [Recover] has made of it, the first by
// name is read. A file that is named while it is written is read under its final name too. The
// error is one of [fs.ErrNotExist] for a path that matches nothing.
func Open(paths ...string) (*Reader, error) {
	if err := matched(paths); err != nil {
		return nil, err
	}
	u, err := newUnpacker()
	if err != nil {
		return nil, err
	}
	return &Reader{paths: slices.Clone(paths), unpacker: u, until: math.MaxInt64}, nil
}

// Close closes all files.
func (r *Reader) Close() error {
	r.restart()
	r.unpacker.close()
	return nil
}

// Filter has only what it takes read. Frames without any are not decompressed.
func (r *Reader) Filter(f Filter) { r.filter = f.filter() }

// Until has what was received at a moment or later left out; the zero time is no bound. It does not
// end reading that follows what is being written.
func (r *Reader) Until(t time.Time) {
	r.until = math.MaxInt64
	if !t.IsZero() {
		r.until = t.UnixNano()
	}
}

// Past has the past read too, with [Entry].Past set. What a relay sends to who joins late, the last event
// of each symbol or a history, is in a recording that was made behind it as it came: between two
// statuses that say so, at the time at which it came, and often beside the same events as they were live. Whoever took
// them for live would have them twice, so they are left out by default, these statuses and all. Each such message is one
// by itself: wherever reading begins, ends or is damaged, no other is left out for it. In its place stands a [Gap] since the
// entry before, because topics are not live until the last such message has come, and what came in that time may be
// nowhere else.
func (r *Reader) Past() { r.past = true }

// Follow has the reader wait for more at the end, instead of ending, and look for it this often;
// 0 is each 100 ms. Segments that are being written are read as far as their frames are
// complete, and what patterns match is looked for anew. Markets are then merged as far as they are
// written: none waits for another. A segment
// without an end counts as [Unfinished] once a later one has messages; should it grow all
// the same, because two recorders write to one folder, what is new in it comes as well.
func (r *Reader) Follow(every time.Duration) {
	if every <= 0 {
		every = 100 * time.Millisecond
	}
	r.follow = every
}

// Seek has reading begin anew in each market at the first entry that is of a moment or later,
// with the event clock at the first message with such an event; all that is behind it comes,
// whatever its time. It finds it through the indices: one frame of each market is decompressed.
func (r *Reader) Seek(c Clock, t time.Time) {
	r.restart()
	r.seeking, r.clock, r.moment = true, c, t.UnixNano()
}

// Resume has reading begin anew at cursors, one a market at most; markets that have none are
// read from their beginning. If a cursor's segment is gone, that is a [Missing] damage, and its
// market is read from the one behind it. In the cursor's folder all segments of lower numbers count
// as read, and in other folders what was received before its segment began: where recorders wrote
// at the same time, some of it comes again. The error is an [ErrCursor].
func (r *Reader) Resume(cursors ...Cursor) error {
	resume := map[string]*resumption{}
	for _, c := range cursors {
		p, err := c.place()
		if err != nil {
			return err
		}
		if _, twice := resume[p.market]; twice {
			return fmt.Errorf("%w: two of one market: %s", ErrCursor, c)
		}
		resume[p.market] = &resumption{Cursor: c, place: p}
	}
	r.restart()
	r.resume = resume
	return nil
}

// header is that of the segment of the entry that came last, which was no damage.
func (r *Reader) header() (Header, error) { return r.streams[0].header() }

func (r *Reader) restart() {
	r.rewind()
	r.seeking, r.resume = false, nil
}

// rewind has reading begin anew where it began.
func (r *Reader) rewind() {
	for _, st := range r.streams {
		st.end()
	}
	r.begun, r.known, r.seen, r.streams, r.damaged, r.unfinished = false, nil, nil, nil, nil, nil
}

// All iterates over what Next returns. It ends with an error, if that is not [io.EOF].
func (r *Reader) All(ctx context.Context) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		for {
			e, err := r.Next(ctx)
			if err == io.EOF || !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// Next returns the next entry, which is valid until the next call. The error is io.EOF at the end,
// that of the context, or one of a file or folder that cannot be read.
func (r *Reader) Next(ctx context.Context) (*Entry, error) {
	if !r.begun {
		if err := r.begin(ctx); err != nil {
			return nil, err
		}
	}
	for {
		if len(r.damaged) > 0 {
			r.alone = r.damaged[0]
			r.damaged = r.damaged[1:]
			return &r.alone, nil
		}
		e, err := r.next(ctx)
		if !errors.Is(err, errIncomplete) {
			return e, err
		}
		if err := r.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// next is Next, errIncomplete if there is nothing now.
func (r *Reader) next(ctx context.Context) (*Entry, error) {
	for len(r.streams) > 0 {
		st := r.streams[0]
		if st.ready {
			st.ready = false
			return &st.entry, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		err := st.fill()
		switch {
		case err == io.EOF:
			r.streams = r.streams[1:]
			continue
		case errors.Is(err, errIncomplete):
			st.idle = true
		case err != nil:
			return nil, err
		}
		if r.settle() {
			return nil, errIncomplete
		}
	}
	if r.follow > 0 {
		return nil, errIncomplete
	}
	r.progress.finish()
	return nil, io.EOF
}

// settle puts the first stream in its place, and reports whether none has anything.
func (r *Reader) settle() bool {
	for i := 0; i+1 < len(r.streams) && r.streams[i+1].place() < r.streams[i].place(); i++ {
		r.streams[i], r.streams[i+1] = r.streams[i+1], r.streams[i]
	}
	return r.streams[0].idle
}

// place is where among the streams it stands.
func (st *stream) place() int64 {
	if st.idle {
		return math.MaxInt64
	}
	return st.key
}

// wait waits until it is time to look for more, and looks.
func (r *Reader) wait(ctx context.Context) error {
	if r.timer == nil {
		r.timer = time.NewTimer(r.follow)
	} else {
		r.timer.Reset(r.follow)
	}
	select {
	case <-ctx.Done():
		r.timer.Stop()
		return ctx.Err()
	case <-r.timer.C:
	}
	for _, st := range r.streams {
		st.idle = false
	}
	if err := r.discover(); err != nil {
		return err
	}
	if err := r.takeUp(); err != nil {
		return err
	}
	r.sort()
	return nil
}

func (r *Reader) sort() {
	slices.SortStableFunc(r.streams, func(a, b *stream) int {
		switch {
		case a.place() < b.place():
			return -1
		case a.place() > b.place():
			return 1
		}
		return 0
	})
}

func (r *Reader) begin(ctx context.Context) error {
	r.known, r.seen = map[uint64]bool{}, map[string]bool{}
	if err := r.discover(); err != nil {
		r.rewind() // what was found is found again
		return err
	}
	r.resumed()
	r.sort()
	r.begun = true
	r.progress = trackerOf(ctx)
	r.progress.begin(r.remaining(), false)
	return nil
}

// remaining is how many bytes the segments have that come.
func (r *Reader) remaining() (n int64) {
	for _, st := range r.streams {
		for _, g := range st.segments {
			n += g.size
		}
	}
	return n
}

// discover looks for segments that are not known yet.
func (r *Reader) discover() error { return files(r.paths, r.look) }

// look looks into a file that was not looked into before.
func (r *Reader) look(path string, found bool) error {
	if r.seen[path] {
		return nil
	}
	id, size, ok, err := identify(path, r.unpacker)
	if found && errors.Is(err, fs.ErrNotExist) { // renamed or removed since
		return nil
	}
	if err != nil {
		return err
	}
	if !ok && r.follow > 0 && (size == 0 || strings.HasSuffix(path, PartSuffix)) {
		return nil // it may only begin
	}
	r.seen[path] = true
	if !ok {
		r.damaged = append(r.damaged, Entry{Damage: &Damage{path, 0, size, NoSegment}})
		return nil
	}
	if r.known[id.random] || !r.filter.wantsMarket(id.market) {
		return nil
	}
	r.known[id.random] = true
	folder, g := filepath.Dir(path), segment{path: path, id: id, size: size}
	if r.begun && r.passed(folder, &id) {
		c := r.resume[plain(id.market)]
		if c.folder == "" || c.own(folder) {
			return nil
		}
		g.since = c.since()
	}
	if r.begun {
		r.progress.more(size)
	}
	r.streamOf(id.market, folder, id.started).add(g)
	return nil
}

// streamOf is the stream of a market in a folder.
func (r *Reader) streamOf(m tickstorm.Market, folder string, started int64) *stream {
	for _, st := range r.streams {
		if st.market == m && st.folder == folder {
			if st.last == 0 {
				st.key = min(st.key, started)
			}
			return st
		}
	}
	return r.newStream(m, folder, started)
}

func (r *Reader) newStream(m tickstorm.Market, folder string, started int64) *stream {
	st := &stream{r: r, market: m, folder: folder, key: started, pick: picker{split: tickstorm.NewSplitter(m)}}
	r.streams = append(r.streams, st)
	return st
}
