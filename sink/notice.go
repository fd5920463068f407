package sink

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
)

// NoticeKind is what a [Notice] tells: the kinds of [record.Control], and those below.
type NoticeKind string

// The kinds that no control has.
const (
	// Damaged: the recording is damaged here, for the Cause, which is a [record.Reason].
	Damaged NoticeKind = "damage"
	// Broken: a message goes on behind its end, with what the Text says, which is in no row.
	Broken NoticeKind = "broken"
)

// Notice is what a consumer should know beside the elements: what is missing of them and why, and
// where connections began and ended. It stands among the rows in its place. Fields that its kind
// does not mention are zero, as in [record.Control].
type Notice struct {
	Kind     NoticeKind
	ID       ID
	Market   tickstorm.Market
	Received int64
	Cause    string
	Text     string
	// Count and Bytes are how many messages and how many bytes of them.
	Count, Bytes uint64
	From, To     tickstorm.Moment
	Topics       []string
}

// Missing reports whether it says that something is missing: a gap, what was dropped or lost, or a
// damage, unless that is of the clock alone.
func (n *Notice) Missing() bool {
	switch n.Kind {
	case NoticeKind(record.Gap), NoticeKind(record.Dropped), NoticeKind(record.Lost), Broken:
		return true
	case Damaged:
		return n.Cause != string(record.ClockBack)
	}
	return false
}

func noticeOf(e *record.Entry) *Notice {
	n := &Notice{ID: ID{Cursor: e.Cursor()}, Market: e.Market, Received: e.Received}
	if d := e.Damage; d != nil {
		if n.ID.Segment == "" { // of a file as a whole
			n.ID.Segment, n.Market = segmentOf(d.Path)
		}
		n.Kind, n.Cause, n.Bytes = Damaged, string(d.Reason), uint64(d.Length)
		n.From.Received = timeAt(e.Received)
		n.ID.Damage = fmt.Sprintf("%s@%d", strings.ReplaceAll(string(d.Reason), " ", "-"), d.Offset)
		return n
	}
	c := e.Control
	n.Kind = NoticeKind(c.Kind)
	n.Cause, n.Text, n.Count, n.Bytes, n.From, n.To, n.Topics = c.Cause, c.Text, c.Count, c.Bytes, c.From, c.To, c.Topics
	return n
}

// unknownSegment stands for a file that neither says by its contents which segment it is nor by its
// name.
const unknownSegment = "unknown-19700101T000000.000Z-000000"

// segmentOf is the segment that a path names, and its market.
func segmentOf(path string) (string, tickstorm.Market) {
	name := filepath.Base(path)
	name = strings.TrimSuffix(strings.TrimSuffix(name, record.Suffix), record.PartSuffix)
	if _, err := record.ParseCursor(record.Cursor{Segment: name}.String()); err != nil {
		name = unknownSegment
	}
	return name, marketNamed(marketOf(name))
}

// marketNamed is the market that stands in a segment's name.
func marketNamed(plain string) tickstorm.Market {
	for _, m := range tickstorm.Markets() {
		if strings.ReplaceAll(string(m), "/", "-") == plain {
			return m
		}
	}
	return tickstorm.Market(plain)
}

// noticeJSON is a notice's form. A moment has nanoseconds since 1970; 0 is not known.
type noticeJSON struct {
	Kind     NoticeKind       `json:"notice"`
	ID       ID               `json:"id"`
	Market   tickstorm.Market `json:"market"`
	Received int64            `json:"t"`
	Cause    string           `json:"cause,omitempty"`
	Text     string           `json:"text,omitempty"`
	Count    uint64           `json:"count,omitempty"`
	Bytes    uint64           `json:"bytes,omitempty"`
	From     momentJSON       `json:"from,omitzero"`
	To       momentJSON       `json:"to,omitzero"`
	Topics   []string         `json:"topics,omitempty"`
}

type momentJSON struct {
	Event    int64 `json:"event,omitempty"`
	Received int64 `json:"received,omitempty"`
}

// MarshalJSON writes a notice as the engines have it: {"notice":"gap","id":…}, with its times in
// nanoseconds since 1970.
func (n Notice) MarshalJSON() ([]byte, error) {
	return json.Marshal(noticeJSON{
		n.Kind, n.ID, n.Market, n.Received, n.Cause, n.Text, n.Count, n.Bytes,
		momentJSON{nanos(n.From.Event), nanos(n.From.Received)}, momentJSON{nanos(n.To.Event), nanos(n.To.Received)}, n.Topics,
	})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (n *Notice) UnmarshalJSON(b []byte) error {
	var j noticeJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*n = Notice{
		j.Kind, j.ID, j.Market, j.Received, j.Cause, j.Text, j.Count, j.Bytes,
		tickstorm.Moment{Event: timeAt(j.From.Event), Received: timeAt(j.From.Received)},
		tickstorm.Moment{Event: timeAt(j.To.Event), Received: timeAt(j.To.Received)}, j.Topics,
	}
	return nil
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func timeAt(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos)
}

// Gap returns what is missing as a client would tell it; nil if nothing is. Its Cause is a
// [*record.MissingError] where messages were dropped or lost, and else says what the notice does.
func (n *Notice) Gap() *tickstorm.Gap {
	if !n.Missing() {
		return nil
	}
	g := &tickstorm.Gap{Market: n.Market, From: n.From, To: n.To}
	switch n.Kind {
	case NoticeKind(record.Gap):
		g.Cause = errors.New(n.Cause)
	case NoticeKind(record.Dropped), NoticeKind(record.Lost):
		g.Cause = &record.MissingError{Kind: record.ControlKind(n.Kind), Count: n.Count, Cause: n.Cause}
	default:
		g.Cause = fmt.Errorf("%s: %s%s", n.Kind, n.Cause, n.Text)
	}
	for _, text := range n.Topics {
		channel, symbol, _ := strings.Cut(text, ".")
		g.Topics = append(g.Topics, tickstorm.Topic{Channel: channel, Symbol: symbol})
	}
	return g
}

// State returns the change of state that it tells; ok is false if it tells none.
func (n *Notice) State() (change tickstorm.StateChange, ok bool) {
	change.At = timeAt(n.Received)
	switch n.Kind {
	case NoticeKind(record.Up):
		change.State = tickstorm.StateSubscribing
	case NoticeKind(record.Subscribed):
		change.State, change.Acked = tickstorm.StateStreaming, len(n.Topics)
	case NoticeKind(record.Down):
		change.State, change.Err = tickstorm.StateBackoff, errors.New(n.Cause)
	default:
		return change, false
	}
	return change, true
}
