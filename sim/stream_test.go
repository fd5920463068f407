package sim_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

func TestRate(t *testing.T) {
	for _, rate := range []int{1, 50, 3000, 20_000} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := startPipe(t, sim.Config{Rate: rate})
				c := login(t, s, tickstorm.Stocks)
				c.send(subscribe("T.*,Q.*"))
				c.next()
				p := tickstorm.NewParser(tickstorm.Stocks)
				begun := time.Now()
				const seconds = 4
				for int(total(p)) < seconds*rate {
					require.NoError(t, p.Parse([]byte(c.next()), tickstorm.NopHandler{}))
				}
				require.InDelta(t, seconds, time.Since(begun).Seconds(), 0.05)
			})
		})
	}
}

// TestBarsHaveTheirOwnRate: of bars there are those that are due, whatever the rate, and what
// there was nothing of is not made up for later.
func TestBarsHaveTheirOwnRate(t *testing.T) {
	for _, rate := range []int{1000, -1} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := startPipe(t, sim.Config{Rate: rate})
				c := login(t, s, tickstorm.Stocks)
				c.send(subscribe("A.AAPL,A.MSFT"))
				c.next()
				begun := time.Now()
				p := tickstorm.NewParser(tickstorm.Stocks)
				for time.Since(begun) < 20*time.Second {
					require.NoError(t, p.Parse([]byte(c.next()), tickstorm.NopHandler{}))
				}
				require.InDelta(t, 2*21, total(p), 4)
				if rate < 0 {
					return
				}
				c.send(subscribe("T.AAPL"))
				begun = time.Now()
				for before := total(p); total(p) < before+5*uint64(rate); {
					require.NoError(t, p.Parse([]byte(c.next()), tickstorm.NopHandler{}))
				}
				require.InDelta(t, 5, time.Since(begun).Seconds(), 0.1)
			})
		})
	}
}

func TestBatch(t *testing.T) {
	for _, rate := range []int{500, -1} {
		s := start(t, sim.Config{Rate: rate, Batch: [2]int{5, 9}})
		c := login(t, s, tickstorm.Stocks)
		c.send(subscribe("Q.*"))
		c.next()
		p := tickstorm.NewParser(tickstorm.Stocks)
		for range 20 {
			before := total(p)
			require.NoError(t, p.Parse([]byte(c.next()), tickstorm.NopHandler{}))
			n := total(p) - before
			require.GreaterOrEqual(t, n, uint64(5))
			require.LessOrEqual(t, n, uint64(9))
		}
	}
}

// seen counts events by topic.
type seen struct {
	tickstorm.NopHandler
	topics map[string]int
	acked  bool // the last status was an acknowledgement
}

func (s *seen) OnTrade(e *tickstorm.Trade)   { s.topics["T."+e.Symbol]++ }
func (s *seen) OnQuote(e *tickstorm.Quote)   { s.topics["Q."+e.Symbol]++ }
func (s *seen) OnStatus(e *tickstorm.Status) { s.acked = e.Code() == tickstorm.StatusUnsubscribed }

func TestOnlyWhatIsSubscribed(t *testing.T) {
	s := start(t, sim.Config{Rate: -1})
	c := login(t, s, tickstorm.Stocks)
	c.send(subscribe("T.AAPL,Q.MSFT,Q.NOSUCHSYMBOL"))
	c.next()
	p := tickstorm.NewParser(tickstorm.Stocks)
	events := &seen{topics: make(map[string]int)}
	for range 200 {
		require.NoError(t, p.Parse([]byte(c.next()), events))
	}
	require.Len(t, events.topics, 2)
	require.Positive(t, events.topics["T.AAPL"])
	require.Positive(t, events.topics["Q.MSFT"])

	c.send(`{"action":"unsubscribe","params":"T.AAPL"}`)
	for !events.acked {
		require.NoError(t, p.Parse([]byte(c.next()), events))
	}
	before := events.topics["T.AAPL"]
	for range 200 {
		require.NoError(t, p.Parse([]byte(c.next()), events))
	}
	require.Equal(t, before, events.topics["T.AAPL"], "data after the acknowledgement")
}

func TestUnknownSymbolStaysSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startPipe(t, sim.Config{Rate: 1000})
		c := login(t, s, tickstorm.Stocks)
		c.send(subscribe("T.NOSUCHSYMBOL"))
		c.expect(acks("T.NOSUCHSYMBOL"))
		time.Sleep(time.Hour)
		require.Zero(t, s.Stats().Events)
	})
}

func TestSlowClientIsCutOff(t *testing.T) {
	for _, rate := range []int{100_000, -1} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := startPipe(t, sim.Config{Rate: rate, SendBuffer: 64 << 10, SlowTimeout: 10 * time.Second})
				c := login(t, s, tickstorm.Stocks)
				conn := s.Conns()[0]
				c.send(subscribe("Q.*"))
				c.next()
				time.Sleep(9 * time.Second)
				require.Equal(t, 1, s.Stats().Open)
				<-conn.Done()
				require.Equal(t, 1, s.Stats().Slow)
				require.ErrorIs(t, conn.Send(nil), sim.ErrEnded)
			})
		})
	}
}

func TestSlowReaderThatReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startPipe(t, sim.Config{Rate: 100_000, SendBuffer: 64 << 10, SlowTimeout: 10 * time.Second})
		c := login(t, s, tickstorm.Stocks)
		conn := s.Conns()[0]
		c.send(subscribe("Q.*"))
		begun := time.Now()
		for c.more() == nil { // a tenth of what comes
			time.Sleep(200 * time.Millisecond)
		}
		<-conn.Done()
		require.Equal(t, 1, s.Stats().Slow)
		require.Less(t, time.Since(begun), time.Minute)
	})
}

func TestSendIsBounded(t *testing.T) {
	s := startPipe(t, sim.Config{Quiet: true, SendBuffer: 1000})
	login(t, s, tickstorm.Stocks)
	conn := s.Conns()[0]
	message := make([]byte, 100)
	var err error
	for range 100 {
		if err = conn.Send(message); err != nil {
			break
		}
	}
	require.ErrorIs(t, err, sim.ErrSlow)
}
