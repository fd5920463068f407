package kafka_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
	sinkkafka "github.com/tickstorm/tickstorm/sink/kafka"
)

// TestRecords: what was recorded is in its topics, under its symbol, with its id and its own time, and
// in the partition where any of Kafka's clients puts it.
func TestRecords(t *testing.T) {
	t.Parallel()
	c := start(t)
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, true)
	tp.Say(100)
	tp.Gap()
	at := time.Now().Add(-time.Hour).UnixMilli()
	received := time.Now().UnixNano()
	tp.OnMessage(fmt.Appendf(nil, `[{"ev":"A","sym":"AAPL","s":%d,"e":%d},{"ev":"T","sym":"","p":1},{"ev":"Z.z","t":5},{"ev":"T","sym":"SPY","p":2,"t":99999999999999},7]`, at-1000, at), received)
	tp.End()
	stats, err := run(t, c.newEngine(t, sinkkafka.Config{}), dir, sink.Config{})
	require.NoError(t, err)
	require.Zero(t, stats.Retries)

	trades := c.records(t, "md.stocks.T")
	require.Len(t, trades, 202)
	require.Len(t, c.records(t, "md.stocks.Q"), 100)
	last := map[string]string{}
	for _, r := range trades {
		want, partitioner := kgo.Record{Key: r.Key}, kgo.StickyKeyPartitioner(nil).ForTopic("")
		if r.Key != nil {
			require.Equal(t, int32(partitioner.Partition(&want, 8)), r.Partition, "that of others")
		}
		require.Contains(t, string(r.Value), fmt.Sprintf(`"sym":%q`, r.Key))
		stamp, err := sink.ParseStamp(string(r.Headers[0].Value), nil)
		require.NoError(t, err)
		require.WithinDuration(t, time.Unix(0, stamp.Received), r.Timestamp, time.Minute)
		if before, ok := last[string(r.Key)]; ok {
			require.Less(t, before, fmt.Sprintf("%012d %03d", stamp.ID.Sequence, stamp.ID.Element))
		}
		last[string(r.Key)] = fmt.Sprintf("%012d %03d", stamp.ID.Sequence, stamp.ID.Element)
	}
	require.Contains(t, last, "", "what has no symbol")

	aggregate := c.records(t, "md.stocks.A")
	require.Len(t, aggregate, 1)
	require.Equal(t, at, aggregate[0].Timestamp.UnixMilli(), "an aggregate's end")
	require.Len(t, c.records(t, "md.stocks.Z_2Ez"), 1)
	broken := c.records(t, "md.stocks._")
	require.Len(t, broken, 1)
	require.Equal(t, "7", string(broken[0].Value))
	gaps := slices.DeleteFunc(c.records(t, "md.stocks.notice"), func(r *kgo.Record) bool { return !strings.Contains(string(r.Value), `"gap"`) })
	require.Len(t, gaps, 8, "each partition tells who reads it")
}

// TestOnce: however often a sink is killed, also where its cursor is lost, a topic has each row once.
func TestOnce(t *testing.T) {
	t.Parallel()
	c := start(t)
	dir, cursors := t.TempDir(), t.TempDir()
	tp := sinktest.NewTape(t, dir, true)
	for n := range sinktest.Turns(t, 8) {
		random := sinktest.Random(uint64(n))
		s := c.goSink(t, dir, filepath.Join(cursors, string(rune('a'+random.IntN(2)))), sinkkafka.Config{})
		tp.Say(100)
		enough := random.IntN(tp.Said() + 1)
		require.Eventually(t, func() bool { return c.stored("md.stocks.T")+c.stored("md.stocks.Q") >= enough }, sinktest.Patience, time.Millisecond)
		s.Kill()
	}
	tp.End()
	_, err := run(t, c.newEngine(t, sinkkafka.Config{}), dir, sink.Config{})
	require.NoError(t, err)
	all := stamps(t, c.records(t, "md.stocks.T", "md.stocks.Q"))
	slices.Sort(all)
	require.Len(t, all, tp.Said())
	require.Len(t, slices.Compact(all), tp.Said())
}

