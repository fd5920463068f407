package sink_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
	"github.com/tickstorm/tickstorm/sink"
)

// TestLive: what a client receives comes with an id of its own, connections and gaps among it.
func TestLive(t *testing.T) {
	server, err := sim.Start(sim.Config{Rate: 5000})
	require.NoError(t, err)
	defer server.Close()
	live := sink.NewLive(tickstorm.Stocks, 0)
	cfg := server.ClientConfig(tickstorm.Stocks)
	cfg.Tap = live
	var client *tickstorm.Client
	count := &counter{enough: 1000, done: make(chan struct{})}
	client, err = tickstorm.NewClient(cfg, count)
	require.NoError(t, err)
	require.NoError(t, client.Subscribe(t.Context(), tickstorm.Trades, tickstorm.All))
	require.NoError(t, client.Start(t.Context()))
	e := &memory{}
	r, err := sink.NewRunner(e, live, sink.Config{})
	require.NoError(t, err)
	over := make(chan error, 1)
	go func() { over <- r.Run(t.Context()) }()
	<-count.done
	require.NoError(t, client.Close())
	require.NoError(t, live.Close())
	require.NoError(t, <-over)

	kinds := map[sink.NoticeKind]int{}
	var marks sink.Marks
	var told counter
	lane := sink.NewLane(tickstorm.Stocks, &told, nil, sink.Marks{})
	for _, k := range e.rows {
		require.False(t, marks.Cover(&k.id))
		marks.Add(&k.id)
		require.True(t, k.id.Live())
		_, err := sink.ParseID(k.id.String())
		require.NoError(t, err)
		kinds[k.notice]++
		if k.notice == "" {
			require.NoError(t, lane.Event(k.stamp, []byte(k.raw)))
		}
	}
	require.Equal(t, count.trades, told.trades)
	require.False(t, told.replayed)
	require.Equal(t, 1, kinds["up"])
	require.Equal(t, 1, kinds["subscribed"])
	require.Equal(t, 1, kinds["down"])
	require.Zero(t, r.Stats().Dropped)
}

type counter struct {
	tickstorm.NopHandler
	enough, trades int
	replayed       bool
	done           chan struct{}
}

func (c *counter) OnTrade(t *tickstorm.Trade) {
	c.trades++
	c.replayed = c.replayed || t.Replayed
	if c.trades == c.enough {
		close(c.done)
	}
}

// TestLiveDrops: what has no room is counted, and told in its place.
func TestLiveDrops(t *testing.T) {
	live := sink.NewLive(tickstorm.Stocks, 2000)
	msg := []byte(`[{"ev":"T","sym":"` + strings.Repeat("A", 460) + `"}]`)
	blocked, release := make(chan struct{}), make(chan struct{})
	e := &memory{fail: func(b *sink.Batch) (int, error) {
		if len(b.Rows) == 1 && b.Rows[0].Symbol == "B" {
			close(blocked)
			<-release
		}
		return 0, nil
	}}
	r, err := sink.NewRunner(e, live, sink.Config{MaxRows: 1, Linger: time.Nanosecond})
	require.NoError(t, err)
	over := make(chan error, 1)
	go func() { over <- r.Run(t.Context()) }()
	live.OnMessage([]byte(`[{"ev":"T","sym":"B"}]`), 1)
	<-blocked
	const said = 100
	for range said {
		live.OnMessage(msg, time.Now().UnixNano())
	}
	live.OnGap(&tickstorm.Gap{Cause: errors.New("EOF"), Topics: []tickstorm.Topic{{Channel: "T", Symbol: "*"}}})
	close(release)
	require.NoError(t, live.Close())
	live.OnMessage(msg, 1) // too late
	require.NoError(t, <-over)
	came, dropped := 0, uint64(0)
	for _, k := range e.rows {
		switch k.notice {
		case "", "gap":
			came++
		case "dropped":
			var n sink.Notice
			require.NoError(t, n.UnmarshalJSON([]byte(k.raw)))
			require.NotZero(t, n.From.Received)
			dropped += n.Count
		}
	}
	require.Less(t, came, said)
	require.EqualValues(t, said+2, came+int(dropped), "the first, and the gap, for which there may be room or not")
	require.Equal(t, dropped+1, r.Stats().Dropped)
	require.Contains(t, []sink.NoticeKind{"gap", "dropped"}, e.rows[len(e.rows)-1].notice)
}

// TestStopLive: Stop writes what was read, and does not wait longer than its context.
func TestStopLive(t *testing.T) {
	live := sink.NewLive(tickstorm.Stocks, 0)
	blocked := make(chan struct{})
	r, err := sink.NewRunner(stuck{blocked}, live, sink.Config{Linger: time.Nanosecond})
	require.NoError(t, err)
	over := make(chan error, 1)
	go func() { over <- r.Run(t.Context()) }()
	live.OnMessage([]byte(`[{"ev":"T"}]`), 1)
	<-blocked
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, r.Stop(ctx), context.Canceled)
	require.ErrorIs(t, <-over, context.Canceled)

	idle, err := sink.NewRunner(&memory{}, sink.NewLive(tickstorm.Stocks, 0), sink.Config{})
	require.NoError(t, err)
	require.NoError(t, idle.Stop(t.Context()))
	require.NoError(t, idle.Run(t.Context()))
}

// stuck is an engine that does not come back before its context ends.
type stuck struct{ blocked chan struct{} }

func (s stuck) Write(ctx context.Context, _ *sink.Batch) error {
	close(s.blocked)
	<-ctx.Done()
	return ctx.Err()
}

// TestLiveBounded: small messages, states and gaps are bounded by the buffer too, and what has no room
// is counted and told.
func TestLiveBounded(t *testing.T) {
	const buffer, said = 128 << 10, 20_000
	topics := make([]tickstorm.Topic, 50)
	for i := range topics {
		topics[i] = tickstorm.Topic{Channel: "T", Symbol: strconv.Itoa(i)}
	}
	for name, say := range map[string]func(*sink.Live){
		"messages": func(l *sink.Live) { l.OnMessage([]byte("{}"), 1) },
		"gaps":     func(l *sink.Live) { l.OnGap(&tickstorm.Gap{Cause: errors.New("EOF"), Topics: topics}) },
		"states": func(l *sink.Live) {
			l.OnState(&tickstorm.StateChange{State: tickstorm.StateBackoff, Err: errors.New("no route to host")})
		},
	} {
		t.Run(name, func(t *testing.T) {
			live := sink.NewLive(tickstorm.Stocks, buffer)
			for range said {
				say(live)
			}
			require.NoError(t, live.Close())
			e := &memory{}
			stats := run(t, e, live, sink.Config{})
			last := e.rows[len(e.rows)-1]
			require.Equal(t, sink.NoticeKind("dropped"), last.notice)
			var n sink.Notice
			require.NoError(t, n.UnmarshalJSON([]byte(last.raw)))
			require.EqualValues(t, said, len(e.rows)-1+int(n.Count))
			require.Equal(t, n.Count, stats.Dropped)
			require.Less(t, len(e.rows), buffer/40)
			require.Less(t, stats.Bytes, uint64(2*buffer))
		})
	}
}
