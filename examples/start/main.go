// Start runs a client beside the main goroutine: it starts, subscribes, sees a refusal as an
// error, and stops.
//
//	go run ./examples/start
//
// It runs against the built-in simulator, with a plan that has no quotes.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

type counter struct {
	tickstorm.NopHandler
	trades int
}

func (c *counter) OnTrade(*tickstorm.Trade) { c.trades++ }

func main() {
	log.SetFlags(0)
	server, err := sim.Start(sim.Config{Keys: map[string]sim.Plan{sim.Key: {Channels: []string{"T"}}}})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	handler := new(counter)
	client, err := tickstorm.NewClient(server.ClientConfig(tickstorm.Stocks), handler)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	if err := client.Start(ctx); err != nil { // returns when the key was accepted
		log.Fatal(err)
	}
	if err := client.Subscribe(ctx, tickstorm.Trades, "AAPL", "MSFT"); err != nil {
		log.Fatal(err)
	}
	err = client.Subscribe(ctx, tickstorm.Quotes, "AAPL")
	fmt.Println("quotes refused:", errors.Is(err, tickstorm.ErrNotAuthorized))
	fmt.Println("streaming:", client.Granted())

	time.Sleep(time.Second)
	if err := client.Close(); err != nil {
		log.Fatal(err)
	}
	if err := client.Wait(); err != nil {
		log.Fatal(err)
	}
	fmt.Println("trades:", handler.trades > 0)
}
