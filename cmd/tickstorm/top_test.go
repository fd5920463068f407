package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/top"
	"github.com/tickstorm/tickstorm/sim"
)

// snapshotRead is a snapshot as a program reads it.
type snapshotRead struct {
	top.Snapshot
	ReconnectCauses map[string]uint64 `json:"reconnect_causes"`
	ErrorCauses     map[string]uint64 `json:"error_causes"`
	ErrorSamples    map[string]string `json:"error_samples"`
}

// TestTopOnce: a snapshot has what came in an interval.
func TestTopOnce(t *testing.T) {
	t.Parallel()
	for _, m := range tickstorm.Markets() {
		t.Run(string(m), func(t *testing.T) {
			t.Parallel()
			var found snapshotRead
			once(t, func(out string) bool {
				found = snapshotRead{}
				require.NoError(t, json.Unmarshal([]byte(out), &found))
				return found.Events > 0
			}, "-n", "3", "-m", string(m))
			require.Equal(t, m, found.Market)
			require.True(t, found.Simulator)
			require.Equal(t, "streaming", found.State)
			require.NotZero(t, found.Events)
			require.NotZero(t, found.EventRate)
			require.Len(t, found.Channels, len(found.Topics))
			require.NotEmpty(t, found.Symbols)
			require.LessOrEqual(t, len(found.Symbols), 3)
			require.Zero(t, found.Queue.Dropped)
		})
	}
	t.Run("delimited", func(t *testing.T) {
		t.Parallel()
		s := once(t, func(out string) bool { return strings.Contains(out, "\nsymbol;NVDA;events;") },
			"-f", "delimited", "-l", ";", "--filter", "NVDA", "T.*")
		require.Contains(t, s.out.String(), "of;name;figure;value\nfeed;stocks;at;")
		require.NotContains(t, s.out.String(), "AAPL")
		require.NotContains(t, s.out.String(), "channel;Q;")
	})
}

// once takes snapshots of longer and longer intervals until something has come in one.
func once(t *testing.T, came func(out string) bool, args ...string) *scene {
	t.Helper()
	for interval := 100 * time.Millisecond; interval < patience; interval *= 2 {
		s := newScene(t)
		require.Equal(t, exitOK, s.run(t, append([]string{"top", "--demo", "--once", "-d", interval.String()}, args...)...), s.err)
		if came(s.out.String()) {
			return s
		}
	}
	require.FailNow(t, "nothing came")
	return nil
}

// TestTopPlain: where nobody can look at a screen there is a line an interval.
func TestTopPlain(t *testing.T) {
	t.Parallel()
	for _, terminal := range []struct{ in, out bool }{{false, false}, {true, false}, {false, true}} {
		s := newScene(t)
		s.stdinTerminal, s.stdoutTerminal = terminal.in, terminal.out
		require.Equal(t, exitInterrupted, s.until(t, s.out, " queued=", "top", "--demo", "-d", "100ms", "T.*"), s.err)
		require.Regexp(t, `^\d\d:\d\d:\d\d stocks streaming ev/s=\S+ MB/s=\S+ T/s=`, s.out)
		require.True(t, strings.HasSuffix(s.out.String(), "\n"))
		require.NotContains(t, s.out.String(), "\x1b")
	}
	s := newScene(t)
	require.Equal(t, exitOK, s.run(t, "top", "--demo", "--plain", "-d", "100ms", "--for", "500ms"), s.err)
	require.GreaterOrEqual(t, strings.Count(s.out.String(), "\n"), 1)
}

// TestTopFaults: what goes wrong is in the snapshot, with causes and samples.
func TestTopFaults(t *testing.T) {
	t.Parallel()
	faults, err := sim.ParseFaults("message=[{@streaming+3#1,cut@streaming+10#1")
	require.NoError(t, err)
	_, flags := start(t, sim.Config{Faults: faults, Keys: map[string]sim.Plan{"k": {Channels: []string{"T"}}}})
	s := newScene(t).with("MASSIVE_API_KEY=k")
	args := append([]string{"top", "--plain", "-d", "100ms", "T.*", "Q.*"}, flags...)
	require.Equal(t, exitInterrupted, s.until(t, s.out, " gaps=1 dropped=0 reconnects=1 errors=1\n", args...), s.err)
}

