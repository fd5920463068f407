package relay_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/relay"
)

// This file tests what a relay makes of the past that its upstream, a relay too, sends behind acknowledgements.

// pastOf is a piece of the past with one event, or with this element instead.
func pastOf(kind, topics, next string, instead ...string) string {
	events, elements := 0, strings.Join(instead, "")
	if len(instead) == 0 {
		events, elements = 1, oddTrade+","
	}
	begin := "topics=" + topics
	if kind == "history" {
		begin = "from=1 " + begin
	}
	return "[" + fixture.Status(kind+"_begin", begin) + "," + elements +
		fixture.Status(kind+"_end", fmt.Sprintf("events=%d next=%s", events, next)) + "]"
}

const nothing = ""

// atOnce has what is for a client written when it comes, so that time stands still.
func atOnce(c *relay.Config) { c.Queue.FlushInterval = -1 }

// lacks is what a client of these tests is told: the time of a gap, since the test began, and its topics.
type lacks struct {
	from, to time.Duration
	topics   string
}

// TestPastIsMissing: where the upstream sends the past of topics, what came from their acknowledgement to its end is
// missing, and those who have them are told so, once, and nobody else.
func TestPastIsMissing(t *testing.T) {
	const second = time.Second
	many := strings.TrimSuffix(strings.Repeat("T.X,", 100), ",")
	type step struct { // a second after the one before
		send string
		// what is heard of it by the clients of T.A, T.B, Q.* and, acknowledged by that, Q.A; they are acknowledged
		// after one second each
		told [4][]lacks
	}
	none := [4][]lacks{}
	for _, tc := range []struct {
		name  string
		steps []step
		gaps  int
		last  lacks
	}{
		{"a snapshot", []step{
			{pastOf("snapshot", "T.A", "live"), [4][]lacks{0: {{1 * second, 5 * second, "T.A"}}}},
		}, 1, lacks{1 * second, 5 * second, ""}},
		{"one in another spelling", []step{
			{pastOf("snapshot", "T.a", "live"), [4][]lacks{0: {{1 * second, 5 * second, "T.A"}}}},
		}, 1, lacks{1 * second, 5 * second, ""}},
		{"one that is empty", []step{{pastOf("snapshot", "T.A", "live", nothing), none}}, 0, lacks{}},
		{"one of what nobody has", []step{{pastOf("snapshot", "T.C", "live"), none}}, 0, lacks{}},
		{"several pieces", []step{
			{pastOf("snapshot", "T.B", "snapshot"), none},
			{pastOf("snapshot", "T.B", "snapshot", nothing), none},
			{pastOf("snapshot", "T.B", "live", nothing), [4][]lacks{1: {{2 * second, 7 * second, "T.B"}}}},
		}, 1, lacks{2 * second, 7 * second, ""}},
		{"several pieces that are empty", []step{
			{pastOf("history", "T.B", "history", nothing), none},
			{pastOf("history", "T.B", "live", nothing), none},
		}, 0, lacks{}},
		{"one topic in the middle of another", []step{
			{pastOf("snapshot", "T.B", "snapshot"), none},
			{pastOf("snapshot", "T.A", "live", nothing), none},
			{pastOf("snapshot", "T.B", "live", nothing), [4][]lacks{1: {{2 * second, 7 * second, "T.B"}}}},
		}, 1, lacks{2 * second, 7 * second, ""}},
		{"several topics", []step{
			{pastOf("history", "T.A,T.B", "live"), [4][]lacks{0: {{1 * second, 5 * second, "T.A"}}, 1: {{2 * second, 5 * second, "T.B"}}}},
		}, 1, lacks{1 * second, 5 * second, ""}},
		{"all of a channel", []step{
			{pastOf("snapshot", "Q.*", "live"), [4][]lacks{2: {{3 * second, 5 * second, "Q.*"}}, 3: {{3 * second, 5 * second, "Q.A"}}}},
		}, 1, lacks{3 * second, 5 * second, ""}},
		{"more topics than it names", []step{
			{pastOf("snapshot", "T.A", "live"), [4][]lacks{0: {{1 * second, 5 * second, "T.A"}}}},
			{pastOf("history", many, "history"), none},
			{pastOf("history", many, "live", nothing), [4][]lacks{
				1: {{2 * second, 7 * second, "T.B"}}, 2: {{3 * second, 7 * second, "Q.*"}}, 3: {{3 * second, 7 * second, "Q.A"}},
			}},
		}, 2, lacks{2 * second, 7 * second, ""}},
		{"a hundred topics that are not these", []step{{pastOf("snapshot", many, "live"), none}}, 0, lacks{}},
		{"a gap in it", []step{
			{pastOf("history", "T.A", "live", fixture.Status("gap", "from=1 to=2 cause=x")+","), [4][]lacks{0: {{1 * second, 5 * second, "T.A"}}}},
		}, 1, lacks{1 * second, 5 * second, ""}},
		{"its end is lost", []step{
			{"[" + fixture.Status("snapshot_begin", "topics=T.A") + "," + oddTrade + "]", [4][]lacks{0: {{1 * second, 5 * second, "T.A"}}}},
		}, 1, lacks{1 * second, 5 * second, ""}},
		{"again", []step{
			{pastOf("snapshot", "T.A", "live"), [4][]lacks{0: {{1 * second, 5 * second, "T.A"}}}},
			{pastOf("snapshot", "T.A", "live"), [4][]lacks{0: {{5 * second, 6 * second, "T.A"}}}},
		}, 2, lacks{5 * second, 6 * second, ""}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, quiet, tickstorm.Stocks, atOnce, func(b *bench) {
				t := b.t
				begun := time.Now()
				clients := make([]*client, 4)
				for i, topic := range []string{"T.A", "T.B", "Q.*", "Q.A"} {
					time.Sleep(second)
					clients[i] = b.login("/stocks")
					clients[i].take(topic)
				}
				check := func(want [4][]lacks) {
					end := `[{"ev":"T","sym":"A","p":1},{"ev":"T","sym":"B","p":1},{"ev":"Q","sym":"A"}]` // each gets some of it
					b.up.Broadcast([]byte(end))
					for i, c := range clients {
						var got []lacks
						for m := c.next(); !strings.HasPrefix(m, `[{"ev":"T"`) && !strings.HasPrefix(m, `[{"ev":"Q"`); m = c.next() {
							got = append(got, lackOf(t, m, begun))
						}
						require.Equal(t, want[i], got, "client %d", i)
					}
				}
				for _, s := range tc.steps {
					time.Sleep(second)
					b.up.Broadcast([]byte(s.send))
					synctest.Wait()
					check(s.told)
				}
				st := b.relay.Stats().Markets[0]
				require.EqualValues(t, tc.gaps, st.Gaps)
				if tc.gaps > 0 {
					require.Equal(t, tc.last, lacks{st.LastGap.From.Sub(begun), st.LastGap.To.Sub(begun), ""})
					require.Contains(t, st.LastGap.Cause, "past")
				}
			})
		})
	}
}

