package record

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"

	"github.com/tickstorm/tickstorm"
)

// This file finds the frames of a segment, one after the other, and what is between them that
// does not belong there. Whatever is whole is found, even where all around it is not.

// errIncomplete: the segment goes on when more of it is written.
var errIncomplete = errors.New("the file may grow")

// segmentReader reads a segment. It serves one goroutine at a time.
type segmentReader struct {
	file io.ReaderAt
	path string
	size int64
	// growing has what is incomplete at the end of the file waited for.
	growing  bool
	unpacker *unpacker

	at    int64 // where the next frame's index begins
	id    segmentID
	known bool // whose frames are read
	// The numbers of the next frame and its first line. Loose, they may be higher.
	frame, line uint64
	loose       bool
	// doubtful is the frame before, if it was not read: its length may be a lie. nil if it was.
	doubtful *frame
	finished bool // a footer was found
	ended    bool // it was told that there is none

	wasted int64 // bytes that were read again of what had turned out to be nothing
	vain   int64 // up to here bytes were read of that

	head []byte // of what stands at at
	scan []byte
	text []byte // of the frame that was read last
}

// frame is a frame that was found, and not read yet.
type frame struct {
	index
	from int64 // where it begins, with its index
	data int64 // where the compressed frame begins
	// text is what an orphan says, whose index is damaged. Valid until the next one is found.
	text   []byte
	orphan bool
}

func (f *frame) end() int64 { return f.data + int64(f.packed) }

func newSegmentReader(file io.ReaderAt, path string, size int64, u *unpacker) *segmentReader {
	return &segmentReader{file: file, path: path, size: size, unpacker: u}
}

// next finds the next frame. The error is a *Damage, behind which it goes on, errIncomplete,
// io.EOF at the end, or one of the file.
func (s *segmentReader) next() (frame, error) {
	for s.at < s.size {
		b, err := s.peek(s.at)
		if err != nil {
			return frame{}, err
		}
		x, n, err := parseIndex(b)
		switch {
		case err == nil:
			return s.indexed(x, n)
		case errors.Is(err, errVersion):
			return frame{}, s.pass(s.at, s.at+1, OtherVersion)
		}
		size, err := s.footerAt(s.at, b)
		if err != nil {
			return frame{}, err
		}
		if size > 0 {
			s.finished, s.doubtful = true, nil
			s.at += size
			continue
		}
		if len(b) >= 4 && le.Uint32(b) == zstdMagic {
			f, err := s.orphan(s.at)
			if err == nil {
				s.found(&f)
				return f, nil
			}
			if !errors.Is(err, errFrame) {
				return frame{}, err
			}
		}
		reason := Broken
		if s.cut(b) {
			if s.growing {
				return frame{}, errIncomplete
			}
			reason = Torn
		}
		return frame{}, s.pass(s.at, s.at+1, reason)
	}
	switch {
	case s.finished || s.ended:
		return frame{}, io.EOF
	case s.growing:
		return frame{}, errIncomplete
	}
	s.ended = true
	return frame{}, &Damage{s.path, s.size, 0, Unfinished}
}

func n64(n int) int64 { return int64(n) }

// peek reads up to the length of an index. It is valid until the next call.
func (s *segmentReader) peek(at int64) ([]byte, error) {
	if s.head == nil {
		s.head = make([]byte, maxIndex)
	}
	return s.readAt(s.head, at)
}

func (s *segmentReader) readAt(b []byte, at int64) ([]byte, error) {
	b = b[:min(n64(len(b)), s.size-at)]
	n, err := s.file.ReadAt(b, at)
	if err == io.EOF {
		err = nil
	}
	return b[:n], err
}

