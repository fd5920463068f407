package postgres_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/internal/cputime"
	"github.com/tickstorm/tickstorm/internal/pgserver"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
)

// benchEvents is how many events a round has.
const benchEvents = 200_000

// ready is what the tables have, as rows and as COPY's bytes, in batches of the runner's size.
type ready struct {
	columns map[string][]string
	batches []map[string]readyRows
}

type readyRows struct {
	rows  [][]any
	bytes []byte
}

var benchTables = []string{"trades", "quotes", "aggregates", "statuses"}

func newReady(b *testing.B, d *database) *ready {
	b.Helper()
	r := &ready{columns: map[string][]string{}}
	d.exec(b, `CREATE TEMPORARY TABLE numbered AS SELECT message_number, element_number, (row_number() OVER (ORDER BY message_number, element_number) - 1) / 4096 AS batch
		FROM (SELECT message_number, element_number FROM tickstorm.trades UNION ALL SELECT message_number, element_number FROM tickstorm.quotes
			UNION ALL SELECT message_number, element_number FROM tickstorm.aggregates UNION ALL SELECT message_number, element_number FROM tickstorm.statuses) x`)
	r.batches = make([]map[string]readyRows, d.count(b, "SELECT max(batch) + 1 FROM numbered"))
	for i := range r.batches {
		r.batches[i] = map[string]readyRows{}
	}
	for _, table := range benchTables {
		for i := range r.batches {
			query := fmt.Sprintf("SELECT t.* FROM tickstorm.%s t JOIN numbered n USING (message_number, element_number) WHERE n.batch = %d ORDER BY message_number, element_number", table, i)
			rows, err := d.Query(b.Context(), query)
			require.NoError(b, err)
			var all [][]any
			for rows.Next() {
				values, err := rows.Values()
				require.NoError(b, err)
				all = append(all, values)
			}
			require.NoError(b, rows.Err())
			if len(all) == 0 {
				continue
			}
			r.columns[table] = nil
			for _, f := range rows.FieldDescriptions() {
				r.columns[table] = append(r.columns[table], f.Name)
			}
			var data bytes.Buffer
			_, err = d.PgConn().CopyTo(b.Context(), &data, "COPY ("+query+") TO STDOUT (FORMAT binary)")
			require.NoError(b, err)
			r.batches[i][table] = readyRows{all, data.Bytes()}
		}
	}
	d.exec(b, "DROP TABLE numbered")
	return r
}

// store stores what is ready with the same two statements in the same transactions.
func (r *ready) store(b *testing.B, d *database, raw bool) (stored int) {
	b.Helper()
	for table := range r.columns {
		d.exec(b, fmt.Sprintf("CREATE TEMPORARY TABLE IF NOT EXISTS stage_%s (LIKE tickstorm.%[1]s) ON COMMIT DELETE ROWS", table))
	}
	for _, batch := range r.batches {
		d.exec(b, "BEGIN")
		var inserts strings.Builder
		for table, ready := range batch {
			var err error
			if raw {
				_, err = d.PgConn().CopyFrom(b.Context(), bytes.NewReader(ready.bytes), fmt.Sprintf("COPY stage_%s FROM STDIN (FORMAT binary)", table))
			} else {
				_, err = d.CopyFrom(b.Context(), pgx.Identifier{"stage_" + table}, r.columns[table], pgx.CopyFromRows(ready.rows))
			}
			require.NoError(b, err)
			fmt.Fprintf(&inserts, "INSERT INTO tickstorm.%s SELECT * FROM stage_%[1]s ON CONFLICT DO NOTHING;", table)
			stored += len(ready.rows)
		}
		d.exec(b, inserts.String()+"COMMIT")
	}
	return stored
}

// processor is how much processor time a server has taken, in all its processes, where /proc says it.
func processor(b *testing.B, s *pgserver.Server) (spent time.Duration) {
	b.Helper()
	text, err := os.ReadFile(filepath.Join(s.Socket(), "data", "postmaster.pid"))
	require.NoError(b, err)
	server, _, _ := strings.Cut(string(text), "\n")
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(b, err)
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest) // state, parent, ..., then from the 12th on times of it and its children that have ended
		if own := path == "/proc/"+server+"/stat"; own || len(fields) > 14 && fields[1] == server {
			for i, text := range fields[11:15] {
				ticks, err := strconv.Atoi(text)
				require.NoError(b, err)
				if own || i < 2 {
					spent += time.Duration(ticks) * 10 * time.Millisecond
				}
			}
		}
	}
	return spent
}

// BenchmarkInRatio compares what goes from a recording into tables with the same two statements that
// are given ready rows, and ones that are given ready bytes, in turns. The server is as it comes, fsync
// and all. It says too what a million events cost in processor seconds, here and in the server.
func BenchmarkInRatio(b *testing.B) {
	s, err := pgserver.Start("fsync=on", "shared_buffers=256MB", "max_wal_size=4GB", "autovacuum=off")
	if err != nil {
		pgserver.Skip(b, err)
	}
	defer s.Stop()
	d := databaseOn(b, s, "bench")
	dir := sinktest.Corpus(b, benchEvents)
	empty := func() {
		for _, table := range append(benchTables, "gaps", "unknown") {
			d.exec(b, "TRUNCATE tickstorm."+table)
		}
		d.exec(b, "CHECKPOINT")
	}
	rows := sinktest.SinkAll(b, newEngine(b, d.config(b)), dir, sink.Config{}).Rows
	r := newReady(b, d)
	bytes := d.count(b, "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relnamespace = 'tickstorm'::regnamespace AND relkind IN ('r')")
	var ours, theirs, raw, sinks, servers []float64
	for b.Loop() {
		empty()
		e := newEngine(b, d.config(b))
		require.NoError(b, e.Connect(b.Context()))
		here, there := cputime.Used(), processor(b, s)
		began := time.Now()
		n := sinktest.SinkAll(b, e, dir, sink.Config{}).Rows
		ours = append(ours, float64(n)/time.Since(began).Seconds())
		sinks = append(sinks, (cputime.Used()-here).Seconds()/float64(n)*1e6)
		servers = append(servers, (processor(b, s)-there).Seconds()/float64(n)*1e6)
		for _, bare := range []bool{false, true} {
			empty()
			began = time.Now()
			stored := r.store(b, d, bare)
			rate := float64(stored) / time.Since(began).Seconds()
			if bare {
				raw = append(raw, rate)
			} else {
				theirs = append(theirs, rate)
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(sinktest.Median(ours), "rows/s")
	b.ReportMetric(sinktest.Median(theirs), "ready-rows/s")
	b.ReportMetric(sinktest.Median(raw), "ready-bytes/s")
	b.ReportMetric(sinktest.Median(ours)/sinktest.Median(theirs), "ratio")
	b.ReportMetric(sinktest.Median(ours)/sinktest.Median(raw), "ratio-bytes")
	b.ReportMetric(sinktest.Median(sinks), "sink-s/M")
	b.ReportMetric(sinktest.Median(servers), "server-s/M")
	b.ReportMetric(float64(bytes)/float64(rows), "bytes/row")
}
