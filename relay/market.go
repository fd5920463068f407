package relay

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
	"github.com/tickstorm/tickstorm/internal/fanout"
	"github.com/tickstorm/tickstorm/internal/past"
)

// market is one upstream with its clients. What comes from upstream is handled on the goroutine
// that reads it: messages go to the hub as they are.
type market struct {
	server *Server
	name   tickstorm.Market
	client *tickstorm.Client
	hub    *fanout.Hub
	ledger *ledger
	begun  chan struct{} // closed when the client has begun
	last   atomic.Int64  // when the last message came

	// The reading goroutine's.
	started  bool       // begun is closed
	beyond   bool       // an upstream that is a relay has lost its own
	mixed    []byte     // a message with statuses, until those have been acted on
	at       int64      // when it came
	recalled bool       // the message at hand is of the past
	count    uint       // messages
	piece    past.Piece // which that is

	mu      sync.Mutex // protects what follows
	members map[*conn]struct{}
	up      bool   // the upstream's connection is authenticated
	why     string // it is not
	gaps    uint64
	lastGap Gap
	past    fanout.OutletStats // of clients that have gone
	failed  error              // why there will be none any more
}

func newMarket(s *Server, upstream tickstorm.Config) (*market, error) {
	m := &market{server: s, name: upstream.Market, begun: make(chan struct{}), members: map[*conn]struct{}{}}
	m.why = "connecting"
	upstream.Queue = tickstorm.QueueConfig{Inline: true}
	upstream.KeepCase = false
	upstream.Header = askForNoPast(upstream.Feed, upstream.Header)
	upstream.Tap = tap{m, upstream.Tap}
	client, err := tickstorm.NewClient(upstream, ears{m: m})
	if err != nil {
		return nil, err
	}
	m.client = client
	m.hub = fanout.New(fanout.Config{
		Market: m.name, Limits: upstream.Limits, Validate: s.cfg.Validate, Mark: mark, Tells: tells,
		Snapshots: s.cfg.Snapshots.Bytes, SnapshotOf: s.cfg.Snapshots.Channels, History: s.cfg.History,
	})
	m.ledger = newLedger(m.name, client)
	m.ledger.linger, m.ledger.patience, m.ledger.topicLimit = max(0, s.cfg.Linger), s.cfg.AckTimeout, s.cfg.MaxTopics
	m.ledger.optionLimit = cmp.Or(upstream.MaxOptionQuotes, 1000)
	m.ledger.heard = m.last.Load
	return m, nil
}

// bury counts what a client that has gone has had.
func (m *market) bury(c *conn) {
	out := c.out.Stats()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.past.Written += out.Written
	m.past.Dropped += out.Dropped
	m.past.Conflated += out.Conflated
	m.past.Left += out.Left
	m.past.Recalled += out.Recalled
	m.past.Delay.Merge(&out.Delay)
}

// run holds the upstream connection until ctx ends, or it fails for good.
func (m *market) run(ctx context.Context) {
	err := m.client.Run(ctx)
	m.ledger.close()
	if err == nil || ctx.Err() != nil {
		return
	}
	m.server.log.Error("relay: no upstream any more", "market", string(m.name), "err", err)
	m.mu.Lock()
	m.failed = err
	m.up, m.why = false, err.Error()
	m.mu.Unlock()
	m.tell(dialogue.Status{Status: dialogue.UpstreamDisconnected, Message: err.Error()})
	for _, c := range m.present() {
		c.part(restart, lost)
	}
}

// lost is what clients are told of an upstream that has failed for good.
const lost = "the relay has lost its upstream"

// err returns why there is no upstream any more, nil if there is, or may be again.
func (m *market) err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failed
}

