package tickstorm_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// oddSamples are the parts of sample events that do not fit their field by the
// sample's own fault: a timestamp in quotes.
var oddSamples = []string{`"t":"1401715883806000000"`}

// TestSamples parses recorded and documented messages. They belong to third parties
// and are not in the repository: TICKSTORM_SAMPLES names the folder that has them.
func TestSamples(t *testing.T) {
	folder := os.Getenv("TICKSTORM_SAMPLES")
	if folder == "" {
		t.Skip("TICKSTORM_SAMPLES is not set")
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.ndjson"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		if filepath.Base(file) == "requests.ndjson" { // what clients send
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			for line := range bytes.Lines(data) {
				if len(bytes.TrimSpace(line)) == 0 {
					continue
				}
				requireSample(t, bytes.TrimSpace(line))
			}
		})
	}
}

// requireSample parses a line by each market that can have its events. Which market
// a sample is from is not written in it: the one that knows its keys best counts.
func requireSample(t *testing.T, line []byte) {
	t.Helper()
	var best tickstorm.Stats
	for i, m := range []tickstorm.Market{tickstorm.Stocks, tickstorm.Options, tickstorm.Forex, tickstorm.Crypto, tickstorm.Indices, tickstorm.Futures} {
		p := tickstorm.NewParser(m)
		require.NoError(t, p.Parse(line, tickstorm.NopHandler{}), "%s", line)
		s := p.Stats()
		if i == 0 || misfits(s) < misfits(best) {
			best = s
		}
	}
	require.Zero(t, best.Errors, "%s", line)
	require.Zero(t, best.Events[tickstorm.KindUnknown], "%s", line)
	require.NotZero(t, best.Total(), "%s", line)
	odd := uint64(0)
	for _, sample := range oddSamples {
		odd += uint64(bytes.Count(line, []byte(sample)))
	}
	require.Equal(t, odd, best.Odd, "%s", line)
	require.Zero(t, best.NoSymbol, "%s", line)
	if best.UnknownKeys > 0 {
		t.Logf("%d unknown keys: %s", best.UnknownKeys, line)
	}
}

func misfits(s tickstorm.Stats) uint64 {
	return 100*s.Events[tickstorm.KindUnknown] + 10*s.Odd + 10*s.NoSymbol + s.UnknownKeys
}
