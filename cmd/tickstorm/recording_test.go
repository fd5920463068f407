package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sim"
)

// demo makes up a recording, and returns its path.
func demo(t *testing.T, s *scene) string {
	a := s.app()
	a.DemoSeed = 1
	dir := t.TempDir()
	path, err := a.demoRecording(t.Context(), dir)
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "whole")))
	s.err.text.Reset()
	return path
}

// TestRecordAndReadAgain: what is recorded is all there, whatever ends the recording.
func TestRecordAndReadAgain(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "recordings")
	s := newScene(t)
	require.Equal(t, exitOK, s.run(t, "record", "--demo", "--for", "200ms", "--min-free", "0", "-o", dir, "--level", "fastest", "--fsync", "never", "T.*", "Q.*"), s.err)
	segment := strings.TrimSpace(s.out.String())
	require.FileExists(t, segment)
	require.Regexp(t, `recorded [1-9]\d* messages, .* in 1 segments below `+regexp.QuoteMeta(dir)+`; 0 dropped, 0 lost`, s.err)

	s = newScene(t)
	require.Equal(t, exitInterrupted, s.until(t, s.err, "msg=authenticated", "record", "-v", "--demo", "--min-free", "0", "-o", dir, "T.AAPL"), s.err)
	require.FileExists(t, strings.TrimSpace(s.out.String()), "a recording that is interrupted is finished")

	s = newScene(t)
	require.Equal(t, exitOK, s.run(t, "verify", dir), s.err)
	require.Equal(t, 2, strings.Count(s.out.String(), "ok  "))

	s = newScene(t)
	require.Equal(t, exitOK, s.run(t, "convert", segment, "--channel", "T"), s.err)
	require.Contains(t, s.out.String(), `{"ev":"T","sym":"`)
	require.NotContains(t, s.out.String(), `"ev":"Q"`)
}

// TestRecordOutput: the paths of segments that cannot be written are a failure, and the recording goes on;
// that nobody reads them is none.
func TestRecordOutput(t *testing.T) {
	t.Parallel()
	for err, code := range map[error]int{syscall.ENOSPC: exitFailure, brokenPipe: exitOK} {
		s := newScene(t)
		dir := t.TempDir()
		s.stdout = &failing{err: &os.PathError{Op: "write", Path: "/dev/stdout", Err: err}}
		require.Equal(t, code, s.run(t, "record", "--demo", "--for", "100ms", "--min-free", "0", "-o", dir, "T.*"), s.err)
		require.Equal(t, code != exitOK, strings.Contains(s.err.String(), "tickstorm: standard output: "), s.err)
		s = newScene(t)
		require.Equal(t, exitOK, s.run(t, "verify", dir), s.err)
	}
}

// TestRecordEnds: a recording that cannot be written, or gets nothing, says so.
func TestRecordEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"no room", []string{"--demo", "--min-free", "1000000000000", "T.A"}, exitFailure, "free"},
		{"no folder", []string{"--demo", "--min-free", "0", "-o", "/dev/null/x", "T.A"}, exitFailure, "/dev/null"},
		{"no topics", []string{"--demo"}, exitUsage, "say what to record"},
		{"no key", []string{"T.A"}, exitKey, "no API key"},
		{"a negative limit", []string{"--demo", "--max-total", "-1", "T.A"}, exitUsage, "--max-total is out of range"},
		{"a negative time", []string{"--demo", "--rotate", "-1s", "T.A"}, exitUsage, "negative"},
		{"nothing comes", []string{"--demo", "--min-free", "0", "--stale", "50ms", "T.NOSUCH"}, exitStale, "no event came"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			require.Equal(t, c.code, s.run(t, append([]string{"record", "-o", t.TempDir()}, c.args...)...), s.err)
			require.Contains(t, s.err.String(), c.says)
		})
	}
}

