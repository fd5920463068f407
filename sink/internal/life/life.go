// Package life is the life of what runs once and is stopped from elsewhere: a runner, a consumer.
package life

import (
	"context"
	"sync"
)

// Life begins once and ends once. Make it with New. Its methods may be called from any goroutine.
type Life struct {
	stop, over chan struct{} // closed by Stop, and by End

	mu      sync.Mutex // protects what follows
	stopped bool
	cancel  context.CancelFunc // nil until it has begun
}

// New returns a life that has not begun.
func New() *Life { return &Life{stop: make(chan struct{}), over: make(chan struct{})} }

// Begin begins it; ok is false if it has begun before. The context ends with ctx, with the patience
// of a Stop, and with End, which whoever began it has to call.
func (l *Life) Begin(ctx context.Context) (life context.Context, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cancel != nil {
		return nil, false
	}
	life, l.cancel = context.WithCancel(ctx)
	return life, true
}

// End says that all is over.
func (l *Life) End() {
	l.cancel()
	close(l.over)
}

// Stopping is closed once Stop was called.
func (l *Life) Stopping() <-chan struct{} { return l.stop }

// Stop asks for the end, and waits for it until ctx ends; then the life's own context ends too, and
// ctx's error is returned. What has not begun is not waited for.
func (l *Life) Stop(ctx context.Context) error {
	l.mu.Lock()
	if !l.stopped {
		l.stopped = true
		close(l.stop)
	}
	cancel := l.cancel
	l.mu.Unlock()
	if cancel == nil {
		return nil
	}
	select {
	case <-l.over:
		return nil
	case <-ctx.Done():
		cancel()
		<-l.over
		return ctx.Err()
	}
}
