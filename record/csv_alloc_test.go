//go:build !race && !tickstorm_poison

package record

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// Poison builds lend copies, which are allocated.
func TestCSVAlloc(t *testing.T) {
	w, err := newCSVWriter(t.TempDir())
	require.NoError(t, err)
	e := &Entry{Market: tickstorm.Stocks, Received: at(0), Raw: trade(0)}
	w.message(e)
	defer w.files[0].out.discard()
	require.Zero(t, testing.AllocsPerRun(100, func() { w.message(e) }))
	require.NoError(t, w.err)
}
