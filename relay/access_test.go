package relay_test

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/relay"
)

var (
	authFailed = "[" + fixture.Status("auth_failed", "authentication failed") + "]"
	noPlan     = "[" + fixture.Status("auth_failed", dialogue.NoPlan.Message) + "]"
	notAllowed = "[" + fixture.Status("error", "not authorized") + "]"
	tooMany    = "[" + fixture.Status("error", dialogue.SubscriptionLimit.Message) + "]"
)

func withdrawn(topic string) string {
	return "[" + fixture.Status("withdrawn", "withdrawn: "+topic) + "]"
}

func authWith(token string) string { return `{"action":"auth","params":"` + token + `"}` }

// loginAs connects and shows a token where the vendor's key is shown.
func (b *bench) loginAs(path, token string) *client {
	b.t.Helper()
	c := b.client(path)
	c.send(authWith(token))
	c.expect(greeting, success)
	return c
}

// dialAs connects with a header.
func (b *bench) dialAs(path string, header http.Header) *client {
	b.t.Helper()
	c, err := dialBy(b.dial, path, header)
	require.NoError(b.t, err)
	c.t = b.t
	b.t.Cleanup(func() { _ = c.nc.Close() })
	return c
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

func newKeys(t testing.TB, keys ...relay.Key) *relay.Keys {
	t.Helper()
	k, err := relay.NewKeys(keys...)
	require.NoError(t, err)
	return k
}

// TestTokens: a token may come where the vendor's key does, in the header and in the URL. It is in
// no log, and names are.
func TestTokens(t *testing.T) {
	var log safeBuffer
	keys := newKeys(t, relay.Key{Name: "desk", Token: token("desk"), Policy: relay.Policy{Wildcards: true}}, relay.Key{Name: "hall", Token: token("hall")})
	b := start(t, quiet, tickstorm.Stocks, func(c *relay.Config) {
		c.Keys = keys
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	b.streaming(0)
	desk := token("desk")
	ack := acks("T.AAPL")
	for _, tc := range []struct {
		name, path string
		header     http.Header
		send       []string
		want       []string // behind the greeting
		closed     bool
	}{
		{"like the vendor's key", "/stocks", nil, []string{authWith(desk), subscribe("T.AAPL")}, []string{success, ack}, false},
		{"wrong", "/stocks", nil, []string{authWith(token("other"))}, []string{authFailed}, true},
		{"none", "/stocks", nil, []string{authWith("")}, []string{authFailed}, true},
		{"a name", "/stocks", nil, []string{authWith("desk")}, []string{authFailed}, true},
		{"nothing before the key", "/stocks", nil, []string{subscribe("T.AAPL"), authWith(desk)}, []string{success}, false},
		{"header", "/stocks", bearer(desk), []string{subscribe("T.AAPL")}, []string{success, ack}, false},
		{"header in another spelling", "/stocks", http.Header{"Authorization": {"bearer  " + desk}}, nil, []string{success}, false},
		{"header, and a key as well", "/stocks", bearer(desk), []string{authWith("any"), subscribe("T.AAPL")}, []string{success, success, ack}, false},
		{"wrong header", "/stocks", bearer(token("other")), nil, []string{authFailed}, true},
		{"a header of a proxy", "/stocks", http.Header{"Authorization": {"Basic dXNlcg=="}}, []string{authWith(desk)}, []string{success}, false},
		{"header and subscription", "/stocks?subscribe=T.AAPL", bearer(desk), nil, []string{success, ack}, false},
		{"URL", "/stocks?token=" + desk, nil, []string{subscribe("T.AAPL")}, []string{success, ack}, false},
		{"URL and subscription", "/stocks?token=" + desk + "&subscribe=T.AAPL", nil, nil, []string{success, ack}, false},
		{"wrong in the URL", "/stocks?subscribe=T.AAPL&token=" + token("other"), nil, nil, []string{authFailed}, true},
		{"a good header goes before the URL", "/stocks?token=" + token("other"), bearer(desk), nil, []string{success}, false},
		{"a wrong header too", "/stocks?token=" + desk, bearer(token("other")), nil, []string{authFailed}, true},
		{"a subscription waits for the key", "/stocks?subscribe=T.AAPL", nil, []string{authWith(desk)}, []string{success, ack}, false},
		{"for a good one", "/stocks?subscribe=T.AAPL", nil, []string{authWith(token("other"))}, []string{authFailed}, true},
		{"all by a key that may not", "/stocks?subscribe=T.*,T.AAPL", bearer(token("hall")), nil, []string{success, notAllowed, ack}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			refused := b.relay.Stats().RefusedKeys
			c := b.dialAs(tc.path, tc.header)
			c.send(tc.send...)
			c.expect(append([]string{greeting}, tc.want...)...)
			if tc.closed {
				require.EqualValues(t, 1008, c.end())
				require.Equal(t, refused+1, b.relay.Stats().RefusedKeys)
				return
			}
			want := "desk"
			if strings.Contains(fmt.Sprint(tc.header), token("hall")) {
				want = "hall"
			}
			clients := b.clients()
			require.Equal(t, want, clients[len(clients)-1].Key)
		})
	}
	st := b.relay.Stats()
	require.Equal(t, 2, st.Keys.Keys)
	require.Contains(t, log.String(), "key=desk")
	require.NotContains(t, log.String(), "tOkEn")
	require.NotContains(t, fmt.Sprintf("%+v", st), "tOkEn")
}

// TestPolicyMatrix: each field of a policy, what it allows, what it refuses and to whom, and what
// becomes of a client that has what the new policy takes from it, and of its neighbours.
func TestPolicyMatrix(t *testing.T) {
	type list = []string
	for _, tc := range []struct {
		name         string
		loose, tight relay.Policy
		ask          string // which loose allows
		refused      string // the answer under tight; "" if the market is refused
		lost         string // of ask, what tight takes away; "" if all is lost
		kept         string // of ask, what it leaves
	}{
		{
			name: "markets", loose: relay.Policy{Markets: []tickstorm.Market{"stocks"}}, tight: relay.Policy{Markets: []tickstorm.Market{"crypto", "forex"}},
			ask: "T.A",
		},
		{
			name: "channels", loose: relay.Policy{Channels: list{"T", "Q"}}, tight: relay.Policy{Channels: list{"Q"}},
			ask: "T.A", refused: notAllowed, lost: "T.A",
		},
		{
			name: "channels, some of them", loose: relay.Policy{}, tight: relay.Policy{Channels: list{"T"}},
			ask: "T.A,Q.A", refused: notAllowed, lost: "Q.A", kept: "T.A",
		},
		{
			name: "symbols", loose: relay.Policy{Symbols: list{"A", "B"}}, tight: relay.Policy{Symbols: list{"B", "C*"}},
			ask: "T.A", refused: notAllowed, lost: "T.A",
		},
		{
			name: "beginnings of symbols", loose: relay.Policy{Symbols: list{"A*"}}, tight: relay.Policy{Symbols: list{"AB*"}},
			ask: "T.ABC,T.AC", refused: notAllowed, lost: "T.AC", kept: "T.ABC",
		},
		{
			name: "a spelling of its own", loose: relay.Policy{}, tight: relay.Policy{Symbols: list{"B"}},
			ask: "T.a", refused: notAllowed, lost: "T.a",
		},
		{
			name: "wildcards", loose: relay.Policy{Wildcards: true}, tight: relay.Policy{},
			ask: "T.*,T.A", refused: notAllowed, lost: "T.*", kept: "T.A",
		},
		{
			name: "most topics", loose: relay.Policy{MaxTopics: 2}, tight: relay.Policy{MaxTopics: 1},
			ask: "T.A,T.B", refused: "[" + tooMany[1:len(tooMany)-1] + "," + tooMany[1:], lost: "T.B", kept: "T.A",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			set := func(p relay.Policy) []relay.Key {
				return []relay.Key{{Name: "one", Token: token("one"), Policy: p}, {Name: "other", Token: token("other"), Policy: relay.Policy{Wildcards: true}}}
			}
			keys := newKeys(t, set(tc.tight)...)
			b := start(t, quiet, tickstorm.Stocks, func(c *relay.Config) { c.Keys = keys; c.Linger = -1 })
			b.streaming(0)
			neighbour := b.loginAs("/stocks", token("other"))
			neighbour.take(tc.ask)
			trade := `[{"ev":"T","sym":"ABC"},{"ev":"T","sym":"A"},{"ev":"T","sym":"B"},{"ev":"T","sym":"AC"},{"ev":"Q","sym":"A"}]`
			heard := func() {
				t.Helper()
				b.up.Broadcast([]byte(trade))
				require.True(t, strings.HasPrefix(neighbour.next(), `[{"ev":"`), "nobody else notices")
			}

			// Under the tight one it is refused, and the asker only is told.
			if tc.refused == "" {
				c := b.client("/stocks")
				c.send(authWith(token("one")))
				c.expect(greeting, noPlan)
				require.EqualValues(t, 1008, c.end())
			} else {
				c := b.loginAs("/stocks", token("one"))
				c.send(subscribe(tc.ask))
				c.expect(tc.refused)
				if tc.kept != "" && !strings.Contains(tc.refused, "limit") {
					c.expect(acks(tc.kept))
				}
				require.NoError(t, c.nc.Close())
			}
			heard()

			// Under the loose one it is allowed, until the policy changes.
			require.NoError(t, keys.Set(set(tc.loose)...))
			c := b.loginAs("/stocks", token("one"))
			c.take(tc.ask)
			heard()
			require.True(t, strings.HasPrefix(c.next(), `[{"ev":"`))
			require.NoError(t, keys.Set(set(tc.tight)...))
			if tc.lost == "" {
				c.expect(noPlan)
				require.EqualValues(t, 1008, c.end())
			} else {
				c.expect(withdrawn(tc.lost))
				heard()
				if tc.kept != "" {
					channel, symbol, _ := strings.Cut(tc.kept, ".")
					c.expect(`[{"ev":"` + channel + `","sym":"` + symbol + `"}]`)
				}
				c.send(subscribe(tc.lost))
				c.expect(tc.refused[:strings.Index(tc.refused, "}")+1] + "]")
				require.NoError(t, keys.Set(set(tc.loose)...))
				c.take(tc.lost)
			}
			heard()
			require.Len(t, neighbour.messages, 0)
		})
	}
}

// TestKeysChange: a client whose key is gone, goes; one whose key has another name stays.
func TestKeysChange(t *testing.T) {
	path := keysFile(t, oneKey(""))
	keys, err := relay.LoadKeys(path)
	require.NoError(t, err)
	var log safeBuffer
	b := start(t, quiet, tickstorm.Stocks, func(c *relay.Config) {
		c.Keys = keys
		c.FilePoll = time.Millisecond
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	b.streaming(0)
	c, nobody := b.loginAs("/stocks", token("desk")), b.client("/stocks")
	c.take("T.AAPL")
	await := func(cond func(relay.Stats) bool) {
		t.Helper()
		for deadline := time.Now().Add(patience); !cond(b.relay.Stats()); time.Sleep(time.Millisecond) {
			require.True(t, time.Now().Before(deadline), "the relay does not take notice")
		}
	}

	writeKeys(t, path, strings.Replace(oneKey(""), `"desk"`, `"hall"`, 1))
	await(func(s relay.Stats) bool { return s.Keys.Loads == 2 })
	require.NoError(t, keys.Reload(), "it waits for what is under way")
	require.Equal(t, "hall", b.clients()[0].Key)
	b.up.Broadcast([]byte("[" + oddTrade + "]"))
	c.expect("[" + oddTrade + "]")

	writeKeys(t, path, strings.Replace(oneKey(""), token("desk"), "short", 1))
	await(func(s relay.Stats) bool { return s.Keys.Err != nil })
	require.ErrorContains(t, b.relay.Stats().Keys.Err, "keys.json:1: token: ")
	b.up.Broadcast([]byte("[" + oddTrade + "]"))
	c.expect("[" + oddTrade + "]")
	require.EqualValues(t, 2, b.relay.Stats().Keys.Loads)

	writeKeys(t, path, strings.Replace(oneKey(""), token("desk"), token("rotated"), 1))
	c.expect(authFailed)
	require.EqualValues(t, 1008, c.end())
	b.await(func(s relay.MarketStats) bool { return s.Topics == 0 })
	require.NoError(t, b.relay.Stats().Keys.Err)
	require.NoError(t, os.Remove(path))
	await(func(s relay.Stats) bool { return s.Keys.Err != nil })
	nobody.send(authWith(token("rotated")))
	nobody.expect(greeting, success)
	require.Contains(t, log.String(), "keys.json")
	require.Contains(t, log.String(), "the key was withdrawn")
	require.NotContains(t, log.String(), "tOkEn")
	require.NotContains(t, log.String(), "short")
}

// TestKeyIsWithdrawnWhileItWaits: what waits for a client that may not stay is not written any more.
func TestKeyIsWithdrawnWhileItWaits(t *testing.T) {
	keys := newKeys(t, relay.Key{Name: "desk", Token: token("desk")})
	inBubble(t, quiet, tickstorm.Stocks, func(c *relay.Config) { c.Keys = keys }, func(b *bench) {
		c := b.loginAs("/stocks", token("desk"))
		c.take("T.A")
		const events = 4
		for i := range events {
			b.up.Broadcast(fmt.Appendf(nil, `[{"ev":"T","sym":"A","q":%d}]`, i))
			time.Sleep(time.Second) // the first is being written, to a client that reads nothing
		}
		require.Equal(t, events, int(b.relay.Stats().Markets[0].Events))
		require.NoError(t, keys.Set())
		c.expect(`[{"ev":"T","sym":"A","q":0}]`, authFailed)
		require.EqualValues(t, 1008, c.end())
		require.Empty(t, c.messages)
	})
}

// TestKeyIsWithdrawn: a client of this library whose key is withdrawn does not come back.
func TestKeyIsWithdrawn(t *testing.T) {
	keys := newKeys(t, relay.Key{Name: "desk", Token: token("desk")})
	b := start(t, quiet, tickstorm.Stocks, func(c *relay.Config) { c.Keys = keys })
	b.streaming(0)
	client, err := tickstorm.NewClient(tickstorm.Config{
		Key: token("desk"), Market: tickstorm.Stocks, Feed: tickstorm.Feed("ws://" + b.addr), Proxy: tickstorm.NoProxy,
		Backoff: tickstorm.Backoff{Min: time.Millisecond, Max: time.Millisecond},
	}, tickstorm.NopHandler{})
	require.NoError(t, err)
	require.NoError(t, client.Start(t.Context()))
	require.NoError(t, client.Subscribe(t.Context(), tickstorm.Trades, "A"))
	require.NoError(t, keys.Set())
	require.ErrorIs(t, client.Wait(), tickstorm.ErrAuthFailed)
}

// TestOverflowOfAKey: each key has a policy of its own for clients that read too slowly, and a new
// one takes effect on those that there are.
func TestOverflowOfAKey(t *testing.T) {
	flood := []byte(`[{"ev":"T","sym":"A","i":"` + strings.Repeat("x", 10_000) + `"}]`)
	set := func(o tickstorm.Overflow) relay.Key {
		return relay.Key{Name: "one", Token: token("one"), Policy: relay.Policy{Overflow: o}}
	}
	keys := newKeys(t, set(tickstorm.OverflowDropNewest))
	b := start(t, quiet, tickstorm.Stocks, func(c *relay.Config) { c.Keys = keys; c.Queue.Bytes = 1 << 20 })
	b.streaming(0)
	stuck := b.loginAs("/stocks", token("one"))
	stuck.take("T.A")
	st := func() (s relay.ClientStats) {
		if all := b.clients(); len(all) > 0 { // it may have gone
			s = all[0]
		}
		return s
	}
	flooded := func(cond func(relay.ClientStats) bool) {
		t.Helper()
		for deadline := time.Now().Add(patience); !cond(st()); {
			require.True(t, time.Now().Before(deadline), "%+v", st())
			b.up.Broadcast(flood)
		}
	}
	// Of who goes, nothing waits but what is being written, a quarter of the queue at most.
	const stays = 400 << 10
	for _, o := range []tickstorm.Overflow{tickstorm.OverflowDropNewest, tickstorm.OverflowDropOldest} {
		require.NoError(t, keys.Set(set(o)))
		before := st().Dropped
		// It waits for the client, which may stay; drops alone can come of a burst.
		flooded(func(s relay.ClientStats) bool { return s.Dropped > before+1 && s.Bytes > stays })
	}
	require.NoError(t, keys.Set(set(0)), "as Config.Queue has it: the client goes, and what waits for it")
	before := st().Dropped
	flooded(func(s relay.ClientStats) bool { return s.Dropped > before || s.ID == 0 })
	require.EqualValues(t, 1008, stuck.end())
}

// TestWrongKeysAgainAndAgain: an address that they come from has to wait, before it is asked for
// another, and no other address.
func TestWrongKeysAgainAndAgain(t *testing.T) {
	b := start(t, quiet, tickstorm.Stocks, func(c *relay.Config) {
		c.Keys = newKeys(t, relay.Key{Name: "desk", Token: token("desk")})
	})
	b.streaming(0)
	from := func(address string) *httptest.Server {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.RemoteAddr = address
			b.relay.ServeHTTP(w, r)
		}))
		t.Cleanup(s.Close)
		return s
	}
	guesser, other := from("192.0.2.1:1"), from("192.0.2.2:1")
	dialVia := func(s *httptest.Server, token string) (*client, error) {
		c, err := dial("tcp", s.Listener.Addr().String(), "/stocks", bearer(token))
		if err == nil {
			c.t = t
			t.Cleanup(func() { _ = c.nc.Close() })
		}
		return c, err
	}
	tries := 0
	var err error
	for tries = 0; err == nil && tries < 100; tries++ {
		var c *client
		if c, err = dialVia(guesser, token(fmt.Sprint(tries))); err == nil {
			c.expect(greeting, authFailed)
			require.EqualValues(t, 1008, c.end())
		}
	}
	require.Equal(t, ws.StatusError(429), err)
	require.Less(t, tries, 30)
	response, err := http.Get(guesser.URL + "/stocks")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.NotEmpty(t, response.Header.Get("Retry-After"))
	_, err = dialVia(guesser, token("desk"))
	require.Equal(t, ws.StatusError(429), err, "it would be told whether it was right")
	c, err := dialVia(other, token("desk"))
	require.NoError(t, err)
	c.expect(greeting, success)
}