// TestBrokerErrors: whatever brokers answer, in the end each partition has its rows once and in order.
func TestBrokerErrors(t *testing.T) {
	t.Parallel()
	for _, e := range []*kerr.Error{
		kerr.NotLeaderForPartition, kerr.LeaderNotAvailable, kerr.RequestTimedOut, kerr.NotEnoughReplicasAfterAppend, kerr.NotEnoughReplicas,
		kerr.OutOfOrderSequenceNumber, kerr.UnknownProducerID, kerr.InvalidProducerEpoch, kerr.ProducerFenced, kerr.KafkaStorageError, kerr.CorruptMessage, kerr.UnknownServerError,
	} {
		t.Run(e.Message, func(t *testing.T) {
			t.Parallel()
			c := start(t)
			dir, said := sinktest.Recorded(t, true, 300)
			random := sinktest.Random(7)
			var faults []*kfake.FaultHandle
			for n := range 3 {
				faults = append(faults, c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Partitions: []int32{int32(random.IntN(8)), 1 + int32(n)}, Count: 1 + random.IntN(2), Err: e}))
			}
			_, err := run(t, c.newEngine(t, sinkkafka.Config{}), dir, sink.Config{MaxRows: 50, MinWait: time.Millisecond, MaxWait: 10 * time.Millisecond})
			require.NoError(t, err)
			hits := 0
			for _, f := range faults {
				hits += f.Hits()
			}
			require.NotZero(t, hits)
			inOrder(t, c.records(t, "md.stocks.T", "md.stocks.Q"), said)
		})
	}
}

// inOrder requires that records have so many ids, each once, and that those of a partition grow.
func inOrder(t testing.TB, records []*kgo.Record, said int) {
	t.Helper()
	require.Len(t, records, said)
	inOrderTwice(t, records, said)
}

// inOrderTwice requires that of each id's first record; the rest are repeats.
func inOrderTwice(t testing.TB, records []*kgo.Record, said int) {
	t.Helper()
	seen := map[string]bool{}
	last := map[string]sink.ID{}
	for _, r := range records {
		stamp, err := sink.ParseStamp(string(r.Headers[0].Value), nil)
		require.NoError(t, err)
		if seen[stamp.ID.String()] {
			continue
		}
		seen[stamp.ID.String()] = true
		lane := fmt.Sprint(r.Topic, r.Partition)
		if before, ok := last[lane]; ok && before.Segment == stamp.ID.Segment {
			require.True(t, before.Sequence < stamp.ID.Sequence || before.Sequence == stamp.ID.Sequence && before.Element < stamp.ID.Element, "%s: %s behind %s", lane, stamp.ID.String(), before.String())
		}
		last[lane] = stamp.ID
	}
	require.Len(t, seen, said)
}

// TestTooLong: an element that a topic does not take goes to the dead letters, whatever else comes in
// its batch, and all others are stored in order. So does one that nobody would take.
func TestTooLong(t *testing.T) {
	t.Parallel()
	c := start(t)
	require.NoError(t, c.CreateTopic("md.stocks.T", 8, map[string]string{"max.message.bytes": "4000"}))
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, true)
	random := sinktest.Random(3)
	noise := make([]byte, 9000)
	for i := range noise {
		noise[i] = byte('a' + random.IntN(26))
	}
	tp.Say(150)
	for _, symbol := range []string{"AAPL", "SPY", "QQQ"} {
		tp.OnMessage(fmt.Appendf(nil, `[{"ev":"T","sym":%q,"c":%q}]`, symbol, noise), time.Now().UnixNano())
		tp.Say(10)
	}
	tp.OnMessage(fmt.Appendf(nil, `[{"ev":"T","sym":"AAPL","c":%q}]`, strings.Repeat("x", 9000)), time.Now().UnixNano()) // which is short once it is compressed
	tp.Say(150)
	tp.End()
	_, err := run(t, c.newEngine(t, sinkkafka.Config{}), dir, sink.Config{})
	var poison *sink.PoisonError
	require.ErrorAs(t, err, &poison)
	require.ErrorIs(t, err, kerr.MessageTooLarge)
	stats, err := run(t, c.newEngine(t, sinkkafka.Config{}), dir, sink.Config{DeadLetters: filepath.Join(t.TempDir(), "dead")})
	require.NoError(t, err)
	require.EqualValues(t, 3, stats.Dead)
	require.Zero(t, stats.Retries)
	inOrder(t, c.records(t, "md.stocks.T", "md.stocks.Q"), tp.Said()+1)
}

