// Keep hands trades to another goroutine at full rate: each is copied into an event
// from a pool and given back when the other side is done with it.
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

var trades tickstorm.Pool[tickstorm.Trade]

type forwarder struct {
	tickstorm.NopHandler
	out chan *tickstorm.Trade
	// full counts what the other side was too slow for. The channel must not block
	// the handler: while that runs, nothing is read from the socket.
	full int
}

func (f *forwarder) OnTrade(t *tickstorm.Trade) {
	kept := trades.Copy(t)
	select {
	case f.out <- kept:
	default:
		trades.Put(kept)
		f.full++
	}
}

func main() {
	server, err := sim.Start(sim.Config{Rate: 100_000})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()

	f := &forwarder{out: make(chan *tickstorm.Trade, 1<<16)}
	conn, err := tickstorm.Dial(ctx, server.ClientConfig(tickstorm.Stocks), f)
	if err != nil {
		log.Fatal(err)
	}
	if err := conn.Subscribe(ctx, tickstorm.Trades, tickstorm.All); err != nil {
		log.Fatal(err)
	}
	done := make(chan map[string]float64)
	go func() {
		volume := map[string]float64{} // symbols are safe to keep
		for t := range f.out {
			volume[t.Symbol] += t.Size
			trades.Put(t)
		}
		done <- volume
	}()
	if err := conn.Run(ctx); ctx.Err() == nil {
		log.Fatal(err)
	}
	close(f.out)
	volume := <-done
	fmt.Printf("%d symbols traded, AAPL %g shares; %d trades did not fit the channel\n", len(volume), volume["AAPL"], f.full)
}
