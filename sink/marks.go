package sink

import (
	"encoding/json"
	"slices"
)

// MaxMarks is how many segments [Marks] know. What comes of a segment that was forgotten counts as
// new: rather twice than not at all.
const MaxMarks = 256

// Marks are how far some segments were seen, each to one id. There is one for each segment, since
// the highest id of all would take for seen what was not: of two recorders whose segments
// alternate, and of one whose clock was put back past midnight. Within a segment order is strict.
//
// The zero Marks have seen nothing. They serve one goroutine at a time.
type Marks struct {
	list []ID // by when they were moved, the last one last
}

// Cover reports whether a row was seen: its id is at or below what Add was given of its segment.
func (m *Marks) Cover(id *ID) bool {
	at := m.find(id.Segment)
	return at >= 0 && m.list[at].covers(id)
}

// Add notes that a row was seen, and all before it in its segment. One that is covered changes
// nothing.
func (m *Marks) Add(id *ID) {
	at := m.find(id.Segment)
	if at >= 0 && m.list[at].covers(id) {
		return
	}
	if last := len(m.list) - 1; at >= 0 && at == last {
		m.list[last] = *id
		return
	}
	if at >= 0 {
		m.list = slices.Delete(m.list, at, at+1)
	} else if len(m.list) >= MaxMarks {
		m.list = slices.Delete(m.list, 0, 1)
	}
	m.list = append(m.list, *id)
}

// Clone returns a copy of its own.
func (m *Marks) Clone() Marks { return Marks{slices.Clone(m.list)} }

// All returns the ids, by when they were added, the last one last. Do not change them.
func (m *Marks) All() []ID { return m.list }

func (m *Marks) find(segment string) int {
	for i := len(m.list) - 1; i >= 0; i-- {
		if m.list[i].Segment == segment {
			return i
		}
	}
	return -1
}

// covers reports whether what stands at another id, in the same segment, is at or before this one.
// Damages stand before the line whose number they have, in an order that only the reader knows.
func (id *ID) covers(other *ID) bool {
	switch {
	case other.Sequence != id.Sequence:
		return other.Sequence < id.Sequence
	case id.Damage != "":
		return other.Damage == id.Damage
	case other.Damage != "":
		return true
	}
	return other.Element <= id.Element
}

// MarshalJSON writes them as a list of ids.
func (m Marks) MarshalJSON() ([]byte, error) {
	if m.list == nil {
		return []byte("[]"), nil
	}
	return json.Marshal(m.list)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (m *Marks) UnmarshalJSON(b []byte) error {
	var list []ID
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	*m = Marks{}
	for i := range list {
		m.Add(&list[i])
	}
	return nil
}
