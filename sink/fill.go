package sink

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sink/internal/counts"
)

// This file is the reading half of a Runner: it makes batches of what a source has. One goroutine
// fills, another takes; there are two batches, so the one that fills waits while both are full.

// filler fills batches.
type filler struct {
	cfg    *Config
	src    Source
	counts *counts.Of[Stats]

	mu      sync.Mutex // protects what follows; held while an entry is added, but for waits
	cur     *batch
	full    bool
	over    bool  // nothing is added any more
	err     error // why
	at      positions
	changed chan struct{} // has room for one: cur has its first row, is full, or all is over
	room    chan struct{} // has room for one: cur was exchanged

	markets map[tickstorm.Market]*tickstorm.Splitter
	scratch Row // of the element at hand
}

func newFiller(cfg *Config, src Source, counts *counts.Of[Stats]) *filler {
	return &filler{
		cfg: cfg, src: src, counts: counts, cur: &batch{}, at: src.start(),
		changed: make(chan struct{}, 1), room: make(chan struct{}, 1),
		markets: map[tickstorm.Market]*tickstorm.Splitter{},
	}
}

// run fills until the source ends or ctx does.
func (f *filler) run(ctx context.Context) {
	err := f.fill(ctx)
	f.mu.Lock()
	f.over, f.err = true, err
	f.mu.Unlock()
	signal(f.changed)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (f *filler) fill(ctx context.Context) error {
	for {
		e, err := f.src.next(ctx)
		if err != nil {
			return err
		}
		if err := f.entry(ctx, e); err != nil {
			return err
		}
	}
}

func (f *filler) entry(ctx context.Context, e *record.Entry) (err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e.Control != nil || e.Damage != nil {
		err = f.notice(ctx, noticeOf(e))
	} else {
		err = f.message(ctx, e)
	}
	if err != nil {
		return err
	}
	if e.Segment != "" {
		f.at.at(e.After(), e.Received)
		if e.Control != nil && e.Control.Kind == record.Rotate {
			f.at.close(e.Segment)
		}
	}
	if len(f.cur.rows) >= f.cfg.MaxRows || f.cur.bytes >= f.cfg.MaxBytes {
		f.full = true
		signal(f.changed)
	}
	return nil
}

func (f *filler) notice(ctx context.Context, n *Notice) error {
	if f.src.skips(&n.ID) {
		f.counts.Add(func(s *Stats) { s.Skipped++ })
		return nil
	}
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	if err := f.reserve(ctx, &n.ID, n.Received, len(text)); err != nil {
		return err
	}
	f.cur.add(Row{ID: n.ID, Market: n.Market, Received: n.Received, Raw: f.cur.hold(text), Notice: n})
	return nil
}

func (f *filler) message(ctx context.Context, e *record.Entry) error {
	split := f.markets[e.Market]
	if split == nil {
		split = tickstorm.NewSplitter(e.Market)
		split.SetLimits(tickstorm.Limits{Message: record.MaxMessage})
		f.markets[e.Market] = split
	}
	n := 0
	row := &f.scratch
	*row = Row{Market: e.Market, Received: e.Received, ID: ID{Cursor: e.Cursor()}}
	for split.Reset(e.Raw); split.Next(); n++ {
		el := split.Element()
		number := n
		if e.Elements != nil {
			number = e.Elements[n]
		}
		row.ID.Element = uint64(number)
		row.Channel = el.Channel
		row.Symbol, row.SymbolID = "", 0
		if el.Symbol != nil {
			row.Symbol, row.SymbolID = f.cfg.Symbols.Intern(el.Symbol)
		}
		if err := f.row(ctx, row, e.Raw[el.Start:el.End]); err != nil {
			return err
		}
	}
	switch err := split.Err(); {
	case errors.Is(err, tickstorm.ErrNotArray):
		row.ID.Element, row.Channel, row.Symbol, row.SymbolID = 0, "", "", 0
		return f.row(ctx, row, e.Raw)
	case errors.Is(err, tickstorm.ErrTrailing):
		id := ID{Cursor: e.Cursor()}
		id.Element = uint64(n)
		return f.notice(ctx, &Notice{Kind: Broken, ID: id, Market: e.Market, Received: e.Received, Text: err.Error()})
	}
	return nil
}

func (f *filler) row(ctx context.Context, row *Row, raw []byte) error {
	if f.src.skips(&row.ID) {
		f.counts.Add(func(s *Stats) { s.Skipped++ })
		return nil
	}
	if err := f.reserve(ctx, &row.ID, row.Received, len(raw)); err != nil {
		return err
	}
	row.Raw = f.cur.hold(raw)
	f.cur.add(*row)
	return nil
}

// reserve waits until there is room in a batch for a row.
func (f *filler) reserve(ctx context.Context, id *ID, received int64, size int) error {
	for len(f.cur.rows) > 0 && (f.full || len(f.cur.rows) >= f.cfg.MaxRows || f.cur.bytes+size > f.cfg.MaxBytes) {
		f.full = true
		f.at.at(id.Cursor, received)
		signal(f.changed)
		f.mu.Unlock()
		select {
		case <-f.room:
		case <-ctx.Done():
		}
		f.mu.Lock()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if len(f.cur.rows) == 0 {
		f.cur.first = time.Now()
		signal(f.changed) // who waits for it sees it when the lock is free
	}
	return nil
}

// take returns a batch when it is due, in exchange for an empty one; nil when there is none and
// wait has passed, which is 0 to wait for ever. over is why there will be none any more.
func (f *filler) take(ctx context.Context, spare *batch, wait time.Duration) (b *batch, over error) {
	var patience <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		patience = timer.C
	}
	for {
		f.mu.Lock()
		left := time.Duration(-1)
		if len(f.cur.rows) > 0 {
			left = f.cfg.Linger - time.Since(f.cur.first)
			if f.full || f.over || left <= 0 {
				b = f.cur
				b.after = append(b.after[:0], f.at...)
				f.cur, f.full = spare, false
				f.mu.Unlock()
				signal(f.room)
				return b, nil
			}
		}
		over := f.err
		f.mu.Unlock()
		if over != nil {
			return nil, over
		}
		if err := f.await(ctx, left, patience); err != nil {
			return nil, err
		}
		select {
		case <-patience:
			return nil, nil
		default:
		}
	}
}

// await waits for a change, for no longer than left, or for ever if that is negative. What has come
// of patience stays there.
func (f *filler) await(ctx context.Context, left time.Duration, patience <-chan time.Time) error {
	var linger <-chan time.Time
	if left >= 0 {
		timer := time.NewTimer(left)
		defer timer.Stop()
		linger = timer.C
	}
	select {
	case <-f.changed:
	case <-linger:
	case <-patience:
		return errPatience
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

var errPatience = errors.New("nothing is due")
