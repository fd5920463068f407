package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
)

// This file has what the verbs of all engines share.

// sinkPatience is how long an engine may take at the end for what has come.
const sinkPatience = 10 * time.Second

// sinkFlags say what goes into an engine.
type sinkFlags struct {
	Topics []string `arg:"" optional:"" name:"topic" help:"Topics such as 'T.*' or Q.AAPL, of --from live; with --demo trades and quotes unless some are named."`
	From   string   `default:"live" placeholder:"live|DIR" help:"live: a connection, whose elements go in at most once. Or a folder of recordings, which may be written meanwhile: each element goes in, whatever is down for however long."`
	connection
	lasting
	Cursor string        `placeholder:"FILE" help:"File that keeps how far the engine has confirmed a folder, for one sink and one engine alone. Without it each run reads the folder from its beginning."`
	Follow time.Duration `default:"200ms" placeholder:"DURATION" help:"How often to look for more at the end of a folder; 0 ends there."`
	Dead   string        `placeholder:"FILE" help:"File for elements that the engine will never take, such as ones that are too long; without it one of them ends the sink."`
}

// demoTopics are what a sink of made-up data has.
var demoTopics = []string{"T.*", "Q.*"}

// fromLive is what --from is where there is no folder.
const fromLive = "live"

func (c *sinkFlags) check(a *app) error {
	live := c.From == fromLive
	switch {
	case c.Follow < 0:
		return usagef("--follow is not negative")
	case live && c.Cursor != "":
		return usagef("--cursor is of a folder: --from DIR")
	case !live && a.Demo:
		return twoSources(c.From)
	case !live && len(c.Topics) > 0:
		return usagef("topics are of --from live: a folder goes in whole")
	}
	return c.lasting.check()
}

// readable reports why a folder cannot be one of recordings: it is not there, or has none, and none is waited for.
func (a *app) readable(ctx context.Context, dir string, follow time.Duration) error {
	if _, err := os.Stat(dir); err != nil {
		return usagef("--from: %v", err)
	}
	_, _, err := new(picking).firstMarket(ctx, []string{dir}, time.Time{}, time.Time{})
	if errors.Is(err, errNoRecording) && follow > 0 {
		a.log.Warn("there is no recording yet: one is waited for", "from", dir)
		return nil
	}
	return err
}

// twoSources is that both --demo and a folder are said to be the source.
func twoSources(from string) error {
	return usagef("--demo is the simulator, and --from %s a folder: say one of them", from)
}

// run gives what the flags say to an engine, which is made once all else is right, and ended by stop.
func (c *sinkFlags) run(ctx context.Context, a *app, cfg sink.Config, engine func() (e sink.Engine, stop func(), err error)) error {
	settings, err := a.settings()
	if err != nil {
		return err
	}
	cfg.DeadLetters, cfg.Logger = c.Dead, a.log
	if c.From != fromLive {
		if err := a.readable(ctx, c.From, c.Follow); err != nil {
			return err
		}
		e, stop, err := engine()
		if err != nil {
			return err
		}
		defer stop()
		return a.sinkFolder(ctx, e, sink.FolderConfig{Paths: []string{c.From}, Cursor: c.Cursor, Follow: c.Follow}, cfg, c.For)
	}
	market := c.market(a, settings)
	names := c.Topics
	if a.Demo && len(names) == 0 {
		names = demoTopics
	}
	topics, err := topicsOf(a, market, names)
	if err == nil && len(topics) == 0 {
		err = usagef("say what goes in, such as 'T.*' 'Q.*', or --from DIR; see --help")
	}
	if err != nil {
		return err
	}
	src, err := c.open(a, demoRate)
	if err != nil {
		return err
	}
	defer src.close()
	e, stop, err := engine()
	if err != nil {
		return err
	}
	defer stop()
	return a.sinkLive(ctx, e, src.Config, cfg, following{lasting: c.lasting, topics: topics})
}

// sinkFolder gives an engine a folder of recordings, until it is told to end, or for so long if
// that is not 0, or to the folder's end if it does not follow.
func (a *app) sinkFolder(ctx context.Context, e sink.Engine, from sink.FolderConfig, cfg sink.Config, length time.Duration) error {
	runner, err := sink.NewRunner(e, sink.NewFolder(from), cfg)
	if err != nil {
		return err
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- runner.Run(life) }()
	over := after(length)
	line := a.progress()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for wait := true; wait; {
		select {
		case err = <-ended:
			line.clear()
			a.sunk(runner.Stats())
			return err
		case <-ctx.Done():
			err, wait = context.Cause(ctx), false
		case <-over:
			wait = false
		case <-tick.C:
			line.showf("%s", sinkLine(runner.Stats()))
		}
	}
	line.clear()
	return a.endSink(runner, ended, err)
}

// endSink has a runner write what it has read.
func (a *app) endSink(runner *sink.Runner, ended <-chan error, err error) error {
	patience, cancel := context.WithTimeout(context.Background(), sinkPatience)
	defer cancel()
	stopped := runner.Stop(patience)
	later := <-ended
	if stopped != nil {
		later = fmt.Errorf("not all that was read was written within %v: %w", sinkPatience, errUnwritten)
	}
	a.sunk(runner.Stats())
	return worse(err, later)
}

// errUnwritten: an engine did not take what there was.
var errUnwritten = errors.New("the engine does not answer")

// sinkLive gives an engine what a connection receives, as long as follow keeps that.
func (a *app) sinkLive(ctx context.Context, e sink.Engine, client tickstorm.Config, cfg sink.Config, f following) error {
	live := sink.NewLive(client.Market, 0)
	runner, err := sink.NewRunner(e, live, cfg)
	if err != nil {
		return err
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	ended, failed := make(chan error, 1), make(chan struct{})
	go func() {
		err := runner.Run(life)
		if err != nil {
			close(failed)
		}
		ended <- err
	}()
	client.Tap, client.Queue.Inline = live, true
	h, line := &undecoded{}, a.progress()
	f.last, f.failed = h.lastEvent, failed
	f.each = func(*tickstorm.Client) { line.showf("%s", sinkLine(runner.Stats())) }
	err = a.follow(ctx, client, h, f)
	_ = live.Close() // never fails: the run ends when all is written
	line.clear()
	select {
	case later := <-ended:
		a.sunk(runner.Stats())
		return worse(err, later)
	case <-time.After(sinkPatience):
		return a.endSink(runner, ended, worse(err, fmt.Errorf("not all that came was written within %v: %w", sinkPatience, errUnwritten)))
	}
}

func sinkLine(s sink.Stats) string {
	text := fmt.Sprintf("%d elements and notices, %s", s.Rows, megabytes(s.Bytes))
	if s.Newest != 0 {
		text += fmt.Sprintf(", %v behind", time.Since(time.Unix(0, s.Newest)).Round(time.Millisecond))
	}
	return text
}

// sunk says what an engine has taken.
func (a *app) sunk(s sink.Stats) {
	if s.Dropped > 0 {
		a.log.Error("dropped, since the engine takes less than comes", "messages", s.Dropped)
	}
	if s.Dead > 0 {
		a.log.Error("the engine will never take some elements", "dead", s.Dead)
	}
	if !a.Quiet {
		a.sayf("tickstorm: %d elements in, %s, and %d notices; %d dropped, %d dead", s.Rows-s.Notices, megabytes(s.Bytes), s.Notices, s.Dropped, s.Dead)
	}
}
