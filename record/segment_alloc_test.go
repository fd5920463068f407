//go:build !race && !tickstorm_poison

package record

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// Poison builds lend copies, which are allocated.
func TestSegmentWriterAlloc(t *testing.T) {
	s, err := newSegmentWriter(io.Discard, testHeader(), LevelDefault)
	require.NoError(t, err)
	msg := trade(1)
	require.NoError(t, s.message(at(1), msg))
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		if s.message(at(1), msg) != nil {
			panic("failed")
		}
	}))
}
