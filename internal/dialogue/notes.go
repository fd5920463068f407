package dialogue

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/past"
)

// The words of Tickstorm's own statuses. The vendor has none of them, and its clients pass
// over what they do not know: who reads them learns more, who does not loses nothing.
const (
	// UpstreamDisconnected: what feeds the server has gone. The connection stays, and goes on
	// when UpstreamConnected has come. The message says why.
	UpstreamDisconnected = "upstream_disconnected"
	// UpstreamConnected: what feeds the server is back.
	UpstreamConnected = "upstream_connected"
	// Gap: events of a window of time are missing here. The message is that of [GapNote].
	Gap = "gap"
	// Dropped: events were left out here, because the client reads too slowly. The message is
	// that of [DroppedNote].
	Dropped = "dropped"
	// Pending: a topic was asked for, and there is no answer yet. The message is that of
	// [PendingNote].
	Pending = "pending"
	// Withdrawn: a topic that was granted is so no more. The message is that of [WithdrawnNote].
	Withdrawn = "withdrawn"
	// SnapshotBegin and SnapshotEnd stand around the last event of each channel and symbol of some
	// topics, as they were before these were subscribed to. The messages are those of
	// [SnapshotBeginNote] and [SnapshotEndNote].
	SnapshotBegin, SnapshotEnd = past.SnapshotBegin, past.SnapshotEnd
	// HistoryBegin and HistoryEnd stand around events that were received before the topics were
	// subscribed to, and around the gaps among them. The messages are those of [HistoryBeginNote]
	// and [HistoryEndNote].
	HistoryBegin, HistoryEnd = past.HistoryBegin, past.HistoryEnd
)

// MostNamed is how many topics a note names at most.
const MostNamed = past.MostNamed

// GapNote is the status of a gap: from and to are in nanoseconds since 1970, as far as they are
// known, else 0, and cause is for people. The message is "from=1 to=2 cause=text", with cause
// up to its end.
func GapNote(from, to int64, cause string) Status {
	return Status{Gap, fmt.Sprintf("from=%d to=%d cause=%s", from, to, cause)}
}

// ParseGap takes the message of a GapNote apart; ok is false if it is none.
func ParseGap(message string) (from, to int64, cause string, ok bool) {
	head, cause, _ := strings.Cut(message, " cause=")
	begin, end, ok := strings.Cut(head, " to=")
	begin, named := strings.CutPrefix(begin, "from=")
	if !ok || !named {
		return 0, 0, "", false
	}
	from, bad := strconv.ParseInt(begin, 10, 64)
	to, worse := strconv.ParseInt(end, 10, 64)
	if bad != nil || worse != nil {
		return 0, 0, "", false
	}
	return from, to, cause, true
}

// DroppedNote is the status of events that were left out. The message is "1234 events".
func DroppedNote(events uint64) Status {
	return Status{Dropped, strconv.FormatUint(events, 10) + " events"}
}

// ParseDropped takes the message of a DroppedNote apart; ok is false if it is none.
func ParseDropped(message string) (events uint64, ok bool) {
	count, named := strings.CutSuffix(message, " events")
	events, err := strconv.ParseUint(count, 10, 64)
	return events, named && err == nil
}

// PendingNote is the status of a topic, in the spelling of the request, that was asked for and
// has no answer yet. The message is "pending: T.AAPL".
func PendingNote(topic string) Status { return Status{Pending, "pending: " + topic} }

// WithdrawnNote is the status of a topic, in the spelling of the request, that was taken back. The
// message is "withdrawn: T.AAPL".
func WithdrawnNote(topic string) Status { return Status{Withdrawn, withdrawn + topic} }

// ParseWithdrawn takes the message of a WithdrawnNote apart; ok is false if it is none.
func ParseWithdrawn(message string) (t tickstorm.Topic, ok bool) {
	text, named := strings.CutPrefix(message, withdrawn)
	channel, symbol, cut := strings.Cut(text, ".")
	return tickstorm.Topic{Channel: channel, Symbol: symbol}, named && cut && channel != "" && symbol != ""
}

const withdrawn = "withdrawn: "

// SnapshotBeginNote is the status before the last events of topics. The message is
// "topics=T.A,T.B".
func SnapshotBeginNote(topics []tickstorm.Topic) Status {
	return Status{SnapshotBegin, "topics=" + joined(topics)}
}

// SnapshotEndNote is the status behind so many last events. The message is "events=2 next=live", or
// "next=snapshot" where more of the same topics come.
func SnapshotEndNote(events int, more bool) Status {
	return Status{SnapshotEnd, fmt.Sprintf("events=%d next=%s", events, next(more, "snapshot"))}
}

// HistoryBeginNote is the status before events of topics that were received at a time, in
// nanoseconds since 1970, or later. The message is "from=1 topics=T.A,T.B"; of more than [MostNamed] topics it
// has so many.
func HistoryBeginNote(from int64, topics []tickstorm.Topic) Status {
	return Status{HistoryBegin, fmt.Sprintf("from=%d topics=%s", from, joined(topics))}
}

// HistoryEndNote is the status behind so many events of the past, of which the last was received
// at a time. The message is "to=1 events=2 next=live", or "next=history" where more come.
func HistoryEndNote(to int64, events int, more bool) Status {
	return Status{HistoryEnd, fmt.Sprintf("to=%d events=%d next=%s", to, events, next(more, "history"))}
}

// ParsePastEnd takes the message of a SnapshotEndNote or a HistoryEndNote apart: how many events
// there were, and whether what comes next is live; ok is false if it is none.
func ParsePastEnd(message string) (events int, live, ok bool) { return past.ParseEnd(message) }

func next(more bool, what string) string {
	if more {
		return what
	}
	return "live"
}

func joined(topics []tickstorm.Topic) string {
	var b strings.Builder
	for i, t := range topics {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(t.String())
	}
	return b.String()
}
