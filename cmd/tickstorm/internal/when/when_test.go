package when

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	zone, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	now := time.Date(2026, 11, 25, 15, 4, 5, 6, time.UTC)
	// Half past midnight in Greenwich is the day before in New York.
	r := Reference{Now: now, Day: time.Date(2026, 11, 25, 0, 30, 0, 0, time.UTC), Zone: zone}
	for s, want := range map[string]time.Time{
		"now":                         now,
		"-10m":                        now.Add(-10 * time.Minute),
		"-1h30m":                      now.Add(-90 * time.Minute),
		"-2d":                         now.Add(-48 * time.Hour),
		"-1d12h":                      now.Add(-36 * time.Hour),
		"+5s":                         now.Add(5 * time.Second),
		"09:30":                       time.Date(2026, 11, 24, 14, 30, 0, 0, time.UTC),
		"09:30:15.25":                 time.Date(2026, 11, 24, 14, 30, 15, 250e6, time.UTC),
		"2026-11-25":                  time.Date(2026, 11, 25, 5, 0, 0, 0, time.UTC),
		"2026-07-01 09:30":            time.Date(2026, 7, 1, 13, 30, 0, 0, time.UTC),
		"2026-11-25T09:30":            time.Date(2026, 11, 25, 14, 30, 0, 0, time.UTC),
		"2026-11-25T09:30:01.5":       time.Date(2026, 11, 25, 14, 30, 1, 5e8, time.UTC),
		"2026-11-25T09:30:00Z":        time.Date(2026, 11, 25, 9, 30, 0, 0, time.UTC),
		"2026-11-25 09:30:00.1+01:00": time.Date(2026, 11, 25, 8, 30, 0, 1e8, time.UTC),
		"1764081000123456789":         time.Unix(0, 1764081000123456789),
	} {
		got, err := Parse(s, r)
		require.NoError(t, err, s)
		require.True(t, want.Equal(got), "%s is %v, not %v", s, want, got)
	}
	for _, bad := range []string{
		"", " ", "-", "+", "-10", "-d", "-1d-2h", "--1d", "-99999999999999999999d", "10m", "25:00", "09:61", "1764081000", "1764081000123",
		"yesterday", "2026-13-01", "2026-11-25T09:30:00 EST", "9223372036854775808",
	} {
		_, err := Parse(bad, r)
		require.ErrorIs(t, err, ErrForm, "%q", bad)
	}
}
