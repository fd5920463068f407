package record

import (
	"time"

	"github.com/tickstorm/tickstorm"
)

// damaged is the kind of what stands for a [Damage] among controls. No recording has it.
const damaged ControlKind = "damage"

// missing returns the control that says what is missing at an entry, as far as that is known; ok
// is false if nothing is.
func missing(e *Entry) (c Control, ok bool) {
	switch {
	case e.Damage != nil:
		if e.Damage.Reason == ClockBack {
			return Control{}, false
		}
		return Control{
			Kind: damaged, Received: e.Received, Cause: string(e.Damage.Reason), From: tickstorm.Moment{Received: timeAt(e.Received)},
		}, true
	case e.Control == nil:
		return Control{}, false
	}
	switch c = *e.Control; c.Kind {
	case Gap:
		c.Count = 0 // there are recordings in which it counts topics
		return c, true
	case Dropped, Lost:
		return c, true
	}
	return Control{}, false
}

// PastGap is the gap that stands for a message which a relay sends of the past. What came between the message
// before it and this one, in nanoseconds since 1970, may be nowhere but in such messages: until they end,
// topics are not live.
func PastGap(before, received int64) *Control {
	return &Control{
		Kind: Gap, Received: received, Cause: "what came meanwhile is in the past that a relay sent",
		From: tickstorm.Moment{Received: timeAt(before)}, To: tickstorm.Moment{Received: timeAt(received)},
	}
}

// Gap returns what the row of an entry in the schema "gaps" says: what is missing there, as far as that
// is known, or that a connection ends or begins. ok is false if it has none, as messages and other
// controls have. A row of kind [Up] has no number: nothing is missing behind it that was not before.
func (e *Entry) Gap() (c Control, ok bool) {
	if c, ok = missing(e); ok {
		return c, true
	}
	if e.Control != nil && (e.Control.Kind == Up || e.Control.Kind == Down) {
		return *e.Control, true
	}
	return Control{}, false
}

func timeAt(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos)
}
