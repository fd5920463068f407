package tickstorm_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/frame"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// tradeMessageAt is a message of one trade that happened at a time.
func tradeMessageAt(symbol string, at time.Time) []byte {
	return fmt.Appendf(nil, `[{"ev":"T","sym":%q,"p":1.5,"s":100,"t":%d}]`, symbol, at.UnixMilli())
}

func TestGap(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		d := new(diary)
		c := simClient(t, server, d)
		require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A", "B", "C"))
		running := fixture.Runs(t.Context(), c)
		fixture.Settled(t, server, 1, 3)
		require.NoError(t, c.Unsubscribe(t.Context(), tickstorm.Trades, "B"))
		server.Broadcast(tradeMessageAt("A", time.Now().Add(-time.Hour)))
		lastEvent, last := time.Now().Add(-15*time.Millisecond), time.Now()
		server.Broadcast(tradeMessageAt("A", lastEvent))
		synctest.Wait()
		time.Sleep(time.Minute)
		server.Conns()[0].Cut()
		synctest.Wait()
		c.Withdraw(nil, fixture.Topics(t, "T.C")...)
		c.Request(nil, fixture.Topics(t, "T.D")...)
		fixture.Settled(t, server, 2, 2)
		require.Empty(t, d.gaps, "its end has not come yet")
		time.Sleep(900 * time.Millisecond)
		firstEvent, first := time.Now().Add(-7*time.Millisecond), time.Now()
		server.Broadcast(tradeMessageAt("B", firstEvent))
		server.Broadcast(tradeMessageAt("C", time.Now()))
		time.Sleep(time.Minute)
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
		require.Equal(t, "connecting, authenticating, subscribing, streaming, A, A, "+
			"backoff, connecting, authenticating, subscribing, streaming, gap, B, C, closed", d.text())
		gap := d.gaps[0]
		require.Equal(t, tickstorm.Stocks, gap.Market)
		require.True(t, gap.From.Event.Equal(lastEvent.Truncate(time.Millisecond)), "%v, not %v", gap.From.Event, lastEvent)
		require.True(t, gap.From.Received.Equal(last))
		require.True(t, gap.To.Event.Equal(firstEvent.Truncate(time.Millisecond)), "%v, not %v", gap.To.Event, firstEvent)
		require.True(t, gap.To.Received.Equal(first))
		require.Equal(t, "T.A", fixture.Listed(gap.Topics), "what was there before and is still wanted")
		require.ErrorIs(t, gap.Cause, tickstorm.ErrDisconnected)
		require.Equal(t, 1, gap.Attempt)
		require.Contains(t, gap.String(), "on stocks from")
	})
}

