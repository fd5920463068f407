package record

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// BenchmarkSegmentWriter is the work of the goroutine that compresses, for a segment of stocks in
// messages of about 20 events.
func BenchmarkSegmentWriter(b *testing.B) {
	const events = 200_000
	messages, err := sim.Corpus("stocks20", events, 1)
	require.NoError(b, err)
	for name, level := range map[string]Level{"fastest": LevelFastest, "default": LevelDefault, "better": LevelBetter, "best": LevelBest} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s, err := newSegmentWriter(io.Discard, Header{Market: tickstorm.Stocks}, level)
				require.NoError(b, err)
				for i, m := range messages {
					if err := s.message(at(i), m); err != nil {
						b.Fatal(err)
					}
				}
				require.NoError(b, s.finish())
				b.ReportMetric(float64(s.raw())/float64(s.written()), "ratio")
			}
			b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkReader reads such a segment, with and without a filter.
func BenchmarkReader(b *testing.B) {
	messages, err := sim.Corpus("stocks20", 200_000, 1)
	require.NoError(b, err)
	var file bytes.Buffer
	s, err := newSegmentWriter(&file, Header{Market: tickstorm.Stocks}, LevelDefault)
	require.NoError(b, err)
	for i, m := range messages {
		require.NoError(b, s.message(at(i), m))
	}
	require.NoError(b, s.finish())
	path := put(b, b.TempDir(), "a"+Suffix, file.Bytes())
	for name, filter := range map[string]Filter{"all": {}, "trades": {Channels: []string{"T"}}} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(s.raw())
			for b.Loop() {
				r := open(b, path)
				r.Filter(filter)
				for _, err := range r.All(b.Context()) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkSeek opens a recording of 2 GB of lines in segments of 256 MB, and goes to moments in it.
// That has to take less than 50 ms, and to decompress no more than 2 MiB.
//
//	go test -run '^$' -bench Seek -benchtime 100x .
func BenchmarkSeek(b *testing.B) {
	const segments, length = 8, 256 << 20
	messages, err := sim.Corpus("stocks20", 200_000, 1)
	require.NoError(b, err)
	folder, h, n := b.TempDir(), testHeader(), 0
	for range segments {
		h.Sequence, h.Started = h.Sequence+1, time.Unix(0, at(n))
		file, err := os.Create(filepath.Join(folder, h.Name()+Suffix))
		require.NoError(b, err)
		s, err := newSegmentWriter(file, h, LevelFastest)
		require.NoError(b, err)
		for ; s.raw() < length; n++ {
			require.NoError(b, s.message(at(n), messages[n%len(messages)]))
		}
		require.NoError(b, s.finish())
		require.NoError(b, file.Close())
	}
	most, random := int64(0), rand.New(rand.NewPCG(1, 2))
	for b.Loop() {
		r, err := Open(folder)
		require.NoError(b, err)
		want := at(random.IntN(n))
		r.Seek(Received, time.Unix(0, want))
		e, err := r.Next(b.Context())
		require.NoError(b, err)
		require.Equal(b, want, e.Received)
		most = max(most, r.unpacker.total)
		require.NoError(b, r.Close())
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/seek")
	b.ReportMetric(float64(most)/(1<<20), "MiB-decompressed")
}
