package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
)

// A backlog is text on its way to writers that may take nothing for a while: a pager, a terminal that was
// stopped by Ctrl-S, a pipe that nobody reads. Whoever has something to write does not wait for that. What waits
// is written in its order; what has no room is left out, and that is told in its place, unless whoever wrote it
// wants to know of it and tells himself.
type backlog struct {
	missed func(lines int) // writes that lines are missing; may be nil

	mu      sync.Mutex
	waiting []chunk
	length  int           // of what waits and of what is being written, in bytes
	missing int           // lines that had no room behind what waits
	idle    chan struct{} // closed when all is written; nil if nothing waits
}

// mostWaiting is how many bytes may wait: thousands of lines.
const mostWaiting = 1 << 20

// A chunk is what one writer gets, from one who wants to know of it or from several who do not.
type chunk struct {
	to    io.Writer
	bytes []byte
	wrote func(error) // may be nil
}

// errUnread: somebody has the other end open, and does not read.
var errUnread = errors.New("nobody reads what is written")

// put has a copy of b written; false if there is no room, which there is for anything where nothing waits. wrote, if it
// is not nil, is told what became of it.
func (l *backlog) put(to io.Writer, b []byte, wrote func(error)) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.missing > 0 || l.length > 0 && l.length+len(b) > mostWaiting {
		if wrote == nil {
			l.missing += bytes.Count(b, []byte{'\n'})
		}
		return false
	}
	l.length += len(b)
	if n := len(l.waiting); n > 0 && wrote == nil && l.waiting[n-1].wrote == nil && l.waiting[n-1].to == to {
		l.waiting[n-1].bytes = append(l.waiting[n-1].bytes, b...)
		return true
	}
	l.waiting = append(l.waiting, chunk{to, bytes.Clone(b), wrote})
	if l.idle == nil {
		l.idle = make(chan struct{})
		go l.write()
	}
	return true
}

// write writes what waits, until nothing does.
func (l *backlog) write() {
	l.mu.Lock()
	defer l.mu.Unlock()
	unlocked := func(do func()) {
		l.mu.Unlock()
		defer l.mu.Lock()
		do()
	}
	for len(l.waiting) > 0 || l.missing > 0 {
		if len(l.waiting) == 0 {
			missing := l.missing
			l.missing = 0
			if l.missed != nil {
				unlocked(func() { l.missed(missing) })
			}
			continue
		}
		c := l.waiting[0]
		l.waiting = l.waiting[1:]
		unlocked(func() {
			_, err := c.to.Write(c.bytes)
			if c.wrote != nil {
				c.wrote(err)
			}
		})
		l.length -= len(c.bytes)
	}
	l.waiting = nil
	close(l.idle)
	l.idle = nil
}

// settle waits until all is written, or until ctx ends: then it is false.
func (l *backlog) settle(ctx context.Context) bool {
	l.mu.Lock()
	idle := l.idle
	l.mu.Unlock()
	if idle == nil {
		return true
	}
	select {
	case <-idle:
		return true
	case <-ctx.Done():
		return false
	}
}

// settled reports whether all is written.
func (l *backlog) settled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.idle == nil
}
