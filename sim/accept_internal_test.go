package sim

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// exhausted is a listener that cannot accept a few times.
type exhausted struct {
	net.Listener
	times atomic.Int32
}

func (l *exhausted) Accept() (net.Conn, error) {
	if l.times.Add(-1) >= 0 {
		return nil, errors.New("too many open files")
	}
	return l.Listener.Accept()
}

// TestAcceptAgain: who could not be let in for want of descriptors does not keep others out for ever.
func TestAcceptAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := newPipeListener()
		l := &exhausted{Listener: pipe}
		l.times.Store(3)
		server, err := start(Config{Quiet: true}, l, pipe)
		require.NoError(t, err)
		defer server.Close()
		conn, err := tickstorm.Dial(t.Context(), server.ClientConfig(tickstorm.Stocks), nil)
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	})
}
