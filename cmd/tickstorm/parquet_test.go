package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestParquet: what was recorded is in files, whose paths are told, once however often the sink runs.
func TestParquet(t *testing.T) {
	t.Parallel()
	dir, elements := demoFolder(t)
	to := filepath.Join(t.TempDir(), "parquet")
	s := newScene(t)
	require.Equal(t, exitOK, s.run(t, "sink", "parquet", "--from", dir, "--to", to, "--follow", "0", "--sort"), s.err)
	parts := lines(s.out)
	for _, channel := range []string{"T", "Q", "A"} {
		require.True(t, strings.Contains(strings.Join(parts, " "), "market=stocks/ev="+channel+"/dt="), s.out)
	}
	for _, p := range parts {
		require.FileExists(t, filepath.FromSlash(p))
	}
	said := regexp.MustCompile(`: (\d+) rows in (\d+) files, .* of 1 segments; (\d+) rows of gaps, 0 elements`).FindStringSubmatch(s.err.String())
	require.NotNil(t, said, s.err)
	var n [3]int
	for i := range n {
		var err error
		n[i], err = strconv.Atoi(said[i+1])
		require.NoError(t, err)
	}
	require.Len(t, elements, n[0]-n[2])
	require.Len(t, parts, n[1])

	s = newScene(t)
	require.Equal(t, exitOK, s.run(t, "sink", "parquet", "--from", dir, "--to", to, "--follow", "1ms", "--for", "50ms"), s.err)
	require.Empty(t, s.out.String())
	require.Contains(t, s.err.String(), ": 0 rows in 0 files")
}

// TestParquetDemo: made-up data is called so, and a sink that follows ends with Ctrl-C.
func TestParquetDemo(t *testing.T) {
	t.Parallel()
	to := t.TempDir()
	s := newScene(t)
	require.Equal(t, exitOK, s.run(t, "sink", "parquet", "--demo", "--to", to), s.err)
	require.Contains(t, s.err.String(), "SIMULATOR")
	dir, _ := demoFolder(t)
	s = newScene(t)
	require.Equal(t, exitInterrupted, s.until(t, s.out, ".parquet", "sink", "parquet", "--from", dir, "--to", t.TempDir(), "--follow", "1ms"), s.err)
}

// TestParquetUnread: nobody reads the paths, and the files are made all the same.
func TestParquetUnread(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a.tsr.zst", "b.tsr.zst"} {
		require.NoError(t, os.Rename(demo(t, newScene(t)), filepath.Join(dir, name)))
	}
	s, to := newScene(t), t.TempDir()
	out := newBlocking(s.out)
	s.stdout = out
	code := make(chan int, 1)
	go func() { code <- s.run(t, "sink", "parquet", "--from", dir, "--to", to, "--follow", "0") }()
	<-out.begun
	require.Eventually(t, func() bool {
		made, err := filepath.Glob(filepath.Join(to, "market=stocks", "ev=*", "dt=*", "*.parquet"))
		require.NoError(t, err)
		segments := map[string]bool{}
		for _, p := range made {
			segments[strings.TrimSuffix(filepath.Base(p), "-000.parquet")] = true
		}
		return len(segments) == 2
	}, patience, time.Millisecond)
	close(out.free)
	require.Equal(t, exitOK, <-code, s.err)
	for _, p := range lines(s.out) {
		require.FileExists(t, filepath.FromSlash(p))
	}

	s = newScene(t)
	s.stdout = &failing{err: syscall.ENOSPC}
	require.Equal(t, exitFailure, s.run(t, "sink", "parquet", "--from", dir, "--to", t.TempDir(), "--follow", "0"))
	require.Contains(t, s.err.String(), "no longer written")
	require.Contains(t, s.err.String(), "rows in", "the files are made")
}

// TestParquetEnds: what keeps a sink from being one has its message and its code.
func TestParquetEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	ends(t, []end{
		{"sink parquet --demo", exitUsage, "--to"},
		{"sink parquet --to " + dir, exitUsage, "--from"},
		{"sink parquet --demo --from " + dir + " --to " + dir, exitUsage, "say one of them"},
		{"sink parquet --from " + dir + "/none --to " + dir, exitUsage, "no such file"},
		{"sink parquet --demo --to " + dir + " --row-group 1", exitUsage, "--row-group is 1000"},
		{"sink parquet --demo --to " + dir + " --follow -1s", exitUsage, "--follow"},
		{"sink parquet --demo --to " + dir + " --settle 0", exitUsage, "--settle"},
		{"sink parquet --demo --to " + dir + " --memory 99999999999", exitUsage, "Config"},
		{"sink parquet --demo --to " + dir + "/file/x", exitFailure, "not a directory"},
		{"sink parquet --from " + dir + " --to " + dir + " --follow 0", exitFailure, "there is no recording"},
	})
}

// TestParquetLeftOut: files of which nothing is made are told, and are no success.
func TestParquetLeftOut(t *testing.T) {
	t.Parallel()
	dir, to := t.TempDir(), t.TempDir()
	path := filepath.Join(dir, "a.tsr.zst")
	require.NoError(t, os.Rename(demo(t, newScene(t)), path))
	sink := func(says string) {
		t.Helper()
		s := newScene(t)
		require.Equal(t, exitFailure, s.run(t, "sink", "parquet", "--from", dir, "--to", to, "--follow", "0", "--settle", "1ns"), s.err)
		require.Contains(t, s.err.String(), says)
	}
	other := filepath.Join(dir, "b.tsr.zst")
	require.NoError(t, os.WriteFile(other, []byte(strings.Repeat("x", 9999)), 0o600))
	sink(`"no segments"=1 "of other recordings"=0 "removed before"=0`)
	done, err := filepath.Glob(filepath.Join(to, "_tickstorm", "segments", "*"))
	require.NoError(t, err)
	require.Len(t, done, 1, "the other one is done")
	require.NoError(t, os.Remove(other))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(text, text...), 0o600))
	sink(`"no segments"=0 "of other recordings"=1 "removed before"=0`)
}