// TestGapPast: what a relay sends of the past, once it is connected again, belongs to the gap: that of a topic ends
// with the first event behind the piece that says that the topic is live.
func TestGapPast(t *testing.T) {
	at := func(symbol string, ago time.Duration) string {
		return strings.Trim(string(tradeMessageAt(symbol, time.Now().Add(-ago))), "[]")
	}
	piece := func(kind, begin, end string) string {
		return fixture.Status(kind+"_begin", begin) + "," + at("P", time.Hour) + "," + fixture.Status(kind+"_end", "events=1 next="+end)
	}
	snapshot := func(topics, next string) string { return piece("snapshot", "topics="+topics, next) }
	history := func(topics, next string) string { return piece("history", "from=1 topics="+topics, next) }
	many := strings.TrimSuffix(strings.Repeat("T.X,", 100), ",")
	type gap struct {
		topics   string
		received time.Duration // when it ends, from when the topics were answered
		event    bool          // an event ends it
		since    time.Duration // when it begins, from then; 0 is what was live last before the connection broke
	}
	for _, tc := range []struct {
		name  string
		do    func(send func(after time.Duration, elements ...string))
		lines string
		gaps  []gap
		next  bool // what is not told yet is told behind the next connection, as this one breaks
	}{
		{
			name: "a snapshot",
			do: func(send func(time.Duration, ...string)) {
				send(0, snapshot("T.A,T.B", "live"))
				send(time.Millisecond, "A")
				send(time.Millisecond, "B")
			},
			lines: "P, gap, A, B", gaps: []gap{{"T.A,T.B", time.Millisecond, true, 0}},
		},
		{
			name: "in the same read",
			do: func(send func(time.Duration, ...string)) {
				send(0, snapshot("T.A,T.B", "live"))
				send(0, "A", "B")
			},
			lines: "P, gap, A, B", gaps: []gap{{"T.A,T.B", 0, true, 0}},
		},
		{
			name: "a snapshot in pieces, slow ones",
			do: func(send func(time.Duration, ...string)) {
				send(900*time.Millisecond, snapshot("T.A,T.B", "snapshot"))
				for range 3 {
					send(3*time.Second, snapshot("T.A,T.B", "snapshot"))
				}
				send(time.Second, snapshot("T.A,T.B", "live"))
				send(100*time.Millisecond, "A")
			},
			lines: "P, P, P, P, P, gap, A", gaps: []gap{{"T.A,T.B", 11 * time.Second, true, 0}},
		},
		{
			name: "a history of many topics, which are not all named",
			do: func(send func(time.Duration, ...string)) {
				send(0, history(many, "history"))
				send(2*time.Second, history(many, "live"))
				send(time.Millisecond, "A")
			},
			lines: "P, P, gap, A", gaps: []gap{{"T.A,T.B", 2*time.Second + time.Millisecond, true, 0}},
		},
		{
			name: "one topic after the other, in another spelling",
			do: func(send func(time.Duration, ...string)) {
				send(0, snapshot("T.a", "live"))
				send(time.Millisecond, "A", at("A", 0))
				send(time.Millisecond, "A")
				send(time.Millisecond, snapshot("T.b", "live"))
				send(time.Millisecond, "A")
				send(time.Millisecond, "B")
			},
			lines: "P, gap, A, A, A, P, gap, A, B", gaps: []gap{{"T.A", time.Millisecond, true, 0}, {"T.B", 4 * time.Millisecond, true, 0}},
		},
		{
			name: "a history of one while the other is live",
			do: func(send func(time.Duration, ...string)) {
				send(0, snapshot("T.B", "live"))
				send(time.Millisecond, history("T.A", "history"))
				send(time.Second, "B")
				send(time.Second, fixture.Status("dropped", "1 events"), "B")
				send(time.Second, "B")
				send(time.Second, history("T.A", "live"))
				send(time.Second/2, fixture.Status("dropped", "1 events"))
				send(time.Second/4, fixture.Status("dropped", "1 events"), "B")
			},
			lines: "P, P, gap, B, B, B, P, gap, B",
			gaps:  []gap{{"T.B", time.Second + time.Millisecond, true, 0}, {"T.A", 4*time.Second + 751*time.Millisecond, true, 0}},
		},
		{
			name: "nothing comes behind it",
			do: func(send func(time.Duration, ...string)) {
				send(300*time.Millisecond, snapshot("T.A", "live"))
				send(300*time.Millisecond, snapshot("T.B", "live"))
				send(1500*time.Millisecond, "A")
			},
			lines: "P, P, gap, A", gaps: []gap{{"T.A,T.B", 600 * time.Millisecond, false, 0}},
		},
		{
			name: "one topic is never sent",
			do: func(send func(time.Duration, ...string)) {
				send(0, snapshot("T.A", "live"))
				send(300*time.Millisecond, "A")
				send(300*time.Millisecond, "A")
				send(1500*time.Millisecond, "B")
			},
			lines: "P, gap, A, A, gap, B", gaps: []gap{{"T.A", 300 * time.Millisecond, true, 0}, {"T.B", 600 * time.Millisecond, false, 0}},
		},
		{
			name: "its end is lost",
			do: func(send func(time.Duration, ...string)) {
				send(0, fixture.Status("history_begin", "from=1 topics=T.A,T.B"), at("P", time.Hour))
				send(time.Millisecond, "A")
			},
			lines: "P, gap, A", gaps: []gap{{"T.A,T.B", time.Millisecond, true, 0}},
		},
		{
			name: "it never ends",
			do: func(send func(time.Duration, ...string)) {
				send(0, snapshot("T.A,T.B", "snapshot"))
				send(time.Millisecond, at("P", 0)) // nobody has asked for it
			},
			lines: "P, P", gaps: []gap{{"T.A,T.B", 0, true, 0}}, next: true,
		},
		{
			name: "it never ends for one",
			do: func(send func(time.Duration, ...string)) {
				send(0, snapshot("T.A", "live"))
				send(0, snapshot("T.B", "snapshot"))
				send(time.Millisecond, "A")
			},
			lines: "P, P, gap, A", gaps: []gap{{"T.A", time.Millisecond, true, 0}, {"T.B", 0, true, 0}, {"T.A", 0, true, time.Millisecond}}, next: true,
		},
		{
			name: "one is withdrawn in the middle of it",
			do: func(send func(time.Duration, ...string)) {
				send(0, snapshot("T.A,T.B", "snapshot"))
				send(time.Second, fixture.Status("withdrawn", "withdrawn: T.a"))
				send(time.Second, snapshot("T.B", "live"))
				send(time.Second/2, "B")
				send(time.Second/2, "B")
			},
			lines: "P, P, gap, B, B", gaps: []gap{{"T.A,T.B", 2500 * time.Millisecond, true, 0}, {"T.A,T.B", 0, true, 3 * time.Second}}, next: true,
		},
		{
			name: "one is withdrawn before its turn",
			do: func(send func(time.Duration, ...string)) {
				send(0, snapshot("T.B", "snapshot"))
				send(time.Second, fixture.Status("withdrawn", "withdrawn: T.A"))
				send(time.Second, snapshot("T.B", "live"))
				send(time.Second/2, "B")
			},
			lines: "P, P, gap, B", gaps: []gap{{"T.A,T.B", 2500 * time.Millisecond, true, 0}},
		},
		{
			name: "one is withdrawn in the middle of it, when another is live",
			do: func(send func(time.Duration, ...string)) {
				send(0, snapshot("T.B", "live"))
				send(0, snapshot("T.A", "snapshot"))
				send(time.Second, "B")
				send(time.Second, fixture.Status("withdrawn", "withdrawn: T.A"))
				send(time.Second/2, "B")
			},
			lines: "P, P, gap, B, gap, B", gaps: []gap{{"T.B", time.Second, true, 0}, {"T.A", 2500 * time.Millisecond, true, 0}},
		},
	} {
		for queue, qc := range map[string]tickstorm.QueueConfig{"inline": {Inline: true}, "queue": {}} {
			t.Run(tc.name+", "+queue, func(t *testing.T) {
				fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
					d := new(diary)
					c := simClientWith(t, server, d, func(cfg *tickstorm.Config) { cfg.Queue = qc })
					require.NoError(t, c.SubscribeTopics(t.Context(), fixture.Topics(t, "T.A,T.B")...))
					running := fixture.Runs(t.Context(), c)
					fixture.Settled(t, server, 1, 2)
					last := time.Now()
					server.Broadcast(tradeMessageAt("A", last))
					synctest.Wait()
					time.Sleep(time.Minute)
					server.Conns()[0].Cut()
					fixture.Settled(t, server, 2, 2)
					answered := time.Now()
					tc.do(func(after time.Duration, elements ...string) {
						time.Sleep(after)
						for i, e := range elements {
							if len(e) == 1 { // a symbol: something live, that can end a gap
								elements[i] = at(e, 7*time.Millisecond)
							}
						}
						server.Broadcast([]byte("[" + strings.Join(elements, ",") + "]"))
						synctest.Wait()
					})
					time.Sleep(time.Minute)
					synctest.Wait()
					require.True(t, strings.HasSuffix(d.text(), "streaming, "+tc.lines), "%s, not %s", d.text(), tc.lines)
					check := func(told int, began time.Time) {
						for i, got := range d.gaps[told:] {
							want, from := tc.gaps[told+i], last
							if want.since != 0 {
								from = answered.Add(want.since)
							}
							require.Equal(t, want.topics, fixture.Listed(got.Topics))
							require.True(t, got.From.Received.Equal(from), "%d: the last that was live", i)
							end := began.Add(want.received)
							require.True(t, got.To.Received.Equal(end), "%d: %v after %v", i, got.To.Received.Sub(began), want.received)
							if !want.event {
								require.Zero(t, got.To.Event, i)
								continue
							}
							event := end.Add(-7 * time.Millisecond).Truncate(time.Millisecond)
							require.True(t, got.To.Event.Equal(event), "%d: %v, not %v", i, got.To.Event, event)
						}
					}
					check(0, answered)
					told := len(d.gaps)
					if tc.next {
						server.Conns()[0].Cut()
						fixture.Settled(t, server, 3, 2)
						server.Broadcast([]byte("[" + at("A", 7*time.Millisecond) + "]"))
						synctest.Wait()
						check(told, time.Now())
					}
					require.Len(t, d.gaps, len(tc.gaps))
					require.NoError(t, c.Close())
					require.NoError(t, <-running)
				})
			})
		}
	}
}

