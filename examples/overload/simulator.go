package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// The simulator is this program started again with the rate in its environment. It
// says on standard output where it listens, and leaves when its standard input closes,
// which happens however its parent ends. Ctrl-C reaches it too and is none of its business.
const simulatorEnv = "TICKSTORM_OVERLOAD_SIMULATOR"

func isSimulator() bool { return os.Getenv(simulatorEnv) != "" }

func simulate() error {
	signal.Ignore(os.Interrupt)
	rate, err := strconv.Atoi(os.Getenv(simulatorEnv))
	if err != nil {
		return err
	}
	server, err := sim.Start(sim.Config{Rate: rate})
	if err != nil {
		return err
	}
	defer server.Close()
	fmt.Println(server.Feed())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

type simulator struct {
	cmd   *exec.Cmd
	stdin io.Closer
	feed  tickstorm.Feed
}

func startSimulator(rate int) (*simulator, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), simulatorEnv+"="+strconv.Itoa(rate))
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
	s := &simulator{cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("the simulator did not start: %w", err)
	}
	s.feed = tickstorm.Feed(strings.TrimSpace(line))
	return s, nil
}

func (s *simulator) config(m tickstorm.Market) tickstorm.Config {
	return tickstorm.Config{Key: "simulated", Market: m, Feed: s.feed, Proxy: tickstorm.NoProxy}
}

func (s *simulator) stop() {
	_ = s.stdin.Close()
	_ = s.cmd.Wait() // its exit status says nothing of the stream
}
