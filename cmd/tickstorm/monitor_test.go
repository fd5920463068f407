package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// TestCheck: each state has its code, in every form.
func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		cfg  sim.Config
		key  string
		args []string
		code state
		says string
	}{
		{"ok", sim.Config{}, "k", nil, ok, "OK"},
		{"ok within limits", sim.Config{}, "k", []string{"--max-age", "1m", "--warn-age", "1m", "--max-lag", "1m", "--warn-lag", "1m"}, ok, "OK"},
		{"late", sim.Config{}, "k", []string{"--warn-lag", "1ns"}, warning, "more than 1ns"},
		{"too late", sim.Config{}, "k", []string{"--warn-lag", "1ns", "--max-lag", "2ns"}, critical, "more than 2ns"},
		{"silent for a while", sim.Config{}, "k", []string{"--warn-age", "1ns"}, warning, "no event for"},
		{"silent", sim.Config{Quiet: true}, "k", []string{"--wait", "100ms"}, critical, "no event came within 100ms"},
		{"nobody answers", sim.Config{Faults: []sim.Fault{{At: sim.OnHandshake, Do: sim.Stall(0)}}}, "k", []string{"--wait", "100ms"}, critical, "no event came within 100ms"},
		{"broken off", sim.Config{Faults: []sim.Fault{{At: sim.OnStreaming, After: 2, Do: sim.Cut()}}}, "k", []string{"--for", "10s"}, critical, "disconnected"},
		{"a bad key", sim.Config{}, sim.BadKey, nil, unknown, "authentication failed"},
		{"not in the plan", sim.Config{Keys: map[string]sim.Plan{"k": {Channels: []string{"Q"}}}}, "k", nil, unknown, "not authorized"},
		{"a bad command", sim.Config{}, "k", []string{"--wait", "0s"}, unknown, "negative duration"},
		{"a bad topic", sim.Config{}, "k", []string{"AAPL"}, unknown, "no dot"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, flags := start(t, c.cfg)
			for _, form := range []string{"text", "json", "nagios", "prometheus"} {
				s := newScene(t).with("MASSIVE_API_KEY=" + c.key)
				args := append(append([]string{"check", "--for", "10ms", "-f", form}, flags...), c.args...)
				require.EqualValues(t, c.code, s.run(t, args...), "%s %s", s.out, s.err)
				if form == "prometheus" {
					require.Contains(t, s.out.String(), "} "+string(rune('0'+c.code))+"\n")
				} else {
					require.Contains(t, s.out.String(), c.says)
					require.Contains(t, s.out.String(), c.code.String())
				}
				if form == "json" {
					require.True(t, json.Valid([]byte(s.out.String())))
				}
				if form == "nagios" {
					require.Regexp(t, `^TICKSTORM \w+ - [^|]* \| age=([\d.]+s|U);[\d.]*;[\d.]* lag=([\d.]+s|U);[\d.]*;[\d.]* events=\d+c\n$`, s.out)
				}
				require.Empty(t, s.err.String())
			}
		})
	}
	// What is not known is not said to be 0, which would be good.
	for form, forbidden := range map[string]string{"json": "_seconds", "prometheus": "_seconds", "nagios": "=0"} {
		s := newScene(t)
		require.EqualValues(t, critical, s.run(t, "check", "--feed", "ws://127.0.0.1:1", "-f", form))
		require.NotContains(t, strings.ReplaceAll(s.out.String(), "events=0c", ""), forbidden)
	}
	_, quiet := start(t, sim.Config{Quiet: true})
	s := newScene(t)
	require.EqualValues(t, critical, s.run(t, append([]string{"check", "--wait", "2s", "-f", "nagios"}, quiet...)...))
	require.Regexp(t, ` age=\d+\.\d+s;; lag=U;; events=0c\n$`, s.out)
	s = newScene(t)
	require.EqualValues(t, critical, s.run(t, append([]string{"check", "--wait", "2s"}, quiet...)...))
	require.Regexp(t, `: connected in [\d.]+(µs|ms|s), 0 events, none for [\d.]+(µs|ms|s)\n$`, s.out)
	s = newScene(t)
	require.EqualValues(t, unknown, s.run(t, "check"), "no key")
	require.Contains(t, s.out.String(), "no API key")
	s = newScene(t)
	require.EqualValues(t, unknown, s.run(t, "check", "--nonsense"))
	s = newScene(t)
	require.EqualValues(t, critical, s.run(t, "check", "--feed", "ws://127.0.0.1:1"))
	s = newScene(t)
	require.EqualValues(t, ok, s.run(t, "check", "--demo", "-m", "indices", "--for", "10ms"), s.err)
	require.Contains(t, s.out.String(), "V.* on indices")
	_, flags := start(t, sim.Config{Quiet: true})
	s = newScene(t)
	require.Equal(t, exitInterrupted, func() int {
		return s.until(t, s.err, "authenticated", append([]string{"check", "-v"}, flags...)...)
	}())
}