// brokenOff is a client that asks for topics one by one, of which all were live when its connection broke, and none
// is acknowledged on the next one. end ends it.
func brokenOff(t *testing.T, server *sim.Server, topics ...string) (d *diary, end func()) {
	t.Helper()
	d = new(diary)
	c := simClientWith(t, server, d, func(cfg *tickstorm.Config) { cfg.ChunkTopics = 1 })
	require.NoError(t, c.SubscribeTopics(t.Context(), fixture.Topics(t, strings.Join(topics, ","))...))
	running := fixture.Runs(t.Context(), c)
	fixture.Settled(t, server, 1, 1)
	acked(t, server, topics...)
	server.Broadcast(tradeMessageAt("A", time.Now()))
	synctest.Wait()
	server.Conns()[0].Cut()
	fixture.Settled(t, server, 2, 1)
	return d, func() {
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
	}
}

// TestGapPastOthers: the end of a history that does not name all of its topics is not that of a topic that was acknowledged
// when it had begun: its own past comes behind that.
func TestGapPastOthers(t *testing.T) {
	fixture.InBubble(t, sim.Config{Quiet: true, Acks: sim.AckNothing}, func(t *testing.T, server *sim.Server) {
		d, end := brokenOff(t, server, "T.A", "T.B", "T.C")
		defer end()
		piece := func(topics, next string) {
			time.Sleep(10 * time.Millisecond)
			server.Broadcast([]byte("[" + fixture.Status("history_begin", "from=1 topics="+topics) + "," + fixture.Status("history_end", "to=1 events=0 next="+next) + "]"))
			synctest.Wait()
		}
		trade := func() time.Time {
			time.Sleep(10 * time.Millisecond)
			at := time.Now()
			server.Broadcast(tradeMessageAt("A", at))
			synctest.Wait()
			return at
		}
		many := strings.TrimSuffix(strings.Repeat("T.X,", 100), ",")
		acked(t, server, "T.A", "T.B")
		piece(many, "history")
		acked(t, server, "T.C")
		piece(many, "history")
		piece("T.B", "live") // which overtakes it, and begins again
		piece("T.B", "history")
		piece(many, "live")
		trade()
		require.Len(t, d.gaps, 1)
		require.Equal(t, "T.A", fixture.Listed(d.gaps[0].Topics))
		piece("T.B,T.C", "history")
		trade()
		require.Len(t, d.gaps, 1)
		piece("T.B,T.C", "live")
		live := trade()
		require.Len(t, d.gaps, 2)
		require.Equal(t, "T.B,T.C", fixture.Listed(d.gaps[1].Topics))
		require.True(t, d.gaps[1].To.Event.Equal(live.Truncate(time.Millisecond)))
	})
}

// TestGapPastBounded: what a server names that nobody has asked for is not kept.
func TestGapPastBounded(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		c := simClientWith(t, server, tickstorm.NopHandler{}, func(cfg *tickstorm.Config) { cfg.Queue.Inline = true })
		require.NoError(t, c.SubscribeTopics(t.Context(), fixture.Topics(t, "T.A,T.B")...))
		running := fixture.Runs(t.Context(), c)
		fixture.Settled(t, server, 1, 2)
		server.Broadcast(tradeMessageAt("A", time.Now()))
		synctest.Wait()
		server.Conns()[0].Cut()
		fixture.Settled(t, server, 2, 2)
		heap := func() int {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return int(m.HeapAlloc)
		}
		before := heap()
		for i := range 200 {
			var names strings.Builder
			for n := range 1000 {
				fmt.Fprintf(&names, "T.S%d,", i*1000+n)
			}
			server.Broadcast([]byte("[" + fixture.Status("history_begin", "from=1 topics="+names.String()+"T.A") + "," + fixture.Status("history_end", "to=1 events=0 next=history") + "]"))
			synctest.Wait()
		}
		require.Less(t, heap()-before, 4<<20)
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
	})
}

// TestGapPastUnsubscribed: the past of a topic that is not wanted any more is not waited for.
func TestGapPastUnsubscribed(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		d := new(diary)
		c := simClient(t, server, d)
		require.NoError(t, c.SubscribeTopics(t.Context(), fixture.Topics(t, "T.A,T.B,T.C")...))
		running := fixture.Runs(t.Context(), c)
		fixture.Settled(t, server, 1, 3)
		server.Broadcast(tradeMessageAt("A", time.Now()))
		synctest.Wait()
		server.Conns()[0].Cut()
		fixture.Settled(t, server, 2, 3)
		piece := func(topics, next string) {
			server.Broadcast([]byte("[" + fixture.Status("snapshot_begin", "topics="+topics) + "," + fixture.Status("snapshot_end", "events=0 next="+next) + "]"))
			synctest.Wait()
		}
		trade := func() {
			server.Broadcast(tradeMessageAt("B", time.Now()))
			synctest.Wait()
		}
		piece("T.B", "live")
		piece("T.A,T.C", "snapshot")
		trade()
		piece("T.C", "live")
		trade()
		require.Len(t, d.gaps, 1)
		require.NoError(t, c.Unsubscribe(t.Context(), tickstorm.Trades, "A"))
		end := time.Now()
		trade()
		require.Len(t, d.gaps, 2)
		require.Equal(t, "T.C", fixture.Listed(d.gaps[1].Topics))
		require.True(t, d.gaps[1].To.Event.Equal(end.Truncate(time.Millisecond)))
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
	})
}

// TestGapPastLate: a topic that was answered late is not live before what a relay sends of the past of it has ended.
func TestGapPastLate(t *testing.T) {
	fixture.InBubble(t, sim.Config{Quiet: true, Acks: sim.AckNothing}, func(t *testing.T, server *sim.Server) {
		d, end := brokenOff(t, server, "T.A", "T.B")
		defer end()
		send := func(elements ...string) {
			server.Broadcast([]byte("[" + strings.Join(elements, ",") + "]"))
			synctest.Wait()
			time.Sleep(10 * time.Millisecond)
		}
		past := func(topic, next string) []string {
			return []string{fixture.Status("snapshot_begin", "topics="+topic), fixture.Status("snapshot_end", "events=0 next="+next)}
		}
		trade := func() string { return strings.Trim(string(tradeMessageAt("A", time.Now())), "[]") }
		acked(t, server, "T.A")
		send(past("T.A", "live")...)
		send(trade())
		send(fixture.Status("success", "subscribed to: T.B"), trade()) // which was on its way
		require.Len(t, d.gaps, 1)
		send(past("T.B", "snapshot")...)
		send(trade())
		send(past("T.B", "live")...)
		require.Len(t, d.gaps, 1)
		live := time.Now()
		send(trade())
		require.Len(t, d.gaps, 2)
		require.Equal(t, "T.B", fixture.Listed(d.gaps[1].Topics))
		require.True(t, d.gaps[1].To.Received.Equal(live), "%v", d.gaps[1].To.Received.Sub(live))
	})
}

