//go:build unix

package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tools makes a folder with the program, as this test binary is it, and returns an environment in which
// it is found, with no key and no configuration.
func tools(t *testing.T) []string {
	exe, err := os.Executable()
	require.NoError(t, err)
	dir, home := t.TempDir(), t.TempDir()
	script := "#!/bin/sh\n" + asProcess + "=1 exec " + exe + ` "$@"` + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tickstorm"), []byte(script), 0o755))
	env := []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "HOME=" + home, "XDG_CONFIG_HOME=" + home, "TMPDIR=" + home}
	if cover := os.Getenv("GOCOVERDIR"); cover != "" {
		env = append(env, "GOCOVERDIR="+cover)
	}
	return env
}

// shell runs a line in a folder, and returns its outputs and code. What has no end of its own is
// interrupted, as by Ctrl-C, when it has written something.
func shell(t *testing.T, env []string, dir, line string, endless bool) (out, errs string, code int) {
	cmd := exec.Command("bash", "-c", line)
	cmd.Env, cmd.Dir = env, dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, stderr := newBuffer(), newBuffer()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	require.NoError(t, cmd.Start())
	kill := time.AfterFunc(patience, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	if endless {
		require.True(t, stdout.await("\n"), stderr)
		require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
	}
	_ = cmd.Wait() // the code says it
	kill.Stop()
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// TestExamples: the examples of every verb's help do what they say.
func TestExamples(t *testing.T) {
	t.Parallel()
	env := tools(t)
	dir := t.TempDir()
	// What the examples have that are about recordings, keys and relays.
	recordings := filepath.Join(dir, "recordings", "stocks", "2026-11-25")
	require.NoError(t, os.MkdirAll(recordings, 0o755))
	s := newScene(t)
	path := demo(t, s)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(recordings, "a.tsr.zst"), text, 0o600))
	_, jq := exec.LookPath("jq")

	s = newScene(t)
	require.Equal(t, exitOK, s.run(t, "--help"))
	var verbs []string
	for _, n := range leaves(grammarOf(t).Model.Node) {
		verbs = append(verbs, pathOf(n, " "))
	}
	require.Greater(t, len(verbs), 10)
	for _, verb := range verbs {
		s := newScene(t)
		require.Equal(t, exitOK, s.run(t, append(strings.Fields(verb), "--help")...))
		_, help, ok := strings.Cut(s.out.String(), "Examples:\n")
		require.True(t, ok, "%s has no examples", verb)
		ran := 0
		for lines := bufio.NewScanner(strings.NewReader(help)); lines.Scan(); {
			line := lines.Text()
			if !strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "    #") {
				if ran > 0 && !strings.HasPrefix(line, "    ") {
					break
				}
				continue
			}
			line = strings.TrimSpace(line)
			ran++
			if strings.Contains(line, "| jq") && jq != nil || !runnable(line) {
				continue
			}
			t.Run(line, func(t *testing.T) {
				t.Parallel()
				folder := t.TempDir()
				require.NoError(t, os.Symlink(filepath.Join(dir, "recordings"), filepath.Join(folder, "recordings")))
				out, errs, code := shell(t, env, folder, line, line == "tickstorm sub --demo T.AAPL")
				require.Contains(t, []int{exitOK, exitInterrupted}, code, "%s\n%s", out, errs)
				require.NotContains(t, errs, "panic")
				if strings.Contains(line, "--demo") || strings.Contains(line, " sim ") {
					require.Contains(t, errs, "SIMULATOR")
				}
			})
		}
		require.NotZero(t, ran, verb)
	}
}

// runnable reports whether an example needs no key, no relay, no database, and is not about a recorder that was killed.
func runnable(line string) bool {
	for _, needs := range []string{"--feed ", "--url ", "--brokers ", "top --admin ", "tickstorm record -o", "tickstorm relay -m", "tickstorm record -m", "probe --yes", "*.part", "tickstorm bench recordings", "--serve", "sink postgres", "--to parquet --sort", "duckdb -c"} {
		if strings.Contains(line, needs) && !strings.Contains(line, "# or") {
			return false
		}
	}
	return line != "tickstorm bench" // which takes a while
}

