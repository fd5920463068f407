package tickstorm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Client is a connection that lasts: it connects, subscribes to what is wanted and
// runs, and when the connection breaks it does so again, after a wait that grows. It is a
// [Lasting] driven by goroutines: Start runs it on some of its own, Run on the caller's.
// The server forgets subscriptions with the connection, and there is no replay: what
// it sent meanwhile is missed, which a [GapHandler] is told, and Config.Backfill can fetch.
//
// One goroutine reads, and a [Queue] stands between it and the handler, so that a handler
// that is slow for a while does not make the server hang up. Config.Queue says how large
// it is and what happens when it is full; QueueConfig.Inline does without.
//
// All methods may be called from any goroutine; Request, Withdraw, Close, Shutdown,
// SetHandler, Topics, Granted, State and Stats from handlers as well. A Client runs once.
type Client struct {
	cfg     Config
	lasting *Lasting // what this drives
	queue   *Queue   // nil if there is none

	runs          runOnce
	halt          *atomic.Bool  // no handler is called any more: the queue's, if there is one
	authenticated chan struct{} // closed when the first connection is
	over          chan struct{} // closed when Run has returned
	result        error         // what it returned; set before over is closed
	wake          chan struct{} // has room for one: something was handed over

	reading sync.WaitGroup // the goroutine that reads, where that is not Run's
	besides sync.WaitGroup // backfills on goroutines of their own
	filler  atomic.Uint64  // a goroutine that a backfill has handlers called on

	mu       sync.Mutex // protects what follows
	conn     *Conn      // the current one, nil while there is none
	started  bool
	closed   bool
	life     context.Context    // no handler is called after its end
	ctx      context.Context    // Run's
	cancel   context.CancelFunc // ends it
	work     context.Context    // ends with Run, or when Close is called: the backfills'
	stopWork context.CancelFunc
	owner    uint64 // the goroutine in Run
	reader   uint64 // the one that reads
	handed   []*handover
	filling  int   // backfills beside
	failure  error // of one of them, which ends Run
}

// NewClient returns a client that does nothing until Start or Run is called. The error is
// about the Config.
func NewClient(cfg Config, h Handler) (*Client, error) {
	c := &Client{halt: new(atomic.Bool), authenticated: make(chan struct{}), over: make(chan struct{}), wake: make(chan struct{}, 1)}
	lasting, err := NewLasting(cfg, h, clientDriver{c})
	if err != nil {
		return nil, err
	}
	c.lasting, c.cfg = lasting, lasting.cfg
	if !c.cfg.Queue.Inline {
		if err := c.newQueue(h); err != nil {
			return nil, err
		}
		lasting.SetHandler(c.queue)
		lasting.opened = c.noteLast
	}
	return c, nil
}

// clientDriver is the client as its Lasting sees it.
type clientDriver struct{ c *Client }

func (d clientDriver) Post(do func()) {
	if conn := d.c.current(); conn != nil {
		conn.ask(do)
	}
}

func (d clientDriver) OnState(change *StateChange) {
	if change.State == StateSubscribing || change.State == StateStreaming {
		select {
		case <-d.c.authenticated:
		default:
			close(d.c.authenticated)
		}
	}
	tell := func(h Handler) {
		if h, ok := h.(StateHandler); ok {
			h.OnState(change)
		}
	}
	if change.State == StateClosed {
		d.c.callLast(tell) // by Run, when nothing else is handled any more
	} else {
		d.c.notify(tell)
	}
}

func (d clientDriver) OnGap(gap *Gap) {
	d.c.notify(func(h Handler) {
		if gap.before != nil {
			if at := gap.before.Load(); at != 0 {
				gap.From.Event = time.Unix(0, at)
			}
		}
		if h, ok := h.(GapHandler); ok {
			h.OnGap(gap)
		}
		d.c.backfill(gap)
	})
}

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
func (c *Client) run(user context.Context, h Handler) error {
	if err := c.begin(user); err != nil {
		return err
	}
	return c.live(user, h)
}

// Start runs the client on goroutines of its own. It returns nil when the first connection
// is authenticated, or why none ever will be: the error that Run would have returned, or
// ErrClosed after Close. Attempts that fail and are worth another are waited through. ctx is
// the client's life, as Run's; what ended it is for Wait to say.
func (c *Client) Start(ctx context.Context) error {
	if err := c.begin(ctx); err != nil {
		return err
	}
	go func() { _ = c.live(ctx, nil) }()
	select {
	case <-c.authenticated:
		return nil
	case <-c.over:
	}
	select {
	case <-c.authenticated: // and over since
		return nil
	default:
	}
	if c.result == nil {
		return ErrClosed
	}
	return c.result
}

// Wait waits until a client that was started has ended, and returns what Run would have
// returned. Before Start, or Run, it is [ErrNotStarted]; inside a handler [ErrInHandler].
func (c *Client) Wait() error {
	c.mu.Lock()
	started := c.started
	c.mu.Unlock()
	switch {
	case !started:
		return ErrNotStarted
	case c.inHandler():
		return ErrInHandler
	}
	<-c.over
	return c.result
}

