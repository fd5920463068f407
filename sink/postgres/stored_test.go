package postgres_test

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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

// TestStored: what is in the tables is what record.CSV makes of the same recording, cell by cell.
func TestStored(t *testing.T) {
	d := newDatabase(t)
	for _, m := range tickstorm.Markets() {
		t.Run(strings.ReplaceAll(string(m), "/", "-"), func(t *testing.T) {
			dir := everything(t, m, 400)
			cfg := d.config(t)
			cfg.Schema = "t " + string(m) // a name that needs quotes
			stats := sinktest.SinkAll(t, newEngine(t, cfg), dir, sink.Config{MaxRows: 100})
			require.NotZero(t, stats.Rows)
			require.Zero(t, stats.Dead)
			sameAsCSV(t, d, cfg.Schema, dir)
		})
	}
}

// sameAsCSV compares tables with files.
func sameAsCSV(t *testing.T, d *database, schema, dir string) {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "csv")
	r, err := record.Open(dir)
	require.NoError(t, err)
	_, err = record.CSV(t.Context(), folder, r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	for _, s := range record.Schemas() {
		if s.Name == "gaps" {
			continue // which has what else is noted as well, and numbers in the file
		}
		want := readCSV(t, filepath.Join(folder, s.Name+".csv"))
		var columns []*record.Column
		var expressions []string
		for i := range s.Columns {
			if c := &s.Columns[i]; c.Name != "gap" {
				columns, expressions = append(columns, c), append(expressions, expression(s, c))
			}
		}
		sql := fmt.Sprintf(`SELECT array_to_string(ARRAY[%s], E'\x1f', '') FROM %q.%q ORDER BY segment, message_number, element_number`, strings.Join(expressions, ", "), schema, s.Name)
		got := d.query(t, sql)
		require.Len(t, got, len(want), "%s", s.Name)
		for i, row := range got {
			cells := strings.Split(row, "\x1f")
			require.Len(t, cells, len(columns))
			for j, c := range columns {
				require.Equal(t, number(t, c, want[i][c.Name]), number(t, c, cells[j]), "%s.%s of row %d", s.Name, c.Name, i)
			}
		}
	}
}

// expression has a column's value as CSV writes it.
func expression(s *record.Schema, c *record.Column) string {
	name := strconv.Quote(c.Name)
	switch c.Type {
	case record.ColumnTime:
		if c.Name == "received_time" {
			return "received_ns::text"
		}
		switch s.Kind {
		case tickstorm.KindLULD, tickstorm.KindImbalance, tickstorm.KindValue:
			return "event_ns::text"
		}
		return fmt.Sprintf(`(extract(epoch FROM %s) * 1000000000)::bigint::text`, name)
	case record.ColumnIntegers, record.ColumnLevels:
		return fmt.Sprintf("array_to_json(%s)::text", name)
	}
	return name + "::text"
}

// number is a cell with its numbers read, where their texts may differ.
func number(t *testing.T, c *record.Column, cell string) any {
	t.Helper()
	if cell == "" || c.Type != record.ColumnFloat && c.Type != record.ColumnLevels {
		return cell
	}
	var v any
	require.NoError(t, json.Unmarshal([]byte(cell), &v))
	return v
}

func readCSV(t *testing.T, path string) (rows []map[string]string) {
	t.Helper()
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	require.NoError(t, err)
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	for _, cells := range all[1:] {
		row := map[string]string{}
		for i, name := range all[0] {
			row[name] = cells[i]
		}
		rows = append(rows, row)
	}
	return rows
}

var at = time.Date(2026, time.November, 25, 15, 0, 0, 123_456_789, time.UTC)

// TestTwice: rows that come again are not there twice, and notices neither.
func TestTwice(t *testing.T) {
	d := newDatabase(t)
	dir := everything(t, tickstorm.Stocks, 300)
	e := newEngine(t, d.config(t))
	first := sinktest.SinkAll(t, e, dir, sink.Config{MaxRows: 64})
	done := e.Stats()
	require.Zero(t, done.Repeated)
	require.EqualValues(t, first.Rows, done.Rows)
	require.Positive(t, done.Notices)
	again := newEngine(t, d.config(t))
	require.Equal(t, first.Rows, sinktest.SinkAll(t, again, dir, sink.Config{MaxRows: 50}).Rows)
	require.Zero(t, again.Stats().Rows)
	require.EqualValues(t, first.Rows, again.Stats().Repeated)
	require.EqualValues(t, first.Rows, total(t, d, "tickstorm"))
	require.Equal(t, []string{"EOF", "EOF", "EOF"}, d.query(t, "SELECT cause FROM tickstorm.gaps WHERE missing ORDER BY message_number, element_number"))
	require.Equal(t, []string{"{T.*}"}, d.query(t, "SELECT DISTINCT topics::text FROM tickstorm.gaps WHERE missing"))
	require.Equal(t, []string{"true"}, d.query(t, "SELECT DISTINCT (from_event_ns = from_received_ns AND to_event_ns IS NULL AND extract(epoch FROM to_received_time) * 1000000 = to_received_ns / 1000)::text FROM tickstorm.gaps WHERE missing"))
}

