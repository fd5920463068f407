package parquet_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/parquet"
)

// disk makes files that fail at an operation.
type disk struct {
	left int // operations until then
	err  error
}

func (d *disk) step() error {
	if d.left--; d.left < 0 {
		return d.err
	}
	return nil
}

func (d *disk) create(path string) (parquet.File, error) {
	if err := d.step(); err != nil {
		return nil, err
	}
	f, err := parquet.Create(path)
	return failing{f, d}, err
}

type failing struct {
	parquet.File
	d *disk
}

func (f failing) Write(b []byte) (int, error) {
	if err := f.d.step(); err != nil {
		n, _ := f.File.Write(b[:len(b)/2])
		return n, err
	}
	return f.File.Write(b)
}

func (f failing) Sync() error { return errors.Join(f.d.step(), f.File.Sync()) }

// TestFullDisk: at whatever moment a disk is full, what is there is whole, nothing else is left, and
// the next run makes what is missing.
func TestFullDisk(t *testing.T) {
	dir, want := recording(t, tickstorm.Stocks, 1, 6, 20, "T", "Q"), t.TempDir()
	convert(t, killable(dir, want))
	for n := 0; ; n++ {
		got := t.TempDir()
		cfg := killable(dir, got)
		d := &disk{n, syscall.ENOSPC}
		cfg.Creating(d.create)
		s, err := parquet.New(cfg)
		require.NoError(t, err)
		err = s.Run(t.Context())
		if err == nil {
			require.Greater(t, n, 5)
			requireSame(t, want, got)
			return
		}
		var write *parquet.WriteError
		require.ErrorAs(t, err, &write)
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.Empty(t, tree(t, got), "step %d", n)
		if n%4 == 0 {
			convert(t, killable(dir, got))
			requireSame(t, want, got)
		}
	}
}

// TestNoName: if a part cannot have its name, those that have theirs are whole, nothing else is left, and
// the next run makes what is missing.
func TestNoName(t *testing.T) {
	dir, want := recording(t, tickstorm.Stocks, 1, 6, 20, "T", "Q"), t.TempDir()
	convert(t, killable(dir, want))
	whole := tree(t, want)
	for n := range partsIn(t, want) {
		got := t.TempDir()
		cfg := killable(dir, got)
		var inTheWay string
		creates := 0
		cfg.Creating(func(path string) (parquet.File, error) {
			if creates++; creates == n+1 {
				inTheWay = strings.TrimSuffix(path, ".tmp")
				require.NoError(t, os.Mkdir(inTheWay, 0o700))
			}
			return parquet.Create(path)
		})
		s, err := parquet.New(cfg)
		require.NoError(t, err)
		var write *parquet.WriteError
		require.ErrorAs(t, s.Run(t.Context()), &write)
		require.Equal(t, "rename", write.Op)
		for name, text := range tree(t, got) {
			require.True(t, whole[name] == text, name)
			require.NotContains(t, name, "_tickstorm", "it is not done")
		}
		require.NoError(t, os.Remove(inTheWay))
		convert(t, killable(dir, got))
		requireSame(t, want, got)
	}
}

// TestFollowingSurvivesAFullDisk: a sink that follows tries again, and counts.
func TestFollowingSurvivesAFullDisk(t *testing.T) {
	dir, want, got := recording(t, tickstorm.Stocks, 1, 6, 20, "T"), t.TempDir(), t.TempDir()
	convert(t, killable(dir, want))
	cfg := killable(dir, got)
	cfg.Follow, cfg.MinWait = time.Millisecond, time.Millisecond
	n := 0
	cfg.Creating(func(path string) (parquet.File, error) {
		n++
		return (&disk{n, syscall.ENOSPC}).create(path)
	})
	s, stop := follow(t, cfg)
	require.Eventually(t, func() bool { return s.Stats().Segments == 1 }, patience, time.Millisecond)
	require.NotZero(t, s.Stats().Retries)
	stop()
	requireSame(t, want, got)
}

