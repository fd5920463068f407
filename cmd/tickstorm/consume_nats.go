package main

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/format"
	"github.com/tickstorm/tickstorm/sink"
	sinknats "github.com/tickstorm/tickstorm/sink/nats"
)

// consumeCmd has an engine a verb.
type consumeCmd struct {
	Nats consumeNatsCmd `cmd:"" help:"The streams of NATS JetStream that a sink has filled."`
}

type consumeNatsCmd struct {
	Topics []string `arg:"" optional:"" name:"topic" help:"Topics such as T.AAPL or 'Q.*'; default all."`
	Market string   `short:"m" placeholder:"MARKET" group:"nats" help:"stocks (default), options, forex, crypto, ..."`
	natsFlags
	Group      string        `default:"tickstorm" placeholder:"NAME" group:"nats" help:"Consumers that share the work: each event comes to one of them, once, and who comes later goes on where they are. Groups know nothing of each other."`
	Watermarks string        `placeholder:"FILE" group:"nats" help:"File that keeps how far this one is, behind what was written, instead of a stream of the group's."`
	For        time.Duration `placeholder:"DURATION" help:"End after so long."`
	showing
}

// Help implements [kong.HelpProvider].
func (*consumeNatsCmd) Help() string {
	return "Without --url it is the server at " + natsAddress + " that tickstorm sink nats embeds. A group begins with what the streams have; what -n cuts off is left for the next, which may see a moment of what was shown again.\n\n" + examples(
		"made-up data, by way of a server of its own", "tickstorm consume nats --demo -n 3",
		"prices of large trades", "tickstorm consume nats --demo -n 3 -f '{time} {sym} {price} x {size}' --where 'size>=100' 'T.*'",
		"its share of four partitions, beside others", "tickstorm consume nats --url nats://10.0.0.1:4222 --partitions 4 --group books 'Q.*'",
	)
}

// Run runs the verb.
func (c *consumeNatsCmd) Run(ctx context.Context, a *app) (err error) {
	settings, err := a.settings()
	if err == nil {
		err = c.natsFlags.check()
	}
	if err == nil && c.For < 0 {
		err = usagef("a negative --for")
	}
	if err == nil && a.Demo && c.URL != "" {
		err = usagef("--demo is a server of its own, and --url another: say one of them")
	}
	if err != nil {
		return err
	}
	market := (&connection{Market: c.Market}).market(a, settings)
	topics, err := topicsOf(a, market, c.Topics)
	if err != nil {
		return err
	}
	p, lines, err := c.printer(a, market, kindsOf(market, topics))
	if err != nil {
		return err
	}
	name := c.format(a)
	if name == format.Raw {
		return usagef("raw is what tickstorm sub has: streams have elements, -f json")
	}
	if lines == nil {
		if lines, err = format.New(name, format.Options{Received: c.TS == "received"}); err != nil {
			return err
		}
	}
	url := c.URL
	if url == "" {
		url = "nats://" + natsAddress
	}
	if a.Demo {
		demo, stop, err := c.demo(ctx, a, market, topics)
		if err != nil {
			return err
		}
		defer stop()
		url = demo
	}
	return p.write(ctx, a, lines, func() error { return c.consume(ctx, a, url, market, topics, p, lines) })
}

// consuming writes events, and logs what is missing.
type consuming struct {
	replaying
	wanted map[tickstorm.Topic]bool // nil is all
	market tickstorm.Market
	let    chan struct{} // closed when nothing is shown any more
}

// pass reports whether an event is wanted. Behind the last that is, nothing is taken any more: what
// is not shown must not count as seen.
func (c *consuming) pass(e tickstorm.Event) bool {
	select {
	case <-c.enough:
		<-c.let
		return false
	case <-c.out.failed:
		<-c.let
		return false
	default:
	}
	if c.wanted == nil {
		return true
	}
	channel, err := c.market.Channel(e.Head().Stream)
	if u, ok := e.(*tickstorm.Unknown); ok {
		channel, err = string(u.Event), nil
	}
	return err == nil && (c.wanted[tickstorm.Topic{Channel: channel, Symbol: tickstorm.All}] || c.wanted[tickstorm.Topic{Channel: channel, Symbol: e.Head().Symbol}])
}

