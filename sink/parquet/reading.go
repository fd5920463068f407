package parquet

import (
	"strings"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
)

// reading is the half of a conversion that makes rows of entries, as a handler of what it has parsed.
type reading struct {
	c       *conversion
	parser  *tickstorm.Parser
	streams []*stream // by tickstorm.Stream; nil where the market has none
	unknowns,
	missing *stream

	msg   *record.Entry // the message that is parsed
	next  int           // of its elements
	keys  uint64        // that were unknown so far
	extra bool          // the element that came last has such
	err   error         // of writing: nothing is made any more
	unfit []byte
}

// stream is a table of a market as rows of it come.
type stream struct {
	ev    string
	table *table
	day   day
	part  *part // of that day, nil if it is to be found
}

func (r *reading) prepare(c *conversion) {
	m := c.seg.market
	r.c, r.parser = c, tickstorm.NewParser(m)
	r.parser.SetLimits(tickstorm.Limits{Message: record.MaxMessage})
	r.parser.SetSymbols(c.s.symbols)
	r.parser.SetReplayed(true)
	for _, s := range append([]tickstorm.Stream{0}, m.Streams()...) {
		for int(s) >= len(r.streams) {
			r.streams = append(r.streams, nil)
		}
		ev, _ := m.Channel(s) // which the market has
		if s == 0 {
			ev = statusTable
		}
		r.streams[s] = &stream{ev: ev}
	}
	r.unknowns = &stream{ev: unknownTable, table: tableOf(tickstorm.KindUnknown)}
	r.missing = &stream{ev: gapsTable, table: gapTable()}
}

// entry makes rows of an entry.
func (c *conversion) entry(e *record.Entry) error {
	if e.Received > c.newest {
		c.newest = e.Received
	}
	if e.Raw == nil {
		if first := *e; e.Damage != nil && e.Received == 0 { // what is before it stands in another segment
			first.Received = c.newest
			e = &first
		}
		c.event(e)
		return c.err
	}
	c.msg, c.next = e, 0
	err := c.parser.Parse(e.Raw, &c.reading)
	if err != nil && err != tickstorm.ErrTruncated { // which was an element's
		c.broken(err, e.Raw)
	}
	return c.err
}

// row begins the row of an element; nil if there can be none.
func (r *reading) row(s *stream, ev string, at int64, number int) *part {
	if r.err != nil {
		return nil
	}
	p, err := r.c.partOf(s, at)
	if err != nil {
		r.err = err
		return nil
	}
	rows := p.rows
	switch {
	case s != r.unknowns:
		rows.same(colChannel, ev)
	case ev != "":
		addText(rows, colChannel, ev)
	default:
		rows.addNull(colChannel)
	}
	rows.addInt(colReceived, r.msg.Received)
	rows.same(colSegment, r.c.seg.name)
	rows.addInt(colMessage, int64(r.msg.Sequence))
	rows.addInt(colElement, int64(number))
	rows.addInt(colGap, int64(r.c.gap))
	return p
}

// end ends the row of an element.
func (r *reading) end(p *part) {
	if err := r.c.ended(p, r.msg.Sequence); err != nil {
		r.err = err
	}
}

// number is that of the element which comes next, and notes whether it has unknown keys.
func (r *reading) number() int {
	keys := r.parser.Counters().UnknownKeys
	r.extra, r.keys = keys != r.keys, keys
	r.next++
	return r.next - 1
}

// fields makes the row of an event of a known kind.
func (r *reading) fields(e tickstorm.Event) {
	h, number := e.Head(), r.number()
	s := r.streams[h.Stream]
	if s.table == nil {
		s.table = tableOf(e.Kind())
	}
	t := s.table
	event := int64(0)
	if t.when >= 0 {
		if p, ok := t.Columns[t.when].Value(e).(*tickstorm.Timestamp); ok {
			event = p.Nanoseconds()
		}
	}
	p := r.row(s, s.ev, dayTime(event, r.msg.Received), number)
	if p == nil {
		return
	}
	r.unfit = r.unfit[:0]
	for i := t.own; i < t.end; i++ {
		if c := &t.Columns[i]; !p.rows.addField(i, c.Value(e)) || h.Odd != 0 && c.Odd(e) {
			if len(r.unfit) > 0 {
				r.unfit = append(r.unfit, ' ')
			}
			r.unfit = append(r.unfit, c.Name...)
		}
	}
	if len(r.unfit) > 0 {
		addText(p.rows, t.end, r.unfit)
	} else {
		p.rows.addNull(t.end)
	}
	if r.extra {
		addText(p.rows, t.end+1, h.Raw)
	} else {
		p.rows.addNull(t.end + 1)
	}
	r.end(p)
	if len(r.unfit) > 0 {
		r.unknown(s.ev, "does not fit: "+string(r.unfit), h.Raw, number)
	}
}