const patience = time.Minute // a net against hangs

// follow runs a sink until it is stopped.
func follow(t *testing.T, cfg parquet.Config) (s *parquet.Sink, stop func()) {
	t.Helper()
	s, err := parquet.New(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- s.Run(ctx) }()
	return s, func() {
		cancel()
		require.ErrorIs(t, <-over, context.Canceled)
	}
}

// lying keeps some of what is written to itself.
type lying struct {
	parquet.File
	written *int
}

func (l lying) Write(b []byte) (int, error) {
	if *l.written += len(b); *l.written > 5000 {
		spoilt := append([]byte(nil), b...)
		for i := range min(len(b), 40) {
			spoilt[i] ^= 0x55
		}
		b = spoilt
	}
	return l.File.Write(b)
}

// TestLyingDisk: what does not read as it was written gets no name.
func TestLyingDisk(t *testing.T) {
	dir, got := recording(t, tickstorm.Stocks, 1, 6, 200, "T"), t.TempDir()
	cfg := parquet.Config{From: []string{dir}, To: got}
	cfg.Creating(func(path string) (parquet.File, error) {
		f, err := parquet.Create(path)
		return lying{f, new(int)}, err
	})
	s, err := parquet.New(cfg)
	require.NoError(t, err)
	err = s.Run(t.Context())
	var check *parquet.CheckError
	require.ErrorAs(t, err, &check)
	require.Empty(t, tree(t, got))
}

// TestRefused: what keeps a sink from being one is an error of its own, and changes nothing.
func TestRefused(t *testing.T) {
	dir := recording(t, tickstorm.Stocks, 1, 2, 20, "T")
	run := func(cfg parquet.Config) error {
		s, err := parquet.New(cfg)
		require.NoError(t, err)
		return s.Run(t.Context())
	}
	t.Run("no folder", func(t *testing.T) {
		under := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(under, nil, 0o600))
		require.ErrorIs(t, run(parquet.Config{From: []string{dir}, To: filepath.Join(under, "to")}), syscall.ENOTDIR)
	})
	t.Run("two", func(t *testing.T) {
		to := t.TempDir()
		s, stop := follow(t, parquet.Config{From: []string{dir}, To: to, Follow: time.Hour})
		require.Eventually(t, func() bool { return s.Stats().Segments == 1 }, patience, time.Millisecond)
		require.ErrorIs(t, run(parquet.Config{From: []string{dir}, To: to}), sink.ErrInUse)
		stop()
		require.NoError(t, run(parquet.Config{From: []string{dir}, To: to}))
	})
	t.Run("twice", func(t *testing.T) {
		s, err := parquet.New(parquet.Config{From: []string{dir}, To: t.TempDir()})
		require.NoError(t, err)
		require.NoError(t, s.Run(t.Context()))
		require.ErrorIs(t, s.Run(t.Context()), sink.ErrRan)
	})
	t.Run("other columns", func(t *testing.T) {
		to := t.TempDir()
		convert(t, parquet.Config{From: []string{dir}, To: to})
		part := partsIn(t, to)[0]
		quotes := t.TempDir()
		convert(t, parquet.Config{From: []string{recording(t, tickstorm.Stocks, 1, 2, 20, "Q")}, To: quotes})
		other, err := os.ReadFile(partsIn(t, quotes)[0])
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(part, other, 0o600))
		var schema *parquet.SchemaError
		require.ErrorAs(t, run(parquet.Config{From: []string{dir, recording(t, tickstorm.Stocks, 1, 2, 20, "T")}, To: to}), &schema)
		require.Equal(t, part, schema.Path)
		require.Contains(t, schema.Error(), "message quotes")
		require.NoError(t, os.WriteFile(part, []byte("no parquet"), 0o600))
		require.ErrorAs(t, run(parquet.Config{From: []string{recording(t, tickstorm.Stocks, 1, 2, 20, "T")}, To: to}), &schema)
		parts, err := filepath.Glob(filepath.Join(to, "market=*", "ev=T", "dt=*", "*"))
		require.NoError(t, err)
		require.Equal(t, []string{part}, parts)
	})
	t.Run("manifest", func(t *testing.T) {
		to := t.TempDir()
		convert(t, parquet.Config{From: []string{dir}, To: to})
		manifests, err := filepath.Glob(filepath.Join(to, "_tickstorm", "segments", "*.json"))
		require.NoError(t, err)
		require.Len(t, manifests, 1)
		require.NoError(t, os.WriteFile(manifests[0], []byte("{}"), 0o600))
		require.ErrorIs(t, run(parquet.Config{From: []string{dir}, To: to}), parquet.ErrManifest)
	})
	t.Run("nothing to read", func(t *testing.T) {
		require.ErrorIs(t, run(parquet.Config{From: []string{filepath.Join(dir, "none")}, To: t.TempDir()}), fs.ErrNotExist)
	})
	for _, cfg := range []parquet.Config{{}, {From: []string{dir}}, {From: []string{dir}, To: "x", Memory: -1}, {From: []string{dir}, To: "x", RowGroup: -1}, {From: []string{dir}, To: "x", MinWait: 2, MaxWait: 1}} {
		_, err := parquet.New(cfg)
		require.Error(t, err)
	}
}