// total is how many rows there are in all tables.
func total(t *testing.T, d *database, schema string) (n int) {
	t.Helper()
	for _, s := range record.Schemas() {
		n += d.count(t, fmt.Sprintf("SELECT count(*) FROM %q.%q", schema, s.Name))
	}
	return n
}

// TestValues: what is seldom in a feed is stored as it is, or told.
func TestValues(t *testing.T) {
	d := newDatabase(t)
	for _, c := range []struct {
		name, element, columns, want, unreadable string
	}{
		{"absent and null", `{"ev":"T","sym":"A","p":null}`, "price IS NULL, size IS NULL, conditions IS NULL, event_time IS NULL", "t t t t", ""},
		{"an empty list", `{"ev":"T","sym":"A","c":[]}`, "conditions", "{}", ""},
		{"conditions", `{"ev":"T","sym":"A","c":[12,-37,2147483647]}`, "conditions", "{12,-37,2147483647}", ""},
		{"a decimal keeps its digits", `{"ev":"T","sym":"A","ds":"0.740474000"}`, "size_decimal", "0.740474000", ""},
		{"a long decimal", `{"ev":"T","sym":"A","ds":"123456789012345678901234567890.00012"}`, "size_decimal", "123456789012345678901234567890.00012", ""},
		{"a decimal with an exponent", `{"ev":"T","sym":"A","ds":"-12.5e3"}`, "size_decimal", "-12500", ""},
		{"a decimal too long", `{"ev":"T","sym":"A","ds":"1e400000"}`, "size_decimal IS NULL", "t", "size_decimal"},
		{"a text with zero bytes", `{"ev":"T","sym":"A\u0000B","i":"1\u00002","p":1}`, "symbol IS NULL, trade_id IS NULL, price", "t t 1", "symbol trade_id"},
		{"an id with a quote", `{"ev":"T","sym":"A'\"\\;--","i":"00220725"}`, "symbol, trade_id", `A'"\;-- 00220725`, ""},
		{"text of all planes", `{"ev":"T","sym":"\u00e9\ud83d\ude00"}`, "symbol", "é😀", ""},
		{"what does not fit its field", `{"ev":"T","sym":"A","p":"much","s":2}`, "price IS NULL, size", "t 2", "price"},
		{"milliseconds", `{"ev":"T","sym":"A","t":1764082800123}`, "extract(epoch FROM event_time)", "1764082800.123000", ""},
		{"microseconds", `{"ev":"T","sym":"A","t":1764082800123456}`, "extract(epoch FROM event_time)", "1764082800.123456", ""},
		{"nanoseconds where there is no room", `{"ev":"T","sym":"A","t":1764082800123456789}`, "extract(epoch FROM event_time)", "1764082800.123456", "event_time"},
		{"nanoseconds", `{"ev":"LULD","T":"A","t":1764082800123456789,"h":2}`, "extract(epoch FROM event_time), event_ns, upper_band", "1764082800.123456 1764082800123456789 2", ""},
		{"beyond what nanoseconds reach", `{"ev":"T","sym":"A","t":99999999999999,"pt":-99999999999999,"trft":99999999999999999}`, "event_time, participant_time, trf_time", "5138-11-16 09:46:39.999+00 1200-02-15 14:13:20.001+00 BC 5138-11-16 09:46:39.999999+00", ""},
		{"integers at their ends", `{"ev":"T","sym":"A","q":9223372036854775807,"x":-2147483648,"trfi":-9223372036854775808}`, "sequence_number, exchange, trf_id", "9223372036854775807 -2147483648 -9223372036854775808", ""},
		{"floats at their ends", `{"ev":"T","sym":"A","p":1.7976931348623157e308,"s":5e-324}`, "price, size", "1.7976931348623157e+308 5e-324", ""},
		{"otc", `{"ev":"A","sym":"A","otc":true,"s":1764082800000}`, "over_the_counter, extract(epoch FROM start_time)", "t 1764082800.000000", ""},
		{"an auction", `{"ev":"NOI","T":"A","a":"M","o":480,"t":1764082800123456789}`, "auction, imbalance, event_ns", "M 480 1764082800123456789", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := d.config(t)
			cfg.Schema = "values"
			d.exec(t, `DROP SCHEMA IF EXISTS "values" CASCADE`)
			e := newEngine(t, cfg)
			sinktest.SinkAll(t, e, write(t, tickstorm.Stocks, at, "["+c.element+"]"), sink.Config{})
			name := "trades"
			for ev, other := range map[string]string{"A": "aggregates", "LULD": "luld", "NOI": "imbalances"} {
				if strings.HasPrefix(c.element, `{"ev":"`+ev+`"`) {
					name = other
				}
			}
			d.exec(t, "SET timezone = 'UTC'")
			row := d.query(t, fmt.Sprintf(`SELECT concat_ws(' ', %s) FROM "values".%q`, c.columns, name))
			require.Equal(t, []string{c.want}, row)
			unreadable, unknown := []string{}, []string{}
			if c.unreadable != "" {
				unreadable, unknown = []string{c.unreadable}, []string{"does not fit: " + c.unreadable + "|" + c.element}
			}
			require.Equal(t, unreadable, d.query(t, fmt.Sprintf(`SELECT unreadable FROM "values".%q WHERE unreadable IS NOT NULL`, name)))
			require.Equal(t, unknown, d.query(t, `SELECT error || '|' || raw FROM "values".unknown`))
			require.EqualValues(t, len(unreadable), e.Stats().Unreadable)
		})
	}
}