// TestPastOfAll: who has a symbol that the upstream has acknowledged by itself, and caught up with, lacks nothing while it sends
// the past of all of the channel.
func TestPastOfAll(t *testing.T) {
	inBubble(t, quiet, tickstorm.Stocks, atOnce, func(b *bench) {
		t := b.t
		begun := time.Now()
		one, all := b.login("/stocks"), b.login("/stocks")
		one.take("T.A")
		b.up.Broadcast([]byte(pastOf("snapshot", "T.A", "live")))
		require.Equal(t, lacks{0, 0, "T.A"}, lackOf(t, one.next(), begun))
		time.Sleep(time.Second)
		all.take("T.*")
		time.Sleep(time.Second)
		b.up.Broadcast([]byte(pastOf("snapshot", "T.*", "live")))
		require.Equal(t, lacks{time.Second, 2 * time.Second, "T.*"}, lackOf(t, all.next(), begun))
		trade := `[{"ev":"T","sym":"A","p":1}]`
		b.up.Broadcast([]byte(trade))
		all.expect(trade)
		one.expect(trade)
	})
}

// lackOf takes a gap of the past apart.
func lackOf(t *testing.T, m string, begun time.Time) lacks {
	t.Helper()
	s := said(t, m)
	require.Equal(t, dialogue.Gap, s.Status)
	from, to, cause, ok := dialogue.ParseGap(s.Message)
	require.True(t, ok, s.Message)
	_, topics, named := strings.Cut(cause, "as of the past: ")
	require.True(t, named, m)
	return lacks{time.Unix(0, from).Sub(begun), time.Unix(0, to).Sub(begun), topics}
}

