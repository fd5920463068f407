package main

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sim"
)

// TestConsole: what is logged and written on the terminal takes the place of the progress line.
func TestConsole(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.stdout, s.stdoutTerminal, s.stderrTerminal = s.err, true, true // as on a terminal
	a := s.app()
	line := a.progress()
	show := func(text string) {
		line.showf("%s", text)
		require.True(t, a.console.end())
	}
	show("1 of 2")
	a.log.Warn("gap")
	require.True(t, a.console.end())
	show("22 of 22")
	show("2 of 2")
	require.NoError(t, a.result(t.Context(), "a.tsr.zst\n"))
	require.NoError(t, a.result(t.Context(), "b.tsr.zst\n"))
	line.clear()
	require.True(t, a.console.end())
	require.Regexp(t, `^\r1 of 2\r {6}\rtime=\S+ level=WARN msg=gap\n\r22 of 22\r2 of 2  \r {6}\ra.tsr.zst\nb.tsr.zst\n$`, s.err)
}

// TestConsoleStuck: who says something to somebody who does not read waits for nothing, what has no room is told in
// its place, and the end waits for a while.
func TestConsoleStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		errs := newBlocking(s.err)
		s.stdoutTerminal, s.stderrTerminal = true, true
		a := newApp(s.world, &console{w: errs}, globals{LogFormat: "json"})
		begun := time.Now()
		line := strings.Repeat("x", mostWaiting/8)
		for _, name := range strings.Split("abcdefghijkl", "") {
			a.log.Error(name + line)
			a.progress().showf("nobody looks on")
		}
		require.False(t, a.results.through(errs, []byte("a result\n"), func(error) { t.Error("it has no room") }))
		a.log.Error("it is told that it has none")
		a.log.Info("not logged")
		require.Zero(t, time.Since(begun), "it does not wait")
		require.False(t, a.console.end())
		require.Equal(t, unread, time.Since(begun))

		close(errs.free)
		require.True(t, a.console.end())
		a.log.Error("m")
		require.True(t, a.console.end())
		text := strings.ReplaceAll(s.err.String(), line, "")
		require.Regexp(t, `^`+strings.Repeat(`\{"time":"[^"]+","level":"ERROR","msg":"[a-g]"\}\n`, 7)+
			`\{"time":"[^"]+","level":"ERROR","msg":"left out here, since nobody read standard error","lines":6\}\n`+
			`\{"time":"[^"]+","level":"ERROR","msg":"m"\}\n$`, text)
		require.Equal(t, unread, time.Since(begun), "once somebody reads nothing waits")
	})
}

// TestResultLong: a result that is longer than what may wait is written whole, behind what waits on the same terminal,
// whatever was left out meanwhile.
func TestResultLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		errs := newBlocking(s.err)
		s.stdout, s.stdoutTerminal, s.stderrTerminal = errs, true, true
		a := newApp(s.world, &console{w: errs}, globals{})
		a.log.Warn("begins")
		long := strings.Repeat("x", 3*mostWaiting) + "\n"
		written := make(chan error, 1)
		go func() { written <- a.result(t.Context(), long) }()
		synctest.Wait()
		require.Empty(t, written)
		for range 3 {
			a.log.Warn(strings.Repeat("y", mostWaiting/2))
		}
		close(errs.free)
		require.NoError(t, <-written)
		require.True(t, a.console.end())
		require.Contains(t, s.err.String(), "\n"+long)
		require.NotContains(t, s.err.String(), long+long)

		errs = newBlocking(nil) // whoever does not read a result keeps nobody from ending
		a.world.stdout = errs
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, a.result(ctx, long), errUnread)
		close(errs.free)
	})
}

// TestConsoleFails: what cannot be written is lost, and nothing waits for it; of a result it is told.
func TestConsoleFails(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	r, w := io.Pipe()
	full := errors.New("full")
	require.NoError(t, r.CloseWithError(full))
	s.stdout, s.stderr = w, w
	a := newApp(s.world, &console{w: w}, globals{})
	a.sayf("lost")
	require.True(t, a.console.end())
	require.Equal(t, full, a.result(t.Context(), "lost"))
}

// TestStderrUnread: nobody reads what is logged, and what verbs do goes on.
func TestStderrUnread(t *testing.T) {
	t.Parallel()
	_, flags := start(t, sim.Config{Rate: 1000, Numbered: true})
	s, dir := newScene(t), t.TempDir()
	errs := newBlocking(s.err)
	s.stderr = errs
	begin := func(args ...string) (interrupt func(), code chan int) {
		ctx, cancel := context.WithCancelCause(t.Context())
		code = make(chan int, 1)
		go func() { code <- run(ctx, append(args, flags...), s.world) }()
		return func() { cancel(errInterrupted) }, code
	}
	interrupt, code := begin("record", "-vv", "--min-free", "0", "-o", dir, "T.*")
	const some = 50 // messages, of an event or more
	require.Eventually(t, func() bool {
		reports, err := record.Survey(t.Context(), dir)
		return err == nil && len(reports) == 1 && reports[0].Messages > some
	}, patience, 10*time.Millisecond)
	interrupt()
	require.True(t, s.out.await(record.Suffix+"\n"), "the recording is finished")
	close(errs.free)
	require.Equal(t, exitInterrupted, <-code)
	require.Regexp(t, `(?s)^time=.* msg=authenticated .*\nrecorded \d+ messages, .* 0 dropped, 0 lost\n$`, s.err)
	s = newScene(t)
	require.Equal(t, exitOK, s.run(t, "replay", dir, "--speed", "max", "-f", "{q}"), s.err)
	numbers := strings.Fields(s.out.String())
	require.Greater(t, len(numbers), some)
	for i, n := range numbers {
		require.Equal(t, strconv.Itoa(i+1), n)
	}

	// Of standard output nobody reads anything either, as with 2>&1, and more comes than may wait.
	server, flags := start(t, sim.Config{Rate: -1})
	s = newScene(t)
	errs = newBlocking(s.err)
	s.stdout, s.stderr = errs, errs
	interrupt, code = begin("sub", "--queue", "1", "T.*", "Q.*")
	require.Eventually(t, func() bool { return server.Stats().Bytes > 24<<20 }, patience, time.Millisecond)
	close(errs.free)
	interrupt()
	require.Equal(t, exitInterrupted, <-code)
	require.Contains(t, s.err.String(), "dropped, since the output takes less than comes")
	require.Zero(t, server.Stats().Slow)
	require.Equal(t, 1, server.Stats().Opened)
}
