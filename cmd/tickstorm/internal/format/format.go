// Package format writes events as lines: as they came, as CSV, as a table for people, or as the user
// says. Names and cells of columns are those of package record.
package format

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
)

// The names of the formats that have one. Any other has fields in braces.
const (
	Raw   = "raw"
	JSON  = "json"
	CSV   = "csv"
	Table = "table"
)

// ErrForm: a text is no format.
var ErrForm = errors.New("not a format")

// Options say what a format needs to know.
type Options struct {
	// Kinds are those of the events that are to come: CSV has their columns.
	Kinds []tickstorm.Kind
	// Columns are those that CSV has instead, by name.
	Columns []string
	// Received has the time be that of receipt, instead of the event's own.
	Received bool
	// Zone is that of times for people.
	Zone *time.Location
}

// A Lines writes an event a line. What it is given is lent to it until it returns. It serves one
// goroutine at a time.
type Lines interface {
	// Header returns the line that comes first, "" for none.
	Header() string
	// Append appends the line of an event, with its line feed.
	Append(dst []byte, e tickstorm.Event) []byte
}

// New returns the format of a name, or of a text with fields in braces such as "{time} {sym}". Raw is
// none of it: messages are no events. The error is an ErrForm.
func New(text string, o Options) (Lines, error) {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	switch {
	case text == JSON:
		return &elements{received: o.Received}, nil
	case text == CSV:
		return newCSV(o)
	case text == Table:
		return &table{o: o}, nil
	case strings.Contains(text, "{"):
		return newTemplate(text, o)
	}
	return nil, fmt.Errorf("%w: %q: there are %s, %s, %s, %s, and fields in braces such as %q", ErrForm, text, Raw, JSON, CSV, Table, "{time} {sym} {price}")
}

// KindOf returns the kind of the events of a stream.
func KindOf(s tickstorm.Stream) tickstorm.Kind {
	switch s {
	case tickstorm.Trades:
		return tickstorm.KindTrade
	case tickstorm.Quotes:
		return tickstorm.KindQuote
	case tickstorm.SecondAggregates, tickstorm.MinuteAggregates, tickstorm.LaunchpadAggregates:
		return tickstorm.KindAggregate
	case tickstorm.Level2:
		return tickstorm.KindBook
	case tickstorm.LimitUpLimitDown:
		return tickstorm.KindLULD
	case tickstorm.Imbalances:
		return tickstorm.KindImbalance
	case tickstorm.Values, tickstorm.FairMarketValues, tickstorm.LaunchpadValues:
		return tickstorm.KindValue
	}
	return tickstorm.KindUnknown
}

// Time returns when an event happened by its own word, or, if it does not say, when it was received.
// An aggregate's is its end.
func Time(e tickstorm.Event) time.Time {
	if t := timestamp(e); t > 0 {
		return t.Time()
	}
	return e.Head().ReceivedTime()
}

func timestamp(e tickstorm.Event) tickstorm.Timestamp {
	switch e := e.(type) {
	case *tickstorm.Trade:
		return e.Timestamp
	case *tickstorm.Quote:
		return e.Timestamp
	case *tickstorm.Aggregate:
		return e.End
	case *tickstorm.Book:
		return e.Timestamp
	case *tickstorm.LULD:
		return e.Timestamp
	case *tickstorm.Imbalance:
		return e.Timestamp
	case *tickstorm.Value:
		return e.Timestamp
	}
	return 0
}

// time is the one that the options ask for.
func (o *Options) time(e tickstorm.Event) time.Time {
	if o.Received {
		return e.Head().ReceivedTime()
	}
	return Time(e)
}

// Channel is the vendor's name of an event's channel.
func Channel(e tickstorm.Event) string {
	switch e := e.(type) {
	case *tickstorm.Unknown:
		return string(e.Event)
	case *tickstorm.Status:
		return "status"
	}
	h := e.Head()
	name, err := h.Market.Channel(h.Stream)
	if err != nil {
		return ""
	}
	return name
}

// own are the columns of a recording alone, which a stream does not have.
var own = []string{"message_number", "element_number", "gap", "unreadable"}

// column finds a column of a kind by its name, else by a key of the vendor's.
func column(k tickstorm.Kind, name string) *record.Column {
	if slices.Contains(own, name) {
		return nil
	}
	columns := record.SchemaOf(k).Columns
	for i := range columns {
		if columns[i].Name == name {
			return &columns[i]
		}
	}
	for i := range columns {
		if columns[i].Name != "symbol" && slices.Contains(columns[i].Keys, name) { // of forex it is p
			return &columns[i]
		}
	}
	return nil
}

// Elements as they came.
type elements struct{ received bool }

func (*elements) Header() string { return "" }

func (f *elements) Append(dst []byte, e tickstorm.Event) []byte {
	h := e.Head()
	return AppendElement(dst, h.Raw, h.Received, f.received)
}
