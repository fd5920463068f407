package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGathered: topics, paths and flags stand in any order.
func TestGathered(t *testing.T) {
	root := grammarOf(t).Model.Node
	for from, to := range map[string]string{
		"":                                    "",
		"sub T.A -n 1 Q.A":                    "sub -n 1 T.A Q.A",
		"--demo sub T.A -vn 1 Q.A --for=1s B": "--demo sub -vn 1 --for=1s T.A Q.A B",
		"sub T.A -vq Q.A -n1 C":               "sub -vq -n1 T.A Q.A C",
		"sub T.A --demo Q.A -- -x -n":         "sub --demo -- T.A Q.A -x -n",
		"cut a --from -10m b -o c d":          "cut --from -10m -o c a b d",
		"--tz sub info a -s b":                "--tz sub info -s a b",
		"sink nats T.A --for 1s Q.A":          "sink nats --for 1s T.A Q.A",
		"sub sub T.A":                         "sub sub T.A",
		"sub --nonsense T.A -n":               "sub --nonsense -n T.A",
		"sub - --symbols - T":                 "sub --symbols - - T",
		"nonsense T.A -n 1":                   "nonsense T.A -n 1",
	} {
		require.Equal(t, to, strings.Join(gathered(root, strings.Fields(from)), " "), from)
	}
	s := newScene(t)
	require.Equal(t, exitOK, s.run(t, "sub", "T.AAPL", "--demo", "--demo-rate", "1000", "-n", "200", "Q.AAPL", "-f", "{ev}"), s.err)
	require.Contains(t, s.out.String(), "T\n")
	require.Contains(t, s.out.String(), "Q\n")
	s = newScene(t)
	require.Equal(t, exitUsage, s.run(t, "nonsense", "-n", "1"))
	require.Contains(t, s.err.String(), "nonsense")
}
