package fanout

import "time"

// This file is how an outlet spares system calls, which cost as much for one message as for
// ten: under OutletConfig.FlushInterval what comes soon after a write waits for more.

// flush is the state of that. The outlet's lock protects it.
type flush struct {
	last    time.Time // when a batch was taken last
	timer   *time.Timer
	waiting bool // the goroutine waits for more, or for the timer
}

// early reports whether what waits is to wait for more, and if so has the goroutine, which is
// about to wait, woken in time. Answers and ends are not kept back, nor is as much as half of
// what goes out at once.
func (o *Outlet) early() bool {
	f := &o.flush
	if o.cfg.FlushInterval <= 0 || o.waiting.n == 0 || o.enough() || len(o.answers) > 0 || o.ending {
		return false
	}
	left := o.cfg.FlushInterval - time.Since(f.last)
	if left <= 0 {
		return false
	}
	if f.timer == nil {
		f.timer = time.AfterFunc(left, o.flushDue)
	} else {
		f.timer.Reset(left)
	}
	return true
}

// enough reports whether so much waits that it goes out at once.
func (o *Outlet) enough() bool { return o.bytes >= o.batchLimit()/2 }

// flushDue is called when what waits has waited for long enough.
func (o *Outlet) flushDue() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wake()
}
