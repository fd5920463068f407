package relay_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/internal/past"
	"github.com/tickstorm/tickstorm/relay"
)

// TestSnapshot: who asks for it gets the last events behind the acknowledgement, as they came and
// told from live ones; others do not.
func TestSnapshot(t *testing.T) {
	b := start(t, quiet, tickstorm.Stocks, func(c *relay.Config) { c.Snapshots.Bytes = 1 << 20 })
	b.streaming(0)
	first := b.login("/stocks")
	first.take("T.*")
	b.up.Broadcast([]byte(`[` + other + `,{"ev":"T","sym":"AAPL","p":1}]`))
	first.expect(`[` + other + `,{"ev":"T","sym":"AAPL","p":1}]`)
	b.up.Broadcast([]byte("[" + oddTrade + "," + oddQuote + "]"))
	first.expect("[" + oddTrade + "]")

	c := b.login("/stocks?snapshot=1")
	c.take("T.AAPL,T.NONE")
	c.expect("[" + fixture.Status("snapshot_begin", "topics=T.AAPL,T.NONE") + "," + oddTrade + "," + fixture.Status("snapshot_end", "events=1 next=live") + "]")
	b.up.Broadcast([]byte("[" + oddTrade + "]"))
	c.expect("[" + oddTrade + "]")
	c.take("T.*") // of which it has one already
	c.expect("[" + fixture.Status("snapshot_begin", "topics=T.*") + "," + other + "," + fixture.Status("snapshot_end", "events=1 next=live") + "]")
	c.take("T.AAPL") // again
	b.up.Broadcast([]byte("[" + other + "]"))
	c.expect("[" + other + "]")

	st := b.relay.Stats().Markets[0].Past
	require.Equal(t, 3, st.Symbols, "quotes too, which the upstream has sent unasked")
	require.Positive(t, st.Bytes)
	require.Zero(t, st.History)
}

// TestSnapshotByURL: one URL is enough.
func TestSnapshotByURL(t *testing.T) {
	b := start(t, quiet, tickstorm.Stocks, func(c *relay.Config) { c.Snapshots = relay.SnapshotConfig{Bytes: 1, Channels: []string{"T"}} })
	b.streaming(0)
	b.up.Broadcast([]byte("[" + oddTrade + "," + oddQuote + "]"))
	b.await(func(s relay.MarketStats) bool { return s.Messages > 0 && s.Past.Symbols == 1 })
	c := b.client("/stocks?subscribe=T.AAPL,Q.AAPL&snapshot=1")
	c.expect(greeting, success)
	var got []string
	for len(got) < 2 {
		if msg := c.next(); strings.Contains(msg, "snapshot_begin") {
			got = append(got, msg)
			require.Equal(t, strings.Contains(msg, "T.AAPL"), strings.Contains(msg, oddTrade), msg)
			if strings.Contains(msg, "T.AAPL") && strings.Contains(msg, "Q.AAPL") {
				break
			}
		}
	}
	require.NotContains(t, strings.Join(got, ""), oddQuote)
}

// TestSnapshotOfOthers: topics that no last events are kept of are live with their acknowledgement, however
// much is queued before what is recalled of the others.
func TestSnapshotOfOthers(t *testing.T) {
	b := start(t, quiet, tickstorm.Stocks, func(c *relay.Config) {
		c.Snapshots = relay.SnapshotConfig{Bytes: 1, Channels: []string{"Q"}}
		c.Queue.Bytes = 64 << 20
	})
	b.streaming(0)
	first := b.login("/stocks")
	first.take("T.*")
	c := b.login("/stocks?snapshot=1")
	c.take("T.B")
	require.Equal(t, "["+fixture.Status("snapshot_begin", "topics=T.B")+","+fixture.Status("snapshot_end", "events=0 next=live")+"]", c.next())
	pad := strings.Repeat("x", 8000)
	for n := range 2000 { // more than the connection takes unread
		b.up.Broadcast(fmt.Appendf(nil, `[{"ev":"T","sym":"B","n":%d,"pad":%q}]`, n, pad))
		if n%100 == 99 { // the simulator gives up what is beyond its own buffer
			b.await(func(s relay.MarketStats) bool { return s.Events > uint64(n) })
		}
	}
	c.send(subscribe("T.A,Q.A"))
	b.await(func(s relay.MarketStats) bool { return s.Granted == 4 })
	trade := `[{"ev":"T","sym":"A","n":1}]`
	b.up.Broadcast([]byte(trade))
	b.await(func(s relay.MarketStats) bool { return s.Events >= 2001 })
	for {
		if strings.Contains(c.next(), `"sym":"A","n":1`) {
			return
		}
	}
}

