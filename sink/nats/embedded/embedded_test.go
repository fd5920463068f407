package embedded_test

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/sink/nats/embedded"
)

// TestServer: what a server keeps is there after it was killed and started again, for a connection
// that was made before.
func TestServer(t *testing.T) {
	dir := t.TempDir()
	c, err := embedded.Start(embedded.Config{Dir: dir, Patience: time.Minute})
	require.NoError(t, err)
	defer c.Close()
	_, err = embedded.Start(embedded.Config{Dir: dir, Patience: time.Minute})
	require.ErrorIs(t, err, embedded.ErrInUse)
	nc, err := c.Connect()
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "LARGE", Subjects: []string{"l"}, MaxBytes: 1 << 45})
	require.NoError(t, err, "what a stream may hold is no more than that, however small the disk")
	_, err = js.Publish(t.Context(), "s", []byte("x"))
	require.NoError(t, err)
	c.Kill(0)
	c.Kill(0)
	require.NoError(t, c.Restart(0))
	require.NoError(t, c.Restart(0))
	require.Eventually(t, func() bool {
		s, err := js.Stream(t.Context(), "S")
		return err == nil && s.CachedInfo().State.Msgs == 1
	}, time.Minute, 10*time.Millisecond)
	c.Close()
	c, err = embedded.Start(embedded.Config{Dir: dir, Patience: time.Minute})
	require.NoError(t, err)
	c.Close()
}

// TestErrors: what cannot be started is an error, and leaves nothing behind.
func TestErrors(t *testing.T) {
	_, err := embedded.Start(embedded.Config{})
	require.Error(t, err)
	_, err = embedded.Start(embedded.Config{Dir: t.TempDir(), Host: "no host"})
	require.Error(t, err)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	_, err = embedded.Start(embedded.Config{Dir: file, Patience: time.Second})
	require.Error(t, err)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	require.NoError(t, err)
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	_, err = embedded.Start(embedded.Config{Dir: t.TempDir(), Port: number, Patience: time.Second})
	require.ErrorIs(t, err, embedded.ErrNotReady)
}
