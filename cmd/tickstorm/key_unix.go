//go:build unix

package main

import "os"

// readableByOthers reports whether others than the owner of a file can read it.
func readableByOthers(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0
}
