//go:build race || tickstorm_poison

package tickstorm_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

// TestPoisonedElements: whoever keeps an element, or its symbol, reads nonsense; the message is
// left as it is.
func TestPoisonedElements(t *testing.T) {
	const msg = `[{"ev":"T","sym":"A"},{"sym":"\u0041","ev":"T"},{ "ev":"T","sym":"A"},{"ev":"T"}]`
	s := tickstorm.NewSplitter(tickstorm.Stocks)
	m := []byte(msg)
	s.Reset(m)
	require.True(t, s.Next())
	for range 3 {
		lent := s.Element().Symbol
		require.Equal(t, "A", string(lent))
		require.True(t, s.Next())
		require.Equal(t, "\xcc", string(lent))
	}
	require.Nil(t, s.Element().Symbol)
	s.Reset(m)
	s.Next()
	lent := s.Element().Symbol
	s.Reset(nil)
	require.Equal(t, "\xcc", string(lent))
	require.Equal(t, msg, string(m))
}
