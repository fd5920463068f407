package admin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/leak"
	"github.com/tickstorm/tickstorm/relay"
	"github.com/tickstorm/tickstorm/relay/admin"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// fake is a relay whose stats a test sets.
type fake struct {
	mu      sync.Mutex
	stats   relay.Stats
	clients []relay.ClientStats
	topics  []relay.TopicStats
	asked   int // for stats
}

func (f *fake) Stats() relay.Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	return f.stats
}

func (f *fake) Clients() iter.Seq[relay.ClientStats] {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Values(slices.Clone(f.clients))
}

func (f *fake) Topics(query string, limit int) ([]relay.TopicStats, int) {
	var found []relay.TopicStats
	for _, t := range f.topics {
		if strings.Contains(t.Topic.String(), query) {
			found = append(found, t)
		}
	}
	return found[:min(limit, len(found))], len(found)
}

func (f *fake) set(change func(*relay.Stats)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.stats)
}

func stocks(m relay.MarketStats) *fake {
	m.Market = tickstorm.Stocks
	return &fake{stats: relay.Stats{Markets: []relay.MarketStats{m}}}
}

func ask(h http.Handler, method, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, "http://127.0.0.1"+target, nil))
	return w
}

// TestDocumented: every member of what is told as JSON stands in docs/relay.md.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/relay.md")
	require.NoError(t, err)
	source := stocks(relay.MarketStats{Why: "connecting"})
	source.stats.Standby = true
	source.clients = []relay.ClientStats{{}}
	source.topics = []relay.TopicStats{{}}
	for _, path := range []string{"/readyz", "/clients", "/topics"} {
		_, row, ok := strings.Cut(string(text), "\n| `"+path+"` |")
		require.True(t, ok, path)
		row, _, _ = strings.Cut(row, "\n")
		var told any
		require.NoError(t, json.Unmarshal(ask(admin.New(source, admin.Config{}), "GET", path).Body.Bytes(), &told))
		for _, member := range members(told) {
			require.Contains(t, row, "`"+member+"`", path)
		}
	}
}

// members are the names in a value of JSON, at any depth.
func members(v any) (names []string) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			names = append(names, members(e)...)
		}
	case map[string]any:
		for name, e := range v {
			names = append(append(names, name), members(e)...)
		}
	}
	return names
}

func TestReady(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name  string
		m     relay.MarketStats
		age   time.Duration
		ready bool
		why   string
	}{
		{"up", relay.MarketStats{Up: true}, 0, true, ""},
		{"up, old and any age will do", relay.MarketStats{Up: true, Granted: 1, Last: now.Add(-time.Hour)}, 0, true, ""},
		{"too old", relay.MarketStats{Up: true, Granted: 1, Last: now.Add(-time.Hour)}, time.Minute, false, "no message came for 1h0m"},
		{"nothing yet", relay.MarketStats{Up: true, Granted: 1}, time.Minute, false, "no message came yet"},
		{"young", relay.MarketStats{Up: true, Granted: 1, Last: now}, time.Minute, true, ""},
		{"nobody asks for data", relay.MarketStats{Up: true, Last: now.Add(-time.Hour)}, time.Minute, true, ""},
		{"down", relay.MarketStats{Why: "disconnected: EOF"}, 0, false, "disconnected: EOF"},
		{"not yet up", relay.MarketStats{State: tickstorm.StateAuthenticating}, 0, false, "authenticating"},
		{"failed", relay.MarketStats{Err: errors.New("authentication failed")}, 0, false, "authentication failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := ask(admin.New(stocks(c.m), admin.Config{MaxAge: c.age}), "GET", "/readyz")
			var got struct {
				Ready   bool
				Markets []struct {
					Market string
					Ready  bool
					Why    string
					Age    *int64
				}
			}
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
			require.Equal(t, c.ready, got.Ready)
			require.Equal(t, c.ready, w.Code == http.StatusOK)
			require.Equal(t, !c.ready, w.Code == http.StatusServiceUnavailable)
			require.Len(t, got.Markets, 1)
			require.Equal(t, "stocks", got.Markets[0].Market)
			require.Equal(t, c.ready, got.Markets[0].Ready)
			require.Contains(t, got.Markets[0].Why, c.why)
			require.Equal(t, c.m.Last.IsZero(), got.Markets[0].Age == nil)
		})
	}
}

