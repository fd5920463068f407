package tickstorm_test

import (
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
)

func TestSessionAuthTimeout(t *testing.T) {
	for _, tc := range []struct {
		name  string
		limit time.Duration // of the Config
		wait  time.Duration
	}{
		{"default", 0, 15 * time.Second},
		{"own", 3 * time.Second, 3 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := testConfig()
			cfg.AuthTimeout = tc.limit
			p := newPeer(t, cfg, nil)
			require.Equal(t, tc.wait, p.after(0))
			require.NoError(t, p.say(fixture.Status("connected", "")), "a greeting is no answer")
			require.Equal(t, time.Nanosecond, p.after(tc.wait-1))
			require.NoError(t, p.s.Err())
			require.Zero(t, p.after(1))
			require.ErrorIs(t, p.s.Err(), tickstorm.ErrAuthTimeout)
			require.True(t, tickstorm.Retryable(p.s.Err()))
			require.Contains(t, p.requests(), "close 1000")
		})
	}
}

func TestSessionPings(t *testing.T) {
	for _, tc := range []struct {
		name     string
		interval time.Duration
		wait     time.Duration // 0 for never
	}{
		{"default", 0, 25 * time.Second},
		{"own", 7 * time.Second, 7 * time.Second},
		{"off", -1, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := testConfig()
			cfg.PingInterval = tc.interval
			cfg.IdleTimeout = -1
			p := readyPeer(t, cfg, nil)
			require.Equal(t, tc.wait, p.after(0))
			if tc.wait == 0 {
				p.after(24 * time.Hour)
				require.Empty(t, p.requests())
				return
			}
			for range 3 { // data and pongs make no difference
				require.Equal(t, time.Nanosecond, p.after(tc.wait-1))
				require.NoError(t, p.say(fixture.Trade("A")))
				require.Empty(t, p.requests())
				require.Equal(t, tc.wait, p.after(1))
				require.Equal(t, []string{"ping"}, p.requests())
			}
			require.Equal(t, tc.wait, p.after(10*tc.wait))
			require.Equal(t, []string{"ping"}, p.requests(), "pings that were missed are not made up for")
			p.s.Close()
			p.requests()
			p.after(tc.wait)
			require.Empty(t, p.requests(), "none after the close frame")
		})
	}
}

func TestSessionPingsWhileAuthenticating(t *testing.T) {
	cfg := testConfig()
	cfg.AuthTimeout = time.Minute
	p := newPeer(t, cfg, nil)
	p.requests()
	require.Equal(t, 25*time.Second, p.after(0))
	p.after(25 * time.Second)
	require.Equal(t, []string{"ping"}, p.requests())
}

func TestSessionIdleTimeout(t *testing.T) {
	pong := fixture.Wire(false, true, ws.OpPong, "")
	for _, tc := range []struct {
		name  string
		limit time.Duration
		wait  time.Duration
		bytes []byte // that prove life shortly before the end
	}{
		{"default", 0, time.Minute, fixture.Wire(false, true, ws.OpText, "[]")},
		{"pong", 5 * time.Second, 5 * time.Second, pong},
		{"half a header", 5 * time.Second, 5 * time.Second, pong[:1]},
		{"rubbish message", 5 * time.Second, 5 * time.Second, fixture.Wire(false, true, ws.OpBinary, "?")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := testConfig()
			cfg.IdleTimeout = tc.limit
			cfg.PingInterval = -1
			p := readyPeer(t, cfg, nil)
			require.Equal(t, tc.wait, p.after(0))
			require.Equal(t, time.Nanosecond, p.after(tc.wait-1))
			require.NoError(t, p.s.Feed(tc.bytes))
			require.Equal(t, tc.wait, p.s.Deadline().Sub(p.now), "any byte is proof of life")
			p.now = p.now.Add(10 * tc.wait) // a handler that takes its time
			require.Equal(t, tc.wait, p.after(0), "nobody listened meanwhile")
			require.Equal(t, time.Nanosecond, p.after(tc.wait-1))
			require.NoError(t, p.s.Err())
			require.NoError(t, p.s.Feed(nil))
			require.Zero(t, p.after(1), "none is not")
			require.ErrorIs(t, p.s.Err(), tickstorm.ErrIdle)
			require.True(t, tickstorm.Retryable(p.s.Err()))
			require.Equal(t, []string{"close 1000"}, p.requests())
			require.True(t, p.s.Deadline().IsZero())
		})
	}
}

