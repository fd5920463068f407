package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/filelock"
)

// lease is a server's hold of Config.Lock.
type lease struct {
	mu    sync.Mutex // protects what follows
	lock  *filelock.Lock
	over  bool // the server has given it up
	tells bool // that somebody else has it
}

// lockPoll is how often a standby asks for the lock. The system has no way to wait for one that
// could be broken off.
const lockPoll = 50 * time.Millisecond

// acquire waits for the lock, if there is one. It returns ErrEnded if the server ends meanwhile.
func (s *Server) acquire(ctx context.Context) error {
	if s.cfg.Lock == "" {
		return nil
	}
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		held, err := s.tryLock()
		if held || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-s.closing:
			return tickstorm.ErrEnded
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Server) tryLock() (held bool, err error) {
	l := &s.lease
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.over:
		return false, tickstorm.ErrEnded
	case l.lock != nil:
		return true, nil
	}
	l.lock, err = filelock.Try(s.cfg.Lock)
	switch {
	case errors.Is(err, filelock.ErrHeld):
		if !l.tells {
			s.log.Info("relay: another has the lock; this is a standby", "lock", s.cfg.Lock)
		}
		l.tells = true
		return false, nil
	case err != nil:
		return false, fmt.Errorf("relay: Config.Lock: %w", err)
	}
	s.log.Info("relay: has the lock", "lock", s.cfg.Lock)
	return true, nil
}

// yield gives the lock up for good.
func (s *Server) yield() {
	l := &s.lease
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	if l.lock != nil {
		_ = l.lock.Release() // it is the end of it even so
		l.lock = nil
	}
}

// standby reports whether the server waits for the lock.
func (s *Server) standby() bool {
	if s.cfg.Lock == "" {
		return false
	}
	l := &s.lease
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lock == nil && !l.over
}