// TestPastBehindAReconnect: the gap of a connection that broke lasts until topics are live behind the past that comes
// first, and is told once.
func TestPastBehindAReconnect(t *testing.T) {
	inBubble(t, quiet, tickstorm.Stocks, atOnce, func(b *bench) {
		t := b.t
		trade := `[{"ev":"T","sym":"A","p":1}]`
		c := b.login("/stocks")
		c.take("T.A")
		b.up.Broadcast([]byte(trade))
		c.expect(trade)
		last := time.Now()
		time.Sleep(time.Second)
		b.up.Conns()[0].Cut()
		require.Equal(t, dialogue.UpstreamDisconnected, said(t, c.next()).Status)
		require.Equal(t, dialogue.UpstreamConnected, said(t, c.next()).Status)
		synctest.Wait()
		for range 3 {
			b.up.Broadcast([]byte(pastOf("snapshot", "T.A", "snapshot")))
			synctest.Wait()
			time.Sleep(2 * time.Second)
		}
		b.up.Broadcast([]byte(pastOf("snapshot", "T.A", "live")))
		time.Sleep(time.Second / 2)
		b.up.Broadcast([]byte(trade))
		gap := said(t, c.next())
		from, to, _, ok := dialogue.ParseGap(gap.Message)
		require.True(t, ok, gap)
		require.Equal(t, last.UnixNano(), from)
		require.Equal(t, time.Now().UnixNano(), to)
		c.expect(trade)
		require.EqualValues(t, 1, b.relay.Stats().Markets[0].Gaps)

		// What comes when that has been told is told by itself.
		later := time.Now()
		time.Sleep(time.Second)
		b.up.Broadcast([]byte(pastOf("snapshot", "T.A", "live")))
		require.Equal(t, "T.A", lackOf(t, c.next(), later).topics)
	})
}

