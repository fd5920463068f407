package tickstorm

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Stream is what one can subscribe to, in the words of the field and the same on
// every market; [Market.Channel] gives the wire's name for it.
type Stream uint8

// The streams. The zero Stream is none: status events and unknown ones have it.
const (
	Trades              Stream = iota + 1 // T, XT
	Quotes                                // Q, C, XQ
	SecondAggregates                      // A, CAS, XAS
	MinuteAggregates                      // AM, CA, XA
	Level2                                // XL2
	LimitUpLimitDown                      // LULD
	Imbalances                            // NOI
	Values                                // V, index values
	FairMarketValues                      // FMV, on Business plans
	LaunchpadValues                       // LV, on the Launchpad product
	LaunchpadAggregates                   // AM of the Launchpad product, on forex and crypto beside CA and XA
	streamCount
)

var streamNames = [...]string{
	"none", "trades", "quotes", "second-aggregates", "minute-aggregates", "level2", "luld", "imbalances",
	"values", "fair-market-values", "launchpad-values", "launchpad-aggregates",
}

// String returns the stream's name in lower case, such as "minute-aggregates".
func (s Stream) String() string {
	if int(s) < len(streamNames) {
		return streamNames[s]
	}
	return fmt.Sprintf("Stream(%d)", uint8(s))
}

// All as a symbol stands for every symbol of the stream. The vendor has no partial
// wildcards: one is an [ErrBadTopic].
const All = "*"

// Topic is one subscription in the wire's words, such as T.AAPL. It is a value and
// comparable. A topic with a channel that the library does not know is sent as it
// is; its events go to [Handler].OnUnknown.
type Topic struct {
	Channel string // "T"
	Symbol  string // "AAPL", or [All]
}

// String returns the wire's form, "T.AAPL".
func (t Topic) String() string { return t.Channel + "." + t.Symbol }

// Errors of what cannot be asked for.
var (
	// ErrBadTopic: a topic cannot be sent, or cannot be meant: a topic for a symbol ("T.AAPL"),
	// a partial wildcard ("SPY*"), a crypto symbol that may be a coin or a pair ("WBTC"). The
	// error says what to write instead.
	ErrBadTopic = errors.New("bad topic")
	// ErrNoSymbols: a subscription to nothing. Every symbol is [All].
	ErrNoSymbols = errors.New("no symbols: to get every symbol, ask for tickstorm.All")
	// ErrNoStream: the market does not have the stream.
	ErrNoStream = errors.New("the market has no such stream")
)

// maxTopic bounds a topic's length: a request is a line of them.
const maxTopic = 128

// ParseTopic splits "T.BRK.B" at the first dot, since symbols have dots. The error
// is an [ErrBadTopic] for what has no dot, an empty half, a space, a comma or another
// character that cannot stand in a request.
func ParseTopic(s string) (Topic, error) {
	channel, symbol, ok := strings.Cut(s, ".")
	if !ok {
		return Topic{}, fmt.Errorf("%w: %q has no dot between channel and symbol", ErrBadTopic, clip(s))
	}
	t := Topic{channel, symbol}
	if err := t.check(); err != nil {
		return Topic{}, err
	}
	return t, nil
}

