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

// output is a file that is written beside its name, and has it only when it is whole. The name must
// be free, and is taken from the beginning, so that nothing is overwritten.
type output struct {
	path string
	*os.File
}

// newOutput takes a name.
func newOutput(path string) (*output, error) {
	taken, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	o := &output{path: path}
	if err := taken.Close(); err != nil {
		os.Remove(path)
		return nil, err
	}
	if o.File, err = os.OpenFile(o.part(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644); err != nil {
		os.Remove(path)
		return nil, err
	}
	return o, nil
}

// part is what the file is called until it is whole: not as that of a recorder, which may be what is
// recovered.
func (o *output) part() string { return o.path + ".new" }

// finish fsyncs and closes the file.
func (o *output) finish() error {
	if err := o.Sync(); err != nil {
		return err
	}
	return o.Close()
}

// publish gives the file its name. That lasts when its folder is fsynced.
func (o *output) publish() error { return os.Rename(o.part(), o.path) }

// discard removes all of it, whatever became of it.
func (o *output) discard() {
	o.Close()
	os.Remove(o.part())
	os.Remove(o.path)
}

// create makes a segment's file: it is fsynced, and read again before it has its name.
func create(ctx context.Context, path string, u *unpacker, write func(*os.File) error) (err error) {
	o, err := newOutput(path)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			o.discard()
		}
	}()
	if err := write(o.File); err != nil {
		return err
	}
	if err := o.finish(); err != nil {
		return err
	}
	t := trackerOf(ctx)
	if info, err := os.Stat(o.part()); err == nil {
		t.begin(info.Size(), true)
	}
	r, err := inspect(ctx, o.part(), u, t, nil)
	if err != nil {
		return err
	}
	if !r.OK() || !r.Finished {
		return fmt.Errorf("%w: %v", ErrBadOutput, r.Damage)
	}
	if err := o.publish(); err != nil {
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
