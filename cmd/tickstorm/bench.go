package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sim"
)

type benchCmd struct {
	Paths  []string      `arg:"" optional:"" name:"path" help:"A recording to measure with, instead of the built-in corpora."`
	Corpus []string      `placeholder:"NAME,..." help:"Only these corpora: ${corpora}."`
	Events int           `default:"200000" placeholder:"N" help:"How many events to measure with."`
	Rounds int           `default:"5" placeholder:"N" help:"Rounds, of which the median counts."`
	Stream time.Duration `default:"1s" placeholder:"DURATION" help:"How long to stream from the simulator, beside it in this process; 0 is not at all."`
	Format string        `short:"f" enum:"table,json" default:"table" help:"table (of Markdown, as in README) or json."`
}

// Help implements [kong.HelpProvider].
func (*benchCmd) Help() string {
	return examples(
		"this machine, briefly", "tickstorm bench --corpus stocks20 --events 20000 --rounds 1 --stream 100ms",
		"this machine", "tickstorm bench",
		"with what you recorded", "tickstorm bench recordings/stocks/2026-11-25",
	)
}

// speeds are what was measured of some messages.
type speeds struct {
	Name   string `json:"name"`
	Events int    `json:"events"`
	Bytes  int    `json:"bytes"`
	// Each is nanoseconds an event, in memory.
	Decode   float64 `json:"decode_ns"`
	Split    float64 `json:"split_ns"`
	Lines    float64 `json:"json_lines_ns"`
	Streamed float64 `json:"stream_events_per_second,omitempty"`
}

// Run runs the verb.
func (c *benchCmd) Run(ctx context.Context, a *app) error {
	if c.Events <= 0 || c.Events > 50_000_000 || c.Rounds <= 0 || c.Stream < 0 {
		return usagef("--events and --rounds are above 0, and --stream is not negative")
	}
	line := a.progress()
	defer line.clear()
	var found []speeds
	measure := func(name string, m tickstorm.Market, messages [][]byte) error {
		line.showf("measuring %s", name)
		s, err := c.measure(ctx, name, m, messages)
		found = append(found, s)
		return err
	}
	if len(c.Paths) > 0 {
		m, messages, err := c.load(ctx)
		if err != nil {
			return err
		}
		if err := measure(string(m), m, messages); err != nil {
			return err
		}
	} else {
		names := c.Corpus
		if len(names) == 0 {
			names = sim.Corpora()
		}
		a.sayf("tickstorm: SIMULATOR: the corpora are made up, seed %d", a.DemoSeed)
		for _, name := range names {
			messages, err := sim.Corpus(name, c.Events, a.DemoSeed)
			if err != nil {
				return &usageError{err.Error()}
			}
			if err := measure(name, sim.CorpusMarket(name), messages); err != nil {
				return err
			}
		}
	}
	line.clear()
	return outputError(c.print(a, found))
}

// load reads the first messages of a recording.
func (c *benchCmd) load(ctx context.Context) (m tickstorm.Market, messages [][]byte, err error) {
	r, err := record.Open(c.Paths...)
	if err != nil {
		return "", nil, err
	}
	defer r.Close()
	events := 0
	for e, err := range r.All(ctx) {
		if err != nil {
			return "", nil, err
		}
		if e.Raw == nil || m != "" && e.Market != m {
			continue
		}
		if m == "" {
			m = e.Market
		}
		messages = append(messages, slices.Clone(e.Raw))
		split := tickstorm.NewSplitter(m)
		for split.Reset(e.Raw); split.Next(); {
			events++
		}
		if events >= c.Events {
			break
		}
	}
	if events == 0 {
		return "", nil, fmt.Errorf("there are no events in %v", c.Paths)
	}
	return m, messages, nil
}

// measure finds out how fast some messages are decoded, split and streamed.
func (c *benchCmd) measure(ctx context.Context, name string, m tickstorm.Market, messages [][]byte) (speeds, error) {
	s := speeds{Name: name}
	split := tickstorm.NewSplitter(m)
	for _, msg := range messages {
		s.Bytes += len(msg)
		for split.Reset(msg); split.Next(); {
			s.Events++
		}
	}
	parser := tickstorm.NewParser(m)
	p := &printer{out: newOutput(io.Discard, false)}
	defer func() { _ = p.out.close(ctx) }()
	lines := &splitting{printer: p, split: split}
	for _, side := range []struct {
		into *float64
		do   func(msg []byte)
	}{
		{&s.Decode, func(msg []byte) { _ = parser.Parse(msg, tickstorm.NopHandler{}) }}, // what is broken in a recording costs its time too
		{&s.Split, func(msg []byte) {
			for split.Reset(msg); split.Next(); {
			}
		}},
		{&s.Lines, func(msg []byte) { lines.OnRaw(msg, 0) }},
	} {
		var rounds []float64
		for range c.Rounds + 1 { // the first warms up
			if err := ctx.Err(); err != nil {
				return s, context.Cause(ctx)
			}
			begun := time.Now()
			for _, msg := range messages {
				side.do(msg)
			}
			rounds = append(rounds, float64(time.Since(begun).Nanoseconds())/float64(max(1, s.Events)))
		}
		rounds = rounds[1:]
		slices.Sort(rounds)
		*side.into = rounds[len(rounds)/2]
	}
	if c.Stream == 0 {
		return s, nil
	}
	var err error
	s.Streamed, err = c.stream(ctx, m, messages)
	return s, err
}

