package tickstorm_test

import (
	"context"
	"fmt"
	"math"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

func TestClientSetTopics(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		c := simClient(t, server, nil)
		require.NoError(t, c.SetTopics(t.Context(), fixture.Topics(t, "T.C,T.a,T.B,T.A")...))
		require.Equal(t, fixture.Topics(t, "T.C,T.A,T.B"), c.Topics(), "recorded before Run")
		require.NoError(t, c.SetTopics(t.Context(), fixture.Topics(t, "T.B,T.C,T.D")...))
		require.Equal(t, fixture.Topics(t, "T.C,T.B,T.D"), c.Topics())
		running := fixture.Runs(t.Context(), c)
		fixture.Settled(t, server, 1, 3)

		require.NoError(t, c.SetTopics(t.Context(), fixture.Topics(t, "Q.A,T.B,T.D")...))
		require.Equal(t, "Q.A,T.B,T.D", fixture.ServerTopics(t, server))
		require.NoError(t, c.SetTopics(t.Context(), fixture.Topics(t, "T.D,T.B,Q.A")...))
		require.Equal(t, []string{
			`{"action":"auth","params":"[redacted]"}`,
			`{"action":"subscribe","params":"T.C,T.B,T.D"}`,
			`{"action":"unsubscribe","params":"T.C"}`,
			`{"action":"subscribe","params":"Q.A"}`,
		}, server.Conns()[0].Requests(), "no more than the difference")

		server.Conns()[0].Cut()
		fixture.Settled(t, server, 2, 3)
		require.NoError(t, c.SetTopics(t.Context()))
		require.Empty(t, fixture.ServerTopics(t, server))
		require.Empty(t, c.Topics())
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
		require.ErrorIs(t, c.SetTopics(t.Context()), tickstorm.ErrClosed)
	})
}

func TestClientSetTopicsErrors(t *testing.T) {
	cfg := testConfig()
	cfg.Market, cfg.MaxOptionQuotes = tickstorm.Options, 2
	c := fixture.NewClient(t, cfg, nil)
	require.NoError(t, c.SetTopics(t.Context(), fixture.Topics(t, "Q.O:A,Q.O:B")...))
	require.ErrorIs(t, c.SetTopics(t.Context(), fixture.Topics(t, "Q.O:C,Q.O:D,Q.O:E")...), tickstorm.ErrSubscriptionLimit)
	require.ErrorIs(t, c.SetTopics(t.Context(), tickstorm.Topic{Channel: "T", Symbol: "O:"}), tickstorm.ErrBadTopic)
	require.ErrorIs(t, c.SetTopics(t.Context(), tickstorm.Topic{Channel: "T", Symbol: "A,B"}), tickstorm.ErrBadTopic)
	require.Equal(t, fixture.Topics(t, "Q.O:A,Q.O:B"), c.Topics(), "nothing has changed")
	require.NoError(t, c.SetTopics(t.Context(), fixture.Topics(t, "Q.O:C,Q.O:D")...), "what goes makes room for what comes")
}

// TestClientSetTopicsWaits: for both requests, as long as the context lasts.
func TestClientSetTopicsWaits(t *testing.T) {
	fixture.InBubble(t, sim.Config{Quiet: true, Keys: map[string]sim.Plan{"a-key": {Channels: []string{"T"}}}}, func(t *testing.T, server *sim.Server) {
		c := simClient(t, server, nil)
		running := fixture.Runs(t.Context(), c)
		fixture.Settled(t, server, 1, 0)
		require.NoError(t, c.SetTopics(t.Context(), fixture.Topics(t, "T.A")...))
		err := c.SetTopics(t.Context(), fixture.Topics(t, "T.B,Q.A")...)
		require.ErrorIs(t, err, tickstorm.ErrNotAuthorized)
		require.Equal(t, fixture.Topics(t, "T.B"), c.Topics())

		server.Conns()[0].Do(sim.Stall(0))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = c.SetTopics(ctx, fixture.Topics(t, "T.C")...)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		var e *tickstorm.SubscribeError
		require.ErrorAs(t, err, &e)
		require.Equal(t, fixture.Topics(t, "T.C"), c.Topics(), "wanted all the same")
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
	})
}

