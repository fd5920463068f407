package record

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
)

// table is a file of rows by their columns; a cell without a value is not there.
type table []map[string]string

func readTable(t testing.TB, path string) table {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	r := csv.NewReader(f)
	names, err := r.Read()
	require.NoError(t, err)
	var rows table
	for {
		cells, err := r.Read()
		if err == io.EOF {
			return rows
		}
		require.NoError(t, err)
		row := map[string]string{}
		for i, c := range cells {
			if c != "" {
				row[names[i]] = c
			}
		}
		rows = append(rows, row)
	}
}

// column is one column of all rows.
func (rows table) column(name string) (cells []string) {
	for _, r := range rows {
		cells = append(cells, r[name])
	}
	return cells
}

// collected keeps all that it is told.
type collected struct{ events []tickstorm.Event }

func (k *collected) OnTrade(e *tickstorm.Trade)         { k.events = append(k.events, e.Clone()) }
func (k *collected) OnQuote(e *tickstorm.Quote)         { k.events = append(k.events, e.Clone()) }
func (k *collected) OnAggregate(e *tickstorm.Aggregate) { k.events = append(k.events, e.Clone()) }
func (k *collected) OnBook(e *tickstorm.Book)           { k.events = append(k.events, e.Clone()) }
func (k *collected) OnLULD(e *tickstorm.LULD)           { k.events = append(k.events, e.Clone()) }
func (k *collected) OnImbalance(e *tickstorm.Imbalance) { k.events = append(k.events, e.Clone()) }
func (k *collected) OnValue(e *tickstorm.Value)         { k.events = append(k.events, e.Clone()) }
func (k *collected) OnStatus(e *tickstorm.Status)       { k.events = append(k.events, e.Clone()) }
func (k *collected) OnUnknown(e *tickstorm.Unknown)     { k.events = append(k.events, e.Clone()) }
func (k *collected) OnError(*tickstorm.EventError)      {}

// requireSame reads a cell as its column's type and compares it with the event's field, bit by bit.
func requireSame(t testing.TB, c *Column, e tickstorm.Event, cell string, has bool) {
	t.Helper()
	var got any
	var err error
	switch p := c.Value(e).(type) {
	case nil:
		require.False(t, has, "%s has a value: %q", c.Name, cell)
		return
	case *float64:
		var f float64
		f, err = strconv.ParseFloat(cell, 64)
		require.NoError(t, err)
		require.Equal(t, math.Float64bits(*p), math.Float64bits(f), "%s: %s", c.Name, cell)
		return
	case *int64:
		got, err = strconv.ParseInt(cell, 10, 64)
	case *int32:
		var i int64
		i, err = strconv.ParseInt(cell, 10, 32)
		require.NoError(t, err)
		got = int32(i)
	case *tickstorm.Timestamp:
		var i int64
		i, err = strconv.ParseInt(cell, 10, 64)
		require.NoError(t, err)
		require.Equal(t, p.Nanoseconds(), i)
		return
	case *tickstorm.Decimal:
		require.Equal(t, string(p.Text), cell)
		return
	case *string:
		got = cell
	case *[]byte:
		got = []byte(cell)
	case *tickstorm.Auction:
		got = tickstorm.Auction(cell[0])
	case *bool:
		got, err = strconv.ParseBool(cell)
	case *[]int32:
		list := []int32{}
		err = json.Unmarshal([]byte(cell), &list)
		require.NoError(t, err)
		require.Equal(t, append([]int32{}, *p...), list)
		return
	case *[]tickstorm.Level:
		pairs, want := [][2]float64{}, [][2]float64{}
		err = json.Unmarshal([]byte(cell), &pairs)
		require.NoError(t, err)
		for _, l := range *p {
			want = append(want, [2]float64{l.Price, l.Size})
		}
		require.Equal(t, want, pairs)
		return
	}
	require.NoError(t, err, c.Name)
	require.Equal(t, reflect.ValueOf(c.Value(e)).Elem().Interface(), got, c.Name)
}

