package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sink"
)

// This file makes rows of tables of a batch's rows.

// load is what is to go into a table.
type load struct {
	*table
	data []byte // in COPY's form, without its trailer; empty if there are no rows
	rows int
	days []int64 // that rows of a timed table are of
}

// maxKept is what of a load's memory is kept for the next: several times what a batch has by default.
const maxKept = 16 << 20

func (l *load) reset() {
	if cap(l.data) > maxKept {
		l.data = nil
	}
	l.data, l.rows, l.days = l.data[:0], 0, l.days[:0]
}

// begin begins a row.
func (l *load) begin() []byte {
	if len(l.data) == 0 {
		l.data = append(l.data, copyHeader...)
	}
	return binary.BigEndian.AppendUint16(l.data, uint16(len(l.columns)))
}

// end ends a row that was received at a time.
func (l *load) end(data []byte, received int64) {
	l.data = data
	l.rows++
	if !l.timed {
		return
	}
	day := dayOf(received)
	for _, d := range l.days {
		if d == day {
			return
		}
	}
	l.days = append(l.days, day)
}

// place is where a load stood, to go back there.
type place struct {
	*load
	bytes, rows, days int
}

func (p place) back() {
	p.data, p.load.rows, p.load.days = p.data[:p.bytes], p.rows, p.load.days[:p.days]
}

// encoder makes loads of rows, as a handler of what their elements are parsed to.
type encoder struct {
	loads   []load // as the catalog has them, without segments
	parsers map[tickstorm.Market]*tickstorm.Parser
	symbols *tickstorm.Symbols
	stats   Stats
	text    []byte // an element as a message

	// Of the row at hand:
	row     *sink.Row
	segment int32
	calls   int
	undo    []place
}

func newEncoder() *encoder {
	e := &encoder{parsers: map[tickstorm.Market]*tickstorm.Parser{}, symbols: tickstorm.NewSymbols(0)}
	for _, t := range catalog()[:segmentsAt] {
		e.loads = append(e.loads, load{table: t})
	}
	return e
}

func (e *encoder) reset() {
	for i := range e.loads {
		e.loads[i].reset()
	}
}

// Errors of rows that no table takes.
var (
	// ErrText: an element is no text that a database has: it is not UTF-8, or has a zero byte.
	ErrText = errors.New("postgres: not a text")
	// ErrRange: the number of a message or element is too large for its column.
	ErrRange = errors.New("postgres: a number out of range")
)

// add makes rows of tables of a row. The error is why no table will ever take it.
func (e *encoder) add(r *sink.Row, segment int32) error {
	if r.ID.Sequence > math.MaxInt64 || r.ID.Element > math.MaxInt32 {
		return fmt.Errorf("%w: %s", ErrRange, r.ID.String())
	}
	e.row, e.segment = r, segment
	if r.Notice != nil {
		e.notice(r.Notice)
		return nil
	}
	e.calls, e.undo = 0, e.undo[:0]
	before := e.stats
	p := e.parser(r.Market)
	var err error
	if r.Channel == "" && len(r.Raw) > 0 && r.Raw[0] == '{' { // it may be the rest of a message that was cut off
		err = p.Parse(r.Raw, e)
	} else {
		e.text = append(append(append(e.text[:0], '['), r.Raw...), ']') // for which the parser is fast
		err = p.Parse(e.text, e)
	}
	if err == nil && e.calls == 1 {
		return nil
	}
	// What is broken may look like several elements, or like one with something behind it.
	for _, p := range e.undo {
		p.back()
	}
	e.stats = before
	if err == nil {
		err = tickstorm.ErrTrailing
	}
	if !isText(r.Raw) {
		return fmt.Errorf("%w: %w", ErrText, err)
	}
	e.unknown(err.Error(), r.Raw)
	return nil
}

// isText reports whether a text of the server's can have these bytes.
func isText(raw []byte) bool { return utf8.Valid(raw) && bytes.IndexByte(raw, 0) < 0 }

func (e *encoder) parser(m tickstorm.Market) *tickstorm.Parser {
	p := e.parsers[m]
	if p == nil {
		p = tickstorm.NewParser(m)
		p.SetLimits(tickstorm.Limits{Message: record.MaxMessage + 2}) // which may be one element
		p.SetSymbols(e.symbols)
		e.parsers[m] = p
	}
	return p
}

// unknownKeys is how many members of elements no column was for.
func (e *encoder) unknownKeys() (n uint64) {
	for _, p := range e.parsers {
		n += p.Stats().UnknownKeys
	}
	return n
}

// to returns a load, and notes where it stands.
func (e *encoder) to(at int) *load {
	l := &e.loads[at]
	e.undo = append(e.undo, place{l, len(l.data), l.rows, len(l.days)})
	return l
}

func (e *encoder) id(b []byte) []byte {
	b = appendBigint(b, int64(e.row.ID.Sequence))
	b = appendInteger(b, e.segment)
	return appendInteger(b, int32(e.row.ID.Element))
}

