package sim

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/gate"
	"github.com/tickstorm/tickstorm/internal/selfsigned"
)

// tenYears is how long a certificate is good, for tests that let fake time run.
const tenYears = 10 * 365 * 24 * time.Hour

// Server is a running simulator. Its methods may be called concurrently.
type Server struct {
	cfg      Config
	listener *gate.Listener
	pipe     *pipeListener // nil on loopback
	tls      *tls.Config   // nil for ws
	pool     *x509.CertPool
	key      string // what ClientConfig uses
	streams  bool   // the script has faults of OnStreaming
	playback *Playback

	running  sync.WaitGroup // the accept loop and the connections
	counters counters
	waiters  atomic.Int32
	number   atomic.Int64 // of the last event; see Config.Numbered

	// admission lets keys in one by one, so that the limit of connections holds.
	admission sync.Mutex

	// mu guards the following. It is not held while a lock of a Conn is taken.
	mu      sync.Mutex
	closed  bool
	last    int     // number of the newest connection
	conns   []*Conn // open, oldest first
	script  script
	changed chan struct{} // closed and replaced whenever something changes
}

type counters struct {
	opened, refused, badKeys, requests, pings, pongs atomic.Int64
	evicted, slow, faults, turnedAway                atomic.Int64
	events, messages, bytes                          atomic.Int64
}

// Start starts a server on Config.Address, by default a random port of 127.0.0.1.
func Start(cfg Config) (*Server, error) {
	cfg.Address = cmp.Or(cfg.Address, "127.0.0.1:0")
	listener, err := net.Listen("tcp", cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	return start(cfg, listener, nil)
}

// StartPipe starts a server whose connections are in memory: only the NetDial of
// [Server.ClientConfig] reaches it. Everything in it waits on channels and timers, so
// that it can run inside a testing/synctest bubble, if it is started and closed there.
func StartPipe(cfg Config) (*Server, error) {
	pipe := newPipeListener()
	return start(cfg, pipe, pipe)
}

func start(cfg Config, listener net.Listener, pipe *pipeListener) (*Server, error) {
	cfg = cfg.withDefaults()
	gated := &gate.Listener{Listener: listener, Most: cfg.MaxClients, Share: gate.Share(cfg.MaxClients)}
	s := &Server{cfg: cfg, listener: gated, pipe: pipe, key: Key, changed: make(chan struct{})}
	gated.Refused = func() {
		s.counters.turnedAway.Add(1)
		s.change()
	}
	s.number.Store(cfg.FirstNumber - 1)
	if err := cfg.check(); err != nil {
		_ = listener.Close() // the error that matters is err
		return nil, err
	}
	if cfg.Replay != nil {
		s.playback = newPlayback(cfg.Replay)
	}
	if cfg.Keys != nil {
		if keys := slices.Sorted(maps.Keys(cfg.Keys)); len(keys) > 0 {
			s.key = keys[0]
		}
	}
	if cfg.TLS {
		cert, err := selfsigned.Certificate("tickstorm simulator", tenYears, "localhost", pipeHost, "127.0.0.1", "::1")
		if err != nil {
			_ = listener.Close()
			return nil, fmt.Errorf("sim: making a certificate: %w", err)
		}
		s.pool = selfsigned.Trust(cert.Leaf)
		s.tls = &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}}
	}
	s.script = script{faults: cfg.Faults, times: make([]int, len(cfg.Faults))}
	for _, f := range cfg.Faults {
		s.streams = s.streams || f.At == OnStreaming
	}
	s.running.Go(s.accept)
	return s, nil
}

func (s *Server) accept() {
	for {
		nc, err := s.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return // Close
		case err != nil: // there are no descriptors left, most likely
			s.cfg.Logger.Error("sim: nobody is let in", "err", err)
			time.Sleep(acceptPause)
			continue
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			_ = nc.Close()
			return
		}
		s.last++
		c := newConn(s, s.last, nc.(*gate.Conn))
		s.conns = append(s.conns, c)
		s.counters.opened.Add(1) // before a client can have an answer
		s.running.Go(c.serve)
		s.mu.Unlock()
		s.change()
	}
}

// Close stops listening, cuts all connections and waits for the server's goroutines.
// It may be called again, and returns nil.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	conns := slices.Clone(s.conns)
	s.mu.Unlock()
	_ = s.listener.Close() // an error means that it is closed
	for _, c := range conns {
		c.Cut()
	}
	s.running.Wait()
	s.change()
	return nil
}