// TestInfo: contents are said for people and programs.
func TestInfo(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	path := demo(t, s)
	require.Equal(t, exitOK, s.run(t, "info", "-s", "-f", "json", path))
	var c contents
	require.NoError(t, json.Unmarshal([]byte(s.out.String()), &c))
	require.Len(t, c.Markets, 1)
	require.Equal(t, tickstorm.Stocks, c.Markets[0].Market)
	require.EqualValues(t, 500, c.Markets[0].Messages)
	require.Len(t, c.Segments, 1)
	require.Equal(t, day.UnixNano(), c.Markets[0].LastReceived.UnixNano())

	s = newScene(t)
	require.Equal(t, exitFailure, s.run(t, "info", filepath.Join(t.TempDir(), "none")))
	require.Contains(t, s.err.String(), "none")
	s = newScene(t)
	require.Equal(t, exitUsage, s.run(t, "info"))
	require.Contains(t, s.err.String(), "say which recording")
}

// TestDamaged: damage is found with code 1, and what is whole is recovered.
func TestDamaged(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	path := demo(t, s)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad"+record.Suffix)
	require.NoError(t, os.WriteFile(bad, whole[:len(whole)-100], 0o600))

	require.Equal(t, exitFailure, s.run(t, "verify", bad))
	require.Contains(t, s.out.String(), "DAMAGED  "+bad)
	require.Contains(t, s.err.String(), "1 of 1 segments are damaged")
	s = newScene(t)
	require.Equal(t, exitFailure, s.run(t, "verify", "-f", "json", bad, path))
	require.Regexp(t, `"ok":false,.*"damage":\[\{"offset":\d+,"length":\d+,"reason":"torn"\}`, s.out)
	require.Contains(t, s.out.String(), `"ok":true`)

	good := filepath.Join(dir, "good"+record.Suffix)
	s = newScene(t)
	require.Equal(t, exitOK, s.run(t, "recover", bad, "-o", good), s.err)
	require.Contains(t, s.err.String(), "damage")
	s = newScene(t)
	require.Equal(t, exitOK, s.run(t, "verify", good), s.err)
	s = newScene(t)
	require.Equal(t, exitFailure, s.run(t, "recover", bad, "-o", good))
	require.Contains(t, s.err.String(), "nothing is overwritten")
	s = newScene(t)
	require.Equal(t, exitUsage, s.run(t, "recover", dir, "-o", filepath.Join(dir, "x")))
	require.Contains(t, s.err.String(), "one segment at a time")
	require.NoError(t, os.WriteFile(bad, []byte("nothing of the kind"), 0o600))
	s = newScene(t)
	require.Equal(t, exitFailure, s.run(t, "recover", bad, "-o", filepath.Join(dir, "x")))
	s = newScene(t)
	require.Equal(t, exitFailure, s.run(t, "verify", t.TempDir()))
	require.Contains(t, s.err.String(), "there is no recording")
}

// TestRewrite: parts are cut by every form of time, and put together again.
func TestRewrite(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	path := demo(t, s) // the ten seconds before 09:30
	dir := t.TempDir()
	messages := func(path string) uint64 {
		r, err := record.Survey(t.Context(), path)
		require.NoError(t, err)
		require.True(t, r[0].OK())
		return r[0].Messages
	}
	for i, c := range []struct {
		args []string
		want uint64
	}{
		{[]string{"--from", "-2s"}, 101},
		{[]string{"--until", "-2s"}, 399},
		{[]string{"--from", "09:29:55", "--until", "09:29:56"}, 50},
		{[]string{"--from", "14:29:55", "--until", "14:29:56", "--tz", "UTC"}, 50},
		{[]string{"--from", "2026-11-25T09:29:59-05:00"}, 51},
		{[]string{"--from", "2026-11-25 09:29:59"}, 51},
		{[]string{"--from", "1795616999000000000"}, 51},
	} {
		to := filepath.Join(dir, string(rune('a'+i))+record.Suffix)
		s := newScene(t)
		require.Equal(t, exitOK, s.run(t, append([]string{"cut", path, "-o", to}, c.args...)...), "%v: %s", c.args, s.err)
		require.Equal(t, c.want, messages(to), c.args)
	}
	s = newScene(t)
	whole := filepath.Join(dir, "whole"+record.Suffix)
	require.Equal(t, exitOK, s.run(t, "merge", filepath.Join(dir, "a"+record.Suffix), filepath.Join(dir, "b"+record.Suffix), "-o", whole), s.err)
	require.EqualValues(t, 500, messages(whole))
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"cut", path}, exitUsage, "say what file to write"},
		{[]string{"cut", path, "-o", "x", "--from", "yesterday"}, exitUsage, "not a time"},
		{[]string{"cut", path, "-o", "x", "--from", "-1s", "--until", "-2s"}, exitUsage, "is not before"},
		{[]string{"cut", path, "-o", "x", "--from", "-1s", "--tz", "Mars"}, exitUsage, "no zone"},
		{[]string{"cut", path, "-o", filepath.Join(dir, "x"), "--from", "+1h"}, exitFailure, "nothing of the recording"},
		{[]string{"merge", path, "-o", whole}, exitFailure, "nothing is overwritten"},
	} {
		s := newScene(t)
		require.Equal(t, c.code, s.run(t, c.args...), "%v: %s", c.args, s.err)
		require.Contains(t, s.err.String(), c.says)
	}
}

