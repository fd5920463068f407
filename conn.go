package tickstorm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tickstorm/tickstorm/internal/sock"
)

// Errors of a [Conn], a [Client] and a [Queue].
var (
	// ErrHandlerBusy: Close gave up waiting for a handler that is still running. The
	// socket is closed; the goroutine ends when the handler returns.
	ErrHandlerBusy = errors.New("a handler is still running")
	// ErrInHandler: the call would wait for its own goroutine; inside a handler use
	// Request and Withdraw, which do not wait.
	ErrInHandler = errors.New("called inside a handler, which would wait for itself")
	// ErrRunning: Run was called while another Run is at work.
	ErrRunning = errors.New("already running")
	// ErrEnded: Run was called on a [Conn], a [Client] or a [Queue] that has run: each does
	// so once. The error is also what that Run has returned, if it was not nil.
	ErrEnded = errors.New("has run already, and runs only once")
	// ErrNotStarted: Wait was called before Start or Run.
	ErrNotStarted = errors.New("not started")
	// ErrReleased: the Conn was released, and somebody else has its connection.
	ErrReleased = errors.New("connection was released")
	// ErrOverflow: a [Queue] with OverflowDisconnect was full.
	ErrOverflow = errors.New("the queue is full: its handler is slower than the stream")
	// ErrConsumers: a loop over Events cannot have several consumers; see
	// QueueConfig.Consumers.
	ErrConsumers = errors.New("a loop over Events has one consumer: Config.Queue.Consumers asks for more")
	// ErrBackfillBusy: too many backfills are at work to start another.
	ErrBackfillBusy = errors.New("too many backfills at work")
)

// longAgo is a deadline that has passed: setting it breaks a read off.
var longAgo = time.Unix(1, 0)

// Conn is one authenticated connection. It lasts until the server, the network or
// Close ends it; a [Client] lasts longer.
//
// It has no goroutine of its own: the one that calls Run reads, writes and calls the
// handler. Before Run, Subscribe and Unsubscribe do so as long as they wait.
// All methods may be called from any goroutine; Request, Withdraw, Close, Shutdown,
// SetHandler and Stats from handlers as well.
type Conn struct {
	cfg     Config
	nc      net.Conn
	session *Session // belongs to the driver

	driver chan struct{} // holds a token while a goroutine drives the connection
	owner  atomic.Uint64 // which goroutine that is
	busy   atomic.Bool   // it is where handlers run
	runs   runOnce
	over   chan struct{} // closed when the connection is
	err    error         // why; set before over is closed

	// The driver's own.
	armed time.Time       // the read deadline that is set
	early []byte          // came with the handshake
	life  context.Context // the end of which mutes the session

	mu   sync.Mutex // protects what follows, setting the read deadline, and that nothing is asked of what is over
	asks []func()   // what other goroutines want the driver to do
}

// Dial connects, authenticates and returns when the server has accepted the key.
// ctx bounds all of it; within it Config.DialTimeout bounds the TCP, TLS and
// WebSocket handshakes and Config.AuthTimeout the wait for the server's answer.
//
// Errors: a [*DialError] before the WebSocket is open; a [*StatusError] when the key
// is refused, for which errors.Is knows [ErrAuthFailed], [ErrNoPlan],
// [ErrAuthTimeout] and [ErrMaxConnections]; ctx's error. [Retryable] tells whether
// another attempt makes sense.
func Dial(ctx context.Context, cfg Config, h Handler) (*Conn, error) {
	s, err := NewSession(cfg, h)
	if err != nil {
		return nil, err
	}
	o, err := Open(ctx, s)
	if err != nil {
		return nil, err
	}
	c := newConn(o)
	c.driver <- struct{}{}
	defer c.release()
	c.owner.Store(goroutineID())
	inTime := context.AfterFunc(ctx, c.mute)
	defer inTime()
	c.heed(ctx)
	err = c.drive(ctx, func() bool { return s.State() != Authenticating })
	if !inTime() && err == nil {
		err = ctx.Err() // the session is muted
	}
	if err != nil {
		c.shut(err)
		return nil, err
	}
	c.heed(context.Background())
	return c, nil
}

