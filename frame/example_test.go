package frame_test

import (
	"errors"
	"fmt"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm/frame"
)

// echo sends back what it receives, as a WebSocket conformance suite asks of its subject.
type echo struct{ f *frame.Framer }

func (e *echo) OnMessage(op ws.OpCode, p []byte) error { return e.f.Send(op, p) }
func (e *echo) OnControl(ws.OpCode, []byte)            {}

// printer shows what it receives.
type printer struct{}

func (printer) OnMessage(_ ws.OpCode, p []byte) error {
	fmt.Printf("message %s\n", p)
	return nil
}

func (printer) OnControl(op ws.OpCode, p []byte) {
	if op == ws.OpPong {
		fmt.Printf("pong %s\n", p)
	}
}

// A Framer moves no bytes by itself. Here two of them talk without a network: what one has
// to send is what the other receives.
func ExampleFramer() {
	e := new(echo)
	server := frame.New(frame.Config{Server: true}, e)
	e.f = server
	client := frame.New(frame.Config{}, printer{})

	move := func(from, to *frame.Framer) error {
		p := from.Outgoing()
		err := to.Feed(p)
		from.Sent(len(p))
		return err
	}

	_ = client.Send(ws.OpText, []byte("hello"))
	_ = client.Ping([]byte("still there?"))
	_ = client.Close(ws.StatusNormalClosure, "done")
	_ = move(client, server)
	err := move(server, client)

	var closed *frame.CloseError
	if errors.As(err, &closed) {
		fmt.Println("closed", closed.Code)
	}
	// Output:
	// message hello
	// pong still there?
	// closed 1000
}

// Reading straight into the window saves a copy: this is the loop of a connection.
func ExampleFramer_Buffer() {
	incoming := ws.MustCompileFrame(ws.NewTextFrame([]byte("tick"))) // stands for a socket
	read := func(p []byte) int {
		n := copy(p, incoming)
		incoming = incoming[n:]
		return n
	}

	f := frame.New(frame.Config{}, printer{})
	for {
		n := read(f.Buffer())
		if n == 0 {
			return
		}
		if err := f.Commit(n); err != nil {
			fmt.Println(err)
			return
		}
		f.Sent(len(f.Outgoing())) // a connection writes them first
	}
	// Output: message tick
}
