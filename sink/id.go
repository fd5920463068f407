package sink

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tickstorm/tickstorm/record"
)

// ErrID: a text is no id of a row.
var ErrID = errors.New("sink: not an id")

// ID names a row: the same row of the same recording has the same one after every restart, when
// files were renamed, and in what [record.Recover] made of them.
type ID struct {
	// Cursor is the place of the element; of a notice that of its line.
	record.Cursor
	// Damage tells a damage apart from what stands behind it, and from others before that; "" of
	// all else.
	Damage string
}

// String returns the id's text, such as "stocks-20261125T143000.000Z-000123:4711:0".
func (id ID) String() string { return string(id.append(nil)) }

func (id *ID) append(dst []byte) []byte {
	dst = append(append(dst, id.Segment...), ':')
	dst = append(strconv.AppendUint(dst, id.Sequence, 10), ':')
	dst = strconv.AppendUint(dst, id.Element, 10)
	if id.Damage != "" {
		dst = append(append(dst, '!'), id.Damage...)
	}
	return dst
}

// MarshalText returns what String does.
func (id ID) MarshalText() ([]byte, error) { return id.append(nil), nil }

// UnmarshalText is ParseID.
func (id *ID) UnmarshalText(text []byte) (err error) {
	*id, err = ParseID(string(text))
	return err
}

// ParseID reads an id's text. Any other is an [ErrID].
func ParseID(text string) (ID, error) {
	id, err := parseID(text)
	if err == nil {
		_, err = record.ParseCursor(id.Cursor.String())
	}
	if err != nil || id.String() != text {
		return ID{}, fmt.Errorf("%w: %.200q", ErrID, text)
	}
	return id, nil
}

// parseID is ParseID, but that it does not look into the segment's name.
func parseID(text string) (id ID, err error) {
	text, id.Damage, _ = strings.Cut(text, "!")
	last := strings.LastIndexByte(text, ':')
	if last < 0 {
		return ID{}, ErrID
	}
	if id.Element, err = strconv.ParseUint(text[last+1:], 10, 64); err != nil {
		return ID{}, ErrID
	}
	text = text[:last]
	if last = strings.LastIndexByte(text, ':'); last < 0 {
		return ID{}, ErrID
	}
	if id.Sequence, err = strconv.ParseUint(text[last+1:], 10, 64); err != nil {
		return ID{}, ErrID
	}
	id.Segment = text[:last]
	return id, nil
}

// AppendStamp appends to dst what a message has to say of a row beside its Raw: id and receive time.
func (r *Row) AppendStamp(dst []byte) []byte {
	return strconv.AppendInt(append(r.ID.append(dst), ' '), r.Received, 10)
}

// Stamp is what AppendStamp wrote of a row.
type Stamp struct {
	ID       ID
	Received int64
}

// ParseStamp reads what AppendStamp wrote. Any other text is an [ErrID]. Of a segment whose name is
// that in last, the string is last's, so that a consumer keeps no message alive.
func ParseStamp(text string, last *Stamp) (s Stamp, err error) {
	id, received, _ := strings.Cut(text, " ")
	if s.ID, err = parseID(id); err == nil {
		s.Received, err = strconv.ParseInt(received, 10, 64)
	}
	if err != nil {
		return Stamp{}, fmt.Errorf("%w: %.200q", ErrID, text)
	}
	if last != nil && last.ID.Segment == s.ID.Segment {
		s.ID.Segment = last.ID.Segment
		return s, nil
	}
	if _, err := record.ParseCursor(s.ID.Cursor.String()); err != nil {
		return Stamp{}, fmt.Errorf("%w: %.200q", ErrID, text)
	}
	s.ID.Segment = strings.Clone(s.ID.Segment)
	return s, nil
}

// Live reports whether the row came from a [Live] source, and was never recorded: its segment has
// the number 0, which no recording has.
func (id *ID) Live() bool { return strings.HasSuffix(id.Segment, liveNumber) }
