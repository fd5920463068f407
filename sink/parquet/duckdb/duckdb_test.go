//go:build cgo && (linux || darwin) && (amd64 || arm64)

package duckdb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/duckdb/duckdb-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sink/parquet"
)

// days are moments on both sides of midnights of New York and of UTC; the second segment has one in it.
var days = []time.Time{
	time.Date(2026, 11, 24, 20, 0, 0, 0, time.UTC), time.Date(2026, 11, 25, 4, 59, 58, 0, time.UTC),
	time.Date(2026, 11, 25, 17, 0, 0, 0, time.UTC), time.Date(2026, 11, 26, 1, 0, 0, 0, time.UTC),
}

// recording records a market: a segment a moment.
func recording(t *testing.T, m tickstorm.Market, messages, events int) string {
	t.Helper()
	dir := t.TempDir()
	g := fixture.Generator(t, m, 1)
	for _, at := range days {
		rec, err := record.NewRecorder(record.Config{Dir: dir, Market: m, MinFree: -1, Buffer: 64 << 20, Sync: record.SyncNever, Rotate: 100 * 365 * 24 * time.Hour})
		require.NoError(t, err)
		require.NoError(t, rec.Start())
		for range messages {
			at = at.Add(100 * time.Millisecond)
			rec.OnMessage(g.AppendMessage(nil, at, events), at.UnixNano())
		}
		rec.OnMessage([]byte(`[{"ev":"ZZ","sym":"AAPL","new":[1]},{"ev":"status","status":"connected","more":{"a":"é"}}]`), at.UnixNano())
		moment := tickstorm.Moment{Received: at}
		rec.OnGap(&tickstorm.Gap{From: moment, To: moment, Cause: errors.New("EOF"), Topics: []tickstorm.Topic{{Channel: "T", Symbol: "*"}}})
		require.NoError(t, rec.Close(context.Background()))
	}
	return dir
}

// sums are what a loop over a recording finds of a symbol's trades of a day.
type sums struct {
	trades, sequence, conditions int64
	volume, value                int64 // value in units of 1e-6
	absent                       int64 // trades without a TRF
	first, last                  int64 // event times
	exact                        *big.Rat
}

// loop decodes a recording.
type loop struct {
	tickstorm.NopHandler
	zone   *time.Location
	trades map[string]*sums // by day and symbol
	events map[string]int64 // by channel and day
	levels [3]int64         // of books: how many, prices, sizes
	market tickstorm.Market
}

func (l *loop) day(e tickstorm.Event, at tickstorm.Timestamp) string {
	channel, _ := l.market.Channel(e.Head().Stream)
	day := at.Time().In(l.zone).Format(time.DateOnly)
	l.events[channel+" "+day]++
	return day
}

func (l *loop) OnTrade(e *tickstorm.Trade) {
	key := l.day(e, e.Timestamp) + " " + e.Symbol
	s := l.trades[key]
	if s == nil {
		s = &sums{exact: new(big.Rat), first: math.MaxInt64}
		l.trades[key] = s
	}
	s.trades++
	s.sequence += e.Sequence
	for _, c := range e.Conditions {
		s.conditions += int64(c)
	}
	s.volume += int64(e.Size)
	s.value += int64(math.Round(e.Price*1e6)) * int64(e.Size)
	if !e.Has.Any(tickstorm.TradeTRF) {
		s.absent++
	}
	if e.Has.Any(tickstorm.TradeSizeDecimal) {
		exact, ok := new(big.Rat).SetString(string(e.SizeDecimal.Text))
		if ok {
			s.exact.Add(s.exact, exact)
		}
	}
	s.first, s.last = min(s.first, e.Timestamp.Nanoseconds()), max(s.last, e.Timestamp.Nanoseconds())
}

func (l *loop) OnQuote(e *tickstorm.Quote)         { l.day(e, e.Timestamp) }
func (l *loop) OnAggregate(e *tickstorm.Aggregate) { l.day(e, e.Start) }

func (l *loop) OnBook(e *tickstorm.Book) {
	l.day(e, e.Timestamp)
	for _, side := range [][]tickstorm.Level{e.Bids, e.Asks} {
		for _, level := range side {
			l.levels[0]++
			l.levels[1] += int64(math.Round(level.Price * 1e4))
			l.levels[2] += int64(math.Round(level.Size * 1e4))
		}
	}
}

