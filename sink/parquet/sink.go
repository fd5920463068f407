package parquet

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/again"
	"github.com/tickstorm/tickstorm/sink/internal/counts"
)

// Sink writes Parquet files of what was recorded: see the package's comment for what is guaranteed. It
// runs once. Stats may be called from any goroutine.
type Sink struct {
	cfg     Config
	counts  counts.Of[Stats]
	ran     atomic.Bool
	symbols *tickstorm.Symbols

	done    map[string]*manifest        // by segment
	gaps    map[tickstorm.Market]uint64 // the last number
	last    map[tickstorm.Market]int64  // when the last message was received
	seen    map[string]segment          // by path
	told    map[string]int64            // sizes of files that were told of, by path
	checked map[string]bool             // tables whose schema was compared

	spare   map[*table]*rows // to be filled again
	scratch scratch          // that of the row group which is being written
}

// New returns a Sink that does nothing until Run. The error is about the Config.
func New(cfg Config) (*Sink, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Sink{
		cfg: cfg, symbols: tickstorm.NewSymbols(0), done: map[string]*manifest{}, gaps: map[tickstorm.Market]uint64{}, last: map[tickstorm.Market]int64{},
		told: map[string]int64{}, checked: map[string]bool{}, spare: map[*table]*rows{},
	}, nil
}

// Stats returns what was done so far.
func (s *Sink) Stats() Stats { return s.counts.Snapshot() }

// Run writes segments until all that are closed are done, or, if it follows, until ctx ends, whose error
// it then returns: what is in the middle of being written is removed, and written by the next run.
// [sink.ErrInUse] is that another has the folder, a [*SchemaError] that there are parts with other
// columns, [ErrManifest] that somebody has changed a manifest, a [fs.PathError] that a recording
// cannot be read. A [*WriteError] or [*CheckError] ends a run that does not follow; one that follows tries again.
func (s *Sink) Run(ctx context.Context) (err error) {
	if s.ran.Swap(true) {
		return sink.ErrRan
	}
	unlock, err := sink.Lock(filepath.Join(s.cfg.To, stateFolder, lockName))
	if err != nil {
		return err
	}
	defer func() {
		if uerr := unlock(); err == nil {
			err = uerr
		}
	}()
	if err := s.load(); err != nil {
		return err
	}
	if err := s.sweep(); err != nil {
		return err
	}
	for tries := 0; ; {
		err := s.pass(ctx)
		wait := s.cfg.Follow
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && (wait == 0 || !retryable(err)):
			return err
		case err != nil:
			tries++
			wait = again.Wait(tries, s.cfg.MinWait, s.cfg.MaxWait)
			s.counts.Add(func(s *Stats) { s.Retries++ })
			s.cfg.Logger.Warn("a segment could not be written", "error", err, "tries", tries, "wait", wait)
		case wait == 0:
			return nil
		default:
			tries = 0
		}
		if err := again.Pause(ctx, wait); err != nil {
			return err
		}
	}
}

// retryable reports whether another try may mend it.
func retryable(err error) bool {
	var write *WriteError
	var check *CheckError
	var schema *SchemaError
	return (errors.As(err, &write) || errors.As(err, &check)) && !errors.As(err, &schema)
}

// pass does what there is to do.
func (s *Sink) pass(ctx context.Context) error {
	found, err := s.scan(ctx)
	if err != nil {
		return err
	}
	for _, g := range found {
		m := s.done[g.name]
		switch {
		case m != nil && m.Bytes == g.size && m.Market == g.market:
			continue
		case m != nil && (m.Finished || g.size < m.Bytes):
			s.tell(g.path, g.size, func() {
				s.counts.Add(func(s *Stats) { s.Conflicts++ })
				s.cfg.Logger.Error("another file of this segment was done: another recording wants another folder", "file", g.path, "segment", g.name)
			})
			continue
		}
		err := s.segment(ctx, g, m)
		if _, serr := os.Stat(g.path); err != nil && errors.Is(serr, fs.ErrNotExist) { // by who keeps so many
			s.counts.Add(func(s *Stats) { s.Gone++ })
			s.cfg.Logger.Error("a segment was removed before it was done", "segment", g.name)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}
