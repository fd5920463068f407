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

// kafkaStored is how many records topics have.
func kafkaStored(c *kfake.Cluster, topics ...string) (n int) {
	for _, topic := range topics {
		for _, p := range c.PartitionInfos(topic) {
			n += int(p.HighWatermark)
		}
	}
	return n
}

// TestKafkaFolder: what was recorded comes out of Kafka, each element once, whoever shares the work and
// however often the sink runs.
func TestKafkaFolder(t *testing.T) {
	t.Parallel()
	c, brokers := kafkaServer(t)
	throughFolder(t, "kafka", func() int {
		return kafkaStored(c, "md.stocks.T", "md.stocks.Q", "md.stocks.status", "md.stocks.notice")
	}, []string{"--brokers", brokers})
}

// TestKafkaLive: what a connection receives comes out of Kafka, and what has come is in it when a sink
// ends; over SASL, with a password that stands nowhere.
func TestKafkaLive(t *testing.T) {
	t.Parallel()
	const password = "pass-1234-word"
	c, brokers := kafkaServer(t, kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "ticks", password))
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte(password+"\n"), 0o600))
	to := []string{"--brokers", brokers, "--prefix", "x.y", "--sasl", "SCRAM-SHA-256", "--user", "ticks", "--password-file", file}
	_, flags := start(t, sim.Config{Rate: 2000})
	s, _ := sunkLive(t, func() bool { return kafkaStored(c, "x.y.stocks.T") > 0 && kafkaStored(c, "x.y.stocks.Q") > 0 },
		slices.Concat([]string{"sink", "kafka", "-v", "T.AAPL", "Q.MSFT"}, to, flags)...)
	require.NotContains(t, s.err.String(), password)
	want := kafkaStored(c, "x.y.stocks.T", "x.y.stocks.Q")
	outputs := consumers(t, "kafka", want, append(to, "-f", "{ev}.{sym}"))
	require.Equal(t, []string{"Q.MSFT", "T.AAPL"}, slices.Compact(lines(outputs...)))
}

// TestKafkaEnds: what keeps a sink or a consumer from being one has its message and its code.
func TestKafkaEnds(t *testing.T) {
	t.Parallel()
	dir, _ := demoFolder(t)
	c, brokers := kafkaServer(t)
	require.NoError(t, c.CreateTopic("six.stocks.T", 6, nil))
	ends(t, []end{
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
		{"sink kafka --brokers x --demo --tls-ca " + dir + "/a.tsr.zst", exitUsage, "no certificate"},
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
	})
	s := newScene(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	began := time.Now()
	require.Equal(t, exitOK, run(ctx, []string{"sink", "kafka", "--brokers", brokers, "--demo", "--for", "100ms"}, s.world), s.err)
	require.Less(t, time.Since(began), patience)
	require.Contains(t, s.err.String(), "SIMULATOR")
}