// cut reports whether the file ends in the middle of what begins with b.
func (s *segmentReader) cut(b []byte) bool {
	var head [skippableHead + markSize]byte
	n := copy(head[:], b)
	var want [skippableHead + markSize]byte
	copy(want[4:], head[4:skippableHead])
	for _, form := range []struct {
		magic uint32
		mark  string
	}{{skippableMagic, indexMark}, {skippableMagic, summaryMark}, {seekTableMagic, ""}} {
		le.PutUint32(want[:], form.magic)
		k := skippableHead + copy(want[skippableHead:], form.mark)
		k = min(n, k)
		if string(head[:k]) == string(want[:k]) {
			return n < skippableHead || s.at+skippableHead+int64(le.Uint32(b[4:])) > s.size
		}
	}
	return false
}

// indexed takes the frame whose index stands at s.at.
func (s *segmentReader) indexed(x index, n int) (frame, error) {
	f := frame{index: x, from: s.at, data: s.at + n64(n)}
	if !s.known {
		s.id, s.known = x.segmentID, true
	}
	switch {
	case x.segmentID != s.id:
		return frame{}, s.refuse(&f, Foreign)
	case f.end() > s.size:
		if s.growing {
			return frame{}, errIncomplete
		}
		return frame{}, s.pass(f.from, f.data, Torn)
	case x.frame < s.frame || x.line < s.line:
		return frame{}, s.refuse(&f, Repeated)
	case x.frame > s.frame || x.line > s.line:
		ahead, err := s.ahead(&f)
		if err != nil {
			return frame{}, err
		}
		if ahead { // to believe it would be to refuse all that comes
			return frame{}, s.pass(f.from, f.data, Lying)
		}
		if x.frame == s.frame || s.loose {
			break
		}
		s.loose = true
		return frame{}, &Damage{s.path, s.at, 0, Missing}
	}
	s.found(&f)
	return f, nil
}

// ahead reports whether a frame's numbers are not below those of the frame behind it.
func (s *segmentReader) ahead(f *frame) (bool, error) {
	if f.end() >= s.size {
		return false, nil
	}
	b, err := s.peek(f.end())
	if err != nil {
		return false, err
	}
	y, _, err := parseIndex(b)
	return err == nil && y.segmentID == s.id && (y.frame <= f.frame || y.line < f.line+f.lines()), nil
}

// room reports whether a frame may have so many lines, whatever its index says: whether what comes
// behind it has other numbers.
func (s *segmentReader) room(f *frame, lines uint64) (bool, error) {
	if lines <= f.lines() {
		return true, nil
	}
	b, err := s.peek(f.end())
	if err != nil {
		return false, err
	}
	if y, _, err := parseIndex(b); err == nil {
		return y.line >= f.line+lines, nil
	}
	s.line = max(s.line, f.line+lines)
	return true, nil
}

func (s *segmentReader) found(f *frame) {
	s.at, s.doubtful = f.end(), nil
	if !f.orphan {
		d := *f
		s.doubtful = &d
	}
	s.frame, s.line, s.loose = f.frame+1, f.line+f.lines(), false
	s.ended = false
}

// refuse passes over a frame that is whole, but has no place here.
func (s *segmentReader) refuse(f *frame, reason Reason) error {
	if _, err := s.unpacker.check(s.file, f.data, &f.index); err != nil { // then its length means nothing
		return s.pass(f.from, f.data, reason)
	}
	s.at = f.end()
	return &Damage{s.path, f.from, f.end() - f.from, reason}
}

// pass passes over what is damaged from a place on, to the next thing that is whole, which is
// looked for from another place on. It returns the damage.
func (s *segmentReader) pass(from, look int64, reason Reason) error {
	if d := s.doubtful; d != nil {
		_, err := s.unpacker.check(s.file, d.data, &d.index)
		switch {
		case errors.Is(err, errChecksum) || errors.Is(err, errFrame):
			look, s.frame, s.line = d.data, d.frame, d.line
		case err != nil:
			return err
		}
	}
	next, err := s.search(look)
	if err != nil {
		return err
	}
	if next == s.size && s.growing {
		return errIncomplete
	}
	s.at, s.doubtful, s.loose = next, nil, true
	s.ended = s.ended || next == s.size
	return &Damage{s.path, min(from, next), max(next-from, 0), reason}
}

