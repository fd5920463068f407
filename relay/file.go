package relay

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"time"
)

// file is a file that is looked at for changes.
type file struct {
	path   string
	public bool // it is no secret

	seen  fs.FileInfo // when it was read last; nil if it could not be
	young bool        // it had just been written then: a clock's tick may hide another write
	had   bool        // something was taken
	sum   [sha256.Size]byte
}

// maxFile bounds files, in bytes.
const maxFile = 1 << 20

// settled is how old a file must be that is taken for what it looks like. Clocks of file systems
// tick by milliseconds on most, by two seconds on some.
const settled = 3 * time.Second

// changed reports whether the file may be another than when it was read.
func (f *file) changed() bool {
	now, err := os.Stat(f.path)
	if err != nil || f.seen == nil {
		return true
	}
	return f.young || !os.SameFile(now, f.seen) ||
		now.Size() != f.seen.Size() || now.Mode() != f.seen.Mode() || !now.ModTime().Equal(f.seen.ModTime())
}

// read reads the file. other is whether it has another text than what was taken last.
func (f *file) read() (text []byte, other bool, err error) {
	f.seen = nil
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, false, cause(err)
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait
		return nil, false, errors.New("it is no file")
	}
	r, err := os.Open(f.path)
	if err != nil {
		return nil, false, cause(err)
	}
	defer r.Close()
	if info, err = r.Stat(); err != nil {
		return nil, false, cause(err)
	}
	f.seen, f.young = info, time.Since(info.ModTime()) < settled
	if err := exposed(info); err != nil && !f.public {
		return nil, false, err
	}
	text, err = io.ReadAll(io.LimitReader(r, maxFile+1))
	switch {
	case err != nil:
		return nil, false, cause(err)
	case len(text) > maxFile:
		return nil, false, fmt.Errorf("it has more than %d bytes", maxFile)
	}
	return text, !f.had || sha256.Sum256(text) != f.sum, nil
}

// taken notes that the text is in effect.
func (f *file) taken(text []byte) { f.had, f.sum = true, sha256.Sum256(text) }

// exposed returns an ErrExposed for a file that somebody may read, or write, who should not.
// Windows' permissions are no bits.
func exposed(info fs.FileInfo) error {
	if bits := info.Mode().Perm(); runtime.GOOS != "windows" && bits&0o027 != 0 {
		return fmt.Errorf("%w: its mode is %#o, and may be 0640 at most", ErrExposed, bits)
	}
	return nil
}

// cause takes the path out of an error, which whoever gets it adds.
func cause(err error) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}
