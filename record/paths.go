package record

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
)

// Files yields the files that paths are, or match if they are patterns, and the segments below those
// that are folders; parts that nothing was written to yet are left out. It opens none, and one may have
// been renamed or removed by the time it is opened. An error ends it: a path that names nothing is a
// [fs.ErrNotExist]. A pattern may match nothing, for what it matches comes and goes.
func Files(paths ...string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		enough := errors.New("enough")
		err := files(paths, func(path string, _ bool) error {
			if !yield(path, nil) {
				return enough
			}
			return nil
		})
		if err != nil && err != enough {
			yield("", err)
		}
	}
}

// expand finds what a path or pattern matches. found reports that it is a pattern, of which what it
// matches need not stay.
func expand(path string) (roots []string, found bool, err error) {
	if _, err := os.Lstat(path); err == nil {
		return []string{path}, false, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, false, err
	}
	if name, part := strings.CutSuffix(path, PartSuffix); part { // it was finished since
		if _, err := os.Lstat(name + Suffix); err == nil {
			return []string{name + Suffix}, false, nil
		}
	}
	roots, err = filepath.Glob(path)
	if err == nil && len(roots) == 0 {
		err = &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, false, fmt.Errorf("record: %w", err)
	}
	return roots, true, nil
}

// matched makes sure that there is something at each path.
func matched(paths []string) error {
	for _, p := range paths {
		if _, _, err := expand(p); err != nil {
			return err
		}
	}
	return nil
}

// isPattern reports whether a path may match others: what it matches comes and goes.
func isPattern(path string) bool { return strings.ContainsAny(path, `*?[`) }

// files calls do with each file that paths match, and each segment below those that are folders,
// which is found and not named, as what a pattern matches is.
// Parts that nothing was written to yet are none.
func files(paths []string, do func(path string, found bool) error) error {
	for _, p := range paths {
		roots, found, err := expand(p)
		if errors.Is(err, fs.ErrNotExist) && isPattern(p) {
			continue // there was something
		}
		if err != nil {
			return err
		}
		for _, root := range roots {
			if err := below(root, found, do); err != nil {
				return err
			}
		}
	}
	return nil
}

// below is files of one of the files and folders.
func below(root string, found bool, do func(path string, found bool) error) error {
	info, err := os.Stat(root)
	if found && errors.Is(err, fs.ErrNotExist) { // renamed or removed since
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		if unwritten(root, info) {
			return nil
		}
		return do(root, found)
	}
	top := root
	if link, err := os.Lstat(root); err == nil && link.Mode()&fs.ModeSymlink != 0 {
		top += string(filepath.Separator) // WalkDir follows no links, and a link with this behind it is the folder
	}
	return filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && (found || path != top) { // renamed or removed since
			return nil
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, Suffix) && !strings.HasSuffix(path, PartSuffix) {
			return err
		}
		if t := d.Type(); !t.IsRegular() && t&fs.ModeSymlink == 0 {
			return nil // a pipe, a socket or a device is no segment
		}
		if info, err := d.Info(); err == nil && unwritten(path, info) {
			return nil
		}
		return do(path, true)
	})
}

// unwritten reports whether a file was opened ahead by a recorder.
func unwritten(path string, info fs.FileInfo) bool {
	return strings.HasSuffix(path, PartSuffix) && info.Mode().IsRegular() && info.Size() == 0
}
