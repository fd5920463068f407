package main

import (
	"bytes"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/format"
	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/where"
	"github.com/tickstorm/tickstorm/internal/past"
)

// A printer writes events to an output, as many as are wanted. There are two handlers with one:
// splitting passes elements on as they came, and decoding has them decoded.
type printer struct {
	out    *output
	filter where.Filter
	past   bool   // what a relay sends of the past is wanted
	most   uint64 // 0 is all
	report *report
	log    *slog.Logger

	// Beneath the lock of out.
	lines uint64    // written
	begun time.Time // the first of them
	done  bool      // there is all that is wanted

	enough chan struct{} // closed when it is done
	until  atomic.Int64  // what was received behind it is not wanted; 0 if all is
	broken atomic.Uint64
	last   atomic.Int64 // when the last event was received, in nanoseconds since 1970
}

// end has nothing written that was received after a moment.
func (p *printer) end(at time.Time) { p.until.Store(at.UnixNano()) }

// late reports whether something was received too late to be wanted.
func (p *printer) late(received int64) bool {
	until := p.until.Load()
	return until != 0 && received > until
}

// over reports whether nothing is wanted any more, since this was received; out is locked.
func (p *printer) over(received int64) bool {
	if p.late(received) {
		p.finish()
	}
	return p.done
}

// finish has nothing written any more; out is locked.
func (p *printer) finish() {
	if !p.done {
		p.done = true
		close(p.enough)
	}
}

// wrote counts a line; out is locked.
func (p *printer) wrote() {
	p.lines++
	if p.lines == 1 {
		p.begun = time.Now()
	}
	if p.lines == p.most {
		p.finish()
	}
}

// spoil counts what was no event, and tells the first.
func (p *printer) spoil(err error, raw []byte) {
	if p.broken.Add(1) == 1 {
		p.log.Warn("not an event", "err", err, "raw", string(raw[:min(len(raw), 200)]))
	}
}

// splitting writes messages, or their elements, as they came. Nothing is decoded, and nothing
// allocated for an event.
type splitting struct {
	tickstorm.NopHandler
	*printer
	split *tickstorm.Splitter
	whole bool // messages
	timed bool // with the time of receipt
}

var _ tickstorm.RawHandler = (*splitting)(nil)

// OnRaw implements [tickstorm.RawHandler].
func (s *splitting) OnRaw(msg []byte, received int64) bool {
	recalled := past.Message(msg)
	if recalled && !s.past && !s.whole {
		return false
	}
	s.out.lock()
	defer s.out.unlock()
	if s.over(received) {
		return false
	}
	if s.whole {
		s.out.buf = format.AppendMessage(s.out.buf, msg, received, s.timed)
		s.wrote()
		if s.report == nil {
			if !bytes.HasPrefix(msg, statusOpening) {
				s.last.Store(received)
			}
			return false
		}
	}
	compact := bytes.IndexByte(msg, '\n') < 0 && bytes.IndexByte(msg, '\r') < 0
	events := false
	for s.split.Reset(msg); s.split.Next(); {
		e := s.split.Element()
		switch {
		case e.Err != nil:
			s.spoil(e.Err, msg[e.Start:e.End])
			continue
		case e.Kind == tickstorm.KindStatus:
			continue
		}
		events = true
		if !s.filter.Symbol(e.Symbol) {
			continue
		}
		if s.report != nil {
			s.report.add(e.Symbol, received)
		}
		if s.whole {
			continue
		}
		if raw := msg[e.Start:e.End]; compact && !s.timed {
			s.out.buf = append(append(s.out.buf, raw...), '\n')
		} else {
			s.out.buf = format.AppendElement(s.out.buf, raw, received, s.timed)
		}
		if s.wrote(); s.done {
			break
		}
	}
	if err := s.split.Err(); err != nil {
		s.spoil(err, msg)
	}
	if events && !recalled {
		s.last.Store(received)
	}
	return false
}

// statusOpening is how messages begin that are of the dialogue.
var statusOpening = []byte(`[{"ev":"status"`)

// decoding writes events in a format.
type decoding struct {
	*printer
	lines format.Lines
	pass  func(tickstorm.Event) bool // nil passes all
	seen  past.Events
}

func (d *decoding) event(e tickstorm.Event) {
	if d.pass != nil && !d.pass(e) {
		return
	}
	if !d.seen.Has(e.Head().Received) {
		d.last.Store(e.Head().Received)
	} else if !d.past {
		return
	}
	if !d.late(e.Head().Received) && !d.filter.Event(e) {
		return
	}
	d.out.lock()
	defer d.out.unlock()
	if d.over(e.Head().Received) {
		return
	}
	if d.report != nil {
		d.report.add([]byte(e.Head().Symbol), e.Head().Received)
	}
	d.out.buf = d.lines.Append(d.out.buf, e)
	d.wrote()
}

// OnTrade and the other methods implement [tickstorm.Handler].
func (d *decoding) OnTrade(e *tickstorm.Trade)         { d.event(e) }
func (d *decoding) OnQuote(e *tickstorm.Quote)         { d.event(e) }
func (d *decoding) OnAggregate(e *tickstorm.Aggregate) { d.event(e) }
func (d *decoding) OnBook(e *tickstorm.Book)           { d.event(e) }
func (d *decoding) OnLULD(e *tickstorm.LULD)           { d.event(e) }
func (d *decoding) OnImbalance(e *tickstorm.Imbalance) { d.event(e) }
func (d *decoding) OnValue(e *tickstorm.Value)         { d.event(e) }
func (d *decoding) OnUnknown(e *tickstorm.Unknown)     { d.event(e) }

// OnStatus hears where the past begins and ends. Statuses are the dialogue's, and what else matters of them is
// logged.
func (d *decoding) OnStatus(s *tickstorm.Status) { d.seen.Status(s.Status, s.Received) }

// OnError counts what was no event.
func (d *decoding) OnError(e *tickstorm.EventError) { d.spoil(e.Err, e.Raw) }

// lastEvent returns when the last event came, the zero time if none has.
func (p *printer) lastEvent() time.Time {
	if n := p.last.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}
