package tickstorm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm/frame"
	"github.com/tickstorm/tickstorm/internal/redact"
)

// Identities of how a session ends, for [errors.Is]. The server's own words are a
// [StatusError]; a close frame, the server's or ours over a violation, is a
// [frame.CloseError].
var (
	// ErrClosed: it was closed on this side, as asked.
	ErrClosed = errors.New("closed")
	// ErrDisconnected: the connection broke without a close frame, which is the usual
	// way to be dropped by this vendor, slow consumers above all.
	ErrDisconnected = errors.New("disconnected")
	// ErrIdle: not one byte came for Config.IdleTimeout.
	ErrIdle = errors.New("nothing received for too long")
	// ErrPongTimeout: after a ping not one byte came for Config.PongTimeout.
	ErrPongTimeout = errors.New("ping was not answered in time")
	// ErrCloseTimeout: the server did not answer our close frame in time.
	ErrCloseTimeout = errors.New("close frame was not answered in time")
	// ErrBinary: a binary message, which the vendor does not send; OnError receives it.
	ErrBinary = errors.New("message is binary")
)

// SessionState is how far a session has come.
type SessionState uint8

// The states of a session, in their order.
const (
	// Authenticating: the key is on its way, or its answer.
	Authenticating SessionState = iota
	// Ready: the server has accepted the key; events flow as subscribed.
	Ready
	// Closing: Close was called, the server's answer is awaited.
	Closing
	// Ended: Err says why.
	Ended
)

// String returns the state's name in lower case.
func (s SessionState) String() string {
	return [...]string{"authenticating", "ready", "closing", "ended"}[min(s, Ended)]
}

// Session is one connection as a pure state machine: it has no socket, no clock and
// no goroutine. Bytes that were received go in by Feed, or by Buffer and Commit;
// bytes to send come out by Outgoing and Sent; time comes in by Advance. Between
// them it speaks WebSocket, authenticates, keeps account of subscriptions and calls
// the [Handler]. What it does depends on nothing else, and not on how the bytes
// were cut.
//
// A loop around it is: Advance; write Outgoing; wait for bytes or for the deadline
// that Advance returned; Advance; Commit; and so on until Err is not nil. What is to
// be sent may have grown after each of Advance, Feed, Commit, Sent, Request, Withdraw
// and Close.
//
// A Session belongs to one goroutine at a time; only SetHandler, Mute, State, Err,
// Stats, Granted and Config may be called from any. Handlers run inside Feed and Commit, and may call any
// method but Feed, Buffer, Commit, Sent and Advance.
type Session struct {
	cfg      Config
	framer   *frame.Framer
	parser   *Parser
	handlers atomic.Pointer[handlers]
	muted    atomic.Bool
	ledger   ledger

	state atomic.Uint32 // a SessionState
	err   error

	now       time.Time
	authBy    time.Time
	lastByte  time.Time
	heardNow  bool // bytes came since time was told last
	nextPing  time.Time
	pinging   bool      // a ping is in Outgoing
	pingSent  time.Time // when the oldest ping went out that no byte has followed; zero if none
	closeBy   time.Time
	patient   bool // what the server sends puts closeBy off
	scratch   []byte
	bytesRead uint64

	clock       func() time.Time // for Stats.Decode; nil is no clock
	lastMessage time.Time        // when the last one was completed
	silentNow   bool             // none was since time was told last

	received  int64 // of the last message, in nanoseconds since 1970
	answering bool  // a status is acted on, and what is behind it in its message comes next
	link      *link // of a Lasting; nil of a session on its own

	mu        sync.Mutex // protects what follows, which other goroutines read
	published Counters
	samples   ErrorSamples
	reason    error // is err
}

// NewSession returns the session of a connection whose WebSocket handshake is done.
// The key is in Outgoing already: the server takes it at any time, and need not be
// awaited. The error is about the Config.
func NewSession(cfg Config, h Handler) (*Session, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return newSession(cfg, h)
}

// newSession is NewSession for a Config that has its defaults.
func newSession(cfg Config, h Handler) (*Session, error) {
	s := &Session{cfg: cfg, parser: cfg.newParser()}
	s.framer = frame.New(frame.Config{
		Rand:       cfg.Rand,
		Buffer:     cfg.ReadBuffer,
		MaxMessage: cfg.Limits.Message,
	}, sessionFrames{s})
	s.parser.onStatus, s.parser.tellAll, s.parser.halt = s.onStatus, true, &s.muted
	l := &s.ledger
	l.market, l.keepCase, l.perChunk, l.maxQuote = cfg.Market, cfg.KeepCase, cfg.ChunkTopics, cfg.MaxOptionQuotes
	l.timeout, l.held = cfg.AckTimeout, map[Topic]holding{}
	s.SetHandler(h)
	auth := append([]byte(nil), `{"action":"auth","params":`...)
	auth = appendString(auth, cfg.Key)
	auth = append(auth, '}')
	if err := s.framer.Send(ws.OpText, auth); err != nil {
		return nil, err
	}
	return s, nil
}