// fill gives each field of an event a value of its own, small or extreme.
func fill(e tickstorm.Event, extreme bool) {
	v := reflect.ValueOf(e).Elem()
	for i := range v.NumField() {
		f := v.Field(i)
		switch p := f.Addr().Interface().(type) {
		case *tickstorm.Header:
			p.Symbol, p.Has = "BRK.B", math.MaxUint32
			if extreme {
				p.Symbol = "=1+\"A\",\n\t B\u00e9"
			}
		case *float64:
			*p = []float64{101.25, 0.1 + float64(i), 4.522e-05, 1e6, 3.39566313e+08}[i%5]
			if extreme {
				*p = []float64{math.MaxFloat64, math.SmallestNonzeroFloat64, 0, -1.5, 1 << 60}[i%5]
			}
		case *tickstorm.Timestamp:
			*p = []tickstorm.Timestamp{1786000000123, 1786000000123456789, 1786000000123456}[i%3]
			if extreme {
				*p = tickstorm.Timestamp(-i)
			}
		case *tickstorm.Decimal:
			p.Text = []byte("12.250000")
			if extreme {
				p.Text = []byte("123456789012345678901234567890.10")
			}
		case *[]byte:
			*p = []byte("00220725")
			if extreme {
				*p = [][]byte{[]byte(" \",\n"), []byte("@x"), []byte(`\.`)}[i%3]
			}
		case *[]int32:
			*p = []int32{12, 37, -1}
			if extreme {
				*p = nil
			}
		case *[]tickstorm.Level:
			*p = []tickstorm.Level{{Price: 64000.5, Size: 0.1}, {Price: 1e22, Size: 5e-20}}
			if extreme {
				*p = nil
			}
		case *bool:
			*p = !extreme
		case *tickstorm.Auction:
			*p = tickstorm.AuctionClose
		case *int32:
			*p = int32(i)
			if extreme {
				*p = math.MinInt32
			}
		case *int64:
			*p = int64(i) << 33
			if extreme {
				*p = math.MaxInt64
			}
		}
	}
}

// everything is messages with all that a market has, and what its simulator makes of it.
func everything(t testing.TB, m tickstorm.Market) (messages [][]byte) {
	t.Helper()
	for _, s := range m.Streams() {
		for _, k := range kinds {
			for _, extreme := range []bool{false, true} {
				e := SchemaOf(k).NewEvent()
				fill(e, extreme)
				e.Head().Market, e.Head().Stream = m, s
				msg := append(e.AppendJSON([]byte{'['}), ']') // in the form of stocks if the market has no such events
				if p := tickstorm.NewParser(m); p.Parse(msg, tickstorm.NopHandler{}) == nil && p.Stats().Odd == 0 {
					messages = append(messages, msg)
				}
			}
		}
	}
	g := fixture.Generator(t, m, 1)
	for i := range 200 {
		messages = append(messages, g.AppendMessage(nil, t0.Add(time.Duration(i)*20*time.Millisecond), 20))
	}
	return messages
}

