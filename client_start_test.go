package tickstorm_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// TestClientStart: a program that starts, subscribes, sees a refusal as an error and stops.
func TestClientStart(t *testing.T) {
	for _, inline := range []bool{false, true} {
		cfg := sim.Config{Quiet: true, Keys: map[string]sim.Plan{sim.Key: {Channels: []string{"T"}}}}
		fixture.InBubble(t, cfg, func(t *testing.T, server *sim.Server) {
			r := new(fixture.Recorder)
			c := simClientWith(t, server, r, func(cfg *tickstorm.Config) { cfg.Queue.Inline = inline })
			require.ErrorIs(t, c.Wait(), tickstorm.ErrNotStarted)
			require.NoError(t, c.Start(t.Context()))
			require.Equal(t, 1, server.Stats().Authenticated)
			require.ErrorIs(t, c.Start(t.Context()), tickstorm.ErrRunning)
			require.ErrorIs(t, c.Run(t.Context()), tickstorm.ErrRunning)
			require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A"))
			require.Equal(t, "T.A", fixture.Listed(c.Granted()))
			require.ErrorIs(t, c.Subscribe(t.Context(), tickstorm.Quotes, "A"), tickstorm.ErrNotAuthorized)
			server.Broadcast([]byte("[" + fixture.Trade("A") + "]"))
			synctest.Wait()
			require.NoError(t, c.Close())
			require.NoError(t, c.Wait())
			require.IsType(t, &tickstorm.Trade{}, r.Events[len(r.Events)-1])
		})
	}
}

// TestClientStartFails: Start says why no connection ever will be.
func TestClientStartFails(t *testing.T) {
	for _, tc := range []struct {
		name   string
		cfg    sim.Config
		change func(*tickstorm.Config)
		during func(c *tickstorm.Client, cancel context.CancelFunc)
		want   error
	}{
		{name: "a wrong key", change: func(cfg *tickstorm.Config) { cfg.Key = "wrong" }, cfg: sim.Config{Keys: map[string]sim.Plan{sim.Key: {}}}, want: tickstorm.ErrAuthFailed},
		{
			name: "not in so many attempts", change: func(cfg *tickstorm.Config) { cfg.Backoff.MaxAttempts = 2 },
			cfg: sim.Config{Faults: []sim.Fault{{At: sim.OnGreeting, Do: sim.Drop()}}}, want: tickstorm.ErrDisconnected,
		},
		{
			name: "the context ends", cfg: sim.Config{Faults: []sim.Fault{{At: sim.OnGreeting, Do: sim.Stall(0)}}},
			during: func(_ *tickstorm.Client, cancel context.CancelFunc) { cancel() }, want: context.Canceled,
		},
		{
			name: "closed", cfg: sim.Config{Faults: []sim.Fault{{At: sim.OnGreeting, Do: sim.Stall(0)}}},
			during: func(c *tickstorm.Client, _ context.CancelFunc) { _ = c.Close() }, want: tickstorm.ErrClosed,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.cfg.Quiet = true
			fixture.InBubble(t, tc.cfg, func(t *testing.T, server *sim.Server) {
				c := simClientWith(t, server, nil, func(cfg *tickstorm.Config) {
					if tc.change != nil {
						tc.change(cfg)
					}
				})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tc.during != nil {
					go func() {
						time.Sleep(time.Second)
						tc.during(c, cancel)
					}()
				}
				require.ErrorIs(t, c.Start(ctx), tc.want)
				if err := c.Wait(); tc.want == tickstorm.ErrClosed {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, tc.want)
				}
			})
		})
	}
}

// TestClientSubscribeConnecting: once the client was started, Subscribe waits for the connection.
func TestClientSubscribeConnecting(t *testing.T) {
	cfg := sim.Config{Quiet: true, Faults: []sim.Fault{{At: sim.OnHandshake, Times: 3, Do: sim.HTTPStatus(503)}}}
	fixture.InBubble(t, cfg, func(t *testing.T, server *sim.Server) {
		c := simClient(t, server, nil)
		running := fixture.Runs(t.Context(), c)
		synctest.Wait()
		require.Equal(t, tickstorm.StateBackoff, c.State())
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond/100)
		defer cancel()
		var e *tickstorm.SubscribeError
		require.ErrorAs(t, c.Subscribe(ctx, tickstorm.Quotes, "A"), &e)
		require.ErrorIs(t, e, context.DeadlineExceeded)
		require.Equal(t, "Q.A", fixture.Listed(e.Pending))
		require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "A"))
		require.Equal(t, "Q.A,T.A", fixture.Listed(c.Granted()), "who stops waiting wants it all the same")
		require.NoError(t, c.Close())
		require.NoError(t, <-running)
		require.Empty(t, c.Granted())
	})
}

// TestClientRequestsAfterTheEnd: who asks then is answered at once.
func TestClientRequestsAfterTheEnd(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		ctx, cancel := context.WithCancel(t.Context())
		c := simClient(t, server, nil)
		require.NoError(t, c.Start(ctx))
		require.NoError(t, c.Subscribe(ctx, tickstorm.Trades, "A"))
		cancel()
		require.ErrorIs(t, c.Wait(), context.Canceled)
		var results []error
		note := func(err error) { results = append(results, err) }
		require.ErrorIs(t, c.Request(note, fixture.Topics(t, "T.B")...), tickstorm.ErrClosed)
		require.NoError(t, c.Withdraw(note, fixture.Topics(t, "T.A")...))
		require.Equal(t, []error{nil}, results, "nothing streams any more")
	})
}

// TestClientPanickingResults: a done that panics keeps no other from being called, nor the client
// from ending.
func TestClientPanickingResults(t *testing.T) {
	fixture.InBubble(t, fixture.Quiet, func(t *testing.T, server *sim.Server) {
		d := new(diary)
		c := simClientWith(t, server, d, func(cfg *tickstorm.Config) {
			cfg.NetDial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("nobody there") }
			cfg.Backoff.MaxAttempts = 3
		})
		told := 0
		cause := make(chan error, 1)
		go func() { cause <- c.Start(t.Context()) }()
		synctest.Wait()
		for _, symbol := range []string{"A", "B", "C"} {
			require.NoError(t, c.Request(func(error) { told++; panic("a bug in done for " + symbol) }, fixture.Topics(t, "T."+symbol)...))
		}
		var p *tickstorm.PanicError
		require.ErrorAs(t, <-cause, &p)
		require.ErrorAs(t, c.Wait(), &p)
		require.Equal(t, 3, told)
		require.Equal(t, "closed", d.lines[len(d.lines)-1])
		require.NoError(t, c.Close())
	})
}
