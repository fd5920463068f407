package record

import (
	"context"
	"fmt"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
)

// Source reads the messages of one market, in the form that package sim serves them in: it is a
// sim.Source and a sim.Seeker.
//
//	replay := &sim.Replay{Speed: 1, Open: func(m tickstorm.Market) (sim.Source, error) {
//		return record.OpenSource(m, "recordings")
//	}}
//
// What happened between messages comes as a message of one status, in its place and at its time;
// programs that do not know these words pass over them, as the vendor's clients do:
//
//	upstream_disconnected   the recorded connection ended, for the message's text
//	upstream_connected      another one stands; also before what comes of one that began before
//	                        what is read, so that nothing comes of one that is said to have ended
//	gap                     "from=1 to=2 cause=text": something is missing
//
// From and to are when the last message before and the first one behind were received, in nanoseconds
// since 1970, as far as that is known, else the times of their events, else 0. Beside gaps of the connection that is said of
// what the recorder dropped, and of what is damaged and stepped over: its cause begins with "dropped",
// "lost" or "damage".
//
// It serves one goroutine at a time.
type Source struct {
	r *Reader
	// OnDamage, if not nil, is told what is stepped over.
	OnDamage func(*Damage)

	up     bool   // it was said that a connection stands
	held   *Entry // comes behind a status
	split  *tickstorm.Splitter
	status []byte
}

// OpenSource opens what of some recordings, as [Open] takes them, is of a market.
func OpenSource(m tickstorm.Market, paths ...string) (*Source, error) {
	r, err := Open(paths...)
	if err != nil {
		return nil, err
	}
	r.Filter(Filter{Markets: []tickstorm.Market{m}})
	return &Source{r: r, split: tickstorm.NewSplitter(m)}, nil
}

// Next returns the next message, or status, and when it was received, in nanoseconds since 1970;
// io.EOF at the end. msg is valid until the next call.
func (s *Source) Next() (msg []byte, received int64, err error) {
	if e := s.held; e != nil {
		s.held = nil
		return e.Raw, e.Received, nil
	}
	for {
		e, err := s.r.Next(context.Background())
		if err != nil {
			return nil, 0, err
		}
		if e.Raw != nil {
			if s.up || onlyStatuses(s.split, e.Raw) { // which come before a connection stands
				return e.Raw, e.Received, nil
			}
			s.held = e
			return s.say(dialogue.Status{Status: dialogue.UpstreamConnected}), e.Received, nil
		}
		if e.Damage != nil && s.OnDamage != nil {
			s.OnDamage(e.Damage)
		}
		if status, ok := told(e); ok {
			return s.say(status), e.Received, nil
		}
	}
}

// onlyStatuses reports whether all of a message is statuses.
func onlyStatuses(split *tickstorm.Splitter, msg []byte) bool {
	for split.Reset(msg); split.Next(); {
		if split.Element().Kind != tickstorm.KindStatus {
			return false
		}
	}
	return split.Err() == nil
}

// told returns the status that tells what happened at an entry; ok is false if there is none.
func told(e *Entry) (s dialogue.Status, ok bool) {
	if c, ok := missing(e); ok {
		return gapNote(&c), true
	}
	if e.Control != nil {
		switch e.Control.Kind {
		case Up:
			return dialogue.Status{Status: dialogue.UpstreamConnected}, true
		case Down:
			return dialogue.Status{Status: dialogue.UpstreamDisconnected, Message: clip(e.Control.Cause)}, true
		}
	}
	return dialogue.Status{}, false
}

// gapNote is the status that tells of what is missing.
func gapNote(c *Control) dialogue.Status {
	return dialogue.GapNote(when(c.From), when(c.To), clip(causeOf(c)))
}

// causeOf says why something is missing, and of what is no gap of the connection's what it is.
func causeOf(c *Control) string {
	switch {
	case c.Kind == Gap:
		return c.Cause
	case c.Count > 0:
		return fmt.Sprintf("%s, %d messages: %s", c.Kind, c.Count, c.Cause)
	}
	return fmt.Sprintf("%s: %s", c.Kind, c.Cause)
}

// clip keeps a status short, whoever wrote the recording.
func clip(text string) string { return text[:min(len(text), 256)] }

// when is the moment by the clock that is known.
func when(m tickstorm.Moment) int64 {
	if m.Received.IsZero() {
		return nanos(m.Event)
	}
	return nanos(m.Received)
}

// say makes a message of one status.
func (s *Source) say(told dialogue.Status) []byte {
	if told.Status != dialogue.Gap {
		s.up = told.Status == dialogue.UpstreamConnected
	}
	s.status = dialogue.AppendMessage(s.status[:0], told)
	return s.status
}

// SeekTo goes on at the first message that was received at a time, in nanoseconds since 1970, or
// later.
func (s *Source) SeekTo(received int64) error {
	s.held, s.up = nil, false // what was read last may not have been told
	s.r.Seek(Received, timeAt(received))
	return nil
}

// Close closes all files.
func (s *Source) Close() error { return s.r.Close() }
