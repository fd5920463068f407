package tickstorm_test

import (
	"context"
	"fmt"
	"log"
	"syscall"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// The event loop is the program's: the library is told when there is something to read,
// and what time it is. See examples/epoll for a loop with several connections.
func ExampleConn_Detach() {
	server := market(`[{"ev":"T","sym":"AAPL","p":187.3,"s":100}]`)
	defer server.Close()

	conn, err := tickstorm.Dial(context.Background(), server.ClientConfig(tickstorm.Stocks), prices{})
	if err != nil {
		log.Fatal(err)
	}
	d, err := conn.Detach()
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()
	_ = d.Subscribe(func(err error) {
		fmt.Println("subscribed:", err)
		d.Shutdown()
	}, tickstorm.Topic{Channel: "T", Symbol: "AAPL"})

	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		log.Fatal(err)
	}
	defer syscall.Close(epoll)
	interest := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP}
	if err := syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, d.Fd(), &interest); err != nil {
		log.Fatal(err)
	}
	var events [1]syscall.EpollEvent
	more := true // what was read before the detaching
	for d.Err() == nil {
		wait := 1000 // of course until what Advance returned; here it is seconds away
		if more {
			wait = 0
		}
		_, _ = syscall.EpollWait(epoll, events[:], wait) // an interrupted wait is a wait
		d.Advance(time.Now())
		more = d.ReadReady(0) == tickstorm.ErrMore
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

	p, err := tickstorm.NewPoller(tickstorm.PollerConfig{})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	seen := map[tickstorm.Market]bool{}
	h := &onTrade{do: func(t *tickstorm.Trade) {
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

// A dialer with options of the socket; without one of the program's own, Config.Socket is
// all it takes.
func ExampleSocketOptions() {
	options := tickstorm.SocketOptions{ReceiveBuffer: 4 << 20, UserTimeout: 20 * time.Second}
	dialer := options.Dialer()
	dialer.LocalAddr = nil // whatever else it is to do
	cfg := tickstorm.Config{NetDial: dialer.DialContext, Socket: options}
	fmt.Println(cfg.Socket.ReceiveBuffer)
	// Output: 4194304
}
