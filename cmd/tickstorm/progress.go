package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tickstorm/tickstorm/record"
)

// progress is a line on stderr that is written over while something takes long: only on a terminal,
// and not if it is to be quiet.
type progress struct {
	console *console
	on      bool
}

func (a *app) progress() *progress {
	return &progress{console: a.console, on: a.stderrTerminal && !a.Quiet}
}

// showf shows a line in place of the one before.
func (p *progress) showf(format string, args ...any) {
	if p.on {
		p.console.show(fmt.Sprintf(format, args...))
	}
}

// clear takes the line away.
func (p *progress) clear() {
	if p.on {
		p.console.clear()
		p.console.soon()
	}
}

// working shows how far work on recordings has come that is done with the context that is returned, until
// stop is called. Work in several parts, one after the other, is of size bytes in all; 0 is what its one
// part has.
func (a *app) working(ctx context.Context, what string, size int64) (_ context.Context, stop func()) {
	p := a.progress()
	if !p.on {
		return ctx, func() {}
	}
	var mu sync.Mutex
	var far, before record.Progress // of the part that is done now, and of those before it
	over, begun := make(chan struct{}), time.Now()
	var shower sync.WaitGroup
	shower.Go(func() {
		defer p.clear()
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
				mu.Lock()
				now := far
				if size > 0 {
					now.Done, now.Total = before.Done+far.Done, max(size, before.Done+far.Total)
				}
				mu.Unlock()
				p.showf("%s", workLine(what, now, time.Since(begun)))
			}
		}
	})
	ctx = record.WithProgress(ctx, func(now record.Progress) {
		mu.Lock()
		defer mu.Unlock()
		if now.Done == 0 {
			before.Done += far.Done
		}
		far = now
	})
	return ctx, sync.OnceFunc(func() {
		close(over)
		shower.Wait()
	})
}

// workLine says how far work has come.
func workLine(what string, p record.Progress, took time.Duration) string {
	if p.Checking {
		what += ", reading it again"
	}
	if p.Total > 0 {
		what += fmt.Sprintf(": %s of %s, %d %%", megabytes(p.Done), megabytes(p.Total), 100*p.Done/p.Total)
	}
	return what + ", " + took.Round(time.Second).String()
}

// megabytes is a number of bytes for people.
func megabytes[N int64 | uint64](n N) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// ratio is how much smaller something became.
func ratio[N int64 | uint64](raw, packed N) string {
	if packed == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", float64(raw)/float64(packed))
}
