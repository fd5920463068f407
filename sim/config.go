package sim

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/tickstorm/tickstorm"
)

// The keys that mean something as long as [Config].Keys is nil. Every other key that is
// not empty is good for everything.
const (
	// Key is the one that [Server.ClientConfig] uses.
	Key = "sim-key"
	// BadKey is refused: "authentication failed".
	BadKey = "bad-key"
	// NoPlanKey is good, but its plan has no access to the stream.
	NoPlanKey = "no-plan-key"
)

// The defaults of a [Config].
const (
	DefaultRate           = 1000    // events a second
	DefaultSendBuffer     = 4 << 20 // bytes
	DefaultSlowTimeout    = 5 * time.Second
	DefaultAuthTimeout    = 10 * time.Second
	DefaultMaxConnections = 1
	DefaultMaxClients     = 1000
	DefaultOptionLimit    = 1000 // contracts
)

// Config says what a server is like. The zero value is a well-behaved one that accepts
// any key but [BadKey] and [NoPlanKey] and streams [DefaultRate] events a second of what
// a client has subscribed to. A Config is copied when it is used.
type Config struct {
	// Keys are the keys that are accepted, each with its plan; any other is refused.
	// nil accepts every key, but for BadKey and NoPlanKey, with a plan that has everything.
	Keys map[string]Plan

	// Address is where [Start] listens; "" means a random port of 127.0.0.1. A server that
	// takes the place of another is given the host and port of its [Server.Feed].
	Address string
	// TLS makes [Start] serve wss, with a certificate that the server makes itself; see
	// [Server.CertPool]. StartPipe takes it too.
	TLS bool

	// Seed chooses the market, which begins anew with each connection: prices, sequence
	// numbers and the day's volume are where they were. 0 means 1.
	Seed int64
	// Rate is how many events a second each connection gets, once it has subscribed to
	// something that has data. 0 means DefaultRate, a negative number as fast as the
	// connection takes them. Where nothing but bars is subscribed to there can be fewer: a
	// bar comes when it is due. Events are sent at ticks of at least 2 ms: those that are
	// due together come in one message, or several.
	Rate int
	// Quiet turns the generator off: clients get acknowledgements, and what a test
	// sends by hand.
	Quiet bool
	// Batch is the least and the most events of a message. {0, 0} means what is due at a
	// tick, up to 30 or, when the server has fallen behind, up to 500 in one message; 10
	// to 30 if Rate is negative. With another Batch messages wait until they are full.
	Batch [2]int
	// Numbered makes the sequence numbers, q, of all generated events one count without
	// holes, from 1, over all connections: a client can tell which events it did not get.
	// The feed's own numbers rise by symbol and have holes. Of several connections at the
	// same time each gets its share of the numbers; where MaxConnections is 1, the one that
	// has to go gets none behind those of the one that comes. An [Audit] checks them.
	Numbered bool
	// FirstNumber is where Numbered starts, 0 means 1: a server that takes the place of
	// another goes on behind its [Stats].LastNumber.
	FirstNumber int64
	// Now is the clock of the events' timestamps, asked once a message; nil means
	// [time.Now]. It does not pace the stream.
	Now func() time.Time
	// Replay sends recorded messages instead of generating any.
	Replay *Replay

	// AuthTimeout is how long a client may take to send its key; 0 means
	// DefaultAuthTimeout, negative for ever. After that it gets auth_timeout and is
	// dropped. The vendor's own patience is not known.
	AuthTimeout time.Duration
	// MaxConnections is how many connections one key may have to one market; 0 means 1,
	// negative any number. A Plan can say otherwise.
	MaxConnections int
	// Eviction is what happens beyond MaxConnections.
	Eviction Eviction
	// MaxClients is how many connections there may be at once, of any key and before one is shown; who
	// comes then is hung up on at once, and counted by Stats.TurnedAway alone. Of another machine (IPv6: a
	// network of 64 bits) a quarter may have shown no key that is good, or 16 if that is more. 0 means
	// DefaultMaxClients, or MaxConnections and a quarter more where that is higher.
	MaxClients int
	// OptionLimit is how many contracts one connection may hold in each of an option
	// market's Q, FMV and LV; 0 means DefaultOptionLimit, negative any number. A request
	// that would go beyond is refused as a whole, with one error for each contract in it.
	OptionLimit int
	// Acks is how subscriptions are acknowledged.
	Acks AckStyle
	// OldWords has the server speak as older ones did, and public mock servers do: it answers
	// the key by success or error, evicts by disconnected, acknowledges by "unsubscribed from:"
	// and answers what is no JSON by error and "Invalid JSON".
	OldWords bool

	// SendBuffer is how many bytes may wait for a client that reads too slowly, beside
	// those in the operating system's buffers; 0 means DefaultSendBuffer. If it is set,
	// the system's send buffer is made that small too, as far as it lets itself. While
	// the buffer is full events are late: they are generated when there is room.
	SendBuffer int
	// SlowTimeout is how long a client may be behind, with its SendBuffer filled in
	// between and events late all the time, until it is cut off without a close frame;
	// 0 means DefaultSlowTimeout, negative for ever. With a negative Rate, and in replays,
	// a client is behind while it takes nothing at all.
	SlowTimeout time.Duration
	// IgnorePings makes the server leave pings unanswered, as has been seen in trading hours.
	IgnorePings bool

	// Faults is the script of what goes wrong.
	Faults []Fault

	// Logger receives connections, requests and faults; nil is silent. Keys are never logged.
	Logger *slog.Logger
}

