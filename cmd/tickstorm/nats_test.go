package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/sim"
	"github.com/tickstorm/tickstorm/sink/nats/embedded"
)

// natsServer is one that verbs are led to.
func natsServer(t *testing.T) (url string, messages func(subject string) int) {
	server, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Patience: patience})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	nc, err := server.Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return server.URL(), func(subject string) (n int) {
		for name := range js.StreamNames(t.Context()).Name() {
			stream, err := js.Stream(t.Context(), name)
			require.NoError(t, err)
			info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(subject))
			require.NoError(t, err)
			for _, count := range info.State.Subjects {
				n += int(count)
			}
		}
		return n
	}
}

// lines are those of an output, sorted.
func lines(outputs ...*buffer) []string {
	var all []string
	for _, o := range outputs {
		all = append(all, strings.Fields(o.String())...)
	}
	slices.Sort(all)
	return all
}

// sunkElements is how many elements a sink says that it has taken.
func sunkElements(t *testing.T, s *scene) int {
	found := regexp.MustCompile(`(\d+) elements in`).FindStringSubmatch(s.err.String())
	require.NotNil(t, found, s.err)
	n, err := strconv.Atoi(found[1])
	require.NoError(t, err)
	return n
}

// consumers run verbs until their outputs have so many lines, and then interrupts them.
func consumers(t *testing.T, engine string, want int, commands ...[]string) (outputs []*buffer) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	codes := make(chan int, len(commands))
	var scenes []*scene
	for _, args := range commands {
		s := newScene(t)
		scenes, outputs = append(scenes, s), append(outputs, s.out)
		go func() { codes <- run(ctx, append([]string{"consume", engine}, args...), s.world) }()
	}
	require.Eventually(t, func() bool { return len(lines(outputs...)) >= want }, patience, 10*time.Millisecond, "%s", scenes[0].err)
	cancel(errInterrupted)
	for range commands {
		require.Equal(t, exitInterrupted, <-codes, scenes[0].err)
	}
	return outputs
}

// TestNatsFolder: what was recorded comes out of NATS, each element once, whoever shares the work and
// however often the sink runs.
func TestNatsFolder(t *testing.T) {
	url, messages := natsServer(t)
	dir := t.TempDir()
	path := demo(t, newScene(t))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.tsr.zst"), text, 0o600))
	s := newScene(t)
	require.Equal(t, exitOK, s.run(t, "convert", dir), s.err)
	want := lines(s.out)
	require.NotEmpty(t, want)

	cursor := filepath.Join(t.TempDir(), "cursor")
	to := []string{"--url", url, "--partitions", "4"}
	sinks := func(args ...string) int {
		s := newScene(t)
		require.Equal(t, exitOK, s.run(t, slices.Concat([]string{"sink", "nats", "--from", dir, "--follow", "0"}, to, args)...), s.err)
		return sunkElements(t, s)
	}
	require.Equal(t, len(want), sinks("--cursor", cursor, "--ids", "--dead", filepath.Join(t.TempDir(), "dead")))
	stored := messages("md.>")
	require.Zero(t, sinks("--cursor", cursor), "the cursor is behind all")
	sinks()
	require.Equal(t, stored, messages("md.>"), "what the streams have is not stored twice")

	args := append([]string{"-f", "json"}, to...)
	require.Equal(t, want, lines(consumers(t, "nats", len(want), args, args)...), "two share the work")
	s = newScene(t)
	require.Equal(t, exitOK, s.run(t, slices.Concat([]string{"consume", "nats", "--for", "1s"}, args)...), s.err)
	require.Empty(t, s.out.String(), "a group sees all once")

	trades := slices.DeleteFunc(slices.Clone(want), func(line string) bool { return !strings.Contains(line, `"ev":"T"`) })
	others := append([]string{"--group", "others", "--watermarks", filepath.Join(t.TempDir(), "marks")}, args...)
	first := newScene(t)
	require.Equal(t, exitOK, first.run(t, slices.Concat([]string{"consume", "nats", "-n", "3"}, others, []string{"T.*"})...), first.err)
	require.Len(t, lines(first.out), 3)
	rest := consumers(t, "nats", len(trades)-3, append(others, "T.*"))
	require.Equal(t, trades, slices.Compact(lines(first.out, rest[0])), "what was cut off comes to the next")
}