func decode(t *testing.T, dir string, m tickstorm.Market, zone string) *loop {
	t.Helper()
	z, err := time.LoadLocation(zone)
	require.NoError(t, err)
	l := &loop{zone: z, market: m, trades: map[string]*sums{}, events: map[string]int64{}}
	r, err := record.Open(dir)
	require.NoError(t, err)
	defer r.Close()
	p := tickstorm.NewParser(m)
	for e, err := range r.All(t.Context()) {
		require.NoError(t, err)
		if e.Raw != nil {
			require.NoError(t, p.Parse(e.Raw, l))
		}
	}
	return l
}

// database has the parts of a recording, whose folder it returns.
func database(t *testing.T, dir string, sorted bool) (*sql.DB, string) {
	t.Helper()
	to := t.TempDir()
	s, err := parquet.New(parquet.Config{From: []string{dir}, To: to, Sort: sorted, RowGroup: 3000})
	require.NoError(t, err)
	require.NoError(t, s.Run(t.Context()))
	db, err := sql.Open("duckdb", "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, err = db.ExecContext(t.Context(), "SET TimeZone = 'UTC'")
	require.NoError(t, err)
	return db, filepath.ToSlash(to)
}

// ask returns the rows of an answer, each as text.
func ask(t *testing.T, db *sql.DB, query string, args ...any) (lines []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), fmt.Sprintf(query, args...))
	require.NoError(t, err, query)
	defer rows.Close()
	names, err := rows.Columns()
	require.NoError(t, err)
	for rows.Next() {
		cells, pointers := make([]any, len(names)), make([]any, len(names))
		for i := range cells {
			pointers[i] = &cells[i]
		}
		require.NoError(t, rows.Scan(pointers...))
		lines = append(lines, strings.TrimSuffix(fmt.Sprintln(cells...), "\n"))
	}
	require.NoError(t, rows.Err())
	return lines
}

