package sinktest

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// Program runs the test binary once more with a variable, "name=value", in its environment, and hands each
// line that it prints to told, which may kill it. It returns what the program wrote to its standard error,
// and how it ended.
func Program(t testing.TB, variable string, told func(line string, kill func())) (said string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), variable)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	for lines := bufio.NewScanner(out); lines.Scan(); {
		told(lines.Text(), func() { require.NoError(t, cmd.Process.Kill()) })
	}
	err = cmd.Wait()
	return stderr.String(), err
}
