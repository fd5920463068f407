package tickstorm_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
)

// byHand drives a Lasting without sockets: what is posted waits until serve.
type byHand struct {
	t      *testing.T
	l      *tickstorm.Lasting
	diary  diary
	posted []func()
	now    time.Time
}

func driveByHand(t *testing.T, change func(*tickstorm.Config)) *byHand {
	t.Helper()
	cfg := testConfig()
	if change != nil {
		change(&cfg)
	}
	d := &byHand{t: t, now: began}
	l, err := tickstorm.NewLasting(cfg, &d.diary, d)
	require.NoError(t, err)
	d.l = l
	return d
}

func (d *byHand) Post(do func())                   { d.posted = append(d.posted, do) }
func (d *byHand) OnState(s *tickstorm.StateChange) { d.diary.OnState(s) }
func (d *byHand) OnGap(g *tickstorm.Gap)           { d.diary.OnGap(g) }

func (d *byHand) serve() {
	posted := d.posted
	d.posted = nil
	for _, do := range posted {
		do()
	}
}

// connect makes the server of the next session, which has accepted the key.
func (d *byHand) connect() *peer {
	d.t.Helper()
	s, err := d.l.Connect(d.now)
	require.NoError(d.t, err)
	d.l.Opened(d.now)
	p := peerOf(d.t, s, d.now)
	p.requests()
	require.NoError(d.t, p.say(fixture.Status("auth_success", "authenticated")))
	return p
}

// TestLasting is a life of two connections, without a socket or a clock.
func TestLasting(t *testing.T) {
	d := driveByHand(t, nil)
	require.Equal(t, tickstorm.StateIdle, d.l.State())
	require.NoError(t, d.l.Request(nil, fixture.Topics(t, "T.A,T.B")...))
	p := d.connect()
	require.Equal(t, tickstorm.StateSubscribing, d.l.State())
	require.Equal(t, []string{"T.A,T.B"}, p.subscribed())
	require.NoError(t, p.say(fixture.Acks("T.A", "T.B")...))
	require.Equal(t, tickstorm.StateStreaming, d.l.State())
	p.after(time.Minute)
	last := p.now
	require.NoError(t, p.say(fixture.Trade("A")))

	d.now = p.now.Add(time.Minute)
	wait, err := d.l.Lost(io.EOF, d.now)
	require.NoError(t, err)
	require.Positive(t, wait)
	require.LessOrEqual(t, wait, 500*time.Millisecond)
	require.NoError(t, d.l.Request(nil, fixture.Topics(t, "T.C")...))
	require.Empty(t, d.posted, "there is no session to ask")

	d.now = d.now.Add(wait)
	p = d.connect()
	require.Equal(t, []string{"T.A,T.B,T.C"}, p.subscribed())
	require.NoError(t, p.say(fixture.Acks("T.A", "T.B", "T.C")...))
	require.Empty(t, d.diary.gaps, "its end has not come")
	p.after(time.Second / 2)
	require.NoError(t, p.say(fixture.Trade("B")))
	require.Len(t, d.diary.gaps, 1)
	gap := d.diary.gaps[0]
	require.Equal(t, "T.A,T.B", fixture.Listed(gap.Topics))
	require.True(t, gap.From.Received.Equal(last))
	require.True(t, gap.To.Received.Equal(p.now))
	require.ErrorIs(t, gap.Cause, io.EOF)

	stats := d.l.Stats()
	require.EqualValues(t, 2, stats.Events[tickstorm.KindTrade], "of both connections")
	require.EqualValues(t, 1, stats.Reconnects)
	require.Equal(t, 3, stats.AckedTopics, "of this one")

	d.l.Close()
	p.s.Close()
	require.NoError(t, p.answer())
	_, err = d.l.Lost(p.s.Err(), p.now)
	require.ErrorIs(t, err, tickstorm.ErrClosed)
	d.l.End(nil, p.now)
	d.l.End(nil, p.now)
	require.ErrorIs(t, d.l.Request(nil, fixture.Topics(t, "T.A")...), tickstorm.ErrClosed)
	require.Equal(t, "connecting, authenticating, subscribing, streaming, A, backoff, "+
		"connecting, authenticating, subscribing, streaming, gap, B, closed", d.diary.text())
}

// TestLastingQuietGap: where no event comes a gap is told by the time alone.
func TestLastingQuietGap(t *testing.T) {
	d := driveByHand(t, nil)
	require.NoError(t, d.l.Request(nil, fixture.Topics(t, "T.A")...))
	p := d.connect()
	require.NoError(t, p.say(fixture.Acks("T.A")...))
	_, err := d.l.Lost(io.EOF, d.now)
	require.NoError(t, err)
	p = d.connect()
	require.NoError(t, p.say(fixture.Acks("T.A")...))
	require.Equal(t, time.Second, p.after(0), "the session wants to be told the time by then")
	require.Empty(t, d.diary.gaps)
	p.after(time.Second)
	require.Len(t, d.diary.gaps, 1)
	require.True(t, d.diary.gaps[0].To.Received.Equal(d.now))
	p.after(time.Second)
	require.Len(t, d.diary.gaps, 1)
}

