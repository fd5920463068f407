package tickstorm_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// prices prints trades. The embedded NopHandler has the methods that do not matter.
type prices struct{ tickstorm.NopHandler }

func (prices) OnTrade(t *tickstorm.Trade) { fmt.Println(t.Symbol, t.Size, "at", t.Price) }

func (prices) OnError(e *tickstorm.EventError) { fmt.Println(e) }

// A Parser needs no connection: here are a message's two events, and one that is none.
func ExampleParser_Parse() {
	message := []byte(`[{"ev":"T","sym":"AAPL","p":187.3,"s":100},{"ev":"T","sym":"BRK.B","p":401.5,"s":5},"?"]`)

	p := tickstorm.NewParser(tickstorm.Stocks)
	if err := p.Parse(message, prices{}); err != nil { // only if the message as a whole is bad
		log.Fatal(err)
	}
	// Output:
	// AAPL 100 at 187.3
	// BRK.B 5 at 401.5
	// element is no object: "\"?\""
}

// A Session has no socket: what it has to send is in Outgoing, and what was received
// goes in by Feed. Here the two sides of the dialogue are played by hand.
func ExampleSession() {
	server := func(messages ...string) (frames []byte) {
		for _, m := range messages {
			frames = append(frames, ws.MustCompileFrame(ws.NewTextFrame([]byte(m)))...)
		}
		return frames
	}

	s, err := tickstorm.NewSession(tickstorm.Config{Key: "your key", Market: tickstorm.Stocks}, prices{})
	if err != nil {
		log.Fatal(err)
	}
	_ = s.Request(func(err error) { fmt.Println("subscribed:", err) }, tickstorm.Topic{Channel: "T", Symbol: "AAPL"})

	s.Advance(time.Now()) // tells the time, and returns when to tell it again
	s.Sent(len(s.Outgoing()))
	fmt.Println(s.State())

	_ = s.Feed(server(`[{"ev":"status","status":"auth_success","message":"authenticated"}]`))
	fmt.Println(s.State(), "with a request to send:", len(s.Outgoing()) > 0)
	s.Sent(len(s.Outgoing()))

	_ = s.Feed(server(
		`[{"ev":"status","status":"success","message":"subscribed to: T.AAPL"}]`,
		`[{"ev":"T","sym":"AAPL","p":187.3,"s":100}]`))

	fmt.Println(s.Disconnected(errors.New("the cable was cut")))
	// Output:
	// authenticating
	// ready with a request to send: true
	// subscribed: <nil>
	// AAPL 100 at 187.3
	// disconnected: the cable was cut
}

// market starts a server of one's own that sends this message to whoever subscribes.
func market(message string) *sim.Server {
	server, err := sim.Start(sim.Config{
		Quiet:  true,
		Faults: []sim.Fault{{At: sim.OnSubscribe, Do: sim.Message(message)}},
	})
	if err != nil {
		log.Fatal(err)
	}
	return server
}

// Dial returns an authenticated connection, Subscribe waits for the server's word, and
// Run calls the handler until the connection ends.
func ExampleDial() {
	server := market(`[{"ev":"T","sym":"AAPL","p":187.3,"s":100}]`)
	defer server.Close()
	cfg := server.ClientConfig(tickstorm.Stocks) // for the real thing: tickstorm.ConfigFromEnv

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := tickstorm.Dial(ctx, cfg, prices{})
	if err != nil {
		log.Fatal(err)
	}
	if err := conn.Subscribe(ctx, tickstorm.Trades, "AAPL"); err != nil {
		log.Fatal(err)
	}
	fmt.Println("subscribed")

	server.Conns()[0].Kick(1001, "going away")
	fmt.Println(conn.Run(ctx))
	// Output:
	// AAPL 100 at 187.3
	// subscribed
	// websocket closed by peer with 1001 "going away"
}

