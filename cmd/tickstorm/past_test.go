package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/sim"
)

// TestPast: what a relay sends of the past is shown to who asks for it, and counts for nothing elsewhere.
func TestPast(t *testing.T) {
	// It is of long ago.
	old := `{"ev":"T","sym":"AAPL","p":31415.5,"s":1,"t":1600000000000,"q":1}`
	piece := `[{"ev":"status","status":"snapshot_begin","message":"topics=T.*"},` + old + "," + old +
		`,{"ev":"status","status":"snapshot_end","message":"events=2 next=live"}]`
	_, flags := start(t, sim.Config{Rate: 1000, Faults: []sim.Fault{{At: sim.OnStreaming, Do: sim.Message(piece)}}})
	feed := flags[1]
	for name, c := range map[string]struct {
		args []string
		want int // events of the past
	}{
		"json":                {[]string{"--feed", feed, "-n", "4", "-f", "json"}, 0},
		"csv":                 {[]string{"--feed", feed, "-n", "4", "-f", "csv"}, 0},
		"json, asked for":     {[]string{"--feed", feed + "?snapshot=1", "-n", "4", "-f", "json"}, 2},
		"csv, asked for":      {[]string{"--feed", feed + "?since=-5m", "-n", "4", "-f", "csv"}, 2},
		"asked for otherwise": {[]string{"--feed", feed + "?snapshot=0&conflate=1s", "-n", "4", "-f", "json"}, 0},
		"raw":                 {[]string{"--feed", feed, "-n", "9", "-f", "raw"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			require.Equal(t, exitOK, s.run(t, append([]string{"sub", "T.*"}, c.args...)...), s.err)
			require.Equal(t, c.want, strings.Count(s.out.String(), "31415.5"), s.out)
		})
	}

	s := newScene(t)
	require.Equal(t, exitOK, s.run(t, "check", "--feed", feed+"?snapshot=1", "--for", "50ms", "--max-lag", "1h", "-f", "json", "T.*"), s.err, s.out)
	var found struct {
		Feed string
		P99  float64 `json:"lag_p99_seconds"`
	}
	require.NoError(t, json.Unmarshal([]byte(s.out.String()), &found))
	require.Equal(t, feed, found.Feed, "without what is asked there")
	require.Less(t, found.P99, 3600.0)
}