// TestTopEnds: it ends as other verbs do.
func TestTopEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		cfg  sim.Config
		key  string
		args []string
		code int
		says string
	}{
		{"a bad key", sim.Config{}, sim.BadKey, nil, exitKey, "authentication failed"},
		{"a key without the market", sim.Config{}, sim.NoPlanKey, nil, exitPlan, "plan doesn't include"},
		{"channels that are not in the plan", sim.Config{Keys: map[string]sim.Plan{"k": {Channels: []string{"Z"}}}}, "k", nil, exitPlan, "not authorized"},
		{"silence", sim.Config{Quiet: true}, "k", []string{"--stale", "50ms"}, exitStale, "no event came for"},
		{"time is up before the interval is", sim.Config{}, "k", []string{"-d", "1h", "--for", "100ms"}, exitOK, ""},
		{"time is up at once", sim.Config{}, "k", []string{"-d", "1h", "--for", "1ns"}, exitOK, ""},
	} {
		for _, form := range []string{"--plain", "--once"} {
			t.Run(c.name+form, func(t *testing.T) {
				_, flags := start(t, c.cfg)
				s := newScene(t).with("MASSIVE_API_KEY=" + c.key)
				args := append([]string{"top", form}, flags...)
				require.Equal(t, c.code, s.run(t, append(args, c.args...)...), s.err)
				require.Contains(t, s.err.String(), c.says)
				require.Equal(t, c.code == exitOK, s.out.String() != "", "what there is, once time is up")
			})
		}
	}
	_, flags := start(t, sim.Config{Quiet: true})
	quiet := newScene(t)
	require.Equal(t, exitOK, quiet.run(t, append([]string{"top", "--once", "-d", "100ms"}, flags...)...), quiet.err)
	require.Contains(t, quiet.out.String(), `"symbols":[]`)
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"top"}, exitKey, "no API key"},
		{[]string{"top", "--demo", "--once", "--plain"}, exitUsage, "two things"},
		{[]string{"top", "--demo", "-d", "1ms"}, exitUsage, "--interval"},
		{[]string{"top", "--demo", "-n", "-1"}, exitUsage, "--rows"},
		{[]string{"top", "--demo", "-l", "ab"}, exitUsage, "--delimiter"},
		{[]string{"top", "--demo", "-l", "\""}, exitUsage, "--delimiter"},
		{[]string{"top", "--demo", "--sort", "x"}, exitUsage, "--sort"},
		{[]string{"top", "--demo", "AAPL"}, exitUsage, "no dot"},
		{[]string{"top", "--demo", "-m", "nothing"}, exitUsage, "say what to subscribe to"},
		{[]string{"top", "--demo", "--for", "-1s"}, exitUsage, "negative"},
		{[]string{"top", "--admin", "ftp://x"}, exitUsage, "no address of an admin server"},
	} {
		s := newScene(t)
		require.Equal(t, c.code, s.run(t, c.args...), "%v: %s", c.args, s.err)
		require.Contains(t, s.err.String(), c.says, "%v", c.args)
		require.Empty(t, s.out.String())
	}
}

// TestTopRelay: a relay is looked at by what its admin server says, alone or beside a stream.
func TestTopRelay(t *testing.T) {
	t.Parallel()
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `data: {"markets":[{"market":"crypto","state":"connected","rate":12,"events":34}],"clients":[{"id":7,"name":"strategy","dropped":5}]}`+"\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer admin.Close()
	s := newScene(t)
	require.Equal(t, exitOK, s.run(t, "top", "--admin", admin.URL, "--once", "-d", "100ms"), s.err)
	var found snapshotRead
	require.NoError(t, json.Unmarshal([]byte(s.out.String()), &found))
	require.EqualValues(t, "crypto", found.Market)
	require.EqualValues(t, 34, found.Events)
	require.Equal(t, "strategy", found.Relay.Clients[0].Name)
	s = newScene(t)
	require.Equal(t, exitInterrupted, s.until(t, s.out, "crypto connected ev/s=12", "top", "--admin", admin.URL, "-d", "100ms"), s.err)
	require.Contains(t, s.out.String(), "clients=1")
	s = newScene(t)
	require.Equal(t, exitInterrupted, s.until(t, s.out, "clients=1", "top", "--demo", "--admin", admin.URL, "-d", "100ms", "T.*"), s.err)
	require.Contains(t, s.out.String(), "stocks streaming")
	s = newScene(t)
	require.Equal(t, exitFailure, s.run(t, "top", "--admin", "127.0.0.1:1", "--attempts", "1"), s.err)
	require.Contains(t, s.err.String(), "no answer after 1 attempts")

	relay := newScene(t)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan int, 1)
	go func() {
		over <- run(ctx, []string{"relay", "--demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, relay.world)
	}()
	defer func() {
		cancel()
		<-over
	}()
	require.True(t, relay.out.await("\n"), relay.err)
	require.True(t, relay.err.await(" shows it\n"), relay.err)
	address := regexp.MustCompile(`http://(\S+) shows it`).FindStringSubmatch(relay.err.String())[1]
	feed := strings.Fields(relay.out.String())[0]
	s = newScene(t)
	require.Equal(t, exitInterrupted, s.until(t, s.out, "clients=1", "top", "--feed", feed, "--admin", address, "-d", "100ms", "T.*"), s.err)
	require.Contains(t, s.out.String(), "stocks streaming")
	s = newScene(t)
	require.Equal(t, exitOK, s.run(t, "top", "--admin", address, "--once", "-f", "delimited", "-l", ","), s.err)
	require.Contains(t, s.out.String(), "feed,stocks,state,")
}
