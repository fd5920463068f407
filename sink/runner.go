package sink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tickstorm/tickstorm/sink/internal/again"
	"github.com/tickstorm/tickstorm/sink/internal/counts"
	"github.com/tickstorm/tickstorm/sink/internal/life"
)

// Runner gives an engine what a source has: see the package's comment for what is guaranteed. It
// runs once. Stop and Stats may be called from any goroutine.
type Runner struct {
	cfg    Config
	engine Engine
	flush  Flusher // the engine, if it is one
	source Source
	counts counts.Of[Stats]
	dead   *deadFile

	unflushed int       // rows
	flushed   time.Time // when
	after     []position

	life *life.Life
}

// Errors of a Runner.
var (
	// ErrRan: Run was called before.
	ErrRan = errors.New("sink: a runner runs once")
	// ErrNothing: there is no engine, or no source.
	ErrNothing = errors.New("sink: no engine, or no source")
)

// AttemptsError is that a batch was tried [Config].MaxTries times.
type AttemptsError struct {
	Tries int
	// Err is the last.
	Err error
}

// Error says how many tries there were, and what became of the last.
func (e *AttemptsError) Error() string {
	return fmt.Sprintf("sink: given up after %d tries: %v", e.Tries, e.Err)
}

// Unwrap returns Err.
func (e *AttemptsError) Unwrap() error { return e.Err }

