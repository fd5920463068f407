package main

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/redact"
	"github.com/tickstorm/tickstorm/sim"
)

// connection is where a stream comes from.
type connection struct {
	Market string `short:"m" placeholder:"MARKET" group:"source" help:"stocks (default), options, forex, crypto, indices, futures, futures/cme, ..."`
	upstream
}

// upstream is who has the streams of all markets.
type upstream struct {
	Feed    string `placeholder:"FEED" group:"source" help:"real-time (default), delayed, business, ..., or an address such as ws://127.0.0.1:8765, of a relay or a simulator."`
	KeyFile string `placeholder:"FILE" group:"source" help:"File with the API key, which is otherwise taken from MASSIVE_API_KEY or POLYGON_API_KEY."`
}

// feeds are the vendor's, by the names that they have here.
var feeds = map[string]tickstorm.Feed{
	"real-time": tickstorm.RealTime, "delayed": tickstorm.Delayed, "launchpad": tickstorm.Launchpad,
	"business": tickstorm.Business, "edgx-business": tickstorm.EdgxBusiness, "iex-business": tickstorm.IEXBusiness,
	"fullmarket-business": tickstorm.FullMarketBusiness, "nasdaq-last-sale-business": tickstorm.NasdaqLastSaleBusiness,
	"nasdaq-basic-business": tickstorm.NasdaqBasicBusiness, "delayed-business": tickstorm.DelayedBusiness,
	"delayed-edgx-business": tickstorm.DelayedEdgxBusiness, "delayed-fullmarket-business": tickstorm.DelayedFullMarketBusiness,
	"delayed-nasdaq-last-sale-business": tickstorm.DelayedNasdaqLastSaleBusiness,
	"delayed-nasdaq-basic-business":     tickstorm.DelayedNasdaqBasicBusiness,
	"nasdaq":                            tickstorm.Nasdaq, "polyfeed": tickstorm.PolyFeed, "polyfeed-plus": tickstorm.PolyFeedPlus, "starter": tickstorm.Starter,
}

// A source is where a stream comes from, found.
type source struct {
	tickstorm.Config
	// vendor says that a connection may cost another one its place.
	vendor bool
	server *sim.Server // behind --demo
}

// close ends the simulator, if there is one.
func (s *source) close() {
	if s.server != nil {
		_ = s.server.Close()
	}
}

// market is the one that was asked for.
func (c *connection) market(a *app, s settings) tickstorm.Market {
	return a.market(cmp.Or(c.Market, s.Market, string(tickstorm.Stocks)))
}

// market is the one of a name.
func (a *app) market(name string) tickstorm.Market {
	m := tickstorm.Market(strings.ToLower(name))
	if !slices.Contains(tickstorm.Markets(), m) && a.strange != m {
		a.strange = m
		a.log.Warn("no market of this name is known", "market", name, "known", tickstorm.Markets())
	}
	return m
}

// open finds a source; rate is the simulator's where nobody says otherwise. Close it.
func (c *connection) open(a *app, rate int) (*source, error) {
	s, err := a.settings()
	if err != nil {
		return nil, err
	}
	return c.upstream.open(a, s, c.market(a, s), rate)
}

// open finds the source of a market.
func (c *upstream) open(a *app, s settings, market tickstorm.Market, rate int) (src *source, err error) {
	if a.Demo && c.Feed != "" {
		return nil, usagef("--demo is the simulator, and --feed something else: say one of them")
	}
	if a.Demo {
		server, err := a.simulator(rate)
		if err != nil {
			return nil, err
		}
		return a.finish(&source{Config: server.ClientConfig(market), server: server}), nil
	}
	src = &source{Config: tickstorm.Config{Market: market}}
	if src.Feed, err = c.feed(s); err != nil {
		return nil, err
	}
	src.vendor = slices.ContainsFunc([]string{"massive.com", "polygon.io"}, func(domain string) bool {
		host := hostOf(src.Feed)
		return host == domain || strings.HasSuffix(host, "."+domain)
	})
	local := strings.HasPrefix(string(src.Feed), "ws://") && isLoopback(hostOf(src.Feed))
	src.Key, err = a.key(c.KeyFile, s.KeyFile)
	switch {
	case err == errNoKey && local:
		src.Key = "none" // what is on this machine may not ask for one
	case err != nil:
		return nil, err
	case strings.HasPrefix(string(src.Feed), "ws://") && !local:
		a.log.Warn("the key goes over the network unencrypted", "feed", withoutQuery(src.Feed))
	}
	return a.finish(src), nil
}

