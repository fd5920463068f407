package record

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tickstorm/tickstorm"
)

// fileSystem is what a recorder does to files, so that tests can have a disk that is full or breaks.
type fileSystem interface {
	MkdirAll(dir string) error
	// Create makes a file that does not exist.
	Create(path string) (file, error)
	// Lstat is os.Lstat.
	Lstat(path string) (fs.FileInfo, error)
	ReadDir(dir string) ([]fs.DirEntry, error)
	Rename(from, to string) error
	Remove(path string) error
	// SyncDir makes what a folder lists outlast a power cut, as far as the system can.
	SyncDir(dir string) error
	// Free returns the bytes that are free for this user; ok is false where the system does not say.
	Free(dir string) (free uint64, ok bool, err error)
}

type file interface {
	io.WriteCloser
	Sync() error
	Truncate(size int64) error
	Stat() (fs.FileInfo, error)
}

// disk is the system's files.
type disk struct{}

const (
	folderMode = 0o755
	fileMode   = 0o644
)

func (disk) MkdirAll(dir string) error                 { return os.MkdirAll(dir, folderMode) }
func (disk) Lstat(path string) (fs.FileInfo, error)    { return os.Lstat(path) }
func (disk) ReadDir(dir string) ([]fs.DirEntry, error) { return os.ReadDir(dir) }
func (disk) Rename(from, to string) error              { return os.Rename(from, to) }
func (disk) Remove(path string) error                  { return os.Remove(path) }
func (disk) SyncDir(dir string) error                  { return syncFolder(dir) }
func (disk) Free(dir string) (uint64, bool, error)     { return freeSpace(dir) }

func (disk) Create(path string) (file, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
}

// folder is where the segments of a market are: one folder a day (UTC) below one a market.
type folder struct {
	fs     fileSystem
	market tickstorm.Market
	root   string // Config.Dir

	day  string // the folder whose next is known
	next uint64 // the number of the next segment there
}

// plain is a market as it stands in names.
func plain(m tickstorm.Market) string { return strings.ReplaceAll(string(m), "/", "-") }

// home is the market's folder.
func (f *folder) home() string { return filepath.Join(f.root, plain(f.market)) }

const dayFormat = "2006-01-02"

func (f *folder) dayOf(started int64) string {
	return filepath.Join(f.home(), time.Unix(0, started).UTC().Format(dayFormat))
}

// partFile is a segment's file while it is written.
type partFile struct {
	file
	dir      string
	name     string // without Suffix
	started  int64  // in nanoseconds since 1970, whole milliseconds
	sequence uint64

	syncing chan struct{} // holds a token while it is synced
	failed  error         // of the first sync that failed; its holder's
}

// Sync is the file's, one call at a time. Once it has failed it fails: systems tell once that
// something was not written.
func (p *partFile) Sync() error {
	p.syncing <- struct{}{}
	defer func() { <-p.syncing }()
	if p.failed == nil {
		p.failed = p.file.Sync()
	}
	return p.failed
}

func (p *partFile) path() string  { return filepath.Join(p.dir, p.name+PartSuffix) }
func (p *partFile) final() string { return filepath.Join(p.dir, p.name+Suffix) }

// createTries bounds the numbers that are tried while others take them.
const createTries = 100

// create makes the file of a segment that starts at a moment. Its number is one that no
// segment of its folder has, of whatever process.
func (f *folder) create(started int64) (*partFile, error) {
	started -= started % int64(time.Millisecond)
	dir := f.dayOf(started)
	if err := f.fs.MkdirAll(dir); err != nil {
		return nil, &WriteError{"make folder", dir, err}
	}
	if f.day != dir {
		f.day, f.next = dir, 1
	}
	for range createTries {
		last, err := f.last(dir, "")
		if err != nil {
			return nil, err
		}
		f.next = max(f.next, last+1)
		p := &partFile{dir: dir, started: started, sequence: f.next, syncing: make(chan struct{}, 1)}
		p.name = segmentName(f.market, started, p.sequence)
		f.next++
		p.file, err = f.fs.Create(p.path())
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, &WriteError{"create", p.path(), err}
		}
		// Another process may have looked at the folder at the same moment, and taken the number
		// with another time: whoever sees the other's gives way.
		last, err = f.last(dir, p.name)
		if err == nil && last < p.sequence {
			return p, nil
		}
		f.discard(p)
		if err != nil {
			return nil, err
		}
	}
	return nil, &WriteError{"create", dir, errors.New("others take every number")}
}

