package record

import (
	"slices"
	"testing"
	"time"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// BenchmarkReplay plays stocks20 into a handler as fast as it goes, in turns with decoding the same
// messages from memory: "of-memory" is how much of its speed is left, a median of the rounds.
//
//	go test -run '^$' -bench Replay -benchtime 9x .
func BenchmarkReplay(b *testing.B) {
	const events = 1_000_000
	messages, err := sim.Corpus("stocks20", events, 1)
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	recordAll(b, Config{Dir: dir, Market: tickstorm.Stocks, MinFree: -1}, messages)
	for _, ahead := range []bool{false, true} {
		name := "on one goroutine"
		if ahead {
			name = "ahead"
		}
		b.Run(name, func(b *testing.B) {
			var ratios, rates []float64
			memory := tickstorm.NewParser(tickstorm.Stocks)
			symbols := tickstorm.NewSymbols(0)
			memory.SetSymbols(symbols)
			for b.Loop() {
				started := time.Now()
				for _, m := range messages {
					_ = memory.Parse(m, tickstorm.NopHandler{})
				}
				base := time.Since(started)

				r, err := Open(dir)
				if err != nil {
					b.Fatal(err)
				}
				p, err := NewReplay(r, tickstorm.NopHandler{}, ReplayConfig{Ahead: ahead, Symbols: symbols})
				if err != nil {
					b.Fatal(err)
				}
				started = time.Now()
				if err := p.Run(b.Context()); err != nil {
					b.Fatal(err)
				}
				took := time.Since(started)
				if n := p.Stats().Messages; n != uint64(len(messages)) {
					b.Fatal(n, "messages")
				}
				r.Close()
				ratios = append(ratios, base.Seconds()/took.Seconds())
				rates = append(rates, events/took.Seconds())
			}
			slices.Sort(ratios)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(rates), "events/s")
			b.ReportMetric(median(ratios), "of-memory")
		})
	}
}
