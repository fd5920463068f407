package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/format"
	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/where"
)

// showing are the flags of verbs that show events.
type showing struct {
	Format  string   `short:"f" placeholder:"FORMAT" group:"output" help:"raw (messages), json (an original element a line), csv, table, or fields in braces such as '{time} {sym} {price}'; default table on a terminal, else json. Fields: ${names}."`
	Columns []string `placeholder:"NAME,..." group:"output" help:"Columns of csv; default all of the kinds that are asked for."`
	Count   uint64   `short:"n" placeholder:"N" group:"output" help:"End after so many lines."`
	Where   []string `placeholder:"CONDITION" sep:"none" group:"output" help:"Show only what meets all conditions: ${where}."`
	TS      string   `name:"ts" placeholder:"TIME" enum:",event,received" default:"" group:"output" help:"Which time is shown: event (default) or received. With raw and json, received puts it before."`
	Report  bool     `group:"output" help:"Report on stderr, at the end, how many events each symbol had."`
}

// chosen reports whether anything was said of what is shown.
func (s *showing) chosen() bool {
	return s.Format != "" || len(s.Columns) > 0 || s.Count > 0 || len(s.Where) > 0 || s.TS != "" || s.Report
}

// format is the name of the format, found.
func (s *showing) format(a *app) string {
	switch {
	case s.Format != "":
		return s.Format
	case a.stdoutTerminal:
		return format.Table
	}
	return format.JSON
}

// printer makes what the flags ask for: a printer, and the lines it writes. Those are nil where nothing has to be decoded.
func (s *showing) printer(a *app, m tickstorm.Market, kinds []tickstorm.Kind) (*printer, format.Lines, error) {
	filter, err := where.Parse(s.Where...)
	if err != nil {
		return nil, nil, err
	}
	p := &printer{filter: filter, most: s.Count, enough: make(chan struct{}), log: a.log}
	if s.Report {
		p.report = newReport()
	}
	name := s.format(a)
	switch {
	case len(s.Columns) > 0 && name != format.CSV:
		return nil, nil, usagef("--columns are of -f csv")
	case name == format.Raw && !filter.Zero():
		return nil, nil, usagef("-f raw has messages whole: with --where use -f json")
	case name == format.Raw || name == format.JSON && !filter.Numeric():
		return p, nil, nil
	}
	zone, err := a.zone(exchangeZone(m))
	if err != nil {
		return nil, nil, err
	}
	lines, err := format.New(name, format.Options{Kinds: kinds, Columns: s.Columns, Received: s.TS == "received", Zone: zone})
	return p, lines, err
}

// write has an output beneath the printer, with the header of its lines, while do runs.
func (p *printer) write(ctx context.Context, a *app, lines format.Lines, do func() error) error {
	p.out = newOutput(a.stdout, a.stdoutTerminal)
	if lines != nil {
		_, _ = io.WriteString(p.out, lines.Header()) // close tells
	}
	patience, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(unread, cancel) })()
	err := do()
	if written := p.out.close(patience); written != nil {
		err = written
	}
	if errors.Is(err, errUnread) { // what writes to it holds what is told of it
		return err
	}
	p.out.lock() // the handler may be at work that was not waited for
	defer p.out.mu.Unlock()
	if p.report != nil {
		err = errors.Join(err, p.report.print(patience, a.console))
	}
	if p.lines > 0 {
		took := time.Since(p.begun)
		a.log.Info("written", "lines", p.lines, "seconds", took.Seconds(), "a_second", uint64(float64(p.lines)/took.Seconds()))
	}
	if n := p.broken.Load(); n > 0 {
		a.log.Warn("left out what were no events", "count", n)
	}
	return err
}

type subCmd struct {
	Topics []string `arg:"" optional:"" name:"topic" help:"Topics such as T.AAPL or Q.*; with --symbols channels such as T."`
	connection
	lasting
	showing
	Symbols  string `placeholder:"FILE" group:"source" help:"File of symbols, one or more a line, for the channels that are named (default trades); - is standard input. Read again on SIGHUP."`
	Overflow string `enum:"drop-newest,drop-oldest,block,disconnect" default:"drop-newest" group:"output" help:"What gives way when the output takes less than comes for so long that the queue is full: drop-newest, drop-oldest, block (the server hangs up) or disconnect."`
	Queue    int    `default:"64" placeholder:"MB" group:"output" help:"How much may wait for the output."`
}

// Help implements [kong.HelpProvider].
func (*subCmd) Help() string {
	return examples(
		"look at a symbol's trades, without a key", "tickstorm sub --demo T.AAPL",
		"two events in the vendor's words", "tickstorm sub --demo -n 2 T.AAPL Q.AAPL",
		"prices of large trades", "tickstorm sub --demo -n 5 -f '{time} {sym} {price} x {size}' --where 'size>=100' 'T.*'",
		"a minute to CSV, with a report by symbol", "tickstorm sub --demo --for 1s -f csv --report 'T.*' > trades.csv",
		"ten symbols of a file, trades and quotes", "printf 'AAPL MSFT\\nNVDA' | tickstorm sub --demo -n 3 --symbols - T Q",
		"crypto, and jq", "tickstorm sub --demo -m crypto -n 3 -f json 'XT.*' | jq -c '[.pair, .p]'",
	)
}