// newConn returns a connection that is not authenticated yet.
func newConn(o *Opened) *Conn {
	o.Session.clock = time.Now
	return &Conn{
		cfg: o.Session.cfg, nc: o.Conn, session: o.Session, early: o.Early,
		driver: make(chan struct{}, 1), over: make(chan struct{}),
	}
}

// heed has ctx asked before handlers are called. It is the driver's.
func (c *Conn) heed(ctx context.Context) {
	c.life = ctx
	c.session.parser.heed(ctx, 0, 0) // a handler is slow until it is known to be quick
}

// mute has no handler called any more, from any goroutine. Of a connection that is over the
// session may be somebody else's.
func (c *Conn) mute() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.isOver() {
		c.session.Mute()
	}
}

// Run reads, and calls the handler, until the connection ends. It returns nil after Close or
// Shutdown, ctx's error when ctx ends (the connection is then closed too), else the reason:
// see [Session.Err], or a [*PanicError] if a handler has panicked. A connection runs once: a
// second call returns [ErrRunning] or [ErrEnded].
//
// After ctx has ended, the handler that runs may finish and no other is called, not even for
// the rest of the same message. Word of that takes some microseconds, in which a handler that
// takes less than one for an event may be called a few times more; Close is heard at once.
func (c *Conn) Run(ctx context.Context) error { return c.run(ctx, nil) }

// run is Run with another handler, unless that is nil.
func (c *Conn) run(ctx context.Context, h Handler) (err error) {
	if err := c.runs.begin(); err != nil {
		return err
	}
	defer func() { c.runs.end(err) }()
	if h != nil {
		c.SetHandler(h)
	}
	defer context.AfterFunc(ctx, c.mute)() // also while somebody else drives
	select {
	case c.driver <- struct{}{}:
	case <-c.over:
		return c.reason()
	case <-ctx.Done():
		// Somebody may wait in Subscribe, and drive until the end.
		c.ask(c.session.Close)
		select {
		case c.driver <- struct{}{}:
		case <-c.over:
			return ctx.Err()
		}
	}
	defer c.release()
	c.owner.Store(goroutineID())
	c.heed(ctx)
	// What is told outside of handlers can panic too: a done, where nobody answers in time.
	if p := catch(func() { err = c.drive(ctx, func() bool { return false }) }); p != nil {
		c.session.Fail(p)
		err = p
	}
	if ctx.Err() != nil && !c.isOver() && c.session.err == nil {
		c.session.Mute()
		accepted := c.session.State() != Authenticating
		c.session.Close()
		// A server that has not answered the key is not asked to answer this.
		_ = c.drive(context.WithoutCancel(ctx), func() bool { return !accepted })
		c.shut(ErrClosed)
		return ctx.Err()
	}
	c.shut(err)
	return c.reason()
}

// Subscribe subscribes to a stream for symbols, or [All], and waits until the server
// has acknowledged every one, ctx ends, or Config.AckTimeout has passed for a
// request; many symbols go out in several, one after the other. Anything but a full
// acknowledgement is a [*SubscribeError]. Data may come before the acknowledgement.
//
// Errors of what cannot be sent: [ErrNoSymbols], [ErrNoStream], [ErrBadTopic], and
// [ErrSubscriptionLimit] where more option quotes would be held than the vendor
// allows. Inside a handler it returns [ErrInHandler].
//
// An acknowledgement does not promise data: the server acknowledges symbols that do
// not exist.
func (c *Conn) Subscribe(ctx context.Context, s Stream, symbols ...string) error {
	topics, err := c.cfg.Topics(s, symbols...)
	if err != nil {
		return err
	}
	return c.SubscribeTopics(ctx, topics...)
}

