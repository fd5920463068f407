package main

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestTopStuck: a terminal that takes nothing any more does not keep it from ending.
func TestTopStuck(t *testing.T) {
	t.Parallel()
	v := sit(t, 80, 24, nil, "top", "--demo")
	v.has("● streaming")
	terminal, err := os.OpenFile(v.Terminal().Name(), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	defer terminal.Close()
	require.NoError(t, unix.IoctlSetInt(int(terminal.Fd()), unix.TCXONC, unix.TCOOFF))
	require.NoError(t, v.cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, exitOK, v.ends())
}
