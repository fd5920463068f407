package record

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// expand finds what paths and patterns match.
func expand(paths []string) (roots []string, err error) {
	for _, p := range paths {
		if _, err := os.Lstat(p); err == nil {
			roots = append(roots, p)
			continue
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		matches, err := filepath.Glob(p)
		if err == nil && len(matches) == 0 {
			err = &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist}
		}
		if err != nil {
			return nil, fmt.Errorf("record: %w", err)
		}
		roots = append(roots, matches...)
	}
	return roots, nil
}

// files calls do with each file among the roots, and each segment below those that are folders,
// which is found and not named.
// Parts that nothing was written to yet are none.
func files(roots []string, do func(path string, found bool) error) error {
	for _, root := range roots {
		info, err := os.Stat(root)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			if err := do(root, false); err != nil {
				return err
			}
			continue
		}
		err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && path != root { // renamed or removed since
				return nil
			}
			if err != nil || d.IsDir() || !strings.HasSuffix(path, Suffix) && !strings.HasSuffix(path, PartSuffix) {
				return err
			}
			if t := d.Type(); !t.IsRegular() && t&fs.ModeSymlink == 0 {
				return nil // a pipe, a socket or a device is no segment
			}
			if info, err := d.Info(); strings.HasSuffix(path, PartSuffix) && err == nil && info.Mode().IsRegular() && info.Size() == 0 {
				return nil // opened ahead by a recorder
			}
			return do(path, true)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
