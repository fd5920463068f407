package record

import (
	"context"
	"errors"
	"io/fs"
	"os"
)

// Progress is how far work on recordings has come, in bytes of the files of segments as they are on
// the disk.
type Progress struct {
	// Done is what was read of them, or passed over. It does not go down while Checking stays as it is,
	// and is Total once all was read.
	Done int64
	// Total is what is to be read: what the files had when the work began. It goes up where they have
	// grown meanwhile, and does not count what is of no segment, or of a market that a [Filter] leaves out.
	Total int64
	// Checking tells that all was read, and that what [Recover], [Cut] or [Merge] has written is read
	// again. Done and Total are then of that file.
	Checking bool
}

// WithProgress returns a context with which work on recordings tells how far it has come: [Verify],
// [Survey], [Recover], [Cut] and [Merge], and whatever reads from a [Reader] that began to read with that
// context: [CSV], [JSONLines], and a [Replay], which reads ahead of what it tells its handler.
//
// tell is called at the beginning, each time a frame was read or passed over, which is at least once for
// each MiB of lines, and at the end unless it is an error. It is called on the goroutine that does the
// work, which waits for it, so that the calls of one piece of work are one after the other. Work that goes
// on at the same time under one context calls it at the same time. A nil tell is told nothing.
func WithProgress(ctx context.Context, tell func(Progress)) context.Context {
	return context.WithValue(ctx, progressKey{}, tell)
}

type progressKey struct{}

// tracker tells how far work has come. A nil one does nothing.
type tracker struct {
	tell func(Progress)
	now  Progress
	file int64 // what now.Done has of the file that is read
}

// trackerOf returns a tracker of work that has not begun, nil if nobody wants to know.
func trackerOf(ctx context.Context) *tracker {
	tell, _ := ctx.Value(progressKey{}).(func(Progress))
	if tell == nil {
		return nil
	}
	return &tracker{tell: tell}
}

// begin tells that there is so much to do.
func (t *tracker) begin(total int64, checking bool) {
	if t != nil {
		t.now, t.file = Progress{Total: total, Checking: checking}, 0
		t.tell(t.now)
	}
}

// beginAll begins with the files of paths.
func (t *tracker) beginAll(paths []string) error {
	if t == nil {
		return nil
	}
	total := int64(0)
	err := files(paths, func(path string, _ bool) error {
		info, err := os.Stat(path)
		if err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
		if errors.Is(err, fs.ErrNotExist) { // what reads it says so, if that is wrong
			err = nil
		}
		return err
	})
	if err == nil {
		t.begin(total, false)
	}
	return err
}

// add tells that so much more is done.
func (t *tracker) add(n int64) {
	if t != nil && n > 0 {
		t.now.Done += n
		t.now.Total = max(t.now.Total, t.now.Done)
		t.tell(t.now)
	}
}

// reached tells that a place in the file that is read was reached.
func (t *tracker) reached(at int64) {
	if t != nil && at > t.file {
		n := at - t.file
		t.file = at
		t.add(n)
	}
}

// over tells that a file was read.
func (t *tracker) over(size int64) {
	if t != nil {
		t.reached(size)
		t.file = 0
	}
}

// more takes note of files that there were not at the beginning.
func (t *tracker) more(n int64) {
	if t != nil {
		t.now.Total += n
	}
}

// finish tells that all is done.
func (t *tracker) finish() {
	if t != nil && t.now.Done < t.now.Total {
		t.now.Done = t.now.Total
		t.tell(t.now)
	}
}