// SetHandler exchanges the handler. It takes effect at the next message; nil drops
// events. It may be called from any goroutine.
func (s *Session) SetHandler(h Handler) {
	hs := resolve(h)
	s.handlers.Store(&hs)
}

// Mute ends all calls of the handler: the one that runs may finish, and no other is made, not
// even for the rest of the same message. It may be called from any goroutine, and inside a
// handler. It cannot be undone. Messages that come are not decoded any more, so that the
// session does not learn what the server says in them: Close it soon, or leave it.
func (s *Session) Mute() { s.muted.Store(true) }

// Feed takes bytes that were received, and calls the handler for the events that
// they complete. p is neither written to nor kept. The error is that of Err.
func (s *Session) Feed(p []byte) error {
	if s.err != nil {
		return s.err
	}
	s.heard(len(p))
	return s.took(s.framer.Feed(p))
}

// Buffer returns memory to read into, never empty. It is valid until the next call
// of Buffer, Commit or Feed.
func (s *Session) Buffer() []byte { return s.framer.Buffer() }

// Commit takes the first n bytes of Buffer as received and does what Feed does,
// without copying.
func (s *Session) Commit(n int) error {
	if s.err != nil {
		return s.err
	}
	s.heard(n)
	return s.took(s.framer.Commit(n))
}

// took is the end of Feed and Commit.
func (s *Session) took(err error) error {
	err = s.framed(err)
	s.publish()
	return err
}

func (s *Session) heard(n int) {
	if n > 0 {
		s.lastByte, s.heardNow = s.now, true
		s.pinging, s.pingSent = false, time.Time{}
		s.bytesRead += uint64(n)
	}
}

// Outgoing returns the bytes to write to the connection, whole frames but for a
// beginning that was sent already; empty if there is nothing to send. It is valid
// until the next call of a method that may queue something.
func (s *Session) Outgoing() []byte { return s.framer.Outgoing() }

// Borrow makes window what Buffer lends until GiveBack, so that sessions that take turns
// can read into one window: see [frame.Framer.Borrow].
func (s *Session) Borrow(window []byte) { s.framer.Borrow(window) }

// GiveBack ends Borrow. Without it it does nothing.
func (s *Session) GiveBack() { s.framer.GiveBack() }

// Sent tells that the first n bytes of Outgoing were written.
func (s *Session) Sent(n int) {
	s.framer.Sent(n)
	if s.pinging && len(s.framer.Outgoing()) == 0 {
		s.pinging, s.pingSent = false, s.now
	}
}

// Advance tells the session the time, which becomes the Received of the events that
// follow, and returns when it wants to be told again at the latest; the zero Time
// means never. Call it before Feed and Commit, before waiting for bytes, and when a
// deadline has come: it sends pings, and ends what takes too long. Times must not run backwards by their
// monotonic clock; now should carry one.
func (s *Session) Advance(now time.Time) time.Time {
	first := s.now.IsZero()
	s.SetTime(now)
	if first {
		s.authBy = now.Add(s.cfg.AuthTimeout)
		s.nextPing = now.Add(s.cfg.PingInterval)
		if s.State() == Closing {
			s.closeBy = now.Add(s.cfg.CloseTimeout / 2)
		}
	}
	if s.heardNow || first {
		// Silence is counted from when somebody listens again: while a slow handler
		// worked nobody did, and the next bytes may have come long ago.
		s.heardNow, s.lastByte = false, now
		if s.patient && s.State() == Closing && !s.muted.Load() {
			s.closeBy = now.Add(s.cfg.CloseTimeout / 2)
		}
	}
	if s.err != nil {
		return time.Time{}
	}
	switch {
	case s.State() == Closing && !now.Before(s.closeBy):
		s.end(ErrCloseTimeout)
	case s.State() == Authenticating && !now.Before(s.authBy):
		s.end(fmt.Errorf("%w: no answer to the key for %v", ErrAuthTimeout, s.cfg.AuthTimeout))
	case s.cfg.IdleTimeout > 0 && !now.Before(s.lastByte.Add(s.cfg.IdleTimeout)):
		s.end(fmt.Errorf("%w: %v", ErrIdle, s.cfg.IdleTimeout))
	case s.awaitsPong() && !now.Before(s.pingSent.Add(s.cfg.PongTimeout)):
		s.end(fmt.Errorf("%w: %v", ErrPongTimeout, s.cfg.PongTimeout))
	default:
		if s.cfg.PingInterval > 0 && !now.Before(s.nextPing) {
			s.nextPing = now.Add(s.cfg.PingInterval)
			if s.State() != Closing {
				s.sent(s.framer.Ping(nil))
				s.pinging = s.pingSent.IsZero()
			}
		}
		if len(s.ledger.flight) > 0 {
			s.ledger.expire(now)
			s.pump()
			s.publish()
		}
		if s.link != nil {
			s.link.advance(now)
		}
	}
	return s.Deadline()
}