var zstdStart = le.AppendUint32(nil, zstdMagic)

// search finds the next frame or footer that is whole, from a place on; the end of the file if
// there is none.
func (s *segmentReader) search(at int64) (int64, error) {
	const overlap = skippableHead + markSize - 1
	if s.scan == nil {
		s.scan = make([]byte, 64<<10)
	}
	for at < s.size {
		b, err := s.readAt(s.scan, at)
		if err != nil {
			return 0, err
		}
		for i := 0; ; i++ {
			n := nextStart(b[i:])
			if n < 0 {
				break
			}
			i += n
			whole, err := s.whole(at + n64(i))
			if err != nil || whole {
				return at + n64(i), err
			}
		}
		if len(b) <= overlap || at+n64(len(b)) >= s.size {
			break
		}
		at += n64(len(b) - overlap)
	}
	return s.size, nil
}

// nextStart is where in b something begins that looks like a frame, an index or a footer; -1 if
// nowhere.
func nextStart(b []byte) int {
	const mark = "\x89TSR\xFF" // what the marks have in common
	at := bytes.Index(b, zstdStart)
	for i := skippableHead; i < len(b); i++ {
		n := bytes.Index(b[i:], []byte(mark))
		if n < 0 || at >= 0 && i+n-skippableHead > at {
			break
		}
		i += n
		if le.Uint32(b[i-skippableHead:]) == skippableMagic {
			return i - skippableHead
		}
	}
	return at
}

// whole reports whether a frame or a footer begins there.
func (s *segmentReader) whole(at int64) (bool, error) {
	b, err := s.peek(at)
	if err != nil {
		return false, err
	}
	if len(b) >= 4 && le.Uint32(b) == zstdMagic {
		_, err := s.orphan(at)
		if errors.Is(err, errFrame) {
			return false, nil
		}
		return err == nil, err
	}
	if _, _, err := parseIndex(b); err == nil {
		return true, nil
	}
	n, err := s.footerAt(at, b)
	return n > 0, err
}

// footerAt is how long the part of a footer is that begins at a place with b: a summary or,
// behind one, a seek table. It is 0 if there is none.
func (s *segmentReader) footerAt(at int64, b []byte) (int64, error) {
	if len(b) < skippableHead {
		return 0, nil
	}
	size := skippableHead + int64(le.Uint32(b[4:]))
	if at+size > s.size {
		return 0, nil
	}
	if le.Uint32(b) == seekTableMagic {
		var end [4]byte
		if _, err := s.readAt(end[:], at+size-4); err != nil {
			return 0, err
		}
		if !s.finished || le.Uint32(end[:]) != seekableMagic {
			return 0, nil
		}
		return size, nil
	}
	if len(b) < minSummary || le.Uint32(b) != skippableMagic || string(b[skippableHead:atSummaryVersion]) != summaryMark {
		return 0, nil
	}
	cost := s.cost(at, size, 0)
	if size > maxFooter || !s.affords(cost) {
		return 0, nil
	}
	sum := crc32.New(castagnoli)
	if _, err := io.Copy(sum, io.NewSectionReader(s.file, at, size-4)); err != nil {
		return 0, err
	}
	var end [4]byte
	if _, err := s.readAt(end[:], at+size-4); err != nil || le.Uint32(end[:]) != sum.Sum32() {
		s.waste(at+size, cost)
		return 0, err
	}
	if s.known && le.Uint64(b[atSummaryRandom:]) != s.id.random {
		return 0, nil
	}
	return size, nil
}

// cost is what it costs to look at bytes that may be nothing. Each is looked at once at no cost, and
// decompressed as far as recordings can be. What crash and decay leave costs nothing; a file that was
// made to cost the square of its length does.
func (s *segmentReader) cost(at, packed, raw int64) int64 {
	const ratio = 256
	if at < s.vain {
		return packed + raw
	}
	return max(0, raw-ratio*packed)
}