// What strangers ask for is refused, and nothing is changed by asking.
func TestHostileRequests(t *testing.T) {
	a := admin.New(stocks(relay.MarketStats{Up: true}), admin.Config{Hosts: []string{"desk.example.com"}})
	for _, c := range []struct {
		name, method, host, target string
		code                       int
	}{
		{"health", "GET", "localhost:8766", "/healthz", 200},
		{"HEAD", "HEAD", "127.0.0.1", "/healthz", 200},
		{"IPv6", "GET", "[::1]:8766", "/healthz", 200},
		{"a name that is known", "GET", "DESK.example.com:8766", "/", 200},
		{"a name that somebody points here", "GET", "evil.example.com", "/clients", 421},
		{"a name that ends alike", "GET", "notdesk.example.com", "/clients", 421},
		{"a page that posts", "POST", "localhost", "/clients", 405},
		{"a method that there is not", "BREW", "localhost", "/", 405},
		{"no such path", "GET", "localhost", "/nothing", 404},
		{"a path that climbs", "GET", "localhost", "/..%2f..%2fetc/passwd", 404},
		{"topics", "GET", "localhost", "/topics?q=A&limit=5", 200},
		{"a limit that is none", "GET", "localhost", "/topics?limit=x", 400},
		{"a negative limit", "GET", "localhost", "/topics?limit=-1", 400},
		{"a giant limit", "GET", "localhost", "/topics?limit=999999999999999999999", 400},
		{"a giant query", "GET", "localhost", "/topics?q=" + strings.Repeat("A", 5000), 400},
		{"clients", "GET", "localhost", "/clients?q=%27%22%3Cscript%3E&limit=2000000000", 200},
		{"no clients", "GET", "localhost", "/clients?limit=-1", 400},
		{"a limit of clients that is none", "GET", "localhost", "/clients?limit=1e9", 400},
		{"a giant query for clients", "GET", "localhost", "/clients?q=" + strings.Repeat("A", 5000), 400},
		{"a query that is no text", "GET", "localhost", "/topics?q=%ff%00%zz", 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(c.method, "http://localhost"+c.target, nil)
			r.Host = c.host
			a.ServeHTTP(w, r)
			require.Equal(t, c.code, w.Code)
			require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
			require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
			require.Empty(t, w.Header().Get("Access-Control-Allow-Origin"))
		})
	}
}

// The page loads nothing from elsewhere, and runs nothing but what it came with.
func TestPage(t *testing.T) {
	w := ask(admin.New(stocks(relay.MarketStats{}), admin.Config{}), "GET", "/")
	require.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"))
	policy := w.Header().Get("Content-Security-Policy")
	require.Regexp(t, `style-src 'sha256-[^']+'; script-src 'sha256-[^']+'$`, policy)
	require.NotContains(t, policy, "unsafe")
	page := w.Body.String()
	require.NotContains(t, page, "innerHTML")
	require.NotContains(t, page, "src=")
	require.NotContains(t, strings.ReplaceAll(page, "http://www.w3.org/2000/svg", ""), "://")
	require.Equal(t, 1, strings.Count(page, "<script"))
	require.Equal(t, 1, strings.Count(page, "<style"))
}

func TestTopics(t *testing.T) {
	f := stocks(relay.MarketStats{})
	for _, symbol := range []string{"AAPL", "MSFT"} {
		f.topics = append(f.topics, relay.TopicStats{
			Market: tickstorm.Stocks, Topic: tickstorm.Topic{Channel: "T", Symbol: symbol}, Granted: true,
			Clients: []relay.TopicClient{{ID: 1, From: "10.0.0.1:1"}, {ID: 2, From: "10.0.0.2:2", Key: "desk"}}, Holders: 3,
		})
	}
	a := admin.New(f, admin.Config{})
	for _, c := range []struct{ target, want string }{
		{"/topics?q=AAPL", `{"total":1,"topics":[{"market":"stocks","topic":"T.AAPL","granted":true,"count":3,"clients":["10.0.0.1:1","desk #2"],"age":null}]}`},
		{"/topics?limit=0", `{"total":2,"topics":[]}`},
		{"/topics?q=ZZ", `{"total":0,"topics":[]}`},
	} {
		require.JSONEq(t, c.want, ask(a, "GET", c.target).Body.String(), c.target)
	}
	require.Zero(t, f.asked, "that all is counted for a search")
}

