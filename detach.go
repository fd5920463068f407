package tickstorm

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Errors of leaving package net.
var (
	// ErrUnsupported: this system has no epoll. It is errors.ErrUnsupported too.
	ErrUnsupported = fmt.Errorf("Detach and Poller need Linux: %w", errors.ErrUnsupported)
	// ErrNoDescriptor: the connection, which a Config.NetDial of the program made, has
	// no descriptor of its own: it is no syscall.Conn, such as a *net.TCPConn.
	ErrNoDescriptor = errors.New("connection has no descriptor")
	// ErrDetached: the Conn was detached, and its Detached has the connection.
	ErrDetached = errors.New("connection was detached")
	// ErrMore: ReadReady has used up its budget; there may be more to read, of which
	// epoll does not know.
	ErrMore = errors.New("more to read")
	// errWriteBacklog: see maxQueued.
	errWriteBacklog = errors.New("peer demands answers and reads none")
)

const (
	// readBudget is what ReadReady and a Poller read of one connection by default before
	// it is others' turn: some five hundred events, and so some 50 µs.
	readBudget = 64 << 10
	// maxQueued bounds what TLS has written and the kernel not taken: answers to key
	// updates, which a peer could ask for without end.
	maxQueued = 256 << 10
	// writePiece is the most that is given to TLS at once, which takes it whether the
	// kernel does or not: well below maxQueued.
	writePiece = 64 << 10
	// tailKept is how much memory for an incomplete frame a connection on a Poller keeps.
	tailKept = 4 << 10
	// lateness is by how much the time may be told late without it being taken for a
	// loop that was busy elsewhere, and did not listen.
	lateness = time.Second
)

// Detached is a connection for an event loop of the program's own: a descriptor that
// never blocks, with the TLS, the WebSocket and the dialogue on top of it. It comes
// from [Conn.Detach]. A [Poller] is such a loop ready-made.
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
// A Detached belongs to one goroutine at a time; only SetHandler, Mute, Stats and Err may be
// called from any. Handlers run inside ReadReady; there they may call any method but
// ReadReady, WriteReady and Advance. If a handler panics, the descriptor is closed on the
// way, and Err is a [*PanicError].
type Detached struct {
	cfg     Config
	session *Session
	socket  *socket
	top     io.ReadWriter // the socket, or TLS on top of it
	early   []byte        // came with the handshake
	window  []byte        // of the Poller, to read into; nil for the session's own
	tail    []byte        // the session's window while it has the Poller's

	due     time.Time              // what Advance returned
	writeBy time.Time              // when what waits to be written is late; zero if nothing waits
	unread  bool                   // ReadReady used up its budget
	unheard bool                   // Advance waits for what is to be read
	inside  bool                   // a handler may be running
	closing bool                   // Close was called by it
	polled  atomic.Pointer[polled] // of the Poller that drives it

	mu       sync.Mutex // protects what follows
	counters Counters
	samples  ErrorSamples
	err      error
}

// Detach takes the connection out of package net, with everything that has been read,
// decrypted and queued, and hands it over to an event loop of the program's own. The
// Conn is over then: its methods return [ErrDetached], or do nothing.
//
// It works for ws and wss, also through proxies, on connections that no goroutine is
// using: after [Dial], not during Run or Subscribe. Errors: [ErrUnsupported] on other
// systems than Linux; [ErrNoDescriptor]; [ErrRunning]; [ErrInHandler]; why the Conn
// ended, or ErrClosed, if it has. After an error the Conn is as it was.
//
// A connection from a Config.NetDial loses the methods that it has beside those of the
// descriptor: one that wraps a *net.TCPConn to count bytes will count no more.
func (c *Conn) Detach() (*Detached, error) {
	if c.inHandler() {
		return nil, ErrInHandler
	}
	select {
	case c.driver <- struct{}{}:
	default:
		if c.isOver() {
			return nil, c.reasonOrClosed()
		}
		return nil, ErrRunning
	}
	if c.isOver() {
		<-c.driver
		return nil, c.reasonOrClosed()
	}
	d, err := detach(&c.cfg, c.session, c.nc)
	if err != nil {
		<-c.driver
		return nil, err
	}
	// The token is kept: nobody drives this Conn any more.
	c.session.listen(time.Now())
	c.serve()
	c.publish()
	c.mu.Lock()
	late := c.asks
	c.asks, c.err = nil, ErrDetached
	close(c.over)
	c.mu.Unlock()
	for _, do := range late { // of a Close, the Detached is closing then
		do()
	}
	d.deadline()
	d.publish()
	return d, nil
}

// detach makes a Detached of an open connection, and closes package net's side of it.
func detach(cfg *Config, s *Session, nc net.Conn) (*Detached, error) {
	tlsTop, _ := nc.(*tls.Conn)
	var lowest *resumable
	bottom := nc
	for {
		t, ok := bottom.(*tls.Conn)
		if !ok {
			break
		}
		shim, ok := t.NetConn().(*resumable)
		if !ok { // TLS of the program's own
			return nil, fmt.Errorf("%w: %T of Config.NetDial", ErrNoDescriptor, t)
		}
		lowest, bottom = shim, shim.Conn
	}
	raw, ok := bottom.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("%w: %T", ErrNoDescriptor, bottom)
	}
	socket, err := newSocket(raw, &cfg.Socket)
	if err != nil {
		return nil, err
	}
	_ = bottom.Close() // the descriptor has a duplicate, so this only ends package net's part
	d := &Detached{cfg: *cfg, session: s, socket: socket, top: socket}
	if lowest != nil {
		lowest.socket = socket
		d.top = tlsTop
	}
	return d, nil
}

// Fd returns the descriptor, -1 after Close. It is for waiting; reading it, writing it
// or closing it breaks the connection.
func (d *Detached) Fd() int { return d.socket.fd }

// Advance tells the time and returns when to tell it again at the latest, the zero Time
// meaning never; it ends what takes too long, and sends pings. Call it after each wait, before
// anything else, because what is asked for is due from the time that was told last on.
// While something waits to be read nothing ends: that is ReadReady's to decide.
func (d *Detached) Advance(now time.Time) time.Time {
	s := d.session
	if !d.due.IsZero() && !now.Before(d.due) && s.Err() == nil && d.hasUnread() {
		// It has come in time, perhaps, while the loop was busy elsewhere.
		d.unheard = true
		s.tell(now)
		return now
	}
	if !d.due.IsZero() && now.Sub(d.due) > lateness {
		s.listen(now)
	}
	return d.advance(now)
}

func (d *Detached) advance(now time.Time) time.Time {
	s := d.session
	d.unheard = false
	s.Advance(now)
	d.flush()
	if !d.writeBy.IsZero() && !now.Before(d.writeBy) {
		_ = s.Disconnected(os.ErrDeadlineExceeded)
	}
	if s.Err() != nil {
		d.publish()
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
		d.due = earlier(d.session.Deadline(), d.writeBy)
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
		d.advance(d.session.now)
	}
	d.flush()
	d.publish()
	if d.session.Err() != nil {
		return d.session.Err()
	}
	return err
}

// read is the loop of ReadReady. Its error is nil or ErrMore; the session knows of others.
func (d *Detached) read(budget int) error {
	s := d.session
	if d.window != nil {
		d.borrow()
		defer d.giveBack()
	}
	if d.early != nil {
		early := d.early
		d.early = nil
		_ = s.Feed(early)
	}
	d.socket.ready()
	defer d.socket.readDone()
	for s.Err() == nil && !d.closing {
		if budget == 0 {
			return ErrMore
		}
		buf := s.Buffer()
		n, err := d.top.Read(buf[:min(len(buf), budget)])
		budget -= n
		if n > 0 {
			if stamp := d.socket.stamp; stamp != 0 {
				s.parser.SetReceived(stamp)
			}
			_ = s.Commit(n)
		}
		switch {
		case err == errWouldBlock:
			return nil
		case err != nil:
			_ = s.Disconnected(err)
		}
		if err := d.socket.err; err != nil {
			_ = s.Disconnected(err)
		}
	}
	return nil
}

// borrow has the session read into the Poller's window, which all connections share: it
// is warm in the cache, and quiet connections cost no memory.
func (d *Detached) borrow() {
	if f := d.session.framer; f.w-f.r < len(d.window) {
		d.tail = f.exchange(d.window)
	}
}

// giveBack keeps what the session has of an incomplete frame, and frees the window.
func (d *Detached) giveBack() {
	f := d.session.framer
	if len(f.buf) == 0 || &f.buf[0] != &d.window[0] {
		return // a long message, for which the session has got a window of its own
	}
	n := f.w - f.r
	if size := max(n, tailKept); n > len(d.tail) || len(d.tail) > 4*size { // too small, or left by a long message
		d.tail = make([]byte, size)
	}
	f.exchange(d.tail)
	d.tail = nil
}

// leave closes the descriptor if a handler has panicked, or ended its goroutine: it was in
// the middle of a message, so that nobody can go on.
func (d *Detached) leave() {
	if !d.inside {
		return
	}
	d.inside = false
	v := recover()
	if p := recovered(v); p != nil {
		d.session.panicked(p)
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
		d.publish()
	}
	return d.session.Err()
}

// WantWrite reports whether something waits to be written that the kernel did not take.
func (d *Detached) WantWrite() bool { return !d.writeBy.IsZero() && d.socket.fd >= 0 }

