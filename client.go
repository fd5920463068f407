package tickstorm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Client is a connection that lasts: it connects, subscribes to what is wanted and
// runs, and when the connection breaks it does so again, after a wait that grows.
// The server forgets subscriptions with the connection, and there is no replay: what
// it sent meanwhile is missed, which a [GapHandler] is told, and Config.Backfill can fetch.
//
// One goroutine reads, and a [Queue] stands between it and the handler, so that a handler
// that is slow for a while does not make the server hang up. Config.Queue says how large
// it is and what happens when it is full; QueueConfig.Inline does without.
//
// All methods may be called from any goroutine; Request, Withdraw, Close, Shutdown,
// SetHandler, Topics, State and Stats from handlers as well. A Client runs once.
type Client struct {
	cfg Config

	queue *Queue // nil if there is none

	runs runOnce
	over chan struct{} // closed when Run has returned
	halt *atomic.Bool  // no handler is called any more: the queue's, if there is one
	wake chan struct{} // has room for one: something was handed over

	reading sync.WaitGroup // the goroutine that reads, where that is not Run's
	besides sync.WaitGroup // backfills on goroutines of their own
	filler  atomic.Uint64  // a goroutine that a backfill has handlers called on

	// The reading goroutine's own.
	attempt   int     // since the last healthy connection
	missed    *Gap    // not told yet
	gapTopics []Topic // those of the last gap
	scanner   *Parser // finds the first event after a gap
	last      Moment  // of any connection

	mu          sync.Mutex // protects what follows
	handler     Handler
	topics      topicSet // wanted
	conn        *Conn    // the current one, nil while there is none
	link        *link    // its
	early       *Conn    // the one that is about to be
	past        Stats    // of the connections before it
	state       State
	started     bool
	closed      bool
	life        context.Context    // no handler is called after its end
	cancel      context.CancelFunc // ends Run
	work        context.Context    // ends with Run, or when Close is called: the backfills'
	stopWork    context.CancelFunc
	owner       uint64 // the goroutine in Run
	reader      uint64 // the one that reads
	connections int    // made
	handed      []*handover
	filling     int   // backfills beside
	failure     error // of one of them, which ends Run
}

// NewClient returns a client that does nothing until Run is called. The error is
// about the Config.
func NewClient(cfg Config, h Handler) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, handler: h, over: make(chan struct{}), halt: new(atomic.Bool), wake: make(chan struct{}, 1)}
	if !cfg.Queue.Inline {
		if err := c.newQueue(h); err != nil {
			return nil, err
		}
	}
	c.scanner = c.newParser()
	return c, nil
}

// AttemptsError is how Run ends after Backoff.MaxAttempts. It unwraps to Err.
type AttemptsError struct {
	Attempts int
	Err      error // why the last one failed
}

// Error says how many attempts failed, and why the last did.
func (e *AttemptsError) Error() string {
	return fmt.Sprintf("gave up after %d attempts: %v", e.Attempts, e.Err)
}

// Unwrap returns Err.
func (e *AttemptsError) Unwrap() error { return e.Err }

// Run connects and delivers events until ctx ends (it returns ctx's error), Close or Shutdown
// is called (nil), the reason of a failure is final by [Retryable], a handler panics (a
// [*PanicError]), or Backoff.MaxAttempts have failed (an [*AttemptsError]). While it runs it
// is the goroutine that handlers are called on, or the first of those where
// Config.Queue.Consumers asks for several. A client runs once: a second call returns
// [ErrRunning] or [ErrEnded].
//
// After ctx has ended, the handlers that run, one a consumer, may finish and no other is
// called, not even for the rest of the same message; see [Conn.Run] for handlers that take
// less than a microsecond. So it is when a handler panics. What is queued is not handled any
// more then; in all other cases it is, before Run returns, unless Close or Shutdown has given
// up waiting. The one call that is always made is the last: OnState with StateClosed.
func (c *Client) Run(ctx context.Context) error { return c.run(ctx, nil) }