// TestPoisonInTheMiddle: a batch that a broker will never take stops its partition; nothing of what is
// behind passes it, and what can be stored is.
func TestPoisonInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, e := range []*kerr.Error{kerr.MessageTooLarge, kerr.InvalidRecord, kerr.InvalidTimestamp, kerr.RecordListTooLarge} {
		t.Run(e.Message, func(t *testing.T) {
			c := start(t)
			dir, said := sinktest.Recorded(t, true, 200)
			// Each request to a partition fails while it has more than one record, and three fail for good.
			count := 0
			c.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				return nil, nil, false
			})
			fault := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Partitions: []int32{1, 3}, Err: e, Count: -1, When: func(r kmsg.Request) bool {
				for _, topic := range r.(*kmsg.ProduceRequest).Topics {
					for _, p := range topic.Partitions {
						var b kmsg.RecordBatch
						if b.ReadFrom(p.Records) == nil && (p.Partition == 1 || p.Partition == 3) {
							if b.NumRecords > 2 {
								return true
							}
							if b.NumRecords == 1 && count < 3 {
								count++
								return true
							}
						}
					}
				}
				return false
			}})
			stats, err := run(t, c.newEngine(t, sinkkafka.Config{}), dir, sink.Config{MaxRows: 100, DeadLetters: filepath.Join(t.TempDir(), "dead")})
			require.NoError(t, err)
			require.NotZero(t, fault.Hits())
			inOrder(t, c.records(t, "md.stocks.T", "md.stocks.Q"), said-int(stats.Dead))
		})
	}
}

// TestTopics: topics are made with settings, and those that are there are checked and left as they are.
func TestTopics(t *testing.T) {
	t.Parallel()
	dir, said := sinktest.Recorded(t, false, 10)
	t.Run("made", func(t *testing.T) {
		c := start(t)
		_, err := run(t, c.newEngine(t, sinkkafka.Config{Layout: sinkkafka.Layout{Prefix: "firm.md", Partitions: 3}, Topics: sinkkafka.Topics{
			Replicas: 2, Retention: time.Hour, RetentionBytes: 1 << 20, Configs: map[string]string{"min.insync.replicas": "2"},
		}}), dir, sink.Config{})
		require.NoError(t, err)
		info := c.TopicInfo("firm.md.stocks.T")
		require.NotNil(t, info)
		require.EqualValues(t, 2, info.NumReplicas)
		require.Equal(t, "3600000", *info.Configs["retention.ms"])
		require.Equal(t, "1048576", *info.Configs["retention.bytes"])
		require.Equal(t, "2", *info.Configs["min.insync.replicas"])
		inOrder(t, c.records(t, "firm.md.stocks.T"), said)
	})
	for name, cs := range map[string]struct {
		topics  map[string]map[string]string
		cfg     sinkkafka.Config
		fault   string // "" is none
		refused bool
	}{
		"other settings":   {map[string]map[string]string{"8 md.stocks.T": {"retention.ms": "1000000000"}, "8 md.stocks.notice": nil}, sinkkafka.Config{Topics: sinkkafka.Topics{Existing: true}}, "", false},
		"missing":          {nil, sinkkafka.Config{Topics: sinkkafka.Topics{Existing: true}}, "it is not there", false},
		"other partitions": {map[string]map[string]string{"6 md.stocks.T": nil}, sinkkafka.Config{}, "it has 6 partitions and not 8", false},
		"compacted":        {map[string]map[string]string{"8 md.stocks.T": {"cleanup.policy": "compact"}}, sinkkafka.Config{}, "keeps the last record of a symbol only", false},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t)
			for topic, settings := range cs.topics {
				var partitions int32
				_, err := fmt.Sscan(topic, &partitions, &topic)
				require.NoError(t, err)
				require.NoError(t, c.CreateTopic(topic, partitions, settings))
			}
			_, err := run(t, c.newEngine(t, cs.cfg), dir, sink.Config{})
			if cs.fault == "" {
				require.NoError(t, err)
				return
			}
			var fault *sinkkafka.TopicError
			require.ErrorAs(t, err, &fault)
			require.False(t, sink.Retryable(err))
			require.ErrorContains(t, err, cs.fault)
		})
	}
}