// TestTimesBesideNothing: a file without messages does not move the end that -2s is before.
func TestTimesBesideNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	path := demo(t, s)
	dir := t.TempDir()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"+record.Suffix), []byte("nothing of the kind"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "b"+record.Suffix), text, 0o600))
	s.now = func() time.Time { return day.Add(24 * time.Hour) }
	require.Equal(t, exitOK, s.run(t, "replay", dir, "--speed", "max", "--from", "-100ms", "-f", "{sym}"), s.err)
	require.NotEmpty(t, s.out.String())
}

// TestConvert: elements are lines, a file is not overwritten, and a full disk leaves none.
func TestConvert(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	path := demo(t, s)
	require.Equal(t, exitOK, s.run(t, "convert", path, "--from", "-100ms"))
	require.Greater(t, strings.Count(s.out.String(), "\n"), 50)
	dir := t.TempDir()
	file := filepath.Join(dir, "lines")
	s = newScene(t)
	require.Equal(t, exitOK, s.run(t, "convert", path, "-o", file, "--symbol", "AAPL"))
	require.Contains(t, s.err.String(), "events")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NotContains(t, string(text), "MSFT")
	s = newScene(t)
	require.Equal(t, exitFailure, s.run(t, "convert", path, "-o", file))
	require.Contains(t, s.err.String(), "nothing is overwritten")
	again, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, text, again)
	s = newScene(t)
	require.Equal(t, exitOK, s.run(t, "convert", "-f", "csv", path, "-o", filepath.Join(dir, "csv")))
	require.FileExists(t, filepath.Join(dir, "csv", "trades.csv"))
	s = newScene(t)
	require.Equal(t, exitUsage, s.run(t, "convert", "-f", "csv", path))
	for err, code := range map[error]int{syscall.ENOSPC: exitFailure, brokenPipe: exitOK} {
		s = newScene(t)
		s.stdout = &failing{err: &os.PathError{Op: "write", Path: "/dev/stdout", Err: err}}
		require.Equal(t, code, s.run(t, "convert", path), s.err)
		require.Equal(t, code != exitOK, strings.Contains(s.err.String(), "standard output"))
	}
}

// TestReplay: a replay shows what was recorded, at any speed, and ends when it is told to.
func TestReplay(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	path := demo(t, s)
	require.Equal(t, exitOK, s.run(t, "replay", path, "--from", "-100ms", "--until", "-50ms", "--speed", "0.5", "-f", "{time} {sym}"))
	require.Contains(t, s.out.String(), "2026-11-25T09:29:59.9")
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--speed", "max", "-n", "3", "--report"}, exitOK, "ALL"},
		{[]string{"--speed", "max", "--loop", "-n", "20000", "--from", "-1s"}, exitOK, ""},
		{[]string{"--max-idle", "1ms", "--from", "-30ms"}, exitOK, ""},
		{[]string{"--speed", "max", "-f", "csv", "--channel", "A"}, exitOK, ""},
		{[]string{"--speed", "max", "--where", "size>1000", "-n", "2"}, exitOK, ""},
		{[]string{"--speed", "0"}, exitUsage, "--speed"},
		{[]string{"--speed", "Inf"}, exitUsage, "--speed"},
		{[]string{"--max-idle", "-1s"}, exitUsage, "--max-idle"},
		{[]string{"-f", "raw"}, exitUsage, "raw"},
		{[]string{"-f", "nonsense"}, exitUsage, "not a format"},
		{[]string{"--serve", "nowhere"}, exitUsage, "no address"},
		{[]string{"--serve", "127.0.0.1:0", "--channel", "T"}, exitUsage, "--serve sends to each client what it subscribes to"},
		{[]string{"--serve", "127.0.0.1:0", "-n", "5"}, exitUsage, "--serve sends to each client what it subscribes to"},
	} {
		s := newScene(t)
		require.Equal(t, c.code, s.run(t, append([]string{"replay", path}, c.args...)...), "%v: %s", c.args, s.err)
		require.Contains(t, s.err.String(), c.says)
	}
	s = newScene(t)
	require.Equal(t, exitInterrupted, s.until(t, s.out, "ev", "replay", path))
	for err, code := range map[error]int{syscall.ENOSPC: exitFailure, brokenPipe: exitOK} {
		s = newScene(t)
		s.stdout = &failing{after: 1, err: err}
		require.Equal(t, code, s.run(t, "replay", "--speed", "max", "--loop", path), s.err)
	}
}

