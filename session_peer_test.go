package tickstorm_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/frame"
	"github.com/tickstorm/tickstorm/internal/fixture"
)

// peer is the server at the other end of a Session, without any network: what the
// session sends goes through a Framer in the server's role, which rejects frames that a
// client must not send.
type peer struct {
	t      testing.TB
	s      *tickstorm.Session
	framer *frame.Framer
	heard  []string // text messages as they came, control frames as "ping", "close 1000"
	now    time.Time
}

// began is where the clocks of session tests start.
var began = time.Date(2026, 11, 2, 14, 30, 0, 0, time.UTC)

func testConfig() tickstorm.Config {
	return tickstorm.Config{Key: fixture.Key, Market: tickstorm.Stocks, Rand: new(counter)}
}

// newPeer returns the server of a session that has the time and has sent nothing.
func newPeer(t testing.TB, cfg tickstorm.Config, h tickstorm.Handler) *peer {
	t.Helper()
	s, err := tickstorm.NewSession(cfg, h)
	require.NoError(t, err)
	return peerOf(t, s, began)
}

// peerOf returns the server of a session, which is told the time.
func peerOf(t testing.TB, s *tickstorm.Session, now time.Time) *peer {
	p := &peer{t: t, s: s, now: now}
	p.framer = frame.New(frame.Config{Server: true}, p)
	s.Advance(now)
	return p
}

// readyPeer is newPeer for a session that has authenticated.
func readyPeer(t testing.TB, cfg tickstorm.Config, h tickstorm.Handler) *peer {
	t.Helper()
	p := newPeer(t, cfg, h)
	p.requests()
	require.NoError(t, p.say(fixture.Status("connected", "Connected Successfully")))
	require.NoError(t, p.say(fixture.Status("auth_success", "authenticated")))
	require.Equal(t, tickstorm.Ready, p.s.State())
	return p
}

func (p *peer) OnMessage(_ ws.OpCode, b []byte) error {
	p.heard = append(p.heard, string(b))
	return nil
}

func (p *peer) OnControl(op ws.OpCode, b []byte) {
	switch op {
	case ws.OpClose:
		code, reason := ws.ParseCloseFrameData(b)
		p.heard = append(p.heard, strings.TrimSpace(fmt.Sprintf("close %d %s", code, reason)))
	case ws.OpPing:
		p.heard = append(p.heard, "ping")
	case ws.OpPong:
		p.heard = append(p.heard, fmt.Sprintf("pong %s", b))
	}
}

// requests takes what the session has to send, and returns it.
func (p *peer) requests() []string {
	p.t.Helper()
	for out := p.s.Outgoing(); len(out) > 0; out = p.s.Outgoing() {
		_ = p.framer.Feed(out) // an error is that of a close frame, which OnControl has noted
		p.s.Sent(len(out))
	}
	heard := p.heard
	p.heard = nil
	return heard
}

// subscribed takes what the session has to send, which is to be requests to subscribe,
// and returns the params of each.
func (p *peer) subscribed() []string {
	p.t.Helper()
	var params []string
	for _, text := range p.requests() {
		var r struct{ Action, Params string }
		require.NoError(p.t, json.Unmarshal([]byte(text), &r), text)
		require.Equal(p.t, "subscribe", r.Action)
		params = append(params, r.Params)
	}
	return params
}

// say sends the session one message with these events.
func (p *peer) say(events ...string) error {
	return p.s.Feed(fixture.Wire(false, true, ws.OpText, "["+strings.Join(events, ",")+"]"))
}

// answer sends what the server's side of WebSocket answers: pongs, and the close frame.
func (p *peer) answer() error {
	out := p.framer.Outgoing()
	err := p.s.Feed(out)
	p.framer.Sent(len(out))
	return err
}

// after lets time pass, and returns how long the session is content to wait from then.
func (p *peer) after(d time.Duration) time.Duration {
	p.now = p.now.Add(d)
	next := p.s.Advance(p.now)
	if next.IsZero() {
		return 0
	}
	return next.Sub(p.now)
}

// held returns what a session holds: acknowledged and pending topics, each sorted.
func held(s *tickstorm.Session) (acked, pending string) {
	a, b := s.Topics()
	return fixture.Listed(a), fixture.Listed(b)
}

// outcome is the result of a Subscribe.
type outcome struct {
	calls int
	err   error
}

func (o *outcome) done(err error) {
	o.calls++
	o.err = err
}

// detail returns what the outcome says of each topic.
func (o *outcome) detail(t testing.TB) *tickstorm.SubscribeError {
	t.Helper()
	require.Equal(t, 1, o.calls)
	var e *tickstorm.SubscribeError
	require.ErrorAs(t, o.err, &e)
	return e
}