// TestSums: DuckDB finds in the parts what a loop finds in the recording, whatever market and order.
func TestSums(t *testing.T) {
	for _, c := range []struct {
		market tickstorm.Market
		zone   string
		ev     string
		sorted bool
	}{
		{tickstorm.Stocks, "America/New_York", "T", false}, {tickstorm.Stocks, "America/New_York", "T", true},
		{tickstorm.FuturesCME, "America/Chicago", "T", false}, {tickstorm.Crypto, "UTC", "XT", false},
	} {
		t.Run(fmt.Sprint(c.market, c.sorted), func(t *testing.T) {
			dir := recording(t, c.market, 40, 200)
			want := decode(t, dir, c.market, c.zone)
			db, to := database(t, dir, c.sorted)

			var events []string
			for key, n := range want.events {
				events = append(events, fmt.Sprint(key, " ", n))
			}
			slices.Sort(events)
			require.Equal(t, events, ask(t, db, `
				SELECT ev || ' ' || strftime(dt, '%%Y-%%m-%%d'), count(*)
				FROM read_parquet('%s/market=*/ev=*/dt=*/*.parquet', hive_partitioning = true, union_by_name = true)
				WHERE ev NOT IN ('gaps', 'unknown', 'status', 'LULD', 'NOI', 'FMV', 'LV') AND market = '%s'
				GROUP BY ALL ORDER BY 1`, to, c.market))
			require.NotEmpty(t, events)

			var trades []string
			for key, s := range want.trades {
				day, symbol, _ := strings.Cut(key, " ")
				vwap := "-"
				if s.volume > 0 {
					vwap = fmt.Sprintf("%.6f", float64(s.value)/1e6/float64(s.volume))
				}
				trades = append(trades, fmt.Sprint(day, " ", symbol, " ", s.trades, " ", s.sequence, " ", s.conditions, " ", s.absent, " ", s.volume, " ", s.value, " ",
					time.Unix(0, s.first).UTC().Format(time.RFC3339Nano), " ", time.Unix(0, s.last).UTC().Format(time.RFC3339Nano), " ", s.exact.FloatString(18), " ", vwap))
			}
			slices.Sort(trades)
			got := ask(t, db, `
				SELECT strftime(dt, '%%Y-%%m-%%d'), symbol, count(*), coalesce(sum(sequence_number), 0)::BIGINT, coalesce(sum(list_sum(conditions)), 0)::BIGINT,
					count(*) - count(trf_id), sum(floor(size))::BIGINT,
					sum(round(price * 1e6)::BIGINT * floor(size)::BIGINT)::VARCHAR,
					epoch_ns(min(event_time))::VARCHAR, epoch_ns(max(event_time))::VARCHAR,
					coalesce(sum(size_decimal), 0)::DECIMAL(38, 18)::VARCHAR,
					sum(round(price * 1e6)::BIGINT * floor(size)::BIGINT)::DOUBLE / 1e6 / sum(floor(size))
				FROM read_parquet('%s/market=*/ev=%s/dt=*/*.parquet', hive_partitioning = true)
				GROUP BY ALL ORDER BY 1, 2`, to, c.ev)
			for i := range got {
				cells := strings.Fields(got[i])
				for _, at := range []int{8, 9} {
					nanos, ok := new(big.Int).SetString(cells[at], 10)
					require.True(t, ok, got[i])
					cells[at] = time.Unix(0, nanos.Int64()).UTC().Format(time.RFC3339Nano)
				}
				if cells[6] == "0" {
					cells[11] = "-"
				} else {
					var vwap float64
					_, err := fmt.Sscan(cells[11], &vwap)
					require.NoError(t, err)
					cells[11] = fmt.Sprintf("%.6f", vwap)
				}
				got[i] = strings.Join(cells, " ")
			}
			require.Equal(t, trades, got)

			if c.market == tickstorm.Crypto {
				require.Equal(t, []string{fmt.Sprint(want.levels[0], " ", want.levels[1], " ", want.levels[2])}, ask(t, db, `
					SELECT count(*), sum(round(l.price * 1e4)::BIGINT)::VARCHAR, sum(round(l.size * 1e4)::BIGINT)::VARCHAR FROM (
						SELECT unnest(list_concat(bids, asks)) AS l
						FROM read_parquet('%s/market=crypto/ev=XL2/dt=*/*.parquet', hive_partitioning = true))`, to))
			}
		})
	}
}

// TestTypes: DuckDB sees the types without being told, and what is odd is there.
func TestTypes(t *testing.T) {
	db, to := database(t, recording(t, tickstorm.Stocks, 2, 200), false)
	types := ask(t, db, `SELECT column_name, column_type FROM (DESCRIBE FROM read_parquet('%s/market=stocks/ev=T/dt=*/*.parquet', hive_partitioning = true))`, to)
	for _, want := range []string{
		"price DOUBLE", "size_decimal DECIMAL(38,18)", "conditions INTEGER[]", "symbol VARCHAR", "segment VARCHAR",
		"message_number BIGINT", "dt DATE", "market VARCHAR", "ev VARCHAR", "event_time TIMESTAMP WITH TIME ZONE",
	} {
		require.Contains(t, types, want)
	}
	require.Equal(t, []string{`4 {"ev":"ZZ","sym":"AAPL","new":[1]}`}, ask(t, db, `
		SELECT count(*), min(raw) FROM read_parquet('%s/market=stocks/ev=unknown/dt=*/*.parquet')`, to))
	require.Equal(t, []string{"connected é 4"}, ask(t, db, `
		SELECT status, extra->'more'->>'a', count(*) FROM read_parquet('%s/market=stocks/ev=status/dt=*/*.parquet') GROUP BY ALL`, to))
	require.Equal(t, []string{"1 gap EOF [T.*]", "2 gap EOF [T.*]", "3 gap EOF [T.*]", "4 gap EOF [T.*]"}, ask(t, db, `
		SELECT row_number() OVER (ORDER BY gap), kind, cause, topics::VARCHAR
		FROM read_parquet('%s/market=stocks/ev=gaps/dt=*/*.parquet') WHERE kind = 'gap' ORDER BY gap`, to))
	nanos := ask(t, db, `SELECT min(epoch_ns(event_time) %% 1000), max(epoch_ns(event_time) %% 1000), max(epoch_ns(event_time) %% 1000000) > 0 FROM read_parquet('%s/market=stocks/ev=LULD/dt=*/*.parquet')`, to)
	require.Equal(t, []string{"0 0 true"}, nanos, "DuckDB keeps microseconds of nanoseconds in UTC, as the package's comment says")
	require.Equal(t, []string{"1"}, ask(t, db, `SELECT DISTINCT decode(value) FROM parquet_kv_metadata('%s/market=stocks/ev=T/dt=*/*.parquet') WHERE decode(key) = 'tickstorm.version'`, to))
}

