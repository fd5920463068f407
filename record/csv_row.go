package record

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/tickstorm/tickstorm"
)

// This file makes rows of events, and cells of their fields.

// fields writes the row of an event of a known kind.
func (w *csvWriter) fields(e tickstorm.Event) {
	h, at := e.Head(), kindAt(e.Kind())
	channel := ""
	if int(h.Stream) < len(w.of.channels) {
		channel = w.of.channels[h.Stream]
	}
	w.begin(channel)
	w.done.Elements++
	columns := schemas()[at].Columns
	b := w.row
	for i := range columns {
		if c := &columns[i]; c.value != nil {
			if h.Has&c.field != 0 {
				b = appendCell(b, c.value(e))
			}
			b = append(b, ',')
		}
	}
	var odd []byte
	if h.Odd != 0 {
		odd = oddColumns(columns, h.Odd)
		b = appendTextCell(b, odd)
	}
	w.row = append(b, ',')
	w.end(at)
	if odd != nil {
		w.next--
		w.unknown(channel, "does not fit: "+string(odd), h.Raw)
	}
}

// oddColumns names the columns of fields.
func oddColumns(columns []Column, odd tickstorm.Fields) []byte {
	var names []string
	for i := range columns {
		if columns[i].field&odd != 0 {
			names = append(names, columns[i].Name)
		}
	}
	return []byte(strings.Join(names, " "))
}

// unknown writes a row of what there are no columns for.
func (w *csvWriter) unknown(channel, problem string, raw []byte) {
	w.begin(channel)
	b := w.row
	if problem != "" {
		b = appendTextCell(b, problem)
	}
	b = appendTextCell(append(b, ','), appendLine(nil, raw))
	w.row = append(b, ',')
	w.end(kindAt(tickstorm.KindUnknown))
}

// broken writes a row of what is no element.
func (w *csvWriter) broken(err error, raw []byte) {
	w.done.Broken++
	w.unknown("", err.Error(), []byte(strings.ToValidUTF8(string(raw[:min(len(raw), maxBroken)]), "\uFFFD")))
}

// OnTrade and the other methods make the writer a handler.
func (w *csvWriter) OnTrade(e *tickstorm.Trade)         { w.fields(e) }
func (w *csvWriter) OnQuote(e *tickstorm.Quote)         { w.fields(e) }
func (w *csvWriter) OnAggregate(e *tickstorm.Aggregate) { w.fields(e) }
func (w *csvWriter) OnBook(e *tickstorm.Book)           { w.fields(e) }
func (w *csvWriter) OnLULD(e *tickstorm.LULD)           { w.fields(e) }
func (w *csvWriter) OnImbalance(e *tickstorm.Imbalance) { w.fields(e) }
func (w *csvWriter) OnValue(e *tickstorm.Value)         { w.fields(e) }
func (w *csvWriter) OnStatus(e *tickstorm.Status)       { w.fields(e) }

func (w *csvWriter) OnUnknown(e *tickstorm.Unknown) {
	w.done.Elements++
	w.unknown(string(e.Event), "", e.Raw)
}

func (w *csvWriter) OnError(e *tickstorm.EventError) { w.broken(e.Err, e.Raw) }

// appendCell appends a field that has a value.
func appendCell(b []byte, field any) []byte {
	switch p := field.(type) {
	case *float64:
		return appendFloat(b, *p)
	case *int64:
		return appendInt(b, *p)
	case *int32:
		return appendInt(b, int64(*p))
	case *tickstorm.Timestamp:
		return appendInt(b, p.Nanoseconds())
	case *tickstorm.Decimal:
		return append(b, p.Text...) // which is a number of JSON
	case *string:
		return appendTextCell(b, *p)
	case *[]byte:
		return appendTextCell(b, *p)
	case *tickstorm.Auction:
		return appendTextCell(b, p.String())
	case *bool:
		return strconv.AppendBool(b, *p)
	case *[]int32:
		return appendIntegers(b, *p)
	case *[]tickstorm.Level:
		return appendLevels(b, *p)
	}
	panic(fmt.Sprintf("record: a field of type %T has no cell", field)) // typeOf has refused it
}

func appendInt(b []byte, i int64) []byte { return strconv.AppendInt(b, i, 10) }

// appendNonzero leaves the cell of 0, which is not known, empty.
func appendNonzero(b []byte, i int64) []byte {
	if i == 0 {
		return b
	}
	return appendInt(b, i)
}

// appendFloat appends the shortest digits that read as the same number, without an exponent where
// that is how people would write it.
func appendFloat(b []byte, f float64) []byte {
	if i := int64(f); float64(i) == f && i > -1<<53 && i < 1<<53 && (i != 0 || !math.Signbit(f)) {
		return appendInt(b, i)
	}
	if a := math.Abs(f); a >= 1e21 || a > 0 && a < 1e-12 {
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(b, f, 'f', -1, 64)
}

// appendTextCell appends a text, in quotes where it needs them, and where it is empty.
func appendTextCell[S string | []byte](b []byte, s S) []byte {
	plain := len(s) > 0 && s[0] != ' ' && string(s) != `\.` // which ends the input of some databases
	for i := 0; plain && i < len(s); i++ {
		switch s[i] {
		case ',', '"', '\n', '\r':
			plain = false
		}
	}
	if plain {
		return append(b, s...)
	}
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' {
			b = append(b, '"')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// appendIntegers appends a list, which needs quotes if it has a comma.
func appendIntegers(b []byte, list []int32) []byte {
	quoted := len(list) > 1
	if quoted {
		b = append(b, '"')
	}
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendInt(b, int64(v))
	}
	b = append(b, ']')
	if quoted {
		b = append(b, '"')
	}
	return b
}

func appendLevels(b []byte, list []tickstorm.Level) []byte {
	if len(list) == 0 {
		return append(b, "[]"...)
	}
	b = append(b, `"[`...)
	for i, l := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendFloat(append(b, '['), l.Price)
		b = appendFloat(append(b, ','), l.Size)
		b = append(b, ']')
	}
	return append(b, `]"`...)
}

func appendTexts(b []byte, list []string) []byte {
	text, _ := json.Marshal(list) // strings cannot fail
	return appendTextCell(b, text)
}