// TestPastIsWithdrawn: who may no longer ask gets no more of a history that is under way, which begins before anything is
// found, is told so, and what comes from then on.
func TestPastIsWithdrawn(t *testing.T) {
	one := func(p relay.Policy) relay.Key { return relay.Key{Name: "one", Token: token("one"), Policy: p} }
	keys := newKeys(t, one(relay.Policy{Snapshot: true}))
	opened, ended := make(chan struct{}), make(chan struct{})
	b := start(t, quiet, tickstorm.Stocks, func(c *relay.Config) {
		c.History, c.Keys = 1<<20, keys
		c.Past = func(ctx context.Context, _ tickstorm.Market, _, _ time.Time) (relay.Source, error) {
			close(opened)
			<-ctx.Done()
			close(ended)
			return nil, ctx.Err()
		}
	})
	b.streaming(0)
	c := b.loginAs("/stocks?since=-1h", token("one"))
	c.take("T.AAPL")
	<-opened
	begun := c.next()
	require.True(t, past.Message([]byte(begun)), begun)
	require.Contains(t, begun, "events=0 next=history")
	require.NoError(t, keys.Set(one(relay.Policy{})))
	<-ended
	c.expect("[" + fixture.Status("error", "not authorized") + "]")
	require.Contains(t, c.next(), "cause=history: no longer authorized: T.AAPL")
	b.up.Broadcast([]byte("[" + oddTrade + "]"))
	c.expect("[" + oddTrade + "]")
}

// TestPastIsNotLive: what an upstream that is a relay was asked for of the past goes to nobody, who are told so.
func TestPastIsNotLive(t *testing.T) {
	b := start(t, quiet, tickstorm.Stocks)
	b.streaming(0)
	c := b.login("/stocks")
	c.take("T.*")
	for _, begin := range []string{"snapshot_begin", "history_begin"} {
		b.up.Broadcast([]byte("[" + fixture.Status(begin, "topics=T.*") + "," + oddTrade + "," + fixture.Status("gap", "from=1 to=2 cause=x") + "," + fixture.Status("x_end", "") + "]"))
		require.Equal(t, dialogue.Gap, said(t, c.next()).Status)
	}
	b.up.Broadcast([]byte("[" + other + "]"))
	c.expect("[" + other + "]")
}

