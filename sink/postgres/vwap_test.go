package postgres_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
)

// TestVWAP: the query of docs/cli.md has yesterday's trades, and no day's before and behind it.
func TestVWAP(t *testing.T) {
	text, err := os.ReadFile("../../docs/cli.md")
	require.NoError(t, err)
	_, query, ok := strings.Cut(string(text), "```sql\n")
	require.True(t, ok)
	query, _, _ = strings.Cut(query, "```")
	zone, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	year, month, day := time.Now().In(zone).Date()
	d := newDatabase(t)
	e := newEngine(t, d.config(t))
	for _, c := range []struct {
		at       time.Time
		elements string
	}{
		{time.Date(year, month, day-2, 23, 59, 59, 999_000_000, zone), `{"ev":"T","sym":"A","p":1,"s":1000,"t":%d}`},
		{time.Date(year, month, day-1, 0, 0, 0, 0, zone), `{"ev":"T","sym":"A","p":10,"s":100,"t":%d}`},
		{time.Date(year, month, day-1, 12, 0, 0, 0, zone), `{"ev":"T","sym":"A","p":20,"s":300,"t":%[1]d},{"ev":"T","sym":"B","p":7,"s":0,"ds":"0.25","t":%[1]d}`},
		{time.Date(year, month, day-1, 23, 59, 59, 999_000_000, zone), `{"ev":"T","sym":"B","p":9,"s":1,"ds":"0.75","t":%d}`},
		{time.Date(year, month, day, 0, 0, 0, 0, zone), `{"ev":"T","sym":"A","p":1,"s":1000,"t":%d}`},
	} {
		sinktest.SinkAll(t, e, write(t, tickstorm.Stocks, c.at.Add(time.Millisecond), "["+fmt.Sprintf(c.elements, c.at.UnixMilli())+"]"), sink.Config{})
	}
	rows, err := d.Query(t.Context(), query)
	require.NoError(t, err)
	type vwap struct {
		Symbol string
		VWAP   float64
	}
	got, err := pgx.CollectRows(rows, pgx.RowToStructByPos[vwap])
	require.NoError(t, err)
	require.Equal(t, []vwap{{"A", 17.5}, {"B", 8.5}}, got)
	days := d.query(t, "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) "+query)
	read := 0
	for _, line := range days {
		if strings.Contains(line, " on trades_2") && !strings.Contains(line, "never executed") {
			read++
		}
	}
	require.LessOrEqual(t, read, 2*2, "a day here is two of UTC, each read by a bitmap of an index at most:\n%s", strings.Join(days, "\n"))
}
