package tickstorm_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// TestClientOldServer: with a server that speaks as older ones did, and acknowledges whole
// requests, everything is as with the vendor's of today, and nothing waits for a time to run out.
func TestClientOldServer(t *testing.T) {
	for _, acks := range []sim.AckStyle{sim.AckTopics, sim.AckList, sim.AckRequest} {
		cfg := sim.Config{Quiet: true, OldWords: true, Acks: acks, Keys: map[string]sim.Plan{sim.Key: {Channels: []string{"T", "A"}}}}
		fixture.InBubble(t, cfg, func(t *testing.T, server *sim.Server) {
			begun := time.Now()
			c := simClient(t, server, nil)
			running := fixture.Runs(t.Context(), c)
			fixture.Settled(t, server, 1, 0)
			require.NoError(t, c.Subscribe(t.Context(), tickstorm.Trades, "AAPL", "MSFT", "BRK.B"))
			require.NoError(t, c.SetTopics(t.Context(), fixture.Topics(t, "T.AAPL,A.AAPL")...))
			require.Equal(t, "A.AAPL,T.AAPL", fixture.ServerTopics(t, server))
			if acks != sim.AckRequest {
				err := c.SubscribeTopics(t.Context(), fixture.Topics(t, "Q.AAPL,A.MSFT")...)
				require.ErrorIs(t, err, tickstorm.ErrNotAuthorized)
				require.NoError(t, c.UnsubscribeTopics(t.Context(), fixture.Topics(t, "A.MSFT")...))
			}
			require.Zero(t, time.Since(begun))

			server.Conns()[0].Cut()
			fixture.Settled(t, server, 2, 2)
			require.Equal(t, "A.AAPL,T.AAPL", fixture.ServerTopics(t, server))
			require.NoError(t, c.Close())
			require.NoError(t, <-running)
		})
	}
}

// TestDialOldServer: the older words have the same identities.
func TestDialOldServer(t *testing.T) {
	for _, tc := range []struct {
		key string
		is  error
	}{{sim.BadKey, tickstorm.ErrAuthFailed}, {sim.NoPlanKey, tickstorm.ErrNoPlan}} {
		fixture.InBubble(t, sim.Config{Quiet: true, OldWords: true}, func(t *testing.T, server *sim.Server) {
			cfg := server.ClientConfig(tickstorm.Stocks)
			cfg.Key = tc.key
			_, err := tickstorm.Dial(t.Context(), cfg, nil)
			require.ErrorIs(t, err, tc.is)
		})
	}
	fixture.InBubble(t, sim.Config{Quiet: true, OldWords: true}, func(t *testing.T, server *sim.Server) {
		older := fixture.Dial(t, server, nil)
		running := fixture.Runs(t.Context(), older)
		newer := fixture.Dial(t, server, nil)
		require.ErrorIs(t, <-running, tickstorm.ErrMaxConnections)
		require.NoError(t, newer.Close())
	})
}

// TestClientUnknownError: an error that the library does not know is told, soon, and what was
// asked for stays wanted on this connection and the next.
func TestClientUnknownError(t *testing.T) {
	for _, word := range []string{"error", "success"} {
		fixture.InBubble(t, sim.Config{Quiet: true, Acks: sim.AckNothing}, func(t *testing.T, server *sim.Server) {
			c := simClient(t, server, nil)
			running := fixture.Runs(t.Context(), c)
			fixture.Settled(t, server, 1, 0)
			begun := time.Now()
			result := fixture.InBackground(func() error { return c.Subscribe(context.Background(), tickstorm.Trades, "A") })
			synctest.Wait()
			require.NoError(t, server.Conns()[0].SendStatus(word, "not on a Monday"))
			var e *tickstorm.SubscribeError
			require.ErrorAs(t, <-result, &e)
			require.Equal(t, settling, time.Since(begun))
			require.Equal(t, fixture.Topics(t, "T.A"), e.Pending)
			if word == "error" {
				require.ErrorContains(t, e, "not on a Monday")
			}
			require.Equal(t, fixture.Topics(t, "T.A"), c.Topics())

			server.Conns()[0].Cut()
			fixture.Settled(t, server, 2, 1)
			require.Equal(t, "T.A", fixture.ServerTopics(t, server))
			require.NoError(t, server.Conns()[0].SendStatus(word, "not on a Tuesday"))
			synctest.Wait()
			time.Sleep(settling)
			synctest.Wait()
			require.Equal(t, tickstorm.StateStreaming, c.State())
			require.Equal(t, fixture.Topics(t, "T.A"), c.Topics())
			require.NoError(t, c.Close())
			require.NoError(t, <-running)
		})
	}
}
