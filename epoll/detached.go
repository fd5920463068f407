package epoll

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/sock"
)

// ErrNoDescriptor: the connection, which a Config.NetDial of the program made, has no
// descriptor of its own: it is no syscall.Conn, such as a *net.TCPConn. It is
// errors.ErrUnsupported too.
var ErrNoDescriptor = fmt.Errorf("connection has no descriptor: %w", errors.ErrUnsupported)

// ErrMore: ReadReady has used up its budget; there may be more to read, of which epoll does
// not know.
var ErrMore = errors.New("more to read")

const (
	// readBudget is what ReadReady and a Poller read of one connection by default before
	// it is others' turn: some five hundred events, and so some 50 µs.
	readBudget = 64 << 10
	// writePiece is the most that is given to TLS at once, which takes it whether the
	// kernel does or not: well below what a descriptor queues at most.
	writePiece = 64 << 10
	// lateness is by how much the time may be told late without it being taken for a
	// loop that was busy elsewhere, and did not listen.
	lateness = time.Second
)

// Detached is a connection for an event loop of the program's own: a descriptor that
// never blocks, with the TLS, the WebSocket and the dialogue on top of it. It comes
// from [Detach]. A [Poller] is such a loop ready-made.
//
// A loop around it: register Fd with epoll, level-triggered, for EPOLLIN|EPOLLRDHUP,
// and call ReadReady once for what had been read before. Then, time and again, wait
// for events or until the time that Advance returned; call Advance with the time, which
// becomes the Received of the events that follow; ReadReady where the descriptor is
// readable, or ReadReady returned [ErrMore] before; WriteReady where it is writable; and
// ask for EPOLLOUT as long as WantWrite. What there is to say is written at once, so
// that WantWrite is for the rare moments in which the kernel takes no more. When Err is
// not nil, Close.
//
// A Detached belongs to one goroutine at a time; only SetHandler, Mute, Stats and Err may
// be called from any. Handlers run inside ReadReady; there they may call any method but
// ReadReady, WriteReady and Advance. If a handler panics, the descriptor is closed on the
// way, and Err is a [*tickstorm.PanicError].
type Detached struct {
	cfg        tickstorm.Config
	session    *tickstorm.Session
	descriptor *sock.Descriptor
	top        io.ReadWriter // the descriptor, or TLS on top of it
	early      []byte        // came with the handshake
	window     []byte        // of the Poller, to read into: warm in the cache, and for all; nil for the session's own

	now     time.Time              // what was told last
	due     time.Time              // what Advance returned
	writeBy time.Time              // when what waits to be written is late; zero if nothing waits
	unread  bool                   // ReadReady used up its budget
	unheard bool                   // Advance waits for what is to be read
	inside  bool                   // a handler may be running
	closing bool                   // Close was called by it
	polled  atomic.Pointer[polled] // of the Poller that drives it
}

// Detach takes a connection out of package net, with everything that has been read,
// decrypted and queued, and hands it over to an event loop of the program's own. The Conn
// is over then: its methods return [tickstorm.ErrReleased], or do nothing.
//
// It works for ws and wss, also through proxies, on connections that no goroutine is
// using: after [tickstorm.Dial], not during Run or Subscribe. Errors: those of
// [tickstorm.Conn.Release]; [ErrNoDescriptor]; [errors.ErrUnsupported] on other systems than
// Linux. After an error the Conn is as it was.
//
// A connection from a Config.NetDial loses the methods that it has beside those of the
// descriptor: one that wraps a *net.TCPConn to count bytes will count no more.
func Detach(c *tickstorm.Conn) (*Detached, error) {
	var d *Detached
	err := c.Release(func(o *tickstorm.Opened) (err error) {
		d, err = New(o)
		return err
	})
	if err != nil {
		return nil, err
	}
	d.now = time.Now()
	d.session.Listen(d.now) // nobody may have listened for long
	d.deadline()
	return d, nil
}

