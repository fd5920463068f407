// Relay has three programs share one connection: the simulator numbers its events, a relay holds
// the one connection to it, and three clients with different topics connect to the relay as they
// would to the vendor. Each event must come to one of them, once; the exit code says so.
//
//	go run ./examples/relay
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/relay"
	"github.com/tickstorm/tickstorm/sim"
)

func main() {
	log.SetFlags(0)
	length := flag.Duration("for", 3*time.Second, "how long to stream")
	rate := flag.Int("rate", 50_000, "the simulator's events per second")
	flag.Parse()
	if err := run(*length, *rate); err != nil {
		log.Fatal("relay: ", err)
	}
}

func run(length time.Duration, rate int) (err error) {
	vendor, err := sim.Start(sim.Config{Numbered: true, Rate: rate})
	if err != nil {
		return err
	}
	defer vendor.Close()

	// The relay: one connection upstream, any number of clients on loopback.
	server, err := relay.New(relay.Config{Upstreams: []tickstorm.Config{vendor.ClientConfig(tickstorm.Stocks)}})
	if err != nil {
		return err
	}
	listener, err := relay.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listener) }()
	feed := tickstorm.Feed("ws://" + listener.Addr().String())
	fmt.Printf("the relay serves %s/stocks\n", feed)

	var serials serials
	programs := []*program{
		{name: "charts", topics: "T.*", serials: &serials},
		{name: "strategy", topics: "Q.AAPL,Q.MSFT", serials: &serials},
		{name: "alerts", topics: "Q.NVDA", serials: &serials},
	}
	for _, p := range programs {
		if err := p.start(ctx, feed); err != nil {
			return err
		}
		defer p.client.Close()
	}
	time.Sleep(length)
	for _, c := range vendor.Conns() {
		c.Do(sim.Stall(0)) // nothing follows what has been sent
	}
	settle(&serials)

	upstream := server.Stats().Markets[0]
	fmt.Printf("%d connection upstream, %d topics, %d events\n\n%-10s %-16s %10s\n",
		vendor.Stats().Open, upstream.Topics, upstream.Events, "program", "topics", "events")
	sum := uint64(0)
	for _, p := range programs {
		fmt.Printf("%-10s %-16s %10d\n", p.name, p.topics, p.events.Load())
		sum += p.events.Load()
	}
	fmt.Printf("%-10s %-16s %10d\n", "", "sum", sum)
	if err := serials.check(sum); err != nil {
		return err
	}
	fmt.Println("\nthe sum is right: each number came to one of them, once")
	for _, p := range programs {
		if err := p.client.Close(); err != nil {
			return err
		}
	}
	if err := server.Shutdown(context.Background()); err != nil {
		return err
	}
	return <-served
}

// program is a client that knows nothing of the relay but its address.
type program struct {
	tickstorm.NopHandler
	name, topics string
	serials      *serials
	client       *tickstorm.Client
	events       atomic.Uint64
}

func (p *program) start(ctx context.Context, feed tickstorm.Feed) (err error) {
	cfg := tickstorm.Config{Key: "any key will do", Market: tickstorm.Stocks, Feed: feed, Proxy: tickstorm.NoProxy}
	if p.client, err = tickstorm.NewClient(cfg, p); err != nil {
		return err
	}
	if err := p.client.Start(ctx); err != nil {
		return err
	}
	topics, err := tickstorm.ParseTopics(p.topics)
	if err != nil {
		return err
	}
	return p.client.SubscribeTopics(ctx, topics...)
}

func (p *program) OnTrade(e *tickstorm.Trade) { p.took(e.Sequence) }
func (p *program) OnQuote(e *tickstorm.Quote) { p.took(e.Sequence) }

func (p *program) took(number int64) {
	p.events.Add(1)
	p.serials.add(number)
}

// serials are the numbers that have come, to whomever.
type serials struct {
	mu       sync.Mutex
	came     map[int64]bool
	last     int64
	repeated int64 // one that came twice; 0 for none
}

func (s *serials) add(number int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.came == nil {
		s.came = map[int64]bool{}
	}
	if s.came[number] {
		s.repeated = number
	}
	s.came[number] = true
	s.last = max(s.last, number)
}

func (s *serials) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.came)
}

// check returns what is wrong with the numbers, which are to be all from 1 on.
func (s *serials) check(sum uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.last == 0:
		return errors.New("no event came")
	case s.repeated != 0:
		return fmt.Errorf("number %d came twice", s.repeated)
	case sum != uint64(s.last):
		return fmt.Errorf("the last number is %d, and %d events came", s.last, sum)
	}
	return nil
}

// settle waits until nothing comes any more.
func settle(s *serials) {
	for before := -1; before != s.count(); {
		before = s.count()
		time.Sleep(500 * time.Millisecond)
	}
}
