package record

import (
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/tickstorm/tickstorm"
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
	for _, name := range slices.Sorted(maps.Keys(r.resume)) {
		c := r.resume[name]
		c.folder = ""
		market := tickstorm.Market(name)
		for _, st := range r.streams {
			if plain(st.market) == name {
				market = st.market
			}
			if slices.ContainsFunc(st.segments, func(g segment) bool { return g.id.name() == c.Segment }) {
				c.folder = st.folder
			}
		}
		if c.folder == "" {
			r.damaged = append(r.damaged, Entry{
				Market: market, Segment: c.Segment, Sequence: c.Sequence, Damage: &Damage{c.Segment, 0, 0, Missing},
			})
		}
	}
	for _, st := range r.streams {
		c := r.resume[plain(st.market)]
		if c == nil {
			continue
		}
		segments := st.segments[:0]
		for i, g := range st.segments {
			switch {
			case !r.passed(st.folder, &g.id):
			case c.folder == "" || c.own(st.folder) || i+1 < len(st.segments) && r.passed(st.folder, &st.segments[i+1].id):
				continue
			default: // it may go on behind the cursor
				g.since = c.since()
			}
			segments = append(segments, g)
		}
		st.segments = segments
	}
	r.streams = slices.DeleteFunc(r.streams, func(st *stream) bool { return len(st.segments) == 0 })
}

// since is when the cursor's segment began, in nanoseconds since 1970.
func (c *resumption) since() int64 { return c.place.started * int64(time.Millisecond) }

// own reports whether a folder is that of the cursor's segment.
func (c *resumption) own(folder string) bool {
	if c.folder == "" { // it was in the folder of its day
		return filepath.Base(folder) == time.UnixMilli(c.place.started).UTC().Format(dayFormat)
	}
	return folder == c.folder
}

// passed reports whether a segment in a folder begins before the cursor of its market. Within the
// cursor's folder numbers tell, since clocks are put back; between folders the time does.
func (r *Reader) passed(folder string, id *segmentID) bool {
	p := id.place()
	c := r.resume[p.market]
	if c == nil {
		return false
	}
	if c.own(folder) && p.sequence != c.place.sequence {
		return p.sequence < c.place.sequence
	}
	return p.before(c.place)
}
