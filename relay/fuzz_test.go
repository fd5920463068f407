package relay_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"regexp"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/relay"
)

// request is what an upstream may hear.
var request = regexp.MustCompile(`^\{"action":"(auth|subscribe|unsubscribe)","params":"[^"\\\x00-\x1f]*"\}$`)

// FuzzRelayClient lets a hostile client say anything, in frames and out of them: the relay neither
// panics nor hangs, the upstream hears nothing but requests, and others are served as before.
func FuzzRelayClient(f *testing.F) {
	for _, m := range []string{
		auth, subscribe("T.A"), subscribe("T.*,Q.*"), unsubscribe("T.A"), subscribe(",,T.,.A,T.A\\u0000,T.\\ud800"),
		`{"action":"subscribe","params":"` + "\xff" + `"}`, `{"action":["subscribe"]}`, `{"params":{}}`, "[[[[[[", "", "null",
		subscribe("T.C:C:C:X,T.SPY*,T.T.A,status.*"), `{"Action":"AUTH","PARAMS":"x"}`,
	} {
		f.Add([]byte(m), true)
		f.Add(fixture.Wire(true, true, ws.OpText, m), false)
	}
	f.Add(fixture.Wire(true, true, ws.OpClose, "\x03\xe8bye"), false)
	f.Add(fixture.Wire(true, true, ws.OpPing, "hello"), false)
	f.Add([]byte("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff"), false)
	up := fixture.Start(f, quiet)
	s, err := relay.New(relay.Config{
		Upstreams: []tickstorm.Config{up.ClientConfig(tickstorm.Stocks)}, Linger: -1, MaxRequest: 4096, MaxTopics: 100,
	})
	require.NoError(f, err)
	l, err := relay.Listen("tcp", "127.0.0.1:0")
	require.NoError(f, err)
	ended := fixture.InBackground(func() error { return s.Serve(context.Background(), l) })
	f.Cleanup(func() {
		_ = s.Shutdown(context.Background())
		<-ended
	})
	good, err := dial("tcp", l.Addr().String(), "/stocks?subscribe=T.GOOD", nil)
	require.NoError(f, err)
	f.Cleanup(func() { _ = good.nc.Close() })
	good.t = f // until there is a t
	for good.next() != acks("T.GOOD") {
	}
	seen := 0 // of what the upstream has heard
	f.Fuzz(func(t *testing.T, sent []byte, framed bool) {
		good.t = t
		c, err := dial("tcp", l.Addr().String(), "/stocks", nil)
		require.NoError(t, err)
		defer c.nc.Close()
		_ = c.nc.SetDeadline(time.Now().Add(patience))
		b := fixture.Wire(true, true, ws.OpText, auth)
		if framed {
			for part := range bytes.SplitSeq(sent, []byte{'\n'}) {
				b = append(b, fixture.Wire(true, true, ws.OpText, string(part))...)
			}
		} else {
			b = append(b, sent...)
		}
		_, _ = c.nc.Write(b)                 // it may be hung up on
		_ = c.nc.(*net.TCPConn).CloseWrite() // as above
		_, err = io.Copy(io.Discard, c.nc)
		var late net.Error
		require.False(t, errors.As(err, &late) && late.Timeout(), "the relay hangs")
		up.Broadcast([]byte("[" + fixture.Trade("GOOD") + "]"))
		for m := good.next(); m != "["+fixture.Trade("GOOD")+"]"; m = good.next() {
			require.Contains(t, m, `"status":"upstream_`) // of the beginning
		}
		heard := up.Conns()[0].Requests()
		for _, r := range heard[seen:] {
			require.Regexp(t, request, r)
		}
		seen = len(heard)
	})
}
