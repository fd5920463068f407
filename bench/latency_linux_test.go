package bench_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/bench"
	"github.com/tickstorm/tickstorm/epoll"
	"github.com/tickstorm/tickstorm/internal/cputime"
)

// drivers are ways to drive a connection until it is closed.
var drivers = []struct {
	name   string
	driver func(conn *tickstorm.Conn) (run func() error, stop func(), err error)
}{
	{"netpoller", func(conn *tickstorm.Conn) (func() error, func(), error) {
		return func() error { return conn.Run(context.Background()) }, func() { _ = conn.Close() }, nil
	}},
	{"poller", func(conn *tickstorm.Conn) (func() error, func(), error) {
		return polled(epoll.Config{}, conn)
	}},
	{"poller-spin", func(conn *tickstorm.Conn) (func() error, func(), error) {
		return polled(epoll.Config{Spin: -1}, conn)
	}},
}

func polled(cfg epoll.Config, conns ...*tickstorm.Conn) (run func() error, stop func(), err error) {
	p, err := epoll.NewPoller(cfg)
	if err != nil {
		return nil, nil, err
	}
	for _, conn := range conns {
		d, err := epoll.Detach(conn)
		if err != nil {
			return nil, nil, errors.Join(err, p.Close())
		}
		if err := p.Add(d, nil); err != nil {
			return nil, nil, err
		}
	}
	return func() error { return p.Run(context.Background()) }, func() { _ = p.Close() }, nil
}

// loads are what the process does beside: nothing; as many goroutines that only compute
// as it may run at once; the same with one processor (a P of the scheduler) more than
// these use.
var loads = []struct {
	name         string
	busy, spared int
}{{"idle", 0, 0}, {"loaded", 1, 0}, {"loaded-spare", 1, 1}}

// BenchmarkLatency measures the time from a sender's write, in another process, to the
// call of the handler: an operation is a message, of which there is one every two
// milliseconds.
//
//	go test ./bench -run '^$' -bench Latency -benchtime 3000x
func BenchmarkLatency(b *testing.B) {
	for _, d := range drivers {
		for _, l := range loads {
			b.Run(d.name+"/"+l.name, func(b *testing.B) {
				samples := latencies(b, d.driver, b.N, l.busy, l.spared)
				for _, p := range []struct {
					name string
					part float64
				}{{"p50-µs", 0.5}, {"p90-µs", 0.9}, {"p99-µs", 0.99}, {"p99.9-µs", 0.999}} {
					b.ReportMetric(float64(samples[int(p.part*float64(len(samples)-1))].Nanoseconds())/1e3, p.name)
				}
				b.ReportMetric(0, "ns/op") // an operation is of no interest
			})
		}
	}
}

// stopwatch is a handler that notes how old trades are.
type stopwatch struct {
	tickstorm.NopHandler
	skip    int
	samples []time.Duration // up to its capacity
	done    chan struct{}
}

func (w *stopwatch) OnTrade(t *tickstorm.Trade) {
	age := time.Duration(time.Now().UnixNano() - int64(t.Timestamp))
	if w.skip > 0 {
		w.skip--
		return
	}
	if len(w.samples) == cap(w.samples) {
		return
	}
	w.samples = append(w.samples, age)
	if len(w.samples) == cap(w.samples) {
		close(w.done)
	}
}

// latencies returns n of them, in their order.
func latencies(t testing.TB, driver func(*tickstorm.Conn) (func() error, func(), error), n, busy, spared int) []time.Duration {
	t.Helper()
	s, err := bench.StartTicker(false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w := &stopwatch{skip: 20, samples: make([]time.Duration, 0, n), done: make(chan struct{})}
	conn := dialSender(t, s, w)
	run, stop, err := driver(conn)
	if err != nil {
		t.Fatal(err)
	}

	var over atomic.Bool
	var all sync.WaitGroup
	workers := busy * runtime.GOMAXPROCS(0)
	if spared > 0 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + spared))
	}
	for range workers {
		all.Go(func() {
			for n := 0; !over.Load(); n++ {
			}
		})
	}
	ended := make(chan error, 1)
	all.Go(func() { ended <- run() })
	select {
	case <-w.done:
	case err := <-ended:
		t.Fatal(err)
	}
	stop()
	over.Store(true)
	all.Wait()
	slices.Sort(w.samples)
	return w.samples
}

