// Record keeps a market's stream in a folder, and shows how that goes.
//
//	go run -C record ./examples/record -for 20s
//
// With MASSIVE_API_KEY or POLYGON_API_KEY in the environment it records the vendor's stream, else
// that of the built-in simulator. It makes a folder of its own, and prints its name; -dir names
// another, to which a recording is added: what is there stays as it is. Ctrl-C ends it; however
// it ends, what was recorded can be read.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sim"
)

func main() {
	log.SetFlags(0)
	var o options
	flag.StringVar(&o.dir, "dir", "", "folder to record into; default a new one")
	flag.StringVar(&o.market, "market", string(tickstorm.Stocks), "market, such as stocks, options, crypto")
	flag.StringVar(&o.topics, "topics", "T.*,Q.*,AM.*", "topics")
	flag.DurationVar(&o.length, "for", 0, "how long to record; 0 until Ctrl-C")
	flag.IntVar(&o.rate, "rate", 450_000, "the simulator's events per second; 0 is as fast as it goes")
	flag.BoolVar(&o.decode, "decode", false, "decode all events as well, behind a queue, as a program does that uses them")
	flag.DurationVar(&o.every, "every", time.Second, "time from one line of figures to the next")
	flag.DurationVar(&o.flush, "flush", time.Second, "how old a message becomes until it is in its file")
	flag.DurationVar(&o.rotate, "rotate", time.Hour, "how long a segment lasts")
	flag.Parse()
	if flag.NArg() > 0 || o.rate < 0 || o.length < 0 || o.every <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

type options struct {
	dir, market, topics          string
	length, every, flush, rotate time.Duration
	rate                         int
	decode                       bool
}

func run(ctx context.Context, o options, w io.Writer) (err error) {
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "recording-"); err != nil {
			return err
		}
	}
	market := tickstorm.Market(o.market)
	topics, err := tickstorm.ParseTopics(o.topics)
	if err != nil {
		return err
	}
	cfg, err := tickstorm.ConfigFromEnv(market)
	source := "vendor"
	switch {
	case errors.Is(err, tickstorm.ErrNoKey):
		if o.rate == 0 {
			o.rate = -1
		}
		server, err := sim.Start(sim.Config{Rate: o.rate, Numbered: true})
		if err != nil {
			return err
		}
		defer server.Close()
		cfg, source = server.ClientConfig(market), "simulator"
	case err != nil:
		return err
	}
	cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))

	rec, err := record.NewRecorder(record.Config{
		Dir: o.dir, Market: market, Feed: cfg.Feed, Topics: topics, Flush: o.flush, Rotate: o.rotate,
		OnEvent: func(e record.RecorderEvent) { log.Print(e) },
	})
	if err != nil {
		return err
	}
	if err := rec.Start(); err != nil {
		return err
	}
	fmt.Fprintf(w, "recording %s of the %s into %s\n", market, source, o.dir)
	cfg.Tap = rec
	err = stream(ctx, o, w, cfg, topics, rec)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if cerr := rec.Close(closing); err == nil {
		err = cerr
	}
	s := rec.Stats()
	fmt.Fprintf(w, "recorded %d messages, %.1f MB as %.1f MB in %d segments; %d dropped, %d lost, %d errors\n",
		s.Messages, float64(s.Bytes)/1e6, float64(s.Written)/1e6, s.Segments, s.Dropped, s.Lost, s.Errors)
	if err == nil && s.Messages == 0 {
		err = errors.New("no messages came")
	}
	return err
}

// stream runs a client until the time is up. Unless they are to be, events are not decoded: nobody
// handles them.
func stream(ctx context.Context, o options, w io.Writer, cfg tickstorm.Config, topics []tickstorm.Topic, rec *record.Recorder) error {
	var handler tickstorm.Handler = undecoded{}
	if o.decode {
		handler = tickstorm.NopHandler{}
	} else {
		cfg.Queue.Inline = true
	}
	client, err := tickstorm.NewClient(cfg, handler)
	if err != nil {
		return err
	}
	if err := client.SubscribeTopics(ctx, topics...); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- client.Run(context.WithoutCancel(ctx)) }()
	var over <-chan time.Time
	if o.length > 0 {
		over = time.After(o.length)
	}
	tick := time.NewTicker(o.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return client.Close()
		case <-over:
			return client.Close()
		case err := <-ended:
			return err
		case <-tick.C:
			// What is written is asked first: it is never more than what was received.
			s, now := rec.Stats(), time.Now()
			stats := client.Stats()
			events := ""
			if o.decode {
				events = fmt.Sprintf("; %d events decoded, %d dropped", stats.Queue.Delivered, stats.Queue.Dropped)
			}
			fmt.Fprintf(w, "%d: %d messages received, %d written, %d bytes as %d; buffer %.1f%%, %d dropped%s\n",
				now.UnixNano(), stats.Messages, s.Messages, s.Bytes, s.Written, 100*float64(s.Buffered)/float64(s.Buffer), s.Dropped, events)
		}
	}
}

// undecoded wants nothing but what the session needs.
type undecoded struct{ tickstorm.NopHandler }

// OnRaw implements [tickstorm.RawHandler].
func (undecoded) OnRaw([]byte, int64) bool { return false }
