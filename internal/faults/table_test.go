package faults_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// outcomeOf is what became of a client after a fault.
type outcomeOf struct {
	noticed time.Duration // from the fault to the end of the connection, or of Run
	again   time.Duration // to the next stream
	gap     time.Duration // that was told
	end     error         // of Run
	report  sim.Report
}

// does says it in words.
func (o *outcomeOf) does() string {
	switch {
	case o.end != nil:
		return "`Run` ends: " + o.end.Error()
	case o.gap > 0:
		return "reconnects, subscribes again, tells the gap"
	case o.noticed > 0:
		return "tries again"
	case o.report.Errors > 0:
		return "stays connected, tells the broken element"
	}
	return "stays connected"
}

// TestFaultTable measures README's table of faults, which -v prints: on the defaults of Config, at
// 1,000 events a second, in the time of a bubble. The wait before a first attempt is random,
// so the longest of some runs counts.
func TestFaultTable(t *testing.T) {
	const runs = 8
	streaming := func(do sim.Action) []sim.Fault {
		return []sim.Fault{{At: sim.OnStreaming, After: 100, Times: 1, Do: do}}
	}
	at := func(phase sim.Phase, do sim.Action) []sim.Fault { return []sim.Fault{{At: phase, Times: 1, Do: do}} }
	var table strings.Builder
	table.WriteString("\n| fault | what Tickstorm does | noticed after | streams again after | told as a gap | lost without a word |\n|---|---|---:|---:|---:|---:|\n")
	for _, tc := range []struct {
		fault  string
		faults []sim.Fault
		away   time.Duration // the server, after the fault
		most   time.Duration // until it streams again, or has ended
		lasts  bool
	}{
		{fault: "connection reset", faults: streaming(sim.Cut()), most: time.Second},
		{fault: "dropped without a close frame (1006)", faults: streaming(sim.Drop()), most: time.Second},
		{fault: "normal close (1000)", faults: streaming(sim.Close(1000, "")), most: time.Second},
		{fault: "server restarts, away for 30 s", faults: streaming(sim.Close(1001, "")), away: 30 * time.Second, most: 62 * time.Second},
		{fault: "link half open: silence", faults: streaming(sim.Stall(0)), most: 62 * time.Second},
		{fault: "the frame ends in its middle", faults: streaming(sim.HalfFrame()), most: time.Second},
		{fault: "bytes that are no frame", faults: streaming(sim.Garbage()), most: 4 * time.Second},
		{fault: "a frame that claims 2^62 bytes", faults: streaming(sim.GiantLength()), most: 4 * time.Second},
		{fault: "evicted: `max_connections`", faults: streaming(sim.Message("[" + fixture.Status("max_connections", "") + "]")), most: 76 * time.Second},
		{fault: "handshake answered by 503 or 429", faults: at(sim.OnHandshake, sim.HTTPStatus(503)), most: time.Second},
		{fault: "handshake not answered", faults: at(sim.OnHandshake, sim.Stall(0)), most: 16 * time.Second},
		{fault: "key not answered", faults: at(sim.OnAuth, sim.Stall(0)), most: 18 * time.Second},
		{fault: "key refused", faults: at(sim.OnAuth, sim.Message("["+fixture.Status("auth_failed", "authentication failed")+"]")), most: time.Second},
		{fault: "handshake answered by 404", faults: at(sim.OnHandshake, sim.HTTPStatus(404)), most: time.Second},
		{fault: "5 s of silence", faults: streaming(sim.Stall(5 * time.Second)), lasts: true},
		{fault: "10,000 pings", faults: streaming(sim.PingFlood(10_000)), lasts: true},
		{fault: "100,000 segments of one byte", faults: streaming(sim.SplitEveryByte(100_000)), lasts: true},
		{fault: "broken JSON", faults: streaming(sim.Message(`[{"ev":"T","p":1e},{"ev":"status"}]`)), lasts: true},
	} {
		var worst outcomeOf
		times := runs
		if tc.lasts {
			times = 1
		}
		for range times {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t, sim.Config{Faults: tc.faults})
				r := rigOf(t, h.server, h.config(tickstorm.QueueConfig{}))
				o := r.outcome(h, tc.away, tc.lasts)
				require.Equal(t, tc.lasts, o.noticed == 0, tc.fault)
				require.LessOrEqual(t, max(o.noticed, o.again), tc.most, tc.fault)
				worst.noticed, worst.again, worst.gap = max(worst.noticed, o.noticed), max(worst.again, o.again), max(worst.gap, o.gap)
				worst.end, worst.report = o.end, o.report
			})
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s | %s | %d |\n", tc.fault, worst.does(),
			seconds(worst.noticed), seconds(worst.again), seconds(worst.gap), worst.report.Missing)
	}
	t.Log(table.String())
}

// seconds prints a duration for the table.
func seconds(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < 50*time.Millisecond:
		return "at once"
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// outcome runs the client until the fault has been dealt with.
func (r *rig) outcome(h *host, away time.Duration, lasts bool) (o outcomeOf) {
	r.t.Helper()
	r.start()
	at := r.faulted(1)
	if away > 0 {
		h.down()
		time.Sleep(away)
		h.up(r.t)
		r.server = h.server
	}
	select {
	case o.end = <-r.running:
		o.noticed = max(r.audit.since(tickstorm.StateClosed, at).Sub(at), time.Nanosecond)
		require.Error(r.t, o.end)
		o.report = r.clean()
		return o
	case <-time.After(2 * time.Second):
	}
	if !lasts {
		r.await("streaming again", func() bool { return !r.again(at).IsZero() })
	}
	r.flows(100)
	lost := r.audit.since(tickstorm.StateBackoff, at)
	if !lost.IsZero() {
		o.noticed = max(lost.Sub(at), time.Nanosecond)
		o.again = r.again(at).Sub(at)
	}
	gaps, _ := r.audit.told()
	for _, g := range gaps {
		o.gap = max(o.gap, g.To.Received.Sub(g.From.Received))
	}
	o.report = r.finish()
	return o
}
