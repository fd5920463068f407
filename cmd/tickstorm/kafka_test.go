package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/tickstorm/tickstorm/sim"
)

// kafkaServer is one that verbs are led to.
func kafkaServer(t *testing.T, options ...kfake.Opt) (c *kfake.Cluster, brokers string) {
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, options...)...)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c, strings.Join(c.ListenAddrs(), ",")
}

// kafkaConsumers are consumers.
func kafkaConsumers(t *testing.T, want int, commands ...[]string) []*buffer {
	t.Helper()
	return consumers(t, "kafka", want, commands...)
}

// TestKafkaFolder: what was recorded comes out of Kafka, each element once, whoever shares the work and
// however often the sink runs.
func TestKafkaFolder(t *testing.T) {
	c, brokers := kafkaServer(t)
	dir := t.TempDir()
	text, err := os.ReadFile(demo(t, newScene(t)))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.tsr.zst"), text, 0o600))
	s := newScene(t)
	require.Equal(t, exitOK, s.run(t, "convert", dir), s.err)
	want := lines(s.out)
	require.NotEmpty(t, want)

	stored := func() (n int64) {
		for _, topic := range []string{"md.stocks.T", "md.stocks.Q", "md.stocks.status", "md.stocks.notice"} {
			for _, p := range c.PartitionInfos(topic) {
				n += p.HighWatermark
			}
		}
		return n
	}
	cursor := filepath.Join(t.TempDir(), "cursor")
	to := []string{"--brokers", brokers, "--partitions", "4"}
	sinks := func(args ...string) int {
		s := newScene(t)
		require.Equal(t, exitOK, s.run(t, slices.Concat([]string{"sink", "kafka", "--from", dir, "--follow", "0"}, to, args)...), s.err)
		return sunkElements(t, s)
	}
	require.Equal(t, len(want), sinks("--cursor", cursor, "--dead", filepath.Join(t.TempDir(), "dead")))
	before := stored()
	require.Zero(t, sinks("--cursor", cursor), "the cursor is behind all")
	sinks()
	require.Equal(t, before, stored(), "what the topics have is not stored twice")

	args := append([]string{"-f", "json"}, to...)
	require.Equal(t, want, lines(kafkaConsumers(t, len(want), args, args)...), "two share the work")
	s = newScene(t)
	require.Equal(t, exitOK, s.run(t, slices.Concat([]string{"consume", "kafka", "--for", "1s"}, args)...), s.err)
	require.Empty(t, s.out.String(), "a group sees all once")

	trades := slices.DeleteFunc(slices.Clone(want), func(line string) bool { return !strings.Contains(line, `"ev":"T"`) })
	others := append([]string{"--group", "others", "--watermarks", filepath.Join(t.TempDir(), "marks")}, args...)
	first := newScene(t)
	require.Equal(t, exitOK, first.run(t, slices.Concat([]string{"consume", "kafka", "-n", "3"}, others, []string{"T.*"})...), first.err)
	require.Len(t, lines(first.out), 3)
	rest := kafkaConsumers(t, len(trades)-3, append(others, "T.*"))
	require.Equal(t, trades, slices.Compact(lines(first.out, rest[0])), "what was cut off comes to the next")
}

// TestKafkaLive: what a connection receives comes out of Kafka, and what has come is in it when a sink
// ends; over SASL, with a password that stands nowhere.
func TestKafkaLive(t *testing.T) {
	const password = "pass-1234-word"
	c, brokers := kafkaServer(t, kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "ticks", password))
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte(password+"\n"), 0o600))
	to := []string{"--brokers", brokers, "--prefix", "x.y", "--sasl", "SCRAM-SHA-256", "--user", "ticks", "--password-file", file}
	_, flags := start(t, sim.Config{Rate: 2000})
	s := newScene(t)
	require.Equal(t, exitOK, s.run(t, slices.Concat([]string{"sink", "kafka", "-v", "--for", "300ms", "T.AAPL", "Q.MSFT"}, to, flags)...), s.err)
	require.NotContains(t, s.err.String(), password)
	want := 0
	for _, topic := range []string{"x.y.stocks.T", "x.y.stocks.Q"} {
		for _, p := range c.PartitionInfos(topic) {
			want += int(p.HighWatermark)
		}
	}
	require.NotZero(t, want)
	outputs := kafkaConsumers(t, want, append(to, "-f", "{ev}.{sym}"))
	require.Equal(t, []string{"Q.MSFT", "T.AAPL"}, slices.Compact(lines(outputs...)))
}

