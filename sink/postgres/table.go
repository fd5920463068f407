package postgres

import (
	"slices"
	"strings"
	"sync"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
)

// This file says which tables there are. It is made of record.Schemas: a column that is added there
// is one here.

// sqlType is a type as the server's format_type names it.
type sqlType string

const (
	typeText    sqlType = "text"
	typeBigint  sqlType = "bigint"
	typeInteger sqlType = "integer"
	typeDouble  sqlType = "double precision"
	typeNumeric sqlType = "numeric"
	typeBoolean sqlType = "boolean"
	typeTime    sqlType = "timestamp with time zone"
	typeInts    sqlType = "integer[]"
	typeDoubles sqlType = "double precision[]"
	typeTexts   sqlType = "text[]"
)

// column is a column of a table.
type column struct {
	name    string
	typ     sqlType
	notNull bool
	doc     string

	// Of an event's own columns:
	of    *record.Column
	field tickstorm.Fields
	nanos bool // a column of nanoseconds stands behind it
}

// table is a kind of rows.
type table struct {
	name    string
	doc     string
	kind    tickstorm.Kind
	columns []column
	// own are the columns that an event has for itself, without those of nanoseconds.
	own []column
	// key are the columns that no two rows have alike; timed tables have received_time in it too
	// where they are divided by that.
	key []string
	// time is the column of the vendor's time, in timed tables: those that are divided by days.
	time  string
	timed bool
}

const (
	segmentsName = "segments"
	unknownName  = "unknown"
	gapsName     = "gaps"
	receivedName = "received_time"
)

// The key of a row.
var idColumns = []string{"segment", "message_number", "element_number"}

// idDocs has the columns that name a row and say where it is from. The wide ones stand first: so
// none needs padding.
func idDocs() []column {
	return []column{
		{name: "message_number", typ: typeBigint, notNull: true, doc: "The number of the message in its segment: it rises in the order of receipt, and begins anew with each segment."},
		{name: "segment", typ: typeInteger, notNull: true, doc: "The segment of the recording, by its number in segments."},
		{name: "element_number", typ: typeInteger, notNull: true, doc: "The number of the element in its message, from 0."},
	}
}

// shared are the columns that all events have before their own.
func shared() []column {
	return append(idDocs(),
		column{name: receivedName, typ: typeTime, notNull: true, doc: "When the message was read from the socket, to the microsecond."},
		column{name: "received_ns", typ: typeBigint, notNull: true, doc: "The same in nanoseconds since 1970."},
		column{name: "market", typ: typeText, notNull: true, doc: "The market of the connection, as in its URL."},
		column{name: "channel", typ: typeText, doc: "ev: The vendor's name of the channel, such as AM."},
	)
}

// nanosOf is the name of the column of nanoseconds that stands behind one of a time.
func nanosOf(name string) string { return strings.TrimSuffix(name, "_time") + "_ns" }

// nanosColumn stands behind one of a time.
func nanosColumn(name string) column {
	return column{name: nanosOf(name), typ: typeBigint, doc: "The same in nanoseconds since 1970."}
}

// hasNanos reports whether the vendor has the times of a kind's events in nanoseconds.
func hasNanos(k tickstorm.Kind) bool {
	return k == tickstorm.KindLULD || k == tickstorm.KindImbalance || k == tickstorm.KindValue
}

// catalog returns the tables: those of events in the order of their kinds from KindTrade, and behind
// them unknown, gaps and segments.
var catalog = sync.OnceValue(func() []*table {
	var all []*table
	for _, s := range record.Schemas() {
		if s.Kind != tickstorm.KindUnknown {
			all = append(all, eventTable(s))
		}
	}
	return append(all, unknownTable(), gapsTable(), segmentsTable())
})

// tableOf returns where in the catalog the table of a kind of event is.
func tableOf(k tickstorm.Kind) int {
	if k == tickstorm.KindUnknown {
		return unknownAt
	}
	return int(k) - 1
}

// Where in the catalog the tables are that are of no kind.
const (
	unknownAt  = tickstorm.Kinds - 1
	gapsAt     = unknownAt + 1
	segmentsAt = gapsAt + 1
)

