package rivals

import (
	"context"
	"net"

	"github.com/lxzan/gws"

	"github.com/tickstorm/tickstorm/bench"
)

// lxzan hands its messages back as soon as it gets them. It checks UTF-8 only when asked
// to, and is not.
func lxzan(ctx context.Context, s *bench.Sender, dial dialFunc) (func() error, func() uint64, error) {
	h := new(gwsHandler)
	conn, _, err := gws.NewClient(h, &gws.ClientOption{
		Addr: s.URL(), TlsConfig: s.TLS.Clone(), ReadBufferSize: bench.ReadBuffer,
		NewDialer: func() (gws.Dialer, error) { return gwsDialer{ctx, dial}, nil },
	})
	if err != nil {
		return nil, nil, err
	}
	if err := conn.WriteMessage(gws.OpcodeText, auth); err != nil {
		return nil, nil, err
	}
	return func() error {
		conn.ReadLoop()
		return h.err
	}, h.received, nil
}

type gwsHandler struct {
	gws.BuiltinEventHandler
	tally
	err error
}

func (h *gwsHandler) OnMessage(_ *gws.Conn, msg *gws.Message) {
	h.add(msg.Data.Len())
	_ = msg.Close() // never fails
}

func (h *gwsHandler) OnClose(_ *gws.Conn, err error) { h.err = err }

type gwsDialer struct {
	ctx  context.Context
	dial dialFunc
}

func (d gwsDialer) Dial(network, address string) (net.Conn, error) {
	return d.dial(d.ctx, network, address)
}
