//go:build !linux

package tickstorm_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

func TestUnsupported(t *testing.T) {
	_, err := tickstorm.NewPoller(tickstorm.PollerConfig{})
	require.ErrorIs(t, err, tickstorm.ErrUnsupported)
	require.ErrorIs(t, err, errors.ErrUnsupported)

	server, err := sim.Start(quietServer)
	require.NoError(t, err)
	defer server.Close()
	conn := dialSim(t, server, nil)
	defer conn.Close()
	_, err = conn.Detach()
	require.ErrorIs(t, err, tickstorm.ErrUnsupported)
	require.NoError(t, conn.Subscribe(t.Context(), tickstorm.Trades, "A"), "the Conn is as it was")

	cfg := server.ClientConfig(tickstorm.Stocks)
	cfg.Socket.QuickAck = true
	_, err = tickstorm.Dial(t.Context(), cfg, nil)
	require.ErrorIs(t, err, tickstorm.ErrUnsupported)
}
