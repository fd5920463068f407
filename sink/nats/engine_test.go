package nats_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
	sinknats "github.com/tickstorm/tickstorm/sink/nats"
	"github.com/tickstorm/tickstorm/sink/nats/internal/fixture"
)

// TestCursorLost: a sink that has lost its cursor gives a stream nothing that is there, however many
// segments the recording has.
func TestCursorLost(t *testing.T) {
	t.Parallel()
	cluster := fixture.Start(t, 1)
	nc := fixture.Connect(t, cluster)
	dir := t.TempDir()
	layout := sinknats.Layout{Prefix: "md", Partitions: 2}
	said := 0
	for range 5 {
		tp := sinktest.NewTape(t, dir, false)
		tp.Next = said
		tp.Say(40)
		said = tp.Said()
		tp.End()
		for range 2 {
			s := fixture.GoSink(t, nc, dir, "", false, sinknats.Config{Layout: layout})
			require.NoError(t, s.Wait())
		}
	}
	b := sinktest.NewBooks()
	consumer := fixture.GoConsumer(t, nc, sinknats.ConsumerConfig{Layout: layout, Handler: sinktest.Ear{Books: b}})
	b.Whole(t, said, 0, 2)
	consumer.Halt(t)
	require.Equal(t, said, fixture.Elements(t, nc, layout, tickstorm.Stocks))
}

// TestLastFromLeader: what a stream has last its leader says: a follower that is behind would have
// rows stored twice.
func TestLastFromLeader(t *testing.T) {
	t.Parallel()
	cluster := fixture.Start(t, 1)
	nc := fixture.Connect(t, cluster)
	dir, _ := sinktest.Recorded(t, false, 10)
	for range 2 {
		direct, err := nc.SubscribeSync("$JS.API.DIRECT.GET.>")
		require.NoError(t, err)
		s := fixture.GoSink(t, nc, dir, "", false, sinknats.Config{})
		require.NoError(t, s.Wait())
		require.NoError(t, nc.Flush())
		asked, _, err := direct.Pending()
		require.NoError(t, err)
		require.Zero(t, asked)
		require.NoError(t, direct.Unsubscribe())
	}
}

// batch has some elements of one segment.
func batch(t *testing.T, from, to int) *sink.Batch {
	t.Helper()
	b := &sink.Batch{}
	for n := from; n < to; n++ {
		id, err := sink.ParseID("stocks-20261125T143000.000Z-000001:" + strconv.Itoa(n) + ":0")
		require.NoError(t, err)
		b.Rows = append(b.Rows, sink.Row{ID: id, Market: tickstorm.Stocks, Channel: "T", Symbol: "AAPL", Raw: []byte(`{"ev":"T","sym":"AAPL"}`)})
	}
	return b
}

// TestGone: what a stream had that was removed, the one that is made anew has not.
func TestGone(t *testing.T) {
	t.Parallel()
	cluster := fixture.Start(t, 1)
	nc := fixture.Connect(t, cluster)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	engine := fixture.NewEngine(t, nc, sinknats.Config{})
	require.NoError(t, engine.Write(t.Context(), batch(t, 0, 10)))
	require.NoError(t, js.DeleteStream(t.Context(), "md_stocks"))
	for engine.Write(t.Context(), batch(t, 5, 20)) != nil { // until it has seen that
		require.NoError(t, t.Context().Err())
	}
	require.EqualValues(t, 15, streamMessages(t, nc, "md_stocks"))
}

// TestTwoSinks: what another sink has stored since this one looked, such as what was on its way when its
// process was killed, is not stored again.
func TestTwoSinks(t *testing.T) {
	t.Parallel()
	cluster := fixture.Start(t, 1)
	nc := fixture.Connect(t, cluster)
	one := fixture.NewEngine(t, nc, sinknats.Config{})
	other := fixture.NewEngine(t, nc, sinknats.Config{})
	require.NoError(t, one.Write(t.Context(), batch(t, 0, 10)))
	require.NoError(t, other.Write(t.Context(), batch(t, 0, 20)))
	err := one.Write(t.Context(), batch(t, 10, 30))
	require.ErrorIs(t, err, sinknats.ErrOutOfStep)
	require.True(t, sink.Retryable(err))
	require.NoError(t, one.Write(t.Context(), batch(t, 10, 30)))
	require.EqualValues(t, 30, streamMessages(t, nc, "md_stocks"))
}

