package main

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
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

// little bounds a stream: a server reserves all that it may have.
const little = "--max-bytes=268435456"

// TestNatsFolder: what was recorded comes out of NATS, each element once, whoever shares the work and
// however often the sink runs.
func TestNatsFolder(t *testing.T) {
	t.Parallel()
	url, messages := natsServer(t)
	throughFolder(t, "nats", func() int { return messages("md.>") }, []string{"--url", url}, "--ids", little)
}

// TestNatsLive: what a connection receives comes out of NATS, and what has come is in it when a sink ends.
func TestNatsLive(t *testing.T) {
	t.Parallel()
	url, messages := natsServer(t)
	_, flags := start(t, sim.Config{Rate: 2000})
	_, sunk := sunkLive(t, func() bool { return messages("x.stocks.T.AAPL") > 0 && messages("x.stocks.Q.MSFT") > 0 },
		slices.Concat([]string{"sink", "nats", "--url", url, little, "--prefix", "x", "T.AAPL", "Q.MSFT"}, flags)...)
	want := messages("x.stocks.T.AAPL") + messages("x.stocks.Q.MSFT")
	require.Equal(t, sunk, want+messages("x.stocks.status.*"), "statuses are elements too")
	outputs := consumers(t, "nats", want, []string{"--url", url, "--prefix", "x", "-f", "{ev}.{sym}"})
	require.Len(t, lines(outputs...), want)
	require.Equal(t, []string{"Q.MSFT", "T.AAPL"}, slices.Compact(lines(outputs...)))
}

// TestNatsDemo: a sink works alone, and a consumer beside it.
func TestNatsDemo(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"sink", "nats", "--demo", "--listen", "127.0.0.1:0", little}, s.world)
	}()
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

// TestNatsNever: a server that will never do ends a sink and a consumer at once, and says who one is to one
// that asks.
func TestNatsNever(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	account := server.NewAccount("ticks")
	o := server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, StoreDir: dir}
	url := serveNats(t, o).ClientURL()
	ends(t, []end{
		{"sink nats --demo --url " + url, exitFailure, "has no JetStream"},
		{"consume nats --url " + url, exitFailure, "has no JetStream"},
	})
	o.JetStream, o.Accounts = true, []*server.Account{account}
	o.Users = []*server.User{{Username: "me", Password: "sesame", Account: account}}
	url = serveNats(t, o).ClientURL()
	ends(t, []end{{"consume nats --url " + url, exitKey, "Authorization Violation"}}, "sesame")
	for _, verb := range []string{"sink nats --demo", "consume nats"} {
		s := newScene(t).with("NATS_USER=me", "NATS_PASSWORD=sesame")
		require.Equal(t, exitKey, s.run(t, strings.Fields(verb+" --url "+url)...), s.err)
		require.Contains(t, s.err.String(), "the account has no JetStream")
		require.NotContains(t, s.err.String(), "sesame")
	}
	o.Accounts, o.Users, o.Authorization = nil, nil, "sesame-token"
	s := newScene(t).with("NATS_TOKEN=sesame-token")
	require.Equal(t, exitOK, s.run(t, "sink", "nats", "--demo", "--for", "100ms", little, "--url", serveNats(t, o).ClientURL()), s.err)
}

// serveNats runs a server as it is told.
func serveNats(t *testing.T, o server.Options) *server.Server {
	t.Helper()
	s, err := server.NewServer(&o)
	require.NoError(t, err)
	go s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	require.True(t, s.ReadyForConnections(patience))
	return s
}

// TestNatsClusterStarts: a node without JetStream is waited for as long as another of its cluster may have it.
func TestNatsClusterStarts(t *testing.T) {
	t.Parallel()
	s := serveNats(t, server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
		Cluster: server.ClusterOpts{Name: "ticks", Host: "127.0.0.1", Port: server.RANDOM_PORT},
	})
	other, err := nats.Connect(s.ClientURL()) // which answers as a node does that has it
	require.NoError(t, err)
	t.Cleanup(other.Close)
	over := make(chan error, 1)
	go func() {
		nc, err := (&natsFlags{}).connect(t.Context(), &app{world: newScene(t).world, log: slog.New(slog.DiscardHandler)}, s.ClientURL())
		if err == nil {
			nc.Close()
		}
		over <- err
	}()
	require.Eventually(t, func() bool {
		v, err := s.Varz(nil)
		return err == nil && v.InMsgs > 0 || len(over) > 0
	}, patience, time.Millisecond)
	_, err = other.Subscribe("$JS.API.INFO", func(m *nats.Msg) { _ = m.Respond([]byte("{}")) })
	require.NoError(t, err)
	require.NoError(t, <-over)
}

// TestNatsEnds: what keeps a sink or a consumer from being one has its message and its code.
func TestNatsEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ends(t, []end{
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
		{"sink nats --demo --url nats://127.0.0.1:1,nats://me:sesame@127.0.0.1:1", exitUsage, "never an argument"},
		{"consume nats --url sesame@127.0.0.1:1", exitUsage, "never an argument"},
		{"sink nats --demo --nonsense", exitUsage, "see tickstorm sink nats --help"},
		{"consume nats --url nats://127.0.0.1:1", exitFailure, "nats: "},
		{"consume nats --demo --url nats://127.0.0.1:1", exitUsage, "say one of them"},
		{"consume nats --demo -f raw", exitUsage, "raw is what"},
		{"consume nats --demo --group a.b", exitUsage, "Group"},
		{"consume nats --demo --for -1s", exitUsage, "--for"},
		{"consume nats --demo --for 10ms", exitOK, "SIMULATOR"},
		{"consume nats --demo XT.*", exitUsage, "-m crypto"},
	}, "sesame")
}
