package sim

import (
	"math/bits"
	"math/rand/v2"

	"github.com/tickstorm/tickstorm"
)

// Everything random is made of integers: Go may fuse floating-point operations on
// some architectures, and a market has to be the same on all of them.

// random is a stream of random numbers, the same for the same seed for ever.
type random struct{ pcg rand.PCG }

func newRandom(seed int64, m tickstorm.Market, purpose uint64) *random {
	h := uint64(14695981039346656037) // FNV-1a
	for i := range len(m) {
		h = (h ^ uint64(m[i])) * 1099511628211
	}
	r := new(random)
	r.pcg.Seed(scramble(uint64(seed)), scramble(h+purpose))
	return r
}

func (r *random) next() uint64 { return r.pcg.Uint64() }

// scramble is the finalizer of SplitMix64: it makes of a counter or an index a number
// whose bits look random.
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// below makes of 32 random bits a number in [0, n).
func below(r uint32, n int) int { return int(uint64(r) * uint64(n) >> 32) }

// zipf makes of 32 random bits a rank in [0, n), the lower the likelier: each doubling
// of the rank, counted from 1, has the same share, and its ranks have equal parts of it;
// a last doubling that is cut short has the share of the ranks that it has. So the rank
// k, counted from 1, has a probability in proportion to 1 / 2^floor(log2 k): Zipf's law
// with exponent 1, in steps. Beyond 2^16 ranks not every one comes.
func zipf(r uint32, n int) int {
	const one = 16 // bits of the fraction of a doubling
	// The ranks 1 to n are the doublings from 1 to n+1.
	octaves := bits.Len(uint(n)+1) - 1
	span := octaves<<one + int((uint64(n)+1-1<<octaves)<<one>>octaves)
	x := below(r, span)
	octave, fraction := x>>one, uint64(x&(1<<one-1))
	return int(1<<octave + fraction<<octave>>one - 1)
}
