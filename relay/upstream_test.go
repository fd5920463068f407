package relay_test

import (
	"context"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/relay"
	"github.com/tickstorm/tickstorm/sim"
)

// said parses a message of one status.
func said(t *testing.T, msg string) dialogue.Status {
	t.Helper()
	h := &statuses{}
	require.NoError(t, tickstorm.NewParser(tickstorm.Stocks).Parse([]byte(msg), h))
	require.Len(t, h.found, 1, msg)
	return h.found[0]
}

type statuses struct {
	tickstorm.NopHandler
	found []dialogue.Status
}

func (h *statuses) OnStatus(s *tickstorm.Status) {
	h.found = append(h.found, dialogue.Status{Status: string(s.Status), Message: string(s.Message)})
}

// TestUpstreamBreaks: clients stay, and are told in its place what happened.
func TestUpstreamBreaks(t *testing.T) {
	b := start(t, quiet, tickstorm.Stocks)
	b.streaming(0)
	c, idle := b.login("/stocks"), b.login("/stocks")
	c.take("T.AAPL")
	b.up.Broadcast([]byte("[" + oddTrade + "]"))
	c.expect("[" + oddTrade + "]")
	for range 3 {
		before := time.Now().UnixNano()
		b.up.Conns()[0].Cut()
		require.Equal(t, dialogue.UpstreamDisconnected, said(t, c.next()).Status)
		require.Equal(t, dialogue.UpstreamConnected, said(t, c.next()).Status)
		b.streaming(1)
		b.up.Broadcast([]byte("[" + oddTrade + "]"))
		gap := said(t, c.next())
		require.Equal(t, dialogue.Gap, gap.Status)
		from, to, cause, ok := dialogue.ParseGap(gap.Message)
		require.True(t, ok, gap.Message)
		require.Less(t, from, to)
		require.GreaterOrEqual(t, to, before)
		require.NotEmpty(t, cause)
		c.expect("[" + oddTrade + "]")
	}
	require.Equal(t, dialogue.UpstreamDisconnected, said(t, idle.next()).Status)
	require.EqualValues(t, 3, b.relay.Stats().Markets[0].Gaps)
}

// TestWordsAreKnown: what a relay says is unknown to no client of this library, and gets into its log at the level
// of what it means.
func TestWordsAreKnown(t *testing.T) {
	up := fixture.Start(t, quiet)
	log := &safeBuffer{}
	cfg := up.ClientConfig(tickstorm.Stocks)
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	client, err := tickstorm.NewClient(cfg, tickstorm.NopHandler{})
	require.NoError(t, err)
	require.NoError(t, client.Start(t.Context()))
	defer client.Close()
	topics := []tickstorm.Topic{{Channel: "T", Symbol: "A"}}
	for level, notes := range map[slog.Level][]dialogue.Status{
		slog.LevelInfo: {
			{Status: dialogue.UpstreamConnected, Message: "stocks"}, dialogue.SnapshotBeginNote(topics), dialogue.SnapshotEndNote(1, false),
			dialogue.HistoryBeginNote(1, topics), dialogue.HistoryEndNote(2, 1, false),
		},
		slog.LevelWarn: {
			{Status: dialogue.UpstreamDisconnected, Message: "EOF"}, dialogue.GapNote(1, 2, "EOF"), dialogue.DroppedNote(7),
			dialogue.PendingNote("T.A"), dialogue.WithdrawnNote("T.A"),
		},
	} {
		for _, n := range notes {
			up.Broadcast(dialogue.AppendMessage(nil, n))
			line := regexp.MustCompile("level=" + level.String() + ` msg="the relay says" .*status=` + n.Status)
			require.Eventually(t, func() bool { return line.MatchString(log.String()) }, patience, time.Millisecond, "%v", n)
		}
	}
	require.NotContains(t, log.String(), "unknown status")
}