// SetTime is Advance without what is due: it begins no ping and ends nothing. It is for
// a loop that knows of bytes to be read, which may have come in time.
func (s *Session) SetTime(now time.Time) {
	s.now, s.silentNow = now, true
	s.parser.SetReceived(now.UnixNano())
}

// Listen is SetTime for a loop that has been busy elsewhere, or was not there at all: silence
// is counted from now on, since nobody has listened before.
func (s *Session) Listen(now time.Time) {
	s.SetTime(now)
	s.lastByte = now
	if !s.pingSent.IsZero() {
		s.pingSent = now
	}
}

// SetReceived sets the Received of the events that follow, in nanoseconds since 1970, until
// the session is told the time again: for transports that know when bytes came, as the
// kernel does.
func (s *Session) SetReceived(at int64) { s.parser.SetReceived(at) }

// Deadline returns what Advance returned last, or an earlier time if something that
// was done since wants it: the time until which a loop may wait.
func (s *Session) Deadline() time.Time {
	if s.err != nil {
		return time.Time{}
	}
	next := s.ledger.deadline()
	if s.State() == Closing {
		next = earlier(next, s.closeBy)
	}
	if s.State() == Authenticating {
		next = earlier(next, s.authBy)
	}
	if s.cfg.IdleTimeout > 0 {
		next = earlier(next, s.lastByte.Add(s.cfg.IdleTimeout))
	}
	if s.awaitsPong() {
		next = earlier(next, s.pingSent.Add(s.cfg.PongTimeout))
	}
	if s.cfg.PingInterval > 0 && s.State() != Closing {
		next = earlier(next, s.nextPing)
	}
	if s.link != nil {
		next = earlier(next, s.link.quiet)
	}
	return next
}

// awaitsPong reports whether silence since a ping ends the session.
func (s *Session) awaitsPong() bool { return s.cfg.PongTimeout > 0 && !s.pingSent.IsZero() }

// Request subscribes to topics without waiting. What is held already is not asked for
// again. Requests queue until the key is accepted, and go out in messages of up to
// Config.ChunkTopics topics, one at a time. done, if not nil, is called once, within a
// later call of a method of the session or within this one: with nil when all topics
// were acknowledged, else with a [*SubscribeError].
//
// Errors are those of topics that cannot be sent, of ErrSubscriptionLimit, and of a
// session that has ended; done is not called then.
func (s *Session) Request(done func(error), topics ...Topic) error {
	_, err := s.ask(subscribe, topics, done)
	return err
}

// Withdraw ends subscriptions without waiting; it is otherwise like Request.
func (s *Session) Withdraw(done func(error), topics ...Topic) error {
	_, err := s.ask(unsubscribe, topics, done)
	return err
}

func (s *Session) ask(action string, topics []Topic, done func(error)) (*request, error) {
	if s.err != nil {
		return nil, s.err
	}
	if s.State() == Closing {
		return nil, ErrClosed
	}
	r, err := s.ledger.add(action, topics, done)
	if err != nil {
		return nil, err
	}
	s.pump()
	s.publish()
	return r, nil
}

// pump tells results and sends the next request if it is time.
func (s *Session) pump() {
	s.ledger.report()
	for more := true; more && s.State() == Ready && s.err == nil; {
		var msg []byte
		if msg, more = s.ledger.next(s.now, s.scratch[:0]); more {
			s.scratch = msg
			s.sent(s.framer.Send(ws.OpText, msg))
		}
		s.ledger.report()
	}
}

// sent ends the session if a frame could not be made, for lack of randomness.
func (s *Session) sent(err error) {
	if err != nil && s.err == nil {
		s.end(err)
	}
}

// Topics returns what the session holds: acknowledged topics, and those asked for
// that were not answered (yet). In no particular order.
func (s *Session) Topics() (acked, pending []Topic) {
	for t, h := range s.ledger.held {
		if h&granted != 0 {
			acked = append(acked, t)
		} else {
			pending = append(pending, t)
		}
	}
	return acked, pending
}

