package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

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
	Path     string  `json:"path"`
	OK       bool    `json:"ok"`
	Frames   uint64  `json:"frames"`
	Messages uint64  `json:"messages"`
	Damages  uint64  `json:"damages"`
	Damage   []place `json:"damage,omitempty"`
}

// place is where something is damaged.
type place struct {
	Offset int64  `json:"offset"`
	Length int64  `json:"length"`
	Reason string `json:"reason"`
}

// Run runs the verb.
func (c *verifyCmd) Run(ctx context.Context, a *app) error {
	paths, remove, err := c.recording.open(ctx, a)
	if err != nil {
		return err
	}
	defer remove()
	size := int64(0)
	segments, err := record.Survey(record.WithProgress(ctx, func(p record.Progress) { size = p.Total }), paths...)
	if err != nil {
		return err
	}
	ctx, stop := a.working(ctx, "verifying", size)
	defer stop()
	bad := 0
	for _, s := range segments {
		reports, err := record.Verify(ctx, s.Path) // each by itself, to be told of at once
		if err != nil {
			return err
		}
		for _, r := range reports {
			if !r.OK() {
				bad++
			}
			if err := c.tell(ctx, a, r); err != nil {
				return outputError(err)
			}
		}
	}
	stop()
	switch {
	case len(segments) == 0:
		return noRecording(paths)
	case bad > 0:
		return fmt.Errorf("%d of %d segments are damaged", bad, len(segments))
	}
	return nil
}

// tell writes what was found of a segment.
func (c *verifyCmd) tell(ctx context.Context, a *app, r *record.Report) error {
	if c.Format == "json" {
		v := verdict{Path: r.Path, OK: r.OK(), Frames: r.Frames, Messages: r.Messages, Damages: r.Damages}
		for _, d := range r.Damage {
			v.Damage = append(v.Damage, place{d.Offset, d.Length, string(d.Reason)})
		}
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		return a.result(ctx, string(text)+"\n")
	}
	word := "ok"
	if !r.OK() {
		word = "DAMAGED"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s  %d frames, %d messages\n", word, r.Path, r.Frames, r.Messages)
	for i, d := range r.Damage {
		const most = 20
		if i == most {
			fmt.Fprintf(&b, "    and %d more\n", r.Damages-most)
			break
		}
		fmt.Fprintf(&b, "    at byte %d, %d bytes: %s\n", d.Offset, d.Length, d.Reason)
	}
	return a.result(ctx, b.String())
}