// SubscribeTopics is Subscribe for topics, also of channels that the library does not
// know; the server leaves those unanswered if it does not know them either.
func (c *Conn) SubscribeTopics(ctx context.Context, topics ...Topic) error {
	return c.await(ctx, subscribe, topics)
}

// Unsubscribe ends subscriptions and waits for the acknowledgements, as Subscribe
// does. Events on their way still come.
func (c *Conn) Unsubscribe(ctx context.Context, s Stream, symbols ...string) error {
	topics, err := c.cfg.Topics(s, symbols...)
	if err != nil {
		return err
	}
	return c.UnsubscribeTopics(ctx, topics...)
}

// UnsubscribeTopics is Unsubscribe for topics.
func (c *Conn) UnsubscribeTopics(ctx context.Context, topics ...Topic) error {
	return c.await(ctx, unsubscribe, topics)
}

// Request subscribes to topics without waiting, from any goroutine or handler. done, if
// not nil, is called once by the goroutine that drives the connection: with nil when all
// topics were acknowledged, else with a [*SubscribeError], or with [ErrSubscriptionLimit] for
// what was not sent. It must not wait for anything there. A result that nobody asked for is
// logged.
//
// The errors are those of topics that cannot be sent, and of a connection that has ended;
// done is not called then.
func (c *Conn) Request(done func(error), topics ...Topic) error {
	return c.post(subscribe, done, topics)
}

// Withdraw ends subscriptions without waiting; it is otherwise like Request.
func (c *Conn) Withdraw(done func(error), topics ...Topic) error {
	return c.post(unsubscribe, done, topics)
}

func (c *Conn) post(action string, done func(error), topics []Topic) error {
	topics, err := c.cfg.checked(topics)
	if err != nil {
		return err
	}
	if done == nil {
		done = c.cfg.logResult
	}
	if !c.begin(newErrand(action, topics, done)) {
		return c.reasonOrClosed()
	}
	return nil
}

// Granted returns the topics that the server has acknowledged and that are not being ended,
// sorted.
func (c *Conn) Granted() []Topic { return c.session.Granted() }

// SetHandler exchanges the handler, from the next message on; nil drops events. The
// methods of the old one are not called any more once those of the new one are.
func (c *Conn) SetHandler(h Handler) { c.session.SetHandler(h) }

// Stats returns what the connection has counted, as of the last read.
func (c *Conn) Stats() Stats { return c.session.Stats() }

// Close closes the connection: it sends a close frame, waits for the server's, and
// for the goroutine in Run, and closes the socket; all within Config.CloseTimeout.
//
// After Close has been called, the handler that runs may finish and no other is called, not
// even for the rest of the same message. Close returns [ErrHandlerBusy] if that handler was
// still running after CloseTimeout, else nil. Inside a handler it returns nil at once, and
// Run ends soon after the handler. Closing again is harmless. See Shutdown for the patient
// form.
func (c *Conn) Close() error {
	c.mu.Lock()
	if !c.isOver() {
		c.session.Mute()
		c.askLocked(c.session.Close)
	}
	c.mu.Unlock()
	// A tenth is kept back for what comes after the wait.
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.CloseTimeout*9/10)
	defer cancel()
	if c.awaitEnd(ctx) != nil {
		return ErrHandlerBusy
	}
	return nil
}

// Shutdown is the patient form of Close: what comes before the server's answer is still
// delivered, by the goroutine in Run if there is one, however long the handlers take. When
// ctx ends first it becomes Close without any patience: the socket is closed, the handler
// that runs may finish and no other is called, and ctx's error is returned if one is running.
// A server that neither answers nor sends anything for half of Config.CloseTimeout is not
// waited for any longer. Inside a handler Shutdown returns nil at once, and Run ends when the
// server has answered.
func (c *Conn) Shutdown(ctx context.Context) error {
	c.ask(c.session.Shutdown) // in a handler too: the session's time is that before it
	return c.awaitEnd(ctx)
}

