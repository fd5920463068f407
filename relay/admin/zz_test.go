package admin_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tickstorm/tickstorm/relay"
	"github.com/tickstorm/tickstorm/relay/admin"
)

func TestZZSSE(t *testing.T) {
	a := admin.New(stocks(relay.MarketStats{Up: true}), admin.Config{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Serve(ctx, l) }()
	r, err := http.Get("http://" + l.Addr().String() + "/events")
	require.NoError(t, err)
	begun := time.Now()
	sc := bufio.NewScanner(r.Body)
	n := 0
	for sc.Scan() {
		if len(sc.Bytes()) > 0 {
			n++
		}
		if time.Since(begun) > 13*time.Second {
			break
		}
	}
	t.Log(n, time.Since(begun), sc.Err())
	cancel()
	r.Body.Close()
	<-done
}
