package main

import (
	"context"
	"errors"
	"fmt"
	"math"
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
	Out        string        `short:"o" placeholder:"DIR" default:"recordings" group:"output" help:"Folder of recordings; what is in it stays as it is."`
	Level      string        `enum:"fastest,default,better,best" default:"default" group:"output" help:"How hard to compress: fastest, default, better, best."`
	Flush      time.Duration `default:"1s" placeholder:"DURATION" group:"output" help:"How old a message becomes until it is in its file: what a kill costs."`
	Fsync      string        `enum:"interval,frame,never" default:"interval" group:"output" help:"When files are made to outlast a power cut: each second (interval), behind each frame, or never before they are closed."`
	Rotate     time.Duration `default:"1h" placeholder:"DURATION" group:"output" help:"How long a segment lasts, counted from midnight UTC."`
	RotateSize int64         `default:"1024" placeholder:"MB" group:"output" help:"At which compressed size a segment is closed before its time."`
	Keep       time.Duration `placeholder:"DURATION" group:"output" help:"Remove closed segments that are older, such as 720h."`
	MaxTotal   int64         `placeholder:"MB" group:"output" help:"Remove the oldest closed segments beyond so much in all."`
	MinFree    int64         `default:"1024" placeholder:"MB" group:"output" help:"Write nothing while less is free on the disk; 0 for no minimum."`
	Hook       string        `placeholder:"COMMAND" group:"output" help:"Program to run with the path of each closed segment as its last argument; words are parted by spaces."`
}

// Help implements [kong.HelpProvider].
func (*recordCmd) Help() string {
	return "The path of each segment that is closed is written to standard output. However the recording ends, what is in its files can be read.\n\n" + examples(
		"two seconds of made-up data", "tickstorm record --demo --for 2s --min-free 0 -o demo 'T.*' 'Q.*'",
		"all trades and quotes of stocks, for a month", "tickstorm record -o recordings --keep 720h 'T.*' 'Q.*'",
		"crypto, and each segment uploaded", "tickstorm record -m crypto --hook 'upload --to archive' 'XT.*'",
	)
}

var levels = map[string]record.Level{
	"fastest": record.LevelFastest, "default": record.LevelDefault, "better": record.LevelBetter, "best": record.LevelBest,
}

var syncs = map[string]record.Sync{"interval": record.SyncInterval, "frame": record.SyncFrame, "never": record.SyncNever}

// mega is a MB.
const mega = 1_000_000

// config is that of the recorder.
func (c *recordCmd) config(a *app, cfg *tickstorm.Config, topics []tickstorm.Topic) record.Config {
	rc := record.Config{
		Dir: c.Out, Market: cfg.Market, Feed: cfg.Feed, Topics: topics, Level: levels[c.Level], Flush: c.Flush, Sync: syncs[c.Fsync],
		Rotate: c.Rotate, RotateSize: c.RotateSize * mega, MinFree: c.MinFree * mega, KeepFor: c.Keep, KeepTotal: c.MaxTotal * mega,
		OnClosed: func(path string) { fmt.Fprintln(a.stdout, path) },
		OnEvent:  a.recorderEvent,
	}
	if c.MinFree == 0 {
		rc.MinFree = -1
	}
	if c.Hook != "" {
		rc.Command = strings.Fields(c.Hook)
	}
	return rc
}

// recorderEvent logs what happens to a recording.
func (a *app) recorderEvent(e record.RecorderEvent) {
	switch e.Kind {
	case record.EventDropped, record.EventLowSpace, record.EventError, record.EventHook, record.EventLost:
		a.log.Error(e.String())
	default:
		a.log.Info(e.String())
	}
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

// Run runs the verb.
func (c *recordCmd) Run(ctx context.Context, a *app) error {
	for name, n := range map[string]int64{"--rotate-size": c.RotateSize, "--max-total": c.MaxTotal, "--min-free": c.MinFree} {
		if n < 0 || n > math.MaxInt64/mega {
			return usagef("%s is out of range", name)
		}
	}
	if c.Flush < 0 || c.Rotate < 0 || c.Keep < 0 {
		return usagef("a negative --flush, --rotate or --keep")
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
		err = c.check()
	}
	if err != nil {
		return err
	}
	src, err := c.open(a, demoRate)
	if err != nil {
		return err
	}
	defer src.close()
	rec, err := record.NewRecorder(c.config(a, &src.Config, topics))
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
		lasting: c.lasting, topics: topics, last: func() time.Time {
			if n := h.last.Load(); n != 0 {
				return time.Unix(0, n)
			}
			return time.Time{}
		},
		each: func(*tickstorm.Client) {
			s := rec.Stats()
			line.showf("%v: %d messages, %s as %s, %d dropped", time.Since(begun).Round(time.Second), s.Messages, megabytes(s.Bytes), megabytes(s.Written), s.Dropped)
		},
	})
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if closed := rec.Close(closing); closed != nil {
		if err == nil || codeOf(err) == exitInterrupted { // what is lost matters more
			err = closed
		} else {
			err = errors.Join(err, closed)
		}
	}
	line.clear()
	s := rec.Stats()
	if !a.Quiet {
		a.sayf("recorded %d messages, %s as %s in %d segments below %s; %d dropped, %d lost",
			s.Messages, megabytes(s.Bytes), megabytes(s.Written), s.Segments, c.Out, s.Dropped, s.Lost)
	}
	return err
}
