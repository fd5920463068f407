package record

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/tickstorm/tickstorm"
)

// Report is what [Verify] and [Recover] have found in a segment.
type Report struct {
	Path string
	// Header is what the segment begins with. If that is damaged, it has what every frame says:
	// no Host, Topics and Software.
	Header Header
	// Finished tells whether it has a footer.
	Finished bool
	// Frames, Messages and Controls are how many are whole, the header not counted.
	Frames, Messages, Controls uint64
	// Elements are the elements of these messages, by channel, those of the past among them (see
	// [Reader.Past]); "" stands for those of none and, where a frame has dozens, for the rest of the
	// channels.
	Elements map[string]uint64
	// Raw and Packed are the bytes of these frames before and after compression.
	Raw, Packed int64
	// The first and last times in these frames; zero if there are none.
	FirstReceived, LastReceived time.Time
	FirstEvent, LastEvent       time.Time
	// Damage is all that is wrong, up to 1,000 places; Damages is how many there are.
	Damage  []*Damage
	Damages uint64
}

// OK reports whether nothing is wrong. A clock that was put back is nothing wrong with the
// file.
func (r *Report) OK() bool {
	for _, d := range r.Damage {
		if d.Reason != ClockBack {
			return false
		}
	}
	return r.Damages == uint64(len(r.Damage))
}

const maxDamage = 1000

func (r *Report) damaged(d *Damage) {
	if r.Damages++; len(r.Damage) < maxDamage {
		r.Damage = append(r.Damage, d)
	}
}

// Verify reads segments whole, each by itself, and reports on them in the order of their paths:
// each checksum, length and line, and whether each index and footer says what is there. Paths are
// as those of [Open]. The error is that of the context, or one of a file that cannot be read;
// what was found until then is returned with it.
func Verify(ctx context.Context, paths ...string) ([]*Report, error) {
	u, err := newUnpacker()
	if err != nil {
		return nil, err
	}
	defer u.close()
	u.verifies = true
	t := trackerOf(ctx)
	return reportsOn(paths, t, func(path string) (*Report, error) { return inspect(ctx, path, u, t, nil) })
}

// reportsOn looks at each segment that paths match, and tells t how far that is.
func reportsOn(paths []string, t *tracker, look func(path string) (*Report, error)) (reports []*Report, err error) {
	if err := matched(paths); err != nil {
		return nil, err
	}
	if err := t.beginAll(paths); err != nil {
		return nil, err
	}
	err = files(paths, func(path string, found bool) error {
		r, err := look(path)
		if found && errors.Is(err, fs.ErrNotExist) { // removed since
			return nil
		}
		if r != nil {
			reports = append(reports, r)
		}
		return err
	})
	if err == nil {
		t.finish()
	}
	return reports, err
}

// inspect reads a segment whole. keep, if not nil, gets each frame that is whole, with its text,
// and the damage between them; what it is given is valid until it returns. t is told what was read.
func inspect(ctx context.Context, path string, u *unpacker, t *tracker, keep func(f *frame, text []byte, d *Damage) error) (*Report, error) {
	s, err := openWritten(path, u)
	if err != nil {
		return nil, err
	}
	defer s.close()
	if err := s.elect(); err != nil {
		return nil, err
	}
	v := &inspection{report: &Report{Path: path, Elements: map[string]uint64{}}, keep: keep}
	for {
		if err := ctx.Err(); err != nil {
			return v.report, err
		}
		f, err := s.next()
		var text []byte
		if err == nil {
			text, err = s.open(&f)
		}
		var d *Damage
		switch {
		case errors.As(err, &d):
			err = v.damaged(d)
		case err == nil:
			err = v.frame(s.segmentReader, &f, text)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return v.report, err
		}
		t.reached(s.at)
	}
	t.over(s.size)
	return v.report, v.end(ctx, s)
}

// end takes note of what is known once all was read.
func (v *inspection) end(ctx context.Context, s *segmentFile) error {
	v.report.Finished = s.finished
	if err := v.known(s); err != nil || !s.known || !s.finished || v.report.Damages > v.clocks {
		return err // a footer tells of what is no longer there
	}
	return v.footer(ctx, s)
}

// known has the report say what all frames together do.
func (v *inspection) known(s *segmentFile) error {
	if !s.known {
		return v.damaged(&Damage{s.path, 0, s.size, NoSegment})
	}
	if v.report.Header.Market == "" {
		v.report.Header = Header{Market: s.id.market, Started: time.Unix(0, s.id.started).UTC(), Sequence: s.id.sequence}
	}
	v.total()
	return nil
}

