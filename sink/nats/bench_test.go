package nats_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sim"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
	sinknats "github.com/tickstorm/tickstorm/sink/nats"
	"github.com/tickstorm/tickstorm/sink/nats/internal/fixture"
)

// benchEvents is how many events a round has.
const benchEvents = 400_000

// collect keeps rows as messages that are ready to be published.
type collect struct {
	layout   sinknats.Layout
	messages []*nats.Msg
}

func (c *collect) Write(_ context.Context, b *sink.Batch) error {
	for i := range b.Rows {
		r := &b.Rows[i]
		c.messages = append(c.messages, &nats.Msg{
			Subject: c.layout.Subject(r, c.layout.Partition(r.Symbol)), Data: slices.Clone(r.Raw),
			Header: nats.Header{sinknats.StampHeader: {string(r.AppendStamp(nil))}},
		})
	}
	return nil
}

// BenchmarkInRatio compares what goes from a recording into JetStream with its own asynchronous
// publisher, which is given ready messages, in turns.
func BenchmarkInRatio(b *testing.B) {
	cluster := fixture.Start(b, 1)
	nc := fixture.Connect(b, cluster)
	dir := sinktest.Corpus(b, benchEvents)
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4096))
	require.NoError(b, err)
	ready := &collect{layout: sinknats.Layout{Prefix: "md", Partitions: 1}}
	sinktest.SinkAll(b, ready, dir, sink.Config{})
	var ours, theirs []float64
	for b.Loop() {
		_ = js.DeleteStream(b.Context(), "md_stocks")
		engine, err := sinknats.NewEngine(nc, sinknats.Config{})
		require.NoError(b, err)
		began := time.Now()
		n := sinktest.SinkAll(b, engine, dir, sink.Config{}).Rows
		ours = append(ours, float64(n)/time.Since(began).Seconds())
		require.NoError(b, engine.Close())
		cfg := stream(b, nc, "md_stocks").CachedInfo().Config

		require.NoError(b, js.DeleteStream(b.Context(), "md_stocks"))
		_, err = js.CreateStream(b.Context(), cfg)
		require.NoError(b, err)
		began = time.Now()
		for _, m := range ready.messages {
			_, err := js.PublishMsgAsync(m, jetstream.WithStallWait(time.Minute))
			require.NoError(b, err)
		}
		<-js.PublishAsyncComplete()
		theirs = append(theirs, float64(len(ready.messages))/time.Since(began).Seconds())
	}
	b.ReportMetric(sinktest.Median(ours), "events/s")
	b.ReportMetric(sinktest.Median(theirs), "publisher/s")
	b.ReportMetric(sinktest.Median(ours)/sinktest.Median(theirs), "ratio")
}

// BenchmarkOutRatio compares what goes from JetStream into handlers, over 1, 2 and 4 consumers of 4
// partitions, with its own loop of fetches, which does nothing with the messages: one for each
// stream, as many at a time as there are consumers.
func BenchmarkOutRatio(b *testing.B) {
	cluster := fixture.Start(b, 1)
	nc := fixture.Connect(b, cluster)
	dir := sinktest.Corpus(b, benchEvents)
	layout := sinknats.Layout{Prefix: "md", Partitions: 4}
	engine, err := sinknats.NewEngine(nc, sinknats.Config{Layout: layout})
	require.NoError(b, err)
	sinktest.SinkAll(b, engine, dir, sink.Config{})
	events := int64(benchEvents)
	for _, consumers := range []int{1, 2, 4} {
		b.Run(fmt.Sprint(consumers), func(b *testing.B) {
			var ours, theirs []float64
			for b.Loop() {
				ours = append(ours, consume(b, nc, layout, consumers, events))
				theirs = append(theirs, fetchAll(b, nc, layout, consumers))
			}
			b.ReportMetric(sinktest.Median(ours), "events/s")
			b.ReportMetric(sinktest.Median(theirs), "fetched/s")
			b.ReportMetric(sinktest.Median(ours)/sinktest.Median(theirs), "ratio")
		})
	}
}

var groups atomic.Int64

// consume has a new group read all, and returns the events a second from when each consumer has its
// share of the partitions.
func consume(b *testing.B, nc *nats.Conn, layout sinknats.Layout, consumers int, events int64) float64 {
	b.Helper()
	h := sinktest.NewCounter(events)
	group := fmt.Sprint("g", groups.Add(1))
	var all []*sinknats.Consumer
	var running sync.WaitGroup
	for range consumers {
		c, err := sinknats.NewConsumer(nc, sinknats.ConsumerConfig{Layout: layout, Market: tickstorm.Stocks, Handler: h, Group: group, Lease: time.Second})
		require.NoError(b, err)
		all = append(all, c)
		running.Go(func() { _ = c.Run(b.Context()) })
	}
	require.Eventually(b, func() bool {
		return !slices.ContainsFunc(all, func(c *sinknats.Consumer) bool { return c.Stats().Partitions != layout.Partitions/consumers })
	}, time.Minute, time.Millisecond)
	began, before := time.Now(), h.Count()
	<-h.Enough
	took := time.Since(began)
	for _, c := range all {
		require.NoError(b, c.Stop(b.Context()))
	}
	running.Wait()
	return float64(events-before) / took.Seconds()
}

func fetchAll(b *testing.B, nc *nats.Conn, layout sinknats.Layout, loops int) float64 {
	b.Helper()
	js, err := jetstream.New(nc)
	require.NoError(b, err)
	total := atomic.Int64{}
	streams := make(chan string, layout.Partitions)
	for p := range layout.Partitions {
		streams <- layout.Stream(tickstorm.Stocks, p)
	}
	close(streams)
	began := time.Now()
	var all sync.WaitGroup
	for range loops {
		all.Go(func() {
			for name := range streams {
				s, err := js.Stream(b.Context(), name)
				if err != nil {
					panic(err)
				}
				c, err := s.CreateConsumer(b.Context(), jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true})
				if err != nil {
					panic(err)
				}
				for left := int(s.CachedInfo().State.Msgs); left > 0; {
					batch, err := c.Fetch(min(left, 4096))
					if err != nil {
						panic(err)
					}
					for range batch.Messages() {
						left--
						total.Add(1)
					}
				}
			}
		})
	}
	all.Wait()
	return float64(total.Load()) / time.Since(began).Seconds()
}

// BenchmarkLag is the time from when a message was read to when the handler has its events, through
// a recording and JetStream, at 20,000 events a second. Of it the recorder's Flush is most.
func BenchmarkLag(b *testing.B) {
	cluster := fixture.Start(b, 1)
	nc := fixture.Connect(b, cluster)
	dir := b.TempDir()
	server, err := sim.Start(sim.Config{Rate: 20_000})
	require.NoError(b, err)
	defer server.Close()
	const flush = 50 * time.Millisecond
	rec, err := record.NewRecorder(record.Config{Dir: dir, Market: tickstorm.Stocks, MinFree: -1, Flush: flush})
	require.NoError(b, err)
	require.NoError(b, rec.Start())
	cfg := server.ClientConfig(tickstorm.Stocks)
	cfg.Tap, cfg.Queue.Inline = rec, true
	client, err := tickstorm.NewClient(cfg, tickstorm.NopHandler{})
	require.NoError(b, err)
	require.NoError(b, client.Subscribe(b.Context(), tickstorm.Trades, tickstorm.All))
	require.NoError(b, client.Start(b.Context()))
	engine, err := sinknats.NewEngine(nc, sinknats.Config{})
	require.NoError(b, err)
	r, err := sink.NewRunner(engine, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}, Follow: 10 * time.Millisecond}), sink.Config{Linger: 10 * time.Millisecond})
	require.NoError(b, err)
	c, err := sinknats.NewConsumer(nc, sinknats.ConsumerConfig{Market: tickstorm.Stocks, Handler: tickstorm.NopHandler{}})
	require.NoError(b, err)
	var running sync.WaitGroup
	running.Go(func() { _ = r.Run(b.Context()) })
	running.Go(func() { _ = c.Run(b.Context()) })
	for b.Loop() {
		time.Sleep(time.Second)
	}
	lag := c.Stats().Lag
	require.NoError(b, client.Close())
	require.NoError(b, rec.Close(b.Context()))
	require.NoError(b, r.Stop(b.Context()))
	require.NoError(b, c.Stop(b.Context()))
	running.Wait()
	b.ReportMetric(float64(lag.Quantile(0.5).Milliseconds()), "p50-ms")
	b.ReportMetric(float64(lag.Quantile(0.99).Milliseconds()), "p99-ms")
}
