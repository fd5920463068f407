package kafka

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
)

// notices are a handler that is one for all partitions, to which each notice comes once: each
// partition has it.
type notices struct {
	tickstorm.NopHandler
	states tickstorm.StateHandler
	gaps   tickstorm.GapHandler
	told   map[sink.ID]bool
	order  []sink.ID // of those, the oldest first
	skip   bool      // the next was told
}

// maxTold is how many notices are known to have been told.
const maxTold = 1024

func newNotices(h tickstorm.Handler) *notices {
	n := &notices{told: map[sink.ID]bool{}}
	n.states, _ = h.(tickstorm.StateHandler)
	n.gaps, _ = h.(tickstorm.GapHandler)
	return n
}

// next says which notice comes next.
func (n *notices) next(r *kgo.Record) {
	stamp, err := sink.ParseStamp(stampOf(r), nil)
	if n.skip = err == nil && n.told[stamp.ID]; n.skip || err != nil {
		return
	}
	if len(n.order) == maxTold {
		delete(n.told, n.order[0])
		n.order = n.order[1:]
	}
	n.told[stamp.ID] = true
	n.order = append(n.order, stamp.ID)
}

// OnState implements [tickstorm.StateHandler].
func (n *notices) OnState(s *tickstorm.StateChange) {
	if n.states != nil && !n.skip {
		n.states.OnState(s)
	}
}

// OnGap implements [tickstorm.GapHandler].
func (n *notices) OnGap(g *tickstorm.Gap) {
	if n.gaps != nil && !n.skip {
		n.gaps.OnGap(g)
	}
}
