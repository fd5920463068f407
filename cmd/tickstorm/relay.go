package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/relay"
	"github.com/tickstorm/tickstorm/relay/admin"
)

type relayCmd struct {
	Markets []string `name:"market" short:"m" placeholder:"MARKET,..." group:"source" help:"Markets to share, each over one connection; default stocks, or the context's."`
	upstream
	Evictions  int           `placeholder:"N" default:"1" group:"source" help:"Give a market up when another connection with the key has taken its place so often, with code 5 if it was the last; 0 is never."`
	Linger     time.Duration `default:"30s" placeholder:"DURATION" group:"source" help:"How long a topic is kept that no program wants any more; 0 is not at all."`
	Listen     []string      `default:"127.0.0.1:8765" placeholder:"ADDRESS,..." group:"serve" help:"Where programs connect: addresses of this machine, or unix:/path of a socket; port 0 is any."`
	Admin      string        `placeholder:"ADDRESS" group:"serve" help:"Address of a page for people, /healthz, /readyz, /clients, /topics and /metrics."`
	MaxAge     time.Duration `placeholder:"DURATION" group:"serve" help:"How old the last message of a market may be for /readyz; 0 is any age."`
	Queue      int           `default:"16" placeholder:"MB" group:"serve" help:"How much may wait for a program that reads too slowly."`
	Overflow   string        `enum:"disconnect,drop-newest,drop-oldest,conflate" default:"disconnect" group:"serve" help:"What happens then: disconnect, drop-newest, drop-oldest or conflate (the latest quote of each symbol)."`
	MaxClients int           `default:"1000" placeholder:"N" group:"serve" help:"How many programs may be connected."`
	MaxTopics  int           `default:"100000" placeholder:"N" group:"serve" help:"How many topics each of them may hold."`
	Origins    []string      `name:"origin" placeholder:"URL,..." group:"serve" help:"Pages that browsers may connect from."`
	Validate   bool          `group:"serve" help:"Look into every element, and pass on none that is broken."`
	Drain      time.Duration `default:"5s" placeholder:"DURATION" group:"serve" help:"How long programs may take at the end for what is queued for them."`
	For        time.Duration `placeholder:"DURATION" help:"End after so long."`
	Record     string        `placeholder:"DIR" group:"output" help:"Record what comes, too, into this folder; the flags below are about that."`
	segmenting
}

// Help implements [kong.HelpProvider].
func (*relayCmd) Help() string {
	return "The vendor allows one connection to a market: a relay shares it among programs, in the vendor's own protocol and bytes. They change their URL to that on standard output, and any key will do. Only programs of this machine can connect. At the end no more come in, and those that are there get what is queued for them.\n\n" + examples(
		"made-up data for several programs", "tickstorm relay --demo --listen 127.0.0.1:0 --for 1s",
		"with a page that shows it, recorded", "tickstorm relay --demo -m stocks,crypto --listen 127.0.0.1:0 --admin 127.0.0.1:0 --record demo --min-free 0 --for 1s",
		"stocks and crypto of the vendor", "tickstorm relay -m stocks,crypto --admin 127.0.0.1:8766 --record recordings --keep 720h",
		"look at it", "tickstorm sub --feed ws://127.0.0.1:8765 T.AAPL",
	)
}

// relayOverflows are the policies that a relay has, by the names that they have here.
var relayOverflows = map[string]tickstorm.Overflow{
	"disconnect": tickstorm.OverflowDisconnect, "drop-newest": tickstorm.OverflowDropNewest,
	"drop-oldest": tickstorm.OverflowDropOldest, "conflate": tickstorm.OverflowConflate,
}

func (c *relayCmd) check() error {
	const most = 1 << 10 // MB, and int on 32-bit platforms
	switch {
	case c.Evictions < 0 || c.Linger < 0 || c.MaxAge < 0 || c.Drain < 0 || c.For < 0:
		return usagef("a negative --evictions, --linger, --max-age, --drain or --for")
	case c.Queue <= 0 || c.Queue > most:
		return usagef("--queue is out of range: from 1 to %d", most)
	case c.MaxClients < 1 || c.MaxTopics < 1:
		return usagef("--max-clients and --max-topics are above 0")
	case c.MaxAge > 0 && c.Admin == "":
		return usagef("--max-age is of the page: --admin ADDRESS")
	}
	return c.segmenting.check()
}

// config is that of the server, but for its upstreams.
func (c *relayCmd) config(a *app) relay.Config {
	cfg := relay.Config{
		Linger: c.Linger, MaxClients: c.MaxClients, MaxTopics: c.MaxTopics, Validate: c.Validate, Origins: c.Origins, Logger: a.log,
		Queue: relay.QueueConfig{Bytes: c.Queue << 20, Overflow: relayOverflows[c.Overflow]},
	}
	if c.Linger == 0 {
		cfg.Linger = -1
	}
	return cfg
}

// markets are those that were asked for.
func (c *relayCmd) markets(a *app, s settings) []tickstorm.Market {
	names := c.Markets
	if len(names) == 0 {
		names = []string{cmp.Or(s.Market, string(tickstorm.Stocks))}
	}
	var markets []tickstorm.Market
	for _, name := range names {
		markets = append(markets, a.market(name))
	}
	return markets
}

