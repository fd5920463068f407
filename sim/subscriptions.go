package sim

import (
	"encoding/json"
	"iter"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
)

// subscriptions are the topics of a connection, and tell which elements of recorded messages are
// of them.
type subscriptions struct {
	market   tickstorm.Market
	split    *tickstorm.Splitter
	channels map[string]*channelTopics
	spans    [][2]int
	out      []byte
	statuses bool // the last message had statuses, and nothing else
}

// channelTopics are the topics of a channel.
type channelTopics struct {
	all  bool
	some map[string]bool // by symbol, in canonical spelling
	// known are symbols as they stand in events, and whether they are among them.
	known map[string]bool
}

// maxKnown bounds what is remembered of a channel's symbols: what is beyond is looked up anew.
const maxKnown = 1 << 16

func newSubscriptions(m tickstorm.Market) *subscriptions {
	return &subscriptions{market: m, split: tickstorm.NewSplitter(m), channels: map[string]*channelTopics{}}
}

// set adds or removes a topic in canonical spelling.
func (s *subscriptions) set(t tickstorm.Topic, on bool) {
	c := s.channels[t.Channel]
	if c == nil {
		c = &channelTopics{some: map[string]bool{}}
		s.channels[t.Channel] = c
	}
	c.known = map[string]bool{}
	switch {
	case t.Symbol == tickstorm.All:
		c.all = on
	case on:
		c.some[t.Symbol] = true
	default:
		delete(c.some, t.Symbol)
	}
}

// any reports whether there are any.
func (s *subscriptions) any() bool {
	for _, c := range s.channels {
		if c.all || len(c.some) > 0 {
			return true
		}
	}
	return false
}

// takes reports whether an element of a message is to be sent: one of the topics, of none that
// there are, or a status that tells of the recording.
func (s *subscriptions) takes(msg []byte, e *tickstorm.Element) bool {
	switch {
	case e.Err != nil || e.Kind == tickstorm.KindUnknown:
		return true
	case e.Kind == tickstorm.KindStatus:
		return tells(msg[e.Start:e.End])
	}
	c := s.channels[e.Channel]
	if c == nil {
		return false
	}
	if c.all || len(c.some) == 0 {
		return c.all
	}
	takes, known := c.known[string(e.Symbol)]
	if !known {
		symbol := string(e.Symbol)
		takes = c.some[s.market.Canonical(tickstorm.Topic{Channel: e.Channel, Symbol: symbol}).Symbol]
		if len(c.known) >= maxKnown {
			clear(c.known)
		}
		c.known[symbol] = takes
	}
	return takes
}

// tells reports whether a status is of what feeds the recording, and so holds for whoever reads it.
// All others were of its own dialogue.
func tells(status []byte) bool {
	var e struct{ Status string }
	if json.Unmarshal(status, &e) != nil {
		return false
	}
	switch e.Status {
	case dialogue.UpstreamDisconnected, dialogue.UpstreamConnected, dialogue.Gap, dialogue.Dropped:
		return true
	}
	return false
}

// parts iterates over the messages to send of a recorded one, and how many events they have:
// one, unless that would be too long. They are valid until the next one.
func (s *subscriptions) parts(msg []byte) iter.Seq2[[]byte, int] {
	return func(yield func([]byte, int) bool) {
		s.spans = s.spans[:0]
		all, elements, statuses := true, 0, 0
		for s.split.Reset(msg); s.split.Next(); elements++ {
			e := s.split.Element()
			if e.Kind == tickstorm.KindStatus {
				statuses++
			}
			if s.takes(msg, e) {
				s.spans = append(s.spans, [2]int{e.Start, e.End})
			} else {
				all = false
			}
		}
		s.statuses = elements > 0 && statuses == elements
		if all && (len(msg) <= dialogue.MaxMessage || len(s.spans) < 2) {
			yield(msg, len(s.spans))
			return
		}
		s.out = s.out[:0]
		n := 0
		for _, span := range s.spans {
			element := msg[span[0]:span[1]]
			if n > 0 && len(s.out)+len(element)+len(`,]`) > dialogue.MaxMessage {
				if !yield(append(s.out, ']'), n) {
					return
				}
				s.out, n = s.out[:0], 0
			}
			if n == 0 {
				s.out = append(s.out, '[')
			} else {
				s.out = append(s.out, ',')
			}
			s.out = append(s.out, element...)
			n++
		}
		if n > 0 {
			yield(append(s.out, ']'), n)
		}
	}
}