// TestUpstreamIsDown: who asks meanwhile is told that it is pending, and gets its answer when
// there is one.
func TestUpstreamIsDown(t *testing.T) {
	inBubble(t, quiet, tickstorm.Stocks, nil, func(b *bench) {
		c := b.login("/stocks")
		c.take("T.A")
		for _, conn := range b.up.Conns() {
			conn.Cut()
		}
		require.Equal(t, dialogue.UpstreamDisconnected, said(t, c.next()).Status)
		late := b.login("/stocks")
		require.Equal(t, dialogue.UpstreamDisconnected, said(t, late.next()).Status)
		begun := time.Now()
		late.send(subscribe("T.A,T.B"))
		var heard []string // answers may overtake what is told among the events
		for range 3 {
			heard = append(heard, late.next())
			require.Positive(t, time.Since(begun), "nothing is certain while it is down")
		}
		require.ElementsMatch(t, []string{
			acks("T.A"), acks("T.B"), "[" + fixture.Status("upstream_connected", "stocks") + "]",
		}, heard)
	})
	inBubble(t, sim.Config{Quiet: true, Acks: sim.AckNothing}, tickstorm.Stocks, nil, func(b *bench) {
		c := b.login("/stocks")
		begun := time.Now()
		c.send(subscribe("T.A"))
		c.expect("[" + fixture.Status("pending", "pending: T.A") + "]")
		require.Equal(t, 10*time.Second, time.Since(begun))
		b.up.Broadcast([]byte(`[{"ev":"T","sym":"A"}]`))
		c.expect(`[{"ev":"T","sym":"A"}]`)
		b.up.Broadcast([]byte("[" + fixture.Status("success", "subscribed to: T.A") + "]"))
		c.expect(acks("T.A"))
	})
}

// TestUpstreamRefusesTheKey: clients are told in the vendor's words, and so is who runs the relay.
func TestUpstreamRefusesTheKey(t *testing.T) {
	up := fixture.Start(t, quiet)
	good := up.ClientConfig(tickstorm.Stocks)
	bad := up.ClientConfig(tickstorm.Crypto)
	bad.Key = sim.BadKey
	b := startAt(t, up, bad, func(c *relay.Config) { c.Upstreams = append(c.Upstreams, good) })
	b.await(func(s relay.MarketStats) bool { return s.Err != nil })
	require.ErrorIs(t, b.relay.Stats().Markets[0].Err, tickstorm.ErrAuthFailed)
	c := b.client("/crypto")
	c.send(auth)
	c.expect(greeting, "["+fixture.Status("auth_failed", "authentication failed")+"]")
	require.EqualValues(t, 1008, c.end())
	c = b.client("/crypto?subscribe=XT.*")
	c.expect(greeting, "["+fixture.Status("auth_failed", "authentication failed")+"]")
	require.EqualValues(t, 1008, c.end(), "nor is a key good that is not sent")
	other := b.client("/stocks")
	other.send(auth)
	other.expect(greeting, success)
	b.cancel()
	require.ErrorIs(t, b.over(), context.Canceled, "another market went on")
}

// TestUpstreamFailsBeforeTheKey: who was let in before the upstream has failed for good is not left
// alone with a good key.
func TestUpstreamFailsBeforeTheKey(t *testing.T) {
	var ups [2]*sim.Server
	for i := range ups {
		up := fixture.Start(t, quiet)
		ups[i] = up
	}
	b := startAt(t, ups[0], ups[0].ClientConfig(tickstorm.Crypto), func(c *relay.Config) {
		c.Upstreams[0].Backoff.MaxAttempts = 1
		c.Upstreams = append(c.Upstreams, ups[1].ClientConfig(tickstorm.Stocks))
	})
	b.streaming(0)
	c := b.client("/crypto")
	c.expect(greeting)
	require.NoError(t, ups[0].Close())
	b.await(func(s relay.MarketStats) bool { return s.Err != nil })
	c.send(auth)
	require.EqualValues(t, 1012, c.end())
	require.Empty(t, c.messages)
}

