package main

import (
	"fmt"
	"sync"
	"time"
)

// progress is a line on stderr that is written over while something takes long: only on a terminal,
// and not if it is to be quiet.
type progress struct {
	app   *app
	on    bool
	shown bool
}

func (a *app) progress() *progress { return &progress{app: a, on: a.stderrTerminal && !a.Quiet} }

// showf shows a line in place of the one before.
func (p *progress) showf(format string, args ...any) {
	if p.on {
		p.shown = true
		fmt.Fprintf(p.app.stderr, "\r"+format+"\x1b[K", args...)
	}
}

// clear takes the line away.
func (p *progress) clear() {
	if p.shown {
		p.shown = false
		fmt.Fprint(p.app.stderr, "\r\x1b[K")
	}
}

// working shows how long something has been at work, until what is returned is called.
func (a *app) working(what string) (stop func()) {
	p := a.progress()
	if !p.on {
		return func() {}
	}
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
				p.showf("%s, %v", what, time.Since(begun).Round(time.Second))
			}
		}
	})
	return func() {
		close(over)
		shower.Wait()
	}
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
