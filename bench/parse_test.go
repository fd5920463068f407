package bench_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/tickstorm/tickstorm/bench"
)

// BenchmarkParse decodes a whole corpus per operation: bytes in memory to every field
// in a typed struct, folded into a checksum.
func BenchmarkParse(b *testing.B) {
	for _, name := range bench.Corpora() {
		b.Run(name, func(b *testing.B) {
			for _, e := range bench.Engines() {
				b.Run(e.Name, func(b *testing.B) { benchmarkParse(b, name, e) })
			}
		})
	}
}

func benchmarkParse(b *testing.B, corpus string, e bench.Engine) {
	c, err := bench.Load(corpus)
	if err != nil {
		b.Fatal(err)
	}
	d := e.New(c.Market)
	var want bench.Checksum
	if err := bench.DecodeAll(d, c.Messages, &want); err != nil { // also meets the symbols
		b.Fatal(err)
	}
	var got bench.Checksum // outside the loop: it is allocated
	passes := 0
	before := mallocs()
	for b.Loop() {
		got = bench.Checksum{}
		if err := bench.DecodeAll(d, c.Messages, &got); err != nil {
			b.Fatal(err)
		}
		if got != want {
			b.Fatalf("checksum is %v, was %v", got, want)
		}
		passes++
	}
	allocs := mallocs() - before
	report(b, float64(passes)*float64(c.Events), float64(passes)*float64(c.Bytes), b.Elapsed(), allocs)
}

// report gives the figures of what took so long, by event.
func report(b *testing.B, events, bytes float64, elapsed time.Duration, allocs uint64) {
	b.ReportMetric(float64(elapsed.Nanoseconds())/events, "ns/event")
	b.ReportMetric(bytes/1e6/elapsed.Seconds(), "MB/s")
	b.ReportMetric(float64(allocs)/events, "allocs/event")
	b.ReportMetric(events/elapsed.Seconds(), "events/s")
	b.ReportMetric(0, "ns/op") // an operation is of no interest
}

// mallocs returns how many objects the process has allocated.
func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