// Run runs the verb.
func (c *relayCmd) Run(ctx context.Context, a *app) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	settings, err := a.settings()
	if err != nil {
		return err
	}
	settings.Relay = "" // which is where this one is, for others
	markets := c.markets(a, settings)
	src, err := c.upstream.open(a, settings, markets[0], demoRate)
	if err != nil {
		return err
	}
	defer src.close()
	cfg := c.config(a)
	var recorders recorders
	defer func() { err = worse(err, recorders.close(ctx)) }()
	for _, m := range markets {
		one := src.Config
		one.Market = m
		one.Backoff.Evictions = c.Evictions
		one.OnGap = func(g *tickstorm.Gap) {
			a.log.Warn("gap", "market", m, "from", g.From.Received.UTC(), "to", g.To.Received.UTC(), "cause", g.Cause)
		}
		if c.Record != "" {
			rec, err := recorders.start(c.segmenting.config(a, c.Record, &one, nil))
			if err != nil {
				return err
			}
			one.Tap = rec
		}
		cfg.Upstreams = append(cfg.Upstreams, one)
	}
	server, err := relay.New(cfg)
	if err != nil {
		return &usageError{err.Error()}
	}
	err = c.serve(ctx, a, server)
	if s := server.Stats(); !a.Quiet {
		var written, dropped uint64
		for _, m := range s.Markets {
			written, dropped = written+m.Written, dropped+m.Dropped
		}
		a.sayf("tickstorm: relayed to %d programs: %d events, %d dropped", s.Accepted, written, dropped)
	}
	return err
}

// serve serves until something ends it, and then lets clients take what is queued for them.
func (c *relayCmd) serve(ctx context.Context, a *app, server *relay.Server) error {
	listeners, err := listenAt(c.Listen...)
	if err != nil {
		return err
	}
	var page []net.Listener
	if c.Admin != "" {
		if page, err = listenAt(c.Admin); err != nil {
			closeAll(listeners)
			return err
		}
	}
	var addresses strings.Builder
	for _, l := range listeners {
		fmt.Fprintln(&addresses, addressOf(l))
	}
	if _, err := io.WriteString(a.stdout, addresses.String()); err != nil {
		closeAll(append(listeners, page...))
		return outputError(err)
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	var serving sync.WaitGroup
	defer serving.Wait()
	defer stop()
	ended := make(chan error, 2)
	serving.Go(func() { ended <- server.Serve(life, listeners...) })
	for _, l := range page {
		a.sayf("tickstorm: %s shows it", strings.Replace(addressOf(l), "ws:", "http:", 1))
		shown := admin.New(server, admin.Config{MaxAge: c.MaxAge, Logger: a.log, Version: built().Version})
		serving.Go(func() {
			if err := shown.Serve(life, l); life.Err() == nil {
				ended <- err
			}
		})
	}
	err = c.attend(ctx, a, server, ended)
	grace, cancel := context.WithTimeout(life, c.Drain)
	defer cancel()
	if server.Shutdown(grace) != nil {
		err = worse(err, fmt.Errorf("programs were cut off that did not take within %v what was queued for them", c.Drain))
	}
	return err
}

// attend waits for what ends the relay, and shows meanwhile what it does.
func (c *relayCmd) attend(ctx context.Context, a *app, server *relay.Server, ended <-chan error) error {
	var over <-chan time.Time
	if c.For > 0 {
		over = time.After(c.For)
	}
	line := a.progress()
	defer line.clear()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-ended:
			return err
		case <-over:
			return nil
		case <-tick.C:
			if line.on {
				line.showf("%s", relayLine(server.Stats()))
			}
		}
	}
}

// relayLine is what a relay does, for people.
func relayLine(s relay.Stats) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d programs", s.Clients)
	for _, m := range s.Markets {
		fmt.Fprintf(&b, "; %s: %d topics, %d events, %d dropped", m.Market, m.Topics, m.Events, m.Dropped)
		if !m.Up {
			fmt.Fprintf(&b, " (%s)", m.Why)
		}
	}
	return b.String()
}

// listenAt listens at addresses, all of them or none.
func listenAt(addresses ...string) (all []net.Listener, err error) {
	for _, address := range addresses {
		network := "tcp"
		if path, ok := strings.CutPrefix(address, "unix:"); ok {
			network, address = "unix", path
		} else {
			err = checkAddress(address)
		}
		var l net.Listener
		if err == nil {
			l, err = relay.Listen(network, address)
		}
		if err != nil {
			closeAll(all)
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		_ = l.Close() // nobody has connected
	}
}

// addressOf is what programs connect to.
func addressOf(l net.Listener) string {
	if l.Addr().Network() == "unix" {
		return "unix:" + l.Addr().String()
	}
	return "ws://" + l.Addr().String()
}

// recorders are those of a relay's markets.
type recorders []*record.Recorder

// start starts one more.
func (r *recorders) start(cfg record.Config) (*record.Recorder, error) {
	rec, err := record.NewRecorder(cfg)
	if err != nil {
		return nil, &usageError{err.Error()}
	}
	if err := rec.Start(); err != nil {
		return nil, err
	}
	*r = append(*r, rec)
	return rec, nil
}

// close writes what they have.
func (r *recorders) close(ctx context.Context) error {
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	var errs []error
	for _, rec := range *r {
		errs = append(errs, rec.Close(closing))
	}
	return errors.Join(errs...)
}
