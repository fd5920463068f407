package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/format"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sim"
)

type replayCmd struct {
	recording
	stretch
	picking
	showing
	Speed   string        `default:"1" placeholder:"N" help:"How many times faster than it was recorded; max is as fast as it goes."`
	MaxIdle time.Duration `placeholder:"DURATION" help:"The longest time without anything where the recording has nothing for longer."`
	Loop    bool          `help:"Begin again at the end."`
	Serve   string        `placeholder:"ADDRESS" help:"Serve it in the vendor's protocol, at an address such as 127.0.0.1:8765, instead of showing it: each connection gets it from the beginning, of what it subscribes to."`
}

// Help implements [kong.HelpProvider].
func (*replayCmd) Help() string {
	return examples(
		"the last half second of made-up data, twice as fast", "tickstorm replay --demo --from -500ms --speed 2",
		"a symbol's quotes, at once", "tickstorm replay --demo --speed max --channel Q --symbol AAPL -n 3 -f '{time} {bid} {ask}'",
		"yesterday's opening, for any client of the vendor's", "tickstorm replay recordings/stocks/2026-11-25 --from 09:30 --serve 127.0.0.1:8765",
	)
}

// speed is what the flag says; 0 is as fast as it goes.
func (c *replayCmd) speed() (float64, error) {
	if c.Speed == "max" {
		return 0, nil
	}
	s, err := strconv.ParseFloat(c.Speed, 64)
	if err != nil || !(s > 0) || math.IsInf(s, 0) {
		return 0, usagef("--speed %s: write a number above 0, or max", c.Speed)
	}
	return s, nil
}

// Run runs the verb.
func (c *replayCmd) Run(ctx context.Context, a *app) error {
	speed, err := c.speed()
	if err != nil {
		return err
	}
	if c.MaxIdle < 0 {
		return usagef("a negative --max-idle")
	}
	if c.Serve != "" && (c.picks() || c.chosen()) {
		return usagef("--serve sends to each client what it subscribes to: --channel, --symbol, --market, --format and the like are of what is shown here")
	}
	paths, remove, err := c.recording.open(ctx, a)
	if err != nil {
		return err
	}
	defer remove()
	working, stop := a.working(ctx, "reading the indices", 0)
	defer stop()
	from, until, err := c.times(working, a, paths, c.Markets)
	if err != nil {
		return err
	}
	market, found, err := c.firstMarket(working, paths, from, until)
	if err != nil {
		return err
	}
	stop()
	if c.Serve != "" {
		if !found { // which nobody who connects would be told
			a.nothing()
		}
		return c.serve(ctx, a, paths, from, until, speed)
	}
	return c.show(ctx, a, market, paths, from, until, speed)
}

// show writes what was recorded.
func (c *replayCmd) show(ctx context.Context, a *app, market tickstorm.Market, paths []string, from, until time.Time, speed float64) error {
	name := c.format(a)
	if name == format.Raw {
		return usagef("raw is what tickstorm sub has; zstdcat shows a recording as it is")
	}
	p, lines, err := c.printer(a, market, c.kinds())
	if err != nil {
		return err
	}
	if lines == nil { // a replay has markets, which a splitter does not know
		if lines, err = format.New(name, format.Options{Received: c.TS == "received"}); err != nil {
			return err
		}
	}
	r, err := c.reader(paths, from, time.Time{})
	if err != nil {
		return err
	}
	defer r.Close()
	replay, err := record.NewReplay(r, &replaying{decoding{printer: p, lines: lines}, a.log}, record.ReplayConfig{
		Speed: speed, MaxIdle: c.MaxIdle, Until: until, Loop: c.Loop, Ahead: true,
	})
	if err != nil {
		return err
	}
	a.log.Info("replay, nothing live", "speed", c.Speed)
	err = p.write(ctx, a, lines, func() error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		go func() {
			select {
			case <-p.enough:
				cancel(io.EOF)
			case <-p.out.failed:
				cancel(io.EOF)
			case <-ctx.Done():
			}
		}()
		err := replay.Run(ctx)
		switch cause := context.Cause(ctx); {
		case cause == io.EOF:
			return nil
		case cause != nil && err != nil:
			return cause
		}
		return err
	})
	if err == nil && p.lines == 0 {
		a.nothing()
	}
	return err
}

// kinds are those of the channels that were picked, in whatever market; nil is all.
func (c *replayCmd) kinds() (kinds []tickstorm.Kind) {
	for _, channel := range c.picking.Channels {
		of := tickstorm.KindUnknown
		for _, m := range tickstorm.Markets() {
			if stream, ok := m.StreamOf(channel); ok {
				of = format.KindOf(stream)
			}
		}
		if !slices.Contains(kinds, of) {
			kinds = append(kinds, of)
		}
	}
	slices.Sort(kinds)
	return kinds
}

// replaying writes events, and logs what was missing.
type replaying struct {
	decoding
	log *slog.Logger
}

var _ tickstorm.GapHandler = (*replaying)(nil)

// OnGap implements [tickstorm.GapHandler].
func (r *replaying) OnGap(g *tickstorm.Gap) {
	r.log.Warn("gap in the recording", "market", g.Market, "from", g.From.Received.UTC(), "to", g.To.Received.UTC(), "cause", g.Cause)
}

// serve has the simulator send what was recorded.
func (c *replayCmd) serve(ctx context.Context, a *app, paths []string, from, until time.Time, speed float64) error {
	open := func(m tickstorm.Market) (sim.Source, error) {
		s, err := record.OpenSource(m, paths...)
		if err != nil {
			return nil, err
		}
		s.OnDamage = func(d *record.Damage) { a.damage([]*record.Damage{d}) }
		part := &partSource{Source: s, until: until}
		if !from.IsZero() {
			err = part.SeekTo(from.UnixNano())
		}
		return part, err
	}
	if s, err := open(tickstorm.Stocks); err != nil { // before anybody asks
		return err
	} else if err := s.(*partSource).Close(); err != nil {
		return err
	}
	server, err := listen(sim.Config{
		Address: c.Serve, MaxConnections: -1, OptionLimit: -1, Logger: a.log,
		Replay: &sim.Replay{Speed: speed, MaxIdle: c.MaxIdle, Loop: c.Loop, Open: open},
	})
	if err != nil {
		return err
	}
	defer server.Close()
	a.sayf("tickstorm: REPLAY of a recording, nothing live, at speed %s; any key will do; Ctrl-C ends it", c.Speed)
	if _, err := fmt.Fprintln(a.stdout, server.Feed()); err != nil {
		return outputError(err)
	}
	return wait(ctx, 0)
}

// partSource ends before a moment.
type partSource struct {
	*record.Source
	until time.Time
}

// Next implements [sim.Source].
func (s *partSource) Next() (msg []byte, received int64, err error) {
	msg, received, err = s.Source.Next()
	if err == nil && !s.until.IsZero() && received >= s.until.UnixNano() {
		return nil, 0, io.EOF
	}
	return msg, received, err
}
