package main

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/top"
)

type topCmd struct {
	Topics []string `arg:"" optional:"" name:"topic" help:"Topics such as T.AAPL or Q.*; default everything that the market has, but for option quotes and what special plans have."`
	connection
	lasting
	Admin     string        `placeholder:"ADDRESS" group:"source" help:"Admin server of a relay, such as 127.0.0.1:8766: shows its clients too; without topics, feed and --demo the relay alone."`
	Plain     bool          `group:"output" help:"A line each interval, as where standard input or output is no terminal."`
	Once      bool          `group:"output" help:"Look for an interval, write one snapshot and end."`
	Format    string        `short:"f" enum:"json,delimited" default:"json" group:"output" help:"Form of the snapshot: json, or delimited, with a figure a line."`
	Delimiter string        `short:"l" default:"tab" placeholder:"CHARACTER" group:"output" help:"What parts the columns of delimited: tab or a character."`
	Rows      int           `short:"n" default:"10" placeholder:"N" group:"output" help:"How many symbols a snapshot has."`
	Sort      string        `enum:"rate,total,silent,latest,name" default:"rate" group:"output" help:"Order of symbols: rate, total, silent, latest or name."`
	Filter    string        `placeholder:"PATTERN" group:"output" help:"Only symbols with this in them, or like a pattern such as AA*."`
	Interval  time.Duration `short:"d" default:"1s" placeholder:"DURATION" group:"output" help:"How long figures are taken for."`
}

// Help implements [kong.HelpProvider].
func (*topCmd) Help() string {
	return "In a terminal it is live: ? shows the keys, q ends it. NO_COLOR is respected.\n\n" +
		"At the vendor it is a connection like any other, and may take the place of one that runs: look at a relay, with --feed or --admin.\n\n" + examples(
		"look at made-up data", "tickstorm top --demo --for 2s",
		"trades of crypto", "tickstorm top --demo -m crypto --for 2s 'XT.*'",
		"a line a second", "tickstorm top --demo --plain --for 2s",
		"the ten symbols with the most events, for programs", "tickstorm top --demo --once | jq -r '.symbols[].symbol'",
		"for awk: what each channel has", "tickstorm top --demo --once -f delimited | awk '$1 == \"channel\"'",
		"a relay and its clients", "tickstorm top --admin 127.0.0.1:8766",
	)
}

// demoTopRate is one at which something happens.
const demoTopRate = 5000

// shortestInterval is the least that figures are taken for: nobody reads faster.
const shortestInterval = 100 * time.Millisecond

// Run runs the verb.
func (c *topCmd) Run(ctx context.Context, a *app) error {
	delimiter, err := c.check()
	if err != nil {
		return err
	}
	settings, err := a.settings()
	if err != nil {
		return err
	}
	market := c.market(a, settings)
	zones, err := a.zones()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var admin *top.Admin
	if c.Admin != "" {
		if admin, err = top.NewAdmin(c.Admin); err != nil {
			return &usageError{err.Error()}
		}
		over := make(chan struct{})
		go func() {
			defer close(over)
			admin.Run(ctx)
		}()
		defer func() {
			cancel(nil)
			<-over
		}()
	}
	s, err := c.source(a, admin, market)
	if err != nil {
		return err
	}
	defer s.close()
	if c.Once {
		return c.once(ctx, a, s, delimiter)
	}
	in, out, ok := a.screen()
	if c.Plain || !ok {
		return c.plain(ctx, a, s, zones)
	}
	return c.live(ctx, a, s, in, out, zones)
}

// check says what cannot be meant, and finds the delimiter.
func (c *topCmd) check() (delimiter rune, err error) {
	if c.Interval < shortestInterval || c.Interval > time.Hour {
		return 0, usagef("--interval is from %v to an hour", shortestInterval)
	}
	if c.Rows < 0 || c.Rows > top.MaxSymbols {
		return 0, usagef("--rows is from 0 to %d", top.MaxSymbols)
	}
	if c.Once && c.Plain {
		return 0, usagef("--once and --plain are two things")
	}
	delimiter = '\t'
	if c.Delimiter != "tab" {
		r, size := utf8.DecodeRuneInString(c.Delimiter)
		if size != len(c.Delimiter) || r == utf8.RuneError || r == '"' || r < ' ' && r != '\t' || r == 0x7f {
			return 0, usagef("--delimiter is tab or a character, and no quote")
		}
		delimiter = r
	}
	return delimiter, c.lasting.check()
}

// zones are those of markets' clocks.
type zones func(tickstorm.Market) *time.Location

