// Picture runs "tickstorm top" in a terminal of its own, on a simulator that breaks off once, and writes
// what is on its screen as SVG.
//
//	go run ./internal/picture -- ../../bin/tickstorm top >top.svg
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/screen"
	"github.com/tickstorm/tickstorm/sim"
)

func main() {
	width := flag.Int("width", 118, "`cells` a line")
	height := flag.Int("height", 30, "lines")
	after := flag.Duration("after", 40*time.Second, "when the picture is taken")
	keys := flag.String("keys", "", "what is pressed a second before")
	rate := flag.Int("rate", 20000, "`events` a second")
	faults := flag.String("faults", `message=[{"ev":"T"@streaming+12000#1,stall=700ms@streaming+16000#1,cut@streaming+30000#1,http=503@handshake#2`, "what goes wrong, in the words of tickstorm sim")
	text := flag.Bool("text", false, "write the text alone")
	flag.Parse()
	if err := take(*width, *height, *after, *keys, *rate, *faults, *text, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

// take takes the picture of a command, which is told where the simulator is.
func take(width, height int, after time.Duration, keys string, rate int, faults string, text bool, args []string) (err error) {
	if len(args) == 0 {
		return errors.New("no command")
	}
	wrong, err := sim.ParseFaults(faults)
	if err != nil {
		return err
	}
	server, err := sim.Start(sim.Config{Rate: rate, Faults: wrong})
	if err != nil {
		return err
	}
	defer server.Close()
	s, err := screen.Open(width, height)
	if err != nil {
		return err
	}
	defer s.Close()
	cmd := exec.Command(args[0], append(args[1:], "--feed", string(server.Feed()))...)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "COLORTERM=", "NO_COLOR=", "LC_ALL=C.UTF-8")
	if err := s.Start(cmd); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Send("q"), cmd.Wait()) }()
	time.Sleep(after - time.Second)
	if err := s.Send(keys); err != nil {
		return err
	}
	time.Sleep(time.Second)
	if text {
		fmt.Print(s.Text())
	} else {
		fmt.Print(s.SVG("tickstorm top: a feed of the simulator, rates, lag, symbols, and what happened"))
	}
	return nil
}
