package relay

import (
	"net/netip"
	"sync"
	"time"

	"github.com/tickstorm/tickstorm/internal/gate"
)

// doorman keeps those out for a while who come with wrong keys again and again: guessing is
// hopeless, and it fills the log. Addresses of the machine itself are not kept out, since a
// proxy there would be all of its clients.
type doorman struct {
	every time.Duration // a wrong key is forgotten in
	burst int           // wrong keys are let pass

	mu   sync.Mutex
	free map[netip.Prefix]time.Time // when all wrong keys of an address are forgotten
}

const (
	forgiveness = 6 * time.Second
	wrongKeys   = 10
	mostBarred  = 4096
)

// failed is told of a wrong key.
func (d *doorman) failed(from string) {
	p, ok := gate.Address(from)
	if !ok {
		return
	}
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.free == nil {
		d.free = map[netip.Prefix]time.Time{}
	}
	if _, known := d.free[p]; !known && len(d.free) >= mostBarred {
		d.forget(now)
	}
	at := d.free[p]
	if at.Before(now) {
		at = now
	}
	d.free[p] = at.Add(d.every)
}

// wait returns how long who comes from an address is to wait; 0 is not at all.
func (d *doorman) wait(from string) time.Duration {
	p, ok := gate.Address(from)
	if !ok {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	at, known := d.free[p]
	if !known {
		return 0
	}
	return max(0, time.Until(at)-time.Duration(d.burst)*d.every)
}

// forget makes room: what is over goes, and where that is not enough any, half of all at once, lest
// each that comes has all looked at.
func (d *doorman) forget(now time.Time) {
	for p, at := range d.free {
		if at.Before(now) {
			delete(d.free, p)
		}
	}
	for p := range d.free {
		if len(d.free) <= mostBarred/2 {
			return
		}
		delete(d.free, p)
	}
}
