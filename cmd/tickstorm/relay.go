package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/relay"
	"github.com/tickstorm/tickstorm/relay/admin"
)

type relayCmd struct {
	Markets []string `name:"market" short:"m" placeholder:"MARKET,..." group:"source" help:"Markets to share, each over one connection; default stocks, or the context's."`
	upstream
	Evictions int           `placeholder:"N" default:"1" group:"source" help:"Give a market up when another connection with the key has taken its place so often, with code 5 if it was the last; 0 is never."`
	Linger    time.Duration `default:"30s" placeholder:"DURATION" group:"source" help:"How long a topic is kept that no program wants any more; 0 is not at all."`
	Lock      string        `placeholder:"FILE" group:"source" help:"File that one relay has at a time: others with it are standbys, and take over when that one is gone, however it ends."`
	Listen    []string      `default:"127.0.0.1:8765" placeholder:"ADDRESS,..." group:"serve" help:"Where programs connect: addresses of this machine, unix:/path of a socket, or tls:ADDRESS; port 0 is any."`
	access
	Admin         string        `placeholder:"ADDRESS" group:"serve" help:"Address of a page for people, /healthz, /readyz, /clients, /topics and /metrics."`
	AdminRemote   bool          `group:"serve" help:"Let other machines see the page: without a key, and without TLS, everybody there sees names and addresses of programs and what they read. They ask for it by the address, not by a name."`
	MaxAge        time.Duration `placeholder:"DURATION" group:"serve" help:"How old the last message of a market may be for /readyz; 0 is any age."`
	Queue         int           `default:"16" placeholder:"MB" group:"serve" help:"How much may wait for a program that reads too slowly."`
	Overflow      string        `enum:"disconnect,drop-newest,drop-oldest,conflate" default:"disconnect" group:"serve" help:"What happens then: disconnect, drop-newest, drop-oldest or conflate (the latest quote of each symbol)."`
	FlushInterval time.Duration `placeholder:"DURATION" default:"500us" group:"serve" help:"The least time between two writes to a program, in which messages gather: longer takes less CPU, and 0 writes each at once."`
	late
	MaxClients int           `default:"1000" placeholder:"N" group:"serve" help:"How many programs may be connected."`
	MaxTopics  int           `default:"100000" placeholder:"N" group:"serve" help:"How many topics each of them may hold."`
	Origins    []string      `name:"origin" placeholder:"URL,..." group:"serve" help:"Pages that browsers may connect from."`
	Validate   bool          `group:"serve" help:"Look into every element, and pass on none that is broken."`
	Drain      time.Duration `default:"5s" placeholder:"DURATION" group:"serve" help:"How long programs may take at the end for what is queued for them."`
	ending
	Record string `placeholder:"DIR" group:"output" help:"Record what comes, too, into this folder; the flags below are about that."`
	segmenting
}

// Help implements [kong.HelpProvider].
func (*relayCmd) Help() string {
	return "The vendor allows one connection to a market: a relay shares it among programs, in the vendor's own protocol and bytes. They change their URL to that on standard output, and any key will do unless there is a file of --keys. Only programs of this machine can connect, unless there are --keys and TLS. At the end no more come in, and those that are there get what is queued for them.\n\n" + examples(
		"made-up data for several programs", "tickstorm relay --demo --listen 127.0.0.1:0 --for 1s",
		"with a page that shows it, recorded, for programs that join late", "tickstorm relay --demo -m stocks,crypto --listen 127.0.0.1:0 --admin 127.0.0.1:0 --snapshots 16 --history 16 --record demo --min-free 0 --for 1s",
		"stocks and crypto of the vendor", "tickstorm relay -m stocks,crypto --admin 127.0.0.1:8766 --record recordings --keep 720h",
		"for an office, with a second one beside it that takes over", "tickstorm relay -m stocks --listen tls:0.0.0.0:8765 --tls-cert cert.pem --tls-key key.pem --keys keys.json --lock relay.lock",
		"look at it", "tickstorm sub --feed ws://127.0.0.1:8765 T.AAPL",
	)
}

// relayOverflows are the policies that a relay has, by the names that they have here.
var relayOverflows = map[string]tickstorm.Overflow{
	"disconnect": tickstorm.OverflowDisconnect, "drop-newest": tickstorm.OverflowDropNewest,
	"drop-oldest": tickstorm.OverflowDropOldest, "conflate": tickstorm.OverflowConflate,
}