// run is Run with another handler, unless that is nil.
func (c *Client) run(user context.Context, h Handler) (err error) {
	if err := c.runs.begin(); err != nil {
		return err
	}
	defer func() { c.runs.end(err) }()
	ctx, cancel := context.WithCancel(user)
	defer cancel()
	work, stopWork := context.WithCancel(ctx)
	defer stopWork()
	c.mu.Lock()
	c.started, c.life, c.cancel, c.owner = true, ctx, cancel, goroutineID()
	if c.queue != nil {
		c.life = user // Close, while there is no connection, ends ctx, and not the handling
	}
	c.work, c.stopWork = work, stopWork
	closed := c.closed
	c.mu.Unlock()
	if h != nil {
		c.SetHandler(h)
	}
	defer c.finish() // also where a handler ends the goroutine
	switch {
	case closed:
	case c.queue != nil:
		err = c.pass(ctx, user)
	default:
		if p := catch(func() { err = c.read(ctx) }); p != nil {
			err = p
		}
	}
	stopWork()
	c.besides.Wait()
	c.mu.Lock()
	if c.failure != nil {
		err = c.failure
	}
	c.mu.Unlock()
	if p := catch(func() { c.callLast(c.enter(StateChange{State: StateClosed, Err: err})) }); p != nil {
		err = p
	}
	return err
}

func (c *Client) finish() {
	c.stopWork()
	c.cancel()
	c.reading.Wait()
	c.besides.Wait()
	c.mu.Lock()
	c.state, c.owner = StateClosed, 0
	c.mu.Unlock()
	close(c.over)
}

// read connects and reads until that makes no sense any more.
func (c *Client) read(ctx context.Context) error {
	c.mu.Lock()
	c.reader = goroutineID()
	c.mu.Unlock()
	bound := c.cfg.Backoff.Min
	for {
		c.attempt++
		var healthy bool
		err := ctx.Err()
		if err == nil {
			c.notify(c.enter(StateChange{State: StateConnecting}))
			healthy, err = c.once(ctx)
		}
		var panicked *PanicError
		switch {
		case errors.As(err, &panicked):
			return err
		case c.isClosed():
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !Retryable(err):
			return err
		}
		if most := c.cfg.Backoff.MaxAttempts; most > 0 && c.attempt >= most && !healthy {
			return &AttemptsError{c.attempt, err}
		}
		if healthy {
			bound = c.cfg.Backoff.Min
		}
		wait := rand.N(bound) + 1
		bound = min(2*bound, c.cfg.Backoff.Max)
		if errors.Is(err, ErrMaxConnections) {
			wait = max(wait, c.cfg.Backoff.MaxConnections)
		}
		var refused *DialError
		if errors.As(err, &refused) {
			wait = max(wait, refused.RetryAfter)
		}
		c.countReconnect(err)
		c.cfg.Logger.Warn("reconnecting", "err", err, "wait", wait)
		c.notify(c.enter(StateChange{State: StateBackoff, Err: err, Wait: wait}))
		if healthy {
			c.attempt = 0
		}
		c.sleep(ctx, wait)
	}
}

// sleep waits, and does what is handed over meanwhile.
func (c *Client) sleep(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return
		case <-c.wake:
			c.takeOver()
		case <-ctx.Done():
			return
		}
	}
}

// once is the life of one connection; it reports whether that was a healthy one.
func (c *Client) once(ctx context.Context) (healthy bool, err error) {
	if err := ctx.Err(); err != nil { // a handler has called Close
		return false, err
	}
	if c.queue != nil {
		c.queue.resume()
	}
	defer c.part() // also where a handler has panicked, or ended the goroutine
	conn, err := dial(ctx, c.cfg, c.connHandler(), func(conn *Conn) {
		c.mu.Lock()
		c.early = conn
		if c.halt.Load() {
			conn.mute()
		}
		c.mu.Unlock()
		c.notify(c.enter(StateChange{State: StateAuthenticating}))
	})
	if c.missed != nil {
		c.missed.Attempt++
	}
	if err != nil {
		return false, err
	}
	l := &link{ctx: ctx, client: c, conn: conn}
	defer func() {
		l.stop()
		if !conn.isOver() {
			_ = conn.Close()
		}
	}()
	conn.session.before = l.scan
	if closed := l.start(); closed {
		return false, conn.Close()
	}
	err = conn.Run(ctx)
	l.lost(err)
	return l.healthy(), err
}

// current returns the connection, also one that is about to be; nil if there is none. The
// caller holds the lock.
func (c *Client) current() *Conn {
	if c.conn != nil {
		return c.conn
	}
	return c.early
}

// part takes leave of a connection that has ended, if there was one, and keeps its counters.
func (c *Client) part() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if conn := c.current(); conn != nil {
		stats := conn.Stats()
		c.past.add(&stats)
	}
	c.conn, c.link, c.early = nil, nil, nil
}

// inHandler reports whether a call would wait for its own goroutine.
func (c *Client) inHandler() bool {
	c.mu.Lock()
	owner, reader := c.owner, c.reader
	c.mu.Unlock()
	return isGoroutine(owner) || isGoroutine(reader) || isGoroutine(c.filler.Load()) || c.queue != nil && c.queue.handlesHere()
}