// unknown makes a row of what there are no columns for.
func (r *reading) unknown(ev, problem string, raw []byte, number int) {
	p := r.row(r.unknowns, ev, r.msg.Received, number)
	if p == nil {
		return
	}
	if problem != "" {
		addText(p.rows, sharedColumns, problem)
	} else {
		p.rows.addNull(sharedColumns)
	}
	addText(p.rows, sharedColumns+1, raw)
	r.c.unknown++
	r.end(p)
}

// maxBroken is how many bytes of what is broken a row has.
const maxBroken = 1 << 10

// broken makes a row of what is no element.
func (r *reading) broken(err error, raw []byte) {
	r.unknown("", err.Error(), []byte(strings.ToValidUTF8(string(raw[:min(len(raw), maxBroken)]), "\uFFFD")), r.number())
}

// OnTrade and the other methods make it a handler.
func (r *reading) OnTrade(e *tickstorm.Trade)         { r.fields(e) }
func (r *reading) OnQuote(e *tickstorm.Quote)         { r.fields(e) }
func (r *reading) OnAggregate(e *tickstorm.Aggregate) { r.fields(e) }
func (r *reading) OnBook(e *tickstorm.Book)           { r.fields(e) }
func (r *reading) OnLULD(e *tickstorm.LULD)           { r.fields(e) }
func (r *reading) OnImbalance(e *tickstorm.Imbalance) { r.fields(e) }
func (r *reading) OnValue(e *tickstorm.Value)         { r.fields(e) }
func (r *reading) OnStatus(e *tickstorm.Status)       { r.fields(e) }

// OnUnknown is called with events of channels that the market does not have.
func (r *reading) OnUnknown(e *tickstorm.Unknown) {
	r.unknown(string(e.Event), "", e.Raw, r.number())
}

// OnError is called with elements that are no events.
func (r *reading) OnError(e *tickstorm.EventError) { r.broken(e.Err, e.Raw) }

// event makes a row of what is no message: what is missing, or where a connection ends or begins.
func (c *conversion) event(e *record.Entry) {
	g, ok := e.Gap()
	if !ok || c.err != nil {
		return
	}
	number := uint64(0)
	if g.Kind != record.Up {
		c.gapLast++
		number = c.gapLast
		c.gap = number
	}
	if e.Damage != nil {
		c.damages++
	}
	from, to := g.From, g.To
	c.gaps++
	if len(c.footerGaps) < maxFooterGaps {
		c.footerGaps = append(c.footerGaps, footerGap{
			number, string(g.Kind), g.Received, momentNanos(from.Received), momentNanos(to.Received), g.Count, g.Cause,
		})
	}
	at := g.Received
	if at == 0 { // of a damage before all else
		at = c.seg.started.UnixNano()
	}
	p, err := c.partOf(c.missing, at)
	if err != nil {
		c.err = err
		return
	}
	r := p.rows
	for i, column := range p.table.Columns {
		switch column.Name {
		case "segment":
			r.same(i, c.seg.name)
		case "message_number":
			r.addInt(i, int64(e.Sequence))
		case "gap":
			addNonzero(r, i, int64(number))
		case "kind":
			addText(r, i, string(g.Kind))
		case "received_time":
			addNonzero(r, i, g.Received)
		case "from_event_time":
			addNonzero(r, i, momentNanos(from.Event))
		case "from_received_time":
			addNonzero(r, i, momentNanos(from.Received))
		case "to_event_time":
			addNonzero(r, i, momentNanos(to.Event))
		case "to_received_time":
			addNonzero(r, i, momentNanos(to.Received))
		case "messages":
			addNonzero(r, i, int64(g.Count))
		case "bytes":
			addNonzero(r, i, int64(g.Bytes))
		case "cause":
			if g.Cause == "" {
				r.addNull(i)
			} else {
				addText(r, i, g.Cause)
			}
		case "topics":
			if len(g.Topics) == 0 {
				r.addNull(i)
			} else {
				r.addTexts(i, g.Topics)
			}
		}
	}
	c.err = c.ended(p, e.Sequence)
}

// addNonzero adds no value for 0, which is not known.
func addNonzero(r *rows, at int, v int64) {
	if v == 0 {
		r.addNull(at)
		return
	}
	r.addInt(at, v)
}

// momentNanos is a time in nanoseconds since 1970, 0 for the zero time.
func momentNanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return nanos(t)
}
