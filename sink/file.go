package sink

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/tickstorm/tickstorm/internal/filelock"
)

// ErrInUse: another runner or consumer, of this process or another, has the file.
var ErrInUse = errors.New("in use by another")

// stateFile is a small file that is replaced as a whole, so that whatever happens there is the old
// one or the new one. It is its owner's alone, by a lock on a file beside it, which stays.
type stateFile struct {
	path string
	lock func() error // gives it back
}

// openState locks the file and returns what is in it, nil if there is none.
func openState(path string) (*stateFile, []byte, error) {
	unlock, err := Lock(path + ".lock")
	if err != nil {
		return nil, nil, err
	}
	f := &stateFile{path, unlock}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		_ = unlock() // the error that matters is err
		return nil, nil, fmt.Errorf("sink: %w", err)
	}
	return f, text, nil
}

// Lock takes the lock on a file, which is made with its folder and stays, for an engine whose state is
// files of its own. It ends with unlock, and with the process at the latest. The error is [ErrInUse] if
// another has it, of this process or another.
func Lock(path string) (unlock func() error, err error) {
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("sink: %w", err)
	}
	held, err := filelock.Try(path)
	if errors.Is(err, filelock.ErrHeld) {
		err = ErrInUse
	}
	if err != nil {
		return nil, fmt.Errorf("sink: lock %s: %w", path, err)
	}
	return held.Release, nil
}

// write replaces what is in the file, and returns when that outlasts a power cut.
func (f *stateFile) write(text []byte) error { return WriteFile(f.path, text) }

// WriteFile replaces what is in a file, or makes it: whatever happens there is the old text or the new
// one, and when it returns nil the new one outlasts a power cut. What a crash leaves has the file's name
// with ".new" behind it. One goroutine at a time may write a file.
func WriteFile(path string, text []byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("sink: write %s: %w", path, err)
		}
	}()
	temp := path + ".new" // one name, so that what a crash leaves does not add up
	w, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	if err == nil {
		err = w.Sync()
	}
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(path))
}

func (f *stateFile) close() error { return f.lock() }

// makeFolder makes a folder that is not there, and those above it, and returns when they outlast a
// power cut.
func makeFolder(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return os.MkdirAll(dir, 0o755) // which says so if it is no folder
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeFolder(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		if info, serr := os.Stat(dir); serr != nil || !info.IsDir() { // another has just made it
			return err
		}
	}
	return SyncFolder(parent)
}

// SyncFolder makes what a folder lists outlast a power cut, where the system can.
func SyncFolder(dir string) error {
	if runtime.GOOS == "windows" { // which has no such call
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}