// TestNothing: where there is no recording it is a failure, and where nothing of one is asked for it is said.
func TestNothing(t *testing.T) {
	t.Parallel()
	path := demo(t, newScene(t))
	empty, out := t.TempDir(), func() string { return filepath.Join(t.TempDir(), "out") }
	for _, args := range [][]string{{"info"}, {"info", "-f", "json"}, {"verify"}, {"convert"}, {"convert", "-f", "csv", "-o", out()}, {"replay"}, {"cut", "-o", out()}, {"merge", "-o", out()}, {"bench"},
		{"sink", "parquet", "--to", out(), "--follow", "0", "--from"}, {"sink", "postgres", "--follow", "0", "--from"}} {
		s := newScene(t)
		require.Equal(t, exitFailure, s.run(t, append(args, empty)...), args)
		require.Empty(t, s.out.String())
		require.NotEmpty(t, s.err.String())
	}
	s := newScene(t)
	require.Equal(t, exitFailure, s.run(t, "replay", "-m", "crypto", path))
	require.Contains(t, s.err.String(), "there is no recording in "+path)
	s = newScene(t)
	require.Equal(t, exitFailure, s.run(t, "replay", "--serve", "127.0.0.1:0", empty))
	s = newScene(t)
	require.Equal(t, exitOK, s.run(t, "sink", "parquet", "--from", empty, "--to", out(), "--follow", "1ms", "--for", "10ms"), "one may still come")
	require.Contains(t, s.err.String(), "there is no recording yet")
	for _, args := range [][]string{{"convert", "--symbol", "aapl"}, {"convert", "--from", "+1h"}, {"replay", "--speed", "max", "--channel", "XT"}, {"replay", "--from", "2026-11-26"}} {
		s := newScene(t)
		require.Equal(t, exitOK, s.run(t, append(args, path)...), "%v: %s", args, s.err)
		require.Contains(t, s.err.String(), "nothing in the recording is of these times, channels, symbols and markets", args)
		require.Empty(t, s.out.String())
	}
	s = newScene(t)
	require.Equal(t, exitInterrupted, s.until(t, s.out, "ws://", "replay", "--serve", "127.0.0.1:0", "--from", "+1h", path), s.err)
	require.Contains(t, s.err.String(), "nothing in the recording is of these times", "clients would wait in vain")
}

