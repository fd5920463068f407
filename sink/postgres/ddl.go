package postgres

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// DDL returns the statements that make the tables of a [Config], of which it looks at Schema, Prefix
// and Layout: what an [Engine] executes where they are missing. [Auto] is [Daily] here. Whoever makes
// the tables before the engine comes may leave out indexes and columns that may be NULL, but no
// primary key, and may add what has a default.
func DDL(cfg Config) (string, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return "", err
	}
	if cfg.Layout == Auto {
		cfg.Layout = Daily
	}
	d := ddl{cfg: cfg}
	var b strings.Builder
	b.WriteString(d.namespace())
	for _, t := range catalog() {
		b.WriteString("\n" + d.create(t))
	}
	return b.String(), nil
}

// ddl makes statements.
type ddl struct {
	cfg       Config
	timescale string // the namespace of TimescaleDB, quoted, with a dot; or "" for who looks it up
}

func quote(names ...string) string { return pgx.Identifier(names).Sanitize() }

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = quote(name)
	}
	return strings.Join(quoted, ", ")
}

// literal is a text as a constant.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

func (d *ddl) relation(t *table) string         { return d.cfg.Prefix + t.name }
func (d *ddl) name(t *table) string             { return quote(d.cfg.Schema, d.relation(t)) }
func (d *ddl) namespace() string                { return "CREATE SCHEMA IF NOT EXISTS " + quote(d.cfg.Schema) + ";\n" }
func (d *ddl) index(t *table, of string) string { return quote(d.relation(t) + "_" + of + "_idx") }

// divided reports whether a table is divided by days.
func (d *ddl) divided(t *table) bool { return t.timed && d.cfg.Layout != Plain }

// key are the columns of a table's primary key: what it is divided by must be in it.
func (d *ddl) key(t *table) []string {
	if d.divided(t) {
		return append(slices.Clone(t.key), receivedName)
	}
	return t.key
}

// create returns the statements that make a table.
func (d *ddl) create(t *table) string {
	var b strings.Builder
	fmt.Fprintf(&b, "-- %s\nCREATE TABLE IF NOT EXISTS %s (\n", t.doc, d.name(t))
	for i := range t.columns {
		c := &t.columns[i]
		fmt.Fprintf(&b, "\t%s, -- %s\n", d.column(t, c), c.doc)
	}
	if t.name == segmentsName {
		b.WriteString("\tUNIQUE (\"name\"),\n")
	}
	fmt.Fprintf(&b, "\tPRIMARY KEY (%s)\n)", quoteAll(d.key(t)))
	if t.timed && d.cfg.Layout == Daily {
		fmt.Fprintf(&b, " PARTITION BY RANGE (%s)", quote(receivedName))
	}
	b.WriteString(";\n")
	if t.timed && d.cfg.Layout == Hypertable {
		fmt.Fprintf(&b, "SELECT %screate_hypertable(%s, %s, chunk_time_interval => INTERVAL '1 day', create_default_indexes => FALSE, if_not_exists => TRUE);\n",
			d.timescale, literal(d.name(t)), literal(receivedName))
	}
	if t.timed {
		// A symbol over a time is read in the order of its index. Times rise with the rows, which is
		// what BRIN lives on: some kilobytes lead to an hour of all symbols.
		fmt.Fprintf(&b, "CREATE INDEX IF NOT EXISTS %s ON %s (\"symbol\", %s);\n", d.index(t, "symbol"), d.name(t), quote(t.time))
		fmt.Fprintf(&b, "CREATE INDEX IF NOT EXISTS %s ON %s USING brin (%s, %s);\n", d.index(t, "time"), d.name(t), quote(receivedName), quote(t.time))
	}
	return b.String()
}

func (d *ddl) column(t *table, c *column) string {
	text := quote(c.name) + " " + string(c.typ)
	if t.name == segmentsName && c.name == t.key[0] {
		text += " GENERATED ALWAYS AS IDENTITY"
	}
	if c.notNull {
		text += " NOT NULL"
	}
	return text
}

// stage is the name of the table that rows are copied into. It is the session's own.
func stage(t *table) string { return `pg_temp."tickstorm_` + t.name + `"` }

// createStage makes a table of a session, which is empty after each transaction.
func createStage(t *table) string {
	columns := make([]string, len(t.columns))
	for i := range t.columns {
		columns[i] = quote(t.columns[i].name) + " " + string(t.columns[i].typ)
	}
	return fmt.Sprintf("CREATE TEMPORARY TABLE IF NOT EXISTS %s (%s) ON COMMIT DELETE ROWS", stage(t), strings.Join(columns, ", "))
}

func names(t *table) []string {
	list := make([]string, len(t.columns))
	for i := range t.columns {
		list[i] = t.columns[i].name
	}
	return list
}

// copyIn is the statement whose data are rows in PostgreSQL's binary form.
func copyIn(t *table) string {
	return fmt.Sprintf("COPY %s (%s) FROM STDIN (FORMAT binary)", stage(t), quoteAll(names(t)))
}

// insert moves rows out of the stage. Those that are there stay as they are; a row that clashes with
// a key that somebody else has made is an error, not one that is there.
func (d *ddl) insert(t *table, key []string) string {
	columns := quoteAll(names(t))
	return fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s ON CONFLICT (%s) DO NOTHING", d.name(t), columns, columns, stage(t), quoteAll(key))
}

const (
	dayNanos  = 24 * 60 * 60 * 1e9
	dayFormat = "20060102"
)

// dayOf is the day that a time is in, counted from 1970.
func dayOf(nanos int64) int64 {
	day := nanos / dayNanos
	if nanos%dayNanos < 0 {
		day--
	}
	return day
}

// partition is the name of a day's partition, and the statements that make it. Such a table is made
// apart and then attached, because readers of the whole table are in the way of one that is made as
// its partition, and behind that everybody waits.
func (d *ddl) partition(t *table, day int64) (name, statements string) {
	from := time.Unix(day*24*60*60, 0).UTC()
	relation := d.relation(t) + "_" + from.Format(dayFormat)
	name = quote(d.cfg.Schema, relation)
	bound := func(t time.Time) string { return literal(t.Format("2006-01-02 15:04:05+00")) }
	return relation, fmt.Sprintf("CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS);\nALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%s) TO (%s);\n",
		name, d.name(t), d.name(t), name, bound(from), bound(from.AddDate(0, 0, 1)))
}
