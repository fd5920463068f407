package record

import (
	"context"
	"io"
	"math"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
)

// History reads what was received of a market from a time up to another, as relay.Config.Past wants
// it: messages as they came, and in their places what is missing among them, as messages of one status
//
//	gap   "from=1 to=2 cause=text"
//
// as those of a [Source]. Besides gaps of a connection, and what was dropped or damaged, that is said of
// times at which nothing was recorded: before the recording, between the end of one recorder
// and the beginning of the next, and behind it all.
//
// It serves one goroutine at a time.
type History struct {
	// Complete is that all was written that was received until the end, as by a recorder that still
	// runs. Otherwise the time from the last message to the end is told as missing.
	Complete bool
	// OnDamage, if not nil, is told what is stepped over.
	OnDamage func(*Damage)

	ctx    context.Context // of who reads
	r      *Reader
	split  *tickstorm.Splitter
	last   int64  // when what came last was received, at first the beginning
	end    int64  // of the time
	broken bool   // what comes next does not follow from that
	cause  string // of it
	held   *Entry // comes behind a status
	over   bool
	status []byte
}

// OpenHistory opens what of some recordings, as [Open] takes them, was received of a market from
// a time on and before another. Next ends with ctx.
func OpenHistory(ctx context.Context, m tickstorm.Market, from, to time.Time, paths ...string) (*History, error) {
	r, err := Open(paths...)
	if err != nil {
		return nil, err
	}
	r.Filter(Filter{Markets: []tickstorm.Market{m}})
	h := &History{ctx: ctx, r: r, split: tickstorm.NewSplitter(m), last: from.UnixNano(), end: to.UnixNano()}
	begins, err := r.begins(ctx)
	if err != nil {
		_ = r.Close() // the error that matters is this one
		return nil, err
	}
	if begins > h.last {
		h.pause(notRecorded)
	}
	r.Seek(Received, from)
	r.Until(to)
	return h, nil
}

// begins reads when the first entry was received; the latest of all times if there is none.
func (r *Reader) begins(ctx context.Context) (int64, error) {
	for {
		e, err := r.Next(ctx)
		switch {
		case err == io.EOF:
			return math.MaxInt64, nil
		case err != nil:
			return 0, err
		case e.Received != 0:
			return e.Received, nil
		}
	}
}

// notRecorded is why something is missing that no recording says anything of.
const notRecorded = "not recorded"

// Next returns the next message and when it was received, in nanoseconds since 1970; io.EOF at the
// end. msg is valid until the next call.
func (h *History) Next() (msg []byte, received int64, err error) {
	if e := h.held; e != nil {
		h.held = nil
		h.last = e.Received
		return e.Raw, e.Received, nil
	}
	for !h.over {
		e, err := h.r.Next(h.ctx)
		if err == io.EOF {
			return h.finish()
		}
		if err != nil {
			return nil, 0, err
		}
		if e.Raw != nil {
			if onlyStatuses(h.split, e.Raw) {
				return e.Raw, e.Received, nil
			}
			if h.broken {
				h.held = e
				return h.missing(e.Received), e.Received, nil
			}
			h.last = e.Received
			return e.Raw, e.Received, nil
		}
		if e.Damage != nil && h.OnDamage != nil {
			h.OnDamage(e.Damage)
		}
		if told := h.look(e); told != nil {
			return told, e.Received, nil
		}
	}
	return nil, 0, io.EOF
}

// look takes what is no message, and returns what is told of it.
func (h *History) look(e *Entry) (told []byte) {
	switch {
	case e.Damage != nil && e.Damage.Reason == Unfinished: // its end, perhaps because it is being written
		h.pause(notRecorded)
		return nil
	case e.Control == nil:
	case e.Control.Kind == Up:
		h.pause(notRecorded)
		return nil
	case e.Control.Kind == Down:
		h.broken, h.cause = true, e.Control.Cause
		return nil
	case e.Control.Kind == Gap:
		h.broken, h.cause = false, ""
	}
	if c, ok := missing(e); ok {
		h.status = dialogue.AppendMessage(h.status[:0], gapNote(&c))
		return h.status
	}
	return nil
}

// pause notes that what comes does not follow from what came. What was told why that is stands.
func (h *History) pause(cause string) {
	if !h.broken {
		h.broken, h.cause = true, cause
	}
}

// missing tells that nothing is known from the last message to a time.
func (h *History) missing(to int64) []byte {
	cause := h.cause
	if cause == "" {
		cause = notRecorded
	}
	h.broken, h.cause = false, ""
	h.status = dialogue.AppendMessage(h.status[:0], dialogue.GapNote(h.last, to, clip(cause)))
	return h.status
}

// finish ends it.
func (h *History) finish() (msg []byte, received int64, err error) {
	h.over = true
	if h.Complete || h.last >= h.end {
		return nil, 0, io.EOF
	}
	h.pause(notRecorded)
	return h.missing(h.end), h.end - 1, nil
}

// Close closes all files.
func (h *History) Close() error { return h.r.Close() }
