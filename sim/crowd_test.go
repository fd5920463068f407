package sim_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// TestMaxClients: who connects and says nothing takes no more places than there are, and gives his back.
func TestMaxClients(t *testing.T) {
	for _, secure := range []bool{false, true} {
		server := fixture.Start(t, sim.Config{Quiet: true, TLS: secure, MaxClients: 3})
		address := strings.TrimPrefix(strings.TrimPrefix(string(server.Feed()), "wss://"), "ws://")
		conn, err := tickstorm.Dial(t.Context(), server.ClientConfig(tickstorm.Stocks), nil)
		require.NoError(t, err)
		var silent []net.Conn
		for range 2 {
			nc, err := net.Dial("tcp", address)
			require.NoError(t, err)
			defer nc.Close()
			silent = append(silent, nc)
		}
		require.NoError(t, server.Await(t.Context(), func(s sim.Stats) bool { return s.Open == 3 }))
		late, err := net.Dial("tcp", address)
		require.NoError(t, err)
		require.NoError(t, late.SetReadDeadline(time.Now().Add(8*time.Second))) // before a handshake is given up
		_, err = late.Read(make([]byte, 1))
		require.Error(t, err)
		require.NotErrorIs(t, err, net.ErrClosed)
		var waited net.Error
		require.False(t, errors.As(err, &waited) && waited.Timeout(), "it is hung up on at once")
		require.NoError(t, server.Await(t.Context(), func(s sim.Stats) bool { return s.TurnedAway == 1 }))
		require.Equal(t, 3, server.Stats().Opened)

		require.NoError(t, silent[0].Close())
		require.NoError(t, server.Await(t.Context(), func(s sim.Stats) bool { return s.Open == 2 }))
		cfg := server.ClientConfig(tickstorm.Options)
		again, err := tickstorm.Dial(t.Context(), cfg, nil)
		require.NoError(t, err, "there is room again")
		require.NoError(t, again.Close())
		require.NoError(t, conn.Close())
	}
	_, err := sim.Start(sim.Config{MaxClients: -1})
	require.Error(t, err)
}
