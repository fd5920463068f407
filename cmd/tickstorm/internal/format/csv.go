package format

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
)

// lines of CSV, by RFC 4180 but for line feeds alone.
type csv struct {
	names []string
	cells [tickstorm.Kinds][]cell // as the names have them
}

// cell appends what a column has of an event.
type cell func(dst []byte, e tickstorm.Event) []byte

// shared are the columns that events of every kind have.
var shared = map[string]cell{
	"market":        func(dst []byte, e tickstorm.Event) []byte { return record.AppendText(dst, string(e.Head().Market)) },
	"channel":       func(dst []byte, e tickstorm.Event) []byte { return record.AppendText(dst, Channel(e)) },
	"received_time": func(dst []byte, e tickstorm.Event) []byte { return strconv.AppendInt(dst, e.Head().Received, 10) },
}

func newCSV(o Options) (*csv, error) {
	kinds := o.Kinds
	if len(kinds) == 0 {
		for k := range tickstorm.Kinds {
			kinds = append(kinds, tickstorm.Kind(k))
		}
	}
	f := &csv{names: o.Columns}
	for _, k := range kinds {
		if len(o.Columns) > 0 {
			break
		}
		for _, c := range record.SchemaOf(k).Columns {
			if !slices.Contains(own, c.Name) && !slices.Contains(f.names, c.Name) {
				f.names = append(f.names, c.Name)
			}
		}
	}
	for _, name := range f.names {
		found := false
		for k := range tickstorm.Kinds {
			c := shared[name]
			if c == nil {
				if column := column(tickstorm.Kind(k), name); column != nil {
					c = func(dst []byte, e tickstorm.Event) []byte { return record.AppendCell(dst, column.Value(e)) }
				}
			}
			found = found || c != nil
			f.cells[k] = append(f.cells[k], c)
		}
		if !found {
			return nil, fmt.Errorf("%w: no column %q", ErrForm, name)
		}
	}
	return f, nil
}

func (f *csv) Header() string { return strings.Join(f.names, ",") + "\n" }

func (f *csv) Append(dst []byte, e tickstorm.Event) []byte {
	for i, c := range f.cells[e.Kind()] {
		if i > 0 {
			dst = append(dst, ',')
		}
		if c != nil {
			dst = c(dst, e)
		}
	}
	return append(dst, '\n')
}