// TestPastQuery: what makes no sense in a URL is refused in words, before anything is upgraded.
func TestPastQuery(t *testing.T) {
	full := start(t, quiet, tickstorm.Stocks, func(c *relay.Config) { c.Snapshots.Bytes, c.History = 1, 1 })
	none := start(t, quiet, tickstorm.Stocks)
	full.streaming(0)
	none.streaming(0)
	future := fmt.Sprint(time.Now().Add(time.Hour).UnixNano())
	for _, tc := range []struct {
		b          *bench
		query, say string
	}{
		{none, "snapshot=1", "keeps no last events"},
		{none, "since=-5m", "keeps no history"},
		{full, "snapshot=yes", "it is 1, or 0"},
		{full, "snapshot=", "it is 1, or 0"},
		{full, "snapshot=1&snapshot=1", "several"},
		{full, "snapshot=1&since=-5m", "together with since"},
		{full, "since=5m", "it is a time ago"},
		{full, "since=0", "it is a time ago"},
		{full, "since=-0s", "it is a time ago"},
		{full, "since=-5", "it is a time ago"},
		{full, "since=-300000h", ""},
		{full, "since=-9999999999h", "it is a time ago"},
		{full, "since=", "it is a time ago"},
		{full, "since=" + future, "in the future"},
		{full, "since=99999999999999999999", "it is a time ago"},
		{full, "since=" + strings.Repeat("9", 5000), "9999..."},
		{full, "since=%00%0a", "it is a time ago"},
		{full, "since=%zz", "malformed"},
		{full, "conflate=0", "from 10ms to 1h"},
		{full, "conflate=-1s", "from 10ms to 1h"},
		{full, "conflate=1ns", "from 10ms to 1h"},
		{full, "conflate=1000h", "from 10ms to 1h"},
		{full, "conflate=250", "from 10ms to 1h"},
		{full, "conflate=NaN", "from 10ms to 1h"},
		{full, "conflate=<script>", "from 10ms to 1h"},
	} {
		t.Run(tc.query[:min(len(tc.query), 30)], func(t *testing.T) {
			r, err := http.Get("http://" + tc.b.addr + "/stocks?" + strings.NewReplacer("<", "%3c", ">", "%3e").Replace(tc.query))
			require.NoError(t, err)
			defer r.Body.Close()
			body, err := io.ReadAll(io.LimitReader(r.Body, 1000))
			require.NoError(t, err)
			if tc.say == "" {
				require.NotEqual(t, 101, r.StatusCode) // a GET is no WebSocket
				return
			}
			require.Equal(t, 400, r.StatusCode)
			require.Contains(t, string(body), tc.say)
			require.Equal(t, "text/plain; charset=utf-8", r.Header.Get("Content-Type"))
		})
	}
	c := full.login("/stocks?snapshot=0&conflate=1s&unknown=1")
	c.take("T.A")
}

// TestPastConfig: what cannot work is said at once.
func TestPastConfig(t *testing.T) {
	up := tickstorm.Config{Key: "key", Market: tickstorm.Stocks}
	for name, cfg := range map[string]relay.Config{
		"a negative history":       {History: -1},
		"negative snapshots":       {Snapshots: relay.SnapshotConfig{Bytes: -1}},
		"no such channel":          {Snapshots: relay.SnapshotConfig{Bytes: 1, Channels: []string{"T", "XQ"}}},
		"a past without its other": {Past: func(context.Context, tickstorm.Market, time.Time, time.Time) (relay.Source, error) { return nil, nil }},
	} {
		cfg.Upstreams = []tickstorm.Config{up}
		_, err := relay.New(cfg)
		require.Error(t, err, name)
	}
}

// TestPastByPolicy: where there are keys the policy says who may ask.
func TestPastByPolicy(t *testing.T) {
	keys := newKeys(t,
		relay.Key{Name: "may", Token: token("may"), Policy: relay.Policy{Snapshot: true}},
		relay.Key{Name: "not", Token: token("not")})
	b := start(t, quiet, tickstorm.Stocks, func(c *relay.Config) { c.Snapshots.Bytes, c.Keys = 1, keys })
	b.streaming(0)
	b.up.Broadcast([]byte("[" + oddTrade + "]"))
	b.await(func(s relay.MarketStats) bool { return s.Past.Symbols == 1 })
	not := b.client("/stocks?snapshot=1&token=" + url.QueryEscape(token("not")))
	not.expect(greeting, success, "["+fixture.Status("error", "not authorized")+"]")
	not.take("T.AAPL")
	b.up.Broadcast([]byte("[" + oddTrade + "]"))
	not.expect("[" + oddTrade + "]")
	may := b.client("/stocks?snapshot=1&token=" + url.QueryEscape(token("may")))
	may.expect(greeting, success)
	may.take("T.AAPL")
	may.expect("[" + fixture.Status("snapshot_begin", "topics=T.AAPL") + "," + oddTrade + "," + fixture.Status("snapshot_end", "events=1 next=live") + "]")
	require.NoError(t, keys.Set(relay.Key{Name: "may", Token: token("may")}))
	may.expect("[" + fixture.Status("error", "not authorized") + "]")
}

