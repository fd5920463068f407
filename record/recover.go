package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// ErrNothing: there is nothing in a recording that could be kept.
var ErrNothing = errors.New("nothing of the recording can be kept")

// Recover writes what is whole of the segment in the file from to the file to, finished, and
// reads that again before it is called good: only then it is there under its name, and fsynced.
// Nothing is written to from, and to must not exist. It remains the same segment, and its
// entries keep their numbers: cursors remain good. Where lines are missing, a control of
// kind [Lost] says so. The report is on from. The error is that of the context, one of the files,
// or [ErrNothing].
func Recover(ctx context.Context, to, from string) (*Report, error) {
	u, err := newUnpacker()
	if err != nil {
		return nil, err
	}
	defer u.close()
	u.verifies = true
	t := trackerOf(ctx)
	if err := t.beginAll([]string{from}); err != nil {
		return nil, err
	}
	var report *Report
	err = create(ctx, to, u, func(f *os.File) error {
		k := &keeper{w: f}
		if report, err = inspect(ctx, from, u, t, k.keep); err != nil {
			return err
		}
		if k.segment == nil {
			return fmt.Errorf("%w: %s", ErrNothing, from)
		}
		return k.finish()
	})
	return report, err
}

// keeper writes a segment anew, frame by frame.
type keeper struct {
	w       io.Writer
	segment *segmentWriter // nil before the first frame
	damage  Reason         // what was wrong since the last frame, "" if nothing
	last    int64          // receive time of that
}

// keep is for inspect.
func (k *keeper) keep(f *frame, text []byte, d *Damage) (err error) {
	if d != nil {
		if d.Reason != Unfinished {
			k.damage = d.Reason
		}
		return nil
	}
	if k.segment == nil {
		header := text
		if f.kind != headerFrame { // it is gone: what every frame says is what there is
			h := Header{Market: f.market, Started: time.Unix(0, f.started), Sequence: f.sequence}
			if header, err = h.appendTo(nil, &f.segmentID); err != nil {
				return err
			}
		}
		if k.segment, err = beginSegment(k.w, f.segmentID, header, LevelDefault); err != nil {
			return err
		}
	}
	if f.kind == headerFrame {
		return nil
	}
	if n := f.line - k.segment.lines; n > 0 {
		if err := k.lost(n); err != nil {
			return err
		}
	}
	k.damage = ""
	k.last = f.received.last
	return k.segment.whole(text, f.line)
}

// lost writes a control that says that n lines are missing, 0 if it is not known how many. It
// has the number of the first of them.
func (k *keeper) lost(n uint64) error {
	c := Control{Kind: Lost, Received: k.last, Cause: string(k.damage), Count: n}
	if err := k.segment.control(c); err != nil {
		return err
	}
	return k.segment.flush()
}

func (k *keeper) finish() error {
	if k.damage != "" {
		if err := k.lost(0); err != nil {
			return err
		}
	}
	return k.segment.finish()
}
