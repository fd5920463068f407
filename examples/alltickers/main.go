// Alltickers subscribes to every symbol of a market and shows how fast the events
// come in: trades, quotes and minute bars, or the topics that are asked for.
//
//	go run ./examples/alltickers -for 10s
//
// With MASSIVE_API_KEY or POLYGON_API_KEY in the environment it connects to the
// vendor, else to the built-in simulator, which runs as a process of its own so that
// the figures are the client's alone. -json prints one object with the figures at the
// end, on standard output; everything else goes to standard error.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/examples/internal/simproc"
)

func main() {
	log.SetFlags(0)
	simproc.Main()
	var o options
	flag.StringVar(&o.market, "market", string(tickstorm.Stocks), "market, such as stocks, options, crypto, futures/cme")
	flag.StringVar(&o.topics, "topics", "", "topics such as T.*,Q.AAPL; default all trades, quotes (values) and minute bars")
	flag.DurationVar(&o.length, "for", 0, "how long to run, from the first event on; 0 until Ctrl-C")
	flag.IntVar(&o.rate, "rate", 450_000, "the simulator's events per second; 0 is as fast as it goes")
	flag.BoolVar(&o.json, "json", false, "print the figures as one JSON object at the end")
	flag.Parse()
	if flag.NArg() > 0 || o.rate < 0 || o.length < 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		log.Fatal(err)
	}
}

type options struct {
	market string
	topics string
	length time.Duration
	rate   int
	json   bool
}

func run(ctx context.Context, o options) error {
	market := tickstorm.Market(o.market)
	cfg, err := tickstorm.ConfigFromEnv(market)
	source := "vendor"
	switch {
	case errors.Is(err, tickstorm.ErrNoKey):
		rate := o.rate
		if rate == 0 {
			rate = -1 // as fast as the socket takes
		}
		child, err := simproc.Start(simproc.Options{Rate: rate})
		if err != nil {
			return err
		}
		defer child.Stop()
		cfg = child.Config(market)
		source = "simulator"
	case err != nil:
		return err
	}
	topics, err := topicsOf(market, o.topics)
	if err != nil {
		return err
	}
	cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	m := newMeter()
	client, err := tickstorm.NewClient(cfg, m)
	if err != nil {
		return err
	}
	if err := client.SubscribeTopics(ctx, topics...); err != nil {
		return err
	}
	feed := cfg.Feed
	if feed == "" {
		feed = tickstorm.RealTime
	}
	log.Printf("%s on the %s (%s), topics %v", market, source, feed, topics)

	ended := make(chan error, 1)
	go func() { ended <- client.Run(context.WithoutCancel(ctx)) }()
	err = m.watch(ctx, client, ended, o.length)
	if cerr := client.Close(); err == nil {
		err = cerr
	}
	f := m.figures(client.Stats(), source)
	f.print(os.Stderr)
	if o.json {
		if jerr := json.NewEncoder(os.Stdout).Encode(f); err == nil {
			err = jerr
		}
	}
	if err == nil && f.Events == 0 {
		err = errors.New("no events came")
	}
	return err
}

// topicsOf returns the topics asked for, by default everything that trades, is quoted
// or has a value, and minute bars. Quotes of all options are more than the vendor sends
// on one connection.
func topicsOf(market tickstorm.Market, list string) ([]tickstorm.Topic, error) {
	if list != "" {
		return tickstorm.ParseTopics(list)
	}
	var topics []tickstorm.Topic
	for _, s := range []tickstorm.Stream{tickstorm.Trades, tickstorm.Quotes, tickstorm.Values, tickstorm.MinuteAggregates} {
		if market == tickstorm.Options && s == tickstorm.Quotes {
			continue
		}
		t, err := market.Topics(s, tickstorm.All)
		if err != nil { // not every market has every stream
			continue
		}
		topics = append(topics, t...)
	}
	if len(topics) == 0 {
		return nil, fmt.Errorf("no streams are known on market %q: name them with -topics", market)
	}
	return topics, nil
}

// patience is how long the first event may take beyond the time that the stream is to last.
const patience = 30 * time.Second

// watch shows a line each second until the time is up or the client has ended.
func (m *meter) watch(ctx context.Context, client *tickstorm.Client, ended <-chan error, length time.Duration) error {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	var over, late <-chan time.Time
	if length > 0 {
		late = time.After(length + patience)
	}
	first := m.first
	measure := func(note func(mallocs uint64)) {
		var mem runtime.MemStats
		runtime.ReadMemStats(&mem)
		note(mem.Mallocs)
	}
	defer func() {
		if first == nil {
			measure(m.end)
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			if err == nil {
				err = errors.New("the stream ended")
			}
			return err
		case <-first:
			first = nil
			measure(m.begin)
			if length > 0 {
				over, late = time.After(length), nil
			}
		case <-late:
			return errors.New("no event came")
		case <-over:
			return nil
		case <-second.C:
			if first != nil {
				log.Print("waiting for the first event")
				continue
			}
			measure(m.end)
			m.line(os.Stderr, client.Stats())
		}
	}
}
