package rivals

import "bytes"

// elements takes a message apart for libraries that decode a whole text into one struct.
// It knows that no event has an object in it and no text has a brace, and costs next to
// nothing beside decoding, so that nobody is charged for what is not its own. If it were
// wrong about a message, what it gives would not decode.
type elements struct{ rest []byte }

// next returns the next element with its ev, nil when there are no more. The ev is taken
// from where the feed has it, which is first.
func (e *elements) next() (element, ev []byte) {
	end := bytes.IndexByte(e.rest, '}')
	if end < 1 {
		return nil, nil
	}
	element, e.rest = e.rest[1:end+1], e.rest[end+1:] // without the bracket or comma before it
	return element, eventOf(element)
}

// over reports whether the message has been taken apart to its end.
func (e *elements) over() bool { return len(e.rest) == 1 && e.rest[0] == ']' }

func eventOf(element []byte) []byte {
	const first = `{"ev":"`
	if !bytes.HasPrefix(element, []byte(first)) {
		return nil
	}
	ev := element[len(first):]
	return ev[:max(0, bytes.IndexByte(ev, '"'))]
}