// New makes a Detached of a connection that nobody drives, from [tickstorm.Open] for
// example, and closes package net's side of it. The errors are those of Detach, after which
// o is as it was.
func New(o *tickstorm.Opened) (*Detached, error) {
	top, _ := o.Conn.(*tls.Conn)
	var lowest *sock.Shim
	bottom := o.Conn
	for {
		t, ok := bottom.(*tls.Conn)
		if !ok {
			break
		}
		shim, ok := t.NetConn().(*sock.Shim)
		if !ok { // TLS of the program's own
			return nil, fmt.Errorf("%w: %T of Config.NetDial", ErrNoDescriptor, t)
		}
		lowest, bottom = shim, shim.Conn
	}
	raw, ok := bottom.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("%w: %T", ErrNoDescriptor, bottom)
	}
	cfg := o.Session.Config()
	descriptor, err := sock.Duplicate(raw, cfg.Socket.QuickAck, cfg.Socket.Timestamps)
	if err != nil {
		return nil, err
	}
	_ = bottom.Close() // the descriptor has a duplicate, so this only ends package net's part
	d := &Detached{cfg: cfg, session: o.Session, descriptor: descriptor, top: descriptor, early: o.Early}
	if lowest != nil {
		lowest.Detach(descriptor)
		d.top = top
	}
	return d, nil
}

// Fd returns the descriptor, -1 after Close. It is for waiting; reading it, writing it
// or closing it breaks the connection.
func (d *Detached) Fd() int { return d.descriptor.FD() }

// Advance tells the time and returns when to tell it again at the latest, the zero Time
// meaning never; it ends what takes too long, and sends pings. Call it after each wait, before
// anything else, because what is asked for is due from the time that was told last on.
// While something waits to be read nothing ends: that is ReadReady's to decide.
func (d *Detached) Advance(now time.Time) time.Time {
	d.now = now
	if !d.due.IsZero() && !now.Before(d.due) && d.session.Err() == nil && d.hasUnread() {
		// It has come in time, perhaps, while the loop was busy elsewhere.
		d.unheard = true
		d.session.SetTime(now)
		return now
	}
	if !d.due.IsZero() && now.Sub(d.due) > lateness {
		d.session.Listen(now)
	}
	return d.advance()
}

func (d *Detached) advance() time.Time {
	d.unheard = false
	d.session.Advance(d.now)
	d.flush()
	if !d.writeBy.IsZero() && !d.now.Before(d.writeBy) {
		_ = d.session.Disconnected(os.ErrDeadlineExceeded)
	}
	return d.deadline()
}

// hasUnread reports whether something waits to be read: in the kernel, or in TLS.
func (d *Detached) hasUnread() bool {
	if d.unread {
		return true
	}
	waiting, err := d.Backlog()
	return err == nil && waiting > 0
}

func (d *Detached) deadline() time.Time {
	d.due = time.Time{}
	if d.session.Err() == nil {
		d.due = d.session.Deadline()
		if d.due.IsZero() || !d.writeBy.IsZero() && d.writeBy.Before(d.due) {
			d.due = d.writeBy
		}
	}
	return d.due
}

// ReadReady reads, decrypts, takes frames and calls the handler until the descriptor
// has no more, in which case it returns nil, or budget bytes were read: then it returns
// [ErrMore], and wants to be called again without waiting. A budget of 0 means 64 KiB.
// Any other error is that of Err: the connection has ended.
func (d *Detached) ReadReady(budget int) error {
	if d.ended() {
		return d.session.Err()
	}
	if budget <= 0 {
		budget = readBudget
	}
	d.inside = true
	defer d.leave()
	err := d.read(budget)
	d.inside, d.unread = false, err == ErrMore
	if d.closing {
		d.end()
		return d.session.Err()
	}
	if d.unheard {
		d.advance()
	}
	d.flush()
	if d.session.Err() != nil {
		return d.session.Err()
	}
	return err
}