func TestNoUpstreamIsLeft(t *testing.T) {
	up := fixture.Start(t, quiet)
	bad := up.ClientConfig(tickstorm.Stocks)
	bad.Key = sim.NoPlanKey
	b := startAt(t, up, bad)
	err := b.over()
	var failed *relay.UpstreamError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, tickstorm.Stocks, failed.Market)
	require.ErrorIs(t, err, tickstorm.ErrNoPlan)
	require.Contains(t, err.Error(), "stocks")
}

// TestEvicted: another program with the same key takes the connection, once too often.
func TestEvicted(t *testing.T) {
	up := fixture.Start(t, quiet)
	cfg := up.ClientConfig(tickstorm.Stocks)
	b := startAt(t, up, cfg, func(c *relay.Config) { c.Upstreams[0].Backoff.Evictions = 1 })
	b.streaming(0)
	c := b.login("/stocks")
	c.take("T.A")
	rival, err := tickstorm.Dial(t.Context(), cfg, nil)
	require.NoError(t, err)
	defer rival.Close()
	down := said(t, c.next())
	require.Equal(t, dialogue.UpstreamDisconnected, down.Status)
	require.Contains(t, down.Message, "Maximum number of websocket connections exceeded")
	require.EqualValues(t, 1012, c.end(), "it may come back when there is a relay again")
	require.ErrorIs(t, b.over(), tickstorm.ErrMaxConnections)
}

// TestSlowClients: one that reads nothing does not hold the others up; under a policy it goes, or
// is told what it lacks.
func TestSlowClients(t *testing.T) {
	flood := `{"ev":"T","sym":"AAPL","i":"` + strings.Repeat("x", 10_000) + `"}`
	for _, tc := range []struct {
		name   string
		policy tickstorm.Overflow
	}{
		{"disconnect", tickstorm.OverflowDisconnect},
		{"drop newest", tickstorm.OverflowDropNewest},
		{"drop oldest", tickstorm.OverflowDropOldest},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var log safeBuffer
			b := start(t, quiet, tickstorm.Stocks, func(c *relay.Config) {
				c.Queue = relay.QueueConfig{Bytes: 1 << 20, Overflow: tc.policy}
				c.Logger = slog.New(slog.NewTextHandler(&log, nil))
			})
			b.streaming(0)
			stuck, quick := b.login("/stocks"), b.login("/stocks")
			stuck.take("T.AAPL")
			quick.take("T.AAPL")
			sent := 0
			slow := func() (n uint64) {
				for c := range b.relay.Clients() {
					if c.ID == 1 {
						return c.Dropped
					}
				}
				return 1 // it has gone
			}
			for slow() == 0 {
				b.up.Broadcast([]byte("[" + flood + "]"))
				sent++
				quick.expect("[" + flood + "]")
			}
			if tc.policy == tickstorm.OverflowDisconnect {
				require.EqualValues(t, 1008, stuck.end())
				b.await(func(s relay.MarketStats) bool { return s.Clients == 1 })
				require.Contains(t, log.String(), "too slow")
				return
			}
			b.up.Broadcast([]byte("[" + flood + "]"))
			sent++
			quick.expect("[" + flood + "]")
			got, dropped := 0, uint64(0)
			for got+int(dropped) < sent {
				m := stuck.next()
				if !strings.Contains(m, `"status"`) {
					got += strings.Count(m, `"ev":"T"`)
					continue
				}
				note := said(t, m)
				require.Equal(t, dialogue.Dropped, note.Status)
				n, ok := dialogue.ParseDropped(note.Message)
				require.True(t, ok)
				dropped += n
			}
			require.Equal(t, sent, got+int(dropped), "each came, or was told of")
			require.Positive(t, dropped)
			stuck.take("T.AAPL") // answers come all the same
		})
	}
}

