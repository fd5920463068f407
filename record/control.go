package record

import (
	"encoding/json"
	"time"

	"github.com/tickstorm/tickstorm"
)

// ControlKind is what a [Control] tells of.
type ControlKind string

// The kinds of controls.
const (
	// Up: a connection stands, and its key was accepted.
	Up ControlKind = "up"
	// Down: it ended, for the Cause.
	Down ControlKind = "down"
	// Subscribed: the Topics are what the server sends from here on.
	Subscribed ControlKind = "subscribed"
	// Gap: what the feed sent between From and To is missing, for the Cause.
	Gap ControlKind = "gap"
	// Status: the server or the client said Text.
	Status ControlKind = "status"
	// Dropped: Count messages were dropped here, since the recorder's buffer was full.
	Dropped ControlKind = "dropped"
	// Rotate: the recording goes on in another segment, Text. It is the last line of this one.
	Rotate ControlKind = "rotate"
	// Lost: Count entries that had been recorded were damaged, for the Cause, which is a
	// [Reason]; 0 if it is not known how many. [Recover] and [Cut] write it.
	Lost ControlKind = "lost"
)

// Control is a line of a recording that is no message: what happened between the messages
// before it and those behind it. Fields that its kind does not mention are zero. It never holds
// the key.
type Control struct {
	Kind ControlKind
	// Received is when it happened, in nanoseconds since 1970.
	Received int64
	// Cause is why.
	Cause string
	// Text is for people.
	Text string
	// Count and Bytes are how many messages and how many bytes of them.
	Count, Bytes uint64
	// From and To are the ends of a gap.
	From, To tickstorm.Moment
	// Topics are those of the connection.
	Topics []string
}

// controlJSON is how a control stands in its line.
type controlJSON struct {
	Kind     ControlKind `json:"c"`
	Received int64       `json:"t"`
	Cause    string      `json:"cause,omitempty"`
	Text     string      `json:"text,omitempty"`
	Count    uint64      `json:"count,omitempty"`
	Bytes    uint64      `json:"bytes,omitempty"`
	From     *momentJSON `json:"from,omitempty"`
	To       *momentJSON `json:"to,omitempty"`
	Topics   []string    `json:"topics,omitempty"`
}

// momentJSON has nanoseconds since 1970; 0 is not known.
type momentJSON struct {
	Event    int64 `json:"event,omitempty"`
	Received int64 `json:"received,omitempty"`
}

func momentOf(m tickstorm.Moment) *momentJSON {
	if m.Event.IsZero() && m.Received.IsZero() {
		return nil
	}
	return &momentJSON{nanos(m.Event), nanos(m.Received)}
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func (m *momentJSON) moment() (out tickstorm.Moment) {
	if m == nil {
		return out
	}
	if m.Event != 0 {
		out.Event = time.Unix(0, m.Event)
	}
	if m.Received != 0 {
		out.Received = time.Unix(0, m.Received)
	}
	return out
}

// appendTo appends the control's line, without its end.
func (c *Control) appendTo(dst []byte) ([]byte, error) {
	text, err := json.Marshal(controlJSON{
		c.Kind, c.Received, c.Cause, c.Text, c.Count, c.Bytes, momentOf(c.From), momentOf(c.To), c.Topics,
	})
	if err != nil {
		return dst, err
	}
	return append(append(dst, '#'), text...), nil
}

// parseControl reads a control's line without its # and end. Members that this version does not
// know are passed over.
func parseControl(b []byte) (*Control, error) {
	var c controlJSON
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, err
	}
	return &Control{c.Kind, c.Received, c.Cause, c.Text, c.Count, c.Bytes, c.From.moment(), c.To.moment(), c.Topics}, nil
}