// TestStrangers: an address beyond the machine cannot take all places without a key.
func TestStrangers(t *testing.T) {
	far := &far{pipes: &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}}
	server := fixture.Start(t, quiet)
	b := serve(t, relay.Config{
		Upstreams: []tickstorm.Config{server.ClientConfig(tickstorm.Stocks)},
		Keys:      newKeys(t, relay.Key{Name: "desk", Token: token("desk")}),
	}, far)
	b.up, b.dial = server, far.dial
	b.streaming(0)
	for range 3 { // who has shown a key is no stranger
		b.loginAs("/stocks", token("desk"))
	}
	var last net.Conn
	var err error
	for range 250 { // a quarter of MaxClients
		last, err = far.dial()
		require.NoError(t, err)
		defer last.Close()
	}
	refused, err := far.dial()
	require.NoError(t, err)
	_ = refused.SetReadDeadline(time.Now().Add(patience))
	_, err = refused.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	c, err := dialBy(func() (net.Conn, error) { return last, nil }, "/stocks", nil)
	require.NoError(t, err)
	c.t = t
	c.send(authWith(token("desk")))
	c.expect(greeting, success)
	b.loginAs("/stocks", token("desk")) // in the place of who is no stranger any more
	far.next = "192.0.2.9:1"
	b.loginAs("/stocks", token("desk"))
}

// far is a listener of connections that come from elsewhere, it seems.
type far struct {
	*pipes
	next string
}

func (l *far) Accept() (net.Conn, error) {
	nc, err := l.pipes.Accept()
	if err != nil {
		return nil, err
	}
	from := "192.0.2.1:1000"
	if l.next != "" {
		from = l.next
	}
	return farConn{nc, from}, nil
}

type farConn struct {
	net.Conn
	from string
}

func (c farConn) RemoteAddr() net.Addr {
	a, err := net.ResolveTCPAddr("tcp", c.from)
	if err != nil {
		panic(err)
	}
	return a
}
