package sink

import (
	"encoding/json"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
)

// Lane is the consumer's end: it tells a handler the rows of one lane, each once, as a client would
// that received them: events with the recorded time in Received, and with Replayed set unless they
// come from a [Live] source; gaps and states to its OnGap and OnState, if it has these.
//
// It serves one goroutine at a time, on which it calls the handler.
type Lane struct {
	market  tickstorm.Market
	handler tickstorm.Handler
	states  tickstorm.StateHandler
	gaps    tickstorm.GapHandler
	parser  *tickstorm.Parser
	marks   Marks
	last    Stamp
	state   tickstorm.State
	text    []byte
	stats   LaneStats
}

// LaneStats are what a lane has told.
type LaneStats struct {
	// Rows are those that the handler was told, notices among them, and Repeated those that were
	// left out since it had been told them.
	Rows, Repeated uint64
	// Newest is the Received of the last of them, in nanoseconds since 1970.
	Newest int64
}

// NewLane returns a lane of a market that has seen what the marks cover. symbols interns symbols; nil
// is a table of the lane's own.
func NewLane(m tickstorm.Market, h tickstorm.Handler, symbols *tickstorm.Symbols, seen Marks) *Lane {
	l := &Lane{market: m, handler: h, parser: tickstorm.NewParser(m), marks: seen.Clone()}
	l.parser.SetLimits(tickstorm.Limits{Message: record.MaxMessage})
	if symbols != nil {
		l.parser.SetSymbols(symbols)
	}
	l.states, _ = h.(tickstorm.StateHandler)
	l.gaps, _ = h.(tickstorm.GapHandler)
	return l
}

// Event tells an element of a channel, with the stamp that [Row.AppendStamp] wrote. The error is an
// [ErrID] if that is none. raw is lent to the handler.
func (l *Lane) Event(stamp string, raw []byte) error {
	if ok, err := l.stamp(stamp); !ok {
		return err
	}
	l.array(raw)
	return nil
}

// Broken tells an element without a channel, which is no event: the handler's OnError is told why.
func (l *Lane) Broken(stamp string, raw []byte) error {
	if ok, err := l.stamp(stamp); !ok {
		return err
	}
	if len(raw) > 0 && raw[0] == '{' { // it may be the rest of a message that was cut off
		_ = l.parser.Parse(raw, l.handler)
	} else {
		l.array(raw)
	}
	return nil
}

// array has an element decoded as what it was: one of an array, for which the parser is fast.
func (l *Lane) array(raw []byte) {
	l.text = append(append(append(l.text[:0], '['), raw...), ']')
	_ = l.parser.Parse(l.text, l.handler) // what is wrong with it the handler is told
}

// stamp reads the stamp of an element, and reports whether it is to be told.
func (l *Lane) stamp(text string) (bool, error) {
	s, err := ParseStamp(text, &l.last)
	if err != nil {
		return false, err
	}
	l.last = s
	if !l.takes(&s) {
		return false, nil
	}
	l.parser.SetReceived(s.Received)
	l.parser.SetReplayed(!s.ID.Live())
	return true, nil
}

// Notice tells a notice, from its JSON, with its stamp.
func (l *Lane) Notice(stamp string, raw []byte) error {
	s, err := ParseStamp(stamp, &l.last)
	if err != nil {
		return err
	}
	var n Notice
	if err := json.Unmarshal(raw, &n); err != nil {
		return err
	}
	l.last = s
	if !l.takes(&s) {
		return nil
	}
	if gap := n.Gap(); gap != nil {
		l.gap(gap)
	}
	if change, ok := n.State(); ok {
		change.Previous, l.state = l.state, change.State
		if l.states != nil {
			l.states.OnState(&change)
		}
	}
	return nil
}

// Missing tells a gap behind the last row that the consumer itself has found: the cause is why the
// engine does not have what came then.
func (l *Lane) Missing(cause error) {
	g := &tickstorm.Gap{Market: l.market, Cause: cause}
	if l.stats.Newest != 0 {
		g.From.Received = time.Unix(0, l.stats.Newest)
	}
	l.gap(g)
}

func (l *Lane) gap(g *tickstorm.Gap) {
	if l.gaps != nil {
		l.gaps.OnGap(g)
	}
}

func (l *Lane) takes(s *Stamp) bool {
	if l.marks.Cover(&s.ID) {
		l.stats.Repeated++
		return false
	}
	l.marks.Add(&s.ID)
	l.stats.Rows++
	l.stats.Newest = max(l.stats.Newest, s.Received)
	return true
}

// Marks are what was told. They change with the next row; Clone them to keep them.
func (l *Lane) Marks() *Marks { return &l.marks }

// Stats returns what was told.
func (l *Lane) Stats() LaneStats { return l.stats }
