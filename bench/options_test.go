package bench_test

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/bench"
)

func TestContracts(t *testing.T) {
	form := regexp.MustCompile(`^O:([A-Z]{1,6})(\d{6})[CP]\d{8}$`)
	seen := make(map[string]bool, bench.Contracts)
	roots := make(map[int]int) // by their length
	for i := range bench.Contracts {
		c := bench.Contract(i)
		if i%97 == 0 {
			parts := form.FindStringSubmatch(c)
			require.NotNil(t, parts, c)
			_, err := time.Parse("060102", parts[2])
			require.NoError(t, err, c)
			roots[len(parts[1])]++
		}
		seen[c] = true
	}
	require.Len(t, seen, bench.Contracts, "all are different")
	for length := 1; length <= 6; length++ {
		require.NotZero(t, roots[length], "roots of %d letters", length)
	}
	require.Greater(t, roots[3]+roots[4], roots[1]+roots[2]+roots[5]+roots[6], "three or four letters mostly")
}

// TestOptionsDay: what is hot on a day is near the money of few underlyings, and the rest of the
// market comes too.
func TestOptionsDay(t *testing.T) {
	form := regexp.MustCompile(`^O:([A-Z]{1,6})(\d{6})[CP](\d{8})$`)
	for _, c := range []struct{ n, hot, underlyings int }{
		{1_000, 5, 1}, {100_000, 500, 13}, {bench.Contracts, 2_000, 50},
	} {
		t.Run(strconv.Itoa(c.n), func(t *testing.T) {
			const events = 200_000
			corpus, err := bench.Options("T", c.n, "day", events)
			require.NoError(t, err)
			h := &counting{of: map[string]int{}}
			p := tickstorm.NewParser(corpus.Market)
			for _, m := range corpus.Messages {
				require.NoError(t, p.Parse(m, h))
			}
			symbols := slices.SortedFunc(maps.Keys(h.of), func(a, b string) int {
				return cmp.Or(h.of[b]-h.of[a], cmp.Compare(a, b))
			})
			underlyings, expirations, strikes, sum := map[string]bool{}, map[string]bool{}, map[string]bool{}, 0
			for _, symbol := range symbols[:c.hot] {
				parts := form.FindStringSubmatch(symbol)
				require.NotNil(t, parts, symbol)
				underlyings[parts[1]] = true
				expirations[parts[1]+parts[2]] = true
				strikes[parts[1]+parts[3]] = true
				sum += h.of[symbol]
			}
			require.InDelta(t, 0.9*events, sum, 0.02*events, "what the hot ones have")
			// A contract that comes by the tenth alone may have pushed out the last of the hot.
			require.InDelta(t, c.underlyings, len(underlyings), 2)
			require.LessOrEqual(t, len(expirations), 2*len(underlyings))
			require.LessOrEqual(t, len(strikes), 10*len(underlyings))
			require.Greater(t, len(symbols), min(c.n, events/10)*8/10, "the rest comes too")
		})
	}
}

// counting counts events by symbol.
type counting struct {
	tickstorm.NopHandler
	of    map[string]int
	total int
}

func (c *counting) OnTrade(t *tickstorm.Trade) { c.of[t.Symbol]++; c.total++ }
func (c *counting) OnQuote(q *tickstorm.Quote) { c.of[q.Symbol]++; c.total++ }

func TestOptions(t *testing.T) {
	const n, events = 100_000, 200_000
	for _, tc := range []struct {
		distribution  string
		symbols, most [2]int     // how many different ones come, and how often the first of them
		hundred       [2]float64 // the share of the hundred that come most
	}{
		{"uniform", [2]int{80_000, 90_000}, [2]int{5, 20}, [2]float64{0, 0.01}},
		{"zipf", [2]int{30_000, 60_000}, [2]int{9_000, 15_000}, [2]float64{0.35, 0.45}},
		{"day", [2]int{15_000, 25_000}, [2]int{17_000, 24_000}, [2]float64{0.6, 0.75}},
	} {
		t.Run(tc.distribution, func(t *testing.T) {
			c, err := bench.Options("T", n, tc.distribution, events)
			require.NoError(t, err)
			require.Equal(t, events, c.Events)
			p := tickstorm.NewParser(c.Market)
			h := &counting{of: map[string]int{}}
			for _, m := range c.Messages {
				require.NoError(t, p.Parse(m, h))
			}
			require.Equal(t, events, h.total)
			require.Equal(t, uint64(events), p.Stats().Fast)
			counts := make([]int, 0, len(h.of))
			for _, n := range h.of {
				counts = append(counts, n)
			}
			slices.SortFunc(counts, func(a, b int) int { return b - a })
			between := func(what string, x float64, low, high float64) {
				require.GreaterOrEqual(t, x, low, what)
				require.LessOrEqual(t, x, high, what)
			}
			between("symbols", float64(len(counts)), float64(tc.symbols[0]), float64(tc.symbols[1]))
			between("most", float64(counts[0]), float64(tc.most[0]), float64(tc.most[1]))
			sum := 0
			for _, n := range counts[:100] {
				sum += n
			}
			between("the first hundred", float64(sum)/events, tc.hundred[0], tc.hundred[1])

			again, err := bench.Options("T", n, tc.distribution, 1000)
			require.NoError(t, err)
			require.Equal(t, c.Messages[:50], again.Messages)
		})
	}
	c, err := bench.Options("Q", 10, "uniform", 40)
	require.NoError(t, err)
	h := &counting{of: map[string]int{}}
	for _, m := range c.Messages {
		require.NoError(t, tickstorm.NewParser(c.Market).Parse(m, h))
	}
	require.Equal(t, 40, h.total)
	for _, wrong := range []func() (*bench.Corpus, error){
		func() (*bench.Corpus, error) { return bench.Options("T", 0, "uniform", 1) },
		func() (*bench.Corpus, error) { return bench.Options("T", bench.Contracts+1, "uniform", 1) },
		func() (*bench.Corpus, error) { return bench.Options("T", 1, "even", 1) },
		func() (*bench.Corpus, error) { return bench.Options("A", 1, "uniform", 1) },
		func() (*bench.Corpus, error) { return bench.Options("T", 1, "uniform", -1) },
	} {
		_, err := wrong()
		require.Error(t, err)
	}
}
