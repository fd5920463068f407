//go:build unix

package kafka_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tickstorm/tickstorm/internal/cputime"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
	sinkkafka "github.com/tickstorm/tickstorm/sink/kafka"
)

// benchEvents is how many events a round has.
const benchEvents = 400_000

// outEvents is how many a round has that reads them: more than a client fetches before the first is
// looked at.
const outEvents = 5 * benchEvents

// large is a configuration with large batches.
var large = sink.Config{MaxRows: 8 << 10, MaxBytes: 2 << 20}

// sized is how many bytes an engine's batches have.
type sized struct{ bytes uint64 }

func (s *sized) Write(_ context.Context, b *sink.Batch) error {
	s.bytes += uint64(b.Bytes)
	return nil
}

// BenchmarkInRatio compares what goes from a recording into Kafka with the client library alone, which
// is given ready records, in turns. The broker is in the same process, and has no disk.
func BenchmarkInRatio(b *testing.B) {
	c := start(b, kfake.NumBrokers(1))
	dir := sinktest.Corpus(b, benchEvents)
	cluster := sinkkafka.Cluster{Brokers: c.ListenAddrs()}
	fill := func() uint64 {
		engine, err := sinkkafka.NewEngine(sinkkafka.Config{Cluster: cluster})
		require.NoError(b, err)
		defer engine.Close()
		return sinktest.SinkAll(b, engine, dir, large).Rows
	}
	topics := func() []string {
		all, err := kadm.NewClient(c.client(b)).ListTopics(b.Context())
		require.NoError(b, err)
		return all.Names()
	}
	fill()
	var ready []kgo.Record
	names := topics()
	bytes := uint64(0)
	for _, name := range names {
		for _, p := range c.PartitionInfos(name) {
			bytes += uint64(p.NumBytes)
		}
	}
	stored := c.records(b, names...)
	ids := map[*kgo.Record]sink.ID{}
	for _, r := range stored {
		stamp, err := sink.ParseStamp(string(r.Headers[0].Value), nil)
		require.NoError(b, err)
		ids[r] = stamp.ID
	}
	slices.SortStableFunc(stored, func(x, y *kgo.Record) int { // as they were recorded
		return cmp.Or(cmp.Compare(ids[x].Sequence, ids[y].Sequence), cmp.Compare(ids[x].Element, ids[y].Element))
	})
	for _, r := range stored {
		ready = append(ready, kgo.Record{Topic: r.Topic, Key: r.Key, Value: r.Value, Headers: r.Headers, Timestamp: r.Timestamp})
	}
	var raw sized
	sinktest.SinkAll(b, &raw, dir, large)
	empty := func() {
		for _, name := range names {
			require.NoError(b, c.DeleteTopic(name))
			require.NoError(b, c.CreateTopic(name, 8, nil))
		}
	}
	var ours, theirs, cost, theirCost []float64
	for b.Loop() {
		empty()
		began, used := time.Now(), cputime.Used()
		n := fill()
		ours = append(ours, float64(n)/time.Since(began).Seconds())
		cost = append(cost, (cputime.Used()-used).Seconds()/float64(n)*1e6)

		empty()
		records := slices.Clone(ready)
		cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ProducerBatchCompression(kgo.ZstdCompression()))
		require.NoError(b, err)
		began, used = time.Now(), cputime.Used()
		for i := range records {
			cl.Produce(b.Context(), &records[i], func(_ *kgo.Record, err error) {
				if err != nil {
					panic(err)
				}
			})
		}
		require.NoError(b, cl.Flush(b.Context()))
		theirs = append(theirs, float64(len(records))/time.Since(began).Seconds())
		theirCost = append(theirCost, (cputime.Used()-used).Seconds()/float64(len(records))*1e6)
		cl.Close()
	}
	b.ReportMetric(sinktest.Median(theirCost), "producer-cpu-s/M")
	b.ReportMetric(sinktest.Median(ours), "events/s")
	b.ReportMetric(sinktest.Median(theirs), "producer/s")
	b.ReportMetric(sinktest.Median(ours)/sinktest.Median(theirs), "ratio")
	b.ReportMetric(sinktest.Median(cost), "cpu-s/M")
	b.ReportMetric(float64(raw.bytes)/benchEvents, "raw-B/event")
	b.ReportMetric(float64(bytes)/benchEvents, "stored-B/event")
}

