package bench_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/bench"
)

// TestVariantsAgree: the engines agree on changed corpora too, and a changed order of keys
// changes no event.
func TestVariantsAgree(t *testing.T) {
	c, err := bench.Load("stocks20")
	require.NoError(t, err)
	few := *c
	few.Messages = c.Messages[:500]
	sum := func(c *bench.Corpus, e tickstorm.Engine) bench.Checksum {
		var s bench.Checksum
		require.NoError(t, bench.DecodeAll(bench.NewDecoder(c.Market, e), c.Messages, &s))
		return s
	}
	want := sum(&few, tickstorm.EngineFastJSON)
	for _, v := range []bench.Variant{bench.Shuffled, bench.Spaced, bench.NewField} {
		varied, err := bench.Vary(&few, v)
		require.NoError(t, err)
		require.Equal(t, want, sum(varied, tickstorm.EngineAuto), "%s", v)
		require.Equal(t, want, sum(varied, tickstorm.EngineFastJSON), "%s", v)
	}
}

// BenchmarkVariant says what the fast path is worth on what it does not expect: shuffled
// and spaced events beside fastjson without checks, and a new field beside none.
//
//	go test ./bench -run '^$' -bench Variant -benchtime 9x
func BenchmarkVariant(b *testing.B) {
	c, err := bench.Load("stocks20")
	if err != nil {
		b.Fatal(err)
	}
	raw := bench.Engines()[2]
	for _, tc := range []struct {
		variant bench.Variant
		metric  string
		other   func(varied *bench.Corpus) (*bench.Corpus, bench.Decoder)
	}{
		{bench.Shuffled, "fast/" + raw.Name, func(varied *bench.Corpus) (*bench.Corpus, bench.Decoder) { return varied, raw.New(c.Market) }},
		{bench.Spaced, "fast/" + raw.Name, func(varied *bench.Corpus) (*bench.Corpus, bench.Decoder) { return varied, raw.New(c.Market) }},
		{bench.NewField, "fast/fast-without", func(*bench.Corpus) (*bench.Corpus, bench.Decoder) {
			return c, bench.NewDecoder(c.Market, tickstorm.EngineAuto)
		}},
	} {
		b.Run(string(tc.variant), func(b *testing.B) {
			varied, err := bench.Vary(c, tc.variant)
			if err != nil {
				b.Fatal(err)
			}
			contest := &bench.Contest{}
			side := func(c *bench.Corpus, d bench.Decoder) {
				contest.Sides = append(contest.Sides, func(int) (float64, error) {
					var sum bench.Checksum
					start := time.Now()
					err := bench.DecodeAll(d, c.Messages, &sum)
					return float64(sum.Events) / time.Since(start).Seconds(), err
				})
			}
			side(varied, bench.NewDecoder(c.Market, tickstorm.EngineAuto))
			side(tc.other(varied))
			compete(b, contest)
			b.ReportMetric(contest.Ratio(0, 1), tc.metric)
			b.ReportMetric(1e9/contest.Rate(0), "ns/event")
		})
	}
}
