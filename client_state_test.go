package tickstorm_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// diary is a handler that writes down, in their order, trades and what a client alone tells.
type diary struct {
	tickstorm.NopHandler
	lines   []string
	changes []*tickstorm.StateChange
	gaps    []*tickstorm.Gap
	onState func(*tickstorm.StateChange)
	onGap   func(*tickstorm.Gap)
}

func (d *diary) OnState(s *tickstorm.StateChange) {
	d.lines = append(d.lines, s.State.String())
	d.changes = append(d.changes, s)
	if d.onState != nil {
		d.onState(s)
	}
}

func (d *diary) OnGap(g *tickstorm.Gap) {
	d.lines = append(d.lines, "gap")
	d.gaps = append(d.gaps, g)
	if d.onGap != nil {
		d.onGap(g)
	}
}

func (d *diary) OnTrade(e *tickstorm.Trade) {
	line := e.Symbol
	if e.Backfilled {
		line += " again"
	}
	d.lines = append(d.lines, line)
}

func (d *diary) OnError(e *tickstorm.EventError) { d.lines = append(d.lines, e.Error()) }

func (d *diary) text() string { return strings.Join(d.lines, ", ") }

// TestClientStates: the whole life of a client over every kind of fault. What is up to
// "streaming" of the last connection is followed by Close.
func TestClientStates(t *testing.T) {
	const again, stream = "backoff, connecting", "authenticating, subscribing, streaming"
	for _, tc := range []struct {
		name   string
		faults []sim.Fault
		acks   sim.AckStyle
		want   string
	}{
		{name: "none", want: stream},
		{name: "cut when accepted", faults: []sim.Fault{{At: sim.OnAccept, Times: 2, Do: sim.Cut()}}, want: again + ", " + again + ", " + stream},
		{name: "HTTP 503", faults: []sim.Fault{{At: sim.OnHandshake, Times: 1, Do: sim.HTTPStatus(503)}}, want: again + ", " + stream},
		{name: "cut at greeting", faults: []sim.Fault{{At: sim.OnGreeting, Times: 1, Do: sim.Cut()}}, want: "authenticating, " + again + ", " + stream},
		{name: "cut at the key", faults: []sim.Fault{{At: sim.OnAuth, Times: 1, Do: sim.Cut()}}, want: "authenticating, " + again + ", " + stream},
		{name: "no answer to the key", faults: []sim.Fault{{At: sim.OnAuth, Times: 1, Do: sim.Stall(0)}}, want: "authenticating, " + again + ", " + stream},
		{name: "cut at the request", faults: []sim.Fault{{At: sim.OnSubscribe, Times: 1, Do: sim.Cut()}}, want: "authenticating, subscribing, " + again + ", " + stream},
		{name: "close frame at the request", faults: []sim.Fault{{At: sim.OnSubscribe, Times: 1, Do: sim.Close(1000, "")}}, want: "authenticating, subscribing, " + again + ", " + stream},
		{name: "cut while streaming", faults: []sim.Fault{{At: sim.OnStreaming, After: 3, Times: 1, Do: sim.Cut()}}, want: stream + ", " + again + ", " + stream},
		{name: "normal close while streaming", faults: []sim.Fault{{At: sim.OnStreaming, After: 3, Times: 1, Do: sim.Close(1000, "")}}, want: stream + ", " + again + ", " + stream},
		{name: "silence while streaming", faults: []sim.Fault{{At: sim.OnStreaming, After: 3, Times: 1, Do: sim.Stall(0)}}, want: stream + ", " + again + ", " + stream},
		{name: "garbage while streaming", faults: []sim.Fault{{At: sim.OnStreaming, After: 3, Times: 1, Do: sim.Garbage()}}, want: stream + ", " + again + ", " + stream},
		{name: "no acknowledgements", acks: sim.AckNothing, want: stream},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fixture.InBubble(t, sim.Config{Rate: 10, Faults: tc.faults, Acks: tc.acks, SlowTimeout: -1}, func(t *testing.T, server *sim.Server) {
				d := new(diary)
				c := simClient(t, server, d)
				require.Equal(t, tickstorm.StateIdle, c.State())
				require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "AAPL"))
				running := fixture.Runs(t.Context(), c)
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				require.Equal(t, tickstorm.StateStreaming, c.State())
				require.NoError(t, c.Close())
				require.NoError(t, <-running)
				require.Equal(t, tickstorm.StateClosed, c.State())

				var states []string
				previous, at := tickstorm.StateIdle, time.Time{}
				for _, s := range d.changes {
					states = append(states, s.State.String())
					require.Equal(t, previous, s.Previous)
					require.False(t, s.At.Before(at))
					previous, at = s.State, s.At
					require.Equal(t, s.State == tickstorm.StateBackoff, s.Err != nil, "%v: %v", s.State, s.Err)
					require.Equal(t, s.State == tickstorm.StateBackoff, s.Wait > 0)
				}
				require.Equal(t, "connecting, "+tc.want+", closed", strings.Join(states, ", "))
			})
		})
	}
}