// TestCSV: every field of every kind of event on every market reads as it was decoded.
func TestCSV(t *testing.T) {
	for _, m := range tickstorm.Markets() {
		t.Run(string(m), func(t *testing.T) {
			messages := everything(t, m)
			lines := make([]any, len(messages))
			k, p := &collected{}, tickstorm.NewParser(m)
			counts := make([]int, len(messages))
			for i, msg := range messages {
				require.True(t, json.Valid(msg), string(msg))
				before := len(k.events)
				require.NoError(t, p.Parse(msg, k))
				lines[i], counts[i] = msg, len(k.events)-before
			}
			h := testHeader()
			h.Market = m
			folder := filepath.Join(t.TempDir(), "csv")
			done, err := CSV(t.Context(), folder, open(t, put(t, t.TempDir(), "a"+Suffix, segmentOf(t, h, lines...))))
			require.NoError(t, err)
			require.EqualValues(t, len(k.events), done.Elements)
			require.Zero(t, done.Gaps+done.Broken)
			require.Equal(t, p.Stats().UnknownKeys, done.UnknownKeys)

			tables := map[*Schema]table{}
			for _, s := range Schemas() {
				if path := filepath.Join(folder, s.Name+".csv"); slices.ContainsFunc(k.events, func(e tickstorm.Event) bool { return SchemaOf(e.Kind()) == s }) {
					tables[s] = readTable(t, path)
				} else if s.Name != "gaps" {
					require.NoFileExists(t, path)
				}
			}
			require.Empty(t, readTable(t, filepath.Join(folder, "gaps.csv")))
			n := 0
			for i, count := range counts {
				for element := range count {
					e := k.events[n]
					n++
					s := SchemaOf(e.Kind())
					require.NotEmpty(t, tables[s], s.Name)
					row := tables[s][0]
					tables[s] = tables[s][1:]
					require.Equal(t, []string{string(m), fmt.Sprint(at(0)), fmt.Sprint(i), fmt.Sprint(element), "0"},
						[]string{row["market"], row["received_time"], row["message_number"], row["element_number"], row["gap"]})
					var raw struct{ Ev string }
					require.NoError(t, json.Unmarshal(e.Head().Raw, &raw))
					require.Equal(t, raw.Ev, row["channel"])
					if e.Kind() == tickstorm.KindUnknown {
						require.Equal(t, string(e.Head().Raw), row["raw"])
						continue
					}
					require.Zero(t, e.Head().Odd, string(e.Head().Raw))
					for i := range s.Columns {
						if c := &s.Columns[i]; c.value != nil {
							cell, has := row[c.Name]
							requireSame(t, c, e, cell, has)
						}
					}
				}
			}
			for s, rows := range tables {
				require.Empty(t, rows, s.Name)
			}
		})
	}
}

// TestCSVGaps: what is missing has rows of its own, and every later row of its market the number
// of the last. Bytes are those of testdata/csv.
func TestCSVGaps(t *testing.T) {
	moment := func(ms int) tickstorm.Moment {
		return tickstorm.Moment{Event: t0.Add(time.Duration(ms-5) * time.Millisecond), Received: t0.Add(time.Duration(ms) * time.Millisecond)}
	}
	b := segmentOf(t, testHeader(),
		Control{Kind: Up, Received: at(0)},
		Control{Kind: Subscribed, Received: at(1), Topics: []string{"T.*"}},
		[]byte(`[{"ev":"status","status":"success","message":"subscribed to: T.*"}]`),
		[]byte("[{\"ev\":\"T\",\"sym\":\"A\",\"p\":1e6,\"i\":\"007\",\"c\":[],\"ds\":\"0.10\",\"new\":1},{\"ev\":\"NEW\",\n\"x\":\"a,b\"},{\"ev\":\"Q\",\"sym\":\"A\",\"bp\":null,\"bs\":0,\"c\":[1]}]"),
		Control{Kind: Down, Received: at(29), Cause: "read: \"EOF\""},
		Control{Kind: Gap, Received: at(60), From: moment(20), To: moment(60), Topics: []string{"T.*", "Q.A"}, Count: 2, Cause: "EOF"}, // the count, of topics, is of older recorders
		Control{Kind: Up, Received: at(60)},
		61,
		[]byte(`[{"ev":"T","sym":"A","p":01},{"ev":"T","sym":["A"],"p":1.5,"s":"many"}]`),
		62,
		Control{Kind: Dropped, Received: at(70), From: moment(62), To: moment(69), Count: 3, Bytes: 700, Cause: "buffer full"},
		Control{Kind: Lost, Received: at(70), Cause: "checksum"},
		[]byte(`not JSON`),
		70,
		71)
	parts := partsOf(t, b)
	b[parts[len(parts)-5].to-5] ^= 1 // in the frame of the message at 70
	folder := t.TempDir()
	paths := []string{put(t, folder, "a"+Suffix, b), put(t, folder, "b"+Suffix, []byte("none"))}
	h := testHeader()
	h.Market = tickstorm.Crypto
	paths = append(paths, put(t, folder, "c"+Suffix, segmentOf(t, h, []byte(`[{"ev":"XT","pair":"BTC-USD"}]`))))
	out := t.TempDir()
	done, err := CSV(t.Context(), out, open(t, paths...))
	require.NoError(t, err)
	require.Equal(t, Converted{Elements: 12, Gaps: 5, Broken: 2, UnknownKeys: 1}, done)
	names, err := filepath.Glob(filepath.Join(out, "*"))
	require.NoError(t, err)
	var files []string
	for _, name := range names {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		files = append(files, filepath.Base(name))
		golden(t, filepath.Join("testdata", "csv", filepath.Base(name)), strings.ReplaceAll(string(text), folder, "FOLDER"))
	}
	require.Equal(t, []string{"gaps.csv", "quotes.csv", "statuses.csv", "trades.csv", "unknown.csv"}, files)
}

// TestCSVParts: a filter and a range are the reader's.
func TestCSVParts(t *testing.T) {
	r := open(t, put(t, t.TempDir(), "a"+Suffix, testSegment(t, testHeader(), 3)))
	r.Filter(Filter{Channels: []string{"T"}, Symbols: []string{"MSFT"}})
	r.Seek(Received, t0.Add(10*time.Millisecond))
	r.Until(t0.Add(120 * time.Millisecond))
	folder := t.TempDir()
	done, err := CSV(t.Context(), folder, r)
	require.NoError(t, err)
	require.Equal(t, Converted{Elements: 4, Gaps: 1}, done)
	rows := readTable(t, filepath.Join(folder, "trades.csv"))
	require.Equal(t, []string{"MSFT", "MSFT", "MSFT", "MSFT"}, rows.column("symbol"))
	require.Equal(t, []string{"1", "1", "1", "1"}, rows.column("element_number"), "as in the message that came")
	require.Equal(t, []string{"1", "2", "4", "5"}, rows.column("message_number"))
	require.Equal(t, []string{"0", "0", "1", "1"}, rows.column("gap"))
	r.Seek(Received, time.Time{})
	r.Until(time.Time{})
	require.Len(t, readAll(t, r), 12, "no bound")
}

// TestCSVRefused: what fails leaves nothing behind, and overwrites nothing.
func TestCSVRefused(t *testing.T) {
	path := put(t, t.TempDir(), "a"+Suffix, testSegment(t, testHeader(), 3))
	list := func(folder string) (names []string) {
		entries, err := os.ReadDir(folder)
		require.NoError(t, err)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	for _, taken := range []string{"trades.csv", "gaps.csv", "luld.csv"} { // of which there is nothing
		folder := t.TempDir()
		put(t, folder, taken, []byte("precious"))
		_, err := CSV(t.Context(), folder, open(t, path))
		require.ErrorIs(t, err, fs.ErrExist)
		var refused *WriteError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, filepath.Join(folder, taken), refused.Path)
		require.Equal(t, []string{taken}, list(folder))
	}
	t.Run("taken meanwhile", func(t *testing.T) {
		folder := t.TempDir()
		w, err := newCSVWriter(folder)
		require.NoError(t, err)
		put(t, folder, "trades.csv", []byte("precious"))
		require.ErrorIs(t, w.run(t.Context(), open(t, path)), fs.ErrExist)
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("enough"))
		folder := filepath.Join(t.TempDir(), "new", "folder")
		_, err := CSV(ctx, folder, open(t, path))
		require.ErrorIs(t, err, context.Canceled)
		require.Empty(t, list(folder))
	})
	t.Run("no folder", func(t *testing.T) {
		folder := put(t, t.TempDir(), "file", nil)
		_, err := CSV(t.Context(), folder, open(t, path))
		var refused *WriteError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, "make folder", refused.Op)
	})
	t.Run("a file that takes nothing", func(t *testing.T) {
		folder := t.TempDir()
		w, err := newCSVWriter(folder)
		require.NoError(t, err)
		require.NotNil(t, w.file(0))
		require.NoError(t, w.files[0].out.Close())
		var refused *WriteError
		require.ErrorAs(t, w.run(t.Context(), open(t, path)), &refused)
		require.ErrorIs(t, refused, fs.ErrClosed)
	})
}