// Clients are told one by one, all of them or those that were asked for.
func TestClients(t *testing.T) {
	f := stocks(relay.MarketStats{})
	a := admin.New(f, admin.Config{})
	require.JSONEq(t, "[]", ask(a, "GET", "/clients").Body.String())
	for id := range uint64(1000) {
		key := ""
		if id%2 == 1 {
			key = fmt.Sprintf("Desk %d", id)
		}
		f.clients = append(f.clients, relay.ClientStats{ID: id, Market: tickstorm.Stocks, From: fmt.Sprintf("10.0.0.1:%d", id), Key: key, Recalled: id})
	}
	f.clients[7].Delay.Observe(time.Second)
	for _, c := range []struct {
		query       string
		n           int
		first, last uint64
	}{
		{"", 1000, 0, 999},
		{"?limit=3", 3, 0, 2},
		{"?limit=0", 0, 0, 0},
		{"?q=desk+99", 6, 99, 999},
		{"?q=10.0.0.1:50", 11, 50, 509},
		{"?q=:50&limit=2", 2, 50, 500},
		{"?q=nobody", 0, 0, 0},
	} {
		w := ask(a, "GET", "/clients"+c.query)
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, "application/json", w.Header().Get("Content-Type"))
		var got []struct {
			ID, Recalled  uint64
			Name, Address string
			Market        string
			DelayP50      *int64
		}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got), c.query)
		require.Len(t, got, c.n, c.query)
		if c.n == 0 {
			continue
		}
		require.Equal(t, []uint64{c.first, c.last}, []uint64{got[0].ID, got[c.n-1].ID}, c.query)
		for _, one := range got {
			want := f.clients[one.ID]
			require.Equal(t, []string{want.Key, want.From, "stocks"}, []string{one.Name, one.Address, one.Market})
			require.Equal(t, one.ID, one.Recalled)
			require.Equal(t, one.ID == 7, one.DelayP50 != nil)
		}
	}
}

// Of many clients the page has those that are to be looked at, and how many there are.
func TestManyClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := stocks(relay.MarketStats{Clients: 3000})
		f.stats.Clients = 3000
		want := map[uint64]bool{}
		for id := range uint64(3000) {
			c := relay.ClientStats{ID: id}
			switch {
			case id%30 == 1:
				c.Bytes = 100
			case id%30 == 2:
				c.Dropped = 1
			}
			want[id] = c.Bytes > 0 || c.Dropped > 0
			f.clients = append(f.clients, c)
		}
		got := snapshotOf(t, f)
		require.Equal(t, 3000, got.Count)
		require.Len(t, got.Clients, 200)
		for i, c := range got.Clients {
			require.True(t, want[c.ID], c.ID)
			require.True(t, i == 0 || got.Clients[i-1].ID < c.ID, "in the order of their arrival")
		}
	})
}

// snapshotOf is what the page is told first. It wants a bubble.
func snapshotOf(t *testing.T, f *fake) snapshot {
	t.Helper()
	a := admin.New(f, admin.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- a.Run(ctx) }()
	synctest.Wait()
	w := httptest.NewRecorder()
	served := make(chan struct{})
	go func() {
		defer close(served)
		a.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/events", nil))
	}()
	synctest.Wait()
	cancel()
	<-ran
	<-served
	return stream{bufio.NewScanner(w.Body)}.next(t)
}

