package tickstorm

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/tickstorm/tickstorm/internal/redact"
)

// Config says where to connect, with which key, and within which bounds. Key and
// Market are required; the zero value of every other field means what its comment
// says. A Config is copied when it is used: changing it later has no effect.
//
// A Config prints without its key, but not as an unexported field of a struct of yours:
// fmt does not ask it there. Keep a *Config in such a field.
type Config struct {
	// Key is the API key. What a server says is searched for it before anybody gets that: errors if it has
	// four bytes or more, statuses and other data if it has eight, since a shorter one may be a
	// part of anything. No key of the vendor's or of a relay's is that short.
	Key string
	// Market is what to connect to. One connection carries one market.
	Market Market
	// Feed is the host to connect to; default [RealTime]. A query in it, as a relay reads one, goes
	// behind the market: "ws://127.0.0.1:8765?snapshot=1" asks for ws://127.0.0.1:8765/stocks?snapshot=1,
	// with each connection. Nothing prints it; what is a secret in it by its name, such as a token or a
	// password in any spelling, is kept as the Key is. What cannot be meant is an [ErrBadFeed], an API
	// key in it and a user before the host among it.
	Feed Feed

	// TLS configures wss connections; nil means the system's roots. ServerName is
	// filled in where empty, and NextProtos is always http/1.1, which a WebSocket is.
	TLS *tls.Config
	// NetDial opens the TCP connection, to the proxy where there is one. nil means a
	// [net.Dialer].
	NetDial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Socket are options of the TCP connection. A NetDial has to apply them itself:
	// see [SocketOptions.Dialer].
	Socket SocketOptions
	// Proxy returns the URL of the HTTP proxy for a request, nil for none, as in
	// [http.Transport]. A nil function means [http.ProxyFromEnvironment]; [NoProxy]
	// is never a proxy. http and https proxies are supported.
	Proxy func(*http.Request) (*url.URL, error)
	// Header is sent along with the WebSocket handshake, such as a User-Agent, of which
	// there is none by default. What is a secret by its name, such as Authorization, is kept as the Key is.
	// What the handshake says itself is an [ErrBadHeader]: Host,
	// Connection, Upgrade, Sec-WebSocket-* and what would announce a body. A feed behind
	// another address is reached with NetDial.
	Header http.Header

	// Symbols interns the symbols. nil means a table of the connection's own; a
	// shared one keeps SymbolID the same across connections.
	Symbols *Symbols
	// Interest is which events to decode and deliver; the zero Interest is in all.
	Interest Interest
	// Limits bound messages.
	Limits Limits
	// ReadBuffer is the size of the window that the socket is read into, in bytes;
	// default 256 KiB. It grows up to Limits.Message while a longer message comes in.
	ReadBuffer int
	// Rand is where the masks of frames come from; nil means [crypto/rand.Reader].
	// Anything predictable is for tests only: RFC 6455, section 10.3.
	Rand io.Reader

	// DialTimeout bounds TCP, TLS and WebSocket handshake together; default 15 s.
	DialTimeout time.Duration
	// AuthTimeout bounds the wait for the answer to the key; default 15 s.
	AuthTimeout time.Duration
	// AckTimeout bounds the wait for the acknowledgement of one request of up to
	// ChunkTopics topics; default 10 s. What is not acknowledged by then is reported
	// as pending, not given up: data may come all the same.
	AckTimeout time.Duration
	// PingInterval is the time between pings to the server; default 25 s, negative
	// for never.
	PingInterval time.Duration
	// IdleTimeout ends a connection on which not one byte came for so long; default
	// 60 s, negative for never. Pongs count as bytes, so with pings a quiet market
	// does not look dead.
	IdleTimeout time.Duration
	// PongTimeout ends a connection on which not one byte came for so long after a ping
	// was written; default never. A link that is half open is noticed without it, within
	// IdleTimeout: this is for those who want to know sooner on a feed that is never
	// quiet, since the vendor has been seen to leave pings unanswered. A missing pong on a
	// connection that delivers never ends it.
	PongTimeout time.Duration
	// WriteTimeout bounds one write to the socket; default 10 s.
	WriteTimeout time.Duration
	// CloseTimeout bounds Close: the wait for a handler that is still running, and for
	// the server's answer, which gets half of it; default 5 s.
	CloseTimeout time.Duration

	// ChunkTopics is the most topics that one request carries; default 200. Requests
	// of thousands have been answered by a closed connection.
	ChunkTopics int
	// MaxOptionQuotes is how many option quotes one connection may subscribe to;
	// default 1000, which is the vendor's limit, beyond which it refuses whole requests;
	// All is beyond it. Negative for no limit, on plans that have none.
	MaxOptionQuotes int
	// KeepCase sends symbols in the case they were given in. By default a symbol
	// without any upper-case letter is upper-cased.
	KeepCase bool

	// Queue is what a [Client] puts between the socket and its handler, and what
	// [NewQueue] makes. A [Conn] ignores it.
	Queue QueueConfig
	// OnState, OnGap and OnDrop are told at once what a [StateHandler], a [GapHandler] and a
	// [DropHandler] are told in its turn among the events, behind whatever is queued. They
	// are called on the goroutine that reads, inside whatever it does, so they must not
	// wait for anything, the client's own methods that wait above all: set a flag, count,
	// wake somebody. nil is nobody. What they get is valid until they return.
	//
	// OnState is told each change of state. StateClosed comes last, from Run, when all
	// that was queued has been handled.
	OnState func(*StateChange)
	// OnGap is told each gap when it ends. With a queue From.Event is zero, because what
	// came last has not been decoded yet.
	OnGap func(*Gap)
	// OnDrop is told, after each message that made the queue drop something, what that was.
	OnDrop func(*Drop)
	// Tap, if not nil, gets everything as it came; see [Tap].
	Tap Tap

	// Backoff is how a [Client], or another driver of a [Lasting], waits between attempts to connect.
	Backoff Backoff
	// Backfill, if not nil, fetches what a [Client] has missed in a gap; see [Backfill].
	Backfill Backfill
	// BackfillBeside delivers what was missed while live events go on, between their
	// messages; the function runs on a goroutine of its own. Up to 8 run at once; a gap beyond
	// that is an ErrBackfillBusy. By default it is delivered before the first event after the
	// gap. Live events wait in the queue meanwhile, as long as it has room; without a queue
	// nothing is read from the socket, and a backfill that takes longer than a few seconds
	// gets the connection cut off as a slow consumer on a busy feed, which makes the next gap.
	BackfillBeside bool
	// Logger receives what happens to the connection, never events; nil is silent. Every
	// line has the feed and the market.
	Logger *slog.Logger

	query query // of the Feed, once it was taken from there
}