func TestLastingLost(t *testing.T) {
	refused := func(err error) func(error) bool { return func(got error) bool { return errors.Is(got, err) } }
	for _, tc := range []struct {
		name    string
		cause   error
		atLeast time.Duration
		final   func(error) bool // nil: another attempt
	}{
		{"a broken network", io.EOF, 0, nil},
		{"evicted", fmt.Errorf("so: %w", tickstorm.ErrMaxConnections), time.Minute, nil},
		{"told to come later", &tickstorm.DialError{Status: 503, RetryAfter: 40 * time.Second}, 40 * time.Second, nil},
		{"a wrong key", tickstorm.ErrAuthFailed, 0, refused(tickstorm.ErrAuthFailed)},
		{"closed by nobody knows whom", nil, 0, refused(tickstorm.ErrClosed)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := driveByHand(t, nil)
			_, err := d.l.Connect(d.now)
			require.NoError(t, err)
			wait, err := d.l.Lost(tc.cause, d.now)
			if tc.final != nil {
				require.True(t, tc.final(err), "%v", err)
				require.Equal(t, tickstorm.StateConnecting, d.l.State(), "closed is for End to say")
				return
			}
			require.NoError(t, err)
			require.Positive(t, wait)
			require.GreaterOrEqual(t, wait, tc.atLeast)
			require.Equal(t, tickstorm.StateBackoff, d.l.State())
		})
	}
}

// TestLastingAttempts: attempts that fail are counted until one has streamed for long enough.
func TestLastingAttempts(t *testing.T) {
	d := driveByHand(t, func(cfg *tickstorm.Config) { cfg.Backoff.MaxAttempts = 3 })
	fail := func() error {
		_, err := d.l.Connect(d.now)
		require.NoError(t, err)
		_, err = d.l.Lost(io.EOF, d.now)
		return err
	}
	require.NoError(t, fail())
	require.NoError(t, fail())
	d.connect()
	d.now = d.now.Add(time.Minute)
	_, err := d.l.Lost(io.EOF, d.now)
	require.NoError(t, err, "the third was healthy")
	require.NoError(t, fail())
	require.NoError(t, fail())
	var attempts *tickstorm.AttemptsError
	require.ErrorAs(t, fail(), &attempts)
	require.Equal(t, 3, attempts.Attempts)
}

// TestLastingResults: who asks is told what came of it, once, whatever becomes of the session.
func TestLastingResults(t *testing.T) {
	for _, tc := range []struct {
		name string
		// answer is what happens to the request for T.A.
		answer func(d *byHand, p *peer)
		want   func(t *testing.T, err error)
		wanted string
	}{
		{
			"acknowledged", func(d *byHand, p *peer) {
				d.serve()
				require.NoError(d.t, p.say(fixture.Acks("T.A")...))
			},
			func(t *testing.T, err error) { require.NoError(t, err) }, "T.A",
		},
		{
			"refused", func(d *byHand, p *peer) {
				d.serve()
				require.NoError(d.t, p.say(fixture.Status("error", "not authorized")))
			},
			func(t *testing.T, err error) { require.ErrorIs(t, err, tickstorm.ErrNotAuthorized) }, "",
		},
		{
			"the connection breaks, the next acknowledges", func(d *byHand, _ *peer) {
				d.serve()
				_, _ = d.l.Lost(io.EOF, d.now)
				require.NoError(d.t, d.connect().say(fixture.Acks("T.A")...))
			},
			func(t *testing.T, err error) { require.NoError(t, err) }, "T.A",
		},
		{
			"the connection breaks before it is asked, the next refuses", func(d *byHand, _ *peer) {
				_, _ = d.l.Lost(io.EOF, d.now)
				require.NoError(d.t, d.connect().say(fixture.Status("error", "not authorized")))
			},
			func(t *testing.T, err error) { require.ErrorIs(t, err, tickstorm.ErrNotAuthorized) }, "",
		},
		{
			"no answer", func(d *byHand, p *peer) {
				d.serve()
				p.after(time.Minute / 2)
			},
			func(t *testing.T, err error) {
				var e *tickstorm.SubscribeError
				require.ErrorAs(t, err, &e)
				require.Equal(t, "T.A", fixture.Listed(e.Pending))
			}, "T.A",
		},
		{
			"no answer after a reconnect", func(d *byHand, p *peer) {
				_, _ = d.l.Lost(io.EOF, d.now)
				d.connect().after(time.Minute / 2)
			},
			func(t *testing.T, err error) {
				var e *tickstorm.SubscribeError
				require.ErrorAs(t, err, &e)
				require.Equal(t, "T.A", fixture.Listed(e.Pending))
			}, "T.A",
		},
		{
			"withdrawn while there is no connection", func(d *byHand, _ *peer) {
				_, _ = d.l.Lost(io.EOF, d.now)
				require.NoError(d.t, d.l.Withdraw(nil, fixture.Topics(d.t, "T.A")...))
				d.connect()
			},
			func(t *testing.T, err error) {
				var e *tickstorm.SubscribeError
				require.ErrorAs(t, err, &e)
				require.Equal(t, "T.A", fixture.Listed(e.Pending))
			}, "",
		},
		{
			"it ends", func(d *byHand, _ *peer) { d.l.End(tickstorm.ErrOverflow, d.now) },
			func(t *testing.T, err error) { require.ErrorIs(t, err, tickstorm.ErrOverflow) }, "T.A",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := driveByHand(t, nil)
			p := d.connect()
			var results []error
			require.NoError(t, d.l.Request(func(err error) { results = append(results, err) }, fixture.Topics(t, "T.A")...))
			require.Empty(t, results)
			tc.answer(d, p)
			require.Len(t, results, 1)
			tc.want(t, results[0])
			require.Equal(t, tc.wanted, fixture.Listed(d.l.Topics()))
			d.serve() // too late
			d.l.End(nil, d.now)
			require.Len(t, results, 1)
		})
	}
}