// NewRunner returns a runner that does nothing until Run. The error is about the Config.
func NewRunner(e Engine, s Source, cfg Config) (*Runner, error) {
	if e == nil || s == nil {
		return nil, ErrNothing
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Runner{cfg: cfg, engine: e, source: s, life: life.New()}
	r.flush, _ = e.(Flusher)
	return r, nil
}

// Stats returns what was done so far.
func (r *Runner) Stats() Stats {
	s := r.counts.Snapshot()
	s.Dropped = r.source.dropped()
	return s
}

// Run writes until the source ends or Stop is called (nil, with everything written that was read),
// until ctx ends (its error; what was not confirmed comes again in the next run), or until
// something fails for good: the engine's [*PermanentError], an [*AttemptsError], [ErrDeadFull], a
// [*PoisonError] without a file of dead letters, or an error of the source's files. [ErrInUse] is
// that another has the cursor.
func (r *Runner) Run(ctx context.Context) (err error) {
	ctx, ok := r.life.Begin(ctx)
	if !ok {
		return ErrRan
	}
	defer r.life.End()

	if err := r.source.begin(); err != nil {
		return err
	}
	if r.cfg.DeadLetters != "" { // once the source is this runner's: so is the file
		if r.dead, err = openDead(r.cfg.DeadLetters, r.cfg.MaxDead); err != nil {
			_ = r.source.end() // the error that matters is err
			return err
		}
		defer r.dead.close()
	}
	reading, stopReading := context.WithCancel(ctx)
	f := newFiller(&r.cfg, r.source, &r.counts)
	var filling sync.WaitGroup
	filling.Go(func() { f.run(reading) })
	filling.Go(func() {
		select {
		case <-r.life.Stopping():
			stopReading()
		case <-reading.Done():
		}
	})
	err = r.write(ctx, f)
	stopReading()
	filling.Wait()
	if _, serr := r.confirm(nil, true); err == nil {
		err = serr
	}
	if cerr := r.source.end(); err == nil {
		err = cerr
	}
	return err
}

// Stop has Run read no more, write what it has read, and return. It waits for that until ctx ends;
// then Run ends as if its own context had, and ctx's error is returned. Before Run it keeps that
// from reading.
func (r *Runner) Stop(ctx context.Context) error { return r.life.Stop(ctx) }

// write writes batches until there are none any more.
func (r *Runner) write(ctx context.Context, f *filler) error {
	spare := &batch{}
	r.flushed = time.Now()
	wait := time.Duration(0) // for ever
	for {
		spare.reset(r.cfg.MaxBytes)
		b, err := f.take(ctx, spare, wait)
		switch {
		case b != nil:
			if err := r.batch(ctx, b); err != nil {
				return err
			}
			spare = b
		case err == nil || errors.Is(err, errPatience): // it is time to flush or to save
		case ctx.Err() != nil:
			return ctx.Err()
		default:
			if _, serr := r.settle(ctx, true); serr != nil {
				return serr
			}
			if err == io.EOF || errors.Is(err, context.Canceled) { // Stop's
				return nil
			}
			return err
		}
		pending, err := r.settle(ctx, false)
		if err != nil {
			return err
		}
		if wait = 0; pending {
			wait = settlePause
		}
	}
}

// batch writes a batch, however many tries and parts that takes.
func (r *Runner) batch(ctx context.Context, b *batch) error {
	if err := r.rows(ctx, b.rows); err != nil {
		return err
	}
	if r.flush != nil {
		r.after = append(r.after[:0], b.after...)
		r.unflushed += len(b.rows)
		return nil
	}
	_, err := r.confirm(b.after, false)
	return err
}

// confirm notes what the engine has confirmed, and reports whether that is still to be saved.
func (r *Runner) confirm(after []position, force bool) (pending bool, err error) {
	state, err := r.source.confirm(after, force)
	if state == justSaved {
		r.counts.Add(func(s *Stats) { s.Saved++ })
	}
	return state == notYetSaved, err
}

// settle flushes the engine and saves the cursor if that is due, or in any case. It reports whether
// something is not due yet.
func (r *Runner) settle(ctx context.Context, now bool) (pending bool, err error) {
	if r.flush != nil && r.unflushed > 0 && (now || r.unflushed >= r.cfg.FlushRows || time.Since(r.flushed) >= r.cfg.Flush) {
		err := r.try(ctx, func() error { return r.flush.Flush(ctx) })
		if err != nil {
			return false, err
		}
		r.unflushed, r.flushed = 0, time.Now()
		if _, err := r.confirm(r.after, now); err != nil {
			return false, err
		}
	}
	pending, err = r.confirm(nil, now)
	return pending || r.unflushed > 0, err
}

// settlePause is how often what is not due yet is looked at.
const settlePause = 100 * time.Millisecond

// rows writes some rows of a batch. What the engine will never take goes to the dead letters.
func (r *Runner) rows(ctx context.Context, rows []Row) error {
	for len(rows) > 0 {
		bytes := 0
		for i := range rows {
			bytes += len(rows[i].Raw)
		}
		b := Batch{rows, bytes}
		err := r.try(ctx, func() error { return r.engine.Write(ctx, &b) })
		var poison *PoisonError
		if !errors.As(err, &poison) {
			if err == nil {
				r.took(rows, bytes)
			}
			return err
		}
		switch bad := poison.Row; {
		case len(rows) == 1:
			return r.bury(&rows[0], err)
		case bad >= 0 && bad < len(rows):
			if err := r.rows(ctx, rows[:bad]); err != nil {
				return err
			}
			if err := r.bury(&rows[bad], err); err != nil {
				return err
			}
			rows = rows[bad+1:]
		default:
			half := len(rows) / 2
			if err := r.rows(ctx, rows[:half]); err != nil {
				return err
			}
			rows = rows[half:]
		}
	}
	return nil
}

func (r *Runner) bury(row *Row, why error) error {
	if r.dead == nil {
		return why
	}
	r.cfg.Logger.Error("a row that the engine will never take", "id", row.ID.String(), "error", why)
	if err := r.dead.put(row, why); err != nil {
		return err
	}
	r.counts.Add(func(s *Stats) { s.Dead++ })
	return nil
}

// try does something until it succeeds, or fails in a way that no other try will mend.
func (r *Runner) try(ctx context.Context, do func() error) error {
	for tries := 1; ; tries++ {
		err := do()
		switch {
		case err == nil || !Retryable(err):
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case tries == r.cfg.MaxTries:
			return &AttemptsError{tries, err}
		}
		wait := again.Wait(tries, r.cfg.MinWait, r.cfg.MaxWait)
		r.counts.Add(func(s *Stats) { s.Retries++ })
		r.cfg.Logger.Warn("the engine has not taken a batch", "error", err, "tries", tries, "wait", wait)
		if err := again.Pause(ctx, wait); err != nil {
			return err
		}
	}
}
