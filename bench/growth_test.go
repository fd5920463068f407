package bench_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/bench"
)

// The benchmarks of this file ask what a market's size costs: messages of options1m, of which every
// symbol is known before the clock starts, or none is.

var sizes = []int{1_000, 10_000, 100_000, 500_000, bench.Contracts}

// growthEvents is how many events a pass has: more bytes than a cache holds.
const growthEvents = 400_000

// folder is a handler that reads every field of trades and quotes, the text of the symbol too.
type folder struct {
	tickstorm.NopHandler
	sum bench.Checksum
}

func (f *folder) OnTrade(t *tickstorm.Trade) { f.sum.Trade(t) }
func (f *folder) OnQuote(q *tickstorm.Quote) { f.sum.Quote(q) }

func options(t testing.TB, channel string, n int, distribution string) *bench.Corpus {
	t.Helper()
	c, err := bench.Options(channel, n, distribution, growthEvents)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// interned returns a table of the first n contracts.
func interned(n int) *tickstorm.Symbols {
	s := tickstorm.NewSymbols(0)
	var text []byte
	for i := range n {
		text = bench.AppendContract(text[:0], i)
		s.Intern(text)
	}
	return s
}

// kept returns what make makes, and how many bytes of heap that takes.
func kept[T any](make func() T) (T, float64) {
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	made := make()
	return made, float64(heap()) - float64(before)
}

// pass parses a corpus.
func pass(t testing.TB, p *tickstorm.Parser, c *bench.Corpus, h tickstorm.Handler) {
	for _, m := range c.Messages {
		if err := p.Parse(m, h); err != nil {
			t.Fatal(err)
		}
	}
}

// benchmarkPass reports what an event costs in passes over a corpus.
func benchmarkPass(b *testing.B, p *tickstorm.Parser, c *bench.Corpus, f *folder, h tickstorm.Handler) {
	pass(b, p, c, h)
	want := f.sum.Events
	passes := 0
	before := mallocs()
	for b.Loop() {
		f.sum = bench.Checksum{}
		pass(b, p, c, h)
		if f.sum.Events != want {
			b.Fatal("events", f.sum.Events)
		}
		passes++
	}
	report(b, float64(passes*c.Events), float64(passes*c.Bytes), b.Elapsed(), mallocs()-before)
}

// BenchmarkSymbols decodes trades over n contracts. B/symbol is the heap that the table of
// symbols takes.
func BenchmarkSymbols(b *testing.B) {
	for _, n := range sizes {
		for _, distribution := range bench.Distributions() {
			b.Run(fmt.Sprintf("%d/%s", n, distribution), func(b *testing.B) {
				symbols, bytes := kept(func() *tickstorm.Symbols { return interned(n) })
				p := tickstorm.NewParser(tickstorm.Options)
				p.SetSymbols(symbols)
				f := &folder{}
				benchmarkPass(b, p, options(b, "T", n, distribution), f, f)
				b.ReportMetric(bytes/float64(n), "B/symbol")
			})
		}
	}
}

// BenchmarkSymbolsRatio has a small and a large market take turns: times is how much longer an
// event takes in the large one.
func BenchmarkSymbolsRatio(b *testing.B) {
	for _, distribution := range bench.Distributions() {
		b.Run(distribution, func(b *testing.B) {
			contest := &bench.Contest{}
			for _, n := range []int{sizes[0], bench.Contracts} {
				p := tickstorm.NewParser(tickstorm.Options)
				p.SetSymbols(interned(n))
				c := options(b, "T", n, distribution)
				f := &folder{}
				contest.Sides = append(contest.Sides, func(int) (float64, error) {
					start := time.Now()
					pass(b, p, c, f)
					return float64(c.Events) / time.Since(start).Seconds(), nil
				})
			}
			compete(b, contest)
			b.ReportMetric(contest.Ratio(0, 1), "times")
			b.ReportMetric(1e9/contest.Rate(0), "ns/event-small")
			b.ReportMetric(1e9/contest.Rate(1), "ns/event-large")
		})
	}
}

// BenchmarkFirstSight has n contracts come for the first time, 20 a message. An operation is a run,
// with a new table. Of each message the least time of all runs is taken, which keeps a
// stolen processor out; 9 runs are enough. new-ns is what a symbol costs beyond the same messages
// when all is known, which then come in the order in which the table stores their symbols.
func BenchmarkFirstSight(b *testing.B) {
	for _, n := range []int{300_000, bench.Contracts} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkFirstSight(b, n) })
	}
}