// TestProbe: what a plan allows is found out, one answer at a time, and not without asking.
func TestProbe(t *testing.T) {
	t.Parallel()
	cfg := sim.Config{Keys: map[string]sim.Plan{
		"k":    {Markets: []tickstorm.Market{tickstorm.Stocks, tickstorm.Crypto}, Channels: []string{"T", "AM", "XT"}},
		"late": {NotRealTime: true},
		"none": {Markets: []tickstorm.Market{}},
	}}
	_, flags := start(t, cfg)
	probe := func(s *scene, args ...string) int {
		return s.run(t, append(append([]string{"probe", "--wait", "10s"}, flags...), args...)...)
	}
	s := newScene(t).with("MASSIVE_API_KEY=k")
	require.Equal(t, exitOK, probe(s, "--yes", "-m", "stocks,options,crypto"), s.err)
	golden(t, "probe", s.out.String())
	s = newScene(t).with("MASSIVE_API_KEY=k")
	require.Equal(t, exitOK, probe(s, "-y", "-f", "json", "-m", "stocks"))
	var found []permission
	require.NoError(t, json.Unmarshal([]byte(s.out.String()), &found))
	require.Equal(t, permission{tickstorm.Stocks, "T", "trades", true, "yes"}, found[0])
	require.Equal(t, permission{tickstorm.Stocks, "Q", "quotes", false, "no"}, found[1])

	s = newScene(t).with("MASSIVE_API_KEY=late")
	require.Equal(t, exitOK, probe(s, "--yes", "-m", "stocks"))
	require.Contains(t, s.out.String(), "delayed only")
	s = newScene(t).with("MASSIVE_API_KEY=none")
	require.Equal(t, exitPlan, probe(s, "--yes", "-m", "stocks,forex"), s.err)
	require.Contains(t, s.out.String(), "forex")
	s = newScene(t)
	require.Equal(t, exitFailure, s.run(t, "probe", "--yes", "--feed", "ws://127.0.0.1:1", "-m", "stocks,forex"), "that nobody answers says nothing of a plan")
	require.Contains(t, s.err.String(), "no market could be connected to")
	_, mixed := start(t, sim.Config{Keys: cfg.Keys, Faults: []sim.Fault{{At: sim.OnHandshake, Conn: 2, Do: sim.Cut()}}})
	s = newScene(t).with("MASSIVE_API_KEY=none")
	require.Equal(t, exitFailure, s.run(t, append([]string{"probe", "--yes", "-m", "stocks,forex"}, mixed...)...), s.err)
	s = newScene(t).with("MASSIVE_API_KEY=nobody")
	require.Equal(t, exitKey, probe(s, "--yes"))
	require.Contains(t, s.err.String(), "authentication failed")
	s = newScene(t)
	require.Equal(t, exitUsage, probe(s), "nobody can be asked")
	require.Contains(t, s.err.String(), "may be cut off")
	for answer, code := range map[string]int{"y\n": exitOK, "YES": exitOK, "n\n": exitFailure, "": exitFailure} {
		s = newScene(t).with("MASSIVE_API_KEY=k")
		s.stdinTerminal, s.stdin = true, strings.NewReader(answer)
		require.Equal(t, code, probe(s, "-m", "stocks"), "%q: %s", answer, s.err)
		require.Contains(t, s.err.String(), "Go on? [y/N] ")
	}
}

// TestBench: figures are there, whatever they are.
func TestBench(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	path := demo(t, s)
	require.Equal(t, exitOK, s.run(t, "bench", "--corpus", "stocks20,forex", "--events", "1000", "--rounds", "1", "--stream", "50ms"), s.err)
	require.Regexp(t, `(?s)^2026-11-25, go.*\n\n\| \| stocks20 \| forex \|\n\|---\|---:\|---:\|\n\| bytes an event \| \d+ \| \d+ \|\n.*million events/s \| [\d.]+ \| [\d.]+ \|\n$`, s.out)
	s = newScene(t)
	require.Equal(t, exitOK, s.run(t, "bench", "--events", "1000", "--rounds", "1", "--stream", "0s", "-f", "json", path), s.err)
	require.True(t, json.Valid([]byte(s.out.String())))
	for _, args := range [][]string{{"--corpus", "nonsense"}, {"--events", "0"}, {"--rounds", "-1"}} {
		s = newScene(t)
		require.Equal(t, exitUsage, s.run(t, append([]string{"bench"}, args...)...), args)
		require.LessOrEqual(t, strings.Count(s.err.String(), "there are"), 1, s.err)
	}
	s = newScene(t)
	require.Equal(t, exitFailure, s.run(t, "bench", t.TempDir()))
}

// TestVersion: it is said for people and programs.
func TestVersion(t *testing.T) {
	s := newScene(t)
	require.Equal(t, exitOK, s.run(t, "version"))
	require.Regexp(t, `^tickstorm \S+.*, go1\S+, \w+/\w+\n$`, s.out)
	said := s.out.String()
	s = newScene(t)
	require.Equal(t, exitOK, s.run(t, "--version"))
	require.Equal(t, said, s.out.String())
	for _, args := range [][]string{{"help"}, {"help", "sub"}, {"help", "sink", "nats"}} {
		s = newScene(t)
		require.Equal(t, exitOK, s.run(t, args...))
		require.Contains(t, s.out.String(), strings.Join(append([]string{"Usage: tickstorm"}, args[1:]...), " "))
	}
	s = newScene(t)
	require.Equal(t, exitOK, s.run(t, "version", "-f", "json", "--demo"))
	var v versions
	require.NoError(t, json.Unmarshal([]byte(s.out.String()), &v))
	require.NotEmpty(t, v.Go)
}