// BenchmarkOutRatio compares what goes from Kafka into handlers, over 1, 2 and 4 consumers of 8
// partitions, with as many poll loops of the client library in a group, which do nothing with the records.
func BenchmarkOutRatio(b *testing.B) {
	c := start(b, kfake.NumBrokers(1))
	cluster := sinkkafka.Cluster{Brokers: c.ListenAddrs()}
	engine, err := sinkkafka.NewEngine(sinkkafka.Config{Cluster: cluster})
	require.NoError(b, err)
	for range outEvents / benchEvents {
		sinktest.SinkAll(b, engine, sinktest.Corpus(b, benchEvents), large)
	}
	require.NoError(b, engine.Close())
	groups := 0
	for _, consumers := range []int{1, 2, 4} {
		b.Run(fmt.Sprint(consumers), func(b *testing.B) {
			var ours, theirs, cost, theirCost []float64
			for b.Loop() {
				groups++
				used := cputime.Used()
				ours = append(ours, consumeAll(b, cluster, fmt.Sprint("ours", groups), consumers))
				cost = append(cost, (cputime.Used()-used).Seconds()/outEvents*1e6)
				used = cputime.Used()
				theirs = append(theirs, pollAll(b, cluster, fmt.Sprint("theirs", groups), consumers))
				theirCost = append(theirCost, (cputime.Used()-used).Seconds()/outEvents*1e6)
			}
			b.ReportMetric(sinktest.Median(theirCost), "polled-cpu-s/M")
			b.ReportMetric(sinktest.Median(ours), "events/s")
			b.ReportMetric(sinktest.Median(theirs), "polled/s")
			b.ReportMetric(sinktest.Median(ours)/sinktest.Median(theirs), "ratio")
			b.ReportMetric(sinktest.Median(cost), "cpu-s/M")
		})
	}
}

// consumeAll has a new group read all, and returns the events a second from the first on.
func consumeAll(b *testing.B, cluster sinkkafka.Cluster, group string, consumers int) float64 {
	b.Helper()
	h := sinktest.NewCounter(outEvents)
	var all []*sinkkafka.Consumer
	var running sync.WaitGroup
	began := time.Now()
	for range consumers {
		c, err := sinkkafka.NewConsumer(sinkkafka.ConsumerConfig{Cluster: cluster, Market: stocks, Handler: h, Group: group})
		require.NoError(b, err)
		all = append(all, c)
		running.Go(func() { _ = c.Run(b.Context()) })
	}
	for h.Count() == 0 {
		time.Sleep(time.Millisecond)
		began = time.Now()
	}
	<-h.Enough
	took := time.Since(began)
	for _, c := range all {
		require.NoError(b, c.Stop(b.Context()))
	}
	running.Wait()
	return outEvents / took.Seconds()
}

// pollAll is that with loops of the client library alone, which commit as it does.
func pollAll(b *testing.B, cluster sinkkafka.Cluster, group string, loops int) float64 {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var n atomic.Int64
	var first atomic.Int64
	var all sync.WaitGroup
	for range loops {
		cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.Brokers...), kgo.ConsumerGroup(group), kgo.ConsumeRegex(), kgo.ConsumeTopics("^md\\.stocks\\..*"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		require.NoError(b, err)
		all.Go(func() {
			defer cl.Close()
			for {
				fetched := cl.PollFetches(ctx)
				if ctx.Err() != nil {
					return
				}
				first.CompareAndSwap(0, time.Now().UnixNano())
				if n.Add(int64(fetched.NumRecords())) >= outEvents {
					cancel()
				}
			}
		})
	}
	<-ctx.Done()
	took := time.Since(time.Unix(0, first.Load()))
	all.Wait()
	return outEvents / took.Seconds()
}
