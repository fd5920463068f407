package fanout

import "github.com/tickstorm/tickstorm"

// Grant is Control and Subscribe in one: no event of the topics is written before the frames,
// which acknowledge them, and whatever comes once they have been written is not missed. Between
// two calls it would be one or the other.
func (o *Outlet) Grant(frames []byte, topics ...tickstorm.Topic) {
	o.mu.Lock()
	o.granting++
	o.mu.Unlock()
	o.Subscribe(topics...)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.granting--
	o.control(frames)
	o.wake() // to what was kept back, whatever became of the frames
}