// TestOld: that events are older than their topic keeps is said, once for each topic.
func TestOld(t *testing.T) {
	t.Parallel()
	c := start(t)
	dir := t.TempDir()
	tp := sinktest.NewTape(t, dir, false)
	for range 3 {
		tp.OnMessage(fmt.Appendf(nil, `[{"ev":"T","sym":"AAPL","t":%d}]`, time.Now().Add(-2*time.Hour).UnixMilli()), time.Now().UnixNano())
	}
	tp.Say(10)
	tp.End()
	var log journal
	_, err := run(t, c.newEngine(t, sinkkafka.Config{Topics: sinkkafka.Topics{Retention: time.Hour}, Logger: slog.New(slog.NewTextHandler(&log, nil))}), dir, sink.Config{})
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(log.String(), "events are older than their topic keeps"), log.String())
}

// TestLayout: names are Kafka's, whatever a channel is called, and no two channels have one.
func TestLayout(t *testing.T) {
	t.Parallel()
	l := sinkkafka.Layout{Prefix: "md", Partitions: 8}
	seen := map[string]string{l.NoticeTopic(stocks): "a notice"}
	for _, channel := range []string{"", "T", "t", "notice", "_", "_6Eotice", ".", "a.b", "a_b", "a_2Eb", "é", "\x00", strings.Repeat("x", 300), strings.Repeat("x", 301)} {
		name := l.Topic(stocks, channel)
		require.Regexp(t, `^md\.stocks\.[A-Za-z0-9_-]{1,239}$`, name)
		require.NotContains(t, seen, name, channel)
		seen[name] = channel
	}
	require.Equal(t, "md.futures-cme.A", l.Topic(tickstorm.FuturesCME, "A"))
	require.Equal(t, "md.stocks.T/3", l.Lane("md.stocks.T", 3))
	require.Zero(t, l.Partition(""))
}

// TestManyChannels: channels that somebody makes up do not fill a cluster with topics.
func TestManyChannels(t *testing.T) {
	t.Parallel()
	c := start(t)
	live := sink.NewLive(tickstorm.Stocks, 0)
	for n := range 300 {
		live.OnMessage(fmt.Appendf(nil, `[{"ev":"X%d","sym":"AAPL"}]`, n), time.Now().UnixNano())
	}
	require.NoError(t, live.Close())
	e := c.newEngine(t, sinkkafka.Config{Layout: sinkkafka.Layout{Partitions: 1}})
	defer e.Close()
	r, err := sink.NewRunner(e, live, sink.Config{DeadLetters: filepath.Join(t.TempDir(), "dead")})
	require.NoError(t, err)
	require.NoError(t, r.Run(t.Context()))
	require.EqualValues(t, 256, r.Stats().Rows)
	require.EqualValues(t, 44, r.Stats().Dead)
}

