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
	"strings"
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
	look := func(path string, info fs.FileInfo) error {
		if _, twice := looked[path]; twice || info.Size() == 0 {
			return nil
		}
		g := s.seen[path]
		if g.path == "" || g.size != info.Size() || !g.changed.Equal(info.ModTime()) {
			var err error
			if g, err = identify(ctx, path, info); errors.Is(err, fs.ErrNotExist) { // renamed or removed since
				return nil
			} else if err != nil {
				return err
			}
		}
		looked[path] = g
		switch {
		case !g.finished && time.Since(g.changed) < s.cfg.Settle:
			open++
		case g.name == "":
			s.tell(path, g.size, func() {
				s.counts.add(func(s *Stats) { s.Unnamed++ })
				s.cfg.Logger.Error("nothing in the file says what it is a recording of", "file", path)
			})
		default:
			found = append(found, g)
		}
		return nil
	}
	for _, path := range s.cfg.From {
		if err := walk(path, look); err != nil {
			return nil, err
		}
	}
	s.seen = looked
	s.counts.add(func(s *Stats) { s.Open = open })
	slices.SortFunc(found, func(a, b segment) int {
		return cmp.Or(cmp.Compare(a.market, b.market), cmp.Compare(filepath.Dir(a.path), filepath.Dir(b.path)),
			cmp.Compare(a.sequence, b.sequence), a.started.Compare(b.started), cmp.Compare(a.path, b.path))
	})
	return found, nil
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

// walk calls look with the segments that a path is, or matches, or has below it.
func walk(path string, look func(path string, info fs.FileInfo) error) error {
	roots := []string{path}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(path, `*?[`) {
		if roots, err = filepath.Glob(path); err != nil {
			return fmt.Errorf("parquet: %s: %w", path, err)
		}
	}
	for _, root := range roots {
		if info, err := os.Stat(root); err == nil && info.IsDir() && !os.IsPathSeparator(root[len(root)-1]) {
			root += string(filepath.Separator) // has a link be the folder that it names
		}
		err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			if p != root && errors.Is(err, fs.ErrNotExist) { // renamed or removed since
				return nil
			}
			if err != nil || d.IsDir() || p != root && !isSegment(p) {
				return err
			}
			info, err := os.Stat(p)
			if p != root && errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || !info.Mode().IsRegular() {
				return err
			}
			return look(p, info)
		})
		if err != nil {
			return fmt.Errorf("parquet: %w", err)
		}
	}
	return nil
}

func isSegment(path string) bool {
	return strings.HasSuffix(path, record.Suffix) || strings.HasSuffix(path, record.PartSuffix)
}