// TestBooks: levels are pairs of price and size.
func TestBooks(t *testing.T) {
	d := newDatabase(t)
	sinktest.SinkAll(t, newEngine(t, d.config(t)), write(t, tickstorm.Crypto, at,
		`[{"ev":"XL2","pair":"BTC-USD","b":[[101.5,2],[101.25,0.5]],"a":[],"x":1}]`), sink.Config{})
	require.Equal(t, []string{"{{101.5,2},{101.25,0.5}} {} 101.25"}, d.query(t, "SELECT concat_ws(' ', bids, asks, bids[2][1]) FROM tickstorm.books"))
}

// TestDecimals: the server reads the decimals that it is given as it reads their texts.
func TestDecimals(t *testing.T) {
	d := newDatabase(t)
	random := sinktest.Random(1)
	var elements []string
	var want []string
	for range 2000 {
		var b strings.Builder
		if random.IntN(3) == 0 {
			b.WriteByte('-')
		}
		digits := func(most int, zero bool) {
			for i := range 1 + random.IntN(most) {
				n := random.IntN(10)
				if random.IntN(3) == 0 {
					n = 0
				}
				if i == 0 && !zero && n == 0 {
					n = 1
				}
				b.WriteByte(byte('0' + n))
			}
		}
		if random.IntN(4) == 0 {
			b.WriteByte('0')
		} else {
			digits(30, false)
		}
		if random.IntN(4) > 0 {
			b.WriteByte('.')
			digits(30, true)
		}
		if random.IntN(3) == 0 {
			fmt.Fprintf(&b, "e%d", random.IntN(61)-30)
		}
		want = append(want, b.String())
		elements = append(elements, fmt.Sprintf(`{"ev":"T","sym":"A","ds":%q}`, b.String()))
	}
	sinktest.SinkAll(t, newEngine(t, d.config(t)), write(t, tickstorm.Stocks, at, "["+strings.Join(elements, ",")+"]"), sink.Config{})
	got := d.query(t, "SELECT size_decimal::text FROM tickstorm.trades ORDER BY element_number")
	require.Len(t, got, len(want))
	for i, text := range want {
		same := d.query(t, "SELECT $1::text::numeric::text", text)
		require.Equal(t, same[0], got[i], text)
		x, ok := new(big.Rat).SetString(text)
		require.True(t, ok)
		y, ok := new(big.Rat).SetString(got[i])
		require.True(t, ok)
		require.Zero(t, x.Cmp(y))
	}
}

// TestUnknown: what has no columns is told and, but for members, kept.
func TestUnknown(t *testing.T) {
	d := newDatabase(t)
	elements := []string{`{"ev":"NEW","sym":"A","x":[1]}`, `{"ev":"T","sym":"A","p":1,"later":5,"moon":"full"}`, `7`, `{"sym":"A"}`, `{"ev":"T","sym":"A",}`}
	e := newEngine(t, d.config(t))
	dir := write(t, tickstorm.Stocks, at, "["+strings.Join(elements, ",")+"]", `{"ev":"T"} 5`, `no json`, `[{"ev":"T","sym":"C","p":2} 7]`, `[{"ev":"T","sym":"B"`)
	stats := sinktest.SinkAll(t, e, dir, sink.Config{})
	require.Zero(t, stats.Dead)
	require.Equal(t, []string{"1"}, d.query(t, "SELECT price::text FROM tickstorm.trades"))
	require.EqualValues(t, 2, e.Stats().UnknownKeys)
	raw := d.query(t, "SELECT raw FROM tickstorm.unknown ORDER BY message_number, element_number")
	require.Equal(t, slices.Concat(elements[:1], elements[2:], []string{`{"ev":"T"} 5`, `no json`, `{"ev":"T","sym":"C","p":2} 7`, `{"ev":"T","sym":"B"`}), raw)
	require.Equal(t, len(raw)-1, d.count(t, "SELECT count(error) FROM tickstorm.unknown"))
	require.EqualValues(t, len(raw), e.Stats().Unknown)
}