// TestKafkaEnds: what keeps a sink or a consumer from being one has its message and its code.
func TestKafkaEnds(t *testing.T) {
	dir := t.TempDir()
	c, brokers := kafkaServer(t)
	require.NoError(t, c.CreateTopic("six.stocks.T", 6, nil))
	recording := filepath.Join(dir, "a.tsr.zst")
	text, err := os.ReadFile(demo(t, newScene(t)))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(recording, text, 0o600))
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"sink kafka T.AAPL", exitUsage, "--brokers"},
		{"sink kafka --brokers x T.AAPL", exitKey, "there is no API key"},
		{"sink kafka --brokers x --demo --from " + dir, exitUsage, "say one of them"},
		{"sink kafka --brokers x --from " + dir + "/none", exitUsage, "no such file"},
		{"sink kafka --brokers x --demo --partitions 5000", exitUsage, "--partitions"},
		{"sink kafka --brokers x --demo --retention 0", exitUsage, "--retention"},
		{"sink kafka --brokers x --demo --prefix a/b", exitUsage, "Prefix"},
		{"sink kafka --brokers x --demo --user u", exitUsage, "go together"},
		{"sink kafka --brokers x --demo --sasl PLAIN --user u", exitKey, "there is no password"},
		{"sink kafka --brokers x --demo --sasl GSSAPI --user u", exitUsage, "see tickstorm sink kafka --help"},
		{"sink kafka --brokers x --demo --sasl PLAIN --user u --password-file " + dir + "/none", exitKey, "password"},
		{"sink kafka --brokers x --demo --tls-ca " + dir + "/none", exitUsage, "--tls-ca"},
		{"sink kafka --brokers x --demo --tls-ca " + recording, exitUsage, "no certificate"},
		{"sink kafka --brokers 127.0.0.1:1 --demo", exitFailure, "kafka: "},
		{"sink kafka --brokers " + brokers + " --existing --follow 0 --from " + dir, exitFailure, "it is not there"},
		{"sink kafka --brokers " + brokers + " --prefix six --follow 0 --from " + dir, exitFailure, "it has 6 partitions and not 8"},
		{"consume kafka", exitUsage, "--brokers"},
		{"consume kafka --brokers x --demo", exitUsage, "consume nats"},
		{"consume kafka --brokers x -f raw", exitUsage, "raw is what"},
		{"consume kafka --brokers x --for -1s", exitUsage, "--for"},
		{"consume kafka --brokers 127.0.0.1:1", exitFailure, "kafka: "},
		{"consume kafka --brokers " + brokers + " --prefix six", exitFailure, "it has 6 partitions and not 8"},
		{"consume kafka --brokers " + brokers + " --for 10ms", exitOK, ""},
	} {
		s := newScene(t)
		require.Equal(t, c.code, s.run(t, strings.Fields(c.args)...), "%s: %s", c.args, s.err)
		require.Contains(t, s.err.String(), c.says, c.args)
	}
	s := newScene(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	began := time.Now()
	require.Equal(t, exitOK, run(ctx, []string{"sink", "kafka", "--brokers", brokers, "--demo", "--for", "100ms"}, s.world), s.err)
	require.Less(t, time.Since(began), patience)
	require.Contains(t, s.err.String(), "SIMULATOR")
}