// verdict is in what words clients are refused because of an upstream's failure, as the vendor
// would refuse them; nil if it would not.
func verdict(err error) *dialogue.Status {
	var said *tickstorm.StatusError
	switch {
	case err == nil || !errors.Is(err, tickstorm.ErrAuthFailed) && !errors.Is(err, tickstorm.ErrMaxConnections):
		return nil
	case errors.As(err, &said):
		return &dialogue.Status{Status: said.Status, Message: said.Message}
	}
	return &dialogue.AuthFailed
}

// enter lets a client that has authenticated hear what is told of the upstream.
func (m *market) enter(c *conn) {
	m.ledger.join(c)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.members[c] = struct{}{}
	if !m.up {
		c.note(dialogue.Status{Status: dialogue.UpstreamDisconnected, Message: m.why})
	}
	if m.failed != nil { // since it was asked for
		c.part(restart, lost)
	}
}

// leave forgets a client.
func (m *market) leave(c *conn) {
	m.mu.Lock()
	delete(m.members, c)
	m.mu.Unlock()
	m.ledger.leave(c)
}

func (m *market) present() []*conn {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]*conn, 0, len(m.members))
	for c := range m.members {
		all = append(all, c)
	}
	return all
}

// tell tells all clients something in its place among the events.
func (m *market) tell(s dialogue.Status) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := range m.members {
		c.note(s)
	}
}

// tellGap tells all clients that something is missing, those that come later and ask for history too.
func (m *market) tellGap(s dialogue.Status) {
	m.remember(s)
	m.tell(s)
}

// remember keeps what tells that something is missing for those who come later and ask for history.
func (m *market) remember(s dialogue.Status) {
	m.hub.Remember(dialogue.AppendStatus(nil, s), time.Now().UnixNano())
}

// countGap counts a gap. One that goes on where the last began is the same.
func (m *market) countGap(g Gap) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gaps == 0 || !g.From.Equal(m.lastGap.From) || g.Cause != m.lastGap.Cause {
		m.gaps++
	}
	m.lastGap = g
}

// passedOver is why a gap is told where the upstream sends the past.
const passedOver = "the upstream has sent what came meanwhile as of the past"

// tellPast tells those whom it concerns, and those who come later and ask for history, of whatever topics, what is missing
// because it was in the past that the upstream has sent until now: the gap names its topics.
func (m *market) tellPast(lack missing) {
	if len(lack.topics) == 0 {
		return
	}
	to := m.last.Load()
	note := func(h *hole) dialogue.Status {
		return dialogue.GapNote(h.from, to, because(passedOver, h.topics))
	}
	m.countGap(Gap{time.Unix(0, lack.from), time.Unix(0, to), passedOver})
	m.server.log.Warn("relay: events were missed", "market", string(m.name), "topics", len(lack.topics), "cause", passedOver)
	m.remember(note(&lack.hole))
	for s, h := range lack.of {
		s.(*conn).note(note(h))
	}
}

// down tells that the upstream has gone, once.
func (m *market) down(why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.up
	m.up, m.why = false, why
	if was {
		for c := range m.members {
			c.note(dialogue.Status{Status: dialogue.UpstreamDisconnected, Message: why})
		}
	}
}

// back tells that the upstream is there, once.
func (m *market) back() {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.up
	m.up, m.why = true, ""
	if !was {
		for c := range m.members {
			c.note(dialogue.Status{Status: dialogue.UpstreamConnected, Message: string(m.name)})
		}
	}
}

// tap is what hears the upstream first. The key is taken out of what it hears.
type tap struct {
	m    *market
	next tickstorm.Tap // the user's; nil for nobody
}

// OnMessage hands a message to the hub. What acknowledges topics has to be acted on first, because
// what is behind it in the same message may be theirs.
func (t tap) OnMessage(msg []byte, received int64) {
	if t.next != nil {
		t.next.OnMessage(msg, received)
	}
	t.m.last.Store(received)
	switch t.m.recalled = past.Message(msg); {
	case t.m.recalled: // an upstream that is a relay was asked for it, or sends it unasked: nothing of it is live
		t.m.piece = past.Piece{}
	case mayHaveStatus(msg):
		t.m.mixed, t.m.at = append(t.m.mixed[:0], msg...), received
	default:
		t.m.hub.Message(msg, received)
	}
}

