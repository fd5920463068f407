package kafka_test

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/leak"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
	sinkkafka "github.com/tickstorm/tickstorm/sink/kafka"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// cluster is one of three brokers, whose clients connect through proxies.
type cluster struct {
	*kfake.Cluster
	proxies map[string]*sinktest.Proxy
}

func start(t testing.TB, options ...kfake.Opt) *cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(3), kfake.GroupMinSessionTimeout(time.Millisecond)}, options...)...)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return &cluster{Cluster: c}
}

// behindProxies has clients that are made from now on connect through proxies.
func (c *cluster) behindProxies(t testing.TB) {
	c.proxies = map[string]*sinktest.Proxy{}
	for _, a := range c.ListenAddrs() {
		c.proxies[a] = sinktest.NewProxy(t, a)
	}
}

func (c *cluster) cut(down bool) {
	for _, p := range c.proxies {
		p.Cut(down)
	}
}

// at is where clients find it.
func (c *cluster) at() sinkkafka.Cluster {
	at := sinkkafka.Cluster{Brokers: c.ListenAddrs(), Options: []kgo.Opt{kgo.MetadataMinAge(10 * time.Millisecond)}}
	if c.proxies != nil {
		at.Options = append(at.Options, kgo.Dialer(func(ctx context.Context, network, host string) (net.Conn, error) {
			p := c.proxies[host]
			if p == nil { // of another cluster, which has a port that was this one's: a consumer outlives its failed test
				return nil, fmt.Errorf("no broker of this cluster: %s", host)
			}
			return new(net.Dialer).DialContext(ctx, network, p.Addr())
		}))
	}
	return at
}

func (c *cluster) client(t testing.TB, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...)}, options...)...)
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	return cl
}

// records reads all that some topics have, in the order of their partitions.
func (c *cluster) records(t testing.TB, topics ...string) (all []*kgo.Record) {
	t.Helper()
	cl := c.client(t)
	ends, err := kadm.NewClient(cl).ListEndOffsets(t.Context(), topics...)
	require.NoError(t, err)
	left := 0
	from := map[string]map[int32]kgo.Offset{}
	starts, err := kadm.NewClient(cl).ListStartOffsets(t.Context(), topics...)
	require.NoError(t, err)
	ends.Each(func(o kadm.ListedOffset) {
		begin, _ := starts.Lookup(o.Topic, o.Partition)
		left += int(o.Offset - begin.Offset)
		if from[o.Topic] == nil {
			from[o.Topic] = map[int32]kgo.Offset{}
		}
		from[o.Topic][o.Partition] = kgo.NewOffset().At(begin.Offset)
	})
	reader := c.client(t, kgo.ConsumePartitions(from), kgo.FetchMaxWait(50*time.Millisecond))
	for left > len(all) {
		fetched := reader.PollFetches(t.Context())
		require.Empty(t, fetched.Errors())
		fetched.EachRecord(func(r *kgo.Record) { all = append(all, r) })
	}
	slices.SortFunc(all, func(a, b *kgo.Record) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	return all
}

// stored is how many records a topic has been given.
func (c *cluster) stored(topic string) (n int) {
	for _, p := range c.PartitionInfos(topic) {
		n += int(p.HighWatermark)
	}
	return n
}

// newEngine returns an engine of a test, which has little patience.
func (c *cluster) newEngine(t testing.TB, cfg sinkkafka.Config) *sinkkafka.Engine {
	t.Helper()
	if cfg.Brokers == nil {
		cfg.Cluster = c.at()
	}
	e, err := sinkkafka.NewEngine(cfg)
	require.NoError(t, err)
	return e
}

// run gives an engine a folder, to its end.
func run(t testing.TB, e *sinkkafka.Engine, dir string, cfg sink.Config) (sink.Stats, error) {
	t.Helper()
	defer e.Close()
	r, err := sink.NewRunner(e, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}}), cfg)
	require.NoError(t, err)
	err = r.Run(t.Context())
	return r.Stats(), err
}

// goSink runs a sink of a folder that grows.
func (c *cluster) goSink(t testing.TB, dir, cursor string, cfg sinkkafka.Config) *sinktest.Runs {
	t.Helper()
	return sinktest.GoSink(t, c.newEngine(t, cfg), sink.FolderConfig{Paths: []string{dir}, Cursor: cursor, Follow: 5 * time.Millisecond})
}

// told is a cluster, and a tape of which a sink tells it all, so many elements first.
func told(t testing.TB, quotes bool, cfg sinkkafka.Config, first int) (*cluster, *sinktest.Tape, *sinktest.Runs) {
	t.Helper()
	c := start(t)
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, quotes)
	s := c.goSink(t, dir, "", cfg)
	tp.Say(first)
	return c, tp, s
}

// stamps are those of records, without repeats, by the order in which they came.
func stamps(t testing.TB, records []*kgo.Record) (list []string) {
	t.Helper()
	for _, r := range records {
		require.Len(t, r.Headers, 1)
		require.Equal(t, sinkkafka.StampHeader, r.Headers[0].Key)
		list = append(list, string(r.Headers[0].Value))
	}
	return list
}

const stocks = tickstorm.Stocks