// TestLastingSetTopics: one result for what is ended and what is asked for.
func TestLastingSetTopics(t *testing.T) {
	d := driveByHand(t, nil)
	var results []error
	note := func(err error) { results = append(results, err) }
	require.NoError(t, d.l.SetTopics(note, fixture.Topics(t, "T.A,T.B")...))
	require.Equal(t, []error{nil}, results, "recorded")
	require.NoError(t, d.l.Withdraw(note, fixture.Topics(t, "T.B")...))
	require.Equal(t, []error{nil, nil}, results)
	p := d.connect()
	require.Equal(t, []string{"T.A"}, p.subscribed())
	require.NoError(t, p.say(fixture.Acks("T.A")...))

	results = nil
	require.NoError(t, d.l.SetTopics(note, fixture.Topics(t, "T.C")...))
	d.serve()
	require.Equal(t, []string{`{"action":"unsubscribe","params":"T.A"}`}, p.requests())
	require.NoError(t, p.say(fixture.Status("success", "unsubscribed to: T.A")))
	require.Empty(t, results)
	require.Equal(t, []string{"T.C"}, p.subscribed())
	require.NoError(t, p.say(fixture.Acks("T.C")...))
	require.Equal(t, []error{nil}, results)
	require.NoError(t, d.l.SetTopics(note, fixture.Topics(t, "T.C")...))
	require.Equal(t, []error{nil, nil}, results, "there was nothing to do")
	require.ErrorIs(t, d.l.SetTopics(note, tickstorm.Topic{Channel: "T"}), tickstorm.ErrBadTopic)
	require.Len(t, results, 2)
	require.Equal(t, "T.C", fixture.Listed(d.l.Topics()))
}

// TestLastingWithdrawnByTheEnd: with the connection the server has forgotten what was to be
// ended.
func TestLastingWithdrawnByTheEnd(t *testing.T) {
	for _, served := range []bool{false, true} {
		d := driveByHand(t, nil)
		require.NoError(t, d.l.Request(nil, fixture.Topics(t, "T.A")...))
		p := d.connect()
		require.NoError(t, p.say(fixture.Acks("T.A")...))
		var results []error
		require.NoError(t, d.l.Withdraw(func(err error) { results = append(results, err) }, fixture.Topics(t, "T.A")...))
		if served {
			d.serve()
		}
		require.Empty(t, results)
		_, err := d.l.Lost(io.EOF, d.now)
		require.NoError(t, err)
		require.Equal(t, []error{nil}, results)
		p = d.connect()
		require.Empty(t, p.subscribed())
	}
}

