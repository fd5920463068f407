package sim_test

import (
	"fmt"
	"math"
	"math/bits"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// TestDistribution: of the symbols that are subscribed to, the k-th, the busiest first, has
// events in proportion to 1 / 2^floor(log2 k), whether they are subscribed to singly or are
// all that there are. Pearson's chi-square, with its mean and deviation for that many
// degrees of freedom: the seed is fixed, so the test is.
func TestDistribution(t *testing.T) {
	const most = 4 // deviations
	symbols := sim.Symbols(tickstorm.Stocks)
	check := func(t *testing.T, g *sim.Generator, n, events int) {
		counts := make(map[string]int, n)
		for range events {
			counts[g.Next(noon).Head().Symbol]++
		}
		weight := func(k int) float64 { return 1 / float64(uint(1)<<(bits.Len(uint(k))-1)) }
		var all float64
		for k := 1; k <= n; k++ {
			all += weight(k)
		}
		var chi2 float64
		for k := 1; k <= n; k++ {
			expected := float64(events) * weight(k) / all
			require.Greater(t, expected, 5.0, "too few events to tell")
			off := float64(counts[symbols[k-1]]) - expected
			chi2 += off * off / expected
		}
		require.Len(t, counts, n, "symbols that never come")
		freedom := float64(n - 1)
		require.LessOrEqual(t, chi2, freedom+most*math.Sqrt(2*freedom))
	}
	for _, n := range []int{1, 2, 3, 4, 5, 7, 8, 9, 10, 15, 16, 17, 20, 50, 1000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			g := sim.NewGenerator(tickstorm.Stocks, int64(n))
			for _, symbol := range symbols[:n] {
				require.True(t, g.Subscribe(tickstorm.Topic{Channel: "T", Symbol: symbol}))
			}
			check(t, g, n, 200_000)
		})
	}
	t.Run("all", func(t *testing.T) {
		g := sim.NewGenerator(tickstorm.Stocks, 1)
		require.True(t, g.Subscribe(tickstorm.Topic{Channel: "T", Symbol: tickstorm.All}))
		check(t, g, len(symbols), 1_000_000)
	})
}

// TestShares: channels that are subscribed to together have the shares of the table.
func TestShares(t *testing.T) {
	g := sim.NewGenerator(tickstorm.Stocks, 1)
	require.True(t, g.Subscribe(tickstorm.Topic{Channel: "T", Symbol: tickstorm.All}))
	require.True(t, g.Subscribe(tickstorm.Topic{Channel: "Q", Symbol: tickstorm.All}))
	trades := 0
	const events = 100_000
	for range events {
		if g.Next(noon).Kind() == tickstorm.KindTrade {
			trades++
		}
	}
	require.InDelta(t, 1800./9800, float64(trades)/events, 0.005)
}

// TestEveryTopicGetsEvents: whatever a market has, subscribed to by a few symbols, by one, or
// as a whole, alone or with all else, gets events, and no symbol is left out.
func TestEveryTopicGetsEvents(t *testing.T) {
	for _, m := range tickstorm.Markets() {
		symbols := sim.Symbols(m)
		some := []string{symbols[0], symbols[1], symbols[2], symbols[len(symbols)/2], symbols[len(symbols)-1]}
		await := func(t *testing.T, g *sim.Generator, step time.Duration, topics ...tickstorm.Topic) {
			t.Helper()
			missing := make(map[tickstorm.Topic]bool)
			for _, topic := range topics {
				require.True(t, g.Subscribe(topic), topic)
				missing[m.Canonical(topic)] = true
			}
			for now, end := noon, noon.Add(5*time.Minute); now.Before(end) && len(missing) > 0; now = now.Add(step) {
				if e := g.Next(now); e != nil {
					channel, err := m.Channel(e.Head().Stream)
					require.NoError(t, err)
					delete(missing, tickstorm.Topic{Channel: channel, Symbol: e.Head().Symbol})
				}
			}
			require.Empty(t, missing)
		}
		var every []tickstorm.Topic
		for _, stream := range m.Streams() {
			channel, err := m.Channel(stream)
			require.NoError(t, err)
			var topics []tickstorm.Topic
			for _, symbol := range some {
				topics = append(topics, tickstorm.Topic{Channel: channel, Symbol: symbol})
			}
			every = append(every, topics...)
			name := string(m) + "." + channel
			t.Run(name+", one symbol", func(t *testing.T) {
				await(t, sim.NewGenerator(m, 1), 100*time.Millisecond, topics[4])
			})
			t.Run(name+", some symbols", func(t *testing.T) {
				await(t, sim.NewGenerator(m, 1), 100*time.Millisecond, topics...)
			})
			t.Run(name+".*", func(t *testing.T) {
				g := sim.NewGenerator(m, 1)
				require.True(t, g.Subscribe(tickstorm.Topic{Channel: channel, Symbol: tickstorm.All}))
				missing := make(map[string]bool, len(symbols))
				for _, symbol := range symbols {
					missing[m.Canonical(tickstorm.Topic{Channel: channel, Symbol: symbol}).Symbol] = true
				}
				now := noon
				for n := 0; len(missing) > 0 && n < 20_000_000; n++ {
					if e := g.Next(now); e != nil {
						delete(missing, e.Head().Symbol)
					}
					now = now.Add(40 * time.Microsecond)
				}
				require.Empty(t, missing)
			})
		}
		t.Run(string(m)+", all of some symbols", func(t *testing.T) {
			await(t, sim.NewGenerator(m, 1), 2*time.Millisecond, every...)
		})
	}
}
