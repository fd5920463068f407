package main

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
)

type recordCmd struct {
	Topics []string `arg:"" optional:"" name:"topic" help:"Topics such as 'T.*' or Q.AAPL."`
	connection
	lasting
	Out string `short:"o" placeholder:"DIR" default:"recordings" group:"output" help:"Folder of recordings; what is in it stays as it is."`
	segmenting
}

// Help implements [kong.HelpProvider].
func (*recordCmd) Help() string {
	return "The path of each segment that is closed is written to standard output. However the recording ends, what is in its files can be read.\n\n" + examples(
		"two seconds of made-up data", "tickstorm record --demo --for 2s --min-free 0 -o demo 'T.*' 'Q.*'",
		"all trades and quotes of stocks, for a month", "tickstorm record -o recordings --keep 720h 'T.*' 'Q.*'",
		"crypto, and each segment uploaded", "tickstorm record -m crypto --hook 'upload --to archive' 'XT.*'",
	)
}

// undecoded wants nothing but what the session needs, and notes when something came.
type undecoded struct {
	tickstorm.NopHandler
	last atomic.Int64
}

// OnRaw implements [tickstorm.RawHandler].
func (u *undecoded) OnRaw(msg []byte, received int64) bool {
	if !strings.HasPrefix(string(msg[:min(len(msg), len(statusOpening))]), string(statusOpening)) {
		u.last.Store(received)
	}
	return false
}

// lastEvent returns when the last event came, the zero time if none has.
func (u *undecoded) lastEvent() time.Time {
	if n := u.last.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

// Run runs the verb.
func (c *recordCmd) Run(ctx context.Context, a *app) error {
	if err := c.segmenting.check(); err != nil {
		return err
	}
	settings, err := a.settings()
	if err != nil {
		return err
	}
	market := c.market(a, settings)
	topics, err := topicsOf(a, market, c.Topics)
	if err == nil && len(topics) == 0 {
		err = usagef("say what to record, such as 'T.*' 'Q.*'; see tickstorm record --help")
	}
	if err == nil {
		err = c.lasting.check()
	}
	if err != nil {
		return err
	}
	src, err := c.open(a, demoRate)
	if err != nil {
		return err
	}
	defer src.close()
	rc := c.config(a, c.Out, &src.Config, topics)
	closed := &paths{a: a}
	rc.OnClosed = closed.tell
	rec, err := record.NewRecorder(rc)
	if err != nil {
		return &usageError{err.Error()}
	}
	if err := rec.Start(); err != nil {
		return err
	}
	cfg := src.Config
	cfg.Tap, cfg.Queue.Inline = rec, true
	h, line := &undecoded{}, a.progress()
	begun := time.Now()
	err = a.follow(ctx, cfg, h, following{
		lasting: c.lasting, topics: topics, last: h.lastEvent,
		each: func(*tickstorm.Client) {
			s := rec.Stats()
			line.showf("%v: %d messages, %s as %s, %d dropped", time.Since(begun).Round(time.Second), s.Messages, megabytes(s.Bytes), megabytes(s.Written), s.Dropped)
		},
	})
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	err = worse(err, rec.Close(closing))
	err = worse(err, closed.end())
	line.clear()
	s := rec.Stats()
	if !a.Quiet {
		a.sayf("recorded %d messages, %s as %s in %d segments below %s; %d dropped, %d lost",
			s.Messages, megabytes(s.Bytes), megabytes(s.Written), s.Segments, c.Out, s.Dropped, s.Lost)
	}
	return err
}
