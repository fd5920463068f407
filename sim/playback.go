package sim

import (
	"fmt"
	"math"
	"sync"
	"time"
)

// Playback is how a server's [Replay] is played. Its methods are commands to all connections, those
// to come too, and may be called from any goroutine, at any time.
type Playback struct {
	mu      sync.Mutex
	speed   float64
	paused  bool
	seek    int64         // where to, in nanoseconds since 1970
	seeks   int           // how often that was said
	changes chan struct{} // closed by the next command
}

// Playback returns that of the server's replay, nil if it has none.
func (s *Server) Playback() *Playback { return s.playback }

func newPlayback(r *Replay) *Playback {
	return &Playback{speed: r.Speed, changes: make(chan struct{})}
}

func (p *Playback) command(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do()
	close(p.changes)
	p.changes = make(chan struct{})
}

// Pause has nothing sent until Resume.
func (p *Playback) Pause() { p.command(func() { p.paused = true }) }

// Resume goes on where Pause has stopped, or Seek has gone since.
func (p *Playback) Resume() { p.command(func() { p.paused = false }) }

// SetSpeed changes the speed, as in [Replay], from the next message on. One that is no positive number is 0.
func (p *Playback) SetSpeed(speed float64) {
	if !(speed > 0) || math.IsInf(speed, 1) {
		speed = 0
	}
	p.command(func() { p.speed = speed })
}

// Seek goes on at the first message that was received at t or later, on connections whose
// replay has not come to its end. A [Source] that is no [Seeker] ends its connection's replay.
// A connection that begins later begins at t too.
func (p *Playback) Seek(t time.Time) {
	p.command(func() {
		p.seek = t.UnixNano()
		p.seeks++
	})
}

// player plays a source at the pace of a playback, for one connection.
type player struct {
	playback *Playback
	source   Source
	maxIdle  time.Duration
	wake     *time.Timer

	changes chan struct{} // what of the playback is known is from before this is closed
	speed   float64
	paused  bool
	seeks   int

	msg   []byte // has been read and was not due
	at    int64  // when it was received
	holds bool

	anchored bool
	began    time.Time // when the message that was received at first was played, or would have been
	first    int64
	last     int64 // received of the message before
	due      time.Time
}

// begin begins with a source. Where the playback has been sought to before counts for the first.
func (p *player) begin(source Source) {
	p.source, p.holds, p.anchored, p.last = source, false, false, 0
}

// next returns the next message, once it is due; waits reports that the caller must wait first.
func (p *player) next() (msg []byte, waits bool, err error) {
	if err := p.obey(); err != nil {
		return nil, false, err
	}
	if p.paused {
		p.due = time.Time{}
		return nil, true, nil
	}
	if !p.holds {
		if p.msg, p.at, err = p.source.Next(); err != nil {
			return nil, false, err
		}
		p.holds = true
		if p.at == 0 {
			p.at = p.last
		}
		p.schedule()
	}
	if p.speed > 0 && time.Now().Before(p.due) {
		return nil, true, nil
	}
	p.holds, p.last = false, max(p.last, p.at)
	return p.msg, false, nil
}

// schedule says when the message is due: from where the playback was anchored, so that delays do
// not add up.
func (p *player) schedule() {
	if p.speed == 0 || p.at == 0 {
		return
	}
	if p.last == 0 {
		p.last = p.at
	}
	if !p.anchored {
		p.anchored, p.began, p.first = true, time.Now(), p.last
	}
	if idle := p.played(p.at - p.last); p.maxIdle > 0 && idle > p.maxIdle {
		p.began = p.began.Add(p.maxIdle - idle)
	}
	p.due = p.began.Add(p.played(p.at - p.first))
}

func (p *player) played(recorded int64) time.Duration {
	return time.Duration(float64(recorded) / p.speed)
}

// obey does what the playback has said since the last time.
func (p *player) obey() error {
	if p.changes != nil {
		select {
		case <-p.changes:
		default:
			return nil
		}
	}
	b := p.playback
	b.mu.Lock()
	p.changes, p.speed, p.paused = b.changes, b.speed, b.paused
	seek, sought := b.seek, b.seeks > p.seeks
	p.seeks = b.seeks
	b.mu.Unlock()
	p.anchored = false
	if !sought {
		if p.holds {
			p.schedule()
		}
		return nil
	}
	s, ok := p.source.(Seeker)
	if !ok {
		return fmt.Errorf("sim: a %T cannot seek", p.source)
	}
	p.holds, p.last = false, 0
	return s.SeekTo(seek)
}

// wait waits until the message is due, or there is a command, and reports whether the connection
// goes on.
func (p *player) wait(dying <-chan struct{}) bool {
	var due <-chan time.Time
	if !p.due.IsZero() {
		p.wake.Reset(time.Until(p.due))
		defer p.wake.Stop()
		due = p.wake.C
	}
	select {
	case <-due:
	case <-p.changes:
	case <-dying:
		return false
	}
	return true
}
