package interop

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/relay"
	"github.com/tickstorm/tickstorm/sim"
)

// server is something that speaks to the vendor's clients. start starts one of a market for one
// client; the test ends it.
type server struct {
	name  string
	start func(t *testing.T, m tickstorm.Market, tls bool) running
	any   bool // it takes any key
}

// running is a server that runs.
type running struct {
	url   string
	roots *x509.CertPool // of its certificate; nil without TLS
	begin func()         // what it sends need not come before this was called
	// queues: its acknowledgements overtake events, so that some come behind the end of their topic.
	queues bool
	// recorded is all that it sends; nil if there is always more.
	recorded *recording
}

// servers returns what all dialogues are held with.
func servers(t *testing.T) []server {
	return []server{
		{name: "simulator", start: simulator},
		{name: "recording", start: recordings(t)},
		{name: "relay", start: relayed, any: true},
	}
}

// simulator is the simulator with its own market.
func simulator(t *testing.T, m tickstorm.Market, tls bool) running {
	return serve(t, sim.Config{TLS: tls, Rate: 20_000})
}

// relayed is a relay in front of the simulator.
func relayed(t *testing.T, m tickstorm.Market, tls bool) running {
	up, err := sim.Start(sim.Config{Rate: 20_000})
	require.NoError(t, err)
	r, err := relay.New(relay.Config{Upstreams: []tickstorm.Config{up.ClientConfig(m)}, Linger: -1})
	require.NoError(t, err)
	web := httptest.NewUnstartedServer(r)
	scheme := "ws://"
	pool := x509.NewCertPool()
	if tls {
		web.StartTLS()
		pool.AddCert(web.Certificate())
		scheme = "wss://"
	} else {
		web.Start()
	}
	ran := make(chan error, 1)
	go func() { ran <- r.Run(context.Background()) }()
	t.Cleanup(func() {
		require.NoError(t, r.Shutdown(context.Background()))
		require.NoError(t, <-ran)
		web.Close()
		require.NoError(t, up.Close())
	})
	return running{url: scheme + web.Listener.Addr().String(), roots: pool, begin: func() {}, queues: true}
}

