package bench_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/bench"
)

func TestContest(t *testing.T) {
	machine := []float64{1, 5, 2, 9} // how fast it is in each round
	var order []int
	side := func(i int, speed float64) func(int) (float64, error) {
		return func(round int) (float64, error) {
			order = append(order, i)
			rate := speed * machine[round]
			if round == 3 && i == 0 { // disturbed
				rate = 0.001
			}
			return rate, nil
		}
	}
	c := &bench.Contest{Sides: []func(int) (float64, error){side(0, 10), side(1, 2)}}
	for range machine {
		require.NoError(t, c.Round())
	}
	require.Equal(t, []int{0, 1, 1, 0, 0, 1, 1, 0}, order)
	require.Equal(t, 4, c.Rounds())
	require.Equal(t, 5.0, c.Ratio(0, 1))
	require.Equal(t, 7.0, c.Rate(1)) // of 2, 10, 4, 18

	broken := errors.New("broken")
	c.Sides = append(c.Sides, func(int) (float64, error) { return 0, broken })
	machine = append(machine, 1)
	require.ErrorIs(t, c.Round(), broken)
	require.Equal(t, 4, c.Rounds())
	require.Zero(t, (&bench.Contest{}).Rate(0))
}
