package record

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
)

// This file opens the files of segments and looks into their footers.

// maxFooter bounds what is read of a footer at once: a table of more frames than any recorder
// makes. A segment with a longer one is read without it.
const maxFooter = 64 << 20

// segmentFile is a segment's file, open.
type segmentFile struct {
	*segmentReader
	f *os.File
}

var errNotRegular = errors.New("not a regular file")

func openSegmentFile(path string, u *unpacker) (*segmentFile, error) {
	// Before it is opened: opening a pipe would wait for whoever writes to it.
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, &os.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s := &segmentFile{newSegmentReader(f, path, 0, u), f}
	if err := s.grow(); err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

// openWritten opens a segment's file, which may have got its final name since it was found.
func openWritten(path string, u *unpacker) (*segmentFile, error) {
	s, err := openSegmentFile(path, u)
	if errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(path, PartSuffix) {
		return openSegmentFile(strings.TrimSuffix(path, ".part"), u)
	}
	return s, err
}

// grow takes note of what was written since.
func (s *segmentFile) grow() error {
	info, err := s.f.Stat()
	if err != nil {
		return err
	}
	s.size = info.Size()
	return nil
}

func (s *segmentFile) close() { s.f.Close() }

// elect decides whose frames are read, before any is: those of which there are most among
// the first three and the last, so that a frame of another file does not have it its way.
func (s *segmentReader) elect() error {
	var ids []segmentID
	at := int64(0)
	for range 3 {
		b, err := s.peek(min(at, s.size))
		if err != nil {
			return err
		}
		x, n, err := parseIndex(b)
		if err != nil {
			break
		}
		ids = append(ids, x.segmentID)
		at += n64(n + x.packed)
	}
	if x, ok, err := s.lastIndex(); err != nil {
		return err
	} else if ok {
		ids = append(ids, x.segmentID)
	}
	best := 0
	for _, id := range ids {
		votes := 0
		for _, other := range ids {
			if id == other {
				votes++
			}
		}
		if votes > best {
			s.id, s.known, best = id, true, votes
		}
	}
	return nil
}

// seekTableAt is where the seek table at the end of the file begins, and how many entries it
// has; 0 if there is none.
func (s *segmentReader) seekTableAt() (at, entries int64, err error) {
	var b [seekFooterSize]byte
	if s.size < int64(len(b)) {
		return 0, 0, nil
	}
	if _, err := s.readAt(b[:], s.size-int64(len(b))); err != nil {
		return 0, 0, err
	}
	n := int64(le.Uint32(b[:]))
	at = s.size - skippableHead - n*seekEntrySize - seekFooterSize
	if le.Uint32(b[5:]) != seekableMagic || b[4] != 0 || n < 3 || at < 0 {
		return 0, 0, nil
	}
	return at, n, nil
}

// lastIndex is the index of the last frame, found through the seek table.
func (s *segmentReader) lastIndex() (x index, ok bool, err error) {
	at, n, err := s.seekTableAt()
	if err != nil || n == 0 {
		return index{}, false, err
	}
	var last [3 * seekEntrySize]byte // index, frame, summary
	if _, err := s.readAt(last[:], at+skippableHead+(n-3)*seekEntrySize); err != nil {
		return index{}, false, err
	}
	for i := range 3 {
		at -= int64(le.Uint32(last[i*seekEntrySize:]))
	}
	if at < 0 {
		return index{}, false, nil
	}
	b, err := s.peek(at)
	if err != nil {
		return index{}, false, err
	}
	x, _, err = parseIndex(b)
	return x, err == nil, nil
}

// summary is the summary at the end of the file and its table. ok tells whether there is one
// that is of this segment, and stands where it was written.
func (s *segmentReader) summary() (sum summary, table []byte, ok bool, err error) {
	end, n, err := s.seekTableAt()
	if err != nil || n == 0 {
		return summary{}, nil, false, err
	}
	var entry [4]byte
	if _, err := s.readAt(entry[:], end+skippableHead+(n-1)*seekEntrySize); err != nil {
		return summary{}, nil, false, err
	}
	size := int64(le.Uint32(entry[:]))
	if size > maxFooter || size > end {
		return summary{}, nil, false, nil
	}
	b := make([]byte, size)
	if _, err := s.readAt(b, end-size); err != nil && err != io.EOF {
		return summary{}, nil, false, err
	}
	sum, table, k, err := parseSummary(b)
	if err != nil || n64(k) != size || int64(sum.packed) != end-size || s.known && sum.segmentID != s.id {
		return summary{}, nil, false, nil
	}
	return sum, table, true, nil
}

// skipTo passes over the frames of which the table says that all is before a moment. Without a
// table it does nothing.
func (s *segmentReader) skipTo(c Clock, t int64) error {
	sum, table, ok, err := s.summary()
	if err != nil || !ok {
		return err
	}
	for i := range int(sum.frames) {
		e := tableAt(table, i)
		if c.of(e.received, e.event).last >= t && e.offset < sum.packed {
			s.at, s.loose = int64(e.offset), true
			return nil
		}
	}
	s.at, s.finished = s.size, true
	return nil
}
