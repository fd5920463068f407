package rivals

import (
	"bytes"
	"context"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tickstorm/tickstorm/bench"
)

// gorillaOfficial reads as the official client does: the default dialer's buffer, a
// message at a time in memory of its own, and a deadline for each.
func gorillaOfficial(ctx context.Context, s *bench.Sender, dial dialFunc) (func() error, func() uint64, error) {
	conn, err := gorillaDial(ctx, s, dial, 0)
	if err != nil {
		return nil, nil, err
	}
	conn.SetReadLimit(1_000_000)
	t := new(tally)
	return func() error {
		for {
			_, msg, err := conn.ReadMessage()
			if err != nil {
				return err
			}
			if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
				return err
			}
			t.add(len(msg))
		}
	}, t.received, nil
}

// gorillaReused reads every message into the same memory.
func gorillaReused(ctx context.Context, s *bench.Sender, dial dialFunc) (func() error, func() uint64, error) {
	conn, err := gorillaDial(ctx, s, dial, bench.ReadBuffer)
	if err != nil {
		return nil, nil, err
	}
	t := new(tally)
	var msg bytes.Buffer
	return func() error {
		for {
			_, r, err := conn.NextReader()
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

func gorillaDial(ctx context.Context, s *bench.Sender, dial dialFunc, buffer int) (*websocket.Conn, error) {
	d := websocket.Dialer{NetDialContext: dial, TLSClientConfig: s.TLS, ReadBufferSize: buffer}
	conn, _, err := d.DialContext(ctx, s.URL(), nil)
	if err != nil {
		return nil, err
	}
	return conn, conn.WriteMessage(websocket.TextMessage, auth)
}
