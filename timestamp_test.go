package tickstorm_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

func TestTimestamp(t *testing.T) {
	tests := []struct {
		name  string
		ts    tickstorm.Timestamp
		nanos int64
		time  time.Time
	}{
		{"zero", 0, 0, time.Unix(0, 0)},
		{"milliseconds", 1786000000123, 1786000000123000000, time.Unix(1786000000, 123000000)},
		{"microseconds", 1786000000123456, 1786000000123456000, time.Unix(1786000000, 123456000)},
		{"nanoseconds", 1786000000123456789, 1786000000123456789, time.Unix(1786000000, 123456789)},
		{"one millisecond", 1, 1000000, time.Unix(0, 1000000)},
		{"before 1970", -1500, -1500000000, time.Unix(-2, 500000000)},
		{"before 1970 in microseconds", -1786000000123456, -1786000000123456000, time.Unix(-1786000001, 876544000)},
		{"before 1970 in nanoseconds", -1786000000123456789, -1786000000123456789, time.Unix(-1786000001, 876543211)},
		{"last millisecond that nanoseconds can name", 9223372036854, 9223372036854000000, time.Unix(9223372036, 854000000)},
		{"a millisecond later", 9223372036855, math.MaxInt64, time.Unix(9223372036, 855000000)},
		{"last of the milliseconds", 99999999999999, math.MaxInt64, time.Unix(99999999999, 999000000)},
		{"first of the microseconds", 100000000000000, 100000000000000000, time.Unix(100000000, 0)},
		{"last of the microseconds", 99999999999999999, math.MaxInt64, time.Unix(99999999999, 999999000)},
		{"first of the nanoseconds", 100000000000000000, 100000000000000000, time.Unix(100000000, 0)},
		{"greatest", math.MaxInt64, math.MaxInt64, time.Unix(9223372036, 854775807)},
		{"least", math.MinInt64, math.MinInt64, time.Unix(-9223372037, 145224192)},
		{"far below in milliseconds", -99999999999999, -math.MaxInt64, time.Unix(-100000000000, 1000000)},
		{"far below in microseconds", -99999999999999999, -math.MaxInt64, time.Unix(-100000000000, 1000)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.nanos, tt.ts.Nanoseconds())
			require.True(t, tt.time.Equal(tt.ts.Time()), "%v, not %v", tt.ts.Time().UTC(), tt.time.UTC())
			require.Equal(t, time.Local, tt.ts.Time().Location())
		})
	}
}

func TestReceivedTime(t *testing.T) {
	h := tickstorm.Header{Received: 1786000000123456789}
	require.True(t, time.Unix(1786000000, 123456789).Equal(h.ReceivedTime()))
	require.Same(t, &h, h.Head())
}

func TestFields(t *testing.T) {
	const f = tickstorm.TradePrice | tickstorm.TradeSize
	tests := []struct {
		name     string
		g        tickstorm.Fields
		any, all bool
	}{
		{"none", 0, false, true},
		{"one of them", tickstorm.TradePrice, true, true},
		{"both", f, true, true},
		{"one and another", tickstorm.TradePrice | tickstorm.TradeID, true, false},
		{"both and another", f | tickstorm.TradeID, true, false},
		{"another", tickstorm.TradeID, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.any, f.Any(tt.g))
			require.Equal(t, tt.all, f.All(tt.g))
		})
	}
	require.False(t, tickstorm.Fields(0).Any(f))
	require.False(t, tickstorm.Fields(0).All(f))
}

func TestKinds(t *testing.T) {
	names := map[tickstorm.Kind]string{
		tickstorm.KindUnknown: "unknown", tickstorm.KindTrade: "trade", tickstorm.KindQuote: "quote", tickstorm.KindAggregate: "aggregate",
		tickstorm.KindBook: "book", tickstorm.KindLULD: "luld", tickstorm.KindImbalance: "imbalance", tickstorm.KindValue: "value",
		tickstorm.KindStatus: "status",
	}
	require.Len(t, names, tickstorm.Kinds)
	for k, name := range names {
		require.Equal(t, name, k.String())
		require.Less(t, int(k), tickstorm.Kinds)
	}
	require.Equal(t, "unknown", tickstorm.Kind(tickstorm.Kinds).String())
	require.Equal(t, "unknown", tickstorm.Kind(255).String())
}
