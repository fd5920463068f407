// Echo is an echo client on tickstorm's frame layer alone: what it receives, text or
// binary, it sends back. A conformance suite such as Autobahn drives a WebSocket
// client that way:
//
//	go run ./examples/echo -agent tickstorm ws://127.0.0.1:9001
//
// asks the suite at that address for the number of its cases, runs each as
// /runCase?case=N&agent=A and has the report written with /updateReports?agent=A. With
// -once it connects to the given address once and echoes until the server closes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm/frame"
)

func main() {
	agent := flag.String("agent", "tickstorm", "name in the suite's report")
	once := flag.Bool("once", false, "connect to the address once, without asking for cases")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: echo [-agent name] [-once] ws://host:port")
		os.Exit(2)
	}
	if err := run(strings.TrimSuffix(flag.Arg(0), "/"), url.QueryEscape(*agent), *once); err != nil {
		log.Fatal(err)
	}
}

func run(base, agent string, once bool) error {
	if once {
		_, err := echo(base)
		return err
	}
	last, err := echo(base + "/getCaseCount")
	if err != nil {
		return err
	}
	cases, err := strconv.Atoi(strings.TrimSpace(last))
	if err != nil {
		return fmt.Errorf("the suite's number of cases: %w", err)
	}
	for i := 1; i <= cases; i++ {
		if _, err := echo(fmt.Sprintf("%s/runCase?case=%d&agent=%s", base, i, agent)); err != nil {
			fmt.Printf("case %d: %v\n", i, err)
		}
	}
	_, err = echo(base + "/updateReports?agent=" + agent)
	fmt.Printf("%d cases run\n", cases)
	return err
}

// echoer sends each message back.
type echoer struct {
	framer *frame.Framer
	last   string
}

func (e *echoer) OnMessage(op ws.OpCode, p []byte) error {
	e.last = string(p)
	if err := e.framer.Send(op, p); !errors.Is(err, frame.ErrCloseSent) {
		return err
	}
	return nil
}

func (*echoer) OnControl(ws.OpCode, []byte) {}

// echo connects and echoes until the server closes; it returns the last message.
func echo(address string) (string, error) {
	const patience = 30 * time.Second // for one case
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, early, _, err := ws.Dial(ctx, address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	e := &echoer{}
	e.framer = frame.New(frame.Config{MaxMessage: 64 << 20}, e)
	if early != nil { // what came right behind the handshake
		p, _ := early.Peek(early.Buffered())
		err = e.framer.Feed(p)
		ws.PutReader(early)
	}
	for {
		for out := e.framer.Outgoing(); len(out) > 0; out = e.framer.Outgoing() {
			n, werr := conn.Write(out)
			e.framer.Sent(n)
			if werr != nil {
				return e.last, werr
			}
		}
		var closed *frame.CloseError
		switch {
		case errors.As(err, &closed) && !closed.Local, errors.Is(err, io.EOF):
			return e.last, nil
		case err != nil:
			return e.last, err
		}
		var n int
		n, err = conn.Read(e.framer.Buffer())
		if n > 0 {
			if ferr := e.framer.Commit(n); ferr != nil {
				err = ferr
			}
		}
	}
}
