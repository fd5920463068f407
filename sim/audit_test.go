package sim_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// numbered is a message of trades with these numbers.
func numbered(numbers ...int) string {
	var events []string
	for _, n := range numbers {
		events = append(events, fmt.Sprintf(`{"ev":"T","sym":"A","q":%d}`, n))
	}
	return "[" + strings.Join(events, ",") + "]"
}

// tape gives an Audit what a test writes down. Each message comes a nanosecond after the
// one before, the first at 1.
type tape struct {
	t      *testing.T
	audit  *sim.Audit
	parser *tickstorm.Parser
	at     int64
}

func newTape(t *testing.T) *tape {
	return &tape{t: t, audit: new(sim.Audit), parser: tickstorm.NewParser(tickstorm.Stocks)}
}

func (p *tape) events(numbers ...int) { p.message(numbered(numbers...)) }

func (p *tape) message(m string) {
	p.t.Helper()
	p.at++
	p.parser.SetReceived(p.at)
	require.NoError(p.t, p.parser.Parse([]byte(m), p.audit))
}

func (p *tape) drops(trades uint64, first, last int64) {
	p.audit.OnDrop(&tickstorm.Drop{
		Count: trades + 5, First: first, Last: last,
		Channels: []tickstorm.ChannelCount{{Channel: "T", Count: trades}, {Channel: "AM", Count: 5}},
	})
}

func TestAudit(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(p *tape)
		want sim.Report // but for the findings
	}{
		{"nothing", func(*tape) {}, sim.Report{}},
		{"all", func(p *tape) { p.events(1, 2); p.events(3) }, sim.Report{First: 1, Last: 3, Events: 3}},
		{"not from the first", func(p *tape) { p.events(7, 8) }, sim.Report{First: 7, Last: 8, Events: 2}},
		{"swallowed", func(p *tape) { p.events(1, 2, 4) }, sim.Report{First: 1, Last: 4, Events: 3, Missing: 1}},
		{"swallowed between messages", func(p *tape) { p.events(1); p.events(5) }, sim.Report{First: 1, Last: 5, Events: 2, Missing: 3}},
		{"doubled", func(p *tape) { p.events(1, 2, 2, 3) }, sim.Report{First: 1, Last: 3, Events: 4, Repeats: 1}},
		{"doubled later", func(p *tape) { p.events(1, 2, 3, 1) }, sim.Report{First: 1, Last: 3, Events: 4, Regressions: 1}},
		{"swapped", func(p *tape) { p.events(1, 3, 2, 4) }, sim.Report{First: 1, Last: 4, Events: 4, Missing: 1, Regressions: 1}},
		{"gap", func(p *tape) { p.events(1); p.audit.OnGap(nil); p.events(9, 10) }, sim.Report{First: 1, Last: 10, Events: 3, Gaps: 1, InGaps: 7}},
		{"gap without a hole", func(p *tape) { p.events(1); p.audit.OnGap(nil); p.events(2) }, sim.Report{First: 1, Last: 2, Events: 2, Gaps: 1}},
		{"gap told before", func(p *tape) { p.audit.OnGap(nil); p.events(1, 9) }, sim.Report{First: 1, Last: 9, Events: 2, Gaps: 1, Missing: 7}},
		{"gap told behind", func(p *tape) { p.events(1, 9); p.audit.OnGap(nil); p.events(10) }, sim.Report{First: 1, Last: 10, Events: 3, Gaps: 1, Missing: 7}},
		{"repeat behind a gap", func(p *tape) { p.events(1, 2); p.audit.OnGap(nil); p.events(2, 3) }, sim.Report{First: 1, Last: 3, Events: 4, Gaps: 1, Repeats: 1}},
		{"drops", func(p *tape) { p.events(1); p.drops(3, 2, 2); p.at++; p.events(5) }, sim.Report{First: 1, Last: 5, Events: 2, Drops: 3, Dropped: 3}},
		{"drops told long before", func(p *tape) { p.drops(3, 3, 3); p.events(1); p.events(2); p.events(6); p.events(7) }, sim.Report{First: 1, Last: 7, Events: 4, Drops: 3, Dropped: 3}},
		{"drops in two holes", func(p *tape) { p.events(1); p.drops(3, 2, 3); p.events(3); p.events(6, 7) }, sim.Report{First: 1, Last: 7, Events: 4, Drops: 3, Dropped: 3}},
		{"too few drops", func(p *tape) { p.events(1); p.drops(2, 2, 2); p.events(5) }, sim.Report{First: 1, Last: 5, Events: 2, Drops: 2, Dropped: 2, Missing: 1}},
		{"too many drops", func(p *tape) { p.events(1); p.drops(4, 2, 2); p.events(5); p.events(6) }, sim.Report{First: 1, Last: 6, Events: 3, Drops: 4, Dropped: 3, Surplus: 1}},
		{"drops of another time", func(p *tape) { p.events(1); p.drops(3, 9, 9); p.events(5) }, sim.Report{First: 1, Last: 5, Events: 2, Drops: 3, Missing: 3}},
		{"drops of the past", func(p *tape) {
			p.events(1)
			p.events(2)
			p.events(3)
			p.drops(1, 1, 2)
			p.events(4)
			p.events(6)
		}, sim.Report{First: 1, Last: 6, Events: 5, Drops: 1, Surplus: 1, Missing: 1}},
		{"drops before the first event", func(p *tape) { p.at = 1; p.drops(3, 1, 1); p.events(4); p.events(5) }, sim.Report{First: 4, Last: 5, Events: 2, Drops: 3}},
		{"drops in a gap", func(p *tape) {
			p.events(1)
			p.drops(3, 2, 2)
			p.audit.OnGap(nil)
			p.at += 5
			p.events(9)
		}, sim.Report{First: 1, Last: 9, Events: 2, Gaps: 1, Drops: 3, Dropped: 3, InGaps: 4}},
		{"broken element", func(p *tape) {
			p.message(`[{"ev":"T","sym":"A","q":1},{"ev":"T","sym":"A","q":2e},{"ev":"T","sym":"A","q":3}]`)
		}, sim.Report{First: 1, Last: 3, Events: 2, Errors: 1, Broken: 1}},
		{"broken element and a swallowed one", func(p *tape) {
			p.message(`[{"ev":"T","sym":"A","q":1},{"ev":"T","sym":"A","q":2e},{"ev":"T","sym":"A","q":4}]`)
		}, sim.Report{First: 1, Last: 4, Events: 2, Errors: 1, Broken: 1, Missing: 1}},
		{"broken element elsewhere", func(p *tape) {
			p.message(`[{"ev":"T","sym":"A","q":1},{"ev":"T","sym":"A","q":2e},{"ev":"T","sym":"A","q":3},{"ev":"T","sym":"A","q":5}]`)
		}, sim.Report{First: 1, Last: 5, Events: 3, Errors: 1, Broken: 1, Missing: 1}},
		{"failed backfill is no element", func(p *tape) {
			p.events(1)
			p.audit.OnError(&tickstorm.EventError{Err: tickstorm.ErrBackfillBusy})
			p.events(3)
		}, sim.Report{First: 1, Last: 3, Events: 2, Missing: 1}},
		{"conflated", func(p *tape) {
			p.audit.Conflated = func() uint64 { return 4 }
			p.events(1, 4, 6, 8)
		}, sim.Report{First: 1, Last: 8, Events: 4, Conflated: 4}},
		{"more than conflated", func(p *tape) {
			p.audit.Conflated = func() uint64 { return 4 }
			p.events(1, 4, 8)
		}, sim.Report{First: 1, Last: 8, Events: 3, Conflated: 4, Missing: 1}},
		{"backfilled", func(p *tape) {
			p.events(1)
			p.audit.OnGap(nil)
			p.parser.SetBackfilled(true)
			p.events(2, 3, 3, 1)
			p.parser.SetBackfilled(false)
			p.events(5)
		}, sim.Report{First: 1, Last: 5, Events: 2, Backfilled: 4, Gaps: 1, InGaps: 3}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newTape(t)
			tc.do(p)
			got := p.audit.Report()
			err := got.Err()
			require.Equal(t, len(got.Findings) > 0, err != nil)
			got.Findings = nil
			require.Equal(t, tc.want, got)
			require.Equal(t, tc.want.Missing+tc.want.Repeats+tc.want.Regressions+tc.want.Surplus > 0, err != nil)
		})
	}
}