// mayHaveStatus reports whether a message may have status events, escaped or not.
func mayHaveStatus(msg []byte) bool {
	return bytes.Contains(msg, []byte("status")) || bytes.IndexByte(msg, '\\') >= 0
}

func (t tap) OnState(change *tickstorm.StateChange) {
	if t.next != nil {
		t.next.OnState(change)
	}
	m := t.m
	if !m.started {
		m.started = true
		close(m.begun)
	}
	switch change.State {
	case tickstorm.StateStreaming:
		m.ledger.streaming(change)
		fallthrough
	case tickstorm.StateSubscribing:
		if !m.beyond {
			m.back()
		}
	case tickstorm.StateBackoff:
		m.beyond = false
		m.tellPast(m.ledger.down())
		m.down(change.Err.Error())
	}
}

func (t tap) OnGap(gap *tickstorm.Gap) {
	if t.next != nil {
		t.next.OnGap(gap)
	}
	cause := ""
	if gap.Cause != nil {
		cause = gap.Cause.Error()
	}
	t.m.ledger.told(gap.Topics)
	t.m.countGap(Gap{gap.From.Received, gap.To.Received, cause})
	t.m.tellGap(dialogue.GapNote(nanoseconds(gap.From.Received), nanoseconds(gap.To.Received), cause))
}

// nanoseconds is a time since 1970, 0 if it is not known.
func nanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// timeAt is a time of so many nanoseconds since 1970, the zero time of 0.
func timeAt(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// ears is the handler of the upstream, which is about statuses alone.
type ears struct {
	tickstorm.NopHandler
	m *market
}

// OnRaw has one message in 64 decoded, so that the client's Stats have a Lag.
func (e ears) OnRaw([]byte, int64) (decode bool) {
	if e.m.recalled {
		return false
	}
	e.m.count++
	return e.m.count%64 == 1
}

// OnStatus takes late acknowledgements, and passes on what an upstream that is a relay tells.
func (e ears) OnStatus(s *tickstorm.Status) {
	for t := range s.Topics() {
		if s.Code() == tickstorm.StatusSubscribed {
			e.m.ledger.acked(t)
		}
	}
	if e.m.recalled {
		e.m.piece.Status(s.Status, s.Message)
		return
	}
	switch word, message := string(s.Status), string(s.Message); word {
	case dialogue.Gap, dialogue.Dropped:
		if from, to, cause, ok := dialogue.ParseGap(message); ok {
			e.m.countGap(Gap{timeAt(from), timeAt(to), cause})
		}
		e.m.tellGap(dialogue.Status{Status: word, Message: message})
	case dialogue.Withdrawn:
		if t, ok := dialogue.ParseWithdrawn(message); ok {
			e.m.ledger.withdrawn(t)
		}
	case dialogue.UpstreamDisconnected:
		e.m.beyond = true
		e.m.down(cmp.Or(message, "the upstream has none"))
	case dialogue.UpstreamConnected:
		e.m.beyond = false
		e.m.back()
	}
}

// OnMessageEnd hands on the message whose statuses have been acted on, or tells what is missing instead of it.
func (e ears) OnMessageEnd() {
	if e.m.recalled {
		e.m.recalled = false
		e.m.tellPast(e.m.ledger.recalled(&e.m.piece, e.m.last.Load()))
	}
	if len(e.m.mixed) > 0 {
		e.m.hub.Message(e.m.mixed, e.m.at)
		e.m.mixed = e.m.mixed[:0]
	}
}

var (
	_ tickstorm.Tap               = tap{}
	_ tickstorm.RawHandler        = ears{}
	_ tickstorm.MessageEndHandler = ears{}
)
