package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/tickstorm/tickstorm/record"
)

type convertCmd struct {
	recording
	stretch
	picking
	Format string `short:"f" enum:"json,csv" default:"json" help:"json (a line an element, as it came) or csv (a file a kind of event)."`
	Out    string `short:"o" placeholder:"FILE" help:"File of json, - or nothing is standard output; folder of csv. Nothing is overwritten."`
}

// Help implements [kong.HelpProvider].
func (*convertCmd) Help() string {
	return "Where something is missing in the recording there is a line, or a row of gaps.csv, that says so.\n\n" + examples(
		"made-up data as JSON lines", "tickstorm convert --demo | head -3",
		"a symbol's trades of an hour, to a file", "tickstorm convert recordings --channel T --symbol AAPL --from 09:30 --until 10:30 -o aapl.jsonl",
		"made-up data as CSV", "tickstorm convert --demo -f csv -o csv",
	)
}

// Run runs the verb.
func (c *convertCmd) Run(ctx context.Context, a *app) error {
	if c.Format == "csv" && (c.Out == "" || c.Out == "-") {
		return usagef("csv is a folder of files: say which with -o")
	}
	paths, remove, err := c.recording.open(ctx, a)
	if err != nil {
		return err
	}
	defer remove()
	ctx, stop := a.working(ctx, "converting", 0)
	defer stop()
	from, until, err := c.times(ctx, a, paths, c.Markets)
	if err != nil {
		return err
	}
	if _, _, err := c.firstMarket(ctx, paths, from, until); err != nil {
		return err
	}
	r, err := c.reader(paths, from, until)
	if err != nil {
		return err
	}
	defer r.Close()
	var done record.Converted
	if c.Format == "csv" {
		done, err = record.CSV(ctx, c.Out, r)
	} else {
		done, err = c.lines(ctx, a, r)
	}
	stop()
	if isBrokenPipe(err) {
		return nil
	}
	if err == nil && done == (record.Converted{}) {
		a.nothing()
	}
	if err == nil && (done.Gaps > 0 || done.Broken > 0) {
		a.log.Warn("something is missing in the recording, and told in its place", "gaps", done.Gaps, "broken", done.Broken)
	}
	if err == nil && c.Out != "" && c.Out != "-" && !a.Quiet {
		a.sayf("%s: %d events, %d gaps", c.Out, done.Elements, done.Gaps)
	}
	return err
}

// lines writes JSON lines to where they are to go. What fails leaves no file.
func (c *convertCmd) lines(ctx context.Context, a *app, r *record.Reader) (done record.Converted, err error) {
	if c.Out == "" || c.Out == "-" {
		w := &firstError{w: a.stdout}
		done, err = record.JSONLines(ctx, w, r)
		if w.err != nil {
			return done, cmp.Or(outputError(w.err), w.err)
		}
		return done, err
	}
	f, err := os.OpenFile(c.Out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return done, thereAlready(c.Out)
	}
	if err != nil {
		return done, err
	}
	done, err = record.JSONLines(ctx, f, r)
	err = errors.Join(err, f.Close())
	if err != nil {
		err = errors.Join(err, os.Remove(c.Out))
	}
	return done, err
}

// firstError notes what a writer has failed with.
type firstError struct {
	w   io.Writer
	err error
}

func (f *firstError) Write(b []byte) (int, error) {
	n, err := f.w.Write(b)
	if f.err == nil {
		f.err = err
	}
	return n, err
}