func benchmarkFirstSight(b *testing.B, n int) {
	order := rand.New(rand.NewPCG(1, 1)).Perm(n)
	least, known := make([]time.Duration, n/20), make([]time.Duration, n/20)
	f := &folder{}
	var message []byte
	runs := 0
	for b.Loop() {
		p := tickstorm.NewParser(tickstorm.Options)
		// The first event of a parser also teaches it the order of keys.
		if err := p.Parse([]byte("["+firstTradeHead+"O:WARM261218C00001000"+firstTradeTail+"]"), f); err != nil {
			b.Fatal(err)
		}
		f.sum = bench.Checksum{}
		runtime.GC()
		for _, times := range [][]time.Duration{least, known} {
			for i := range times {
				message = appendFirstSights(message[:0], order[i*20:i*20+20])
				start := time.Now()
				err := p.Parse(message, f)
				d := time.Since(start)
				if err != nil {
					b.Fatal(err)
				}
				if runs == 0 || d < times[i] {
					times[i] = d
				}
			}
		}
		if f.sum.Events != 2*n {
			b.Fatal("events", f.sum.Events)
		}
		runs++
	}
	mean := func(times []time.Duration) float64 {
		sum := time.Duration(0)
		for _, d := range times {
			sum += d
		}
		return float64(sum) / float64(n)
	}
	b.ReportMetric(mean(least), "ns/event")
	b.ReportMetric(mean(least)-mean(known), "new-ns")
	slices.Sort(least)
	micros := func(d time.Duration) float64 { return float64(d) / 1e3 }
	b.ReportMetric(micros(least[len(least)/2]), "p50-µs")
	b.ReportMetric(micros(least[len(least)*999/1000]), "p99.9-µs")
	b.ReportMetric(micros(least[len(least)-1]), "max-µs")
	b.ReportMetric(0, "ns/op")
}

// appendFirstSights appends a message of trades, each of another contract. It is made anew
// before the clock of each starts: garbage of many made at once would have the collector run
// while they are timed.
func appendFirstSights(message []byte, contracts []int) []byte {
	message = append(message, '[')
	for i, c := range contracts {
		if i > 0 {
			message = append(message, ',')
		}
		message = append(message, firstTradeHead...)
		message = append(bench.AppendContract(message, c), firstTradeTail...)
	}
	return append(message, ']')
}

const (
	firstTradeHead = `{"ev":"T","sym":"`
	firstTradeTail = `","x":302,"p":1.25,"s":3,"c":[209],"t":1795185000000,"q":1861016868}`
)

// BenchmarkInterest decodes trades over all contracts, by uniform, of which a part is wanted.
// B/symbol is the heap that a wanted symbol takes.
func BenchmarkInterest(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			wanted := make([]string, n)
			for i := range wanted {
				wanted[i] = bench.Contract(i)
			}
			p := tickstorm.NewParser(tickstorm.Options)
			_, bytes := kept(func() *tickstorm.Parser {
				p.SetInterest(tickstorm.Interest{Symbols: wanted})
				return p
			})
			f := &folder{}
			benchmarkPass(b, p, options(b, "T", bench.Contracts, "uniform"), f, f)
			b.ReportMetric(bytes/float64(n), "B/symbol")
			runtime.KeepAlive(wanted)
		})
	}
}

// BenchmarkWatch decodes trades over n contracts for a handler behind a Watch. B/symbol is the heap
// that the Watch takes.
func BenchmarkWatch(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := &folder{}
			w := tickstorm.NewWatch(f, tickstorm.WatchConfig{})
			p := tickstorm.NewParser(tickstorm.Options)
			symbols := interned(n)
			p.SetSymbols(symbols)
			all := make([][]byte, 0, n)
			for i := range n {
				all = append(all, []byte(bench.Contract(i)))
			}
			_, bytes := kept(func() *tickstorm.Watch { // has seen every one of them
				t := tickstorm.Trade{}
				for _, text := range all {
					t.Symbol, t.SymbolID = symbols.Intern(text)
					t.Stream = tickstorm.Trades
					w.OnTrade(&t)
				}
				w.OnMessageEnd()
				return w
			})
			f.sum = bench.Checksum{}
			benchmarkPass(b, p, options(b, "T", n, "uniform"), f, w)
			b.ReportMetric(bytes/float64(n), "B/symbol")
			runtime.KeepAlive(all)
		})
	}
}
