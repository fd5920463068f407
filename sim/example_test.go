package sim_test

import (
	"context"
	"fmt"
	"log"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// printer prints trades, and asks for no more of them after the third.
type printer struct {
	tickstorm.NopHandler
	stop   context.CancelFunc
	trades int
}

func (p *printer) OnTrade(t *tickstorm.Trade) {
	if p.trades++; p.trades <= 3 {
		fmt.Println(t.Symbol, t.Price, t.Size)
	}
	if p.trades == 3 {
		p.stop()
	}
}

// A client that needs no key and no network: the market is made up, and the same at
// every run.
func Example() {
	server, err := sim.Start(sim.Config{Seed: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	conn, err := tickstorm.Dial(ctx, server.ClientConfig(tickstorm.Stocks), &printer{stop: stop})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	conn.Request(nil, tickstorm.Topic{Channel: "T", Symbol: "AAPL"}, tickstorm.Topic{Channel: "T", Symbol: "MSFT"})
	_ = conn.Run(ctx) // ctx's error: the handler has stopped it
	// Output:
	// AAPL 282.41 300
	// AAPL 282.4 6
	// MSFT 487.25 80
}

// The server resets the first connection in the middle of the stream; the second lasts.
func ExampleFault() {
	server, err := sim.Start(sim.Config{
		Rate: -1,
		Faults: []sim.Fault{
			{At: sim.OnStreaming, After: 1000, Conn: 1, Do: sim.Cut()},
			{At: sim.OnGreeting, Conn: 2, Do: sim.SplitEveryByte(0)},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	ctx := context.Background()
	conn, err := tickstorm.Dial(ctx, server.ClientConfig(tickstorm.Stocks), tickstorm.NopHandler{})
	if err != nil {
		log.Fatal(err)
	}
	conn.Request(nil, tickstorm.Topic{Channel: "Q", Symbol: tickstorm.All})
	fmt.Println("cut off:", conn.Run(ctx) != nil)

	conn, err = tickstorm.Dial(ctx, server.ClientConfig(tickstorm.Stocks), tickstorm.NopHandler{})
	fmt.Println("again:", err)
	_ = conn.Close()
	// Output:
	// cut off: true
	// again: <nil>
}

// The generator by itself makes messages to test a decoder with.
func ExampleGenerator() {
	g := sim.NewGenerator(tickstorm.Crypto, 1)
	g.Subscribe(tickstorm.Topic{Channel: "XT", Symbol: "BTC-USD"})
	fmt.Printf("%s\n", g.AppendMessage(nil, noon, 1))
	// Output: [{"ev":"XT","pair":"BTC-USD","p":93056.03,"t":1795193999996,"s":0.00015023,"c":[1],"i":"700029755","x":1,"r":1795194000000}]
}

// gapTold is an audit that says when it was told of a gap.
type gapTold struct {
	*sim.Audit
	told chan struct{}
}

func (h gapTold) OnGap(g *tickstorm.Gap) {
	h.Audit.OnGap(g)
	close(h.told)
}

// The connection breaks in the middle of the stream. The audit finds every number delivered
// once and in order, or missing where the client has told of a gap.
func ExampleAudit() {
	server, err := sim.Start(sim.Config{
		Numbered: true,
		Rate:     -1,
		Faults:   []sim.Fault{{At: sim.OnStreaming, After: 1000, Conn: 1, Do: sim.Drop()}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	audit := new(sim.Audit)
	told := make(chan struct{})
	client, err := tickstorm.NewClient(server.ClientConfig(tickstorm.Stocks), gapTold{audit, told})
	if err != nil {
		log.Fatal(err)
	}
	client.Request(nil, tickstorm.Topic{Channel: "T", Symbol: tickstorm.All})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- client.Run(ctx) }()
	<-told
	stop()
	<-ended
	report := audit.Report()
	fmt.Println(report.First, report.Gaps, report.Missing, report.Err())
	// Output: 1 1 0 <nil>
}
