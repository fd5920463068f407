// Ownloop drives a Session from a loop of its own: no Conn, no goroutine of the
// library, one place where bytes and time come in. The loop here is a blocking read
// with a deadline; an event loop on io_uring, or one that never sleeps, does the same
// calls. For one on epoll, which needs a connection that never blocks, also with TLS, see
// examples/epoll.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"time"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

type counter struct {
	tickstorm.NopHandler
	quotes int
}

func (c *counter) OnQuote(*tickstorm.Quote) { c.quotes++ }

func main() {
	length := flag.Duration("for", 2*time.Second, "how long to run")
	flag.Parse()
	server, err := sim.Start(sim.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	h := &counter{}
	if err := run(server.ClientConfig(tickstorm.Stocks), h, *length); err != nil {
		log.Fatal(err)
	}
	fmt.Println(h.quotes, "quotes in", *length)
}

func run(cfg tickstorm.Config, h tickstorm.Handler, length time.Duration) error {
	session, err := tickstorm.NewSession(cfg, h) // the key waits in Outgoing
	if err != nil {
		return err
	}
	topics, err := cfg.Market.Topics(tickstorm.Quotes, tickstorm.All)
	if err != nil {
		return err
	}
	if err := session.Request(nil, topics...); err != nil { // goes out once the key is accepted
		return err
	}

	// Any transport will do, as long as the WebSocket handshake is behind it.
	conn, early, _, err := ws.Dial(context.Background(), string(cfg.Feed)+"/"+string(cfg.Market))
	if err != nil {
		return err
	}
	defer conn.Close()
	session.Advance(time.Now())
	if early != nil { // the server greets at once: its first bytes may be here
		p, _ := early.Peek(early.Buffered())
		_ = session.Feed(p)
		ws.PutReader(early)
	}

	end := time.Now().Add(length)
	for {
		now := time.Now()
		if !now.Before(end) {
			session.Close() // Err becomes ErrClosed when the server has answered
		}
		deadline := session.Advance(now)
		if err := write(conn, session); err != nil {
			_ = session.Disconnected(err)
		}
		if err := session.Err(); err != nil {
			if errors.Is(err, tickstorm.ErrClosed) {
				return nil
			}
			return err
		}
		if now.Before(end) && (deadline.IsZero() || end.Before(deadline)) {
			deadline = end
		}
		if err := conn.SetReadDeadline(deadline); err != nil {
			return err
		}
		n, err := conn.Read(session.Buffer())
		session.Advance(time.Now())
		_ = session.Commit(n) // its error stays in Err
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			_ = session.Disconnected(err)
		}
	}
}

func write(conn net.Conn, session *tickstorm.Session) error {
	for out := session.Outgoing(); len(out) > 0; out = session.Outgoing() {
		n, err := conn.Write(out)
		session.Sent(n)
		if err != nil {
			return err
		}
	}
	return nil
}
