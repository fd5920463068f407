package parquet_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink/parquet"
)

// requireEqualsCSV requires that the tables below a folder have what record.CSV makes of the recording,
// cell by cell.
func requireEqualsCSV(t *testing.T, recording, to string) {
	t.Helper()
	want, got := readCSV(t, recording), readParts(t, to)
	for name := range got {
		require.Contains(t, want, name)
	}
	for name, rows := range want {
		require.Equal(t, len(rows), len(got[name]), name)
		for i, cells := range rows {
			g := got[name][i]
			require.NotEmpty(t, g["segment"])
			require.NotEmpty(t, g["dt"])
			require.Equal(t, parquet.Escape(cells["market"]), g["market"])
			switch name {
			case "gaps", "unknown":
				require.Equal(t, name, g["ev"])
			default:
				require.Equal(t, cells["channel"], g["ev"])
			}
			for _, own := range []string{"segment", "dt", "market", "ev", "extra"} {
				delete(g, own)
			}
			if name == "gaps" {
				delete(g, "message_number")
			}
			delete(cells, "market")
			for name, text := range g {
				if text == "" { // which a reader of CSV cannot tell from no value
					delete(g, name)
				}
			}
			if name == "unknown" {
				cells["raw"], g["raw"] = strings.ReplaceAll(cells["raw"], " ", ""), strings.Join(strings.Fields(g["raw"]), "")
			}
			require.Equal(t, map[string]string(cells), map[string]string(g), "%s, row %d", name, i)
		}
	}
}

// odd are elements of all kinds of oddness, on stocks.
var odd = []string{
	`[{"ev":"T","sym":"AAPL","x":4,"i":"1","z":3,"p":1.5,"s":100,"c":[12,37],"t":1795712400123,"q":1,"pt":1795712400122999999,"ds":"100.25"}]`,
	`[{"ev":"T","sym":"AAPL","c":[],"p":null,"t":1795712400123,"i":"","new":{"a":[1]},"newer":1}]`,
	`[{"ev":"T"},{"ev":"T","sym":"é\"\\","p":-0.0,"s":1e300,"t":0}]`,
	`[{"ev":"T","sym":"AAPL","p":"high","s":true,"c":7,"t":1795712400123,"q":99999999999999999999}]`,
	`[{"ev":"T","sym":"AAPL","ds":"12345678901234567890.5"},{"ev":"T","sym":"AAPL","ds":"0.000000000000000001"},{"ev":"T","sym":"AAPL","ds":"-1e-18"}]`,
	`[{"ev":"ZZ","sym":"AAPL","p":1},{"ev":"unknown"},{"ev":"gaps"},{"ev":"../../x"},17,{"sym":"AAPL"}]`,
	`[{"ev":"Q","sym":"MSFT","bp":1,"c":12,"i":[604],"t":1795712400123}, {"ev":"T",
		"sym":"B","p":1},`,
	`nothing at all`,
	`[{"ev":"status","status":"connected","message":"Connected Successfully"}]`,
	`[{"ev":"NOI","T":"NTEST.Q","t":1601318039223013600,"at":930,"a":"M","i":44,"x":10,"o":480,"p":440,"b":25.03}]`,
	`[{"ev":"T","sym":"OLD","t":1},{"ev":"T","sym":"FUTURE","t":9223372036854775807},{"ev":"T","sym":"YESTERDAY","t":1795662000000}]`,
}

// TestRows: whatever the market and whatever is in a message, the tables have what record.CSV has.
func TestRows(t *testing.T) {
	for _, m := range tickstorm.Markets()[:7] {
		t.Run(string(m), func(t *testing.T) {
			dir, to := recording(t, m, 2, 40, 30), t.TempDir()
			stats := convert(t, parquet.Config{From: []string{dir}, To: to})
			require.Zero(t, stats.Unknown)
			require.Zero(t, stats.UnknownKeys)
			require.EqualValues(t, 2, stats.Segments)
			require.EqualValues(t, len(partsIn(t, to)), stats.Parts)
			requireEqualsCSV(t, dir, to)
		})
	}
}

