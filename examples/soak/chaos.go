package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// chaos is a server that misbehaves, and at times is gone, at one address.
type chaos struct {
	cfg    sim.Config
	random *rand.Rand

	mu     sync.Mutex // protects server
	server *sim.Server
}

func newChaos(cfg sim.Config, seed uint64) (*chaos, error) {
	server, err := sim.Start(cfg)
	if err != nil {
		return nil, err
	}
	cfg.Address = strings.TrimPrefix(string(server.Feed()), "ws://")
	return &chaos{cfg: cfg, random: rand.New(rand.NewPCG(seed, 1)), server: server}, nil
}

func (c *chaos) now() *sim.Server {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.server
}

func (c *chaos) feed() tickstorm.Feed { return c.now().Feed() }
func (c *chaos) number() int64        { return c.now().Stats().LastNumber }
func (c *chaos) close() error         { return c.now().Close() }

// run does one thing after the other until the context ends.
func (c *chaos) run(ctx context.Context) error {
	for c.sleep(ctx, time.Second/2, 3*time.Second) {
		if c.random.IntN(12) == 0 {
			if err := c.restart(ctx); err != nil {
				return err
			}
			continue
		}
		name, do := c.choose()
		for _, conn := range c.now().Conns() {
			fmt.Println("fault", name)
			conn.Do(do)
		}
	}
	return nil
}

// sleep waits for a random time, and reports whether to go on.
func (c *chaos) sleep(ctx context.Context, least, most time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(least + time.Duration(c.random.Int64N(int64(most-least)))):
		return true
	}
}

func (c *chaos) choose() (name string, do sim.Action) {
	switch c.random.IntN(16) {
	case 0, 1:
		return "cut", sim.Cut()
	case 2:
		return "drop", sim.Drop()
	case 3:
		return "half a frame", sim.HalfFrame()
	case 4:
		return "garbage", sim.Garbage()
	case 5:
		return "giant length", sim.GiantLength()
	case 6, 7:
		code := []int{1000, 1001, 1008, 1011, 1012}[c.random.IntN(5)]
		return fmt.Sprint("close ", code), sim.Close(code, "soak")
	case 8, 9:
		return "stall", sim.Stall(time.Duration(c.random.Int64N(int64(3*time.Second))) + 1)
	case 10:
		return "silence", sim.Stall(0)
	case 11:
		return "pings", sim.PingFlood(5000)
	case 12:
		return "split", sim.SplitEveryByte(20_000)
	case 13:
		return "broken element", sim.Message(`[{"ev":"T","sym":"A","p":1e},{"ev":"status","status":"mood","message":"broken"}]`)
	case 14:
		return "no JSON", sim.Message("oops")
	default:
		return "max_connections", sim.Message(`[{"ev":"status","status":"max_connections","message":"Maximum number of websocket connections exceeded. "}]`)
	}
}

// restart ends the server, and starts another one at its address after a while.
func (c *chaos) restart(ctx context.Context) error {
	fmt.Println("fault restart")
	old := c.now()
	_ = old.Close()
	c.sleep(ctx, time.Millisecond, 2*time.Second)
	cfg := c.cfg
	cfg.FirstNumber = old.Stats().LastNumber + 1
	server, err := sim.Start(cfg)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server = server
	return nil
}
