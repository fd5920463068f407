package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/relay"
	"github.com/tickstorm/tickstorm/relay/admin"
)

type relayCmd struct {
	Markets    []string      `name:"market" short:"m" placeholder:"MARKET,..." group:"source" help:"Markets to share, each over one connection; default stocks, or the context's."`
	Feed       string        `placeholder:"FEED" group:"source" help:"real-time (default), delayed, ..., or an address, of another relay too."`
	KeyFile    string        `placeholder:"FILE" group:"source" help:"File with the API key, which is otherwise taken from MASSIVE_API_KEY or POLYGON_API_KEY."`
	Listen     []string      `default:"127.0.0.1:8765" placeholder:"ADDRESS,..." help:"Where programs connect: addresses of this machine, or unix:/path of a socket; port 0 is any."`
	Admin      string        `placeholder:"ADDRESS" help:"Address of a page for people, /healthz, /readyz, /clients, /topics and /metrics."`
	MaxAge     time.Duration `placeholder:"DURATION" help:"How old the last message of a market may be for /readyz; 0 is any age."`
	Record     string        `placeholder:"DIR" help:"Record what comes, too, into this folder."`
	Keep       time.Duration `placeholder:"DURATION" help:"Remove closed segments of that that are older."`
	MinFree    int64         `default:"1024" placeholder:"MB" help:"Record nothing while less is free on the disk; 0 for no minimum."`
	Linger     time.Duration `default:"30s" placeholder:"DURATION" help:"How long a topic is kept that no program wants any more; negative is not at all."`
	Queue      int           `default:"16" placeholder:"MB" help:"How much may wait for a program that reads too slowly."`
	Overflow   string        `enum:"disconnect,drop-newest,drop-oldest,conflate" default:"disconnect" help:"What happens then: disconnect, drop-newest, drop-oldest or conflate (the latest quote of each symbol)."`
	MaxClients int           `default:"1000" placeholder:"N" help:"How many programs may be connected."`
	Origins    []string      `name:"origin" placeholder:"URL,..." help:"Pages that browsers may connect from."`
	For        time.Duration `placeholder:"DURATION" help:"End after so long."`
}

// Help implements [kong.HelpProvider].
func (*relayCmd) Help() string {
	return "The vendor allows one connection to a market: a relay shares it among programs, in the vendor's own protocol and bytes. They change their URL to that on standard output, and any key will do. Only programs of this machine can connect.\n\n" + examples(
		"made-up data for several programs", "tickstorm relay --demo --listen 127.0.0.1:0 --for 1s",
		"stocks and crypto, with a page, recorded", "tickstorm relay -m stocks,crypto --admin 127.0.0.1:8766 --record recordings --keep 720h",
		"look at it", "tickstorm sub --feed ws://127.0.0.1:8765 T.AAPL",
	)
}

var relayOverflows = map[string]tickstorm.Overflow{
	"disconnect": tickstorm.OverflowDisconnect, "drop-newest": tickstorm.OverflowDropNewest,
	"drop-oldest": tickstorm.OverflowDropOldest, "conflate": tickstorm.OverflowConflate,
}

func (c *relayCmd) check() error {
	const most = 1 << 10 // MB, and int on 32-bit platforms
	switch {
	case c.MaxAge < 0 || c.Keep < 0 || c.For < 0:
		return usagef("a negative --max-age, --keep or --for")
	case c.Queue <= 0 || c.Queue > most:
		return usagef("--queue is out of range: from 1 to %d", most)
	case c.MinFree < 0 || c.MinFree > 1<<40:
		return usagef("--min-free is out of range")
	case c.MaxClients <= 0:
		return usagef("--max-clients is above 0")
	}
	return nil
}