// TestGapQuiet: where nothing comes after a gap, its end is when the topics were answered.
func TestGapQuiet(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		d := new(diary)
		c := simClient(t, server, d)
		require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A"))
		running := fixture.Runs(t.Context(), c)
		fixture.Settled(t, server, 1, 1)
		time.Sleep(time.Second)
		server.Conns()[0].Cut()
		fixture.Settled(t, server, 2, 1)
		end := time.Now()
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(t, d.gaps, 1)
		require.True(t, d.gaps[0].To.Received.Equal(end))
		require.True(t, d.gaps[0].To.Event.IsZero())
		require.True(t, d.gaps[0].From.Event.IsZero(), "there was none")
		server.Broadcast(tradeMessageAt("A", time.Now()))
		synctest.Wait()
		require.Len(t, d.gaps, 1, "it is told once")
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
	})
}

// TestGapGoesOn: connections that break before they deliver anything make one gap.
func TestGapGoesOn(t *testing.T) {
	cfg := sim.Config{Quiet: true, Faults: []sim.Fault{
		{At: sim.OnAccept, Conn: 2, Do: sim.Cut()},
		{At: sim.OnAuth, Conn: 3, Do: sim.Drop()},
		{At: sim.OnSubscribe, Conn: 4, Do: sim.Drop()},
	}}
	fixture.InBubble(t, cfg, func(t *testing.T, server *sim.Server) {
		d := new(diary)
		c := simClient(t, server, d)
		require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A"))
		running := fixture.Runs(t.Context(), c)
		fixture.Settled(t, server, 1, 1)
		last := time.Now()
		server.Broadcast(tradeMessageAt("A", last))
		synctest.Wait()
		server.Conns()[0].Kick(1001, "restart")
		fixture.Settled(t, server, 5, 1)
		server.Broadcast(tradeMessageAt("A", time.Now()))
		synctest.Wait()
		require.Len(t, d.gaps, 1)
		gap := d.gaps[0]
		require.True(t, gap.From.Received.Equal(last))
		require.Equal(t, 4, gap.Attempt)
		var closed *frame.CloseError
		require.ErrorAs(t, gap.Cause, &closed, "of the connection that was lost, not of the attempts")
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
	})
}

// TestGapNone: where nothing was missed nothing is told.
func TestGapNone(t *testing.T) {
	for _, tc := range []struct {
		name   string
		faults []sim.Fault
		topics string
	}{
		{"the first connections fail", []sim.Fault{{At: sim.OnAccept, Times: 2, Do: sim.Cut()}, {At: sim.OnSubscribe, Conn: 3, Do: sim.Cut()}}, "T.A"},
		{"nothing was wanted", []sim.Fault{{At: sim.OnStreaming, Conn: 1, Do: sim.Cut()}}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fixture.InBubble(t, sim.Config{Quiet: true, Faults: tc.faults}, func(t *testing.T, server *sim.Server) {
				d := new(diary)
				c := simClient(t, server, d)
				c.Request(nil, fixture.Topics(t, tc.topics)...)
				running := fixture.Runs(t.Context(), c)
				time.Sleep(time.Minute)
				if tc.topics == "" {
					server.Conns()[0].Cut()
					time.Sleep(time.Minute)
				}
				server.Broadcast(tradeMessageAt("A", time.Now()))
				time.Sleep(time.Minute)
				require.NoError(t, c.Close())
				require.NoError(t, <-running)
				require.Empty(t, d.gaps)
				require.Contains(t, d.lines, "A")
			})
		})
	}
}

// TestGapRaw: who takes messages and not events is told before the first message.
func TestGapRaw(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		d := &rawDiary{}
		c := simClient(t, server, d)
		require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A"))
		running := fixture.Runs(t.Context(), c)
		fixture.Settled(t, server, 1, 1)
		server.Broadcast(tradeMessageAt("A", time.Now()))
		synctest.Wait()
		server.Conns()[0].Cut()
		fixture.Settled(t, server, 2, 1)
		d.lines = nil
		server.Broadcast(tradeMessageAt("A", time.Now()))
		synctest.Wait()
		require.Equal(t, "gap, message", d.text())
		require.False(t, d.gaps[0].To.Event.IsZero())
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
	})
}

type rawDiary struct{ diary }

func (d *rawDiary) OnRaw([]byte, int64) bool {
	d.lines = append(d.lines, "message")
	return false
}

// missed runs a client whose first connection breaks; test gets it when the second one
// is up and nothing has come of it.
func missed(t *testing.T, beside bool, d tickstorm.Handler, fetch tickstorm.Backfill, test func(t *testing.T, c *tickstorm.Client, server *sim.Server, running <-chan error)) {
	t.Helper()
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		cfg := server.ClientConfig(tickstorm.Stocks)
		cfg.Backfill, cfg.BackfillBeside = fetch, beside
		c := fixture.NewClient(t, cfg, d)
		require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A"))
		running := fixture.Runs(t.Context(), c)
		fixture.Settled(t, server, 1, 1)
		server.Broadcast(tradeMessageAt("A", time.Now()))
		synctest.Wait()
		server.Conns()[0].Cut()
		fixture.Settled(t, server, 2, 1)
		test(t, c, server, running)
		require.NoError(t, c.Close())
	})
}

