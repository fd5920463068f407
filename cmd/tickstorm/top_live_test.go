//go:build unix

package main

import (
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/screen"
	"github.com/tickstorm/tickstorm/internal/fixture"
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
	return sitBefore(t, `exec tickstorm "$@"`, width, height, env, args...)
}

// sitBefore runs the program as a line of the shell does. SIGHUP is not ignored, even if it is here.
func sitBefore(t *testing.T, line string, width, height int, env []string, args ...string) *sitting {
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGHUP) // what is handled here is as usual in a child
	defer signal.Stop(heard)
	s, err := screen.Open(width, height)
	require.NoError(t, err)
	cmd := exec.Command("sh", append([]string{"-c", line, "sh"}, args...)...)
	cmd.Env = append(append(tools(t), "TERM=xterm-256color", "LC_ALL=C.UTF-8"), env...)
	require.NoError(t, s.Start(cmd))
	v := &sitting{Screen: s, t: t, cmd: cmd, done: make(chan int, 1)}
	go func() {
		_ = cmd.Wait() // the code says it
		v.done <- cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = s.Close()
		<-v.done
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
	t.Parallel()
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

// TestTopLiveEnds: keys, signals and time end it, and it gives the terminal back.
func TestTopLiveEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func(v *sitting) error
		args []string
		code int
	}{
		"q":       {func(v *sitting) error { return v.Send("q") }, nil, exitOK},
		"ctrl-c":  {func(v *sitting) error { return v.Send("\x03") }, nil, exitInterrupted},
		"SIGTERM": {func(v *sitting) error { return v.cmd.Process.Signal(syscall.SIGTERM) }, nil, exitOK},
		"SIGINT":  {func(v *sitting) error { return v.cmd.Process.Signal(os.Interrupt) }, nil, exitInterrupted},
		"SIGHUP":  {func(v *sitting) error { return v.cmd.Process.Signal(syscall.SIGHUP) }, nil, exitOK},
		"time":    {nil, []string{"--for", "2s"}, exitOK},
		"filter":  {func(v *sitting) error { return v.Send("/q\x03") }, nil, exitInterrupted},
	} {
		t.Run(name, func(t *testing.T) {
			v := sit(t, 80, 24, nil, append([]string{"top", "--demo"}, c.args...)...)
			if c.end != nil {
				v.has("● streaming")
				require.NoError(t, c.end(v))
			}
			require.Equal(t, c.code, v.ends())
			require.True(t, v.Await(patience, func(string) bool { return v.Turns() == 2 }), "the terminal is given back")
			require.False(t, v.Alternate())
		})
	}
	t.Run("a bad key", func(t *testing.T) {
		_, flags := start(t, sim.Config{})
		v := sit(t, 80, 24, []string{"MASSIVE_API_KEY=" + sim.BadKey}, append([]string{"top"}, flags...)...)
		require.Equal(t, exitKey, v.ends())
		v.has("authentication failed")
		require.NotContains(t, v.Text(), sim.BadKey)
	})
}

// TestTopHungUp: without a terminal it does not go on, whether it is told by a signal or has to find out.
func TestTopHungUp(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{"told": `exec tickstorm "$@"`, "not told": `trap "" HUP; exec tickstorm "$@"`} {
		t.Run(name, func(t *testing.T) {
			v := sitBefore(t, line, 80, 24, nil, "top", "--demo")
			v.has("● streaming")
			require.NoError(t, v.Screen.Close())
			require.Equal(t, exitOK, v.ends(), "as by SIGTERM")
		})
	}
	t.Run("nohup", func(t *testing.T) {
		v := sitBefore(t, `trap "" HUP; exec tickstorm "$@"`, 80, 24, nil, "top", "--demo")
		v.has("● streaming")
		require.NoError(t, v.cmd.Process.Signal(syscall.SIGHUP))
		require.NoError(t, v.Send("?"))
		v.has("KEYS")
		require.NoError(t, v.Send("q"))
		require.Equal(t, exitOK, v.ends())
	})
}

// TestTopSuspend: where there is no shell that could continue it, Ctrl-Z does not have it wait for one.
func TestTopSuspend(t *testing.T) {
	t.Parallel()
	v := sit(t, 80, 24, nil, "top", "--demo")
	v.has("● streaming")
	require.NoError(t, v.Send("\x1a"))
	require.True(t, v.Await(patience, func(string) bool { return v.Turns() >= 3 }), "it does not go, or does not come back")
	require.True(t, v.Alternate())
	require.NoError(t, v.Send("?"))
	v.has("KEYS")
	require.NoError(t, v.Send("\x1a"))
	require.True(t, v.Await(patience, func(string) bool { return v.Turns() >= 4 }))
	require.NoError(t, v.cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, exitOK, v.ends())
}

// TestTopDumbTerminal: one that has no more than lines is not drawn in.
func TestTopDumbTerminal(t *testing.T) {
	t.Parallel()
	v := sit(t, 80, 24, []string{"TERM=dumb"}, "top", "--demo", "-d", "100ms", "--for", "1s")
	v.has(" stocks streaming ev/s=")
	require.Equal(t, exitOK, v.ends())
	require.False(t, v.Alternate())
}

// TestDisplay: a terminal that takes nothing is not waited for once it is given up, and one that has gone is told.
func TestDisplay(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer w.Close()
	var gone []error
	d := newDisplay(w, func(err error) { gone = append(gone, err) })
	n, err := d.Write([]byte("a"))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	stuck := make(chan error, 1)
	go func() {
		_, err := d.Write(make([]byte, 32<<20))
		stuck <- err
	}()
	_, err = io.ReadFull(r, make([]byte, 2)) // of this write too
	require.NoError(t, err)
	d.giveUp()
	require.ErrorIs(t, <-stuck, errGivenUp)
	_, err = d.Write([]byte("b"))
	require.ErrorIs(t, err, errGivenUp)
	require.Empty(t, gone)
	require.NoError(t, r.Close())
	d = newDisplay(w, func(err error) { gone = append(gone, err) })
	_, err = d.Write([]byte("c"))
	require.Error(t, err)
	require.Len(t, gone, 1)
	require.ErrorIs(t, gone[0], errHungUp)

	r, w, err = os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	require.NoError(t, w.Close())
	k := &keyboard{r, func(err error) { gone = append(gone, err) }}
	_, err = k.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	require.Len(t, gone, 2)
	require.ErrorIs(t, gone[1], errHungUp)
}

// TestTopFeedLost: a feed that is lost is seen, with why, and so is that it has come back.
func TestTopFeedLost(t *testing.T) {
	t.Parallel()
	server, err := sim.Start(sim.Config{Address: fixture.Loopback() + ":0"})
	require.NoError(t, err)
	address := strings.TrimPrefix(string(server.Feed()), "ws://")
	v := sit(t, 100, 24, []string{"MASSIVE_API_KEY=k", "NO_COLOR=1"}, "top", "-d", "100ms", "--feed", string(server.Feed()))
	v.has("● streaming")
	v.has("> AAPL")
	require.NoError(t, server.Close())
	v.has("✖ backoff")
	v.has("▲ reconnect attempt")
	require.Eventually(t, func() bool { // the port may be another's for a moment
		server, err = sim.Start(sim.Config{Address: address})
		return err == nil
	}, patience, 10*time.Millisecond)
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
