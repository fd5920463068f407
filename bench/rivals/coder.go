package rivals

import (
	"bytes"
	"context"
	"net/http"

	"github.com/coder/websocket"

	"github.com/tickstorm/tickstorm/bench"
)

// coder reads every message into the same memory. Its own buffer of 4 KiB cannot be
// chosen.
func coder(ctx context.Context, s *bench.Sender, dial dialFunc) (func() error, func() uint64, error) {
	client := &http.Client{Transport: &http.Transport{DialContext: dial, TLSClientConfig: s.TLS}}
	conn, _, err := websocket.Dial(ctx, s.URL(), &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		return nil, nil, err
	}
	conn.SetReadLimit(-1)
	if err := conn.Write(ctx, websocket.MessageText, auth); err != nil {
		return nil, nil, err
	}
	t := new(tally)
	var msg bytes.Buffer
	return func() error {
		defer func() { _ = conn.CloseNow() }() // it has goroutines; what it was for has failed
		for {
			_, r, err := conn.Reader(context.Background())
			if err != nil {
				return err
			}
			msg.Reset()
			if _, err := msg.ReadFrom(r); err != nil {
				return err
			}
			t.add(msg.Len())
		}
	}, t.received, nil
}