// TestNatsLive: what a connection receives comes out of NATS, and what has come is in it when a sink ends.
func TestNatsLive(t *testing.T) {
	url, messages := natsServer(t)
	_, flags := start(t, sim.Config{Rate: 2000})
	s := newScene(t)
	require.Equal(t, exitOK, s.run(t, slices.Concat([]string{"sink", "nats", "--url", url, "--prefix", "x", "--for", "300ms", "T.AAPL", "Q.MSFT"}, flags)...), s.err)
	want := messages("x.stocks.T.AAPL") + messages("x.stocks.Q.MSFT")
	require.NotZero(t, want)
	require.Equal(t, sunkElements(t, s), want+messages("x.stocks.status.*"), "statuses are elements too")
	outputs := consumers(t, "nats", want, []string{"--url", url, "--prefix", "x", "-f", "{ev}.{sym}"})
	require.Len(t, lines(outputs...), want)
	require.Equal(t, []string{"Q.MSFT", "T.AAPL"}, slices.Compact(lines(outputs...)))
}

// TestNatsDemo: a sink works alone, and a consumer beside it.
func TestNatsDemo(t *testing.T) {
	s := newScene(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	code := make(chan int, 1)
	go func() { code <- run(ctx, []string{"sink", "nats", "--demo", "--listen", "127.0.0.1:0"}, s.world) }()
	require.True(t, s.out.await("\n"), s.err)
	url := strings.TrimSpace(s.out.String())
	other := newScene(t)
	require.Equal(t, exitOK, other.run(t, "consume", "nats", "--url", url, "-n", "3", "Q.*"), other.err)
	require.Len(t, lines(other.out), 3)
	cancel(errInterrupted)
	require.Equal(t, exitInterrupted, <-code, s.err)
	require.Contains(t, s.err.String(), "SIMULATOR")
	require.NotZero(t, sunkElements(t, s))
}

// TestNatsEnds: what keeps a sink or a consumer from being one has its message and its code.
func TestNatsEnds(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"sink nats T.AAPL", exitKey, "there is no API key"},
		{"sink nats", exitUsage, "say what goes in"},
		{"sink nats --demo --from " + dir, exitUsage, "say one of them"},
		{"sink nats --from " + dir + " T.*", exitUsage, "goes in whole"},
		{"sink nats --from " + dir + "/none", exitUsage, "no such file"},
		{"sink nats --demo --cursor x", exitUsage, "--cursor is of a folder"},
		{"sink nats --demo --max-bytes 0", exitUsage, "--max-bytes"},
		{"sink nats --demo --partitions 1000", exitUsage, "--partitions"},
		{"sink nats --demo --replicas 0", exitUsage, "--replicas"},
		{"sink nats --demo --prefix a.b --listen 127.0.0.1:0", exitUsage, "Prefix"},
		{"sink nats --demo --listen 0.0.0.0:0", exitUsage, "for this machine alone"},
		{"sink nats --demo --listen nowhere", exitUsage, "no address"},
		{"sink nats --demo --creds " + dir + "/none", exitKey, "credentials"},
		{"sink nats --demo --url nats://127.0.0.1:1", exitFailure, "nats: "},
		{"sink nats --demo --nonsense", exitUsage, "see tickstorm sink nats --help"},
		{"consume nats --url nats://127.0.0.1:1", exitFailure, "nats: "},
		{"consume nats --demo --url nats://127.0.0.1:1", exitUsage, "say one of them"},
		{"consume nats --demo -f raw", exitUsage, "raw is what"},
		{"consume nats --demo --group a.b", exitUsage, "Group"},
		{"consume nats --demo --for -1s", exitUsage, "--for"},
		{"consume nats --demo --for 10ms", exitOK, "SIMULATOR"},
		{"consume nats --demo XT.*", exitUsage, "-m crypto"},
	} {
		s := newScene(t)
		require.Equal(t, c.code, s.run(t, strings.Fields(c.args)...), "%s: %s", c.args, s.err)
		require.Contains(t, s.err.String(), c.says, c.args)
	}
}
