package tickstorm_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// parserAt returns a parser to which the time was told.
func parserAt(m tickstorm.Market, received time.Time) *tickstorm.Parser {
	p := tickstorm.NewParser(m)
	p.SetReceived(received.UnixNano())
	return p
}

// tradeAt is a trade that happened so long before began.
func tradeAt(before time.Duration) string {
	return fmt.Sprintf(`{"ev":"T","sym":"A","p":1.5,"t":%d}`, began.Add(-before).UnixMilli())
}

// TestLag: which events have a lag, and how much.
func TestLag(t *testing.T) {
	ms := func(before time.Duration) int64 { return began.Add(-before).UnixMilli() }
	ns := func(before time.Duration) int64 { return began.Add(-before).UnixNano() }
	const second = time.Second
	for _, tc := range []struct {
		name       string
		market     tickstorm.Market
		msg        string
		lag        time.Duration // -1 for none
		aggregates time.Duration
	}{
		{"trade", tickstorm.Stocks, tradeAt(second), second, -1},
		{"quote", tickstorm.Stocks, fmt.Sprintf(`{"ev":"Q","sym":"A","t":%d}`, ms(second)), second, -1},
		{"LULD in nanoseconds", tickstorm.Stocks, fmt.Sprintf(`{"ev":"LULD","T":"A","t":%d}`, ns(3*time.Microsecond)), 3 * time.Microsecond, -1},
		{"imbalance", tickstorm.Stocks, fmt.Sprintf(`{"ev":"NOI","T":"A","t":%d}`, ns(second)), second, -1},
		{"value", tickstorm.Indices, fmt.Sprintf(`{"ev":"V","T":"I:A","val":1,"t":%d}`, ms(second)), second, -1},
		{"book", tickstorm.Crypto, fmt.Sprintf(`{"ev":"XL2","pair":"A-USD","t":%d}`, ms(second)), second, -1},
		{"aggregate", tickstorm.Stocks, fmt.Sprintf(`{"ev":"AM","sym":"A","s":%d,"e":%d}`, ms(time.Hour), ms(2*second)), -1, 2 * second},
		{"the first counts", tickstorm.Stocks, tradeAt(2*second) + "," + tradeAt(second), 2 * second, -1},
		{"the first with a time", tickstorm.Stocks, `7,` + fixture.Status("connected", "") + `,{"ev":"ZZ","t":5},` + fixture.Trade("A") + "," + tradeAt(second), second, -1},
		{"no time", tickstorm.Stocks, fixture.Trade("A") + `,{"ev":"T","sym":"A","t":null},{"ev":"T","sym":"A","t":-5}`, -1, -1},
		{"status", tickstorm.Stocks, fixture.Status("connected", ""), -1, -1},
		{"beyond all time", tickstorm.Stocks, `{"ev":"T","sym":"A","t":1}`, 1<<63 - 1, -1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := parserAt(tc.market, began)
			require.NoError(t, p.Parse([]byte("["+tc.msg+"]"), nil))
			s := p.Stats()
			requireOne(t, tc.lag, &s.Lag)
			requireOne(t, tc.aggregates, &s.AggregateLag)
			require.Zero(t, s.NegativeLag)
		})
	}
	t.Run("negative", func(t *testing.T) {
		p := parserAt(tickstorm.Stocks, began)
		require.NoError(t, p.Parse([]byte("["+tradeAt(-time.Millisecond)+"]"), nil))
		s := p.Stats()
		require.EqualValues(t, 1, s.NegativeLag)
		require.EqualValues(t, 1, s.Lag.Count())
		require.Zero(t, s.Lag.Sum())
	})
	for name, set := range map[string]func(*tickstorm.Parser, bool){
		"backfilled": (*tickstorm.Parser).SetBackfilled, "replayed": (*tickstorm.Parser).SetReplayed,
	} {
		t.Run(name, func(t *testing.T) {
			p := parserAt(tickstorm.Stocks, began)
			set(p, true)
			require.NoError(t, p.Parse([]byte("["+tradeAt(time.Hour)+"]"), nil))
			require.Zero(t, p.Stats().Latency)
		})
	}
	t.Run("of the past", func(t *testing.T) { // which a relay has sent
		for _, what := range []string{"snapshot", "history"} {
			p := parserAt(tickstorm.Stocks, began)
			begin, end := fixture.Status(what+"_begin", "topics=T.A"), fixture.Status(what+"_end", "events=2 next=live")
			require.NoError(t, p.Parse([]byte("["+begin+","+tradeAt(time.Hour)+","+tradeAt(time.Hour)+","+end+"]"), nil))
			require.Zero(t, p.Stats().Latency)
			require.NoError(t, p.Parse([]byte("["+tradeAt(second)+"]"), nil)) // of the same read
			require.NoError(t, p.Parse([]byte("["+begin+"]"), nil))           // whose end is lost
			p.SetReceived(began.Add(second).UnixNano())
			require.NoError(t, p.Parse([]byte("["+tradeAt(0)+"]"), nil))
			s := p.Stats()
			require.EqualValues(t, 2, s.Lag.Count())
			require.InEpsilon(t, 2, s.Lag.Sum(), 1e-9)
		}
	})
	t.Run("one of each read", func(t *testing.T) {
		p := parserAt(tickstorm.Stocks, began)
		for _, received := range []time.Duration{0, time.Second} {
			p.SetReceived(began.Add(received).UnixNano())
			require.NoError(t, p.Parse([]byte("["+fixture.Trade("A")+"]"), nil))
			for range 3 {
				require.NoError(t, p.Parse([]byte("["+tradeAt(second)+"]"), nil))
			}
		}
		s := p.Stats()
		require.EqualValues(t, 2, s.Lag.Count())
		require.InEpsilon(t, 3, s.Lag.Sum(), 1e-9)
	})
	t.Run("by the reference", func(t *testing.T) {
		p := parserAt(tickstorm.Stocks, began)
		p.SetEngine(tickstorm.EngineFastJSON)
		require.NoError(t, p.Parse([]byte(tradeAt(second)), nil))
		require.EqualValues(t, 1, p.Stats().Lag.Count())
	})
	t.Run("passed over", func(t *testing.T) {
		p := parserAt(tickstorm.Stocks, began)
		p.SetInterest(tickstorm.Interest{Symbols: []string{"B"}})
		wanted := strings.Replace(tradeAt(second), `"A"`, `"B"`, 1)
		require.NoError(t, p.Parse([]byte("["+tradeAt(time.Hour)+","+wanted+"]"), nil))
		s := p.Stats()
		requireOne(t, second, &s.Lag)
	})
}