// TestNobodyThere: a cluster that is not there is waited for, as long as there are tries.
func TestNobodyThere(t *testing.T) {
	t.Parallel()
	dir, _ := sinktest.Recorded(t, false, 10)
	at := sinkkafka.Cluster{Brokers: []string{"127.0.0.1:1"}}
	require.Error(t, at.Ping(t.Context()))
	e, err := sinkkafka.NewEngine(sinkkafka.Config{Cluster: at, Patience: 100 * time.Millisecond})
	require.NoError(t, err)
	stats, err := run(t, e, dir, sink.Config{MaxTries: 2, MinWait: time.Millisecond})
	var given *sink.AttemptsError
	require.ErrorAs(t, err, &given)
	require.EqualValues(t, 1, stats.Retries)
}

// TestSegments: a partition has the rows of each segment once, also of those before that of its last
// record, whether the cursor is lost or was behind when the sink was killed.
func TestSegments(t *testing.T) {
	t.Parallel()
	c := start(t)
	dir, cursor := t.TempDir(), filepath.Join(t.TempDir(), "cursor")
	said, gaps := 0, 0
	topics := []string{"md.stocks.T", "md.stocks.Q", "md.stocks.notice"}
	count := func() int {
		stored := c.records(t, topics...)
		list := stamps(t, stored)
		for i, r := range stored {
			list[i] += fmt.Sprint(" ", r.Topic, r.Partition)
		}
		slices.Sort(list)
		n := len(list)
		require.Equal(t, n, len(slices.Compact(list)), "nothing is there twice")
		return n
	}
	var old []byte // the cursor in a segment before the last
	for n := range 4 {
		tp := sinktest.NewTape(t, dir, true)
		tp.Say(40)
		if n == 1 {
			s := c.goSink(t, dir, cursor, sinkkafka.Config{})
			require.Eventually(t, func() bool {
				old, _ = os.ReadFile(cursor)
				return len(old) > 0 && c.stored("md.stocks.T")+c.stored("md.stocks.Q") == said+tp.Said()
			}, sinktest.Patience, time.Millisecond)
			s.Kill()
		}
		tp.Gap()
		tp.Say(60)
		tp.End()
		said, gaps = said+tp.Said(), gaps+tp.Gaps()
	}
	require.NotEmpty(t, old)
	want := 0
	for n := range 4 {
		if n == 2 {
			require.NoError(t, os.WriteFile(cursor, old, 0o600))
		}
		e := c.newEngine(t, sinkkafka.Config{})
		folder := sink.FolderConfig{Paths: []string{dir}}
		if n == 2 {
			folder.Cursor = cursor
		}
		r, err := sink.NewRunner(e, sink.NewFolder(folder), sink.Config{MaxRows: 70})
		require.NoError(t, err)
		require.NoError(t, r.Run(t.Context()))
		require.NoError(t, e.Close())
		if n == 0 {
			want = count()
			require.GreaterOrEqual(t, want, said+8*gaps)
		}
		require.Equal(t, want, count())
	}
}

// TestSlowCluster: patience is with each answer: a cluster that needs longer for what all topics of a
// round have is not asked for ever.
func TestSlowCluster(t *testing.T) {
	t.Parallel()
	const topics, patience = 30, time.Second
	c := start(t)
	var stats sink.Stats
	for n := range 2 { // the second finds topics
		live := sink.NewLive(tickstorm.Stocks, 0)
		for i := range topics {
			live.OnMessage(fmt.Appendf(nil, `[{"ev":"X%d","sym":"AAPL"}]`, i), time.Now().UnixNano())
		}
		require.NoError(t, live.Close())
		e := c.newEngine(t, sinkkafka.Config{Layout: sinkkafka.Layout{Partitions: 1}, Patience: patience})
		r, err := sink.NewRunner(e, live, sink.Config{MinWait: time.Millisecond, MaxWait: time.Millisecond, MaxTries: 10})
		require.NoError(t, err)
		if n == 1 {
			c.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				c.SleepControl(func() { <-time.After(2 * patience / (2 * topics)) }) // two of each topic
				return nil, nil, false
			})
		}
		require.NoError(t, r.Run(t.Context()))
		stats = r.Stats()
		require.NoError(t, e.Close())
	}
	require.EqualValues(t, topics, stats.Rows)
}