// consume shows what comes, until something ends it.
func (c *consumeNatsCmd) consume(ctx context.Context, a *app, url string, market tickstorm.Market, topics []tickstorm.Topic, p *printer, lines format.Lines) (err error) {
	nc, err := c.connect(a, url)
	if err != nil {
		return err
	}
	defer nc.Close()
	h := &consuming{replaying: replaying{decoding{printer: p, lines: lines}, a.log}, market: market, let: make(chan struct{})}
	h.decoding.pass = h.pass
	for _, t := range topics {
		if h.wanted == nil {
			h.wanted = map[tickstorm.Topic]bool{}
		}
		h.wanted[t] = true
	}
	cfg := sinknats.ConsumerConfig{
		Layout: c.layout(), Market: market, Handler: h, Group: c.Group, Replicas: c.Replicas, Logger: a.log,
	}
	if c.Watermarks != "" {
		file, err := sink.OpenWatermarks(c.Watermarks)
		if err != nil {
			return err
		}
		defer func() { err = worse(err, file.Close()) }()
		cfg.Watermarks = &written{file, p.out}
	}
	consumer, err := sinknats.NewConsumer(nc, cfg)
	if err != nil {
		return &usageError{err.Error()}
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- consumer.Run(life) }()
	var over <-chan time.Time
	if c.For > 0 {
		over = time.After(c.For)
	}
	select {
	case err := <-ended:
		return err
	case <-p.enough: // the rest is not taken, and not saved
		cancel()
	case <-p.out.failed:
		cancel()
	case <-over:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	patience, stop := context.WithTimeout(life, unread/2)
	defer stop()
	// A handler that waits lets go once nothing can be saved any more.
	free := context.AfterFunc(patience, func() { close(h.let) })
	go func() {
		_ = consumer.Stop(patience) // an error is that something was not saved, which comes again
	}()
	select {
	case result := <-ended:
		if !errors.Is(result, context.Canceled) {
			err = worse(err, result)
		}
	case <-time.After(unread):
		a.log.Error("given up what was received and not written, since the output takes too long")
	}
	if free() {
		close(h.let)
	}
	s := consumer.Stats()
	a.log.Info("ended", "rows", s.Rows, "repeated", s.Repeated, "expired", s.Expired, "foreign", s.Foreign)
	return err
}

// written are watermarks that are saved behind the lines that they cover.
type written struct {
	sink.Watermarks
	out *output
}

// Save implements [sink.Watermarks].
func (w *written) Save(ctx context.Context, lane string, mark *sink.Watermark) error {
	w.out.lock()
	w.out.flush()
	err := w.out.err
	w.out.mu.Unlock()
	if err != nil {
		return err
	}
	return w.Watermarks.Save(ctx, lane, mark)
}

// demo has the simulator behind a sink into a server of its own.
func (c *consumeNatsCmd) demo(ctx context.Context, a *app, market tickstorm.Market, topics []tickstorm.Topic) (url string, stop func(), err error) {
	if len(topics) == 0 {
		if topics, err = topicsOf(a, market, demoTopics); err != nil {
			return "", nil, err
		}
	}
	quiet := *a // what is shown is the consumer's
	w := *a.world
	w.stdout, quiet.world, quiet.Quiet = io.Discard, &w, true
	src, err := (&upstream{}).open(&quiet, settings{}, market, demoSubRate)
	if err != nil {
		return "", nil, err
	}
	url, end, err := a.serveNats("", "127.0.0.1:0")
	if err != nil {
		src.close()
		return "", nil, err
	}
	nc, err := c.connect(a, url)
	if err == nil {
		var e *sinknats.Engine
		if e, err = newNatsEngine(nc, sinknats.Config{Layout: c.layout()}); err == nil {
			life, cancel := context.WithCancel(context.WithoutCancel(ctx))
			var sinking sync.WaitGroup
			sinking.Go(func() {
				if err := quiet.sinkLive(life, e, src.Config, sink.Config{Logger: a.log}, following{lasting: lasting{Attempts: 3}, topics: topics}); life.Err() == nil {
					a.log.Error("the sink has ended", "err", err)
				}
			})
			return url, func() {
				cancel()
				sinking.Wait()
				_ = e.Close() // the connection goes with it
				nc.Close()
				end()
				src.close()
			}, nil
		}
		nc.Close()
	}
	end()
	src.close()
	return "", nil, err
}
