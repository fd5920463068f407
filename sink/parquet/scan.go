package parquet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
)

// segment is a segment's file.
type segment struct {
	path     string
	name     string // "" if nothing in the file says which it is
	market   tickstorm.Market
	sequence uint64
	started  time.Time
	size     int64
	changed  time.Time
	finished bool
}

// scan returns the segments that may be done, in the order in which they were recorded.
func (s *Sink) scan(ctx context.Context) ([]segment, error) {
	var found []segment
	open, looked := 0, map[string]segment{}
	for path, err := range record.Files(s.cfg.From...) {
		if err != nil {
			return nil, fmt.Errorf("parquet: %w", err)
		}
		if _, twice := looked[path]; twice {
			continue
		}
		g, err := s.look(ctx, path)
		if err != nil {
			return nil, fmt.Errorf("parquet: %w", err)
		}
		if g.size == 0 { // it has nothing, is no file, or was renamed or removed since
			continue
		}
		looked[path] = g
		switch {
		case !g.finished && time.Since(g.changed) < s.cfg.Settle:
			open++
		case g.name == "":
			s.tell(path, g.size, func() {
				s.counts.Add(func(s *Stats) { s.Unnamed++ })
				s.cfg.Logger.Error("nothing in the file says what it is a recording of", "file", path)
			})
		default:
			found = append(found, g)
		}
	}
	s.seen = looked
	s.counts.Add(func(s *Stats) { s.Open = open })
	slices.SortFunc(found, func(a, b segment) int {
		return cmp.Or(cmp.Compare(a.market, b.market), cmp.Compare(filepath.Dir(a.path), filepath.Dir(b.path)),
			cmp.Compare(a.sequence, b.sequence), a.started.Compare(b.started), cmp.Compare(a.path, b.path))
	})
	return found, nil
}

// look finds out which segment a file is, unless it is as it was the last time; the zero segment if
// there is nothing in it.
func (s *Sink) look(ctx context.Context, path string) (g segment, err error) {
	info, err := os.Stat(path)
	if err == nil && info.Mode().IsRegular() && info.Size() > 0 {
		if g = s.seen[path]; g.path == "" || g.size != info.Size() || !g.changed.Equal(info.ModTime()) {
			g, err = identify(ctx, path, info)
		}
	}
	if errors.Is(err, fs.ErrNotExist) { // renamed or removed since
		return segment{}, nil
	}
	return g, err
}

// tell does something once for a file of a size.
func (s *Sink) tell(path string, size int64, do func()) {
	if told, ok := s.told[path]; !ok || told != size {
		s.told[path] = size
		do()
	}
}

// identify finds out which segment a file is.
func identify(ctx context.Context, path string, info fs.FileInfo) (segment, error) {
	g := segment{path: path, size: info.Size(), changed: info.ModTime()}
	reports, err := record.Survey(ctx, path)
	if err != nil || len(reports) == 0 {
		return g, err
	}
	r := reports[0]
	g.finished = r.Finished
	if r.Header.Market != "" {
		g.name, g.market, g.sequence, g.started = r.Header.Name(), r.Header.Market, r.Header.Sequence, r.Header.Started
	}
	return g, nil
}