// begin is the beginning of Run, which there is one of.
func (c *Client) begin(user context.Context) error {
	if err := c.runs.begin(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started = true
	c.ctx, c.cancel = context.WithCancel(user)
	c.life = c.ctx
	if c.queue != nil {
		c.life = user // Close, while there is no connection, ends ctx, and not the handling
	}
	c.work, c.stopWork = context.WithCancel(c.ctx)
	c.lasting.start()
	return nil
}

// live is the life of a client that has begun, on this goroutine; user is the context that
// it began with.
func (c *Client) live(user context.Context, h Handler) (err error) {
	c.mu.Lock()
	c.owner = goroutineID()
	closed := c.closed
	c.mu.Unlock()
	c.result = ErrClosed // where a handler ends the goroutine
	defer c.finish()
	if h != nil {
		c.SetHandler(h)
	}
	switch {
	case closed:
	case c.queue != nil:
		err = c.pass(c.ctx, user)
	default:
		if p := catch(func() { err = c.read(c.ctx) }); p != nil {
			err = p
		}
	}
	c.stopWork()
	c.besides.Wait()
	c.mu.Lock()
	if c.failure != nil {
		err = c.failure
	}
	c.mu.Unlock()
	if p := catch(func() { c.lasting.End(err, time.Now()) }); p != nil {
		err = p
	}
	c.result = err
	return err
}

func (c *Client) finish() {
	c.stopWork()
	c.cancel()
	c.reading.Wait()
	c.besides.Wait()
	defer func() {
		c.mu.Lock()
		c.owner = 0
		c.mu.Unlock()
		c.runs.end(c.result)
		close(c.over)
	}()
	c.lasting.ended()
}

// read connects and reads until that makes no sense any more.
func (c *Client) read(ctx context.Context) error {
	c.mu.Lock()
	c.reader = goroutineID()
	c.mu.Unlock()
	for {
		err := ctx.Err()
		if err == nil {
			err = c.once(ctx)
		}
		var panicked *PanicError
		switch {
		case errors.As(err, &panicked):
			return err
		case c.isClosed():
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		}
		wait, err := c.lasting.Lost(err, time.Now())
		switch {
		case errors.Is(err, ErrClosed) && c.isClosed():
			return nil
		case err != nil:
			return err
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

// once is one attempt, and the life of the connection that it makes.
func (c *Client) once(ctx context.Context) error {
	if c.queue != nil {
		c.queue.resume()
	}
	s, err := c.lasting.Connect(time.Now())
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil { // a handler has called Close
		return err
	}
	o, err := Open(ctx, s)
	if err != nil {
		return err
	}
	conn := newConn(o)
	c.mu.Lock()
	c.conn = conn
	closed := c.closed
	if len(c.handed) > 0 {
		conn.ask(func() { c.inTurn(c.takeOver) })
	}
	c.mu.Unlock()
	defer func() { // also where a handler has panicked, or ended the goroutine
		if !conn.isOver() {
			_ = conn.Close()
		}
		c.mu.Lock()
		c.conn = nil
		c.mu.Unlock()
	}()
	if closed {
		return conn.Close()
	}
	c.lasting.Opened(time.Now())
	return conn.Run(ctx)
}

// current returns the connection, nil while there is none.
func (c *Client) current() *Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn
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
		c.queue.setHandler(h)
		return
	}
	c.lasting.SetHandler(h)
}

// State returns what the client is about now.
func (c *Client) State() State { return c.lasting.State() }

// Stats returns what all the client's connections have counted together, those that failed in
// authentication included. With a queue, what is counted while decoding is behind by what waits
// there.
func (c *Client) Stats() Stats {
	stats := c.lasting.Stats()
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
	c.closed = true // before the Lasting is, which ends an attempt that fails then
	c.mu.Unlock()
	c.lasting.Close()
	if c.queue == nil && !patient {
		c.mute()
	}
	c.mu.Lock()
	conn, started := c.conn, c.started
	cancel, stopWork := c.cancel, c.stopWork
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
	case conn == nil || conn.session.State() == Authenticating && !inside:
		cancel() // connecting, or waiting to
	case inside && patient:
		conn.ask(conn.session.Shutdown)
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
	return ctx.Err()
}

// abandon has no handler called any more, because of err.
func (c *Client) abandon(err error) {
	if c.queue != nil {
		c.queue.stop(err)
		return
	}
	c.mute()
}

// mute is abandon for a client without a queue.
func (c *Client) mute() {
	c.halt.Store(true)
	c.lasting.Mute()
}

// String names the client's feed and market.
func (c *Client) String() string {
	return fmt.Sprintf("tickstorm.Client{%s/%s}", c.cfg.Feed, c.cfg.Market)
}

// Format keeps the key out of every verb.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }
