package record

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"slices"
	"sync"
	"time"
)

// beside is what goes on beside the writing of a segment: the next one's file is made, this one's
// is synced, the last one's gets its final name, and hooks and removals come behind that.
type beside struct {
	r *Recorder

	made    chan *partFile  // has room for one; nil if it could not be made
	making  bool            // something will be in made
	synced  chan syncResult // has room for one
	syncing bool            // something will be in synced

	finished chan *partFile // to be published; nil asks for a look at what is to be removed
	hooks    chan string
	all      sync.WaitGroup

	mu      sync.Mutex      // protects what follows
	waiting map[string]bool // segments whose hooks have not ended
	failed  error           // why the last segment has not got its name

	removing sync.Mutex // held while old segments are removed
}

const (
	maxFinished = 16   // segments that wait for their names, until writing waits
	maxHooks    = 1024 // segments that wait for their hooks
)

func newBeside(r *Recorder) *beside {
	return &beside{
		r: r, made: make(chan *partFile, 1), synced: make(chan syncResult, 1),
		finished: make(chan *partFile, maxFinished), hooks: make(chan string, maxHooks), waiting: make(map[string]bool),
	}
}

func (b *beside) start() {
	b.all.Go(func() {
		defer close(b.hooks)
		b.retain()
		for p := range b.finished {
			if p != nil {
				b.name(p)
			}
			b.retain()
		}
	})
	b.all.Go(func() {
		for path := range b.hooks {
			b.hook(path)
			b.retain()
		}
	})
}

// close waits for all of it, and returns why the last segment has not got its name. It is the
// writer's, as what follows is up to name.
func (b *beside) close() error {
	close(b.finished)
	b.all.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed
}

// prepare has the file of a segment made that is to start at a moment, unless there is one.
func (b *beside) prepare(started int64) {
	if b.making {
		return
	}
	b.making = true
	b.all.Go(func() {
		p, err := b.r.folder.create(started)
		if err != nil {
			p = nil // it is tried again when it is needed
			b.r.tell(errorEvent(err))
		}
		b.made <- p
	})
}

// prepared returns the file that was made, nil if there is none, and waits for one that is being
// made: no number is given twice.
func (b *beside) prepared() *partFile {
	if !b.making {
		return nil
	}
	b.making = false
	return <-b.made
}

// sync has a file synced, and reports whether it will be; not if the last one goes on.
func (b *beside) sync(p *partFile) bool {
	if b.syncing {
		return false
	}
	b.syncing = true
	b.all.Go(func() {
		err := p.Sync()
		if err != nil {
			err = &WriteError{"fsync", p.path(), err}
		}
		b.synced <- syncResult{p, err}
	})
	return true
}

type syncResult struct {
	part *partFile
	err  error
}

// syncFailed returns what came of the last sync, nil while it goes on. Of a file that is not
// written any more it is told where that should get its name.
func (b *beside) syncFailed(current *partFile) error {
	select {
	case result := <-b.synced:
		b.syncing = false
		if result.part == current {
			return result.err
		}
	default:
	}
	return nil
}

// publish has a finished part get its final name.
func (b *beside) publish(p *partFile) { b.finished <- p }

// retainSoon has a look at what is to be removed.
func (b *beside) retainSoon() {
	select {
	case b.finished <- nil:
	default: // it comes behind what is there
	}
}

func (b *beside) name(p *partFile) {
	err := b.r.folder.publish(p)
	b.mu.Lock()
	b.failed = err
	b.mu.Unlock()
	if err != nil {
		b.r.tell(errorEvent(err))
		return
	}
	b.r.counts.segments.Add(1)
	b.r.tell(RecorderEvent{Kind: EventClosed, Path: p.final()})
	if b.r.cfg.OnClosed == nil && len(b.r.cfg.Command) == 0 {
		return
	}
	b.wait(p.final(), true)
	select {
	case b.hooks <- p.final():
	default:
		b.wait(p.final(), false)
		b.r.tell(RecorderEvent{Kind: EventHook, Path: p.final(), Err: &HookError{p.final(), errHooksBusy, ""}})
	}
}

func (b *beside) wait(path string, on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if on {
		b.waiting[path] = true
	} else {
		delete(b.waiting, path)
	}
}

func (b *beside) waits(path string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting[path]
}

// hook does what is to be done with a closed segment.
func (b *beside) hook(path string) {
	defer b.wait(path, false)
	cfg := &b.r.cfg
	if cfg.OnClosed != nil {
		cfg.OnClosed(path)
	}
	if len(cfg.Command) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(b.r.abandon, cfg.CommandTimeout)
	defer cancel()
	var said tail
	cmd := exec.CommandContext(ctx, cfg.Command[0], append(slices.Clone(cfg.Command[1:]), path)...)
	cmd.Stderr = &said
	cmd.WaitDelay = commandDelay
	err := cmd.Run()
	if ctx.Err() != nil {
		err = ctx.Err() // and not that it was killed
	}
	if err != nil {
		b.r.tell(RecorderEvent{Kind: EventHook, Path: path, Err: &HookError{path, err, string(said)}})
	}
}

// commandDelay is how long what a killed command has started may hold its output open.
const commandDelay = time.Second

// tail keeps the end of what is written to it.
type tail []byte

func (t *tail) Write(b []byte) (int, error) {
	const most = 512
	*t = append(*t, b[max(0, len(b)-most):]...)
	*t = (*t)[max(0, len(*t)-most):]
	return len(b), nil
}

var errHooksBusy = errors.New("too many segments wait for their hooks")

// HookError is that the Command has failed for a segment.
type HookError struct {
	Path string
	// Err is an [*exec.ExitError], or why it did not start or was killed.
	Err error
	// Said is the end of what it wrote to its standard error.
	Said string
}

// Error says which segment it was, and why.
func (e *HookError) Error() string {
	text := fmt.Sprintf("record: hook of %s: %v", e.Path, e.Err)
	if e.Said != "" {
		text += fmt.Sprintf(": %q", e.Said)
	}
	return text
}

// Unwrap returns Err.
func (e *HookError) Unwrap() error { return e.Err }

// retain removes what is too old, or too much.
func (b *beside) retain() {
	cfg := &b.r.cfg
	if cfg.KeepFor == 0 && cfg.KeepTotal == 0 {
		return
	}
	b.removing.Lock()
	defer b.removing.Unlock()
	all, err := b.r.folder.closedSegments()
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		b.r.tell(errorEvent(err))
		return
	}
	for _, s := range outdated(all, time.Now(), cfg.KeepFor, cfg.KeepTotal) {
		if b.waits(s.path) {
			continue
		}
		if err := cfg.fs.Remove(s.path); err != nil {
			b.r.tell(RecorderEvent{Kind: EventError, Path: s.path, Err: &WriteError{"remove", s.path, err}})
			continue
		}
		b.r.counts.removed.Add(1)
		b.r.tell(RecorderEvent{Kind: EventRemoved, Path: s.path})
	}
}
