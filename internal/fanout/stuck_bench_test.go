package fanout_test

import (
	"testing"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/bench"
	"github.com/tickstorm/tickstorm/internal/fanout"
)

// BenchmarkStuck is how long events wait for 99 clients, with 1 % of the symbols each, until a
// socket has taken them, while a hundredth wants everything: one that takes nothing, over one that
// reads, and over none. It is at 110,000 events a second, which two processors have time for.
func BenchmarkStuck(b *testing.B) {
	c, err := bench.Load("stocks20")
	if err != nil {
		b.Fatal(err)
	}
	topics := topicsOf(b, c)
	conns := readers(b, 100)
	side := func(hundredth fanout.Conn) func(int) (float64, error) {
		return func(int) (float64, error) {
			h := fanout.New(fanout.Config{Market: c.Market})
			var outlets []*fanout.Outlet
			for i := range 99 {
				o := h.Join(conns[i], fanout.OutletConfig{})
				o.Subscribe(dealt(topics, i)...)
				outlets = append(outlets, o)
			}
			last := (*fanout.Outlet)(nil)
			if hundredth != nil {
				last = h.Join(hundredth, fanout.OutletConfig{Overflow: tickstorm.OverflowConflate, Dropped: dropped})
				last.Subscribe(everything(c.Market)...)
			}
			start := time.Now()
			for at, m := range c.Messages {
				if at%5 == 0 {
					time.Sleep(time.Until(start.Add(time.Duration(at) * 180 * time.Microsecond)))
				}
				h.Message(m, time.Now().UnixNano())
			}
			wait(outlets, 0)
			var delay tickstorm.Histogram
			for _, o := range outlets {
				st := o.Stats()
				delay.Merge(&st.Delay)
				o.Cut()
				<-o.Done()
			}
			if last != nil {
				last.Cut()
				if s, ok := hundredth.(null); ok {
					s.stuck <- struct{}{}
				}
				<-last.Done()
			}
			for _, conn := range conns {
				if err := conn.SetWriteDeadline(time.Time{}); err != nil {
					return 0, err
				}
			}
			return 1 / quantile(delay, .99).Seconds(), nil
		}
	}
	contest := &bench.Contest{Sides: []func(int) (float64, error){
		side(null{make(chan struct{})}), side(conns[99]), side(nil),
	}}
	compete(b, contest)
	b.ReportMetric(contest.Ratio(1, 0), "stuck/reading-p99")
	b.ReportMetric(contest.Ratio(2, 0), "stuck/none-p99")
	for i, name := range []string{"stuck", "reading", "none"} {
		b.ReportMetric(1e6/contest.Rate(i), "us-p99-"+name)
	}
}

// quantile is that of a histogram, where within a bucket all are as far apart.
func quantile(h tickstorm.Histogram, q float64) time.Duration {
	rank, lower := q*float64(h.Count()), time.Duration(0)
	for upper, n := range h.Buckets() {
		if float64(n) >= rank {
			return lower + time.Duration(rank/float64(n)*float64(upper-lower))
		}
		rank -= float64(n)
		lower = upper
	}
	return lower
}
