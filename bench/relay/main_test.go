package main

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/internal/cputime"
)

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Each way hands out the feed, and is measured.
func TestMeasure(t *testing.T) {
	f, err := newFeed(50_000)
	require.NoError(t, err)
	for _, s := range scenes {
		s.clients = min(s.clients, 10)
		for _, way := range s.ways {
			r, err := measure(f, s, way, 300*time.Millisecond)
			require.NoError(t, err, "%s, %s", s.name, way)
			require.Positive(t, r.bytes)
			if cputime.Used() > 0 { // where it is known
				require.Positive(t, r.cpu)
			}
			require.Positive(t, r.p99)
		}
	}
}

// What clients with shares are to get is all that there is, each once.
func TestShares(t *testing.T) {
	f, err := newFeed(1)
	require.NoError(t, err)
	s := scene{clients: 7, share: true}
	shares := f.filtered(s)
	for i, m := range f.messages[:100] {
		n := 0
		for _, share := range shares[i] {
			if share != nil {
				n += len(share) - 1 // brackets and commas
			}
		}
		require.Equal(t, len(m)-1, n)
	}
}
