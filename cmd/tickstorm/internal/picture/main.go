// Picture runs "tickstorm top" in a terminal of its own, and writes what is on its screen as SVG.
//
//	go run ./internal/picture -keys '' -- go run . top --demo >top.svg
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/screen"
)

func main() {
	width := flag.Int("width", 120, "`cells` a line")
	height := flag.Int("height", 30, "lines")
	after := flag.Duration("after", 20*time.Second, "when the picture is taken")
	keys := flag.String("keys", "", "what is pressed a second before")
	text := flag.Bool("text", false, "write the text alone")
	flag.Parse()
	if err := take(*width, *height, *after, *keys, *text, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

// take takes the picture of a command.
func take(width, height int, after time.Duration, keys string, text bool, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("no command")
	}
	s, err := screen.Open(width, height)
	if err != nil {
		return err
	}
	defer s.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "COLORTERM=", "NO_COLOR=", "LC_ALL=C.UTF-8")
	if err := s.Start(cmd); err != nil {
		return err
	}
	time.Sleep(after - time.Second)
	if err := s.Send(keys); err != nil {
		return err
	}
	time.Sleep(time.Second)
	if text {
		fmt.Print(s.Text())
	} else {
		fmt.Print(s.SVG("tickstorm top"))
	}
	if err := s.Send("q"); err != nil {
		return err
	}
	return cmd.Wait()
}
