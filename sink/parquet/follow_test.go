package parquet_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sink/parquet"
)

// TestFollow: segments come when they are closed, and what is being written does not.
func TestFollow(t *testing.T) {
	dir, to := t.TempDir(), t.TempDir()
	tp := newTape(t, dir, tickstorm.Stocks, 1, "T")
	tp.say(3, 20)
	s, stop := follow(t, parquet.Config{From: []string{dir}, To: to, Follow: time.Millisecond})
	require.Eventually(t, func() bool { return s.Stats().Open == 1 }, patience, time.Millisecond)
	tp.end()
	require.Eventually(t, func() bool { return s.Stats().Segments == 1 }, patience, time.Millisecond)
	tp = newTape(t, dir, tickstorm.Stocks, 2, "T")
	tp.say(3, 20)
	tp.end()
	require.Eventually(t, func() bool { return s.Stats().Segments == 2 && s.Stats().Open == 0 }, patience, time.Millisecond)
	require.GreaterOrEqual(t, s.Stats().Newest, tp.at.UnixNano())
	stop()
	requireEqualsCSV(t, dir, to)
}

// TestUnfinished: what a crash has left comes once it does not grow any more, and anew if it
// grows all the same.
func TestUnfinished(t *testing.T) {
	dir, to := t.TempDir(), t.TempDir()
	tp := newTape(t, dir, tickstorm.Stocks, 1, "T")
	snapshot := func(messages uint64) []byte { // once they are in the file
		tp.say(20, 50)
		var path string
		require.Eventually(t, func() bool {
			path = segmentsIn(t, dir)[0]
			reports, err := record.Survey(t.Context(), path)
			return err == nil && len(reports) == 1 && reports[0].Messages == messages
		}, patience, time.Millisecond)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		return text
	}
	first, second := snapshot(20), snapshot(40)
	tp.end()
	path := segmentsIn(t, dir)[0]
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.Remove(path))
	part := strings.TrimSuffix(path, record.Suffix) + record.PartSuffix
	require.NoError(t, os.WriteFile(part, first, 0o600))
	stats := convert(t, parquet.Config{From: []string{dir}, To: to})
	require.Equal(t, 1, stats.Open)
	require.Empty(t, partsIn(t, to))

	old := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(part, old, old))
	require.EqualValues(t, 1, convert(t, parquet.Config{From: []string{dir}, To: to}).Segments)
	requireEqualsCSV(t, dir, to)
	require.Len(t, readParts(t, to)["trades"], 1000)
	require.Zero(t, convert(t, parquet.Config{From: []string{dir}, To: to}).Segments)

	require.NoError(t, os.WriteFile(part, second, 0o600))
	require.NoError(t, os.Chtimes(part, old, old))
	require.EqualValues(t, 1, convert(t, parquet.Config{From: []string{dir}, To: to}).Segments)
	require.Len(t, readParts(t, to)["trades"], 2000)

	require.NoError(t, os.Remove(part))
	require.NoError(t, os.WriteFile(path, text, 0o600))
	require.EqualValues(t, 1, convert(t, parquet.Config{From: []string{dir}, To: to}).Segments)
	all := readParts(t, to)
	require.Len(t, all["trades"], 2000)
	for _, r := range all["gaps"] {
		require.NotEqual(t, "damage", r["kind"], "what was torn is whole")
	}
	for _, p := range partsIn(t, to) {
		_, err := os.Stat(p + ".tmp")
		require.ErrorIs(t, err, os.ErrNotExist)
	}
}

// TestLeftovers: what a killed sink was writing is removed, and parts of another run's settings too.
func TestLeftovers(t *testing.T) {
	dir, to := recording(t, tickstorm.Stocks, 2, 4, 20, "T", "Q"), t.TempDir()
	convert(t, parquet.Config{From: []string{dir}, To: to, RowGroup: 20, MaxOpen: 1})
	many := len(partsIn(t, to))
	left := filepath.Join(to, "market=stocks", "ev=T", "dt=2026-11-25", "part-x.parquet.tmp")
	require.NoError(t, os.WriteFile(left, []byte("x"), 0o600))
	manifests, err := filepath.Glob(filepath.Join(to, "_tickstorm", "segments", "*.json"))
	require.NoError(t, err)
	require.NoError(t, os.Remove(manifests[1]))
	convert(t, parquet.Config{From: []string{dir}, To: to})
	require.NoFileExists(t, left)
	require.Less(t, len(partsIn(t, to)), many)
	requireEqualsCSV(t, dir, to)
}

// TestFrom: a recording is found by its folder, by a link to it, by patterns and by its files.
func TestFrom(t *testing.T) {
	dir, links := recording(t, tickstorm.Stocks, 2, 4, 20, "T"), t.TempDir()
	paths := segmentsIn(t, dir)
	folder, file := filepath.Join(links, "folder"), filepath.Join(links, "file")
	require.NoError(t, os.Symlink(dir, folder))
	require.NoError(t, os.Symlink(paths[0], file))
	for _, c := range []struct {
		from []string
		want int
	}{
		{[]string{dir}, 2}, {[]string{folder}, 2}, {[]string{folder + "/"}, 2}, {[]string{file}, 1}, {paths, 2}, {[]string{dir, paths[0], file}, 2},
		{[]string{filepath.Join(filepath.Dir(paths[0]), "*")}, 2}, {[]string{filepath.Join(links, "fold*")}, 2}, {[]string{filepath.Join(links, "none*")}, 0},
	} {
		require.EqualValues(t, c.want, convert(t, parquet.Config{From: c.from, To: t.TempDir()}).Segments, c.from)
	}
}
