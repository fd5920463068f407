package bench_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/bench"
	"github.com/tickstorm/tickstorm/internal/cputime"
)

// turnBytes is what one operation of BenchmarkStream receives.
const turnBytes = 16 << 20

// BenchmarkStream receives a corpus from a sender in another process, over and over.
func BenchmarkStream(b *testing.B) {
	for _, transport := range transports {
		for _, name := range bench.Corpora() {
			b.Run(transport+"/"+name, func(b *testing.B) {
				s := startSender(b, transport, name)
				for _, way := range bench.Receivers() {
					b.Run(way, func(b *testing.B) { benchmarkStream(b, s, way) })
				}
			})
		}
	}
}

var transports = []string{"tcp", "tls"}

func startSender(t testing.TB, transport, corpus string) *bench.Sender {
	t.Helper()
	s, err := bench.StartSender(corpus, transport == "tls")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error("sender:", err)
		}
	})
	return s
}

func connect(t testing.TB, s *bench.Sender, way string) *bench.Receiver {
	t.Helper()
	r, err := bench.Connect(s, way)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// receive lets a receiver have a turn.
func receive(t testing.TB, r *bench.Receiver, bytes int, d time.Duration) bench.Received {
	t.Helper()
	got, err := r.Receive(bytes, d)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func benchmarkStream(b *testing.B, s *bench.Sender, way string) {
	r := connect(b, s, way)
	receive(b, r, s.Corpus.Bytes, 0) // meets the symbols
	var sum bench.Received
	before := mallocs()
	for b.Loop() {
		got := receive(b, r, turnBytes, 0)
		sum.Bytes += got.Bytes
		sum.Events += got.Events
		sum.Time += got.Time
	}
	report(b, sum.Events, float64(sum.Bytes), sum.Time, mallocs()-before)
}

// A turn in a contest: what is measured comes after a time in which the sender fills
// the buffers of those that had their turn before.
const (
	settling = 10 * time.Millisecond
	turnTime = 30 * time.Millisecond
)

// benchmarkStreamRatio compares the bytes in a second of wall-clock time, which is what
// there is to gain, and in a second of processor time, which does not depend on how
// long a receiver had to wait for the sender.
func benchmarkStreamRatio(b *testing.B, transport, corpus string) {
	s := startSender(b, transport, corpus)
	wall, cpu := &bench.Contest{}, &bench.Contest{}
	known := cputime.Used() > 0
	for _, way := range bench.Receivers() {
		r := connect(b, s, way)
		receive(b, r, s.Corpus.Bytes, 0) // meets the symbols
		var perCPU float64               // of the last round
		wall.Sides = append(wall.Sides, func(int) (float64, error) {
			if _, err := r.Receive(0, settling); err != nil {
				return 0, err
			}
			before := cputime.Used()
			got, err := r.Receive(0, turnTime)
			after := cputime.Used()
			perCPU = float64(got.Bytes) / (after - before).Seconds()
			return got.Rate(), err
		})
		cpu.Sides = append(cpu.Sides, func(int) (float64, error) { return perCPU, nil })
	}
	compete(b, wall, cpu)
	ways := bench.Receivers()
	last := len(ways) - 1
	for i, way := range ways[:last] {
		b.ReportMetric(wall.Ratio(i, last), way+"/"+ways[last])
		if known {
			b.ReportMetric(cpu.Ratio(i, last), way+"/"+ways[last]+"-cpu")
		}
	}
	b.ReportMetric(wall.Rate(last)/1e6, "MB/s-"+ways[last])
}

// TestReceivers has every receiver take turns on every transport.
func TestReceivers(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			s := startSender(t, transport, "stocks20")
			receivers := make([]*bench.Receiver, 0, 3)
			for _, way := range bench.Receivers() {
				receivers = append(receivers, connect(t, s, way))
			}
			perByte := float64(s.Corpus.Events) / float64(s.Corpus.Bytes)
			for range 2 {
				for i, r := range receivers {
					got := receive(t, r, 1<<20, 0)
					require.InDelta(t, 1<<20, got.Bytes, 2*bench.ReadBuffer, bench.Receivers()[i])
					require.Positive(t, got.Time)
					require.Positive(t, got.Reads)
					require.InEpsilon(t, float64(got.Bytes)*perByte, got.Events, 0.2, bench.Receivers()[i])
				}
			}
		})
	}
}