// TestSnapshotOnSubscribe: who gets a snapshot by policy gets it without a word of its own, unless it
// has said otherwise, and as long as the policy says so.
func TestSnapshotOnSubscribe(t *testing.T) {
	one := func(p relay.Policy) relay.Key { return relay.Key{Name: "one", Token: token("one"), Policy: p} }
	keys := newKeys(t, one(relay.Policy{SnapshotOnSubscribe: true}))
	b := start(t, quiet, tickstorm.Stocks, func(c *relay.Config) { c.Snapshots.Bytes, c.History, c.Keys = 1, 1<<20, keys })
	b.streaming(0)
	b.up.Broadcast([]byte("[" + oddTrade + "]"))
	b.await(func(s relay.MarketStats) bool { return s.Past.Symbols == 1 })
	last := func(topic string) string {
		return "[" + fixture.Status("snapshot_begin", "topics="+topic) + "," + oddTrade + "," + fixture.Status("snapshot_end", "events=1 next=live") + "]"
	}
	c := b.loginAs("/stocks", token("one"))
	c.take("T.AAPL")
	c.expect(last("T.AAPL"))
	for _, path := range []string{"/stocks?snapshot=0", "/stocks?since=-1ns"} {
		other := b.loginAs(path, token("one"))
		other.take("T.AAPL")
		if strings.Contains(path, "since") {
			require.Contains(t, other.next(), "history_begin")
		}
		if strings.Contains(path, "snapshot") {
			b.up.Broadcast([]byte("[" + oddTrade + "]"))
			other.expect("[" + oddTrade + "]")
			c.expect("[" + oddTrade + "]")
		}
		require.NoError(t, other.nc.Close())
	}
	asking := b.loginAs("/stocks?snapshot=1", token("one"))
	asking.take("T.AAPL")
	asking.expect(last("T.AAPL"))
	require.NoError(t, keys.Set(one(relay.Policy{})))
	c.send(unsubscribe("T.AAPL"))
	for !strings.Contains(c.next(), "unsubscribed to: T.AAPL") {
	}
	c.take("T.AAPL")
	b.up.Broadcast([]byte("[" + oddTrade + "]"))
	c.expect("[" + oddTrade + "]")
	asking.expect("["+fixture.Status("error", "not authorized")+"]", "["+oddTrade+"]")
	require.NoError(t, keys.Set(one(relay.Policy{SnapshotOnSubscribe: true})))
	c.send(unsubscribe("T.AAPL"))
	for !strings.Contains(c.next(), "unsubscribed to: T.AAPL") {
	}
	c.take("T.AAPL")
	c.expect(last("T.AAPL"))

	// Where nothing is kept it is nothing, and nobody notices.
	none := start(t, quiet, tickstorm.Stocks, func(c *relay.Config) { c.Keys = keys })
	none.streaming(0)
	d := none.loginAs("/stocks", token("one"))
	d.take("T.AAPL")
	none.up.Broadcast([]byte("[" + oddTrade + "]"))
	d.expect("[" + oddTrade + "]")
}

// TestConflate: a client gets quotes at the pace that it has asked for, the last one always, and
// trades as they come.
func TestConflate(t *testing.T) {
	inBubble(t, quiet, tickstorm.Stocks, nil, func(b *bench) {
		c := b.login("/stocks?conflate=250ms")
		c.take("Q.A,T.A")
		quote := func(n int) string { return fmt.Sprintf(`{"ev":"Q","sym":"A","bp":%d}`, n) }
		begun := time.Now()
		b.up.Broadcast([]byte("[" + quote(1) + "]"))
		c.expect("[" + quote(1) + "]")
		require.Zero(t, time.Since(begun))
		for n := range 10 {
			time.Sleep(10 * time.Millisecond)
			b.up.Broadcast([]byte("[" + quote(n+2) + `,{"ev":"T","sym":"A","p":1}]`))
			c.expect(`[{"ev":"T","sym":"A","p":1}]`)
			require.Equal(t, time.Duration(n+1)*10*time.Millisecond, time.Since(begun))
		}
		c.expect("[" + quote(11) + "]")
		require.Equal(t, 250*time.Millisecond, time.Since(begun))
	})
}