// Granted returns the acknowledged topics whose end was not asked for, sorted; none once the
// session has ended. It may be called from any goroutine.
func (s *Session) Granted() []Topic {
	if s.State() == Ended {
		return nil
	}
	return s.ledger.acknowledged()
}

// Close starts the closing handshake: a close frame 1000 is queued, and Err becomes
// ErrClosed when the server has answered, or ErrCloseTimeout. Events that come before
// its answer are still delivered. Further calls do nothing.
func (s *Session) Close() {
	if s.err != nil || s.State() == Closing {
		return
	}
	s.state.Store(uint32(Closing))
	s.closeBy = s.now.Add(s.cfg.CloseTimeout / 2)
	s.sent(s.framer.Close(ws.StatusNormalClosure, ""))
	s.ledger.end(ErrClosed)
	s.ledger.report()
	s.publish()
}

// Shutdown is the patient form of Close: the server has its time for an answer from when it was
// last heard, because what it has sent before may take a handler long.
func (s *Session) Shutdown() {
	s.patient = true
	s.Close()
}

// Disconnected tells the session that the connection has ended, with the error of the
// transport (io.EOF, a reset). It returns Err, which is an ErrDisconnected unless the
// session had ended before, or ErrClosed while it was closing.
func (s *Session) Disconnected(cause error) error {
	switch {
	case s.err != nil:
	case s.State() == Closing:
		s.end(ErrClosed)
	default:
		s.end(fmt.Errorf("%w: %w", ErrDisconnected, cause))
	}
	return s.err
}

// Fail ends the session with an error of the driver's own, such as a [*PanicError] for a
// handler that has panicked: that one also takes the place of a reason it had before.
func (s *Session) Fail(err error) {
	s.end(err)
	var p *PanicError
	if errors.As(err, &p) {
		s.err = err
		s.publish()
	}
}

// Err returns why the session has ended, nil as long as it has not: a [*StatusError]
// when the server refused it, a [*frame.CloseError] when the server closed it or broke the
// protocol, ErrClosed after Close, or an error that is ErrDisconnected, ErrIdle,
// ErrPongTimeout, ErrAuthTimeout or ErrCloseTimeout. Outgoing may hold a last close frame.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason
}

// State returns how far the session has come.
func (s *Session) State() SessionState { return SessionState(s.state.Load()) }

// Config returns the session's Config with its defaults filled in.
func (s *Session) Config() Config { return s.cfg }

// Stats returns what the session has counted, as of the last call of Feed or Commit that
// has returned.
func (s *Session) Stats() Stats {
	var stats Stats
	s.mu.Lock()
	stats.Counters, stats.ErrorSamples = s.published, s.samples
	s.mu.Unlock()
	s.parser.latency.snapshot(&stats.Latency)
	return stats
}

// publish shows other goroutines what was counted, and how the session has ended.
func (s *Session) publish() {
	c := s.parser.stats
	c.Received = s.bytesRead
	c.Refusals, c.RefusedTopics = s.ledger.refuse, s.ledger.refusedTopics
	if s.err == nil {
		c.AckedTopics, c.PendingTopics = s.ledger.grants, len(s.ledger.held)-s.ledger.grants
	}
	s.mu.Lock()
	if c.Errors != s.published.Errors {
		s.samples = s.parser.samples
	}
	s.published, s.reason = c, s.err
	s.mu.Unlock()
}

// String names the session's market and state.
func (s *Session) String() string {
	return fmt.Sprintf("tickstorm.Session{%s, %s}", s.cfg.Market, s.State())
}

// Format keeps the key, which fmt would find in an unexported field, out of every verb.
func (s *Session) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// end ends the session once.
func (s *Session) end(err error) {
	if s.err != nil {
		return
	}
	if s.State() == Closing && err != ErrCloseTimeout {
		err = ErrClosed // it ends as asked, whatever the server says or does meanwhile
	}
	s.err = err
	s.state.Store(uint32(Ended))
	// 1000 also where the server broke off the dialogue: it knows why. A framer that
	// failed the connection has queued its own.
	_ = s.framer.Close(ws.StatusNormalClosure, "")
	s.ledger.end(err)
	s.publish() // before anybody is told, who may panic
	s.ledger.report()
}

// framed takes what the framer returned.
func (s *Session) framed(err error) error {
	if err == nil || s.err != nil {
		return s.err
	}
	var closed *frame.CloseError
	if errors.As(err, &closed) {
		closed.Reason = s.parser.secrets.String(closed.Reason)
	}
	s.end(err)
	return s.err
}

