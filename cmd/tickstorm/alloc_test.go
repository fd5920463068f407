//go:build !race

package main

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/where"
	"github.com/tickstorm/tickstorm/sim"
)

// TestAllocations: nothing is allocated for an event that is passed on as it came.
func TestAllocations(t *testing.T) {
	messages, err := sim.Corpus("stocks20", 2000, 1)
	require.NoError(t, err)
	filter, err := where.Parse("sym=AAPL,MSFT")
	require.NoError(t, err)
	patterns, err := where.Parse("sym~A*,?B*")
	require.NoError(t, err)
	for name, s := range map[string]*splitting{
		"json": {}, "raw": {whole: true}, "received": {timed: true}, "where": {printer: &printer{filter: filter}}, "patterns": {printer: &printer{filter: patterns}}, "report": {printer: &printer{report: newReport()}},
	} {
		t.Run(name, func(t *testing.T) {
			if s.printer == nil {
				s.printer = &printer{}
			}
			s.split, s.out = tickstorm.NewSplitter(tickstorm.Stocks), newOutput(io.Discard, false)
			defer func() { require.NoError(t, s.out.close(t.Context())) }()
			all := func() {
				for _, msg := range messages {
					s.OnRaw(msg, 1)
				}
			}
			all() // it has seen all symbols
			require.Zero(t, testing.AllocsPerRun(100, all), "the runtime's own for a thread or two are less than one a run")
			require.NotZero(t, s.lines)
		})
	}
}