// ParseTopics reads a list as it stands in requests, "T.AAPL, Q.AAPL": parted by
// commas, spaces around topics ignored.
func ParseTopics(s string) ([]Topic, error) {
	var topics []Topic
	for part := range strings.SplitSeq(s, ",") {
		t, err := ParseTopic(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		topics = append(topics, t)
	}
	return topics, nil
}

func (t Topic) check() error {
	switch {
	case t.Channel == "" || t.Symbol == "":
		return fmt.Errorf("%w: %q lacks a channel or a symbol", ErrBadTopic, clip(t.String()))
	case strings.Contains(t.Channel, "."):
		return fmt.Errorf("%w: the channel %q has a dot", ErrBadTopic, clip(t.Channel))
	case len(t.Channel)+1+len(t.Symbol) > maxTopic:
		return fmt.Errorf("%w: %q is longer than %d bytes", ErrBadTopic, clip(t.String()), maxTopic)
	}
	for _, s := range [2]string{t.Channel, t.Symbol} {
		for i, r := range s {
			bad := r == ',' || r == '"' || r == '\\' || !unicode.IsPrint(r) || unicode.IsSpace(r)
			if r == utf8.RuneError {
				_, n := utf8.DecodeRuneInString(s[i:])
				bad = bad || n <= 1
			}
			if bad {
				return fmt.Errorf("%w: %q has a character that cannot stand in a request", ErrBadTopic, clip(t.String()))
			}
		}
	}
	return nil
}

// clip keeps error texts short whatever was put in.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}

// Streams returns the streams that the market has, in the table's order.
func (m Market) Streams() []Stream {
	var streams []Stream
	for _, c := range m.channels() {
		streams = append(streams, c.stream)
	}
	return streams
}

// Channel returns the wire's name for a stream on this market, such as "XT" for
// [Trades] on [Crypto], or ErrNoStream.
func (m Market) Channel(s Stream) (string, error) {
	c := m.channelOf(s)
	if c == nil {
		return "", fmt.Errorf("%w: %s on %q", ErrNoStream, s, string(m))
	}
	return c.name, nil
}

// StreamOf returns the stream that a channel carries on this market; ok is false
// if the library does not know it.
func (m Market) StreamOf(channel string) (s Stream, ok bool) {
	c := channelNamed(m.channels(), []byte(channel))
	if c == nil || c == statusChannel {
		return 0, false
	}
	return c.stream, true
}

// Topics returns the topics of a stream for symbols, in the canonical form of
// [Market.Canonical]. No symbols is ErrNoSymbols; a stream that the market lacks
// is ErrNoStream; a symbol that cannot be sent or meant is ErrBadTopic.
func (m Market) Topics(s Stream, symbols ...string) ([]Topic, error) {
	channel, err := m.Channel(s)
	if err != nil {
		return nil, err
	}
	if len(symbols) == 0 {
		return nil, ErrNoSymbols
	}
	topics := make([]Topic, len(symbols))
	for i, symbol := range symbols {
		if topics[i], err = m.topic(Topic{channel, symbol}, false); err != nil {
			return nil, err
		}
	}
	return topics, nil
}

// Canonical returns the one spelling of a topic that is sent, matched with
// acknowledgements and counted in sets: the market's prefix and separator are put
// in place ("EUR-USD", "C:EUR-USD", "eur/usd" and "EURUSD" are all C.EUR/USD on forex), and
// a symbol without any upper-case letter is upper-cased. Symbols with mixed case stay
// as they are: AMpB and AMPB are different securities. The prefix before [All], "O:*", is All.
//
// A crypto pair without a separator, "BTCUSD", is taken apart if it ends in a usual quote
// currency (USD, USDT, USDC, EUR, GBP, JPY, AUD, CAD, CHF, BTC, ETH) with three characters
// or more before it. With less it stays as it is, and is an [ErrBadTopic] when it is asked for:
// WBTC is a coin, and so is W. Any other symbol without a separator stays as it is.
//
// Topics of channels that the library does not know stay as they are.
func (m Market) Canonical(t Topic) Topic { return m.canonical(t, false) }

func (m Market) canonical(t Topic, keepCase bool) Topic {
	c := channelNamed(m.channels(), []byte(t.Channel))
	if c == nil || c == statusChannel || t.Symbol == All {
		return t
	}
	t.Symbol = c.form.apply(t.Symbol, keepCase)
	return t
}

// topic returns the canonical form of a topic if it can be sent and meant.
func (m Market) topic(t Topic, keepCase bool) (Topic, error) {
	if err := t.check(); err != nil {
		return t, err
	}
	given := t
	t = m.canonical(t, keepCase)
	if c := channelNamed(m.channels(), []byte(t.Channel)); c != nil && c != statusChannel {
		for _, spelling := range [2]Topic{given, t} { // a separator that is taken out may have hidden something
			if err := m.meant(c, spelling, keepCase); err != nil {
				return t, err
			}
		}
	}
	return t, t.check() // a prefix has made it longer
}

// meant returns what is wrong with a topic that could be sent, and would be acknowledged, but
// never bring an event.
func (m Market) meant(c *channel, t Topic, keepCase bool) error {
	symbol := c.form.bare(t.Symbol, keepCase)
	switch symbol {
	case "":
		return fmt.Errorf("%w: %q has nothing behind the prefix", ErrBadTopic, clip(t.String()))
	case All:
		return nil
	}
	if channel, rest, ok := strings.Cut(symbol, "."); ok && m.names(channel) && (rest == All || utf8.RuneCountInString(rest) > longestSuffix) {
		return fmt.Errorf("%w: %q is a topic, not a symbol: of that the channel is no part", ErrBadTopic, clip(symbol))
	}
	if strings.Contains(symbol, All) {
		return fmt.Errorf("%w: %q: there are no partial wildcards; ask for symbols, or for tickstorm.All with an Interest in some",
			ErrBadTopic, clip(t.String()))
	}
	if base, quote := c.form.quoted(symbol); base != "" && len(base) < leastBase {
		return fmt.Errorf("%w: %q may be a coin or a pair: if it is a pair, write %q", ErrBadTopic, clip(t.String()), base+c.form.to+quote)
	}
	return nil
}

// longestSuffix is how long what follows the dot is where the part before it is a company
// with the name of a channel: A.WI is what Agilent would be when issued.
const longestSuffix = 2

// names reports whether a channel of the market has this name, in any case.
func (m Market) names(channel string) bool {
	for _, c := range m.channels() {
		if strings.EqualFold(c.name, channel) {
			return true
		}
	}
	return false
}

// Topics is [Market.Topics] that leaves the case of symbols alone where KeepCase says so. What
// cannot be sent is found when it is asked for.
func (c *Config) Topics(s Stream, symbols ...string) ([]Topic, error) {
	channel, err := c.Market.Channel(s)
	if err != nil {
		return nil, err
	}
	if len(symbols) == 0 {
		return nil, ErrNoSymbols
	}
	topics := make([]Topic, len(symbols))
	for i, symbol := range symbols {
		topics[i] = c.Market.canonical(Topic{channel, symbol}, c.KeepCase)
	}
	return topics, nil
}

// canonical returns topics in canonical form, or what is wrong with one.
func (c *Config) canonical(topics []Topic) ([]Topic, error) {
	canonical := make([]Topic, len(topics))
	for i, t := range topics {
		var err error
		if canonical[i], err = c.Market.topic(t, c.KeepCase); err != nil {
			return nil, err
		}
	}
	return canonical, nil
}

// checked is canonical for topics that there must be some of.
func (c *Config) checked(topics []Topic) ([]Topic, error) {
	if len(topics) == 0 {
		return nil, ErrNoSymbols
	}
	return c.canonical(topics)
}

// appendRequest appends a request for topics, {"action":"subscribe","params":"T.A,T.B"}.
// Topics have been checked: nothing in them needs escaping.
func appendRequest(dst []byte, action string, topics []Topic) []byte {
	dst = append(dst, `{"action":"`...)
	dst = append(dst, action...)
	dst = append(dst, `","params":"`...)
	for i, t := range topics {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, t.Channel...)
		dst = append(dst, '.')
		dst = append(dst, t.Symbol...)
	}
	return append(dst, `"}`...)
}

