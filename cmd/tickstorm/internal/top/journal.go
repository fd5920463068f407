package top

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tickstorm/tickstorm"
)

// Grave says how bad something is.
type Grave uint8

// What is well, what is to be watched, and what is lost.
const (
	Well Grave = iota
	Worse
	Bad
)

// An Incident is something that has happened to a feed, for people.
type Incident struct {
	At    time.Time `json:"at"`
	Kind  string    `json:"kind"` // gap, drop, reconnect, refused, error or state
	Text  string    `json:"text"`
	Grave Grave     `json:"-"`

	dropped uint64 // of a drop, how many events
}

// journalLength is how many incidents are kept.
const journalLength = 100

// journal has the last incidents, and what is counted of them that Stats does not.
type journal struct {
	incidents []Incident // the latest last
	gaps      uint64
	missing   time.Duration // of all gaps together
	state     stateOf
	refused   []string
	failed    time.Time // when the last error was noted
}

// stateOf is the state that a client was last told to be in.
type stateOf struct {
	state   tickstorm.State
	since   time.Time
	why     string // of a connection that has ended
	wait    time.Duration
	attempt int
}

// note keeps an incident; t.mu is held.
func (t *Tally) note(at time.Time, kind string, g Grave, format string, args ...any) {
	t.log.incidents = kept(t.log.incidents, Incident{At: at, Kind: kind, Text: fmt.Sprintf(format, args...), Grave: g})
}

// kept appends an incident to those that are kept.
func kept(incidents []Incident, i Incident) []Incident {
	if len(incidents) == journalLength {
		incidents = slices.Delete(incidents, 0, 1)
	}
	return append(incidents, i)
}

// Note keeps an incident that the tally cannot know of.
func (t *Tally) Note(at time.Time, kind string, g Grave, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.note(at, kind, g, "%s", text)
}

var (
	_ tickstorm.StateHandler = (*Tally)(nil)
	_ tickstorm.GapHandler   = (*Tally)(nil)
	_ tickstorm.DropHandler  = (*Tally)(nil)
)

// OnState takes note of what the client is about.
func (t *Tally) OnState(s *tickstorm.StateChange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	why := t.log.state.why
	switch s.State {
	case tickstorm.StateStreaming:
		why = ""
		if s.Attempt > 1 || s.Previous == tickstorm.StateBackoff {
			t.note(s.At, "state", Well, "streaming again")
		}
		t.refuse(s)
	case tickstorm.StateBackoff, tickstorm.StateClosed:
		if s.Err != nil {
			why = s.Err.Error()
		}
		if s.State == tickstorm.StateBackoff {
			t.note(s.At, "reconnect", Worse, "attempt %d, in %s: %s", s.Attempt+1, Short(s.Wait), why)
		}
	}
	t.log.state = stateOf{s.State, s.At, why, s.Wait, s.Attempt}
}

// refuse takes note of what the server does not give.
func (t *Tally) refuse(s *tickstorm.StateChange) {
	t.log.refused = t.log.refused[:0]
	for _, topic := range s.Refused {
		t.log.refused = append(t.log.refused, topic.String())
	}
	if n := len(s.Refused) + s.Unnamed; n > 0 {
		named := t.log.refused[:min(len(t.log.refused), 5)]
		t.note(s.At, "refused", Bad, "%d of the topics: %s", n, strings.Join(named, ", "))
	}
}

// OnGap takes note of what is missing.
func (t *Tally) OnGap(g *tickstorm.Gap) {
	t.mu.Lock()
	defer t.mu.Unlock()
	length := g.To.Received.Sub(g.From.Received)
	t.log.gaps++
	t.log.missing += length
	cause := g.Cause
	if cause == nil {
		cause = errors.New("not known")
	}
	t.note(g.To.Received, "gap", Bad, "%s without events: %v", Short(length), cause)
}

// OnDrop takes note of what the queue had no room for: what is dropped within a second is one incident.
func (t *Tally) OnDrop(d *tickstorm.Drop) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, total := time.Unix(0, d.Last), d.Count
	if n := len(t.log.incidents); n > 0 {
		if last := &t.log.incidents[n-1]; last.dropped > 0 && at.Sub(last.At) < time.Second {
			total += last.dropped
			t.log.incidents = t.log.incidents[:n-1]
			at = last.At
		}
	}
	t.note(at, "drop", Bad, "%d events that the queue had no room for", total)
	t.log.incidents[len(t.log.incidents)-1].dropped = total
}

// OnError takes note of what was no event, once a second: how many there were, and what they looked like,
// is in the statistics.
func (t *Tally) OnError(e *tickstorm.EventError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := time.Now(); now.Sub(t.log.failed) >= time.Second {
		t.log.failed = now
		t.note(now, "error", Bad, "no event: %v", e.Err)
	}
}

// journal returns a copy of what has happened.
func (t *Tally) journal() journal {
	t.mu.Lock()
	defer t.mu.Unlock()
	j := t.log
	j.incidents = append([]Incident{}, j.incidents...)
	j.refused = slices.Clone(j.refused)
	return j
}