func dialSender(t testing.TB, s *bench.Sender, h tickstorm.Handler) *tickstorm.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := tickstorm.Dial(ctx, tickstorm.Config{
		Key: "key", Market: tickstorm.Stocks, Feed: tickstorm.Feed(s.URL()), TLS: s.TLS, Proxy: tickstorm.NoProxy,
		CloseTimeout: 100 * time.Millisecond, // a sender does not answer a close frame
	}, h)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestLatency(t *testing.T) {
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			samples := latencies(t, d.driver, 20, 0, 0)
			require.Len(t, samples, 20)
			require.Positive(t, samples[0])
		})
	}
}

const sixConnections = 6

// BenchmarkSix receives a corpus over six connections at once, driven by six goroutines
// and by one poller, in turns: a round of a [bench.Contest] is an operation. It reports how
// many bytes one poller gets for one that six goroutines get, by wall-clock and by
// processor time, the sender competing for the same machine.
//
//	go test ./bench -run '^$' -bench Six -benchtime 7x
func BenchmarkSix(b *testing.B) {
	for _, transport := range transports {
		b.Run(transport, func(b *testing.B) {
			s := startSender(b, transport, "stocks20")
			known := cputime.Used() > 0
			wall, cpu := &bench.Contest{}, &bench.Contest{}
			for _, way := range []func(...*tickstorm.Conn) (func() error, func(), error){goroutines, func(conns ...*tickstorm.Conn) (func() error, func(), error) {
				return polled(epoll.Config{}, conns...)
			}} {
				var perCPU float64
				wall.Sides = append(wall.Sides, func(int) (float64, error) {
					rate, spent, err := receiveSix(b, s, way)
					perCPU = spent
					return rate, err
				})
				cpu.Sides = append(cpu.Sides, func(int) (float64, error) { return perCPU, nil })
			}
			compete(b, wall, cpu)
			b.ReportMetric(wall.Ratio(1, 0), "poller/goroutines")
			if known {
				b.ReportMetric(cpu.Ratio(1, 0), "poller/goroutines-cpu")
			}
			b.ReportMetric(wall.Rate(0)/1e6, "MB/s-goroutines")
			b.ReportMetric(wall.Rate(1)/1e6, "MB/s-poller")
		})
	}
}

// goroutines drives connections by a goroutine each.
func goroutines(conns ...*tickstorm.Conn) (run func() error, stop func(), err error) {
	run = func() error {
		var all sync.WaitGroup
		for _, conn := range conns {
			all.Go(func() { _ = conn.Run(context.Background()) })
		}
		all.Wait()
		return nil
	}
	stop = func() {
		var all sync.WaitGroup
		for _, conn := range conns {
			all.Go(func() { _ = conn.Close() })
		}
		all.Wait()
	}
	return run, stop, nil
}

// tally counts the bytes of messages.
type tally struct {
	tickstorm.NopHandler
	bytes atomic.Int64
}

func (c *tally) OnTrade(t *tickstorm.Trade)         { c.bytes.Add(int64(len(t.Raw))) }
func (c *tally) OnQuote(q *tickstorm.Quote)         { c.bytes.Add(int64(len(q.Raw))) }
func (c *tally) OnAggregate(a *tickstorm.Aggregate) { c.bytes.Add(int64(len(a.Raw))) }

// receiveSix returns the bytes a second, and the bytes for a second of processor time.
func receiveSix(t testing.TB, s *bench.Sender, way func(...*tickstorm.Conn) (func() error, func(), error)) (rate, perCPU float64, err error) {
	const settle, length = 200 * time.Millisecond, 600 * time.Millisecond
	tallies := make([]tally, sixConnections)
	conns := make([]*tickstorm.Conn, sixConnections)
	for i := range conns {
		conns[i] = dialSender(t, s, &tallies[i])
	}
	sum := func() (n int64) {
		for i := range tallies {
			n += tallies[i].bytes.Load()
		}
		return n
	}
	run, stop, err := way(conns...)
	if err != nil {
		return 0, 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- run() }()
	time.Sleep(settle)
	before, start := sum(), time.Now()
	spentBefore := cputime.Used()
	time.Sleep(length)
	bytes := float64(sum() - before)
	elapsed := time.Since(start)
	spent := cputime.Used()
	stop()
	return bytes / elapsed.Seconds(), bytes / (spent - spentBefore).Seconds(), <-ended
}