// TestSessionMissingPongs: pongs queue behind data in trading hours, so data must be
// enough, and pings go on.
func TestSessionMissingPongs(t *testing.T) {
	p := readyPeer(t, testConfig(), nil)
	pings := 0
	for range 30 {
		p.after(10 * time.Second)
		require.NoError(t, p.say(fixture.Trade("A")))
		pings += len(p.requests())
	}
	require.NoError(t, p.s.Err())
	require.GreaterOrEqual(t, pings, 10)
}

func TestSessionQuietMarket(t *testing.T) {
	p := readyPeer(t, testConfig(), nil)
	for range 30 {
		p.after(25 * time.Second)
		require.Equal(t, []string{"ping"}, p.requests())
		require.NoError(t, p.answer())
	}
	require.NoError(t, p.s.Err(), "pongs alone keep it alive")
}

func TestSessionIdleNever(t *testing.T) {
	cfg := testConfig()
	cfg.IdleTimeout = -1
	cfg.PingInterval = -1
	p := readyPeer(t, cfg, nil)
	require.Zero(t, p.after(1000*time.Hour))
	require.NoError(t, p.s.Err())
}

func TestSessionCloseTimeout(t *testing.T) {
	for _, tc := range []struct {
		name  string
		limit time.Duration
		wait  time.Duration
	}{
		{"default", 0, 2500 * time.Millisecond},
		{"own", time.Minute, 30 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := testConfig()
			cfg.CloseTimeout = tc.limit
			p := readyPeer(t, cfg, nil)
			p.after(3 * time.Second)
			p.s.Close()
			require.Equal(t, tc.wait, p.s.Deadline().Sub(p.now))
			require.NoError(t, p.say(fixture.Trade("A")), "data are no answer")
			require.Equal(t, time.Nanosecond, p.after(tc.wait-1))
			require.NoError(t, p.s.Err())
			require.Zero(t, p.after(1))
			require.ErrorIs(t, p.s.Err(), tickstorm.ErrCloseTimeout)
		})
	}
}

// TestSessionCloseBeforeTime: a session that has not been told the time yet.
func TestSessionCloseBeforeTime(t *testing.T) {
	s, err := tickstorm.NewSession(testConfig(), nil)
	require.NoError(t, err)
	s.Close()
	require.Equal(t, 2500*time.Millisecond, s.Advance(began).Sub(began))
	require.NoError(t, s.Err())
	s.Advance(began.Add(2500 * time.Millisecond))
	require.ErrorIs(t, s.Err(), tickstorm.ErrCloseTimeout)
}

func TestSessionAckDeadline(t *testing.T) {
	p := readyPeer(t, testConfig(), nil)
	require.Equal(t, 25*time.Second, p.after(0))
	var o outcome
	require.NoError(t, p.s.Request(o.done, fixture.Topics(t, "T.A")...))
	require.Equal(t, ackTimeout, p.s.Deadline().Sub(p.now), "what was done since counts")
	p.after(4 * time.Second)
	require.NoError(t, p.s.Request(nil, fixture.Topics(t, "ZZ.A")...))
	require.Equal(t, ackTimeout-4*time.Second, p.s.Deadline().Sub(p.now), "the first counts")
	require.NoError(t, p.say(fixture.Acks("T.A")...))
	require.Equal(t, ackTimeout, p.s.Deadline().Sub(p.now))
	p.after(ackTimeout)
	require.Equal(t, began.Add(25*time.Second), p.s.Deadline())
}