// TestClientStateFinal: the last change has what Run returns.
func TestClientStateFinal(t *testing.T) {
	for _, tc := range []struct {
		name, key string
		want      string
	}{
		{"wrong key", sim.BadKey, "connecting, authenticating, closed"},
		{"no plan", sim.NoPlanKey, "connecting, authenticating, closed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
				cfg := server.ClientConfig(tickstorm.Stocks)
				cfg.Key = tc.key
				d := new(diary)
				err := fixture.NewClient(t, cfg, d).Run(t.Context())
				require.ErrorIs(t, err, tickstorm.ErrAuthFailed)
				require.Equal(t, tc.want, d.text())
				require.Equal(t, err, d.changes[len(d.changes)-1].Err)
			})
		})
	}
}

// TestClientStateAttempts: attempts are counted until a connection was healthy.
func TestClientStateAttempts(t *testing.T) {
	fixture.InBubble(t, sim.Config{Quiet: true, Faults: []sim.Fault{{At: sim.OnAccept, Times: 2, Do: sim.Cut()}}}, func(t *testing.T, server *sim.Server) {
		d := new(diary)
		c := simClient(t, server, d)
		running := fixture.Runs(t.Context(), c)
		fixture.Settled(t, server, 3, 0)
		time.Sleep(9 * time.Second)
		server.Conns()[0].Cut() // not healthy yet
		fixture.Settled(t, server, 4, 0)
		time.Sleep(10 * time.Second)
		server.Conns()[0].Cut()
		fixture.Settled(t, server, 5, 0)
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
		var attempts []string
		for _, s := range d.changes {
			attempts = append(attempts, fmt.Sprint(s.State, " ", s.Attempt))
		}
		require.Equal(t, []string{
			"connecting 1", "backoff 1", "connecting 2", "backoff 2",
			"connecting 3", "authenticating 3", "streaming 3", "backoff 3",
			"connecting 4", "authenticating 4", "streaming 4", "backoff 4",
			"connecting 1", "authenticating 1", "streaming 1", "closed 1",
		}, attempts, "who wants nothing does not subscribe")
	})
}

// TestClientReplayRefused: what a reconnect is refused is told, and not asked for again.
func TestClientReplayRefused(t *testing.T) {
	for _, tc := range []struct {
		name             string
		acks             sim.AckStyle
		refused, pending string
		acked, unnamed   int
		wanted           string
	}{
		{"named", sim.AckTopics, "Q.A,Q.B", "", 1, 0, "T.A"},
		{"counted", sim.AckNothing, "", "Q.A,Q.B,T.A", 0, 2, "Q.A,Q.B,T.A"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := sim.Config{Quiet: true, Acks: tc.acks, Keys: map[string]sim.Plan{"a-key": {Channels: []string{"T"}}}}
			fixture.InBubble(t, cfg, func(t *testing.T, server *sim.Server) {
				d := new(diary)
				c := simClient(t, server, d)
				require.NoError(t, c.SubscribeTopics(t.Context(), fixture.Topics(t, "Q.A,T.A,Q.B")...))
				running := fixture.Runs(t.Context(), c)
				time.Sleep(time.Minute)
				synctest.Wait()
				last := d.changes[len(d.changes)-1]
				require.Equal(t, tickstorm.StateStreaming, last.State)
				require.Equal(t, tc.refused, fixture.Listed(last.Refused))
				require.Equal(t, tc.pending, fixture.Listed(last.Pending))
				require.Equal(t, tc.acked, last.Acked)
				require.Equal(t, tc.unnamed, last.Unnamed)
				require.Equal(t, tc.wanted, fixture.Listed(c.Topics()))
				server.Conns()[0].Cut()
				fixture.Settled(t, server, 2, 1)
				time.Sleep(time.Minute)
				synctest.Wait()
				last = d.changes[len(d.changes)-1]
				require.Equal(t, tickstorm.StateStreaming, last.State)
				if tc.refused != "" {
					require.Empty(t, last.Refused, "it was not asked for again")
				}
				require.NoError(t, c.Close())
				require.NoError(t, <-running)
			})
		})
	}
}

