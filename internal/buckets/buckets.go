// Package buckets has histograms in the form of Prometheus: with buckets that hold those below them,
// one a doubling of those that tickstorm has, for a series for every quarter of each would be many.
package buckets

import (
	"iter"

	"github.com/tickstorm/tickstorm"
)

// The bounds are from a microsecond to 18 minutes, which is more than the delayed feeds are late.
const (
	first = 1 << 10 // nanoseconds
	last  = 1 << 40
)

// Cumulative yields the upper bound of each bucket in seconds, and how many durations are at most as long.
func Cumulative(h *tickstorm.Histogram) iter.Seq2[float64, uint64] {
	return func(yield func(float64, uint64) bool) {
		within := uint64(0)
		for bound, n := range h.Buckets() {
			within += n
			if bound >= first && bound <= last && bound&(bound-1) == 0 && !yield(bound.Seconds(), within) {
				return
			}
		}
	}
}