// reads reports whether the calling goroutine is the one that reads.
func (c *Client) reads() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return isGoroutine(c.reader)
}

func (c *Client) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// SetHandler exchanges the handler, from the next message on, or from the next batch that
// a consumer takes from the queue; nil drops events.
func (c *Client) SetHandler(h Handler) {
	if c.queue != nil {
		c.queue.setHandler(h) // without the lock: it asks a ShardHandler
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handler = h
	if c.conn != nil {
		c.conn.SetHandler(h)
	}
}

// Stats returns what all the client's connections have counted together, those that failed in
// authentication included. With a queue,
// what is counted while decoding is behind by what waits there.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	stats := c.past
	if conn := c.current(); conn != nil {
		current := conn.Stats()
		stats.add(&current)
	}
	stats.Reconnects = uint64(max(0, c.connections-1))
	if c.queue != nil {
		stats.behind(c.queue)
	}
	return stats
}

// Close ends the client as [Conn.Close] ends a connection, whatever it is doing; Run then
// returns nil, and backfills end.
//
// With Queue.Inline, after Close has been called, the handler that runs may finish and no
// other is called but OnState with StateClosed. With a queue, what is queued is still handled,
// as far as Config.CloseTimeout allows. What is still running when that has passed, a handler
// or a backfill, is an [ErrHandlerBusy]: the socket is closed, the handler that runs may finish
// and no other is called, and Run returns when it does. Inside a handler Close returns nil at
// once. Closing again is harmless. See Shutdown for the patient form.
func (c *Client) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.CloseTimeout)
	defer cancel()
	if c.shutdown(ctx, false) != nil {
		return ErrHandlerBusy
	}
	return nil
}

// Shutdown is the patient form of Close, as [Conn.Shutdown] is of [Conn.Close]: what comes
// before the server's answer is still delivered, and what is queued is handled, however long
// the handlers take. A client that is not connected ends at once but for what is queued, and
// backfills end. When ctx ends first the socket is closed, the handler that runs may finish
// and no other is called but OnState with StateClosed, and ctx's error is returned. Inside a
// handler Shutdown returns nil at once.
func (c *Client) Shutdown(ctx context.Context) error { return c.shutdown(ctx, true) }

func (c *Client) shutdown(ctx context.Context, patient bool) error {
	c.mu.Lock()
	c.closed = true
	conn, started := c.conn, c.started
	cancel, stopWork := c.cancel, c.stopWork
	if c.queue == nil && !patient {
		c.muteLocked()
	}
	c.mu.Unlock()
	if !started {
		return nil
	}
	inside := c.inHandler()
	stopWork()
	if c.queue != nil && !patient {
		if inside || c.queue.blocked() {
			c.queue.Close() // who reads must not wait for room
		} else {
			defer time.AfterFunc(c.cfg.CloseTimeout/4, c.queue.Close).Stop()
		}
	}
	var err error
	switch {
	case conn == nil:
		cancel() // dialling, or waiting to
	case inside && patient:
		conn.ask(conn.session.closePatiently)
	case inside:
		conn.mute() // nor would the queue take what comes
		conn.ask(conn.session.Close)
	case patient:
		err = conn.Shutdown(ctx)
	default:
		ctx, cancel := context.WithTimeout(ctx, c.cfg.CloseTimeout*9/10)
		defer cancel()
		conn.ask(conn.session.Close)
		err = conn.awaitEnd(ctx)
	}
	if inside {
		return nil
	}
	if err != nil {
		c.abandon(ErrClosed)
		return err
	}
	select {
	case <-c.over:
		return nil
	case <-ctx.Done():
	}
	c.abandon(ErrClosed)
	c.mu.Lock()
	early := c.early
	c.mu.Unlock()
	if early != nil {
		_ = early.nc.Close()
	}
	return ctx.Err()
}

// abandon has no handler called any more, because of err.
func (c *Client) abandon(err error) {
	if c.queue != nil {
		c.queue.stop(err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.muteLocked()
}

// muteLocked is abandon for a client without a queue.
func (c *Client) muteLocked() {
	c.halt.Store(true)
	if conn := c.current(); conn != nil {
		conn.mute()
	}
}

// String names the client's feed and market.
func (c *Client) String() string {
	return fmt.Sprintf("tickstorm.Client{%s/%s}", c.cfg.Feed, c.cfg.Market)
}

// Format keeps the key out of every verb.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }
