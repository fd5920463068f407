package nats_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/sink"
	"github.com/tickstorm/tickstorm/sink/internal/sinktest"
	sinknats "github.com/tickstorm/tickstorm/sink/nats"
)

// member is a node of a cluster that has no JetStream, and whose other nodes are not up.
var member = server.Options{Cluster: server.ClusterOpts{Name: "ticks", Host: "127.0.0.1", Port: server.RANDOM_PORT}}

// reach asks, and returns when nobody has heard the question, twice.
func reach(t *testing.T, ctx context.Context, nc *nats.Conn) (over chan error) {
	over = make(chan error, 1)
	go func() { over <- sinknats.Reach(ctx, nc) }()
	require.Eventually(t, func() bool { return nc.Stats().InMsgs > 1 || len(over) > 0 }, sinktest.Patience, time.Millisecond)
	require.Empty(t, over, "it has not asked again")
	return over
}

// deadline is a context whose deadline comes when a test says so.
type deadline struct {
	context.Context
	over chan struct{}
}

func (d deadline) Done() <-chan struct{} { return d.over }

func (d deadline) Err() error {
	select {
	case <-d.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// TestReachCluster: a node of a cluster is asked until another has JetStream, or patience ends.
func TestReachCluster(t *testing.T) {
	t.Parallel()
	t.Run("JetStream comes up", func(t *testing.T) {
		t.Parallel()
		nc := serve(t, member)
		over := reach(t, t.Context(), nc)
		answerInfo(t, nc, 1)
		require.NoError(t, <-over)
	})
	t.Run("it does not", func(t *testing.T) {
		t.Parallel()
		ctx := deadline{t.Context(), make(chan struct{})}
		over := reach(t, ctx, serve(t, member))
		close(ctx.over)
		err := <-over
		require.ErrorIs(t, err, jetstream.ErrJetStreamNotEnabled)
		require.False(t, sink.Retryable(err))
	})
	t.Run("nobody waits", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		over := reach(t, ctx, serve(t, member))
		cancel()
		err := <-over
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, jetstream.ErrJetStreamNotEnabled)
	})
	t.Run("who was asked does not answer", func(t *testing.T) {
		t.Parallel()
		nc := serve(t, member)
		asked := answerInfo(t, nc, 2)
		require.NoError(t, sinknats.Reach(t.Context(), nc))
		require.GreaterOrEqual(t, len(asked), 2)
	})
}

// answerInfo answers the question whether JetStream is there, as a node does that has it, from the nth on.
func answerInfo(t *testing.T, nc *nats.Conn, nth int) (asked chan struct{}) {
	asked = make(chan struct{}, 100)
	_, err := nc.Subscribe("$JS.API.INFO", func(m *nats.Msg) {
		if asked <- struct{}{}; len(asked) >= nth {
			_ = m.Respond([]byte(`{}`))
		}
	})
	require.NoError(t, err)
	return asked
}