// requireOne requires a histogram of one duration, or of none where want is -1.
func requireOne(t *testing.T, want time.Duration, h *tickstorm.Histogram) {
	t.Helper()
	if want < 0 {
		require.Zero(t, h.Count())
		return
	}
	require.EqualValues(t, 1, h.Count())
	require.GreaterOrEqual(t, h.Quantile(1), want)
	require.LessOrEqual(t, h.Quantile(1)-want, want/4)
}

// TestErrorCauses: every error has a cause and the first of each a sample.
func TestErrorCauses(t *testing.T) {
	for _, tc := range []struct {
		cause  tickstorm.ErrorCause
		name   string
		msg    string
		sample string
	}{
		{tickstorm.CauseSyntax, "syntax", `[{bad}]`, `{bad}`},
		{tickstorm.CauseTooDeep, "too deep", `[{"ev":[[[[1]]]]}]`, `{"ev":[[[[1]]]]}`},
		{tickstorm.CauseElementTooLong, "element too long", `[{"ev":"T","x":"` + strings.Repeat("y", 200) + `"}]`, (`{"ev":"T","x":"` + strings.Repeat("y", 200))[:128]},
		{tickstorm.CauseNotObject, "not object", `[17]`, `17`},
		{tickstorm.CauseNoEvent, "no event", `[{"sym":"A"}]`, `{"sym":"A"}`},
		{tickstorm.CauseTruncated, "truncated", `[{"ev":"T"`, `{"ev":"T"`},
		{tickstorm.CauseTrailing, "trailing", `[]x`, `[]x`},
		{tickstorm.CauseUTF8, "utf8", "[\"\xff\"]", "[\"\xff\"]"},
		{tickstorm.CauseNotArray, "not array", `what`, `what`},
		{tickstorm.CauseMessageTooLong, "message too long", `[` + strings.Repeat(" ", 300) + `]`, `[` + strings.Repeat(" ", 127)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.name, tc.cause.String())
			p := tickstorm.NewParser(tickstorm.Stocks)
			p.SetLimits(tickstorm.Limits{Depth: 4, Element: 150, Message: 300})
			var want tickstorm.ErrorCounts
			var sample tickstorm.ErrorSamples
			for i := range 2 {
				msg := []byte(tc.msg)
				_ = p.Parse(msg, nil)
				for i := range msg {
					msg[i] = 'X' // the sample is a copy
				}
				want[tc.cause], sample[tc.cause] = uint64(i+1), tc.sample
				s := p.Stats()
				require.EqualValues(t, i+1, s.Errors)
				require.Equal(t, want, s.ErrorCauses)
				require.Equal(t, sample, s.ErrorSamples)
			}
			_ = p.Parse([]byte(strings.ReplaceAll(tc.msg, "T", "Q")), nil)
			require.Equal(t, sample, p.Stats().ErrorSamples, "the first one stays")
		})
	}
	require.Equal(t, "other", tickstorm.CauseOther.String())
	require.Equal(t, "other", tickstorm.ErrorCause(200).String())
	require.Equal(t, "other", tickstorm.ReconnectCause(200).String())
}

