package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// A console is standard error, at the end of which a line may stand that is written over. What else is
// written takes its place. Nobody waits for whoever reads it: goroutines that read a connection, or write a
// recording, say something there.
type console struct {
	w     io.Writer
	lines backlog

	mu    sync.Mutex
	shown int // how wide the line is
}

// Write implements [io.Writer]. It does not wait, and never fails: there is nobody else to tell.
func (c *console) Write(b []byte) (int, error) {
	_ = c.through(c.w, b, nil) // what has no room is told
	return len(b), nil
}

// through has something written to what may be the same terminal, in place of the line; false if too much waits
// already. wrote, if it is not nil, is told what became of it otherwise.
func (c *console) through(to io.Writer, b []byte, wrote func(error)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wipe()
	return c.lines.put(to, b, wrote)
}

// show shows a line in place of the one before. It does with spaces, which older consoles of Windows
// understand too. While something else waits, nobody looks on.
func (c *console) show(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.lines.settled() {
		return
	}
	width := utf8.RuneCountInString(line)
	c.lines.put(c.w, []byte("\r"+line+strings.Repeat(" ", max(0, c.shown-width))), nil)
	c.shown = width
}

// clear takes the line away.
func (c *console) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wipe()
}

// wipe takes the line away; c.mu is held. It has room: where there is none, something else has wiped it.
func (c *console) wipe() {
	if c.shown > 0 {
		c.lines.put(c.w, []byte("\r"+strings.Repeat(" ", c.shown)+"\r"), nil)
		c.shown = 0
	}
}

// end waits until what was said is written; false if nobody reads it for too long.
func (c *console) end() bool {
	ctx, cancel := context.WithTimeout(context.Background(), unread)
	defer cancel()
	return c.lines.settle(ctx)
}

// moment is how long it is waited at most that what was said stands before what standard output gets next.
const moment = 100 * time.Millisecond

// soon waits a moment until what was said is written.
func (c *console) soon() {
	ctx, cancel := context.WithTimeout(context.Background(), moment)
	defer cancel()
	c.lines.settle(ctx)
}

// sayf says something to people on stderr, whatever is logged.
func (a *app) sayf(format string, args ...any) {
	fmt.Fprintf(a.console, format+"\n", args...)
	a.console.soon()
}

// result writes to standard output, in place of a progress line if both are on the terminal. It waits for its turn
// and for its reader, whatever its length, until ctx ends.
func (a *app) result(ctx context.Context, text string) error {
	wrote := make(chan error, 1)
	for !a.results.through(a.stdout, []byte(text), func(err error) { wrote <- err }) {
		if !a.results.lines.settle(ctx) {
			return errUnread
		}
	}
	select {
	case err := <-wrote:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-wrote:
		return err
	case <-time.After(lastly):
		return errUnread
	}
}