func TestBackfillInOrder(t *testing.T) {
	d := new(diary)
	var late func([]byte) error
	fetch := func(ctx context.Context, gap *tickstorm.Gap, deliver func([]byte) error) error {
		late = deliver
		require.Equal(t, d.gaps[0], gap)
		time.Sleep(time.Second)
		require.NoError(t, deliver([]byte("["+fixture.Trade("X")+","+fixture.Trade("Y")+"]")))
		require.ErrorIs(t, deliver([]byte("no")), tickstorm.ErrNotArray)
		require.NoError(t, deliver([]byte("["+fixture.Trade("Z")+"]")))
		return nil
	}
	missed(t, false, d, fetch, func(t *testing.T, c *tickstorm.Client, server *sim.Server, running <-chan error) {
		d.lines = nil
		server.Broadcast(tradeMessageAt("B", time.Now()))
		server.Broadcast(tradeMessageAt("C", time.Now()))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(t, "gap, X again, Y again, Z again, B, C", d.text())
		require.ErrorIs(t, late([]byte("["+fixture.Trade("X")+"]")), tickstorm.ErrClosed)
		require.EqualValues(t, 3, c.Stats().Events[tickstorm.KindTrade], "backfilled events are not counted")
	})
}

func TestBackfillBeside(t *testing.T) {
	d := new(diary)
	var more chan string
	fetch := func(ctx context.Context, _ *tickstorm.Gap, deliver func([]byte) error) error {
		for symbol := range more {
			if err := deliver([]byte("[" + fixture.Trade(symbol) + "]")); err != nil {
				return err
			}
		}
		return nil
	}
	missed(t, true, d, fetch, func(t *testing.T, c *tickstorm.Client, server *sim.Server, running <-chan error) {
		d.lines, more = nil, make(chan string)
		server.Broadcast(tradeMessageAt("B", time.Now()))
		synctest.Wait()
		more <- "X"
		synctest.Wait()
		server.Broadcast(tradeMessageAt("C", time.Now()))
		synctest.Wait()
		more <- "Y"
		synctest.Wait()
		require.Equal(t, "gap, B, X again, C, Y again", d.text())

		server.Conns()[0].Cut() // it goes on while there is no connection
		synctest.Wait()
		require.Equal(t, tickstorm.StateBackoff, c.State())
		more <- "Z"
		synctest.Wait()
		require.Equal(t, tickstorm.StateBackoff, c.State())
		require.Contains(t, d.lines, "Z again")
		close(more)
	})
}

// TestBackfillBesideWhileDialling: what comes while a connection is made waits for it
// where the same goroutine does both, and else does not.
func TestBackfillBesideWhileDialling(t *testing.T) {
	t.Run("inline", func(t *testing.T) { testBackfillBesideWhileDialling(t, true) })
	t.Run("queue", func(t *testing.T) { testBackfillBesideWhileDialling(t, false) })
}

func testBackfillBesideWhileDialling(t *testing.T, inline bool) {
	cfg := sim.Config{Quiet: true, Faults: []sim.Fault{{At: sim.OnGreeting, Conn: 3, Do: sim.Stall(10 * time.Second)}}}
	fixture.InBubble(t, cfg, func(t *testing.T, server *sim.Server) {
		cfg := server.ClientConfig(tickstorm.Stocks)
		cfg.Queue.Inline = inline
		cfg.BackfillBeside = true
		more := make(chan struct{})
		cfg.Backfill = func(_ context.Context, _ *tickstorm.Gap, deliver func([]byte) error) error {
			<-more
			return deliver([]byte("[" + fixture.Trade("X") + "]"))
		}
		d := new(diary)
		c := fixture.NewClientAsIs(t, cfg, d)
		require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A"))
		running := fixture.Runs(t.Context(), c)
		fixture.Settled(t, server, 1, 1)
		server.Conns()[0].Cut()
		fixture.Settled(t, server, 2, 1)
		server.Broadcast(tradeMessageAt("B", time.Now()))
		synctest.Wait()
		server.Conns()[0].Cut()
		require.NoError(t, server.Await(t.Context(), func(s sim.Stats) bool { return s.Opened == 3 }))
		synctest.Wait()
		close(more)
		synctest.Wait()
		require.Equal(t, tickstorm.StateAuthenticating, c.State())
		fixture.Settled(t, server, 3, 1)
		require.Contains(t, d.text(), "authenticating, X again, subscribing")
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
	})
}

// TestBackfillFails: the handler is told, the client goes on.
func TestBackfillFails(t *testing.T) {
	for _, beside := range []bool{false, true} {
		d := new(diary)
		failure := errors.New("no such data for " + sim.Key)
		fetch := func(context.Context, *tickstorm.Gap, func([]byte) error) error { return failure }
		var told error
		h := &errorDiary{diary: d, onError: func(e *tickstorm.EventError) { told = e.Err }}
		missed(t, beside, h, fetch, func(t *testing.T, c *tickstorm.Client, server *sim.Server, running <-chan error) {
			server.Broadcast(tradeMessageAt("B", time.Now()))
			synctest.Wait()
			var e *tickstorm.BackfillError
			require.ErrorAs(t, told, &e)
			require.Equal(t, d.gaps[0], e.Gap)
			require.ErrorIs(t, told, failure)
			require.NotContains(t, told.Error(), sim.Key)
			require.Equal(t, told.Error(), (&tickstorm.EventError{Err: told}).Error())
			require.Equal(t, "B", d.lines[len(d.lines)-1])
			require.Equal(t, tickstorm.StateStreaming, c.State())
		})
	}
}

type errorDiary struct {
	*diary
	onError func(*tickstorm.EventError)
}

func (d *errorDiary) OnError(e *tickstorm.EventError) { d.onError(e) }

// TestBackfillClose: Close ends a backfill at work, which may not deliver any more.
func TestBackfillClose(t *testing.T) {
	for _, beside := range []bool{false, true} {
		ended := false
		d := new(diary)
		fetch := func(ctx context.Context, _ *tickstorm.Gap, deliver func([]byte) error) error {
			<-ctx.Done()
			require.ErrorIs(t, deliver([]byte("["+fixture.Trade("X")+"]")), tickstorm.ErrClosed)
			ended = true
			return ctx.Err()
		}
		missed(t, beside, d, fetch, func(t *testing.T, c *tickstorm.Client, server *sim.Server, running <-chan error) {
			server.Broadcast(tradeMessageAt("B", time.Now()))
			synctest.Wait()
			start := time.Now()
			require.NoError(t, c.Close())
			require.NoError(t, <-running)
			require.Zero(t, time.Since(start))
			require.True(t, ended)
			require.NotContains(t, d.text(), "again")
			require.NotContains(t, d.text(), "backfill of", "who closes is told no error")
		})
	}
}