// eventTable is made of a schema. Its columns message_number and so on are ours, and gap, which
// counts through one conversion, has no meaning where several sinks write.
func eventTable(s *record.Schema) *table {
	t := &table{name: s.Name, doc: s.Doc, kind: s.Kind, key: idColumns, columns: shared()}
	e := s.NewEvent()
	for i := range s.Columns {
		c := &s.Columns[i]
		if len(c.Keys) == 0 || c.Name == "channel" {
			continue // the recording's own
		}
		field, typ := fieldOf(e, c)
		col := column{name: c.Name, typ: typ, doc: docOf(c), of: c, field: field}
		if typ == typeTime && hasNanos(s.Kind) {
			col.nanos = true
			col.doc += " To the microsecond."
		}
		t.columns, t.own = append(t.columns, col), append(t.own, col)
		if col.nanos {
			t.columns = append(t.columns, nanosColumn(c.Name))
		}
		if typ == typeTime && t.time == "" {
			t.time, t.timed = c.Name, true
		}
	}
	t.columns = append(t.columns, column{name: "unreadable", typ: typeText, doc: docIn(s, "unreadable")})
	return t
}

// schemaOf returns a schema that is of no kind.
func schemaOf(name string) *record.Schema {
	all := record.Schemas()
	return all[slices.IndexFunc(all, func(s *record.Schema) bool { return s.Name == name })]
}

// docIn is what a schema says of a column that means the same here.
func docIn(s *record.Schema, column string) string {
	return s.Columns[slices.IndexFunc(s.Columns, func(c record.Column) bool { return c.Name == column })].Doc
}

// docOf is a column's comment, with the vendor's keys and the unit.
func docOf(c *record.Column) string {
	doc := strings.Join(c.Keys, ", ") + ": " + c.Doc
	if c.Unit != "" {
		doc += " (" + c.Unit + ")"
	}
	return doc
}

// fieldOf returns the bit of a column's field, and the type that its values have here.
func fieldOf(e tickstorm.Event, c *record.Column) (tickstorm.Fields, sqlType) {
	h := e.Head()
	for bit := range 32 {
		h.Has = 1 << bit
		if v := c.Value(e); v != nil {
			return h.Has, typeFor(v)
		}
	}
	panic("postgres: no field has the column " + c.Name)
}

func typeFor(v any) sqlType {
	switch v.(type) {
	case *float64:
		return typeDouble
	case *int64:
		return typeBigint
	case *int32:
		return typeInteger
	case *tickstorm.Timestamp:
		return typeTime
	case *tickstorm.Decimal:
		return typeNumeric
	case *bool:
		return typeBoolean
	case *[]int32:
		return typeInts
	case *[]tickstorm.Level:
		return typeDoubles
	}
	return typeText // a *string, *[]byte or *Auction
}

func unknownTable() *table {
	return &table{name: unknownName, key: idColumns, doc: schemaOf(unknownName).Doc,
		columns: append(shared(),
			column{name: "error", typ: typeText, doc: "What is wrong with it. NULL if nothing is."},
			column{name: "raw", typ: typeText, notNull: true, doc: "The element."})}
}

func gapsTable() *table {
	s := schemaOf(gapsName)
	t := &table{name: gapsName, key: append(idColumns[:len(idColumns):len(idColumns)], "damage"),
		doc: "What is missing, where connections begin and end, and whatever else a recording notes: each in its place among the messages.",
		columns: append(idDocs(),
			column{name: "damage", typ: typeText, notNull: true, doc: "Tells damages at one place apart; empty of all else."},
			column{name: "kind", typ: typeText, notNull: true, doc: "gap: what was sent in between is missing. dropped: there was no room. lost, damage, broken: it was recorded, and cannot be read. up, subscribed, down: a connection stands, has its topics, has ended."},
			column{name: "missing", typ: typeBoolean, notNull: true, doc: "Whether it says that something is missing."},
			column{name: "market", typ: typeText, doc: "The market; NULL if a file does not say, and then it counts for all."})}
	same := func(name string, typ sqlType) column { return column{name: name, typ: typ, doc: docIn(s, name)} }
	for _, moment := range [...]string{receivedName, "from_event_time", "from_received_time", "to_event_time", "to_received_time"} {
		t.columns = append(t.columns, same(moment, typeTime), nanosColumn(moment))
	}
	t.columns = append(t.columns, same("messages", typeBigint), same("bytes", typeBigint), same("cause", typeText),
		column{name: "details", typ: typeText, doc: "What else there is to say."},
		column{name: "topics", typ: typeTexts, doc: "The topics of the connection; NULL means all that there were."})
	return t
}

func segmentsTable() *table {
	return &table{name: segmentsName, doc: "The segments of recordings that rows are from: a row has the number, which takes 4 bytes and not 40.", key: []string{"segment"},
		columns: []column{
			{name: "segment", typ: typeInteger, notNull: true, doc: "Its number, in the order in which the sink came to it."},
			{name: "name", typ: typeText, notNull: true, doc: "Its name, such as stocks-20261125T143000.000Z-000123."},
		}}
}