// A subscription that is not granted in full says what became of each topic.
func ExampleConn_Subscribe() {
	server, err := sim.Start(sim.Config{Quiet: true, Keys: map[string]sim.Plan{"key": {Channels: []string{"T"}}}})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	conn, err := tickstorm.Dial(context.Background(), server.ClientConfig(tickstorm.Stocks), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	err = conn.Subscribe(context.Background(), tickstorm.Quotes, "AAPL", "MSFT")
	var result *tickstorm.SubscribeError
	if errors.As(err, &result) {
		fmt.Println("acknowledged:", result.Acked)
		fmt.Println("refused:", result.Refused)
	}
	fmt.Println(errors.Is(err, tickstorm.ErrNotAuthorized))
	fmt.Println(err)
	// Output:
	// acknowledged: []
	// refused: [Q.AAPL Q.MSFT]
	// true
	// 0 of 2 topics acknowledged, 2 refused (Q.AAPL …): server says error: not authorized (and 1 more)
}

// Run reads and calls the handler; Close may be called from anywhere, also from a handler.
func ExampleConn_Run() {
	server := market(`[{"ev":"T","sym":"AAPL","p":187.3,"s":100}]`)
	defer server.Close()
	h := &first{}
	conn, err := tickstorm.Dial(context.Background(), server.ClientConfig(tickstorm.Stocks), h)
	if err != nil {
		log.Fatal(err)
	}
	h.close = conn.Close
	conn.Request(nil, tickstorm.Topic{Channel: "T", Symbol: "AAPL"}) // does not wait
	fmt.Println(conn.Run(context.Background()))
	// Output:
	// AAPL 100 at 187.3
	// <nil>
}

// first closes the connection at the first trade.
type first struct {
	prices
	close func() error
}

func (h *first) OnTrade(t *tickstorm.Trade) {
	h.prices.OnTrade(t)
	_ = h.close()
}

// A Client outlives its connections. This server hangs up on the first one.
func ExampleClient() {
	server, err := sim.Start(sim.Config{Quiet: true, Faults: []sim.Fault{
		{At: sim.OnSubscribe, Conn: 1, Do: sim.Drop()},
		{At: sim.OnSubscribe, Conn: 2, Do: sim.Message(`[{"ev":"T","sym":"AAPL","p":187.3,"s":100}]`)},
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	cfg := server.ClientConfig(tickstorm.Stocks)
	cfg.Backoff.Min = time.Millisecond

	h := &first{}
	client, err := tickstorm.NewClient(cfg, h)
	if err != nil {
		log.Fatal(err)
	}
	h.close = client.Close
	if err := client.Subscribe(context.Background(), tickstorm.Trades, "AAPL"); err != nil { // before Run: recorded
		log.Fatal(err)
	}
	fmt.Println(client.Run(context.Background()))
	fmt.Println("reconnects:", client.Stats().Reconnects)
	// Output:
	// AAPL 100 at 187.3
	// <nil>
	// reconnects: 1
}

// watcher prints what a client goes through, and closes it at the last trade.
type watcher struct {
	prices
	last  string
	close func() error
}

func (w *watcher) OnState(s *tickstorm.StateChange) {
	if s.State == tickstorm.StateConnecting || s.State == tickstorm.StateBackoff {
		fmt.Println(s.State)
	}
}

func (w *watcher) OnGap(g *tickstorm.Gap) { fmt.Println("missed something of", g.Topics) }

func (w *watcher) OnTrade(t *tickstorm.Trade) {
	fmt.Println(t.Symbol, "at", t.Price, "backfilled:", t.Backfilled)
	if t.Symbol == w.last {
		_ = w.close()
	}
}

// What is sent between two connections is lost. A handler with OnGap is told, and
// Config.Backfill can fetch it from elsewhere, to be delivered before the stream goes on.
func ExampleBackfill() {
	server, err := sim.Start(sim.Config{Quiet: true, Faults: []sim.Fault{
		{At: sim.OnSubscribe, Conn: 1, Do: sim.Message(`[{"ev":"T","sym":"AAPL","p":187.3}]`)},
		{At: sim.OnSubscribe, Conn: 1, Do: sim.Drop()},
		{At: sim.OnSubscribe, Conn: 2, Do: sim.Message(`[{"ev":"T","sym":"MSFT","p":402.1}]`)},
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	cfg := server.ClientConfig(tickstorm.Stocks)
	cfg.Backoff.Min = time.Millisecond
	cfg.Backfill = func(ctx context.Context, gap *tickstorm.Gap, deliver func([]byte) error) error {
		// Here a program asks the REST API for gap.From to gap.To.
		return deliver([]byte(`[{"ev":"T","sym":"AAPL","p":187.4}]`))
	}

	w := &watcher{last: "MSFT"}
	client, err := tickstorm.NewClient(cfg, w)
	if err != nil {
		log.Fatal(err)
	}
	w.close = client.Close
	err = client.SetTopics(context.Background(), tickstorm.Topic{Channel: "T", Symbol: tickstorm.All})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(client.Run(context.Background()))
	// Output:
	// connecting
	// AAPL at 187.3 backfilled: false
	// backoff
	// connecting
	// missed something of [T.*]
	// AAPL at 187.4 backfilled: true
	// MSFT at 402.1 backfilled: false
	// <nil>
}

// Events is for those who prefer a loop to a handler.
func ExampleConn_Events() {
	server := market(`[{"ev":"T","sym":"AAPL","p":187.3,"s":100},{"ev":"Q","sym":"AAPL","bp":187.2,"ap":187.4}]`)
	defer server.Close()
	conn, err := tickstorm.Dial(context.Background(), server.ClientConfig(tickstorm.Stocks), nil)
	if err != nil {
		log.Fatal(err)
	}
	conn.Request(nil, tickstorm.Topic{Channel: "T", Symbol: "AAPL"}, tickstorm.Topic{Channel: "Q", Symbol: "AAPL"})
	for e, err := range conn.Events(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		switch e := e.(type) {
		case *tickstorm.Trade:
			fmt.Println("trade", e.Symbol, e.Price)
		case *tickstorm.Quote:
			fmt.Println("quote", e.Symbol, e.BidPrice, e.AskPrice)
			conn.Close() // a break out of the loop would do as well
		}
	}
	// Output:
	// trade AAPL 187.3
	// quote AAPL 187.2 187.4
}

// shelf hands copies of trades to another goroutine.
type shelf struct {
	tickstorm.NopHandler
	pool tickstorm.Pool[tickstorm.Trade]
	out  chan *tickstorm.Trade
}

func (k *shelf) OnTrade(t *tickstorm.Trade) { k.out <- k.pool.Copy(t) }

// A lent event must not be kept; a copy from a pool may, until it is put back.
func ExamplePool() {
	k := &shelf{out: make(chan *tickstorm.Trade, 2)}
	p := tickstorm.NewParser(tickstorm.Stocks)
	if err := p.Parse([]byte(`[{"ev":"T","sym":"AAPL","p":187.3,"i":"52983"},{"ev":"T","sym":"MSFT","p":402,"i":"7"}]`), k); err != nil {
		log.Fatal(err)
	}
	close(k.out)
	for t := range k.out {
		fmt.Printf("%s %s %v\n", t.Symbol, t.ID, t.Price)
		k.pool.Put(t)
	}
	// Output:
	// AAPL 52983 187.3
	// MSFT 7 402
}

// Symbols have dots of their own: the first one ends the channel.
func ExampleParseTopic() {
	t, err := tickstorm.ParseTopic("T.BRK.B")
	fmt.Println(t.Channel, t.Symbol, err)
	_, err = tickstorm.ParseTopic("AAPL")
	fmt.Println(err)
	// Output:
	// T BRK.B <nil>
	// bad topic: "AAPL" has no dot between channel and symbol
}

// The same stream has another name on each market, and symbols another spelling.
func ExampleMarket_Topics() {
	for _, m := range []tickstorm.Market{tickstorm.Stocks, tickstorm.Forex, tickstorm.Crypto} {
		fmt.Println(m.Topics(tickstorm.Quotes, "EUR-USD"))
	}
	fmt.Println(tickstorm.Indices.Topics(tickstorm.Quotes, "SPX"))
	// Output:
	// [Q.EUR-USD] <nil>
	// [C.EUR/USD] <nil>
	// [XQ.EUR-USD] <nil>
	// [] the market has no such stream: quotes on "indices"
}

// A LogHandler shows a stream at a first look.
func ExampleLogHandler() {
	h := tickstorm.LogHandler{Logger: slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{} // the output is to be the same at any time
			}
			return a
		},
	}))}
	p := tickstorm.NewParser(tickstorm.Indices)
	_ = p.Parse([]byte(`[{"ev":"V","T":"I:SPX","val":5771.5},{"ev":"status","status":"error","message":"not authorized"}]`), h)
	// Output:
	// level=INFO msg=value symbol=I:SPX event="{\"ev\":\"V\",\"val\":5771.5,\"T\":\"I:SPX\"}"
	// level=WARN msg=status code="not authorized" status=error message="not authorized"
}

// tape is a handler behind a queue: it may be slow, and is told of what was dropped.
type tape struct{ tickstorm.NopHandler }

func (tape) OnTrade(t *tickstorm.Trade) { fmt.Println(t.Symbol, t.Price) }

func (tape) OnQuote(q *tickstorm.Quote) { fmt.Println(q.Symbol, q.BidPrice, "to", q.AskPrice) }

func (tape) OnDrop(d *tickstorm.Drop) { fmt.Println(d.Count, "dropped:", d.Channels) }

// A Queue stands in front of a handler that is slower than the stream. Here it keeps of
// the quotes only the latest, and nothing is handled before all is in.
func ExampleQueue() {
	q, err := tickstorm.NewQueue(tickstorm.Config{
		Market: tickstorm.Stocks,
		Queue:  tickstorm.QueueConfig{Overflow: tickstorm.OverflowConflate},
	}, tape{})
	if err != nil {
		log.Fatal(err)
	}
	p := tickstorm.NewParser(tickstorm.Stocks) // or a Conn: Dial(ctx, cfg, q)
	for _, message := range []string{
		`[{"ev":"Q","sym":"AAPL","bp":187.1,"ap":187.2},{"ev":"T","sym":"AAPL","p":187.2}]`,
		`[{"ev":"Q","sym":"AAPL","bp":187.2,"ap":187.3},{"ev":"T","sym":"AAPL","p":187.3}]`,
		`[{"ev":"Q","sym":"AAPL","bp":187.3,"ap":187.4}]`,
	} {
		_ = p.Parse([]byte(message), q)
	}
	q.Close()                                           // no more will come
	if err := q.Run(context.Background()); err != nil { // in a program: on a goroutine of its own, from the start
		log.Fatal(err)
	}
	fmt.Println(q.Stats().Conflated, "conflated")
	// Output:
	// AAPL 187.2
	// AAPL 187.3
	// AAPL 187.3 to 187.4
	// 2 conflated
}

// With OverflowDisconnect a connection ends rather than that events are lost unnoticed.
func ExampleQueue_Err() {
	server := market(`[{"ev":"T","sym":"AAPL","p":187.3},{"ev":"T","sym":"AAPL","p":187.4}]`)
	defer server.Close()
	cfg := server.ClientConfig(tickstorm.Stocks)

	var conn *tickstorm.Conn
	cfg.Queue = tickstorm.QueueConfig{
		Bytes:      1 << 10,
		Overflow:   tickstorm.OverflowDisconnect,
		OnOverflow: func() { _ = conn.Close() },
	}
	q, err := tickstorm.NewQueue(cfg, tape{})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if conn, err = tickstorm.Dial(ctx, cfg, q); err != nil {
		log.Fatal(err)
	}
	for range 20 { // nobody runs the queue
		conn.Request(nil, tickstorm.Topic{Channel: "T", Symbol: "AAPL"})
		conn.Withdraw(nil, tickstorm.Topic{Channel: "T", Symbol: "AAPL"})
	}
	fmt.Println(conn.Run(ctx))
	fmt.Println(q.Err())
	// Output:
	// <nil>
	// the queue is full: its handler is slower than the stream
}

// A dialer with options of the socket; without one of the program's own, Config.Socket is
// all it takes.
func ExampleSocketOptions() {
	options := tickstorm.SocketOptions{ReceiveBuffer: 4 << 20, UserTimeout: 20 * time.Second}
	dialer := options.Dialer()
	dialer.LocalAddr = nil // whatever else it is to do
	cfg := tickstorm.Config{NetDial: dialer.DialContext, Socket: options}
	fmt.Println(cfg.Socket.ReceiveBuffer)
	// Output: 4194304
}
