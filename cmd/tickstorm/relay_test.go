package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sim"
)

// TestRelay: programs share one connection, it is shown and recorded, and ends when it is told to.
func TestRelay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, flags := start(t, sim.Config{})
	s := newScene(t).with("MASSIVE_API_KEY=upstreamkey")
	ctx, cancel := context.WithCancelCause(t.Context())
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, append([]string{"relay", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--record", dir, "--min-free", "0"}, flags...), s.world)
	}()
	require.True(t, s.out.await("\n"), s.err)
	require.True(t, s.err.await("shows it"))
	feed := strings.TrimSpace(s.out.String())
	for range 2 {
		client := newScene(t)
		require.Equal(t, exitOK, client.run(t, "sub", "--feed", feed, "-n", "3", "T.AAPL", "Q.MSFT"), client.err)
		require.Equal(t, 3, strings.Count(client.out.String(), "\n"))
	}
	require.Equal(t, 1, server.Stats().Opened, "upstream there is one connection")
	page := regexp.MustCompile(`http://\S+`).FindString(s.err.String())
	answer, err := http.Get(page + "/healthz")
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusOK, answer.StatusCode)
	http.DefaultClient.CloseIdleConnections()
	cancel(errInterrupted)
	require.Equal(t, exitInterrupted, <-code, s.err)
	require.Contains(t, s.err.String(), "relayed to 2 programs")
	require.NotContains(t, s.err.String(), "upstreamkey")
	reports, err := record.Verify(t.Context(), dir)
	require.NoError(t, err)
	require.Len(t, reports, 1)
	require.True(t, reports[0].OK())
	require.NotZero(t, reports[0].Elements["Q"]+reports[0].Elements["T"])
}

// TestRelayEnds: what keeps a relay from being one has its message and its code.
func TestRelayEnds(t *testing.T) {
	t.Parallel()
	_, flags := start(t, sim.Config{})
	for _, c := range []struct {
		key  string
		args []string
		code int
		says string
	}{
		{"k", []string{"--for", "10ms"}, exitOK, "relayed to 0 programs"},
		{"k", []string{"--for", "10ms", "-m", "stocks,crypto", "--listen", "unix:" + filepath.Join(t.TempDir(), "s")}, exitOK, ""},
		{sim.BadKey, nil, exitKey, "authentication failed"},
		{sim.NoPlanKey, nil, exitPlan, "plan doesn't include"},
		{"k", []string{"--listen", "0.0.0.0:0"}, exitUsage, "loopback"},
		{"k", []string{"--admin", "0.0.0.0:0", "--for", "10ms"}, exitUsage, "loopback"},
		{"k", []string{"--listen", "nowhere"}, exitUsage, "no address"},
		{"k", []string{"--queue", "0"}, exitUsage, "--queue"},
		{"k", []string{"--max-clients", "-1"}, exitUsage, "--max-clients"},
		{"k", []string{"--linger", "-1s"}, exitUsage, "--linger"},
		{"k", []string{"--max-age", "1s"}, exitUsage, "--admin"},
		{"k", []string{"--linger", "0", "--max-topics", "1", "--validate", "--overflow", "conflate", "--for", "10ms"}, exitOK, "relayed to 0 programs"},
		{"k", []string{"--record", "/dev/null/none"}, exitFailure, "/dev/null"},
		{"k", []string{"-m", "stocks,stocks"}, exitUsage, "--market names stocks twice"},
	} {
		s := newScene(t).with("MASSIVE_API_KEY=" + c.key)
		args := append(append([]string{"relay", "--listen", "127.0.0.1:0", "--min-free", "0"}, flags...), c.args...)
		if len(c.args) > 1 && c.args[0] == "--listen" {
			args = append(append([]string{"relay"}, flags...), c.args...)
		}
		require.Equal(t, c.code, s.run(t, args...), "%v: %s", c.args, s.err)
		require.Contains(t, s.err.String(), c.says)
	}
	s := newScene(t)
	require.Equal(t, exitKey, s.run(t, "relay"))
	server, flags := start(t, sim.Config{})
	require.NoError(t, server.Close())
	s = newScene(t)
	require.Equal(t, exitInterrupted, s.until(t, s.err, "connection refused", append([]string{"relay", "--listen", "127.0.0.1:0"}, flags...)...), "an upstream that is away is waited for")
}

// TestRelayContext: a context's relay is where this one is for others, and not its own upstream.
func TestRelayContext(t *testing.T) {
	t.Parallel()
	server, _ := start(t, sim.Config{})
	config := filepath.Join(t.TempDir(), "config.json")
	text := `{"context":"here","contexts":{"here":{"relay":"ws://127.0.0.1:1","feed":"` + string(server.Feed()) + `","market":"crypto"}}}`
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	s := newScene(t)
	relaying(t, s, []string{"--config", config}, func(feed string) {
		client := newScene(t)
		require.Equal(t, exitOK, client.run(t, "sub", "-m", "crypto", "--feed", feed, "-n", "1", "XT.BTC-USD"), client.err)
	})
}

// relaying runs a relay while do is called with its address, and interrupts it.
func relaying(t *testing.T, s *scene, args []string, do func(feed string)) (code int) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, append([]string{"relay", "--listen", "127.0.0.1:0"}, args...), s.world) }()
	require.True(t, s.out.await("\n"), s.err)
	do(strings.TrimSpace(s.out.String()))
	cancel(errInterrupted)
	select {
	case code = <-ended:
	case <-time.After(patience):
		require.Fail(t, "it does not end")
	}
	return code
}

// TestRelayDrains: a program that is there when the relay ends has what came, and is told why.
func TestRelayDrains(t *testing.T) {
	t.Parallel()
	server, flags := start(t, sim.Config{Rate: 1000})
	ctx, cancel := context.WithCancelCause(t.Context())
	client, ended := newScene(t), make(chan int, 1)
	s := newScene(t)
	code := relaying(t, s, flags, func(feed string) {
		go func() { ended <- run(ctx, []string{"sub", "-v", "--feed", feed, "T.AAPL"}, client.world) }()
		require.True(t, client.out.await("\n"), client.err)
	})
	require.Equal(t, exitInterrupted, code, s.err)
	require.True(t, client.err.await("1012"), client.err)
	cancel(errInterrupted)
	require.Equal(t, exitInterrupted, <-ended)
	relayed := regexp.MustCompile(`relayed to 1 programs: (\d+) events, 0 dropped`).FindStringSubmatch(s.err.String())
	require.NotNil(t, relayed, s.err)
	require.Equal(t, relayed[1], strconv.Itoa(strings.Count(client.out.String(), "\n")), "all that was relayed has come")
	require.Equal(t, 1, server.Stats().Opened)
}

// TestRelayEvicted: a relay whose place another connection has taken says so, with the code for it.
func TestRelayEvicted(t *testing.T) {
	t.Parallel()
	server, flags := start(t, sim.Config{MaxConnections: 1})
	s := newScene(t).with("MASSIVE_API_KEY=k")
	ended := make(chan int, 1)
	go func() { ended <- s.run(t, append([]string{"relay", "--listen", "127.0.0.1:0"}, flags...)...) }()
	require.Eventually(t, func() bool { return server.Stats().Authenticated == 1 }, patience, time.Millisecond)
	other := newScene(t).with("MASSIVE_API_KEY=k")
	require.Equal(t, exitOK, other.run(t, append([]string{"sub", "-n", "1", "T.AAPL"}, flags...)...), other.err)
	require.Equal(t, exitEvicted, <-ended, s.err)
	require.Contains(t, s.err.String(), "upstream of stocks")
}
