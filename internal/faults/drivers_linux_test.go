package faults_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/epoll"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// told writes down what a client tells its handler, in its order, and says when a trade came.
type told struct {
	tickstorm.NopHandler
	lines     []string
	trades    chan string
	onBackoff func()
}

func (d *told) OnState(s *tickstorm.StateChange) {
	d.lines = append(d.lines, s.State.String())
	if s.State == tickstorm.StateBackoff {
		d.onBackoff()
	}
}

func (d *told) OnGap(g *tickstorm.Gap) {
	d.lines = append(d.lines, "gap of "+fixture.Listed(g.Topics))
}

func (d *told) OnTrade(e *tickstorm.Trade) {
	d.lines = append(d.lines, e.Symbol)
	d.trades <- e.Symbol
}

// lasting is a client, whatever drives it. run returns when it has ended.
type lasting struct {
	request func(done func(error), topics ...tickstorm.Topic) error
	granted func() []tickstorm.Topic
	state   func() tickstorm.State
	run     func() error
	close   func()
}

func onGoroutines(inline bool) func(*testing.T, tickstorm.Config, tickstorm.Handler) lasting {
	return func(t *testing.T, cfg tickstorm.Config, h tickstorm.Handler) lasting {
		cfg.Queue.Inline = inline
		c := fixture.NewClientAsIs(t, cfg, h)
		return lasting{c.Request, c.Granted, c.State, func() error { return c.Run(t.Context()) }, func() { _ = c.Close() }}
	}
}

func onEpoll(t *testing.T, cfg tickstorm.Config, h tickstorm.Handler) lasting {
	p, err := epoll.NewPoller(epoll.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	ctx, stop := context.WithCancelCause(t.Context())
	c, err := p.AddClient(cfg, h, func(err error) { stop(err) })
	require.NoError(t, err)
	return lasting{c.Request, c.Granted, c.State, func() error {
		_ = p.Run(ctx)
		if err := context.Cause(ctx); err != context.Canceled {
			return err
		}
		return nil
	}, func() { _ = c.Close() }}
}

// TestDrivers: whatever drives it, a client tells the same of a connection that breaks.
func TestDrivers(t *testing.T) {
	for _, tc := range []struct {
		name string
		make func(*testing.T, tickstorm.Config, tickstorm.Handler) lasting
	}{
		{"client with a queue", onGoroutines(false)},
		{"client inline", onGoroutines(true)},
		{"epoll", onEpoll},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server := fixture.Start(t, sim.Config{Quiet: true, Keys: map[string]sim.Plan{sim.Key: {Channels: []string{"T"}}}})
			cfg := server.ClientConfig(tickstorm.Stocks)
			cfg.Backoff.Min = time.Millisecond
			d := &told{trades: make(chan string, 1)}
			c := tc.make(t, cfg, d)
			require.Equal(t, tickstorm.StateIdle.String(), c.state().String())
			answers := make(chan error, 1)
			topics := fixture.Topics(t, "T.C")
			d.onBackoff = func() { _ = c.request(func(err error) { answers <- err }, topics...) }
			require.NoError(t, c.request(nil, fixture.Topics(t, "T.A,Q.A")...)) // the plan has no quotes
			ended := fixture.InBackground(c.run)
			settled := func(opened int) {
				require.NoError(t, server.Await(t.Context(), func(s sim.Stats) bool {
					return s.Opened == opened && s.Authenticated == 1 && s.Topics >= 1
				}))
			}
			trade := func(symbol string) {
				server.Broadcast([]byte("[" + fixture.Trade(symbol) + "]"))
				require.Equal(t, symbol, <-d.trades)
			}
			settled(1)
			trade("A")
			require.NoError(t, c.request(func(err error) { answers <- err }, fixture.Topics(t, "T.B")...))
			require.NoError(t, <-answers)
			require.Equal(t, "T.A,T.B", fixture.Listed(c.granted()))
			server.Conns()[0].Cut()
			require.NoError(t, <-answers, "however many connections that takes")
			settled(2)
			trade("C")
			c.close()
			require.NoError(t, <-ended)
			require.Equal(t, "connecting, authenticating, subscribing, streaming, A, "+
				"backoff, connecting, authenticating, subscribing, streaming, gap of T.A,T.B, C, closed", strings.Join(d.lines, ", "))
			require.Equal(t, tickstorm.StateClosed.String(), c.state().String())
		})
	}
}