// inspection is a segment that is being read whole.
type inspection struct {
	report *Report
	keep   func(f *frame, text []byte, d *Damage) error
	split  *tickstorm.Splitter
	sum    footer // what the footer should say
	clocks uint64 // steps back of the clock
	last   int64
}

func (v *inspection) damaged(d *Damage) error {
	v.report.damaged(d)
	if v.keep != nil && d.Reason != ClockBack {
		return v.keep(nil, nil, d)
	}
	return nil
}

// frame takes note of a frame, and checks that its index says what is in it.
func (v *inspection) frame(s *segmentReader, f *frame, text []byte) error {
	if v.split == nil {
		v.split = tickstorm.NewSplitter(f.market)
	}
	if f.kind == headerFrame {
		h, id, err := parseHeader(text)
		if err != nil || id != f.segmentID {
			return v.damaged(&Damage{s.path, f.from, f.end() - f.from, Lying})
		}
		v.report.Header = *h
		v.took(f)
		return v.kept(f, text)
	}
	is := index{}
	good := is.describe(v.split, text)
	if !good || !f.orphan && !is.says(&f.index) {
		if err := v.damaged(&Damage{s.path, f.from, f.end() - f.from, Lying}); err != nil || !good {
			return err
		}
		if room, err := s.room(f, is.lines()); err != nil || !room {
			return err
		}
		// All is there that was written, whatever was made of it then.
		f.messages, f.controls, f.channels, f.received, f.event = is.messages, is.controls, is.channels, is.received, is.event
	}
	v.clock(s, f, text)
	v.counted(f)
	return v.kept(f, text)
}

// counted takes note of a frame of data.
func (v *inspection) counted(f *frame) {
	v.took(f)
	v.report.Frames++
	v.report.Raw += n64(f.raw)
	v.report.Packed += n64(f.packed)
}

func (v *inspection) kept(f *frame, text []byte) error {
	if v.keep == nil {
		return nil
	}
	return v.keep(f, text, nil)
}

func (v *inspection) took(f *frame) {
	if v.sum.sum == nil {
		v.sum = newFooter(f.segmentID)
	}
	v.sum.size = f.end()
	v.sum.add(&f.index, int(f.data-f.from))
}

// clock looks for receive times that step back.
func (v *inspection) clock(s *segmentReader, f *frame, text []byte) {
	for len(text) > 0 {
		l, rest, ok := cutLine(text)
		if !ok {
			return
		}
		if text = rest; l.control {
			c, err := parseControl(l.raw)
			if err != nil {
				return
			}
			l.received = c.Received
		}
		if l.received < v.last {
			v.clocks++
			v.report.damaged(&Damage{s.path, f.from, 0, ClockBack})
		}
		v.last = l.received
	}
}

// says reports whether another index says the same of what is in the frame.
func (x *index) says(y *index) bool {
	if x.messages != y.messages || x.controls != y.controls || x.received != y.received || x.event != y.event || len(x.channels) != len(y.channels) {
		return false
	}
	for _, c := range y.channels {
		if !slices.Contains(x.channels, c) {
			return false
		}
	}
	return true
}

// total has the report say how much there is.
func (v *inspection) total() {
	r, s := v.report, &v.sum.summary
	r.Messages, r.Controls = s.messages, s.controls
	for _, c := range s.channels {
		r.Elements[c.name] += c.count
	}
	if s.received != (span{}) {
		r.FirstReceived, r.LastReceived = time.Unix(0, s.received.first), time.Unix(0, s.received.last)
	}
	if s.event != (span{}) {
		r.FirstEvent, r.LastEvent = time.Unix(0, s.event.first), time.Unix(0, s.event.last)
	}
}

// footer checks that the footer is the one that belongs behind the frames.
func (v *inspection) footer(ctx context.Context, s *segmentFile) error {
	v.sum.sum.Reset()
	if _, err := io.Copy(v.sum.sum, contextReader{ctx, io.NewSectionReader(s.file, 0, v.sum.size)}); err != nil {
		return err
	}
	var want bytes.Buffer
	v.sum.writeTo(&want)
	at := v.sum.size
	got := make([]byte, want.Len())
	n, err := s.file.ReadAt(got, at)
	if err != nil && err != io.EOF {
		return err
	}
	if s.size-at != n64(want.Len()) || !bytes.Equal(got[:n], want.Bytes()) {
		return v.damaged(&Damage{s.path, at, s.size - at, BadFooter})
	}
	return nil
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}