// TestPoison: rows that no table takes go to the dead letters, whether we see why or the server says
// it, and all others are stored.
func TestPoison(t *testing.T) {
	d := newDatabase(t)
	long := make([]byte, 5000) // longer than an entry of an index, and not to be compressed
	random := sinktest.Random(2)
	for i := range long {
		long[i] = byte('A' + random.IntN(26))
	}
	poison := []string{
		"{\"ev\":\"T\",\"sym\":\"A\",\"i\":\"\xff\"}", // not UTF-8
		`{"ev":"T","sym":"` + string(long) + `"}`,
		`{"ev":"T","sym":"AAPL","p":-4711}`, // which a constraint refuses
		`{"ev":"T","sym":"AAPL","p":-815}`,  // which a trigger refuses
		"{\"ev\":\"T\",\"sym\":\"A\x00\"}",
	}
	var elements []string
	for i := range 500 {
		elements = append(elements, fmt.Sprintf(`{"ev":"T","sym":"AAPL","p":%d}`, i))
		if i%100 == 50 {
			elements = append(elements, poison[i/100])
		}
	}
	cfg := d.config(t)
	require.NoError(t, newEngine(t, cfg).Connect(t.Context()))
	d.exec(t, `ALTER TABLE tickstorm.trades ADD CHECK (price <> -4711);
		CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.price = -815 THEN RAISE 'not this one'; END IF; RETURN NEW; END $$;
		CREATE TRIGGER refuse BEFORE INSERT ON tickstorm.trades FOR EACH ROW EXECUTE FUNCTION refuse()`)
	dead := filepath.Join(t.TempDir(), "dead")
	var messages []string
	for i := range elements {
		messages = append(messages, "["+elements[i]+"]")
	}
	stats := sinktest.SinkAll(t, newEngine(t, cfg), write(t, tickstorm.Stocks, at, messages...), sink.Config{DeadLetters: dead})
	text, err := os.ReadFile(dead)
	require.NoError(t, err)
	require.EqualValues(t, len(poison), stats.Dead, "%s", text)
	require.Equal(t, 500, d.count(t, "SELECT count(*) FROM tickstorm.trades"))
	require.Equal(t, 500, d.count(t, "SELECT count(DISTINCT price) FROM tickstorm.trades"))
	for _, why := range []string{"not a text", "index row size", "violates check constraint", "not this one"} {
		require.Contains(t, string(text), why)
	}
	require.Zero(t, stats.Retries)
}

// TestRange: numbers that no column has room for are poison, and not others.
func TestRange(t *testing.T) {
	d := newDatabase(t)
	e := newEngine(t, d.config(t))
	row := func(message, element uint64) sink.Row {
		return sink.Row{ID: sink.ID{Cursor: record.Cursor{Segment: "stocks-20261125T143000.000Z-000001", Sequence: message, Element: element}},
			Market: tickstorm.Stocks, Channel: "T", Symbol: "A", Received: at.UnixNano(), Raw: []byte(`{"ev":"T","sym":"A"}`)}
	}
	require.NoError(t, e.Write(t.Context(), &sink.Batch{Rows: []sink.Row{row(1<<63-1, 1<<31-1)}}))
	var poison *sink.PoisonError
	require.ErrorAs(t, e.Write(t.Context(), &sink.Batch{Rows: []sink.Row{row(1, 1), row(1<<63, 0)}}), &poison)
	require.Equal(t, 1, poison.Row)
	require.ErrorIs(t, poison, postgres.ErrRange)
	require.Equal(t, 1, d.count(t, "SELECT count(*) FROM tickstorm.trades"))
}

// TestTwoInOne: a row that holds two elements, or one with something behind it, is none.
func TestTwoInOne(t *testing.T) {
	d := newDatabase(t)
	e := newEngine(t, d.config(t))
	raws := []string{`{"ev":"T","sym":"A","p":1},{"ev":"Q","sym":"B"}`, `{"ev":"T","sym":"A"}]`, `{"ev":"T","sym":"A"}],[7`}
	b := batch(0, len(raws))
	for i, raw := range raws {
		b.Rows[i].Raw = []byte(raw)
	}
	require.NoError(t, e.Write(t.Context(), b))
	require.Equal(t, raws, d.query(t, "SELECT raw FROM tickstorm.unknown ORDER BY message_number"))
	require.Equal(t, len(raws), d.count(t, "SELECT count(error) FROM tickstorm.unknown"))
	require.Equal(t, len(raws), total(t, d, "tickstorm"))
	require.EqualValues(t, len(raws), e.Stats().Unknown)
}