// TestErrorSamplesKey: a server that prints the key does not get it into a sample.
func TestErrorSamplesKey(t *testing.T) {
	for _, at := range []int{0, 100, 119, 120, 121, 127} {
		p := readyPeer(t, testConfig(), nil)
		require.NoError(t, p.s.Feed(fixture.Wire(false, true, ws.OpBinary, strings.Repeat("x", at)+fixture.Key+strings.Repeat("y", 200))))
		s := p.s.Stats()
		require.EqualValues(t, 1, s.ErrorCauses[tickstorm.CauseBinary])
		require.Equal(t, "[redacted]", s.ErrorSamples[tickstorm.CauseBinary], "key at %d", at)
	}
	p := readyPeer(t, testConfig(), nil)
	require.NoError(t, p.s.Feed(fixture.Wire(false, true, ws.OpBinary, strings.Repeat("x", 128)+fixture.Key)))
	require.Equal(t, strings.Repeat("x", 128), p.s.Stats().ErrorSamples[tickstorm.CauseBinary], "it begins behind the sample")
}

// TestInterval: between reads that complete a message, however many that is.
func TestInterval(t *testing.T) {
	p := newPeer(t, testConfig(), nil)
	require.NoError(t, p.say(fixture.Trade("A")))
	require.NoError(t, p.say(fixture.Trade("A")))
	require.Zero(t, p.s.Stats().Interval.Count(), "no time has passed")
	p.after(time.Second)
	require.NoError(t, p.s.Feed(fixture.Wire(false, true, ws.OpPing, "no message")))
	p.after(time.Second)
	require.NoError(t, p.say(fixture.Trade("A")))
	require.NoError(t, p.say(fixture.Trade("A")))
	s := p.s.Stats()
	requireOne(t, 2*time.Second, &s.Interval)
	require.Zero(t, s.Decode.Count(), "a session has no clock")
}

// dawdler takes its time over trades.
type dawdler struct {
	tickstorm.NopHandler
	time time.Duration
}

func (d dawdler) OnTrade(*tickstorm.Trade) { time.Sleep(d.time) }

// TestDecode: one message in 64 is timed, the handler's time included.
func TestDecode(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		conn := fixture.Dial(t, server, dawdler{time: 3 * time.Millisecond})
		running := fixture.Runs(t.Context(), conn)
		synctest.Wait()
		s := conn.Stats()
		require.EqualValues(t, 2, s.Messages, "a greeting and the answer to the key")
		require.EqualValues(t, 1, s.Decode.Count())
		require.Zero(t, s.Decode.Sum())
		for range 62 {
			server.Broadcast([]byte("[" + fixture.Trade("A") + "]"))
		}
		synctest.Wait()
		time.Sleep(time.Second)
		require.EqualValues(t, 1, conn.Stats().Decode.Count())
		server.Broadcast([]byte("[" + fixture.Trade("A") + "]"))
		time.Sleep(time.Second)
		s = conn.Stats()
		require.EqualValues(t, 65, s.Messages)
		require.EqualValues(t, 2, s.Decode.Count())
		require.InDelta(t, 0.003, s.Decode.Sum(), 1e-9)
		require.Positive(t, s.Interval.Count())
		require.NoError(t, conn.Close())
		require.NoError(t, <-running)
	})
}