// last returns the highest number of a segment in a folder, but for one's own.
func (f *folder) last(dir, own string) (last uint64, err error) {
	entries, err := f.fs.ReadDir(dir)
	if err != nil {
		return 0, &WriteError{"list", dir, err}
	}
	for _, e := range entries {
		if s, ok := parseSegment(f.market, e.Name()); ok && s.name != own {
			last = max(last, s.sequence)
		}
	}
	return last, nil
}

// discard takes back a part that nothing was written to.
func (f *folder) discard(p *partFile) {
	_ = p.Close()
	_ = f.fs.Remove(p.path()) // an empty one that stays harms nobody
}

// publish gives a finished part its final name, and has that outlast a power cut.
func (f *folder) publish(p *partFile) error {
	if err := p.Sync(); err != nil {
		_ = p.Close() // the error that matters is err
		return &WriteError{"fsync", p.path(), err}
	}
	if err := p.Close(); err != nil {
		return &WriteError{"close", p.path(), err}
	}
	// No recorder makes a segment of this name while the part is there.
	if _, err := f.fs.Lstat(p.final()); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fs.ErrExist
		}
		return &WriteError{"rename", p.final(), err}
	}
	if err := f.fs.Rename(p.path(), p.final()); err != nil {
		return &WriteError{"rename", p.path(), err}
	}
	for _, dir := range []string{p.dir, f.home(), f.root} { // they may be new as well
		if err := f.fs.SyncDir(dir); err != nil {
			return &WriteError{"fsync", dir, err}
		}
	}
	return nil
}

// there reports whether the file is still in its folder.
func (f *folder) there(p *partFile) error {
	own, err := p.Stat()
	if err != nil {
		return &WriteError{"stat", p.path(), err}
	}
	named, err := f.fs.Lstat(p.path())
	if err == nil && !os.SameFile(own, named) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return &WriteError{"stat", p.path(), err}
	}
	return nil
}

// fileName is what the name of a segment's file says.
type fileName struct {
	name     string // without Suffix
	started  time.Time
	sequence uint64
	part     bool
}

var segmentTail = regexp.MustCompile(`^(\d{8}T\d{6}\.\d{3}Z)-(\d{6,20})$`)

// parseSegment reads a file's name; ok is false where it is no segment of the market's.
func parseSegment(m tickstorm.Market, file string) (s fileName, ok bool) {
	if s.name, ok = strings.CutSuffix(file, Suffix); !ok {
		if s.name, ok = strings.CutSuffix(file, PartSuffix); !ok {
			return fileName{}, false
		}
		s.part = true
	}
	tail, ok := strings.CutPrefix(s.name, plain(m)+"-")
	if !ok {
		return fileName{}, false
	}
	match := segmentTail.FindStringSubmatch(tail)
	if match == nil {
		return fileName{}, false
	}
	var err error
	if s.started, err = time.Parse("20060102T150405.000Z", match[1]); err != nil {
		return fileName{}, false
	}
	s.sequence, err = strconv.ParseUint(match[2], 10, 64)
	return s, err == nil
}

// WriteError is what the file system refused. errors.Is(err, [ErrDiskFull]) says whether it was
// for want of space, whatever the system calls that.
type WriteError struct {
	// Op is what was tried, such as "create", "write", "fsync" and "rename", and Path with what.
	Op, Path string
	// Err is the system's.
	Err error
}

// Error says all of it.
func (e *WriteError) Error() string {
	var inner *fs.PathError
	err := e.Err
	if errors.As(err, &inner) {
		err = inner.Err // which has no more to say than Op and Path
	}
	return fmt.Sprintf("record: %s %s: %v", e.Op, e.Path, err)
}

// Unwrap returns Err.
func (e *WriteError) Unwrap() error { return e.Err }

// Is reports whether it is ErrDiskFull.
func (e *WriteError) Is(target error) bool { return target == ErrDiskFull && diskFull(e.Err) }

// ErrDiskFull: there is no space left, or less than is to be left. Both a [*WriteError] and a
// [*SpaceError] can be that.
var ErrDiskFull = errors.New("record: no space left")

// SpaceError is that there is less free space than [Config].MinFree: nothing is written until
// there is more.
type SpaceError struct {
	// Dir is the folder, Free what is free there and Min what has to be, in bytes.
	Dir       string
	Free, Min uint64
}

// Error says how much is free.
func (e *SpaceError) Error() string {
	return fmt.Sprintf("record: %d MiB are free in %s and %d MiB have to be", e.Free>>20, e.Dir, e.Min>>20)
}

// Is reports that it is ErrDiskFull.
func (e *SpaceError) Is(target error) bool { return target == ErrDiskFull }
