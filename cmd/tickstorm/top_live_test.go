//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/screen"
	"github.com/tickstorm/tickstorm/sim"
)

// sitting is somebody in front of a terminal in which the program runs.
type sitting struct {
	*screen.Screen
	t    *testing.T
	cmd  *exec.Cmd
	done chan int
}

// sit runs the program in a terminal.
func sit(t *testing.T, width, height int, env []string, args ...string) *sitting {
	s, err := screen.Open(width, height)
	require.NoError(t, err)
	all := tools(t)
	cmd := exec.Command(filepath.Join(strings.TrimPrefix(strings.SplitN(all[0], ":", 2)[0], "PATH="), "tickstorm"), args...)
	cmd.Env = append(append(all, "TERM=xterm-256color", "LC_ALL=C.UTF-8"), env...)
	require.NoError(t, s.Start(cmd))
	v := &sitting{Screen: s, t: t, cmd: cmd, done: make(chan int, 1)}
	go func() {
		_ = cmd.Wait() // the code says it
		v.done <- cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = s.Close()
		if code, ok := <-v.done; ok {
			_ = code
		}
	})
	return v
}

// has waits until a text is on the screen.
func (v *sitting) has(text string) {
	v.t.Helper()
	require.True(v.t, v.Await(patience, func(screen string) bool { return strings.Contains(screen, text) }), "%q is not there:\n%s", text, v.Text())
}

// ends waits for the program's end, and returns its code.
func (v *sitting) ends() int {
	v.t.Helper()
	select {
	case code := <-v.done:
		close(v.done)
		return code
	case <-time.After(patience):
		require.Fail(v.t, "it does not end", v.Text())
		return 0
	}
}

// TestTopLive: in a terminal it is live, takes keys and other sizes, and gives the terminal back.
func TestTopLive(t *testing.T) {
	v := sit(t, 80, 24, nil, "top", "--demo")
	v.has("● streaming")
	v.has("SIMULATOR")
	v.has("> AAPL")
	require.True(t, v.Alternate())
	require.NoError(t, v.Resize(120, 40))
	v.has("WHAT HAPPENED")
	require.NoError(t, v.Resize(60, 16))
	require.True(t, v.Await(patience, func(text string) bool {
		lines := strings.Split(strings.TrimSpace(text), "\n")
		return len(lines) == 16 && strings.Contains(lines[15], "q quit") && strings.Contains(text, "> AAPL") && !strings.Contains(text, "WHAT HAPPENED")
	}), v.Text())
	require.NoError(t, v.Send("\r"))
	v.has("TRADES")
	v.has("QUOTES")
	require.NoError(t, v.Send("\x1b"))
	v.has("CHANNEL")
	require.NoError(t, v.Send("mjjjj\r"))
	v.has("indices")
	v.has("V   ")
	v.has("● streaming")
	require.NoError(t, v.Send("q"))
	require.Equal(t, exitOK, v.ends())
	require.True(t, v.Await(patience, func(string) bool { return !v.Alternate() }))
	require.NotContains(t, v.Text(), "panic")
}

// TestTopLiveEnds: Ctrl-C, signals, time, and a terminal that goes away end it.
func TestTopLiveEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(v *sitting) error
		args []string
		code int
	}{
		"ctrl-c":  {func(v *sitting) error { return v.Send("\x03") }, nil, exitInterrupted},
		"SIGTERM": {func(v *sitting) error { return v.cmd.Process.Signal(syscall.SIGTERM) }, nil, exitOK},
		"SIGINT":  {func(v *sitting) error { return v.cmd.Process.Signal(os.Interrupt) }, nil, exitInterrupted},
		"time":    {func(v *sitting) error { return nil }, []string{"--for", "2s"}, exitOK},
		"filter":  {func(v *sitting) error { return v.Send("/q\x03") }, nil, exitInterrupted},
	} {
		t.Run(name, func(t *testing.T) {
			v := sit(t, 80, 24, nil, append([]string{"top", "--demo"}, c.args...)...)
			v.has("● streaming")
			require.NoError(t, c.end(v))
			require.Equal(t, c.code, v.ends())
			require.True(t, v.Await(patience, func(string) bool { return !v.Alternate() }), "the terminal is given back")
		})
	}
	t.Run("no terminal any more", func(t *testing.T) {
		v := sit(t, 80, 24, nil, "top", "--demo")
		v.has("● streaming")
		require.NoError(t, v.Screen.Close())
		v.ends()
	})
	t.Run("a bad key", func(t *testing.T) {
		_, flags := start(t, sim.Config{})
		v := sit(t, 80, 24, []string{"MASSIVE_API_KEY=" + sim.BadKey}, append([]string{"top"}, flags...)...)
		require.Equal(t, exitKey, v.ends())
		v.has("authentication failed")
		require.NotContains(t, v.Text(), sim.BadKey)
	})
}

// TestTopFeedLost: a feed that is lost is seen, with why, and so is that it has come back.
func TestTopFeedLost(t *testing.T) {
	server, err := sim.Start(sim.Config{})
	require.NoError(t, err)
	address := strings.TrimPrefix(string(server.Feed()), "ws://")
	v := sit(t, 100, 24, []string{"MASSIVE_API_KEY=k", "NO_COLOR=1"}, "top", "-d", "100ms", "--feed", string(server.Feed()))
	v.has("● streaming")
	v.has("> AAPL")
	require.NoError(t, server.Close())
	v.has("✖ backoff")
	v.has("▲ reconnect attempt")
	server, err = sim.Start(sim.Config{Address: address})
	require.NoError(t, err)
	defer server.Close()
	v.has("● streaming")
	v.has("✖ gap")
	v.has("gaps 1")
	v.has("reconnects 1")
	width, height := v.Size()
	for y := range height {
		for x := range width {
			require.Nil(t, v.Cell(x, y).Style.Fg, "there is no colour")
		}
	}
	require.NoError(t, v.Send("3"))
	v.has("  waits: ")
	require.NoError(t, v.Send("q"))
	require.Equal(t, exitOK, v.ends())
}