// TestPastIsBrokenOff: where the upstream goes before its past has ended, or has begun, those who have the topics are told
// what they lack up to then, and all are told what follows.
func TestPastIsBrokenOff(t *testing.T) {
	inBubble(t, quiet, tickstorm.Stocks, atOnce, func(b *bench) {
		t := b.t
		topics := []string{"T.A", "T.B", "T.C", "T.D", "T.E"}
		clients := make([]*client, len(topics))
		begun := time.Now()
		for i, topic := range topics {
			time.Sleep(time.Second)
			clients[i] = b.login("/stocks")
			clients[i].take(topic)
			switch i {
			case 1: // T.A comes from a time before anything was sent of the past
				b.up.Broadcast([]byte(pastOf("snapshot", "T.B", "live")))
				require.Equal(t, lacks{2 * time.Second, 2 * time.Second, "T.B"}, lackOf(t, clients[1].next(), begun))
			case 2:
				b.up.Broadcast([]byte(pastOf("snapshot", "T.C", "snapshot")))
			}
		}
		time.Sleep(time.Second)
		b.up.Broadcast([]byte(pastOf("snapshot", "T.D", "live", nothing))) // overtakes T.C, as what is empty may
		time.Sleep(time.Second)
		live := `[{"ev":"T","sym":"A","p":1}]`
		b.up.Broadcast([]byte(live))
		clients[0].expect(live)
		time.Sleep(time.Second)
		b.up.Conns()[0].Cut()
		for i, want := range [][]lacks{2: {{3 * time.Second, 7 * time.Second, "T.C"}}, 4: {{5 * time.Second, 7 * time.Second, "T.E"}}} {
			var got []lacks
			m := clients[i].next()
			for ; said(t, m).Status == dialogue.Gap; m = clients[i].next() {
				got = append(got, lackOf(t, m, begun))
			}
			require.Equal(t, want, got, i)
			require.Equal(t, dialogue.UpstreamDisconnected, said(t, m).Status)
		}
		require.EqualValues(t, 2, b.relay.Stats().Markets[0].Gaps)
		c := clients[2]
		require.Equal(t, dialogue.UpstreamConnected, said(t, c.next()).Status)
		from, _, _, ok := dialogue.ParseGap(said(t, c.next()).Message)
		require.True(t, ok)
		require.Equal(t, 7*time.Second, time.Unix(0, from).Sub(begun), "it goes on from there")
	})
}

// TestPastOfOthersIsBrokenOff: the end of a history that does not name all of its topics is not that of a topic that was
// acknowledged when it had begun.
func TestPastOfOthersIsBrokenOff(t *testing.T) {
	inBubble(t, quiet, tickstorm.Stocks, atOnce, func(b *bench) {
		t := b.t
		begun := time.Now()
		many := strings.TrimSuffix(strings.Repeat("T.X,", 100), ",")
		first := b.login("/stocks")
		first.take("T.A")
		time.Sleep(time.Second)
		b.up.Broadcast([]byte(pastOf("history", many, "history")))
		time.Sleep(time.Second)
		second := b.login("/stocks")
		second.take("T.B")
		time.Sleep(time.Second)
		b.up.Broadcast([]byte(pastOf("history", many, "live")))
		require.Equal(t, lacks{0, 3 * time.Second, "T.A"}, lackOf(t, first.next(), begun))
		time.Sleep(time.Second)
		live := `[{"ev":"T","sym":"A","p":1}]`
		b.up.Broadcast([]byte(live))
		first.expect(live)
		b.up.Conns()[0].Cut()
		require.Equal(t, lacks{2 * time.Second, 4 * time.Second, "T.B"}, lackOf(t, second.next(), begun))
		require.Equal(t, dialogue.UpstreamDisconnected, said(t, second.next()).Status)
		require.Equal(t, dialogue.UpstreamDisconnected, said(t, first.next()).Status)
	})
}

// TestNoPastIsBrokenOff: a topic that the upstream has sent nothing of the past of, long after its acknowledgement, lacks
// nothing when the connection breaks, unless the upstream is at another topic, or just was.
func TestNoPastIsBrokenOff(t *testing.T) {
	for _, tc := range []struct {
		name        string
		other, then string // pieces of another topic: at first, and a second before the end
		lacks       bool
	}{
		{"nothing comes", "", "", false},
		{"of what is live at once", "", pastOf("snapshot", "T.C", "live", nothing), false},
		{"another topic's comes", pastOf("snapshot", "T.C", "snapshot"), "", true},
		{"another topic's has come", pastOf("snapshot", "T.C", "snapshot"), pastOf("snapshot", "T.C", "live"), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, quiet, tickstorm.Stocks, atOnce, func(b *bench) {
				t := b.t
				begun := time.Now()
				first := b.login("/stocks")
				first.take("T.A")
				first.take("T.C")
				b.up.Broadcast([]byte(pastOf("snapshot", "T.A", "live")))
				require.Equal(t, lacks{0, 0, "T.A"}, lackOf(t, first.next(), begun))
				if tc.other != "" {
					b.up.Broadcast([]byte(tc.other))
				}
				time.Sleep(time.Second)
				second := b.login("/stocks")
				second.take("T.B")
				time.Sleep(time.Minute)
				if tc.then != "" {
					b.up.Broadcast([]byte(tc.then))
				}
				time.Sleep(time.Second)
				live := `[{"ev":"T","sym":"B","p":1}]`
				b.up.Broadcast([]byte(live))
				second.expect(live)
				b.up.Conns()[0].Cut()
				if tc.lacks {
					require.Equal(t, lacks{time.Second, 62 * time.Second, "T.B"}, lackOf(t, second.next(), begun))
				}
				require.Equal(t, dialogue.UpstreamDisconnected, said(t, second.next()).Status)
			})
		})
	}
}

