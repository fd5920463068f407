package record

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestRecorderSmallDisk fills a real file system of 1 MiB, and makes room again.
func TestRecorderSmallDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("no file system can be mounted: ", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	ballast := filepath.Join(dir, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 900<<10), 0o600))
	tp := newTape(t, func(c *Config) { c.Dir, c.Flush, c.SyncEvery = dir, minFlush, minFlush })
	wait := func(what string, cond func() bool) {
		require.Eventually(t, cond, time.Minute, time.Millisecond, what)
	}
	n := 0
	noise := make([]byte, 4<<10) // what does not compress
	seed := uint64(1)
	for len(tp.told(EventError)) == 0 {
		for i := range noise {
			seed = seed*6364136223846793005 + 1442695040888963407
			noise[i] = 'A' + byte(seed>>60)
		}
		n++
		tp.OnMessage(append([]byte(`[{"q":`+strconv.Itoa(n)+`},"`), append(noise, `"]`...)...), time.Now().UnixNano())
		wait("taken", func() bool {
			return tp.Stats().Messages == uint64(n) || len(tp.told(EventError)) > 0
		})
	}
	err := tp.told(EventError)[0].Err
	require.ErrorIs(t, err, ErrDiskFull)
	require.ErrorIs(t, err, syscall.ENOSPC)
	for range 10 {
		n++
		tp.say(n)
	}
	require.NoError(t, os.Remove(ballast))
	wait("all is written", func() bool { return tp.Stats().Messages == uint64(n) })
	tp.end()
	require.Equal(t, upTo(n), tp.messages())
	require.Zero(t, tp.Stats().Dropped)
	var refused *WriteError
	require.True(t, errors.As(err, &refused))
}
