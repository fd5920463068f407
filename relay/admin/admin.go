package admin

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/gate"
	"github.com/tickstorm/tickstorm/relay"
)

// ErrNotLoopback: an address that other machines can reach.
var ErrNotLoopback = errors.New("admin: address is not on the loopback interface")

// Source is what is shown: a [relay.Server].
type Source interface {
	Stats() relay.Stats
	Clients() iter.Seq[relay.ClientStats]
	Topics(query string, limit int) ([]relay.TopicStats, int)
}

// Config says how it is shown. The zero value of every field means what its comment says.
type Config struct {
	// MaxAge is how old the last message of a market may be while clients hold topics of it, for
	// the relay to be ready; 0 is any age, as a market that is closed needs.
	MaxAge time.Duration
	// Remote lets listeners be on addresses that other machines can reach. Whoever reaches one
	// sees all that the page has.
	Remote bool
	// Hosts are names by which the page may be asked for, beside localhost and addresses: another
	// name is refused, because a page of somebody else's could have it point here.
	Hosts []string
	// MaxViewers is how many may have the page, or another stream of events, open at once; default
	// 32. Beyond that a stream is refused by 503. With [Admin.Serve] each is one of the MaxConns too,
	// and so another machine, or a proxy on one, has no more viewers than its share of those: 24 by
	// default.
	MaxViewers int
	// MaxConns is how many connections [Admin.Serve] has at once; default 64 more than MaxViewers.
	// Beyond that a request is refused by 503, and what more than some come with is closed at
	// once. Another machine (IPv6: a network of 64 bits) has a quarter of them, or 16 if that is
	// more; this one may have all. One that says nothing is closed
	// after 5 s, and who takes nothing for 10 s loses its own.
	MaxConns int
	// Version is what the page says it is of; "" is that of the build.
	Version string
	// Logger receives what the HTTP server has to complain of; nil is silent.
	Logger *slog.Logger
}

// Admin shows a relay. Its methods may be called from any goroutine.
type Admin struct {
	source  Source
	cfg     Config
	mux     *http.ServeMux
	started time.Time
	watch   watch

	viewers atomic.Int64
	mu      sync.Mutex // protects what follows
	over    chan struct{}
	running bool
	turn    chan struct{} // closed when there is a new snapshot
	latest  []byte        // the snapshot of the last second, as JSON
}

// New returns what shows a relay. Until [Admin.Run] is called there are no rates, and no stream of
// events.
func New(source Source, cfg Config) *Admin {
	if cfg.MaxViewers <= 0 {
		cfg.MaxViewers = 32
	}
	if cfg.MaxConns <= 0 {
		cfg.MaxConns = cfg.MaxViewers + 64
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Version == "" {
		cfg.Version = buildVersion()
	}
	cfg.Hosts = slices.Clone(cfg.Hosts)
	a := &Admin{source: source, cfg: cfg, started: time.Now(), mux: http.NewServeMux(), over: make(chan struct{}), turn: make(chan struct{})}
	a.watch.markets = map[tickstorm.Market]*marketWatch{}
	for path, h := range map[string]http.HandlerFunc{
		"/{$}": a.page, "/healthz": healthz, "/readyz": a.readyz, "/clients": a.clients, "/topics": a.topics,
		"/metrics": a.metrics, "/events": a.events,
	} {
		a.mux.HandleFunc("GET "+path, h)
	}
	return a
}

// Run takes a snapshot each second until ctx ends, whose error it returns. Streams of events end
// with it.
func (a *Admin) Run(ctx context.Context) error {
	a.mu.Lock()
	if a.running {
		a.mu.Unlock()
		return tickstorm.ErrRunning
	}
	a.running = true
	a.mu.Unlock()
	defer close(a.over)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		a.take()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Serve is Run with an HTTP server at a listener, which it closes. The error is an
// [ErrNotLoopback], that of the listener, or of ctx.
func (a *Admin) Serve(ctx context.Context, l net.Listener) error {
	if t, ok := l.Addr().(*net.TCPAddr); ok && !t.IP.IsLoopback() && !a.cfg.Remote {
		_ = l.Close() // the error that matters is this one
		return fmt.Errorf("%w: %s", ErrNotLoopback, l.Addr())
	}
	life, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	web := &http.Server{
		Handler:           a,
		ReadHeaderTimeout: silence,
		ReadTimeout:       silence,
		IdleTimeout:       silence,
		MaxHeaderBytes:    16 << 10,
		ConnContext:       placed,
		ErrorLog:          slog.NewLogLogger(a.cfg.Logger.Handler(), slog.LevelDebug),
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := web.Serve(a.limit(l)); !errors.Is(err, http.ErrServerClosed) {
			stop(fmt.Errorf("admin: %w", err))
		}
	})
	err := a.Run(life)
	_ = web.Close() // nobody is told anything any more
	serving.Wait()
	if ctx.Err() == nil && life.Err() != nil {
		err = context.Cause(life)
	}
	return err
}

const (
	// silence is how long a connection may say nothing, before a request, within it and behind it.
	silence = 5 * time.Second
	// refusals is how many connections beyond Config.MaxConns may be open, to be refused in words.
	refusals = 16
)

// limit returns a listener that lets in so many as there are places for.
func (a *Admin) limit(l net.Listener) net.Listener {
	return &gate.Listener{Listener: l, Most: a.cfg.MaxConns + refusals, Share: gate.Share(a.cfg.MaxConns)}
}

// placeKey is where a request's context has the place of its connection.
type placeKey struct{}

func placed(ctx context.Context, c net.Conn) context.Context {
	if c, ok := c.(*gate.Conn); ok {
		return context.WithValue(ctx, placeKey{}, c.Place)
	}
	return ctx
}

// ServeHTTP answers. The paths are from the root: mount it below a prefix by [http.StripPrefix].
func (a *Admin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Where there is no such deadline a viewer may hang. What is told piece by piece sets it anew.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(viewerPatience))
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	if place, _ := r.Context().Value(placeKey{}).(int); place > a.cfg.MaxConns {
		h.Set("Connection", "close")
		h.Set("Retry-After", "5")
		http.Error(w, "too many connections", http.StatusServiceUnavailable)
		return
	}
	if !a.known(r.Host) {
		http.Error(w, "this name is not known here", http.StatusMisdirectedRequest)
		return
	}
	a.mux.ServeHTTP(w, r)
}

// known reports whether a request was for this server by a name that nobody else can have point
// here.
func (a *Admin) known(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if name == "" || strings.EqualFold(name, "localhost") || net.ParseIP(name) != nil {
		return true
	}
	return slices.ContainsFunc(a.cfg.Hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

// bounded is a parameter of a request that is a number from 0 to most; ok is false if it is none.
func bounded(r *http.Request, name string, def, most int) (n int, ok bool) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return def, true
	}
	n, err := strconv.Atoi(text)
	return min(n, most), err == nil && n >= 0
}