// overflows are the policies by the names that they have here.
var overflows = map[string]tickstorm.Overflow{
	"drop-newest": tickstorm.OverflowDropNewest, "drop-oldest": tickstorm.OverflowDropOldest,
	"block": tickstorm.OverflowBlock, "disconnect": tickstorm.OverflowDisconnect,
}

// demoSubRate is one that people can read.
const demoSubRate = 20

// Run runs the verb.
func (c *subCmd) Run(ctx context.Context, a *app) error {
	settings, err := a.settings()
	if err != nil {
		return err
	}
	if c.Queue < 1 || c.Queue > mostMB {
		return errQueue
	}
	market := c.market(a, settings)
	f := following{lasting: c.lasting}
	if c.Symbols == "" {
		if f.topics, err = topicsOf(a, market, c.Topics); err == nil && len(f.topics) == 0 {
			err = usagef("say what to subscribe to, such as T.AAPL or 'Q.*'; see tickstorm sub --help")
		}
	} else {
		read := func() ([]tickstorm.Topic, error) { return symbolTopics(ctx, a, market, c.Symbols, c.Topics) }
		if f.topics, err = read(); c.Symbols != "-" {
			f.reload = read
		}
	}
	if err != nil {
		return err
	}
	p, lines, err := c.printer(a, market, kindsOf(market, f.topics))
	if err != nil {
		return err
	}
	src, err := c.open(a, demoSubRate)
	if err != nil {
		return err
	}
	defer src.close()
	p.past = asksForPast(src.Feed)
	src.Queue.Overflow, src.Queue.Bytes = overflows[c.Overflow], c.Queue<<20
	return p.write(ctx, a, lines, func() error {
		f.last, f.until, f.enough, f.failed = p.lastEvent, p.end, p.enough, p.out.failed
		return a.follow(ctx, src.Config, p.handler(market, lines, c.format(a) == format.Raw, c.TS == "received"), f)
	})
}

// handler is the one that writes lines, or passes on what came.
func (p *printer) handler(m tickstorm.Market, lines format.Lines, whole, timed bool) tickstorm.Handler {
	if lines != nil {
		return &decoding{printer: p, lines: lines}
	}
	return &splitting{printer: p, split: tickstorm.NewSplitter(m), whole: whole, timed: timed}
}

// kindsOf are the kinds of the events of some topics, each once.
func kindsOf(m tickstorm.Market, topics []tickstorm.Topic) []tickstorm.Kind {
	var kinds []tickstorm.Kind
	for _, t := range topics {
		stream, _ := m.StreamOf(t.Channel)
		if k := format.KindOf(stream); !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	slices.Sort(kinds)
	return kinds
}

// symbolTopics are the topics of the symbols in a file, on channels.
func symbolTopics(ctx context.Context, a *app, m tickstorm.Market, file string, channels []string) ([]tickstorm.Topic, error) {
	if len(channels) == 0 {
		trades, err := m.Channel(tickstorm.Trades)
		if err != nil {
			return nil, usagef("%s has no trades: name channels, such as V", m)
		}
		channels = []string{trades}
	}
	symbols, err := a.symbols(ctx, file)
	if err != nil {
		return nil, err
	}
	var topics []tickstorm.Topic
	seen := map[tickstorm.Topic]bool{}
	for _, channel := range channels {
		for name := range strings.SplitSeq(channel, ",") {
			name = strings.TrimSuffix(strings.TrimSpace(name), ".")
			if name == "" || strings.Contains(name, ".") {
				return nil, usagef("%q: with --symbols channels are named, such as T and Q", channel)
			}
			for _, symbol := range symbols {
				t, err := checkTopic(a, m, tickstorm.Topic{Channel: name, Symbol: symbol})
				if err != nil {
					return nil, err
				}
				if !seen[t] {
					seen[t] = true
					topics = append(topics, t)
				}
			}
		}
	}
	return topics, nil
}

// maxSymbols bounds a file of symbols.
const maxSymbols = 64 << 20

// symbols reads those of a file, parted by spaces, commas and line breaks; what follows a # is left out.
func (a *app) symbols(ctx context.Context, file string) ([]string, error) {
	r := a.input(ctx)
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, usagef("symbols: %v", err)
		}
		defer f.Close()
		r = f
	}
	text, err := io.ReadAll(io.LimitReader(r, maxSymbols+1))
	if err != nil {
		return nil, fmt.Errorf("symbols: %w", err)
	}
	if len(text) > maxSymbols {
		return nil, usagef("symbols: %s has more than %d MiB", file, maxSymbols>>20)
	}
	var symbols []string
	for line := range strings.Lines(strings.TrimPrefix(string(text), "\uFEFF")) { // editors of Windows begin with it
		line, _, _ = strings.Cut(line, "#")
		symbols = append(symbols, strings.FieldsFunc(line, func(r rune) bool { return unicode.IsSpace(r) || r == ',' })...)
	}
	if len(symbols) == 0 {
		return nil, usagef("there are no symbols in %s", file)
	}
	return symbols, nil
}
