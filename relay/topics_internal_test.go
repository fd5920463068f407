package relay

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLeast: the first of a list are the first of it sorted.
func TestLeast(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		list := make([]int, random.IntN(40))
		for i := range list {
			list[i] = random.IntN(30)
		}
		n := random.IntN(50)
		got := least(slices.Values(list), n, cmp.Compare[int])
		slices.Sort(list)
		require.True(t, slices.Equal(list[:min(n, len(list))], got), "the first %d of %v are not %v", n, list, got)
	}
}
