package fanout_test

import (
	"net"
	"testing"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fanout"
)

// TestEachOnce: an event goes to whoever wants it, once and as it came; statuses to nobody.
func TestEachOnce(t *testing.T) {
	h := fanout.New(fanout.Config{Market: tickstorm.Stocks})
	near, far := net.Pipe()
	ended := make(chan error, 1)
	o := h.Join(near, fanout.OutletConfig{OnEnd: func(err error) { ended <- err }})
	o.Answer([]byte("subscribed"))
	o.Subscribe(tickstorm.Topic{Channel: "T", Symbol: "A"}, tickstorm.Topic{Channel: "T", Symbol: tickstorm.All})
	h.Message([]byte(`[{"ev":"status","status":"x"},{"ev":"T","sym":"A","p":1.50},{"ev":"Q","sym":"A"}, {"x":2, "ev":"T","sym":"B"}]`), 1)
	read := func() string {
		f, err := ws.ReadFrame(far)
		require.NoError(t, err)
		require.False(t, f.Header.Masked)
		return string(f.Payload)
	}
	require.Equal(t, "subscribed", read())
	require.Equal(t, `[{"ev":"T","sym":"A","p":1.50},{"x":2, "ev":"T","sym":"B"}]`, read())
	o.Close(ws.StatusGoingAway, "bye")
	require.Equal(t, "\x03\xe9bye", read())
	require.NoError(t, <-ended)
	<-o.Done()
	require.Zero(t, h.Stats().Outlets)
}
