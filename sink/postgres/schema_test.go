package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
	"github.com/tickstorm/tickstorm/sink/postgres"
)

// TestDDL: what DDL prints makes the tables that an engine wants, and nothing is left for it to do;
// it can be run again.
func TestDDL(t *testing.T) {
	for _, layout := range []postgres.Layout{postgres.Auto, postgres.Plain, postgres.Daily} {
		t.Run(layout.String(), func(t *testing.T) {
			d := newDatabase(t)
			cfg := d.config(t)
			cfg.Schema, cfg.Prefix, cfg.Layout = `a "b".c`, `x'y `, layout
			ddl, err := postgres.DDL(cfg)
			require.NoError(t, err)
			d.exec(t, ddl)
			d.exec(t, ddl)
			before := relations(t, d)
			d.exec(t, `CREATE ROLE writer`+d.name+` LOGIN; GRANT USAGE ON SCHEMA "a ""b"".c" TO writer`+d.name+`; GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA "a ""b"".c" TO writer`+d.name)
			cfg.Connection.User = "writer" + d.name
			require.NoError(t, newEngine(t, cfg).Connect(t.Context()))
			require.Equal(t, before, relations(t, d))
			if layout == postgres.Plain { // who has no right to make partitions can write
				dir := everything(t, tickstorm.Stocks, 50)
				require.Zero(t, sinktest.SinkAll(t, newEngine(t, cfg), dir, sink.Config{}).Dead)
			}
		})
	}
}

// relations are what a database has besides the server's own.
func relations(t *testing.T, d *database) []string {
	t.Helper()
	return d.query(t, "SELECT relname || ' ' || relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname NOT IN ('pg_catalog', 'information_schema') AND nspname NOT LIKE 'pg_t%' ORDER BY 1")
}

// TestColumns: each column of a schema is there, with its comment, but for two that have no meaning.
func TestColumns(t *testing.T) {
	ddl, err := postgres.DDL(postgres.Config{})
	require.NoError(t, err)
	for _, s := range record.Schemas() {
		_, table, ok := strings.Cut(ddl, fmt.Sprintf("CREATE TABLE IF NOT EXISTS %q.%q (", "tickstorm", s.Name))
		require.True(t, ok, s.Name)
		table, _, _ = strings.Cut(table, ";\n")
		for _, c := range s.Columns {
			if c.Name == "gap" {
				continue
			}
			require.Contains(t, table, fmt.Sprintf("\n\t%q ", c.Name), "%s.%s", s.Name, c.Name)
		}
	}
}

