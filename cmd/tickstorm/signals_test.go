package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAskedAgain: timeout and npm send on what the group has got, which is nobody's second Ctrl-C.
func TestAskedAgain(t *testing.T) {
	var a asking
	first := time.Now()
	for _, later := range []time.Duration{0, 0, time.Microsecond, 100 * time.Millisecond, echo - 1} {
		require.False(t, a.again(first.Add(later)), later)
	}
	for _, later := range []time.Duration{echo, time.Second, time.Hour} {
		require.True(t, a.again(first.Add(later)), later)
	}
}