// TestClientTopicsConcurrently: whatever the order of calls from many goroutines, the
// server has in the end what the client wants.
func TestClientTopicsConcurrently(t *testing.T) {
	for round := range 20 {
		fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
			c := simClient(t, server, nil)
			running := fixture.Runs(t.Context(), c)
			if round%2 == 0 {
				fixture.Settled(t, server, 1, 0)
			}
			var all sync.WaitGroup
			for worker := range 8 {
				all.Go(func() {
					for i := range 6 {
						some := fixture.Topics(t, fmt.Sprintf("T.S%d,T.S%d", (worker+i)%5, i%5))
						switch (worker + i + round) % 5 {
						case 0:
							_ = c.SetTopics(t.Context(), some...)
						case 1:
							_ = c.SubscribeTopics(t.Context(), some...)
						case 2:
							_ = c.UnsubscribeTopics(t.Context(), some...)
						case 3:
							c.Request(nil, some...)
						case 4:
							c.Withdraw(nil, some...)
						}
					}
				})
			}
			all.Wait()
			require.NoError(t, server.Await(t.Context(), func(s sim.Stats) bool { return s.Authenticated == 1 }))
			synctest.Wait()
			require.Equal(t, fixture.Listed(c.Topics()), fixture.ServerTopics(t, server))
			require.NoError(t, c.Close())
			require.NoError(t, <-running)
		})
	}
}

// TestClientManyTopics: thousands are set, replayed and exchanged in a time that grows with
// their number and not with its square. The machine's pace is not known, so the times of few
// and of many are compared, and whatever else the machine has to do disturbs some of several
// tries: a quadratic step is in all of them.
func TestClientManyTopics(t *testing.T) {
	const few, many, bound, tries = 2_000, 16_000, 20, 5 // the square of the ratio is 64
	list := func(from, n int) []tickstorm.Topic {
		list := make([]tickstorm.Topic, n)
		for i := range list {
			list[i] = tickstorm.Topic{Channel: "T", Symbol: fmt.Sprintf("S%05d", from+i)}
		}
		return list
	}
	takes := func(n int) time.Duration {
		start := time.Now() // real time: outside of the bubble
		fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
			c := simClient(t, server, nil)
			require.NoError(t, c.SetTopics(t.Context(), list(0, n)...))
			running := fixture.Runs(t.Context(), c)
			fixture.Settled(t, server, 1, n)
			require.NoError(t, c.SetTopics(t.Context(), list(n/2, n)...))
			require.Equal(t, list(n/2, n), c.Topics())
			server.Conns()[0].Cut()
			fixture.Settled(t, server, 2, n)
			require.Equal(t, fixture.Listed(list(n/2, n)), fixture.ServerTopics(t, server))
			require.NoError(t, c.SetTopics(t.Context()))
			require.NoError(t, c.Close())
			require.NoError(t, <-running)
		})
		return time.Since(start)
	}
	less, more := takes(few), time.Duration(math.MaxInt64)
	for try := 0; try < tries && more > bound*less; try++ {
		less = min(less, takes(few), takes(few))
		more = min(more, takes(many))
	}
	require.LessOrEqual(t, more, bound*less, "%v for eight times as many as took %v", more, less)
}

// TestClientRequestRefused: what was asked for without waiting is dropped as well when the
// server refuses it.
func TestClientRequestRefused(t *testing.T) {
	fixture.InBubble(t, sim.Config{Quiet: true, Keys: map[string]sim.Plan{"a-key": {Channels: []string{"T"}}}}, func(t *testing.T, server *sim.Server) {
		c := simClient(t, server, nil)
		running := fixture.Runs(t.Context(), c)
		fixture.Settled(t, server, 1, 0)
		c.Request(nil, fixture.Topics(t, "Q.A,T.A")...)
		synctest.Wait()
		require.Equal(t, fixture.Topics(t, "T.A"), c.Topics())
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
	})
}

// TestClientAskedAgain: a refusal does not undo what was asked for again before it came.
func TestClientAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := fixture.DialConfig("ws://host")
		asked := make(chan struct{})
		cfg.NetDial = pipeTo(func(nc net.Conn) {
			_, answer, err := fixture.Accept(nc)
			if err != nil {
				return
			}
			say := func(text string) { _, _ = nc.Write(fixture.Wire(false, true, ws.OpText, "["+text+"]")) }
			_, _ = nc.Write(append(answer, fixture.Welcome()...))
			b := make([]byte, 512)
			_, _ = nc.Read(b) // the key
			_, _ = nc.Read(b) // the first request
			<-asked
			say(fixture.Status("error", "not authorized"))
			_, _ = nc.Read(b) // the second
			say(fixture.Acks("Q.A")[0])
			fixture.Attend(nc)
		})
		c := fixture.NewClient(t, cfg, nil)
		running := fixture.Runs(t.Context(), c)
		synctest.Wait()
		c.Request(nil, fixture.Topics(t, "Q.A")...)
		synctest.Wait()
		c.Request(nil, fixture.Topics(t, "Q.A")...)
		synctest.Wait()
		close(asked)
		synctest.Wait()
		require.Equal(t, fixture.Topics(t, "Q.A"), c.Topics())
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
	})
}