// finish sets what all sources have.
func (a *app) finish(s *source) *source {
	s.Logger = a.log
	return s
}

// feed is the one that was asked for.
func (c *upstream) feed(s settings) (tickstorm.Feed, error) {
	name := cmp.Or(c.Feed, s.Relay, s.Feed)
	if name == "" {
		return tickstorm.RealTime, nil
	}
	if f, ok := feeds[name]; ok {
		return f, nil
	}
	if !strings.Contains(name, "://") {
		known := slices.Sorted(maps.Keys(feeds))
		return "", usagef("no feed %q: there are %s, and addresses such as ws://127.0.0.1:8765", name, strings.Join(known, ", "))
	}
	u, err := url.Parse(name)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss":
		return "", usagef("the address of a feed is like wss://socket.massive.com or ws://127.0.0.1:8765: ws or wss, a host, and a port if need be")
	case u.User != nil || u.Fragment != "" || len(redact.Query(u.RawQuery)) > 0:
		return "", usagef("the address of a feed has nothing but host, port, path and a query, %s://%s here: a key is never in it, nor a token or a password, where others can see them", u.Scheme, u.Host)
	}
	return tickstorm.Feed(name), nil
}

// asksForPast reports whether an address asks a relay for what was before.
func asksForPast(f tickstorm.Feed) bool {
	u, err := url.Parse(string(f))
	if err != nil {
		return false
	}
	q := u.Query()
	return q.Has("since") || q.Get("snapshot") == "1"
}

// withoutQuery is a feed without what is asked there.
func withoutQuery(f tickstorm.Feed) string {
	base, _, _ := strings.Cut(string(f), "?")
	return base
}

func hostOf(f tickstorm.Feed) string {
	u, err := url.Parse(string(f))
	if err != nil {
		return ""
	}
	return u.Hostname()
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// simulator starts the one behind --demo, and says so.
func (a *app) simulator(rate int) (*sim.Server, error) {
	if a.DemoRate != 0 {
		rate = a.DemoRate
	}
	cfg := sim.Config{Rate: rate, Seed: a.DemoSeed, Now: a.simNow, MaxConnections: -1}
	if rate > 0 && rate <= demoSubRate {
		cfg.Batch = [2]int{1, 1} // the same messages each time: else those that are late are longer
	}
	server, err := sim.Start(cfg)
	if err != nil {
		return nil, fmt.Errorf("the simulator does not start: %w", err)
	}
	a.sayf("tickstorm: SIMULATOR: made-up data, seed %d", a.DemoSeed)
	return server, nil
}

// exchangeZone is the zone that a market's clocks are in.
func exchangeZone(m tickstorm.Market) string {
	switch name, _, _ := strings.Cut(string(m), "/"); tickstorm.Market(name) {
	case tickstorm.Forex, tickstorm.Crypto:
		return "UTC"
	case tickstorm.Futures:
		return "America/Chicago"
	}
	return "America/New_York"
}

// topicsOf reads topics, of which each argument may have several, and holds them against the market.
func topicsOf(a *app, m tickstorm.Market, args []string) ([]tickstorm.Topic, error) {
	var topics []tickstorm.Topic
	for _, arg := range args {
		some, err := tickstorm.ParseTopics(arg)
		if err != nil {
			return nil, err
		}
		for _, t := range some {
			if t, err = checkTopic(a, m, t); err != nil {
				return nil, err
			}
			topics = append(topics, t)
		}
	}
	return topics, nil
}

// checkTopic returns a topic in the spelling that is sent, or what is wrong with it.
func checkTopic(a *app, m tickstorm.Market, t tickstorm.Topic) (tickstorm.Topic, error) {
	stream, ok := m.StreamOf(t.Channel)
	if ok {
		some, err := m.Topics(stream, t.Symbol)
		if err != nil {
			return t, err
		}
		return some[0], nil
	}
	if upper := strings.ToUpper(t.Channel); upper != t.Channel {
		if _, ok := m.StreamOf(upper); ok {
			return t, usagef("no channel %s: channels are written in capitals, %s.%s", t.Channel, upper, t.Symbol)
		}
	}
	for _, other := range tickstorm.Markets() {
		if _, ok := other.StreamOf(t.Channel); ok {
			return t, usagef("%s has no channel %s; %s has: -m %s", m, t.Channel, other, other)
		}
	}
	a.log.Warn("no channel of this name is known", "channel", t.Channel, "market", m)
	return t, nil
}
