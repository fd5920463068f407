// Sixmarkets streams stocks, options, indices, futures, forex and crypto on one thread:
// six connections with TLS that reconnect when they break, one poller, one handler that
// needs no lock.
//
//	go run ./examples/sixmarkets -for 5s
//
// It runs against the built-in simulator, which breaks a connection now and then, and on
// Linux only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/epoll"
	"github.com/tickstorm/tickstorm/sim"
)

func main() {
	log.SetFlags(0)
	length := flag.Duration("for", 2*time.Second, "how long to run")
	rate := flag.Int("rate", 20_000, "the simulator's events per second on each market")
	flag.Parse()
	server, err := sim.Start(sim.Config{TLS: true, Rate: *rate})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	if err := run(server, *length); err != nil {
		log.Fatal(err)
	}
}

var markets = []tickstorm.Market{
	tickstorm.Stocks, tickstorm.Options, tickstorm.Indices, tickstorm.Futures, tickstorm.Forex, tickstorm.Crypto,
}

// book is the handler of all markets. All its methods are called on one thread.
type book struct {
	tickstorm.NopHandler
	events map[tickstorm.Market]int
}

func (b *book) OnTrade(e *tickstorm.Trade) { b.events[e.Market]++ }
func (b *book) OnQuote(e *tickstorm.Quote) { b.events[e.Market]++ }
func (b *book) OnValue(e *tickstorm.Value) { b.events[e.Market]++ }

func run(server *sim.Server, length time.Duration) error {
	poller, err := epoll.NewPoller(epoll.Config{})
	if err != nil {
		return err
	}
	defer poller.Close()

	b := &book{events: map[tickstorm.Market]int{}}
	var failed error
	ctx, cancel := context.WithTimeout(context.Background(), length)
	defer cancel()
	clients := make([]*epoll.Client, len(markets))
	for i, m := range markets {
		cfg := server.ClientConfig(m)
		cfg.Backoff.Min = 10 * time.Millisecond // a simulator need not be spared
		clients[i], err = poller.AddClient(cfg, b, func(err error) {
			failed = errors.Join(failed, err)
			cancel()
		})
		if err != nil {
			return err
		}
		for _, s := range streams(m) {
			if err := clients[i].Subscribe(s, tickstorm.All); err != nil {
				return err
			}
		}
	}
	breakOne := time.AfterFunc(length/2, func() { server.Conns()[0].Cut() })
	defer breakOne.Stop()

	err = poller.Run(ctx) // on this thread
	if failed != nil {
		return failed
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	for i, m := range markets {
		if b.events[m] == 0 {
			return fmt.Errorf("no events on %s", m)
		}
		fmt.Printf("%-8s %8d events, %d reconnects\n", m, b.events[m], clients[i].Stats().Reconnects)
	}
	return nil
}

// streams are those of a market that move.
func streams(m tickstorm.Market) []tickstorm.Stream {
	switch m {
	case tickstorm.Indices:
		return []tickstorm.Stream{tickstorm.Values}
	case tickstorm.Forex:
		return []tickstorm.Stream{tickstorm.Quotes}
	default:
		return []tickstorm.Stream{tickstorm.Trades}
	}
}
