package sink

import (
	"context"
	"strings"

	"github.com/tickstorm/tickstorm/record"
)

// Source is where a [Runner] takes rows from: a [Folder] or a [Live].
type Source interface {
	// begin makes next possible. It is called once.
	begin() error
	// start is where it stands before the first entry.
	start() positions
	// next returns the next entry, which is valid until the next call; io.EOF at the end.
	next(ctx context.Context) (*record.Entry, error)
	// skips reports whether what stands at a place was confirmed before.
	skips(id *ID) bool
	// confirm notes that all before some positions was confirmed; nil notes nothing. With force what
	// was noted is durable when confirm returns, else when it is time to save it.
	confirm(after []position, force bool) (saveState, error)
	// end is called once, when next is not called any more.
	end() error
	// dropped is how many messages had no room.
	dropped() uint64
}

// saveState is what became of what a source was told to confirm.
type saveState uint8

const (
	nothingToSave saveState = iota
	notYetSaved
	justSaved
)

// position is where a source stands in a segment: before the element.
type position struct {
	record.Cursor
	received int64
	closed   bool // it was read to its end
}

// rivalPatience is how long a segment that has not ended may be silent, beside one that was begun
// behind it, until it is taken for what a crash left.
const rivalPatience = 10 * 60 * 1e9 // nanoseconds

// positions are those of all segments that may go on. There is one a market, unless two recorders
// write at the same time, or one has just crashed: whoever went on from the newest alone would miss
// what comes in the other.
type positions []position

// at notes where the source stands in a segment. It does not go back there: what was confirmed of a
// segment that is read again stays that.
func (p *positions) at(c record.Cursor, received int64) {
	list := *p
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Segment == c.Segment {
			if q := &list[i]; c.Sequence > q.Sequence || c.Sequence == q.Sequence && c.Element > q.Element {
				q.Cursor, q.received = c, max(q.received, received)
			}
			return
		}
	}
	market := marketOf(c.Segment)
	keep := list[:0]
	for _, q := range list {
		if marketOf(q.Segment) != market || !q.closed && q.received >= received-rivalPatience {
			keep = append(keep, q)
		}
	}
	*p = append(keep, position{Cursor: c, received: received})
}

// close notes that a segment was read to its end.
func (p *positions) close(segment string) {
	for i := range *p {
		if q := &(*p)[i]; q.Segment == segment {
			q.closed = true
		}
	}
}

// marketOf is the market in a segment's name, as it stands there.
func marketOf(segment string) string {
	for range 2 {
		segment = segment[:max(0, strings.LastIndexByte(segment, '-'))]
	}
	return segment
}

// earliest returns for each market the position from which all others are reached: that in the
// segment which was begun first.
func (p positions) earliest() []record.Cursor {
	var first []record.Cursor
next:
	for _, q := range p {
		for i, f := range first {
			if marketOf(f.Segment) == marketOf(q.Segment) {
				if begunBefore(q.Segment, f.Segment) {
					first[i] = q.Cursor
				}
				continue next
			}
		}
		first = append(first, q.Cursor)
	}
	return first
}

// begunBefore compares names of one market's segments, as a reader orders them: those of one day are
// in one folder, where numbers tell, since clocks are put back; between days the time does.
func begunBefore(a, b string) bool {
	i, j := strings.LastIndexByte(a, '-'), strings.LastIndexByte(b, '-')
	if i < 0 || j < 0 || i != j || a[:i-len(afterDay)] != b[:j-len(afterDay)] {
		return a < b
	}
	if len(a) != len(b) { // in digits
		return len(a) < len(b)
	}
	return a[i:] < b[j:]
}

// afterDay is how long the rest of a time is behind its day, in a segment's name.
const afterDay = "T143000.000Z"