// read is the loop of ReadReady. Its error is nil or ErrMore; the session knows of others.
func (d *Detached) read(budget int) error {
	s := d.session
	if d.window != nil {
		s.Borrow(d.window)
		defer s.GiveBack()
	}
	if d.early != nil {
		early := d.early
		d.early = nil
		_ = s.Feed(early)
	}
	d.descriptor.Ready()
	defer d.descriptor.ReadDone()
	for s.Err() == nil && !d.closing {
		if budget == 0 {
			return ErrMore
		}
		buf := s.Buffer()
		n, err := d.top.Read(buf[:min(len(buf), budget)])
		budget -= n
		if n > 0 {
			if stamp := d.descriptor.Stamp(); stamp != 0 {
				s.SetReceived(stamp)
			}
			_ = s.Commit(n)
		}
		switch {
		case err == sock.ErrWouldBlock:
			return nil
		case err != nil:
			_ = s.Disconnected(err)
		}
		if err := d.descriptor.Err(); err != nil {
			_ = s.Disconnected(err)
		}
	}
	return nil
}

// guard calls what calls handlers outside ReadReady.
func (d *Detached) guard(f func()) {
	if d.inside {
		f()
		return
	}
	d.inside = true
	defer d.leave()
	f()
	d.inside = false
	if d.closing {
		d.end()
	}
}

// leave closes the descriptor if a handler has panicked, or ended its goroutine: it was in
// the middle of a message, so that nobody can go on.
func (d *Detached) leave() {
	if !d.inside {
		return
	}
	d.inside = false
	v := recover()
	if v != nil {
		d.session.Fail(&tickstorm.PanicError{Value: v, Stack: debug.Stack()})
	}
	d.end()
	if v != nil {
		panic(v) // its stack is printed too
	}
}

// WriteReady writes what waits, now that the descriptor is writable. Its error is that of
// Err: the connection has ended.
func (d *Detached) WriteReady() error {
	if !d.ended() {
		d.writeBy = time.Time{}
		d.flush()
	}
	return d.session.Err()
}

// WantWrite reports whether something waits to be written that the kernel did not take.
func (d *Detached) WantWrite() bool { return !d.writeBy.IsZero() && d.descriptor.FD() >= 0 }

// flush writes what the session and TLS have to say, until the kernel takes no more:
// what is left then waits for WriteReady.
func (d *Detached) flush() {
	s := d.session
	if d.inside || d.WantWrite() || d.descriptor.FD() < 0 {
		return
	}
	for {
		if !d.descriptor.Drain() {
			break
		}
		out := s.Outgoing()
		if len(out) == 0 {
			return
		}
		n, err := d.top.Write(out[:min(len(out), writePiece)])
		s.Sent(n)
		if err == sock.ErrWouldBlock {
			break
		}
		if err != nil {
			_ = s.Disconnected(err)
			return
		}
	}
	if err := d.descriptor.Err(); err != nil {
		_ = s.Disconnected(err)
		return
	}
	d.writeBy = d.now.Add(d.cfg.WriteTimeout)
}

// Request subscribes to topics without waiting. done, if not nil, is called once, within a
// later call of a method or within this one, with nil when all were acknowledged, else with
// a [*tickstorm.SubscribeError]. It is not called if Request returns an error, which is one
// of those of [tickstorm.Session.Request].
func (d *Detached) Request(done func(error), topics ...tickstorm.Topic) error {
	d.clock()
	return d.asked(d.session.Request(done, topics...))
}

// Withdraw ends subscriptions; it is otherwise like Request.
func (d *Detached) Withdraw(done func(error), topics ...tickstorm.Topic) error {
	d.clock()
	return d.asked(d.session.Withdraw(done, topics...))
}

// clock tells the time of what is asked for between the turns of a Poller, which may have
// told it last long ago: patience begins now.
func (d *Detached) clock() {
	if d.polled.Load() != nil && !d.inside && d.session.Err() == nil {
		d.now = time.Now()
		d.session.SetTime(d.now)
	}
}

