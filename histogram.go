package tickstorm

import (
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// A histogram's buckets: the first holds what is at most 64 ns, the last what is more than
// 2^46 ns, and each doubling between them has four of equal width.
const (
	firstOctave = 6
	lastOctave  = 46
	buckets     = 4*(lastOctave-firstOctave) + 2
)

// Histogram counts durations in logarithmic buckets, from 64 ns to 2^46 ns, which is 19.5
// hours. It is a plain value of 1.3 KB: copying it takes a snapshot, Merge adds another one
// to it, Since takes an earlier one off, nothing allocates, and the zero Histogram is empty. One that is written to
// belongs to one goroutine.
//
// A bucket is a quarter of its lower bound wide at most, so a quantile is never less than
// the true one and at most 25 % more.
type Histogram struct {
	counts [buckets]uint64
	sum    float64 // in nanoseconds: in an integer a delayed feed's lag overflows within days
}

// bucketOf returns the bucket of a duration: bounds belong to the bucket that they end.
func bucketOf(d time.Duration) int {
	if d <= 1<<firstOctave {
		return 0
	}
	v := uint64(d - 1)
	octave := bits.Len64(v) - 1
	if octave >= lastOctave {
		return buckets - 1
	}
	return 4*(octave-firstOctave) + int(v>>(octave-2)&3) + 1
}

// upperBound returns the longest duration that a bucket holds.
func upperBound(i int) time.Duration {
	if i == buckets-1 {
		return math.MaxInt64
	}
	octave, quarter := i/4, i%4
	return time.Duration(4+quarter) << (octave + firstOctave - 2)
}

// Observe counts a duration; a negative one counts as zero.
func (h *Histogram) Observe(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(d)]++
	h.sum += float64(d)
}

// Merge adds what another histogram has counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.sum += other.sum
}

// Since returns what it has counted after an earlier copy of itself was taken: with copies taken
// each minute, the durations of a minute.
func (h Histogram) Since(earlier Histogram) Histogram {
	for i, n := range earlier.counts {
		h.counts[i] -= min(n, h.counts[i])
	}
	h.sum = max(0, h.sum-earlier.sum)
	return h
}

// Count returns how many durations were counted.
func (h Histogram) Count() uint64 {
	var n uint64
	for _, c := range h.counts {
		n += c
	}
	return n
}

// Sum returns the sum of all durations in seconds. It is a float64 because it may be
// longer than a [time.Duration].
func (h Histogram) Sum() float64 { return h.sum / 1e9 }

// Mean returns the mean duration, 0 if there is none.
func (h Histogram) Mean() time.Duration {
	n := h.Count()
	if n == 0 {
		return 0
	}
	return time.Duration(min(h.sum/float64(n), math.MaxInt64/2))
}

// Quantile returns the least bound below which the share q of all durations lies: 0.5 is
// the median, 0 the bound of the shortest, 1 that of the longest; a q out of range is
// taken as the nearest of these. It is 0 if there is none, and the longest Duration if the
// answer is beyond the last bound.
func (h Histogram) Quantile(q float64) time.Duration {
	total := h.Count()
	if total == 0 {
		return 0
	}
	rank := uint64(1) // the first duration; also for a q that is no number
	if q > 0 {
		rank = max(1, uint64(math.Ceil(min(q, 1)*float64(total))))
	}
	var n uint64
	for i, c := range h.counts {
		if n += c; n >= rank {
			return upperBound(i)
		}
	}
	return upperBound(buckets - 1) // float64 rounds totals beyond 2^53 up
}

// Buckets yields the upper bound of each bucket, which belongs to it, and how many
// durations are in this bucket alone, empty ones included: the bounds are always the same
// 162. The last one is the longest Duration.
func (h Histogram) Buckets() iter.Seq2[time.Duration, uint64] {
	return func(yield func(time.Duration, uint64) bool) {
		for i, n := range h.counts {
			if !yield(upperBound(i), n) {
				return
			}
		}
	}
}

// String gives the count, the mean and quantiles; "none" if there is no duration.
func (h Histogram) String() string {
	if h.Count() == 0 {
		return "none"
	}
	return fmt.Sprintf("%d, mean %v, p50 %v, p90 %v, p99 %v, p999 %v, max %v",
		h.Count(), h.Mean(), h.Quantile(.5), h.Quantile(.9), h.Quantile(.99), h.Quantile(.999), h.Quantile(1))
}

// MarshalJSON returns count, mean and quantiles, in seconds:
// {"Count":3,"Mean":0.002,"P50":0.002,"P90":0.003,"P99":0.003,"P999":0.003,"Max":0.003}.
// The buckets are not in it.
func (h Histogram) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Count                          uint64
		Mean, P50, P90, P99, P999, Max float64
	}{
		h.Count(), h.Mean().Seconds(), h.Quantile(.5).Seconds(), h.Quantile(.9).Seconds(),
		h.Quantile(.99).Seconds(), h.Quantile(.999).Seconds(), h.Quantile(1).Seconds(),
	})
}

// liveHistogram is a Histogram that one goroutine writes to while others read it: they do
// the work of a snapshot, and the writer none.
type liveHistogram struct {
	counts [buckets]atomic.Uint64
	sum    atomic.Uint64 // a float64's bits
}

func (h *liveHistogram) observe(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(d)].Add(1)
	h.sum.Store(math.Float64bits(math.Float64frombits(h.sum.Load()) + float64(d)))
}

func (h *liveHistogram) snapshot(to *Histogram) {
	for i := range h.counts {
		to.counts[i] = h.counts[i].Load()
	}
	to.sum = math.Float64frombits(h.sum.Load())
}
