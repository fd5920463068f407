package faults_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// floodHeap is what a flood may make a client with messages of 1 MiB hold at any time: its
// window of twice a message, what it has to answer, and the simulator's own buffers.
const floodHeap = 8 << 20

// TestFaultsFloods: a server that sends far more of something than makes sense. Memory
// stays within a bound all along, and the stream before and after is whole.
func TestFaultsFloods(t *testing.T) {
	const long = 1 << 20
	text := func(payload string) []byte { return fixture.Wire(false, true, ws.OpText, payload) }
	first, more := fixture.Wire(false, false, ws.OpText, ""), fixture.Wire(false, false, ws.OpContinuation, "")
	for _, tc := range []struct {
		name   string
		open   []byte // sent first
		frame  []byte // sent so many times
		times  int
		close  []byte // sent last
		breaks bool   // the connection, as against the protocol
		errors int    // for OnError
	}{
		{name: "pings", frame: fixture.Wire(false, true, ws.OpPing, strings.Repeat("p", 125)), times: 100_000},
		{name: "empty pings", frame: fixture.Wire(false, true, ws.OpPing, ""), times: 500_000},
		{name: "pongs", frame: fixture.Wire(false, true, ws.OpPong, "nobody asked"), times: 500_000},
		{name: "statuses", frame: text("[" + fixture.Status("mood", strings.Repeat("fine ", 50)) + "]"), times: 50_000},
		{name: "refusals", frame: text("[" + fixture.Status("error", "not authorized") + "]"), times: 50_000},
		{name: "acknowledgements", frame: text("[" + fixture.Acks("T.UNHEARDOF")[0] + "]"), times: 50_000},
		{name: "empty messages", frame: text(""), times: 50_000, errors: 50_000},
		{name: "empty arrays", frame: text("[]"), times: 500_000},
		{name: "empty binary messages", frame: fixture.Wire(false, true, ws.OpBinary, ""), times: 50_000, errors: 50_000},
		{name: "deep arrays", frame: text("[" + strings.Repeat("[", long/2) + strings.Repeat("]", long/2-2) + "]"), times: 20, errors: 20},
		{name: "deep objects", frame: text("[" + strings.Repeat(`{"a":`, long/8)), times: 20, errors: 20},
		{name: "long strings", frame: text(`[{"ev":"T","sym":"` + strings.Repeat("A", long-32) + `"}]`), times: 20, errors: 20},
		{name: "long messages of nothing", frame: text("[" + strings.Repeat("0,", long/2-2) + "0]"), times: 2, errors: 2 * (long/2 - 1)},
		{name: "too long a message", frame: text("[" + strings.Repeat(" ", 2*long) + "]"), times: 1, breaks: true},
		{name: "fragments of nothing", open: first, frame: more, times: 1_000_000, close: fixture.Wire(false, true, ws.OpContinuation, "[]")},
		{name: "fragments of one byte", open: first, frame: fixture.Wire(false, false, ws.OpContinuation, " "), times: long / 2, close: fixture.Wire(false, true, ws.OpContinuation, "[]")},
		{name: "fragments without end", open: first, frame: fixture.Wire(false, false, ws.OpContinuation, strings.Repeat(" ", 1000)), times: 2000, breaks: true},
		{name: "pings between fragments", open: first, frame: append(fixture.Wire(false, true, ws.OpPing, "p"), more...), times: 200_000, close: fixture.Wire(false, true, ws.OpContinuation, "[]")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			overQueues(t, func(t *testing.T, queue tickstorm.QueueConfig) {
				holdsHeap(t)
				fixture.InBubble(t, sim.Config{Numbered: true, Rate: 200}, func(t *testing.T, server *sim.Server) {
					cfg := server.ClientConfig(tickstorm.Stocks)
					cfg.Queue, cfg.Limits = queue, tickstorm.Limits{Message: long, Element: long / 4}
					r := rigOf(t, server, cfg)
					r.start()
					r.flows(50)
					before, peak := fixture.Heap(), uint64(0)
					conn := server.Conns()[0]
					require.NoError(t, conn.SendRaw(tc.open))
					at := max(1, (64<<10)/len(tc.frame)) // at a time
					for sent, n := 0, 0; sent < tc.times; sent, n = sent+at, n+1 {
						_ = conn.SendRaw(bytes.Repeat(tc.frame, min(at, tc.times-sent))) // may have ended
						synctest.Wait()
						if n%16 == 0 {
							peak = max(peak, fixture.Heap())
						}
					}
					_ = conn.SendRaw(tc.close)
					synctest.Wait()
					require.Less(t, max(peak, fixture.Heap()), before+floodHeap)
					r.flows(50)
					stats := r.client.Stats()
					if tc.breaks {
						require.Equal(t, tickstorm.ReconnectCounts{tickstorm.ReconnectProtocol: 1}, stats.ReconnectCauses)
					} else {
						require.Zero(t, stats.ReconnectCauses)
					}
					_, errors := r.audit.told()
					require.Equal(t, tc.errors, errors)
					require.EqualValues(t, errors, stats.Errors)
					r.finish()
				})
			})
		})
	}
}