// TestPipes: a reader that goes away is no failure, and one that waits gets whole lines.
func TestPipes(t *testing.T) {
	t.Parallel()
	env := tools(t)
	for _, c := range []struct {
		line string
		want int // lines
	}{
		{"tickstorm sub --demo --demo-rate 5000 'T.*' | head -3", 3},
		{"tickstorm sub --demo --demo-rate 5000 -f csv 'T.*' | head -n 2", 2},
		{"tickstorm convert --demo | head -5", 5},
		{"tickstorm replay --demo --speed max --loop | head -5", 5},
		{"tickstorm info --demo | head -1", 1},
		{"tickstorm completion bash | head -1", 1},
		{"tickstorm --help | head -1", 1},
	} {
		t.Run(c.line, func(t *testing.T) {
			out, errs, code := shell(t, env, t.TempDir(), "set -o pipefail; "+c.line, false)
			require.Equal(t, exitOK, code, errs)
			require.Equal(t, c.want, strings.Count(out, "\n"))
			require.NotContains(t, errs, "pipe")
		})
	}
	if _, err := exec.LookPath("jq"); err == nil {
		out, errs, code := shell(t, env, t.TempDir(), "set -o pipefail; tickstorm sub --demo -n 5 'T.*' | jq -r .ev", false)
		require.Equal(t, exitOK, code, errs)
		require.Equal(t, strings.Repeat("T\n", 5), out)
	}
	if _, err := os.Stat("/dev/full"); err == nil {
		_, errs, code := shell(t, env, t.TempDir(), "tickstorm sub --demo 'T.*' > /dev/full", false)
		require.Equal(t, exitFailure, code)
		require.Contains(t, errs, "standard output")
		require.Contains(t, errs, "no space left on device")
		_, errs, code = shell(t, env, t.TempDir(), "tickstorm convert --demo > /dev/full", false)
		require.Equal(t, exitFailure, code)
		require.Contains(t, errs, "no space left on device")
	}
	out, errs, code := shell(t, env, t.TempDir(), "bash -n <(tickstorm completion bash) && source <(tickstorm completion bash) && COMP_WORDS=(tickstorm ver) COMP_CWORD=1 && _tickstorm && echo ${COMPREPLY[*]} && COMP_WORDS=(tickstorm sub --overflow dr) COMP_CWORD=3 && _tickstorm && echo ${COMPREPLY[*]} && COMP_WORDS=(tickstorm sink '') COMP_CWORD=2 && _tickstorm && echo ${COMPREPLY[*]} && COMP_WORDS=(tickstorm sink nats --fr) COMP_CWORD=3 && _tickstorm && echo ${COMPREPLY[*]}", false)
	require.Equal(t, exitOK, code, errs)
	require.Equal(t, "verify version\ndrop-newest drop-oldest\nkafka nats parquet postgres\n--from\n", out)
}

// TestSignals: Ctrl-C ends it with what has come written, SIGTERM and a terminal that is closed without a
// failure, and SIGHUP has symbols read again.
func TestSignals(t *testing.T) {
	t.Parallel()
	env := tools(t)
	begin := func(args ...string) (*exec.Cmd, *bufio.Reader, *buffer) {
		cmd := exec.Command("tickstorm", args...)
		cmd.Path = filepath.Join(strings.TrimPrefix(strings.SplitN(env[0], ":", 2)[0], "PATH="), "tickstorm")
		cmd.Err = nil
		cmd.Env = env
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		errs := newBuffer()
		cmd.Stderr = errs
		require.NoError(t, cmd.Start())
		kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		t.Cleanup(func() { kill.Stop() })
		return cmd, bufio.NewReader(out), errs
	}
	for s, code := range map[syscall.Signal]int{syscall.SIGINT: exitInterrupted, syscall.SIGTERM: exitOK, syscall.SIGHUP: exitOK} {
		cmd, out, errs := begin("sub", "--demo", "--demo-rate", "1000", "T.*")
		_, err := out.ReadString('\n')
		require.NoError(t, err)
		require.NoError(t, cmd.Process.Signal(s))
		rest, err := io.ReadAll(out)
		require.NoError(t, err)
		require.True(t, len(rest) == 0 || rest[len(rest)-1] == '\n', "lines are whole")
		_ = cmd.Wait()
		require.Equal(t, code, cmd.ProcessState.ExitCode(), errs)
	}
	dir := t.TempDir()
	cmd, out, errs := begin("record", "-v", "--demo", "--min-free", "0", "-o", dir, "T.*")
	require.True(t, errs.await("authenticated"), errs)
	for range 2 { // as shells do
		require.NoError(t, cmd.Process.Signal(syscall.SIGHUP))
	}
	path, err := out.ReadString('\n')
	require.NoError(t, err, errs)
	_ = cmd.Wait()
	require.Equal(t, exitOK, cmd.ProcessState.ExitCode(), errs)
	require.FileExists(t, strings.TrimSpace(path), "a recording whose terminal is closed is finished")

	// nohup has it go on.
	line, errors, code := shell(t, env, dir, "nohup tickstorm sub --demo -v -n 50 T.AAPL 2>log & pid=$!; until grep -q authenticated log; do sleep 0.05; done; kill -HUP $pid; wait $pid", false)
	require.Equal(t, exitOK, code, errors)
	require.Equal(t, 50, strings.Count(line, "\n"), errors)

	file := filepath.Join(t.TempDir(), "symbols")
	require.NoError(t, os.WriteFile(file, []byte("AAPL"), 0o600))
	cmd, out, errs = begin("sub", "--demo", "-v", "--symbols", file, "-f", "{sym}")
	line, err = out.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "AAPL\n", line)
	require.NoError(t, os.WriteFile(file, []byte("MSFT"), 0o600))
	require.NoError(t, cmd.Process.Signal(syscall.SIGHUP))
	for line != "MSFT\n" {
		line, err = out.ReadString('\n')
		require.NoError(t, err, errs)
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait()
	require.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode(), errs)
}