// What keys, a certificate, a lock and what is kept of the past are about is told, without them nothing of it.
func TestOffice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := stocks(relay.MarketStats{Up: true})
		got := snapshotOf(t, f)
		require.Nil(t, got.Keys)
		require.Nil(t, got.Certificate)
		require.Nil(t, got.Markets[0].Past)
		require.False(t, got.Standby)
		for _, name := range []string{"_keys", "_certificate", "_snapshot", "_history", "_recalled"} {
			require.NotContains(t, ask(admin.New(f, admin.Config{}), "GET", "/metrics").Body.String(), name)
		}

		now := time.Now()
		f.set(func(s *relay.Stats) {
			s.Standby, s.RefusedKeys = true, 4
			s.Keys = relay.KeysStats{Keys: 3, Loads: 2, Failures: 1, Loaded: now.Add(-time.Minute), Err: errors.New("keys.json:7: no field")}
			s.Certificate = relay.CertificateStats{Loaded: now, NotAfter: now.Add(time.Hour), Err: errors.New("cert.pem: gone")}
			s.Markets[0].Recalled = 9
			s.Markets[0].Past = relay.PastStats{Snapshots: true, Symbols: 5, Bytes: 700, Evicted: 2, Unkept: 1, History: 1 << 20, From: now.Add(-time.Minute)}
		})
		f.clients = []relay.ClientStats{{ID: 1, Key: "desk", From: "10.0.0.1:1"}}
		got = snapshotOf(t, f)
		require.True(t, got.Standby)
		require.Equal(t, "standby", got.Markets[0].State)
		require.Equal(t, "desk", got.Clients[0].Name)
		require.Equal(t, keysTold{Count: 3, Age: int64(time.Minute), Error: "keys.json:7: no field", Wrong: 4}, *got.Keys)
		require.Equal(t, int64(time.Hour), got.Certificate.Left)
		require.Equal(t, "cert.pem: gone", got.Certificate.Error)
		require.Equal(t, 5, got.Markets[0].Past.Symbols)
		require.Equal(t, int64(time.Minute), *got.Markets[0].Past.Reach)
		require.EqualValues(t, 9, got.Markets[0].Past.Recalled)
		a := admin.New(f, admin.Config{})
		text := ask(a, "GET", "/metrics").Body.String()
		for _, line := range []string{
			"tickstorm_relay_standby 1",
			"tickstorm_relay_keys 3",
			"tickstorm_relay_keys_loads_total 2",
			"tickstorm_relay_keys_failures_total 1",
			"tickstorm_relay_keys_stale 1",
			"tickstorm_relay_wrong_keys_total 4",
			fmt.Sprintf("tickstorm_relay_certificate_expiry_timestamp_seconds %g", float64(now.Add(time.Hour).Unix())),
			"tickstorm_relay_certificate_stale 1",
			`tickstorm_relay_snapshot_symbols{market="stocks"} 5`,
			`tickstorm_relay_snapshot_bytes{market="stocks"} 700`,
			`tickstorm_relay_snapshot_evicted_total{market="stocks"} 2`,
			`tickstorm_relay_snapshot_unkept_total{market="stocks"} 1`,
			`tickstorm_relay_history_bytes{market="stocks"} 1.048576e+06`,
			`tickstorm_relay_history_seconds{market="stocks"} 60`,
			`tickstorm_relay_recalled_events_total{market="stocks"} 9`,
		} {
			require.Contains(t, text, line+"\n")
		}
		w := ask(a, "GET", "/readyz")
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.JSONEq(t, `{"ready":false,"standby":true,"markets":[{"market":"stocks","ready":false,"why":"another relay has the lock","age":null}]}`, w.Body.String())
	})
}