// TestLayouts: rows are where the layout has them.
func TestLayouts(t *testing.T) {
	dir := everything(t, tickstorm.Stocks, 2000) // around midnight
	partitions := "SELECT count(*) FROM pg_inherits WHERE inhparent = 'tickstorm.trades'::regclass"
	t.Run("plain", func(t *testing.T) {
		d := newDatabase(t)
		cfg := d.config(t)
		cfg.Layout = postgres.Plain
		e := newEngine(t, cfg)
		sinktest.SinkAll(t, e, dir, sink.Config{})
		require.Zero(t, d.count(t, partitions))
		require.Zero(t, e.Stats().Partitions)
		d.exec(t, "CREATE INDEX ON tickstorm.trades (price)") // as users do
		sameAsCSV(t, d, "tickstorm", dir)
	})
	t.Run("daily", func(t *testing.T) {
		d := newDatabase(t)
		e := newEngine(t, d.config(t))
		sinktest.SinkAll(t, e, dir, sink.Config{})
		require.Equal(t, 2, d.count(t, partitions))
		require.Equal(t, []string{"true"}, d.query(t, `SELECT (min(received_time) < '2026-11-25Z' AND (SELECT min(received_time) FROM tickstorm.trades_20261125) >= '2026-11-25Z')::text FROM tickstorm.trades_20261124`))
		rows := total(t, d, "tickstorm")
		// A day is dropped under an engine that knows it, and comes again.
		d.exec(t, "DROP TABLE tickstorm.trades_20261124")
		require.Less(t, total(t, d, "tickstorm"), rows)
		stats := sinktest.SinkAll(t, e, dir, sink.Config{MinWait: time.Millisecond})
		require.NotZero(t, stats.Retries)
		require.Equal(t, rows, total(t, d, "tickstorm"))
		// A table that only has the name of a partition is none of ours.
		d.exec(t, "ALTER TABLE tickstorm.trades DETACH PARTITION tickstorm.trades_20261124")
		again := newEngine(t, d.config(t))
		r, err := sink.NewRunner(again, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}}), sink.Config{})
		require.NoError(t, err)
		require.ErrorIs(t, r.Run(t.Context()), postgres.ErrPartition)
	})
	t.Run("monthly", func(t *testing.T) { // by somebody else
		d := newDatabase(t)
		require.NoError(t, newEngine(t, d.config(t)).Connect(t.Context()))
		d.exec(t, "CREATE TABLE tickstorm.november PARTITION OF tickstorm.trades FOR VALUES FROM ('2026-11-01Z') TO ('2026-12-01Z')")
		err := newEngine(t, d.config(t)).Write(t.Context(), batch(0, 1))
		var server *postgres.ServerError
		require.ErrorAs(t, err, &server)
		require.Equal(t, "42P17", server.Code)
		require.False(t, sink.Retryable(err))
		require.Equal(t, 1, d.count(t, partitions), "nothing was made")
	})
	t.Run("hypertable", func(t *testing.T) { // with a stand-in for the extension
		d := newDatabase(t)
		cfg := d.config(t)
		cfg.Layout = postgres.Hypertable
		err := newEngine(t, cfg).Connect(t.Context())
		require.ErrorIs(t, err, postgres.ErrTimescale)
		require.False(t, sink.Retryable(err))
		require.Empty(t, relations(t, d), "nothing was made")
		d.exec(t, `CREATE SCHEMA "time scale"; CREATE TABLE public.hypertables (name text, chunk interval);
			CREATE FUNCTION "time scale".create_hypertable(relation regclass, time_column_name name, chunk_time_interval interval, create_default_indexes boolean, if_not_exists boolean) RETURNS void
				LANGUAGE sql AS $$ INSERT INTO public.hypertables VALUES (relation::text || '.' || time_column_name, chunk_time_interval) $$;
			INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion) VALUES (987654, 'timescaledb', 10, '"time scale"'::regnamespace, false, '2')`)
		cfg.Layout = postgres.Auto
		sinktest.SinkAll(t, newEngine(t, cfg), dir, sink.Config{})
		require.Equal(t, []string{
			"tickstorm.aggregates.received_time 1 day", "tickstorm.books.received_time 1 day", "tickstorm.imbalances.received_time 1 day", "tickstorm.luld.received_time 1 day",
			"tickstorm.quotes.received_time 1 day", "tickstorm.trades.received_time 1 day", `tickstorm."values".received_time 1 day`,
		}, slices.Compact(d.query(t, "SELECT name || ' ' || chunk FROM public.hypertables ORDER BY replace(name, '\"', '')")))
		require.Zero(t, d.count(t, partitions))
		sameAsCSV(t, d, "tickstorm", dir)
	})
}