// TestBackfillCancel: so does Run's context.
func TestBackfillCancel(t *testing.T) {
	for _, beside := range []bool{false, true} {
		fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cfg := server.ClientConfig(tickstorm.Stocks)
			cfg.BackfillBeside = beside
			cfg.Backfill = func(ctx context.Context, _ *tickstorm.Gap, _ func([]byte) error) error {
				time.AfterFunc(time.Minute, cancel)
				<-ctx.Done()
				return ctx.Err()
			}
			d := new(diary)
			c := fixture.NewClient(t, cfg, d)
			require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A"))
			running := fixture.Runs(ctx, c)
			fixture.Settled(t, server, 1, 1)
			server.Conns()[0].Cut()
			fixture.Settled(t, server, 2, 1)
			time.Sleep(time.Second) // then nothing has come, and the gap is told
			synctest.Wait()
			start := time.Now()
			require.ErrorIs(t, <-running, context.Canceled)
			require.Equal(t, time.Minute, time.Since(start))
			require.Equal(t, tickstorm.StateClosed.String(), d.lines[len(d.lines)-1])
			<-serverEmpty(t, server)
		})
	}
}

// TestBackfillDeaf: one that does not mind its context holds Run up, not Close.
func TestBackfillDeaf(t *testing.T) {
	for _, beside := range []bool{false, true} {
		var release chan struct{}
		fetch := func(context.Context, *tickstorm.Gap, func([]byte) error) error {
			<-release
			return nil
		}
		missed(t, beside, new(diary), fetch, func(t *testing.T, c *tickstorm.Client, server *sim.Server, running <-chan error) {
			release = make(chan struct{})
			server.Broadcast(tradeMessageAt("B", time.Now()))
			synctest.Wait()
			start := time.Now()
			require.ErrorIs(t, c.Close(), tickstorm.ErrHandlerBusy)
			require.LessOrEqual(t, time.Since(start), 5*time.Second)
			<-serverEmpty(t, server)
			require.Empty(t, running)
			close(release)
			require.NoError(t, <-running)
		})
	}
}

// TestBackfillBusy: backfills that do not end are bounded in number.
func TestBackfillBusy(t *testing.T) {
	d := new(diary)
	fetch := func(ctx context.Context, _ *tickstorm.Gap, _ func([]byte) error) error {
		<-ctx.Done()
		return ctx.Err()
	}
	var failures []error
	h := &errorDiary{diary: d, onError: func(e *tickstorm.EventError) { failures = append(failures, e.Err) }}
	missed(t, true, h, fetch, func(t *testing.T, c *tickstorm.Client, server *sim.Server, running <-chan error) {
		for n := 3; n < 12; n++ {
			server.Broadcast(tradeMessageAt("B", time.Now()))
			synctest.Wait()
			server.Conns()[0].Cut()
			fixture.Settled(t, server, n, 1)
		}
		require.Len(t, d.gaps, 9)
		require.Len(t, failures, 1)
		require.ErrorIs(t, failures[0], tickstorm.ErrBackfillBusy)
	})
}

// TestBackfillFromOtherGoroutines: what is delivered in order may come from several, and
// inside a handler from none.
func TestBackfillFromOtherGoroutines(t *testing.T) {
	for _, beside := range []bool{false, true} {
		var again func([]byte) error
		fetch := func(_ context.Context, _ *tickstorm.Gap, deliver func([]byte) error) error {
			again = deliver
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() { require.NoError(t, deliver([]byte("["+fixture.Trade("X")+","+fixture.Trade("Y")+"]"))) })
			}
			all.Wait()
			return deliver([]byte("[" + fixture.Trade("Z") + "]"))
		}
		var inside []error
		d := new(diary)
		h := &tradeDiary{d, func(e *tickstorm.Trade) {
			if e.Symbol == "Z" {
				inside = append(inside, again([]byte("["+fixture.Trade("W")+"]")))
			}
		}}
		missed(t, beside, h, fetch, func(t *testing.T, c *tickstorm.Client, server *sim.Server, running <-chan error) {
			d.lines = nil
			server.Broadcast(tradeMessageAt("B", time.Now()))
			synctest.Wait()
			require.Contains(t, d.text(), "X again, Y again, X again, Y again, X again, Y again, X again, Y again, Z again")
			require.NotContains(t, d.text(), "W")
			require.Len(t, inside, 1)
			require.ErrorIs(t, inside[0], tickstorm.ErrInHandler)
		})
	}
}

type tradeDiary struct {
	*diary
	do func(*tickstorm.Trade)
}

func (d *tradeDiary) OnTrade(e *tickstorm.Trade) {
	d.diary.OnTrade(e)
	d.do(e)
}

// TestBackfillPanicsElsewhere: a handler that panics on a goroutine of the backfill's ends
// Run as any other does.
func TestBackfillPanicsElsewhere(t *testing.T) {
	fetch := func(_ context.Context, _ *tickstorm.Gap, deliver func([]byte) error) error {
		return <-fixture.InBackground(func() error { return deliver([]byte(`[{"ev":"nonsense"}]`)) })
	}
	missed(t, false, &unknownPanics{new(diary)}, fetch, func(t *testing.T, c *tickstorm.Client, server *sim.Server, running <-chan error) {
		server.Broadcast(tradeMessageAt("B", time.Now()))
		requirePanic(t, <-running)
	})
}

// TestGapLateTopics: topics that are asked for after the first event are missed until they are
// answered, and in the next gap where the connection breaks before.
func TestGapLateTopics(t *testing.T) {
	for i := range 4 {
		inline, broken := i&1 == 1, i&2 == 2
		t.Run(fmt.Sprintf("inline %v, broken %v", inline, broken), func(t *testing.T) {
			fixture.InBubble(t, sim.Config{Quiet: true, Acks: sim.AckNothing}, func(t *testing.T, server *sim.Server) {
				d := new(diary)
				c := simClientWith(t, server, d, func(cfg *tickstorm.Config) { cfg.ChunkTopics, cfg.Queue.Inline = 1, inline })
				require.NoError(t, c.SubscribeTopics(t.Context(), fixture.Topics(t, "T.A,T.B")...))
				running := fixture.Runs(t.Context(), c)
				fixture.Settled(t, server, 1, 2)
				last := time.Now()
				server.Broadcast(tradeMessageAt("A", last))
				synctest.Wait()
				server.Conns()[0].Cut()
				fixture.Settled(t, server, 2, 1) // B is not asked for until A's time is up
				time.Sleep(time.Second)
				server.Broadcast(tradeMessageAt("A", time.Now()))
				live := time.Now()
				synctest.Wait()
				if broken {
					server.Conns()[0].Cut()
					fixture.Settled(t, server, 3, 2)
					server.Broadcast(tradeMessageAt("A", time.Now()))
				}
				time.Sleep(time.Minute)
				require.NoError(t, c.Close())
				require.NoError(t, <-running)
				require.Equal(t, "T.A", fixture.Listed(d.gaps[0].Topics))
				if broken {
					require.Len(t, d.gaps, 3)
					require.Equal(t, "T.A", fixture.Listed(d.gaps[2].Topics))
					require.True(t, d.gaps[2].From.Received.Equal(live), "it was live there")
				} else {
					require.Len(t, d.gaps, 2)
				}
				gap := d.gaps[1]
				require.True(t, gap.From.Received.Equal(last), "not since the connection in between")
				require.True(t, gap.From.Event.Equal(last), "%v", gap.From.Event)
				require.GreaterOrEqual(t, gap.To.Received.Sub(last), 10*time.Second)
				require.Equal(t, "T.B", fixture.Listed(gap.Topics))
			})
		})
	}
}

