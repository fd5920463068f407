package fanout

import "github.com/tickstorm/tickstorm"

// SetOverflow changes what gives way where there is no room, from now on: policy, high and low
// are as in [OutletConfig], zero for the defaults. What waits goes on waiting.
func (o *Outlet) SetOverflow(policy tickstorm.Overflow, high, low int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ending {
		return
	}
	c := o.cfg
	c.Overflow, c.High, c.Low = policy, high, low
	c = c.withDefaults()
	o.cfg.Overflow, o.cfg.High, o.cfg.Low = c.Overflow, c.High, c.Low
	if o.conflating && c.Every <= 0 && c.Overflow != tickstorm.OverflowConflate {
		o.settleLatest()
		o.endConflating()
	}
	if o.dropping { // what comes next may find room, behind the note of what did not
		o.dropping = false
		o.tell()
	}
	o.wake()
}
