package tickstorm

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Lasting is a connection that lasts, as a pure state machine: what a [Session] is for one
// connection, it is for all that follow each other. It has no socket, no clock and no
// goroutine. It makes the session of each attempt to connect, keeps what is wanted and asks
// each session for it, says after each failure how long to wait or that another attempt
// makes no sense, and keeps account of states, gaps and statistics.
//
// A [Client] drives one with goroutines, package epoll with a thread of many connections.
// A driver's loop is
//
//	for {
//		session, err := l.Connect(time.Now())
//		var opened *Opened
//		if err == nil {
//			opened, err = Open(ctx, session)
//		}
//		if err == nil {
//			l.Opened(time.Now())
//			err = ... // drive the session on opened.Conn, until it has ended: its Err
//		}
//		wait, err := l.Lost(err, time.Now())
//		if err != nil {
//			l.End(err, time.Now())
//			return err
//		}
//		... // wait
//	}
//
// These methods, and the session, belong to one goroutine at a time: the driver's. All
// others may be called from any goroutine, and from handlers.
type Lasting struct {
	cfg    Config
	driver LastingDriver
	opened func(*Gap) // is told of a gap when it begins; nil for nobody

	// The driver's.
	attempt   int // since the last healthy connection
	waits     backoff
	link      *link   // the session's; nil before Connect and after Lost
	missed    []*Gap  // not told yet, of different topics
	gapTopics []Topic // those of the last gap
	scanner   *Parser // finds the first event after a gap
	last      Moment  // of any connection
	badCerts  int     // in a row that did not verify
	evictions int     // in a row

	mu          sync.Mutex // protects what follows
	handler     Handler
	wanted      topicSet
	session     *Session       // that of the attempt, or of the connection; nil between them
	ready       bool           // its key was accepted, and what is wanted asked for
	begun       bool           // who asks is answered by a session
	errands     []*errand      // that were not answered, in the order in which they came
	dropped     map[Topic]bool // that were wanted and refused by this session
	past        Stats          // of the sessions before it
	state       State
	connections int // that were authenticated
	closed      bool
	muted       bool
}

// LastingDriver is what a [Lasting] asks of whoever drives it.
type LastingDriver interface {
	// Post has the driver's goroutine call do soon, between its calls of the session's
	// methods. It is called from any goroutine, must not wait, and must not call do itself.
	// It may forget do when the session has ended.
	Post(do func())
	// OnState and OnGap are called by the driver's goroutine, in the order of what they tell
	// among the events that the session delivers, at times inside methods of Lasting and
	// session. It is for the driver to pass them on to the handler's [StateHandler] and
	// [GapHandler].
	StateHandler
	GapHandler
}

// AttemptsError is how a [Lasting], and with it [Client.Run], ends after
// Backoff.MaxAttempts. It unwraps to Err.
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

// NewLasting returns a connection that has not begun; h may be nil until SetHandler. The
// error is about the Config.
func NewLasting(cfg Config, h Handler, d LastingDriver) (*Lasting, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Lasting{
		cfg: cfg, driver: d, handler: h,
		waits: backoff{Backoff: cfg.Backoff}, scanner: cfg.newParser(),
	}, nil
}

// Config returns the Config with its defaults filled in.
func (l *Lasting) Config() Config { return l.cfg }

// Connect begins an attempt, and returns its session: StateConnecting. The error is that of
// Config.Rand; Lost takes it.
func (l *Lasting) Connect(now time.Time) (*Session, error) {
	l.start()
	l.attempt++
	for _, gap := range l.missed {
		gap.Attempt++
	}
	l.enter(StateChange{State: StateConnecting}, now)
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := newSession(l.cfg, l.handler)
	if err != nil {
		return nil, err
	}
	l.link = &link{lasting: l, session: s}
	s.link, s.ledger.mended = l.link, l.mended
	l.session, l.ready, l.dropped = s, false, nil
	if l.muted {
		s.Mute()
	}
	return s, nil
}

// start has requests wait for a session from now on.
func (l *Lasting) start() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun = true
}

// Opened says that the session's WebSocket is open: StateAuthenticating. When the key is
// accepted the session is asked for what is wanted, within its Feed or Commit.
func (l *Lasting) Opened(now time.Time) { l.enter(StateChange{State: StateAuthenticating}, now) }

// Lost ends an attempt, or a connection, and says how long to wait before the next:
// StateBackoff. With an error there will be no other: [ErrClosed] after Close, cause if it is
// not [Retryable], an [*AttemptsError] after Backoff.MaxAttempts.
func (l *Lasting) Lost(cause error, now time.Time) (wait time.Duration, err error) {
	if cause == nil {
		cause = ErrClosed
	}
	healthy := false
	if k := l.link; k != nil {
		l.link = nil
		k.session.link = nil
		_ = k.session.Disconnected(cause) // it answers what is open
		k.lost(cause)
		healthy = k.healthy(now)
		if k.started {
			l.badCerts = 0
		}
		l.retire()
	}
	if err := l.final(cause, healthy); err != nil {
		return 0, err
	}
	wait = l.waits.next(cause, healthy)
	l.mu.Lock()
	l.past.ReconnectCauses[causeOf(cause)]++
	l.mu.Unlock()
	l.cfg.Logger.Warn("reconnecting", "err", cause, "wait", wait)
	l.enter(StateChange{State: StateBackoff, Err: cause, Wait: wait}, now)
	if healthy {
		l.attempt = 0
	}
	return wait, nil
}

