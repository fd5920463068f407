package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
)

type infoCmd struct {
	recording
	Format   string `short:"f" enum:"text,json" default:"text" help:"text or json."`
	Segments bool   `short:"s" help:"Each segment, too."`
}

// Help implements [kong.HelpProvider].
func (*infoCmd) Help() string {
	return "It reads what segments say of themselves, which takes a moment; whether that is true is for tickstorm verify.\n\n" + examples(
		"a recording of made-up data", "tickstorm info --demo",
		"one of yours, with its segments, for programs", "tickstorm info -s -f json recordings | jq .markets",
	)
}

// contents are what is in a recording.
type contents struct {
	Markets  []marketContents  `json:"markets"`
	Segments []segmentContents `json:"segments,omitempty"`
	Missing  []missingContents `json:"missing"`
	Damages  uint64            `json:"damages"`
}

type marketContents struct {
	Market        tickstorm.Market  `json:"market"`
	Hosts         []string          `json:"hosts"`
	Topics        []string          `json:"topics"`
	Segments      int               `json:"segments"`
	Unfinished    int               `json:"unfinished"`
	Messages      uint64            `json:"messages"`
	Elements      map[string]uint64 `json:"elements"`
	Raw           int64             `json:"raw_bytes"`
	Packed        int64             `json:"packed_bytes"`
	FirstReceived time.Time         `json:"first_received,omitzero"`
	LastReceived  time.Time         `json:"last_received,omitzero"`
	FirstEvent    time.Time         `json:"first_event,omitzero"`
	LastEvent     time.Time         `json:"last_event,omitzero"`
}

type segmentContents struct {
	Path          string    `json:"path"`
	Finished      bool      `json:"finished"`
	Messages      uint64    `json:"messages"`
	Raw           int64     `json:"raw_bytes"`
	Packed        int64     `json:"packed_bytes"`
	FirstReceived time.Time `json:"first_received,omitzero"`
	LastReceived  time.Time `json:"last_received,omitzero"`
	Damages       uint64    `json:"damages"`
}

// missingContents is where something is missing.
type missingContents struct {
	Kind   string           `json:"kind"`
	Market tickstorm.Market `json:"market"`
	At     time.Time        `json:"at"`
	From   time.Time        `json:"from,omitzero"`
	To     time.Time        `json:"to,omitzero"`
	Count  uint64           `json:"count,omitempty"`
	Cause  string           `json:"cause,omitempty"`
}

// Run runs the verb.
func (c *infoCmd) Run(ctx context.Context, a *app) error {
	paths, remove, err := c.recording.open(ctx, a)
	if err != nil {
		return err
	}
	defer remove()
	working, stop := a.working(ctx, "reading the indices", 0)
	found, err := survey(working, paths, c.Segments)
	stop()
	if err != nil {
		return err
	}
	if c.Format == "json" {
		e := json.NewEncoder(a.stdout)
		e.SetIndent("", "  ")
		return outputError(e.Encode(found))
	}
	zone, err := a.zone("UTC")
	if err != nil {
		return err
	}
	return outputError(found.print(a.stdout, zone))
}

// survey finds out what is in a recording.
func survey(ctx context.Context, paths []string, segments bool) (*contents, error) {
	reports, err := record.Survey(ctx, paths...)
	if err != nil {
		return nil, err
	}
	if len(reports) == 0 {
		return nil, noRecording(paths)
	}
	c := &contents{Missing: []missingContents{}}
	markets := map[tickstorm.Market]*marketContents{}
	for _, r := range reports {
		m := markets[r.Header.Market]
		if m == nil {
			m = &marketContents{Market: r.Header.Market, Elements: map[string]uint64{}}
			markets[m.Market] = m
		}
		m.add(r)
		c.Damages += r.Damages
		if segments {
			c.Segments = append(c.Segments, segmentContents{r.Path, r.Finished, r.Messages, r.Raw, r.Packed, r.FirstReceived, r.LastReceived, r.Damages})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(markets)) {
		c.Markets = append(c.Markets, *markets[name])
	}
	return c, c.missing(ctx, paths)
}

func (m *marketContents) add(r *record.Report) {
	m.Segments++
	if !r.Finished {
		m.Unfinished++
	}
	if h := r.Header.Host; h != "" && !slices.Contains(m.Hosts, h) {
		m.Hosts = append(m.Hosts, h)
	}
	for _, t := range r.Header.Topics {
		if !slices.Contains(m.Topics, t) {
			m.Topics = append(m.Topics, t)
		}
	}
	m.Messages += r.Messages
	for channel, n := range r.Elements {
		m.Elements[channel] += n
	}
	m.Raw += r.Raw
	m.Packed += r.Packed
	m.FirstReceived, m.LastReceived = earlier(m.FirstReceived, r.FirstReceived), later(m.LastReceived, r.LastReceived)
	m.FirstEvent, m.LastEvent = earlier(m.FirstEvent, r.FirstEvent), later(m.LastEvent, r.LastEvent)
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b.UTC()
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b.UTC()
	}
	return a
}