// yesterday is the query of yesterday's VWAP, which is the same in all documents.
func yesterday(t *testing.T) (query string) {
	t.Helper()
	for _, path := range []string{"../../../docs/cli.md", "../../../README.md", "../../../cmd/tickstorm/sink_parquet.go"} {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		found := regexp.MustCompile(`SELECT symbol, [^"|`+"`"+`]*'parquet/market=stocks[^"|`+"`"+`]*?GROUP BY symbol`).FindAllString(string(text), -1)
		require.Len(t, found, 1, path)
		line := strings.Join(strings.Fields(found[0]), " ")
		if query == "" {
			query = line
		}
		require.Equal(t, query, line, path)
	}
	return query
}

// TestYesterday: the query has yesterday's trades, and no day's before and behind it, wherever it is asked;
// it reads that day's files alone. TestVWAP of sink/postgres has the like.
func TestYesterday(t *testing.T) {
	zone, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	year, month, day := time.Now().In(zone).Date()
	dir := t.TempDir()
	for _, c := range []struct {
		at       time.Time
		elements string
	}{
		{time.Date(year, month, day-2, 23, 59, 59, 999_000_000, zone), `{"ev":"T","sym":"A","p":1,"s":1000,"t":%d}`},
		{time.Date(year, month, day-1, 0, 0, 0, 0, zone), `{"ev":"T","sym":"A","p":10,"s":100,"t":%d},{"ev":"T","sym":"A","p":99,"s":0,"t":%[1]d}`},
		{time.Date(year, month, day-1, 12, 0, 0, 0, zone), `{"ev":"T","sym":"A","p":20,"s":300,"t":%[1]d},{"ev":"T","sym":"B","p":7,"s":0,"ds":"0.25","t":%[1]d},{"ev":"T","sym":"C","p":3,"s":0,"t":%[1]d}`},
		{time.Date(year, month, day-1, 23, 59, 59, 999_000_000, zone), `{"ev":"T","sym":"B","p":9,"s":1,"ds":"0.75","t":%d}`},
		{time.Date(year, month, day, 0, 0, 0, 0, zone), `{"ev":"T","sym":"A","p":1,"s":1000,"t":%d}`},
	} {
		rec, err := record.NewRecorder(record.Config{Dir: dir, Market: tickstorm.Stocks, MinFree: -1, Sync: record.SyncNever})
		require.NoError(t, err)
		require.NoError(t, rec.Start())
		rec.OnMessage([]byte("["+fmt.Sprintf(c.elements, c.at.UnixMilli())+"]"), c.at.Add(time.Millisecond).UnixNano())
		require.NoError(t, rec.Close(context.Background()))
	}
	db, to := database(t, dir, false)
	_, err = db.ExecContext(t.Context(), "SET TimeZone = 'Asia/Tokyo'")
	require.NoError(t, err)
	query := strings.ReplaceAll(yesterday(t), "'parquet/", "'"+strings.ReplaceAll(to, "'", "''")+"/")
	rows, err := db.QueryContext(t.Context(), query)
	require.NoError(t, err)
	defer rows.Close()
	got := map[string]sql.NullFloat64{}
	for rows.Next() {
		var symbol string
		var vwap sql.NullFloat64
		require.NoError(t, rows.Scan(&symbol, &vwap))
		got[symbol] = vwap
	}
	require.NoError(t, rows.Err())
	require.Equal(t, map[string]sql.NullFloat64{"A": {Float64: 17.5, Valid: true}, "B": {Float64: 8.5, Valid: true}, "C": {}}, got)
	plan := strings.Join(ask(t, db, "%s", "EXPLAIN ANALYZE "+query), "\n")
	require.Regexp(t, `Total Files Read: 3\b`, plan, "the segments of that day")
}
