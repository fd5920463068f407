package epoll_test

import (
	"context"
	"fmt"
	"log"
	"syscall"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/epoll"
	"github.com/tickstorm/tickstorm/sim"
)

// tradeHandler is a handler of trades.
type tradeHandler struct {
	tickstorm.NopHandler
	do func(*tickstorm.Trade)
}

func (h *tradeHandler) OnTrade(t *tickstorm.Trade) { h.do(t) }

// The event loop is the program's: the library is told when there is something to read,
// and what time it is. See examples/epoll for a loop with several connections.
func ExampleDetach() {
	server, err := sim.Start(sim.Config{
		Quiet: true,
		Faults: []sim.Fault{{
			At: sim.OnSubscribe, Do: sim.Message(`[{"ev":"T","sym":"AAPL","p":187.3,"s":100}]`),
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	h := &tradeHandler{do: func(t *tickstorm.Trade) { fmt.Println(t.Symbol, t.Size, "at", t.Price) }}
	conn, err := tickstorm.Dial(context.Background(), server.ClientConfig(tickstorm.Stocks), h)
	if err != nil {
		log.Fatal(err)
	}
	d, err := epoll.Detach(conn)
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()
	_ = d.Request(func(err error) {
		fmt.Println("subscribed:", err)
		d.Shutdown()
	}, tickstorm.Topic{Channel: "T", Symbol: "AAPL"})

	loop, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		log.Fatal(err)
	}
	defer syscall.Close(loop)
	interest := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP}
	if err := syscall.EpollCtl(loop, syscall.EPOLL_CTL_ADD, d.Fd(), &interest); err != nil {
		log.Fatal(err)
	}
	var events [1]syscall.EpollEvent
	more := true // what was read before the detaching
	for d.Err() == nil {
		wait := 1000 // of course until what Advance returned; here it is seconds away
		if more {
			wait = 0
		}
		_, _ = syscall.EpollWait(loop, events[:], wait) // an interrupted wait is a wait
		d.Advance(time.Now())
		more = d.ReadReady(0) == epoll.ErrMore
	}
	fmt.Println(d.Err())
	// Output:
	// AAPL 100 at 187.3
	// subscribed: <nil>
	// closed
}

// Two markets on one thread: both handlers are called by Run, one at a time, so what
// they share needs no lock.
func ExamplePoller() {
	server, err := sim.Start(sim.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	p, err := epoll.NewPoller(epoll.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	seen := map[tickstorm.Market]bool{}
	h := &tradeHandler{do: func(t *tickstorm.Trade) {
		if seen[t.Market] = true; len(seen) == 2 {
			_ = p.Close() // Run returns nil soon
		}
	}}
	for _, m := range []tickstorm.Market{tickstorm.Stocks, tickstorm.Crypto} {
		client, err := p.AddClient(server.ClientConfig(m), h, func(err error) { fmt.Println(m, "ended:", err) })
		if err != nil {
			log.Fatal(err)
		}
		if err := client.Subscribe(tickstorm.Trades, tickstorm.All); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(p.Run(context.Background()))
	fmt.Println(seen[tickstorm.Stocks], seen[tickstorm.Crypto])
	// Unordered output:
	// stocks ended: <nil>
	// crypto ended: <nil>
	// <nil>
	// true true
}