// awaitEnd waits for the end of a connection that was asked to close, unless it is called
// inside a handler.
func (c *Conn) awaitEnd(ctx context.Context) error {
	if c.isOver() || c.inHandler() {
		return nil
	}
	select {
	case <-c.over:
		return nil
	case c.driver <- struct{}{}: // nobody reads
		defer c.release()
		c.owner.Store(goroutineID())
		c.session.Mute() // a handler that blocks could not be left here
		_ = c.drive(ctx, func() bool { return false })
		c.shut(ErrClosed)
		return nil
	case <-ctx.Done():
	}
	// Without its socket the driver ends at once, unless a handler keeps it.
	c.mute()
	_ = c.nc.Close()
	for {
		select {
		case <-c.over:
			return nil
		case c.driver <- struct{}{}: // nobody drives, or not any more
			defer c.release()
			c.shut(ErrClosed)
			return nil
		case <-time.After(time.Millisecond):
			if c.busy.Load() {
				return ctx.Err()
			}
		}
	}
}

// drive reads, writes and calls the handler until done, which is asked after each
// read, or until the session or ctx ends; it returns the error of either. The caller
// holds the driver's token.
func (c *Conn) drive(ctx context.Context, done func() bool) error {
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() { c.ask(func() {}) })
		defer stop()
	}
	s := c.session
	now := time.Now()
	s.Advance(now)
	if early := c.early; early != nil {
		c.early = nil
		c.guard(func() { _ = s.Feed(early) }) // an error ends the session, which the loop finds
	}
	for {
		c.serve()
		if err := c.flush(now); err != nil {
			c.hearOut(err)
		}
		if err := s.err; err != nil {
			return err
		}
		if done() {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := 0, error(nil)
		if c.arm(s.Deadline()) {
			n, err = c.nc.Read(s.Buffer())
		}
		now = time.Now()
		s.Advance(now)
		if n > 0 {
			seen := s.parser.elementsSeen()
			c.guard(func() { _ = s.Commit(n) })
			then := time.Now() // handlers may have taken long
			s.parser.heed(c.life, then.Sub(now), s.parser.elementsSeen()-seen)
			now = then
			s.Advance(now)
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded) || sock.IsTimeout(err):
			c.armed = time.Time{}
		default:
			_ = s.Disconnected(err)
		}
	}
}

// arm sets the deadline of the next read, unless one as early is set, and reports
// whether to read: not if somebody wants something. Whoever wants something sets a
// deadline that has passed, under the same lock, so that no wake is lost.
func (c *Conn) arm(deadline time.Time) bool {
	if !c.armed.IsZero() && !deadline.IsZero() && !c.armed.After(deadline) {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.asks) > 0 {
		return false
	}
	_ = c.nc.SetReadDeadline(deadline) // a closed socket says so when it is read
	c.armed = deadline
	return true
}

// ask has the driver do something soon, and reports whether it will: not of a connection that
// is over.
func (c *Conn) ask(do func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isOver() {
		return false
	}
	c.askLocked(do)
	return true
}

func (c *Conn) askLocked(do func()) {
	c.asks = append(c.asks, do)
	_ = c.nc.SetReadDeadline(longAgo)
}

// serve does what was asked.
func (c *Conn) serve() {
	c.mu.Lock()
	asks := c.asks
	c.asks = nil
	c.mu.Unlock()
	for _, do := range asks {
		do()
	}
}

// flush writes what the session has to say, in one write.
func (c *Conn) flush(now time.Time) error {
	for {
		out := c.session.Outgoing()
		if len(out) == 0 {
			return nil
		}
		if err := c.nc.SetWriteDeadline(now.Add(c.cfg.WriteTimeout)); err != nil {
			return err
		}
		n, err := c.nc.Write(out)
		now = time.Now() // it may have taken long
		c.session.Advance(now)
		c.session.Sent(n)
		if err != nil {
			return err
		}
	}
}

// lastWords is how long the server is listened to after a write has failed.
const lastWords = 250 * time.Millisecond

