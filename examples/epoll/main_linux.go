// Epoll drives two markets from an event loop of the program's own: stocks and crypto,
// encrypted, in one epoll instance that could hold timers, other sockets and signals just
// as well. The library has no goroutine here once the connections are made.
//
//	go run ./examples/epoll -for 5s
//
// It runs against the built-in simulator, and on Linux only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"syscall"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/epoll"
	"github.com/tickstorm/tickstorm/sim"
)

func main() {
	log.SetFlags(0)
	length := flag.Duration("for", 2*time.Second, "how long to run")
	flag.Parse()
	server, err := sim.Start(sim.Config{TLS: true, Rate: 20_000})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	if err := run(server, *length); err != nil {
		log.Fatal(err)
	}
}

// feed is one market in the loop.
type feed struct {
	tickstorm.NopHandler
	market tickstorm.Market
	*epoll.Detached
	trades int
	more   bool // there is something to read of which epoll does not know
	writes bool // epoll was asked for EPOLLOUT
}

func (f *feed) OnTrade(*tickstorm.Trade) { f.trades++ }

func run(server *sim.Server, length time.Duration) error {
	loop, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	defer syscall.Close(loop)

	feeds := []*feed{{market: tickstorm.Stocks}, {market: tickstorm.Crypto}}
	for i, f := range feeds {
		conn, err := tickstorm.Dial(context.Background(), server.ClientConfig(f.market), f)
		if err != nil {
			return err
		}
		if f.Detached, err = epoll.Detach(conn); err != nil {
			return err
		}
		defer f.Close()
		topics, err := f.market.Topics(tickstorm.Trades, tickstorm.All)
		if err != nil {
			return err
		}
		if err := f.Request(nil, topics...); err != nil {
			return err
		}
		if err := control(loop, syscall.EPOLL_CTL_ADD, i, f); err != nil {
			return err
		}
		f.more = true // what was read before the detaching
	}

	end := time.Now().Add(length)
	events := make([]syscall.EpollEvent, 16)
	for now := time.Now(); now.Before(end); now = time.Now() {
		n, err := syscall.EpollWait(loop, events, wait(feeds, now, end))
		if err != nil && err != syscall.EINTR {
			return err
		}
		now = time.Now() // the Received of what comes now
		for _, f := range feeds {
			f.Advance(now)
		}
		for _, ev := range events[:max(n, 0)] {
			f := feeds[ev.Fd]
			if ev.Events&syscall.EPOLLOUT != 0 {
				_ = f.WriteReady() // its error stays in Err
			}
			f.more = true
		}
		for i, f := range feeds {
			if f.more {
				f.more = errors.Is(f.ReadReady(0), epoll.ErrMore)
			}
			if err := f.Err(); err != nil {
				return err
			}
			if f.WantWrite() != f.writes {
				f.writes = !f.writes
				if err := control(loop, syscall.EPOLL_CTL_MOD, i, f); err != nil {
					return err
				}
			}
		}
	}
	for _, f := range feeds {
		if f.trades == 0 {
			return fmt.Errorf("no trades on %s", f.market)
		}
		fmt.Println(f.trades, "trades on", f.market)
	}
	return nil
}

// control tells epoll what to look out for: level-triggered, as the library wants it.
func control(loop, op, i int, f *feed) error {
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP, Fd: int32(i)}
	if f.writes {
		ev.Events |= syscall.EPOLLOUT
	}
	return syscall.EpollCtl(loop, op, f.Fd(), &ev)
}

// wait returns how many milliseconds there are until something is due.
func wait(feeds []*feed, now, end time.Time) int {
	next := end
	for _, f := range feeds {
		if f.more {
			return 0
		}
		if due := f.Advance(now); !due.IsZero() && due.Before(next) {
			next = due
		}
	}
	return int(next.Sub(now).Milliseconds()) + 1
}
