package main

import (
	"context"
	"fmt"
	"net"

	"github.com/tickstorm/tickstorm/sim"
)

type simCmd struct {
	Listen         string `default:"127.0.0.1:8765" placeholder:"ADDRESS" help:"Where to listen; port 0 is any."`
	Rate           int    `default:"1000" placeholder:"N" help:"Events a second for each connection; -1 is as fast as it takes them."`
	Seed           int64  `default:"1" placeholder:"N" help:"Which market it makes up."`
	Numbered       bool   `help:"Number all events without holes in their q."`
	MaxConnections int    `default:"1" placeholder:"N" help:"Connections of one key to one market; -1 for any number."`
	Eviction       string `enum:"older,newcomer" default:"older" help:"Who has to go beyond that: the older one, or the newcomer."`
	OptionLimit    int    `default:"1000" placeholder:"N" help:"Option contracts of one connection; -1 for any number."`
	Faults         string `placeholder:"SCRIPT" help:"What goes wrong: actions at phases, such as cut@streaming+1000, drop@greeting, stall=5s@auth, split=100@streaming, half@streaming, pings=500@subscribe, giant@streaming, http=429@handshake#1, close=1001@streaming+20, garbage@greeting, message=oops@subscribe; parted by commas. +N is after so many messages, #N on that connection alone. Phases: accept, handshake, greeting, auth, subscribe, streaming."`
	ending
}

// Help implements [kong.HelpProvider].
func (*simCmd) Help() string {
	return "Any key is good for everything, but for " + sim.BadKey + ", which is refused, and " + sim.NoPlanKey + ", whose plan has no stream. Standard output has the address.\n\n" + examples(
		"a server for your programs' tests", "tickstorm sim --listen 127.0.0.1:0 --for 1s",
		"one that breaks off and comes back", "tickstorm sim --listen 127.0.0.1:0 --for 1s --faults 'cut@streaming+1000, http=503@handshake#2'",
		"look at it from another prompt", "tickstorm sub --demo -n 1 T.AAPL # or: --feed ws://127.0.0.1:8765",
	)
}

// Run runs the verb.
func (c *simCmd) Run(ctx context.Context, a *app) error {
	faults, err := sim.ParseFaults(c.Faults)
	if err != nil {
		return &usageError{err.Error()}
	}
	if c.For < 0 || c.Rate == 0 || c.MaxConnections == 0 || c.OptionLimit == 0 {
		return usagef("--for is not negative, and --rate, --max-connections and --option-limit are not 0")
	}
	cfg := sim.Config{
		Address: c.Listen, Rate: c.Rate, Seed: c.Seed, Numbered: c.Numbered, MaxConnections: c.MaxConnections, OptionLimit: c.OptionLimit,
		Faults: faults, Now: a.simNow, Logger: a.log,
	}
	if c.Eviction == "newcomer" {
		cfg.Eviction = sim.EvictNewcomer
	}
	server, err := listen(cfg)
	if err != nil {
		return err
	}
	defer server.Close()
	a.sayf("tickstorm: SIMULATOR: made-up data, seed %d; any key will do; Ctrl-C ends it", c.Seed)
	if _, err := fmt.Fprintln(a.stdout, server.Feed()); err != nil {
		return outputError(err)
	}
	err = wait(ctx, c.For)
	if s := server.Stats(); !a.Quiet {
		a.sayf("tickstorm: %d connections, %d events, %s", s.Opened, s.Events, megabytes(s.Bytes))
	}
	return err
}

// listen starts a server at an address that a user has said.
func listen(cfg sim.Config) (*sim.Server, error) {
	if err := checkAddress(cfg.Address); err != nil {
		return nil, err
	}
	return sim.Start(cfg)
}

// checkAddress reports what is no address of TCP.
func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return usagef("%q is no address: write one like 127.0.0.1:8765", address)
	}
	return nil
}
