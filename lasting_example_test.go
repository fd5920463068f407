package tickstorm_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// blocking drives a Lasting on one goroutine, which waits in reads.
type blocking struct {
	l       *tickstorm.Lasting
	session *tickstorm.Session
	posted  chan func()
}

func (b *blocking) Post(do func())                   { b.posted <- do }
func (b *blocking) OnState(s *tickstorm.StateChange) { fmt.Println(s.State) }

func (b *blocking) OnGap(g *tickstorm.Gap) {
	fmt.Println("missed", len(g.Topics), "topics")
	b.l.Close()
	b.session.Close()
}

func (b *blocking) run(ctx context.Context) error {
	for {
		session, err := b.l.Connect(time.Now())
		var opened *tickstorm.Opened
		if err == nil {
			opened, err = tickstorm.Open(ctx, session)
		}
		if err == nil {
			b.l.Opened(time.Now())
			err = b.stream(opened)
		}
		wait, err := b.l.Lost(err, time.Now())
		if err != nil {
			b.l.End(err, time.Now())
			return err
		}
		time.Sleep(wait)
	}
}

// stream drives a session until it has ended.
func (b *blocking) stream(o *tickstorm.Opened) error {
	defer o.Conn.Close()
	s := o.Session
	b.session = s
	s.Advance(time.Now())
	_ = s.Feed(o.Early)
	for s.Err() == nil {
		for len(b.posted) > 0 {
			(<-b.posted)()
		}
		n, err := o.Conn.Write(s.Outgoing())
		s.Sent(n)
		if err == nil {
			_ = o.Conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)) // at most until s.Deadline()
			n, err = o.Conn.Read(s.Buffer())
			s.Advance(time.Now())
			_ = s.Commit(n)
		}
		var timeout net.Error
		if err != nil && !(errors.As(err, &timeout) && timeout.Timeout()) {
			_ = s.Disconnected(err)
		}
	}
	return s.Err()
}

// A driver of one's own: a connection that lasts, on one goroutine that waits in reads. The
// server cuts the first connection off; what was missed ends the second.
func ExampleLasting() {
	server, err := sim.Start(sim.Config{
		Rate:   -1,
		Faults: []sim.Fault{{At: sim.OnStreaming, After: 100, Conn: 1, Do: sim.Drop()}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	b := &blocking{posted: make(chan func(), 16)}
	b.l, err = tickstorm.NewLasting(server.ClientConfig(tickstorm.Stocks), tickstorm.NopHandler{}, b)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := b.l.Request(nil, tickstorm.Topic{Channel: "T", Symbol: tickstorm.All}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(b.run(context.Background()))
	// Output:
	// connecting
	// authenticating
	// subscribing
	// streaming
	// backoff
	// connecting
	// authenticating
	// subscribing
	// streaming
	// missed 1 topics
	// closed
	// closed
}
