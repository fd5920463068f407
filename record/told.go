package record

import (
	"errors"
	"strings"
	"time"

	"github.com/tickstorm/tickstorm"
)

// This file has what states and gaps are as controls, and what controls are as states and gaps: one
// for who writes, the other for who tells.

// States makes controls of the states of connections, for a [tickstorm.Tap] that is no [Recorder].
// The zero States have none. They serve one goroutine at a time.
type States struct {
	connected bool // the key was accepted, and the connection has not ended
}

// Controls returns the controls of a change of state: one, none of what lies between two others, or
// two where a connection is subscribed at once.
func (s *States) Controls(change *tickstorm.StateChange) (controls []*Control) {
	at := change.At.UnixNano()
	c := &Control{Received: at}
	switch change.State {
	case tickstorm.StateSubscribing, tickstorm.StateStreaming:
		if !s.connected {
			s.connected = true
			controls = append(controls, &Control{Kind: Up, Received: at})
		}
		if change.State == tickstorm.StateSubscribing {
			return controls
		}
		c.Kind, c.Text = Subscribed, change.String() // the topics are in the messages before
	case tickstorm.StateBackoff, tickstorm.StateClosed:
		c.Kind, c.Text = Status, change.State.String()
		if s.connected {
			s.connected = false
			c.Kind = Down
		}
		if change.Err != nil {
			c.Cause = change.Err.Error()
		}
	default:
		return nil
	}
	return append(controls, c)
}

// GapControl returns the control of a gap.
func GapControl(g *tickstorm.Gap) *Control {
	c := &Control{Kind: Gap, Received: g.To.Received.UnixNano(), From: g.From, To: g.To}
	if g.To.Received.IsZero() {
		c.Received = time.Now().UnixNano()
	}
	if g.Cause != nil {
		c.Cause = g.Cause.Error()
	}
	c.Topics = texts(g.Topics)
	return c
}

func texts(topics []tickstorm.Topic) []string {
	if len(topics) == 0 {
		return nil
	}
	list := make([]string, len(topics))
	for i, t := range topics {
		list[i] = t.String()
	}
	return list
}

// Gap returns what a control says is missing of a market, as a client would tell it; nil if it says
// nothing of that. Its Cause is a [*MissingError] where messages were dropped or lost.
func (c *Control) Gap(m tickstorm.Market) *tickstorm.Gap {
	g := &tickstorm.Gap{Market: m, From: c.From, To: c.To}
	switch c.Kind {
	case Gap:
		g.Cause = errors.New(c.Cause)
		for _, text := range c.Topics {
			channel, symbol, _ := strings.Cut(text, ".")
			g.Topics = append(g.Topics, tickstorm.Topic{Channel: channel, Symbol: symbol})
		}
	case Dropped, Lost:
		g.Cause = &MissingError{c.Kind, c.Count, c.Cause}
	default:
		return nil
	}
	return g
}

// State returns the change of state that a control tells, without what was before; ok is false if it
// tells none.
func (c *Control) State() (change tickstorm.StateChange, ok bool) {
	change.At = timeAt(c.Received)
	switch c.Kind {
	case Up:
		change.State = tickstorm.StateSubscribing
	case Subscribed:
		change.State, change.Acked = tickstorm.StateStreaming, len(c.Topics)
	case Down:
		change.State, change.Err = tickstorm.StateBackoff, errors.New(c.Cause)
	default:
		return change, false
	}
	return change, true
}