// missing finds what is missing, without reading messages.
func (c *contents) missing(ctx context.Context, paths []string) error {
	r, err := record.Open(paths...)
	if err != nil {
		return err
	}
	defer r.Close()
	r.Filter(record.Filter{Channels: []string{"none of them"}})
	for e, err := range r.All(ctx) {
		if err != nil {
			return err
		}
		if e.Control == nil {
			continue
		}
		switch k := e.Control; k.Kind {
		case record.Gap, record.Dropped, record.Lost:
			c.Missing = append(c.Missing, missingContents{
				string(k.Kind), e.Market, time.Unix(0, e.Received).UTC(), k.From.Received.UTC(), k.To.Received.UTC(), k.Count, k.Cause,
			})
		}
	}
	return nil
}

// clockForm is how times stand in texts.
const clockForm = "2006-01-02 15:04:05.000 MST"

// print writes it for people.
func (c *contents) print(w io.Writer, zone *time.Location) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	at := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.In(zone).Format(clockForm)
	}
	for i, m := range c.Markets {
		if i > 0 {
			fmt.Fprintln(t)
		}
		name := string(m.Market)
		if name == "" {
			name = "(none that can be read)"
		}
		fmt.Fprintf(t, "market\t%s of %s\n", name, strings.Join(m.Hosts, ", "))
		if len(m.Topics) > 0 {
			fmt.Fprintf(t, "topics\t%s\n", strings.Join(m.Topics, " "))
		}
		fmt.Fprintf(t, "received\t%s to %s (%v)\n", at(m.FirstReceived), at(m.LastReceived), m.LastReceived.Sub(m.FirstReceived).Round(time.Millisecond))
		fmt.Fprintf(t, "happened\t%s to %s\n", at(m.FirstEvent), at(m.LastEvent))
		fmt.Fprintf(t, "segments\t%d", m.Segments)
		if m.Unfinished > 0 {
			fmt.Fprintf(t, ", %d of them not finished", m.Unfinished)
		}
		fmt.Fprintf(t, "\nmessages\t%d\n", m.Messages)
		for _, channel := range slices.Sorted(maps.Keys(m.Elements)) {
			label := channel
			if label == "" {
				label = "(other)"
			}
			fmt.Fprintf(t, "  %s\t%d\n", label, m.Elements[channel])
		}
		fmt.Fprintf(t, "size\t%s as %s, ratio %s\n", megabytes(m.Raw), megabytes(m.Packed), ratio(m.Raw, m.Packed))
	}
	fmt.Fprintf(t, "missing\t%d gaps, drops and losses\n", len(c.Missing))
	const most = 50
	for i, g := range c.Missing {
		if i == most {
			fmt.Fprintf(t, "  ...\t%d more: -f json has them\n", len(c.Missing)-most)
			break
		}
		fmt.Fprintf(t, "  %s\t%s, %s to %s", g.Kind, g.Market, at(g.From), at(g.To))
		if g.Count > 0 {
			fmt.Fprintf(t, ", %d", g.Count)
		}
		if g.Cause != "" {
			fmt.Fprintf(t, ": %s", g.Cause)
		}
		fmt.Fprintln(t)
	}
	fmt.Fprintf(t, "damage\t%d places", c.Damages)
	if c.Damages > 0 {
		fmt.Fprint(t, ": see tickstorm verify")
	}
	fmt.Fprintln(t)
	for _, s := range c.Segments {
		state := ""
		if !s.Finished {
			state = ", not finished"
		}
		fmt.Fprintf(t, "%s\t%d messages, %s to %s, %s%s\n", s.Path, s.Messages, at(s.FirstReceived), at(s.LastReceived), megabytes(s.Packed), state)
	}
	return t.Flush()
}