// TestSessionNextChunkAfterTimeout: a request that was not answered holds up the next
// for its time and no longer.
func TestSessionNextChunkAfterTimeout(t *testing.T) {
	cfg := testConfig()
	cfg.AckTimeout = 2 * time.Second
	cfg.ChunkTopics = 1
	p := readyPeer(t, cfg, nil)
	var o outcome
	require.NoError(t, p.s.Request(o.done, fixture.Topics(t, "T.A,T.B")...))
	require.Equal(t, []string{"T.A"}, p.subscribed())
	p.after(2*time.Second - 1)
	require.Empty(t, p.subscribed())
	require.Equal(t, 2*time.Second, p.after(1))
	require.Equal(t, []string{"T.B"}, p.subscribed())
	require.NoError(t, p.say(fixture.Acks("T.A", "T.B")...))
	require.Equal(t, "T.B", fixture.Listed(o.detail(t).Acked))
	require.Equal(t, "T.A", fixture.Listed(o.detail(t).Pending))
}

func TestSessionReceived(t *testing.T) {
	r := new(fixture.Recorder)
	p := readyPeer(t, testConfig(), r)
	frame := fixture.Wire(false, true, ws.OpText, "["+fixture.Trade("A")+"]")
	require.NoError(t, p.s.Feed(frame[:5]))
	p.after(time.Second)
	require.NoError(t, p.s.Feed(frame[5:]))
	require.Equal(t, began.Add(time.Second).UnixNano(), r.Events[2].Head().Received, "when its last byte was read")
}

// TestSessionPongTimeout: it is silence since a ping that ends the session, not a missing
// pong.
func TestSessionPongTimeout(t *testing.T) {
	cfg := testConfig()
	cfg.PongTimeout = 5 * time.Second
	t.Run("silence", func(t *testing.T) {
		p := readyPeer(t, cfg, nil)
		p.after(25 * time.Second)
		require.Equal(t, []string{"ping"}, p.requests())
		require.Equal(t, time.Nanosecond, p.after(5*time.Second-1))
		require.NoError(t, p.s.Err())
		p.after(1)
		require.ErrorIs(t, p.s.Err(), tickstorm.ErrPongTimeout)
		require.True(t, tickstorm.Retryable(p.s.Err()))
	})
	t.Run("data without pongs", func(t *testing.T) {
		p := readyPeer(t, cfg, nil)
		for range 100 {
			p.after(25 * time.Second)
			require.Equal(t, []string{"ping"}, p.requests())
			p.after(4 * time.Second)
			require.NoError(t, p.say(fixture.Trade("A")))
		}
		require.NoError(t, p.s.Err())
	})
	t.Run("pongs", func(t *testing.T) {
		p := readyPeer(t, cfg, nil)
		for range 100 {
			p.after(25 * time.Second)
			p.requests()
			require.NoError(t, p.answer())
		}
		require.NoError(t, p.s.Err())
	})
	t.Run("counted from when the ping was written", func(t *testing.T) {
		p := readyPeer(t, cfg, nil)
		p.after(25 * time.Second)
		p.after(10 * time.Second) // the ping could not be written
		require.Equal(t, []string{"ping"}, p.requests())
		p.after(5*time.Second - 1)
		require.NoError(t, p.s.Err())
		p.after(1)
		require.ErrorIs(t, p.s.Err(), tickstorm.ErrPongTimeout)
	})
	t.Run("longer than the interval", func(t *testing.T) {
		cfg := cfg
		cfg.PongTimeout, cfg.IdleTimeout = 40*time.Second, -1
		p := readyPeer(t, cfg, nil)
		p.after(25 * time.Second)
		p.requests()
		p.after(25 * time.Second)
		require.Equal(t, []string{"ping"}, p.requests())
		p.after(15*time.Second - 1)
		require.NoError(t, p.s.Err())
		p.after(1)
		require.ErrorIs(t, p.s.Err(), tickstorm.ErrPongTimeout, "a second ping does not start it again")
	})
}
