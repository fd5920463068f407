// Replay plays a recording into a handler, and counts what it is told, or serves it in the vendor's
// protocol.
//
//	go run -C record ./examples/replay -dir /tmp/recording              # as fast as it goes
//	go run -C record ./examples/replay -dir /tmp/recording -speed 10    # ten times as fast as it came
//	go run -C record ./examples/replay -dir /tmp/recording -serve 127.0.0.1:8765 -speed 1
//
// It prints a hash of all that the handler was told: the same for the same recording.
package main

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"log"
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
	flag.StringVar(&o.dir, "dir", "", "folder, file or pattern of the recording")
	flag.Float64Var(&o.speed, "speed", 0, "times as fast as it came; 0 is as fast as it goes")
	flag.DurationVar(&o.idle, "idle", 0, "longest time without anything; 0 is as recorded")
	flag.StringVar(&o.serve, "serve", "", "address to serve the recording at, such as 127.0.0.1:8765")
	flag.Parse()
	if flag.NArg() > 0 || o.dir == "" {
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
	dir, serve string
	speed      float64
	idle       time.Duration
}

func run(ctx context.Context, o options, w io.Writer) error {
	if o.serve != "" {
		return serve(ctx, o, w)
	}
	r, err := record.Open(o.dir)
	if err != nil {
		return err
	}
	defer r.Close()
	sum, h := sha256.New(), &counter{}
	p, err := record.NewReplay(r, h, record.ReplayConfig{Speed: o.speed, MaxIdle: o.idle, Ahead: true, Hash: sum})
	if err != nil {
		return err
	}
	begun := time.Now()
	err = p.Run(ctx)
	took := time.Since(begun)
	s := p.Stats()
	fmt.Fprintf(w, "%d events in %d messages, %.0f a second; %d trades, %d quotes, %d aggregates; %d states, %d gaps, %d errors, %d damages\n",
		h.events, s.Messages, float64(h.events)/took.Seconds(), h.trades, h.quotes, h.aggregates, h.states, h.gaps, h.errors, s.Damages)
	fmt.Fprintf(w, "sha256 %x\n", sum.Sum(nil))
	return err
}

func serve(ctx context.Context, o options, w io.Writer) error {
	server, err := sim.Start(sim.Config{
		Address: o.serve, MaxConnections: -1,
		Replay: &sim.Replay{Speed: o.speed, MaxIdle: o.idle, Open: func(m tickstorm.Market) (sim.Source, error) {
			return record.OpenSource(m, o.dir)
		}},
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "serving %s at %s; any key will do\n", o.dir, server.Feed())
	<-ctx.Done()
	return server.Close()
}

// counter counts what it is told.
type counter struct {
	tickstorm.NopHandler
	events, trades, quotes, aggregates, states, gaps, errors uint64
}

func (c *counter) OnTrade(*tickstorm.Trade)         { c.events++; c.trades++ }
func (c *counter) OnQuote(*tickstorm.Quote)         { c.events++; c.quotes++ }
func (c *counter) OnAggregate(*tickstorm.Aggregate) { c.events++; c.aggregates++ }
func (c *counter) OnBook(*tickstorm.Book)           { c.events++ }
func (c *counter) OnLULD(*tickstorm.LULD)           { c.events++ }
func (c *counter) OnImbalance(*tickstorm.Imbalance) { c.events++ }
func (c *counter) OnValue(*tickstorm.Value)         { c.events++ }
func (c *counter) OnError(*tickstorm.EventError)    { c.errors++ }
func (c *counter) OnState(*tickstorm.StateChange)   { c.states++ }
func (c *counter) OnGap(*tickstorm.Gap)             { c.gaps++ }
