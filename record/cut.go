package record

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/tickstorm/tickstorm"
)

// ErrMarkets: a segment would have messages of several markets.
var ErrMarkets = errors.New("recordings of several markets do not fit one segment")

// Cut writes what was received from a moment on and before another one to a new segment, the
// file to, which must not exist; a zero time is no bound. Paths are as those of [Open] and
// must be of one market; several are merged by receive time. Where something is damaged, a
// control of kind [Lost] says so in its place, and the damage is returned, up to 1,000 places.
// The file is read again before it is called good, as that of [Recover] is. The error is that of the
// context, one of the files, [ErrMarkets], or [ErrNothing] if nothing was received then.
func Cut(ctx context.Context, to string, from, until time.Time, paths ...string) ([]*Damage, error) {
	r, err := Open(paths...)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	r.Past() // a recording has what came
	w := rewriter{from: math.MinInt64}
	if !from.IsZero() {
		w.from = from.UnixNano()
		r.Seek(Received, from)
	}
	r.Until(until)
	err = create(ctx, to, r.unpacker, func(f *os.File) error { return w.write(ctx, f, r) })
	return w.damage, err
}

// Merge writes all that paths have to a new segment, as [Cut] does without bounds. Messages
// that two recorders both have come twice.
func Merge(ctx context.Context, to string, paths ...string) ([]*Damage, error) {
	return Cut(ctx, to, time.Time{}, time.Time{}, paths...)
}

// rewriter writes what a reader finds to a segment.
type rewriter struct {
	from    int64
	damage  []*Damage
	market  tickstorm.Market
	segment *segmentWriter // nil before the first entry
}

func (w *rewriter) write(ctx context.Context, f *os.File, r *Reader) error {
	for e, err := range r.All(ctx) {
		if err != nil {
			return err
		}
		if e.Damage != nil && len(w.damage) < maxDamage {
			w.damage = append(w.damage, e.Damage)
		}
		if err := w.entry(f, r, e); err != nil {
			return err
		}
	}
	if w.segment == nil {
		return fmt.Errorf("%w: it is empty then", ErrNothing)
	}
	return w.segment.finish()
}

func (w *rewriter) entry(f *os.File, r *Reader, e *Entry) (err error) {
	if e.Damage == nil && e.Received < w.from {
		return nil
	}
	if w.segment == nil {
		if e.Damage != nil {
			return nil
		}
		h, err := r.header()
		if err != nil {
			return err
		}
		if w.segment, err = newSegmentWriter(f, h, LevelDefault); err != nil {
			return err
		}
		w.market = e.Market
	}
	switch {
	case e.Market != w.market && e.Market != "":
		return fmt.Errorf("%w: %s and %s", ErrMarkets, w.market, e.Market)
	case e.Control != nil:
		return w.segment.control(*e.Control)
	case e.Damage == nil:
		return w.segment.message(e.Received, e.Raw)
	case e.Damage.Reason == ClockBack || e.Damage.Reason == Unfinished:
		return nil
	}
	return w.segment.control(Control{Kind: Lost, Received: e.Received, Cause: string(e.Damage.Reason)})
}
