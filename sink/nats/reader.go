package nats

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/again"
)

// reader reads one partition for a Consumer, for as long as that has it.
type reader struct {
	c      *Consumer
	p      int
	group  *group
	marks  sink.Watermarks
	stream string
	handle *sync.Mutex // held while a message is handled, and while the watermark is saved

	ending  sync.Once
	ended   chan struct{} // closed by release
	over    chan struct{} // closed when nothing is done any more
	lane    *sink.Lane
	mark    sink.Watermark
	dirty   bool   // mark is ahead of what was saved
	failed  bool   // it could not be saved the last time
	term    uint64 // of the lease in which the partition was known to be this consumer's
	lost    bool   // another has the partition, or what was told may not count as handled
	told    sink.LaneStats
	ticks   uint
	foreign uint64
}

// read starts a reader.
func (c *Consumer) read(p int, g *group, marks sink.Watermarks) *reader {
	r := &reader{
		c: c, p: p, group: g, marks: marks, stream: c.cfg.Stream(c.cfg.Market, p), handle: &c.shared,
		ended: make(chan struct{}), over: make(chan struct{}),
	}
	go r.run()
	return r
}

// release has the reader stop, save and let go.
func (r *reader) release() { r.ending.Do(func() { close(r.ended) }) }

func (r *reader) run() {
	defer close(r.over)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	kill := context.AfterFunc(r.c.ctx, cancel)
	defer kill()
	log := r.c.cfg.Logger.With("stream", r.stream)
	claimed, unsure, err := r.claim(ctx)
	if err != nil {
		log.Warn("a partition cannot be had yet", "error", err)
	}
	if unsure {
		r.disclaim(ctx)
	}
	if !claimed {
		return
	}
	log.Info("has the partition", "offset", r.mark.Offset)
	r.c.counts.Add(func(s *ConsumerStats) { s.Partitions++ })
	defer r.c.counts.Add(func(s *ConsumerStats) { s.Partitions-- })
	saving, stopSaving := context.WithCancel(ctx)
	var saver sync.WaitGroup
	saver.Go(func() { r.saveEach(saving, r.c.cfg.Save) })
	for said, again := "", false; !r.done(ctx); again = true {
		var err error
		if again {
			err = r.still(ctx)
		}
		if err == nil {
			err = r.messages(ctx)
		}
		if err != nil && !r.done(ctx) {
			if said != err.Error() { // it may go on for as long as a stream is not made
				said = err.Error()
				if errors.Is(err, jetstream.ErrStreamNotFound) {
					log.Info("no sink has made the stream yet")
				} else {
					log.Warn("a stream cannot be read", "error", err)
				}
			}
			r.pause(ctx)
		}
	}
	stopSaving()
	saver.Wait()
	r.tally(0)
	if ctx.Err() != nil { // killed
		return
	}
	for !r.isLost() && ctx.Err() == nil { // or Stop is not waited for any longer
		r.handle.Lock()
		r.mark.Owner = ""
		err := r.save(ctx)
		r.handle.Unlock()
		if err == nil {
			break
		}
		log.Warn("a watermark was not saved", "error", err)
		r.pause(ctx)
	}
	if r.isLost() { // to another, or to a save of its own that was not answered
		r.disclaim(ctx)
	}
}

// pause waits a moment before something is tried again.
func (r *reader) pause(ctx context.Context) {
	_ = again.Pause(ctx, min(r.c.cfg.Lease/20, 250*time.Millisecond)) // ctx is looked at next
}

func (r *reader) done(ctx context.Context) bool {
	select {
	case <-r.ended:
		return true
	case <-ctx.Done():
		return true
	default:
		return r.isLost()
	}
}

func (r *reader) isLost() bool {
	r.handle.Lock()
	defer r.handle.Unlock()
	return r.lost
}

// claim makes the partition this consumer's. claimed is false if another has it that is there; unsure is
// that nobody knows whose it is, since the answer did not come.
func (r *reader) claim(ctx context.Context) (claimed, unsure bool, err error) {
	name := r.c.cfg.Lane(r.c.cfg.Market, r.p)
	r.term = r.c.term.Load()
	if r.mark, err = r.marks.Load(ctx, name); err != nil {
		return false, false, err
	}
	if owner := r.mark.Owner; owner != "" && owner != r.c.member {
		if there, err := r.group.alive(ctx, owner, r.c.cfg.Lease); there || err != nil {
			return false, false, err
		}
	}
	r.mark.Owner = r.c.member
	handler := r.c.cfg.Handler
	if s, ok := handler.(tickstorm.ShardHandler); ok {
		handler = s.Shard(r.p, r.c.cfg.Partitions)
		r.handle = new(sync.Mutex)
	}
	r.lane = sink.NewLane(r.c.cfg.Market, handler, r.c.cfg.Symbols, r.mark.Marks)
	switch err := r.marks.Save(ctx, name, &r.mark); {
	case errors.Is(err, sink.ErrFenced): // another was faster
		return false, false, nil
	case err != nil:
		return false, true, err
	}
	return true, false, nil
}

