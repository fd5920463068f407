package relay

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
)

// A Policy is what a client may do. The zero Policy allows all symbols of all channels of all
// markets, one by one. What it does not allow is refused in the words of the vendor, to who has
// asked.
type Policy struct {
	// Markets are those that the client may connect to; nil is all. In others its key is
	// answered as one whose plan lacks them.
	Markets []tickstorm.Market
	// Channels are those that it may subscribe to, such as "T"; nil is all.
	Channels []string
	// Symbols are those that it may subscribe to; nil is all. One that ends in * is all that
	// begin with what stands before it. They are spelled as in requests, with or without the
	// vendor's prefix.
	Symbols []string
	// Wildcards is whether it may subscribe to all of a channel, such as T.*. It makes sense
	// only where all symbols are allowed.
	Wildcards bool
	// MaxTopics is how many topics it may hold; 0 is Config.MaxTopics, which no key exceeds.
	MaxTopics int
	// Overflow is what gives way where it reads too slowly, as QueueConfig.Overflow says it; 0 is
	// that of Config.Queue, with its High and Low, which are those of no other policy.
	Overflow tickstorm.Overflow
	// Snapshot is whether it may ask for what was before it came, by ?snapshot=1 or ?since=-5m. Who
	// may not and does is told that it is not authorized, once, and gets what is live.
	Snapshot bool
	// SnapshotOnSubscribe is that it may, and gets the last event of each symbol of its topics without
	// asking, as by ?snapshot=1: for clients that cannot change the query of their URL. Who asks for
	// something else in it, ?snapshot=0 or ?since=-5m, gets that.
	SnapshotOnSubscribe bool
}

// overflows are the policies by their names in files.
var overflows = map[string]tickstorm.Overflow{
	"disconnect":  tickstorm.OverflowDisconnect,
	"drop-newest": tickstorm.OverflowDropNewest,
	"drop-oldest": tickstorm.OverflowDropOldest,
	"conflate":    tickstorm.OverflowConflate,
}

func (p Policy) clone() Policy {
	p.Markets, p.Channels, p.Symbols = slices.Clone(p.Markets), slices.Clone(p.Channels), slices.Clone(p.Symbols)
	return p
}

// check returns what is wrong with a policy, beginning with the field's name.
func (p Policy) check() error {
	for _, field := range []struct {
		name string
		err  error
	}{
		{"markets", checkMarkets(p.Markets)},
		{"channels", checkChannels(p.Channels)},
		{"symbols", checkSymbols(p.Symbols)},
		{"most topics", checkMost(p.MaxTopics)},
		{"overflow", checkOverflow(p.Overflow)},
		{"wildcards", p.checkWildcards()},
	} {
		if field.err != nil {
			return fmt.Errorf("%s: %w", field.name, field.err)
		}
	}
	return nil
}

var errNothing = errors.New("an empty list would allow nothing: without one all is allowed")

func checkMarkets(markets []tickstorm.Market) error {
	if markets != nil && len(markets) == 0 {
		return errNothing
	}
	for _, m := range markets {
		if !slices.Contains(tickstorm.Markets(), m) {
			return fmt.Errorf("there is no %s", quote(string(m)))
		}
	}
	return nil
}

func checkChannels(channels []string) error {
	if channels != nil && len(channels) == 0 {
		return errNothing
	}
	for _, c := range channels {
		if !slices.ContainsFunc(tickstorm.Markets(), func(m tickstorm.Market) bool { _, ok := m.StreamOf(c); return ok }) {
			return fmt.Errorf("there is no %s", quote(c))
		}
	}
	return nil
}

func checkSymbols(symbols []string) error {
	if symbols != nil && len(symbols) == 0 {
		return errNothing
	}
	for _, s := range symbols {
		name := strings.TrimSuffix(s, tickstorm.All)
		switch {
		case s == "" || strings.ContainsAny(s, ", ") || strings.ContainsFunc(s, unprintable):
			return fmt.Errorf("%s is no symbol", quote(s))
		case strings.Contains(name, tickstorm.All):
			return fmt.Errorf("%s has a * that is not its end", quote(s))
		}
	}
	return nil
}

func checkMost(topics int) error {
	if topics < 0 {
		return errors.New("it must be 1 and more")
	}
	return nil
}

func checkOverflow(o tickstorm.Overflow) error {
	if o > tickstorm.OverflowDisconnect {
		return errors.New("there is no such policy")
	}
	return nil
}

func (p Policy) checkWildcards() error {
	if p.Wildcards && !p.allSymbols() {
		return errors.New("all of a channel cannot be allowed where not all symbols are")
	}
	return nil
}

func (p Policy) allSymbols() bool {
	return p.Symbols == nil || slices.Contains(p.Symbols, tickstorm.All)
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// quote quotes what somebody has written in the wrong place, unless it could be a token.
func quote(s string) string {
	if len(s) >= shortestToken {
		return "what stands here"
	}
	return fmt.Sprintf("%q", s)
}

// market reports whether the key's client may connect to a market.
func (k *key) market(m tickstorm.Market) bool {
	return k.policy.Markets == nil || slices.Contains(k.policy.Markets, m)
}

// allows reports whether the key's client may hold a topic, in its one spelling.
func (k *key) allows(m tickstorm.Market, t tickstorm.Topic) bool {
	p := &k.policy
	switch {
	case !k.market(m), p.Channels != nil && !slices.Contains(p.Channels, t.Channel):
		return false
	case t.Symbol == tickstorm.All:
		return p.Wildcards
	case p.allSymbols():
		return true
	}
	return k.rules.of(m, t.Channel, p.Symbols).match(t.Symbol)
}

// sift returns what the key's client may have of a request, and how many topics it may not.
func (k *key) sift(m tickstorm.Market, asked []dialogue.Asked) (allowed []dialogue.Asked, refused int) {
	allowed = slices.DeleteFunc(asked, func(a dialogue.Asked) bool { return !k.allows(m, a.ID) })
	return allowed, len(asked) - len(allowed)
}

// rules are a policy's symbols in the one spelling that each channel has for them.
type rules struct {
	mu sync.Mutex // protects by
	by map[place]*symbols
}

type place struct {
	market  tickstorm.Market
	channel string
}

// symbols are symbols, and beginnings of symbols.
type symbols struct {
	whole  map[string]bool
	begins []string
}

// of returns the rules of a channel, which are made when they are asked for first.
func (r *rules) of(m tickstorm.Market, channel string, patterns []string) *symbols {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := place{m, channel}
	if s := r.by[at]; s != nil {
		return s
	}
	s := &symbols{whole: map[string]bool{}}
	for _, p := range patterns {
		name, begins := strings.CutSuffix(p, tickstorm.All)
		id := m.Canonical(tickstorm.Topic{Channel: channel, Symbol: name}).Symbol
		if begins {
			s.begins = append(s.begins, id)
		} else {
			s.whole[id] = true
		}
	}
	if r.by == nil {
		r.by = map[place]*symbols{}
	}
	r.by[at] = s
	return s
}

func (s *symbols) match(symbol string) bool {
	return s.whole[symbol] || slices.ContainsFunc(s.begins, func(b string) bool { return strings.HasPrefix(symbol, b) })
}
