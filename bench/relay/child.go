package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/gobwas/ws"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/cputime"
	"github.com/tickstorm/tickstorm/internal/dialogue"
	"github.com/tickstorm/tickstorm/relay"
)

// The process between is this program, started again with these in its environment.
const (
	childVariable   = "TICKSTORM_BENCH_CHILD"
	feedVariable    = "TICKSTORM_BENCH_FEED" // the simulator's URL
	keyVariable     = "TICKSTORM_BENCH_KEY"
	clientsVariable = "TICKSTORM_BENCH_CLIENTS"
	shareVariable   = "TICKSTORM_BENCH_SHARE"
	rateVariable    = "TICKSTORM_BENCH_RATE"
)

// child is the process between. It prints its address, and for each line that it reads how much
// processor time it has used so far; it ends with what it reads.
func child(way string) error {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var address string
	var err error
	switch way {
	case "relay":
		address, err = relayed(ctx, cancel)
	case "loop":
		address, err = looped(cancel)
	case "nats":
		address, err = nats()
	default:
		err = errors.New("no such way")
	}
	if err != nil {
		return err
	}
	fmt.Println(address)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		fmt.Println(cputime.Used().Nanoseconds())
	}
	err = context.Cause(ctx)
	if err == nil || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) { // the clients have gone
		err = in.Err()
	}
	return err
}

func relayed(ctx context.Context, fail context.CancelCauseFunc) (address string, err error) {
	s, err := relay.New(relay.Config{
		Upstreams: []tickstorm.Config{{
			Key: os.Getenv(keyVariable), Feed: tickstorm.Feed(os.Getenv(feedVariable)), Market: tickstorm.Stocks,
		}},
		Queue: relay.QueueConfig{Overflow: tickstorm.OverflowDropOldest}, // who is stuck stays
	})
	if err != nil {
		return "", err
	}
	l, err := relay.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() { fail(s.Serve(ctx, l)) }()
	return l.Addr().String(), nil
}

// looped writes the feed to as many connections as are to come, one after the other.
func looped(fail context.CancelCauseFunc) (address string, err error) {
	clients, err := strconv.Atoi(os.Getenv(clientsVariable))
	if err != nil {
		return "", err
	}
	rate, err := strconv.Atoi(os.Getenv(rateVariable))
	if err != nil {
		return "", err
	}
	f, err := newFeed(rate)
	if err != nil {
		return "", err
	}
	s := scene{clients: clients, share: os.Getenv(shareVariable) != ""}
	var shares [][][]byte
	if s.share {
		shares = f.filtered(s)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() {
		var conns []net.Conn
		for range clients {
			c, err := l.Accept()
			if err != nil {
				fail(err)
				return
			}
			conns = append(conns, c)
		}
		var frame []byte
		alone := lone()
		fail(f.run(time.Hour, func(msg []byte, number int) error {
			if !s.share {
				frame = dialogue.AppendFrame(frame[:0], ws.OpText, msg)
			}
			for i, c := range conns {
				if s.share {
					frame = frame[:0]
					if m := shares[number%len(shares)][i]; m != nil {
						frame = dialogue.AppendFrame(frame, ws.OpText, m)
					}
					if number%stampEvery == 0 {
						stamp(alone, time.Now())
						frame = dialogue.AppendFrame(frame, ws.OpText, alone)
					}
				}
				if len(frame) == 0 {
					continue
				}
				if _, err := c.Write(frame); err != nil {
					return err
				}
			}
			return nil
		}))
	}()
	return l.Addr().String(), nil
}

func nats() (address string, err error) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true})
	if err != nil {
		return "", err
	}
	go s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return "", errors.New("the server is not ready")
	}
	return s.Addr().String(), nil
}
