package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
	sinkkafka "github.com/tickstorm/tickstorm/sink/kafka"
)

// consumer makes one of a test, which is fast.
func (c *cluster) consumer(t testing.TB, cfg sinkkafka.ConsumerConfig) *sinkkafka.Consumer {
	t.Helper()
	cfg.Market = stocks
	if cfg.Brokers == nil {
		cfg.Cluster = c.at()
	}
	if cfg.Lease == 0 {
		cfg.Lease = 10 * time.Second
	}
	if cfg.Save == 0 {
		cfg.Save = 10 * time.Millisecond
	}
	cfg.Discover = 20 * time.Millisecond
	consumer, err := sinkkafka.NewConsumer(cfg)
	require.NoError(t, err)
	return consumer
}

func (c *cluster) goConsumer(t testing.TB, cfg sinkkafka.ConsumerConfig) *sinktest.Runs {
	t.Helper()
	consumer := c.consumer(t, cfg)
	return sinktest.Go(consumer.Run, consumer.Stop, nil)
}

// sharded gives each partition a handler of its own, which all write into the same books.
type sharded struct{ sinktest.Ear }

func (s sharded) Shard(int, int) tickstorm.Handler { return s.Ear }

// TestThrough: what was recorded comes to the handler, once and in order, with what is missing; with
// any number of partitions and consumers, before there is a topic and after.
func TestThrough(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                  string
		partitions, consumers int
	}{{"one", 1, 1}, {"shared", 4, 2}, {"idle consumers", 1, 3}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			kafka := start(t)
			dir := t.TempDir()
			tp := sinktest.NewTape(t, dir, true)
			layout := sinkkafka.Layout{Partitions: c.partitions}
			b := sinktest.NewBooks()
			var consumers []*sinktest.Runs
			for range c.consumers {
				consumers = append(consumers, kafka.goConsumer(t, sinkkafka.ConsumerConfig{Layout: layout, Handler: sharded{sinktest.Ear{Books: b}}}))
			}
			s := kafka.goSink(t, dir, filepath.Join(t.TempDir(), "cursor"), sinkkafka.Config{Layout: layout})
			tp.Say(300)
			tp.Gap()
			tp.Say(300)
			b.Whole(t, tp.Said(), tp.Gaps(), c.partitions)
			s.Halt(t)
			for _, r := range consumers {
				r.Halt(t)
			}

			again := kafka.goConsumer(t, sinkkafka.ConsumerConfig{Layout: layout, Handler: sharded{sinktest.Ear{Books: b}}})
			other := sinktest.NewBooks()
			group := kafka.goConsumer(t, sinkkafka.ConsumerConfig{Layout: layout, Handler: sinktest.Ear{Books: other}, Group: "other"})
			other.Whole(t, tp.Said(), tp.Gaps(), 1)
			again.Halt(t)
			group.Halt(t)
			b.Whole(t, tp.Said(), tp.Gaps(), c.partitions)
		})
	}
}

// TestChannels: a consumer of some channels is told those, and what is missing.
func TestChannels(t *testing.T) {
	t.Parallel()
	c := start(t)
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, true)
	tp.Say(100)
	tp.Gap()
	tp.End()
	_, err := run(t, c.newEngine(t, sinkkafka.Config{}), dir, sink.Config{})
	require.NoError(t, err)
	b := sinktest.NewBooks()
	consumer := c.consumer(t, sinkkafka.ConsumerConfig{Handler: sinktest.Ear{Books: b}, Channels: []string{"Q"}})
	r := sinktest.Go(consumer.Run, consumer.Stop, nil)
	b.Whole(t, 100, 1, 1)
	r.Halt(t)
	require.ErrorIs(t, consumer.Run(t.Context()), sinkkafka.ErrRan)
	stats := consumer.Stats()
	require.NotZero(t, stats.Saved)
	require.Zero(t, stats.Partitions)
	require.Zero(t, stats.Fenced)
}

// owners are the consumers that a symbol's events came to.
type owners struct {
	mu   sync.Mutex
	seen map[string]map[int]bool
}

type owner struct {
	tickstorm.NopHandler
	*owners
	number int
}

