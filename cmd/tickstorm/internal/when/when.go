// Package when reads moments as people write them on a command line.
package when

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Form says in a line how a moment is written, for help texts.
const Form = "-10m (before the end, or now), 09:30 (in the exchange's zone, see --tz), 2026-11-25T09:30:00-05:00, 2026-11-25 09:30 or nanoseconds since 1970"

// ErrForm: a text is no moment.
var ErrForm = errors.New("not a time")

// Reference is what a text leaves out.
type Reference struct {
	// Now is what -10m is before.
	Now time.Time
	// Day is a moment of the day that 09:30 is on.
	Day time.Time
	// Zone is where 09:30 is read off a clock.
	Zone *time.Location
}

// Layouts of dates without a zone, which are in that of the reference.
var dates = []string{
	"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02",
}

// Layouts of clocks.
var clocks = []string{"15:04:05", "15:04"}

// leastNanos is the year 2001: integers below are in another unit, or mistaken.
const leastNanos = 1e18

// Parse reads a moment: now, a signed duration such as -10m or -2d, a clock, a date with or without
// a clock and a zone, or nanoseconds since 1970. Another text is an [ErrForm].
func Parse(s string, r Reference) (time.Time, error) {
	switch {
	case s == "now":
		return r.Now, nil
	case s == "":
		return time.Time{}, fmt.Errorf("%w: an empty text", ErrForm)
	case s[0] == '-' || s[0] == '+':
		d, err := duration(s)
		if err != nil {
			return time.Time{}, fmt.Errorf("%w: %q: a duration is written like -90s, -10m, -1h30m or -2d", ErrForm, s)
		}
		return r.Now.Add(d), nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		if n < leastNanos {
			return time.Time{}, fmt.Errorf("%w: %q: an integer is in nanoseconds since 1970, of which there are %d now", ErrForm, s, r.Now.UnixNano())
		}
		return time.Unix(0, n), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, strings.Replace(s, " ", "T", 1)); err == nil {
		return t, nil
	}
	for _, layout := range dates {
		if t, err := time.ParseInLocation(layout, s, r.Zone); err == nil {
			return t, nil
		}
	}
	for _, layout := range clocks {
		if t, err := time.Parse(layout, s); err == nil {
			y, m, d := r.Day.In(r.Zone).Date()
			return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), r.Zone), nil
		}
	}
	return time.Time{}, fmt.Errorf("%w: %q: write %s", ErrForm, s, Form)
}

// duration reads a signed duration, days among its units.
func duration(s string) (time.Duration, error) {
	days, rest, ok := strings.Cut(s, "d")
	if !ok {
		return time.ParseDuration(s)
	}
	const most = 100 * 365 // a century: no overflow
	n, err := strconv.Atoi(days)
	if err != nil || n < -most || n > most {
		return 0, ErrForm
	}
	d := time.Duration(n) * 24 * time.Hour
	if rest == "" {
		return d, nil
	}
	if rest[0] == '-' || rest[0] == '+' {
		return 0, ErrForm
	}
	more, err := time.ParseDuration(s[:1] + rest)
	return d + more, err
}
