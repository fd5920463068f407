package record_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sim"
)

// A Recorder is the client's tap, and is closed after it.
func ExampleRecorder() {
	server, err := sim.Start(sim.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	dir, err := os.MkdirTemp("", "recording-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	cfg := server.ClientConfig(tickstorm.Stocks)
	rec, err := record.NewRecorder(record.Config{
		Dir: dir, Market: cfg.Market, Feed: cfg.Feed,
		Rotate: 15 * time.Minute, KeepFor: 30 * 24 * time.Hour, MinFree: 100 << 20,
		OnEvent: func(e record.RecorderEvent) {
			if errors.Is(e.Err, record.ErrDiskFull) {
				log.Print("make room: ", e)
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := rec.Start(); err != nil {
		log.Fatal(err)
	}
	cfg.Tap = rec
	client, err := tickstorm.NewClient(cfg, nil) // or with a handler: each gets all
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Start(context.Background()); err != nil {
		log.Fatal(err)
	}
	if err := client.Subscribe(context.Background(), tickstorm.Trades, "AAPL"); err != nil {
		log.Fatal(err)
	}
	if err := client.Close(); err != nil {
		log.Fatal(err)
	}
	if err := rec.Close(context.Background()); err != nil {
		log.Fatal(err)
	}
	stats := rec.Stats()
	fmt.Println(stats.Segments, "segment,", stats.Dropped, "dropped, something in it:", stats.Messages > 0)
	// Output: 1 segment, 0 dropped, something in it: true
}