// hearOut takes what the server said before a write failed: a status or a close frame
// that has not been read yet is the better reason.
func (c *Conn) hearOut(cause error) {
	s := c.session
	limit := time.Now().Add(lastWords)
	c.armed = time.Time{}
	for s.State() < Closing && time.Now().Before(limit) {
		if !c.arm(limit) {
			c.serve()
			continue
		}
		n, err := c.nc.Read(s.Buffer())
		s.Advance(time.Now())
		if n > 0 {
			c.guard(func() { _ = s.Commit(n) })
		}
		if err != nil && !sock.IsTimeout(err) {
			break
		}
		c.armed = time.Time{}
	}
	_ = s.Disconnected(cause)
}

// begin has the driver serve an errand soon, and reports whether it will: not if the connection
// is over. Nobody need wait for it.
func (c *Conn) begin(e *errand) bool {
	return c.ask(func() { e.serve(c.session, e.tell) })
}

// wait waits for an errand: while another goroutine drives or, if nobody does, by driving
// itself.
func (c *Conn) wait(ctx context.Context, e *errand) error {
	select {
	case err := <-e.result:
		return err
	case c.driver <- struct{}{}:
		defer c.release()
		c.owner.Store(goroutineID())
		err := c.drive(ctx, func() bool { return e.told.Load() })
		if c.session.err != nil {
			c.shut(err)
		}
	case <-c.over:
	case <-ctx.Done():
	}
	select {
	case err := <-e.result:
		return err
	default:
	}
	if c.isOver() {
		return e.soFar(c.reasonOrClosed())
	}
	return e.soFar(ctx.Err())
}

func (c *Conn) await(ctx context.Context, action string, topics []Topic) error {
	if c.inHandler() {
		return ErrInHandler
	}
	if len(topics) == 0 {
		return ErrNoSymbols
	}
	e := newErrand(action, topics, nil)
	c.begin(e)
	return c.wait(ctx, e)
}

// shut closes the socket and records why the connection ended. The caller holds the
// driver's token.
func (c *Conn) shut(err error) {
	if c.isOver() {
		return
	}
	_ = c.nc.Close()
	c.session.Disconnected(err)
	c.cfg.Logger.Info("connection ended", "err", err)
	for over := false; !over; {
		c.serve() // who asked meanwhile gets the session's end for an answer
		c.mu.Lock()
		if over = len(c.asks) == 0; over {
			c.err = err
			close(c.over)
		}
		c.mu.Unlock()
	}
}

func (c *Conn) inHandler() bool { return isGoroutine(c.owner.Load()) }

// guard calls what calls handlers. One that panics ends the session: it was in the middle
// of a message, so that nobody can go on. One that ends its goroutine (runtime.Goexit, as
// t.FailNow does) takes the driver with it, and the socket is closed here.
func (c *Conn) guard(f func()) {
	if c.busy.Load() { // within another guard
		f()
		return
	}
	c.busy.Store(true)
	returned := false
	defer func() {
		c.busy.Store(false)
		if returned {
			return
		}
		if p := recovered(recover()); p != nil {
			c.session.Fail(p)
		} else {
			c.shut(ErrClosed)
		}
	}()
	f()
	returned = true
}

func (c *Conn) isOver() bool {
	select {
	case <-c.over:
		return true
	default:
		return false
	}
}

// reason is what Run returns of a connection that is over.
func (c *Conn) reason() error {
	if errors.Is(c.err, ErrClosed) || errors.Is(c.err, ErrCloseTimeout) {
		return nil
	}
	return c.err
}

func (c *Conn) reasonOrClosed() error {
	if err := c.reason(); err != nil {
		return err
	}
	return ErrClosed
}

func (c *Conn) release() {
	c.owner.Store(0)
	<-c.driver
}

// String names the connection's feed and market.
func (c *Conn) String() string { return fmt.Sprintf("tickstorm.Conn{%s/%s}", c.cfg.Feed, c.cfg.Market) }

// Format keeps the key out of every verb.
func (c *Conn) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }
