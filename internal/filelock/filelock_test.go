package filelock_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/internal/filelock"
)

// holderVariable makes the test binary, started again, a holder of the lock that it names.
const holderVariable = "TICKSTORM_LOCK_HOLDER"

func TestMain(m *testing.M) {
	if path := os.Getenv(holderVariable); path != "" {
		l, err := filelock.Try(path)
		if err != nil {
			panic(err)
		}
		_, _ = os.Stdout.WriteString("held\n")
		_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed, or whoever started it has gone
		_ = l.Release()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestOneHolds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	for range 3 {
		l, err := filelock.Try(path)
		require.NoError(t, err)
		_, err = filelock.Try(path)
		require.Equal(t, filelock.ErrHeld, err)
		require.NoError(t, l.Release())
		require.FileExists(t, path)
	}
}

func TestNoSuchPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "lock")
	_, err := filelock.Try(path)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, path)
	require.NotErrorIs(t, err, filelock.ErrHeld)
	_, err = filelock.Try(t.TempDir())
	require.Error(t, err, "a folder")
	require.NotErrorIs(t, err, filelock.ErrHeld)
}

// TestTakenAway: a file that took the place of the lock's is another lock, and who holds the
// first does so no more for whoever comes; the test documents it.
func TestTakenAway(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file that is open cannot be removed")
	}
	path := filepath.Join(t.TempDir(), "lock")
	first, err := filelock.Try(path)
	require.NoError(t, err)
	require.NoError(t, os.Remove(path))
	second, err := filelock.Try(path)
	require.NoError(t, err)
	require.NoError(t, first.Release())
	_, err = filelock.Try(path)
	require.ErrorIs(t, err, filelock.ErrHeld)
	require.NoError(t, second.Release())
}

// TestKilledHolder: the lock of a process that was killed is free.
func TestKilledHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), holderVariable+"="+path)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	defer in.Close()
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "held", line[:4])
	_, err = filelock.Try(path)
	require.ErrorIs(t, err, filelock.ErrHeld)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait(), "it was killed")
	var l *filelock.Lock
	require.Eventually(t, func() bool {
		l, err = filelock.Try(path)
		return err == nil
	}, time.Minute, time.Millisecond)
	require.NoError(t, l.Release())
}
