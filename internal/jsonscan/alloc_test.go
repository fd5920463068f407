//go:build !race

package jsonscan_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tickstorm/tickstorm/internal/jsonscan"
)

func TestNoAllocations(t *testing.T) {
	msg := []byte(stocksMessage(50))
	broken := []byte(strings.Repeat("[", 100_000))
	escaped := []byte(`a\u00e9b\ud83d\ude00c\n\"quoted\"`)
	dst := make([]byte, 0, len(escaped))
	tests := []struct {
		name string
		run  func()
	}{
		{"Value", func() { jsonscan.Value(msg, 0, 64) }},
		{"Value, too deep", func() { jsonscan.Value(broken, 0, 64) }},
		{"Value, truncated", func() { jsonscan.Value(msg[:len(msg)-1], 0, 64) }},
		{"Valid", func() { jsonscan.Valid(msg) }},
		{"LooseEnd", func() { jsonscan.LooseEnd(msg, 1) }},
		{"LooseEnd, without end", func() { jsonscan.LooseEnd(broken, 0) }},
		{"Unescape", func() { dst = jsonscan.Unescape(dst[:0], escaped) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Zero(t, testing.AllocsPerRun(100, tt.run))
		})
	}
}

func TestNoAllocationsForNumbers(t *testing.T) {
	for _, s := range append([]string{
		"0", "-0.0", "1e999999999999", "1e-999999999999", "-9223372036854775808", "9223372036854775808",
		"0.123456789012345678901234567890123456789012345678901234567890",
		"225.620000000000000000000000000000000000000000000000000000000000000000",
		"0.000000000000000000000000000000000000000000000000000000000022562",
		"179769313486231570000000000000000000000000000000000000000000e249",
	}, floatTokens...) {
		tok := []byte(s)
		require.Zero(t, testing.AllocsPerRun(100, func() { jsonscan.Float(tok) }), s)
		require.Zero(t, testing.AllocsPerRun(100, func() { jsonscan.Int(tok) }), s)
		require.Zero(t, testing.AllocsPerRun(100, func() { jsonscan.IsNumber(tok) }), s)
	}
}
