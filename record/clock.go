package record

// Clock is whose time a moment is of.
type Clock uint8

const (
	// Received is when the bytes were read.
	Received Clock = iota
	// Event is when the element says that it happened; an aggregate's is its end.
	Event
)

func (c Clock) of(received, event span) span {
	if c == Event {
		return event
	}
	return received
}
