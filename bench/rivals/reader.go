package rivals

import (
	"context"
	"net"

	"github.com/tickstorm/tickstorm/bench"
)

// Reader is a rival at reading messages from a socket.
type Reader struct {
	Name   string // of the library
	Use    string // which way of it, if there are several
	Module string
	Way    bench.Way
}

// Readers returns the rivals at reading. All have a buffer as large as the library's
// where they let it be chosen.
func Readers() []Reader {
	const gorilla, gobwas = "github.com/gorilla/websocket", "github.com/gobwas/ws"
	return []Reader{
		{"gorilla", "`ReadMessage`, as the official client", gorilla, gorillaOfficial},
		{"gorilla", "`NextReader`, buffers reused", gorilla, gorillaReused},
		{"coder/websocket", "`Reader`, buffer reused", "github.com/coder/websocket", coder},
		{"lxzan/gws", "`ReadLoop`", "github.com/lxzan/gws", lxzan},
		{"gobwas", "`wsutil.ReadServerData`", gobwas, gobwasData},
		{"gobwas", "`wsutil.Reader`, buffers reused", gobwas, gobwasReused},
	}
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// auth is what a sender waits for.
var auth = []byte(`{"action":"auth","params":"key"}`)

// tally is how many bytes the messages had that a reader gave, headers included: a bare
// drain counts them too.
type tally struct{ bytes uint64 }

func (t *tally) add(payload int) {
	header := 2
	switch {
	case payload > 65535:
		header = 10
	case payload > 125:
		header = 4
	}
	t.bytes += uint64(payload + header)
}

func (t *tally) received() uint64 { return t.bytes }
