package sink

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/record"
)

// TestEarliest: of segments that may go on, reading begins in that which the reader has first: of one
// day's that of the lowest number, also where the clock was put back.
func TestEarliest(t *testing.T) {
	for _, c := range []struct{ name, first, second string }{
		{"time", "stocks-20261125T143000.000Z-000007", "stocks-20261125T153000.000Z-000008"},
		{"a clock put back", "stocks-20261125T143000.000Z-000007", "stocks-20261125T133000.000Z-000008"},
		{"another day begins anew", "stocks-20261125T143000.000Z-000007", "stocks-20261126T000000.000Z-000001"},
		{"seven digits", "stocks-20261125T143000.000Z-999999", "stocks-20261125T133000.000Z-1000000"},
		{"a market with a dash", "futures-cme-20261125T143000.000Z-000007", "futures-cme-20261125T133000.000Z-000008"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := position{Cursor: record.Cursor{Segment: c.first}}, position{Cursor: record.Cursor{Segment: c.second}}
			other := position{Cursor: record.Cursor{Segment: "crypto-20200101T000000.000Z-000001"}}
			want := []record.Cursor{other.Cursor, a.Cursor}
			require.Equal(t, want, positions{other, a, b}.earliest())
			require.Equal(t, want, positions{other, b, a}.earliest())
		})
	}
}