// counting counts events.
type counting struct {
	tickstorm.NopHandler
	events uint64
	begun  time.Time
}

func (n *counting) count() {
	if n.events++; n.events == 1 {
		n.begun = time.Now()
	}
}

// OnTrade and the other methods count.
func (n *counting) OnTrade(*tickstorm.Trade)         { n.count() }
func (n *counting) OnQuote(*tickstorm.Quote)         { n.count() }
func (n *counting) OnAggregate(*tickstorm.Aggregate) { n.count() }
func (n *counting) OnBook(*tickstorm.Book)           { n.count() }
func (n *counting) OnLULD(*tickstorm.LULD)           { n.count() }
func (n *counting) OnImbalance(*tickstorm.Imbalance) { n.count() }
func (n *counting) OnValue(*tickstorm.Value)         { n.count() }

// stream has the simulator send the messages over and over, and a client receive them.
func (c *benchCmd) stream(ctx context.Context, m tickstorm.Market, messages [][]byte) (float64, error) {
	replay := sim.ReplayMessages(messages, 0)
	replay.Loop = true
	server, err := sim.Start(sim.Config{Replay: replay, SlowTimeout: -1, OptionLimit: -1})
	if err != nil {
		return 0, err
	}
	defer server.Close()
	cfg := server.ClientConfig(m)
	cfg.MaxOptionQuotes = -1
	var topics []tickstorm.Topic
	for _, s := range m.Streams() {
		if some, err := m.Topics(s, tickstorm.All); err == nil {
			topics = append(topics, some...)
		}
	}
	h := &counting{}
	client, err := tickstorm.NewClient(cfg, h)
	if err != nil {
		return 0, err
	}
	if err := client.SubscribeTopics(ctx, topics...); err != nil {
		return 0, err
	}
	running, cancel := context.WithTimeout(ctx, c.Stream)
	defer cancel()
	if err := client.Run(running); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return 0, err
	}
	if h.events < 2 {
		return 0, nil
	}
	return float64(h.events) / time.Since(h.begun).Seconds(), nil
}

// print writes what was measured.
func (c *benchCmd) print(a *app, found []speeds) error {
	if c.Format == "json" {
		return json.NewEncoder(a.stdout).Encode(struct {
			At        string   `json:"at"`
			Go        string   `json:"go"`
			Platform  string   `json:"platform"`
			Processes int      `json:"gomaxprocs"`
			Measured  []speeds `json:"measured"`
		}{a.now().UTC().Format(time.RFC3339), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, runtime.GOMAXPROCS(0), found})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s, %s/%s, GOMAXPROCS %d, medians of %d rounds\n\n|", a.now().UTC().Format(time.DateOnly), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), c.Rounds)
	row := func(title string, of func(s speeds) string) {
		fmt.Fprintf(&b, "| %s |", title)
		for _, s := range found {
			fmt.Fprintf(&b, " %s |", of(s))
		}
		b.WriteByte('\n')
	}
	for _, s := range found {
		fmt.Fprintf(&b, " | %s", s.Name)
	}
	b.WriteString(" |\n|---|" + strings.Repeat("---:|", len(found)) + "\n")
	number := func(v float64) string {
		if v < 10 {
			return fmt.Sprintf("%.1f", v)
		}
		return fmt.Sprintf("%.0f", v)
	}
	row("bytes an event", func(s speeds) string { return number(float64(s.Bytes) / math.Max(1, float64(s.Events))) })
	row("decoded, ns an event", func(s speeds) string { return number(s.Decode) })
	row("split, ns an event", func(s speeds) string { return number(s.Split) })
	row("written as JSON lines, ns an event", func(s speeds) string { return number(s.Lines) })
	if c.Stream > 0 {
		row("streamed and decoded, the simulator in the same process, million events/s", func(s speeds) string { return fmt.Sprintf("%.2f", s.Streamed/1e6) })
	}
	_, err := io.WriteString(a.stdout, b.String())
	return err
}