// Feed returns where the server is, "ws://127.0.0.1:port". The name that a server in
// memory has does not resolve.
func (s *Server) Feed() tickstorm.Feed {
	scheme := "ws://"
	if s.tls != nil {
		scheme = "wss://"
	}
	return tickstorm.Feed(scheme + s.listener.Addr().String())
}

// CertPool returns a pool that trusts the server's certificate, nil without TLS.
func (s *Server) CertPool() *x509.CertPool { return s.pool }

// ClientConfig returns what a client needs to connect to the server: a key that is
// accepted ([Key], or the first of Config.Keys in alphabetical order), the feed, the
// certificate's pool, and the dialer of a server in memory.
func (s *Server) ClientConfig(m tickstorm.Market) tickstorm.Config {
	cfg := tickstorm.Config{Key: s.key, Market: m, Feed: s.Feed(), Proxy: tickstorm.NoProxy}
	if s.tls != nil {
		cfg.TLS = &tls.Config{RootCAs: s.pool}
	}
	if s.pipe != nil {
		cfg.NetDial = s.pipe.dial
	}
	return cfg
}

// Conns returns the open connections, in the order of their arrival.
func (s *Server) Conns() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.conns)
}

// Broadcast sends a message to all connections that have authenticated, whatever they
// have subscribed to. See [Conn.Send].
func (s *Server) Broadcast(message []byte) {
	for _, c := range s.Conns() {
		if c.Authenticated() {
			_ = c.Send(message) // who is too slow does not get it
		}
	}
}

// Stats is a snapshot of what a server has seen and done.
type Stats struct {
	Opened        int // connections since the start, with those that were refused
	Open          int // connections now
	Authenticated int // of the open ones
	Topics        int // that the open connections hold
	TurnedAway    int // connections beyond Config.MaxClients
	Refused       int // handshakes that were not answered by 101
	BadKeys       int // keys that were answered by auth_failed
	Requests      int // text messages received
	Pings         int // received
	Pongs         int // received
	Evicted       int // connections closed for being too many
	Slow          int // connections cut off for reading too slowly
	Faults        int // of the script, that have happened

	// What was handed to connections, with what they have not read yet.
	Events     int64 // that were generated or replayed; hand-made ones are not counted
	LastNumber int64 // of the events of a Config.Numbered
	Messages   int64 // of data: generated, replayed and hand-made
	Bytes      int64 // of these messages
}

// Stats returns a snapshot of the server's counters.
func (s *Server) Stats() Stats {
	n := &s.counters
	st := Stats{
		Opened: int(n.opened.Load()), TurnedAway: int(n.turnedAway.Load()), Refused: int(n.refused.Load()), BadKeys: int(n.badKeys.Load()),
		Requests: int(n.requests.Load()), Pings: int(n.pings.Load()), Pongs: int(n.pongs.Load()),
		Evicted: int(n.evicted.Load()), Slow: int(n.slow.Load()), Faults: int(n.faults.Load()),
		Events: n.events.Load(), Messages: n.messages.Load(), Bytes: n.bytes.Load(),
		LastNumber: s.number.Load(),
	}
	for _, c := range s.Conns() {
		st.Open++
		c.mu.Lock()
		st.Topics += len(c.held)
		if c.authenticated {
			st.Authenticated++
		}
		c.mu.Unlock()
	}
	return st
}

// Await waits until cond is true of the server's Stats, or returns ctx's error. cond is
// asked at once and whenever one of the numbers has changed.
func (s *Server) Await(ctx context.Context, cond func(Stats) bool) error {
	s.waiters.Add(1)
	defer s.waiters.Add(-1)
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if cond(s.Stats()) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// change wakes those who wait for a change.
func (s *Server) change() {
	if s.waiters.Load() == 0 {
		return
	}
	s.mu.Lock()
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
}

// remove forgets a connection that has ended.
func (s *Server) remove(c *Conn) {
	s.mu.Lock()
	s.conns = slices.DeleteFunc(s.conns, func(o *Conn) bool { return o == c })
	s.mu.Unlock()
	s.change()
}

// rivals returns the connections that count against the limit of a new one: those of
// the same key and market that are to stay. Oldest first.
func (s *Server) rivals(c *Conn, key string) []*Conn {
	var rivals []*Conn
	for _, o := range s.Conns() {
		if o == c {
			continue
		}
		o.mu.Lock()
		if o.authenticated && o.market == c.market && o.key == key && !o.excess {
			rivals = append(rivals, o)
		}
		o.mu.Unlock()
	}
	return rivals
}
