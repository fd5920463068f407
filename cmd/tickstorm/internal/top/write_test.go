package top_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestDocumented: every figure that a program is given is in docs/cli.md, by its name.
func TestDocumented(t *testing.T) {
	docs, err := os.ReadFile("../../../../docs/cli.md")
	require.NoError(t, err)
	_, section, ok := strings.Cut(string(docs), "## Snapshots of a feed\n")
	require.True(t, ok)
	section, _, _ = strings.Cut(section, "\n## ")
	f := newFake()
	f.snapshot.Why = "because"
	s := f.Sample(day, true)
	s.Symbols, s.Relay.Error = f.symbols, "no answer"
	s.Relay.Markets[0].Why = "because"
	var b bytes.Buffer
	require.NoError(t, s.WriteJSON(&b))
	var object any
	require.NoError(t, json.Unmarshal(b.Bytes(), &object))
	n := 0
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, inner := range v {
				if strings.HasSuffix(name, "_causes") || name == "error_samples" { // names of causes
					inner = nil
				}
				n++
				require.Contains(t, section, "`"+name+"`")
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(object)
	require.Greater(t, n, 60)
	b.Reset()
	require.NoError(t, s.WriteDelimited(&b, '\t'))
	for line := range strings.Lines(b.String()) {
		cells := strings.SplitN(line, "\t", 4)
		require.Contains(t, section, "`"+cells[0]+"`")
		if cells[0] != "incident" { // whose kind it is
			require.Contains(t, section, "`"+cells[2]+"`")
		}
	}
}

// TestWrite: a snapshot is written in every form, whatever is in it.
func TestWrite(t *testing.T) {
	f := newFake()
	s := f.Sample(day, true)
	s.Symbols = f.symbols
	require.Equal(t, "14:30:00 stocks streaming ev/s=12.0k MB/s=1.93 T/s=2010 Q/s=9900 AM/s=0 lag50=1.2ms lag99=8.0ms age=3.0ms queued=120 symbols=4034 gaps=1 dropped=1200 reconnects=2 errors=3 clients=2\n", s.Line(time.UTC))
	var b bytes.Buffer
	require.NoError(t, s.WriteJSON(&b))
	var back map[string]any
	require.NoError(t, json.Unmarshal(b.Bytes(), &back))
	require.Equal(t, 0.0012, back["lag_p50_seconds"])
	require.Equal(t, map[string]any{"syntax": `{"ev":"T",` + "\x1b[31m"}, back["error_samples"])
	for _, delimiter := range []rune{'\t', ',', ';', 'é'} {
		b.Reset()
		require.NoError(t, s.WriteDelimited(&b, delimiter))
		r := csv.NewReader(&b)
		r.Comma = delimiter
		lines, err := r.ReadAll()
		require.NoError(t, err)
		require.Equal(t, []string{"of", "name", "figure", "value"}, lines[0])
		require.Contains(t, lines, []string{"channel", "T", "events_per_second", "2010"})
		require.Contains(t, lines, []string{"error", "syntax", "sample", `{"ev":"T",` + "\x1b[31m"})
		require.Contains(t, lines, []string{"symbol", "日本株", "events", "77"})
		require.Contains(t, lines, []string{"reconnect", "dial", "count", "1"})
	}
}
