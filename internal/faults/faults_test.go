package faults_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/fixture"
	"github.com/tickstorm/tickstorm/sim"
)

// The fault suite: everything that the simulator can do to a Client, at every point of the
// dialogue. After each fault the client streams on, or has ended with an error that says
// why, and an Audit has found every number delivered once, in order, or accounted for.
// That no goroutine is left is what the bubbles check by themselves.

// faultQueues are the ways from the socket to the handler that the suite goes.
var faultQueues = []struct {
	name  string
	queue tickstorm.QueueConfig
}{
	{"inline", tickstorm.QueueConfig{Inline: true}},
	{"queue", tickstorm.QueueConfig{Bytes: 4 << 20}}, // room for the longest messages of the suite
}

// overQueues runs a test each way.
func overQueues(t *testing.T, test func(t *testing.T, queue tickstorm.QueueConfig)) {
	for _, tc := range faultQueues {
		t.Run(tc.name, func(t *testing.T) { test(t, tc.queue) })
	}
}

// auditor is an Audit that writes down what it is told beside the events.
type auditor struct {
	sim.Audit
	mu     sync.Mutex
	states []tickstorm.StateChange
	gaps   []tickstorm.Gap
	errors int
	onCall func() // called by trades and quotes, if not nil; set before the first
}

func (a *auditor) OnTrade(e *tickstorm.Trade) {
	if a.onCall != nil {
		a.onCall()
	}
	a.Audit.OnTrade(e)
}

func (a *auditor) OnQuote(e *tickstorm.Quote) {
	if a.onCall != nil {
		a.onCall()
	}
	a.Audit.OnQuote(e)
}

func (a *auditor) OnState(s *tickstorm.StateChange) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.states = append(a.states, *s)
}

func (a *auditor) OnGap(g *tickstorm.Gap) {
	a.mu.Lock()
	a.gaps = append(a.gaps, *g)
	a.mu.Unlock()
	a.Audit.OnGap(g)
}

func (a *auditor) OnError(e *tickstorm.EventError) {
	a.mu.Lock()
	a.errors++
	a.mu.Unlock()
	a.Audit.OnError(e)
}

// since returns when a state was first entered at or after a time, zero if it was not.
func (a *auditor) since(state tickstorm.State, after time.Time) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.states {
		if s.State == state && !s.At.Before(after) {
			return s.At
		}
	}
	return time.Time{}
}

// again returns when the client streamed again after what went wrong at a time, zero if it
// does not yet.
func (r *rig) again(at time.Time) time.Time {
	lost := r.audit.since(tickstorm.StateBackoff, at)
	if lost.IsZero() {
		return lost
	}
	return r.audit.since(tickstorm.StateStreaming, lost)
}

func (a *auditor) told() (gaps []tickstorm.Gap, errors int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append(gaps, a.gaps...), a.errors
}

// rig is a client at work, with all trades and quotes of a server in memory.
type rig struct {
	t       *testing.T
	server  *sim.Server
	audit   *auditor
	client  *tickstorm.Client
	running <-chan error
}

// rigPatience bounds what a test waits for, in the bubble's time.
const rigPatience = 5 * time.Minute

func newRig(t *testing.T, server *sim.Server, queue tickstorm.QueueConfig) *rig {
	t.Helper()
	cfg := server.ClientConfig(tickstorm.Stocks)
	cfg.Queue = queue
	return rigOf(t, server, cfg)
}

func rigOf(t *testing.T, server *sim.Server, cfg tickstorm.Config) *rig {
	t.Helper()
	r := &rig{t: t, server: server, audit: new(auditor)}
	r.client = fixture.NewClient(t, cfg, r.audit)
	require.NoError(t, r.client.SubscribeTopics(t.Context(), fixture.Topics(t, "T.*,Q.*")...))
	return r
}

func (r *rig) start() { r.running = fixture.Runs(r.t.Context(), r.client) }

// await lets time go by until something is so.
func (r *rig) await(what string, cond func() bool) {
	r.t.Helper()
	for start := time.Now(); !cond(); time.Sleep(10 * time.Millisecond) {
		select {
		case err := <-r.running:
			require.NoError(r.t, err, "ended before %s", what)
			require.FailNow(r.t, "ended without an error", "before %s", what)
		default:
		}
		require.Less(r.t, time.Since(start), rigPatience, "%s: %v", what, r.client.State())
	}
}