// TestDamage: what is whole of a damaged segment is there, and its gaps say where the rest was.
func TestDamage(t *testing.T) {
	dir, to := t.TempDir(), t.TempDir()
	for range 5 {
		tp := newTape(t, dir, tickstorm.Stocks, 1, "T")
		tp.say(20, 150)
		tp.gap()
		tp.end()
	}
	paths := segmentsIn(t, dir)
	text, err := os.ReadFile(paths[0])
	require.NoError(t, err)
	for i := range 100 {
		text[len(text)/2+i] ^= 0xff
	}
	require.NoError(t, os.WriteFile(paths[0], text, 0o600))
	text, err = os.ReadFile(paths[1])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(paths[1], text[:len(text)*2/3], 0o600)) // torn
	old := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(paths[1], old, old))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "no-segment"+record.Suffix), []byte(strings.Repeat("x", 9999)), 0o600))
	require.NoError(t, os.Chtimes(filepath.Join(dir, "no-segment"+record.Suffix), old, old))

	stats := convert(t, parquet.Config{From: []string{dir}, To: to})
	require.EqualValues(t, 1, stats.Unnamed)
	require.NotZero(t, stats.Damages)
	require.NoError(t, os.Remove(filepath.Join(dir, "no-segment"+record.Suffix))) // which is a damage of no market to record.CSV
	requireEqualsCSV(t, dir, to)
}

// TestConflict: what has a segment's name and is not it is left alone, and told.
func TestConflict(t *testing.T) {
	dir, to := recording(t, tickstorm.Stocks, 1, 4, 50, "T"), t.TempDir()
	convert(t, parquet.Config{From: []string{dir}, To: to})
	before := tree(t, to)
	path := segmentsIn(t, dir)[0]
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(text, text...), 0o600))
	stats := convert(t, parquet.Config{From: []string{dir}, To: to, Settle: time.Nanosecond})
	require.EqualValues(t, 1, stats.Conflicts)
	require.Zero(t, stats.Segments)
	require.Equal(t, before, tree(t, to))
}

// TestGone: a segment that is removed when it is its turn keeps nobody else from being done.
func TestGone(t *testing.T) {
	dir, to := recording(t, tickstorm.Stocks, 3, 4, 50, "T"), t.TempDir()
	paths := segmentsIn(t, dir)
	cfg := parquet.Config{From: []string{dir}, To: to}
	cfg.OnDone = func(string, []string) { _ = os.Remove(paths[1]) }
	stats := convert(t, cfg)
	require.EqualValues(t, 1, stats.Gone)
	require.EqualValues(t, 2, stats.Segments)
}
