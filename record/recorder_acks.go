package record

import (
	"bytes"
	"slices"

	"github.com/tickstorm/tickstorm"
)

// acks knows what the server has said that it sends, by the statuses among the messages.
type acks struct {
	tickstorm.NopHandler
	parser  *tickstorm.Parser
	asked   []string // what the Config says
	topics  map[string]struct{}
	sorted  []string // of topics; nil where that is to be made
	changed bool     // since list was called
	told    bool     // a state has told what the connection has
}

// maxTopics bounds what is remembered of a server that does not end.
const maxTopics = 1 << 17

func newAcks(m tickstorm.Market, asked []string) acks {
	return acks{parser: tickstorm.NewParser(m), asked: asked, topics: make(map[string]struct{})}
}

// mayHaveStatus reports whether a message begins with a status, as all messages with one do.
func mayHaveStatus(msg []byte) bool {
	const near = 64
	return bytes.Contains(msg[:min(len(msg), near)], []byte(`"status"`))
}

// see looks at a message.
func (a *acks) see(msg []byte) {
	if mayHaveStatus(msg) {
		_ = a.parser.Parse(msg, a) // what is no message of the vendor's names no topics
	}
}

// OnStatus notes the topics of an acknowledgement.
func (a *acks) OnStatus(s *tickstorm.Status) {
	code := s.Code()
	if code != tickstorm.StatusSubscribed && code != tickstorm.StatusUnsubscribed {
		return
	}
	for t := range s.Topics() {
		name := t.String()
		_, has := a.topics[name]
		switch {
		case code == tickstorm.StatusSubscribed && !has && len(a.topics) < maxTopics:
			a.topics[name] = struct{}{}
		case code == tickstorm.StatusUnsubscribed && has:
			delete(a.topics, name)
		default:
			continue
		}
		a.sorted, a.changed = nil, true
	}
}

// clear forgets them, with the connection.
func (a *acks) clear() {
	clear(a.topics)
	a.sorted, a.changed, a.told = nil, false, false
}

// list returns them, sorted, or what was to be asked for where none was named.
func (a *acks) list() []string {
	a.changed = false
	if len(a.topics) == 0 {
		return a.asked
	}
	if a.sorted == nil {
		for name := range a.topics {
			a.sorted = append(a.sorted, name)
		}
		slices.Sort(a.sorted)
	}
	return a.sorted
}
