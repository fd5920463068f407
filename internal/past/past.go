// Package past tells what a relay sends of the time before a subscription, the last event of each symbol
// or a history, from what is live. It comes in pieces, each a message of its own that begins with a status
// that says so and ends with another one: package internal/dialogue has their texts.
package past

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
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

// MostNamed is how many topics the status that begins a piece names at most.
const MostNamed = 100

// Piece is what the statuses of one piece say of it, once Status was told all of them in their order. The zero
// Piece has been told none.
type Piece struct {
	// Topics are those that it names, such as "T.AAPL". Others is whether it may be of more.
	Topics []string
	Others bool
	// More is whether another piece of the same topics follows. Otherwise they are live behind this one, also
	// where its last status was lost.
	More bool
	// Empty is whether there is nothing in it for certain: no event, and nothing that tells of missing ones.
	Empty bool

	history, tells bool
}

// Status is told a status of the piece.
func (p *Piece) Status(status, message []byte) {
	switch word := string(status); word {
	case SnapshotBegin, HistoryBegin:
		*p = Piece{history: word == HistoryBegin}
		if _, list, named := strings.Cut(string(message), "topics="); named && list != "" {
			p.Topics = strings.Split(list, ",")
		}
	case SnapshotEnd, HistoryEnd:
		events, live, ok := ParseEnd(string(message))
		p.More, p.Empty = ok && !live, ok && events == 0 && !p.tells
	default:
		p.tells, p.Empty = true, false
	}
	// A snapshot names all of its topics, unless it was given up.
	p.Others = len(p.Topics) == 0 || len(p.Topics) >= MostNamed && (p.history || p.tells)
}

// ParseEnd takes the message of a status that ends a piece apart: how many events there were, and whether
// what comes next is live; ok is false if it is none.
func ParseEnd(message string) (events int, live, ok bool) {
	head, next, found := strings.Cut(message, " next=")
	_, count, counted := strings.Cut(head, "events=")
	events, err := strconv.Atoi(count)
	if !found || !counted || err != nil {
		return 0, false, false
	}
	return events, next == "live", true
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
