package epoll_test

import (
	"crypto/tls"
	"net"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/epoll"
	"github.com/tickstorm/tickstorm/internal/sock"
)

// countTrades is a handler.
type countTrades struct {
	tickstorm.NopHandler
	n int
}

func (c *countTrades) OnTrade(*tickstorm.Trade) { c.n++ }

// TestDetachTLSInTLS: wss through an https proxy is TLS in TLS. It is put together by hand,
// because a proxy's certificate is verified by the system's roots.
func TestDetachTLSInTLS(t *testing.T) {
	const trades = 200
	h := httptest.NewUnstartedServer(nil)
	h.StartTLS()
	defer h.Close()
	serverConfig := &tls.Config{Certificates: h.TLS.Certificates}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var running sync.WaitGroup
	defer running.Wait()
	defer l.Close()
	received := make(chan []byte, 1)
	running.Go(func() {
		raw, err := l.Accept()
		if err != nil {
			return
		}
		defer raw.Close()
		nc := tls.Server(tls.Server(raw, serverConfig), serverConfig)
		key := make([]byte, 1024)
		n, err := nc.Read(key)
		if err != nil {
			return
		}
		received <- key[:n]
		for _, text := range append([]string{`[{"ev":"status","status":"auth_success"}]`}, make([]string, trades)...) {
			if text == "" {
				text = `[{"ev":"T","sym":"A","p":1.5}]`
			}
			if ws.WriteFrame(nc, ws.NewTextFrame([]byte(text))) != nil {
				return
			}
		}
		_, _ = nc.Read(key) // until the client is gone
	})

	clientConfig := &tls.Config{InsecureSkipVerify: true}
	raw, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	proxy := tls.Client(&sock.Shim{Conn: raw}, clientConfig)
	top := tls.Client(&sock.Shim{Conn: proxy}, clientConfig)
	require.NoError(t, top.Handshake())
	c := &countTrades{}
	s, err := tickstorm.NewSession(tickstorm.Config{Key: "key", Market: tickstorm.Stocks}, c)
	require.NoError(t, err)
	d, err := epoll.New(&tickstorm.Opened{Conn: top, Session: s})
	require.NoError(t, err)
	_, err = raw.Write([]byte{0})
	require.ErrorIs(t, err, net.ErrClosed, "package net has no part in it any more")

	p, err := epoll.NewPoller(epoll.Config{})
	require.NoError(t, err)
	defer p.Close()
	require.NoError(t, p.Add(d, nil))
	for limit := time.Now().Add(patience); c.n < trades; {
		require.NoError(t, d.Err())
		require.True(t, time.Now().Before(limit), "waited too long")
		require.NoError(t, p.Poll(100*time.Millisecond))
	}
	require.NotEmpty(t, <-received)
}