func serve(t *testing.T, cfg sim.Config) running {
	cfg.Keys = map[string]sim.Plan{key: {}}
	s, err := sim.Start(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	begin := func() {}
	if play := s.Playback(); play != nil {
		play.Pause() // until the client has all of its topics
		begin = play.Resume
	}
	return running{url: string(s.Feed()), roots: s.CertPool(), begin: begin}
}

// recordings serves what a recorder has just recorded, of each market once.
func recordings(t *testing.T) func(*testing.T, tickstorm.Market, bool) running {
	made := map[tickstorm.Market]*recording{}
	for m, channels := range map[tickstorm.Market][]string{
		tickstorm.Stocks: {"T", "Q"}, tickstorm.Crypto: {"XT", "XQ", "XL2"}, tickstorm.Forex: {"C"},
	} {
		made[m] = recordOne(t, m, channels)
	}
	return func(t *testing.T, m tickstorm.Market, tls bool) running {
		s := serve(t, sim.Config{TLS: tls, Replay: &sim.Replay{Open: func(m tickstorm.Market) (sim.Source, error) {
			return record.OpenSource(m, made[m].dir)
		}}})
		s.recorded = made[m]
		return s
	}
}

// recording is what was recorded, as the recording client got it.
type recording struct {
	dir    string
	market tickstorm.Market
	told   []tellings
}

// tellings is one thing that a recording has for its clients: an event, or a status.
type tellings struct{ status, text, raw string }

func (e tellings) String() string { return strings.TrimSpace(e.status + " " + e.text + e.raw) }

// of returns what a client with these topics gets.
func (r *recording) of(t testing.TB, held map[tickstorm.Topic]bool) (want []tellings) {
	for _, e := range r.told {
		if e.status == "" {
			topic := topicOf(t, r.market, []byte(e.raw))
			if !held[topic] && !held[tickstorm.Topic{Channel: topic.Channel, Symbol: tickstorm.All}] {
				continue
			}
		}
		want = append(want, e)
	}
	return want
}

// recordOne records a connection that breaks and comes back, and a message that is longer than any
// official client reads.
func recordOne(t *testing.T, m tickstorm.Market, channels []string) *recording {
	s, err := sim.Start(sim.Config{Rate: 5000})
	require.NoError(t, err)
	defer s.Close()
	cfg := s.ClientConfig(m)
	cfg.Backoff.Min, cfg.Backoff.Max = time.Millisecond, time.Millisecond
	dir := t.TempDir()
	rec, err := record.NewRecorder(record.Config{Dir: dir, Market: m, Feed: cfg.Feed, MinFree: -1})
	require.NoError(t, err)
	require.NoError(t, rec.Start())
	w := &witness{Tap: rec, t: t, changed: make(chan struct{}, 1)}
	cfg.Tap = w
	client, err := tickstorm.NewClient(cfg, nil)
	require.NoError(t, err)
	require.NoError(t, client.Start(t.Context()))
	var topics []tickstorm.Topic
	for _, c := range channels {
		topics = append(topics, tickstorm.Topic{Channel: c, Symbol: tickstorm.All})
	}
	require.NoError(t, client.SubscribeTopics(t.Context(), topics...))
	w.await(func() bool { return w.events >= 2000 })
	s.Broadcast(long(m))
	w.await(func() bool { return w.long })
	s.Conns()[0].Cut()
	w.await(func() bool { return w.gaps == 1 })
	from := w.count()
	w.await(func() bool { return w.events >= from+2000 })
	require.NoError(t, client.Close())
	require.NoError(t, rec.Close(context.Background()))
	require.Zero(t, rec.Stats().Dropped)
	return &recording{dir, m, w.told}
}

// long is a message of a megabyte and a half.
func long(m tickstorm.Market) []byte {
	event := map[tickstorm.Market]string{
		tickstorm.Stocks: `{"ev":"T","sym":"AAPL","p":1.50,"long":%d}`,
		tickstorm.Crypto: `{"ev":"XT","pair":"BTC-USD","p":1.50,"long":%d}`,
		tickstorm.Forex:  `{"ev":"C","p":"EUR/USD","a":1.50,"long":%d}`,
	}[m]
	var events []string
	for i := range 1_500_000 / len(event) {
		events = append(events, fmt.Sprintf(event, i))
	}
	return []byte("[" + strings.Join(events, ",") + "]")
}

// witness notes what a recorder is given.
type witness struct {
	tickstorm.Tap
	t       *testing.T
	changed chan struct{}

	mu     sync.Mutex
	told   []tellings
	events int
	gaps   int
	long   bool
	up     bool
}

func (w *witness) note(do func()) {
	w.mu.Lock()
	do()
	w.mu.Unlock()
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *witness) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.events
}

func (w *witness) await(done func() bool) {
	limit := time.After(patience)
	for {
		w.mu.Lock()
		over := done()
		w.mu.Unlock()
		if over {
			return
		}
		select {
		case <-w.changed:
		case <-limit:
			require.FailNow(w.t, "nothing to record")
		}
	}
}

func (w *witness) OnMessage(msg []byte, received int64) {
	w.Tap.OnMessage(msg, received)
	var raws []json.RawMessage
	if err := json.Unmarshal(msg, &raws); err != nil {
		panic(err)
	}
	w.note(func() {
		for _, raw := range raws {
			if strings.HasPrefix(string(raw), `{"ev":"status"`) {
				continue // of the recorded dialogue
			}
			w.told = append(w.told, tellings{raw: string(raw)})
			w.events++
		}
		w.long = w.long || len(msg) > 1_000_000
	})
}

func (w *witness) OnState(s *tickstorm.StateChange) {
	w.Tap.OnState(s)
	w.note(func() {
		switch up := s.State == tickstorm.StateSubscribing || s.State == tickstorm.StateStreaming; {
		case up && !w.up:
			w.told = append(w.told, tellings{status: "upstream_connected"})
			w.up = true
		case !up && w.up:
			cause := ""
			if s.Err != nil {
				cause = s.Err.Error()
			}
			w.told = append(w.told, tellings{status: "upstream_disconnected", text: cause})
			w.up = false
		}
	})
}

func (w *witness) OnGap(g *tickstorm.Gap) {
	w.Tap.OnGap(g)
	w.note(func() {
		w.gaps++
		w.told = append(w.told, tellings{status: "gap", text: fmt.Sprintf("from=%d to=%d cause=%v", g.From.Received.UnixNano(), g.To.Received.UnixNano(), g.Cause)})
	})
}
