package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tickstorm/tickstorm"
)

type probeCmd struct {
	Markets []string `name:"market" short:"m" placeholder:"MARKET,..." group:"source" help:"Only these markets."`
	upstream
	Wait   time.Duration `default:"5s" placeholder:"DURATION" help:"How long to wait for each answer."`
	Yes    bool          `short:"y" help:"Do not ask before connecting."`
	Format string        `short:"f" enum:"table,json" default:"table" help:"table or json."`
}

// Help implements [kong.HelpProvider].
func (*probeCmd) Help() string {
	return "It connects to one market after the other and subscribes to one symbol of each channel. The vendor lets a key have one connection to a market: one that runs may be ended by this. So it asks first.\n\n" + examples(
		"what the simulator allows", "tickstorm probe --demo --wait 1s",
		"what your key does, for a program", "tickstorm probe --yes -f json -m stocks,options | jq -r '.[] | select(.allowed) | .market + \" \" + .channel'",
	)
}

// probeSymbols are one of each market that is always there.
var probeSymbols = map[tickstorm.Market]string{
	tickstorm.Stocks: "AAPL", tickstorm.Options: "O:SPY281215C00500000", tickstorm.Forex: "EUR/USD", tickstorm.Crypto: "BTC-USD", tickstorm.Indices: "I:SPX",
}

// permission is what a key may do of a channel.
type permission struct {
	Market  tickstorm.Market `json:"market"`
	Channel string           `json:"channel,omitempty"`
	Stream  string           `json:"stream,omitempty"`
	Allowed bool             `json:"allowed"`
	// Answer is yes, no, no answer, or what went wrong.
	Answer string `json:"answer"`
}

// Run runs the verb.
func (c *probeCmd) Run(ctx context.Context, a *app) error {
	if c.Wait <= 0 {
		return usagef("no --wait")
	}
	markets := tickstorm.Markets()
	if len(c.Markets) > 0 {
		markets = nil
		for _, m := range c.Markets {
			markets = append(markets, a.market(m))
		}
	}
	from := connection{upstream: c.upstream}
	src, err := from.open(a, demoRate)
	if err != nil {
		return err
	}
	defer src.close()
	if src.server == nil && !c.Yes {
		if err := a.ask(ctx, fmt.Sprintf("This connects to %s with your key, market by market. Whatever is connected with it there may be cut off.", withoutQuery(src.Feed))); err != nil {
			return err
		}
	}
	line := a.progress()
	defer line.clear()
	found := []permission{}
	connected := false
	var why error // it was not: that the plan does not include it only if that is so of all markets
	for _, m := range markets {
		line.showf("probing %s", m)
		some, err := c.market(ctx, src.Config, m)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		found = append(found, some...)
		// A key that is refused without a word of a plan is bad everywhere.
		if errors.Is(err, tickstorm.ErrAuthFailed) && !errors.Is(err, tickstorm.ErrNoPlan) {
			return err
		}
		connected = connected || err == nil
		if err != nil && (why == nil || codeOf(why) == exitPlan) {
			why = err
		}
	}
	line.clear()
	if err := c.print(a.stdout, found); err != nil {
		return outputError(err)
	}
	if !connected {
		return &exitError{codeOf(why), "no market could be connected to"}
	}
	return nil
}

// ask asks whether to go on.
func (a *app) ask(ctx context.Context, what string) error {
	if !a.stdinTerminal {
		return usagef("%s Say --yes to go on", what)
	}
	fmt.Fprintf(a.stderr, "%s Go on? [y/N] ", what)
	a.console.lines.settle(ctx)
	answer, err := bufio.NewReader(io.LimitReader(a.input(ctx), 64)).ReadString('\n')
	if err != nil && err != io.EOF {
		return err
	}
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return &exitError{exitFailure, "nothing was done"}
	}
	return nil
}

// market finds out what is allowed of a market; the error is why it could not be connected to.
func (c *probeCmd) market(ctx context.Context, cfg tickstorm.Config, m tickstorm.Market) ([]permission, error) {
	cfg.Market, cfg.AckTimeout, cfg.AuthTimeout, cfg.DialTimeout = m, c.Wait, c.Wait, c.Wait
	conn, err := tickstorm.Dial(ctx, cfg, nil)
	if err != nil {
		return []permission{{Market: m, Answer: answerOf(err)}}, err
	}
	defer conn.Close()
	symbol := probeSymbols[m]
	if symbol == "" {
		symbol = "ESZ6"
	}
	var found []permission
	for _, s := range m.Streams() {
		channel, err := m.Channel(s)
		if err != nil {
			continue
		}
		p := permission{Market: m, Channel: channel, Stream: s.String()}
		err = conn.Subscribe(ctx, s, symbol)
		p.Allowed, p.Answer = err == nil, answerOf(err)
		found = append(found, p)
		if lost, ok := errors.AsType[*tickstorm.SubscribeError](err); ok && lost.Err != nil {
			break // the connection is over
		}
	}
	return found, nil
}

// answerOf says in a word or two what an error means.
func answerOf(err error) string {
	var refused *tickstorm.SubscribeError
	switch {
	case err == nil:
		return "yes"
	case errors.Is(err, tickstorm.ErrNoPlan), errors.Is(err, tickstorm.ErrNotAuthorized):
		return "no"
	case errors.Is(err, tickstorm.ErrNotRealTime):
		return "delayed only"
	case errors.Is(err, tickstorm.ErrSubscriptionLimit):
		return "beyond the limit"
	case errors.Is(err, tickstorm.ErrMaxConnections):
		return "too many connections"
	case errors.As(err, &refused) && refused.Err == nil:
		return "no answer"
	}
	return err.Error()
}

func (c *probeCmd) print(w io.Writer, found []permission) error {
	if c.Format == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(found)
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "MARKET\tCHANNEL\tSTREAM\tALLOWED")
	for _, p := range found {
		channel, stream := p.Channel, p.Stream
		if channel == "" {
			channel, stream = "-", "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", p.Market, channel, stream, p.Answer)
	}
	return t.Flush()
}
