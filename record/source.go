package record

import (
	"context"
	"fmt"

	"github.com/tickstorm/tickstorm"
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
			return s.say(connected, ""), e.Received, nil
		}
		if e.Damage != nil && s.OnDamage != nil {
			s.OnDamage(e.Damage)
		}
		if word, text := told(e); word != "" {
			return s.say(word, text), e.Received, nil
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

// The words of internal/dialogue, which this module does not reach.
const (
	connected    = "upstream_connected"
	disconnected = "upstream_disconnected"
	gap          = "gap"
)

// told returns the status that tells what happened at an entry; word is "" if there is none.
func told(e *Entry) (word, text string) {
	if c, ok := missing(e); ok {
		return gap, gapText(&c)
	}
	if e.Control != nil {
		switch e.Control.Kind {
		case Up:
			return connected, ""
		case Down:
			return disconnected, clip(e.Control.Cause)
		}
	}
	return "", ""
}

// gapText is the text of the status that tells of what is missing.
func gapText(c *Control) string {
	return fmt.Sprintf("from=%d to=%d cause=%s", when(c.From), when(c.To), clip(causeOf(c)))
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
func (s *Source) say(word, text string) []byte {
	if word != gap {
		s.up = word == connected
	}
	s.status = appendTold(s.status[:0], word, text)
	return s.status
}

// appendTold appends a message of one status.
func appendTold(dst []byte, word, text string) []byte {
	e := tickstorm.Status{
		Header: tickstorm.Header{Has: tickstorm.StatusStatus | tickstorm.StatusMessage},
		Status: []byte(word), Message: []byte(text),
	}
	return append(e.AppendJSON(append(dst, '[')), ']')
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