// faulted waits until so many faults have happened, and returns when the last did.
func (r *rig) faulted(faults int) time.Time {
	r.t.Helper()
	require.NoError(r.t, r.server.Await(r.t.Context(), func(s sim.Stats) bool { return s.Faults >= faults }))
	return time.Now()
}

// flows waits for so many more events.
func (r *rig) flows(events uint64) {
	r.t.Helper()
	seen := r.audit.Report().Events
	r.await("events", func() bool { return r.audit.Report().Events >= seen+events })
}

// finish gives the topics up, so that nothing is on the way, and closes the client. Its
// report must be clean, to the server's last number.
func (r *rig) finish() sim.Report {
	r.t.Helper()
	// A status that looks like a refusal may have taken a topic from those that are wanted.
	held := slices.Concat(fixture.Topics(r.t, "T.*,Q.*"), r.client.Topics())
	require.NoError(r.t, r.client.UnsubscribeTopics(r.t.Context(), held...))
	last := r.server.Stats().LastNumber
	r.await("the last number", func() bool { return r.audit.Report().Last == last })
	require.NoError(r.t, r.client.Close())
	require.NoError(r.t, <-r.running)
	return r.clean()
}

func (r *rig) clean() sim.Report {
	r.t.Helper()
	report := r.audit.Report()
	require.NoError(r.t, report.Err())
	return report
}

// heapBound is what a test may leave in memory, with its clients and servers gone.
const heapBound = 8 << 20

// holdsHeap checks at the test's end that memory is what it was at its start.
func holdsHeap(t *testing.T) {
	t.Helper()
	before := fixture.Heap()
	t.Cleanup(func() {
		if after := fixture.Heap(); !t.Failed() && after > before+heapBound {
			t.Errorf("the heap went from %d to %d bytes", before, after)
		}
	})
}

// What is to become of the client after a fault.
type aftermath uint8

const (
	lasts      aftermath = iota // the connection does, and nothing is lost
	reconnects                  // with the cause, and a gap where there was a stream
	ends                        // with an error that no retry can help
)

// faultCase is a fault of the table.
type faultCase struct {
	at    sim.Phase
	name  string
	do    sim.Action
	what  aftermath
	cause tickstorm.ReconnectCause
}

func (c faultCase) String() string { return fmt.Sprintf("%v at %v", c.name, c.at) }

var phases = []sim.Phase{sim.OnAccept, sim.OnHandshake, sim.OnGreeting, sim.OnAuth, sim.OnSubscribe, sim.OnStreaming}

