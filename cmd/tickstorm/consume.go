package main

import (
	"context"
	"errors"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/format"
	"github.com/tickstorm/tickstorm/sink"
)

// This file has what the verbs share that show what an engine has.

// consumeFlags say what is shown, and to whom it counts as seen.
type consumeFlags struct {
	Topics     []string `arg:"" optional:"" name:"topic" help:"Topics such as T.AAPL or 'Q.*'; default all."`
	Market     string   `short:"m" placeholder:"MARKET" help:"stocks (default), options, forex, crypto, ..."`
	Group      string   `default:"tickstorm" placeholder:"NAME" help:"Consumers that share the work: each event comes to one of them, once, and who comes later goes on where they are. Groups know nothing of each other."`
	Watermarks string   `placeholder:"FILE" help:"File that keeps how far this one is, behind what was written, instead of the engine."`
	ending
	showing
}

// consumer is an engine's.
type consumer interface {
	Run(context.Context) error
	Stop(context.Context) error
	Stats() sink.ConsumerStats
}

// opener makes an engine's consumer once all else is right; end is called when it has run.
type opener func(market tickstorm.Market, topics []tickstorm.Topic, h tickstorm.Handler, marks sink.Watermarks) (c consumer, end func(), err error)

// run shows what comes, until something ends it.
func (c *consumeFlags) run(ctx context.Context, a *app, open opener) (err error) {
	settings, err := a.settings()
	if err == nil && c.For < 0 {
		err = usagef("a negative --for")
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
		return usagef("raw is what tickstorm sub has: engines have elements, -f json")
	}
	if lines == nil {
		if lines, err = format.New(name, format.Options{Received: c.TS == "received"}); err != nil {
			return err
		}
	}
	return p.write(ctx, a, lines, func() error { return c.show(ctx, a, open, market, topics, p, lines) })
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

// show has a consumer's events written.
func (c *consumeFlags) show(ctx context.Context, a *app, open opener, market tickstorm.Market, topics []tickstorm.Topic, p *printer, lines format.Lines) (err error) {
	h := &consuming{replaying: replaying{decoding{printer: p, lines: lines}, a.log}, market: market, let: make(chan struct{})}
	h.decoding.pass = h.pass
	for _, t := range topics {
		if h.wanted == nil {
			h.wanted = map[tickstorm.Topic]bool{}
		}
		h.wanted[t] = true
	}
	var marks sink.Watermarks
	if c.Watermarks != "" {
		file, err := sink.OpenWatermarks(c.Watermarks)
		if err != nil {
			return err
		}
		defer func() { err = worse(err, file.Close()) }()
		marks = &written{file, p.out}
	}
	reader, end, err := open(market, topics, h, marks)
	if err != nil {
		return err
	}
	defer end()
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- reader.Run(life) }()
	over := after(c.For)
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
	free := context.AfterFunc(patience, func() {
		cancel()
		close(h.let)
	})
	go func() {
		_ = reader.Stop(patience) // an error is that something was not saved, which comes again
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
		cancel()
		close(h.let)
	}
	s := reader.Stats()
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
