package bench_test

import (
	"testing"
	"time"

	"github.com/tickstorm/tickstorm/bench"
)

// BenchmarkRatio puts the sides of the other benchmarks next to each other. A round of a
// [bench.Contest] is an operation, and there are at least bench.ContestRounds of them; with
// -short there may be less, for who only wants to see that it runs.
//
// parse reports how many times as fast the library's engines are as the others, stream
// what part of the rate of a bare drain is left for frames and for whole events, by
// wall-clock and by processor time. A round of parse is a pass over the corpus: shorter
// turns would measure how long caches and branch prediction take to recover from the
// other sides.
//
//	go test ./bench -run '^$' -bench Ratio -benchtime 7x   # some minutes, for the README
func BenchmarkRatio(b *testing.B) {
	b.Run("parse", func(b *testing.B) {
		for _, name := range bench.Corpora() {
			b.Run(name, func(b *testing.B) { benchmarkParseRatio(b, name) })
		}
	})
	for _, transport := range transports {
		for _, name := range bench.Corpora() {
			b.Run("stream/"+transport+"/"+name, func(b *testing.B) { benchmarkStreamRatio(b, transport, name) })
		}
	}
}

func benchmarkParseRatio(b *testing.B, corpus string) {
	c, err := bench.Load(corpus)
	if err != nil {
		b.Fatal(err)
	}
	engines := bench.Engines()
	contest := &bench.Contest{}
	for _, e := range engines {
		d := e.New(c.Market)
		var sum bench.Checksum
		if err := bench.DecodeAll(d, c.Messages, &sum); err != nil { // also meets the symbols
			b.Fatal(err)
		}
		contest.Sides = append(contest.Sides, func(int) (float64, error) {
			events := sum.Events
			start := time.Now()
			err := bench.DecodeAll(d, c.Messages, &sum)
			return float64(sum.Events-events) / time.Since(start).Seconds(), err
		})
	}
	compete(b, contest)
	for ours := range 2 {
		for i, e := range engines[ours+1:] {
			b.ReportMetric(contest.Ratio(ours, ours+1+i), engines[ours].Name+"/"+e.Name)
		}
	}
	b.ReportMetric(1e9/contest.Rate(0), "ns/event")
}

// compete has contests, round by round, for as long as the benchmark lasts.
func compete(b *testing.B, contests ...*bench.Contest) {
	round := func() {
		for _, c := range contests {
			if err := c.Round(); err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		round()
	}
	for !testing.Short() && contests[0].Rounds() < bench.ContestRounds {
		round()
	}
	b.ReportMetric(0, "ns/op") // an operation is of no interest
}
