package parquet_test

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	pq "github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sim"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
	"github.com/tickstorm/tickstorm/sink/parquet"
)

// noon is in the middle of a day of New York.
var noon = time.Date(2026, 11, 25, 17, 0, 0, 0, time.UTC)

// tape records a segment of its own each time that it is begun.
type tape struct {
	*record.Recorder
	t  testing.TB
	at time.Time // of the next message
	g  *sim.Generator
}

// newTape has a market's channels, or all.
func newTape(t testing.TB, dir string, m tickstorm.Market, seed int64, channels ...string) *tape {
	t.Helper()
	rec := sinktest.Record(t, record.Config{Dir: dir, Market: m, Buffer: 64 << 20, Rotate: 100 * 365 * 24 * time.Hour})
	return &tape{Recorder: rec, t: t, at: noon, g: fixture.Generator(t, m, seed, channels...)}
}

// say records messages of generated events.
func (tp *tape) say(messages, events int) {
	for range messages {
		tp.at = tp.at.Add(100 * time.Millisecond)
		tp.raw(string(tp.g.AppendMessage(nil, tp.at, events)))
	}
}

// raw records a message.
func (tp *tape) raw(message string) { tp.OnMessage([]byte(message), tp.at.UnixNano()) }

// gap records a gap.
func (tp *tape) gap() {
	at := tickstorm.Moment{Received: tp.at, Event: tp.at.Add(-time.Second)}
	tp.OnGap(&tickstorm.Gap{From: at, To: at, Cause: errors.New("EOF"), Topics: []tickstorm.Topic{{Channel: "T", Symbol: "*"}, {Channel: "Q", Symbol: "A"}}})
}

func (tp *tape) end() { require.NoError(tp.t, tp.Close(context.Background())) }

// recording makes a recording of some segments in a folder of its own.
func recording(t testing.TB, m tickstorm.Market, segments, messages, events int, channels ...string) string {
	t.Helper()
	dir := t.TempDir()
	for n := range segments {
		tp := newTape(t, dir, m, int64(n), channels...)
		tp.say(messages/2, events)
		tp.gap()
		tp.say(messages-messages/2, events)
		tp.end()
	}
	return dir
}

// segmentsIn are the files of a recording, in their order.
func segmentsIn(t testing.TB, dir string) (paths []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.Contains(path, record.Suffix) {
			paths = append(paths, path)
		}
		return err
	}))
	return paths
}

// convert runs a Sink to its end.
func convert(t testing.TB, cfg parquet.Config) parquet.Stats {
	t.Helper()
	s, err := parquet.New(cfg)
	require.NoError(t, err)
	require.NoError(t, s.Run(t.Context()))
	return s.Stats()
}

// row is a row by its columns; one without a value is not there. It has ev and dt as well.
type row map[string]string

// partsIn are the parts below a folder, in their order.
func partsIn(t testing.TB, dir string) (paths []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".parquet") {
			paths = append(paths, path)
		}
		return err
	}))
	return paths
}

// openPart opens a part until the test ends.
func openPart(t testing.TB, path string) *pq.File {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	info, err := f.Stat()
	require.NoError(t, err)
	open, err := pq.OpenFile(f, info.Size())
	require.NoError(t, err)
	return open
}

// readPart reads the rows of a part, cells as record.CSV writes them.
func readPart(t testing.TB, path string) (rows []row) {
	t.Helper()
	open := openPart(t, path)
	var columns []record.Column
	for _, s := range parquet.Tables() {
		if s.Name == open.Schema().Name() {
			columns = s.Columns
		}
	}
	require.NotNil(t, columns, open.Schema().Name())
	where := strings.Split(filepath.ToSlash(filepath.Dir(path)), "/")
	where = where[len(where)-3:]
	for _, g := range open.RowGroups() {
		r := g.Rows()
		buffer := make([]pq.Row, 64)
		for {
			n, err := r.ReadRows(buffer)
			for _, values := range buffer[:n] {
				cells := row{}
				for _, w := range where {
					name, value, _ := strings.Cut(w, "=")
					cells[name] = value
				}
				fill(t, cells, columns, open.Schema().Columns(), values)
				rows = append(rows, cells)
			}
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
		}
		require.NoError(t, r.Close())
	}
	return rows
}