// TestStatsWhileRunning: snapshots are taken from any goroutine, and never go back.
func TestStatsWhileRunning(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		conn := fixture.Dial(t, server, nil)
		running := fixture.Runs(t.Context(), conn)
		done := make(chan struct{})
		asked := fixture.InBackground(func() error {
			var before tickstorm.Stats
			for {
				s := conn.Stats()
				if s.Messages < before.Messages || s.Lag.Count() < before.Lag.Count() || s.Decode.Count() < before.Decode.Count() {
					return fmt.Errorf("%v after %v", s.Counters, before.Counters)
				}
				before = s
				select {
				case <-done:
					return nil
				default:
				}
			}
		})
		for range 300 {
			server.Broadcast(fmt.Appendf(nil, `[{"ev":"T","sym":"A","t":%d},7]`, time.Now().UnixMilli()))
		}
		close(done)
		require.NoError(t, <-asked)
		synctest.Wait()
		s := conn.Stats()
		require.EqualValues(t, 302, s.Messages)
		require.EqualValues(t, 5, s.Decode.Count())
		require.Positive(t, s.Lag.Count())
		require.NoError(t, conn.Close())
		require.NoError(t, <-running)
	})
}

// TestTopicCounts: what is held and asked for, and what was refused.
func TestTopicCounts(t *testing.T) {
	p := readyPeer(t, testConfig(), nil)
	requireTopics := func(acked, pending int, refused uint64) {
		t.Helper()
		s := p.s.Stats()
		require.Equal(t, []int{acked, pending, int(refused)}, []int{s.AckedTopics, s.PendingTopics, int(s.RefusedTopics)})
		a, b := p.s.Topics()
		if p.s.Err() == nil {
			require.Equal(t, []int{len(a), len(b)}, []int{acked, pending})
		}
	}
	requireTopics(0, 0, 0)
	require.NoError(t, p.s.Request(nil, fixture.Topics(t, "T.A,T.B,T.C")...))
	requireTopics(0, 3, 0)
	require.NoError(t, p.say(fixture.Acks("T.A")...))
	requireTopics(1, 2, 0)
	require.NoError(t, p.say(fixture.Acks("T.A")...))
	requireTopics(1, 2, 0)
	require.NoError(t, p.say(fixture.Acks("T.B")...))
	require.NoError(t, p.say(fixture.Status("error", "not authorized")))
	requireTopics(2, 0, 1)
	require.NoError(t, p.s.Withdraw(nil, fixture.Topics(t, "T.A")...))
	require.NoError(t, p.say(fixture.Status("success", "unsubscribed to: T.A")))
	requireTopics(1, 0, 1)
	require.NoError(t, p.s.Request(nil, fixture.Topics(t, "T.D")...))
	p.after(time.Minute - 1) // too long for an answer
	requireTopics(1, 1, 1)
	require.NoError(t, p.say(fixture.Acks("T.D")...))
	requireTopics(2, 0, 1)
	require.NoError(t, p.say(fixture.Status("success", "unsubscribed to: T.D")))
	requireTopics(1, 0, 1)
	_ = p.s.Disconnected(net.ErrClosed)
	requireTopics(0, 0, 1)
}

