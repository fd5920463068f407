package tickstorm_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadmeProgram keeps the program in the README the one that is built and vetted.
func TestReadmeProgram(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	program, err := os.ReadFile("examples/quickstart/main.go")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(readme), "```go\n")
	require.True(t, found)
	code, _, found := strings.Cut(rest, "```\n")
	require.True(t, found)
	require.Equal(t, string(program), code)
	require.NotContains(t, string(readme), "_TABLE", "a place that was never filled in")
}