// TestPastIsMissingInHistory: who asks this relay for history is told what is missing of it because the upstream has sent
// it as of the past, whether somebody has had the topic or not.
func TestPastIsMissingInHistory(t *testing.T) {
	inBubble(t, quiet, tickstorm.Stocks, func(c *relay.Config) { c.History, c.Queue.FlushInterval = 1<<20, -1 }, func(b *bench) {
		t := b.t
		begun := time.Now()
		first := b.login("/stocks")
		first.take("T.AAPL")
		first.send(unsubscribe("T.AAPL"))
		first.next()
		time.Sleep(time.Second)
		b.up.Broadcast([]byte(pastOf("snapshot", "T.AAPL", "live")))
		time.Sleep(time.Second)
		b.up.Broadcast([]byte("[" + oddTrade + "]"))
		time.Sleep(time.Second)
		c := b.login(fmt.Sprintf("/stocks?since=%d", begun.UnixNano()))
		c.take("T.AAPL")
		h := &statuses{}
		m := c.next()
		require.NoError(t, tickstorm.NewParser(tickstorm.Stocks).Parse([]byte(m), h))
		require.Less(t, strings.Index(m, `"gap"`), strings.Index(m, oddTrade), m)
		require.Equal(t, 1, strings.Count(m, oddTrade), m)
		var gaps []lacks
		for _, s := range h.found {
			if s.Status == dialogue.Gap {
				gaps = append(gaps, lackOf(t, "["+string(dialogue.AppendStatus(nil, s))+"]", begun))
			}
		}
		require.Equal(t, []lacks{{0, time.Second, "T.AAPL"}}, gaps)
	})
}

// TestChainPast: a relay does not get the past of another, whatever its key's policy says, unless its feed asks for it; then
// its clients are told what that costs them.
func TestChainPast(t *testing.T) {
	for query, want := range map[string]int{"": 0, "?conflate=1s": 0, "?snapshot=0": 0, "?snapshot=1": 1, "?since=-1h": 1} {
		keys := newKeys(t, relay.Key{Name: "next", Token: token("next"), Policy: relay.Policy{SnapshotOnSubscribe: true}})
		b := start(t, quiet, tickstorm.Stocks, func(c *relay.Config) { c.Snapshots.Bytes, c.History, c.Keys = 1, 1, keys })
		b.streaming(0)
		b.up.Broadcast([]byte("[" + oddTrade + "]"))
		b.await(func(s relay.MarketStats) bool { return s.Past.Symbols == 1 })
		second := startAt(t, nil, tickstorm.Config{
			Key: token("next"), Market: tickstorm.Stocks, Feed: tickstorm.Feed("ws://" + b.addr + query), Proxy: tickstorm.NoProxy,
		})
		second.await(func(s relay.MarketStats) bool { return s.Up })
		c := second.login("/stocks")
		c.take("T.AAPL")
		for range want {
			gap := said(t, c.next())
			from, to, cause, ok := dialogue.ParseGap(gap.Message)
			require.True(t, ok, gap)
			require.LessOrEqual(t, from, to)
			require.Contains(t, cause, "past")
		}
		b.up.Broadcast([]byte("[" + oddTrade + "]"))
		c.expect("[" + oddTrade + "]")
		require.EqualValues(t, want, second.relay.Stats().Markets[0].Gaps, query)
	}
}