func (c *relayCmd) check() error {
	switch {
	case c.Evictions < 0 || c.Linger < 0 || c.MaxAge < 0 || c.Drain < 0 || c.For < 0 || c.FlushInterval < 0:
		return usagef("a negative --evictions, --linger, --max-age, --drain, --for or --flush-interval")
	case c.Queue <= 0 || c.Queue > mostMB:
		return errQueue
	case c.MaxClients < 1 || c.MaxTopics < 1:
		return usagef("--max-clients and --max-topics are above 0")
	case c.AdminRemote && c.Admin == "":
		return usagef("--admin-remote is of the page: --admin ADDRESS")
	case c.MaxAge > 0 && c.Admin == "":
		return usagef("--max-age is of the page: --admin ADDRESS")
	case c.Record == "" && (c.Keep != 0 || c.MaxTotal != 0 || c.Hook != ""):
		return usagef("--keep, --max-total and --hook are of what is recorded: --record DIR")
	}
	if err := c.access.check(c.Listen); err != nil {
		return err
	}
	if err := c.checkPage(); err != nil {
		return err
	}
	if err := c.late.check(); err != nil {
		return err
	}
	return c.segmenting.check()
}

// mostMB is the most MB of a queue, or of what is kept: more than any machine has for it, and an int on
// 32-bit platforms.
const mostMB = 1 << 10

// errQueue: the --queue of a verb is none.
var errQueue = usagef("--queue is out of range: from 1 to %d", mostMB)

// config is that of the server, but for its upstreams.
func (c *relayCmd) config(a *app) (relay.Config, error) {
	cfg := relay.Config{
		Linger: c.Linger, MaxClients: c.MaxClients, MaxTopics: c.MaxTopics, Validate: c.Validate, Origins: c.Origins, Logger: a.log,
		Queue: relay.QueueConfig{Bytes: c.Queue << 20, Overflow: relayOverflows[c.Overflow], FlushInterval: c.FlushInterval},
		Lock:  c.Lock,
	}
	if c.Linger == 0 {
		cfg.Linger = -1
	}
	if c.FlushInterval == 0 {
		cfg.Queue.FlushInterval = -1
	}
	c.late.set(&cfg)
	return cfg, c.access.set(&cfg)
}

// markets are those that were asked for.
func (c *relayCmd) markets(a *app, s settings) ([]tickstorm.Market, error) {
	names := c.Markets
	if len(names) == 0 {
		names = []string{cmp.Or(s.Market, string(tickstorm.Stocks))}
	}
	var markets []tickstorm.Market
	for _, name := range names {
		m := a.market(name)
		if slices.Contains(markets, m) {
			return nil, usagef("--market names %s twice", m)
		}
		markets = append(markets, m)
	}
	return markets, nil
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
	markets, err := c.markets(a, settings)
	if err != nil {
		return err
	}
	if err := c.late.of(markets); err != nil {
		return err
	}
	src, err := c.upstream.open(a, settings, markets[0], demoRate)
	if err != nil {
		return err
	}
	defer src.close()
	cfg, err := c.config(a)
	if err != nil {
		return err
	}
	recorders := &recorders{app: a, dir: c.Record, flush: c.Flush}
	defer func() { err = worse(err, recorders.close(ctx)) }()
	for _, m := range markets {
		one := src.Config
		one.Market = m
		one.Backoff.Evictions = c.Evictions
		one.OnGap = func(g *tickstorm.Gap) {
			a.log.Warn("gap", "market", m, "from", g.From.Received.UTC(), "to", g.To.Received.UTC(), "cause", g.Cause)
		}
		if c.Record != "" {
			rec, err := recorders.add(c.segmenting.config(a, c.Record, &one, nil))
			if err != nil {
				return err
			}
			one.Tap = rec
		}
		cfg.Upstreams = append(cfg.Upstreams, one)
	}
	if c.Record != "" && c.History > 0 {
		cfg.Past = recorders.past
	}
	server, err := relay.New(cfg)
	if err != nil {
		return &usageError{err.Error()}
	}
	return c.serve(ctx, a, server, recorders)
}

// serve serves until something ends it, and then lets clients take what is queued for them. A standby
// is shown while it waits.
func (c *relayCmd) serve(ctx context.Context, a *app, server *relay.Server, recorders *recorders) error {
	var page net.Listener
	if c.Admin != "" && c.Lock == "" {
		var err error
		if page, err = c.listenForPage(); err != nil {
			return err
		}
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var serving sync.WaitGroup
	ended := make(chan error, 2)
	serving.Go(func() { ended <- c.run(life, a, server, recorders) })
	if c.Admin != "" {
		shown := admin.New(server, admin.Config{MaxAge: c.MaxAge, Remote: c.AdminRemote, Logger: a.log, Version: built().Version})
		serving.Go(func() {
			if err := c.show(life, a, server, shown, page); life.Err() == nil {
				ended <- err
			}
		})
	}
	err := c.attend(ctx, a, server, ended)
	grace, cancel := context.WithTimeout(life, c.Drain)
	defer cancel()
	if server.Shutdown(grace) != nil {
		err = worse(err, fmt.Errorf("programs were cut off that did not take within %v what was queued for them", c.Drain))
	}
	stop()
	serving.Wait()
	close(ended)
	for late := range ended { // what failed after something else had ended it
		if !errors.Is(late, context.Canceled) {
			err = worse(err, late)
		}
	}
	return err
}

// run waits for the lock, if there is one, serves clients, and says what they got.
func (c *relayCmd) run(ctx context.Context, a *app, server *relay.Server, recorders *recorders) error {
	listeners, addresses, err := c.listen(ctx, server)
	switch {
	case err == nil:
	case ctx.Err() != nil || errors.Is(err, tickstorm.ErrEnded): // before it served anybody, which is no failure
		c.sum(a, server)
		return nil
	default:
		return err
	}
	if err := recorders.start(); err != nil {
		closeAll(listeners)
		return err
	}
	if _, err := io.WriteString(a.stdout, strings.Join(addresses, "\n")+"\n"); err != nil {
		closeAll(listeners)
		return outputError(err)
	}
	err = server.Serve(ctx, listeners...)
	c.sum(a, server)
	return err
}

// sum says what programs got.
func (c *relayCmd) sum(a *app, server *relay.Server) {
	if a.Quiet {
		return
	}
	s := server.Stats()
	var written, dropped uint64
	for _, m := range s.Markets {
		written, dropped = written+m.Written, dropped+m.Dropped
	}
	a.sayf("tickstorm: relayed to %d programs: %d events, %d dropped", s.Accepted, written, dropped)
}

// show shows the relay to people at a listener. Without one it listens as soon as the address is free: the
// relay that has the lock may have that too, and keeps it until its last program has gone.
func (c *relayCmd) show(ctx context.Context, a *app, server *relay.Server, shown *admin.Admin, page net.Listener) error {
	tick := time.NewTicker(pageRetry)
	defer tick.Stop()
	told := false
	for begun := time.Now(); page == nil; {
		var err error
		if page, err = c.listenForPage(); err == nil {
			break
		}
		switch {
		case codeOf(err) == exitUsage:
			return err
		case server.Stats().Standby:
			begun = time.Now()
		case !told && time.Since(begun) > pagePatience:
			told = true
			a.log.Warn("the page waits for its address", "err", err) // a relay that serves does not end for that
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	a.sayf("tickstorm: http://%s shows it", page.Addr())
	return shown.Serve(ctx, page)
}

// pagePatience is how long the page's address may be taken once this relay serves, until that is told.
const (
	pagePatience = time.Second
	pageRetry    = pagePatience / 4
)

// attend waits for what ends the relay, and shows meanwhile what it does.
func (c *relayCmd) attend(ctx context.Context, a *app, server *relay.Server, ended <-chan error) error {
	over := after(c.For)
	line := a.progress()
	defer line.clear()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	waits := false
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-ended:
			return err
		case <-over:
			return nil
		case <-tick.C:
			s := server.Stats()
			if s.Standby && !waits && !a.Quiet {
				line.clear()
				a.sayf("tickstorm: another relay has %s; this one is a standby", c.Lock)
			}
			waits = s.Standby
			if line.on {
				line.showf("%s", relayLine(s))
			}
		}
	}
}

// relayLine is what a relay does, for people.
func relayLine(s relay.Stats) string {
	if s.Standby {
		return "standby"
	}
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
