//go:build !race && !tickstorm_poison

package tickstorm_test

import (
	"net"
	"runtime"
	"testing"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// measurer counts messages and looks at the allocator at two of them. It asks for the
// next message when one is done, so that each takes a read of its own.
type measurer struct {
	tickstorm.NopHandler
	from, to int
	n        int
	more     chan struct{}
	done     chan struct{}
	stats    [2]runtime.MemStats
}

func (m *measurer) OnMessageEnd() {
	switch m.n++; m.n {
	case m.from:
		runtime.ReadMemStats(&m.stats[0])
	case m.to:
		runtime.ReadMemStats(&m.stats[1])
		close(m.more)
		close(m.done)
		return
	}
	if m.n < m.to {
		m.more <- struct{}{}
	}
}

// TestConnAllocations: from the socket to the handler nothing is allocated, neither for a
// read nor for a message. The whole process is measured, so the server sends frames that
// were made before, and the few allocations that the runtime may make for itself are far
// fewer than reads.
func TestConnAllocations(t *testing.T) {
	const warm, measured, tolerated = 1000, 4000, 40
	for _, corpus := range sim.Corpora() {
		t.Run(corpus, func(t *testing.T) {
			messages, err := sim.Corpus(corpus, 4000, 1)
			require.NoError(t, err)
			messages = messages[:min(len(messages), 40)]
			frames := make([][]byte, len(messages))
			for i, m := range messages {
				frames[i] = ws.MustCompileFrame(ws.NewTextFrame(m))
			}
			h := &measurer{from: warm, to: warm + measured, more: make(chan struct{}, 1), done: make(chan struct{})}
			feed := fixture.Listen(t, func(nc net.Conn) {
				_, answer, err := fixture.Accept(nc)
				if err != nil {
					return
				}
				_, _ = nc.Write(append(answer, fixture.Welcome()...))
				i := 0
				for range h.more {
					if _, err := nc.Write(frames[i%len(frames)]); err != nil {
						return
					}
					i++
				}
				fixture.Attend(nc)
			})
			cfg := fixture.DialConfig(feed)
			cfg.Market = sim.CorpusMarket(corpus)
			conn, err := tickstorm.Dial(t.Context(), cfg, nil)
			require.NoError(t, err)
			conn.SetHandler(h)
			h.more <- struct{}{}
			running := fixture.Runs(t.Context(), conn)
			select {
			case <-h.done:
			case err := <-running:
				require.NoError(t, err, "it ended before its time")
			}
			require.NoError(t, conn.Close())
			require.NoError(t, <-running)
			require.Equal(t, warm+measured, h.n)
			require.LessOrEqual(t, h.stats[1].Mallocs-h.stats[0].Mallocs, uint64(tolerated))
			require.Zero(t, conn.Stats().Errors)
		})
	}
}