// affords reports whether looking is worth its cost. What is not is passed over.
func (s *segmentReader) affords(cost int64) bool { return s.wasted+cost <= 16*s.size+maxFooter }

// waste takes note that what was looked at is nothing.
func (s *segmentReader) waste(end, cost int64) {
	s.wasted += cost
	s.vain = max(s.vain, end)
}

// orphan takes a frame whose index is damaged, at a place where one begins. All that can be
// known without the index has to be right. The error is an errFrame if it is none.
func (s *segmentReader) orphan(at int64) (frame, error) {
	packed, raw, err := frameLength(s.file, at, s.size)
	if err != nil {
		return frame{}, err
	}
	cost := s.cost(at, n64(packed), n64(raw))
	if !s.affords(cost) {
		return frame{}, errFrame
	}
	f, err := s.adopt(at, packed, raw)
	if errors.Is(err, errFrame) {
		s.waste(at+n64(packed), cost)
	}
	return f, err
}

// adopt is orphan where the frame has these lengths.
func (s *segmentReader) adopt(at int64, packed, raw int) (frame, error) {
	b, err := s.unpacker.read(s.file, at, packed)
	if err != nil {
		return frame{}, err
	}
	f := frame{from: at, data: at, orphan: true}
	f.kind, f.raw, f.packed, f.sum = dataFrame, raw, packed, crc32.Checksum(b, castagnoli)
	if f.text, err = s.unpacker.unpack(b, nil, raw, false); err != nil {
		return frame{}, errFrame
	}
	if _, id, err := parseHeader(f.text); err == nil {
		if s.known && id != s.id || s.frame > 0 {
			return frame{}, errFrame
		}
		s.id, s.known = id, true
		f.segmentID, f.kind = id, headerFrame
		return f, nil
	}
	if !s.known {
		return frame{}, errFrame
	}
	f.segmentID, f.frame, f.line = s.id, s.frame, s.line
	split := tickstorm.NewSplitter(s.id.market)
	if !f.describe(split, f.text) {
		return frame{}, errFrame
	}
	// What comes behind it knows its number.
	if f.end() < s.size {
		after, err := s.readAt(make([]byte, maxIndex), f.end())
		if err != nil {
			return frame{}, err
		}
		if x, _, err := parseIndex(after); err == nil {
			if x.segmentID != s.id || x.frame < s.frame+1 || x.line < s.line+f.lines() {
				return frame{}, errFrame
			}
			f.frame, f.line = x.frame-1, x.line-f.lines()
		}
	}
	return f, nil
}

// describe adds what a frame's text says to its index, and reports whether that is all lines.
func (x *index) describe(split *tickstorm.Splitter, text []byte) bool {
	for len(text) > 0 {
		l, rest, ok := cutLine(text)
		if !ok {
			return false
		}
		if text = rest; !l.control {
			x.addMessage(split, l.received, l.raw)
			continue
		}
		c, err := parseControl(l.raw)
		if err != nil {
			return false
		}
		x.addControl(c.Received)
	}
	return true
}

// open reads the frame that was found last. The text is valid until the next call. The error is
// as that of next.
func (s *segmentReader) open(f *frame) ([]byte, error) {
	if f.orphan {
		s.text = f.text
		return f.text, nil
	}
	b, err := s.unpacker.check(s.file, f.data, &f.index)
	reason := Checksum
	s.doubtful = nil
	if err == nil {
		if s.text, err = s.unpacker.unpack(b, s.text, f.raw, true); err == nil {
			return s.text, nil
		}
		err, reason = errFrame, Lying
	}
	if !errors.Is(err, errFrame) && !errors.Is(err, errChecksum) {
		return nil, err
	}
	// The index may be what is wrong, and the frame an orphan.
	s.frame, s.line = f.frame, f.line
	return nil, s.pass(f.from, f.data, reason)
}