// TestReconnectCauses: what a connection ended with is counted.
func TestReconnectCauses(t *testing.T) {
	for _, tc := range []struct {
		name  string
		do    sim.Action
		cause tickstorm.ReconnectCause
	}{
		{"server closed", sim.Close(1001, "restart"), tickstorm.ReconnectServerClosed},
		{"disconnected", sim.Cut(), tickstorm.ReconnectDisconnected},
		{"idle", sim.Stall(0), tickstorm.ReconnectIdle},
		{"protocol", sim.Garbage(), tickstorm.ReconnectProtocol},
		{"auth timeout", sim.Message("[" + fixture.Status("auth_timeout", "") + "]"), tickstorm.ReconnectAuthTimeout},
		{"max connections", sim.Message("[" + fixture.Status("max_connections", "") + "]"), tickstorm.ReconnectMaxConnections},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.name, tc.cause.String())
			fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
				c := simClient(t, server, nil)
				require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A"))
				running := fixture.Runs(t.Context(), c)
				for n := 1; n <= 2; n++ {
					fixture.Settled(t, server, n, 1)
					require.Equal(t, 1, c.Stats().AckedTopics)
					server.Conns()[0].Do(tc.do)
				}
				fixture.Settled(t, server, 3, 1)
				var want tickstorm.ReconnectCounts
				want[tc.cause] = 2
				s := c.Stats()
				require.Equal(t, want, s.ReconnectCauses)
				require.Equal(t, 1, s.AckedTopics, "those of this connection")
				require.NoError(t, c.Close())
				require.NoError(t, <-running)
				require.Zero(t, c.Stats().AckedTopics)
			})
		})
	}
	t.Run("dial", func(t *testing.T) {
		fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
			cfg := server.ClientConfig(tickstorm.Stocks)
			dial, failures := cfg.NetDial, 3
			cfg.NetDial = func(ctx context.Context, network, address string) (net.Conn, error) {
				if failures > 0 {
					failures--
					return nil, errors.New("no route")
				}
				return dial(ctx, network, address)
			}
			c := fixture.NewClient(t, cfg, nil)
			running := fixture.Runs(t.Context(), c)
			fixture.Settled(t, server, 1, 0)
			s := c.Stats()
			require.EqualValues(t, 3, s.ReconnectCauses[tickstorm.ReconnectDial])
			require.Zero(t, s.Reconnects, "there was no connection before")
			require.NoError(t, c.Close())
			require.NoError(t, <-running)
		})
	})
}

// TestClientStats: histograms and samples go on across connections.
func TestClientStats(t *testing.T) {
	t.Run("queue", func(t *testing.T) { testClientStats(t, false) })
	t.Run("inline", func(t *testing.T) { testClientStats(t, true) })
}

func testClientStats(t *testing.T, inline bool) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		c := simClientWith(t, server, nil, func(cfg *tickstorm.Config) { cfg.Queue.Inline = inline })
		require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A"))
		running := fixture.Runs(t.Context(), c)
		for n := 1; n <= 2; n++ {
			fixture.Settled(t, server, n, 1)
			server.Broadcast(fmt.Appendf(nil, `[{"ev":"T","sym":"A","t":%d},%d]`, time.Now().Add(-time.Second).UnixMilli(), n))
			synctest.Wait()
			s := c.Stats()
			require.EqualValues(t, n, s.Lag.Count())
			if inline {
				require.EqualValues(t, n, s.Decode.Count(), "the first of each connection")
				require.Zero(t, s.Queue)
			} else {
				require.EqualValues(t, 1, s.Decode.Count(), "the first")
				require.Positive(t, s.Queue.Enqueued)
				require.Equal(t, s.Queue.Enqueued, s.Queue.Delivered)
			}
			require.EqualValues(t, n, s.ErrorCauses[tickstorm.CauseNotObject])
			require.Equal(t, "1", s.ErrorSamples[tickstorm.CauseNotObject])
			server.Conns()[0].Do(sim.Drop())
		}
		fixture.Settled(t, server, 3, 1)
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
	})
}