// numbered is an upstream that sends events with numbers, and a record of what of them has come.
type numbered struct {
	b   *bench
	end chan struct{}

	mu   sync.Mutex
	came []numberedMessage
}

type numberedMessage struct {
	msg    []byte
	at     int64
	events []numberedEvent
}

type numberedEvent struct {
	Ev     string `json:"ev"`
	Sym    string `json:"sym"`
	Number int    `json:"n"`

	Status, Message string
}

func (n *numbered) OnMessage(msg []byte, received int64) {
	m := numberedMessage{msg: slices.Clone(msg), at: received}
	if err := json.Unmarshal(msg, &m.events); err != nil {
		panic(err)
	}
	m.events = slices.DeleteFunc(m.events, func(e numberedEvent) bool { return e.Ev == "status" })
	n.mu.Lock()
	defer n.mu.Unlock()
	n.came = append(n.came, m) // with its statuses, as a recorder does
}

func (*numbered) OnState(*tickstorm.StateChange) {}
func (*numbered) OnGap(*tickstorm.Gap)           {}

// all returns what has come.
func (n *numbered) all() []numberedMessage {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clip(n.came)
}

// Past is a recording of it, in segments that are as long as it likes.
func (n *numbered) Past(_ context.Context, m tickstorm.Market, from, to time.Time) (relay.Source, error) {
	if m != tickstorm.Stocks || !from.Before(to) {
		return nil, errors.New("no such time")
	}
	return &numberedSource{rest: n.all()}, nil
}

type numberedSource struct {
	rest   []numberedMessage
	sought bool
}

func (s *numberedSource) SeekTo(received int64) error {
	for len(s.rest) > 0 && s.rest[0].at < received {
		s.rest = s.rest[1:]
	}
	s.sought = true
	return nil
}

func (s *numberedSource) Next() ([]byte, int64, error) {
	if len(s.rest) == 0 || !s.sought {
		return nil, 0, io.EOF
	}
	m := s.rest[0]
	s.rest = s.rest[1:]
	return m.msg, m.at, nil
}

// startNumbered starts an upstream that breaks now and then, and a relay of it.
func startNumbered(t *testing.T, change func(*numbered, *relay.Config)) *numbered {
	n := &numbered{end: make(chan struct{})}
	up := fixture.Start(t, quiet)
	cfg := up.ClientConfig(tickstorm.Stocks)
	cfg.Tap = n
	n.b = startAt(t, up, cfg, func(c *relay.Config) {
		c.Queue.Bytes = 256 << 20
		change(n, c)
	})
	n.b.streaming(0)
	return n
}

