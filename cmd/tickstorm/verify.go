package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tickstorm/tickstorm/record"
)

type verifyCmd struct {
	recording
	Format string `short:"f" enum:"text,json" default:"text" help:"text or json (an object a line)."`
}

// Help implements [kong.HelpProvider].
func (*verifyCmd) Help() string {
	return "It ends with 0 if all is as it was written, and with 1 if anything is damaged. A segment that is still being written, or was when its recorder was killed, has no end, and is damaged for that.\n\n" + examples(
		"a recording of made-up data", "tickstorm verify --demo",
		"a day", "tickstorm verify recordings/stocks/2026-11-25",
		"what is damaged", "tickstorm verify -f json recordings | jq -r 'select(.ok | not) | .path'",
	)
}

// verdict is what was found of a segment.
type verdict struct {
	Path     string           `json:"path"`
	OK       bool             `json:"ok"`
	Frames   uint64           `json:"frames"`
	Messages uint64           `json:"messages"`
	Damages  uint64           `json:"damages"`
	Damage   []*record.Damage `json:"damage,omitempty"`
}

// Run runs the verb.
func (c *verifyCmd) Run(ctx context.Context, a *app) error {
	paths, remove, err := c.recording.open(ctx, a)
	if err != nil {
		return err
	}
	defer remove()
	segments, err := record.Survey(ctx, paths...)
	if err != nil {
		return err
	}
	var size, done int64
	for _, s := range segments {
		size += s.Packed
	}
	line := a.progress()
	defer line.clear()
	bad := 0
	for i, s := range segments {
		line.showf("verifying %d of %d, %s of %s", i+1, len(segments), megabytes(done), megabytes(size))
		reports, err := record.Verify(ctx, s.Path)
		if err != nil {
			return err
		}
		done += s.Packed
		line.clear()
		for _, r := range reports {
			if !r.OK() {
				bad++
			}
			if err := c.tell(a, r); err != nil {
				return outputError(err)
			}
		}
	}
	switch {
	case len(segments) == 0:
		return fmt.Errorf("there is no recording in %v", paths)
	case bad > 0:
		return fmt.Errorf("%d of %d segments are damaged", bad, len(segments))
	}
	return nil
}

func (c *verifyCmd) tell(a *app, r *record.Report) error {
	if c.Format == "json" {
		return json.NewEncoder(a.stdout).Encode(verdict{r.Path, r.OK(), r.Frames, r.Messages, r.Damages, r.Damage})
	}
	word := "ok"
	if !r.OK() {
		word = "DAMAGED"
	}
	if _, err := fmt.Fprintf(a.stdout, "%s  %s  %d frames, %d messages\n", word, r.Path, r.Frames, r.Messages); err != nil {
		return err
	}
	for i, d := range r.Damage {
		const most = 20
		if i == most {
			_, err := fmt.Fprintf(a.stdout, "    and %d more\n", r.Damages-most)
			return err
		}
		if _, err := fmt.Fprintf(a.stdout, "    at byte %d, %d bytes: %s\n", d.Offset, d.Length, d.Reason); err != nil {
			return err
		}
	}
	return nil
}
