package record

import (
	"bytes"
	"io"
	"testing"

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
