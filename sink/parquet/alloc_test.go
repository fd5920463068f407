package parquet_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/sink/parquet"
)

// TestAllocs: what is allocated is for segments, parts, row groups and pages, and not for events.
func TestAllocs(t *testing.T) {
	const events = 100_000
	dir, to := corpus(t, events), t.TempDir()
	s, err := parquet.New(parquet.Config{From: []string{dir}, To: to})
	require.NoError(t, err)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.NoError(t, s.Run(t.Context()))
	runtime.ReadMemStats(&after)
	require.EqualValues(t, events, s.Stats().Rows-s.Stats().Gaps)
	require.Less(t, float64(after.Mallocs-before.Mallocs)/events, 0.3)
	t.Logf("%.3f allocations, %.0f bytes an event", float64(after.Mallocs-before.Mallocs)/events, float64(after.TotalAlloc-before.TotalAlloc)/events)
}
