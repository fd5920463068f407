package record

import (
	"errors"
	"fmt"
	"time"
)

// EventKind is what a [RecorderEvent] tells.
type EventKind uint8

// The kinds of events.
const (
	// EventOpened: a segment was begun, at Path.
	EventOpened EventKind = iota
	// EventClosed: a segment is whole and has its final name, Path.
	EventClosed
	// EventRemoved: Path was removed by KeepFor or KeepTotal.
	EventRemoved
	// EventDropped: Count messages of Bytes bytes had no room in the buffer, since the last such
	// event; one comes no more than once a second.
	EventDropped
	// EventLowSpace: nothing is written until there is more free space; Err is a [*SpaceError].
	EventLowSpace
	// EventResumed: there is.
	EventResumed
	// EventError: something could not be done with a file, at Path; Err is a [*WriteError]. What
	// is in memory is kept, and written to a new segment.
	EventError
	// EventHook: the Command has failed for the segment at Path; Err is a [*HookError].
	EventHook
	// EventLost: Count messages of Bytes bytes were in memory when the recorder was closed and
	// could not be written, for Err.
	EventLost
)

var eventNames = [...]string{"opened", "closed", "removed", "dropped", "low space", "resumed", "error", "hook failed", "lost"}

// String returns the kind in words.
func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return fmt.Sprintf("EventKind(%d)", uint8(k))
}

// RecorderEvent is something that happened to a recording. Fields that its kind does not mention are zero.
type RecorderEvent struct {
	Kind EventKind
	// At is when.
	At           time.Time
	Path         string
	Count, Bytes uint64
	Err          error
}

// String says all of it in a line.
func (e RecorderEvent) String() string {
	text := e.Kind.String()
	if e.Count > 0 {
		text += fmt.Sprintf(" %d messages, %d bytes", e.Count, e.Bytes)
	}
	if e.Path != "" {
		text += " " + e.Path
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// errorEvent is what tells of an error with a file.
func errorEvent(err error) RecorderEvent {
	e := RecorderEvent{Kind: EventError, Err: err}
	var refused *WriteError
	if errors.As(err, &refused) {
		e.Path = refused.Path
	}
	return e
}

// tell calls OnEvent.
func (r *Recorder) tell(e RecorderEvent) {
	if e.Err != nil {
		r.errors.Add(1)
	}
	if r.cfg.OnEvent == nil {
		return
	}
	e.At = time.Now()
	r.telling.Lock()
	defer r.telling.Unlock()
	r.cfg.OnEvent(e)
}