// zones returns those of the exchanges, or for all markets the one that the user says. They are for one goroutine.
func (a *app) zones() (zones, error) {
	known := map[tickstorm.Market]*time.Location{}
	for _, m := range tickstorm.Markets() {
		zone, err := a.zone(exchangeZone(m))
		if err != nil {
			return nil, err
		}
		known[m] = zone
	}
	return func(m tickstorm.Market) *time.Location {
		if known[m] == nil { // one that is not known here
			known[m], _ = a.zone(exchangeZone(m)) // it went well before
		}
		return known[m]
	}, nil
}

func (c *topCmd) query(rows int) top.Query {
	sort, _ := top.SortOf(c.Sort) // kong knows the names
	return top.Query{Sort: sort, Filter: top.NewFilter(c.Filter), Rows: rows}
}

// shown is what is looked at: a stream, or a relay alone.
type shown interface {
	top.Feed
	// run keeps it going until ctx ends, or why it cannot.
	run(ctx context.Context) error
	// ready is closed when figures mean something.
	ready() <-chan struct{}
	close()
}

// source finds what is to be looked at.
func (c *topCmd) source(a *app, admin *top.Admin, market tickstorm.Market) (shown, error) {
	if admin != nil && c.Feed == "" && !a.Demo && len(c.Topics) == 0 {
		if c.Market == "" {
			market = "" // the relay's first
		}
		return &topRelay{cmd: c, admin: admin, meter: top.NewRelayMeter(admin.Latest), market: market}, nil
	}
	topics, err := topicsOf(a, market, c.Topics)
	if err != nil {
		return nil, err
	}
	if len(topics) == 0 && len(everything(market)) == 0 {
		return nil, usagef("say what to subscribe to: what %s has is not known", market)
	}
	src, err := c.open(a, demoTopRate)
	if err != nil {
		return nil, err
	}
	return newTopStream(a, c, src, admin, market, topics), nil
}

// everything is all that a market has, but for what would be refused: option quotes, of which there may
// be a thousand, and what special plans have.
func everything(m tickstorm.Market) []tickstorm.Topic {
	var topics []tickstorm.Topic
	for _, s := range m.Streams() {
		switch {
		case s == tickstorm.FairMarketValues || s == tickstorm.LaunchpadValues || s == tickstorm.LaunchpadAggregates:
		case s == tickstorm.Quotes && m == tickstorm.Options:
		default:
			if some, err := m.Topics(s, tickstorm.All); err == nil {
				topics = append(topics, some...)
			}
		}
	}
	return topics
}

// beside runs what is looked at while do has a turn each interval, once it is ready, and one at the end if time
// is up before the first. done ends it, and so does an error.
func (c *topCmd) beside(ctx context.Context, s shown, do func(now time.Time) (done bool, err error)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	stop := func(err error) error {
		cancel(err)
		<-ended
		return err
	}
	over := func(err error, had bool) error {
		if err == nil && !had {
			_, err = do(time.Now())
		}
		return err
	}
	select {
	case err := <-ended:
		return over(err, false)
	case <-s.ready():
	}
	s.Sample(time.Now(), true)
	tick := time.NewTicker(c.Interval)
	defer tick.Stop()
	for had := false; ; had = true {
		select {
		case err := <-ended:
			return over(err, had)
		case now := <-tick.C:
			if done, err := do(now); done || err != nil {
				return stop(err)
			}
		}
	}
}

// once writes a snapshot.
func (c *topCmd) once(ctx context.Context, a *app, s shown, delimiter rune) error {
	return c.beside(ctx, s, func(now time.Time) (bool, error) {
		snapshot := s.Sample(now, true)
		snapshot.Symbols = s.Rank(c.query(c.Rows))
		snapshot.Silent = s.Rank(top.Query{Sort: top.BySilent, Filter: top.NewFilter(c.Filter), Rows: c.Rows})
		var err error
		if c.Format == "json" {
			err = snapshot.WriteJSON(a.stdout)
		} else {
			err = snapshot.WriteDelimited(a.stdout, delimiter)
		}
		return true, outputError(err)
	})
}

// plain writes a line each interval.
func (c *topCmd) plain(ctx context.Context, a *app, s shown, zones zones) error {
	return c.beside(ctx, s, func(now time.Time) (bool, error) {
		snapshot := s.Sample(now, true)
		_, err := fmt.Fprint(a.stdout, snapshot.Line(zones(snapshot.Market)))
		return isBrokenPipe(err), outputError(err)
	})
}