// flow sends messages until it is told to stop.
func (n *numbered) flow(seed uint64) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	rnd := rand.New(rand.NewPCG(seed, 7))
	go func() {
		defer close(ended)
		number := 0
		for {
			select {
			case <-end:
				return
			default:
			}
			var parts []string
			for range 1 + rnd.IntN(6) {
				number++
				parts = append(parts, fmt.Sprintf(`{"ev":%q,"sym":"S%d","n":%d,"pad":%q}`, "TQ"[rnd.IntN(2):][:1], rnd.IntN(4), number, strings.Repeat("x", rnd.IntN(60))))
			}
			n.b.up.Broadcast([]byte("[" + strings.Join(parts, ",") + "]"))
			if rnd.IntN(20) == 0 {
				time.Sleep(time.Millisecond)
			}
			if conns := n.b.up.Conns(); rnd.IntN(3000) == 0 && len(conns) > 0 {
				conns[0].Cut()
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}

// numberedClient is what a client has got.
type numberedClient struct {
	c       *client
	history []numberedEvent
	live    []numberedEvent
	gaps    []string // in the history
	ends    int
}

func (c *numberedClient) read() {
	var all []numberedEvent
	msg := c.c.next()
	require.NoError(c.c.t, json.Unmarshal([]byte(msg), &all), msg)
	past := false
	for _, e := range all {
		switch {
		case e.Status == dialogue.HistoryBegin:
			past = true
		case e.Status == dialogue.HistoryEnd:
			_, live, ok := dialogue.ParsePastEnd(e.Message)
			require.True(c.c.t, ok, e.Message)
			if live {
				c.ends++
			}
			past = false
		case e.Status == dialogue.Gap && past:
			c.gaps = append(c.gaps, e.Message)
		case e.Ev == "status":
		case past:
			c.history = append(c.history, e)
		default:
			c.live = append(c.live, e)
		}
	}
}

// TestSinceSeam: whoever asks for history gets every event since then once, in the order of each
// channel, over reconnects of the upstream and from wherever it is kept, and then what is live.
func TestSinceSeam(t *testing.T) {
	for name, change := range map[string]func(*numbered, *relay.Config){
		"in memory":        func(_ *numbered, c *relay.Config) { c.History = 256 << 20 },
		"from a recording": func(n *numbered, c *relay.Config) { c.History, c.Past = 256<<10, n.Past },
	} {
		t.Run(name, func(t *testing.T) {
			n := startNumbered(t, change)
			first := n.b.login("/stocks")
			first.take("T.*,Q.*") // from now on it is streamed
			require.NoError(t, first.nc.Close())
			stop := n.flow(1)
			for len(n.all()) < 2000 {
				time.Sleep(time.Millisecond)
			}
			var clients []*numberedClient
			var sinces []int64
			for i := range 6 {
				all := n.all()
				since := all[len(all)*i/8+1].at
				path := fmt.Sprintf("/stocks?since=%d", since)
				if i == 5 {
					path = "/stocks?since=-10h"
					since = 0
				}
				c := &numberedClient{c: n.b.login(path)}
				c.c.send(subscribe([]string{"T.*", "T.S1,Q.S2", "T.S1,T.*", "Q.*,T.*,T.S1"}[i%4]))
				clients, sinces = append(clients, c), append(sinces, since)
				for c.ends == 0 {
					c.read()
				}
				c.c.send(subscribe("Q.S3"))
				for len(all)+600 > len(n.all()) {
					c.read()
				}
			}
			stop()
			n.b.up.Broadcast([]byte(`[{"ev":"T","sym":"S1","n":-1},{"ev":"Q","sym":"S3","n":-1}]`))
			n.b.await(func(s relay.MarketStats) bool { return s.Up })
			for last := false; !last; {
				n.b.up.Broadcast([]byte(`[{"ev":"T","sym":"S1","n":-1},{"ev":"Q","sym":"S3","n":-1}]`))
				time.Sleep(time.Millisecond)
				all := n.all()
				last = len(all) > 0 && all[len(all)-1].events != nil && all[len(all)-1].events[0].Number == -1
			}
			for i, c := range clients {
				ended := func(topic string) bool { // history of one topic may overtake what is live of another
					is := func(e numberedEvent) bool { return e.Ev+e.Sym == topic && e.Number == -1 }
					return slices.ContainsFunc(c.live, is) || slices.ContainsFunc(c.history, is)
				}
				for c.ends < 2 || !ended("TS1") || !ended("QS3") {
					c.read()
				}
				wants := func(e numberedEvent) bool {
					return e.Number > 0 && (e.Ev+e.Sym == "QS3" || slices.Contains([][]string{
						{"TS0", "TS1", "TS2", "TS3"}, {"TS1", "QS2"}, {"TS0", "TS1", "TS2", "TS3"},
						{"TS0", "TS1", "TS2", "TS3", "QS0", "QS1", "QS2"},
					}[i%4], e.Ev+e.Sym))
				}
				want, got := map[string][]int{}, map[string][]int{}
				for _, m := range n.all() {
					if m.at < sinces[i] {
						continue
					}
					for _, e := range m.events {
						if wants(e) {
							want[e.Ev+e.Sym] = append(want[e.Ev+e.Sym], e.Number)
						}
					}
				}
				for _, e := range append(slices.Clone(c.history), c.live...) {
					if e.Number > 0 {
						got[e.Ev+e.Sym] = append(got[e.Ev+e.Sym], e.Number)
					}
				}
				require.Equal(t, want, got, "client %d", i)
				require.NotEmpty(t, c.history)
			}
		})
	}
}

// TestSinceTellsWhatIsMissing: where the history does not reach back, where a topic was not
// streamed, and where the upstream was gone.
func TestSinceTellsWhatIsMissing(t *testing.T) {
	b := start(t, quiet, tickstorm.Stocks, func(c *relay.Config) { c.History = 1 << 20 })
	b.streaming(0)
	begun := time.Now().UnixNano()
	first := b.login("/stocks")
	first.take("T.AAPL")
	granted := time.Now().UnixNano()
	b.up.Broadcast([]byte("[" + oddTrade + "]"))
	first.expect("[" + oddTrade + "]")
	b.up.Conns()[0].Cut()
	require.Equal(t, dialogue.UpstreamDisconnected, said(t, first.next()).Status)
	require.Equal(t, dialogue.UpstreamConnected, said(t, first.next()).Status)
	b.streaming(1)
	b.up.Broadcast([]byte("[" + oddTrade + "]"))
	gap := said(t, first.next())
	first.expect("[" + oddTrade + "]")

	history := func(path, topics string) (found []dialogue.Status, events int) {
		c := b.login(path)
		c.send(subscribe(topics))
		for {
			h := &statuses{}
			msg := c.next()
			require.NoError(t, tickstorm.NewParser(tickstorm.Stocks).Parse([]byte(msg), h))
			events += strings.Count(msg, oddTrade)
			for _, s := range h.found {
				if found = append(found, s); s.Status == dialogue.HistoryEnd && strings.HasSuffix(s.Message, "next=live") {
					return found[1:], events // without the acknowledgement
				}
			}
		}
	}
	found, events := history("/stocks?since=-1h", "T.AAPL")
	require.Equal(t, 2, events)
	require.Len(t, found, 5)
	require.Equal(t, dialogue.HistoryBegin, found[0].Status)
	require.True(t, strings.HasSuffix(found[0].Message, " topics=T.AAPL"))
	_, to, _, ok := dialogue.ParseGap(found[1].Message)
	require.True(t, ok)
	require.Less(t, to, begun, "the relay was not there")
	_, to, cause, ok := dialogue.ParseGap(found[2].Message)
	require.True(t, ok)
	require.True(t, begun <= to && to <= granted, "nobody held it")
	require.Equal(t, "history: not streamed: T.AAPL", cause)
	require.Equal(t, gap, found[3])
	require.Regexp(t, `^to=\d+ events=2 next=live$`, found[4].Message)

	found, events = history(fmt.Sprintf("/stocks?since=%d", granted), "T.AAPL")
	require.Equal(t, 2, events)
	require.Len(t, found, 3, "it is all there but for what the upstream has lost")
	require.Equal(t, gap, found[1])

	found, _ = history(fmt.Sprintf("/stocks?since=%d", granted), "Q.AAPL")
	require.Equal(t, dialogue.Gap, found[1].Status)
	require.Contains(t, found[1].Message, "not streamed: Q.AAPL")
}

// TestPastTellsGaps: what a recording knows to be missing is told among what it has.
func TestPastTellsGaps(t *testing.T) {
	before := time.Now().Add(-time.Hour).UnixNano()
	trade := func(n int) string { return fmt.Sprintf(`{"ev":"T","sym":"A","n":%d}`, n) }
	gap, dropped := fixture.Status("gap", "from=1 to=2 cause=damage: broken"), fixture.Status("dropped", "3 events")
	b := start(t, quiet, tickstorm.Stocks, func(c *relay.Config) {
		c.History = 1 << 20
		c.Past = func(context.Context, tickstorm.Market, time.Time, time.Time) (relay.Source, error) {
			return &numberedSource{sought: true, rest: []numberedMessage{
				{msg: []byte("[" + fixture.Status("upstream_connected", "") + "]"), at: before},
				{msg: []byte("[" + trade(1) + "]"), at: before + 1},
				{msg: []byte("[" + gap + "]"), at: before + 2},
				{msg: []byte("[" + fixture.Status("history_begin", "topics=T.A") + "," + trade(1) + "," + fixture.Status("gap", "x") + "]"), at: before + 2},
				{msg: []byte("[" + fixture.Status("snapshot_begin", "topics=T.A") + "," + trade(1) + "]"), at: before + 2},
				{msg: []byte("[" + trade(2) + "," + dropped + "]"), at: before + 3},
			}}, nil
		}
	})
	b.streaming(0)
	c := b.login(fmt.Sprintf("/stocks?since=%d", before))
	c.take("T.A")
	var parts []string
	for msg := ""; !strings.Contains(msg, "next=live"); {
		msg = c.next()
		parts = append(parts, msg)
	}
	past := strings.Join(parts, "")
	at := -1
	for _, want := range []string{trade(1), gap, trade(2), dropped, "not streamed: T.A"} {
		next := strings.Index(past, want)
		require.Greater(t, next, at, "%s in %s", want, past)
		at = next
	}
	require.NotContains(t, past, "upstream_connected")
	require.Equal(t, 1, strings.Count(past, trade(1)), "what the recorder was sent of the past is not live")
}

// TestPastFails: that the past cannot be read is told, why it is goes to the log alone, and what can be
// read comes.
func TestPastFails(t *testing.T) {
	secret := errors.New("open /home/desk/recordings: no such file")
	before := time.Now().Add(-time.Hour).UnixNano()
	for name, open := range map[string]func() (relay.Source, error){
		"opening": func() (relay.Source, error) { return nil, secret },
		"seeking": func() (relay.Source, error) { return &failingSource{seek: secret}, nil },
		"reading": func() (relay.Source, error) { return &failingSource{next: secret}, nil },
		"nothing": func() (relay.Source, error) { return nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			var log safeBuffer
			closed := make(chan struct{}, 1)
			b := start(t, quiet, tickstorm.Stocks, func(c *relay.Config) {
				c.History, c.Logger = 1<<20, slog.New(slog.NewTextHandler(&log, nil))
				c.Past = func(context.Context, tickstorm.Market, time.Time, time.Time) (relay.Source, error) {
					s, err := open()
					if f, ok := s.(*failingSource); ok {
						f.closed = closed
					}
					return s, err
				}
			})
			b.streaming(0)
			c := b.login(fmt.Sprintf("/stocks?since=%d", before))
			c.take("T.AAPL")
			past := ""
			for !strings.Contains(past, "next=live") {
				past += c.next()
			}
			require.Contains(t, past, fmt.Sprintf("from=%d to=", before))
			require.Contains(t, past, "cause=history: it cannot be read")
			require.NotContains(t, past, "/home")
			b.up.Broadcast([]byte("[" + oddTrade + "]"))
			c.expect("[" + oddTrade + "]")
			if name == "nothing" {
				require.Contains(t, log.String(), "returned nothing")
				return
			}
			require.Contains(t, log.String(), "/home/desk")
			if name != "opening" {
				<-closed
			}
		})
	}
}

type failingSource struct {
	seek, next error
	closed     chan<- struct{}
}

func (s *failingSource) SeekTo(int64) error { return s.seek }

func (s *failingSource) Next() ([]byte, int64, error) { return nil, 0, s.next }

func (s *failingSource) Close() error {
	s.closed <- struct{}{}
	return nil
}
