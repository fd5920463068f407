package fanout

import "time"

// This file is conflation at a pace: under OutletConfig.Every an outlet conflates from its
// beginning to its end, and the latest events go out in rounds. A round has each symbol once,
// and begins no sooner than Every after the end of the one before, so that no symbol comes more
// often; what waits when it ends has the next round, or goes out before the outlet ends, so that
// the last event of a symbol always comes.

// pace is the state of rounds. The outlet's lock protects it.
type pace struct {
	left  int         // events of the round that is under way
	next  time.Time   // when another may begin
	timer *time.Timer // that wakes the goroutine for it
}

// due reports whether the latest events may be taken now.
func (o *Outlet) due() bool {
	switch {
	case o.latest.n == 0 || o.taken < o.after:
		return false
	case o.cfg.Every <= 0 || o.ending || o.pace.left > 0: // no round comes behind the end
		return true
	case time.Now().Before(o.pace.next):
		return false
	}
	o.pace.left = o.latest.n
	return true
}

// tookOne counts one of the latest events as taken.
func (o *Outlet) tookOne() {
	if o.cfg.Every <= 0 {
		return
	}
	if o.pace.left--; o.pace.left == 0 {
		o.pace.next = time.Now().Add(o.cfg.Every)
	}
}

// skipRound ends a round because what waits goes out by itself.
func (o *Outlet) skipRound() {
	if o.cfg.Every > 0 && o.latest.n > 0 {
		o.pace.left, o.pace.next = 0, time.Now().Add(o.cfg.Every)
	}
}

// arm has the goroutine, which is about to wait, woken for the next round.
func (o *Outlet) arm() {
	p := o.pace
	if o.cfg.Every <= 0 || o.latest.n == 0 || o.armed {
		return
	}
	o.armed = true
	left := time.Until(p.next)
	if p.timer == nil {
		p.timer = time.AfterFunc(left, o.ring)
		return
	}
	p.timer.Reset(left)
}

// ring is called when a round may begin.
func (o *Outlet) ring() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.armed = false
	o.wake()
}

// stopPace ends the rounds.
func (o *Outlet) stopPace() {
	if o.pace != nil && o.pace.timer != nil {
		o.pace.timer.Stop() // if it has fired it finds nothing to do
	}
}

// patient reports whether the goroutine has nothing to do before the next round, which it will be woken
// for.
func (o *Outlet) patient() bool { return o.armed && o.waiting.n == 0 && !o.ending }
