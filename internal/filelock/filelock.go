// Package filelock has locks that one process of a machine holds at a time, and that end with
// it, however it ends. A lock is a file of no content, which stays when the lock is gone.
package filelock

import (
	"errors"
	"fmt"
	"os"
)

// ErrHeld: somebody else has the lock, in this process or in another.
var ErrHeld = errors.New("filelock: held by another")

// Lock is a lock that is held.
type Lock struct{ file *os.File }

// Try takes the lock at a path, and makes the file if there is none. It does not wait: where
// somebody has the lock it returns [ErrHeld]. Where the system has no such locks it returns
// [errors.ErrUnsupported].
func Try(path string) (*Lock, error) {
	f, err := open(path)
	if errors.Is(err, ErrHeld) {
		return nil, ErrHeld
	}
	if err != nil {
		return nil, fmt.Errorf("filelock: %w", err)
	}
	return &Lock{f}, nil
}

// Release gives the lock up. The file stays: who waits for it would wait for another than who
// came later.
func (l *Lock) Release() error { return l.file.Close() }