// TestLastingPartlyAnswered: what one session has refused is refused, though another acknowledges
// the rest.
func TestLastingPartlyAnswered(t *testing.T) {
	d := driveByHand(t, func(cfg *tickstorm.Config) { cfg.ChunkTopics = 1 })
	p := d.connect()
	var results []error
	require.NoError(t, d.l.Request(func(err error) { results = append(results, err) }, fixture.Topics(t, "T.A,T.B,T.C")...))
	d.serve()
	require.NoError(t, p.say(fixture.Status("error", "not authorized")))
	require.NoError(t, p.say(fixture.Acks("T.B")...))
	_, err := d.l.Lost(io.EOF, d.now)
	require.NoError(t, err)
	require.Empty(t, results)
	p = d.connect()
	require.NoError(t, p.say(fixture.Acks("T.B")...))
	require.NoError(t, p.say(fixture.Acks("T.C")...))
	require.Len(t, results, 1)
	var e *tickstorm.SubscribeError
	require.ErrorAs(t, results[0], &e)
	require.Equal(t, "T.A", fixture.Listed(e.Refused))
	require.Equal(t, "T.B,T.C", fixture.Listed(e.Acked))
	require.Empty(t, e.Pending)
	require.Len(t, e.Refusals, 1)
	require.ErrorIs(t, e, tickstorm.ErrNotAuthorized)
	require.Equal(t, "T.B,T.C", fixture.Listed(d.l.Granted()))
}

// TestLastingMended: what was put down as refused and is granted all the same is wanted, unless
// it was withdrawn.
func TestLastingMended(t *testing.T) {
	for _, withdrawn := range []bool{false, true} {
		d := driveByHand(t, nil)
		p := d.connect()
		require.NoError(t, d.l.Request(nil, fixture.Topics(t, "T.A")...))
		d.serve()
		p.after(time.Minute / 2) // nobody answers in time
		require.NoError(t, d.l.Request(nil, fixture.Topics(t, "T.B")...))
		d.serve()
		require.NoError(t, p.say(fixture.Status("error", "not authorized"))) // of T.A
		require.Equal(t, "T.A", fixture.Listed(d.l.Topics()), "it was put down to T.B")
		want := "T.A,T.B"
		if withdrawn {
			require.NoError(t, d.l.Withdraw(nil, fixture.Topics(t, "T.B")...))
			want = "T.A"
		}
		require.NoError(t, p.say(fixture.Acks("T.B")...))
		require.Equal(t, want, fixture.Listed(d.l.Topics()))
		_, err := d.l.Lost(io.EOF, d.now)
		require.NoError(t, err)
		require.Equal(t, []string{want}, d.connect().subscribed())
	}
}

// TestLastingEvictions: two clients with one key evict each other until one gives way.
func TestLastingEvictions(t *testing.T) {
	d := driveByHand(t, func(cfg *tickstorm.Config) { cfg.Backoff.Evictions = 2 })
	evict := func(cause error) error {
		p := d.connect()
		p.after(time.Hour)
		_, err := d.l.Lost(cause, p.now)
		return err
	}
	require.NoError(t, evict(tickstorm.ErrMaxConnections))
	require.NoError(t, evict(io.EOF), "which is another reason, and the count begins anew")
	require.NoError(t, evict(tickstorm.ErrMaxConnections))
	require.ErrorIs(t, evict(tickstorm.ErrMaxConnections), tickstorm.ErrMaxConnections)
}

// TestLastingCertificate: a certificate that does not verify is final, but not at once where
// one has verified before.
func TestLastingCertificate(t *testing.T) {
	bad := &tickstorm.DialError{Host: "host", Err: &tls.CertificateVerificationError{Err: errors.New("unknown authority")}}
	d := driveByHand(t, nil)
	fail := func() error {
		_, err := d.l.Connect(d.now)
		require.NoError(t, err)
		_, err = d.l.Lost(bad, d.now)
		return err
	}
	require.ErrorIs(t, fail(), bad, "never connected")

	d = driveByHand(t, nil)
	for range 2 {
		d.connect()
		_, err := d.l.Lost(io.EOF, d.now)
		require.NoError(t, err)
		for range 3 {
			require.NoError(t, fail())
			require.ErrorIs(t, d.diary.changes[len(d.diary.changes)-1].Err, bad)
		}
	}
	require.ErrorIs(t, fail(), bad, "the fourth in a row")
}

// TestLastingPanickingResults: a done that panics when the connection ends keeps no other from
// being called.
func TestLastingPanickingResults(t *testing.T) {
	d := driveByHand(t, nil)
	require.NoError(t, d.l.Request(nil, fixture.Topics(t, "T.A,T.B")...))
	p := d.connect()
	require.NoError(t, p.say(fixture.Acks("T.A", "T.B")...))
	told := 0
	for _, topic := range []string{"T.A", "T.B"} {
		require.NoError(t, d.l.Withdraw(func(error) { told++; panic("a bug") }, fixture.Topics(t, topic)...))
	}
	require.Panics(t, func() { _, _ = d.l.Lost(io.EOF, d.now) })
	require.Equal(t, 2, told)
}
