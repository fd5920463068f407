// Soak streams from a simulator that misbehaves at random, for as long as it is told, and
// checks all along, event by event, that nothing is lost, doubled or out of order but what
// was told as a gap, a drop or an error, and that memory and goroutines stay in bounds.
//
//	go run ./examples/soak -for 10m
//
// The simulator is a process of its own. Resets, closes, silence, floods, broken frames,
// restarts, and the moments at which the handler is slow, follow from -seed, so that a failure
// can be had again. The exit status is 1 if something is wrong, 2 if a flag is.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"time"

	"github.com/tickstorm/tickstorm"
)

func main() {
	log.SetFlags(0)
	if isSimulator() {
		if err := simulate(); err != nil {
			log.Fatal("simulator: ", err)
		}
		return
	}
	o, err := parseFlags()
	if err != nil {
		log.Print(err)
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		log.Fatalf("FAILED, seed %d: %v", o.seed, err)
	}
	log.Print("passed")
}

type options struct {
	length time.Duration
	rate   int
	seed   uint64
	queue  tickstorm.QueueConfig
	policy string
}

// policies are the values of -policy.
var policies = map[string]tickstorm.QueueConfig{
	"inline":      {Inline: true},
	"block":       {Overflow: tickstorm.OverflowBlock},
	"drop-newest": {Overflow: tickstorm.OverflowDropNewest},
	"drop-oldest": {Overflow: tickstorm.OverflowDropOldest},
	"conflate":    {Overflow: tickstorm.OverflowConflate},
	"disconnect":  {Overflow: tickstorm.OverflowDisconnect},
}

// queueBytes is small enough for slow moments to fill it.
const queueBytes = 16 << 20

func parseFlags() (o options, err error) {
	flag.DurationVar(&o.length, "for", time.Minute, "how long to run; 0 until Ctrl-C")
	flag.IntVar(&o.rate, "rate", 0, "the simulator's events per second; 0 is as fast as it goes")
	flag.Uint64Var(&o.seed, "seed", 0, "what goes wrong when; 0 takes one at random")
	flag.StringVar(&o.policy, "policy", "block", "what a full queue does: block, drop-newest, drop-oldest, conflate, disconnect; inline is no queue")
	flag.Parse()
	queue, known := policies[o.policy]
	switch {
	case flag.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flag.Arg(0))
	case o.length < 0 || o.rate < 0:
		return o, errors.New("-for and -rate are not negative")
	case !known:
		return o, fmt.Errorf("no policy %q", o.policy)
	}
	for o.seed == 0 {
		o.seed = rand.Uint64() >> 32
	}
	o.queue = queue
	o.queue.Bytes = queueBytes
	return o, nil
}

const idleTimeout = 5 * time.Second

// Bounds of the client's process.
const (
	maxRSS = 256 << 20
	// maxGoroutines are those of this program beside the client's: main, signals, the
	// simulator's output, and what a Close or a queue has.
	maxGoroutines = 32
)

func run(ctx context.Context, o options) error {
	log.Printf("seed %d, policy %s, rate %d", o.seed, o.policy, o.rate)
	server, err := startSimulator(o)
	if err != nil {
		return err
	}
	defer server.stop()
	cfg := server.config()
	cfg.Queue = o.queue
	// Quick to notice and to come back: more goes wrong in less time.
	cfg.PingInterval, cfg.IdleTimeout = time.Second, idleTimeout
	cfg.Backoff = tickstorm.Backoff{Min: 20 * time.Millisecond, Max: time.Second, MaxConnections: time.Second}
	h := newHandler(o.seed)
	client, err := tickstorm.NewClient(cfg, h)
	if err != nil {
		return err
	}
	h.Conflated = func() uint64 { return client.Stats().Queue.Conflated }
	topics, err := tickstorm.ParseTopics("T.*,Q.*")
	if err != nil {
		return err
	}
	if err := client.SubscribeTopics(ctx, topics...); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- client.Run(context.WithoutCancel(ctx)) }()

	w := &watcher{client: client, handler: h, server: server, ended: ended}
	err = w.watch(ctx, o.length)
	if err == nil && h.Report().Err() == nil {
		err = w.settle(ctx, topics)
	}
	if cerr := client.Close(); err == nil {
		err = cerr
	}
	w.summary()
	return errors.Join(err, h.Report().Err())
}

