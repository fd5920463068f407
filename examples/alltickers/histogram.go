package main

import (
	"math/bits"
	"time"
)

// histogram counts microseconds in buckets of which each power of two has 16, so that
// a quantile is right to within 6 %.
type histogram struct {
	buckets [64 * 16]uint64
	count   uint64
}

const subBits = 4

func (h *histogram) add(micros int64) {
	h.buckets[bucketOf(uint64(micros))]++
	h.count++
}

// bucketOf numbers the buckets: values below 16 have one each, others are known by
// their highest bit and the four that follow it.
func bucketOf(v uint64) int {
	shift := max(0, bits.Len64(v)-subBits-1)
	return shift<<subBits + int(v>>shift)
}

// quantile returns the upper bound of the bucket that holds the quantile.
func (h *histogram) quantile(q float64) time.Duration {
	rank := uint64(q * float64(h.count))
	var seen uint64
	for i, n := range h.buckets {
		seen += n
		if seen > rank {
			return time.Duration(upper(i)) * time.Microsecond
		}
	}
	return 0
}

func upper(bucket int) uint64 {
	if bucket < 2<<subBits {
		return uint64(bucket)
	}
	shift := bucket>>subBits - 1
	return uint64(bucket-shift<<subBits+1)<<shift - 1
}