// TestLongSubject: an element whose symbol makes a subject that ends a connection is a dead letter.
func TestLongSubject(t *testing.T) {
	t.Parallel()
	cluster := fixture.Start(t, 1)
	nc := fixture.Connect(t, cluster)
	core, err := sinknats.NewCore(nc, sinknats.Layout{})
	require.NoError(t, err)
	engine := fixture.NewEngine(t, nc, sinknats.Config{})
	for name, e := range map[string]sink.Engine{"core": core, "jetstream": engine} {
		t.Run(name, func(t *testing.T) {
			live := sink.NewLive(tickstorm.Stocks, 0)
			for _, symbol := range []string{"A", strings.Repeat(".", 1500), strings.Repeat("B", 3000), strings.Repeat("C", 4000), "D"} {
				live.OnMessage([]byte(`[{"ev":"T","sym":"`+symbol+`"}]`), time.Now().UnixNano())
			}
			require.NoError(t, live.Close())
			dead := filepath.Join(t.TempDir(), "dead")
			r, err := sink.NewRunner(e, live, sink.Config{DeadLetters: dead, MaxTries: 3, MinWait: time.Millisecond})
			require.NoError(t, err)
			require.NoError(t, r.Run(t.Context()))
			require.EqualValues(t, 2, r.Stats().Dead)
			require.EqualValues(t, 3, r.Stats().Rows)
			require.Zero(t, nc.Stats().Reconnects)
		})
	}
}

// TestGroupImpossible: a consumer that will never meet its group does not wait for it.
func TestGroupImpossible(t *testing.T) {
	nc := fixture.Connect(t, fixture.Start(t, 1))
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "md-group_other", Subjects: []string{"other"}})
	require.NoError(t, err)
	for why, cfg := range map[string]sinknats.ConsumerConfig{"replicas": {Replicas: 3}, "its subjects are": {Group: "other"}} {
		cfg.Market, cfg.Handler = tickstorm.Stocks, tickstorm.NopHandler{}
		c, err := sinknats.NewConsumer(nc, cfg)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err = c.Run(ctx)
		require.ErrorContains(t, err, why)
		require.False(t, sink.Retryable(err), err)
	}
}

// TestImpossible: what no other try mends ends the run, with the server's reason.
func TestImpossible(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		before *jetstream.StreamConfig
		cfg    sinknats.Config
		why    string
	}{
		{"replicas without a cluster", nil, sinknats.Config{Limits: sinknats.Limits{Replicas: 3}}, "replicas"},
		{"another's subjects", &jetstream.StreamConfig{Name: "other", Subjects: []string{"md.>"}}, sinknats.Config{}, "overlap"},
		{"no room", nil, sinknats.Config{Limits: sinknats.Limits{MaxBytes: 1 << 60}}, "insufficient"},
	} {
		t.Run(c.name, func(t *testing.T) {
			nc := fixture.Connect(t, fixture.Start(t, 1))
			if c.before != nil {
				js, err := jetstream.New(nc)
				require.NoError(t, err)
				_, err = js.CreateStream(t.Context(), *c.before)
				require.NoError(t, err)
			}
			engine := fixture.NewEngine(t, nc, c.cfg)
			live := sink.NewLive(tickstorm.Stocks, 0)
			live.OnMessage([]byte(`[{"ev":"T","sym":"A"}]`), 1)
			require.NoError(t, live.Close())
			r, err := sink.NewRunner(engine, live, sink.Config{MaxTries: 2, MinWait: time.Millisecond})
			require.NoError(t, err)
			err = r.Run(t.Context())
			require.ErrorContains(t, err, c.why)
			require.False(t, sink.Retryable(err), err)
		})
	}
}

// TestManyTopics: a gap of more topics than a message may have comes all the same.
func TestManyTopics(t *testing.T) {
	t.Parallel()
	cluster := fixture.Start(t, 1)
	nc := fixture.Connect(t, cluster)
	gap := &tickstorm.Gap{}
	for i := range 700_000 {
		gap.Topics = append(gap.Topics, tickstorm.Topic{Channel: "T", Symbol: "O:SPY" + string(rune('A'+i%26)) + strings.Repeat("0", 12)})
	}
	live := sink.NewLive(tickstorm.Stocks, 0)
	live.OnGap(gap)
	require.NoError(t, live.Close())
	engine := fixture.NewEngine(t, nc, sinknats.Config{})
	r, err := sink.NewRunner(engine, live, sink.Config{})
	require.NoError(t, err)
	require.NoError(t, r.Run(t.Context()))
	m, err := stream(t, nc, "md_stocks").GetMsg(t.Context(), 1)
	require.NoError(t, err)
	var n sink.Notice
	require.NoError(t, json.Unmarshal(m.Data, &n))
	require.Equal(t, []tickstorm.Topic{{Channel: "T", Symbol: tickstorm.All}}, n.Gap().Topics)
}
