//go:build !race && !tickstorm_poison

package parquet_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
	"github.com/tickstorm/tickstorm/sink/parquet"
)

// TestAllocs: what is allocated is for segments, parts, row groups and pages, and next to nothing for
// events. Poison builds lend copies, which are allocated.
func TestAllocs(t *testing.T) {
	allocs := func(events int) float64 {
		s, err := parquet.New(parquet.Config{From: []string{sinktest.Corpus(t, events)}, To: t.TempDir()})
		require.NoError(t, err)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		require.NoError(t, s.Run(t.Context()))
		runtime.ReadMemStats(&after)
		require.EqualValues(t, events, s.Stats().Rows-s.Stats().Gaps)
		return float64(after.Mallocs - before.Mallocs)
	}
	const few, many = 20_000, 120_000
	allocs(few) // what is made once
	each := (allocs(many) - allocs(few)) / (many - few)
	require.Less(t, each, 0.05)
	t.Logf("%.3f allocations an event", each)
}
