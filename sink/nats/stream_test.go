package nats_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
	sinknats "github.com/tickstorm/tickstorm/sink/nats"
	"github.com/tickstorm/tickstorm/sink/nats/internal/fixture"
)

// TestStreamConfig: a stream is made with limits, and one that is there is checked and left as it is.
func TestStreamConfig(t *testing.T) {
	cluster := fixture.Start(t, 1)
	nc := fixture.Connect(t, cluster)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	dir, _ := sinktest.Recorded(t, false, 1)
	write := func(cfg sinknats.Config) error {
		engine, err := sinknats.NewEngine(nc, cfg) // with the defaults
		require.NoError(t, err)
		defer engine.Close()
		r, err := sink.NewRunner(engine, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}}), sink.Config{})
		require.NoError(t, err)
		return r.Run(t.Context())
	}

	require.NoError(t, write(sinknats.Config{}))
	made := stream(t, nc, "md_stocks").CachedInfo().Config
	require.Equal(t, 24*time.Hour, made.MaxAge)
	require.Equal(t, int64(8<<30), made.MaxBytes)
	require.Equal(t, jetstream.LimitsPolicy, made.Retention)

	for name, c := range map[string]struct {
		change func(*jetstream.StreamConfig)
		fault  string // "" is none
	}{
		"other limits":      {func(c *jetstream.StreamConfig) { c.MaxAge, c.MaxMsgs = time.Hour, 5000 }, ""},
		"other subjects":    {func(c *jetstream.StreamConfig) { c.Subjects = []string{"x.>"} }, "its subjects are"},
		"work queue":        {func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy }, "others have to read them too"},
		"last of a subject": {func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 }, "keeps 1 messages of a subject"},
		"no batches":        {func(c *jetstream.StreamConfig) { c.AllowBatchPublish = false }, "does not allow batch publishing"},
		"no acks":           {func(c *jetstream.StreamConfig) { c.NoAck = true }, "acknowledges nothing"},
		"transformed": {func(c *jetstream.StreamConfig) {
			c.SubjectTransform = &jetstream.SubjectTransformConfig{Source: "md.stocks.*.*", Destination: "x.{{wildcard(1)}}.{{wildcard(2)}}"}
		}, "it changes subjects"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := js.DeleteStream(t.Context(), "md_stocks"); err != nil {
				require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
			}
			cfg := jetstream.StreamConfig{Name: "md_stocks", Subjects: []string{"md.stocks.*.*"}, AllowBatchPublish: true}
			c.change(&cfg)
			require.Eventually(t, func() bool { // a server may still be removing the files
				_, err = js.CreateStream(t.Context(), cfg)
				return err == nil
			}, sinktest.Patience, 5*time.Millisecond)
			before := stream(t, nc, "md_stocks").CachedInfo().Config
			err = write(sinknats.Config{})
			if c.fault == "" {
				require.NoError(t, err)
			} else {
				var fault *sinknats.StreamError
				require.ErrorAs(t, err, &fault)
				require.False(t, sink.Retryable(err))
				require.ErrorContains(t, err, c.fault)
			}
			require.Equal(t, before, stream(t, nc, "md_stocks").CachedInfo().Config)
		})
	}
}

// TestTooLong: an element that the stream does not take, or the connection, goes to the dead
// letters, and all others are stored.
func TestTooLong(t *testing.T) {
	t.Parallel()
	cluster := fixture.Start(t, 1)
	nc := fixture.Connect(t, cluster)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "md_stocks", Subjects: []string{"md.stocks.*.*"}, MaxMsgSize: 1000, AllowBatchPublish: true})
	require.NoError(t, err)
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, false)
	tp.Say(50)
	tp.OnMessage([]byte(`[{"ev":"T","sym":"AAPL","c":"`+strings.Repeat("x", 2000)+`"}]`), time.Now().UnixNano())
	tp.Say(50)
	tp.End()
	engine := fixture.NewEngine(t, nc, sinknats.Config{})
	r, err := sink.NewRunner(engine, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}}), sink.Config{DeadLetters: filepath.Join(t.TempDir(), "dead")})
	require.NoError(t, err)
	require.NoError(t, r.Run(t.Context()))
	require.EqualValues(t, 1, r.Stats().Dead)
	b := sinktest.NewBooks()
	consumer := fixture.GoConsumer(t, fixture.Connect(t, cluster), sinknats.ConsumerConfig{Handler: sinktest.Ear{Books: b}})
	b.Whole(t, tp.Said(), 0, 1)
	consumer.Halt(t)

	core, err := sinknats.NewCore(nc, sinknats.Layout{})
	require.NoError(t, err)
	for _, e := range []sink.Engine{engine, core} { // nor does the connection take what is longer than a server does
		live := sink.NewLive(tickstorm.Stocks, 0)
		live.OnMessage([]byte(`[{"ev":"T","sym":"AAPL","c":"`+strings.Repeat("x", 9<<20)+`"},{"ev":"T","sym":"AAPL"}]`), time.Now().UnixNano())
		require.NoError(t, live.Close())
		r, err := sink.NewRunner(e, live, sink.Config{DeadLetters: filepath.Join(t.TempDir(), "dead")})
		require.NoError(t, err)
		require.NoError(t, r.Run(t.Context()))
		require.EqualValues(t, 1, r.Stats().Dead)
		require.EqualValues(t, 1, r.Stats().Rows)
	}
}

// TestExpired: a consumer that is further behind than the stream keeps is told what it misses.
func TestExpired(t *testing.T) {
	t.Parallel()
	cluster := fixture.Start(t, 1)
	nc := fixture.Connect(t, cluster)
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, false)
	tp.Say(20)
	s := fixture.GoSink(t, nc, dir, "", true, sinknats.Config{})
	b := sinktest.NewBooks()
	consumer := fixture.GoConsumer(t, nc, sinknats.ConsumerConfig{Handler: sinktest.Ear{Books: b}})
	b.Await(t, tp.Said())
	consumer.Halt(t)
	tp.Say(20)
	require.Eventually(t, func() bool { return streamMessages(t, nc, "md_stocks") >= uint64(tp.Said()) }, sinktest.Patience, 5*time.Millisecond)
	require.NoError(t, stream(t, nc, "md_stocks").Purge(t.Context(), jetstream.WithPurgeSequence(91)))
	again, err := sinknats.NewConsumer(nc, sinknats.ConsumerConfig{Market: tickstorm.Stocks, Handler: sinktest.Ear{Books: b}, Lease: time.Second, Save: time.Millisecond})
	require.NoError(t, err)
	over := make(chan error, 1)
	go func() { over <- again.Run(t.Context()) }()
	b.Await(t, 90)
	require.NoError(t, again.Stop(t.Context()))
	require.NoError(t, <-over)
	require.ErrorIs(t, again.Run(t.Context()), sinknats.ErrRan)
	require.Equal(t, map[string]int{"30 messages of md_stocks were removed before they were read": 1}, b.Gaps())
	require.EqualValues(t, 30, again.Stats().Expired)
	require.EqualValues(t, 30, again.Stats().Rows)
	require.NotZero(t, again.Stats().Saved)
	s.Halt(t)
}

// TestForeign: what no sink has published is counted, and harms nothing.
func TestForeign(t *testing.T) {
	t.Parallel()
	cluster := fixture.Start(t, 1)
	nc := fixture.Connect(t, cluster)
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, false)
	tp.Say(20)
	s := fixture.GoSink(t, nc, dir, "", true, sinknats.Config{})
	b := sinktest.NewBooks()
	c, err := sinknats.NewConsumer(nc, sinknats.ConsumerConfig{Market: tickstorm.Stocks, Handler: sinktest.Ear{Books: b}, Save: time.Millisecond})
	require.NoError(t, err)
	over := make(chan error, 1)
	go func() { over <- c.Run(t.Context()) }()
	b.Await(t, tp.Said())
	require.NoError(t, nc.Publish("md.stocks.T.AAPL", []byte("x")))
	require.NoError(t, nc.Publish("md.stocks.notice.gap", []byte("x")))
	tp.Say(20) // the sink finds its stream elsewhere
	b.Whole(t, tp.Said(), 0, 1)
	s.Halt(t)
	require.NoError(t, c.Stop(t.Context()))
	require.NoError(t, <-over)
	require.EqualValues(t, 2, c.Stats().Foreign)
}

// TestCore: without JetStream what is published comes to who listens.
func TestCore(t *testing.T) {
	t.Parallel()
	cluster := fixture.Start(t, 1)
	nc := fixture.Connect(t, cluster)
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, false)
	tp.Say(100)
	tp.Gap()
	tp.Say(100)
	tp.End()
	b := sinktest.NewBooks()
	sub, err := sinknats.Subscribe(nc, "md.stocks.>", tickstorm.Stocks, sinktest.Ear{Books: b})
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	engine, err := sinknats.NewCore(fixture.Connect(t, cluster), sinknats.Layout{})
	require.NoError(t, err)
	r, err := sink.NewRunner(engine, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}}), sink.Config{})
	require.NoError(t, err)
	require.NoError(t, r.Run(t.Context()))
	b.Whole(t, tp.Said(), 1, 1)
	require.NoError(t, sub.Unsubscribe())

	closed, err := cluster.Connect()
	require.NoError(t, err)
	engine, err = sinknats.NewCore(closed, sinknats.Layout{})
	require.NoError(t, err)
	closed.Close()
	r, err = sink.NewRunner(engine, sink.NewFolder(sink.FolderConfig{Paths: []string{dir}}), sink.Config{})
	require.NoError(t, err)
	require.ErrorIs(t, r.Run(t.Context()), nats.ErrConnectionClosed, "which no other try mends")
	_, err = sinknats.NewConsumer(nc, sinknats.ConsumerConfig{Market: tickstorm.Stocks})
	require.Error(t, err)
	_, err = sinknats.NewConsumer(nc, sinknats.ConsumerConfig{Market: tickstorm.Stocks, Handler: tickstorm.NopHandler{}, Group: "a.b"})
	require.Error(t, err)
	idle, err := sinknats.NewConsumer(nc, sinknats.ConsumerConfig{Market: tickstorm.Stocks, Handler: tickstorm.NopHandler{}})
	require.NoError(t, err)
	require.NoError(t, idle.Stop(context.Background()))
}