// TestGapLateEnd: the gap of topics that are answered late ends as any other does, with the
// first event after all are answered, and is told before that.
func TestGapLateEnd(t *testing.T) {
	ack := fixture.Status("success", "subscribed to: T.B")
	at := func(symbol string, ago time.Duration) string {
		return strings.Trim(string(tradeMessageAt(symbol, time.Now().Add(-ago))), "[]")
	}
	for _, tc := range []struct {
		name     string
		do       func(send func(elements ...string))
		event    time.Duration // how long before the last message, or before the answer; 0 for none
		received time.Duration // when the gap ends, after the first event
		lines    string        // after that
		queued   string        // the same behind a queue, if it differs
	}{
		{
			name: "the next message",
			do: func(send func(...string)) {
				send(ack)
				time.Sleep(300 * time.Millisecond)
				send(at("B", 7*time.Millisecond), at("C", time.Millisecond))
			},
			event: 7 * time.Millisecond, received: 300 * time.Millisecond, lines: "streaming, gap, B, C",
		},
		{
			name:  "none",
			do:    func(send func(...string)) { send(ack) },
			lines: "streaming, gap",
		},
		{
			name: "only events before",
			do: func(send func(...string)) {
				send(at("A", 0))
				send(at("C", 0), ack)
			},
			lines: "A, C, streaming, gap", queued: "A, C, streaming, gap",
		},
		{
			name:  "the message of the answer",
			do:    func(send func(...string)) { send(at("A", 0), ack, at("B", 7*time.Millisecond), at("C", 0)) },
			event: 7 * time.Millisecond, lines: "A, streaming, gap, B, C", queued: "A, B, C, streaming, gap",
		},
		{
			name: "an event without a time first",
			do: func(send func(...string)) {
				send(ack)
				send(`{"ev":"new"}`, `{"ev":"T","sym":"B"}`, at("C", 7*time.Millisecond), at("D", 0))
			},
			event: 7 * time.Millisecond, lines: "streaming, gap, B, C, D",
		},
		{
			name: "only events without a time",
			do: func(send func(...string)) {
				send(ack)
				time.Sleep(time.Millisecond)
				send(`{"ev":"T","sym":"B"}`)
				time.Sleep(time.Millisecond)
				send(at("C", 0))
			},
			received: time.Millisecond, lines: "streaming, gap, B, C",
		},
		{
			name: "never answered",
			do: func(send func(...string)) {
				time.Sleep(10*time.Second + 300*time.Millisecond)
				send(at("A", 7*time.Millisecond))
			},
			event: 7 * time.Millisecond, received: 10*time.Second + 300*time.Millisecond, lines: "streaming, gap, A",
		},
		{
			name: "too late",
			do: func(send func(...string)) {
				send(ack)
				time.Sleep(1500 * time.Millisecond)
				send(at("A", 7*time.Millisecond))
			},
			lines: "streaming, gap, A",
		},
		{
			name: "a second answer",
			do: func(send func(...string)) {
				send(ack, ack, at("B", 7*time.Millisecond), ack, at("C", 0))
			},
			event: 7 * time.Millisecond, lines: "streaming, gap, B, C", queued: "B, C, streaming, gap",
		},
	} {
		for queue, qc := range map[string]tickstorm.QueueConfig{
			"inline": {Inline: true}, "queue": {}, "conflating": {Overflow: tickstorm.OverflowConflate}, "two consumers": {Consumers: 2},
		} {
			t.Run(tc.name+", "+queue, func(t *testing.T) {
				fixture.InBubble(t, sim.Config{Quiet: true, Acks: sim.AckNothing}, func(t *testing.T, server *sim.Server) {
					d := new(diary)
					var h tickstorm.Handler = d
					if qc.Consumers > 1 {
						h = &firstShard{d}
					}
					c := simClientWith(t, server, h, func(cfg *tickstorm.Config) { cfg.ChunkTopics, cfg.Queue = 1, qc })
					require.NoError(t, c.SubscribeTopics(t.Context(), fixture.Topics(t, "T.A,T.B")...))
					running := fixture.Runs(t.Context(), c)
					fixture.Settled(t, server, 1, 1)
					acked(t, server, "T.A")
					last := time.Now()
					server.Broadcast(tradeMessageAt("A", last))
					synctest.Wait()
					server.Conns()[0].Cut()
					fixture.Settled(t, server, 2, 1)
					first := time.Now()
					server.Broadcast(tradeMessageAt("A", first))
					synctest.Wait()
					acked(t, server, "T.A")
					fixture.Settled(t, server, 2, 2)
					tc.do(func(elements ...string) {
						server.Broadcast([]byte("[" + strings.Join(elements, ",") + "]"))
						synctest.Wait()
					})
					time.Sleep(time.Minute)
					require.NoError(t, c.Close())
					require.NoError(t, <-running)
					require.Len(t, d.gaps, 2)
					require.Equal(t, "T.A", fixture.Listed(d.gaps[0].Topics))
					gap := d.gaps[1]
					require.Equal(t, "T.B", fixture.Listed(gap.Topics))
					require.True(t, gap.From.Received.Equal(last))
					end := first.Add(tc.received)
					require.True(t, gap.To.Received.Equal(end), "%v after %v", gap.To.Received.Sub(first), first)
					if tc.event == 0 {
						require.True(t, gap.To.Event.IsZero(), "%v", gap.To.Event)
					} else {
						want := end.Add(-tc.event).Truncate(time.Millisecond)
						require.True(t, gap.To.Event.Equal(want), "%v, not %v", gap.To.Event, want)
					}
					if qc.Consumers > 1 {
						return // which of them comes first is open
					}
					want := tc.lines
					if tc.queued != "" && !qc.Inline {
						want = tc.queued
					}
					want = "subscribing, gap, A, " + want + ", closed"
					require.True(t, strings.HasSuffix(d.text(), want), "%s, not %s", d.text(), want)
				})
			})
		}
	}
}

