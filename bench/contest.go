package bench

import "slices"

// Contest compares ways of doing the same, side by side: they take turns every few
// milliseconds, the first to go changing, so that what slows the machine down for a
// while slows all of them. A ratio is then made of every round and the median of
// the ratios taken, which a round that was disturbed does not move.
type Contest struct {
	// Sides do a piece of work each, the same for all in the same round, and return
	// how fast it went, in whatever unit.
	Sides []func(round int) (rate float64, err error)

	rates [][]float64 // by round and side
}

// ContestRounds is the least number of rounds of which to believe a median.
const ContestRounds = 9

// Round has every side work once.
func (c *Contest) Round() error {
	round := len(c.rates)
	rates := make([]float64, len(c.Sides))
	for i := range c.Sides {
		side := (round + i) % len(c.Sides)
		rate, err := c.Sides[side](round)
		if err != nil {
			return err
		}
		rates[side] = rate
	}
	c.rates = append(c.rates, rates)
	return nil
}

// Rounds returns how many rounds there have been.
func (c *Contest) Rounds() int { return len(c.rates) }

// Rate returns the median of a side's rates.
func (c *Contest) Rate(side int) float64 {
	return c.median(func(rates []float64) float64 { return rates[side] })
}

// Ratio returns how much faster one side is than another: the median of the ratios of
// all rounds.
func (c *Contest) Ratio(side, other int) float64 {
	return c.median(func(rates []float64) float64 { return rates[side] / rates[other] })
}

func (c *Contest) median(of func(rates []float64) float64) float64 {
	if len(c.rates) == 0 {
		return 0
	}
	values := make([]float64, len(c.rates))
	for i, rates := range c.rates {
		values[i] = of(rates)
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
