package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// The simulator is this program started again, with what it needs to know in its
// environment. It prints where it listens, each fault, and an answer to each line that it
// reads: "calm" ends the faults, "number" asks for the last one. It leaves when its standard
// input closes, which happens however its parent ends.
const simulatorEnv = "TICKSTORM_SOAK_SIMULATOR"

func isSimulator() bool { return os.Getenv(simulatorEnv) != "" }

func simulate() error {
	signal.Ignore(os.Interrupt)
	var rate int
	var seed uint64
	if _, err := fmt.Sscan(os.Getenv(simulatorEnv), &rate, &seed); err != nil {
		return err
	}
	if rate == 0 {
		rate = -1 // as fast as the socket takes
	}
	c, err := newChaos(sim.Config{Numbered: true, Rate: rate, SendBuffer: 1 << 20}, seed)
	if err != nil {
		return err
	}
	fmt.Println("feed", c.feed())
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- c.run(ctx) }()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		switch lines.Text() {
		case "calm":
			cancel()
			if err := <-ended; err != nil {
				return err
			}
			fmt.Println("calm")
		case "number":
			fmt.Println("number", c.number())
		}
	}
	cancel()
	return c.close()
}

// simulator is the child, seen from its parent.
type simulator struct {
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	feed    tickstorm.Feed
	answers chan string
	read    sync.WaitGroup

	mu       sync.Mutex
	happened map[string]int
	total    int
}

func startSimulator(o options) (*simulator, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d", simulatorEnv, o.rate, o.seed))
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
	s := &simulator{cmd: cmd, stdin: stdin, answers: make(chan string, 1), happened: make(map[string]int)}
	lines := bufio.NewScanner(stdout)
	lines.Scan()
	feed, ok := strings.CutPrefix(lines.Text(), "feed ")
	s.feed = tickstorm.Feed(feed)
	s.read.Go(func() { s.listen(lines) })
	if !ok {
		s.stop()
		return nil, fmt.Errorf("the simulator did not start: %v", lines.Err())
	}
	return s, nil
}

// listen takes what the child prints.
func (s *simulator) listen(lines *bufio.Scanner) {
	defer close(s.answers)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		if word != "fault" {
			s.answers <- rest
			continue
		}
		s.mu.Lock()
		s.happened[rest]++
		s.total++
		s.mu.Unlock()
	}
}

// ask sends a line and returns the answer.
func (s *simulator) ask(ctx context.Context, line string) (string, error) {
	if _, err := fmt.Fprintln(s.stdin, line); err != nil {
		return "", err
	}
	select {
	case answer, ok := <-s.answers:
		if !ok {
			return "", fmt.Errorf("the simulator has ended")
		}
		return answer, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (s *simulator) faults() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

func (s *simulator) counts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.happened)
}

func (s *simulator) config() tickstorm.Config {
	return tickstorm.Config{Key: sim.Key, Market: tickstorm.Stocks, Feed: s.feed, Proxy: tickstorm.NoProxy}
}

func (s *simulator) stop() {
	_ = s.stdin.Close()
	s.read.Wait()
	_ = s.cmd.Wait() // its exit status says nothing of the client
}