// TestAsksForNoPast: who may be a relay is asked to send nothing of the past; the vendor is told nothing.
func TestAsksForNoPast(t *testing.T) {
	const name = "Tickstorm-Snapshot"
	asked := make(chan http.Header, 1)
	feed := fixture.Listen(t, func(nc net.Conn) {
		if r, _, err := fixture.Accept(nc); err == nil {
			asked <- r.Header
		}
	})
	for _, tc := range []struct {
		feed tickstorm.Feed
		with http.Header
		want []string
	}{
		{"ws://relay.example.com", nil, []string{"0"}},
		{"ws://relay.example.com/office?since=-1m", http.Header{"X-Desk": {"1"}}, []string{"0"}},
		{"ws://relay.example.com", http.Header{name: {"1"}}, []string{"1"}},
		{"ws://massive.com.example.com", nil, []string{"0"}},
		{"ws://notmassive.com", nil, []string{"0"}},
		{"ws://socket.massive.com", nil, nil},
		{"ws://Delayed.Massive.com:80", nil, nil},
		{"ws://socket.polygon.io", nil, nil},
	} {
		cfg := tickstorm.Config{Key: "key", Market: tickstorm.Stocks, Feed: tc.feed, Proxy: tickstorm.NoProxy, Header: tc.with}
		cfg.NetDial = func(context.Context, string, string) (net.Conn, error) {
			return net.Dial("tcp", strings.TrimPrefix(string(feed), "ws://"))
		}
		before := tc.with.Clone()
		startAt(t, nil, cfg, func(c *relay.Config) { c.Upstreams[0].Backoff.MaxAttempts = 1 })
		h := <-asked
		require.Equal(t, tc.want, h.Values(name), tc.feed)
		require.Equal(t, tc.with.Get("X-Desk"), h.Get("X-Desk"))
		require.Equal(t, before, tc.with, "it is the caller's")
	}
}

// TestChainPastIsTold: whoever subscribes, unsubscribes and is cut off meanwhile, behind a relay that gets the past of another,
// has each event from the acknowledgement on, or was told a gap of its topic since the event before.
func TestChainPastIsTold(t *testing.T) {
	const symbols = 220
	holes := 0
	for seed, query := range []string{"?snapshot=1", "?since=-1s", "?since=-1h"} {
		inBubble(t, quiet, tickstorm.Stocks, func(c *relay.Config) {
			c.Snapshots.Bytes, c.History, c.Linger = 1<<20, 1<<20, -1
			c.Past = func(ctx context.Context, _ tickstorm.Market, _, _ time.Time) (relay.Source, error) {
				return &slowly{ctx, 9}, nil
			}
		}, func(b *bench) {
			t, r := b.t, rand.New(rand.NewPCG(17, uint64(seed)))
			var way net.Conn // between the relays
			dialer := func(dial func() (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
				return func(context.Context, string, string) (net.Conn, error) { return dial() }
			}
			l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
			serve(t, relay.Config{Linger: -1, Upstreams: []tickstorm.Config{{
				Key: "key", Market: tickstorm.Stocks, Feed: tickstorm.Feed("ws://relay.test" + query), Proxy: tickstorm.NoProxy, ChunkTopics: 60,
				NetDial: dialer(func() (nc net.Conn, err error) {
					way, err = b.dial()
					return way, err
				}),
			}}}, l)
			h := &holder{last: map[string]int64{}, told: map[string]bool{}}
			client, err := tickstorm.NewClient(tickstorm.Config{
				Key: "key", Market: tickstorm.Stocks, Feed: "ws://relay.test", Proxy: tickstorm.NoProxy, NetDial: dialer(l.dial),
				Queue: tickstorm.QueueConfig{Inline: true},
			}, h)
			require.NoError(t, err)
			require.NoError(t, client.Start(t.Context()))
			stop, stopped := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(stopped)
				for {
					select {
					case <-stop:
						return
					case <-time.After(20 * time.Millisecond):
					}
					var all []string
					for i := range symbols {
						all = append(all, fmt.Sprintf(`{"ev":"T","sym":"S%d","q":%d}`, i, h.sent.Load()+1))
					}
					b.up.Broadcast([]byte("[" + strings.Join(all, ",") + "]"))
					h.sent.Add(1)
				}
			}()
			for range 8 {
				some := []string{tickstorm.All}
				if r.IntN(3) > 0 {
					some = nil
					from := r.IntN(symbols / 2)
					for n := range 1 + r.IntN(symbols/2) {
						some = append(some, fmt.Sprint("S", from+n))
					}
				}
				require.NoError(t, client.Subscribe(t.Context(), tickstorm.Trades, some...))
				time.Sleep(time.Duration(r.IntN(300)) * time.Millisecond)
				if r.IntN(4) == 0 {
					_ = way.Close()
					time.Sleep(time.Duration(r.IntN(300)) * time.Millisecond)
				}
				if r.IntN(2) == 0 {
					require.NoError(t, client.Unsubscribe(t.Context(), tickstorm.Trades, some...))
				}
			}
			close(stop)
			<-stopped
			require.NoError(t, client.Close())
			require.Empty(t, h.untold, query)
			require.NotZero(t, h.events)
			holes += h.holes
		})
	}
	require.NotZero(t, holes)
}