// watcher looks at the client while it runs.
type watcher struct {
	client  *tickstorm.Client
	handler *handler
	server  *simulator
	ended   <-chan error

	started    time.Time
	last       uint64 // events at the last line
	lastAt     time.Time
	rss        int64 // the most
	goroutines int   // the most
}

const (
	lineEvery = 5 * time.Second
	lookEvery = 250 * time.Millisecond
	// stuck is how long no event may come, of faults that end after seconds.
	stuck = 30 * time.Second
)

// watch runs until the time is up or something is wrong.
func (w *watcher) watch(ctx context.Context, length time.Duration) error {
	w.started = time.Now()
	w.lastAt = w.started
	look, line := time.NewTicker(lookEvery), time.NewTicker(lineEvery)
	defer look.Stop()
	defer line.Stop()
	var over <-chan time.Time
	if length > 0 {
		over = time.After(length)
	}
	seen, moved := uint64(0), w.started
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-over:
			return nil
		case err := <-w.ended:
			return fmt.Errorf("the client ended: %w", err)
		case <-line.C:
			w.line()
		case <-look.C:
			w.rss = max(w.rss, residentBytes())
			w.goroutines = max(w.goroutines, runtime.NumGoroutine())
			report := w.handler.Report()
			if report.Events != seen {
				seen, moved = report.Events, time.Now()
			}
			switch {
			case report.Err() != nil:
				return nil // run says so
			case w.rss > maxRSS:
				return fmt.Errorf("resident memory of %d MB, more than %d", w.rss>>20, maxRSS>>20)
			case w.goroutines > maxGoroutines:
				return fmt.Errorf("%d goroutines, more than %d", w.goroutines, maxGoroutines)
			case time.Since(moved) > stuck:
				return fmt.Errorf("no event for %v, client %v", stuck, w.client.State())
			}
		}
	}
}

// settle ends the faults and checks that the stream came through to its last number.
func (w *watcher) settle(ctx context.Context, topics []tickstorm.Topic) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	w.handler.calm()
	if _, err := w.server.ask(ctx, "calm"); err != nil {
		return err
	}
	// A connection that the last fault made silent is noticed first.
	for calm := time.Now(); time.Since(calm) < idleTimeout+time.Second || w.client.State() != tickstorm.StateStreaming; {
		if err := pause(ctx); err != nil {
			return fmt.Errorf("no stream at the end: %w", err)
		}
	}
	if err := w.client.UnsubscribeTopics(ctx, topics...); err != nil {
		return fmt.Errorf("giving the topics up: %w", err)
	}
	last, err := w.server.ask(ctx, "number")
	if err != nil {
		return err
	}
	for fmt.Sprint(w.handler.Report().Last) != last {
		if err := pause(ctx); err != nil {
			return fmt.Errorf("the last number is %d, the server's %s", w.handler.Report().Last, last)
		}
	}
	return nil
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(10 * time.Millisecond):
		return nil
	}
}

func (w *watcher) line() {
	now, report, stats := time.Now(), w.handler.Report(), w.client.Stats()
	log.Printf("%4.0f s  %8.0f events/s  %d gaps (%d events)  %d dropped  %d conflated  %d reconnects  %d faults  RSS %d MB  %d goroutines",
		now.Sub(w.started).Seconds(), float64(report.Events-w.last)/now.Sub(w.lastAt).Seconds(), report.Gaps, report.InGaps,
		report.Drops, report.Conflated, stats.Reconnects, w.server.faults(), w.rss>>20, w.goroutines)
	w.last, w.lastAt = report.Events, now
}

func (w *watcher) summary() {
	var faults []string
	for name, n := range w.server.counts() {
		faults = append(faults, fmt.Sprintf("%s %d", name, n))
	}
	report, stats := w.handler.Report(), w.client.Stats()
	log.Printf("audit: %v", report)
	log.Printf("faults: %s; slow moments %d", strings.Join(sorted(faults), ", "), w.handler.moments())
	log.Printf("%d reconnects, %d decode errors, at most RSS %d MB and %d goroutines, %.0f s",
		stats.Reconnects, stats.Errors, w.rss>>20, w.goroutines, time.Since(w.started).Seconds())
}
