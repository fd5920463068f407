package parquet

import (
	"encoding/json"
	"slices"
	"sync"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
)

// Tables returns the columns of all tables, in the order of [record.Schemas]: those of record, but that
// market is a part of the path alone, that segment stands before message_number, and extra last where
// rows are events. They are shared: do not change them.
func Tables() []*record.Schema {
	var all []*record.Schema
	for _, t := range tables() {
		all = append(all, &t.Schema)
	}
	return all
}

// schemaVersion is that of the columns and of what stands in the footer.
const schemaVersion = "1"

// table is what all parts of one schema share.
type table struct {
	record.Schema // its own columns
	parquet       *parquet.Schema
	described     string // the columns as JSON
	own, end      int    // the columns of an event's own
	symbol, when  int    // columns to sort by, -1 if there are none
	width         int    // of a row, without what texts and lists have
}

// The columns that all tables but gaps begin with.
const (
	colChannel = iota
	colReceived
	colSegment
	colMessage
	colElement
	colGap
	sharedColumns
)

var (
	segmentColumn = record.Column{Name: "segment", Type: record.ColumnText, Doc: "The name of the segment of the recording: with message_number and element_number it is the row's id."}
	messageColumn = record.Column{Name: "message_number", Type: record.ColumnInteger, Doc: "The number of the line in its segment; of a damage that of the line which comes next."}
	extraColumn   = record.Column{Name: "extra", Type: record.ColumnText, Nullable: true, Doc: "The element as it came, if it has keys that there is no column for."}
)

var tables = sync.OnceValue(func() (all []*table) {
	for _, s := range record.Schemas() {
		t := &table{Schema: *s, symbol: -1, when: -1}
		t.Columns = columnsOf(s)
		t.own, t.end = sharedColumns, len(t.Columns)-2
		for i, c := range t.Columns {
			switch c.Name {
			case "symbol":
				t.symbol = i
			case "event_time", "start_time":
				t.when = i
			}
			t.width += widthOf(c.Type)
		}
		t.parquet = parquetSchema(s.Name, t.Columns)
		t.described = describe(t.Columns)
		all = append(all, t)
	}
	return all
})

// columnsOf are the columns of a schema here.
func columnsOf(s *record.Schema) []record.Column {
	var columns []record.Column
	for _, c := range s.Columns {
		switch c.Name {
		case "market":
			continue
		case "message_number":
			columns = append(columns, segmentColumn)
		case "raw":
			c.Doc = "The element as it came; of what is broken 1,024 bytes at most."
		}
		columns = append(columns, c)
	}
	if s.Name == gapsTable {
		return slices.Concat([]record.Column{segmentColumn, messageColumn}, columns)
	}
	if s.Kind != tickstorm.KindUnknown {
		columns = append(columns, extraColumn)
	}
	return columns
}

// tableOf is the table of a kind of event, of record's order.
func tableOf(k tickstorm.Kind) *table {
	return tables()[slices.IndexFunc(tables(), func(t *table) bool { return t.Kind == k })]
}

// gapTable is the table of gaps, which record has last.
func gapTable() *table { return tables()[len(tables())-1] }

// ordered is a group whose fields have an order of their own.
type ordered struct {
	parquet.Group
	names []string
}

// Fields returns them in that order.
func (o ordered) Fields() []parquet.Field {
	fields := o.Group.Fields()
	slices.SortFunc(fields, func(a, b parquet.Field) int {
		return slices.Index(o.names, a.Name()) - slices.Index(o.names, b.Name())
	})
	return fields
}

func parquetSchema(name string, columns []record.Column) *parquet.Schema {
	o := ordered{Group: parquet.Group{}}
	for i := range columns {
		c := &columns[i]
		n := nodeOf(c)
		if c.Nullable {
			n = parquet.Optional(n)
		}
		o.Group[c.Name] = n
		o.names = append(o.names, c.Name)
	}
	return parquet.NewSchema(name, o)
}

// nodeOf is how a column is stored. Integers and times are stored as differences, which are small where
// rows are in order and cost a third of the bytes; texts by numbers in a dictionary where they repeat.
func nodeOf(c *record.Column) parquet.Node {
	switch c.Type {
	case record.ColumnInteger:
		return parquet.Encoded(parquet.Int(64), &parquet.DeltaBinaryPacked)
	case record.ColumnTime:
		return parquet.Encoded(parquet.TimestampAdjusted(parquet.Nanosecond, true), &parquet.DeltaBinaryPacked)
	case record.ColumnFloat:
		return parquet.Leaf(parquet.DoubleType)
	case record.ColumnDecimal:
		return parquet.Decimal(decimalScale, decimalPrecision, parquet.FixedLenByteArrayType(decimalBytes))
	case record.ColumnBoolean:
		return parquet.Leaf(parquet.BooleanType)
	case record.ColumnIntegers:
		return parquet.List(parquet.Int(32))
	case record.ColumnLevels:
		return parquet.List(parquet.Group{"price": parquet.Leaf(parquet.DoubleType), "size": parquet.Leaf(parquet.DoubleType)})
	case record.ColumnTexts:
		return parquet.List(parquet.String())
	}
	var e encoding.Encoding = &parquet.RLEDictionary
	switch c.Name {
	case "trade_id", "raw", "extra", "message": // hardly repeat
		e = &parquet.DeltaLengthByteArray
	}
	return parquet.Encoded(parquet.String(), e)
}

// widthOf is how many bytes a value takes in memory, but for those of texts and lists.
func widthOf(t record.ColumnType) int {
	switch t {
	case record.ColumnText, record.ColumnIntegers, record.ColumnLevels, record.ColumnTexts:
		return 5
	case record.ColumnDecimal:
		return 1 + decimalBytes
	}
	return 9
}

// describe is what the footer says of columns, beside names and types.
func describe(columns []record.Column) string {
	type description struct {
		Name string   `json:"name"`
		Keys []string `json:"keys,omitempty"`
		Unit string   `json:"unit,omitempty"`
		Doc  string   `json:"doc"`
	}
	all := make([]description, len(columns))
	for i, c := range columns {
		all[i] = description{c.Name, c.Keys, c.Unit, c.Doc}
	}
	text, _ := json.Marshal(all) // strings cannot fail
	return string(text)
}
