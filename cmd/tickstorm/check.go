package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/format"
	"github.com/tickstorm/tickstorm/internal/past"
)

type checkCmd struct {
	Topics []string `arg:"" optional:"" name:"topic" help:"Topics that are never quiet; default trades of everything."`
	connection
	Wait    time.Duration `default:"10s" placeholder:"DURATION" help:"How long connection and first event may take together."`
	For     time.Duration `default:"1s" placeholder:"DURATION" help:"How long to watch from the first event on."`
	WarnAge time.Duration `placeholder:"DURATION" help:"Warn if no event came for so long."`
	MaxAge  time.Duration `placeholder:"DURATION" help:"Critical if no event came for so long."`
	WarnLag time.Duration `placeholder:"DURATION" help:"Warn if events came so much after their own time (the median)."`
	MaxLag  time.Duration `placeholder:"DURATION" help:"Critical if events came so much after their own time (the median)."`
	Format  string        `short:"f" enum:"text,json,nagios,prometheus" default:"text" help:"text, json, nagios (a plugin's line) or prometheus (for a textfile collector)."`
}

// Help implements [kong.HelpProvider].
func (*checkCmd) Help() string {
	return "It ends with 0 (ok), 1 (warning), 2 (critical: no connection, no events, or beyond a limit) or 3 (not known: no key, a bad one, or a command that cannot be meant).\n\n" +
		"At the vendor a check is a connection like any other, and may take the place of the one that it is to check: check a relay, with --feed.\n\n" + examples(
		"the simulator", "tickstorm check --demo --for 200ms",
		"for Nagios", "tickstorm check --demo --for 200ms -f nagios --max-age 5s --warn-lag 500ms --max-lag 2s",
		"a relay, for Prometheus", "tickstorm check --feed ws://127.0.0.1:8765 -f prometheus 'T.*' > tickstorm.prom",
	)
}

// state is what a monitor makes of a check.
type state int

// The states, which are the codes of monitoring plugins.
const (
	ok state = iota
	warning
	critical
	unknown
)

var stateNames = [...]string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}

func (s state) String() string { return stateNames[s] }

// finding is what a check has found.
type finding struct {
	state   state
	why     string
	feed    string
	market  tickstorm.Market
	events  uint64
	connect time.Duration // until the key was accepted
	first   time.Duration // from the acknowledgement to the first event
	stood   bool          // the subscription did
	age     time.Duration // the longest time without an event, since it stood
	lag     tickstorm.Histogram
}

// late is a quantile of lag; known is false where no event has one.
func (f *finding) late(q float64) (lag time.Duration, known bool) {
	return f.lag.Quantile(q), f.lag.Count() > 0
}

// watcher notes when events come, and how late.
type watcher struct {
	tickstorm.NopHandler
	mu     sync.Mutex
	events uint64
	since  time.Time     // the last event, or the acknowledgement
	gap    time.Duration // the longest between two
	lag    tickstorm.Histogram
	first  chan struct{}
	past   past.Events // which are no sign of life
}

// OnStatus hears where the past begins and ends.
func (w *watcher) OnStatus(s *tickstorm.Status) { w.past.Status(s.Status, s.Received) }

func (w *watcher) event(e tickstorm.Event) {
	if w.past.Has(e.Head().Received) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := e.Head().ReceivedTime()
	if !w.since.IsZero() {
		w.gap = max(w.gap, now.Sub(w.since))
	}
	w.since = now
	if w.events++; w.events == 1 {
		close(w.first)
	}
	if e.Kind() != tickstorm.KindAggregate { // which is as late as its window is long
		w.lag.Observe(now.Sub(format.Time(e)))
	}
}

// OnTrade and the other methods implement [tickstorm.Handler].
func (w *watcher) OnTrade(e *tickstorm.Trade)         { w.event(e) }
func (w *watcher) OnQuote(e *tickstorm.Quote)         { w.event(e) }
func (w *watcher) OnAggregate(e *tickstorm.Aggregate) { w.event(e) }
func (w *watcher) OnBook(e *tickstorm.Book)           { w.event(e) }
func (w *watcher) OnLULD(e *tickstorm.LULD)           { w.event(e) }
func (w *watcher) OnImbalance(e *tickstorm.Imbalance) { w.event(e) }
func (w *watcher) OnValue(e *tickstorm.Value)         { w.event(e) }