// flush writes what the session and TLS have to say, until the kernel takes no more:
// what is left then waits for WriteReady.
func (d *Detached) flush() {
	s := d.session
	if d.inside || d.WantWrite() || d.socket.fd < 0 {
		return
	}
	for {
		if !d.socket.drain() {
			break
		}
		out := s.Outgoing()
		if len(out) == 0 {
			return
		}
		n, err := d.top.Write(out[:min(len(out), writePiece)])
		s.Sent(n)
		if err == errWouldBlock {
			break
		}
		if err != nil {
			_ = s.Disconnected(err)
			return
		}
	}
	if err := d.socket.err; err != nil {
		_ = s.Disconnected(err)
		return
	}
	d.writeBy = s.now.Add(d.cfg.WriteTimeout)
}

// Subscribe subscribes to topics. done is called once, within a later call of a method
// or within this one, with nil when all were acknowledged, else with a
// [*SubscribeError]; nil is allowed. It is not called if Subscribe returns an error, which
// is one of those of [Session.Request].
func (d *Detached) Subscribe(done func(error), topics ...Topic) error {
	d.clock()
	return d.asked(d.session.Subscribe(done, topics...))
}

// Unsubscribe ends subscriptions; it is otherwise like Subscribe.
func (d *Detached) Unsubscribe(done func(error), topics ...Topic) error {
	d.clock()
	return d.asked(d.session.Unsubscribe(done, topics...))
}

// Request is Subscribe without a result.
func (d *Detached) Request(topics ...Topic) error { return d.Subscribe(nil, topics...) }

// Withdraw is Unsubscribe without a result.
func (d *Detached) Withdraw(topics ...Topic) error { return d.Unsubscribe(nil, topics...) }

// clock tells the time of what is asked for between the turns of a Poller, which may have
// told it last long ago: patience begins now.
func (d *Detached) clock() {
	if d.polled.Load() != nil && !d.inside && d.session.Err() == nil {
		d.session.tell(time.Now())
	}
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
func (d *Detached) SetHandler(h Handler) { d.session.SetHandler(h) }

// Stats returns what the connection has counted, also before Detach, as of the last
// ReadReady. It may be called from any goroutine.
func (d *Detached) Stats() Stats {
	var stats Stats
	d.mu.Lock()
	stats.Counters, stats.ErrorSamples = d.counters, d.samples
	d.mu.Unlock()
	d.session.parser.latency.snapshot(&stats.Latency)
	return stats
}

// Err returns why the connection has ended, nil as long as it has not: see [Session.Err].
// It may be called from any goroutine.
func (d *Detached) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// State returns how far the session has come.
func (d *Detached) State() SessionState { return d.session.State() }

// Backlog returns how many bytes wait in the kernel to be read, encrypted ones where the
// connection is. It is a system call. A number that grows from one wake to the next is the
// earliest sign of falling behind; what waits beyond it waits at the server, which
// cuts off those who let it grow. The error is the kernel's.
func (d *Detached) Backlog() (int, error) { return d.socket.backlog() }

// Mute ends all calls of the handler; see [Session.Mute]. It may be called from any goroutine:
// the way to stop a Detached at once that another one reads, and then closes.
func (d *Detached) Mute() { d.session.Mute() }

// Shutdown is the patient form of Close: it starts the closing handshake, and events still
// come until the server has answered or half of Config.CloseTimeout has passed. Then Err is [ErrClosed] or
// [ErrCloseTimeout], and it is time for Close.
func (d *Detached) Shutdown() {
	d.clock()
	d.session.Close()
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
	case d.socket.fd >= 0:
		d.end()
		d.touch()
	}
	return nil
}

func (d *Detached) ended() bool { return d.socket.fd < 0 || d.session.Err() != nil }

func (d *Detached) end() {
	if d.socket.fd < 0 {
		return
	}
	d.session.Close()
	d.flush()
	if t, ok := d.top.(*tls.Conn); ok && !d.WantWrite() {
		_ = t.CloseWrite() // never waits: the socket queues what it cannot write
	}
	if m := d.polled.Load(); m != nil {
		m.poller.ep.remove(d.socket.fd) // closing leaves it there if it has a duplicate
	}
	d.socket.close()
	_ = d.session.Disconnected(ErrClosed)
	d.publish()
	d.cfg.Logger.Info("connection ended", "err", d.session.Err())
}

func (d *Detached) publish() {
	counters, err := d.session.counters(), d.session.Err()
	d.mu.Lock()
	if counters.Errors != d.counters.Errors {
		d.samples = d.session.parser.samples
	}
	d.counters, d.err = counters, err
	d.mu.Unlock()
}

// String names the connection's feed and market.
func (d *Detached) String() string {
	return fmt.Sprintf("tickstorm.Detached{%s/%s}", d.cfg.Feed, d.cfg.Market)
}

// Format keeps the key out of every verb.
func (d *Detached) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, d.String()) }