// everyFault returns each fault at each phase, with what is documented to become of it.
func everyFault() []faultCase {
	var cases []faultCase
	// open is what becomes of a fault on an open WebSocket. Before that, all but waiting breaks
	// the handshake.
	add := func(name string, do sim.Action, open aftermath, cause tickstorm.ReconnectCause) {
		for _, at := range phases {
			c := faultCase{at, name, do, open, cause}
			if at <= sim.OnHandshake {
				c.what, c.cause = reconnects, tickstorm.ReconnectDial
			}
			cases = append(cases, c)
		}
	}
	everywhere := func(name string, do sim.Action) {
		for _, at := range phases {
			cases = append(cases, faultCase{at: at, name: name, do: do})
		}
	}
	add("cut", sim.Cut(), reconnects, tickstorm.ReconnectDisconnected)
	add("drop", sim.Drop(), reconnects, tickstorm.ReconnectDisconnected)
	add("half a frame", sim.HalfFrame(), reconnects, tickstorm.ReconnectDisconnected)
	add("garbage", sim.Garbage(), reconnects, tickstorm.ReconnectProtocol)
	add("giant length", sim.GiantLength(), reconnects, tickstorm.ReconnectProtocol)
	for _, code := range []int{1000, 1001, 1008, 1011, 1012, 4000} {
		add(fmt.Sprint("close ", code), sim.Close(code, "bye"), reconnects, tickstorm.ReconnectServerClosed)
	}
	for _, code := range []int{999, 1005, 1006, 5000} { // not for the wire
		add(fmt.Sprint("close ", code), sim.Close(code, ""), reconnects, tickstorm.ReconnectProtocol)
	}

	everywhere("stall 2s", sim.Stall(2*time.Second))
	everywhere("split", sim.SplitEveryByte(0))
	everywhere("split of 100 bytes", sim.SplitEveryByte(100))
	for _, at := range phases {
		c := faultCase{at: at, name: "stall for ever", do: sim.Stall(0), what: reconnects}
		switch {
		case at <= sim.OnHandshake:
			c.cause = tickstorm.ReconnectDial
		case at <= sim.OnAuth:
			c.cause = tickstorm.ReconnectAuthTimeout
		default:
			c.cause = tickstorm.ReconnectIdle
		}
		cases = append(cases, c)
	}

	add("500 pings", sim.PingFlood(500), lasts, 0)
	for name, text := range map[string]string{
		"no JSON":           "oops",
		"nothing":           "",
		"half an array":     `[{"ev":"T","sym":"A"`,
		"two arrays":        `[][]`,
		"array of anything": `[1,null,"x",{},[[[]]],{"ev":7}]`,
		"unknown event":     `[{"ev":"ZZ","sym":"A"}]`,
		"error status":      `[` + fixture.Status("error", "something") + `]`,
		"unknown status":    `[` + fixture.Status("mood", "fine") + `]`,
		"second greeting":   `[` + fixture.Status("connected", "Connected Successfully") + `]`,
	} {
		add("message: "+name, sim.Message(text), lasts, 0)
	}
	add("message: no UTF-8", sim.Message("[\"\xff\"]"), reconnects, tickstorm.ReconnectProtocol)
	add("message: max_connections", sim.Message(`[`+fixture.Status("max_connections", "")+`]`), reconnects, tickstorm.ReconnectMaxConnections)
	add("message: auth_timeout", sim.Message(`[`+fixture.Status("auth_timeout", "")+`]`), reconnects, tickstorm.ReconnectAuthTimeout)
	add("message: auth_failed", sim.Message(`[`+fixture.Status("auth_failed", "")+`]`), ends, 0)

	for code, what := range map[int]aftermath{
		400: ends, 401: ends, 403: ends, 404: ends,
		302: reconnects, 429: reconnects, 500: reconnects, 502: reconnects, 503: reconnects,
	} {
		cases = append(cases, faultCase{sim.OnHandshake, fmt.Sprint("HTTP ", code), sim.HTTPStatus(code), what, tickstorm.ReconnectDial})
	}
	return cases
}

// TestFaults: each fault at each phase, once, on the client's first connection.
func TestFaults(t *testing.T) {
	holdsHeap(t)
	overQueues(t, func(t *testing.T, queue tickstorm.QueueConfig) {
		for _, tc := range everyFault() {
			t.Run(tc.String(), func(t *testing.T) {
				cfg := sim.Config{Numbered: true, Rate: 200, Faults: []sim.Fault{{At: tc.at, After: 50, Times: 1, Do: tc.do}}}
				fixture.InBubble(t, cfg, func(t *testing.T, server *sim.Server) {
					r := newRig(t, server, queue)
					r.start()
					r.check(tc)
				})
			})
		}
	})
}

func (r *rig) check(tc faultCase) {
	r.t.Helper()
	at := r.faulted(1)
	if tc.what == ends {
		err := <-r.running
		require.Error(r.t, err)
		require.False(r.t, tickstorm.Retryable(err))
		require.Equal(r.t, tickstorm.StateClosed, r.client.State())
		require.Less(r.t, time.Since(at), time.Second)
		r.clean()
		return
	}
	if tc.what == reconnects {
		r.await("streaming again", func() bool { return !r.again(at).IsZero() })
	}
	r.flows(100)
	stats := r.client.Stats()
	var causes tickstorm.ReconnectCounts
	if tc.what == reconnects {
		causes[tc.cause]++
	}
	require.Equal(r.t, causes, stats.ReconnectCauses)
	gaps, errors := r.audit.told()
	report := r.finish()
	if tc.at < sim.OnSubscribe {
		require.EqualValues(r.t, 1, report.First, "nothing can have been lost before")
	}
	if tc.what == reconnects && tc.at == sim.OnStreaming {
		require.Len(r.t, gaps, 1)
		require.Len(r.t, gaps[0].Topics, 2)
	} else if tc.what == lasts {
		require.Empty(r.t, gaps)
		require.Zero(r.t, report.InGaps)
		require.EqualValues(r.t, report.Last, report.Events)
	}
	require.EqualValues(r.t, errors, stats.Errors, "every error is told and counted")
	require.Zero(r.t, report.Broken)
}