// Run runs the verb.
func (c *checkCmd) Run(ctx context.Context, a *app) error {
	f, err := c.look(ctx, a)
	if err != nil {
		switch code := codeOf(err); code {
		case exitInterrupted:
			return err
		case exitUsage, exitKey, exitPlan:
			f.state, f.why = unknown, err.Error()
		default:
			f.state, f.why = critical, err.Error()
		}
	}
	if err := c.print(a.stdout, f); err != nil {
		return &exitError{int(unknown), outputErrorText(err)}
	}
	if f.state == ok {
		return nil
	}
	return &exitError{int(f.state), ""}
}

func outputErrorText(err error) string {
	if err = outputError(err); err != nil {
		return err.Error()
	}
	return ""
}

// look connects, and watches.
func (c *checkCmd) look(ctx context.Context, a *app) (f *finding, err error) {
	f = &finding{}
	if c.Wait <= 0 || c.For < 0 || c.WarnAge < 0 || c.MaxAge < 0 || c.WarnLag < 0 || c.MaxLag < 0 {
		return f, usagef("a negative duration, or no --wait")
	}
	settings, err := a.settings()
	if err != nil {
		return f, err
	}
	f.market = c.market(a, settings)
	if len(c.Topics) == 0 {
		stream := tickstorm.Trades
		if streams := f.market.Streams(); len(streams) > 0 {
			stream = streams[0]
		}
		channel, err := f.market.Channel(stream)
		if err != nil {
			return f, usagef("say which topics: %v", err)
		}
		c.Topics = []string{channel + "." + tickstorm.All}
	}
	topics, err := topicsOf(a, f.market, c.Topics)
	if err != nil {
		return f, err
	}
	src, err := c.open(a, demoRate)
	if err != nil {
		return f, err
	}
	defer src.close()
	f.feed = withoutQuery(src.Feed)
	if a.Verbose == 0 {
		src.Logger = nil // what there is to say is said once
	}
	w := &watcher{first: make(chan struct{})}
	waiting, cancel := context.WithTimeoutCause(ctx, c.Wait, errWaited)
	defer cancel()
	err = c.watch(ctx, waiting, src.Config, topics, w, f)
	w.mu.Lock()
	defer w.mu.Unlock()
	f.events, f.lag = w.events, w.lag
	if f.stood = !w.since.IsZero(); f.stood {
		f.age = max(w.gap, time.Since(w.since))
	}
	switch {
	case ctx.Err() != nil:
		return f, context.Cause(ctx)
	case waiting.Err() != nil && w.events == 0:
		if err == nil || errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%w within %v", errWaited, c.Wait)
		}
		return f, err
	case err != nil:
		return f, err
	}
	c.judge(f)
	return f, nil
}

// errWaited: what was waited for did not come.
var errWaited = errors.New("no event came")

// watch has a connection's events noted for as long as was asked for.
func (c *checkCmd) watch(ctx, waiting context.Context, cfg tickstorm.Config, topics []tickstorm.Topic, w *watcher, f *finding) error {
	begun := time.Now()
	conn, err := tickstorm.Dial(waiting, cfg, w)
	if err != nil {
		return err
	}
	defer conn.Close()
	f.connect = time.Since(begun)
	if err := conn.SubscribeTopics(waiting, topics...); err != nil {
		return err
	}
	acked := time.Now()
	w.mu.Lock()
	if w.since.IsZero() {
		w.since = acked
	}
	w.mu.Unlock()
	ended := make(chan error, 1)
	running, stop := context.WithCancel(ctx)
	defer stop()
	go func() { ended <- conn.Run(running) }()
	select {
	case err := <-ended:
		return err
	case <-waiting.Done():
		return nil
	case <-w.first:
		f.first = max(0, time.Since(acked))
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	case <-time.After(c.For):
	}
	return nil
}

// judge holds what was found against the limits.
func (c *checkCmd) judge(f *finding) {
	lag := f.lag.Quantile(0.5)
	for _, l := range []struct {
		what        string
		value       time.Duration
		warn, limit time.Duration
	}{{"no event for", f.age, c.WarnAge, c.MaxAge}, {"events are late by", lag, c.WarnLag, c.MaxLag}} {
		s, limit := ok, time.Duration(0)
		switch {
		case l.limit > 0 && l.value > l.limit:
			s, limit = critical, l.limit
		case l.warn > 0 && l.value > l.warn:
			s, limit = warning, l.warn
		}
		if s == ok {
			continue
		}
		if f.why != "" {
			f.why += "; "
		}
		f.why += fmt.Sprintf("%s %v, more than %v", l.what, rounded(l.value), limit)
		f.state = max(f.state, s)
	}
}

