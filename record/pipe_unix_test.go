//go:build unix

package record

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A pipe is never opened, which would wait for whoever writes to it.
func TestPipe(t *testing.T) {
	folder := t.TempDir()
	pipe := filepath.Join(folder, "a"+Suffix)
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip("no pipes here: ", err)
	}
	reports, err := Verify(t.Context(), folder)
	require.NoError(t, err)
	require.Empty(t, reports)
	require.Empty(t, readAll(t, open(t, folder)))
	_, err = Verify(t.Context(), pipe)
	require.ErrorIs(t, err, errNotRegular)
	_, err = open(t, pipe).Next(t.Context())
	require.ErrorIs(t, err, errNotRegular)
}
