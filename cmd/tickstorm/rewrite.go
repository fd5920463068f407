package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tickstorm/tickstorm/record"
)

// This file has the verbs that make a recording of others.

type recoverCmd struct {
	recording
	target
}

// Help implements [kong.HelpProvider].
func (*recoverCmd) Help() string {
	return "Every frame that is whole is kept, and the file that was written is read again before it is called good. Where lines are missing, the new segment says so. Nothing is changed in the old one.\n\n" + examples(
		"a recording of made-up data", "tickstorm recover --demo -o recovered.tsr.zst",
		"one whose recorder was killed", "tickstorm recover recordings/stocks/2026-11-25/*.part -o whole.tsr.zst",
	)
}

// Run runs the verb.
func (c *recoverCmd) Run(ctx context.Context, a *app) error {
	paths, remove, err := c.recording.open(ctx, a)
	if err != nil {
		return err
	}
	defer remove()
	to, err := c.path(a, paths)
	if err != nil {
		return err
	}
	segments, err := record.Survey(ctx, paths...)
	if err != nil {
		return err
	}
	if len(segments) != 1 {
		return usagef("one segment at a time: there are %d", len(segments))
	}
	working, stop := a.working(ctx, "recovering", 0)
	r, err := record.Recover(working, to, segments[0].Path)
	stop()
	if err != nil {
		return err
	}
	return a.wrote(ctx, to, fmt.Sprintf("%d frames with %d messages and %d controls; %d places were damaged", r.Frames, r.Messages, r.Controls, a.damage(r.Damage)))
}

type cutCmd struct {
	recording
	stretch
	target
}

// Help implements [kong.HelpProvider].
func (*cutCmd) Help() string {
	return examples(
		"the last two seconds of made-up data", "tickstorm cut --demo --from -2s -o end.tsr.zst",
		"the opening hour in New York", "tickstorm cut recordings/stocks/2026-11-25 --from 09:30 --until 10:30 -o opening.tsr.zst",
	)
}

// Run runs the verb.
func (c *cutCmd) Run(ctx context.Context, a *app) error {
	return rewrite(ctx, a, &c.recording, &c.target, "cutting", func(ctx context.Context, to string, paths []string) ([]*record.Damage, error) {
		from, until, err := c.times(ctx, a, paths, nil)
		if err != nil {
			return nil, err
		}
		return record.Cut(ctx, to, from, until, paths...)
	})
}

type mergeCmd struct {
	recording
	target
}

// Help implements [kong.HelpProvider].
func (*mergeCmd) Help() string {
	return "The recordings have to be of one market. What two recorders both have comes twice.\n\n" + examples(
		"a recording of made-up data", "tickstorm merge --demo -o day.tsr.zst",
		"a day's hours", "tickstorm merge recordings/stocks/2026-11-25 -o day.tsr.zst",
	)
}

// Run runs the verb.
func (c *mergeCmd) Run(ctx context.Context, a *app) error {
	return rewrite(ctx, a, &c.recording, &c.target, "merging", func(ctx context.Context, to string, paths []string) ([]*record.Damage, error) {
		return record.Merge(ctx, to, paths...)
	})
}

// rewrite makes a recording of others.
func rewrite(ctx context.Context, a *app, from *recording, t *target, what string, do func(ctx context.Context, to string, paths []string) ([]*record.Damage, error)) error {
	paths, remove, err := from.open(ctx, a)
	if err != nil {
		return err
	}
	defer remove()
	to, err := t.path(a, paths)
	if err != nil {
		return err
	}
	working, stop := a.working(ctx, what, 0)
	damage, err := do(working, to, paths)
	stop()
	if err != nil {
		return err
	}
	places := a.damage(damage)
	r, err := record.Survey(ctx, to)
	if err != nil {
		return err
	}
	return a.wrote(ctx, to, fmt.Sprintf("%d messages, %s to %s, %s as %s; %d places were damaged", r[0].Messages,
		r[0].FirstReceived.UTC().Format(time.RFC3339Nano), r[0].LastReceived.UTC().Format(time.RFC3339Nano), megabytes(r[0].Raw), megabytes(r[0].Packed), places))
}

// wrote says what was written, to where.
func (a *app) wrote(ctx context.Context, path, what string) error {
	return outputError(a.result(ctx, fmt.Sprintf("%s: %s\n", path, what)))
}