// disclaim gives back what was claimed, if it was: whoever is to have it next takes it from nobody who is
// there.
func (r *reader) disclaim(ctx context.Context) {
	name := r.c.cfg.Lane(r.c.cfg.Market, r.p)
	for ctx.Err() == nil {
		w, err := r.marks.Load(ctx, name)
		if err == nil && w.Owner != r.c.member {
			return
		}
		if err == nil {
			w.Owner = ""
			err = r.marks.Save(ctx, name, &w)
		}
		if err == nil {
			return
		}
		r.pause(ctx)
	}
}

// saveEach saves the watermark again and again.
func (r *reader) saveEach(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		r.handle.Lock()
		if r.dirty && !r.lost {
			if err := r.save(ctx); err != nil && ctx.Err() == nil {
				r.c.cfg.Logger.Warn("a watermark was not saved", "stream", r.stream, "error", err)
			}
		}
		r.handle.Unlock()
	}
}

// save saves the watermark; its lock is held.
func (r *reader) save(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.c.cfg.patience())
	defer cancel()
	r.mark.Marks = r.lane.Marks().Clone()
	err := r.marks.Save(ctx, r.c.cfg.Lane(r.c.cfg.Market, r.p), &r.mark)
	r.failed = err != nil
	switch {
	case err == nil:
		r.dirty = false
		r.c.counts.Add(func(s *ConsumerStats) { s.Saved++ })
	case errors.Is(err, sink.ErrFenced):
		r.lost = true
		r.release() // it may be waiting for a message
		r.c.counts.Add(func(s *ConsumerStats) { s.Fenced++ })
	}
	return err
}

// still makes sure that the partition is this consumer's: while the consumer was silent another may have
// taken it.
func (r *reader) still(ctx context.Context) error {
	term := r.c.term.Load()
	r.handle.Lock()
	defer r.handle.Unlock()
	if r.term == term && !r.failed {
		return nil
	}
	err := r.save(ctx)
	if err == nil {
		r.term = term
	}
	return err
}

// pull is how many messages are under way to a reader.
const pull = 4096

// messages reads the stream from behind the watermark, until something fails or the reader is to end.
func (r *reader) messages(ctx context.Context) error {
	s, err := r.c.js.Stream(ctx, r.stream)
	if err != nil {
		return err
	}
	offset, err := r.resume(ctx, s)
	if err != nil {
		return err
	}
	ordered, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: offset + 1,
		MaxResetAttempts: 1, // to begin anew is the reader's
	})
	if err != nil {
		return err
	}
	it, err := ordered.Messages(jetstream.PullMaxMessages(pull))
	if err != nil {
		return err
	}
	defer it.Stop() // which must not be called while Next runs: what that makes anew would not be stopped
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		r.watch(watching, s)
		stop()
	}()
	next := jetstream.NextContext(watching)
	for !r.quick() {
		m, err := it.Next(next)
		if err != nil {
			return err
		}
		if err := r.message(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// quick is done for each message.
func (r *reader) quick() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

var (
	errLost    = errors.New("nats: another consumer has the partition")
	errSilent  = errors.New("nats: the group has not heard of this consumer")
	errUnsaved = errors.New("nats: the watermark cannot be saved")
)

func (r *reader) message(ctx context.Context, m jetstream.Msg) error {
	seq, err := sequenceOf(m.Reply())
	if err != nil {
		return err
	}
	if r.ticks++; r.ticks%64 == 1 {
		r.report(m)
	}
	r.handle.Lock()
	defer r.handle.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !r.c.leased() || r.c.term.Load() != r.term:
		return errSilent
	case r.lost:
		return errLost
	case r.failed: // what is handled now, another would handle again
		return errUnsaved
	case seq > r.mark.Offset+1 && r.mark.Offset > 0:
		r.expired(seq - r.mark.Offset - 1)
	}
	if err := tell(r.lane, m.Subject(), stampOf(m.Headers()), m.Data()); err != nil {
		r.foreign++
	}
	if err := r.c.ctx.Err(); err != nil { // a handler that has let go since then has not handled it: nobody saves it
		r.lost = true
		return err
	}
	r.mark.Offset, r.dirty = max(seq, r.mark.Offset), true
	return nil
}

// expired tells that messages were removed; the lock is held.
func (r *reader) expired(n uint64) {
	r.lane.Missing(&ExpiredError{r.stream, n})
	r.c.counts.Add(func(s *ConsumerStats) { s.Expired += n })
}

// report adds to the consumer's counters, with the lag of a message.
func (r *reader) report(m jetstream.Msg) {
	stamp, err := sink.ParseStamp(stampOf(m.Headers()), nil)
	if err != nil {
		stamp.Received = 0
	}
	r.tally(stamp.Received)
}

func (r *reader) tally(received int64) {
	r.handle.Lock()
	now, foreign := r.lane.Stats(), r.foreign
	r.foreign = 0
	r.handle.Unlock()
	before := r.told
	r.told = now
	r.c.counts.Add(func(s *ConsumerStats) {
		s.Rows += now.Rows - before.Rows
		s.Repeated += now.Repeated - before.Repeated
		s.Foreign += foreign
		if received != 0 {
			s.Lag.Observe(time.Duration(max(0, time.Now().UnixNano()-received)))
		}
	})
}
