//go:build unix

package screen_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/screen"
	"github.com/tickstorm/tickstorm/internal/leak"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// TestClose: the terminal goes away from a program at once, even if that never writes anything.
func TestClose(t *testing.T) {
	s, err := screen.Open(80, 24)
	require.NoError(t, err)
	cmd := exec.Command("sleep", "600")
	require.NoError(t, s.Start(cmd))
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		require.NoError(t, err)
	case <-time.After(time.Minute):
		require.Fail(t, "it waits for the program")
	}
	_ = cmd.Process.Kill() // unless it was told by SIGHUP
	require.Error(t, cmd.Wait())
}

// TestScreen: what a program draws is there, of the size that it is told, and so is the end.
func TestScreen(t *testing.T) {
	s, err := screen.Open(20, 3)
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, s.Resize(30, 4))
	cmd := exec.Command("sh", "-c", `stty size; printf '\033[31m日本\033[m|'; read x; echo "got $x"`)
	require.NoError(t, s.Start(cmd))
	require.True(t, s.Await(time.Minute, func(text string) bool { return text == "4 30\n日本|\n\n\n" }), s.Text())
	require.Equal(t, 2, s.Cell(0, 1).Width)
	require.NotNil(t, s.Cell(2, 1).Style.Fg)
	require.Nil(t, s.Cell(4, 1).Style.Fg)
	require.Contains(t, s.SVG("a picture"), ">日本</text>")
	require.NoError(t, s.Send("keys\r"))
	require.True(t, s.Await(time.Minute, func(text string) bool { return text == "4 30\n日本|keys\ngot keys\n\n" }), s.Text())
	require.NoError(t, cmd.Wait())
	require.False(t, s.Await(time.Minute, func(string) bool { return false }), "it is over")
}