// TestChain: a relay behind a relay; what the first has to tell comes through the second.
func TestChain(t *testing.T) {
	b := start(t, quiet, tickstorm.Stocks)
	b.streaming(0)
	second := startAt(t, nil, tickstorm.Config{
		Key: "any", Market: tickstorm.Stocks, Feed: tickstorm.Feed("ws://" + b.addr), Proxy: tickstorm.NoProxy,
	})
	second.await(func(s relay.MarketStats) bool { return s.Up })
	c := second.login("/stocks")
	c.take("T.AAPL")
	b.up.Broadcast([]byte("[" + oddTrade + "," + other + "]"))
	c.expect("[" + oddTrade + "]")
	b.up.Conns()[0].Cut()
	require.Equal(t, dialogue.UpstreamDisconnected, said(t, c.next()).Status)
	require.Equal(t, dialogue.UpstreamConnected, said(t, c.next()).Status)
	b.streaming(1)
	b.up.Broadcast([]byte("[" + oddTrade + "]"))
	require.Equal(t, dialogue.Gap, said(t, c.next()).Status)
	c.expect("[" + oddTrade + "]")
	st := second.relay.Stats().Markets[0]
	require.True(t, st.Up)
	require.EqualValues(t, 1, st.Gaps, "what the first has told")
	require.True(t, st.LastGap.From.Before(st.LastGap.To))
	require.NotEmpty(t, st.LastGap.Cause)

	require.NoError(t, b.up.Close()) // for longer
	require.Equal(t, dialogue.UpstreamDisconnected, said(t, c.next()).Status)
	third := startAt(t, nil, tickstorm.Config{
		Key: "any", Market: tickstorm.Stocks, Feed: tickstorm.Feed("ws://" + b.addr), Proxy: tickstorm.NoProxy,
	})
	third.await(func(s relay.MarketStats) bool { return s.State == tickstorm.StateStreaming && !s.Up })
	require.Equal(t, dialogue.UpstreamDisconnected, said(t, third.login("/stocks").next()).Status)
}

// TestUpstreamSaysNotWhy: a recording that is served has lost its upstream for no reason that it knows.
func TestUpstreamSaysNotWhy(t *testing.T) {
	b := start(t, quiet, tickstorm.Stocks)
	b.streaming(0)
	c := b.login("/stocks")
	b.up.Broadcast([]byte("[" + fixture.Status("upstream_disconnected", "") + "]"))
	require.Equal(t, dialogue.Status{Status: dialogue.UpstreamDisconnected, Message: "the upstream has none"}, said(t, c.next()))
	st := b.relay.Stats().Markets[0]
	require.False(t, st.Up)
	require.Equal(t, "the upstream has none", st.Why)
}

// TestTap: the user's own hears everything too.
func TestTap(t *testing.T) {
	up := fixture.Start(t, quiet)
	cfg := up.ClientConfig(tickstorm.Stocks)
	h := &tapped{}
	cfg.Tap = h
	b := startAt(t, up, cfg)
	b.streaming(0)
	c := b.login("/stocks")
	c.take("T.AAPL")
	up.Broadcast([]byte("[" + oddTrade + "]"))
	c.expect("[" + oddTrade + "]")
	up.Conns()[0].Cut()
	said(t, c.next())
	b.streaming(1)
	said(t, c.next())
	up.Broadcast([]byte("[" + oddTrade + "]"))
	said(t, c.next())
	h.mu.Lock()
	defer h.mu.Unlock()
	require.Contains(t, h.messages, "["+oddTrade+"]")
	require.Equal(t, 1, h.gaps)
	require.Contains(t, h.states, tickstorm.StateBackoff)
}

type tapped struct {
	mu       sync.Mutex
	messages []string
	states   []tickstorm.State
	gaps     int
}

func (h *tapped) OnMessage(msg []byte, _ int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.messages = append(h.messages, string(msg))
}

func (h *tapped) OnState(s *tickstorm.StateChange) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.states = append(h.states, s.State)
}

func (h *tapped) OnGap(*tickstorm.Gap) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gaps++
}