// Backoff is the wait between attempts to connect: random between zero and a bound
// that doubles from Min to Max with each failure. A server that refuses the handshake
// with a Retry-After is taken at its word, up to five minutes; then the random wait comes on
// top, between zero and a quarter of that if that is more, so that not all clients return at
// once.
type Backoff struct {
	// Min is the first bound; default 500 ms.
	Min time.Duration
	// Max is the last bound; default 30 s.
	Max time.Duration
	// Healthy is how long a connection must have streamed, with all topics answered, for
	// the bound to start at Min again; default 10 s. Authentication alone proves nothing: a server that is
	// over its limit of connections grants it before it hangs up.
	Healthy time.Duration
	// MaxConnections is the shortest wait after ErrMaxConnections; default 60 s. A
	// second program with the same key would otherwise be evicted in turn. The random wait
	// comes on top as with a Retry-After.
	MaxConnections time.Duration
	// Evictions is how many connections may end in ErrMaxConnections, one after the other,
	// until Run gives up with that error; default any number. Two programs with one key evict
	// each other for ever: this is for the one that is to give way.
	Evictions int
	// MaxAttempts is how many attempts may fail one after the other, without a
	// connection that was Healthy in between, until Run gives up with an
	// [*AttemptsError]; default any number.
	MaxAttempts int
}

// NoProxy is a Config.Proxy that never uses a proxy.
func NoProxy(*http.Request) (*url.URL, error) { return nil, nil }

// Errors of a Config.
var (
	ErrNoKey    = errors.New("no API key: set Config.Key, or use ConfigFromEnv with MASSIVE_API_KEY or POLYGON_API_KEY set")
	ErrNoMarket = errors.New("no market: set Config.Market, such as tickstorm.Stocks")
	ErrBadFeed  = errors.New("feed is not of the form wss://host or ws://host:port, with a query if need be")
	// ErrBadHeader: Header has what the handshake says itself, or what cannot stand in a header.
	ErrBadHeader = errors.New("header that cannot be sent")
)

// ConfigFromEnv returns a Config for a market with the API key that the environment
// has in MASSIVE_API_KEY or, if that is empty, in POLYGON_API_KEY. It is [ErrNoKey] if
// both are empty. Nothing else in this library looks for a key in the environment.
func ConfigFromEnv(m Market) (Config, error) {
	for _, name := range []string{"MASSIVE_API_KEY", "POLYGON_API_KEY"} {
		if key := strings.TrimSpace(os.Getenv(name)); key != "" {
			return Config{Key: key, Market: m}, nil
		}
	}
	return Config{Market: m}, ErrNoKey
}