// symbolForm is how a channel spells its symbols.
type symbolForm struct {
	prefix string // which the wire has
	strip  string // a prefix that users write and the wire lacks
	from   string // separators that users write
	to     string // the separator that the wire has; "-" and "/" within pairs
	pair   bool   // symbols are pairs of currencies
	coins  bool   // symbols are pairs of coins, whose names have any length
}

var (
	optionForm       = symbolForm{prefix: "O:"}
	indexForm        = symbolForm{prefix: "I:"}
	forexForm        = symbolForm{strip: "C:", from: "-", to: "/", pair: true}
	forexTightForm   = symbolForm{prefix: "C:", from: "-/", to: "", pair: true}
	forexDashForm    = symbolForm{prefix: "C:", from: "/", to: "-", pair: true}
	cryptoForm       = symbolForm{strip: "X:", from: "/", to: "-", coins: true}
	cryptoPrefixForm = symbolForm{prefix: "X:", from: "/", to: "-", coins: true}
)

// apply gives a form that it does not change again: sets of topics rest on that.
func (f symbolForm) apply(s string, keepCase bool) string {
	for _, separator := range f.from {
		s = strings.ReplaceAll(s, string(separator), f.to)
	}
	s = f.bare(s, keepCase)
	if s == All {
		return s
	}
	if !keepCase && s == strings.ToLower(s) {
		s = strings.Map(toUpper, s)
	}
	if f.pair && f.to != "" && len(s) == 6 && strings.Trim(s, letters) == "" {
		s = s[:3] + f.to + s[3:] // EURUSD: ISO 4217 codes have three letters
	}
	if base, quote := f.quoted(s); len(base) >= leastBase {
		s = base + f.to + quote
	}
	return f.prefix + s
}

// bare takes off the prefix, which is no part of the name when it comes to case.
func (f symbolForm) bare(s string, keepCase bool) string {
	prefix := f.prefix + f.strip // one of them is empty
	n := len(prefix)
	for n > 0 && len(s) >= n && (s[:n] == prefix || !keepCase && strings.EqualFold(s[:n], prefix)) {
		s = s[n:]
	}
	return s
}

// quoteCurrencies are what coins are quoted in at the exchanges that the vendor gathers from.
// None is the end of another, so that a pair without a separator has one reading at most.
var quoteCurrencies = [...]string{"USD", "USDT", "USDC", "EUR", "GBP", "JPY", "AUD", "CAD", "CHF", "BTC", "ETH"}

// leastBase is how long a base is where there is no doubt that it is one: names that end in a
// quote currency with less before it are those of coins as well (WBTC, TUSD, STETH).
const leastBase = 3

// quoted takes a pair of coins without a separator apart. base is "" if it is none.
func (f symbolForm) quoted(s string) (base, quote string) {
	if !f.coins || strings.Trim(s, letters+"0123456789") != "" {
		return "", ""
	}
	for _, quote := range quoteCurrencies {
		if n := len(s) - len(quote); n > 0 && strings.EqualFold(s[n:], quote) {
			return s[:n], s[n:]
		}
	}
	return "", ""
}

// Symbols are ASCII: upper-casing other letters could make a prefix out of none.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func toUpper(r rune) rune {
	if 'a' <= r && r <= 'z' {
		return r - 'a' + 'A'
	}
	return r
}
