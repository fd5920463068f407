package nats

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tickstorm/tickstorm/sink"
)

// This file finds out what a stream has, so that nothing is stored twice. It asks the stream's leader:
// what a follower says may be old.

// past is what a stream had when it was asked.
type past struct {
	log         string // which stream that was
	first, last uint64 // messages
	segment     string // of the last
	recalled    map[string]bool
}

// sync finds out what a lane's stream has.
func (e *Engine) sync(ctx context.Context, l *lane) error {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Patience)
	defer cancel()
	s, err := ensureStream(ctx, e.js, l.stream)
	if err != nil {
		return err
	}
	state := s.CachedInfo().State
	if l.found.log != "" && l.found.log != logOf(s) || state.LastSeq < l.seq { // what it had is gone
		l.marks = sink.Marks{}
	}
	l.seq = state.LastSeq
	l.found = past{log: logOf(s), first: state.FirstSeq, last: state.LastSeq, recalled: map[string]bool{}}
	if state.Msgs > 0 {
		id, _, err := e.idAt(ctx, l, l.seq)
		if err != nil {
			return err
		}
		if id.Segment != "" {
			l.marks.Add(&id)
			l.found.segment = id.Segment
		}
	}
	l.synced, e.absent.found = true, true
	return nil
}

// recall finds out how far a stream has a segment that is before that of its last message. Segments
// are in their order in it; where they are not, some message of the segment is found or none, and
// some rows are stored twice.
func (e *Engine) recall(ctx context.Context, l *lane, segment string) error {
	if l.found.recalled[segment] {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Patience)
	defer cancel()
	for low, high := l.found.first, l.found.last; low <= high; {
		middle := low + (high-low)/2
		id, seq, err := e.idAt(ctx, l, middle)
		if err != nil {
			return err
		}
		switch {
		case seq == 0 || seq > high || id.Segment > segment:
			high = middle - 1
		case id.Segment == segment:
			l.marks.Add(&id)
			low = seq + 1
		default:
			low = seq + 1
		}
	}
	l.found.recalled[segment] = true
	return nil
}

// idAt returns the id of a lane's message, by its number, or of the first behind it that is there, and
// which that is; 0 if none is. Where no sink has published it, the id is the zero one.
func (e *Engine) idAt(ctx context.Context, l *lane, number uint64) (id sink.ID, seq uint64, err error) {
	answer, err := e.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+l.stream.Name, fmt.Appendf(nil, `{"seq":%d,"next_by_subj":">"}`, number))
	if err != nil {
		return id, 0, fmt.Errorf("nats: message of %s: %w", l.stream.Name, err)
	}
	var said struct {
		Message struct {
			Sequence uint64 `json:"seq"`
			Header   []byte `json:"hdrs"`
		} `json:"message"`
		Error *jetstream.APIError `json:"error"`
	}
	err = json.Unmarshal(answer.Data, &said)
	switch {
	case err == nil && said.Error != nil && said.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound: // it was removed
		return id, 0, nil
	case err == nil && said.Error != nil:
		err = said.Error
	}
	if err != nil {
		return id, 0, fmt.Errorf("nats: message of %s: %w", l.stream.Name, err)
	}
	if header, err := nats.DecodeHeadersMsg(said.Message.Header); err == nil {
		if stamp, err := sink.ParseStamp(stampOf(header), nil); err == nil {
			id = stamp.ID
		}
	}
	return id, said.Message.Sequence, nil
}
