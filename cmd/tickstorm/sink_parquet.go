package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/tickstorm/tickstorm/sink/parquet"
)

type sinkParquetCmd struct {
	From   string        `placeholder:"DIR" help:"Folder of recordings, which may be written meanwhile: a segment comes when it is closed."`
	To     string        `placeholder:"DIR" help:"Folder of the Parquet files, for one sink and one recorder of a market alone."`
	Follow time.Duration `default:"10s" placeholder:"DURATION" help:"How often to look for segments that were closed; 0 ends when those that are there are done."`
	ending
	Settle   time.Duration `default:"10m" placeholder:"DURATION" help:"How long a segment without an end must not have grown to be taken for what a crash left."`
	Sort     bool          `group:"parquet" help:"Sort each row group by symbol and time, so that reading a symbol reads little."`
	RowGroup int           `default:"131072" placeholder:"ROWS" group:"parquet" help:"Rows of a row group."`
	Memory   int           `default:"268435456" placeholder:"BYTES" group:"parquet" help:"How much may wait for row groups to be full; if there is more, the largest is written as it is."`
}

// Help implements [kong.HelpProvider].
func (*sinkParquetCmd) Help() string {
	return "Files are market=MARKET/ev=CHANNEL/dt=DAY/part-SEGMENT-N.parquet, with the exchange's day; ev=gaps says what is missing, ev=unknown has what there are no columns for. Each segment has parts of its own, which have their names when all are whole: whatever is killed, no row is there twice, and none is missing. Their paths are written to standard output.\n\n" + examples(
		"made-up data", "tickstorm sink parquet --demo --to parquet",
		"a recording, as far as it is closed", "tickstorm sink parquet --from recordings --to parquet --follow 0",
		"what is being recorded, for good", "tickstorm sink parquet --from recordings --to parquet --sort",
		"ask for yesterday's VWAP", `duckdb -c "SELECT symbol, sum(price * coalesce(size_decimal::DOUBLE, size)) / nullif(sum(coalesce(size_decimal::DOUBLE, size)), 0) AS vwap FROM 'parquet/market=stocks/ev=T/*/*.parquet' WHERE dt = (now() AT TIME ZONE 'America/New_York')::DATE - 1 GROUP BY symbol"`,
	)
}

// leastRowGroup is how many rows are worth a row group's overhead.
const leastRowGroup = 1000

func (c *sinkParquetCmd) check(ctx context.Context, a *app) error {
	switch {
	case c.To == "":
		return usagef("say where the files go: --to DIR")
	case c.From == "" && !a.Demo:
		return usagef("say which recording: --from DIR; or --demo")
	case c.From != "" && a.Demo:
		return twoSources(c.From)
	case c.Follow < 0 || c.For < 0 || c.Settle <= 0 || c.RowGroup < leastRowGroup || c.Memory <= 0:
		return usagef("--settle and --memory are above 0, --row-group is %d or more, and --follow and --for are not negative", leastRowGroup)
	}
	if a.Demo {
		c.Follow = 0
		return nil
	}
	return a.readable(ctx, c.From, c.Follow)
}

// Run runs the verb.
func (c *sinkParquetCmd) Run(ctx context.Context, a *app) error {
	if err := c.check(ctx, a); err != nil {
		return err
	}
	from := c.From
	if a.Demo {
		dir, err := os.MkdirTemp("", "tickstorm-demo-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if from, err = a.demoRecording(ctx, dir); err != nil {
			return err
		}
	}
	life, end := context.WithCancelCause(ctx)
	defer end(nil)
	done := &paths{a: a, gone: func() { end(errOver) }}
	s, err := parquet.New(parquet.Config{
		From: []string{from}, To: c.To, Follow: c.Follow, Settle: c.Settle, Sort: c.Sort, RowGroup: c.RowGroup, Memory: c.Memory, Logger: a.log,
		OnDone: func(_ string, parts []string) {
			for _, p := range parts {
				done.tell(filepath.ToSlash(p))
			}
		},
	})
	if err != nil {
		return &usageError{err.Error()}
	}
	if c.For > 0 {
		over := time.AfterFunc(c.For, func() { end(errOver) })
		defer over.Stop()
	}
	working, stop := a.working(life, "writing", 0)
	err = s.Run(working)
	stop()
	if cause := context.Cause(life); cause != nil && errors.Is(err, context.Canceled) {
		err = cause
	}
	if errors.Is(err, errOver) {
		err = nil
	}
	err = worse(err, done.end())
	if whole := c.done(a, s.Stats()); err == nil && !whole {
		return &exitError{exitFailure, ""}
	}
	return err
}

// errOver: it has run for as long as it was to, or as somebody read what it has done.
var errOver = errors.New("over")

// done says what was made, and what was not. It reports whether something was of all files that are closed.
func (c *sinkParquetCmd) done(a *app, s parquet.Stats) (whole bool) {
	whole = s.Unnamed == 0 && s.Conflicts == 0 && s.Gone == 0
	if !whole {
		a.log.Error("nothing was made of some files", "no segments", s.Unnamed, "of other recordings", s.Conflicts, "removed before", s.Gone)
	}
	if s.Open > 0 && c.Follow == 0 {
		a.log.Warn("some segments are not closed: they are left for later", "segments", s.Open)
	}
	if !a.Quiet {
		a.sayf("%s: %d rows in %d files, %s, of %d segments; %d rows of gaps, %d elements without columns",
			c.To, s.Rows, s.Parts, megabytes(s.Bytes), s.Segments, s.Gaps, s.Unknown)
	}
	return whole
}