// slowly is a Source that takes its time.
type slowly struct {
	ctx  context.Context
	left int
}

func (s *slowly) Next() ([]byte, int64, error) {
	if s.left == 0 {
		return nil, 0, io.EOF
	}
	s.left--
	select {
	case <-s.ctx.Done():
	case <-time.After(20 * time.Millisecond):
	}
	return []byte(`[{"ev":"T","sym":"S1","q":0}]`), 0, nil
}

// holder holds what it gets of each symbol against what was sent since its acknowledgement, and what was told.
type holder struct {
	tickstorm.NopHandler
	sent          atomic.Int64
	last          map[string]int64 // number of the last event that has come of a symbol that it has, or was sent before
	told          map[string]bool  // a gap since then
	events, holes int
	untold        []string
}

func (h *holder) OnTrade(e *tickstorm.Trade) {
	last, has := h.last[e.Symbol]
	if !has || e.Sequence <= last {
		return
	}
	h.events++
	if e.Sequence > last+1 {
		h.holes++
		if !h.told[e.Symbol] {
			h.untold = append(h.untold, fmt.Sprintf("%s: %d to %d", e.Symbol, last+1, e.Sequence-1))
		}
	}
	h.last[strings.Clone(e.Symbol)] = e.Sequence
	delete(h.told, e.Symbol)
}

func (h *holder) OnStatus(s *tickstorm.Status) {
	each := func(symbol string, do func(symbol string)) {
		if symbol != tickstorm.All {
			do(symbol)
			return
		}
		for i := range 220 {
			do(fmt.Sprint("S", i))
		}
	}
	for t := range s.Topics() {
		each(t.Symbol, func(symbol string) {
			switch _, has := h.last[symbol]; {
			case s.Code() == tickstorm.StatusUnsubscribed:
				delete(h.last, symbol)
			case !has:
				h.last[symbol] = h.sent.Load()
				delete(h.told, symbol)
			}
		})
	}
	_, _, cause, ok := dialogue.ParseGap(string(s.Message))
	if !ok {
		return
	}
	_, list, named := strings.Cut(cause, "as of the past: ")
	if !named || strings.HasSuffix(list, "more") {
		list = "T.*"
	}
	for topic := range strings.SplitSeq(list, ",") {
		each(strings.TrimPrefix(topic, "T."), func(symbol string) { h.told[symbol] = true })
	}
}
