package relay_test

import (
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/relay"
	"github.com/tickstorm/tickstorm/sim"
)

// TestNothingIsLeft: clients that come and go, in every way there is, leave nothing behind.
func TestNothingIsLeft(t *testing.T) {
	clients := 400
	if text := os.Getenv("TICKSTORM_CLIENTS"); text != "" { // of "make proof", which asks for 10,000
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		clients = n
	}
	b := start(t, sim.Config{Rate: 5000}, tickstorm.Stocks, func(c *relay.Config) {
		c.Linger = time.Millisecond
		c.MaxClients = 100 // so that places are taken again
		c.MaxRequest = 4096
		c.AckTimeout, c.Upstreams[0].AckTimeout = patience, patience // on a busy machine there is much to answer
	})
	b.streaming(0)
	descriptors, goroutines := fixture.Descriptors(t), runtime.NumGoroutine()
	come := func(random *rand.Rand) {
		nc, err := net.Dial("tcp", b.addr)
		if err != nil {
			return // the system has no ports for a moment
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(patience)) // whatever is written may find nobody
		if random.IntN(8) == 0 {
			_, _ = nc.Write([]byte("GET /stocks HTTP/1.1\r\nHost: x\r\n"))
			return
		}
		_, _, err = ws.Dialer{}.Upgrade(nc, mustParse(b.addr))
		if err != nil {
			return
		}
		for _, m := range []string{auth, subscribe("T.*,Q.AAPL"), unsubscribe("T.*"), subscribe("Q.*,T.A,T.B")}[:random.IntN(5)] {
			_, _ = nc.Write(fixture.Wire(true, true, ws.OpText, m))
		}
		switch random.IntN(4) {
		case 0:
			_, _ = nc.Write(fixture.Wire(true, true, ws.OpClose, "\x03\xe8"))
			_, _ = nc.Read(make([]byte, 4096))
		case 1:
			_, _ = nc.Write([]byte("garbage that is no frame"))
		case 2:
			_ = nc.(*net.TCPConn).SetLinger(0)
		}
	}
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(worker)))
			for range clients / 8 {
				come(random)
			}
		})
	}
	all.Wait()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		open, files, running := b.relay.Stats().Clients, fixture.Descriptors(t), runtime.NumGoroutine()
		if open == 0 && files <= descriptors && running <= goroutines {
			break
		}
		require.True(t, time.Now().Before(deadline), "%d clients, %d of %d descriptors, %d of %d goroutines", open, files, descriptors, running, goroutines)
	}
	b.await(func(s relay.MarketStats) bool { return s.Topics == 0 && s.Granted == 0 })
	c := b.login("/stocks")
	c.take("T.A")
}

func mustParse(addr string) *url.URL {
	return &url.URL{Scheme: "ws", Host: addr, Path: "/stocks"}
}