// Plan is what a key may do. The zero Plan may do everything.
type Plan struct {
	// Markets are those that the plan includes; nil means all. On any other the key is
	// answered by auth_failed and a text about the plan.
	Markets []tickstorm.Market
	// Channels are those that the plan includes, such as "T"; nil means all. Any other
	// is refused with "not authorized", which names no channel.
	Channels []string
	// NotRealTime is a plan with delayed data only: after auth_success comes an error
	// that says so, instead of acknowledgements the same one again, and never any data.
	NotRealTime bool
	// MaxConnections overrides that of the Config unless it is 0; negative is any number.
	MaxConnections int
}

func (p Plan) allows(channel string) bool {
	return p.Channels == nil || slices.Contains(p.Channels, channel)
}

// Eviction is who has to go when a key has too many connections to a market. Both
// have been reported of the vendor.
type Eviction uint8

const (
	// EvictOlder sends max_connections to the oldest connection and drops it, without a
	// close frame; the newcomer streams.
	EvictOlder Eviction = iota
	// EvictNewcomer lets the newcomer authenticate and subscribe, and sends it
	// max_connections and a close frame with code 1008 behind the acknowledgements.
	EvictNewcomer
)

// AckStyle is how subscriptions are acknowledged.
type AckStyle uint8

const (
	// AckTopics sends one status for each topic, up to 100 in a message.
	AckTopics AckStyle = iota
	// AckRequest sends one status for the whole request, "subscribed", as has been seen in 2026.
	AckRequest
	// AckNothing is silent.
	AckNothing
	// AckList sends one status for the whole request that names all of its topics,
	// "subscribed to: T.AAPL,T.MSFT", as public mock servers do.
	AckList
)

const (
	tick           = 2 * time.Millisecond // between batches: shorter waits are not kept by the system
	usualBatch     = 30
	lateBatch      = 500
	handshakeLimit = 10 * time.Second
	linger         = time.Second           // for the client's side of a close
	finishLimit    = 10 * time.Second      // for what was sent before the end
	acceptPause    = 50 * time.Millisecond // when nobody can be let in
	chunk          = 128 << 10             // written at once when there is no pace to keep
)

func (c Config) withDefaults() Config {
	c.Seed = cmp.Or(c.Seed, 1)
	c.Rate = cmp.Or(c.Rate, DefaultRate)
	c.FirstNumber = cmp.Or(c.FirstNumber, 1)
	c.AuthTimeout = cmp.Or(c.AuthTimeout, DefaultAuthTimeout)
	c.MaxConnections = cmp.Or(c.MaxConnections, DefaultMaxConnections)
	c.MaxClients = cmp.Or(c.MaxClients, max(DefaultMaxClients, c.MaxConnections+c.MaxConnections/4))
	c.OptionLimit = cmp.Or(c.OptionLimit, DefaultOptionLimit)
	c.SlowTimeout = cmp.Or(c.SlowTimeout, DefaultSlowTimeout)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Faults = slices.Clone(c.Faults)
	return c
}

// plan looks a key up; known is false if it is a wrong one.
func (c *Config) plan(key string) (p Plan, known bool) {
	if c.Keys != nil {
		p, known = c.Keys[key]
		return p, known
	}
	switch key {
	case "", BadKey:
		return Plan{}, false
	case NoPlanKey:
		return Plan{Markets: []tickstorm.Market{}}, true
	}
	return Plan{}, true
}

// check returns what is wrong with a Config that has its defaults.
func (c *Config) check() error {
	if c.Batch[0] < 0 || c.Batch[1] < c.Batch[0] || c.Batch[0] == 0 && c.Batch[1] > 0 {
		return fmt.Errorf("sim: Config.Batch of %v", c.Batch)
	}
	if c.SendBuffer < 0 || c.MaxClients < 0 {
		return errors.New("sim: negative Config.SendBuffer or MaxClients")
	}
	if r := c.Replay; r != nil && (r.Open == nil || !(r.Speed >= 0) || math.IsInf(r.Speed, 1) || r.MaxIdle < 0) {
		return errors.New("sim: Config.Replay without Open, or with a negative speed or MaxIdle")
	}
	return nil
}
