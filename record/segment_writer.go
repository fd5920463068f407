package record

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/tickstorm/tickstorm"
)

// Errors of what cannot be recorded, for [errors.Is].
var (
	// ErrTooLong: a message or a control is longer than MaxMessage.
	ErrTooLong = errors.New("message is too long for a recording")
	// ErrMarket: the market's name is empty or longer than an index has room for.
	ErrMarket = errors.New("market's name does not fit a recording")

	errFinished = errors.New("segment is finished")
)

// segmentWriter writes one segment to w, a frame and its index with one Write, so that what a
// crash tears is the last of them. After an error of w, whose file may end in a torn frame,
// it writes nothing more and every method returns the error. It serves one goroutine at a time.
type segmentWriter struct {
	w     io.Writer
	err   error
	enc   *zstd.Encoder
	split *tickstorm.Splitter

	open index  // of the open frame
	text []byte // its lines
	out  []byte // an index and a frame

	footer footer
	lines  uint64
}

// newSegmentWriter begins a segment: it writes the header. The header is all that may tell
// where messages came from, and must not have the key.
func newSegmentWriter(w io.Writer, h Header, level Level) (*segmentWriter, error) {
	if h.Market == "" || len(h.Market) > maxMarket {
		return nil, fmt.Errorf("%w: %q", ErrMarket, h.Market)
	}
	var random [8]byte
	rand.Read(random[:]) // never fails
	id := segmentID{h.Market, binary.LittleEndian.Uint64(random[:]), h.Started.UnixNano(), h.Sequence}
	line, err := h.appendTo(nil, &id)
	if err != nil {
		return nil, err
	}
	return beginSegment(w, id, line, level)
}

// beginSegment begins a segment with a header's line.
func beginSegment(w io.Writer, id segmentID, header []byte, level Level) (*segmentWriter, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level.zstd()), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(true), zstd.WithSingleSegment(true), zstd.WithWindowSize(frameRaw))
	if err != nil {
		return nil, err
	}
	s := &segmentWriter{w: w, enc: enc, split: tickstorm.NewSplitter(id.market), footer: newFooter(id)}
	s.open = index{segmentID: id, kind: headerFrame}
	s.text = append(s.text, header...)
	return s, s.flush()
}

// message appends a message, which it copies.
func (s *segmentWriter) message(received int64, msg []byte) error {
	if len(msg) > MaxMessage {
		return fmt.Errorf("%w: it has %d bytes", ErrTooLong, len(msg))
	}
	if err := s.room(lineHead + len(msg) + 1); err != nil {
		return err
	}
	s.text = appendHead(s.text, received, len(msg))
	s.text = append(append(s.text, msg...), '\n')
	s.open.addMessage(s.split, received, msg)
	s.lines++
	return s.full()
}

// control appends a control in its place among the messages.
func (s *segmentWriter) control(c Control) error {
	line, err := c.appendTo(nil)
	if err != nil {
		return err
	}
	if len(line) > MaxMessage {
		return fmt.Errorf("%w: a control of %d bytes", ErrTooLong, len(line))
	}
	if err := s.room(len(line) + 1); err != nil {
		return err
	}
	s.text = append(append(s.text, line...), '\n')
	s.open.addControl(c.Received)
	s.lines++
	return s.full()
}

// whole writes lines as a frame of their own, the first of which has a number that is not below
// that of the line that would come next.
func (s *segmentWriter) whole(text []byte, line uint64) error {
	if err := s.flush(); err != nil {
		return err
	}
	s.text = append(s.text, text...)
	s.open.line = line
	s.open.describe(s.split, text)
	s.lines = line + s.open.lines()
	return s.flush()
}

// room closes the open frame if a line of n bytes would make it too long.
func (s *segmentWriter) room(n int) error {
	if s.err == nil && len(s.text) > 0 && len(s.text)+n > frameRaw {
		return s.flush()
	}
	return s.err
}

func (s *segmentWriter) full() error {
	if len(s.text) >= frameRaw {
		return s.flush()
	}
	return nil
}

// flush closes the open frame, if there is one, and writes it.
func (s *segmentWriter) flush() error {
	if s.err != nil || len(s.text) == 0 {
		return s.err
	}
	const space = maxIndex // before the frame: the index needs what the frame has become
	if cap(s.out) < space {
		s.out = make([]byte, space, space+frameRaw)
	}
	s.out = s.enc.EncodeAll(s.text, s.out[:space])
	x := &s.open
	x.raw, x.packed = len(s.text), len(s.out)-space
	x.sum = crc32.Checksum(s.out[space:], castagnoli)
	var room [maxIndex]byte
	head := x.appendTo(room[:0])
	unit := s.out[space-len(head):]
	copy(unit, head)
	if !s.write(unit) {
		return s.err
	}
	s.footer.add(x, len(head))

	s.open = index{segmentID: x.segmentID, kind: dataFrame, frame: x.frame + 1, line: s.lines, channels: x.channels[:0]}
	if cap(s.text) > 2*frameRaw {
		s.text, s.out = nil, nil
	}
	s.text = s.text[:0]
	return nil
}

// write writes what belongs together at once, and reports whether that went well.
func (s *segmentWriter) write(b []byte) bool {
	n, err := s.w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	s.footer.wrote(b[:min(max(n, 0), len(b))])
	s.err = err
	return err == nil
}

// finish closes the open frame and writes the footer. Nothing can be appended after it.
func (s *segmentWriter) finish() error {
	if err := s.flush(); err != nil {
		return err
	}
	var b bytes.Buffer
	s.footer.writeTo(&b)
	if s.write(b.Bytes()) {
		s.err = errFinished
		return nil
	}
	return s.err
}

// written is how many bytes w has taken.
func (s *segmentWriter) written() int64 { return s.footer.size }
