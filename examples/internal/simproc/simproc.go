// Package simproc runs the simulator in a process of its own, so that what a program
// measures is its own doing.
package simproc

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"strings"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// The simulator is the program started again, with what it needs of the sim.Config in its
// environment. It says on standard output where it listens, and leaves when its standard
// input closes, which happens however its parent ends. Ctrl-C reaches it too and is none of
// its business.
const environment = "TICKSTORM_SIMULATOR"

// Options are what a simulator in another process can be told.
type Options struct {
	Rate     int // as in [sim.Config]
	Seed     int64
	Numbered bool
}

// Main is the simulator's whole life if this process is to be one: call it first in main.
// In any other process it returns at once.
func Main() {
	text := os.Getenv(environment)
	if text == "" {
		return
	}
	if err := serve(text); err != nil {
		log.Fatal("simulator: ", err)
	}
	os.Exit(0)
}

func serve(text string) error {
	signal.Ignore(os.Interrupt)
	var o Options
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	server, err := sim.Start(sim.Config{Rate: o.Rate, Seed: o.Seed, Numbered: o.Numbered})
	if err != nil {
		return err
	}
	defer server.Close()
	fmt.Println(server.Feed())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// Simulator is a simulator in another process.
type Simulator struct {
	cmd   *exec.Cmd
	stdin io.Closer
	feed  tickstorm.Feed
}

// Start starts one.
func Start(o Options) (*Simulator, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), environment+"="+string(text))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &Simulator{cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		s.Stop()
		return nil, fmt.Errorf("the simulator did not start: %w", err)
	}
	s.feed = tickstorm.Feed(strings.TrimSpace(line))
	return s, nil
}

// Config returns a Config for a market of the simulator's.
func (s *Simulator) Config(m tickstorm.Market) tickstorm.Config {
	return tickstorm.Config{Key: sim.Key, Market: m, Feed: s.feed, Proxy: tickstorm.NoProxy}
}

// Stop ends it.
func (s *Simulator) Stop() {
	_ = s.stdin.Close()
	_ = s.cmd.Wait() // its exit status says nothing of the stream
}