// TestAuditBounds: what goes wrong all the time is counted, and told of a few times.
func TestAuditBounds(t *testing.T) {
	p := newTape(t)
	const holes = 10_000
	for i := range holes {
		p.drops(1, int64(1e6+i), int64(1e6+i))
		p.events(2*i + 1)
	}
	r := p.audit.Report()
	require.EqualValues(t, holes-1, r.Missing)
	require.Len(t, r.Findings, 16)
	require.ErrorContains(t, r.Err(), "1 missing before 3; 1 missing before 5")
	p.at = 2e6
	p.events(2*holes + holes)
	require.EqualValues(t, holes, p.audit.Report().Dropped, "none of the drops was forgotten")
}

// TestAuditOfServer: the numbers go on over connections and over servers at one address.
func TestAuditOfServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults := []sim.Fault{{At: sim.OnStreaming, After: 20, Conn: 1, Do: sim.Cut()}}
		first, err := sim.StartPipe(sim.Config{Numbered: true, Faults: faults})
		require.NoError(t, err)
		defer first.Close()
		servers := make(chan *sim.Server, 1)
		servers <- first
		cfg := first.ClientConfig(tickstorm.Stocks)
		cfg.NetDial = dialNewest(servers)
		var audit sim.Audit
		client, err := tickstorm.NewClient(cfg, &audit)
		require.NoError(t, err)
		require.NoError(t, client.Subscribe(t.Context(), tickstorm.Trades, tickstorm.All))
		ended := make(chan error, 1)
		go func() { ended <- client.Run(t.Context()) }()
		time.Sleep(time.Minute)
		r := audit.Report()
		require.NoError(t, r.Err())
		require.EqualValues(t, 1, r.Gaps)
		require.EqualValues(t, 1, r.First)

		require.NoError(t, first.Close())
		last := first.Stats().LastNumber
		require.GreaterOrEqual(t, last, r.Last)
		second, err := sim.StartPipe(sim.Config{Numbered: true, FirstNumber: last + 1})
		require.NoError(t, err)
		defer second.Close()
		<-servers
		servers <- second
		time.Sleep(time.Minute)
		r = audit.Report()
		require.NoError(t, r.Err())
		require.EqualValues(t, 2, r.Gaps)
		require.Greater(t, r.Last, last)
		require.NoError(t, client.UnsubscribeTopics(t.Context(), client.Topics()...))
		require.Equal(t, second.Stats().LastNumber, audit.Report().Last, "to the last one")
		require.NoError(t, client.Close())
		require.NoError(t, <-ended)
	})
}

// dialNewest is a NetDial that leads to the server in the channel.
func dialNewest(servers chan *sim.Server) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		s := <-servers
		servers <- s
		return s.ClientConfig(tickstorm.Stocks).NetDial(ctx, network, addr)
	}
}
