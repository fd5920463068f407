//go:build linux || darwin || freebsd

package record

import (
	"errors"
	"os"
	"syscall"
)

// freeSpace returns the bytes that are free for this user where a folder is.
func freeSpace(dir string) (free uint64, ok bool, err error) {
	var s syscall.Statfs_t
	for {
		if err = syscall.Statfs(dir, &s); err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		return 0, false, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	// The fields' types differ between systems; FreeBSD's may be negative for who is no root.
	return uint64(max(0, int64(s.Bavail))) * uint64(s.Bsize), true, nil
}

// diskFull reports whether an error is for want of space, of the disk, of a quota or of a limit.
func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