func rounded(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// print writes what was found.
func (c *checkCmd) print(w io.Writer, f *finding) error {
	p50, timed := f.late(0.5)
	p99, _ := f.late(0.99)
	seconds := func(d time.Duration, known bool) *float64 {
		if !known {
			return nil
		}
		s := d.Seconds()
		return &s
	}
	topics := strings.Join(c.Topics, ",")
	var err error
	switch c.Format {
	case "json":
		err = json.NewEncoder(w).Encode(struct {
			State   string           `json:"state"`
			Code    int              `json:"code"`
			Why     string           `json:"why,omitempty"`
			Feed    string           `json:"feed,omitempty"`
			Market  tickstorm.Market `json:"market,omitempty"`
			Topics  []string         `json:"topics,omitempty"`
			Events  uint64           `json:"events"`
			Connect *float64         `json:"connect_seconds,omitempty"`
			First   *float64         `json:"first_event_seconds,omitempty"`
			Age     *float64         `json:"age_seconds,omitempty"`
			LagP50  *float64         `json:"lag_p50_seconds,omitempty"`
			LagP99  *float64         `json:"lag_p99_seconds,omitempty"`
		}{
			f.state.String(), int(f.state), f.why, f.feed, f.market, c.Topics, f.events, seconds(f.connect, f.connect > 0), seconds(f.first, f.events > 0),
			seconds(f.age, f.stood), seconds(p50, timed), seconds(p99, timed),
		})
	case "nagios":
		why := f.why
		if why == "" {
			why = fmt.Sprintf("%s: %d events", topics, f.events)
		}
		_, err = fmt.Fprintf(w, "TICKSTORM %s - %s | age=%s;%s;%s lag=%s;%s;%s events=%dc\n", f.state, strings.ReplaceAll(why, "|", "/"),
			perf(f.age, f.stood), bound(c.WarnAge), bound(c.MaxAge), perf(p50, timed), bound(c.WarnLag), bound(c.MaxLag), f.events)
	case "prometheus":
		_, err = io.WriteString(w, c.prometheus(f))
	default:
		why := f.why
		if why != "" {
			why = ": " + why
		}
		if f.connect == 0 {
			_, err = fmt.Fprintf(w, "%s%s\n", f.state, why)
			break
		}
		text := fmt.Sprintf("%s%s\n%s on %s of %s: connected in %v", f.state, why, topics, f.market, f.feed, rounded(f.connect))
		if f.events > 0 {
			text += fmt.Sprintf(", first event after %v", rounded(f.first))
		}
		text += fmt.Sprintf(", %d events", f.events)
		if f.stood {
			text += fmt.Sprintf(", none for %v", rounded(f.age))
		}
		if timed {
			text += fmt.Sprintf(", late by %v (p50), %v (p99)", rounded(p50), rounded(p99))
		}
		_, err = io.WriteString(w, text+"\n")
	}
	return err
}

// perf is a value of performance data, U if it is not known.
func perf(d time.Duration, known bool) string {
	if !known {
		return "U"
	}
	return strconv.FormatFloat(d.Seconds(), 'f', 6, 64) + "s"
}

// bound is a threshold of performance data, empty if there is none.
func bound(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64)
}

// prometheus is the text form of Prometheus. What is not known has no sample.
func (c *checkCmd) prometheus(f *finding) string {
	var b strings.Builder
	labels := fmt.Sprintf("market=%q,feed=%q", f.market, f.feed)
	metric := func(name, help, extra string, value float64) {
		if help != "" {
			fmt.Fprintf(&b, "# HELP tickstorm_check_%s %s\n# TYPE tickstorm_check_%s gauge\n", name, help, name)
		}
		fmt.Fprintf(&b, "tickstorm_check_%s{%s%s} %s\n", name, labels, extra, strconv.FormatFloat(value, 'g', -1, 64))
	}
	metric("state", "0 ok, 1 warning, 2 critical, 3 unknown.", "", float64(f.state))
	metric("events", "Events that came while it was watched.", "", float64(f.events))
	if f.connect > 0 {
		metric("connect_seconds", "Until the key was accepted.", "", f.connect.Seconds())
	}
	if f.stood {
		metric("age_seconds", "The longest time without an event.", "", f.age.Seconds())
	}
	if p50, known := f.late(0.5); known {
		p99, _ := f.late(0.99)
		metric("lag_seconds", "How much events came after their own time.", `,quantile="0.5"`, p50.Seconds())
		metric("lag_seconds", "", `,quantile="0.99"`, p99.Seconds())
	}
	return b.String()
}
