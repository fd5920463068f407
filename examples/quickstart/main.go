package main

import (
	"context"
	"fmt"
	"log"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

type printer struct{ tickstorm.NopHandler }

func (printer) OnTrade(t *tickstorm.Trade) {
	fmt.Println(t.Timestamp.Time().Format("15:04:05.000"), t.Symbol, t.Size, "at", t.Price)
}

func main() {
	cfg, err := tickstorm.ConfigFromEnv(tickstorm.Stocks) // MASSIVE_API_KEY or POLYGON_API_KEY
	if err != nil {
		server, err := sim.Start(sim.Config{Rate: 20}) // no key: the built-in simulator
		if err != nil {
			log.Fatal(err)
		}
		cfg = server.ClientConfig(tickstorm.Stocks)
	}
	client, err := tickstorm.NewClient(cfg, printer{})
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Subscribe(context.Background(), tickstorm.Trades, "AAPL", "MSFT"); err != nil {
		log.Fatal(err)
	}
	log.Fatal(client.Run(context.Background()))
}
