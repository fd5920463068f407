package relay

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
)

// Config says what to relay, to how many, and within which bounds. Upstreams is required; the
// zero value of every other field means what its comment says.
type Config struct {
	// Upstreams are the connections to share, one per market, each with its key and feed. The
	// feed may be another relay, or a recording that is served. Queue and KeepCase are not
	// heeded: the relay has queues of its own, one per client. A Tap gets messages before the
	// relay does. An upstream that is not the vendor's is told by a header, Tickstorm-Snapshot: 0, that
	// the relay wants nothing of the past, unless the Feed asks for it or the Header says otherwise.
	Upstreams []tickstorm.Config

	// Linger is how long a topic is kept upstream that no client wants any more, so that who
	// comes back finds it streaming; default 30 s, negative for not at all.
	Linger time.Duration
	// AckTimeout is how long a client waits for the upstream's answer until it is told that a
	// topic is pending; default 10 s.
	AckTimeout time.Duration

	// MaxClients is how many clients may be connected at once; default 1,000.
	MaxClients int
	// MaxTopics is how many topics one client may hold; default 100,000. A request beyond is
	// refused whole, in the vendor's words for its own limit.
	MaxTopics int
	// MaxRequest is the longest message that a client may send, in bytes; default 128 KiB. A
	// longer one ends its connection. Twenty times as much may wait as answers when there is another.
	MaxRequest int
	// HandshakeTimeout is how long a client may take for the handshake, and again until it has
	// sent a key; default 15 s.
	HandshakeTimeout time.Duration
	// PingInterval is how long a client may be silent until it is sent a ping; default 30 s. One
	// that stays silent for three more is taken for dead, and its connection cut. Negative is
	// never.
	PingInterval time.Duration
	// CloseTimeout bounds the wait for a client to take what it was sent last, and a close frame;
	// default 5 s.
	CloseTimeout time.Duration

	// Queue is what stands between the stream and each client.
	Queue QueueConfig
	// Validate has every element of the stream validated, and passes on no broken one. Without
	// it one that is broken inside goes out as it came, and spoils the message that it stands in.
	Validate bool

	// Keys are who may connect; nil is everybody, with any key. Clients show their token where
	// they put the vendor's API key, or in the handshake: by "Authorization: Bearer TOKEN", or by
	// ?token=TOKEN in the URL, which logs of proxies may have. A wrong one is answered in the vendor's
	// words, and the connection closed by 1008. Addresses beyond the machine that go on after ten
	// are answered by 429 until they have been quiet for a while.
	Keys *Keys
	// TLS is for listeners of the network "tls", see [Server.Listen]. Its NextProtos are those of
	// a WebSocket whatever it says. It has certificates, or a way to get one, unless there is a
	// CertFile.
	TLS *tls.Config
	// CertFile and KeyFile are paths of a certificate with its chain and of its private key, in
	// PEM. They go before those that TLS has, which may have no GetConfigForClient then, and are read again
	// when they have changed.
	CertFile, KeyFile string
	// FilePoll is how often the files of Keys and of the certificate are looked at for changes;
	// default 2 s, negative for never.
	FilePoll time.Duration
	// Insecure allows addresses that other machines can reach without Keys, or without TLS:
	// everybody there reads the feed, or everybody on the way, and the keys.
	Insecure bool
	// Lock is the path of a file that one server has at a time; it must not be removed. While
	// another has it, in this process or in another of the machine, the server is a standby that
	// connects to no upstream, and takes over within a moment when the other is gone, however that
	// ends. So a second relay with the same key does not evict the first. "" is none.
	Lock string

	// Snapshots is what is kept for clients that ask for the last event of each symbol of their
	// topics: ws://127.0.0.1:8765/stocks?snapshot=1. They get it behind the acknowledgement, in messages
	// that begin with the status snapshot_begin and end with snapshot_end, and what comes behind
	// the last goes on from there. The last event is the last that the relay has had, which may be
	// old where nobody has held its topic.
	Snapshots SnapshotConfig
	// History is how many bytes of messages are kept of each market, at least 64 KiB, for clients that
	// ask for what has come since a time: ?since=-5m, or nanoseconds since 1970. They get it in
	// messages that begin with the status history_begin and end with history_end, as fast as they
	// read, and then what is live, every event once. What is not there any more, or was not
	// streamed, is told among it as a gap. 0 keeps nothing.
	History int
	// Past, if not nil, opens what was received from a time up to another, where History does not
	// reach as far back: record.OpenHistory does. It must have the times that a Tap of the upstream is
	// told, as a recorder there does, and reach to where History begins: what the recorder has not written
	// yet has to be waited for, or History be some seconds long. It is called from many goroutines, and
	// its sources are read by one each. ctx ends with the client.
	Past func(ctx context.Context, m tickstorm.Market, from, to time.Time) (Source, error)

	// Origins are the values of the Origin header, such as "https://desk.example.com", of pages
	// that may connect, as browsers send them: without a path, and without a port that is the scheme's own. Browsers send one always, and other programs do not: without this a page
	// that somebody visits could read the feed of the visitor's machine.
	Origins []string

	// Logger receives connections and what happens to them, never keys and never events; nil is
	// silent.
	Logger *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	c.Linger = cmp.Or(c.Linger, 30*time.Second)
	c.AckTimeout = cmp.Or(c.AckTimeout, 10*time.Second)
	c.MaxClients = cmp.Or(c.MaxClients, 1000)
	c.MaxTopics = cmp.Or(c.MaxTopics, 100_000)
	c.MaxRequest = cmp.Or(c.MaxRequest, 128<<10)
	c.HandshakeTimeout = cmp.Or(c.HandshakeTimeout, 15*time.Second)
	c.PingInterval = cmp.Or(c.PingInterval, 30*time.Second)
	c.CloseTimeout = cmp.Or(c.CloseTimeout, 5*time.Second)
	c.Queue.Bytes = cmp.Or(c.Queue.Bytes, 16<<20)
	c.Queue.FlushInterval = cmp.Or(c.Queue.FlushInterval, 500*time.Microsecond)
	c.FilePoll = cmp.Or(c.FilePoll, 2*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if len(c.Upstreams) == 0 {
		return c, errors.New("relay: no Config.Upstreams")
	}
	c.Upstreams, c.Origins = slices.Clone(c.Upstreams), slices.Clone(c.Origins)
	seen := map[tickstorm.Market]bool{}
	for _, u := range c.Upstreams {
		if seen[u.Market] {
			return c, fmt.Errorf("relay: several Config.Upstreams for %q", string(u.Market))
		}
		seen[u.Market] = true
	}
	if c.MaxClients < 0 || c.MaxTopics < 0 || c.MaxRequest < 0 || c.MaxRequest > dialogue.MaxMessage ||
		c.AckTimeout < 0 || c.HandshakeTimeout < 0 || c.CloseTimeout < 0 {
		return c, errors.New("relay: a negative limit in the Config, or a MaxRequest of a megabyte and more")
	}
	for _, o := range c.Origins {
		if !isOrigin(o) {
			return c, fmt.Errorf("relay: no browser has the Origin %q of Config.Origins: it is like https://desk.example.com, or http://desk:8080", o)
		}
	}
	if err := c.checkPast(); err != nil {
		return c, err
	}
	return c, c.Queue.check()
}

// isOrigin reports whether a page may have an origin: scheme, host, and a port that is not the scheme's own, in
// small letters, with nothing behind them; or one of those that stand for none.
func isOrigin(o string) bool {
	if o == "null" || o == "file://" {
		return true
	}
	u, err := url.Parse(o)
	if err != nil || u.Host == "" || o != strings.ToLower(u.Scheme+"://"+u.Host) {
		return false
	}
	own := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	return own == "" || u.Port() != own
}

// QueueConfig says how much may wait for a client that reads too slowly, and what gives way. What
// is dropped is counted, and told to the client in its place.
type QueueConfig struct {
	// Bytes bounds the memory of what waits for one client; default 16 MiB, at least 64 KiB. It is
	// taken as it is needed, so that clients that all are slow may together take
	// Config.MaxClients times as much, less what they share.
	Bytes int
	// Overflow is what gives way when that is not enough. The zero value, and
	// [tickstorm.OverflowDisconnect], close the connection with 1008, as too slow: a relay cannot
	// block. See [tickstorm.Overflow] for the others.
	Overflow tickstorm.Overflow
	// High and Low are the bytes at which the policy sets in and ends. High is Bytes by default,
	// a quarter of it where quotes are conflated; Low is half of High.
	High, Low int
	// FlushInterval is the least time between two writes to a client, so that a busy stream costs
	// fewer system calls: what comes sooner after one goes out together with what comes until then,
	// and what comes later goes out at once. Answers do not wait. Default 500 µs; negative is none.
	FlushInterval time.Duration
	// WriteTimeout is how long a client may take for what is written at once, which is 256 KiB and a
	// message at most, until its connection is cut; default 30 s. It may have a quarter more.
	WriteTimeout time.Duration
}

// policy returns the policy in effect.
func (q QueueConfig) policy() tickstorm.Overflow {
	if q.Overflow == tickstorm.OverflowBlock {
		return tickstorm.OverflowDisconnect
	}
	return q.Overflow
}

func (q QueueConfig) check() error {
	if q.Bytes < 0 || q.High < 0 || q.Low < 0 || q.WriteTimeout < 0 || q.Low > q.High && q.High > 0 {
		return fmt.Errorf("relay: Config.Queue of %+v", q)
	}
	if q.Overflow > tickstorm.OverflowDisconnect {
		return fmt.Errorf("relay: no such overflow policy: %v", q.Overflow)
	}
	return nil
}
