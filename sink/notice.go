package sink

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
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
	// Topics are those of the control; where these are thousands, their channels as a whole, such as
	// T.*, so that every engine takes a notice.
	Topics []string
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
	n.Cause, n.Text, n.Count, n.Bytes, n.From, n.To, n.Topics = clip(c.Cause), clip(c.Text), c.Count, c.Bytes, c.From, c.To, bounded(c.Topics)
	return n
}

// What a notice has of texts and topics at most, in bytes, so that every engine takes it: gaps must not
// end among the dead letters.
const (
	maxText   = 4 << 10
	maxTopics = 64 << 10
)

func clip(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}

// bounded returns topics, or where these are too many their channels as a whole, which is more than is
// meant and nothing less.
func bounded(topics []string) []string {
	size := 0
	for _, t := range topics {
		size += len(t) + len(`"",`)
	}
	if size <= maxTopics {
		return topics
	}
	var channels []string
	size = 0
	for _, t := range topics {
		channel, _, _ := strings.Cut(t, ".")
		all := tickstorm.Topic{Channel: channel, Symbol: tickstorm.All}.String()
		if size+len(all) > maxTopics { // no recorder wrote that
			break
		}
		if !slices.Contains(channels, all) {
			channels, size = append(channels, all), size+len(all)
		}
	}
	return channels
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
	if gap := n.control().Gap(n.Market); gap != nil {
		return gap
	}
	return &tickstorm.Gap{Market: n.Market, From: n.From, To: n.To, Cause: fmt.Errorf("%s: %s%s", n.Kind, n.Cause, n.Text)}
}

// State returns the change of state that it tells; ok is false if it tells none.
func (n *Notice) State() (change tickstorm.StateChange, ok bool) { return n.control().State() }

func (n *Notice) control() *record.Control {
	return &record.Control{
		Kind: record.ControlKind(n.Kind), Received: n.Received, Cause: n.Cause, Text: n.Text,
		Count: n.Count, Bytes: n.Bytes, From: n.From, To: n.To, Topics: n.Topics,
	}
}
