package sim_test

import (
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/frame"
	"github.com/tickstorm/tickstorm/sim"
)

// scripted starts a server in memory with one fault and as much of a session as works.
func scripted(t *testing.T, f sim.Fault) (*sim.Server, *client) {
	t.Helper()
	s := startPipe(t, sim.Config{Faults: []sim.Fault{f}, Rate: 100})
	return s, connect(t, s, tickstorm.Stocks)
}

func TestFaultsBeforeTheGreeting(t *testing.T) {
	for _, at := range []sim.Phase{sim.OnAccept, sim.OnHandshake} {
		for _, do := range []sim.Action{sim.Cut(), sim.Drop(), sim.Garbage(), sim.HalfFrame()} {
			for _, tls := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s at %s tls=%v", do, at, tls), func(t *testing.T) {
					s := start(t, sim.Config{TLS: tls, Faults: []sim.Fault{{At: at, Do: do, Conn: 1}}})
					_, err := dial(s, "stocks")
					require.Error(t, err)
					login(t, s, tickstorm.Stocks) // the second is spared
				})
			}
		}
	}
}

func TestHTTPStatus(t *testing.T) {
	for _, code := range []int{401, 429, 503} {
		s := start(t, sim.Config{Faults: []sim.Fault{{At: sim.OnHandshake, Do: sim.HTTPStatus(code), Times: 2}}})
		for range 2 {
			_, err := dial(s, "stocks")
			require.Equal(t, ws.StatusError(code), err)
		}
		login(t, s, tickstorm.Stocks)
		require.Equal(t, 2, s.Stats().Faults)
	}
}

func TestLateGreeting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := scripted(t, sim.Fault{At: sim.OnGreeting, Do: sim.Stall(7 * time.Second)})
		begun := time.Now()
		c.next()
		require.Equal(t, 7*time.Second, time.Since(begun))
	})
}

func TestLateAcks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startPipe(t, sim.Config{Quiet: true, Faults: []sim.Fault{{At: sim.OnSubscribe, Do: sim.Stall(time.Minute)}}})
		c := login(t, s, tickstorm.Stocks)
		for _, topic := range []string{"T.AAPL", "T.MSFT"} { // with every request
			begun := time.Now()
			_ = c.nc.SetReadDeadline(time.Time{})
			c.send(subscribe(topic))
			time.Sleep(30 * time.Second)
			require.Empty(t, c.messages)
			time.Sleep(30 * time.Second)
			c.expect(acks(topic))
			require.Equal(t, time.Minute, time.Since(begun))
		}
	})
}

func TestCutWhileStreaming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := scripted(t, sim.Fault{At: sim.OnStreaming, After: 3, Do: sim.Cut()})
		c.next()
		c.send(`{"action":"auth","params":"k"}`)
		c.next()
		c.send(subscribe("Q.*"))
		c.next()
		for range 3 {
			c.next()
		}
		_, err := c.receive()
		require.ErrorIs(t, err, io.EOF)
	})
}

func TestEndsWhileStreaming(t *testing.T) {
	cases := []struct {
		do    sim.Action
		local bool // the client has to fail the connection itself
		code  ws.StatusCode
	}{
		{sim.Garbage(), true, ws.StatusProtocolError},
		{sim.GiantLength(), true, ws.StatusMessageTooBig},
		{sim.Message("\xff"), true, ws.StatusInvalidFramePayloadData},
		{sim.Close(1001, "going away"), false, ws.StatusGoingAway},
	}
	for _, test := range cases {
		t.Run(test.do.String(), func(t *testing.T) {
			s := start(t, sim.Config{Rate: -1, Faults: []sim.Fault{{At: sim.OnStreaming, AfterBytes: 100_000, Do: test.do}}})
			c := login(t, s, tickstorm.Stocks)
			c.send(subscribe("T.*"))
			var closed *frame.CloseError
			require.ErrorAs(t, c.end(), &closed)
			require.Equal(t, test.local, closed.Local)
			require.Equal(t, test.code, closed.Code)
		})
	}
	t.Run("half a frame", func(t *testing.T) {
		s := start(t, sim.Config{Rate: -1, Faults: []sim.Fault{{At: sim.OnStreaming, After: 2, Do: sim.HalfFrame()}}})
		c := login(t, s, tickstorm.Stocks)
		c.send(subscribe("T.*"))
		c.next()
		c.next()
		c.next()
		_, err := c.receive()
		require.ErrorIs(t, err, io.EOF)
	})
}

func TestSplitEveryByte(t *testing.T) {
	s := startPipe(t, sim.Config{Quiet: true, Faults: []sim.Fault{{At: sim.OnAuth, Do: sim.SplitEveryByte(20)}}})
	c := connect(t, s, tickstorm.Stocks)
	c.next()
	c.reads = 0
	c.send(`{"action":"auth","params":"k"}`)
	c.next()
	require.Equal(t, 21, c.reads)

	s = startPipe(t, sim.Config{Quiet: true, Faults: []sim.Fault{{At: sim.OnAccept, Do: sim.SplitEveryByte(0)}}})
	c = login(t, s, tickstorm.Stocks)
	c.reads = 0
	s.Broadcast([]byte(`[]`))
	c.expect(`[]`)
	require.Equal(t, 4, c.reads)
}

func TestPingFlood(t *testing.T) {
	s := start(t, sim.Config{Quiet: true, Faults: []sim.Fault{{At: sim.OnAuth, Do: sim.PingFlood(1000)}}})
	c := login(t, s, tickstorm.Stocks)
	c.flush()
	await(t, s, func(st sim.Stats) bool { return st.Pongs >= 1 })
}

func TestStallForEver(t *testing.T) {
	for _, rate := range []int{10_000, -1} {
		synctest.Test(t, func(t *testing.T) {
			s := startPipe(t, sim.Config{
				Rate: rate, SendBuffer: 64 << 10, SlowTimeout: time.Second,
				Faults: []sim.Fault{{At: sim.OnStreaming, Do: sim.Stall(0)}},
			})
			c := login(t, s, tickstorm.Stocks)
			c.send(subscribe("T.*"))
			c.expect(acks("T.*"))
			time.Sleep(20 * time.Second)
			require.NoError(t, s.Close()) // ends all the same
			require.Equal(t, 1, s.Stats().Faults)
			require.Zero(t, s.Stats().Slow, "the client is not to blame")
		})
	}
}

func TestParseFaults(t *testing.T) {
	faults, err := sim.ParseFaults("cut@streaming+1000, stall=5s@auth,split@accept,http=429@handshake#1,stall@greeting,message=oops@subscribe#2")
	require.NoError(t, err)
	require.Equal(t, []sim.Fault{
		{At: sim.OnStreaming, After: 1000, Do: sim.Cut()},
		{At: sim.OnAuth, Do: sim.Stall(5 * time.Second)},
		{At: sim.OnAccept, Do: sim.SplitEveryByte(0)},
		{At: sim.OnHandshake, Conn: 1, Do: sim.HTTPStatus(429)},
		{At: sim.OnGreeting, Do: sim.Stall(0)},
		{At: sim.OnSubscribe, Conn: 2, Do: sim.Message("oops")},
	}, faults)
	for _, bad := range []string{"cut", "cut@lunch", "explode@auth", "stall=x@auth", "pings=x@auth", "cut@streaming+x", "cut@streaming#x"} {
		_, err := sim.ParseFaults(bad)
		require.ErrorContains(t, err, bad)
	}
}