func TestMetrics(t *testing.T) {
	m := relay.MarketStats{
		Market: tickstorm.Stocks, Up: true, Messages: 3, Events: 40, Dropped: 5, Left: 6, Written: 30, Gaps: 2,
		Channels: []tickstorm.ChannelCount{{Channel: "T", Count: 38}, {Channel: "Q"}, {Channel: `a"\` + "\n", Count: 2}},
		Clients:  2, Queued: 400, Longest: 300,
	}
	m.Delay.Observe(3 * time.Microsecond)
	m.Delay.Observe(time.Hour)
	f := &fake{stats: relay.Stats{Accepted: 7, Refused: 1, Markets: []relay.MarketStats{m}}}
	w := ask(admin.New(f, admin.Config{}), "GET", "/metrics")
	require.Equal(t, "text/plain; version=0.0.4; charset=utf-8", w.Header().Get("Content-Type"))
	text := w.Body.String()
	for _, line := range []string{
		"tickstorm_relay_clients_accepted_total 7",
		"tickstorm_relay_clients_refused_total 1",
		`tickstorm_relay_up{market="stocks"} 1`,
		`tickstorm_relay_events_total{market="stocks"} 40`,
		`tickstorm_relay_clients{market="stocks"} 2`,
		`tickstorm_relay_queued_bytes{market="stocks"} 400`,
		`tickstorm_relay_longest_queue_bytes{market="stocks"} 300`,
		`tickstorm_relay_dropped_events_total{market="stocks"} 5`,
		`tickstorm_relay_left_events_total{market="stocks"} 6`,
		`tickstorm_relay_channel_events_total{market="stocks",channel="T"} 38`,
		`tickstorm_relay_channel_events_total{market="stocks",channel="a\"\\\n"} 2`,
		`tickstorm_relay_delay_seconds_bucket{market="stocks",le="2.048e-06"} 0`,
		`tickstorm_relay_delay_seconds_bucket{market="stocks",le="4.096e-06"} 1`,
		`tickstorm_relay_delay_seconds_bucket{market="stocks",le="+Inf"} 2`,
		`tickstorm_relay_delay_seconds_sum{market="stocks"} 3600.000003`,
		`tickstorm_relay_delay_seconds_count{market="stocks"} 2`,
	} {
		require.Contains(t, text, line+"\n")
	}
	require.NotContains(t, text, "last_message_age_seconds{", "there is none")
	families := map[string]bool{}
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, _, _ := strings.Cut(rest, " ")
			require.False(t, families[name], "%s stands twice", name)
			families[name] = true
		}
	}
}

// stream reads server-sent events.
type stream struct {
	*bufio.Scanner
}

// snapshot is what one of them tells.
type snapshot struct {
	Up          int64
	Standby     bool
	Count       int
	Keys        *keysTold
	Certificate *struct {
		Left  int64
		Error string
	}
	Markets []struct {
		State, Error   string
		Rate, ByteRate float64
		LagP50, LagP99 *int64
		Channels       []struct {
			Channel string
			History []float64
		}
		LastGap *struct {
			Length int64
			Cause  string
		}
		Past *struct {
			Symbols, Bytes, History int
			Reach                   *int64
			Recalled                uint64
		}
	}
	Clients []struct {
		ID       uint64
		Name     string
		Queued   int
		DelayP50 *int64
	}
}

type keysTold struct {
	Count int
	Age   int64
	Error string
	Wrong uint64
}

func (s stream) next(t *testing.T) (got snapshot) {
	t.Helper()
	for s.Scan() {
		if data, ok := strings.CutPrefix(s.Text(), "data: "); ok {
			require.NoError(t, json.Unmarshal([]byte(data), &got))
			return got
		}
	}
	require.NoError(t, s.Err())
	require.Fail(t, "the stream has ended")
	return got
}

// Each second has its rates, and the last minute its lag.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := stocks(relay.MarketStats{Up: true})
		a := admin.New(f, admin.Config{MaxViewers: 1})
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- a.Run(ctx) }()
		synctest.Wait()
		server, client := net.Pipe()
		defer client.Close()
		w := &piped{ResponseRecorder: httptest.NewRecorder(), conn: server}
		go func() {
			a.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/events", nil))
			server.Close()
		}()
		s := stream{bufio.NewScanner(client)}
		first := s.next(t)
		require.Equal(t, "connected", first.Markets[0].State)
		require.Zero(t, first.Markets[0].Rate)
		require.Nil(t, first.Markets[0].LagP50)
		require.Equal(t, http.StatusServiceUnavailable, ask(a, "GET", "/events").Code, "one viewer is enough")

		f.set(func(s *relay.Stats) {
			m := &s.Markets[0]
			m.Events, m.Upstream.Bytes = 1000, 5000
			m.Channels = []tickstorm.ChannelCount{{Channel: "T", Count: 900}, {Channel: "Q"}, {Channel: "status", Count: 1}}
			m.Upstream.Lag.Observe(20 * time.Millisecond)
			f.clients = []relay.ClientStats{{ID: 3, Bytes: 5}}
			m.Gaps, m.LastGap = 1, relay.Gap{From: time.Now().Add(-3 * time.Second), To: time.Now(), Cause: "EOF"}
		})
		m := s.next(t).Markets[0]
		require.InDelta(t, 1000, m.Rate, 1)
		require.InDelta(t, 5000, m.ByteRate, 5)
		require.Len(t, m.Channels, 1)
		require.Equal(t, "T", m.Channels[0].Channel)
		require.InDelta(t, 20e6, *m.LagP50, 5e6)
		require.EqualValues(t, 3*time.Second, m.LastGap.Length)
		f.set(func(s *relay.Stats) {
			s.Markets[0].Up, s.Markets[0].Why, s.Markets[0].State = false, "disconnected", tickstorm.StateBackoff
		})
		for n := range 100 {
			got := s.next(t)
			m = got.Markets[0]
			require.Equal(t, "reconnecting", m.State)
			require.Equal(t, "disconnected", m.Error)
			require.Zero(t, m.Rate)
			require.Equal(t, n < 59, m.LagP99 != nil, "the lag of the last minute, %d", n)
			require.LessOrEqual(t, len(m.Channels[0].History), 60)
			require.EqualValues(t, 3, got.Clients[0].ID)
			require.Nil(t, got.Clients[0].DelayP50)
		}
		require.ErrorIs(t, a.Run(t.Context()), tickstorm.ErrRunning)
		cancel()
		require.ErrorIs(t, <-ran, context.Canceled)
		for s.Scan() { // to its end, which Run's is
			require.Empty(t, s.Text())
		}
		require.NoError(t, s.Err())
	})
}

// piped is a response that is read as it is written.
type piped struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (p *piped) Write(b []byte) (int, error)         { return p.conn.Write(b) }
func (p *piped) FlushError() error                   { return nil }
func (p *piped) SetWriteDeadline(at time.Time) error { return p.conn.SetWriteDeadline(at) }

// Who takes nothing is let go of.
func TestStuckViewer(t *testing.T) {
	for _, target := range []string{"/events", "/clients", "/topics", "/metrics", "/readyz", "/healthz", "/", "/none"} {
		synctest.Test(t, func(t *testing.T) {
			f := stocks(relay.MarketStats{})
			f.clients = make([]relay.ClientStats, 1000)
			a := admin.New(f, admin.Config{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() { _ = a.Run(ctx) }()
			server, client := net.Pipe()
			defer client.Close()
			began := time.Now()
			a.ServeHTTP(&piped{ResponseRecorder: httptest.NewRecorder(), conn: server}, httptest.NewRequest("GET", "http://localhost"+target, nil))
			require.Equal(t, 10*time.Second, time.Since(began), target)
		})
	}
}

func TestServe(t *testing.T) {
	a := admin.New(stocks(relay.MarketStats{Up: true}), admin.Config{})
	everywhere, err := net.Listen("tcp", "0.0.0.0:0")
	require.NoError(t, err)
	require.ErrorIs(t, a.Serve(t.Context(), everywhere), admin.ErrNotLoopback)
	_, err = everywhere.Accept()
	require.ErrorIs(t, err, net.ErrClosed)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- a.Serve(ctx, l) }()
	response, err := http.Get("http://" + l.Addr().String() + "/readyz")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
	http.DefaultClient.CloseIdleConnections()
	cancel()
	require.ErrorIs(t, <-served, context.Canceled)
}

func TestServeListenerFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.ErrorIs(t, admin.New(stocks(relay.MarketStats{}), admin.Config{}).Serve(t.Context(), l), net.ErrClosed)
}

// TestServeMany: connections are bounded, whatever they do: what is beyond is refused in words, then without,
// and the silent ones do not keep their places.
func TestServeMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most, refused = 4, 16
		l := &memoryListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		a := admin.New(stocks(relay.MarketStats{Up: true}), admin.Config{MaxConns: most, MaxViewers: 1})
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- a.Serve(ctx, l) }()
		say := func(c net.Conn, path string) *http.Response {
			_, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path)
			require.NoError(t, err)
			r, err := http.ReadResponse(bufio.NewReader(c), nil)
			require.NoError(t, err)
			return r
		}
		viewer := l.dial()
		require.Equal(t, http.StatusOK, say(viewer, "/events").StatusCode)
		go func() { _, _ = io.Copy(io.Discard, viewer) }()
		another := l.dial()
		require.Equal(t, http.StatusServiceUnavailable, say(another, "/events").StatusCode)
		silent := []net.Conn{another}
		for len(silent) < most-1 {
			silent = append(silent, l.dial())
		}
		for range refused {
			c := l.dial()
			r := say(c, "/healthz")
			require.Equal(t, http.StatusServiceUnavailable, r.StatusCode)
			require.True(t, r.Close)
			synctest.Wait()
		}
		for range refused { // and say nothing
			silent = append(silent, l.dial())
		}
		beyond := l.dial()
		_, err := beyond.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF, "at once")
		began := time.Now()
		for _, c := range silent {
			_, _ = io.Copy(io.Discard, c)
		}
		require.LessOrEqual(t, time.Since(began), 5*time.Second)
		c := l.dial()
		require.Equal(t, http.StatusOK, say(c, "/healthz").StatusCode)
		cancel()
		require.ErrorIs(t, <-served, context.Canceled)
	})
}

// memoryListener hands out one end of pipes.
type memoryListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *memoryListener) dial() net.Conn {
	near, far := net.Pipe()
	l.conns <- far
	return near
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *memoryListener) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }
