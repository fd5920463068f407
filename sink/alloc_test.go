//go:build !race && !tickstorm_poison

package sink

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sink/internal/counts"
)

// TestFillAlloc: once a symbol is known, its elements cost no allocation until the engine has them.
// Poison builds lend copies, which are allocated.
func TestFillAlloc(t *testing.T) {
	cfg, err := Config{}.withDefaults()
	require.NoError(t, err)
	live := NewLive(tickstorm.Stocks, 0)
	f := newFiller(&cfg, live, new(counts.Of[Stats]))
	e := &record.Entry{Market: tickstorm.Stocks, Segment: live.segment, Raw: []byte(`[{"ev":"T","sym":"AAPL","p":1},{"ev":"Q","sym":"MSFT","bp":1}]`)}
	fill := func() {
		for range 100 {
			e.Sequence++
			if f.entry(t.Context(), e) != nil {
				panic("failed")
			}
		}
		f.cur.reset(cfg.MaxBytes)
	}
	fill()
	require.Zero(t, testing.AllocsPerRun(100, fill))
}

// TestLaneAlloc: nor do they on their way to the handler.
func TestLaneAlloc(t *testing.T) {
	lane := NewLane(tickstorm.Stocks, tickstorm.NopHandler{}, nil, Marks{})
	row := Row{ID: ID{Cursor: record.Cursor{Segment: "stocks-20261125T143000.000Z-000001"}}, Received: 1 << 60}
	var stamps []string
	for range 1000 {
		row.ID.Sequence++
		stamps = append(stamps, string(row.AppendStamp(nil)))
	}
	raw := []byte(`{"ev":"T","sym":"AAPL","p":1,"q":7}`)
	n := 0
	require.Zero(t, testing.AllocsPerRun(len(stamps)-1, func() {
		if lane.Event(stamps[n], raw) != nil {
			panic("failed")
		}
		n++
	}))
	require.EqualValues(t, len(stamps), lane.Stats().Rows)
}
