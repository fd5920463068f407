package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// between is the process that is measured.
type between struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
	address string
}

func start(way string, env ...string) (*between, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	b := &between{cmd: exec.Command(program)}
	b.cmd.Env = append(append(os.Environ(), childVariable+"="+way), env...)
	b.cmd.Stderr = os.Stderr
	if b.in, err = b.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	b.out = bufio.NewScanner(out)
	if !b.out.Scan() {
		b.end()
		return nil, fmt.Errorf("the process between has not begun: %w", b.out.Err())
	}
	b.address = b.out.Text()
	return b, nil
}

// used is the processor time that it has used so far.
func (b *between) used() (time.Duration, error) {
	if _, err := io.WriteString(b.in, "\n"); err != nil {
		return 0, err
	}
	if !b.out.Scan() {
		return 0, fmt.Errorf("the process between has ended: %w", b.out.Err())
	}
	n, err := strconv.ParseInt(b.out.Text(), 10, 64)
	return time.Duration(n), err
}

func (b *between) end() {
	_ = b.in.Close()
	_ = b.cmd.Process.Kill() // it has nothing to finish
	_ = b.cmd.Wait()
}

// measure has one way serve the clients of a scene.
func measure(f *feed, s scene, way string, length time.Duration) (r result, err error) {
	vendor, err := sim.Start(sim.Config{MaxConnections: 1000, Replay: &sim.Replay{
		Speed: 1,
		Open:  func(tickstorm.Market) (sim.Source, error) { return &source{feed: f}, nil },
	}})
	if err != nil {
		return r, err
	}
	defer vendor.Close()
	cfg := vendor.ClientConfig(tickstorm.Stocks)
	share := ""
	if s.share {
		share = "yes"
	}
	b, err := start(way, feedVariable+"="+string(cfg.Feed), keyVariable+"="+cfg.Key, clientsVariable+"="+strconv.Itoa(s.clients),
		shareVariable+"="+share, fmt.Sprintf("%s=%d", rateVariable, int(float64(f.events)/f.pace.Seconds())))
	if err != nil {
		return r, err
	}
	defer b.end()
	address := b.address
	var all crowd
	defer func() { _ = all.close() }()
	for i := range s.clients {
		var c *client
		var err error
		switch way {
		case "relay":
			c, err = handshake(address, "/stocks", `{"action":"auth","params":"`+cfg.Key+`"}`, `{"action":"subscribe","params":"`+f.topics(s, i)+`"}`)
		case "nats":
			c, err = dial(address, "CONNECT {\"verbose\":false}\r\nSUB all 1\r\n")
		default:
			c, err = dial(address, "")
		}
		if err != nil {
			return r, err
		}
		all.add(c)
	}
	if s.stuck {
		c, err := handshake(address, "/stocks?subscribe=T.*,Q.*")
		if err != nil {
			return r, err
		}
		defer c.conn.Close()
	}
	if way == "nats" {
		stop, err := publish(f, address)
		if err != nil {
			return r, err
		}
		defer stop()
	}
	if err := all.awaitBytes(16 << 10); err != nil {
		return r, err
	}
	all.measureLag(true)
	cpu, err := b.used()
	if err != nil {
		return r, err
	}
	bytes := all.bytes()
	time.Sleep(length)
	after, err := b.used()
	if err != nil {
		return r, err
	}
	r.bytes, r.cpu = all.bytes()-bytes, after-cpu
	all.measureLag(false)
	lag := all.close()
	r.p50, r.p99 = lag.Quantile(0.5), lag.Quantile(0.99)
	return r, nil
}

// publish sends the feed to a NATS server, until stop is called.
func publish(f *feed, address string) (stop func(), err error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, "CONNECT {\"verbose\":false}\r\n"); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, conn) }() // to its end, which is stop
	go func() {
		defer close(done)
		var b []byte
		_ = f.run(time.Hour, func(msg []byte, _ int) error {
			b = fmt.Appendf(b[:0], "PUB all %d\r\n", len(msg))
			b = append(append(b, msg...), "\r\n"...)
			if _, err := conn.Write(b); err != nil {
				return err
			}
			return ctx.Err()
		})
	}()
	return func() {
		cancel()
		_ = conn.Close()
		<-done
	}, nil
}
