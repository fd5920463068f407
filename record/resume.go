package record

import (
	"maps"
	"path/filepath"
	"slices"
	"time"
)

// This file decides which segments come before a cursor.

// resumption is where reading begins in a market.
type resumption struct {
	Cursor
	place  place
	folder string // where the segment is, "" if it is gone
}

// resumed leaves out what comes before the cursors, once all segments are known.
func (r *Reader) resumed() {
	for _, market := range slices.Sorted(maps.Keys(r.resume)) {
		c := r.resume[market]
		c.folder = ""
		for _, st := range r.streams {
			if slices.ContainsFunc(st.segments, func(g segment) bool { return g.id.name() == c.Segment }) {
				c.folder = st.folder
			}
		}
		if c.folder == "" {
			r.damaged = append(r.damaged, &Damage{c.Segment, 0, 0, Missing})
		}
	}
	for _, st := range r.streams {
		st.segments = slices.DeleteFunc(st.segments, func(g segment) bool { return r.passed(st.folder, &g.id) })
	}
	r.streams = slices.DeleteFunc(r.streams, func(st *stream) bool { return len(st.segments) == 0 })
}

// passed reports whether a segment in a folder comes before the cursor of its market. Within the
// cursor's folder numbers tell, since clocks are put back; between folders the time does.
func (r *Reader) passed(folder string, id *segmentID) bool {
	p := id.place()
	c := r.resume[p.market]
	if c == nil {
		return false
	}
	own := folder == c.folder
	if c.folder == "" { // it was in the folder of its day
		own = filepath.Base(folder) == time.UnixMilli(c.place.started).UTC().Format(dayFormat)
	}
	if own && p.sequence != c.place.sequence {
		return p.sequence < c.place.sequence
	}
	return p.before(c.place)
}
