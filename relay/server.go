package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/gate"
)

// UpstreamError is why there is no upstream any more for a market: an error that another attempt
// would not mend, such as [tickstorm.ErrAuthFailed].
type UpstreamError struct {
	Market tickstorm.Market
	Err    error
}

// Error says which market, and why.
func (e *UpstreamError) Error() string {
	return fmt.Sprintf("relay: upstream of %s: %v", e.Market, e.Err)
}

// Unwrap returns Err.
func (e *UpstreamError) Unwrap() error { return e.Err }

// Server is a relay. Its methods may be called from any goroutine. A Server runs once.
type Server struct {
	cfg     Config
	log     *slog.Logger
	markets map[tickstorm.Market]*market
	order   []*market
	origins map[string]bool

	tls         *tls.Config  // nil without a certificate
	certificate *certificate // nil without one that has files
	lease       lease
	doorman     doorman
	refusedKeys atomic.Uint64

	over    chan struct{} // closed when Run has returned
	closing chan struct{} // closed when the server begins to end

	mu      sync.Mutex // protects what follows
	started bool
	ended   bool // no client comes in any more
	stop    context.CancelFunc
	clients map[*conn]struct{}
	entered int            // clients, with those that are still in the handshake
	last    uint64         // number of the newest client
	refused uint64         // handshakes
	serving sync.WaitGroup // clients
}

// New returns a server that does nothing until Run or Serve is called. The error is about the
// Config.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, log: cfg.Logger,
		markets: map[tickstorm.Market]*market{}, origins: map[string]bool{}, clients: map[*conn]struct{}{},
		over: make(chan struct{}), closing: make(chan struct{}),
		doorman: doorman{every: forgiveness, burst: wrongKeys},
	}
	if s.tls, s.certificate, err = cfg.secure(); err != nil {
		return nil, err
	}
	for _, o := range cfg.Origins {
		s.origins[o] = true
	}
	for _, u := range cfg.Upstreams {
		m, err := newMarket(s, u)
		if err != nil {
			return nil, err
		}
		s.markets[u.Market] = m
		s.order = append(s.order, m)
	}
	return s, nil
}

