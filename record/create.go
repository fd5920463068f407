package record

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ErrBadOutput: what was written is not what it should be when it is read again.
var ErrBadOutput = errors.New("the recording that was written is not good")

// create makes a segment's file: it is written beside its name, fsynced, read again, and has its
// name only when it is good. The name must be free, and is taken from the beginning, so that
// nothing is overwritten.
func create(ctx context.Context, path string, u *unpacker, write func(*os.File) error) (err error) {
	taken, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	part := path + ".new" // not that of a recorder, which may be what is recovered
	defer func() {
		if err != nil {
			os.Remove(path)
		}
	}()
	if err := taken.Close(); err != nil {
		return err
	}
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(part)
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	r, err := inspect(ctx, part, u, nil)
	if err != nil {
		return err
	}
	if !r.OK() || !r.Finished {
		return fmt.Errorf("%w: %v", ErrBadOutput, r.Damage)
	}
	if err := os.Rename(part, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes a name last. Where folders cannot be fsynced, as on Windows, the name lasts as
// the system has it.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}
