package record

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"time"
)

// kept is a closed segment on the disk.
type kept struct {
	path     string
	size     int64
	modified time.Time
	fileName
}

// closedSegments lists the closed segments of the market, oldest first. What is not in a folder
// named by a day, or no plain file of a segment's name, is somebody else's. Parts are none: one
// is being written, and those of a crash are for whoever looks after it.
func (f *folder) closedSegments() ([]kept, error) {
	days, err := f.fs.ReadDir(f.home())
	if err != nil {
		return nil, &WriteError{"list", f.home(), err}
	}
	var all []kept
	for _, day := range days {
		if _, err := time.Parse(dayFormat, day.Name()); err != nil || !day.IsDir() {
			continue
		}
		dir := filepath.Join(f.home(), day.Name())
		entries, err := f.fs.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, &WriteError{"list", dir, err}
		}
		for _, e := range entries {
			s, ok := parseSegment(f.market, e.Name())
			if !ok || s.part || !e.Type().IsRegular() {
				continue
			}
			info, err := e.Info()
			if err != nil {
				continue // it has gone
			}
			all = append(all, kept{filepath.Join(dir, e.Name()), info.Size(), info.ModTime(), s})
		}
	}
	slices.SortFunc(all, func(a, b kept) int {
		if c := a.started.Compare(b.started); c != 0 {
			return c
		}
		return int(min(1, max(-1, int64(a.sequence)-int64(b.sequence))))
	})
	return all, nil
}

// outdated returns which of the segments, oldest first, have to go: those that ended longer ago
// than an age, and the oldest until the rest is no larger than a total. Zero is no bound.
func outdated(all []kept, now time.Time, age time.Duration, total int64) []kept {
	size := int64(0)
	for _, s := range all {
		size += s.size
	}
	var old []kept
	for _, s := range all {
		// A copy of a file is younger than its name, and a clock may have been wrong either way.
		young := s.started
		if s.modified.After(young) {
			young = s.modified
		}
		if (age <= 0 || now.Sub(young) <= age) && (total <= 0 || size <= total) {
			continue
		}
		size -= s.size
		old = append(old, s)
	}
	return old
}