// firstShard keeps what is told beside the events.
type firstShard struct{ *diary }

func (h *firstShard) Shard(i, _ int) tickstorm.Handler {
	if i == 0 {
		return h.diary
	}
	return tickstorm.NopHandler{}
}

// TestGapLateBroken: where the connection breaks before an event has ended a gap of topics
// that were answered late, it goes on.
func TestGapLateBroken(t *testing.T) {
	for _, inline := range []bool{true, false} {
		t.Run(fmt.Sprintf("inline %v", inline), func(t *testing.T) {
			fixture.InBubble(t, sim.Config{Quiet: true, Acks: sim.AckNothing}, func(t *testing.T, server *sim.Server) {
				d := new(diary)
				c := simClientWith(t, server, d, func(cfg *tickstorm.Config) { cfg.ChunkTopics, cfg.Queue.Inline = 1, inline })
				require.NoError(t, c.SubscribeTopics(t.Context(), fixture.Topics(t, "T.A,T.B")...))
				running := fixture.Runs(t.Context(), c)
				fixture.Settled(t, server, 1, 1)
				acked(t, server, "T.A")
				last := time.Now()
				server.Broadcast(tradeMessageAt("A", last))
				synctest.Wait()
				server.Conns()[0].Cut()
				fixture.Settled(t, server, 2, 1)
				live := time.Now()
				server.Broadcast(tradeMessageAt("A", live))
				synctest.Wait()
				acked(t, server, "T.A", "T.B")
				require.Equal(t, tickstorm.StateStreaming, c.State())
				server.Conns()[0].Cut()
				fixture.Settled(t, server, 3, 1)
				acked(t, server, "T.A", "T.B")
				end := time.Now()
				server.Broadcast(tradeMessageAt("B", end))
				time.Sleep(time.Minute)
				require.NoError(t, c.Close())
				require.NoError(t, <-running)
				require.Len(t, d.gaps, 3)
				for i, from := range []time.Time{last, last, live} {
					gap := d.gaps[i]
					require.Equal(t, []string{"T.A", "T.B", "T.A"}[i], fixture.Listed(gap.Topics))
					require.True(t, gap.From.Event.Equal(from.Truncate(time.Millisecond)), i)
					require.Equal(t, []int{1, 2, 1}[i], gap.Attempt, i)
				}
				for _, gap := range d.gaps[1:] {
					require.True(t, gap.To.Event.Equal(end.Truncate(time.Millisecond)))
				}
			})
		})
	}
}

// acked has the server acknowledge topics, one message each.
func acked(t *testing.T, server *sim.Server, topics ...string) {
	t.Helper()
	for _, topic := range topics {
		require.NoError(t, server.Conns()[0].SendStatus("success", "subscribed to: "+topic))
		synctest.Wait()
	}
}

// TestGapBrokenEvents: what is no event has no time, neither before a gap nor after it.
func TestGapBrokenEvents(t *testing.T) {
	for _, inline := range []bool{true, false} {
		t.Run(fmt.Sprintf("inline %v", inline), func(t *testing.T) {
			fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
				d := new(diary)
				c := simClientWith(t, server, d, func(cfg *tickstorm.Config) { cfg.Queue.Inline = inline })
				require.NoError(t, c.SubscribeTopics(t.Context(), fixture.Topics(t, "T.A,Q.A")...))
				running := fixture.Runs(t.Context(), c)
				fixture.Settled(t, server, 1, 2)
				last := time.Now().Truncate(time.Millisecond)
				quote := fmt.Sprintf(`{"ev":"Q","sym":"A","t":%d}`, last.UnixMilli())
				sound := fmt.Sprintf(`{"ev":"T","sym":"A","p":1.5,"t":%d}`, last.Add(-time.Second).UnixMilli())
				broken := fmt.Sprintf(`{"ev":"T","sym":"A","p":1.5,"t":%d,"q":}`, last.Add(1000*time.Hour).UnixMilli())
				server.Broadcast([]byte("[" + quote + "," + sound + "," + broken + "]"))
				synctest.Wait()
				server.Conns()[0].Cut()
				fixture.Settled(t, server, 2, 2)
				server.Broadcast([]byte("[" + broken + "," + sound + "]"))
				time.Sleep(time.Minute)
				require.NoError(t, c.Close())
				require.NoError(t, <-running)
				require.Len(t, d.gaps, 1)
				require.True(t, d.gaps[0].From.Event.Equal(last), "%v", d.gaps[0].From.Event.Sub(last))
				require.True(t, d.gaps[0].To.Event.Equal(last.Add(-time.Second)), "%v", d.gaps[0].To.Event)
			})
		})
	}
}

// TestGapMoreTopics: what a connection in between was asked for is missed as well.
func TestGapMoreTopics(t *testing.T) {
	for _, kept := range []string{"T.A,T.B", "T.B"} {
		t.Run(kept, func(t *testing.T) {
			missed(t, false, new(diary), nil, func(t *testing.T, c *tickstorm.Client, server *sim.Server, running <-chan error) {
				d := new(diary)
				c.SetHandler(d)
				require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "B"))
				require.NoError(t, c.SetTopics(t.Context(), fixture.Topics(t, kept)...))
				server.Conns()[0].Cut()
				fixture.Settled(t, server, 3, strings.Count(kept, "T."))
				server.Broadcast(tradeMessageAt("B", time.Now()))
				synctest.Wait()
				require.Len(t, d.gaps, 1)
				require.Equal(t, kept, fixture.Listed(d.gaps[0].Topics))
			})
		})
	}
}

// TestGapUnanswered: what was acknowledged is missed also where other topics were not yet
// answered when the connection broke, and nothing had come.
func TestGapUnanswered(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		d := new(diary)
		c := simClient(t, server, d)
		c.Request(nil, fixture.Topics(t, "T.A,NEW.A")...)
		running := fixture.Runs(t.Context(), c)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, 1, c.Stats().AckedTopics)
		server.Conns()[0].Cut()
		time.Sleep(time.Minute)
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
		require.Len(t, d.gaps, 1)
		require.Contains(t, fixture.Listed(d.gaps[0].Topics), "T.A")
	})
}
