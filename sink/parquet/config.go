package parquet

import (
	"cmp"
	"errors"
	"log/slog"
	"time"
)

// Config says what a [Sink] makes of what. Its zero value means what the comments say; From and To have
// no default.
type Config struct {
	// From are segments, folders with all below them and patterns. Two recorders of one market that
	// write to folders of their own need a To of their own.
	From []string
	// To is the folder of the Parquet files, which is made. One Sink at a time may have it.
	To string
	// Follow is how often to look for segments that were closed meanwhile; 0 ends the run when those
	// that are there are done.
	Follow time.Duration
	// Settle is how long a segment without an end must not have grown to be taken for what a crash
	// left; default 10 minutes. If it grows all the same it is written anew.
	Settle time.Duration
	// Sort has each row group sorted by symbol and time.
	Sort bool
	// RowGroup is how many rows a row group has at most; default 128Ki.
	RowGroup int
	// Memory is how many bytes of rows may wait for their row group to be full, all parts together;
	// default 256 MiB. If there are more, the largest row group is written as it is. Beside that there
	// are the row group that is being written, which has at most 64 MiB and one row, and what it takes
	// to encode it.
	Memory int
	// MaxOpen is how many parts are written at a time, each an open file; default 64. If a segment
	// has more channels and days, the part that has had no row for longest is finished, and
	// what comes for it later is another part.
	MaxOpen int
	// MinWait and MaxWait bound the wait before another try at a segment that could not be written,
	// which doubles from one to the next, in a Sink that follows; default 1 s and 1 minute. One that does
	// not follow ends.
	MinWait, MaxWait time.Duration
	// OnDone, if not nil, is called when a segment is done, with the paths of its parts, on the goroutine of
	// Run.
	OnDone func(segment string, parts []string)
	// Logger receives what is done, and what is wrong with it; nil is silent.
	Logger *slog.Logger

	create func(path string) (file, error)
	groups int // that a part has at most: the footer has them all, and a reader needs all of it
}

// Errors of a Config.
var (
	errFrom  = errors.New("parquet: no From in the Config")
	errTo    = errors.New("parquet: no To in the Config")
	errBound = errors.New("parquet: a bound in the Config is negative, or too large")
)

const mostMemory = 2 << 30 // what 32 bits can count

func (c Config) withDefaults() (Config, error) {
	switch {
	case len(c.From) == 0:
		return c, errFrom
	case c.To == "":
		return c, errTo
	case c.Follow < 0 || c.Settle < 0 || c.RowGroup < 0 || c.Memory < 0 || c.MaxOpen < 0 || c.MinWait < 0 || c.MaxWait < 0 || int64(c.Memory) > mostMemory:
		return c, errBound
	}
	c.Settle = cmp.Or(c.Settle, 10*time.Minute)
	c.RowGroup = cmp.Or(c.RowGroup, 128<<10)
	c.Memory = cmp.Or(c.Memory, 256<<20)
	c.MaxOpen = cmp.Or(c.MaxOpen, 64)
	c.MinWait = cmp.Or(c.MinWait, time.Second)
	c.MaxWait = cmp.Or(c.MaxWait, max(c.MinWait, time.Minute))
	if c.MaxWait < c.MinWait {
		return c, errBound
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.groups = cmp.Or(c.groups, 4096)
	if c.create == nil {
		c.create = create
	}
	return c, nil
}
