// Package counts is what a sink or a consumer counts while others look.
package counts

import "sync"

// Of is a struct of counters at work. The zero value counts from zero. Its methods may be called from
// any goroutine.
type Of[S any] struct {
	mu sync.Mutex
	s  S
}

// Add changes the counters. Nobody sees a part of the change.
func (c *Of[S]) Add(change func(*S)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.s)
}

// Snapshot returns the counters as they are.
func (c *Of[S]) Snapshot() S {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.s
}
