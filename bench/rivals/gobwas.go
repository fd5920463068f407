package rivals

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/tickstorm/tickstorm/bench"
)

// gobwasData reads straight from the connection, as wsutil's documentation does.
func gobwasData(ctx context.Context, s *bench.Sender, dial dialFunc) (func() error, func() uint64, error) {
	conn, from, err := gobwasDial(ctx, s, dial)
	if err != nil {
		return nil, nil, err
	}
	t := new(tally)
	return func() error {
		for {
			msg, _, err := wsutil.ReadServerData(struct {
				io.Reader
				io.Writer
			}{from, conn})
			if err != nil {
				return err
			}
			t.add(len(msg))
		}
	}, t.received, nil
}

// gobwasReused puts a buffer below wsutil and reads every message into the same memory.
func gobwasReused(ctx context.Context, s *bench.Sender, dial dialFunc) (func() error, func() uint64, error) {
	_, from, err := gobwasDial(ctx, s, dial)
	if err != nil {
		return nil, nil, err
	}
	t := new(tally)
	r := wsutil.NewClientSideReader(bufio.NewReaderSize(from, bench.ReadBuffer))
	var msg bytes.Buffer
	return func() error {
		for {
			if _, err := r.NextFrame(); err != nil {
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

// gobwasDial also returns what to read from: behind what came with the handshake, if
// anything did, the connection.
func gobwasDial(ctx context.Context, s *bench.Sender, dial dialFunc) (net.Conn, io.Reader, error) {
	d := ws.Dialer{NetDial: dial, TLSConfig: s.TLS.Clone()}
	conn, early, _, err := d.Dial(ctx, s.URL())
	if err != nil {
		return nil, nil, err
	}
	from := io.Reader(conn)
	if early != nil {
		first, err := io.ReadAll(io.LimitReader(early, int64(early.Buffered())))
		if err != nil {
			return nil, nil, err
		}
		from = io.MultiReader(bytes.NewReader(first), conn)
	}
	return conn, from, wsutil.WriteClientText(conn, auth)
}