// Run holds the upstream connections, and serves the clients that ServeHTTP lets in, until ctx
// ends (it returns ctx's error), Shutdown is called (nil), or no market has an upstream any more
// (their [*UpstreamError]s, joined if there are several). When it returns all connections have
// ended, those of clients by a close frame 1012 unless they do not take it for a second, or for
// as long as Shutdown waits. A second call returns [tickstorm.ErrRunning] or [tickstorm.ErrEnded].
//
// A market whose upstream has failed for good has its clients told and closed, and refuses those
// that come, in the vendor's words where there are some, while the other markets go on.
func (s *Server) Run(ctx context.Context) error {
	s.mu.Lock()
	switch {
	case s.started:
		s.mu.Unlock()
		select {
		case <-s.over:
			return tickstorm.ErrEnded
		default:
			return tickstorm.ErrRunning
		}
	case s.ended:
		s.started = true
		s.mu.Unlock()
		close(s.over)
		return nil
	}
	s.started = true
	life, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.mu.Unlock()
	defer close(s.over)
	defer stop()
	defer s.yield()
	if err := s.acquire(ctx); err != nil { // nobody has come in yet
		s.end()
		if errors.Is(err, tickstorm.ErrEnded) {
			return nil
		}
		return err
	}

	for _, m := range s.order {
		m.hub.Begin() // while this was a standby another has had what came
	}
	if s.cfg.Keys != nil {
		defer s.cfg.Keys.listen(s.rekey)()
	}
	var watching sync.WaitGroup
	watching.Go(func() { s.watch(life) })
	defer watching.Wait()
	var upstreams sync.WaitGroup
	for _, m := range s.order {
		upstreams.Go(func() { m.run(life) })
	}
	failed := make(chan struct{})
	go func() {
		upstreams.Wait()
		close(failed)
	}()
	var err error
	patient := false
	select {
	case <-failed:
	case <-ctx.Done():
		err = ctx.Err()
	case <-s.closing:
		patient = true
	}
	s.end()
	stop()
	<-failed
	s.yield() // whoever takes over may connect, while the last clients take what is queued for them
	if patient {
		select {
		case <-s.gone(): // Shutdown sees to that
		case <-ctx.Done():
		}
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	_ = s.drain(grace) // who takes no farewell is cut off
	s.serving.Wait()
	if err == nil {
		err = s.failure()
	}
	return err
}

// failure returns why there is no upstream any more, nil if there was one to the end.
func (s *Server) failure() error {
	var errs []error
	for _, m := range s.order {
		if err := m.err(); err != nil {
			errs = append(errs, &UpstreamError{m.name, err})
		}
	}
	if len(errs) < len(s.order) {
		return nil
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// Serve is Run with clients from listeners, which it closes: see [Listen] and [Server.Listen]. A
// listener on an address that others can reach is an [ErrNotLoopback], unless it is one of
// Server.Listen, or Config.Insecure allows it.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	for _, l := range listeners {
		if _, secure := l.(*secured); !s.mayServe(l.Addr(), secure) {
			for _, l := range listeners {
				_ = l.Close()
			}
			return local(l.Addr())
		}
	}
	life, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	web := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: s.cfg.HandshakeTimeout,
		ReadTimeout:       2 * s.cfg.HandshakeTimeout, // of a body that is announced; a client that has come in has no such bound
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	web.SetKeepAlivesEnabled(false)
	var serving sync.WaitGroup
	for _, l := range listeners {
		serving.Go(func() {
			if err := web.Serve(s.limit(l)); !errors.Is(err, http.ErrServerClosed) {
				cancel(fmt.Errorf("relay: %w", err))
			}
		})
	}
	serving.Go(func() {
		select {
		case <-s.closing:
		case <-life.Done():
		}
		_ = web.Close() // nobody comes in any more
	})
	err := s.Run(life)
	if ctx.Err() == nil && life.Err() != nil {
		err = context.Cause(life) // a listener has failed
	}
	cancel(nil)
	serving.Wait()
	return err
}

// limit returns a listener that lets in so many as there are places for.
func (s *Server) limit(l net.Listener) net.Listener {
	secure, ok := l.(*secured)
	if ok {
		l = secure.plain
	}
	bounded := &gate.Listener{Listener: l, Most: s.cfg.MaxClients + handshakes}
	if s.cfg.Keys != nil {
		bounded.Share = gate.Share(s.cfg.MaxClients)
	}
	if ok {
		return tls.NewListener(bounded, s.tls)
	}
	return bounded
}

// Shutdown ends the server: no client comes in any more, those that there are get what is queued
// for them and a close frame 1012, and Run returns nil. It waits until all have gone. When ctx
// ends first those that are left are cut off, and ctx's error is returned. Before Run it keeps
// that from doing anything.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.drain(ctx)
	s.mu.Lock()
	started := s.started
	s.mu.Unlock()
	if !started {
		s.yield()
		return err
	}
	select {
	case <-s.over: // maybe without having begun: then there is nothing to stop
		return err
	default:
	}
	select {
	case <-s.over:
	case <-ctx.Done():
		s.mu.Lock()
		if s.stop != nil {
			s.stop()
		}
		s.mu.Unlock()
		<-s.over
		if err == nil {
			err = ctx.Err()
		}
	}
	return err
}

// end lets no client in any more, and says farewell to those that there are.
func (s *Server) end() {
	s.mu.Lock()
	if !s.ended {
		s.ended = true
		close(s.closing)
	}
	s.mu.Unlock()
	for c := range s.open() {
		c.part(restart, "restart")
	}
}

// drain is end, and waits until all clients have gone, or cuts them off when ctx ends.
func (s *Server) drain(ctx context.Context) error {
	s.end()
	gone := s.gone()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
	}
	for c := range s.open() {
		c.cut()
	}
	<-gone
	return ctx.Err()
}

// gone returns a channel that is closed when all clients have gone, once the server has ended.
func (s *Server) gone() <-chan struct{} {
	gone := make(chan struct{})
	go func() {
		s.serving.Wait()
		close(gone)
	}()
	return gone
}

// open returns the clients.
func (s *Server) open() map[*conn]struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[*conn]struct{}, len(s.clients))
	for c := range s.clients {
		all[c] = struct{}{}
	}
	return all
}

// remove forgets a client that has gone.
func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clients, c)
	s.entered--
	c.market.bury(c)
}
