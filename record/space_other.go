//go:build !linux && !darwin && !freebsd

package record

import (
	"errors"
	"runtime"
	"syscall"
)

// freeSpace says that it is not known: package syscall has no call for it here.
func freeSpace(string) (free uint64, ok bool, err error) { return 0, false, nil }

// diskFull reports whether an error is for want of space: on Windows a disk, or a handle's disk,
// is full.
func diskFull(err error) bool {
	var errno syscall.Errno
	windows := runtime.GOOS == "windows" && errors.As(err, &errno) && (errno == 39 || errno == 112)
	return windows || errors.Is(err, syscall.ENOSPC)
}
