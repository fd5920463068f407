package main

import (
	"math"
	"strings"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
)

// segmenting are the flags of how a recording is written.
type segmenting struct {
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

var levels = map[string]record.Level{
	"fastest": record.LevelFastest, "default": record.LevelDefault, "better": record.LevelBetter, "best": record.LevelBest,
}

var syncs = map[string]record.Sync{"interval": record.SyncInterval, "frame": record.SyncFrame, "never": record.SyncNever}

// mega is a MB.
const mega = 1_000_000

func (s *segmenting) check() error {
	for name, n := range map[string]int64{"--rotate-size": s.RotateSize, "--max-total": s.MaxTotal, "--min-free": s.MinFree} {
		if n < 0 || n > math.MaxInt64/mega {
			return usagef("%s is out of range", name)
		}
	}
	if s.Flush < 0 || s.Rotate < 0 || s.Keep < 0 {
		return usagef("a negative --flush, --rotate or --keep")
	}
	return nil
}

// config is that of a recorder below a folder.
func (s *segmenting) config(a *app, dir string, cfg *tickstorm.Config, topics []tickstorm.Topic) record.Config {
	rc := record.Config{
		Dir: dir, Market: cfg.Market, Feed: cfg.Feed, Topics: topics, Level: levels[s.Level], Flush: s.Flush, Sync: syncs[s.Fsync],
		Rotate: s.Rotate, RotateSize: s.RotateSize * mega, MinFree: s.MinFree * mega, KeepFor: s.Keep, KeepTotal: s.MaxTotal * mega,
		OnEvent: a.recorderEvent,
	}
	if s.MinFree == 0 {
		rc.MinFree = -1
	}
	if s.Hook != "" {
		rc.Command = strings.Fields(s.Hook)
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