// shared appends the columns that all events have before their own.
func (e *encoder) shared(b []byte) []byte {
	b = e.id(b)
	micros, _ := microsOf(e.row.Received)
	b = appendTime(b, micros)
	b = appendBigint(b, e.row.Received)
	b = appendText(b, string(e.row.Market))
	if e.row.Channel == "" || strings.IndexByte(e.row.Channel, 0) >= 0 {
		return appendNull(b)
	}
	return appendText(b, e.row.Channel)
}

// event makes a row of an event of a known kind.
func (e *encoder) event(ev tickstorm.Event) {
	if e.calls++; e.calls > 1 {
		return
	}
	l := e.to(tableOf(ev.Kind()))
	b := e.shared(l.begin())
	odd := ev.Head().Odd
	for i := range l.own {
		c := &l.own[i]
		value, fits := c.of.Value(ev), true
		if value != nil {
			b, fits = appendValue(b, value, c.nanos)
		} else if b = appendNull(b); c.nanos {
			b = appendNull(b)
		}
		if !fits {
			odd |= c.field
		}
	}
	if odd == 0 {
		l.end(appendNull(b), e.row.Received)
		return
	}
	unfit := l.columnsOf(odd)
	l.end(appendText(b, unfit), e.row.Received)
	e.stats.Unreadable++
	e.unknown("does not fit: "+unfit, ev.Head().Raw)
}

// columnsOf names the columns of fields.
func (t *table) columnsOf(fields tickstorm.Fields) string {
	var list []string
	for i := range t.own {
		if t.own[i].field&fields != 0 {
			list = append(list, t.own[i].name)
		}
	}
	return strings.Join(list, " ")
}

// unknown makes a row of what there are no columns for. Its raw is text.
func (e *encoder) unknown(problem string, raw []byte) {
	e.stats.Unknown++
	l := e.to(unknownAt)
	b := e.shared(l.begin())
	if problem == "" {
		b = appendNull(b)
	} else {
		b = appendText(b, problem)
	}
	l.end(appendText(b, raw), e.row.Received)
}

// OnTrade and the other methods make the encoder a handler.
func (e *encoder) OnTrade(ev *tickstorm.Trade)         { e.event(ev) }
func (e *encoder) OnQuote(ev *tickstorm.Quote)         { e.event(ev) }
func (e *encoder) OnAggregate(ev *tickstorm.Aggregate) { e.event(ev) }
func (e *encoder) OnBook(ev *tickstorm.Book)           { e.event(ev) }
func (e *encoder) OnLULD(ev *tickstorm.LULD)           { e.event(ev) }
func (e *encoder) OnImbalance(ev *tickstorm.Imbalance) { e.event(ev) }
func (e *encoder) OnValue(ev *tickstorm.Value)         { e.event(ev) }
func (e *encoder) OnStatus(ev *tickstorm.Status)       { e.event(ev) }

func (e *encoder) OnUnknown(ev *tickstorm.Unknown) {
	if e.calls++; e.calls == 1 {
		e.unknown("", ev.Raw)
	}
}

func (e *encoder) OnError(ev *tickstorm.EventError) {
	e.calls++
	if isText(e.row.Raw) && e.calls == 1 {
		e.unknown(ev.Err.Error(), e.row.Raw)
	} else {
		e.calls = 2 // add says what is wrong
	}
}

// notice makes a row of gaps.
func (e *encoder) notice(n *sink.Notice) {
	e.stats.Notices++
	l := &e.loads[gapsAt]
	b := e.id(l.begin())
	b = appendText(b, clean(e.row.ID.Damage))
	b = appendText(b, clean(string(n.Kind)))
	b = appendBoolean(b, n.Missing())
	b = appendOptional(b, string(e.row.Market))
	b = appendMoment(b, e.row.Received)
	for _, m := range [...]time.Time{n.From.Event, n.From.Received, n.To.Event, n.To.Received} {
		if m.IsZero() {
			b = appendMoment(b, 0)
		} else {
			b = appendMoment(b, m.UnixNano())
		}
	}
	b = appendCount(b, n.Count)
	b = appendCount(b, n.Bytes)
	b = appendOptional(b, n.Cause)
	b = appendOptional(b, n.Text)
	if len(n.Topics) == 0 {
		b = appendNull(b)
	} else {
		topics := make([]string, len(n.Topics))
		for i, text := range n.Topics {
			topics[i] = clean(text)
		}
		b = appendTexts(b, topics)
	}
	l.end(b, e.row.Received)
}

// clean makes a text of one that a server or an operating system may have said.
func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// appendOptional appends a text, NULL if there is none.
func appendOptional(b []byte, text string) []byte {
	if text == "" {
		return appendNull(b)
	}
	return appendText(b, clean(text))
}

// appendMoment appends a time and its nanoseconds, NULL of 0, which is not known.
func appendMoment(b []byte, nanos int64) []byte {
	if nanos == 0 {
		return appendNull(appendNull(b))
	}
	micros, _ := microsOf(nanos)
	return appendBigint(appendTime(b, micros), nanos)
}

func appendCount(b []byte, n uint64) []byte {
	if n == 0 {
		return appendNull(b)
	}
	return appendBigint(b, int64(min(n, math.MaxInt64)))
}
