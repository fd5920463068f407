package record

import (
	"path/filepath"
	"strconv"
	"testing"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// BenchmarkCSV converts a recording of stocks20.
func BenchmarkCSV(b *testing.B) {
	const events = 300_000
	messages, err := sim.Corpus("stocks20", events, 1)
	if err != nil {
		b.Fatal(err)
	}
	dir, out := b.TempDir(), b.TempDir()
	recordAll(b, Config{Dir: dir, Market: tickstorm.Stocks, MinFree: -1}, messages)
	n := 0
	for b.Loop() {
		n++
		r, err := Open(dir)
		if err != nil {
			b.Fatal(err)
		}
		done, err := CSV(b.Context(), filepath.Join(out, strconv.Itoa(n)), r)
		if err != nil || done.Elements != events {
			b.Fatal(done, err)
		}
		r.Close()
	}
	b.ReportMetric(float64(events*n)/b.Elapsed().Seconds(), "events/s")
}