// between has do call methods of the session, between those that are called here.
func (d *Detached) between(do func()) {
	d.clock()
	d.guard(do)
	_ = d.asked(nil)
}

func (d *Detached) asked(err error) error {
	d.deadline()
	if !d.inside {
		d.flush()
		d.touch()
	}
	return err
}

// touch tells the Poller that something was done out of turn.
func (d *Detached) touch() {
	if m := d.polled.Load(); m != nil {
		m.poller.enqueue(m)
	}
}

// SetHandler exchanges the handler, from the next message on; nil drops events. It may
// be called from any goroutine.
func (d *Detached) SetHandler(h tickstorm.Handler) { d.session.SetHandler(h) }

// Stats returns what the connection has counted, also before Detach, as of the last
// ReadReady. It may be called from any goroutine.
func (d *Detached) Stats() tickstorm.Stats { return d.session.Stats() }

// Err returns why the connection has ended, nil as long as it has not: see
// [tickstorm.Session.Err]. It may be called from any goroutine.
func (d *Detached) Err() error { return d.session.Err() }

// State returns how far the session has come.
func (d *Detached) State() tickstorm.SessionState { return d.session.State() }

// Backlog returns how many bytes wait in the kernel to be read, encrypted ones where the
// connection is. It is a system call. A number that grows from one wake to the next is the
// earliest sign of falling behind; what waits beyond it waits at the server, which
// cuts off those who let it grow. The error is the kernel's.
func (d *Detached) Backlog() (int, error) { return d.descriptor.Backlog() }

// Mute ends all calls of the handler; see [tickstorm.Session.Mute]. It may be called from any
// goroutine: the way to stop a Detached at once that another one reads, and then closes.
func (d *Detached) Mute() { d.session.Mute() }

// Shutdown is the patient form of Close: it starts the closing handshake, and events still
// come until the server has answered, or has sent nothing for half of Config.CloseTimeout. Then
// Err is [tickstorm.ErrClosed] or [tickstorm.ErrCloseTimeout], and it is time for Close.
func (d *Detached) Shutdown() {
	d.clock()
	d.session.Shutdown()
	_ = d.asked(nil)
}

// Close closes the descriptor at once, which takes it out of every epoll, unless the program
// has kept a duplicate. A close frame is sent ahead if the kernel takes it; nobody waits for
// its answer. After Close has been called, the handler that runs may finish and no other is
// called, not even for the rest of the same message: inside a handler the descriptor is closed
// when ReadReady returns. Closing again is harmless. It returns nil. See Shutdown for the
// patient form.
func (d *Detached) Close() error {
	switch {
	case d.inside:
		d.closing = true
		d.session.Mute()
	case d.descriptor.FD() >= 0:
		d.end()
		d.touch()
	}
	return nil
}

func (d *Detached) ended() bool { return d.descriptor.FD() < 0 || d.session.Err() != nil }

func (d *Detached) end() {
	if d.descriptor.FD() < 0 {
		return
	}
	d.session.Close()
	d.flush()
	if t, ok := d.top.(*tls.Conn); ok && !d.WantWrite() {
		_ = t.CloseWrite() // never waits: the socket queues what it cannot write
	}
	if m := d.polled.Load(); m != nil {
		m.poller.ep.Remove(d.descriptor.FD()) // closing leaves it there if it has a duplicate
	}
	d.descriptor.Close()
	_ = d.session.Disconnected(tickstorm.ErrClosed)
	d.cfg.Logger.Info("connection ended", "err", d.session.Err())
}

// String names the connection's feed and market.
func (d *Detached) String() string {
	return fmt.Sprintf("epoll.Detached{%s/%s}", d.cfg.Feed, d.cfg.Market)
}

// Format keeps the key out of every verb.
func (d *Detached) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, d.String()) }