// TestDrift: a table that is another than the one that was expected is named with all that is wrong,
// and left alone, unless its columns are to be added.
func TestDrift(t *testing.T) {
	for _, c := range []struct {
		name, change string
		want         postgres.SchemaError
		says         []string
	}{
		{"missing", "ALTER TABLE tickstorm.trades DROP COLUMN price, DROP COLUMN conditions", postgres.SchemaError{Missing: []string{"price", "conditions"}}, []string{"lacks", "price, conditions"}},
		{"another type", "ALTER TABLE tickstorm.trades ALTER price TYPE numeric(12,4), ALTER symbol TYPE varchar(10)",
			postgres.SchemaError{Differ: []string{"symbol (character varying(10), not text)", "price (numeric(12,4), not double precision)"}}, []string{"numeric(12,4), not double precision"}},
		{"required", "ALTER TABLE tickstorm.trades ADD COLUMN desk text NOT NULL, ADD COLUMN fine text NOT NULL DEFAULT '', ADD COLUMN also text", postgres.SchemaError{Required: []string{"desk"}}, []string{"desk"}},
		{"no key", "ALTER TABLE tickstorm.trades DROP CONSTRAINT trades_pkey", postgres.SchemaError{Key: []string{"segment", "message_number", "element_number"}}, []string{"unique index"}},
		{"no table", "DROP TABLE tickstorm.trades; CREATE VIEW tickstorm.trades AS SELECT * FROM tickstorm.quotes", postgres.SchemaError{Kind: "view"}, []string{"view"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDatabase(t)
			cfg := d.config(t)
			cfg.Layout = postgres.Plain
			require.NoError(t, newEngine(t, cfg).Connect(t.Context()))
			d.exec(t, c.change)
			err := newEngine(t, cfg).Connect(t.Context())
			require.False(t, sink.Retryable(err))
			var schema *postgres.SchemaError
			require.ErrorAs(t, err, &schema)
			for _, text := range append(c.says, `"tickstorm"."trades"`) {
				require.Contains(t, err.Error(), text)
			}
			if c.want.Kind != "" {
				require.Equal(t, c.want.Kind, schema.Kind)
				return
			}
			c.want.Table = `"tickstorm"."trades"`
			require.Equal(t, &c.want, schema)
		})
	}
	t.Run("added", func(t *testing.T) {
		d := newDatabase(t)
		dir := everything(t, tickstorm.Stocks, 200)
		sinktest.SinkAll(t, newEngine(t, d.config(t)), dir, sink.Config{})
		d.exec(t, "ALTER TABLE tickstorm.trades DROP COLUMN price, DROP COLUMN conditions; ALTER TABLE tickstorm.gaps DROP COLUMN cause; TRUNCATE tickstorm.trades")
		cfg := d.config(t)
		cfg.AddColumns = true
		sinktest.SinkAll(t, newEngine(t, cfg), dir, sink.Config{})
		sameAsCSV(t, d, "tickstorm", dir)
		d.exec(t, "ALTER TABLE tickstorm.trades DROP COLUMN market")
		var schema *postgres.SchemaError
		require.ErrorAs(t, newEngine(t, cfg).Connect(t.Context()), &schema)
		require.Equal(t, []string{"market"}, schema.Missing, "it may not be NULL")
	})
	t.Run("under way", func(t *testing.T) { // a table is dropped, and comes back; a column is, and that is told
		d := newDatabase(t)
		dir := everything(t, tickstorm.Stocks, 200)
		e := newEngine(t, d.config(t))
		sinktest.SinkAll(t, e, dir, sink.Config{})
		rows := total(t, d, "tickstorm")
		d.exec(t, "DROP TABLE tickstorm.quotes, tickstorm.unknown")
		sinktest.SinkAll(t, e, dir, sink.Config{MinWait: time.Millisecond})
		require.Equal(t, rows, total(t, d, "tickstorm"))
		d.exec(t, "ALTER TABLE tickstorm.quotes DROP COLUMN bid_price")
		r, err := sink.NewRunner(e, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}}), sink.Config{MinWait: time.Millisecond})
		require.NoError(t, err)
		var schema *postgres.SchemaError
		require.ErrorAs(t, r.Run(t.Context()), &schema)
		require.Equal(t, []string{"bid_price"}, schema.Missing)
	})
}