func (o owner) OnTrade(t *tickstorm.Trade) { o.event(t.Symbol) }
func (o owner) OnQuote(q *tickstorm.Quote) { o.event(q.Symbol) }

func (o owner) event(symbol string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen[symbol] == nil {
		o.seen[symbol] = map[int]bool{}
	}
	o.seen[symbol][o.number] = true
}

// TestShares: consumers have even shares, each all channels of its symbols; and one that comes takes
// no more than its share, while the others keep theirs.
func TestShares(t *testing.T) {
	t.Parallel()
	c := start(t)
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, true)
	tp.Say(30)
	tp.Gap()
	s := c.goSink(t, dir, "", sinkkafka.Config{})
	o := &owners{seen: map[string]map[int]bool{}}
	var consumers []*sinkkafka.Consumer
	var all []*sinktest.Runs
	shares := func(want ...int) {
		t.Helper()
		require.Eventually(t, func() bool {
			for i, n := range want {
				if consumers[i].Stats().Partitions != 3*n { // T, Q and notices
					return false
				}
			}
			return true
		}, sinktest.Patience, 5*time.Millisecond)
	}
	for n := range 3 {
		consumer := c.consumer(t, sinkkafka.ConsumerConfig{Handler: owner{owners: o, number: n}})
		consumers = append(consumers, consumer)
		all = append(all, sinktest.Go(consumer.Run, consumer.Stop, nil))
		switch n {
		case 0:
			shares(8)
		case 1:
			shares(4, 4)
		}
	}
	require.Eventually(t, func() bool {
		total := 0
		for _, consumer := range consumers {
			n := consumer.Stats().Partitions
			if n != 6 && n != 9 {
				return false
			}
			total += n
		}
		return total == 24
	}, sinktest.Patience, 5*time.Millisecond)
	o.mu.Lock()
	clear(o.seen)
	o.mu.Unlock()
	said := tp.Said()
	tp.Say(200)
	require.Eventually(t, func() bool {
		rows := uint64(0)
		for _, consumer := range consumers {
			rows += consumer.Stats().Rows
		}
		return rows >= uint64(said+600)
	}, sinktest.Patience, 5*time.Millisecond)
	o.mu.Lock()
	require.Len(t, o.seen, len(sinktest.Symbols))
	for symbol, numbers := range o.seen {
		require.Len(t, numbers, 1, symbol)
	}
	o.mu.Unlock()
	for _, r := range all {
		r.Halt(t)
	}
	s.Halt(t)
}

// TestExpired: a consumer that is further behind than a topic keeps is told what it misses.
func TestExpired(t *testing.T) {
	t.Parallel()
	c := start(t)
	dir := t.TempDir()
	layout := sinkkafka.Layout{Partitions: 1}
	tp := sinktest.NewTape(t, dir, false)
	tp.Say(20)
	s := c.goSink(t, dir, "", sinkkafka.Config{Layout: layout})
	b := sinktest.NewBooks()
	r := c.goConsumer(t, sinkkafka.ConsumerConfig{Layout: layout, Handler: sinktest.Ear{Books: b}})
	b.Await(t, tp.Said())
	r.Halt(t)
	tp.Say(20)
	require.Eventually(t, func() bool { return c.PartitionInfo("md.stocks.T", 0).HighWatermark == 120 }, sinktest.Patience, 5*time.Millisecond)
	require.NoError(t, c.DeleteRecords("md.stocks.T", 0, 90))
	consumer := c.consumer(t, sinkkafka.ConsumerConfig{Layout: layout, Handler: sinktest.Ear{Books: b}})
	again := sinktest.Go(consumer.Run, consumer.Stop, nil)
	b.Await(t, 90)
	again.Halt(t)
	require.Equal(t, map[string]int{"30 records of md.stocks.T/0 were removed before they were read": 1}, b.Gaps())
	require.EqualValues(t, 30, consumer.Stats().Expired)
	s.Halt(t)
}