// TestClientStatsOfFailures: what a connection has counted that failed in authentication is in
// the total, and is there while the key is not answered.
func TestClientStatsOfFailures(t *testing.T) {
	for _, inline := range []bool{false, true} {
		for _, tc := range []struct {
			name     string
			says     string // a status, to the key of the first two connections
			messages int
		}{
			{"refused for good", fixture.Status("auth_failed", "no"), 2},
			{"timed out twice", fixture.Status("auth_timeout", "late"), 6},
			{"too many connections", fixture.Status("max_connections", ""), 6},
		} {
			t.Run(fmt.Sprintf("inline %v, %s", inline, tc.name), func(t *testing.T) {
				cfg := sim.Config{Quiet: true, Faults: []sim.Fault{{At: sim.OnAuth, Times: 2, Do: sim.Message("[" + tc.says + "]")}}}
				fixture.InBubble(t, cfg, func(t *testing.T, server *sim.Server) {
					c := simClientWith(t, server, nil, func(cfg *tickstorm.Config) { cfg.Queue.Inline = inline })
					running := fixture.Runs(t.Context(), c)
					time.Sleep(10 * time.Minute)
					synctest.Wait()
					require.NoError(t, c.Close())
					<-running
					s := c.Stats()
					require.EqualValues(t, tc.messages, s.Messages)
					require.EqualValues(t, tc.messages, s.Events[tickstorm.KindStatus])
					require.Greater(t, s.Received, s.Bytes)
					require.Greater(t, s.Bytes, uint64(30*tc.messages))
				})
			})
		}
		t.Run(fmt.Sprintf("inline %v, not answered", inline), func(t *testing.T) {
			cfg := sim.Config{Quiet: true, Faults: []sim.Fault{{At: sim.OnAuth, Times: 1, Do: sim.Stall(0)}}}
			fixture.InBubble(t, cfg, func(t *testing.T, server *sim.Server) {
				c := simClientWith(t, server, nil, func(cfg *tickstorm.Config) { cfg.Queue.Inline = inline })
				running := fixture.Runs(t.Context(), c)
				time.Sleep(time.Second)
				require.EqualValues(t, 1, c.Stats().Messages, "the greeting")
				time.Sleep(time.Minute)
				require.EqualValues(t, 3, c.Stats().Messages, "that of the next one too")
				require.NoError(t, c.Close())
				require.NoError(t, <-running)
				require.EqualValues(t, 3, c.Stats().Messages)
			})
		})
	}
}

// TestStatsPrint: what is counted by cause or kind prints by name, alone and within Stats.
func TestStatsPrint(t *testing.T) {
	var s tickstorm.Stats
	for _, empty := range []any{s.Events, s.ErrorCauses, s.ErrorSamples, s.ReconnectCauses, s.Lag} {
		require.Equal(t, "none", fmt.Sprint(empty), "%T", empty)
	}
	s.Events[tickstorm.KindTrade], s.Events[tickstorm.KindStatus] = 12, 2
	s.ErrorCauses[tickstorm.CauseTooDeep] = 3
	s.ErrorSamples[tickstorm.CauseTooDeep] = "[\n"
	s.ReconnectCauses[tickstorm.ReconnectDial], s.ReconnectCauses[tickstorm.ReconnectIdle] = 5, 1
	s.Lag.Observe(64)
	s.Lag.Observe(64)
	s.Queue.DroppedBy = []tickstorm.ChannelCount{{Channel: "T", Count: 4}, {Count: 1}}
	for _, tc := range []struct {
		value any
		want  string
	}{
		{s.Events, "trade 12, status 2"},
		{s.ErrorCauses, "too deep 3"},
		{s.ErrorSamples, `too deep "[\n"`},
		{s.ReconnectCauses, "idle 1, dial 5"},
		{s.Lag, "2, mean 64ns, p50 64ns, p90 64ns, p99 64ns, p999 64ns, max 64ns"},
		{s.Queue.DroppedBy, "[T 4 other 1]"},
	} {
		require.Equal(t, tc.want, fmt.Sprint(tc.value))
		require.Equal(t, tc.want, fmt.Sprintf("%v", tc.value))
		require.Equal(t, tc.want, fmt.Sprintf("%+v", tc.value))
		require.Contains(t, fmt.Sprintf("%+v", s), tc.want)
		require.Contains(t, fmt.Sprintf("%+v", &s), tc.want)
	}
}

// TestStatsJSON is the form that Stats promises.
func TestStatsJSON(t *testing.T) {
	p := parserAt(tickstorm.Stocks, began)
	require.NoError(t, p.Parse([]byte("["+tradeAt(time.Second)+",7]"), nil))
	var got map[string]any
	text, err := json.Marshal(p.Stats())
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &got))
	require.EqualValues(t, 1, got["Messages"])
	require.Equal(t, map[string]any{"trade": 1.}, got["Events"])
	require.Equal(t, map[string]any{"not object": 1.}, got["ErrorCauses"])
	require.Equal(t, map[string]any{"not object": "7"}, got["ErrorSamples"])
	require.Equal(t, map[string]any{}, got["ReconnectCauses"])
	require.EqualValues(t, 1, got["Lag"].(map[string]any)["Count"])
}
