//go:build !race && !tickstorm_poison

package epoll_test

import (
	"crypto/tls"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/epoll"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// TestPollerAllocs: nothing is allocated for a wake on TCP, with all that the socket
// options add to it; on TLS only what crypto/tls itself takes, 24 bytes for a refill, of which a wake
// with one record takes two.
func TestPollerAllocs(t *testing.T) {
	const warm, measured = 500, 3000
	serverConfig, clientConfig := serverTLS(t)
	for _, tc := range []struct {
		name    string
		secure  bool
		socket  tickstorm.SocketOptions
		refills uint64 // of crypto/tls for a wake
	}{
		{"TCP", false, tickstorm.SocketOptions{}, 0},
		{"TCP with options", false, tickstorm.SocketOptions{QuickAck: true, Timestamps: true}, 0},
		{"TLS", true, tickstorm.SocketOptions{}, 2}, // one that brings the record, and one that would block
		{"TLS with options", true, tickstorm.SocketOptions{QuickAck: true, Timestamps: true}, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			messages, err := sim.Corpus("stocks20", 2000, 1)
			require.NoError(t, err)
			servers := make(chan net.Conn, 1)
			feed := fixture.Listen(t, func(nc net.Conn) {
				if tc.secure {
					nc = tls.Server(nc, serverConfig)
				}
				_, answer, err := fixture.Accept(nc)
				if err != nil {
					return
				}
				_, _ = nc.Write(append(answer, fixture.Welcome()...))
				servers <- nc
				fixture.Attend(nc)
			})
			cfg := fixture.DialConfig(feed)
			cfg.Socket = tc.socket
			if tc.secure {
				cfg.Feed, cfg.TLS = "wss"+feed[2:], clientConfig
			}
			done := 0
			d := dialDetached(t, cfg, &messageEnds{n: &done})
			server := <-servers
			p := newPoller(t, epoll.Config{Spin: 3, BacklogEvery: time.Nanosecond})
			require.NoError(t, p.Add(d, nil))
			frames := make([][]byte, min(len(messages), 40))
			for i := range frames {
				frames[i] = ws.MustCompileFrame(ws.NewTextFrame(messages[i]))
			}
			round := func(i int) {
				_, err := server.Write(frames[i%len(frames)])
				if err != nil {
					t.Fatal(err)
				}
				for before := done; done == before; {
					if err := p.Poll(time.Second); err != nil {
						t.Fatal(err)
					}
				}
			}
			for i := range warm {
				round(i)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for i := range measured {
				round(i)
			}
			runtime.ReadMemStats(&after)
			const tolerated = 40 // that the runtime may make for itself
			require.LessOrEqual(t, after.Mallocs-before.Mallocs, measured*tc.refills+tolerated)
			require.LessOrEqual(t, after.TotalAlloc-before.TotalAlloc, measured*tc.refills*24+tolerated*1024)
		})
	}
}

type messageEnds struct {
	tickstorm.NopHandler
	n *int
}

func (h *messageEnds) OnMessageEnd() { *h.n++ }

// TestDetachedAllocs: the same without a Poller, for a quiet wake and for a deadline.
func TestDetachedAllocs(t *testing.T) {
	server := fixture.Start(t, fixture.Quiet)
	d := dialDetached(t, server.ClientConfig(tickstorm.Stocks), nil)
	now := time.Now()
	wake := func() {
		now = now.Add(time.Millisecond)
		d.Advance(now)
		if err := d.ReadReady(0); err != nil {
			t.Fatal(err)
		}
		if d.WantWrite() {
			t.Fatal("nothing is to be written")
		}
		if _, err := d.Backlog(); err != nil {
			t.Fatal(err)
		}
	}
	wake()
	require.Zero(t, testing.AllocsPerRun(1000, wake))
}
