package nats

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tickstorm/tickstorm/sink"
)

// This file decides where a reader goes on, and whether its watermark's number in the stream still
// means something: a stream that was removed is made anew by the sink and counts from 1, and a server
// that lost the last it had acknowledged gives their numbers to others.

// ErrMadeAnew: a stream is not the one, or has not what it had, when it was read last. What it had and
// was not read is missing.
var ErrMadeAnew = errors.New("nats: the stream was made anew, or has lost its last messages")

// logOf names what the numbers of a stream count in.
func logOf(s jetstream.Stream) string {
	return s.CachedInfo().Created.UTC().Format(time.RFC3339Nano)
}

// resume returns the number behind which reading goes on.
func (r *reader) resume(ctx context.Context, s jetstream.Stream) (offset uint64, err error) {
	r.handle.Lock()
	log, offset := r.mark.Log, r.mark.Offset
	r.handle.Unlock()
	last := s.CachedInfo().State.LastSeq
	anew := log != "" && log != logOf(s) || offset > last
	if !anew && offset > 0 {
		if anew, err = r.strange(ctx, s, offset); err != nil {
			return 0, err
		}
	}
	r.handle.Lock()
	defer r.handle.Unlock()
	if anew {
		r.lane.Missing(fmt.Errorf("%w: %s", ErrMadeAnew, r.stream))
		r.mark.Offset = 0 // what was handled is known by its id
	}
	if r.mark.Log != logOf(s) {
		r.mark.Log, r.dirty = logOf(s), true
	}
	return r.mark.Offset, nil
}

// strange reports whether a message that was handled, by its number, is another now.
func (r *reader) strange(ctx context.Context, s jetstream.Stream, offset uint64) (bool, error) {
	m, err := s.GetMsg(ctx, offset)
	if errors.Is(err, jetstream.ErrMsgNotFound) { // removed meanwhile
		return false, nil
	}
	if err != nil {
		return false, err
	}
	stamp, err := sink.ParseStamp(stampOf(m.Header), nil)
	if err != nil { // nobody's
		return false, nil
	}
	r.handle.Lock()
	defer r.handle.Unlock()
	return !r.lane.Marks().Cover(&stamp.ID), nil
}

// watch returns when reading has to begin anew: the reader is to end, the stream is another, or the
// connection was lost, over which it may have become another.
func (r *reader) watch(ctx context.Context, s jetstream.Stream) {
	again := r.c.js.Conn().StatusChanged(nats.CONNECTED)
	defer r.c.js.Conn().RemoveStatusListener(again)
	tick := time.NewTicker(max(r.c.cfg.Lease/5, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-r.ended:
			return
		case <-ctx.Done():
			return
		case <-again:
			return
		case <-tick.C:
			now, err := r.c.js.Stream(ctx, r.stream)
			if err == nil && logOf(now) != logOf(s) {
				return
			}
		}
	}
}