// TestReplayMarkets: clocks are those of the market that was recorded, and columns those of its channels, whether
// it is named or not.
func TestReplayMarkets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newScene(t)
	require.Equal(t, exitOK, s.run(t, "record", "--demo", "-m", "crypto", "--for", "100ms", "--min-free", "0", "-o", dir, "XT.*"), s.err)
	s = newScene(t)
	require.Equal(t, exitOK, s.run(t, "replay", dir, "--speed", "max", "-n", "1", "-f", "{time}"), s.err)
	require.Regexp(t, `^2026-11-25T14:(29|30):\d\d\.\d+Z\n$`, s.out)
	both := t.TempDir()
	require.NoError(t, os.CopyFS(both, os.DirFS(dir)))
	s = newScene(t)
	text, err := os.ReadFile(demo(t, s))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(both, "a"+record.Suffix), text, 0o600))
	s = newScene(t)
	require.Equal(t, exitOK, s.run(t, "replay", both, "--speed", "max", "-n", "1", "--channel", "XT", "-f", "{time}"), s.err)
	require.Regexp(t, `^2026-11-25T14:(29|30):\d\d\.\d+Z\n$`, s.out)
	rec, err := record.NewRecorder(record.Config{Dir: both, Market: tickstorm.Crypto, MinFree: -1})
	require.NoError(t, err)
	require.NoError(t, rec.Start())
	rec.OnMessage([]byte(`[{"ev":"XT","pair":"AT-TEN","p":1}]`), day.UnixNano())
	require.NoError(t, rec.Close(t.Context()))
	s = newScene(t)
	require.Equal(t, exitOK, s.run(t, "replay", both, "--speed", "max", "-n", "1", "-m", "crypto", "--from", "10:00", "-f", "{sym}"), s.err)
	require.Equal(t, "AT-TEN\n", s.out.String(), "clocks are those of the market that was picked: 14:30 in UTC, and 09:30 in New York")
	for _, market := range []string{"", "--market=crypto"} {
		s = newScene(t)
		require.Equal(t, exitOK, s.run(t, slices.DeleteFunc([]string{"replay", dir, "--speed", "max", "-n", "1", "-f", "csv", "--channel", "XT", market}, func(s string) bool { return s == "" })...), s.err)
		require.Regexp(t, `^market,channel,received_time,symbol,event_time,price,.*\ncrypto,XT,\d+,[A-Z]+-USD,\d+,`, s.out)
	}
}

// TestReplayServed: what is served is what was recorded, of a part, to any client.
func TestReplayServed(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	path := demo(t, s)
	ctx, cancel := context.WithCancelCause(t.Context())
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"replay", path, "--serve", "127.0.0.1:0", "--speed", "max", "--from", "-100ms", "--until", "-50ms"}, s.world)
	}()
	require.True(t, s.out.await("\n"))
	require.True(t, s.err.await("REPLAY of a recording, nothing live"))
	client := newScene(t)
	require.Equal(t, exitInterrupted, client.until(t, client.out, "ev", "sub", "--feed", strings.TrimSpace(s.out.String()), "-f", "{time}", "-f", "{time} ev", "T.*", "Q.*"), client.err)
	require.Regexp(t, `^2026-11-25T09:29:59\.\d+-05:00 ev\n`, client.out)
	cancel(errInterrupted)
	require.Equal(t, exitInterrupted, <-code)
	s = newScene(t)
	require.Equal(t, exitFailure, s.run(t, "replay", "--serve", "127.0.0.1:0", filepath.Join(t.TempDir(), "none")))
}

// TestSim: the server says where it is, and misbehaves as it is told to.
func TestSim(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"sim", "--listen", "127.0.0.1:0", "--faults", "http=404@handshake#1", "--eviction", "newcomer", "--numbered"}, s.world)
	}()
	require.True(t, s.out.await("\n"))
	feed := strings.TrimSpace(s.out.String())
	require.True(t, s.err.await("SIMULATOR: made-up data"))
	client := newScene(t)
	require.Equal(t, exitFailure, client.run(t, "sub", "--feed", feed, "T.AAPL"))
	require.Contains(t, client.err.String(), "404")
	client = newScene(t)
	require.Equal(t, exitOK, client.run(t, "sub", "--feed", feed, "-n", "2", "-f", "{q}", "T.AAPL"))
	require.Equal(t, "1\n2\n", client.out.String())
	client = newScene(t).with("MASSIVE_API_KEY=" + sim.BadKey)
	require.Equal(t, exitKey, client.run(t, "sub", "--feed", feed, "T.AAPL"))
	cancel(errTerminated)
	require.Equal(t, exitOK, <-code)
	require.Contains(t, s.err.String(), "3 connections")
	for _, c := range [][]string{{"--listen", "nowhere"}, {"--faults", "nonsense"}, {"--rate", "0"}, {"--for", "-1s"}} {
		s := newScene(t)
		require.Equal(t, exitUsage, s.run(t, append([]string{"sim"}, c...)...), c)
	}
	s = newScene(t)
	require.Equal(t, exitFailure, s.run(t, "sim", "--listen", "203.0.113.1:1"))
	s = newScene(t)
	s.stdout = &failing{err: errors.New("full")}
	require.Equal(t, exitFailure, s.run(t, "sim", "--listen", "127.0.0.1:0"))
}
