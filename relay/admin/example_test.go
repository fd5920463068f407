package admin_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/relay"
	"github.com/tickstorm/tickstorm/relay/admin"
)

// A relay with its page beside it. The upstream of this one does not answer.
func Example() {
	server, err := relay.New(relay.Config{Upstreams: []tickstorm.Config{{
		Key: "your key", Market: tickstorm.Stocks, Feed: "ws://127.0.0.1:1",
	}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") // 127.0.0.1:8766, say
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error)
	go func() { done <- admin.New(server, admin.Config{}).Serve(ctx, listener) }()

	response, err := http.Get("http://" + listener.Addr().String() + "/healthz")
	if err != nil {
		fmt.Println(err)
		return
	}
	body, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	fmt.Print(string(body))

	http.DefaultClient.CloseIdleConnections()
	cancel()
	fmt.Println(<-done)
	// Output:
	// ok
	// context canceled
}