// withDefaults returns the Config with every default filled in, or what is wrong with it.
func (c Config) withDefaults() (Config, error) {
	if c.Key == "" {
		return c, ErrNoKey
	}
	if c.Market == "" {
		return c, ErrNoMarket
	}
	c.Feed = cmp.Or(c.Feed, RealTime)
	c.part()
	if _, err := c.url(); err != nil {
		return c, err
	}
	var err error
	if c.Header, err = checkedHeader(c.Header); err != nil {
		return c, err
	}
	c.Limits = c.Limits.withDefaults()
	if c.Symbols == nil {
		c.Symbols = NewSymbols(0)
	}
	if c.Proxy == nil {
		c.Proxy = http.ProxyFromEnvironment
	}
	c.ReadBuffer = cmp.Or(c.ReadBuffer, 256<<10)
	c.DialTimeout = cmp.Or(c.DialTimeout, 15*time.Second)
	c.AuthTimeout = cmp.Or(c.AuthTimeout, 15*time.Second)
	c.AckTimeout = cmp.Or(c.AckTimeout, 10*time.Second)
	c.PingInterval = cmp.Or(c.PingInterval, 25*time.Second)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, 60*time.Second)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 10*time.Second)
	c.CloseTimeout = cmp.Or(c.CloseTimeout, 5*time.Second)
	c.ChunkTopics = cmp.Or(c.ChunkTopics, 200)
	c.MaxOptionQuotes = cmp.Or(c.MaxOptionQuotes, maxOptionQuotes)
	c.Backoff.Min = cmp.Or(c.Backoff.Min, 500*time.Millisecond)
	c.Backoff.Max = cmp.Or(c.Backoff.Max, 30*time.Second)
	c.Backoff.Healthy = cmp.Or(c.Backoff.Healthy, 10*time.Second)
	c.Backoff.MaxConnections = cmp.Or(c.Backoff.MaxConnections, 60*time.Second)
	for _, d := range []*time.Duration{&c.DialTimeout, &c.AuthTimeout, &c.AckTimeout, &c.WriteTimeout, &c.CloseTimeout} {
		if *d < 0 {
			return c, fmt.Errorf("a timeout of %v: only PingInterval, PongTimeout and IdleTimeout can be turned off", *d)
		}
	}
	if b := c.Backoff; b.Min < 0 || b.Max < 0 || b.Healthy < 0 || b.MaxConnections < 0 || b.Evictions < 0 || b.MaxAttempts < 0 {
		return c, fmt.Errorf("a negative Backoff in the Config: %+v", b)
	}
	if c.ReadBuffer < 0 || c.ChunkTopics < 0 {
		return c, errors.New("a negative size in the Config")
	}
	if err := c.Interest.check(c.Market); err != nil {
		return c, err
	}
	if c.Queue, err = c.Queue.withDefaults(); err != nil {
		return c, err
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = c.Logger.With("feed", string(c.Feed), "market", string(c.Market))
	return c, nil
}

// query is what stood behind a question mark in a Feed, and the rest of that: a Config with another
// Feed does not take it along.
type query struct {
	text string
	of   Feed
}

// part takes the query from the Feed, so that whoever prints that prints no token.
func (c *Config) part() {
	base, text, found := strings.Cut(string(c.Feed), "?")
	c.Feed = Feed(strings.TrimRight(base, "/")) // the market is put behind it
	if found || c.query.of != c.Feed {
		c.query = query{text, c.Feed}
	}
}

// url is where the WebSocket is. The Feed has been parted.
func (c *Config) url() (*url.URL, error) {
	base, err := url.Parse(string(c.Feed))
	if err != nil || base.Host == "" {
		return nil, c.badFeed("")
	}
	u, err := url.Parse(string(c.Feed) + "/" + string(c.Market))
	if err != nil {
		return nil, c.badFeed("")
	}
	if u.Scheme != "wss" && u.Scheme != "ws" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, c.badFeed("")
	}
	values, err := url.ParseQuery(c.query.text)
	if err != nil || strings.ContainsFunc(c.query.text, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }) {
		return nil, c.badFeed(": its query is none")
	}
	for name := range values {
		if redact.NamesKey(name) {
			return nil, c.badFeed(": a key in its query, where servers do not look for it: set Config.Key")
		}
	}
	u.RawQuery = c.query.text
	return u, nil
}

func (c *Config) badFeed(why string) error {
	return fmt.Errorf("%w: %q%s", ErrBadFeed, clip(c.shown()), why)
}

// shown is the Feed, which has been parted, as it may be shown: what is a query may be the end of a password.
func (c *Config) shown() string { return Feed(string(c.Feed) + "?" + c.query.text).shown() }

// secrets are what no text may have that leaves the program: the key, and what is a secret by its name in
// the Feed's query and in the Header.
func (c *Config) secrets() redact.Secrets {
	parted := *c
	parted.part()
	all := append([]string{c.Key}, redact.Query(parted.query.text)...)
	return redact.NewSecrets(append(all, redact.Header(c.Header)...)...)
}

// String describes the Config without its key.
func (c Config) String() string {
	c.Feed = cmp.Or(c.Feed, RealTime)
	c.part()
	key := "none"
	if c.Key != "" {
		key = redact.Mask
	}
	return fmt.Sprintf("tickstorm.Config{%s/%s, key %s}", c.shown(), c.Market, key)
}

// GoString is String, so that %#v does not print the key either.
func (c Config) GoString() string { return c.String() }

// Format keeps the key out of every verb.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue keeps the key out of structured logs.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }
