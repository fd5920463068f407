package parquet_test

import (
	"encoding/json"
	"math/big"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink/parquet"
)

// TestLayout: a row is where its market, channel and day say, and the day is the exchange's.
func TestLayout(t *testing.T) {
	for _, c := range []struct {
		market  tickstorm.Market
		element string
		want    string
	}{
		{tickstorm.Stocks, `{"ev":"T","sym":"A","t":1795626000000}`, "market=stocks/ev=T/dt=2026-11-25"},
		{tickstorm.Stocks, `{"ev":"T","sym":"A","t":1795582799999}`, "market=stocks/ev=T/dt=2026-11-24"},
		{tickstorm.Stocks, `{"ev":"T","sym":"A","t":1795582800000}`, "market=stocks/ev=T/dt=2026-11-25"},
		{tickstorm.Stocks, `{"ev":"T","sym":"A"}`, "market=stocks/ev=T/dt=2026-11-25"},
		{tickstorm.Stocks, `{"ev":"T","sym":"A","t":1}`, "market=stocks/ev=T/dt=2026-11-25"},
		{tickstorm.Stocks, `{"ev":"AM","sym":"A","s":1795582740000,"e":1795582800000}`, "market=stocks/ev=AM/dt=2026-11-24"},
		{tickstorm.Stocks, `{"ev":"status","status":"connected"}`, "market=stocks/ev=status/dt=2026-11-25"},
		{tickstorm.Stocks, `{"ev":"../x","status":"connected"}`, "market=stocks/ev=unknown/dt=2026-11-25"},
		{tickstorm.Crypto, `{"ev":"XT","pair":"BTC-USD","t":1795582799999}`, "market=crypto/ev=XT/dt=2026-11-25"},
		{tickstorm.FuturesCME, `{"ev":"T","sym":"ESZ6","t":1795582800000}`, "market=futures%2Fcme/ev=T/dt=2026-11-24"},
		{"bonds/new", `{"ev":"T","sym":"A"}`, "market=bonds%2Fnew/ev=unknown/dt=2026-11-25"},
	} {
		dir, to := t.TempDir(), t.TempDir()
		tp := newTape(t, dir, c.market, 1, "none")
		tp.raw("[" + c.element + "]")
		tp.end()
		convert(t, parquet.Config{From: []string{dir}, To: to})
		for _, path := range partsIn(t, to) {
			where, err := filepath.Rel(to, filepath.Dir(path))
			require.NoError(t, err)
			if !strings.Contains(where, "ev=gaps") {
				require.Equal(t, c.want, filepath.ToSlash(where), c.element)
			}
		}
		require.NotEmpty(t, partsIn(t, to))
	}
}

// TestBounds: however little memory and however few files there may be, all rows are there.
func TestBounds(t *testing.T) {
	dir := recording(t, tickstorm.Stocks, 2, 30, 30)
	for _, cfg := range []parquet.Config{
		{RowGroup: 1, MaxOpen: 1}, {RowGroup: 50, MaxOpen: 9}, {Memory: 1}, {Memory: 50_000}, {Sort: true}, {Sort: true, RowGroup: 33},
	} {
		cfg.From, cfg.To = []string{dir}, t.TempDir()
		if cfg.RowGroup == 1 {
			cfg.From = []string{recording(t, tickstorm.Stocks, 1, 4, 15)}
		}
		convert(t, cfg)
		requireEqualsCSV(t, cfg.From[0], cfg.To)
		for _, path := range partsIn(t, cfg.To) {
			for _, g := range openPart(t, path).RowGroups() {
				if cfg.RowGroup > 0 {
					require.LessOrEqual(t, g.NumRows(), int64(cfg.RowGroup))
				}
				if cfg.Memory == 1 {
					require.LessOrEqual(t, g.NumRows(), int64(1024))
				}
			}
		}
	}
}

// TestManyGroups: a part has no more row groups than a footer should have.
func TestManyGroups(t *testing.T) {
	dir, to := t.TempDir(), t.TempDir()
	tp := newTape(t, dir, tickstorm.Indices, 1, "V")
	tp.say(5, 100)
	tp.end()
	cfg := parquet.Config{From: []string{dir}, To: to, RowGroup: 10}
	cfg.Groups(40)
	convert(t, cfg)
	parts, err := filepath.Glob(filepath.Join(to, "market=indices", "ev=V", "dt=*", "*"))
	require.NoError(t, err)
	require.Len(t, parts, 2)
	require.Len(t, openPart(t, parts[0]).RowGroups(), 40)
	require.Len(t, openPart(t, parts[1]).RowGroups(), 10)
}

// TestSort: each row group is in the order that it says to be in.
func TestSort(t *testing.T) {
	to := t.TempDir()
	convert(t, parquet.Config{From: []string{recording(t, tickstorm.Stocks, 1, 60, 60)}, To: to, Sort: true, RowGroup: 500})
	sorted := 0
	for _, path := range partsIn(t, to) {
		open := openPart(t, path)
		rows := readPart(t, path)
		for _, g := range open.RowGroups() {
			group := rows[:g.NumRows()]
			rows = rows[g.NumRows():]
			columns := g.SortingColumns()
			if len(columns) == 0 {
				require.Contains(t, []string{"statuses", "unknown", "gaps"}, open.Schema().Name())
				continue
			}
			require.Equal(t, []string{"symbol"}, columns[0].Path())
			when := columns[1].Path()[0]
			sorted++
			require.True(t, slices.IsSortedFunc(group, func(a, b row) int {
				if by := strings.Compare(a["symbol"], b["symbol"]); by != 0 {
					return by
				}
				x, _ := strconv.Atoi(a[when])
				y, _ := strconv.Atoi(b[when])
				return x - y
			}), path)
		}
	}
	require.Greater(t, sorted, 5)
}

// TestFooter: a part says by itself what it is of.
func TestFooter(t *testing.T) {
	dir, to := recording(t, tickstorm.Stocks, 2, 20, 20, "T"), t.TempDir()
	convert(t, parquet.Config{From: []string{dir}, To: to})
	for n, path := range slices.DeleteFunc(partsIn(t, to), func(p string) bool { return !strings.Contains(p, "ev=T") }) {
		open := openPart(t, path)
		value := func(key string) string {
			text, ok := open.Lookup("tickstorm." + key)
			require.True(t, ok, key)
			return text
		}
		require.Equal(t, "stocks T 2026-11-25 America/New_York 1", strings.Join([]string{value("market"), value("ev"), value("day"), value("zone"), value("version")}, " "))
		var segments []struct {
			Name  string
			Rows  int64
			First uint64 `json:"first_message"`
			Last  uint64 `json:"last_message"`
		}
		require.NoError(t, json.Unmarshal([]byte(value("segments")), &segments))
		require.Len(t, segments, 1)
		rows := readPart(t, path)
		require.Equal(t, rows[0]["segment"], segments[0].Name)
		require.EqualValues(t, len(rows), segments[0].Rows)
		require.Equal(t, rows[0]["message_number"], strconv.FormatUint(segments[0].First, 10))
		require.Equal(t, rows[len(rows)-1]["message_number"], strconv.FormatUint(segments[0].Last, 10))
		var gaps struct {
			Count int
			First []struct {
				Gap   int
				Kind  string
				Cause string
			}
		}
		require.NoError(t, json.Unmarshal([]byte(value("gaps")), &gaps))
		require.Equal(t, 1, gaps.Count)
		require.Equal(t, n+1, gaps.First[0].Gap, "numbers go on from segment to segment")
		require.Equal(t, "EOF", gaps.First[0].Cause)
		var columns []struct {
			Name string
			Keys []string
			Doc  string
		}
		require.NoError(t, json.Unmarshal([]byte(value("columns")), &columns))
		for i, c := range columns {
			require.Equal(t, open.Root().Columns()[i].Name(), c.Name)
			require.NotEmpty(t, c.Doc)
			if c.Name == "price" {
				require.Equal(t, []string{"p"}, c.Keys)
			}
		}
	}
}

// TestSchema: types are those that others read without being told.
func TestSchema(t *testing.T) {
	to := t.TempDir()
	convert(t, parquet.Config{From: []string{recording(t, tickstorm.Stocks, 1, 20, 20, "T")}, To: to})
	text := openPart(t, partsIn(t, to)[0]).Schema().String()
	for _, want := range []string{
		"required int64 received_time (TIMESTAMP(isAdjustedToUTC=true,unit=NANOS));", "required binary segment (STRING);",
		"optional double price;", "optional fixed_len_byte_array(16) size_decimal (DECIMAL(38,18));",
		"optional group conditions (LIST) {", "required int32 element (INT(32,true));", "optional binary extra (STRING);",
	} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "market")
}

// TestDecimals: what fits is exact, and what does not is refused.
func TestDecimals(t *testing.T) {
	for _, text := range []string{
		"0", "-0", "0.0", "1", "-1", "100.25", "1e3", "1.5E+2", "25e-1", "0.000000000000000001", "-0.000000000000000001", "1000e-21",
		"99999999999999999999.999999999999999999", "-99999999999999999999.999999999999999999", "000100.5000", "0.10000000000000000000000", "0e999999999", "10e-19",
	} {
		b, ok := parquet.AppendDecimal([]byte("x"), []byte(text))
		require.True(t, ok, text)
		want, ok := new(big.Rat).SetString(text)
		if text == "0e999999999" {
			want, ok = new(big.Rat), true
		}
		require.True(t, ok, text)
		require.Equal(t, want.RatString(), decimalText(b[1:]), text)
	}
	for _, text := range []string{
		"", "-", ".", "x", "1x", "1e", "1e+", "1.2.3", "e5", "100000000000000000000", "0.0000000000000000001", "1e20", "1e-19", "1e999999999999999999999", "--1", "1 ",
		"340282366920938463463374607431768211456000000000000000000",
	} {
		b, ok := parquet.AppendDecimal([]byte("x"), []byte(text))
		require.False(t, ok, text)
		require.Equal(t, "x", string(b))
	}
}

// TestEscape: whatever a value of a partition is, it is one folder's name.
func TestEscape(t *testing.T) {
	for value, want := range map[string]string{
		"stocks": "stocks", "futures/cme": "futures%2Fcme", "": "__HIVE_DEFAULT_PARTITION__", "..": "%2E%2E", ".": "%2E", "a=b": "a%3Db", "a b\x00é": "a%20b%00%C3%A9", "100%": "100%25",
	} {
		require.Equal(t, want, parquet.Escape(value))
	}
}
