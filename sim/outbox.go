package sim

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm/internal/dialogue"
)

// outbox is what waits to be written to one connection, in order: whole frames, and
// actions between them. Any goroutine puts things in; the connection's writer takes
// them out.
type outbox struct {
	wake chan struct{} // holds a token when something may have come in
	room chan struct{} // holds a token when something has been written

	// mu guards the following.
	mu    sync.Mutex
	queue []parcel
	size  int // bytes in the queue and in the writer's hands
	free  [][]byte
}

// parcel is either bytes or an action.
type parcel struct {
	bytes []byte
	do    Action
}

const maxParcel = 256 << 10 // small frames are put together up to this size

func newOutbox() *outbox {
	return &outbox{wake: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// append puts a copy of b in.
func (o *outbox) append(b []byte) {
	if len(b) == 0 {
		return
	}
	o.mu.Lock()
	if n := len(o.queue); n > 0 && len(o.queue[n-1].bytes) > 0 && len(o.queue[n-1].bytes)+len(b) <= maxParcel {
		o.queue[n-1].bytes = append(o.queue[n-1].bytes, b...)
	} else {
		o.queue = append(o.queue, parcel{bytes: append(o.spare(), b...)})
	}
	o.size += len(b)
	o.mu.Unlock()
	signal(o.wake)
}

// give puts b itself in, and returns an empty buffer for the next one.
func (o *outbox) give(b []byte) []byte {
	if len(b) == 0 {
		return b
	}
	o.mu.Lock()
	o.queue = append(o.queue, parcel{bytes: b})
	o.size += len(b)
	b = o.spare()
	o.mu.Unlock()
	signal(o.wake)
	return b
}

// spare takes a buffer that is not in use; mu is held.
func (o *outbox) spare() []byte {
	n := len(o.free)
	if n == 0 {
		return nil
	}
	b := o.free[n-1]
	o.free = o.free[:n-1]
	return b[:0]
}

func (o *outbox) do(a Action) {
	o.mu.Lock()
	o.queue = append(o.queue, parcel{do: a})
	o.mu.Unlock()
	signal(o.wake)
}

// last replaces all that waits by b and the end of the connection.
func (o *outbox) last(b []byte) {
	o.mu.Lock()
	o.queue = append(o.queue[:0], parcel{bytes: append([]byte(nil), b...)}, parcel{do: Drop()})
	o.mu.Unlock()
	signal(o.wake)
}

// take returns the next parcel; ok is false if there is none.
func (o *outbox) take() (p parcel, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 {
		return parcel{}, false
	}
	p = o.queue[0]
	o.queue = o.queue[:copy(o.queue, o.queue[1:])]
	return p, true
}

// written gives back a parcel's bytes.
func (o *outbox) written(b []byte) {
	const spares = 4
	o.mu.Lock()
	o.size -= len(b)
	if len(o.free) < spares && cap(b) <= 2*maxParcel {
		o.free = append(o.free, b)
	}
	o.mu.Unlock()
	signal(o.room)
}

func (o *outbox) waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.size
}

// write is the connection's writer: it empties the outbox until the connection ends.
func (c *Conn) write() {
	defer close(c.written)
	for {
		p, ok := c.out.take()
		if !ok {
			select {
			case <-c.out.wake:
			case <-c.dying:
				return
			}
			continue
		}
		if len(p.bytes) == 0 {
			if over := c.perform(p.do); over {
				return
			}
			continue
		}
		_, err := c.send(p.bytes)
		c.out.written(p.bytes)
		if err != nil {
			c.die()
			return
		}
	}
}

// send writes p, byte by byte while a fault says so.
func (c *Conn) send(p []byte) (n int, err error) {
	for ; c.split != 0 && n < len(p); n++ {
		if _, err := c.nc.Write(p[n : n+1]); err != nil {
			return n, err
		}
		if c.split > 0 {
			c.split--
		}
	}
	if n < len(p) {
		var m int
		m, err = c.nc.Write(p[n:])
		n += m
	}
	return n, err
}

// perform does what a fault or the end of the dialogue asks for. over means that
// nothing may be written any more. Before the writer runs it is called by serve.
func (c *Conn) perform(a Action) (over bool) {
	var b []byte
	switch a.kind {
	case actCut:
		c.Cut()
		return true
	case actDrop:
		c.hangUp()
		return true
	case actStall:
		return c.stall(a.wait)
	case actSplit:
		if c.split = a.n; a.n <= 0 {
			c.split = -1
		}
		return false
	case actHalfFrame:
		b = dialogue.AppendFrame(nil, ws.OpText, []byte(`[{"ev":"status","status":"success","message":"half of this is missing"}]`))
		_, _ = c.send(b[:len(b)/2]) // the connection ends anyway
		c.hangUp()
		return true
	case actPings:
		for range a.n {
			b = dialogue.AppendFrame(b, ws.OpPing, []byte("flood"))
		}
	case actGarbage:
		b = []byte("\xff\xfe\xfd this is no frame \x00\x01")
	case actGiant:
		b = binary.BigEndian.AppendUint64([]byte{0x80 | byte(ws.OpText), 127}, 1<<62)
		b = append(b, `[{"ev":"T"`...)
	case actMessage:
		b = dialogue.AppendFrame(nil, ws.OpText, []byte(a.text))
	case actClose:
		b = dialogue.AppendClose(nil, ws.StatusCode(a.n), a.text)
		_, err := c.send(b)
		c.finishing.Store(true)
		_ = c.nc.SetReadDeadline(time.Now().Add(linger)) // fails only if it is closed
		if err != nil {
			c.die()
		}
		return true
	case actNothing, actHTTP:
	}
	if _, err := c.send(b); err != nil {
		c.die()
		return true
	}
	return false
}

// hangUp ends the connection without a close frame, but so that what was written
// arrives: the system would reset a connection that is closed with bytes unread.
func (c *Conn) hangUp() {
	c.finishing.Store(true)
	if half, ok := c.raw.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_ = c.nc.SetReadDeadline(time.Now().Add(linger))
		return
	}
	c.die()
}

// stall waits, and reports whether the connection has ended meanwhile.
func (c *Conn) stall(d time.Duration) bool {
	c.stalled.Store(true)
	defer c.stalled.Store(false)
	if d <= 0 {
		<-c.dying
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return false
	case <-c.dying:
		return true
	}
}