// TestClientCallbacks: what a handler may do when it is told of a state, in each of them.
func TestClientCallbacks(t *testing.T) {
	for state := tickstorm.StateConnecting; state <= tickstorm.StateClosed; state++ {
		t.Run(state.String()+"/queue", func(t *testing.T) { testClientCallbacks(t, state, false) })
		t.Run(state.String()+"/inline", func(t *testing.T) { testClientCallbacks(t, state, true) })
	}
}

func testClientCallbacks(t *testing.T, state tickstorm.State, inline bool) {
	cfg := sim.Config{Quiet: true, Faults: []sim.Fault{{At: sim.OnSubscribe, Conn: 1, Do: sim.Cut()}}}
	fixture.InBubble(t, cfg, func(t *testing.T, server *sim.Server) {
		var c *tickstorm.Client
		told := false
		d := &diary{onState: func(s *tickstorm.StateChange) {
			if inline { // with a queue the client is ahead of what it tells
				require.Equal(t, s.State, c.State())
			}
			if s.State != state {
				return
			}
			told = true
			require.ErrorIs(t, c.Subscribe(t.Context(), tickstorm.Trades, "B"), tickstorm.ErrInHandler)
			require.ErrorIs(t, c.Unsubscribe(t.Context(), tickstorm.Trades, "B"), tickstorm.ErrInHandler)
			require.ErrorIs(t, c.SetTopics(t.Context()), tickstorm.ErrInHandler)
			c.Request(nil, fixture.Topics(t, "T.B")...)
			c.Withdraw(nil, fixture.Topics(t, "T.A")...)
			if state == tickstorm.StateStreaming || state == tickstorm.StateBackoff {
				require.Equal(t, "T.B", fixture.Listed(c.Topics()))
			}
			start := time.Now()
			require.NoError(t, c.Close())
			require.Zero(t, time.Since(start))
		}}
		c = simClientWith(t, server, d, func(cfg *tickstorm.Config) { cfg.Queue.Inline = inline })
		require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A"))
		running := fixture.Runs(t.Context(), c)
		if state == tickstorm.StateClosed {
			time.Sleep(time.Minute)
			require.NoError(t, c.Close())
		}
		require.NoError(t, <-running)
		require.True(t, told)
		require.Equal(t, tickstorm.StateClosed, d.changes[len(d.changes)-1].State)
		<-serverEmpty(t, server)
	})
}

// TestClientCallbackBusy: a handler that blocks in any state cannot hold Close up for
// longer than CloseTimeout, nor the socket.
func TestClientCallbackBusy(t *testing.T) {
	for state := tickstorm.StateConnecting; state <= tickstorm.StateClosed; state++ {
		t.Run(state.String(), func(t *testing.T) {
			cfg := sim.Config{Quiet: true, Faults: []sim.Fault{{At: sim.OnSubscribe, Conn: 1, Do: sim.Cut()}}}
			fixture.InBubble(t, cfg, func(t *testing.T, server *sim.Server) {
				busy, release := make(chan struct{}), make(chan struct{})
				d := &diary{onState: func(s *tickstorm.StateChange) {
					if s.State == state {
						close(busy)
						<-release
					}
				}}
				c := simClient(t, server, d)
				require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A"))
				running := fixture.Runs(t.Context(), c)
				if state == tickstorm.StateClosed {
					time.Sleep(time.Minute)
					require.ErrorIs(t, c.Close(), tickstorm.ErrHandlerBusy)
				}
				<-busy
				start := time.Now()
				require.ErrorIs(t, c.Close(), tickstorm.ErrHandlerBusy)
				require.LessOrEqual(t, time.Since(start), 5*time.Second)
				<-serverEmpty(t, server)
				close(release)
				require.NoError(t, <-running)
				require.NoError(t, c.Close())
			})
		})
	}
}

func TestStateChangeString(t *testing.T) {
	for want, s := range map[string]tickstorm.StateChange{
		"connecting, attempt 1":                                                {State: tickstorm.StateConnecting, Attempt: 1},
		"streaming, attempt 2, 3 topics acknowledged":                          {State: tickstorm.StateStreaming, Attempt: 2, Acked: 3},
		"streaming, attempt 2, 3 topics acknowledged, 2 refused, 1 unanswered": {State: tickstorm.StateStreaming, Attempt: 2, Acked: 3, Refused: fixture.Topics(t, "T.A"), Unnamed: 1, Pending: fixture.Topics(t, "T.B,T.C")},
		"backoff, attempt 1, next in 1.5s: nothing received for too long":      {State: tickstorm.StateBackoff, Attempt: 1, Wait: 1500 * time.Millisecond, Err: tickstorm.ErrIdle},
		"closed, attempt 1":                                                    {State: tickstorm.StateClosed, Attempt: 1},
	} {
		require.Equal(t, want, s.String())
	}
}
