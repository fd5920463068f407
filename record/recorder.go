package record

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tickstorm/tickstorm"
)

// Recorder writes what a client receives to segments. It is the client's [tickstorm.Config].Tap:
//
//	rec, err := record.NewRecorder(record.Config{Dir: "recordings", Market: tickstorm.Stocks})
//	...
//	cfg.Tap = rec
//	err = rec.Start()
//
// On the goroutine that reads it copies each message into its buffer and does nothing else.
// Compression and disk are another goroutine's, which loses nothing that is in the buffer: where
// a file cannot be written, it goes on in a new segment as soon as it can. Close it after the
// client.
//
// A Recorder is for one client after another, not for two at a time. Start, Close and Stats may be
// called from any goroutine.
type Recorder struct {
	cfg    Config
	host   string
	buf    *buffer
	folder folder

	closed atomic.Bool // messages are not taken any more
	states States      // the tap's

	mu      sync.Mutex // protects what follows
	started bool
	result  error // of the writing goroutine; set before done is closed

	closing chan struct{}      // closed by Close
	done    chan struct{}      // closed when everything has ended
	abandon context.Context    // ends when Close is not waited for any longer
	giveUp  context.CancelFunc // ends it

	telling sync.Mutex // held while OnEvent runs
	errors  atomic.Uint64
	counts  counts
}

// counts are what the goroutines that write have done.
type counts struct {
	messages, bytes   atomic.Uint64 // in frames that the system has
	written           atomic.Uint64 // bytes of files
	newest            atomic.Int64  // when the last of them was received
	segments, removed atomic.Uint64
	lost, lostBytes   atomic.Uint64
}

var (
	_ tickstorm.Tap = (*Recorder)(nil)

	// ErrStarted: Start was called before, or Close.
	ErrStarted = errors.New("record: the recorder was started or closed before")
)

// NewRecorder returns a recorder that writes nothing until Start. The error is about the Config.
func NewRecorder(cfg Config) (*Recorder, error) {
	cfg, host, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Recorder{
		cfg: cfg, host: host, buf: newBuffer(cfg.Buffer),
		folder:  folder{fs: cfg.fs, market: cfg.Market, root: cfg.Dir},
		closing: make(chan struct{}), done: make(chan struct{}),
	}
	r.abandon, r.giveUp = context.WithCancel(context.Background())
	return r, nil
}

// Start opens the first segment and begins to write. What came before waits in the buffer. The
// error is a [*WriteError] or a [*SpaceError]; then Start can be called again.
func (r *Recorder) Start() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.started || r.closed.Load() {
		return ErrStarted
	}
	w := newWriter(r)
	if err := w.open(time.Now()); err != nil {
		r.errors.Add(1)
		return err
	}
	r.buf.touch()
	r.started = true
	go r.run(w)
	return nil
}

// run is the goroutine that writes; those beside it end with it.
func (r *Recorder) run(w *writer) {
	err := w.run()
	if berr := w.beside.close(); err == nil {
		err = berr
	}
	r.mu.Lock()
	r.result = err
	r.mu.Unlock()
	close(r.done)
}

// Close writes what is buffered, and finishes and closes the segment. It waits for that and for
// the hooks until ctx ends; then it gives up what was not written, and kills the Command. The
// error says what of it failed: a [*WriteError] or a [*SpaceError], or that of ctx, with messages
// that were lost. Close the client before: what comes after Close was called counts as dropped,
// and what comes in its very moment may be neither recorded nor counted. Calling it again waits
// again.
func (r *Recorder) Close(ctx context.Context) error {
	r.mu.Lock()
	if first := !r.closed.Swap(true); first {
		close(r.closing)
		if !r.started {
			close(r.done)
		}
	}
	r.mu.Unlock()
	select {
	case <-r.done:
	case <-ctx.Done():
		r.giveUp()
		select {
		case <-r.done: // it had only to stop
		case <-time.After(stopPatience):
			return fmt.Errorf("record: still writing: %w", ctx.Err())
		}
		if err := r.outcome(); err != nil {
			return errors.Join(ctx.Err(), err)
		}
		return nil
	}
	return r.outcome()
}

// stopPatience is how long a Close that is not waited for any longer waits for the disk.
const stopPatience = time.Second

func (r *Recorder) outcome() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.giveUp()
	return r.result
}

// OnMessage copies a message into the buffer. It implements [tickstorm.Tap].
func (r *Recorder) OnMessage(msg []byte, received int64) {
	if r.closed.Load() {
		r.buf.drop(len(msg), received)
		return
	}
	r.buf.message(msg, received)
}

// OnState notes where connections begin and end. It implements [tickstorm.Tap].
func (r *Recorder) OnState(s *tickstorm.StateChange) {
	if r.closed.Load() {
		return
	}
	for _, c := range r.states.Controls(s) {
		r.buf.control(c)
	}
}

// OnGap notes a gap. It implements [tickstorm.Tap].
func (r *Recorder) OnGap(g *tickstorm.Gap) {
	if !r.closed.Load() {
		r.buf.control(GapControl(g))
	}
}

// Stats is what a recorder has done. It is a snapshot.
type Stats struct {
	// Messages are those that were written to a file, and Bytes their length.
	Messages, Bytes uint64
	// Written is the length of the files so far, and Segments how many were closed.
	Written, Segments uint64
	// Newest is when the last message was received that was written, in nanoseconds since 1970: a
	// process that is killed now loses what came after it. Messages without room are not meant.
	Newest int64
	// Dropped are the messages that had no room, and those that came after Close, and DroppedBytes
	// their length. DroppedControls are states and gaps that had none.
	Dropped, DroppedBytes, DroppedControls uint64
	// Lost are messages that were in memory when the recorder was closed, and could not be written.
	Lost, LostBytes uint64
	// Removed are the segments that KeepFor and KeepTotal have removed.
	Removed uint64
	// Errors counts the events that had an error.
	Errors uint64
	// Buffered is how many bytes wait in the Buffer bytes of the buffer. What is in the frame that
	// is open stays there until it is written.
	Buffered, Buffer int
}

// Stats returns what was done so far.
func (r *Recorder) Stats() Stats {
	d, n := r.buf.dropped(), &r.counts
	return Stats{
		Messages: n.messages.Load(), Bytes: n.bytes.Load(), Written: n.written.Load(), Segments: n.segments.Load(),
		Newest: n.newest.Load(), Dropped: d.messages, DroppedBytes: d.bytes, DroppedControls: d.controls,
		Lost: n.lost.Load(), LostBytes: n.lostBytes.Load(), Removed: n.removed.Load(), Errors: r.errors.Load(),
		Buffered: int(r.buf.fill()), Buffer: len(r.buf.buf),
	}
}