// TestKeyWithoutTime: a table that was made plain takes rows from an engine whose layout is another.
func TestKeyWithoutTime(t *testing.T) {
	d := newDatabase(t)
	cfg := d.config(t)
	cfg.Layout = postgres.Plain
	require.NoError(t, newEngine(t, cfg).Connect(t.Context()))
	dir := everything(t, tickstorm.Stocks, 100)
	cfg.Layout = postgres.Daily
	sinktest.SinkAll(t, newEngine(t, cfg), dir, sink.Config{})
	sameAsCSV(t, d, "tickstorm", dir)
}

// TestMadeInPart: who may make tables in a namespace that is there, and no namespaces, has a table made
// that is missing.
func TestMadeInPart(t *testing.T) {
	d := newDatabase(t)
	cfg := d.config(t)
	role := "guest" + d.name
	d.exec(t, "CREATE SCHEMA tickstorm; CREATE ROLE "+role+" LOGIN; GRANT USAGE, CREATE ON SCHEMA tickstorm TO "+role)
	cfg.Connection.User = role
	for _, table := range []string{"all", "trades", "segments"} {
		if table != "all" {
			d.exec(t, "DROP TABLE tickstorm."+table)
		}
		require.NoError(t, newEngine(t, cfg).Connect(t.Context()), table)
	}
	require.NoError(t, newEngine(t, cfg).Write(t.Context(), batch(0, 1)))
	require.Equal(t, 1, d.count(t, "SELECT count(*) FROM tickstorm.trades"))
	cfg.Schema = "other"
	err := newEngine(t, cfg).Connect(t.Context())
	var server *postgres.ServerError
	require.ErrorAs(t, err, &server)
	require.Equal(t, "42501", server.Code, "of a namespace that is missing")
	require.False(t, sink.Retryable(err))
}

// TestTogether: engines that begin at once make the tables once.
func TestTogether(t *testing.T) {
	d := newDatabase(t)
	dir := everything(t, tickstorm.Stocks, 100)
	over := make(chan error)
	for range 4 {
		e := newEngine(t, d.config(t))
		go func() {
			r, err := sink.NewRunner(e, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}}), sink.Config{MaxRows: 16, MinWait: time.Millisecond, MaxWait: 10 * time.Millisecond})
			if err == nil {
				err = r.Run(t.Context())
			}
			over <- err
		}()
	}
	for range 4 {
		require.NoError(t, <-over)
	}
	sameAsCSV(t, d, "tickstorm", dir)
}

// TestConfig: what cannot be meant is said before anything is done.
func TestConfig(t *testing.T) {
	for name, change := range map[string]func(*postgres.Config){
		"a layout that is none":   func(c *postgres.Config) { c.Layout = 9 },
		"a schema of the server":  func(c *postgres.Config) { c.Schema = "pg_catalog" },
		"a long schema":           func(c *postgres.Config) { c.Schema = strings.Repeat("x", 64) },
		"a long prefix":           func(c *postgres.Config) { c.Prefix = strings.Repeat("x", 40) },
		"a zero byte":             func(c *postgres.Config) { c.Prefix = "\x00" },
		"a zero byte in a schema": func(c *postgres.Config) { c.Schema = "\x00" },
		"patience below zero":     func(c *postgres.Config) { c.Patience = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			var cfg postgres.Config
			change(&cfg)
			_, err := postgres.DDL(cfg)
			require.ErrorIs(t, err, postgres.ErrConfig)
		})
	}
	_, err := postgres.NewEngine(postgres.Config{})
	require.ErrorIs(t, err, postgres.ErrConfig, "no connection")
	for _, l := range []postgres.Layout{postgres.Auto, postgres.Plain, postgres.Daily, postgres.Hypertable} {
		text, err := l.MarshalText()
		require.NoError(t, err)
		var back postgres.Layout
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, l, back)
	}
	var l postgres.Layout
	require.ErrorIs(t, l.UnmarshalText([]byte("weekly")), postgres.ErrConfig)
	ddl, err := postgres.DDL(postgres.Config{Layout: postgres.Hypertable})
	require.NoError(t, err)
	require.Contains(t, ddl, `create_hypertable('"tickstorm"."trades"', 'received_time'`)
}
