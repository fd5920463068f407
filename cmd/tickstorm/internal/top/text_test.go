package top

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestShort: durations have seven letters at most, and no two of them the same for what is far apart.
func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-1: "0", 0: "0", 999: "0", 1500: "1µs", time.Millisecond: "1.0ms", 9949 * time.Microsecond: "9.9ms", 9950 * time.Microsecond: "10ms",
		999 * time.Millisecond: "999ms", 999500 * time.Microsecond: "1.0s", 9949 * time.Millisecond: "9.9s", 9950 * time.Millisecond: "9s", 59999 * time.Millisecond: "59s",
		time.Minute: "1m00s", 3599 * time.Second: "59m59s", time.Hour: "1h00m", 26 * time.Hour: "1d02h", math.MaxInt64: "ages",
	} {
		require.Equal(t, want, Short(d), "%d", d)
	}
	require.Equal(t, "-", known(nil))
	require.Equal(t, "1.5s", known(new(1.5)))
	require.NotPanics(t, func() { seconds(math.Inf(1)) })
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 3: "3", 7.25: "7.2", 9.96: "10", 812.4: "812", 9999.4: "9999", 9999.5: "10.0k", 12034: "12.0k", 123456: "123k", 999499: "999k", 999500: "1.00M",
		1.234e6: "1.23M", 5e9: "5.00G", 7e12: "7.0T",
	} {
		require.Equal(t, want, number(v), "%v", v)
	}
	require.Equal(t, "1.93", megabytes(1.93e6))
	require.Equal(t, "167", megabytes(167.4e6))
	require.Equal(t, "-", price(0))
	require.Equal(t, "0.00000012", price(1.2e-7))
	require.Equal(t, "282.9", price(282.9))
}

func TestExact(t *testing.T) {
	for _, c := range []struct {
		v       float64
		letters int
		want    string
	}{
		{356.3046412, 8, "356.3046"}, {356.3046412, 12, "356.3046412"}, {99.99999, 6, "100.00"}, {9.96, 3, "10"}, {92965.38, 8, "92965.38"},
		{123456.7, 6, "123457"}, {1234567890, 8, "1234567890"}, {0.00000012, 8, "0.000000"}, {-1.23456789, 8, "-1.23457"},
	} {
		require.Equal(t, c.want, exact(c.v, c.letters), "%v", c.v)
	}
}

// TestClean: what somebody else has written moves no cursor and rings no bell.
func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"A": "A", "日本": "日本", "a\tb\n": "a b ", "\x1b[31mred": "\uFFFD[31mred", "bell\a": "bell\uFFFD", "\u202eback": "\uFFFDback", "\x9b31m": "\uFFFD31m",
	} {
		require.Equal(t, want, clean(text), "%q", text)
	}
}

func TestInASCII(t *testing.T) {
	for text, want := range map[string]string{"plain": "plain", "1µs…": "1us~", "日本株 a": "?????? a", "\x1b[1m\uFFFD\x1b[m": "\x1b[1m?\x1b[m", "e\u0301": "e"} {
		require.Equal(t, want, inASCII(text), "%q", text)
		require.Equal(t, width(text), width(inASCII(text)), "%q", text)
	}
}

func TestSpark(t *testing.T) {
	require.Equal(t, "  ▁▅█", spark([]float64{0, 5, 10}, 5, blocks))
	require.Equal(t, "▅█", spark([]float64{0, 5, 10}, 2, blocks))
	require.Equal(t, "  ", spark(nil, 2, blocks))
	require.Equal(t, "▁▁", spark([]float64{0, 0}, 2, blocks))
	require.Equal(t, " █", spark([]float64{-1, 3}, 2, blocks))
	require.Equal(t, "_@", spark([]float64{0, 3}, 2, ascii))
	require.Empty(t, spark([]float64{1}, 0, blocks))
}

func TestFilter(t *testing.T) {
	for _, c := range []struct {
		pattern, symbol string
		want            bool
	}{
		{"", "A", true}, {"aa", "XAAPL", true}, {"b", "A", false}, {"AA*", "AAPL", true}, {"AA*", "XAAPL", false}, {"*PL", "AAPL", true}, {"*P", "AAPL", false},
		{"E*R", "EUR/USD", false}, {"e*/u*d", "EUR/USD", true}, {"*", "", true}, {"A*A", "A", false}, {"A**A", "ABA", true}, {"[", "A[", true},
	} {
		require.Equal(t, c.want, NewFilter(c.pattern).Match(c.symbol), "%q %q", c.pattern, c.symbol)
	}
	require.True(t, NewFilter(" ").Zero())
}

// TestCells: whatever is drawn into so many cells takes as many.
func TestCells(t *testing.T) {
	for _, text := range []string{"", "a", "abcdefgh", "日本株式市場", "a日b本c"} {
		for cells := range 9 {
			require.Equal(t, cells, width(left(text, cells)), "%q %d", text, cells)
			require.Equal(t, cells, width(right(text, cells)), "%q %d", text, cells)
			require.LessOrEqual(t, width(ends(text, "日", cells)), cells, "%q %d", text, cells)
		}
	}
}