// TestOdd: what has no columns, does not fit or is broken is there as it came, and counted.
func TestOdd(t *testing.T) {
	dir, to := t.TempDir(), t.TempDir()
	tp := newTape(t, dir, tickstorm.Stocks, 3)
	for _, message := range odd {
		tp.raw(message)
	}
	tp.gap()
	tp.end()
	stats := convert(t, parquet.Config{From: []string{dir}, To: to})
	requireEqualsCSV(t, dir, to)
	require.EqualValues(t, 2, stats.UnknownKeys)
	require.EqualValues(t, len(readParts(t, to)["unknown"]), stats.Unknown)
	var extra []string
	for _, r := range readParts(t, to)["trades"] {
		if r["extra"] != "" {
			extra = append(extra, r["extra"])
		}
	}
	require.Equal(t, []string{strings.Trim(odd[1], "[]")}, extra)
	trades := readParts(t, to)["trades"]
	require.Contains(t, trades[1], "trade_id", "an empty text is one")
	require.NotContains(t, trades[2], "trade_id")
	require.Equal(t, "[]", trades[1]["conditions"])
	require.NotContains(t, trades[2], "conditions")
}

// TestExtra: an element with keys that there is no column for is in extra, and none behind it, whatever
// became of the first.
func TestExtra(t *testing.T) {
	dir, to := t.TempDir(), t.TempDir()
	tp := newTape(t, dir, tickstorm.Stocks, 3)
	for _, odd := range []string{
		`{"ev":"T","sym":"A","new":1}`, `{"ev":"status","new":1}`, `{"ev":"ZZ","new":1}`, `{"new":1}`, `{"ev":5,"new":1}`, `{"new":1,"ev":"T","ev":"Q"}`,
		`{"ev":"T","sym":"A","new":1,"sym":7}`, `{"ev":"T","new":1,"sym":"\ud800"}`, `{"ev":"T","sym":"A","new":1,"p":1e999}`,
		`{"ev":"T","new":1,"p":01}`, `{"ev":"T","new":1`, `{"ev":"T","new":1,"c":` + strings.Repeat("[", 400) + strings.Repeat("]", 400) + `}`,
	} {
		tp.raw("[" + odd + `,{"ev":"T","sym":"GOOD","p":1}]`)
		tp.raw(`[{"ev":"T","sym":"GOOD","p":1}]`)
	}
	tp.end()
	convert(t, parquet.Config{From: []string{dir}, To: to})
	good := 0
	for _, r := range readParts(t, to)["trades"] {
		if r["symbol"] == "GOOD" {
			good++
			require.NotContains(t, r, "extra")
		}
	}
	require.GreaterOrEqual(t, good, 2*9)
}

// TestDecimalsThatDoNotFit: nothing is rounded. They are no value, named, and as they came elsewhere.
func TestDecimalsThatDoNotFit(t *testing.T) {
	dir, to := t.TempDir(), t.TempDir()
	tp := newTape(t, dir, tickstorm.Stocks, 3)
	tp.raw(`[{"ev":"T","sym":"A","ds":"123456789012345678901.5"},{"ev":"T","sym":"A","ds":"0.0000000000000000001"},{"ev":"T","sym":"A","ds":"-1e-18","s":"x"}]`)
	tp.end()
	convert(t, parquet.Config{From: []string{dir}, To: to})
	all := readParts(t, to)
	column := func(table, name string) (cells []string) {
		for _, r := range all[table] {
			cells = append(cells, r[name])
		}
		return cells
	}
	require.Equal(t, []string{"", "", "-1/1000000000000000000"}, column("trades", "size_decimal"))
	require.Equal(t, []string{"size_decimal", "size_decimal", "size"}, column("trades", "unreadable"))
	require.Equal(t, []string{"does not fit: size_decimal", "does not fit: size_decimal", "does not fit: size"}, column("unknown", "error"))
	require.Equal(t, []string{"0", "1", "2"}, column("unknown", "element_number"))
	require.Equal(t, `{"ev":"T","sym":"A","ds":"0.0000000000000000001"}`, all["unknown"][1]["raw"])
}
