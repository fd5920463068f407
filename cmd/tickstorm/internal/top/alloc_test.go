//go:build !race && !tickstorm_poison

package top_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sim"
)

// TestTallyAllocs: once the symbols are known, counting takes no memory.
func TestTallyAllocs(t *testing.T) {
	messages, err := sim.Corpus("stocks20", 5000, 1)
	require.NoError(t, err)
	b := newBooks(tickstorm.Stocks)
	all := func() {
		for _, msg := range messages {
			if err := b.parser.Parse(msg, b.Tally); err != nil {
				panic(err)
			}
			b.Tally.OnMessageEnd()
		}
	}
	all()
	b.Meter.Watch(1)
	require.Zero(t, testing.AllocsPerRun(30, all))
}