// certTries is how many times in a row a certificate may fail to verify that once did: load
// balancers serve a wrong one now and then.
const certTries = 3

// final returns why another attempt makes no sense, nil if it does.
func (l *Lasting) final(cause error, healthy bool) error {
	evicted := errors.Is(cause, ErrMaxConnections)
	if !evicted {
		l.evictions = 0
	} else if l.evictions++; l.cfg.Backoff.Evictions > 0 && l.evictions >= l.cfg.Backoff.Evictions {
		return cause
	}
	l.mu.Lock()
	connected, closed := l.connections > 0, l.closed
	l.mu.Unlock()
	var certificate *tls.CertificateVerificationError
	switch {
	case closed:
		return ErrClosed
	case connected && errors.As(cause, &certificate) && l.badCerts < certTries:
		l.badCerts++
	case !Retryable(cause):
		return cause
	}
	if most := l.cfg.Backoff.MaxAttempts; most > 0 && l.attempt >= most && !healthy {
		return &AttemptsError{l.attempt, cause}
	}
	return nil
}

// retire makes the session one of the past.
func (l *Lasting) retire() {
	l.mu.Lock()
	stats := l.session.Stats()
	l.past.add(&stats)
	l.session, l.ready = nil, false
	l.mu.Unlock()
	// With the session the server has forgotten all that was to be ended.
	ended := slices.DeleteFunc(l.open(), func(e *errand) bool { return e.action != unsubscribe })
	l.answer(ended, func(*errand) error { return nil })
}

// End says that there will be no other attempt: StateClosed. err is why, nil where it was
// closed as asked.
func (l *Lasting) End(err error, now time.Time) {
	l.Close()
	if l.State() == StateClosed {
		return
	}
	cause := err
	if cause == nil {
		cause = ErrClosed
	}
	l.mu.Lock()
	l.ready = false
	l.mu.Unlock()
	defer l.enter(StateChange{State: StateClosed, Err: err}, now) // also where a done panics
	l.settle(cause)
}

// ended is End where handlers are not called any more.
func (l *Lasting) ended() {
	l.mu.Lock()
	l.state, l.closed, l.ready = StateClosed, true, false
	l.mu.Unlock()
	l.settle(ErrClosed)
}

// Close has the next Lost be the last, and nothing more be wanted. The driver has to end
// the session, or the attempt.
func (l *Lasting) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

// Mute ends all calls of the handler, of this session and of those that follow; see
// [Session.Mute]. States and gaps are the driver's to hold back.
func (l *Lasting) Mute() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.muted = true
	if l.session != nil {
		l.session.Mute()
	}
}

// SetHandler exchanges the handler of this session, from the next message on, and of those
// that follow; nil drops events.
func (l *Lasting) SetHandler(h Handler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handler = h
	if l.session != nil {
		l.session.SetHandler(h)
	}
}

// Handler returns the handler.
func (l *Lasting) Handler() Handler {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.handler
}

// Stats returns what all sessions have counted together.
func (l *Lasting) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	stats := l.past
	if l.session != nil {
		current := l.session.Stats()
		stats.add(&current)
	}
	stats.Reconnects = uint64(max(0, l.connections-1))
	return stats
}

// String names the feed and market.
func (l *Lasting) String() string {
	return fmt.Sprintf("tickstorm.Lasting{%s/%s}", l.cfg.Feed, l.cfg.Market)
}

// Format keeps the key out of every verb.
func (l *Lasting) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, l.String()) }

// backoff computes the waits between attempts to connect. Its zero bound is Min.
type backoff struct {
	Backoff
	bound time.Duration // of the next random wait
}

// next returns how long to wait after err, which ended an attempt or a connection that was
// healthy or not. Where somebody has said what is the least, the random part comes on top of
// it and grows with it, so that those who were sent away together do not return together.
func (b *backoff) next(err error, healthy bool) time.Duration {
	if healthy || b.bound == 0 {
		b.bound = b.Min
	}
	random := b.bound
	if b.bound = b.Max; random < b.Max/2 {
		b.bound = 2 * random
	}
	var least time.Duration
	if errors.Is(err, ErrMaxConnections) {
		least = b.MaxConnections
	}
	var refused *DialError
	if errors.As(err, &refused) {
		least = max(least, refused.RetryAfter)
	}
	wait := rand.N(max(random, least/4))
	if wait >= math.MaxInt64-least {
		return math.MaxInt64
	}
	return least + wait + 1
}