// TestForeign: what no sink has published is counted, and harms nothing.
func TestForeign(t *testing.T) {
	t.Parallel()
	c := start(t)
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, true)
	tp.Say(20)
	tp.Gap()
	s := c.goSink(t, dir, "", sinkkafka.Config{})
	b := sinktest.NewBooks()
	consumer := c.consumer(t, sinkkafka.ConsumerConfig{Handler: sinktest.Ear{Books: b}})
	r := sinktest.Go(consumer.Run, consumer.Stop, nil)
	b.Whole(t, tp.Said(), 1, 1)
	cl := c.client(t)
	for _, topic := range []string{"md.stocks.T", "md.stocks.notice"} {
		require.NoError(t, cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Key: []byte("AAPL"), Value: []byte("x")}).FirstErr())
	}
	tp.Say(20)
	b.Whole(t, tp.Said(), 1, 1)
	require.Eventually(t, func() bool { return consumer.Stats().Foreign == 2 }, sinktest.Patience, 5*time.Millisecond)
	s.Halt(t)
	r.Halt(t)
}

// TestRecreated: a topic that somebody has removed and made again is read from its beginning, and what
// was seen before is not told again where Kafka has not removed the watermarks with it.
func TestRecreated(t *testing.T) {
	t.Parallel()
	for _, kept := range []bool{false, true} {
		t.Run(fmt.Sprint(kept), func(t *testing.T) {
			c := start(t)
			dir, state := t.TempDir(), t.TempDir()
			tp := sinktest.NewTape(t, dir, false)
			b := sinktest.NewBooks()
			for n := range 3 {
				tp.Say(20)
				cursor := filepath.Join(state, "cursor")
				if n == 2 && kept {
					cursor = "" // all comes again
				}
				s := c.goSink(t, dir, cursor, sinkkafka.Config{})
				cfg := sinkkafka.ConsumerConfig{Handler: sinktest.Ear{Books: b}, Channels: []string{"T"}}
				if kept {
					marks, err := sink.OpenWatermarks(filepath.Join(state, "marks"))
					require.NoError(t, err)
					cfg.Watermarks = marks
				}
				r := c.goConsumer(t, cfg)
				b.Await(t, tp.Said())
				r.Halt(t)
				if kept {
					require.NoError(t, cfg.Watermarks.(*sink.FileWatermarks).Close())
				}
				s.Halt(t)
				require.NoError(t, c.DeleteTopic("md.stocks.T"))
			}
			b.Whole(t, tp.Said(), 0, 1)
		})
	}
}

// TestManySegments: of more segments than there is room for with an offset, the newest are known; a sink
// knows all that a partition has.
func TestManySegments(t *testing.T) {
	t.Parallel()
	const segments = 300
	c := start(t)
	e := c.newEngine(t, sinkkafka.Config{Layout: sinkkafka.Layout{Partitions: 1}})
	defer e.Close()
	write := func(from int) {
		for n := from; n < segments; n++ {
			id := sink.ID{Cursor: record.Cursor{Segment: fmt.Sprintf("stocks-20261125T143000.000Z-%06d", n+1)}}
			row := sink.Row{ID: id, Market: stocks, Channel: "T", Symbol: sinktest.Symbols[n%8], Received: 1, Raw: fmt.Appendf(nil, `{"ev":"T","sym":%q,"q":%d}`, sinktest.Symbols[n%8], n)}
			require.NoError(t, e.Write(t.Context(), &sink.Batch{Rows: []sink.Row{row}, Bytes: len(row.Raw)}))
		}
	}
	write(0)
	b := sinktest.NewBooks()
	layout := sinkkafka.Layout{Partitions: 1}
	r := c.goConsumer(t, sinkkafka.ConsumerConfig{Layout: layout, Handler: sinktest.Ear{Books: b}})
	b.Await(t, segments)
	r.Halt(t)
	offsets, err := kadm.NewClient(c.client(t)).FetchOffsets(t.Context(), "tickstorm")
	require.NoError(t, err)
	at, ok := offsets.Lookup("md.stocks.T", 0)
	require.True(t, ok)
	require.Less(t, len(at.Metadata), 4096)
	require.Greater(t, len(at.Metadata), 3000)
	e = c.newEngine(t, sinkkafka.Config{Layout: layout})
	defer e.Close()
	write(0)
	require.Equal(t, segments, c.stored("md.stocks.T"))
	for _, topic := range []string{"md.stocks.T"} { // so that nobody knows what there was
		require.NoError(t, c.DeleteRecords(topic, 0, segments))
	}
	again := c.newEngine(t, sinkkafka.Config{Layout: layout})
	defer again.Close()
	e = again
	write(segments - 60)
	consumer := c.consumer(t, sinkkafka.ConsumerConfig{Layout: layout, Handler: sinktest.Ear{Books: b}})
	r = sinktest.Go(consumer.Run, consumer.Stop, nil)
	require.Eventually(t, func() bool { return consumer.Stats().Repeated == 60 }, sinktest.Patience, 5*time.Millisecond)
	r.Halt(t)
	b.Whole(t, segments, 0, 1)
}

// TestOtherPartitions: a consumer that does not know how topics lie ends with why.
func TestOtherPartitions(t *testing.T) {
	t.Parallel()
	c := start(t)
	require.NoError(t, c.CreateTopic("md.stocks.T", 3, nil))
	consumer := c.consumer(t, sinkkafka.ConsumerConfig{Handler: tickstorm.NopHandler{}})
	var fault *sinkkafka.TopicError
	require.ErrorAs(t, consumer.Run(t.Context()), &fault)
}

// TestKilledConsumers: of consumers that are killed at any moment, and keep their watermarks with
// what they make of the events, each event has come to something once.
func TestKilledConsumers(t *testing.T) {
	t.Parallel()
	c := start(t)
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, true)
	layout := sinkkafka.Layout{Partitions: 4}
	s := c.goSink(t, dir, "", sinkkafka.Config{Layout: layout})
	sinktest.KillClients(t, tp, s, layout.Partitions, func(end *sinktest.LedgerClient) *sinktest.Runs {
		return c.goConsumer(t, sinkkafka.ConsumerConfig{Layout: layout, Lanes: end.Lane, Watermarks: end, Lease: time.Second})
	})
}

// TestLetGo: what comes to a handler while its consumer's context ends is not saved: it may have been
// left out.
func TestLetGo(t *testing.T) {
	t.Parallel()
	for _, own := range []bool{false, true} {
		t.Run(fmt.Sprint(own), func(t *testing.T) {
			t.Parallel()
			c := start(t)
			const said = 30
			layout := sinkkafka.Layout{Partitions: 1}
			live := sink.NewLive(stocks, 0)
			for n := range said {
				live.OnMessage(fmt.Appendf(nil, `[{"ev":"T","sym":%q,"q":%d}]`, sinktest.Symbols[n%8], n), time.Now().UnixNano())
			}
			require.NoError(t, live.Close())
			e := c.newEngine(t, sinkkafka.Config{Layout: layout})
			defer e.Close()
			r, err := sink.NewRunner(e, live, sink.Config{})
			require.NoError(t, err)
			require.NoError(t, r.Run(t.Context()))
			cfg := sinkkafka.ConsumerConfig{Layout: layout, Save: time.Nanosecond}
			if own {
				file, err := sink.OpenWatermarks(filepath.Join(t.TempDir(), "marks"))
				require.NoError(t, err)
				defer file.Close()
				cfg.Watermarks = file
			}
			sinktest.EndInHandler(t, func(h tickstorm.Handler) func(context.Context) error {
				cfg.Handler = h
				return c.consumer(t, cfg).Run
			})
			b := sinktest.NewBooks()
			cfg.Handler = sinktest.Ear{Books: b}
			consumer := c.goConsumer(t, cfg)
			b.Await(t, said)
			consumer.Kill()
		})
	}
}

// TestNewWatermarks: watermarks of one's own that have nothing begin at the beginning, whatever the group
// has read.
func TestNewWatermarks(t *testing.T) {
	t.Parallel()
	c := start(t)
	dir, said := sinktest.Recorded(t, true, 50)
	_, err := run(t, c.newEngine(t, sinkkafka.Config{}), dir, sink.Config{})
	require.NoError(t, err)
	for n := range 3 {
		b := sinktest.NewBooks()
		cfg := sinkkafka.ConsumerConfig{Handler: sinktest.Ear{Books: b}}
		if n > 0 {
			file, err := sink.OpenWatermarks(filepath.Join(t.TempDir(), "marks"))
			require.NoError(t, err)
			defer file.Close()
			cfg.Watermarks = file
		}
		r := c.goConsumer(t, cfg)
		b.Await(t, said)
		r.Halt(t)
	}
}

// TestKilledByDefault: without that, a killed consumer's successor repeats what was not saved, and
// nothing is missing.
func TestKilledByDefault(t *testing.T) {
	t.Parallel()
	c := start(t)
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, true)
	s := c.goSink(t, dir, "", sinkkafka.Config{})
	sinktest.KillUnsaved(t, tp, s, func(e sinktest.Ear) *sinktest.Runs {
		return c.goConsumer(t, sinkkafka.ConsumerConfig{Handler: e, Save: time.Hour})
	})
}

// TestConfigs: what cannot be is refused at once, and no password is told.
func TestConfigs(t *testing.T) {
	t.Parallel()
	handler := tickstorm.NopHandler{}
	at := sinkkafka.Cluster{Brokers: []string{"10.0.0.1:9092"}}
	with := func(a sinkkafka.Auth) sinkkafka.Cluster { return sinkkafka.Cluster{Brokers: at.Brokers, Auth: a} }
	for name, cfg := range map[string]sinkkafka.Config{
		"nobody":     {},
		"prefix":     {Cluster: at, Layout: sinkkafka.Layout{Prefix: "a/b"}},
		"partitions": {Cluster: at, Layout: sinkkafka.Layout{Partitions: 5000}},
		"patience":   {Cluster: at, Patience: -1},
		"retention":  {Cluster: at, Topics: sinkkafka.Topics{Retention: -1}},
		"mechanism":  {Cluster: with(sinkkafka.Auth{Mechanism: "GSSAPI"})},
		"user":       {Cluster: with(sinkkafka.Auth{User: "u", Password: "pass-1234"})},
		"repeats":    {Cluster: sinkkafka.Cluster{Brokers: at.Brokers, Options: []kgo.Opt{kgo.DisableIdempotentWrite()}}},
		"cancels":    {Cluster: sinkkafka.Cluster{Brokers: at.Brokers, Options: []kgo.Opt{kgo.AllowIdempotentProduceCancellation()}}},
		"transacts":  {Cluster: sinkkafka.Cluster{Brokers: at.Brokers, Options: []kgo.Opt{kgo.TransactionalID("x")}}},
		"plain":      {Cluster: with(sinkkafka.Auth{Mechanism: "PLAIN", User: "u", Password: "pass-1234"})},
	} {
		_, err := sinkkafka.NewEngine(cfg)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "pass-1234")
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", cfg, cfg, cfg), "pass-1234")
	}
	for name, cfg := range map[string]sinkkafka.ConsumerConfig{
		"no market":  {Cluster: at, Handler: handler},
		"no handler": {Cluster: at, Market: stocks},
		"two":        {Cluster: at, Market: stocks, Handler: handler, Lanes: func(string) tickstorm.Handler { return handler }},
		"negative":   {Cluster: at, Market: stocks, Handler: handler, Save: -1},
		"options":    {Cluster: sinkkafka.Cluster{Brokers: at.Brokers, Options: []kgo.Opt{kgo.BrokerMaxReadBytes(1)}}, Market: stocks, Handler: handler},
	} {
		_, err := sinkkafka.NewConsumer(cfg)
		require.Error(t, err, name)
	}
	idle, err := sinkkafka.NewConsumer(sinkkafka.ConsumerConfig{Cluster: at, Market: stocks, Handler: handler})
	require.NoError(t, err)
	require.NoError(t, idle.Stop(context.Background()))
	require.False(t, sinkkafka.Refused(errors.New("x")))
	require.True(t, strings.HasPrefix(sinkkafka.Layout{Prefix: "md"}.Topic(stocks, strings.Repeat(".", 300)), "md.stocks._2E"))
	require.Len(t, sinkkafka.Layout{Prefix: "md"}.Topic(stocks, strings.Repeat(".", 300)), 249)
}
