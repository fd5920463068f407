package record

import (
	"errors"
	"io/fs"
	"slices"
)

// unfinished is a segment that was given up while its file had a size.
type unfinished struct {
	segment // from what comes next
	size    int64
	begun   bool // the moment that was sought had come
}

// takeUp has the segments read on that have grown though they were given up. Those whose files
// have gone are forgotten.
func (r *Reader) takeUp() (err error) {
	r.unfinished = slices.DeleteFunc(r.unfinished, func(u unfinished) bool {
		s, openErr := openWritten(u.path, r.unpacker)
		if openErr != nil {
			gone := errors.Is(openErr, fs.ErrNotExist)
			if !gone {
				err = openErr
			}
			return gone
		}
		s.close()
		if s.size <= u.size {
			return false
		}
		st := r.newStream(u.id.market, u.path, u.id.started)
		st.alone, st.begun = true, u.begun
		st.add(u.segment)
		return true
	})
	return err
}
