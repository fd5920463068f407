package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/record"
)

// TestWorkLine: a progress line says how many bytes of how many were read.
func TestWorkLine(t *testing.T) {
	const took = 3*time.Second + 200*time.Millisecond
	for want, p := range map[string]record.Progress{
		"verifying, 3s": {},
		"verifying: 12.3 MB of 400.0 MB, 3 %, 3s":                  {Done: 12_345_678, Total: 400e6},
		"verifying, reading it again: 1.0 MB of 1.0 MB, 100 %, 3s": {Done: 1e6, Total: 1e6, Checking: true},
	} {
		require.Equal(t, want, workLine("verifying", p, took))
	}
}

// TestWorking: the line follows the work, its parts together, and goes when it is done.
func TestWorking(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	path := demo(t, s)
	info, err := os.Stat(path)
	require.NoError(t, err)
	a := s.app()
	_, stop := a.working(t.Context(), "verifying", 0)
	stop()
	require.Empty(t, s.err.String(), "nobody looks on")

	a.stderrTerminal = true
	ctx, stop := a.working(t.Context(), "verifying", 2*info.Size())
	for _, share := range []string{" 50 %", " 100 %"} {
		_, err = record.Verify(ctx, path)
		require.NoError(t, err)
		require.True(t, s.err.await(share), s.err)
	}
	stop()
	stop()
	require.True(t, a.console.end())
	require.Regexp(t, `\r +\r$`, s.err, "it is taken away")

	s = newScene(t)
	a = s.app()
	a.stderrTerminal = true
	ctx, stop = a.working(t.Context(), "merging", 0)
	_, err = record.Merge(ctx, filepath.Join(t.TempDir(), "to"+record.Suffix), path)
	require.NoError(t, err)
	require.True(t, s.err.await("\rmerging, reading it again: "), s.err)
	stop()
}
