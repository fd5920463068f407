//go:build !linux

package epoll_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/epoll"
	"github.com/tickstorm/tickstorm/internal/fixture"
)

func TestUnsupported(t *testing.T) {
	_, err := epoll.NewPoller(epoll.Config{})
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorIs(t, err, errors.ErrUnsupported)

	server := fixture.Start(t, fixture.Quiet)
	conn := fixture.Dial(t, server, nil)
	defer conn.Close()
	_, err = epoll.Detach(conn)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.NoError(t, conn.Subscribe(t.Context(), tickstorm.Trades, "A"), "the Conn is as it was")

	cfg := server.ClientConfig(tickstorm.Stocks)
	cfg.Socket.QuickAck = true
	_, err = tickstorm.Dial(t.Context(), cfg, nil)
	require.ErrorIs(t, err, errors.ErrUnsupported)
}
