package tickstorm_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// durations returns n durations of every magnitude, in order.
func durations(r *rand.Rand, n int) []time.Duration {
	list := make([]time.Duration, n)
	for i := range list {
		list[i] = time.Duration(r.Uint64() >> (17 + r.IntN(45))) // up to 2^47 ns
	}
	slices.Sort(list)
	return list
}

func histogramOf(list []time.Duration) (h tickstorm.Histogram) {
	for _, d := range list {
		h.Observe(d)
	}
	return h
}

// TestHistogramQuantile: against the sorted list a quantile is never less, and at most a
// quarter more; below the first bound it is that, and beyond the last it is endless.
func TestHistogramQuantile(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 3, 10, 1000, 20_000} {
		list := durations(r, n)
		h := histogramOf(list)
		for _, q := range []float64{0, 1e-9, 0.001, 0.1, 0.25, 1. / 3, 0.5, 0.9, 0.99, 0.999, 1} {
			want := list[max(1, int(math.Ceil(q*float64(n))))-1]
			got := h.Quantile(q)
			require.GreaterOrEqual(t, got, want, "%v of %d", q, n)
			switch {
			case want <= 64:
				require.EqualValues(t, 64, got)
			case want > 1<<46:
				require.Equal(t, time.Duration(math.MaxInt64), got)
			default:
				require.LessOrEqual(t, float64(got), 1.25*float64(want), "%v of %d", q, n)
			}
		}
		require.EqualValues(t, n, h.Count())
		var sum float64
		for _, d := range list {
			sum += d.Seconds()
		}
		require.InEpsilon(t, sum, h.Sum(), 1e-9)
		require.InEpsilon(t, sum/float64(n), h.Mean().Seconds(), 1e-6)
	}
}

// TestHistogramBuckets: each bucket holds what is above the bound before and up to its own.
func TestHistogramBuckets(t *testing.T) {
	var empty tickstorm.Histogram
	var bounds []time.Duration
	for bound, n := range empty.Buckets() {
		require.Zero(t, n)
		bounds = append(bounds, bound)
	}
	require.Len(t, bounds, 162)
	require.Equal(t, []time.Duration{64, 80, 96, 112, 128, 160}, bounds[:6])
	require.Equal(t, []time.Duration{1 << 46, math.MaxInt64}, bounds[160:])
	for i, bound := range bounds {
		first := time.Duration(0)
		if i > 0 {
			first = bounds[i-1] + 1
			require.Less(t, bounds[i-1], bound)
		}
		h := histogramOf([]time.Duration{first, bound})
		at := 0
		for upper, n := range h.Buckets() {
			want := uint64(0)
			if at == i {
				want = 2
				require.Equal(t, bound, upper)
			}
			require.Equal(t, want, n, "bucket %d of %v", at, bound)
			at++
		}
	}
	for range empty.Buckets() {
		break // an iteration may end early
	}
}

func TestHistogramMerge(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	a, b := durations(r, 1000), durations(r, 500)
	merged, other := histogramOf(a), histogramOf(b)
	merged.Merge(&other)
	want := histogramOf(slices.Concat(a, b))
	require.InEpsilon(t, want.Sum(), merged.Sum(), 1e-9)
	require.Equal(t, want.Count(), merged.Count())
	for _, q := range []float64{0, 0.5, 0.9, 1} {
		require.Equal(t, want.Quantile(q), merged.Quantile(q))
	}
	require.Equal(t, histogramOf(b), other, "what is added does not change")
}

// TestHistogramSince: what was counted after a copy was taken is as if nothing had been counted before it.
func TestHistogramSince(t *testing.T) {
	var h, late tickstorm.Histogram
	h.Observe(time.Hour)
	h.Observe(time.Millisecond)
	earlier := h
	require.Zero(t, h.Since(earlier).Count())
	for _, d := range []time.Duration{0, time.Millisecond, time.Second} {
		h.Observe(d)
		late.Observe(d)
	}
	fresh := h.Since(earlier)
	require.EqualValues(t, 3, fresh.Count())
	require.InDelta(t, 1.001, fresh.Sum(), 1e-9)
	require.Equal(t, late.Quantile(0.5), fresh.Quantile(0.5))
	require.Equal(t, time.Second, late.Quantile(1).Truncate(time.Second))
	require.Equal(t, late.Quantile(1), fresh.Quantile(1), "the hour was before")
	require.Equal(t, h, h.Since(tickstorm.Histogram{}))
	require.EqualValues(t, 5, h.Count(), "it is left as it is")
	other := earlier.Since(h) // of something else: nothing is less than none
	require.Zero(t, other.Count())
	require.Zero(t, other.Sum())
}

func TestHistogramCorners(t *testing.T) {
	var h tickstorm.Histogram
	require.Zero(t, h.Quantile(0.5))
	require.Zero(t, h.Mean())
	h.Observe(-time.Hour)
	require.EqualValues(t, 1, h.Count())
	require.Zero(t, h.Sum(), "negative ones count as zero")
	for range 100 {
		h.Observe(math.MaxInt64) // more than any integer holds
	}
	require.InEpsilon(t, 100*time.Duration(math.MaxInt64).Seconds(), h.Sum(), 1e-9)
	require.Positive(t, h.Mean())
	for _, q := range []float64{math.NaN(), math.Inf(-1), -1, 0} {
		require.EqualValues(t, 64, h.Quantile(q))
	}
	for _, q := range []float64{2, math.Inf(1)} {
		require.Equal(t, time.Duration(math.MaxInt64), h.Quantile(q))
	}
}

func TestHistogramJSON(t *testing.T) {
	var h tickstorm.Histogram
	text, err := json.Marshal(h)
	require.NoError(t, err)
	require.JSONEq(t, `{"Count":0,"Mean":0,"P50":0,"P90":0,"P99":0,"P999":0,"Max":0}`, string(text))
	for range 99 {
		h.Observe(1024)
	}
	h.Observe(2048)
	text, err = json.Marshal(h)
	require.NoError(t, err)
	require.JSONEq(t, `{"Count":100,"Mean":0.000001034,"P50":0.000001024,"P90":0.000001024,"P99":0.000001024,"P999":0.000002048,"Max":0.000002048}`, string(text))
}

func BenchmarkHistogramObserve(b *testing.B) {
	var h tickstorm.Histogram
	for i := range b.N {
		h.Observe(time.Duration(i) * 1000)
	}
}
