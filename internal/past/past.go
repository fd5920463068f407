// Package past tells what a relay sends of the time before a subscription, the last event of each symbol
// or a history, from what is live. It comes in pieces, each a message of its own that begins with a status
// that says so and ends with another one: package internal/dialogue has their texts.
package past

import (
	"bytes"
	"encoding/json"
)

// The words of the statuses around a piece.
const (
	SnapshotBegin, SnapshotEnd = "snapshot_begin", "snapshot_end"
	HistoryBegin, HistoryEnd   = "history_begin", "history_end"
)

// Message reports whether a message is a piece of the past: whether its first element is the status
// that begins one. All that is in it is of the past then, and nothing is that is in the message behind it,
// whatever became of the connection: what is recalled in several messages is as many pieces.
func Message(msg []byte) bool {
	const vendors = `[{"ev":"` // as nearly all messages begin
	if len(msg) > len(vendors) && string(msg[:len(vendors)]) == vendors && msg[len(vendors)] != 's' && msg[len(vendors)] != '\\' {
		return false
	}
	if !bytes.Contains(msg, []byte("_begin")) && bytes.IndexByte(msg, '\\') < 0 {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(msg))
	if begin, err := d.Token(); err != nil || begin != json.Delim('[') {
		return false
	}
	var first struct{ Ev, Status string }
	return d.Decode(&first) == nil && first.Ev == "status" && (first.Status == SnapshotBegin || first.Status == HistoryBegin)
}

// Events tells events of the past for who is shown no messages, but their events and statuses one by one, in
// their order. The events of a piece were received at one time, so that it ends with that even where its
// last status was dropped on the way. The zero Events have seen none.
type Events struct{ received int64 }

// Status is told each status, and when it was received, in nanoseconds since 1970.
func (e *Events) Status(status []byte, received int64) {
	switch string(status) {
	case SnapshotBegin, HistoryBegin:
		e.received = received
	case SnapshotEnd, HistoryEnd:
		e.received = 0
	}
}

// Place is told whether what comes now, and was received at that time, is of the past, where statuses do not come.
func (e *Events) Place(received int64, is bool) {
	e.received = 0
	if is {
		e.received = received
	}
}

// Has reports whether an event that comes now, and was received at that time, is of the past.
func (e *Events) Has(received int64) bool { return e.received != 0 && received == e.received }