// Run runs the verb.
func (c *relayCmd) Run(ctx context.Context, a *app) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	from := connection{Feed: c.Feed, KeyFile: c.KeyFile}
	src, err := from.open(a, demoRate)
	if err != nil {
		return err
	}
	defer src.close()
	markets := []tickstorm.Market{src.Market}
	if len(c.Markets) > 0 {
		markets = nil
		for _, name := range c.Markets {
			markets = append(markets, (&connection{Market: name}).market(a, settings{}))
		}
	}
	cfg := relay.Config{
		Linger: c.Linger, MaxClients: c.MaxClients, Origins: c.Origins, Logger: a.log,
		Queue: relay.QueueConfig{Bytes: c.Queue << 20, Overflow: relayOverflows[c.Overflow]},
	}
	for _, m := range markets {
		up := src.Config
		up.Market = m
		if c.Record != "" {
			stop, err := c.record(a, &up)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, stop()) }()
		}
		cfg.Upstreams = append(cfg.Upstreams, up)
	}
	server, err := relay.New(cfg)
	if err != nil {
		return &usageError{err.Error()}
	}
	listeners, err := listenAt(c.Listen)
	if err != nil {
		return err
	}
	for _, l := range listeners {
		if _, err := fmt.Fprintln(a.stdout, addressOf(l)); err != nil {
			return errors.Join(outputError(err), closeAll(listeners))
		}
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	if c.Admin != "" {
		at, err := listenAt([]string{c.Admin})
		if err != nil {
			return errors.Join(err, closeAll(listeners))
		}
		page := admin.New(server, admin.Config{MaxAge: c.MaxAge, Logger: a.log, Version: built().Version})
		shown := make(chan error, 1)
		go func() { shown <- page.Serve(life, at[0]) }()
		a.sayf("tickstorm: http://%s shows it", at[0].Addr())
		defer func() {
			cancel()
			<-shown
		}()
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(life, listeners...) }()
	var over <-chan time.Time
	if c.For > 0 {
		over = time.After(c.For)
	}
	select {
	case err = <-ended:
		return relayError(err)
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-over:
	}
	closing, stop := context.WithTimeout(life, 5*time.Second)
	defer stop()
	_ = server.Shutdown(closing) // those that do not take a goodbye are cut off
	<-ended
	if s := server.Stats(); !a.Quiet {
		a.sayf("tickstorm: relayed to %d programs", s.Accepted)
	}
	return err
}

// relayError is an error of the relay: an address that others reach cannot be meant.
func relayError(err error) error {
	if errors.Is(err, relay.ErrNotLoopback) {
		return &usageError{err.Error()}
	}
	return err
}

// record has what comes from upstream recorded, until what is returned is called.
func (c *relayCmd) record(a *app, up *tickstorm.Config) (stop func() error, err error) {
	rc := record.Config{Dir: c.Record, Market: up.Market, Feed: up.Feed, KeepFor: c.Keep, MinFree: c.MinFree * mega, OnEvent: a.recorderEvent}
	if c.MinFree == 0 {
		rc.MinFree = -1
	}
	rec, err := record.NewRecorder(rc)
	if err != nil {
		return nil, &usageError{err.Error()}
	}
	if err := rec.Start(); err != nil {
		return nil, err
	}
	up.Tap = rec
	return func() error {
		closing, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		return rec.Close(closing)
	}, nil
}

// listenAt listens at addresses, all of them or none.
func listenAt(addresses []string) (all []net.Listener, err error) {
	for _, address := range addresses {
		network := "tcp"
		if path, ok := strings.CutPrefix(address, "unix:"); ok {
			network, address = "unix", path
		} else if _, _, err := net.SplitHostPort(address); err != nil {
			return nil, errors.Join(usagef("%q is no address: write one like 127.0.0.1:8765, or unix:/path", address), closeAll(all))
		}
		l, err := relay.Listen(network, address)
		if err != nil {
			return nil, errors.Join(relayError(err), closeAll(all))
		}
		all = append(all, l)
	}
	return all, nil
}

func closeAll(listeners []net.Listener) error {
	var all []error
	for _, l := range listeners {
		all = append(all, l.Close())
	}
	return errors.Join(all...)
}

// addressOf is what programs connect to.
func addressOf(l net.Listener) string {
	if l.Addr().Network() == "unix" {
		return "unix:" + l.Addr().String()
	}
	return "ws://" + l.Addr().String()
}
