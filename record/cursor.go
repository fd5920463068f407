package record

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrCursor: a text is no cursor.
var ErrCursor = errors.New("not a cursor")

// Cursor is a place in a recording: before an element of a message. It means the same after
// restarts, when the file was renamed, and in what [Recover] made of it. Its text is what
// String returns.
type Cursor struct {
	// Segment is the name of the segment, as [Header.Name] has it.
	Segment string
	// Sequence is the number of the message or control in its segment, from 0.
	Sequence uint64
	// Element is the number of the element in its message, from 0.
	Element uint64
}

// String returns the cursor's text, such as "stocks-20261125T143000.000Z-000123:4711:0".
func (c Cursor) String() string {
	return c.Segment + ":" + strconv.FormatUint(c.Sequence, 10) + ":" + strconv.FormatUint(c.Element, 10)
}

// MarshalText returns what String does.
func (c Cursor) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText is ParseCursor.
func (c *Cursor) UnmarshalText(text []byte) (err error) {
	*c, err = ParseCursor(string(text))
	return err
}

// ParseCursor reads a cursor's text. Any other is an [ErrCursor], also one that means the same.
func ParseCursor(s string) (Cursor, error) {
	parts := strings.Split(s, ":")
	if len(parts) != 3 {
		return Cursor{}, fmt.Errorf("%w: %.200q", ErrCursor, s)
	}
	sequence, err := strconv.ParseUint(parts[1], 10, 64)
	element, err2 := strconv.ParseUint(parts[2], 10, 64)
	c := Cursor{parts[0], sequence, element}
	_, err3 := c.place()
	if err := errors.Join(err, err2, err3); err != nil || c.String() != s {
		return Cursor{}, fmt.Errorf("%w: %.200q", ErrCursor, s)
	}
	return c, nil
}

// place is what a segment's name says.
type place struct {
	market   string // as it stands in names
	started  int64  // in milliseconds since 1970
	sequence uint64
}

func (id *segmentID) place() place {
	return place{plain(id.market), time.Unix(0, id.started).UnixMilli(), id.sequence}
}

// before reports whether a segment comes before another one of its market.
func (p place) before(q place) bool {
	return p.started < q.started || p.started == q.started && p.sequence < q.sequence
}

func (c *Cursor) place() (place, error) {
	rest, number, ok := cutLast(c.Segment)
	market, started, ok2 := cutLast(rest)
	sequence, err := strconv.ParseUint(number, 10, 64)
	t, err2 := time.Parse("20060102T150405.000Z", started)
	if !ok || !ok2 || market == "" || err != nil || err2 != nil || len(number) < 6 {
		return place{}, fmt.Errorf("%w: its segment is %.200q", ErrCursor, c.Segment)
	}
	return place{market, t.UnixMilli(), sequence}, nil
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '-')
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}