// fill makes cells of the values of a row.
func fill(t testing.TB, cells row, columns []record.Column, leaves [][]string, values pq.Row) {
	prices := []float64(nil)
	for at, list := range values.Range {
		name := leaves[at][0]
		c := columns[slices.IndexFunc(columns, func(c record.Column) bool { return c.Name == name })]
		first := list[0]
		if first.IsNull() && (len(leaves[at]) == 1 || first.DefinitionLevel() == 0) {
			continue
		}
		var field any
		switch c.Type {
		case record.ColumnText:
			text := string(first.ByteArray())
			field = &text
		case record.ColumnInteger, record.ColumnTime:
			v := first.Int64()
			field = &v
		case record.ColumnFloat:
			v := first.Double()
			field = &v
		case record.ColumnBoolean:
			v := first.Boolean()
			field = &v
		case record.ColumnDecimal:
			cells[name] = decimalText(first.ByteArray())
			continue
		case record.ColumnIntegers:
			some := []int32{}
			for _, v := range list {
				if !v.IsNull() {
					some = append(some, v.Int32())
				}
			}
			field = &some
		case record.ColumnLevels:
			some := []float64{}
			for _, v := range list {
				if !v.IsNull() {
					some = append(some, v.Double())
				}
			}
			if leaves[at][3] == "price" {
				prices = some
				continue
			}
			levels := []tickstorm.Level{}
			for i, size := range some {
				levels = append(levels, tickstorm.Level{Price: prices[i], Size: size})
			}
			field = &levels
		case record.ColumnTexts:
			var some []string
			for _, v := range list {
				some = append(some, strconv.Quote(string(v.ByteArray())))
			}
			cells[name] = "[" + strings.Join(some, ",") + "]"
			continue
		}
		text, err := csv.NewReader(strings.NewReader(string(record.AppendCell(nil, field)) + "\n")).Read()
		if err == nil { // an empty line is none
			cells[name] = text[0]
		}
	}
}

// decimalText is a decimal with no more digits than it needs.
func decimalText(b []byte) string {
	v := new(big.Int).SetBytes(b)
	if b[0] >= 0x80 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), 128))
	}
	return new(big.Rat).SetFrac(v, new(big.Int).Exp(big.NewInt(10), big.NewInt(18), nil)).RatString()
}

// readParts reads all rows below a folder, in the order of the recording, by the name of the table.
func readParts(t testing.TB, dir string) map[string][]row {
	t.Helper()
	all := map[string][]row{}
	for _, path := range partsIn(t, dir) {
		name := openPart(t, path).Schema().Name()
		all[name] = append(all[name], readPart(t, path)...)
	}
	number := func(r row, name string) int {
		n, _ := strconv.Atoi(r[name])
		return n
	}
	for _, rows := range all {
		slices.SortStableFunc(rows, func(a, b row) int {
			return cmp.Or(strings.Compare(a["segment"], b["segment"]), number(a, "message_number")-number(b, "message_number"),
				number(a, "element_number")-number(b, "element_number"), number(a, "gap")-number(b, "gap"))
		})
	}
	return all
}

// readCSV reads the rows that record.CSV makes of a recording, by the name of the table.
func readCSV(t testing.TB, dir string) map[string][]row {
	t.Helper()
	r, err := record.Open(dir)
	require.NoError(t, err)
	defer r.Close()
	folder := t.TempDir()
	_, err = record.CSV(t.Context(), folder, r)
	require.NoError(t, err)
	all := map[string][]row{}
	for _, s := range record.Schemas() {
		f, err := os.Open(filepath.Join(folder, s.Name+".csv"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		require.NoError(t, err)
		lines, err := csv.NewReader(f).ReadAll()
		require.NoError(t, err)
		require.NoError(t, f.Close())
		for _, line := range lines[1:] {
			cells := row{}
			for i, text := range line {
				if text == "" {
					continue
				}
				if s.Columns[i].Type == record.ColumnDecimal {
					v, ok := new(big.Rat).SetString(text)
					require.True(t, ok)
					text = v.RatString()
				}
				cells[lines[0][i]] = text
			}
			all[s.Name] = append(all[s.Name], cells)
		}
	}
	return all
}

// tree are the files below a folder but locks, by path.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "lock" {
			return err
		}
		text, err := os.ReadFile(path)
		name, rerr := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = string(text)
		return errors.Join(err, rerr)
	}))
	return files
}

// requireSame compares folders.
func requireSame(t testing.TB, want, got string) {
	t.Helper()
	a, b := tree(t, want), tree(t, got)
	for name := range a {
		require.Contains(t, b, name)
		if x, y := a[name], b[name]; x != y {
			at := 0
			for at < min(len(x), len(y)) && x[at] == y[at] {
				at++
			}
			require.Equal(t, x[at:min(len(x), at+100)], y[at:min(len(y), at+100)], "%s differs at byte %d of %d and %d", name, at, len(x), len(y))
		}
	}
	for name := range b {
		require.Contains(t, a, name)
	}
}