// onStatus acts on what the server says, before the handler sees it.
func (s *Session) onStatus(e *Status) {
	s.answering = true
	defer func() { s.answering = false }()
	switch code := e.Code(); code {
	case StatusConnected:
	case StatusAuthSuccess:
		if s.State() == Authenticating {
			s.state.Store(uint32(Ready))
			s.cfg.Logger.Info("authenticated")
			s.pump()
		}
	case StatusAuthFailed, StatusNoPlan, StatusAuthTimeout, StatusMaxConnections:
		s.end(statusError(e, s.parser.secrets))
	case StatusSubscribed, StatusUnsubscribed:
		s.acknowledged(e)
		s.pump()
	case StatusAcknowledged:
		action, _ := acknowledgement(e.Message)
		s.ledger.ackAll(action, s.now)
		s.pump()
	case StatusNotAuthorized, StatusSubscriptionLimit, StatusNotRealTime:
		err := statusError(e, s.parser.secrets)
		s.cfg.Logger.Warn("refused", "err", err)
		s.ledger.refusal(err, code != StatusNotAuthorized, s.now)
		s.pump()
	case StatusRefused:
		err := statusError(e, s.parser.secrets)
		s.cfg.Logger.Warn("unknown error", "err", err)
		s.ledger.unclear(err, s.now)
	case StatusBadRequest:
		s.cfg.Logger.Warn("bad request", "err", statusError(e, s.parser.secrets))
	default:
		said := statusError(e, s.parser.secrets)
		if level, ok := relayed(e.Status); ok {
			s.cfg.Logger.Log(context.Background(), level, "the relay says", "status", said.Status, "message", said.Message)
			return
		}
		s.cfg.Logger.Warn("unknown status", "err", said)
		if bytes.EqualFold(bytes.TrimSpace(e.Status), []byte("success")) {
			s.ledger.doubt(s.now)
		}
	}
}

// acknowledged takes an acknowledgement of topics. What is no topic in it may be one that
// the server calls by another name.
func (s *Session) acknowledged(e *Status) {
	action, list := acknowledgement(e.Message)
	topics, others := 0, 0
	for name := range named(list) {
		t, err := ParseTopic(name)
		if err != nil {
			others++
			continue
		}
		topics++
		s.ledger.ack(action, t, s.now)
	}
	if topics == 0 || others > 0 {
		s.cfg.Logger.Warn("acknowledgement of no topic", "status", statusError(e, s.parser.secrets))
		s.ledger.doubt(s.now)
	}
}

// sessionFrames is the session as its framer sees it.
type sessionFrames struct{ s *Session }

func (f sessionFrames) OnMessage(op ws.OpCode, p []byte) error {
	s := f.s
	if s.parser.halted() {
		return s.err
	}
	hs := s.handlers.Load()
	if op != ws.OpText {
		s.parser.fail(ErrBinary, p, hs)
		return s.err
	}
	if s.silentNow {
		s.observeInterval()
	}
	s.received = s.parser.received
	if s.link != nil {
		s.link.before(p)
	}
	if s.cfg.Tap != nil {
		s.tap(p)
	}
	if s.clock == nil || s.parser.stats.Messages%decodeEvery != 0 {
		_ = s.parser.parse(p, hs) // OnError was told
	} else {
		start := s.clock()
		_ = s.parser.parse(p, hs)
		s.parser.latency.decode.observe(s.clock().Sub(start))
	}
	if s.link != nil {
		s.link.after()
	}
	return s.err
}

// tap gives a message to the Tap, without secrets.
func (s *Session) tap(msg []byte) {
	may := mayHaveStatus(msg)
	for _, secret := range s.parser.secrets.InData() {
		if may || bytes.Contains(msg, []byte(secret)) {
			msg = redact.Bytes(msg, secret)
		}
	}
	s.cfg.Tap.OnMessage(msg[:len(msg):len(msg)], s.received)
}

// observeInterval counts the time since the message before. None passes between the messages
// of one read, so that the outcome does not depend on how they were cut.
func (s *Session) observeInterval() {
	s.silentNow = false
	if !s.lastMessage.IsZero() && s.now.After(s.lastMessage) {
		s.parser.latency.interval.observe(s.now.Sub(s.lastMessage))
	}
	s.lastMessage = s.now
}

// decodeEvery is how many messages there are to one whose decoding is timed: asking for
// the time twice costs as much as an event.
const decodeEvery = 64

func (sessionFrames) OnControl(ws.OpCode, []byte) {}
