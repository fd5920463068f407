package record

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// put writes a file and returns its path.
func put(t testing.TB, folder, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(folder, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, b, 0o600))
	return path
}

func open(t testing.TB, paths ...string) *Reader {
	t.Helper()
	r, err := Open(paths...)
	require.NoError(t, err)
	t.Cleanup(func() { r.Close() })
	return r
}

// tell says in a line what an entry is.
func tell(e *Entry) string {
	switch {
	case e.Damage != nil:
		return "damage " + string(e.Damage.Reason)
	case e.Control != nil:
		return fmt.Sprintf("%d %s %d", e.Sequence, e.Control.Kind, e.Control.Count)
	default:
		return fmt.Sprintf("%d message at %d", e.Sequence, (e.Received-t0.UnixNano())/1e6)
	}
}

// readAll reads to the end.
func readAll(t testing.TB, r *Reader) (told []string) {
	t.Helper()
	for e, err := range r.All(context.Background()) {
		require.NoError(t, err)
		told = append(told, tell(e))
	}
	return told
}

// lines is what testSegment has in some of its frames.
func lines(frames ...int) (want []string) {
	for _, f := range frames {
		for m := range 3 {
			want = append(want, fmt.Sprintf("%d message at %d", 4*f+m, 100*f+10*m))
		}
		want = append(want, fmt.Sprintf("%d dropped %d", 4*f+3, f))
	}
	return want
}

func TestReader(t *testing.T) {
	path := put(t, t.TempDir(), "a"+Suffix, testSegment(t, testHeader(), 3))
	r := open(t, path)
	e, err := r.Next(t.Context())
	require.NoError(t, err)
	require.Equal(t, &Entry{Market: tickstorm.Stocks, Received: at(0), Raw: trade(0), Segment: "stocks-20261125T143000.000Z-000007"}, e)
	require.Equal(t, lines(0, 1, 2)[1:], readAll(t, r))
	_, err = r.Next(t.Context())
	require.Equal(t, io.EOF, err)
}

func TestReaderControls(t *testing.T) {
	controls := []Control{
		{Kind: Up, Received: at(0)},
		{Kind: Subscribed, Received: at(1), Topics: []string{"T.AAPL", "Q.*"}},
		{Kind: Down, Received: at(2), Cause: "EOF"},
		{Kind: Gap, Received: at(3), Cause: "EOF", From: tickstorm.Moment{Event: t0.Local(), Received: t0.Add(1).Local()}, To: tickstorm.Moment{Received: t0.Add(2).Local()}},
		{Kind: Status, Received: at(4), Text: "a\nb"},
		{Kind: Dropped, Received: at(5), Count: 5, Bytes: 700},
		{Kind: Rotate, Received: at(6), Text: "next"},
	}
	var b bytes.Buffer
	s, err := newSegmentWriter(&b, testHeader(), LevelDefault)
	require.NoError(t, err)
	for _, c := range controls {
		require.NoError(t, s.control(c))
	}
	require.NoError(t, s.finish())
	var got []Control
	for e, err := range open(t, put(t, t.TempDir(), "a"+Suffix, b.Bytes())).All(t.Context()) {
		require.NoError(t, err)
		require.NotNil(t, e.Control)
		got = append(got, *e.Control)
	}
	require.Equal(t, controls, got)
}

// Each market is read in its order, and the markets by receive time.
func TestReaderMerges(t *testing.T) {
	dir := t.TempDir()
	h := testHeader()
	put(t, dir, "z"+Suffix, testSegment(t, h, 2))
	h.Sequence, h.Started = 8, t0.Add(-time.Hour) // the clock was put back
	put(t, dir, "y"+PartSuffix, testSegment(t, h, 1))
	h.Market = tickstorm.Options
	put(t, dir, "2026/x"+Suffix, testSegment(t, h, 3))
	put(t, dir, "foreign.txt", []byte("?"))

	r := open(t, filepath.Join(dir, "[z2y]*"))
	var options, stocks []string
	newest := int64(0)
	for e, err := range r.All(t.Context()) {
		require.NoError(t, err)
		if e.Market == tickstorm.Options {
			options = append(options, tell(e))
			require.GreaterOrEqual(t, e.Received, newest)
		} else {
			stocks = append(stocks, tell(e))
		}
		newest = max(newest, e.Received)
	}
	require.Equal(t, lines(0, 1, 2), options)
	require.Equal(t, append(append(lines(0, 1), "damage clock"), lines(0)...), stocks)
}

func TestReaderSeek(t *testing.T) {
	path := put(t, t.TempDir(), "a"+Suffix, testSegment(t, testHeader(), 5))
	all := lines(0, 1, 2, 3, 4)
	for _, c := range []struct {
		name  string
		clock Clock
		ms    int
		want  []string
	}{
		{"before all", Received, -1000, all},
		{"first of a frame", Received, 200, all[8:]},
		{"within a frame", Received, 205, all[9:]},
		{"a control", Received, 230, all[11:]},
		{"between frames", Received, 250, all[12:]},
		{"last", Received, 430, all[19:]},
		{"after all", Received, 431, nil},
		{"event", Event, 205, all[9:]},
		{"event at its moment", Event, 195, all[8:]},
		{"event after all", Event, 416, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, cut := range []bool{false, true} { // with and without a footer
				r := open(t, path)
				if cut {
					b, err := os.ReadFile(path)
					require.NoError(t, err)
					r = open(t, put(t, t.TempDir(), "a"+Suffix, b[:len(b)-1]))
				}
				r.Seek(c.clock, t0.Add(time.Duration(c.ms)*time.Millisecond))
				got := readAll(t, r)
				if cut {
					require.Equal(t, "damage torn", got[len(got)-1])
					got = got[:len(got)-1]
				}
				require.Equal(t, len(c.want), len(got))
				require.Equal(t, append([]string{}, c.want...), append([]string{}, got...))
			}
		})
	}
}

// Seeking costs one frame, however long the recording is.
func TestReaderSeekBounds(t *testing.T) {
	var b bytes.Buffer
	s, err := newSegmentWriter(&b, testHeader(), LevelFastest)
	require.NoError(t, err)
	msg := bytes.Repeat(append(trade(0)[:len(trade(0))-1], ','), 40)
	msg = append([]byte{'['}, bytes.ReplaceAll(msg, []byte("["), nil)...)
	msg[len(msg)-1] = ']'
	for i := 0; s.raw() < 64<<20; i++ {
		require.NoError(t, s.message(at(i), msg))
	}
	require.NoError(t, s.finish())
	folder := t.TempDir()
	r := open(t, put(t, folder, "a"+Suffix, b.Bytes()))
	for _, clock := range []Clock{Received, Event} {
		before := r.unpacker.total
		r.Seek(clock, t0.Add(4*time.Second))
		e, err := r.Next(t.Context())
		if clock == Received {
			require.NoError(t, err)
			require.Equal(t, at(4000), e.Received)
		} else {
			require.Equal(t, io.EOF, err)
		}
		require.LessOrEqual(t, r.unpacker.total-before, int64(2<<20))
	}
}

func TestReaderFilter(t *testing.T) {
	var b bytes.Buffer
	s, err := newSegmentWriter(&b, testHeader(), LevelDefault)
	require.NoError(t, err)
	messages := []string{
		`[{"ev":"T","sym":"AAPL","p":1},{"ev":"Q","sym":"AAPL","bp":2},{"ev":"T","sym":"IBM","p":3}]`,
		`[{"ev":"Q","sym":"AAPL","bp":4}]`,
		`[{"ev":"status","status":"success","message":"hello"}]`,
		`[{"ev":"AM","sym":"AAPL","o":1}]`,
	}
	for i, m := range messages {
		require.NoError(t, s.message(at(i), []byte(m)))
		require.NoError(t, s.flush())
	}
	require.NoError(t, s.finish())
	path := put(t, t.TempDir(), "a"+Suffix, b.Bytes())
	type found struct {
		sequence uint64
		raw      string
		elements []int
	}
	for _, c := range []struct {
		name   string
		filter Filter
		frames int // decompressed
		want   []found
	}{
		{"all", Filter{}, 4, []found{{0, messages[0], nil}, {1, messages[1], nil}, {2, messages[2], nil}, {3, messages[3], nil}}},
		{"channel", Filter{Channels: []string{"T"}}, 1, []found{{0, `[{"ev":"T","sym":"AAPL","p":1},{"ev":"T","sym":"IBM","p":3}]`, []int{0, 2}}}},
		{"symbol", Filter{Symbols: []string{"AAPL"}}, 4, []found{{0, `[{"ev":"T","sym":"AAPL","p":1},{"ev":"Q","sym":"AAPL","bp":2}]`, []int{0, 1}}, {1, messages[1], nil}, {3, messages[3], nil}}},
		{"both", Filter{Channels: []string{"Q", "AM"}, Symbols: []string{"AAPL"}}, 3, []found{{0, `[{"ev":"Q","sym":"AAPL","bp":2}]`, []int{1}}, {1, messages[1], nil}, {3, messages[3], nil}}},
		{"statuses", Filter{Channels: []string{"status"}}, 1, []found{{2, messages[2], nil}}},
		{"none", Filter{Channels: []string{"LULD"}}, 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := open(t, path)
			r.Filter(c.filter)
			var got []found
			for e, err := range r.All(t.Context()) {
				require.NoError(t, err)
				got = append(got, found{e.Sequence, string(e.Raw), append([]int(nil), e.Elements...)})
			}
			require.Equal(t, c.want, got)
			require.Equal(t, c.frames, r.unpacker.frames)
		})
	}
}

func TestReaderResume(t *testing.T) {
	dir := t.TempDir()
	h := testHeader()
	put(t, dir, "a"+Suffix, testSegment(t, h, 2))
	h.Sequence, h.Started = 8, t0.Add(time.Second)
	put(t, dir, "b"+Suffix, testSegment(t, h, 2))

	r := open(t, dir)
	all := readAll(t, r)
	require.Len(t, all, 2*8+1, "two segments and the clock between them")
	for stop := range 16 {
		r := open(t, dir)
		var c Cursor
		for n := 0; n <= stop; {
			e, err := r.Next(t.Context())
			require.NoError(t, err)
			c = e.After()
			if e.Damage == nil {
				n++
			}
		}
		text := c.String()
		c, err := ParseCursor(text)
		require.NoError(t, err)
		again := open(t, dir)
		require.NoError(t, again.Resume(c))
		want := all[stop+1:]
		if stop >= 7 { // the clock's step is between two that are read, or before
			want = all[stop+2:]
		}
		require.Equal(t, append([]string{}, want...), append([]string{}, readAll(t, again)...), text)
	}

	t.Run("within a message", func(t *testing.T) {
		r := open(t, dir)
		require.NoError(t, r.Resume(Cursor{h.Name(), 1, 1}))
		e, err := r.Next(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1, e.Sequence)
		require.Equal(t, []int{1}, e.Elements)
		require.Regexp(t, `^\[\{"ev":"T","sym":"MSFT".*\}\]$`, string(e.Raw))
		e, err = r.Next(t.Context())
		require.NoError(t, err)
		require.Equal(t, trade(20), e.Raw)
	})
	t.Run("a segment that is gone", func(t *testing.T) {
		h := testHeader()
		h.Started = t0.Add(time.Millisecond)
		r := open(t, dir)
		require.NoError(t, r.Resume(Cursor{h.Name(), 1, 1}))
		e, err := r.Next(t.Context())
		require.NoError(t, err)
		require.Equal(t, Missing, e.Damage.Reason)
		require.Equal(t, tickstorm.Stocks, e.Market)
		require.Equal(t, Cursor{h.Name(), 1, 0}, e.After())
		require.Equal(t, lines(0, 1), readAll(t, r))
	})
	t.Run("a clock that was put back", func(t *testing.T) {
		for _, gone := range []bool{false, true} {
			root := t.TempDir()
			dir := filepath.Join(root, "2026-11-25")
			old, h := testHeader(), testHeader()
			path := put(t, dir, old.Name()+Suffix, testSegment(t, old, 1))
			h.Sequence, h.Started = h.Sequence+1, h.Started.Add(-10*time.Second)
			put(t, dir, h.Name()+Suffix, testSegment(t, h, 1))
			want := append(lines(0)[1:], append([]string{"damage clock"}, lines(0)...)...)
			if gone {
				require.NoError(t, os.Remove(path))
				want = append([]string{"damage missing"}, lines(0)...)
			}
			for _, roots := range [][]string{{root}, {dir}, {dir + "/*"}} {
				r := open(t, roots...)
				require.NoError(t, r.Resume(Cursor{old.Name(), 1, 0}))
				require.Equal(t, want, readAll(t, r), "number %d is behind %d, whatever the time", h.Sequence, old.Sequence)
			}
		}
	})
	t.Run("other folders", func(t *testing.T) {
		root := t.TempDir()
		h := testHeader()
		for day, started := range []time.Time{t0.AddDate(0, 0, -1), t0, t0.AddDate(0, 0, 1)} {
			h.Started, h.Sequence = started, uint64(100-day) // each day counts for itself
			b := testSegment(t, h, day+1)
			if day == 0 {
				b = segmentOf(t, h, -86_400_000, -1, Control{Kind: Rotate, Received: at(0)})
			}
			put(t, filepath.Join(root, started.Format(dayFormat)), h.Name()+Suffix, b)
		}
		h.Started, h.Sequence = t0, 99
		r := open(t, root)
		require.NoError(t, r.Resume(Cursor{h.Name(), 5, 0}))
		require.ElementsMatch(t, append(lines(1)[1:], lines(0, 1, 2)...), readAll(t, r))
	})
	t.Run("recorders that wrote at the same time", func(t *testing.T) {
		root := t.TempDir()
		put := func(folder string, sequence uint64, minutes ...any) string {
			h := testHeader()
			h.Sequence, h.Started = sequence, t0.Add(time.Duration(minutes[0].(int))*time.Minute)
			for i, m := range minutes {
				minutes[i] = 60_000 * m.(int)
			}
			put(t, filepath.Join(root, folder), h.Name()+Suffix, segmentOf(t, h, minutes...))
			return h.Name()
		}
		put("a", 1, 0, 10, 20)
		name := put("a", 2, 30, 40, 50)
		put("b", 7, 3, 4)
		put("b", 8, 5, 15, 30, 35, 45)
		put("b", 9, 55)
		put("c", 1, 1, 2) // unfinished
		r := open(t, root)
		require.NoError(t, r.Resume(Cursor{name, 1, 0}))
		var minutes []int64
		for e, err := range r.All(t.Context()) {
			require.NoError(t, err)
			minutes = append(minutes, (e.Received-t0.UnixNano())/int64(time.Minute))
		}
		require.Equal(t, []int64{35, 40, 45, 50, 55}, minutes)
	})
	t.Run("another market", func(t *testing.T) {
		require.ErrorIs(t, open(t, dir).Resume(Cursor{h.Name(), 1, 1}, Cursor{h.Name(), 1, 2}), ErrCursor)
		require.ErrorIs(t, open(t, dir).Resume(Cursor{}), ErrCursor)
	})
}

func TestParseCursor(t *testing.T) {
	for _, good := range []string{"stocks-20261125T143000.000Z-000007:0:0", "futures-cme-20261125T143000.123Z-1234567:18446744073709551615:1"} {
		c, err := ParseCursor(good)
		require.NoError(t, err)
		require.Equal(t, good, c.String())
		var d Cursor
		text, err := c.MarshalText()
		require.NoError(t, err)
		require.NoError(t, d.UnmarshalText(text))
		require.Equal(t, c, d)
	}
	for _, bad := range []string{
		"", "::", "stocks-20261125T143000.000Z-000007:0", "stocks-20261125T143000.000Z-000007:0:0:0",
		"stocks-20261125T143000.000Z-000007:00:0", "stocks-20261125T143000.000Z-000007:+1:0", "stocks-20261125T143000.000Z-000007:0:0 ",
		"stocks-20261125T143000.000Z-7:0:0", "-20261125T143000.000Z-000007:0:0", "stocks-20261325T143000.000Z-000007:0:0",
		"stocks-20261125T143000.000Z-000007:18446744073709551616:0", "stocks:0:0",
	} {
		_, err := ParseCursor(bad)
		require.ErrorIs(t, err, ErrCursor, bad)
	}
}

// A folder of recordings may be a link, as to a disk of its own.
func TestOpenLink(t *testing.T) {
	folder := t.TempDir()
	put(t, folder, filepath.Join("real", "stocks", "a"+Suffix), testSegment(t, testHeader(), 1))
	link := filepath.Join(folder, "link")
	if err := os.Symlink("real", link); err != nil {
		t.Skip(err)
	}
	for _, path := range []string{link, link + string(filepath.Separator), filepath.Join(folder, "l*")} {
		require.Len(t, readAll(t, open(t, path)), 4, path)
		reports, err := Survey(t.Context(), path)
		require.NoError(t, err)
		require.Len(t, reports, 1)
		require.Equal(t, filepath.Join(link, "stocks", "a"+Suffix), reports[0].Path)
	}
}

func TestOpenNothing(t *testing.T) {
	_, err := Open(filepath.Join(t.TempDir(), "nothing*"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Open("[")
	require.Error(t, err)
	require.Empty(t, readAll(t, open(t, t.TempDir())))
}
